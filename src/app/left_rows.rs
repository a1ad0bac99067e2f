//! The rows of a run that another session takes up, each with what became of it before.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};

use crate::engine::ports::{self, Past, RowsError};
use crate::error::Error;
use crate::job::index::Index;
use crate::model::event::{Event, Stamped, WasEnded};
use crate::model::outcome::{Outcome, Status};
use crate::model::row::Row;
use crate::model::target::LaneId;
use crate::sinks::ends::{Ends, Trace};
use crate::sinks::report::goes_on;

use super::intake::Taken;
use super::taken_rows::LaneRows;

/// The rows that another session takes up.
pub(super) struct LeftRows {
    rows: LaneRows,
    history: History,
    past: Past,
    /// How many there are.
    pub(super) count: u64,
    /// Those of them that may have been changed without a word.
    pub(super) in_doubt: u64,
}

/// What a journal says of single rows.
pub(super) struct History {
    ends: Ends,
    journal: BufReader<File>,
}

impl History {
    pub(super) fn new(ends: Ends, journal: File) -> Self {
        Self {
            ends,
            journal: BufReader::new(journal),
        }
    }

    /// How the row ended, if it did.
    fn outcome(&mut self, offset: u64) -> Result<Outcome, RowsError> {
        let read = |journal: &mut BufReader<File>| {
            journal.seek(SeekFrom::Start(offset))?;
            let mut line = Vec::new();
            journal.read_until(b'\n', &mut line)?;
            serde_json::from_slice::<Stamped>(&line).map_err(std::io::Error::other)
        };
        let stamped = read(&mut self.journal).map_err(|error| RowsError(error.into()))?;
        match stamped.event {
            Event::RowEnded { outcome, .. } => Ok(outcome),
            Event::RunStarted(_)
            | Event::SessionStarted(_)
            | Event::LegStarted { .. }
            | Event::Attempt { .. }
            | Event::Answer { .. }
            | Event::LanePaused { .. }
            | Event::LaneResumed { .. }
            | Event::LaneClosed { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::Stop { .. }
            | Event::SessionEnded { .. } => Err(RowsError(
                format!("no row ends at byte {offset} of the journal").into(),
            )),
        }
    }

    /// What became of row `number` so far; `None` if it is not to be sent again.
    fn past(&mut self, number: u64, failed_too: bool) -> Result<Option<Past>, RowsError> {
        Ok(match self.ends.of(number) {
            Trace::None => Some(Past::default()),
            Trace::Sent { attempts, doubt } => Some(Past {
                puts: attempts,
                doubt,
                ended: None,
            }),
            Trace::Ended { offset, attempts } => {
                let outcome = self.outcome(offset)?;
                let again = goes_on(&outcome) || (failed_too && outcome.status == Status::Failed);
                again.then(|| Past {
                    puts: attempts,
                    doubt: outcome.status == Status::Unknown,
                    ended: Some(WasEnded::from(&outcome)),
                })
            }
        })
    }
}

impl LeftRows {
    /// Those of `taken` that `history` leaves; with `failed_too`, also those that failed for good.
    pub(super) fn new(
        taken: &Taken,
        mut history: History,
        failed_too: bool,
    ) -> Result<Self, Error> {
        let doing = "the rows that are left cannot be found";
        let mut rows = taken.rows().map_err(Error::machine(doing))?;
        let (mut count, mut in_doubt) = (0, 0);
        let left = std::iter::from_fn(|| {
            loop {
                let (row, taken) = match rows.next_row() {
                    Err(error) => return Some(Err(error)),
                    Ok(None) => return None,
                    Ok(Some(row)) => row,
                };
                if !taken {
                    continue;
                }
                match history.past(row.number, failed_too) {
                    Err(error) => return Some(Err(error)),
                    Ok(None) => {}
                    Ok(Some(past)) => {
                        count += 1;
                        in_doubt += u64::from(past.doubt);
                        return Some(Ok((row, rows.reader.offset())));
                    }
                }
            }
        });
        let index = Index::of(left).map_err(Error::machine(doing))?;
        let rows = LaneRows::over(index, taken).map_err(Error::machine(doing))?;
        Ok(Self {
            rows,
            history,
            past: Past::default(),
            count,
            in_doubt,
        })
    }
}

impl ports::Rows for LeftRows {
    fn next(&mut self, lane: LaneId) -> Result<Option<Row>, RowsError> {
        let row = self.rows.next(lane)?;
        if let Some(row) = &row {
            self.past = self.history.past(row.number, true)?.unwrap_or_default();
        }
        Ok(row)
    }

    fn past(&self) -> Past {
        self.past.clone()
    }
}
