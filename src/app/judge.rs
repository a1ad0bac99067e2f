//! What becomes of each row of a session, by the live state.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::engine::ports::{Past, Record, RowsError, Taken as TakenUp};
use crate::engine::run::Broken;
use crate::engine::schedule::Schedule;
use crate::job::hold::Held;
use crate::job::selection::Selection;
use crate::job::stage::When;
use crate::model::change::Change;
use crate::model::field::{Field, FieldSet};
use crate::model::id::{Id, same_spelling};
use crate::model::outcome::{ErrorClass, Failure, Status};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;
use crate::plan::assessment::{Assessment, End, Ending, Sending, Way};
use crate::plan::decision::{Decision, Live, Terms, at_stake, decide, reads_first, wants_versions};
use crate::plan::preview::Action;

use super::left_rows::LeftRows;
use super::plan_file::PlanReader;
use super::resolved_job::ResolvedJob;
use super::surveying::{AppRun, Surveyed};

/// Judges rows. The same rows in the same order are judged the same.
pub(super) struct Judge<'a> {
    surveyed: &'a mut Surveyed,
    terms: Terms,
    selection: &'a Selection,
    /// Workflows that rows give another name, and in which stage first: the names that they have now will be free.
    renamed: HashMap<u64, usize>,
    /// Names that rows give, and to which workflow.
    given: HashMap<u64, u64>,
    /// The name that a workflow is given, where a later stage may give it another one.
    last_given: HashMap<u64, u64>,
    /// Workflows that have a row, by stage, where some rows only name theirs.
    met: Option<HashSet<(usize, u64)>>,
}

impl<'a> Judge<'a> {
    /// A judge of the rows of `left`, by what was `surveyed` and by these `terms`.
    pub(super) fn new(
        resolved: &'a ResolvedJob,
        terms: Terms,
        left: &mut LeftRows,
        surveyed: &'a mut Surveyed,
    ) -> Result<Self, RowsError> {
        let mut judge = Self {
            surveyed,
            terms,
            selection: &resolved.job.selection,
            renamed: HashMap::new(),
            given: HashMap::new(),
            last_given: HashMap::new(),
            met: (resolved.census.named > 0).then(HashSet::new),
        };
        if let Some(met) = &mut judge.met {
            left.each_done(resolved, |row, _, outcome| {
                let own = Some(row.workflow_id).filter(|_| row.called.is_none());
                // One that was refused beside another row, or is wrong in itself, has had nothing of its workflow.
                let had_none =
                    outcome.attempts == 0 && outcome.class() == Some(ErrorClass::Validation);
                if let Some(id) = outcome.workflow_id.or(own).filter(|_| !had_none) {
                    let stage = judge.surveyed.stage_of(row.number);
                    met.insert((stage, hash(row.lane, &row.workspace, id.as_str())));
                }
                Ok(())
            })?;
        }
        if resolved.census.wishes.renamed == 0 {
            return Ok(judge);
        }
        left.each(resolved, |row, _, past| {
            if row.update.name.is_none() {
                return Ok(());
            }
            let Ok(row) = judge.surveyed.identify(row, &past)? else {
                return Ok(());
            };
            let live = judge.surveyed.live(&row)?;
            if let Some(settled) = judge.settle(&row, &past, live.as_ref())
                && settled.name().is_some()
            {
                let id = row.workflow_id.as_str();
                let stage = judge.surveyed.stage_of(row.number);
                let key = hash(row.lane, &row.workspace, id);
                judge.renamed.entry(key).or_insert(stage);
            }
            Ok(())
        })?;
        Ok(judge)
    }

    /// What people call the workspace, if anybody says.
    pub(super) fn workspace_name(&self, lane: LaneId, workspace: &Workspace) -> Option<&str> {
        self.surveyed.directory.name(lane, workspace)
    }

    /// How many workflows live in the workspaces that were read, where that is known.
    pub(super) fn living(&self) -> Option<u64> {
        self.surveyed.living()
    }

