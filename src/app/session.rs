//! One session of a run: from the announcement to the report.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::rc::Rc;

use tokio::sync::oneshot;

use crate::cli::{OutputArgs, ProgressShape, RecordArgs};
use crate::engine::ports::{Clock, Record, RowsError, Watcher};
use crate::engine::run::{Beginning, Broken, Run, Tools};
use crate::engine::schedule::Schedule;
use crate::exit::Exit;
use crate::job::flags;
use crate::job::settings::Settings;
use crate::model::counted::counted;
use crate::model::event::Event;
use crate::model::outcome::Ended;
use crate::model::span;
use crate::model::tally::Tally;
use crate::plan::decision::Terms;
use crate::plan::snapshot::Snapshot;
use crate::sinks::bar::Above;
use crate::sinks::digest::Digest;
use crate::sinks::journal::Journal;
use crate::sinks::log::Log;

use super::announcement::{Announcement, Resumed};
use super::clock::{self, Seeded, System};
use super::closing::{Closed, close};
use super::course::{course, deadline, last_start, stop_at, terms, zone};
use super::destination::Open;
use super::folder::RunFolder;
use super::judge::{Judge, PlannedEnd, planned_ends};
use super::left_rows::LeftRows;
use super::locks::Locks;
use super::plan_file::PlannedRows;
use super::planning::{Plan, held_back, plan, plan_path, plans_on_record, snapshot_path};
use super::progress::progress;
use super::question::{Asked, Question};
use super::resolved_job::ResolvedJob;
use super::sent_rows::SentRows;
use super::signals::Signals;
use super::surveying::{AppRun, Surveyed, wants_names};
use super::waves::WaveCourse;
use super::{Done, terminal};

/// Everything that a session needs.
pub(super) struct Session<'a> {
    pub(super) record: &'a RecordArgs,
    pub(super) output: &'a OutputArgs,
    /// Who is asked before anything is changed.
    pub(super) asked: Asked,
    pub(super) resolved: ResolvedJob,
    pub(super) open: Open,
    pub(super) folder: RunFolder,
    pub(super) beginning: Beginning,
    pub(super) left: LeftRows,
    pub(super) journal: Journal,
    pub(super) locks: Locks,
    /// Who asks to stop.
    pub(super) interrupts: Signals,
    /// What earlier sessions came to.
    pub(super) digest: Digest,
    /// Whether damaged lines of the journal are passed over.
    pub(super) salvage: bool,
    /// What is left, if this is not the first session.
    pub(super) resumed: Option<Resumed>,
    pub(super) seed: u64,
}

/// How a session went.
enum Went {
    /// To its end.
    Ended(Ended),
    /// The question was answered with no, or by a signal, and nothing of it is to be kept.
    Declined(Ended),
}

