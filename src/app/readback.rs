//! Reads back what rows have set, and compares.

use std::collections::HashMap;

use crate::engine::ports::{Errand, RowsError, Source};
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::outcome::Failure;
use crate::model::reading::{Of, Reading};
use crate::model::reply::Data;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::plan::decision::{Decision, Live, Terms, decide};

use super::lane_rows::LaneRows;
use super::plan_file::PlannedRows;

/// Rows whose workflows are read back.
pub(super) struct Readback {
    rows: Rows,
    /// Those that are being read.
    asked: HashMap<(LaneId, Workspace, Id), Row>,
    /// Those that are not as they were set, or that could not be read.
    pub(super) differing: Vec<u64>,
}

/// Where they come from.
pub(super) enum Rows {
    /// The plan of this session.
    Planned(PlannedRows),
    /// The job, by what an earlier session did: these are the workflows that it has looked up.
    Done(LaneRows, HashMap<u64, Id>),
}

impl Readback {
    /// Of these rows.
    pub(super) fn of(rows: Rows) -> Self {
        Self {
            rows,
            asked: HashMap::new(),
            differing: Vec::new(),
        }
    }

    fn next_row(&mut self, lane: LaneId) -> Result<Option<Row>, RowsError> {
        match &mut self.rows {
            Rows::Planned(rows) => Ok(rows.next(lane)?.map(|sending| sending.row)),
            Rows::Done(rows, ids) => {
                Ok(rows.next(lane)?.map(|row| match ids.remove(&row.number) {
                    Some(workflow_id) => Row { workflow_id, ..row },
                    None => row,
                }))
            }
        }
    }
}

impl Source for Readback {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        while let Some(row) = self.next_row(lane)? {
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
