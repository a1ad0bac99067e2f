//! Reads what lives in the workspaces of a job, and keeps it in a snapshot.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use crate::engine::ports::{Errand, Past, Record, RowsError, Source};
use crate::engine::run::{Broken, Run};
use crate::job::index::Index;
use crate::job::stage::{Stage, stage_of};
use crate::model::id::Id;
use crate::model::outcome::{ErrorClass, Failure};
use crate::model::reading::Need;
use crate::model::reading::{Of, Reading};
use crate::model::reply::Data;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::workflow::OddWorkflow;
use crate::plan::decision::{Decision, Live, Terms, decide, may_want_versions, wants_versions};
use crate::plan::directory::Directory;
use crate::plan::snapshot::{Snapshot, nearest};
use crate::plan::survey::Survey;
use crate::secmaster::client::Client;

use super::clock::{Seeded, System};
use super::folder::{Appended, Readers, create};
use super::lane_rows::LaneRows;
use super::left_rows::LeftRows;
use super::overlay::Overlay;
use super::resolved_job::ResolvedJob;

/// A run of this program, whatever it is recorded by.
pub(super) type AppRun<'a, R> = Run<'a, Client, R, System, Seeded>;

/// Rows that a list which was read to its end does not hold are read once more by themselves, up to so
/// many in a workspace: others may have been removed meanwhile, which moves the pages.
const MISSED: u64 = 20;

/// Whether rows of `resolved` give names, or name their workflows.
pub(super) fn wants_names(resolved: &ResolvedJob) -> bool {
    resolved.census.named + resolved.census.wishes.renamed > 0
}

/// What was read.
pub(super) struct Surveyed {
    pub(super) snapshot: Snapshot<Appended>,
    /// What earlier stages of the job set, for the rows of later ones.
    pub(super) overlay: Overlay,
    /// The stages, once their rows are numbered.
    pub(super) stages: Vec<Stage>,
    /// The stage that all rows belong to which are looked at, as long as they are not.
    pub(super) stage: usize,
    lists: Survey,
    /// What the workspaces are called, as far as anybody says.
    pub(super) directory: Directory,
    /// Workflows of the lists that could not be read.
    odd: Vec<OddWorkflow>,
    /// Why a workflow could not be read.
    failures: HashMap<(LaneId, Workspace, Id), Failure>,
    /// What workflows are called, in workspaces where somebody is not found.
    names: HashMap<(LaneId, Workspace), Vec<String>>,
    /// The names by which rows know their workflows.
    named: HashSet<(LaneId, Workspace, String)>,
    /// Whether a row whose workflow has its new name already is blocked.
    is_strict: bool,
}

impl Surveyed {
    /// Nothing yet; it is to be kept as `path`. With `has_names` workflows are found by their names as well.
    pub(super) fn kept_at(
        path: &Path,
        readers: Readers,
        has_names: bool,
    ) -> Result<Self, RowsError> {
        let file = Appended::to(create(path, readers)?);
        Ok(Self {
            snapshot: Snapshot::new(file, has_names),
            overlay: Overlay::default(),
            stages: Vec::new(),
            stage: 0,
            lists: Survey::default(),
            directory: Directory::default(),
            odd: Vec::new(),
            failures: HashMap::new(),
            names: HashMap::new(),
            named: HashSet::new(),
            is_strict: false,
        })
    }

