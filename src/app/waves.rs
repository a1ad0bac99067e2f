//! How the waves of a run stand, and whether another one may begin.

use std::collections::HashMap;

use crate::engine::ports::RowsError;
use crate::job::index::Index;
use crate::job::rollout::{Pause, Rollout, Waves};
use crate::job::stage::{Stage, When};
use crate::model::counted::counted;
use crate::model::event::{StageLeft, StageWave, WaveEnded};
use crate::model::id::Id;
use crate::model::outcome::Status;
use crate::model::rate::Rate;
use crate::policy::budget::Budget;

use super::left_rows::LeftRows;
use super::resolved_job::ResolvedJob;

/// Rows that were something else when they were read back, which are named.
const MOST_NAMED: usize = 100;

/// Of these, rows that the reason of a closed gate names.
const MOST_TOLD: usize = 10;

/// How the waves of a run stand.
pub(super) struct WaveCourse {
    /// By stage; one where there are no stages.
    rollouts: Vec<Rollout>,
    stages: Vec<Stage>,
    waves: Waves,
    /// By wave, in all sessions.
    counts: Vec<WaveCount>,
    /// By stage: whether it has ended, and well.
    results: Vec<Option<bool>>,
}

/// What becomes of a stage.
pub(super) enum Turn {
    /// It begins.
    Begins,
    /// Its rows are left out, and why.
    Left(StageLeft),
}

/// Rows of a wave, in all sessions.
#[derive(Clone, Copy, Debug, Default)]
struct WaveCount {
    /// Those that failed, or of which nobody knows.
    errors: u64,
    /// Those that have ended by updates or by the plan.
    ended: u64,
    /// Those that are left.
    left: u64,
}

impl WaveCourse {
    /// Of a run whose earlier sessions left `left`; none if its rows do not go in waves.
    pub(super) fn new(
        resolved: &ResolvedJob,
        left: &mut LeftRows,
    ) -> Result<Option<Self>, RowsError> {
        let Some(waves) = resolved.waves()? else {
            return Ok(None);
        };
        let stages = resolved.job.stages.clone();
        let rollouts: Vec<_> = match &resolved.job.rollout {
            Some(rollout) => vec![rollout.clone()],
            None => stages.iter().map(|stage| stage.rollout.clone()).collect(),
        };
        let mut course = Self {
            results: vec![None; rollouts.len()],
            rollouts,
            stages,
            counts: vec![WaveCount::default(); waves.count() as usize],
            waves,
        };
        // What is taken up again counts when it ends again.
        left.each_done(resolved, |row, _, outcome| {
            course.count(row.number, outcome.status);
            Ok(())
        })?;
        Ok(Some(course))
    }

    /// Where the rows of `wave` stand that have succeeded, and those of their ids that were looked up.
    pub(super) fn done(
        &self,
        wave: u32,
        resolved: &ResolvedJob,
        left: &mut LeftRows,
    ) -> Result<(Index, HashMap<u64, Id>), RowsError> {
        let (mut index, mut ids) = (Index::default(), HashMap::new());
        left.each_done(resolved, |row, offset, outcome| {
            if self.wave_of(row.number) == wave && outcome.status == Status::Succeeded {
                index.push(&row, offset)?;
                ids.extend(outcome.workflow_id.map(|id| (row.number, id)));
            }
            Ok(())
        })?;
        Ok((index, ids))
    }

    /// How many waves there are.
    pub(super) fn len(&self) -> u32 {
        self.waves.count()
    }

    /// The wave of row `number`.
    pub(super) fn wave_of(&self, number: u64) -> u32 {
        self.waves.of(number)
    }

