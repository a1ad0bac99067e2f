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
use crate::model::row_change::RowChange;
use crate::model::target::{LaneId, Workspace};

use super::ends::Trace;
use super::history::History;
use super::left::Left;
use super::reader::Unreadable;

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
    /// Rows that have changed their workflow, or may have.
    pub changed: Left,
    /// Rows that put back what was changed, where these were made: none for a workflow that is as it was again.
    pub way_back: u64,
    /// Rows that have changed their workflow, or may have, while nothing on record shows what was there before.
    pub lost: Left,
}

impl Written {
    /// Takes `ended` into account.
    pub fn see(&mut self, ended: &EndedRow<'_>) {
        let (number, outcome) = (ended.row.number, &ended.outcome);
        self.rows += 1;
        self.in_doubt += u64::from(ended.is_in_doubt);
        if ended.has_changed() {
            self.changed.insert(number);
        }
        if outcome.change.is_none() && (outcome.unproven || outcome.status == Status::Succeeded) {
            self.lost.insert(number);
        }
        if ended.is_left() {
            self.left.insert(number);
            self.resumable += u64::from(outcome.is_resumed());
        }
    }
}

/// What is known of the rows of a run.
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

/// A row of a run, and what became of it.
#[derive(Clone, Debug)]
pub struct EndedRow<'a> {
    /// The row.
    pub row: Row,
    /// What became of it.
    pub outcome: Outcome,
    /// When it ended, if that is on record.
    pub at: Option<Timestamp>,
    /// Tells its end from those before and after it: the greater, the later.
    pub order: u64,
    /// Whether it was sent without an end on record, and may have been changed.
    pub is_in_doubt: bool,
    /// Where it went.
    pub route: Option<&'a Route>,
    /// What people call its workspace.
    pub workspace_name: Option<&'a str>,
    /// Its stage.
    pub stage: Option<&'a str>,
    /// Its wave.
    pub wave: Option<u32>,
}

impl EndedRow<'_> {
    /// Whether it has changed its workflow, or may have.
    pub fn has_changed(&self) -> bool {
        let change = self.outcome.change.as_ref();
        change.is_some_and(|change| !change.is_empty())
    }

    /// Whether it may be sent again.
    pub fn is_left(&self) -> bool {
        self.outcome.is_resumed() || self.outcome.status == Status::Failed
    }

    /// Its workflow, as far as that is known.
    pub fn workflow_id(&self) -> Option<&Id> {
        let own = Some(&self.row.workflow_id).filter(|_| self.row.called.is_none());
        self.outcome.workflow_id.as_ref().or(own)
    }

    /// What went wrong with it.
    pub fn error_class(&self) -> Option<ErrorClass> {
        let class = self.outcome.failure.as_ref().map(|failure| failure.class);
        class.or(self.outcome.differs().then_some(ErrorClass::Differs))
    }

    /// What is to be known of it.
    pub fn message(&self) -> &str {
        let failure = self.outcome.failure.as_ref();
        let message = failure.map(|failure| failure.message.as_str());
        message.or(self.outcome.note.as_deref()).unwrap_or_default()
    }

    /// What it has changed in its workflow, or may have.
    pub fn into_change(self) -> RowChange {
        let outcome = self.outcome;
        RowChange {
            at: self.order,
            row: self.row,
            workflow_id: outcome.workflow_id,
            change: outcome.change.unwrap_or_default(),
            unproven: outcome.unproven,
            shown: outcome.shown,
            live_name: outcome.live_name,
        }
    }
}

