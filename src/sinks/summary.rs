//! The run in one page: for people as text, for programs as `summary.json`.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::model::counted::counted;
use crate::model::event::{Approval, Pause, StageLeft, WaveEnded};
use crate::model::outcome::{Ended, ErrorClass, Failure, Status};
use crate::model::rate::Rate;
use crate::model::route::LaneFacts;
use crate::model::span;
use crate::model::tally::Tally;

use super::attention::{Attention, clipped};
use super::digest::{Digest, Session};

/// `summary.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Of this file.
    pub schema_version: u32,
    /// Of the run.
    pub run_id: String,
    /// Of flowbatch.
    pub tool_version: String,
    /// The user who ran it.
    pub operator: String,
    /// On whose behalf, as far as the service has confirmed it: access keys, IAM users, or where a token came from.
    #[serde(default)]
    pub identity: Vec<String>,
    /// Where it ran.
    pub host: String,
    /// The command line.
    pub command: String,
    /// `--ticket`
    pub ticket: Option<String>,
    /// The part of the job that it is, if it is not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Nothing left this machine.
    pub simulated: bool,
    /// Whether the live state was read first; `off`: rows were sent as they stood.
    pub snapshot: String,
    /// The rate that was asked for: `auto`, or so many requests in a unit of time.
    #[serde(default)]
    pub rate: String,
    /// The job.
    pub job: JobFacts,
    /// The CSV.
    pub input: Option<InputFacts>,
    /// Where it went.
    pub targets: Vec<TargetFacts>,
    /// The counts.
    pub counts: Counts,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How long it worked, in milliseconds: without the time between its sessions, and without that at questions.
    #[serde(default)]
    pub took_ms: u64,
    /// How long it waited for answers of a person, in milliseconds.
    #[serde(default)]
    pub asked_ms: u64,
    /// How often targets paused because they were throttled.
    #[serde(default)]
    pub pauses: u64,
    /// How long was waited in those pauses, in milliseconds, over all targets.
    #[serde(default)]
    pub paused_ms: u64,
    /// Its sessions: who, when, and how each ended.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// How it ended.
    pub ended: Ended,
    /// Its waves, as far as they have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<WaveEnded>,
    /// Its stages whose rows the last session left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages_left: Vec<StageLeft>,
    /// Who let it go on, after which wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approval: Vec<ApprovalFacts>,
    /// Rows whose changes `undo.csv` cannot put back, because cells cannot hold the former values; `flowbatch undo` does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo_left_out: Vec<u64>,
    /// Targets and workspaces that were given up, and why.
    pub given_up: Vec<String>,
    /// What the program returned.
    pub exit_code: u8,
    /// The files beside this one.
    pub files: Vec<FileFacts>,
}

impl Summary {
    /// The hash of the file `name` when this was written.
    pub fn sha256_of(&self, name: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == name);
        file.map(|file| file.sha256.as_str())
    }
}

/// Somebody's consent in [`Summary`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ApprovalFacts {
    /// When it was given.
    pub at: Timestamp,
    /// By whom, and for what.
    #[serde(flatten)]
    pub approval: Approval,
}

/// The job in [`Summary`].
#[derive(Debug, Serialize, Deserialize)]
pub struct JobFacts {
    /// Its name.
    pub name: String,
    /// Of the job as understood.
    pub sha256: String,
}

/// The input in [`Summary`].
#[derive(Debug, Serialize, Deserialize)]
pub struct InputFacts {
    /// As given.
    pub path: String,
    /// Of the original bytes.
    pub sha256: String,
    /// Of the whole job.
    pub rows: u64,
}

/// A target in [`Summary`].
#[derive(Debug, Serialize, Deserialize)]
pub struct TargetFacts {
    /// Where requests went, and on whose behalf.
    #[serde(flatten)]
    pub lane: LaneFacts,
    /// How many workspaces the rows name.
    pub workspaces: u64,
    /// The service's own limit, as it was last, where it was found.
    #[serde(default)]
    pub found_limit: Option<Rate>,
}

/// A file in [`Summary`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its name in the run folder.
    pub path: String,
    /// Of its bytes.
    pub sha256: String,
    /// Its rows, where it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// The counts in [`Summary`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Those that were counted.
    #[serde(flatten)]
    pub tally: Tally,
    /// The run ended first.
    pub not_attempted: u64,
}