    /// The workflows of `held` that are in none of these `places`; none where not all of them was listed.
    pub(super) fn astray<'p>(
        &mut self,
        mut held: Held,
        mut places: impl Iterator<Item = &'p (LaneId, Workspace)>,
    ) -> Result<Vec<Id>, RowsError> {
        let is_listed = |(lane, place): &(LaneId, Workspace)| {
            self.surveyed.why_incomplete(*lane, place).is_none()
        };
        // Most jobs hold none.
        if held.is_empty() || !places.all(is_listed) {
            return Ok(Vec::new());
        }
        {
            self.surveyed.snapshot.each(|_, _, listed| {
                held.remove(&same_spelling(&listed.workflow.id));
                Ok(())
            })?;
        }
        Ok(held.into_values().map(|hold| hold.workflow_id).collect())
    }

    /// What becomes of `row`.
    pub(super) fn assess(
        &mut self,
        schedule: &Schedule,
        row: Row,
        past: &Past,
    ) -> Result<Assessment, RowsError> {
        if let Some(why) = schedule.refuses(row.lane, &row.workspace) {
            let failure = Failure::new(ErrorClass::Canceled, why);
            return Ok(ending(row, End::Unread, None, Some(failure)).into());
        }
        let row = match self.surveyed.identify(row, past)? {
            Ok(row) => row,
            Err((row, failure)) => return Ok(ending(*row, End::Fail, None, Some(failure)).into()),
        };
        let stage = self.surveyed.stage_of(row.number);
        if let Some(met) = &mut self.met
            && !met.insert((
                stage,
                hash(row.lane, &row.workspace, row.workflow_id.as_str()),
            ))
        {
            let what = "another row is for the same workflow: make one row of them";
            let failure = Failure::new(ErrorClass::Validation, what);
            return Ok(ending(row, End::Fail, None, Some(failure)).into());
        }
        let live = self.surveyed.live(&row)?;
        let name = live.as_ref().map(|live| live.workflow.name.clone());
        let name = name.filter(|name| !name.is_empty());
        if let Some(why) = self.selection.held(&row.workflow_id) {
            let note = Some(why.to_owned());
            return Ok(Ending {
                note,
                ..ending(row, End::Held, name, None)
            }
            .into());
        }
        let is_touched = self.surveyed.is_touched(&row);
        let Some(settled) = self.settle(&row, past, live.as_ref()) else {
            if is_touched {
                return Ok(Sending {
                    way: Way::Open,
                    is_touched,
                    reads: true,
                    ..sending(row, live)
                }
                .into());
            }
            let note = renamed_before(&row, name.as_deref());
            return Ok(Ending {
                note,
                ..ending(row, End::Unchanged, name, None)
            }
            .into());
        };
        let settled = self.name_is_free(&row, settled)?;
        let at_hand = self.surveyed.stages.get(stage);
        let stage_name = at_hand.map(|stage| stage.name.clone());
        if let Some(at_hand) = at_hand {
            // What a stage for failures leaves, no plan can tell.
            let goes = settled.action == Action::Change && at_hand.when != When::Failed;
            match goes {
                true => {
                    let set = settled.change.after.clone();
                    self.surveyed.overlay.set(stage, &row, set);
                }
                false => self.surveyed.overlay.touch(stage, &row),
            }
        }
        let is_open = is_touched
            && settled.action == Action::Conflict
            && self.surveyed.overtaken_by(&row).is_none();
        let way = match settled.action {
            Action::Change => Way::Change,
            Action::ReadBack => Way::ReadBack,
            Action::Conflict if is_open => Way::Open,
            Action::Conflict | Action::Fail => {
                let end = match settled.action {
                    Action::Conflict => End::Conflict,
                    Action::Fail | Action::Change | Action::ReadBack => End::Fail,
                };
                let ending = Ending {
                    stage: stage_name,
                    ..ending(row, end, name, settled.failure)
                };
                return Ok(ending.into());
            }
        };
        Ok(Sending {
            way,
            change: settled.change,
            send: settled.send,
            is_touched,
            reads: settled.reads || is_open,
            stake: settled.stake,
            failure: settled.failure,
            stage: stage_name,
            ..sending(row, live)
        }
        .into())
    }

    /// What becomes of a row, from what to what, and why not; nothing if it is as wished already.
    fn settle(&self, row: &Row, past: &Past, live: Option<&Live>) -> Option<Settled> {
        if past.unproven {
            let change = past.change.clone().unwrap_or_default();
            return Some(Settled {
                action: Action::ReadBack,
                change,
                send: Update::default(),
                failure: None,
                reads: true,
                stake: FieldSet::default(),
            });
        }
        let Some(live) = live else {
            return Some(beyond(self.surveyed.why_missing(row)));
        };
        if let Some(later) = self.surveyed.overtaken_by(row) {
            let what = format!(
                "{later}, which comes after, has changed it already: undo the run, and run the job anew"
            );
            return Some(Settled {
                action: Action::Conflict,
                ..beyond(Failure::new(ErrorClass::Conflict, what))
            });
        }
        if row.wishes_nothing() && row.guards.is_empty() {
            return None;
        }
        if live.versions.is_none() && wants_versions(row, &live.workflow) {
            let unread = || Failure::new(ErrorClass::Canceled, "its versions were not read");
            return Some(beyond(self.surveyed.failure(row).unwrap_or_else(unread)));
        }
        let is_touched = self.surveyed.is_touched(row);
        match decide(row, live, self.terms.of_touched(is_touched)) {
            Decision::Unchanged => None,
            Decision::Change(change, send) => Some(Settled {
                action: Action::Change,
                change,
                failure: None,
                reads: is_touched || reads_first(row, &send, self.terms.sent),
                stake: at_stake(&send, &live.workflow),
                send,
            }),
            Decision::Conflict(message) => Some(Settled {
                action: Action::Conflict,
                ..beyond(Failure::new(ErrorClass::Conflict, message))
            }),
            Decision::Hopeless(failure) => Some(beyond(failure)),
        }
    }

    /// `settled`, unless it gives a name that another workflow of the workspace keeps, or is given.
    fn name_is_free(&mut self, row: &Row, settled: Settled) -> Result<Settled, RowsError> {
        let Some(name) = settled.name() else {
            return Ok(settled);
        };
        let taken = |by: &str| {
            let what = format!("the name {name:?} is taken: {by}");
            beyond(Failure::new(ErrorClass::Validation, what))
        };
        let (lane, workspace, id) = (row.lane, &row.workspace, row.workflow_id.as_str());
        let (name_key, workflow) = (hash(lane, workspace, name), hash(lane, workspace, id));
        let stage = self.surveyed.stage_of(row.number);
        match self.given.insert(name_key, workflow) {
            Some(other) if other != workflow => {
                self.given.insert(name_key, other);
                return Ok(taken("another row of the job gives it"));
            }
            Some(_) | None => {}
        }
        if !self.surveyed.stages.is_empty()
            && let Some(earlier) = self.last_given.insert(workflow, name_key)
            && earlier != name_key
        {
            self.given.remove(&earlier);
        }
        let keeps_it = |other: &str| {
            let renamed = self.renamed.get(&hash(lane, workspace, other));
            renamed.is_none_or(|renamed| *renamed > stage)
        };
        let snapshot = &mut self.surveyed.snapshot;
        let namesake = snapshot.namesake(lane, workspace, name, id, keeps_it);
        Ok(match namesake? {
            Some(other) => taken(&format!("workflow {other} of the workspace has it")),
            None => settled,
        })
    }
}