impl<'a, J: Read + Seek> Source<'a, J> {
    /// What became of `row`; `left_out` is why the user took it out, if they did.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn ended(
        &mut self,
        row: Row,
        left_out: Option<String>,
    ) -> Result<EndedRow<'a>, Unreadable> {
        let taken = left_out.is_none();
        let mut is_in_doubt = false;
        let (at, order, outcome) = match self.history.of(row.number) {
            Trace::Ended { offset, attempts } => {
                let (at, mut outcome) = self.history.end(row.number, offset)?;
                // An end knows of its own session alone.
                outcome.attempts = outcome.attempts.max(attempts);
                (Some(at), offset, outcome)
            }
            Trace::Sent {
                attempts,
                unproven: false,
            } => {
                let outcome = Outcome {
                    attempts,
                    ..without_end(taken, &self.left_because)
                };
                (None, 0, outcome)
            }
            // It was sent last of all.
            Trace::Sent { attempts, .. } => {
                is_in_doubt = true;
                let planned = self.planned.remove(&row.number).unzip();
                let outcome = Outcome {
                    workflow_id: planned.0.flatten().filter(|_| row.called.is_some()),
                    change: planned.1,
                    ..in_doubt(attempts)
                };
                (None, u64::MAX, outcome)
            }
            Trace::None => {
                let outcome = Outcome {
                    note: left_out.filter(|why| !why.is_empty()),
                    ..without_end(taken, &self.left_because)
                };
                (None, 0, outcome)
            }
        };
        let name = self.names.get(&(row.lane, row.workspace.clone()));
        let (stage, wave) = (self.place_of)(row.number, taken);
        Ok(EndedRow {
            route: self.lanes.get(row.lane.0).map(|lane| &lane.route),
            workspace_name: name.map(String::as_str),
            row,
            outcome,
            at,
            order,
            is_in_doubt,
            stage,
            wave,
        })
    }
}

/// Writes a report, row by row.
pub struct ReportWriter<W: Write> {
    csv: csv::Writer<W>,
    line: ByteRecord,
}

impl<W: Write> ReportWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(out: W) -> Result<Self, csv::Error> {
        let mut csv = csv::WriterBuilder::new().from_writer(out);
        csv.write_record(REPORT_COLUMNS)?;
        Ok(Self {
            csv,
            line: ByteRecord::new(),
        })
    }

    /// Writes the line of a row.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn push(&mut self, ended: &EndedRow<'_>) -> Result<(), csv::Error> {
        self.line.clear();
        cells(&mut self.line, ended);
        self.csv.write_byte_record(&self.line)
    }

    /// Writes what is still to be written.
    ///
    /// # Errors
    /// It cannot be.
    pub fn finish(self) -> Result<W, csv::Error> {
        self.csv
            .into_inner()
            .map_err(|error| error.into_error().into())
    }
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
    let mut report = ReportWriter::new(out).map_err(ReportError::Write)?;
    let mut written = Written::default();
    for row in rows {
        let (row, left_out) = row.map_err(|error| ReportError::Rows(error.into()))?;
        let ended = source.ended(row, left_out)?;
        report.push(&ended).map_err(ReportError::Write)?;
        written.see(&ended);
    }
    report.finish().map_err(ReportError::Write)?;
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
fn cells(line: &mut ByteRecord, ended: &EndedRow<'_>) {
    let EndedRow {
        row,
        outcome,
        at,
        route,
        ..
    } = ended;
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
    free(line, ended.workflow_id().map_or("", Id::as_str));
    free(line, outcome.live_name.as_deref().unwrap_or_default());
    plain(line, outcome.status.as_str());
    plain(line, &names);
    number(line, Some(outcome.attempts.into()));
    number(line, outcome.http_status.map(u64::from));
    plain(line, ended.error_class().map_or("", ErrorClass::as_str));
    let code = failure.and_then(|failure| failure.code.as_deref());
    free(line, code.unwrap_or_default());
    free(line, ended.message());
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
    free(line, ended.stage.unwrap_or_default());
    number(line, ended.wave.map(u64::from));
    free(line, region.unwrap_or_default());
    free(line, profile.unwrap_or_default());
    free(line, ended.workspace_name.unwrap_or_default());
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

/// Rows for tests of what is made from them.
#[cfg(test)]
pub(super) mod tests_support {
    use super::*;

    /// Row `number`, which ended like this.
    pub(crate) fn ended_row(number: u64, outcome: Outcome) -> EndedRow<'static> {
        let id = |text: &str| Id::parse(text).unwrap();
        EndedRow {
            row: Row::new(
                number,
                LaneId(0),
                Workspace {
                    project_id: id("p"),
                    workspace_id: id("s"),
                },
                id("w"),
            ),
            outcome,
            at: None,
            order: 0,
            is_in_doubt: false,
            route: None,
            workspace_name: None,
            stage: None,
            wave: None,
        }
    }
}
