//! The command line.

mod export;
mod init;
mod job;
mod output;
mod pace;
pub mod pages;
mod record;
mod run;
mod runs;
mod simulate;
mod target;

use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

pub use export::{By, Delimiter, ExportArgs, For};
pub use init::{CompletionsArgs, InitArgs, ManArgs, Shell};
pub use job::JobArgs;
pub use output::{LogFormat, OutputArgs, OutputShape, ProgressShape};
pub use pace::PaceArgs;
pub use record::{IfLocked, RecordArgs};
pub use run::{CautionArgs, CheckArgs, PlanArgs, ResumeArgs, RunArgs, UndoArgs};
pub use runs::{ApproveArgs, ListShape, PruneArgs, ReportArgs, RunsArgs, RunsCommand, VerifyArgs};
pub use simulate::SimulateArgs;
pub use target::{AuthArgs, CredentialArgs, TargetArgs};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Takes one of these words, which are those of `T`.
fn word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse())
}

const EXIT_CODES: &str = "Exit codes:
  0    every row succeeded or was unchanged
  1    the run ended, but some rows need a person
  2    usage, job or CSV is wrong; nothing was sent
  3    stopped by max_errors, max_changes, max_disables, a plan that does not hold any more,
       a first change that did harm, or the gate of a wave
  4    no credential, no permission or no endpoint works
  5    deadline or stop_at reached, or nothing was admitted for patience
  6    another run holds a workspace
  7    journal or report could not be written, or a file of the run was changed
  8    the next wave waits for approval
  10   plan --detailed-exitcode: something would change
  129, 130, 143   hung up, interrupted, terminated";

const ENVIRONMENT: &str = "Environment:
  HW_AUTH_TOKEN, HUAWEICLOUD_SDK_AK/_SK/_SECURITY_TOKEN, HW_ACCESS_KEY/_SECRET_KEY, HW_USER_NAME/_USER_PASSWORD/_DOMAIN_NAME
       a credential; `flowbatch auth` says which is found
  HW_REGION_NAME, HW_PROJECT_ID, FLOWBATCH_WORKSPACE_ID
       the target, where neither rows, flags nor the job file name one
  FLOWBATCH_STATE_DIR, FLOWBATCH_PROFILES, FLOWBATCH_LOG
       where runs are kept, where profiles stand, what is logged
  HTTPS_PROXY, ALL_PROXY, NO_PROXY, NO_COLOR, TZ
       as everywhere";

const FILES: &str = "Files:
  $XDG_STATE_HOME/flowbatch/runs/RUN/   the record of a run: report.csv, summary.json, journal.jsonl, undo.csv, rerun.csv
  ~/.config/flowbatch/profiles.toml     accounts by name; never a secret";

/// Changes many Huawei Cloud SecMaster workflows from a job file: paced, retried, recorded.
#[derive(Debug, Parser)]
#[command(name = "flowbatch", version, styles = STYLES, max_term_width = 100)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXIT_CODES}\n\n{ENVIRONMENT}\n\n{FILES}"))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command line itself has to say instead of doing something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the command line is wrong; else it asked for this.
    pub is_error: bool,
    /// Without colours.
    pub text: String,
    /// With colours.
    pub painted: String,
}

impl Cli {
    /// The command line of this process.
    ///
    /// # Errors
    /// It asks for help or for the version, or it is wrong.
    pub fn read() -> Result<Self, Answer> {
        Self::try_parse().map_err(|error| Answer {
            is_error: error.use_stderr(),
            text: error.render().to_string(),
            painted: error.render().ansi().to_string(),
        })
    }