impl From<&Tally> for Counts {
    fn from(tally: &Tally) -> Self {
        Self {
            not_attempted: tally.left(),
            tally: tally.clone(),
        }
    }
}

/// What the closing text says besides the figures.
#[derive(Clone, Debug)]
pub struct Closing<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Nothing left this machine.
    pub simulated: bool,
    /// Where requests went.
    pub target: &'a str,
    /// Where the run folder is.
    pub folder: &'a str,
    /// SHA-256 of `summary.json`, which holds those of the other files.
    pub sha256: &'a str,
    /// Where the report is, if it could be written.
    pub report: Option<&'a str>,
    /// Where pages of the run were written.
    pub pages: &'a [String],
    /// What could not be written, each with why and what to do.
    pub trouble: &'a [String],
    /// What CSV files leave out, each with what helps.
    pub left_out: &'a [String],
    /// What helps where nothing works.
    pub hint: Option<&'a str>,
    /// The command that puts back what was changed.
    pub undo: Option<&'a str>,
    /// The command that goes on with what is left.
    pub next: Option<&'a str>,
    /// For the times.
    pub zone: &'a TimeZone,
}

/// Different errors that are told.
const MOST_ERRORS: usize = 5;

/// Rows of each that are shown.
const MOST_ERROR_ROWS: usize = 5;

/// The closing text for people.
pub fn closing_text(digest: &Digest, closing: &Closing<'_>, attention: &Attention) -> String {
    let mut text = String::new();
    let simulated = if closing.simulated {
        " (simulated)"
    } else {
        ""
    };
    let verdict = verdict(digest);
    let _ = writeln!(text, "{}{simulated}: {verdict}", closing.job);
    let _ = writeln!(text);
    let tally = &digest.tally;
    for status in Status::ALL {
        let count = tally.of(status);
        if count > 0 {
            let _ = writeln!(text, "  {:<14}{count:>9}", status.as_str());
        }
        if status == Status::Succeeded && tally.differs > 0 {
            let differs = tally.differs;
            let _ = writeln!(
                text,
                "  {:<14}{differs:>9}  of them, see error_message",
                "differs"
            );
        }
    }
    let _ = writeln!(text, "  {:<14}{:>9}", "rows", tally.rows);
    let _ = writeln!(text);
    if let Some(line) = time_line(digest, closing.zone) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "  {}", request_line(digest));
    if let Some((row, slowest)) = digest.slowest.first()
        && tally.ended() > 1
    {
        let others: Vec<_> = digest.slowest[1..]
            .iter()
            .map(|(row, _)| row.to_string())
            .collect();
        let others = if others.is_empty() {
            String::new()
        } else {
            format!(", then {}", others.join(", "))
        };
        let _ = writeln!(
            text,
            "  slowest: row {row} with {}{others}",
            span::show(*slowest)
        );
    }
    for wave in digest.waves.values() {
        let _ = writeln!(text, "  {}", wave_text(wave));
    }
    for stage in &digest.stages_left {
        let _ = writeln!(text, "  {}", stage_text(stage));
    }
    match attention.groups.is_empty() {
        // The report could not be written, or no row ever had its turn.
        true => errors(&mut text, digest),
        false => groups(&mut text, attention),
    }
    if tally.differs > 0 && attention.groups.is_empty() {
        let rows = if tally.differs == 1 { "row" } else { "rows" };
        let hint = hint(ErrorClass::Differs, "");
        let _ = writeln!(text, "\n  differs ({} {rows}): {hint}", tally.differs);
    }
    for closed in &digest.closed {
        let _ = writeln!(text, "\n  given up: {closed}");
    }
    if let Some(hint) = closing.hint {
        let _ = writeln!(text, "  {hint}");
    }
    let _ = writeln!(text, "\n  target: {}", closing.target);
    if let Some(report) = closing.report {
        let _ = writeln!(text, "  report: {report}");
    }
    for page in closing.pages {
        let _ = writeln!(text, "  page:   {page}");
    }
    let _ = writeln!(text, "  record: {}", closing.folder);
    let _ = writeln!(text, "  sha256: {} (summary.json)", closing.sha256);
    if let Some(undo) = closing.undo {
        let _ = writeln!(text, "  undo:   {undo}");
    }
    if let Some(trouble) = closing.trouble.first().and_then(|text| text.lines().next()) {
        let _ = writeln!(text, "  not written: {trouble}");
    }
    for left_out in closing.left_out {
        let _ = writeln!(text, "  {left_out}");
    }
    if let Some(next) = closing.next {
        let _ = writeln!(text, "\n{next}");
    }
    text
}