/// What becomes of a row, from what to what, and why not.
struct Settled {
    action: Action,
    change: Change,
    /// What its update holds.
    send: Update,
    failure: Option<Failure>,
    /// Whether its workflow is read just before its update.
    reads: bool,
    /// Fields that its update could clear by leaving them out.
    stake: FieldSet,
}

impl Settled {
    /// The name that is given, if one is.
    fn name(&self) -> Option<&String> {
        match self.action {
            Action::Change => self.change.after.get(&Field::Name),
            Action::ReadBack | Action::Conflict | Action::Fail => None,
        }
    }
}

fn beyond(failure: Failure) -> Settled {
    Settled {
        action: Action::Fail,
        change: Change::default(),
        send: Update::default(),
        failure: Some(failure),
        reads: false,
        stake: FieldSet::default(),
    }
}

/// `row`, which is carried out, and its workflow as it was read; how is still to be said.
fn sending(row: Row, live: Option<Live>) -> Sending {
    Sending {
        row,
        way: Way::Change,
        live,
        change: Change::default(),
        send: Update::default(),
        is_touched: false,
        reads: false,
        stake: FieldSet::default(),
        failure: None,
        stage: None,
    }
}

/// The end of `row`, for which nothing is sent.
fn ending(row: Row, end: End, live_name: Option<String>, failure: Option<Failure>) -> Ending {
    Ending {
        row,
        end,
        live_name,
        failure,
        note: None,
        stage: None,
    }
}

