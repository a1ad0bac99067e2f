//! The rows of a run that another session takes up, each with what became of it before.

use std::fs::File;
use std::io::BufReader;

use crate::engine::ports::{self, Past, RowsError};
use crate::error::Error;
use crate::job::index::Index;
use crate::model::event::WasEnded;
use crate::model::outcome::Status;
use crate::model::row::Row;
use crate::model::target::LaneId;
use crate::sinks::ends::Trace;
use crate::sinks::history::History;
use crate::sinks::report::goes_on;

use super::intake::Taken;
use super::taken_rows::LaneRows;

/// The rows that another session takes up.
pub(super) struct LeftRows {
    rows: LaneRows,
    history: History<BufReader<File>>,
    past: Past,
    /// How many there are.
    pub(super) count: u64,
    /// Those of them that may have been changed without a word.
    pub(super) in_doubt: u64,
}

/// What became of row `number` so far; `None` if it is not to be sent again.
fn past(
    history: &mut History<BufReader<File>>,
    number: u64,
    failed_too: bool,
) -> Result<Option<Past>, RowsError> {
    Ok(match history.of(number) {
        Trace::None => Some(Past::default()),
        Trace::Sent { attempts, doubt } => Some(Past {
            puts: attempts,
            doubt,
            ended: None,
        }),
        Trace::Ended { offset, attempts } => {
            let (_, outcome) = history
                .end(offset)
                .map_err(|error| RowsError(error.into()))?;
            let again = goes_on(&outcome) || (failed_too && outcome.status == Status::Failed);
            again.then(|| Past {
                puts: attempts,
                doubt: outcome.status == Status::Unknown,
                ended: Some(WasEnded::from(&outcome)),
            })
        }
    })
}

impl LeftRows {
    /// Those of `taken` that `history` leaves; with `failed_too`, also those that failed for good.
    pub(super) fn new(
        taken: &Taken,
        mut history: History<BufReader<File>>,
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
                match past(&mut history, row.number, failed_too) {
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
            self.past = past(&mut self.history, row.number, true)?.unwrap_or_default();
        }
        Ok(row)
    }

    fn past(&self) -> Past {
        self.past.clone()
    }
}