impl Session<'_> {
    /// Carries it out.
    pub(super) async fn carry_out(mut self) -> Done {
        let mut progress = progress(self.output, self.digest.tally.clone());
        terminal::log(
            self.output.verbose,
            self.output.quiet,
            self.output.log_format,
            progress.above.clone(),
        );
        let now = clock::wall();
        let zone = zone(&self.resolved.job);
        let deadline = deadline(&self.resolved.job.settings, &zone, clock::began(), now);
        let terms = terms(&self.resolved.job.settings, self.open.service_time());
        let last_start = deadline.map(|left| last_start(&zone, now, left));
        let announcement =
            Announcement::new(&self.resolved, &self.open, self.resumed.clone(), last_start)?;
        match self.output.progress {
            _ if self.output.quiet => {}
            ProgressShape::Json => terminal::complain_json(&announcement.json()),
            ProgressShape::Auto
            | ProgressShape::Bar
            | ProgressShape::Plain
            | ProgressShape::None => terminal::complain(&announcement.text()),
        }
        for proxy in &self.open.proxies {
            tracing::info!("proxy {proxy}");
        }
        let session = match &self.beginning {
            Beginning::Run(_) => 1,
            Beginning::Session(started, _) => started.session,
        };
        let census = &self.resolved.census;
        let all = census.rows - census.skipped;
        let rows = self.resumed.as_ref().map_or(all, |resumed| resumed.left);
        let approvals = self.digest.approvals.iter();
        let approved = approvals.map(|(_, approval)| approval.wave).max();
        let waves = self.digest.waves.values();
        let differing = waves.filter(|wave| !wave.differing.is_empty());
        let differing = differing.map(|wave| wave.wave).collect();
        let ended_waves = self.digest.waves.keys().copied().collect();
        let planned_sessions = plans_on_record(&self.folder, &self.digest, self.salvage);
        let mut log = Log::new(self.resolved.job.settings.finds_limit);
        let mut watchers: Vec<&mut dyn Watcher> = vec![&mut self.digest, &mut log];
        if let Some(watcher) = &mut progress.watcher {
            watchers.push(&mut **watcher);
        }
        let clock = System;
        let settings = &self.resolved.job.settings;
        let deadline = deadline.map(|left| clock.now() + left);
        let stop_at = stop_at(settings, &zone, clock::began());
        let course = course(
            settings,
            self.open.lanes_of(settings),
            terms,
            (deadline, stop_at),
        );
        let tools = Tools {
            service: &self.open.client,
            record: &mut self.journal,
            watchers,
            left_out: self.locks.left_out.clone(),
            paces: &self.open.paces,
            clock: &clock,
            dice: &mut Seeded::new(self.seed),
            interrupts: self.interrupts.as_mut(),
        };
        let legs = Legs {
            asked: self.asked,
            resolved: &self.resolved,
            folder: &self.folder,
            above: progress.above.clone(),
            target: self.open.text(),
            session,
            planned_sessions,
            rows,
            terms,
            approved: approved.unwrap_or_default(),
            ended_waves,
            differing,
        };
        let ran = match Run::begin(self.beginning, course, tools) {
            Ok(run) => legs.carry_out(run, &mut self.left).await,
            Err(broken) => Err(broken),
        };
        drop(progress);
        let ends = self.journal.take_ends().map(Rc::new);
        drop(self.journal);
        let ran = match ran {
            Ok(Went::Declined(ended)) => {
                self.folder.forget()?;
                self.open.close()?;
                if !self.output.quiet {
                    terminal::complain("\nnothing was sent");
                }
                return Ok(Exit::of_run(ended, &Tally::default(), false));
            }
            Ok(Went::Ended(ended)) => Ok(ended),
            Err(broken) => Err(broken),
        };
        self.open.disconnect().await;
        let done = close(Closed {
            record: self.record,
            output: self.output,
            resolved: self.resolved,
            folder: self.folder,
            open: self.open,
            digest: self.digest,
            salvage: self.salvage,
            ends,
            ran,
        });
        drop(self.locks);
        done
    }
}

/// The legs of a session, one after the other.
pub(super) struct Legs<'a> {
    pub(super) asked: Asked,
    pub(super) resolved: &'a ResolvedJob,
    pub(super) folder: &'a RunFolder,
    pub(super) above: Option<Above>,
    pub(super) target: String,
    /// The how-manieth session of the run.
    pub(super) session: u32,
    /// Earlier sessions that have made a plan.
    pub(super) planned_sessions: Vec<u32>,
    /// Rows that are taken up.
    pub(super) rows: u64,
    /// By what they are compared with the live state.
    pub(super) terms: Terms,
    /// The last wave after which somebody has let the run go on.
    pub(super) approved: u32,
    /// Waves that have ended in an earlier session.
    pub(super) ended_waves: BTreeSet<u32>,
    /// Waves of which rows were not as they were set when they were read back.
    pub(super) differing: Vec<u32>,
}