/// `wave 2 of 3: 14 rows, 1 without an update`, and why no other follows it.
pub(super) fn wave_text(wave: &WaveEnded) -> String {
    let mut text = format!("{}: {}", wave.label(), counted(wave.rows, "row"));
    if wave.idle > 0 {
        text += &format!(", {} without an update", wave.idle);
    }
    match &wave.closed {
        Some(why) => text += &format!(", gate closed: {why}"),
        None if wave.errors > 0 => text += &format!(", {}", counted(wave.errors, "error")),
        None => {}
    }
    text
}

/// `stage "clean up": not attempted: …`
pub(super) fn stage_text(stage: &StageLeft) -> String {
    let status = stage.status.as_str().replace('_', " ");
    format!("stage {:?}: {status}: {}", stage.name, stage.why)
}

/// How the run went, in one line.
pub fn verdict(digest: &Digest) -> String {
    let tally = &digest.tally;
    let ended = digest.ended.unwrap_or(Ended::RecordFailed);
    let why = digest.stopped.as_ref().map(|(_, why)| why.as_str());
    let attention = tally.failed + tally.conflict + tally.unknown + tally.differs;
    match ended {
        Ended::Completed if attention + tally.left() == 0 => "done".to_owned(),
        Ended::Completed => {
            let left = tally.left();
            let mut parts = Vec::new();
            if attention > 0 {
                let need = if attention == 1 {
                    "row needs"
                } else {
                    "rows need"
                };
                parts.push(format!("{attention} {need} a person"));
            }
            if left > 0 {
                parts.push(format!("{left} not attempted"));
            }
            parts.join(", ")
        }
        Ended::Ceiling => format!("stopped by the plan ({})", why.unwrap_or_default()),
        Ended::Gate | Ended::Unconfirmed => format!("stopped: {}", why.unwrap_or_default()),
        Ended::MaxErrors => format!("stopped: too many errors ({})", why.unwrap_or_default()),
        Ended::Approval => format!("waits for approval: {}", why.unwrap_or_default()),
        Ended::Refused => match digest.closed.first() {
            Some(why) => format!("stopped: {why}"),
            None => "stopped: no credential, permission or endpoint works".to_owned(),
        },
        // A lane that was closed says why.
        Ended::Deadline => {
            let closed = digest.closed.first().map(String::as_str);
            let clock = why.or(closed).unwrap_or("the deadline is reached");
            match trouble(digest) {
                Some(trouble) => format!("stopped: {trouble}; {clock}"),
                None => format!("stopped: {clock}"),
            }
        }
        Ended::Patience => match digest.closed.first() {
            Some(why) => format!("stopped: {why}"),
            None => {
                "stopped: the service admitted nothing for longer than patience allows".to_owned()
            }
        },
        Ended::RecordFailed => "stopped: the run could not be recorded".to_owned(),
        Ended::Hangup => "stopped: the terminal hung up".to_owned(),
        Ended::Interrupted => "stopped: interrupted".to_owned(),
        Ended::Terminated => "stopped: terminated".to_owned(),
    }
}

/// What kept the service from admitting anything in the end.
fn trouble(digest: &Digest) -> Option<String> {
    let (why, message) = digest.trouble()?;
    Some(match why {
        Pause::Throttled => format!("the service throttles ({message})"),
        Pause::Outage => format!("the service is out of order ({message})"),
    })
}

