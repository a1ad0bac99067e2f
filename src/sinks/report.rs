//! The per-row CSV: a pure function of the rows and the journal.

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::model::event::{Event, Stamped};
use crate::model::field::Field;
use crate::model::formula::guarded;
use crate::model::outcome::{ErrorClass, Failure, Outcome, Status};
use crate::model::report_column::REPORT_COLUMNS;
use crate::model::route::LaneFacts;
use crate::model::row::Row;

use super::journal::{Ends, Trace, Unreadable};

/// The most ranges of unfinished rows that are kept.
const MOST_RANGES: usize = 1_000;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Lines without the header.
    pub rows: u64,
    /// Rows that were sent without an end on record.
    pub in_doubt: u64,
    /// Rows that want another run, as ranges; `None` if there are too many ranges to name.
    pub left: Option<Vec<RangeInclusive<u64>>>,
}

/// The journal a report is made from.
pub struct Source<'a, J> {
    /// The journal.
    pub journal: J,
    /// Where rows end in it.
    pub ends: &'a Ends,
    /// What to say of rows that were never taken up.
    pub left_because: String,
    /// The lanes, in their order.
    pub lanes: &'a [LaneFacts],
}

impl<J: BufRead + Read + Seek> Source<'_, J> {
    fn end(&mut self, offset: u64) -> Result<(Timestamp, Outcome), Unreadable> {
        let here = self.journal.stream_position()?;
        // Rows mostly end in the order in which they began: a small step stays in the buffer.
        if offset != here {
            self.journal.seek(SeekFrom::Start(offset))?;
        }
        let mut line = Vec::new();
        self.journal.read_until(b'\n', &mut line)?;
        let stamped: Stamped =
            serde_json::from_slice(&line).map_err(|cause| Unreadable::End { offset, cause })?;
        match stamped.event {
            Event::RowEnded { outcome, .. } => Ok((stamped.at, outcome)),
            Event::RunStarted(_)
            | Event::LegStarted { .. }
            | Event::Attempt { .. }
            | Event::Answer { .. }
            | Event::LanePaused { .. }
            | Event::LaneResumed { .. }
            | Event::LaneClosed { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::Stop { .. }
            | Event::SessionEnded { .. } => Err(Unreadable::Moved { offset }),
        }
    }
}

/// Writes the report of `rows` (each with whether it was taken up), in their order.
///
/// # Errors
/// The report cannot be written, or what it is made from not be read.
pub fn write<J, E>(
    rows: impl Iterator<Item = Result<(Row, bool), E>>,
    mut source: Source<'_, J>,
    out: impl Write,
) -> Result<Written, ReportError>
where
    J: BufRead + Seek,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut csv = csv::WriterBuilder::new().from_writer(out);
    csv.write_record(REPORT_COLUMNS)
        .map_err(ReportError::Write)?;
    let mut written = Written {
        left: Some(Vec::new()),
        ..Written::default()
    };
    for row in rows {
        let (row, taken) = row.map_err(|error| ReportError::Rows(error.into()))?;
        let (at, outcome) = match source.ends.of(row.number) {
            Trace::Ended(offset) => {
                let (at, outcome) = source.end(offset)?;
                (Some(at), outcome)
            }
            Trace::Sent(attempts) => {
                written.in_doubt += 1;
                (None, in_doubt(attempts))
            }
            Trace::None => (None, without_end(taken, &source.left_because)),
        };
        let line = cells(&row, at, &outcome, source.lanes.get(row.lane.0));
        for cell in &line {
            csv.write_field(&*guarded(cell))
                .map_err(ReportError::Write)?;
        }
        csv.write_record(None::<&[u8]>)
            .map_err(ReportError::Write)?;
        written.rows += 1;
        if matches!(
            outcome.status,
            Status::Failed | Status::Unknown | Status::NotAttempted
        ) {
            leave(&mut written.left, row.number);
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
        status,
        attempts: 0,
        duration_ms: None,
        http_status: None,
        request_id: None,
        live_name: None,
        failure,
        refused: false,
    }
}

fn leave(left: &mut Option<Vec<RangeInclusive<u64>>>, row: u64) {
    let Some(ranges) = left else { return };
    if let Some(last) = ranges.last_mut().filter(|last| *last.end() + 1 == row) {
        *last = *last.start()..=row;
    } else if ranges.len() < MOST_RANGES {
        ranges.push(row..=row);
    } else {
        *left = None;
    }
}

fn cells(
    row: &Row,
    at: Option<Timestamp>,
    outcome: &Outcome,
    lane: Option<&LaneFacts>,
) -> [String; REPORT_COLUMNS.len()] {
    let changed = outcome.status == Status::Succeeded;
    let fields: Vec<Field> = row.update.fields().filter(|_| changed).collect();
    let names: Vec<_> = fields.iter().map(|field| field.as_str()).collect();
    let optional = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let failure = outcome.failure.as_ref();
    let route = lane.map(|lane| &lane.route);
    // The region's name stands for a project that nobody had to look up.
    let project = row.workspace.project_id.to_string();
    let stands_in = route.is_some_and(|route| route.region.as_ref() == Some(&project));
    let project = if stands_in { String::new() } else { project };
    // A row that sent nothing has no times of its own.
    let finished = at.filter(|_| outcome.duration_ms.is_some());
    let started = finished.zip(outcome.duration_ms).and_then(|(at, ms)| {
        let ms = i64::try_from(ms).ok()?;
        at.checked_sub(SignedDuration::from_millis(ms)).ok()
    });
    [
        row.number.to_string(),
        row.line.to_string(),
        project,
        row.workspace.workspace_id.to_string(),
        row.workflow_id.to_string(),
        optional(outcome.live_name.as_deref()),
        outcome.status.to_string(),
        names.join(" "),
        outcome.attempts.to_string(),
        outcome
            .http_status
            .map(|status| status.to_string())
            .unwrap_or_default(),
        optional(failure.map(|failure| failure.class.as_str())),
        optional(failure.and_then(|failure| failure.code.as_deref())),
        optional(failure.map(|failure| failure.message.as_str())),
        optional(outcome.request_id.as_deref()),
        started.map(instant).unwrap_or_default(),
        finished.map(instant).unwrap_or_default(),
        outcome
            .duration_ms
            .map(|ms| ms.to_string())
            .unwrap_or_default(),
        String::new(),
        after(row, &fields),
        row.hash(),
        String::new(),
        String::new(),
        optional(route.and_then(|route| route.region.as_deref())),
        optional(route.and_then(|route| route.profile.as_deref())),
        String::new(),
    ]
}

/// What was set, as a JSON object; empty if nothing was.
fn after(row: &Row, fields: &[Field]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let value = |field: Field| match (field, row.update.enabled) {
        (Field::Enabled, Some(on)) => Value::Bool(on),
        _ => Value::String(row.update.value(field).unwrap_or_default().to_owned()),
    };
    let members: Vec<_> = fields
        .iter()
        .map(|field| format!("\"{field}\":{}", value(*field)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// RFC 3339, UTC, to the millisecond.
fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

impl From<io::Error> for ReportError {
    fn from(error: io::Error) -> Self {
        Self::Write(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_rows_are_named_as_ranges() {
        let mut left = Some(Vec::new());
        for row in [2, 3, 4, 9] {
            leave(&mut left, row);
        }
        assert_eq!(left, Some(vec![2..=4, 9..=9]));
        for row in (20..4_000).step_by(2) {
            leave(&mut left, row);
        }
        assert_eq!(left, None);
    }
}
