//! `flowbatch plan`: what a job would change, by the live state. Changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tempfile::TempDir;

use crate::cli::{CredentialArgs, IfLocked, JobArgs, OutputArgs, OutputShape, PlanArgs};
use crate::engine::work::millis;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::destination::Destination;
use crate::job::flags::Snapshot;
use crate::model::counted::counted;
use crate::model::event::Counts;
use crate::model::outcome::{Ended, Status};
use crate::model::span;
use crate::model::target::{LaneId, Workspace};
use crate::plan::estimate::{Estimate, Requests};
use crate::plan::preview::{Action, PlannedRow};
use crate::sinks::digest::Digest;
use crate::sinks::summary::{UNREADABLE, is_wrong_workspace, unread, verdict};

use super::announcement::Announcement;
use super::course::terms;
use super::destination::{Open, is_simulator};
use super::folder::{Readers, State};
use super::judge::Judge;
use super::left_rows::LeftRows;
use super::loaded_job::LoadedJob;
use super::locks::{Holder, Locks, Policy, places};
use super::planning::{Plan, held_back, plan as plan_rows};
use super::reading::{Came, Reading};
use super::resolved_job::ResolvedJob;
use super::saved_plan::Recounted;
use super::settling::{choose, look_up};
use super::surveying::{Surveyed, wants_names};
use super::waves::WaveCourse;
use super::{Done, clock, lanes, runtime, saved_plan, terminal};

/// What a plan is made for, and how it is shown.
pub(super) struct Asked<'a> {
    pub(super) credential: &'a CredentialArgs,
    pub(super) output: &'a OutputArgs,
    pub(super) out: Option<&'a Path>,
    pub(super) full: bool,
    pub(super) detailed_exitcode: bool,
    pub(super) fresh: bool,
}

/// Shows what a job would change.
pub(super) fn plan(args: &PlanArgs) -> Done {
    let asked = Asked {
        credential: &args.credential,
        output: &args.output,
        out: args.out.as_deref(),
        full: args.full,
        detailed_exitcode: args.detailed_exitcode,
        fresh: false,
    };
    of_job(&asked, &args.job, args.state_dir.as_deref(), args.strict)
}

/// Shows what `job` would change; with `strict` whether any of it is beyond carrying out.
pub(super) fn of_job(
    asked: &Asked<'_>,
    job: &JobArgs,
    state_dir: Option<&Path>,
    strict: bool,
) -> Done {
    if saved_plan::is_one(&job.job) {
        return Err(Error::Usage {
            what: format!("{} is a plan already", job.job),
            hint: "run it, or plan the job that it was made from".to_owned(),
        });
    }
    let state = State::open(state_dir)?;
    let loaded = LoadedJob::take_in(job, strict, &state)?;
    if let Some(path) = asked.out {
        saved_plan::check_target(path)?;
    }
    if loaded.so_far.job.settings.snapshot == Snapshot::Off {
        return Err(Error::Usage {
            what: "a plan is made from the live state, which --snapshot off does not read"
                .to_owned(),
            hint: "leave --snapshot off out".to_owned(),
        });
    }
    of_loaded(asked, &state, loaded)
}

/// Shows what `loaded` would change.
pub(super) fn of_loaded(asked: &Asked<'_>, state: &State, loaded: LoadedJob) -> Done {
    runtime()?.block_on(plan_loaded(asked, state, loaded))
}

/// What is shown of one workspace.
#[derive(Default)]
struct Shown {
    rows: Vec<PlannedRow>,
    /// Rows that would be sent, and rows that would not.
    good: usize,
    bad: usize,
    /// Rows that are not shown.
    more: u64,
}

/// Rows of a workspace that are shown without `--full`.
const SHOWN: usize = 20;

/// A plan that was made, and what it was made of.
pub(super) struct Made {
    pub(super) resolved: ResolvedJob,
    pub(super) open: Open,
    pub(super) plan: Plan,
    /// Where a run would stop half-way, and why.
    stops: Option<String>,
    shown: BTreeMap<(LaneId, Workspace), Shown>,
    digest: Digest,
    /// Where its file is, until this is dropped.
    folder: TempDir,
}

