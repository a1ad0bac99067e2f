//! What became of single rows, read from a journal where its ends stand.

use std::io::{Read, Seek};
use std::rc::Rc;

use jiff::Timestamp;

use crate::engine::ports::Past;
use crate::model::event::WasEnded;
use crate::model::line_window::LineWindow;
use crate::model::outcome::{Outcome, Status};

use super::ends::{Ends, Trace};
use super::line;
use super::reader::Unreadable;

/// How rows stand by a journal, and the journal.
#[derive(Debug)]
pub struct History<J> {
    ends: Rc<Ends>,
    journal: LineWindow<J>,
}

impl<J: Read + Seek> History<J> {
    /// The history that `journal` tells, whose rows stand as `ends` says.
    pub fn new(ends: Rc<Ends>, journal: J) -> Self {
        Self {
            ends,
            journal: LineWindow::new(journal),
        }
    }

    /// How row `number` stands.
    pub fn of(&self, number: u64) -> Trace {
        self.ends.of(number)
    }

    /// How many rows were sent and may have been changed without an end that says so.
    pub fn in_doubt(&self) -> u64 {
        self.ends.in_doubt()
    }

    /// Whether any row was sent without an end.
    pub fn has_sent(&self) -> bool {
        self.ends.has_sent()
    }

    /// The end of row `number` at byte `offset`, and when it was.
    ///
    /// # Errors
    /// The journal cannot be read, or the row does not end there any more.
    pub fn end(&mut self, number: u64, offset: u64) -> Result<(Timestamp, Outcome), Unreadable> {
        let moved = || Unreadable::Moved { offset };
        let line = self.journal.line_at(offset)?.ok_or_else(moved)?;
        line::check(line).map_err(|_| moved())?;
        let line = str::from_utf8(line).map_err(|_| moved())?;
        let at = ended_at(line, number).ok_or_else(moved)?;
        let outcome = serde_json::from_str(line).map_err(|_| moved())?;
        Ok((at, outcome))
    }

    /// What earlier sessions did with row `number`; nothing if it is not to be taken up again. With `failed_too` those that failed
    /// for good, or were in conflict, are.
    ///
    /// # Errors
    /// The journal cannot be read, or was changed.
    pub fn past(&mut self, number: u64, failed_too: bool) -> Result<Option<Past>, Unreadable> {
        let (offset, attempts) = match self.of(number) {
            Trace::None => return Ok(Some(Past::default())),
            Trace::Sent { attempts, unproven } => {
                return Ok(Some(Past {
                    puts: attempts,
                    unproven,
                    ..Past::default()
                }));
            }
            Trace::Ended { offset, attempts } => (offset, attempts),
        };
        let (_, outcome) = self.end(number, offset)?;
        let has_failed = matches!(outcome.status, Status::Failed | Status::Conflict);
        let is_taken_up = outcome.is_resumed() || (failed_too && has_failed);
        if !is_taken_up {
            return Ok(None);
        }
        Ok(Some(Past {
            puts: attempts,
            // One that failed and has changed something all the same is looked at again.
            unproven: outcome.unproven
                || (outcome.status == Status::Failed && outcome.change.is_some()),
            ended: Some(WasEnded::from(&outcome)),
            change: outcome.change,
            workflow_id: outcome.workflow_id,
        }))
    }
}

/// When row `number` ended, if `line` is its end: its first members, as they are written.
fn ended_at(line: &str, number: u64) -> Option<Timestamp> {
    let (at, rest) = line.strip_prefix(r#"{"at":""#)?.split_once('"')?;
    let rest = rest.strip_prefix(r#","event":"row_ended","row":"#)?;
    let (row, _) = rest.split_once(',')?;
    at.parse().ok().filter(|_| row.parse() == Ok(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, Stamped};

    #[test]
    fn ends_are_found_wherever_they_stand_and_however_long_they_are() {
        let mut journal = b"not read".to_vec();
        let mut offsets = Vec::new();
        for (row, length) in [(1, 10), (2, 300_000), (3, 10), (4, 40_000), (5, 200_000)] {
            offsets.push((row, journal.len() as u64, length));
            let outcome = Outcome {
                live_name: Some("x".repeat(length)),
                ..Outcome::without_requests(Status::Unchanged)
            };
            let event = Event::RowEnded {
                row,
                outcome,
                replaces: None,
            };
            let stamped = Stamped {
                at: Timestamp::UNIX_EPOCH,
                event,
            };
            line::write(&mut journal, &[stamped], |_, _| {}).unwrap();
        }
        let mut history = History::new(Rc::default(), std::io::Cursor::new(journal));
        for &(row, offset, length) in offsets.iter().chain(offsets.iter().rev()) {
            let (_, outcome) = history.end(row, offset).unwrap();
            assert_eq!(outcome.live_name.unwrap().len(), length);
            assert!(matches!(
                history.end(row + 1, offset),
                Err(Unreadable::Moved { .. })
            ));
        }
    }

    #[test]
    fn an_end_is_told_by_its_first_members() {
        let at: Timestamp = "2026-11-24T08:00:00.123456789Z".parse().unwrap();
        let stamped = Stamped {
            at,
            event: Event::RowEnded {
                row: 12,
                outcome: Outcome::without_requests(Status::Unchanged),
                replaces: None,
            },
        };
        let line = serde_json::to_string(&stamped).unwrap();
        assert_eq!(ended_at(&line, 12), Some(at));
        assert_eq!(ended_at(&line, 1), None);
        let other = line.replace("row_ended", "answer");
        assert_eq!(ended_at(&other, 12), None);
        assert_eq!(serde_json::from_str::<Stamped>(&line).unwrap(), stamped);
    }
}
