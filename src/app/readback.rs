//! Reads back what rows have set, and compares.

use std::collections::HashMap;

use crate::engine::ports::{Errand, Past, RowsError, Source};
use crate::job::index::Index;
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::outcome::Failure;
use crate::model::reading::{Of, Reading};
use crate::model::reply::Data;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::plan::decision::{Decision, Live, Terms, decide};

use super::lane_rows::LaneRows;
use super::resolved_job::ResolvedJob;
use super::surveying::Surveyed;

/// Rows whose workflows are read back.
pub(super) struct Readback<'a> {
    rows: LaneRows,
    surveyed: &'a mut Surveyed,
    ids: HashMap<u64, Id>,
    /// Those that are being read.
    asked: HashMap<(LaneId, Workspace, Id), Row>,
    /// Those that are not as they were set, or that could not be read.
    pub(super) differing: Vec<u64>,
}

impl<'a> Readback<'a> {
    /// Of the rows that `index` names; `ids` are those of workflows that an earlier session has looked up.
    pub(super) fn new(
        resolved: &ResolvedJob,
        index: Index,
        ids: HashMap<u64, Id>,
        surveyed: &'a mut Surveyed,
    ) -> Result<Self, RowsError> {
        Ok(Self {
            rows: LaneRows::over(index, resolved)?,
            surveyed,
            ids,
            asked: HashMap::new(),
            differing: Vec::new(),
        })
    }
}

impl Source for Readback<'_> {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        while let Some(row) = self.rows.next(lane)? {
            // The snapshot still has it by the name that it had before.
            let past = Past {
                workflow_id: self.ids.remove(&row.number),
                ..Past::default()
            };
            let row = match self.surveyed.identify(row, &past)? {
                Ok(row) => row,
                Err(failure) => return Err(RowsError(failure.message.into())),
            };
            // Which version was the latest nobody knows any more.
            let row = Row {
                version: None,
                guards: Guards::default(),
                ..row
            };
            if row.wishes_nothing() {
                continue;
            }
            let reading = Reading {
                lane,
                workspace: row.workspace.clone(),
                of: Of::Workflow(row.workflow_id.clone()),
            };
            let key = (lane, row.workspace.clone(), row.workflow_id.clone());
            self.asked.insert(key, row);
            return Ok(Some(Errand::Reading(reading)));
        }
        Ok(None)
    }

    fn found(&mut self, reading: &Reading, data: Result<Data, Failure>) -> Result<(), RowsError> {
        let Of::Workflow(id) = &reading.of else {
            return Ok(());
        };
        let key = (reading.lane, reading.workspace.clone(), id.clone());
        let Some(row) = self.asked.remove(&key) else {
            return Ok(());
        };
        let is_as_set = match data {
            Ok(Data::Workflow(listed)) => {
                let live = Live {
                    workflow: listed.workflow,
                    versions: None,
                };
                decide(&row, &live, Terms::default()) == Decision::Unchanged
            }
            Ok(_) | Err(_) => false,
        };
        if !is_as_set {
            self.differing.push(row.number);
        }
        Ok(())
    }
}