    /// Reads what the rows of `left` name.
    pub(super) async fn read<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        resolved: &ResolvedJob,
        left: &mut LeftRows,
    ) -> Result<(), Broken> {
        self.stages.clone_from(&resolved.job.stages);
        let projects = self
            .read_lists(run, resolved, left, &BTreeSet::new())
            .await?;
        self.read_singly(run, resolved, left, true).await?;
        self.read_names(run, projects.into_iter()).await
    }

    /// Takes up which workflows earlier sessions have changed, for the stages after those that did.
    pub(super) fn know_changed(
        &mut self,
        resolved: &ResolvedJob,
        left: &mut LeftRows,
    ) -> Result<(), RowsError> {
        if self.stages.is_empty() {
            return Ok(());
        }
        left.each_done(resolved, |row, _, outcome| {
            if let Some(change) = outcome.change {
                let workflow_id = outcome.workflow_id.unwrap_or(row.workflow_id.clone());
                let stage = stage_of(&self.stages, row.number).unwrap_or_default();
                let row = Row { workflow_id, ..row };
                self.overlay.was_done(stage, &row, change.after);
            }
            Ok(())
        })
    }

    /// Reads what workspaces are called, as far as anybody says: no run depends on it.
    pub(super) async fn read_names<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        projects: impl Iterator<Item = (LaneId, Id)>,
    ) -> Result<(), Broken> {
        for (lane, project_id) in projects {
            self.directory.add(lane, &project_id, Need::Nice);
        }
        run.survey(&mut Lists(self)).await
    }

    /// Reads the workflows that the rows of `left` name, and all of the workspaces `whole`.
    pub(super) async fn read_workflows<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        resolved: &ResolvedJob,
        left: &mut LeftRows,
        whole: &BTreeSet<(LaneId, Workspace)>,
    ) -> Result<(), Broken> {
        self.read_lists(run, resolved, left, whole).await?;
        self.read_singly(run, resolved, left, false).await
    }

    /// Reads the lists of the workspaces that the rows of `left` go to, as far as they are worth it, and all of the workspaces
    /// `whole`. Gives the projects that all of them belong to.
    async fn read_lists<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        resolved: &ResolvedJob,
        left: &mut LeftRows,
        whole: &BTreeSet<(LaneId, Workspace)>,
    ) -> Result<BTreeSet<(LaneId, Id)>, Broken> {
        if resolved.job.settings.ceilings.wants_totals() {
            self.lists.count_all();
        }
        // Where a workflow is only named, all of its workspace is wanted.
        let mut places: BTreeMap<(LaneId, Workspace), Option<u64>> =
            whole.iter().map(|place| (place.clone(), None)).collect();
        self.is_strict = resolved.job.settings.strict;
        let mut want = |place: (LaneId, Workspace), count: u64, is_named: bool| {
            let rows = places.entry(place).or_insert(Some(0));
            *rows = rows.map(|rows| rows + count).filter(|_| !is_named);
        };
        match left.are_of_earlier() || resolved.census.named > 0 {
            false => {
                for (lane, census) in resolved.census.lanes.iter().enumerate() {
                    for place in &census.places {
                        want((LaneId(lane), place.workspace.clone()), place.rows, false);
                    }
                }
            }
            true => left.each(resolved, |row, _, past| {
                let is_named = row.called.is_some() && past.workflow_id.is_none();
                if let Some(name) = row.called {
                    let key = (row.lane, row.workspace.clone(), name);
                    self.named.insert(key);
                }
                want((row.lane, row.workspace), 1, is_named);
                Ok(())
            })?,
        }
        let projects = places.keys();
        let projects = projects.map(|(lane, place)| (*lane, place.project_id.clone()));
        let projects = projects.collect();
        self.read_places(run, places.into_iter()).await?;
        Ok(projects)
    }

    /// Reads the workspaces as a whole, or as far as so many rows want it.
    pub(super) async fn read_places<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        places: impl Iterator<Item = ((LaneId, Workspace), Option<u64>)>,
    ) -> Result<(), Broken> {
        for ((lane, workspace), rows) in places {
            self.lists.add(lane, &workspace, rows);
        }
        run.survey(&mut Lists(self)).await?;
        self.settle()
    }

    /// Reads which workspaces the projects have.
    pub(super) async fn read_directory<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        projects: impl Iterator<Item = (LaneId, Id)>,
    ) -> Result<(), Broken> {
        for (lane, project_id) in projects {
            self.directory.add(lane, &project_id, Need::Must);
        }
        run.survey(&mut Lists(self)).await
    }

    /// Reads by itself what no list holds; and with `versions` those of workflows whose rows wish for another than the one in use.
    async fn read_singly<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        resolved: &ResolvedJob,
        left: &mut LeftRows,
        versions: bool,
    ) -> Result<(), Broken> {
        let mut missed: HashMap<(LaneId, Workspace), u64> = HashMap::new();
        let (mut singles, mut of_singles) = (Index::default(), Index::default());
        let mut wanting = Index::default();
        let schedule = run.schedule();
        left.each(resolved, |row, offset, past| {
            let names_version = versions && may_want_versions(&row);
            if row.called.is_some() && past.workflow_id.is_none() {
                // No list, no name.
                if names_version && self.wants_versions(row.clone(), &past)? {
                    wanting.push(&row, offset)?;
                }
                return Ok(());
            }
            let workflow_id = past.workflow_id.as_ref().unwrap_or(&row.workflow_id);
            let (lane, place) = (row.lane, &row.workspace);
            if self.snapshot.knows(lane, place, workflow_id.as_str()) {
                if names_version && self.wants_versions(row.clone(), &past)? {
                    wanting.push(&row, offset)?;
                }
                return Ok(());
            }
            if schedule.refuses(lane, place).is_some() {
                return Ok(());
            }
            if self.lists.is_complete(lane, place) {
                let missed = missed.entry((lane, place.clone())).or_default();
                *missed += 1;
                if *missed > MISSED {
                    return Ok(());
                }
            }
            singles.push(&row, offset)?;
            if names_version {
                of_singles.push(&row, offset)?;
            }
            Ok(())
        })?;
        let of_workflow = |row: &Row| Of::Workflow(row.workflow_id.clone());
        self.read_each(run, resolved, singles, of_workflow).await?;
        if !of_singles.is_empty() {
            let mut rows = LaneRows::over(of_singles, resolved)?;
            for lane in 0..resolved.census.lanes.len() {
                while let Some((row, offset)) = rows.next_with_offset(LaneId(lane))? {
                    if self.wants_versions(row.clone(), &Past::default())? {
                        wanting.push(&row, offset).map_err(RowsError::from)?;
                    }
                }
            }
        }
        self.read_each(run, resolved, wanting, |row| {
            Of::Versions(row.workflow_id.clone())
        })
        .await
    }

    /// Whether `row` wishes for another version of its workflow than the one in use.
    fn wants_versions(&mut self, row: Row, past: &Past) -> Result<bool, RowsError> {
        let Ok(row) = self.identify(row, past)? else {
            return Ok(false);
        };
        let id = row.workflow_id.as_str();
        let live = self.snapshot.live(row.lane, &row.workspace, id)?;
        Ok(live.is_some_and(|live| wants_versions(&row, &live.workflow)))
    }

    /// Reads something for each row of `index`.
    async fn read_each<R: Record>(
        &mut self,
        run: &mut AppRun<'_, R>,
        resolved: &ResolvedJob,
        index: Index,
        of: impl Fn(&Row) -> Of,
    ) -> Result<(), Broken> {
        if index.is_empty() {
            return Ok(());
        }
        let rows = LaneRows::over(index, resolved)?;
        let mut singles = Singles {
            rows,
            of,
            surveyed: self,
        };
        run.survey(&mut singles).await?;
        self.settle()
    }

    /// The row, with the id of its workflow where it is only named.
    pub(super) fn identify(
        &mut self,
        row: Row,
        past: &Past,
    ) -> Result<Result<Row, (Box<Row>, Failure)>, RowsError> {
        let Some(name) = row.called.clone() else {
            return Ok(Ok(row));
        };
        if let Some(workflow_id) = past.workflow_id.clone() {
            // By now it may be called what the row wishes.
            return Ok(Ok(Row { workflow_id, ..row }));
        }
        let (lane, workspace) = (row.lane, row.workspace.clone());
        if !self.lists.is_complete(lane, &workspace) {
            let why = self.lists.why_incomplete(lane, &workspace);
            let why = why.unwrap_or("it was not listed");
            let what = format!("{name:?} cannot be looked up by its name: {why}");
            let failure = Failure::new(ErrorClass::Permission, what);
            return Ok(Err((Box::new(row), failure)));
        }
        let found = self.snapshot.called(lane, &workspace, &name)?;
        let place = (lane, &workspace);
        let mut found = self
            .overlay
            .called(self.stage_of(row.number), place, &name, found);
        if found.len() == 1
            && let Some(workflow_id) = found.pop().and_then(|id| Id::parse(&id).ok())
        {
            return Ok(Ok(Row { workflow_id, ..row }));
        }
        if found.is_empty()
            && let Some(row) = self.renamed_before(&row)?
        {
            return Ok(Ok(row));
        }
        let id = &workspace.workspace_id;
        let failure = if found.is_empty() {
            let near = match self.called_nearly(lane, &workspace, &name)? {
                near if near.is_empty() => String::new(),
                near => format!("; there is {near:?}"),
            };
            let odd = self.odd.first().map(|odd| format!("; {odd}"));
            let odd = odd.unwrap_or_default();
            let what = format!("no workflow of workspace {id} is called {name:?}{near}{odd}");
            Failure::new(ErrorClass::NotFound, what)
        } else {
            let what = format!(
                "{} workflows of workspace {id} are called {name:?}: give the workflow_id ({})",
                found.len(),
                found.join(", ")
            );
            Failure::new(ErrorClass::Validation, what)
        };
        Ok(Err((Box::new(row), failure)))
    }

    /// The row whose workflow, by its old name, is not there, if it was carried out before: exactly one workflow has the new name,
    /// no other row knows it by that, and everything is as requested.
    fn renamed_before(&mut self, row: &Row) -> Result<Option<Row>, RowsError> {
        let Some(new) = row.update.name.clone().filter(|_| !self.is_strict) else {
            return Ok(None);
        };
        let (lane, workspace) = (row.lane, row.workspace.clone());
        if self.named.contains(&(lane, workspace.clone(), new.clone())) {
            return Ok(None);
        }
        let found = self.snapshot.called(lane, &workspace, &new)?;
        let [found] = found.as_slice() else {
            return Ok(None);
        };
        let Ok(workflow_id) = Id::parse(found) else {
            return Ok(None);
        };
        let row = Row {
            workflow_id,
            ..row.clone()
        };
        let live = self.live(&row)?;
        let is_as_requested =
            |live: Live| decide(&row, &live, Terms::default()) == Decision::Unchanged;
        Ok(live.is_some_and(is_as_requested).then_some(row))
    }

    /// Names of the workspace that are nearly `name`, three at most. They are read once for all that are missing.
    fn called_nearly(
        &mut self,
        lane: LaneId,
        workspace: &Workspace,
        name: &str,
    ) -> Result<Vec<String>, RowsError> {
        let place = (lane, workspace.clone());
        let names = match self.names.entry(place) {
            Entry::Occupied(names) => names.into_mut(),
            Entry::Vacant(place) => place.insert(self.snapshot.names(lane, workspace)?),
        };
        Ok(nearest(name, names))
    }

    /// What was read of the row's workflow.
    pub(super) fn live(&mut self, row: &Row) -> Result<Option<Live>, RowsError> {
        let id = row.workflow_id.as_str();
        let mut live = self.snapshot.live(row.lane, &row.workspace, id)?;
        if let Some(live) = &mut live {
            let stage = self.stage_of(row.number);
            let workflow = &mut live.workflow;
            self.overlay
                .apply(stage, row.lane, &row.workspace, workflow);
        }
        Ok(live)
    }

    /// The stage of row `number`, by its place.
    pub(super) fn stage_of(&self, number: u64) -> usize {
        stage_of(&self.stages, number).unwrap_or(self.stage)
    }

    /// A stage after that of `row` that has changed already what the row is to change.
    pub(super) fn overtaken_by(&self, row: &Row) -> Option<&Stage> {
        let stage = self.stage_of(row.number);
        let later = self.overlay.overtaken_by(stage, row)?;
        self.stages.get(later)
    }

    /// Whether an earlier stage changes the workflow of `row`.
    pub(super) fn is_touched(&self, row: &Row) -> bool {
        self.overlay.touches(self.stage_of(row.number), row)
    }

    fn settle(&mut self) -> Result<(), Broken> {
        Ok(self.snapshot.settle().map_err(RowsError::from)?)
    }

    /// Makes the file in which it is kept durable. Gives its SHA-256.
    pub(super) fn sync(&mut self) -> std::io::Result<String> {
        self.snapshot.file_mut().sync()
    }

    /// Why something of the row's workflow could not be read.
    pub(super) fn failure(&self, row: &Row) -> Option<Failure> {
        let key = (row.lane, row.workspace.clone(), row.workflow_id.clone());
        self.failures.get(&key).cloned()
    }

    /// Why nothing is known of the row's workflow.
    pub(super) fn why_missing(&self, row: &Row) -> Failure {
        if let Some(failure) = self.failure(row) {
            return failure;
        }
        if let Some(why) = self.why_incomplete(row.lane, &row.workspace) {
            return Failure::new(
                ErrorClass::Canceled,
                format!("its workflow was not read: {why}"),
            );
        }
        let living = self.snapshot.living(row.lane, &row.workspace);
        Failure::new(
            ErrorClass::NotFound,
            format!(
                "workspace {} holds no such workflow (it holds {living}): is this the right workspace?",
                row.workspace.workspace_id
            ),
        )
    }

    /// What lists hold and could not be read, for people.
    pub(super) fn odd_texts(&self) -> impl Iterator<Item = String> {
        self.odd.iter().map(|odd| format!("{odd}; it is left out"))
    }

    /// Why not all of `workspace` was listed, if not all was.
    pub(super) fn why_incomplete(&self, lane: LaneId, workspace: &Workspace) -> Option<&str> {
        self.lists.why_incomplete(lane, workspace)
    }

    /// How many workflows live in the workspaces that were read.
    pub(super) fn living(&self) -> Option<u64> {
        self.lists.living()
    }

    fn keep(&mut self, reading: &Reading, data: Result<Data, Failure>) -> std::io::Result<()> {
        let workspace = &reading.workspace;
        match (&reading.of, data) {
            (
                Of::Page(page),
                Ok(Data::Page {
                    workflows,
                    odd,
                    total,
                }),
            ) => {
                for listed in &workflows {
                    self.snapshot.keep(reading.lane, workspace, listed)?;
                }
                let count = (workflows.len() + odd.len()) as u64;
                for odd in odd {
                    if let Ok(id) = Id::parse(&odd.id) {
                        let failure = Failure::new(ErrorClass::Protocol, odd.to_string());
                        self.failures
                            .insert((reading.lane, workspace.clone(), id), failure);
                    }
                    // A list may move while it is read.
                    if !self.odd.contains(&odd) {
                        self.odd.push(odd);
                    }
                }
                self.lists.found(reading, *page, count, total);
            }
            (Of::Workflow(id), Ok(Data::Workflow(mut listed))) => {
                let found = &mut listed.workflow.id;
                if found.is_empty() {
                    *found = id.to_string();
                }
                if *found == id.as_str() {
                    self.snapshot.keep(reading.lane, workspace, &listed)?;
                } else {
                    let what = format!("the answer is about another workflow: {found}");
                    let failure = Failure::new(ErrorClass::Protocol, what);
                    self.failures
                        .insert((reading.lane, workspace.clone(), id.clone()), failure);
                }
            }
            (Of::Versions(id), Ok(Data::Versions(versions))) => {
                self.snapshot
                    .keep_versions(reading.lane, workspace, id.as_str(), &versions)?;
            }
            (Of::Workspaces(offset, need), Ok(Data::Workspaces { workspaces, total })) => {
                let at = (*offset, *need);
                self.directory.found(reading, at, workspaces, total);
            }
            (Of::Workspaces(..), Err(failure)) => self.directory.failed(reading, &failure),
            (Of::Page(_), Err(failure)) => self.lists.failed(reading, &failure),
            (Of::Workflow(id) | Of::Versions(id), Err(failure)) => {
                // Where the lane or the workspace is closed, that says it all.
                if failure.class != ErrorClass::Canceled {
                    self.failures
                        .insert((reading.lane, workspace.clone(), id.clone()), failure);
                }
            }
            // The schedule gives to each reading what it asked for.
            (_, Ok(_)) => {}
        }
        Ok(())
    }
}

/// Lists of workspaces.
struct Lists<'a>(&'a mut Surveyed);

impl Source for Lists<'_> {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let next = self.0.directory.next(lane);
        Ok(next
            .or_else(|| self.0.lists.next(lane))
            .map(Errand::Reading))
    }

    fn found(&mut self, reading: &Reading, data: Result<Data, Failure>) -> Result<(), RowsError> {
        Ok(self.0.keep(reading, data)?)
    }
}

/// A reading for each row.
struct Singles<'a, F> {
    rows: LaneRows,
    of: F,
    surveyed: &'a mut Surveyed,
}

impl<F: Fn(&Row) -> Of> Source for Singles<'_, F> {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let row = self.rows.next(lane)?;
        Ok(row.map(|row| {
            Errand::Reading(Reading {
                lane,
                of: (self.of)(&row),
                workspace: row.workspace,
            })
        }))
    }

    fn found(&mut self, reading: &Reading, data: Result<Data, Failure>) -> Result<(), RowsError> {
        Ok(self.surveyed.keep(reading, data)?)
    }
}
