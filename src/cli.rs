//! The command line.

pub mod pages;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::job::flags::{Flags, Sent, Snapshot};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "Exit codes:
  0    every row succeeded or was unchanged
  1    the run ended, but some rows need a person
  2    usage, job or CSV is wrong; nothing was sent
  3    stopped by max_errors, max_changes, max_disables, a plan that does not hold any more,
       a first change that did harm, or the gate of a wave
  4    no credential, no permission or no endpoint works
  5    deadline or stop_at reached, or nothing was admitted for patience
  6    another run holds a workspace
  7    journal or report could not be written
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

impl Cli {
    /// What this process was told; a wrong word ends it with 2, `--help` with 0.
    pub fn read() -> Self {
        Self::parse()
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

/// `flowbatch init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The job file [default: job.toml]
    pub file: Option<PathBuf>,
    /// The service's region
    #[arg(long)]
    pub region: Option<String>,
    /// Whose account: a name of profiles.toml
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The project that owns the workspaces
    #[arg(long, value_name = "ID")]
    pub project_id: Option<String>,
    /// The workspace where none is named
    #[arg(long, value_name = "ID")]
    pub workspace_id: Option<String>,
    /// Go to the built-in simulator instead of a service
    #[arg(long, conflicts_with_all = ["region", "profile", "project_id", "workspace_id"])]
    pub simulate: bool,
    /// The CSV with its rows [default: the job file's name with .csv]
    #[arg(long, value_name = "FILE")]
    pub csv: Option<String>,
    /// Write a job, a CSV and the commands to try into this folder
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["file", "region", "profile", "project_id", "workspace_id", "simulate", "csv"]
    )]
    pub demo: Option<PathBuf>,
}

/// `flowbatch completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// `flowbatch man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder: flowbatch.1, flowbatch-run.1 ...
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

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
    /// Take some rows only: workspace=ID, workflow_id=ID, row=3,7-9
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
        value_enum,
        default_value = "required",
        help_heading = "Plan",
        hide_possible_values = true,
        value_name = "required|off"
    )]
    pub snapshot: SnapshotUse,
    /// Read a column by another name: 'Workflow-ID=workflow_id'
    #[arg(long, value_name = "NAME=COLUMN", action = ArgAction::Append, help_heading = "Rows")]
    pub column: Vec<String>,
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
            snapshot: Some(self.snapshot.snapshot()),
            ..self.pace.flags(self.target.flags())
        }
    }
}

/// How fast a run goes, and when it stops.
#[derive(Debug, Args)]
pub struct PaceArgs {
    /// Requests in flight [default: 8]
    #[arg(short = 'j', long, value_name = "N", help_heading = "Pace")]
    pub concurrency: Option<String>,
    /// How fast requests may leave: 10/s, 300/m, or auto, as fast as the service allows [default: 5/s]
    #[arg(long, value_name = "N/UNIT", help_heading = "Pace")]
    pub rate: Option<String>,
    /// Requests that may leave at once after a quiet time [default: 1]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub burst: Option<String>,
    /// How long one request may take: 500ms, 30s [default: 30s]
    #[arg(long, value_name = "DURATION", help_heading = "Pace")]
    pub timeout: Option<String>,
    /// Attempts per row [default: 5]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub max_attempts: Option<String>,
    /// Stop beyond so many errors: 3 or 10% [default: 10% once 20 rows have ended]
    #[arg(long, value_name = "N|N%", help_heading = "Pace")]
    pub max_errors: Option<String>,
    /// Start nothing new after this time: 30m, 2h
    #[arg(long, value_name = "DURATION", help_heading = "Pace")]
    pub deadline: Option<String>,
    /// Start nothing new once a clock shows this time: 06:00 (in the job's time_zone, else in TZ)
    #[arg(long, value_name = "HH:MM", help_heading = "Pace")]
    pub stop_at: Option<String>,
    /// Send nothing if more workflows would change: 50, or 50% of those that live there
    #[arg(long, value_name = "N|N%", help_heading = "Plan")]
    pub max_changes: Option<String>,
    /// Send nothing if more workflows would be disabled: 20, or 10% of those that live there
    #[arg(long, value_name = "N|N%", help_heading = "Plan")]
    pub max_disables: Option<String>,
    /// Leave alone what was changed so short a time ago, by whomever: 24h
    #[arg(long, value_name = "DURATION", help_heading = "Plan")]
    pub leave_recent: Option<String>,
    /// Which fields an update holds: those that change, or all five, read just before
    #[arg(long, value_enum, help_heading = "Plan")]
    pub send: Option<SentFields>,
}

impl PaceArgs {
    /// `flags` with what the command line says about the pace.
    pub fn flags(&self, flags: Flags) -> Flags {
        Flags {
            concurrency: self.concurrency.clone(),
            rate: self.rate.clone(),
            burst: self.burst.clone(),
            timeout: self.timeout.clone(),
            max_attempts: self.max_attempts.clone(),
            max_errors: self.max_errors.clone(),
            deadline: self.deadline.clone(),
            stop_at: self.stop_at.clone(),
            leave_recent: self.leave_recent.clone(),
            max_changes: self.max_changes.clone(),
            max_disables: self.max_disables.clone(),
            send: self.send.map(SentFields::sent),
            ..flags
        }
    }
}

/// The target and whose account it is.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The service's base URL
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub endpoint: Option<String>,
    /// The service's region
    #[arg(long, help_heading = "Target")]
    pub region: Option<String>,
    /// The project that owns the workspaces (default: IAM's project of the region)
    #[arg(long, value_name = "ID", help_heading = "Target")]
    pub project_id: Option<String>,
    /// The workspace where none is named
    #[arg(long, value_name = "ID", help_heading = "Target")]
    pub workspace_id: Option<String>,
    /// Whose account: a name of profiles.toml
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    pub profile: Option<String>,
}