/// `2026-11-24 08:31:00 +00:00, took 4.2s, 24.9 rows/s`, or `…, took 4.2s, without 3m 2s at questions, in 2 sessions, …`:
/// the time that it worked.
pub(super) fn time_line(digest: &Digest, zone: &TimeZone) -> Option<String> {
    let start = digest.started_at?;
    let (took, asked) = (digest.time.total(), digest.time.asked());
    let local = start.to_zoned_datetime(zone.clone());
    let mut line = format!("{}, took {}", local.strftime("%F %T %:z"), span::show(took));
    if !asked.is_zero() {
        let _ = write!(line, ", without {} at questions", span::show(asked));
    }
    if digest.later_sessions() > 0 {
        let _ = write!(line, ", in {} sessions", digest.later_sessions() + 1);
    }
    if took.as_millis() > 0 && digest.tally.ended() > 0 {
        let rate = digest.tally.ended() as f64 / took.as_secs_f64();
        let _ = write!(line, ", {rate:.1} rows/s");
    }
    Some(line)
}

/// `312 attempts, 12 requests throttled in 2 pauses of 4s in all; the service admits 60/s`
pub(super) fn request_line(digest: &Digest) -> String {
    let tally = &digest.tally;
    let plural = if tally.attempts == 1 {
        "attempt"
    } else {
        "attempts"
    };
    let mut line = format!("{} {plural}", tally.attempts);
    match digest.renewals {
        0 => {}
        1 => line += ", 1 renewal of the credential",
        renewals => {
            let _ = write!(line, ", {renewals} renewals of the credential");
        }
    }
    let (pauses, length) = digest.throttled();
    if tally.throttled > 0 || pauses > 0 {
        let _ = write!(
            line,
            ", {} throttled in {} of {} in all",
            counted(tally.throttled, "request"),
            counted(pauses, "pause"),
            span::show(length)
        );
    }
    let limits = digest.limits.iter();
    let limits: Vec<_> = limits
        .map(|(lane, rate)| format!("{}{rate}", digest.prefix(*lane)))
        .collect();
    if !limits.is_empty() {
        let _ = write!(line, "; the service admits {}", limits.join(", "));
    }
    line
}

/// The kinds of errors, with their first rows.
fn groups(text: &mut String, attention: &Attention) {
    let _ = writeln!(text, "\n  errors:");
    for group in attention.groups.iter().take(MOST_ERRORS) {
        let message = group.rows.first().map_or("", |row| row.message.as_str());
        let code = match group.code.as_str() {
            "" => String::new(),
            code => format!(" {code}"),
        };
        let plural = if group.count == 1 { "row" } else { "rows" };
        let _ = writeln!(
            text,
            "    {}{} ({} {plural}): {}",
            group.class,
            clipped(&code),
            group.count,
            clipped(message)
        );
        let _ = writeln!(text, "      {}", hint(group.class, message));
        if group.unknown > 0 {
            let _ = writeln!(text, "      {UNKNOWN_HINT}");
        }
        for row in group.rows.iter().take(MOST_ERROR_ROWS) {
            let _ = writeln!(text, "      {}", row.text(message));
        }
        let more = group.count.saturating_sub(MOST_ERROR_ROWS as u64);
        if more > 0 {
            let _ = writeln!(text, "      and {more} more, see the report");
        }
    }
    let kinds = attention.groups.len().saturating_sub(MOST_ERRORS);
    if kinds > 0 || attention.others > 0 {
        let _ = writeln!(text, "    and more kinds, see the report");
    }
}

/// The kinds of errors, as far as the journal tells.
pub(super) fn errors(text: &mut String, digest: &Digest) {
    let errors = digest.errors();
    if errors.is_empty() {
        if let Some(failure) = digest.unread.as_ref().filter(|_| digest.plan.is_none()) {
            let _ = writeln!(text, "\n  errors:\n{}", unread(failure));
        }
        return;
    }
    let _ = writeln!(text, "\n  errors:");
    for (class, code, kind) in errors.iter().take(MOST_ERRORS) {
        let code = code.map(|code| format!(" {code}")).unwrap_or_default();
        let rows = match kind.count {
            1 => format!("row {}", kind.row),
            count => format!("{count} rows, the first is {}", kind.row),
        };
        let _ = writeln!(text, "    {class}{code} ({rows}): {}", kind.message);
        let _ = writeln!(text, "      {}", hint(*class, &kind.message));
    }
    if digest.tally.unknown > 0 {
        let _ = writeln!(text, "    {UNKNOWN_HINT}");
    }
    if errors.len() > MOST_ERRORS {
        let _ = writeln!(
            text,
            "    and {} more kinds, see the report",
            errors.len() - MOST_ERRORS
        );
    }
}

