//! `flowbatch export`

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use crate::job::flags::Flags;

use super::output::OutputArgs;
use super::pace::PaceArgs;
use super::target::{CredentialArgs, TargetArgs};

/// `flowbatch export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Where it is read.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Read the built-in simulator instead of a service
    #[arg(long, help_heading = "Target")]
    pub simulate: bool,
    /// Take all workspaces of the project
    #[arg(long, conflicts_with = "workspace_id", help_heading = "Rows")]
    pub all_workspaces: bool,
    /// Take some workflows only: name~REGEX, enabled=true, labels!=IP, unchanged>90d; all given must hold
    #[arg(long = "where", value_name = "FIELD=VALUE", action = ArgAction::Append, help_heading = "Rows")]
    pub filter: Vec<String>,
    /// The file, which is written whole or not at all [default: standard output]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Overwrite whatever is there; without it only an empty file, or an export by id without an edited cell
    #[arg(long, requires = "out", help_heading = "Output")]
    pub force: bool,
    /// Write it for a spreadsheet program: with a byte order mark and CRLF
    #[arg(long = "for", value_enum, help_heading = "Output")]
    pub target_program: Option<For>,
    /// Which workflow a line is about: its id, or its name, for another workspace that has it under that name
    #[arg(long, value_enum, default_value = "id", help_heading = "Rows")]
    pub by: By,
    /// Between cells [default: comma; for excel: semicolon]
    #[arg(long, value_enum, help_heading = "Output")]
    pub delimiter: Option<Delimiter>,
    /// How fast it reads.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Where runs are kept, and the simulated world (default: FLOWBATCH_STATE_DIR, $XDG_STATE_HOME/flowbatch)
    #[arg(long, value_name = "DIR", help_heading = "Record")]
    pub state_dir: Option<PathBuf>,
    /// What is shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

impl ExportArgs {
    /// What the command line says about target and pace.
    pub fn pace_flags(&self) -> Flags {
        Flags {
            simulate: self.simulate,
            ..self.pace.flags(self.target.flags())
        }
    }
}

/// `--by`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// workflow_id, with target and guards
    Id,
    /// workflow_name (and workspace, if there are all), with version_id = active; no target, no guards
    Name,
}

/// `--for`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum For {
    /// Excel and its like
    Excel,
}

/// `--delimiter`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Delimiter {
    /// ,
    Comma,
    /// ;
    Semicolon,
    /// A tab
    Tab,
}
