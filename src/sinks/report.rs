//! The per-row CSV: a pure function of the rows and the journal.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Seek, Write};

use csv::ByteRecord;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::model::change::Change;
use crate::model::field::Field;
use crate::model::formula::guarded;
use crate::model::id::Id;
use crate::model::outcome::{ErrorClass, Failure, Outcome, Status};
use crate::model::report_column::REPORT_COLUMNS;
use crate::model::route::{LaneFacts, Route};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};

use super::ends::Trace;
use super::history::History;
use super::left::Left;
use super::reader::Unreadable;
use super::rerun::Columns;

const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The report itself.
    #[error("the report could not be written")]
    Write(#[source] csv::Error),
    /// The journal it is made from.
    #[error(transparent)]
    Journal(#[from] Unreadable),
    /// The rows it is made from.
    #[error("the run's copy of its input can no longer be read")]
    Rows(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a report says about the run as a whole.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Lines without the header.
    pub rows: u64,
    /// Rows that were sent without an end on record.
    pub in_doubt: u64,
    /// Rows that failed, are unknown or were not attempted, and those in conflict of a plan that was held back.
    pub left: Left,
    /// Those of them that going on sends without being told to: they failed in passing, or for want of
    /// permission.
    pub resumable: u64,
    /// The columns that a job of those rows needs.
    pub columns: Columns,
    /// Rows that have changed their workflow, or may have.
    pub changed: Left,
    /// Those of them of which nothing proves it.
    pub unproven: Left,
    /// Rows that have changed their workflow, or may have, while nothing on record shows what was there before.
    pub lost: Left,
    /// The columns that a CSV which puts them back needs.
    pub undo: Columns,
}

/// The journal a report is made from.
pub struct Source<'a, J> {
    /// What became of the rows.
    pub history: History<J>,
    /// What to say of rows that were never taken up.
    pub left_because: String,
    /// The lanes, in their order.
    pub lanes: &'a [LaneFacts],
    /// What people call the workspaces, as far as anybody says.
    pub names: &'a BTreeMap<(LaneId, Workspace), String>,
    /// What rows without an end were to change.
    pub planned: HashMap<u64, (Option<Id>, Change)>,
    /// The stage of a row, and its wave if it was taken up, where rows go in them.
    pub place_of: &'a dyn Fn(u64, bool) -> (Option<&'a str>, Option<u32>),
}

/// Writes the report of `rows` (each with why the user took it out, if they did), in their order.
///
/// # Errors
/// The report cannot be written, or what it is made from not be read.
pub fn write<J, E>(
    rows: impl Iterator<Item = Result<(Row, Option<String>), E>>,
    mut source: Source<'_, J>,
    out: impl Write,
) -> Result<Written, ReportError>
where
    J: Read + Seek,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut csv = csv::WriterBuilder::new().from_writer(out);
    csv.write_record(REPORT_COLUMNS)
        .map_err(ReportError::Write)?;
    let mut written = Written::default();
    let mut line = ByteRecord::new();
    for row in rows {
        let (row, left_out) = row.map_err(|error| ReportError::Rows(error.into()))?;
        let taken = left_out.is_none();
        let (at, outcome) = match source.history.of(row.number) {
            Trace::Ended { offset, attempts } => {
                let (at, mut outcome) = source.history.end(row.number, offset)?;
                // An end knows of its own session alone.
                outcome.attempts = outcome.attempts.max(attempts);
                (Some(at), outcome)
            }
            Trace::Sent {
                attempts,
                unproven: false,
            } => {
                let outcome = Outcome {
                    attempts,
                    ..without_end(taken, &source.left_because)
                };
                (None, outcome)
            }
            Trace::Sent { attempts, .. } => {
                written.in_doubt += 1;
                let planned = source.planned.remove(&row.number).unzip();
                let outcome = Outcome {
                    workflow_id: planned.0.flatten().filter(|_| row.called.is_some()),
                    change: planned.1,
                    ..in_doubt(attempts)
                };
                (None, outcome)
            }
            Trace::None if !taken => {
                let outcome = Outcome {
                    note: left_out.filter(|why| !why.is_empty()),
                    ..without_end(taken, &source.left_because)
                };
                (None, outcome)
            }
            Trace::None => (None, without_end(taken, &source.left_because)),
        };
        let route = source.lanes.get(row.lane.0).map(|lane| &lane.route);
        let name = source.names.get(&(row.lane, row.workspace.clone()));
        line.clear();
        let place = (source.place_of)(row.number, taken);
        cells(&mut line, &row, at, &outcome, route, name, place);
        csv.write_byte_record(&line).map_err(ReportError::Write)?;
        written.rows += 1;
        if let Some(change) = outcome.change.as_ref().filter(|change| !change.is_empty()) {
            written.changed.insert(row.number);
            if outcome.unproven {
                written.unproven.insert(row.number);
            }
            written.undo.see_change(change, route);
        }
        if outcome.change.is_none() && (outcome.unproven || outcome.status == Status::Succeeded) {
            written.lost.insert(row.number);
        }
        let is_resumable = goes_on(&outcome);
        if is_resumable || outcome.status == Status::Failed {
            written.left.insert(row.number);
            written.resumable += u64::from(is_resumable);
            written.columns.see(&row, route);
        }
    }
    csv.flush()
        .map_err(|error| ReportError::Write(error.into()))?;
    Ok(written)
}