/// Plans what was `loaded`.
pub(super) async fn make(
    asked: &Asked<'_>,
    state: &State,
    loaded: LoadedJob,
) -> Result<Made, Error> {
    let so_far = &loaded.so_far;
    let (loaded, mut open, _locks) = match so_far.job.destination {
        Destination::Simulator => {
            // Its world is read and kept under its lock.
            let holder = || {
                let now = clock::wall();
                Holder::of(&State::run_id(now), so_far, now)
            };
            let policy = Policy {
                if_locked: IfLocked::Wait,
                quiet: asked.output.quiet,
            };
            let places = places(state, so_far, &loaded.searches);
            let locks = Locks::take(state, &places, holder, policy)?;
            let open = Open::simulator(&loaded, state.world(), asked.fresh).await?;
            (loaded, open, locks)
        }
        Destination::Services => {
            let credential = lanes::Asked::new(asked.credential, so_far.job.method);
            let without_project = &loaded.findings.without_project;
            let (open, projects) = Open::services(so_far, without_project, credential).await?;
            (loaded.with_projects(&projects, state)?, open, None)
        }
    };
    let loaded = look_up(loaded, &open, state, asked.output).await?;
    let resolved = choose(loaded, &open, state, asked.output).await?;
    let terms = terms(&resolved.job.settings, open.service_time());
    let folder = state.temporary_folder()?;
    let mut shown: BTreeMap<(LaneId, Workspace), Shown> = BTreeMap::new();
    let mut bad = Vec::new();
    let all = asked.full || asked.output.output == OutputShape::Json;
    let reading = Reading {
        open: &open,
        settings: &resolved.job.settings,
        output: asked.output,
        announcement: Announcement::new(&resolved, &open, None, None)?.text(),
        rows: (resolved.census.rows, resolved.census.skipped),
    };
    let came = reading
        .carry_out(async |run| {
            let mut surveyed = Surveyed::kept_at(
                &folder.path().join("snapshot.jsonl"),
                Readers::Owner,
                wants_names(&resolved),
            )?;
            let mut left = LeftRows::default();
            surveyed.read(run, &resolved, &mut left).await?;
            if run.schedule().is_stopping() {
                return Ok(None);
            }
            let path = folder.path().join("plan.jsonl");
            let mut judge = Judge::new(&resolved, terms, &mut left, &mut surveyed)?;
            let plan = plan_rows(
                run.schedule(),
                &resolved,
                &mut left,
                &mut judge,
                (&path, Readers::Owner),
                |assessment| {
                    let Some(row) = assessment.planned_row() else {
                        return;
                    };
                    let key = (row.lane, row.workspace.clone());
                    let place = shown.entry(key).or_default();
                    let status = match row.action {
                        Action::Conflict => Some(Status::Conflict),
                        Action::Fail => Some(Status::Failed),
                        Action::Change | Action::ReadBack => None,
                    };
                    bad.extend(status.map(|status| (row.row, status)));
                    // What needs a person is not hidden behind what does not.
                    let seen = match status {
                        Some(_) => &mut place.bad,
                        None => &mut place.good,
                    };
                    *seen += 1;
                    match all || *seen <= SHOWN {
                        true => place.rows.push(row),
                        false => place.more += 1,
                    }
                },
            )?;
            let course = WaveCourse::new(&resolved, &mut left)?;
            let stops = course.and_then(|course| course.closed_by(&bad));
            Ok(Some((plan, stops)))
        })
        .await?;
    open.close()?;
    let Came { to, ended, digest } = came;
    let astray = to.as_ref().and_then(|(plan, _)| plan.astray_text());
    if let Some(text) = astray.filter(|_| !asked.output.quiet) {
        terminal::complain(&format!("warning: {text}"));
    }
    let Some((plan, stops)) = to.filter(|_| ended == Ended::Completed) else {
        return Err(given_up(&digest, ended));
    };
    Ok(Made {
        resolved,
        open,
        plan,
        stops,
        shown,
        digest,
        folder,
    })
}

async fn plan_loaded(asked: &Asked<'_>, state: &State, loaded: LoadedJob) -> Done {
    let Made {
        resolved,
        open,
        plan,
        stops,
        shown,
        digest,
        folder,
    } = make(asked, state, loaded).await?;
    if asked.out.is_some() && !resolved.job.stages.is_empty() {
        return Err(Error::Usage {
            what: "a plan that is saved has no stages".to_owned(),
            hint: "leave --out away; `flowbatch run` plans all stages before it sends anything"
                .to_owned(),
        });
    }
    if let Some(path) = asked.out {
        let mut record = resolved.record(&open.lanes);
        record.defaults.routes = resolved.routes();
        record.settings.must_hold = true;
        let mut rows = Recounted::new(state, &record.defaults.routes)?;
        for row in saved_plan::planned_rows(&folder.path().join("plan.jsonl"))? {
            rows.push(row?)?;
        }
        saved_plan::save(path, record, rows)?;
        if !asked.output.quiet {
            terminal::complain(&format!("the plan is saved as {}", path.display()));
        }
    }
    let held = held_back(&resolved.job.settings, &plan.counts);
    let mut estimate = plan.estimate.clone();
    for (lane, readings) in resolved.readings.iter().chain(&digest.readings) {
        estimate.read(*lane, *readings);
    }
    let view = View {
        resolved: &resolved,
        open: &open,
        plan: &plan,
        shown: &shown,
        estimate,
        held: held.as_ref().map(|(_, why)| why.as_str()),
        stops: stops.as_deref(),
    };
    let counts = &plan.counts;
    let exit = match &held {
        Some((ended, _)) => Exit::of_run(*ended, &digest.tally, false),
        None if counts.conflicts + counts.hopeless + digest.closed.len() as u64 > 0 => {
            Exit::Attention
        }
        None if asked.detailed_exitcode && counts.changes > 0 => Exit::Pending,
        None => Exit::Done,
    };
    if asked.output.quiet && exit == Exit::Done {
        return Ok(exit);
    }
    match asked.output.output {
        OutputShape::Text => terminal::print(&view.text()),
        OutputShape::Json => {
            let json = serde_json::to_string_pretty(&view.json());
            terminal::print_json(&json.map_err(Error::machine("the plan could not be shown"))?);
        }
    }
    Ok(exit)
}

