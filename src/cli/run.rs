//! Commands that carry a job out, or could.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::job::flags::Flags;

use super::job::JobArgs;
use super::output::OutputArgs;
use super::pace::PaceArgs;
use super::record::RecordArgs;
use super::target::CredentialArgs;

/// `flowbatch run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The job.
    #[command(flatten)]
    pub job: JobArgs,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Begin with a new simulated world
    #[arg(long, help_heading = "Target")]
    pub fresh: bool,
    /// Read the live state, show what would change, and send nothing; the same as `flowbatch plan`
    #[arg(long, help_heading = "Plan")]
    pub dry_run: bool,
    /// How careful it is.
    #[command(flatten)]
    pub caution: CautionArgs,

    /// The record.
    #[command(flatten)]
    pub record: RecordArgs,
    /// What is shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How careful a run is.
#[derive(Debug, Args)]
pub struct CautionArgs {
    /// Ask nothing before anything is changed
    #[arg(long, help_heading = "Plan")]
    pub yes: bool,
    /// Send nothing if any row cannot be carried out as things stand
    #[arg(long, help_heading = "Plan")]
    pub strict: bool,
    /// Carry out what still holds of a saved plan, though not all of it does
    #[arg(long, help_heading = "Plan")]
    pub allow_drift: bool,
}

impl CautionArgs {
    /// `flags` with what the command line says about caution.
    pub fn flags(&self, flags: Flags) -> Flags {
        Flags {
            strict: self.strict,
            allow_drift: self.allow_drift,
            ..flags
        }
    }
}

/// `flowbatch plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The job.
    #[command(flatten)]
    pub job: JobArgs,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// End with 10 if anything would change
    #[arg(long, help_heading = "Output")]
    pub detailed_exitcode: bool,
    /// Save the plan, to be run as it is: flowbatch run plan.json
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// End with 3 if any row cannot be carried out as things stand
    #[arg(long, help_heading = "Plan")]
    pub strict: bool,
    /// Show every row that would change, not the first of each workspace only
    #[arg(long, help_heading = "Output")]
    pub full: bool,
    /// Where runs are kept (default: FLOWBATCH_STATE_DIR, $XDG_STATE_HOME/flowbatch)
    #[arg(long, value_name = "DIR", help_heading = "Record")]
    pub state_dir: Option<PathBuf>,
    /// What is shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `flowbatch resume`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The run: its id, its folder, last, or last:JOB
    pub run: String,
    /// `last` is the newest run against the simulator
    #[arg(long, help_heading = "Target")]
    pub simulate: bool,
    /// Take up every row again that failed or was in conflict, not only those that failed in passing or for want of permission
    #[arg(long, help_heading = "Rows")]
    pub failed: bool,
    /// Pass over damaged lines of the journal: rows whose end they held are read back or sent again
    #[arg(long, help_heading = "Rows")]
    pub salvage: bool,
    /// How fast it goes on, where that is not as before.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How careful it is.
    #[command(flatten)]
    pub caution: CautionArgs,
    /// Resume a run that was undone: what is left of it changes workflows again
    #[arg(long, help_heading = "Rows")]
    pub after_undo: bool,
    /// Go on with another access key or IAM user than the run had
    #[arg(long, help_heading = "Target")]
    pub other_credential: bool,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// The record.
    #[command(flatten)]
    pub record: RecordArgs,
    /// What is shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `flowbatch undo`
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The run: its id, its folder, last, or last:JOB
    pub run: String,
    /// `last` is the newest run against the simulator
    #[arg(long, help_heading = "Target")]
    pub simulate: bool,
    /// Put back some workflows only: workflow_id=A,B, workflow_name=NAME, workspace=ID, or row=3,7-9 of the run's report
    #[arg(long, value_name = "WHAT=WHICH", action = ArgAction::Append, help_heading = "Rows")]
    pub only: Vec<String>,
    /// Show what would be put back, and send nothing
    #[arg(long, help_heading = "Plan")]
    pub dry_run: bool,
    /// Put back also what others have changed since; only together with --only
    #[arg(long, help_heading = "Rows")]
    pub force: bool,
    /// Pass over damaged lines of the journal
    #[arg(long, help_heading = "Rows")]
    pub salvage: bool,
    /// How fast it goes, where that is not as the run went.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How careful it is.
    #[command(flatten)]
    pub caution: CautionArgs,
    /// Use another access key or IAM user than the run had
    #[arg(long, help_heading = "Target")]
    pub other_credential: bool,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// The record.
    #[command(flatten)]
    pub record: RecordArgs,
    /// What is shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `flowbatch check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The job.
    #[command(flatten)]
    pub job: JobArgs,
    /// The credential: its files are looked at, and not shown to anybody.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Print nothing unless there are problems
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
}