impl Legs<'_> {
    async fn carry_out<R: Record>(
        self,
        mut run: AppRun<'_, R>,
        left: &mut LeftRows,
    ) -> Result<Went, Broken> {
        let resolved = self.resolved;
        match resolved.job.settings.snapshot {
            flags::Snapshot::Off => {
                let wishes = &resolved.census.wishes;
                let rows = self.rows;
                let preview = format!(
                    "{}\n{}: {}\nthe live state is not read: whatever is there is overwritten",
                    self.target,
                    counted(rows, "row"),
                    wishes.text()
                );
                let question = Question::new(&preview, rows, wishes.disabled);
                if let Some(ended) = self.declined(&mut run, question).await? {
                    return Ok(Went::Declined(ended));
                }
                let mut rows = SentRows::blind(resolved, left)?;
                run.rows(&mut rows).await?;
            }
            flags::Snapshot::Required => {
                let path = snapshot_path(self.folder, self.session);
                let mut surveyed =
                    Surveyed::kept_at(&path, self.folder.readers(), wants_names(resolved))?;
                surveyed.read(&mut run, resolved, left).await?;
                if !run.schedule().is_stopping()
                    && let Some(ended) = self.carry_out_plan(&mut run, left, surveyed).await?
                {
                    return Ok(Went::Declined(ended));
                }
            }
        }
        run.finish().await.map(Went::Ended)
    }

    /// Plans, asks, and carries out. Gives how it was declined, if it was.
    async fn carry_out_plan<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        left: &mut LeftRows,
        mut surveyed: Surveyed,
    ) -> Result<Option<Ended>, Broken> {
        let resolved = self.resolved;
        let path = plan_path(self.folder, self.session);
        let place = (path.as_path(), self.folder.readers());
        surveyed.know_changed(resolved, left)?;
        let mut samples = Vec::new();
        let mut plan = {
            let mut judge = Judge::new(resolved, self.terms, left, &mut surveyed)?;
            plan(
                run.schedule(),
                resolved,
                left,
                &mut judge,
                place,
                |assessment| {
                    if samples.len() < SAMPLES
                        && let Some(row) = assessment.planned_row()
                        && !row.change.is_empty()
                    {
                        samples.push(row.text());
                    }
                },
            )?
        };
        plan.counts.snapshot_sha256 = Some(surveyed.sync().map_err(RowsError::from)?);
        // From here on the plan says everything.
        drop(surveyed);
        if let Some(text) = plan.astray_text() {
            tracing::warn!("{text}");
        }
        for ((lane, workspace), name) in &plan.names {
            run.note(Event::WorkspaceNamed {
                lane: *lane,
                workspace: workspace.clone(),
                name: name.clone(),
            })?;
        }
        // Where nothing could be read, there is no plan.
        if plan.counts.rows() > 0 {
            run.note(Event::Planned(plan.counts.clone()))?;
        }
        let settings = &resolved.job.settings;
        if let Some((ended, why)) = held_back(settings, &plan.counts) {
            run.decide(|schedule| schedule.stop(ended, &why))?;
        }
        // Rows that are judged by what earlier stages leave are among them.
        let sent = plan.sent;
        if sent > 0 && !run.schedule().is_stopping() {
            let preview = preview(&self.target, &plan, &samples, settings);
            let question = Question::new(&preview, sent, plan.counts.disables);
            if let Some(declined) = self.declined(run, question).await? {
                return Ok(Some(declined));
            }
        }
        // A row whose update has no proof is judged by what was there before anything was sent.
        let before = self.earlier_snapshots()?;
        let is_held_back = run.schedule().is_stopping();
        let course = WaveCourse::new(resolved, left)?;
        if course.is_some() {
            run.decide(Schedule::take_not_updated)?;
        }
        // Those of stages end wave by wave.
        let mut ends: Vec<PlannedEnd> = Vec::new();
        let is_staged = !resolved.job.stages.is_empty() && !is_held_back;
        planned_ends(&path, left, is_held_back, |end| {
            if is_staged {
                ends.push(end);
                return Ok(());
            }
            end.tell(run)
        })?;
        match (course, plan.index) {
            (Some(course), Some(index)) => {
                self.carry_out_waves(run, left, course, (&index, ends))
                    .await?;
            }
            (_, index) => {
                let rows = match index {
                    Some(index) => PlannedRows::by_index(&path, index)?,
                    None => PlannedRows::in_order(&path)?,
                };
                let mut rows = SentRows::planned(rows, left, self.terms, before);
                run.rows(&mut rows).await?;
            }
        }
        Ok(None)
    }

    /// What earlier sessions read that sent something by it, the first of them first.
    pub(super) fn earlier_snapshots(&self) -> Result<Vec<Snapshot<File>>, RowsError> {
        let mut snapshots = Vec::new();
        for session in &self.planned_sessions {
            match File::open(snapshot_path(self.folder, *session)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => snapshots.push(Snapshot::open(file?)?),
            }
        }
        Ok(snapshots)
    }

    /// How whoever can be asked declines, if they do. A run that began in an earlier session is stopped by it.
    async fn declined<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        question: Question,
    ) -> Result<Option<Ended>, Broken> {
        let Some(ended) = self.answer(run, question).await? else {
            return Ok(None);
        };
        if self.session > 1 {
            run.decide(|schedule| schedule.stop(ended, "the question was answered with no"))?;
            return Ok(None);
        }
        Ok(Some(ended))
    }

    /// What a no, or somebody who asks to stop meanwhile, ends the run with; none where the answer is yes, or nobody can be
    /// asked.
    pub(super) async fn answer<R: Record>(
        &self,
        run: &mut AppRun<'_, R>,
        question: Question,
    ) -> Result<Option<Ended>, Broken> {
        let Asked::Terminal(terminal) = &self.asked else {
            return Ok(None);
        };
        let Ok(terminal) = terminal.try_clone() else {
            return Ok(None);
        };
        if let Some(above) = &self.above {
            above.hide();
        }
        // A thread of its own, which nobody waits for if the run is to stop meanwhile.
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            let _ = tell.send(question.ask(&terminal));
        });
        Ok(match run.ask(told).await? {
            Ok(Ok(Ok(true))) => {
                if let Some(above) = &self.above {
                    above.show();
                }
                None
            }
            Ok(_) => Some(Ended::Interrupted),
            Err(ended) => Some(ended),
        })
    }
}