    /// Row `number` has ended.
    pub(super) fn count(&mut self, number: u64, status: Status) {
        let wave = self.waves.of(number);
        let is_staged = !self.stages.is_empty();
        let Some(count) = self.count_of(wave) else {
            return;
        };
        match status {
            Status::Succeeded => count.ended += 1,
            // Later stages rely on what this one was to do.
            Status::Conflict | Status::NotAttempted if is_staged => {
                count.ended += 1;
                count.errors += 1;
            }
            Status::Conflict => count.ended += 1,
            Status::NotAttempted => count.left += 1,
            Status::Failed | Status::Unknown => {
                count.ended += 1;
                count.errors += 1;
            }
            Status::Unchanged | Status::Skipped => {}
        }
    }

    /// So many rows of `wave` have succeeded.
    pub(super) fn succeeded(&mut self, wave: u32, rows: u64) {
        if let Some(count) = self.count_of(wave) {
            count.ended += rows;
        }
    }

    fn count_of(&mut self, wave: u32) -> Option<&mut WaveCount> {
        self.counts.get_mut((wave as usize).checked_sub(1)?)
    }

    /// How `wave` has ended, in which the rows `differing` are not as they were set.
    pub(super) fn ended(&self, wave: u32, differing: &[u64]) -> WaveEnded {
        let count = self.counts.get((wave as usize).saturating_sub(1)).copied();
        let count = count.unwrap_or_default();
        let rows = self.waves.rows(wave);
        WaveEnded {
            wave,
            of: self.len(),
            rows,
            idle: rows.saturating_sub(count.ended + count.left),
            errors: count.errors,
            differing: differing.iter().take(MOST_NAMED).copied().collect(),
            closed: self.closed(wave, count, differing),
            stage: self.stage_wave(wave),
        }
    }

    fn stage_wave(&self, wave: u32) -> Option<StageWave> {
        let wave = self.waves.get(wave)?;
        let stage = self.stages.get(wave.stage)?;
        Some(StageWave {
            name: stage.name.clone(),
            wave: wave.number,
            of: wave.of,
        })
    }

    /// Where the rows `bad` of a plan would stop a run, and why.
    pub(super) fn closed_by(mut self, bad: &[(u64, Status)]) -> Option<String> {
        for (number, status) in bad {
            self.count(*number, *status);
        }
        let mut waves = (1..=self.len()).map(|wave| self.ended(wave, &[]));
        let first = waves.find(|wave| wave.closed.is_some())?;
        Some(format!("{}: {}", first.label(), first.closed?))
    }

    /// The stage of `wave`, by its place.
    pub(super) fn stage(&self, wave: u32) -> usize {
        self.waves.get(wave).map_or(0, |wave| wave.stage)
    }

    /// Whether `wave` is the first of its stage.
    pub(super) fn begins_stage(&self, wave: u32) -> bool {
        self.waves.get(wave).is_none_or(|wave| wave.number == 1)
    }

    /// How the rows of the stage of `wave` go.
    pub(super) fn rollout(&self, wave: u32) -> Option<&Rollout> {
        self.rollouts.get(self.stage(wave))
    }

    /// The rate and the requests in flight that `stage` has for itself.
    pub(super) fn limits(&self, stage: usize) -> (Option<Rate>, Option<usize>) {
        let stage = self.stages.get(stage);
        stage.map_or((None, None), |stage| (stage.rate, stage.concurrency))
    }

    /// `stage` has ended, well or not.
    pub(super) fn stage_ended(&mut self, stage: usize, well: bool) {
        if let Some(result) = self.results.get_mut(stage) {
            // One wave that was not well is enough.
            *result = Some(well && result.unwrap_or(true));
        }
    }

    /// Whether `stage` has ended, and not well.
    pub(super) fn is_closed(&self, stage: usize) -> bool {
        self.results.get(stage) == Some(&Some(false))
    }

