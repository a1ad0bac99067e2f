//! The plan of a session: what is to be sent, put on record before anything is.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::ports::RowsError;
use crate::engine::schedule::{MOST_CANARIES, Schedule};
use crate::job::index::Index;
use crate::job::settings::Settings;
use crate::model::change::Change;
use crate::model::counted::counted;
use crate::model::event::{Counts, Event, Stamped};
use crate::model::id::{Id, same_id};
use crate::model::outcome::Ended;
use crate::model::target::{LaneId, Workspace};
use crate::plan::estimate::{Canaries, Estimate, Requests};
use crate::plan::preview::{Action, PlannedRow};
use crate::policy::budget::Budget;
use crate::sinks::digest::Digest;
use crate::sinks::ends::Trace;
use crate::sinks::history::History;

use super::folder::{Readers, RunFolder, create, sha256_of};
use super::judge::{Judge, Verdict};
use super::left_rows::LeftRows;
use super::resolved_job::ResolvedJob;

/// What the rows of a session come to.
pub(super) struct Plan {
    /// Where those stand that are to be sent.
    pub(super) index: Index,
    pub(super) counts: Counts,
    /// The requests that it takes, without those that were sent to make it.
    pub(super) estimate: Estimate,
    /// The same by workspace.
    pub(super) places: BTreeMap<(LaneId, Workspace), Counts>,
    /// Holds for workflows that neither a row names nor a reading has found.
    pub(super) astray: Vec<Id>,
    /// What people call those workspaces, as far as anybody says.
    pub(super) names: BTreeMap<(LaneId, Workspace), String>,
}

impl Plan {
    /// That some holds hold nothing, if some do.
    pub(super) fn astray_text(&self) -> Option<String> {
        let first = self.astray.iter().take(3).map(Id::to_string);
        let first = first.collect::<Vec<_>>().join(", ");
        let more = match self.astray.len() {
            0 => return None,
            1..=3 => String::new(),
            many => format!(" and {} more", many - 3),
        };
        Some(format!(
            "the hold list names workflows that neither a row names nor the service has shown: {first}{more}"
        ))
    }

