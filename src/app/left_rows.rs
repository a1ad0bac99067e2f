//! The rows that a session takes up, each with what became of it before.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use crate::engine::ports::{Errand, Past, RowsError, Source, Taken as TakenUp};
use crate::job::index::Index;
use crate::model::change::Change;
use crate::model::event::WasEnded;
use crate::model::id::Id;
use crate::model::outcome::{Failure, Status};
use crate::model::reading::Reading;
use crate::model::reply::Data;
use crate::model::row::Row;
use crate::model::target::LaneId;
use crate::sinks::ends::Trace;
use crate::sinks::history::History;
use crate::sinks::report::goes_on;

use super::intake::Taken;
use super::surveying::Surveyed;
use super::taken_rows::{LaneRows, RowsByLane};

/// Which rows a session takes up: all that the user has not left out, or those of them that earlier
/// sessions left.
#[derive(Default)]
pub(super) struct LeftRows {
    history: Option<History<BufReader<File>>>,
    /// Whether those that failed for good are taken up as well.
    failed_too: bool,
    /// What rows in doubt were to change.
    changes: HashMap<u64, (Id, Change)>,
}

impl LeftRows {
    /// Those that `history` leaves; with `failed_too`, also those that failed for good.
    pub(super) fn of(history: History<BufReader<File>>, failed_too: bool) -> Self {
        Self {
            history: Some(history),
            failed_too,
            changes: HashMap::new(),
        }
    }

    /// What rows in doubt were to change, by the plan.
    pub(super) fn with_changes(self, changes: HashMap<u64, (Id, Change)>) -> Self {
        Self { changes, ..self }
    }

    /// What became of row `number`; none if it is not to be sent again.
    fn past(&mut self, number: u64) -> Result<Option<Past>, RowsError> {
        let Some(history) = &mut self.history else {
            return Ok(Some(Past::default()));
        };
        let mut past = match history.of(number) {
            Trace::None => Past::default(),
            Trace::Sent { attempts, doubt } => Past {
                puts: attempts,
                doubt,
                ..Past::default()
            },
            Trace::Ended { offset, attempts } => {
                let end = history.end(offset);
                let (_, outcome) = end.map_err(|error| RowsError(error.into()))?;
                let failed = self.failed_too && outcome.status == Status::Failed;
                if !goes_on(&outcome) && !failed {
                    return Ok(None);
                }
                Past {
                    puts: attempts,
                    // One that failed and has changed something all the same is looked at again.
                    doubt: outcome.status == Status::Unknown
                        || (outcome.status == Status::Failed && outcome.change.is_some()),
                    ended: Some(WasEnded::from(&outcome)),
                    change: outcome.change,
                    workflow_id: outcome.workflow_id,
                }
            }
        };
        if past.doubt
            && let Some((id, change)) = self.changes.get(&number)
        {
            past.change.get_or_insert_with(|| change.clone());
            past.workflow_id.get_or_insert_with(|| id.clone());
        }
        Ok(Some(past))
    }

    /// Shows each of them to `take`, in input order, with its offset in the table.
    pub(super) fn each(
        &mut self,
        taken: &Taken,
        mut take: impl FnMut(Row, u64, Past) -> Result<(), RowsError>,
    ) -> Result<(), RowsError> {
        let mut rows = taken.rows()?;
        while let Some((row, is_taken)) = rows.next_row()? {
            if !is_taken {
                continue;
            }
            if let Some(past) = self.past(row.number)? {
                take(row, rows.reader.offset(), past)?;
            }
        }
        Ok(())
    }

    /// Where those of them stand that `choose` chooses.
    pub(super) fn index(
        &mut self,
        taken: &Taken,
        mut choose: impl FnMut(&Row, Past) -> Result<bool, RowsError>,
    ) -> Result<Index, RowsError> {
        let mut index = Index::default();
        self.each(taken, |row, offset, past| {
            if choose(&row, past)? {
                index.push(&row, offset)?;
            }
            Ok(())
        })?;
        Ok(index)
    }

    /// How many there are, and how many of them may have been changed without a word.
    pub(super) fn count(&mut self, taken: &Taken) -> Result<(u64, u64), RowsError> {
        let (mut count, mut in_doubt) = (0, 0);
        self.each(taken, |_, _, past| {
            count += 1;
            in_doubt += u64::from(past.doubt);
            Ok(())
        })?;
        Ok((count, in_doubt))
    }

    /// All of them, to be sent as they stand.
    pub(super) fn blind<'a>(&'a mut self, taken: &Taken) -> Result<SentRows<'a>, RowsError> {
        let rows = match &self.history {
            None => taken.rows_by_lane()?,
            Some(_) => {
                let index = self.index(taken, |_, _| Ok(true))?;
                Box::new(LaneRows::over(index, taken)?)
            }
        };
        Ok(SentRows {
            rows,
            left: self,
            surveyed: None,
        })
    }

    /// Those of `index`, with what was read of them.
    pub(super) fn planned<'a>(
        &'a mut self,
        taken: &Taken,
        index: Index,
        surveyed: &'a mut Surveyed,
    ) -> Result<SentRows<'a>, RowsError> {
        Ok(SentRows {
            rows: Box::new(LaneRows::over(index, taken)?),
            left: self,
            surveyed: Some(surveyed),
        })
    }
}

/// Rows to be sent.
pub(super) struct SentRows<'a> {
    rows: Box<dyn RowsByLane>,
    left: &'a mut LeftRows,
    surveyed: Option<&'a mut Surveyed>,
}

impl Source for SentRows<'_> {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let Some(row) = self.rows.next(lane)? else {
            return Ok(None);
        };
        let past = self.left.past(row.number)?.unwrap_or_default();
        let (row, live) = match &mut self.surveyed {
            None => (row, None),
            Some(surveyed) => {
                // The plan has looked it up by the same snapshot.
                let row = surveyed.identify(row, &past)?;
                let row = row.map_err(|failure| RowsError(failure.message.into()))?;
                let live = surveyed.live(&row)?;
                (row, live)
            }
        };
        Ok(Some(Errand::Row(Box::new(TakenUp { row, past, live }))))
    }

    fn found(&mut self, _: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        Ok(())
    }
}