impl Made {
    /// The rows that are shown.
    pub(super) fn rows(&self) -> impl Iterator<Item = &PlannedRow> {
        self.shown.values().flat_map(|shown| &shown.rows)
    }
}

/// That what had to be read could not be.
pub(super) fn given_up(digest: &Digest, ended: Ended) -> Error {
    let mut lines: Vec<_> = digest
        .closed
        .iter()
        .map(|closed| format!("error: {closed}"))
        .collect();
    lines.extend(digest.unread.as_ref().map(unread));
    let is_wrong = digest.unread.as_ref().is_some_and(is_wrong_workspace);
    if ended == Ended::Refused && digest.refused_workspaces > 0 && !is_wrong {
        lines.push(format!("  {UNREADABLE}"));
    }
    if lines.is_empty() {
        lines.push(format!("{}; nothing was sent", verdict(digest)));
    }
    Error::GivenUp {
        text: lines.join("\n"),
        exit: match ended == Ended::Completed {
            true => Exit::Refused,
            false => Exit::of_run(ended, &digest.tally, false),
        },
    }
}

/// A plan as it is shown.
struct View<'a> {
    resolved: &'a ResolvedJob,
    open: &'a Open,
    plan: &'a Plan,
    shown: &'a BTreeMap<(LaneId, Workspace), Shown>,
    /// What a run that carries it out sends, what it reads to make it anew with it.
    estimate: Estimate,
    held: Option<&'a str>,
    stops: Option<&'a str>,
}

impl View<'_> {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        for ((lane, workspace), counts) in &self.plan.places {
            let route = match (self.open.is_simulated(), self.open.lanes.get(lane.0)) {
                (false, Some(facts)) if self.open.lanes.len() > 1 => {
                    format!("{}: ", facts.route.name())
                }
                _ => String::new(),
            };
            let place = self.plan.place_text(*lane, workspace);
            lines.push(format!("{route}{place}: {}", counts.text()));
            let Some(shown) = self.shown.get(&(*lane, workspace.clone())) else {
                continue;
            };
            let mut stage = None;
            for row in &shown.rows {
                if row.stage != stage {
                    stage.clone_from(&row.stage);
                    lines.extend(stage.iter().map(|stage| format!("  stage {stage:?}:")));
                }
                lines.push(row.text());
            }
            if shown.more > 0 {
                lines.push(format!(
                    "  and {} (--full shows them)",
                    counted(shown.more, "more row")
                ));
            }
        }
        let counts = &self.plan.counts;
        let settings = &self.resolved.job.settings;
        let simulated = if self.open.is_simulated() {
            " (simulated)"
        } else {
            ""
        };
        lines.push(format!(
            "{}{simulated}: {}",
            self.resolved.name,
            counts.text()
        ));
        if counts.changes > 0 {
            let at_least = self.estimate.at_least(settings.rate, settings.burst);
            lines.push(format!(
                "  {}, at most {} a lane: at least {}",
                self.estimate.total().text(),
                settings.rate,
                span::show(at_least)
            ));
        }
        match (self.held, self.stops) {
            (Some(why), _) => lines.push(format!("  a run would send nothing: {why}")),
            (None, Some(why)) => lines.push(format!("  a run would stop half-way: {why}")),
            (None, None) => {}
        }
        lines.join("\n")
    }

    fn json(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Json<'a> {
            schema_version: u32,
            job: &'a str,
            simulated: bool,
            counts: &'a Counts,
            requests: Requests,
            at_least_ms: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            held_back: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            stops: Option<&'a str>,
            rows: Vec<&'a PlannedRow>,
        }
        let settings = &self.resolved.job.settings;
        Json {
            schema_version: 1,
            job: &self.resolved.name,
            simulated: is_simulator(self.resolved.job.destination),
            counts: &self.plan.counts,
            requests: self.estimate.total(),
            at_least_ms: millis(self.estimate.at_least(settings.rate, settings.burst)),
            held_back: self.held,
            stops: self.stops,
            rows: self.shown.values().flat_map(|shown| &shown.rows).collect(),
        }
    }
}
