//! What became of single rows, read from a journal where its ends stand.

use std::io::{BufRead, Seek};
use std::rc::Rc;

use jiff::Timestamp;

use crate::model::outcome::Outcome;

use super::ends::{Ends, Trace};
use super::line;
use super::reader::Unreadable;

/// How rows stand by a journal, and the journal.
#[derive(Debug)]
pub struct History<J> {
    ends: Rc<Ends>,
    journal: J,
    /// Where `journal` stands, in bytes.
    here: u64,
    line: Vec<u8>,
}

impl<J: BufRead + Seek> History<J> {
    /// The history that `journal`, which stands at its beginning, tells; its rows stand as `ends` says.
    pub fn new(ends: Rc<Ends>, journal: J) -> Self {
        Self {
            ends,
            journal,
            here: 0,
            line: Vec::new(),
        }
    }

    /// How row `number` stands.
    pub fn of(&self, number: u64) -> Trace {
        self.ends.of(number)
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
        // Rows mostly end in the order in which they began: a small step stays in the buffer.
        self.journal
            .seek_relative(offset.wrapping_sub(self.here).cast_signed())?;
        self.line.clear();
        self.here = offset + self.journal.read_until(b'\n', &mut self.line)? as u64;
        let moved = || Unreadable::Moved { offset };
        line::check(&self.line).map_err(|_| moved())?;
        let line = str::from_utf8(&self.line).map_err(|_| moved())?;
        let at = ended_at(line, number).ok_or_else(moved)?;
        let outcome = serde_json::from_str(line).map_err(|_| moved())?;
        Ok((at, outcome))
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
    use crate::model::outcome::Status;

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