    /// What becomes of `stage`, by how those that it needs have ended.
    pub(super) fn turn(&self, stage: usize) -> Turn {
        let Some(at_hand) = self.stages.get(stage) else {
            return Turn::Begins;
        };
        // One without rows has nothing that could go wrong.
        let mut needs = at_hand.needs.iter();
        let bad = needs.find(|need| self.is_closed(**need));
        let bad = bad.and_then(|need| self.stages.get(*need));
        let (status, why) = match (at_hand.when, bad) {
            (When::Always, _) | (When::Succeeded, None) | (When::Failed, Some(_)) => {
                return Turn::Begins;
            }
            (When::Succeeded, Some(bad)) => (
                Status::NotAttempted,
                format!("it needs {bad}, which did not go well"),
            ),
            (When::Failed, None) => (
                Status::Skipped,
                "it is for a stage before it that fails, and none has".to_owned(),
            ),
        };
        Turn::Left(StageLeft {
            name: at_hand.name.clone(),
            status,
            why,
        })
    }

    /// The rows of the stage of `wave`, up to that.
    fn count_up_to(&self, wave: u32) -> WaveCount {
        let stage = self.stage(wave);
        let waves = (1..=wave).zip(&self.counts);
        let of_stage = waves.filter(|(wave, _)| self.stage(*wave) == stage);
        of_stage.fold(WaveCount::default(), |all, (_, count)| WaveCount {
            errors: all.errors + count.errors,
            ended: all.ended + count.ended,
            left: all.left + count.left,
        })
    }

    /// Whether anything was sent in the first `wave` ones.
    pub(super) fn has_changed(&self, wave: u32) -> bool {
        let mut waves = self.counts.iter().take(wave as usize);
        waves.any(|count| count.ended > 0)
    }

    fn closed(&self, wave: u32, count: WaveCount, differing: &[u64]) -> Option<String> {
        if let Some(text) = differing_text(differing) {
            return Some(text);
        }
        let exceeded = |max_errors, count: WaveCount| {
            let budget = Budget {
                max_errors,
                min_rows: 0,
            };
            budget.exceeded(count.errors, count.ended)
        };
        if let Some(why) = exceeded(self.rollout(wave)?.max_errors, count) {
            return Some(why);
        }
        let stage = self.stages.get(self.stage(wave))?;
        let why = exceeded(stage.max_errors?, self.count_up_to(wave))?;
        Some(format!("of all its waves, {why}"))
    }

    /// The question before the wave after `wave`, of which `changes` rows are to change, if there is one.
    pub(super) fn question(&self, wave: u32, changes: u64) -> Option<String> {
        let (ended, next) = (self.ended(wave, &[]), self.ended(wave + 1, &[]));
        let rows = match counted(next.rows, "row") {
            rows if next.rows == changes => format!("{rows} to change"),
            rows => format!("{rows}, {changes} of them to change"),
        };
        let done = match ended.idle == ended.rows {
            true => "had nothing to change",
            false => "is done",
        };
        match self.rollout(wave)?.pause {
            Pause::Confirm => Some(format!(
                "{} {done}; wave {} has {rows}",
                ended.label(),
                next.stage.map_or(next.wave, |stage| stage.wave)
            )),
            Pause::None | Pause::For(_) => None,
        }
    }
}

/// Which rows are not as they were set, if any: `rows 3, 7 are not as they were set, or cannot be read back`.
fn differing_text(differing: &[u64]) -> Option<String> {
    let named = differing.iter().take(MOST_TOLD).map(u64::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    Some(match differing.len() {
        0 => return None,
        1 => format!("row {named} is not as it was set, or cannot be read back"),
        rows if rows <= MOST_TOLD => {
            format!("rows {named} are not as they were set, or cannot be read back")
        }
        rows => {
            let more = rows - MOST_TOLD;
            format!("rows {named} and {more} more are not as they were set, or cannot be read back")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_differ_are_named() {
        let text = |rows: u64| differing_text(&(1..=rows).collect::<Vec<_>>());
        assert_eq!(text(0), None);
        let one = "row 1 is not as it was set, or cannot be read back";
        assert_eq!(text(1).unwrap(), one);
        let two = "rows 1, 2 are not as they were set, or cannot be read back";
        assert_eq!(text(2).unwrap(), two);
        assert!(
            text(12)
                .unwrap()
                .starts_with("rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more are")
        );
    }
}
