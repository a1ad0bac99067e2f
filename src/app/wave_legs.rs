//! The waves of a run, stage by stage: each is sent, read back and judged before the next.

use std::collections::HashSet;

use crate::engine::ports::Record;
use crate::engine::run::Broken;
use crate::engine::schedule::Schedule;
use crate::job::index::Index;
use crate::job::rollout::Pause;
use crate::job::stage::stage_of;
use crate::model::event::{Approval, Event, StageLeft, WaveEnded};
use crate::model::outcome::{Ended, Status};
use crate::model::span;

use super::judge::PlannedEnd;
use super::lane_rows::LaneRows;
use super::left_rows::LeftRows;
use super::operator;
use super::plan_file::PlannedRows;
use super::planning::plan_path;
use super::question::{Asked, Question};
use super::readback::{Readback, Rows};
use super::sent_rows::SentRows;
use super::session::Legs;
use super::surveying::AppRun;
use super::waves::{Turn, WaveCourse};

impl Legs<'_> {
    /// Carries out one wave of the rows of `index` after the other, stage by stage if there are stages; each is judged before
    /// the next may begin. The rows of a stage that need no request end by `ends` when it begins.
    pub(super) async fn carry_out_waves<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        left: &mut LeftRows,
        mut course: WaveCourse,
        (index, mut ends): (&Index, Vec<PlannedEnd>),
    ) -> Result<(), Broken> {
        let resolved = self.resolved;
        let plan = plan_path(self.folder, self.session);
        for (number, status) in run.decide(Schedule::take_not_updated)? {
            course.count(number, status);
        }
        // What was not as it was set is looked at again, before anything else goes.
        let (mut closed, mut left_out) = (None, None);
        for wave in &self.differing {
            let (index, ids) = course.done(*wave, resolved, left)?;
            let well = (!index.is_empty())
                .then(|| LaneRows::over(index, resolved))
                .transpose()?;
            let well = well.map(|rows| Rows::Done(rows, ids));
            let why = self.judge_wave(run, &course, *wave, well).await?;
            course.stage_ended(course.stage(*wave), why.is_none());
            closed = closed.or(why);
        }
        for wave in 1..=course.len() {
            let stage = course.stage(wave);
            if run.schedule().is_stopping() {
                return Ok(());
            }
            if course.begins_stage(wave)
                && let Turn::Left(stage_left) = course.turn(stage)
            {
                let why = stage_left.closes();
                course.stage_ended(stage, why.is_none());
                left_out = Some(stage);
                if self.leave_stage(run, left, stage, stage_left)? {
                    closed = closed.or(why);
                }
            }
            if course.is_closed(stage) || left_out == Some(stage) {
                continue;
            }
            if course.begins_stage(wave) {
                let (rate, concurrency) = course.limits(stage);
                run.decide(|schedule| schedule.narrow(rate, concurrency))?;
            }
            let of_wave = ends.extract_if(.., |end| course.wave_of(end.number()) == wave);
            for end in of_wave {
                end.tell(run)?;
            }
            for (number, status) in run.decide(Schedule::take_not_updated)? {
                course.count(number, status);
            }
            let rows = index.chosen(|number| course.wave_of(number) == wave);
            if rows.is_empty() {
                // It ended in an earlier session, has nothing to change, or only rows that the plan found wrong.
                let ended = course.ended(wave, &[]);
                let mut why = None;
                if ended.closed.is_some() || !self.ended_waves.contains(&wave) {
                    why = self.tell_end(run, ended)?;
                }
                course.stage_ended(stage, why.is_none());
                closed = closed.or(why);
                continue;
            }
            if !self.may_begin(run, &course, wave, rows.len()).await? {
                return Ok(());
            }
            let before = self.earlier_snapshots()?;
            let planned = PlannedRows::by_index(&plan, rows.clone())?;
            let mut sent = SentRows::planned(planned, left, self.terms, before);
            run.wave(wave, &mut sent).await?;
            let others = run.decide(Schedule::take_not_updated)?;
            course.succeeded(wave, rows.len() - others.len() as u64);
            for (number, status) in &others {
                course.count(*number, *status);
            }
            if run.schedule().is_stopping() {
                return Ok(());
            }
            let unwell = others
                .into_iter()
                .filter(|(_, status)| *status != Status::Unchanged);
            let unwell: HashSet<u64> = unwell.map(|(number, _)| number).collect();
            let well = rows.chosen(|number| !unwell.contains(&number));
            let well = (!well.is_empty())
                .then(|| PlannedRows::by_index(&plan, well))
                .transpose()?;
            let well = well.map(Rows::Planned);
            let why = self.judge_wave(run, &course, wave, well).await?;
            course.stage_ended(stage, why.is_none());
            closed = closed.or(why);
        }
        if let Some(why) = closed.filter(|_| !run.schedule().is_stopping()) {
            run.decide(|schedule| schedule.stop(Ended::Gate, &why))?;
        }
        Ok(())
    }

    /// Leaves out the rows of a stage, if any are left of it; gives whether that is so.
    fn leave_stage<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        left: &mut LeftRows,
        stage: usize,
        stage_left: StageLeft,
    ) -> Result<bool, Broken> {
        let stages = &self.resolved.job.stages;
        let mut ends = Vec::new();
        left.each(self.resolved, |row, _, past| {
            if stage_of(stages, row.number) == Some(stage) {
                ends.push(PlannedEnd::skipped(row, past, &stage_left.why));
            }
            Ok(())
        })?;
        if ends.is_empty() {
            return Ok(false);
        }
        let is_skipped = stage_left.status == Status::Skipped;
        run.note(Event::StageLeft(stage_left))?;
        if is_skipped {
            ends.into_iter().try_for_each(|end| end.tell(run))?;
        }
        Ok(true)
    }

    /// Reads back what the rows `well` of a wave have set, and judges it. Gives why no other wave of its stage may follow, if
    /// none may.
    async fn judge_wave<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        course: &WaveCourse,
        wave: u32,
        well: Option<Rows>,
    ) -> Result<Option<String>, Broken> {
        let mut differing = Vec::new();
        let verifies = course.rollout(wave).is_some_and(|rollout| rollout.verify);
        if let Some(well) = well.filter(|_| verifies) {
            let mut readback = Readback::of(well);
            run.verify(wave, &mut readback).await?;
            differing = readback.differing;
            differing.sort_unstable();
        }
        if run.schedule().is_stopping() {
            return Ok(None);
        }
        self.tell_end(run, course.ended(wave, &differing))
    }

    /// Tells how a wave has ended. Gives why no other of its stage may follow, if none may.
    fn tell_end<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        ended: WaveEnded,
    ) -> Result<Option<String>, Broken> {
        let closed = ended.closed.as_ref();
        let closed = closed.map(|why| format!("{}: {why}", ended.label()));
        run.note(Event::WaveEnded(ended))?;
        Ok(closed)
    }

    /// Whether `wave` may begin, which has so many rows; if not, the run is stopped.
    async fn may_begin<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        course: &WaveCourse,
        wave: u32,
        rows: u64,
    ) -> Result<bool, Broken> {
        if course.begins_stage(wave) {
            return Ok(true);
        }
        let before = wave - 1;
        let pause = course.rollout(wave).map(|rollout| rollout.pause);
        let stop = if let Some(Pause::For(span)) = pause {
            if !course.has_changed(before) {
                return Ok(true);
            }
            let done = course.ended(before, &[]).label();
            tracing::warn!("{done} is done; the next begins in {}", span::show(span));
            let stop = run.pause(span).await.err();
            stop.map(|ended| (ended, format!("after {done}")))
        } else if let Some(what) = course
            .question(before, rows)
            .filter(|_| self.approved < before)
        {
            match &self.asked {
                Asked::Nobody => Some((Ended::Approval, what)),
                Asked::Terminal(_) => {
                    let question = Question {
                        text: format!("{what}\ngo on? [y/N] "),
                        number: None,
                    };
                    let stop = self.answer(run, question).await?;
                    if stop.is_none() {
                        run.note(Event::Approved(Approval {
                            wave: before,
                            by: operator(),
                            note: None,
                        }))?;
                    }
                    stop.map(|ended| (ended, "the question was answered with no".to_owned()))
                }
            }
        } else {
            None
        };
        match stop {
            None => Ok(true),
            Some((ended, why)) => {
                run.decide(|schedule| schedule.stop(ended, &why))?;
                Ok(false)
            }
        }
    }
}
