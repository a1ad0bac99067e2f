//! The rows that a session sends, each with what became of it before and what is known of its workflow.

use std::fs::File;

use crate::engine::ports::{Errand, Past, RowsError, Source, Taken as TakenUp};
use crate::model::field::Field;
use crate::model::outcome::Failure;
use crate::model::reading::Reading;
use crate::model::reply::Data;
use crate::model::target::LaneId;
use crate::plan::assessment::{Sending, Way};
use crate::plan::decision::{Live, Terms};
use crate::plan::snapshot::Snapshot;

use super::lane_rows::LaneRows;
use super::left_rows::LeftRows;
use super::plan_file::PlannedRows;
use super::resolved_job::ResolvedJob;

/// Rows to be sent.
pub(super) struct SentRows<'a> {
    rows: Rows,
    left: &'a mut LeftRows,
    /// By what rows in doubt are compared.
    terms: Terms,
    /// What was there before earlier sessions sent anything, the first of them first.
    before: Vec<Snapshot<File>>,
}

/// Where they come from.
enum Rows {
    /// The job: the live state is not read.
    Blind(LaneRows),
    /// A plan.
    Planned(PlannedRows),
}

impl<'a> SentRows<'a> {
    /// All of `left`, as they stand.
    pub(super) fn blind(resolved: &ResolvedJob, left: &'a mut LeftRows) -> Result<Self, RowsError> {
        let rows = match left.are_of_earlier() {
            false => LaneRows::all(resolved)?,
            true => {
                let index = left.index(resolved, |_, _| Ok(true))?;
                LaneRows::over(index, resolved)?
            }
        };
        Ok(Self {
            rows: Rows::Blind(rows),
            left,
            terms: Terms::default(),
            before: Vec::new(),
        })
    }

    /// Those of a plan. Rows in doubt are compared with what was there `before`, where that is known, by these `terms`.
    pub(super) fn planned(
        rows: PlannedRows,
        left: &'a mut LeftRows,
        terms: Terms,
        before: Vec<Snapshot<File>>,
    ) -> Self {
        Self {
            rows: Rows::Planned(rows),
            left,
            terms,
            before,
        }
    }

    /// The row in doubt with what was there before its update, if that is known, else with what is there now.
    fn in_doubt(&mut self, taken: TakenUp) -> Result<TakenUp, RowsError> {
        let row = &taken.row;
        for before in &mut self.before {
            let there = before.live(row.lane, &row.workspace, row.workflow_id.as_str())?;
            if let Some(there) = there {
                let versions = taken.live.and_then(|live| live.versions);
                let taken = TakenUp {
                    live: Some(Live { versions, ..there }),
                    is_before_doubt: true,
                    ..taken
                };
                return Ok(taken.compared(self.terms));
            }
        }
        Ok(taken.compared(self.terms))
    }
}

/// The row of a plan, with what became of it before.
fn taken_up(sending: Sending, past: Past) -> TakenUp {
    let Sending {
        mut row,
        way,
        live,
        change,
        send,
        is_touched,
        ..
    } = sending;
    // An earlier stage was to give it the name; that it did is still to be seen.
    if let Some(name) = row.called.clone().filter(|_| is_touched)
        && past.workflow_id.is_none()
        && row.guards.value(Field::Name).is_none()
    {
        row.guards.fields.push((Field::Name, name));
    }
    let decided = match way {
        Way::Change if !is_touched => Some(Box::new((change, send))),
        Way::Change | Way::ReadBack | Way::Open => None,
    };
    TakenUp {
        row,
        past,
        live,
        decided,
        is_before_doubt: false,
        is_touched,
    }
}

impl Source for SentRows<'_> {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let taken = match &mut self.rows {
            Rows::Blind(rows) => match rows.next(lane)? {
                None => return Ok(None),
                Some(row) => TakenUp {
                    past: self.left.past(row.number)?.unwrap_or_default(),
                    ..TakenUp::from(row)
                },
            },
            Rows::Planned(rows) => match rows.next(lane)? {
                None => return Ok(None),
                Some(sending) => {
                    let past = self.left.past(sending.row.number)?.unwrap_or_default();
                    taken_up(sending, past)
                }
            },
        };
        let taken = match taken.past.unproven && !taken.is_touched {
            true => self.in_doubt(taken)?,
            false => taken,
        };
        Ok(Some(Errand::Row(Box::new(taken))))
    }

    fn found(&mut self, _: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        Ok(())
    }
}