/// The outcome of a row that was sent and whose end could not be recorded.
fn in_doubt(attempts: u32) -> Outcome {
    let why = "sent, but how it ended could not be recorded";
    Outcome {
        status: Status::Unknown,
        attempts,
        unproven: true,
        failure: Some(Failure::new(ErrorClass::Canceled, why)),
        ..without_end(true, why)
    }
}

/// The outcome of a row that was never sent.
fn without_end(taken: bool, left_because: &str) -> Outcome {
    let (status, failure) = if taken {
        let failure = Failure::new(ErrorClass::Canceled, left_because);
        (Status::NotAttempted, Some(failure))
    } else {
        (Status::Skipped, None)
    };
    Outcome {
        failure,
        ..Outcome::without_requests(status)
    }
}

/// Puts the cells of a row's line into `line`, one for each of [`REPORT_COLUMNS`].
fn cells(
    line: &mut ByteRecord,
    row: &Row,
    at: Option<Timestamp>,
    outcome: &Outcome,
    route: Option<&Route>,
    workspace_name: Option<&String>,
    (stage, wave): (Option<&str>, Option<u32>),
) {
    let changed = outcome.status == Status::Succeeded;
    let fields: Vec<Field> = match &outcome.change {
        Some(change) => change.after.keys().copied().collect(),
        // The live state was never seen: what was sent stands for what has changed.
        None => row.update.fields().filter(|_| changed).collect(),
    };
    let mut names = String::new();
    for field in &fields {
        names += if names.is_empty() { "" } else { " " };
        names += field.as_str();
    }
    let failure = outcome.failure.as_ref();
    let region = route.and_then(|route| route.region.as_deref());
    let profile = route.and_then(|route| route.profile.as_deref());
    // A row that sent nothing has no times of its own.
    let finished = at.filter(|_| outcome.duration_ms.is_some());
    let started = finished.zip(outcome.duration_ms).and_then(|(at, ms)| {
        let ms = i64::try_from(ms).ok()?;
        at.checked_sub(SignedDuration::from_millis(ms)).ok()
    });

    // Ids, numbers and words of our own need no guard; whatever others have written does.
    let plain = |line: &mut ByteRecord, cell: &str| line.push_field(cell.as_bytes());
    let free = |line: &mut ByteRecord, cell: &str| line.push_field(guarded(cell).as_bytes());
    let number = |line: &mut ByteRecord, number: Option<u64>| match number {
        Some(number) => line.push_field(number.to_string().as_bytes()),
        None => line.push_field(b""),
    };
    number(line, Some(row.number));
    number(line, Some(row.line));
    let project = row.workspace.project_id.as_str();
    // The region's name stands for a project that nobody had to look up.
    free(line, if region == Some(project) { "" } else { project });
    free(line, row.workspace.workspace_id.as_str());
    let workflow_id = match (&outcome.workflow_id, &row.called) {
        (Some(id), _) => id.as_str(),
        (None, None) => row.workflow_id.as_str(),
        (None, Some(_)) => "",
    };
    free(line, workflow_id);
    free(line, outcome.live_name.as_deref().unwrap_or_default());
    plain(line, outcome.status.as_str());
    plain(line, &names);
    number(line, Some(outcome.attempts.into()));
    number(line, outcome.http_status.map(u64::from));
    let class = failure.map(|failure| failure.class);
    let class = class.or(outcome.differs().then_some(ErrorClass::Differs));
    plain(line, class.map_or("", ErrorClass::as_str));
    let code = failure.and_then(|failure| failure.code.as_deref());
    free(line, code.unwrap_or_default());
    let message = failure.map(|failure| failure.message.as_str());
    let message = message.or(outcome.note.as_deref());
    free(line, message.unwrap_or_default());
    free(line, outcome.request_id.as_deref().unwrap_or_default());
    plain(line, &started.map(instant).unwrap_or_default());
    plain(line, &finished.map(instant).unwrap_or_default());
    number(line, outcome.duration_ms);
    match &outcome.change {
        Some(change) => {
            let values = |fields: &BTreeMap<Field, String>| {
                object(fields.iter().map(|(field, value)| (*field, value.as_str())))
            };
            plain(line, &values(&change.before));
            plain(line, &values(&change.after));
        }
        None => {
            plain(line, "");
            let sent = |field: &Field| (*field, row.update.value(*field).unwrap_or_default());
            plain(line, &object(fields.iter().map(sent)));
        }
    }
    plain(line, &row.hash());
    free(line, stage.unwrap_or_default());
    number(line, wave.map(u64::from));
    free(line, region.unwrap_or_default());
    free(line, profile.unwrap_or_default());
    free(line, workspace_name.map_or("", String::as_str));
}