/// What helps where the live state can be read nowhere.
pub const UNREADABLE: &str = "the live state could not be read, so nothing was sent: let the user list and \
    show workflows (ListWorkflows, ShowAopWorkflow), or send rows as they stand with --snapshot off";

/// Why the live state could not be read, and what to do about it.
pub fn unread(failure: &Failure) -> String {
    let Failure {
        class,
        code,
        message,
    } = failure;
    let code = code.as_ref().map(|code| format!(" {code}"));
    let code = code.unwrap_or_default();
    let hint = match is_wrong_workspace(failure) {
        true => {
            "check workspace_id, project_id and region: the service knows no such workspace for this account"
        }
        false => hint(*class, message),
    };
    format!("    {class}{code} (reading the live state): {message}\n      {hint}")
}

/// Whether the service says that there is no such workspace.
pub fn is_wrong_workspace(failure: &Failure) -> bool {
    let code = failure.code.as_deref();
    code.is_some_and(|code| code.ends_with("20010001"))
}

/// What to do about a credential that is refused, by what the gateway or IAM says.
///
/// Source: the vendor's pages of errors with `APIG.0301`.
fn auth_hint(message: &str) -> &'static str {
    let says = |words: &str| message.contains(words);
    if says("must not go on record") {
        "remove the secret from the workflow in the console, then revoke it: others may have read it"
    } else if says("just now") {
        "whoever gives the credential did not answer as it should: try again later, see `flowbatch auth`"
    } else if says("set the clock") || says("signature expired") {
        "set this machine's clock; signatures hold for 15 minutes"
    } else if says("reach the limit") {
        "the access key is locked after five wrong signatures: wait 5 minutes, and find what signs wrongly"
    } else if says("ak not exist") {
        "there is no such access key: it was deleted, or is of another cloud; `flowbatch auth` says where it was found"
    } else if says("signature fail") {
        "the secret key is not that of the access key: correct it; five wrong signatures lock the key for 5 minutes"
    } else if says("password is wrong") || says("username or password") {
        "correct the IAM user's name, password and account; `flowbatch auth` says where they were found"
    } else if says("token expires") || says("decrypt token fail") || says("token must be updated") {
        "get a new token (HW_AUTH_TOKEN or --token-file): it has ended, or is for another region"
    } else {
        "`flowbatch auth` shows which credential was found and what it is good for"
    }
}

/// What to do first about unknown rows: they may have been carried out.
pub const UNKNOWN_HINT: &str =
    "look at the workflows of rows that are unknown first: their updates may have been applied";

/// What to do about an error of `class` that says `message`.
pub fn hint(class: ErrorClass, message: &str) -> &'static str {
    match class {
        ErrorClass::Validation => "the service refuses what the row sends: correct the row",
        ErrorClass::Auth => auth_hint(message),
        ErrorClass::Permission => {
            "the account may not change this workspace: check project_id, workspace_id and the IAM policy"
        }
        ErrorClass::NotFound => {
            "no such workflow or version there: check workflow_id, version_id and workspace_id"
        }
        ErrorClass::Conflict => {
            "something else is there than was expected: look at the workflow before you change the row"
        }
        ErrorClass::RateLimited => "lower --rate",
        ErrorClass::Server => "the service failed: run what is left later",
        ErrorClass::Timeout => {
            "no answer in time: look at the workflow before running it again; raise --timeout if it is slow"
        }
        ErrorClass::Network => "check the network, DNS and proxy of this machine",
        ErrorClass::Tls => {
            "check the clock and the CA certificates of this machine, and what stands between it and the service"
        }
        ErrorClass::Protocol if message.starts_with("the service clears") => {
            "undo what the row has changed, then go on with --send full"
        }
        ErrorClass::Protocol => {
            "the answer was cut or is not SecMaster's: run what is left again; if it stays, check --endpoint"
        }
        ErrorClass::Differs => {
            "the service shows another value than was sent (it trims or cuts): look at it, and write that value into the job"
        }
        ErrorClass::Canceled => "the run ended first: run what is left",
    }
}