impl TargetArgs {
    /// What the command line says about the target, and nothing else.
    pub fn flags(&self) -> Flags {
        Flags {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            project_id: self.project_id.clone(),
            workspace_id: self.workspace_id.clone(),
            ..Flags::default()
        }
    }
}

/// `flowbatch auth`
#[derive(Debug, Args)]
pub struct AuthArgs {
    /// Where it is shown.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// How the findings are written to standard output: for people, or as one JSON object
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub output: OutputShape,
}

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

/// Where the record of a run goes.
#[derive(Debug, Args)]
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

/// `flowbatch resume`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The run: its id, its folder, last, or last:JOB
    pub run: String,
    /// `last` is the newest run against the simulator
    #[arg(long, help_heading = "Target")]
    pub simulate: bool,
    /// Send every failed row again, not only those that failed in passing or for want of permission
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

/// `flowbatch undo`
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The run: its id, its folder, last, or last:JOB
    pub run: String,
    /// `last` is the newest run against the simulator
    #[arg(long, help_heading = "Target")]
    pub simulate: bool,
    /// Put back some workflows only: workflow_id=ID or workspace=ID
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
    /// By runs against the simulator, not by the others
    #[arg(long, requires = "changed")]
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

/// What the command line says about the credential and whom it is shown to.
#[derive(Debug, Args)]
pub struct CredentialArgs {
    /// A file with an IAM token (default: what `flowbatch auth` finds)
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) that are believed besides the system's
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub ca_file: Option<PathBuf>,
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

/// `flowbatch simulate`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The port on 127.0.0.1 (0: a free one)
    #[arg(long, value_name = "N", default_value = "0")]
    pub port: u16,
    /// The project of the workspace
    #[arg(long, value_name = "ID")]
    pub project_id: Option<String>,
    /// The workspace
    #[arg(long, value_name = "ID")]
    pub workspace_id: Option<String>,
    /// Workflows in the workspace
    #[arg(long, value_name = "N", default_value = "50")]
    pub workflows: usize,
    /// Decides about ids, faults and latencies
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
    /// A token that clients may show (default: without any credential, everybody may come in)
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Who may come in",
        env = "FLOWBATCH_SIMULATOR_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// The access key that clients sign with
    #[arg(long, value_name = "ID", help_heading = "Who may come in")]
    pub ak: Option<String>,
    /// The file that holds its secret key
    #[arg(long, value_name = "FILE", help_heading = "Who may come in")]
    pub sk_file: Option<PathBuf>,
    /// The file that holds its security token: the key is a temporary one
    #[arg(long, value_name = "FILE", help_heading = "Who may come in")]
    pub security_token_file: Option<PathBuf>,
    /// The IAM user who gets tokens by password
    #[arg(long, value_name = "NAME", help_heading = "Who may come in")]
    pub user: Option<String>,
    /// The file that holds the user's password
    #[arg(long, value_name = "FILE", help_heading = "Who may come in")]
    pub password_file: Option<PathBuf>,
    /// The account: the user's IAM domain
    #[arg(
        long,
        value_name = "NAME",
        default_value = "simulated",
        help_heading = "Who may come in"
    )]
    pub account: String,
    /// The project's name
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cn-north-4",
        help_heading = "Who may come in"
    )]
    pub region: String,
    /// Hand out temporary keys, as the metadata address of a cloud server does
    #[arg(long, help_heading = "Who may come in")]
    pub metadata: bool,
    /// How long tokens and temporary keys live: 10m, 2h [default: 24h]
    #[arg(long, value_name = "DURATION", help_heading = "Who may come in")]
    pub token_life: Option<String>,
    /// End a token after so many requests
    #[arg(long, value_name = "N", help_heading = "Who may come in")]
    pub token_requests: Option<u64>,
    /// How far the server's clock is ahead: 20m, or -20m
    #[arg(
        long,
        value_name = "DURATION",
        allow_hyphen_values = true,
        help_heading = "Who may come in"
    )]
    pub clock_offset: Option<String>,
    /// The time until an answer: 20ms, or 5ms..40ms
    #[arg(long, value_name = "DURATION")]
    pub latency: Option<String>,
    /// Requests that are admitted: 20/s; may be given again
    #[arg(long, value_name = "N/UNIT", action = ArgAction::Append)]
    pub rate_limit: Vec<String>,
    /// Give throttled clients a Retry-After
    #[arg(long)]
    pub retry_after: bool,
    /// Let an update clear what it does not hold
    #[arg(long)]
    pub clears_unsent: bool,
    /// Something that goes wrong for a share of requests: reset=0.05; may be given again
    #[arg(long, value_name = "KIND=SHARE", action = ArgAction::Append)]
    pub fault: Vec<String>,
}

/// `--snapshot`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SnapshotUse {
    /// Nothing is sent without it
    Required,
    /// Rows are sent as they stand
    Off,
}

impl SnapshotUse {
    fn snapshot(self) -> Snapshot {
        match self {
            Self::Required => Snapshot::Required,
            Self::Off => Snapshot::Off,
        }
    }
}

/// `--send`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SentFields {
    /// Those that change
    Changed,
    /// All five
    Full,
}

impl SentFields {
    fn sent(self) -> Sent {
        match self {
            Self::Changed => Sent::Changed,
            Self::Full => Sent::Full,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