    /// The workspace, for people: by its name, if it is known.
    pub(super) fn place_text(&self, lane: LaneId, workspace: &Workspace) -> String {
        match self.names.get(&(lane, workspace.clone())) {
            Some(name) => format!("workspace {name:?}, {workspace}"),
            None => format!("workspace {workspace}"),
        }
    }
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
const FORMAT: u32 = 1;

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

/// Plans the rows of `left`, and writes the plan as `path`, for these `readers`. `show` sees every row but those that are as
/// wished already.
pub(super) fn plan(
    schedule: &Schedule,
    resolved: &ResolvedJob,
    left: &mut LeftRows,
    judge: &mut Judge<'_>,
    (path, readers): (&Path, Readers),
    mut show: impl FnMut(LaneId, &PlannedRow) -> std::io::Result<()>,
) -> Result<Plan, RowsError> {
    let mut file = PlanFile::create(path, readers)?;
    let head = Head {
        plan: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        job: resolved.name.clone(),
    };
    file.line(&head)?;
    let mut plan = Plan {
        index: Index::default(),
        counts: Counts::default(),
        estimate: Estimate::default(),
        places: BTreeMap::new(),
        names: BTreeMap::new(),
        astray: Vec::new(),
    };
    let mut canaries = Canaries {
        is_proven: schedule.tally().is_proven,
        safe: (schedule.tally().proven).union(resolved.job.settings.allow_cleared),
        count: schedule.tally().canaries,
        most: MOST_CANARIES,
    };
    let mut unmet = resolved.job.selection.held.clone();
    unmet.retain(|id, _| !resolved.census.held_ids.contains(id));
    left.each(resolved, |row, offset, past| {
        let verdict = judge.judge(schedule, &row, &past)?;
        let counts = plan.places.entry((row.lane, row.workspace.clone()));
        match verdict {
            Verdict::Unread(_) => {}
            Verdict::Held(_, id, _) => {
                unmet.remove(&same_id(&id));
            }
            Verdict::Open(conflict) => {
                let counts = counts.or_default();
                match conflict {
                    None => counts.unchanged += 1,
                    Some(planned) => {
                        counts.see(&planned);
                        show(row.lane, &planned)?;
                    }
                }
                counts.reads += 1;
                plan.estimate.read(row.lane, 1);
                plan.index.push(&row, offset)?;
            }
            Verdict::Unchanged(..) => counts.or_default().unchanged += 1,
            Verdict::Planned {
                row: planned,
                reads,
                stake,
            } => {
                let counts = counts.or_default();
                counts.see(&planned);
                counts.reads += u64::from(reads);
                show(row.lane, &planned)?;
                match planned.action {
                    Action::Change => {
                        let is_canary = canaries.takes(stake);
                        let readings = u64::from(reads || is_canary)
                            + u64::from(is_canary)
                            + u64::from(resolved.verifies(row.number));
                        let requests = Requests {
                            updates: 1,
                            readings,
                        };
                        plan.estimate.add(row.lane, requests);
                    }
                    // Whether an update follows is not known yet.
                    Action::ReadBack => plan.estimate.read(row.lane, 1),
                    Action::Conflict | Action::Fail => return Ok(()),
                }
                plan.index.push(&row, offset)?;
                file.line(&planned)?;
            }
        }
        Ok(())
    })?;
    for counts in plan.places.values() {
        plan.counts.add(counts);
    }
    for (lane, workspace) in plan.places.keys() {
        if let Some(name) = judge.workspace_name(*lane, workspace) {
            let place = (*lane, workspace.clone());
            plan.names.insert(place, name.to_owned());
        }
    }
    let places = plan.places.keys();
    plan.astray = judge.astray(unmet, places)?;
    plan.counts.living = judge.living();
    let counts = plan.counts.clone();
    file.line(&Foot { counts })?;
    plan.counts.sha256 = Some(file.finish()?);
    Ok(plan)
}

/// Why a plan that comes to `counts` is not carried out, and how its run ends then.
pub(super) fn held_back(settings: &Settings, counts: &Counts) -> Option<(Ended, String)> {
    let drifted = counts.conflicts + counts.hopeless;
    if settings.must_hold && drifted > 0 {
        let rows = counted(drifted, "row");
        let have = if drifted == 1 { "does" } else { "do" };
        let why =
            format!("{rows} of the plan {have} not hold any more, and --allow-drift was not given");
        return Some((Ended::Ceiling, why));
    }
    if settings.strict && counts.hopeless > 0 {
        let rows = counted(counts.hopeless, "row");
        let why = format!("{rows} cannot be carried out, and --strict allows none");
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
    of_session(folder, "plan", session)
}

/// The file of what a session read.
pub(super) fn snapshot_path(folder: &RunFolder, session: u32) -> PathBuf {
    of_session(folder, "snapshot", session)
}

fn of_session(folder: &RunFolder, name: &str, session: u32) -> PathBuf {
    match session {
        0 | 1 => folder.file(&format!("{name}.jsonl")),
        session => folder.file(&format!("{name}-{session}.jsonl")),
    }
}

/// The sessions by whose plans updates may have been sent: those whose plan the journal knows. With `salvage` it may have lost that
/// line, and all plans in `folder` count.
pub(super) fn plans_on_record(folder: &RunFolder, digest: &Digest, salvage: bool) -> Vec<u32> {
    let known = digest.plans.keys().copied();
    if !salvage {
        return known.collect();
    }
    let last = known.max().unwrap_or(0).max(digest.later_sessions() + 1);
    let is_there = |session: &u32| plan_path(folder, *session).exists();
    (1..=last.saturating_add(1)).filter(is_there).collect()
}

/// What rows that were sent without an end were to change, by the plans of the sessions `plans`; the last plan counts.
pub(super) fn planned_changes(
    folder: &RunFolder,
    plans: &[u32],
    history: &History<File>,
) -> std::io::Result<HashMap<u64, (Option<Id>, Change)>> {
    let mut changes = HashMap::new();
    if !history.has_sent() {
        return Ok(changes);
    }
    let wanted = |number: u64| matches!(history.of(number), Trace::Sent { .. });
    for session in plans {
        let file = match File::open(plan_path(folder, *session)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            file => file?,
        };
        for line in BufReader::new(file).split(b'\n') {
            // Neither the first line nor the last is a row; a torn one was never acted upon.
            let Ok(row) = serde_json::from_slice::<PlannedRow>(&line?) else {
                continue;
            };
            if wanted(row.row) && !row.change.is_empty() {
                changes.insert(row.row, (Some(row.workflow_id), row.change));
            }
        }
    }
    // Where a workflow was read again before its update, the attempt says what was there.
    let journal = File::open(folder.file("journal.jsonl"))?;
    for line in BufReader::new(journal).split(b'\n') {
        let line = line?;
        if !contains(&line, b"\"event\":\"attempt\"") || !contains(&line, b"\"change\":") {
            continue;
        }
        if let Ok(Stamped {
            event:
                Event::Attempt {
                    row,
                    change: Some(change),
                    ..
                },
            ..
        }) = serde_json::from_slice(&line)
            && wanted(row)
        {
            let (_, planned) = changes.entry(row).or_default();
            *planned = change;
        }
    }
    Ok(changes)
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}