    /// Whether nothing is to be said unless somebody should look.
    pub fn is_quiet(&self) -> bool {
        match &self.command {
            Command::Run(args) => args.output.quiet,
            Command::Plan(args) => args.output.quiet,
            Command::Resume(args) => args.output.quiet,
            Command::Undo(args) => args.output.quiet,
            Command::Export(args) => args.output.quiet,
            Command::Check(args) => args.quiet,
            Command::Report(_)
            | Command::Runs(_)
            | Command::Verify(_)
            | Command::Approve(_)
            | Command::Auth(_)
            | Command::Simulate(_)
            | Command::Init(_)
            | Command::Schema
            | Command::Completions(_)
            | Command::Man(_) => false,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carry a job out
    #[command(after_help = "Examples:
  flowbatch run jobs/demo.toml
  flowbatch run triage.csv --region ap-southeast-2 --project-id ID --workspace-id ID
  flowbatch run ids.csv --set enabled=false --simulate")]
    Run(RunArgs),
    /// Validate a job without the network; sends nothing
    #[command(after_help = "Examples:
  flowbatch check triage.toml
  flowbatch check triage.csv --simulate")]
    Check(CheckArgs),
    /// Read the live state and show what a job would change; changes nothing
    #[command(after_help = "Examples:
  flowbatch plan triage.csv --region ap-southeast-2
  flowbatch plan jobs/demo.toml --detailed-exitcode")]
    Plan(PlanArgs),
    /// Go on where a run stopped: rows in doubt are read back, those that are left are sent
    #[command(after_help = "Examples:
  flowbatch resume last
  flowbatch resume 20261124T083100Z-3f9a1c --failed")]
    Resume(ResumeArgs),
    /// Write live workflows as a CSV that `run` takes as it is
    #[command(after_help = "Examples:
  flowbatch export --region ap-southeast-2 --workspace-id ID --out workflows.csv
  flowbatch export --simulate --where 'name~^Triage' --for excel --out triage.csv

An edited cell is a wish; cells as they were exported ask for nothing. The expect_ columns see to it that
nobody else's work is overwritten.")]
    Export(ExportArgs),
    /// Put back what a run changed, where nobody has changed it since; a run of its own
    #[command(after_help = "Examples:
  flowbatch undo last
  flowbatch undo 20261124T083100Z-3f9a1c --only workflow_id=ID
  flowbatch undo last --dry-run")]
    Undo(UndoArgs),
    /// Write the report of a run again from its journal
    #[command(after_help = "Examples:
  flowbatch report last
  flowbatch report 20261124T083100Z-3f9a1c --csv - | less
  flowbatch report last --html change.html
  flowbatch report --merge runs/* --out merged")]
    Report(ReportArgs),
    /// Let a run go on that waits between two waves
    #[command(after_help = "Example:
  flowbatch approve 20261124T083100Z-3f9a1c --note 'looked at wave 1'
  flowbatch resume 20261124T083100Z-3f9a1c")]
    Approve(ApproveArgs),
    /// Compare everything that is on record of a run with its journal
    #[command(after_help = "Examples:
  flowbatch verify last
  flowbatch verify 20261124T083100Z-3f9a1c --live --sha256 HASH-OF-THE-TICKET")]
    Verify(VerifyArgs),
    /// List the runs in the state folder, the newest first, or what they changed
    #[command(after_help = "Examples:
  flowbatch runs
  flowbatch runs --changed --workflow ID --since 30d
  flowbatch runs --changed --since 2026-11-01 --output csv > changes.csv
  flowbatch runs prune --older-than 400d")]
    Runs(RunsArgs),
    /// Tell which credential is found where, for whom, and whether it works; changes nothing
    #[command(after_help = "Examples:
  flowbatch auth --region ap-southeast-2
  flowbatch auth --profile kunde-a --workspace-id ID")]
    Auth(AuthArgs),
    /// Serve the simulator on a loopback port
    #[command(after_help = "Examples:
  flowbatch simulate --workflows 200 --rate-limit 20/s --fault reset=0.02
  flowbatch simulate --port 8180 --ak AKDEMO --sk-file sk

The first line of standard output is the address, also of IAM and of a cloud server's
metadata. Any client can use it:
  curl -H 'X-Auth-Token: T' http://127.0.0.1:PORT/v1/PROJECT/workspaces/WORKSPACE/soc/workflows")]
    Simulate(SimulateArgs),
    /// Write a job file to begin with; on a terminal it asks for what the flags leave open
    #[command(after_help = "Examples:
  flowbatch init triage.toml --region ap-southeast-2 --workspace-id ID
  flowbatch init --demo try-it")]
    Init(InitArgs),
    /// Print the JSON Schema of a job file, for editors
    #[command(after_help = "Example:
  flowbatch schema > flowbatch.schema.json

An editor that knows TOML reads it where the job file begins with the line
  #:schema flowbatch.schema.json")]
    Schema,
    /// Print the completions for a shell
    #[command(after_help = "Examples:
  flowbatch completions bash > /etc/bash_completion.d/flowbatch
  flowbatch completions zsh > \"${fpath[1]}/_flowbatch\"
  flowbatch completions fish > ~/.config/fish/completions/flowbatch.fish")]
    Completions(CompletionsArgs),
    /// Print the man page, or write those of all commands
    #[command(after_help = "Examples:
  flowbatch man | man -l -
  flowbatch man --out /usr/local/share/man/man1")]
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
