//! In which waves the rows of a job go.

use std::collections::HashMap;

use crate::job::intent::Job;
use crate::job::rollout::{Placed, Rollout, Waves};
use crate::job::stage::stage_of;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};

/// How the rows of each stage go in waves; one where there are no stages.
fn rollouts(job: &Job) -> Vec<&Rollout> {
    match &job.rollout {
        Some(rollout) => vec![rollout],
        None => job.stages.iter().map(|stage| &stage.rollout).collect(),
    }
}

/// Whether the rows of `job` go in waves.
pub(super) fn goes_in_waves(job: &Job) -> bool {
    !rollouts(job).is_empty()
}

/// Gathers what says in which wave each row goes.
pub(super) struct Placing {
    rows: Vec<Placed>,
    workspaces: HashMap<(LaneId, Workspace), u32>,
}

impl Placing {
    /// Of no row yet; none if the rows of `job` do not go in waves.
    pub(super) fn of(job: &Job) -> Option<Self> {
        goes_in_waves(job).then(|| Self {
            rows: Vec::new(),
            workspaces: HashMap::new(),
        })
    }

    /// Places `row`, which is taken up, after those before it.
    pub(super) fn place(&mut self, row: &Row) {
        let next = u32::try_from(self.workspaces.len()).unwrap_or(u32::MAX);
        let place = (row.lane, row.workspace.clone());
        self.rows.push(Placed {
            number: row.number,
            wave: row.wave,
            workspace: *self.workspaces.entry(place).or_insert(next),
        });
    }

    /// The waves of `job`, all of whose rows have been placed.
    pub(super) fn waves(self, job: &Job) -> Waves {
        let rollouts = rollouts(job);
        let mut rows: Vec<Vec<Placed>> = vec![Vec::new(); rollouts.len()];
        for row in self.rows {
            let stage = stage_of(&job.stages, row.number).unwrap_or_default();
            rows[stage].push(row);
        }
        let mut waves = Waves::default();
        for (stage, (rollout, rows)) in rollouts.into_iter().zip(rows).enumerate() {
            waves.add(stage, rollout, &rows);
        }
        waves
    }
}
