//! What became of single rows, read from a journal where its ends stand.

use std::io::{BufRead, Seek, SeekFrom};

use jiff::Timestamp;

use crate::model::event::{Event, Stamped};
use crate::model::outcome::Outcome;

use super::ends::{Ends, Trace};
use super::line;
use super::reader::Unreadable;

/// How rows stand by a journal, and the journal.
#[derive(Debug)]
pub struct History<J> {
    ends: Ends,
    journal: J,
}

impl<J: BufRead + Seek> History<J> {
    /// The history that `journal` tells, whose rows stand as `ends` says.
    pub fn new(ends: Ends, journal: J) -> Self {
        Self { ends, journal }
    }

    /// How row `number` stands.
    pub fn of(&self, number: u64) -> Trace {
        self.ends.of(number)
    }

    /// Whether any row was sent without an end.
    pub fn has_sent(&self) -> bool {
        self.ends.has_sent()
    }

    /// The end at byte `offset`, and when it was.
    ///
    /// # Errors
    /// The journal cannot be read, or no row ends there any more.
    pub fn end(&mut self, offset: u64) -> Result<(Timestamp, Outcome), Unreadable> {
        let here = self.journal.stream_position()?;
        // Rows mostly end in the order in which they began: a small step stays in the buffer.
        if offset != here {
            self.journal.seek(SeekFrom::Start(offset))?;
        }
        let mut line = Vec::new();
        self.journal.read_until(b'\n', &mut line)?;
        let moved = Unreadable::Moved { offset };
        if line::check(&line).is_err() {
            return Err(moved);
        }
        let Ok(stamped) = serde_json::from_slice::<Stamped>(&line) else {
            return Err(moved);
        };
        match stamped.event {
            Event::RowEnded { outcome, .. } => Ok((stamped.at, outcome)),
            Event::RunStarted(_)
            | Event::SessionStarted(_)
            | Event::LegStarted { .. }
            | Event::Attempt { .. }
            | Event::Answer { .. }
            | Event::Read { .. }
            | Event::WorkspaceNamed { .. }
            | Event::Planned(_)
            | Event::Proven { .. }
            | Event::LanePaused { .. }
            | Event::RateChanged { .. }
            | Event::LaneResumed { .. }
            | Event::LaneClosed { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::Stop { .. }
            | Event::SessionEnded { .. } => Err(moved),
        }
    }
}