fn hash(lane: LaneId, workspace: &Workspace, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (lane, workspace, text).hash(&mut hasher);
    hasher.finish()
}

/// The end of a row that needs no request.
pub(super) struct PlannedEnd {
    row: TakenUp,
    status: Status,
    name: Option<String>,
    failure: Option<Failure>,
    note: Option<String>,
    held_back: bool,
}

impl PlannedEnd {
    /// Ends the row.
    pub(super) fn tell<R: Record>(self, run: &mut AppRun<'_, R>) -> Result<(), Broken> {
        let Self {
            row,
            status,
            name,
            failure,
            note,
            held_back,
        } = self;
        run.decide(|schedule| schedule.end_by_plan(&row, status, name, failure, note, held_back))
    }

    /// The end of a row that is not to be carried out after all, and why.
    pub(super) fn skipped(row: Row, past: Past, why: &str) -> Self {
        Self {
            row: TakenUp {
                past,
                ..TakenUp::from(row)
            },
            status: Status::Skipped,
            name: None,
            failure: None,
            note: Some(why.to_owned()),
            held_back: false,
        }
    }

    /// The row's number.
    pub(super) fn number(&self) -> u64 {
        self.row.row.number
    }
}

/// What is said of a row whose workflow has its new name already.
fn renamed_before(row: &Row, name: Option<&str>) -> Option<String> {
    let (called, name) = (row.called.as_deref()?, name?);
    (called != name && row.update.name.as_deref() == Some(name)).then(|| {
        format!("no workflow is called {called:?}; {name:?} is as requested, so the row was carried out before")
    })
}

/// Shows `end` the ends of those rows of the plan in the file `plan` that need no request. Of a plan that is held back only those
/// have ended that failed, are in conflict or could not be read, and a resumption judges all of them anew.
pub(super) fn planned_ends(
    plan: &Path,
    left: &mut LeftRows,
    is_held_back: bool,
    mut end: impl FnMut(PlannedEnd) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut plan = PlanReader::open(plan).map_err(RowsError::from)?;
    while let Some(ending) = plan.next_ending().map_err(RowsError::from)? {
        let status = match ending.end {
            End::Held | End::Unchanged if is_held_back => continue,
            End::Held => Status::Skipped,
            End::Unchanged => Status::Unchanged,
            End::Unread => Status::NotAttempted,
            End::Conflict => Status::Conflict,
            End::Fail => Status::Failed,
        };
        let past = left.past(ending.row.number)?.unwrap_or_default();
        end(PlannedEnd {
            row: TakenUp {
                past,
                ..TakenUp::from(ending.row)
            },
            status,
            name: ending.live_name,
            failure: ending.failure,
            note: ending.note,
            held_back: is_held_back && status != Status::NotAttempted,
        })?;
    }
    Ok(())
}
