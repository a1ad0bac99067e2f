//! The rows that a session sends, each with what became of it before and what is known of its workflow.

use std::fs::File;

use crate::engine::ports::{Errand, RowsError, Source, Taken as TakenUp};
use crate::job::index::Index;
use crate::model::field::Field;
use crate::model::outcome::Failure;
use crate::model::reading::Reading;
use crate::model::reply::Data;
use crate::model::target::LaneId;
use crate::plan::decision::Live;
use crate::plan::snapshot::Snapshot;

use super::lane_rows::LaneRows;
use super::left_rows::LeftRows;
use super::resolved_job::ResolvedJob;
use super::surveying::Surveyed;

/// Rows to be sent.
pub(super) struct SentRows<'a> {
    rows: LaneRows,
    left: &'a mut LeftRows,
    surveyed: Option<&'a mut Surveyed>,
    /// What was there before earlier sessions sent anything, the first of them first.
    before: Vec<Snapshot<File>>,
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
            rows,
            left,
            surveyed: None,
            before: Vec::new(),
        })
    }

    /// Those of `left` that `index` names, with what was read of them.
    pub(super) fn planned(
        resolved: &ResolvedJob,
        left: &'a mut LeftRows,
        index: Index,
        surveyed: &'a mut Surveyed,
    ) -> Result<Self, RowsError> {
        Ok(Self {
            rows: LaneRows::over(index, resolved)?,
            left,
            surveyed: Some(surveyed),
            before: Vec::new(),
        })
    }

    /// Rows in doubt are judged by `before`, where it knows their workflows.
    pub(super) fn judged_by(self, before: Vec<Snapshot<File>>) -> Self {
        Self { before, ..self }
    }
}

impl Source for SentRows<'_> {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let Some(row) = self.rows.next(lane)? else {
            return Ok(None);
        };
        let past = self.left.past(row.number)?.unwrap_or_default();
        let (row, live, is_touched) = match &mut self.surveyed {
            None => (row, None, false),
            Some(surveyed) => {
                // The plan has looked it up by the same snapshot.
                let row = surveyed.identify(row, &past)?;
                let mut row = row.map_err(|failure| RowsError(failure.message.into()))?;
                let live = surveyed.live(&row)?;
                let is_touched = surveyed.is_touched(&row);
                // An earlier stage was to give it the name; that it did is still to be seen.
                if let Some(name) = row.called.clone().filter(|_| is_touched)
                    && past.workflow_id.is_none()
                    && row.guards.value(Field::Name).is_none()
                {
                    row.guards.fields.push((Field::Name, name));
                }
                (row, live, is_touched)
            }
        };
        let mut taken = TakenUp {
            row,
            past,
            live,
            is_before_doubt: false,
            is_touched,
        };
        if taken.past.unproven && !is_touched {
            let row = &taken.row;
            for before in &mut self.before {
                let there = before.live(row.lane, &row.workspace, row.workflow_id.as_str());
                if let Some(there) = there? {
                    let versions = taken.live.and_then(|live| live.versions);
                    taken.live = Some(Live { versions, ..there });
                    taken.is_before_doubt = true;
                    break;
                }
            }
        }
        Ok(Some(Errand::Row(Box::new(taken))))
    }

    fn found(&mut self, _: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        Ok(())
    }
}