/// Fields as a JSON object; empty if there is none.
fn object<'a>(fields: impl Iterator<Item = (Field, &'a str)>) -> String {
    let mut object = String::new();
    for (field, value) in fields {
        object.push(if object.is_empty() { '{' } else { ',' });
        let value = match field {
            Field::Enabled => Value::Bool(value == "true").to_string(),
            Field::Name | Field::Description | Field::VersionId | Field::Labels => {
                // A text has no key that could fail.
                serde_json::to_string(value).unwrap_or_default()
            }
        };
        for part in ["\"", field.as_str(), "\":", &value] {
            object.push_str(part);
        }
    }
    if !object.is_empty() {
        object.push('}');
    }
    object
}

/// RFC 3339, UTC, to the millisecond.
fn instant(at: Timestamp) -> String {
    MILLISECONDS.timestamp_to_string(&at)
}

impl From<io::Error> for ReportError {
    fn from(error: io::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Whether a run that goes on sends a row that ended like this without being told to.
pub fn goes_on(outcome: &Outcome) -> bool {
    if outcome.held_back {
        return true;
    }
    match outcome.status {
        Status::Unknown | Status::NotAttempted => true,
        Status::Succeeded | Status::Unchanged | Status::Conflict | Status::Skipped => false,
        Status::Failed => outcome
            .failure
            .as_ref()
            .is_none_or(|failure| match failure.class {
                ErrorClass::Auth
                | ErrorClass::Permission
                | ErrorClass::RateLimited
                | ErrorClass::Server
                | ErrorClass::Timeout
                | ErrorClass::Network
                | ErrorClass::Tls
                | ErrorClass::Protocol
                | ErrorClass::Canceled => true,
                ErrorClass::Validation
                | ErrorClass::NotFound
                | ErrorClass::Conflict
                | ErrorClass::Differs => false,
            }),
    }
}
