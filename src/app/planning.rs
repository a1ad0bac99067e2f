//! The plan of a session: what is to be sent, put on record before anything is.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

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
use crate::plan::assessment::{Assessment, End, Way};
use crate::plan::estimate::{Canaries, Estimate, Requests};
use crate::policy::budget::Budget;
use crate::sinks::digest::Digest;
use crate::sinks::ends::Trace;
use crate::sinks::history::History;

use super::folder::{Readers, RunFolder};
use super::judge::Judge;
use super::left_rows::LeftRows;
use super::placing::goes_in_waves;
use super::plan_file::{PlanReader, PlanWriter};
use super::resolved_job::ResolvedJob;

/// What the rows of a session come to.
pub(super) struct Plan {
    /// Where those stand in its file that are to be sent; none where all of them are read in their order.
    pub(super) index: Option<Index>,
    /// How many of them there are.
    pub(super) sent: u64,
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

/// Plans the rows of `left`, and writes the plan as `path`, for these `readers`. `show` sees every row.
pub(super) fn plan(
    schedule: &Schedule,
    resolved: &ResolvedJob,
    left: &mut LeftRows,
    judge: &mut Judge<'_>,
    (path, readers): (&Path, Readers),
    mut show: impl FnMut(&Assessment),
) -> Result<Plan, RowsError> {
    let targets = resolved.rows.targets();
    let mut file = PlanWriter::create(path, readers, &resolved.name, targets)?;
    // Rows of one lane that all go at once are read in their order.
    let needs_index = resolved.census.lanes.len() > 1 || goes_in_waves(&resolved.job);
    let mut plan = Plan {
        index: needs_index.then(Index::default),
        sent: 0,
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
    left.each(resolved, |row, _, past| {
        let assessment = judge.assess(schedule, row, &past)?;
        let row = assessment.row();
        let place = (row.lane, row.workspace.clone());
        show(&assessment);
        let offset = file.push(&assessment)?;
        match &assessment {
            Assessment::End(ending) => match ending.end {
                End::Held => {
                    unmet.remove(&same_id(&row.workflow_id));
                    return Ok(());
                }
                End::Unread => return Ok(()),
                End::Unchanged | End::Conflict | End::Fail => {}
            },
            Assessment::Send(sending) => {
                let reads = u64::from(sending.reads);
                match sending.way {
                    Way::Change => {
                        let is_canary = canaries.takes(sending.stake);
                        let readings = u64::from(sending.reads || is_canary)
                            + u64::from(is_canary)
                            + u64::from(resolved.verifies(row.number));
                        let requests = Requests {
                            updates: 1,
                            readings,
                        };
                        plan.estimate.add(row.lane, requests);
                    }
                    // Whether an update follows is not known yet.
                    Way::ReadBack | Way::Open => plan.estimate.read(row.lane, reads),
                }
                plan.sent += 1;
                if let Some(index) = &mut plan.index {
                    index.push(row, offset)?;
                }
            }
        }
        assessment.count(plan.places.entry(place).or_default());
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
    plan.counts.sha256 = Some(file.finish(&plan.counts)?);
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

/// What rows that were sent without an end were to change, by the plans of the sessions `plans`; the last plan counts. With `salvage`
/// what cannot be read of them is passed over: a plan that is not whole was never acted upon, or another one tells less.
pub(super) fn planned_changes(
    folder: &RunFolder,
    plans: &[u32],
    history: &History<File>,
    salvage: bool,
) -> std::io::Result<HashMap<u64, (Option<Id>, Change)>> {
    let mut changes = HashMap::new();
    if !history.has_sent() {
        return Ok(changes);
    }
    let wanted = |number: u64| matches!(history.of(number), Trace::Sent { .. });
    for session in plans {
        let mut plan = match PlanReader::open(&plan_path(folder, *session)) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) if salvage && is_damage(&error) => continue,
            plan => plan?,
        };
        loop {
            let sending = match plan.next_sending() {
                Err(error) if salvage && is_damage(&error) => continue,
                sending => sending?,
            };
            let Some(sending) = sending else { break };
            if wanted(sending.row.number) && !sending.change.is_empty() {
                let row = sending.row;
                changes.insert(row.number, (Some(row.workflow_id), sending.change));
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

/// Whether something was read that is not what was written.
fn is_damage(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}
