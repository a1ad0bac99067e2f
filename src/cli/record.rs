//! Where the record of a run goes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where the record of a run goes.
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// Write the report there as well
    #[arg(long, value_name = "FILE", help_heading = "Record")]
    pub report: Option<PathBuf>,
    /// Write the run as one page there, for people; with --ticket it stands in the run folder as well
    #[arg(long, value_name = "FILE", help_heading = "Record")]
    pub html: Option<PathBuf>,
    /// The change ticket, for the record
    #[arg(long, value_name = "TEXT", help_heading = "Record")]
    pub ticket: Option<String>,
    /// Write figures for Prometheus there: FILE.prom, for the node exporter's textfile collector
    #[arg(long, value_name = "FILE", help_heading = "Record")]
    pub metrics_file: Option<PathBuf>,
    /// Where runs are kept (default: FLOWBATCH_STATE_DIR, $XDG_STATE_HOME/flowbatch)
    #[arg(long, value_name = "DIR", help_heading = "Record")]
    pub state_dir: Option<PathBuf>,
    /// What to do where another run holds a workspace
    #[arg(long, value_enum, default_value = "fail", help_heading = "Record")]
    pub if_locked: IfLocked,
}

/// What to do where another run holds a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IfLocked {
    /// End with 6
    Fail,
    /// Wait until it has ended
    Wait,
    /// Leave its workspaces out; if it is a run of the same job, end with 0
    Skip,
}