/// What is to be changed, workspace by workspace.
fn preview(target: &str, plan: &Plan, samples: &[String], settings: &Settings) -> String {
    let mut lines = vec![target.to_owned()];
    for ((lane, workspace), counts) in plan.places.iter().take(MOST_PLACES) {
        let place = plan.place_text(*lane, workspace);
        lines.push(format!("  {place}: {}", counts.text()));
    }
    if plan.places.len() > MOST_PLACES {
        lines.push(format!(
            "  and {}",
            counted((plan.places.len() - MOST_PLACES) as u64, "more workspace")
        ));
    }
    let counts = &plan.counts;
    lines.extend(samples.iter().cloned());
    let more = counts.changes.saturating_sub(samples.len() as u64);
    if more > 0 {
        lines.push(format!(
            "  and {more} more (`flowbatch plan --full` shows all; of an undo, `--dry-run` more)"
        ));
    }
    let at_least = plan.estimate.at_least(settings.rate, settings.burst);
    lines.push(format!(
        "{}; {}, at least {}",
        counts.changes_text(),
        counted(plan.estimate.total().all(), "request"),
        span::show(at_least)
    ));
    lines.join("\n")
}

/// Rows that are shown before the question.
const SAMPLES: usize = 3;

/// Workspaces that are told one by one.
const MOST_PLACES: usize = 20;
