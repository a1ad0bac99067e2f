//! Commands about runs on record.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::output::OutputArgs;
use super::target::CredentialArgs;

/// `flowbatch report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run: its id, its folder, last, or last:JOB
    #[arg(required_unless_present = "merge")]
    pub run: Option<String>,
    /// Make one record of the parts of a job (--partition): their run folders or ids
    #[arg(long, value_name = "RUN", num_args = 1.., conflicts_with_all = ["run", "csv", "html"])]
    pub merge: Vec<String>,
    /// Where the merged record goes
    #[arg(long, value_name = "DIR", requires = "merge")]
    pub out: Option<PathBuf>,
    /// `last` is the newest run against the simulator
    #[arg(long)]
    pub simulate: bool,
    /// Where the CSV goes (-: standard output); without it the run's own report is written again
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Where the run goes as one page, for people (-: standard output)
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    pub html: Option<PathBuf>,
    /// Pass over damaged lines of the journal
    #[arg(long)]
    pub salvage: bool,
    /// Where runs are kept (default: FLOWBATCH_STATE_DIR, $XDG_STATE_HOME/flowbatch)
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `flowbatch runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// What is done with them.
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Tell what they changed, change by change
    #[arg(long)]
    pub changed: bool,
    /// Of this workspace: its id or its name
    #[arg(long, value_name = "ID", requires = "changed")]
    pub workspace: Option<String>,
    /// Of this workflow: its id, or its name
    #[arg(long, value_name = "ID", requires = "changed")]
    pub workflow: Option<String>,
    /// By runs of this job
    #[arg(long, value_name = "NAME", requires = "changed")]
    pub job: Option<String>,
    /// Not before then: 2026-11-01, 2026-11-01T06:00:00Z, or 30d
    #[arg(long, value_name = "WHEN", requires = "changed")]
    pub since: Option<String>,
    /// Runs against the simulator alone; with --changed, those instead of the others
    #[arg(long)]
    pub simulate: bool,
    /// How they are written to standard output: for people, as one JSON array, or (changes) as a CSV
    #[arg(long, value_enum, default_value = "text")]
    pub output: ListShape,
    /// Where runs are kept (default: FLOWBATCH_STATE_DIR, $XDG_STATE_HOME/flowbatch)
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListShape {
    /// For people
    Text,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}

/// `flowbatch approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The run: its id, its folder, last, or last:JOB
    pub run: String,
    /// `last` is the newest run against the simulator
    #[arg(long)]
    pub simulate: bool,
    /// What is to stand beside it on record
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Where runs are kept (default: FLOWBATCH_STATE_DIR, $XDG_STATE_HOME/flowbatch)
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `flowbatch verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The run: its id, its folder, last, or last:JOB
    pub run: String,
    /// `last` is the newest run against the simulator
    #[arg(long, help_heading = "Target")]
    pub simulate: bool,
    /// Read the changed workflows as well, and tell which are not as the run left them
    #[arg(long)]
    pub live: bool,
    /// The hash of summary.json that the run told, as it stands in the ticket
    #[arg(long, value_name = "HASH")]
    pub sha256: Option<String>,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Where runs are kept (default: FLOWBATCH_STATE_DIR, $XDG_STATE_HOME/flowbatch)
    #[arg(long, value_name = "DIR", help_heading = "Record")]
    pub state_dir: Option<PathBuf>,
    /// What is shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is done with runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Remove the records of old runs, but never of those that go on or have rows left; summaries stay
    Prune(PruneArgs),
}

/// `flowbatch runs prune`
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// How long ago a run must have ended: 400d
    #[arg(long, value_name = "DURATION")]
    pub older_than: String,
}
