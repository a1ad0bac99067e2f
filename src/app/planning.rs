//! Compares the rows of a session with the live states: what needs no request ends, and what is to be sent is
//! put on record before anything is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::ports::{Past, Record, RowsError, Taken as TakenUp};
use crate::engine::run::Broken;
use crate::job::index::Index;
use crate::job::settings::Settings;
use crate::model::change::Change;
use crate::model::event::Counts;
use crate::model::field::Field;
use crate::model::outcome::{Ended, ErrorClass, Failure, Status};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Sent;
use crate::plan::decision::{Decision, Live, decide};
use crate::plan::preview::{Action, PlannedRow};
use crate::policy::budget::Budget;

use super::folder::{Readers, RunFolder, create, sha256_of};
use super::intake::Taken;
use super::left_rows::LeftRows;
use super::surveying::{AppRun, Surveyed};

/// What the rows of a session come to.
pub(super) struct Plan {
    /// Where those stand that are to be sent.
    pub(super) index: Index,
    pub(super) counts: Counts,
    /// The same by workspace.
    pub(super) places: BTreeMap<(LaneId, Workspace), Counts>,
}

/// The first line of a plan's file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Of this file.
    plan: u32,
    tool_version: String,
    job: String,
}

/// Its last line.
#[derive(Debug, Serialize, Deserialize)]
struct Foot {
    counts: Counts,
}

/// Of a plan's file.
pub(super) const FORMAT: u32 = 1;

/// The file of a plan.
struct PlanFile<'a> {
    path: &'a Path,
    out: BufWriter<File>,
}

impl<'a> PlanFile<'a> {
    fn create(path: &'a Path, readers: Readers) -> std::io::Result<Self> {
        Ok(Self {
            path,
            out: BufWriter::new(create(path, readers)?),
        })
    }

