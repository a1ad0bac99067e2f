//! The job, and what the command line says about it.

use clap::{ArgAction, Args};

use crate::job::flags::{Flags, OtherColumns, Snapshot};

use super::pace::PaceArgs;
use super::target::TargetArgs;
use super::word;

/// The job and what the command line says about it.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// The job: x.toml, x.csv, or - for CSV on standard input; `run` takes a saved plan (x.json) as well
    pub job: String,

    /// Where it goes.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Go to the built-in simulator instead of a service
    #[arg(long, help_heading = "Target")]
    pub simulate: bool,

    /// How fast it goes.
    #[command(flatten)]
    pub pace: PaceArgs,

    /// Take the first N rows only
    #[arg(long, value_name = "N", help_heading = "Rows")]
    pub limit: Option<String>,
    /// Take one of so many parts of the rows only, and its share of the rate: 3/8; auto in a Kubernetes Indexed Job
    #[arg(long, value_name = "I/N", help_heading = "Rows")]
    pub partition: Option<String>,
    /// Take some rows only: workspace=ID, workflow_id=A,B, workflow_name=NAME, row=3,7-9
    #[arg(long, value_name = "WHAT=WHICH", action = ArgAction::Append, help_heading = "Rows")]
    pub only: Vec<String>,
    /// Leave the workflows of this list alone: a CSV of workflow_id, until, reason
    #[arg(long, value_name = "FILE", help_heading = "Rows")]
    pub hold: Option<String>,
    /// Set a field in every row that leaves it out: enabled=true
    #[arg(long, value_name = "FIELD=VALUE", action = ArgAction::Append, help_heading = "Rows")]
    pub set: Vec<String>,
    /// Whether the live state is read first; off sends rows as they stand, whatever is there
    #[arg(
        long,
        value_parser = word::<Snapshot>(&Snapshot::NAMES),
        default_value = "required",
        help_heading = "Plan",
        hide_possible_values = true,
        value_name = "required|off"
    )]
    pub snapshot: Snapshot,
    /// Read a column by another name: 'Workflow-ID=workflow_id'
    #[arg(long, value_name = "NAME=COLUMN", action = ArgAction::Append, help_heading = "Rows")]
    pub column: Vec<String>,
    /// What becomes of columns that are not known [default: refuse]
    #[arg(
        long,
        value_parser = word::<OtherColumns>(&OtherColumns::NAMES),
        help_heading = "Rows",
        hide_possible_values = true,
        value_name = "refuse|ignore"
    )]
    pub other_columns: Option<OtherColumns>,
    /// The CSV's encoding, if it is neither UTF-8 nor marked
    #[arg(long, value_name = "NAME", help_heading = "Rows")]
    pub encoding: Option<String>,
}

impl JobArgs {
    /// What the command line says about the job.
    pub fn flags(&self) -> Flags {
        Flags {
            simulate: self.simulate,
            limit: self.limit.clone(),
            partition: self.partition.clone(),
            only: self.only.clone(),
            hold: self.hold.clone(),
            set: self.set.clone(),
            column: self.column.clone(),
            encoding: self.encoding.clone(),
            other_columns: self.other_columns,
            snapshot: Some(self.snapshot),
            ..self.pace.flags(self.target.flags())
        }
    }
}
