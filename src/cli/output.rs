//! What a command shows.

use clap::{ArgAction, Args, ValueEnum};

/// What a run shows.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value = "auto", help_heading = "Output")]
    pub progress: ProgressShape,
    /// How the summary is written to standard output
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub output: OutputShape,
    /// How logs are written to standard error
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub log_format: LogFormat,
    /// Print nothing unless the exit code is not 0, and then one short text, fit for a mail
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Log more: -v rows, -vv requests
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

/// `--progress`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressShape {
    /// A bar on a terminal, else plain lines
    Auto,
    /// A bar
    Bar,
    /// A line every thirty seconds
    Plain,
    /// A JSON line every second
    Json,
    /// Nothing
    None,
}

/// `--output`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputShape {
    /// For people
    Text,
    /// For programs (of a run: summary.json)
    Json,
}

/// `--log-format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs
    Json,
}