    fn line(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    /// Its SHA-256; that it is there is durable.
    fn finish(mut self) -> std::io::Result<String> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        sha256_of(self.path)
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RowsError {
    RowsError(error.into())
}

/// Plans the rows of `left`, and writes the plan as `path`, for these `readers`. `show` sees every row but those that are as
/// wished already.
pub(super) fn plan<R: Record>(
    run: &mut AppRun<'_, R>,
    taken: &Taken,
    left: &mut LeftRows,
    surveyed: &mut Surveyed,
    (path, readers): (&Path, Readers),
    mut show: impl FnMut(LaneId, &PlannedRow) -> std::io::Result<()>,
) -> Result<Plan, Broken> {
    let mut file = PlanFile::create(path, readers).map_err(failed)?;
    let head = Head {
        plan: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        job: taken.name.clone(),
    };
    file.line(&head).map_err(failed)?;
    let mut plan = Plan {
        index: Index::default(),
        counts: Counts::default(),
        places: BTreeMap::new(),
    };
    let sent = taken.job.settings.send;
    let renamed = renamed(taken, left)?;
    let mut broken = None;
    left.each(taken, |row, offset, past| {
        if run.schedule().refuses(row.lane, &row.workspace).is_some() {
            return Ok(());
        }
        let live = surveyed
            .snapshot
            .live(&row.workspace, row.workflow_id.as_str());
        let live = live.map_err(failed)?;
        let live_name = live.as_ref().map(|live| live.workflow.name.clone());
        let live_name = live_name.filter(|name| !name.is_empty());
        let place = (row.lane, row.workspace.clone());
        let counts = plan.places.entry(place).or_default();
        let mut settled = settle(&row, &past, live.as_ref(), sent, surveyed);
        if let Some((Action::Change, change, _)) = &settled
            && let Some(name) = change.after.get(&Field::Name)
        {
            let id = row.workflow_id.as_str();
            let keeps_it = |other: &str| !renamed.contains(&hash(&row.workspace, other));
            let found = surveyed
                .snapshot
                .namesake(&row.workspace, name, id, keeps_it);
            if let Some(other) = found.map_err(failed)? {
                let what =
                    format!("the name {name:?} is taken: workflow {other} of the workspace has it");
                let failure = Failure::new(ErrorClass::Validation, what);
                settled = Some((Action::Fail, Change::default(), Some(failure)));
            }
        }
        let planned = match settled {
            None => {
                counts.unchanged += 1;
                let row = TakenUp {
                    row,
                    past,
                    live: None,
                };
                if let Err(error) = run.decide(|schedule| {
                    schedule.end_by_plan(&row, Status::Unchanged, live_name, None);
                }) {
                    broken.get_or_insert(error);
                }
                return Ok(());
            }
            Some((action, change, failure)) => PlannedRow {
                row: row.number,
                line: row.line,
                lane: row.lane,
                workspace: row.workspace.clone(),
                workflow_id: row.workflow_id.clone(),
                live_name: live_name.clone().unwrap_or_default(),
                action,
                change,
                guards: row.guards.clone(),
                failure,
            },
        };
        counts.see(&planned);
        let reads = !row.guards.is_empty() || past.doubt || sent == Sent::Full;
        counts.reads += u64::from(
            reads && planned.action != Action::Conflict && planned.action != Action::Fail,
        );
        show(row.lane, &planned).map_err(failed)?;
        let status = match planned.action {
            Action::Change | Action::ReadBack => {
                plan.index.push(&row, offset)?;
                return file.line(&planned).map_err(failed);
            }
            Action::Conflict => Status::Conflict,
            Action::Fail => Status::Failed,
        };
        let row = TakenUp {
            row,
            past,
            live: None,
        };
        if let Err(error) = run.decide(|schedule| {
            schedule.end_by_plan(&row, status, live_name, planned.failure);
        }) {
            broken.get_or_insert(error);
        }
        Ok(())
    })?;
    if let Some(broken) = broken {
        return Err(broken);
    }
    for counts in plan.places.values() {
        plan.counts.add(counts);
    }
    plan.counts.living = surveyed.living();
    let counts = plan.counts.clone();
    file.line(&Foot { counts }).map_err(failed)?;
    plan.counts.sha256 = Some(file.finish().map_err(failed)?);
    Ok(plan)
}

/// Workflows that rows give another name: the names that they have now will be free.
fn renamed(taken: &Taken, left: &mut LeftRows) -> Result<HashSet<u64>, RowsError> {
    let mut renamed = HashSet::new();
    left.each(taken, |row, _, _| {
        if row.update.name.is_some() {
            renamed.insert(hash(&row.workspace, row.workflow_id.as_str()));
        }
        Ok(())
    })?;
    Ok(renamed)
}

fn hash(workspace: &Workspace, workflow_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (workspace, workflow_id).hash(&mut hasher);
    hasher.finish()
}

/// What becomes of a row, from what to what, and why not; nothing if it is as wished already.
fn settle(
    row: &Row,
    past: &Past,
    live: Option<&Live>,
    sent: Sent,
    surveyed: &Surveyed,
) -> Option<(Action, Change, Option<Failure>)> {
    if past.doubt {
        let change = past.change.clone().unwrap_or_default();
        return Some((Action::ReadBack, change, None));
    }
    if row.wishes_nothing() && row.guards.is_empty() {
        return None;
    }
    let Some(live) = live else {
        let failure = surveyed.why_missing(row);
        return Some((Action::Fail, Change::default(), Some(failure)));
    };
    match decide(row, live, sent) {
        Decision::Unchanged => None,
        Decision::Change(change, _) => Some((Action::Change, change, None)),
        Decision::Conflict(message) => {
            let failure = Failure::new(ErrorClass::Conflict, message);
            Some((Action::Conflict, Change::default(), Some(failure)))
        }
        Decision::Hopeless(failure) => Some((Action::Fail, Change::default(), Some(failure))),
    }
}

/// How careful a run is with its plan.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caution {
    /// No row may be beyond carrying out.
    pub(super) strict: bool,
    /// No guard may fail, either.
    pub(super) must_hold: bool,
}

/// Why a plan that comes to `counts` is not carried out, and how its run ends then.
pub(super) fn held_back(
    settings: &Settings,
    caution: Caution,
    counts: &Counts,
) -> Option<(Ended, String)> {
    let drifted = counts.conflicts + counts.hopeless;
    if caution.must_hold && drifted > 0 {
        let (rows, have) = if drifted == 1 {
            ("row", "does")
        } else {
            ("rows", "do")
        };
        let why = format!(
            "{drifted} {rows} of the plan {have} not hold any more, and --allow-drift was not given"
        );
        return Some((Ended::Ceiling, why));
    }
    if caution.strict && counts.hopeless > 0 {
        let rows = counts.hopeless;
        let plural = if rows == 1 { "row" } else { "rows" };
        let why = format!("{rows} {plural} cannot be carried out, and --strict allows none");
        return Some((Ended::Ceiling, why));
    }
    // All rows of the plan are known by now.
    let budget = Budget {
        min_rows: 0,
        ..settings.stop
    };
    if let Some(why) = budget.exceeded(counts.hopeless, counts.rows()) {
        return Some((Ended::MaxErrors, format!("before anything was sent: {why}")));
    }
    let why = settings.ceilings.exceeded(counts)?;
    Some((Ended::Ceiling, why))
}

/// The file of the plan of a session, the how-manieth.
pub(super) fn plan_path(folder: &RunFolder, session: u32) -> PathBuf {
    match session {
        0 | 1 => folder.file("plan.jsonl"),
        session => folder.file(&format!("plan-{session}.jsonl")),
    }
}

/// What rows were to change by the plans of `folder`, as far as `wanted` wants to know; the last plan counts.
pub(super) fn planned_changes(
    folder: &RunFolder,
    sessions: u32,
    wanted: impl Fn(u64) -> bool,
) -> std::io::Result<HashMap<u64, Change>> {
    let mut changes = HashMap::new();
    for session in 1..=sessions.max(1) {
        let file = match File::open(plan_path(folder, session)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            file => file?,
        };
        for line in BufReader::new(file).lines() {
            // Neither the first line nor the last is a row; a torn one was never acted upon.
            let Ok(row) = serde_json::from_str::<PlannedRow>(&line?) else {
                continue;
            };
            if wanted(row.row) && !row.change.is_empty() {
                changes.insert(row.row, row.change);
            }
        }
    }
    Ok(changes)
}
