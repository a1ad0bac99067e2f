//! Builds rows: completes what a draft leaves out, and says where each row goes.

use std::collections::HashMap;

use crate::model::id::{Id, trim};
use crate::model::route::Route;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

use super::bearing::{Bearing, Given};
use super::column::Column;
use super::defaults::{Defaults, Told};
use super::draft::Draft;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::template::{self, Template};
use super::wish::Desk;

/// Builds rows and remembers where they go.
#[derive(Clone, Debug)]
pub struct Builder {
    defaults: Defaults,
    /// The columns that the templates speak of.
    names: Vec<String>,
    number: u64,
    /// Where the row before went, by its cells that say so: mostly the next one goes there, too.
    last: Option<Trodden>,
    told: Vec<Told>,
    lanes: HashMap<Route, LaneId>,
    routes: Vec<Route>,
    /// Workspaces that were looked up: way, project and name.
    workspaces: HashMap<(LaneId, Id, String), Id>,
    /// A row that has no region and no endpoint.
    pub astray: Option<Place>,
    /// Whether a row goes to the environment's region for want of another.
    pub by_environment: bool,
    /// Whether a row goes where a row, a flag, the job or a profile says.
    pub by_name: bool,
    /// Lanes with a project that is to be looked up.
    pub without_project: Vec<LaneId>,
    /// Workspaces that are to be looked up, and where the first row stands that names them.
    pub without_workspace: HashMap<(LaneId, Id, String), Place>,
    /// Regions whose rows take a project from a place that names no region.
    pub with_stray_project: Vec<String>,
}

/// The columns that say where a row goes.
const BEARINGS: [Column; 5] = [
    Column::Profile,
    Column::Region,
    Column::ProjectId,
    Column::WorkspaceId,
    Column::Workspace,
];

/// A way that a row has gone.
#[derive(Clone, Debug)]
struct Trodden {
    cells: [Option<String>; BEARINGS.len()],
    lane: LaneId,
    workspace: Workspace,
}

impl Trodden {
    fn is_of(&self, draft: &impl Draft) -> bool {
        let mut cells = BEARINGS.iter().zip(&self.cells);
        cells.all(|(column, cell)| draft.cell(*column) == cell.as_deref())
    }
}

impl Builder {
    /// A builder of rows from number 1.
    pub fn new(defaults: Defaults) -> Self {
        let mut builder = Self {
            told: defaults.told.clone(),
            names: template::columns(&defaults.templates),
            defaults,
            number: 0,
            last: None,
            lanes: HashMap::new(),
            routes: Vec::new(),
            workspaces: HashMap::new(),
            astray: None,
            by_environment: false,
            by_name: false,
            without_project: Vec::new(),
            without_workspace: HashMap::new(),
            with_stray_project: Vec::new(),
        };
        for route in builder.defaults.routes.clone() {
            builder.lane_of(route);
        }
        for known in builder.defaults.workspaces.clone() {
            let lane = builder.lane_of(known.route);
            let key = (lane, known.project_id, known.name);
            builder.workspaces.insert(key, known.workspace_id);
        }
        builder
    }

    /// From here on, rows are completed by these wishes.
    pub fn complete_by(&mut self, update: &Update, templates: &[Template]) {
        self.defaults.update = update.clone();
        self.defaults.templates = templates.to_vec();
        self.names = template::columns(templates);
    }

    /// How many rows there were so far.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// Where the lanes lead that rows have taken so far, in the order of their numbers.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Row `number` was read, which needs no building.
    pub fn met(&mut self, number: u64) {
        self.number = number;
    }

    /// The row that `draft` means, or `None` and its problems.
    pub fn build(&mut self, draft: &impl Draft, problems: &mut Problems) -> Option<Row> {
        self.build_as(self.number + 1, draft, problems)
    }

    /// The row that was built last once more, completed by `further` as well.
    pub fn complete(
        &mut self,
        draft: &impl Draft,
        further: &Update,
        problems: &mut Problems,
    ) -> Option<Row> {
        self.put_together(self.number, draft, Some(further), problems)
    }

    /// The row that `draft` means, as the row with this number.
    pub fn build_as(
        &mut self,
        number: u64,
        draft: &impl Draft,
        problems: &mut Problems,
    ) -> Option<Row> {
        self.put_together(number, draft, None, problems)
    }

    fn put_together(
        &mut self,
        number: u64,
        draft: &impl Draft,
        further: Option<&Update>,
        problems: &mut Problems,
    ) -> Option<Row> {
        self.number = number;
        let mut desk = Desk::new(draft, problems);
        let is_free = desk.is_unspoilt(&self.names);
        let (workflow_id, called) = desk.workflow(self.defaults.is_blind);
        let wave = desk.wave();
        let place = self.place(&mut desk);
        let defaults = &self.defaults.update;
        let (update, version, guards) = match further {
            None => desk.wishes(&self.defaults, defaults),
            Some(further) => desk.wishes(&self.defaults, &defaults.clone().or(further)),
        }?;
        let (lane, workspace) = place.filter(|_| is_free)?;
        Some(Row {
            number: self.number,
            line: draft.line(),
            lane,
            workspace,
            workflow_id: workflow_id?,
            called,
            wave,
            update,
            version,
            guards,
        })
    }

    /// The row's lane and workspace; `None` is a problem that has been told, or nothing says where.
    fn place<D: Draft>(&mut self, desk: &mut Desk<'_, D>) -> Option<(LaneId, Workspace)> {
        if let Some(last) = self.last.as_ref().filter(|last| last.is_of(desk.draft)) {
            return Some((last.lane, last.workspace.clone()));
        }
        let bearing = self.defaults.bearing(desk)?;
        let lane = self.lane(&bearing, desk);
        let workspace = self.workspace(desk, &bearing, lane)?;
        let lane = lane?;
        self.last = Some(Trodden {
            cells: BEARINGS.map(|column| desk.draft.cell(column).map(str::to_owned)),
            lane,
            workspace: workspace.clone(),
        });
        Some((lane, workspace))
    }

    /// Where `draft` goes, as far as anything says: the route, the project and the workspace. `None` is
    /// a problem that has been told, or there is nothing that says where.
    pub fn bound_for(
        &mut self,
        draft: &impl Draft,
        problems: &mut Problems,
    ) -> Option<(Route, Option<Id>, Option<Id>)> {
        let mut desk = Desk::new(draft, problems);
        let bearing = self.defaults.bearing(&mut desk)?;
        let lane = self.lane(&bearing, &desk)?;
        let project_id = self.defaults.given(&mut desk, &bearing, Given::PROJECT)?;
        let workspace_id = self.defaults.given(&mut desk, &bearing, Given::WORKSPACE)?;
        let id = |given: Option<(Id, bool)>| given.map(|(id, _)| id);
        Some((
            self.routes[lane.0].clone(),
            id(project_id),
            id(workspace_id),
        ))
    }

    /// The lane of the row's route, which may be a new one.
    fn lane<D: Draft>(&mut self, bearing: &Bearing, desk: &Desk<'_, D>) -> Option<LaneId> {
        let Some(way) = bearing.way.clone() else {
            if !self.told.contains(&Told::Way) {
                self.astray.get_or_insert_with(|| desk.draft.whole());
            }
            return None;
        };
        self.by_environment |= bearing.by_environment;
        self.by_name |= !bearing.by_environment;
        Some(self.lane_of(Route {
            endpoint: way.endpoint,
            region: way.region,
            profile: bearing.profile.as_ref().map(|profile| profile.name.clone()),
        }))
    }

    fn lane_of(&mut self, route: Route) -> LaneId {
        let next = LaneId(self.routes.len());
        let lane = *self.lanes.entry(route.clone()).or_insert(next);
        if lane == next {
            self.routes.push(route);
        }
        lane
    }

    /// Where a change looks, as far as anything says: the lane, the project and the workspace of the job.
    /// `None` is a problem that has been told, or nothing says where.
    pub fn scope(
        &mut self,
        draft: &impl Draft,
        problems: &mut Problems,
    ) -> Option<(LaneId, Id, Option<Id>)> {
        let mut desk = Desk::new(draft, problems);
        let bearing = self.defaults.bearing(&mut desk)?;
        let lane = self.lane(&bearing, &desk)?;
        let project_id = self.project(&mut desk, &bearing, Some(lane))?;
        let workspace_id = self.defaults.given(&mut desk, &bearing, Given::WORKSPACE)?;
        Some((lane, project_id, workspace_id.map(|(id, _)| id)))
    }

    fn workspace<D: Draft>(
        &mut self,
        desk: &mut Desk<'_, D>,
        bearing: &Bearing,
        lane: Option<LaneId>,
    ) -> Option<Workspace> {
        let project_id = self.project(desk, bearing, lane);
        if desk.text(Column::Workspace).is_some() {
            return self.named_workspace(desk, lane?, project_id?);
        }
        let workspace_id = self.defaults.given(desk, bearing, Given::WORKSPACE)?;
        let workspace_id = workspace_id.map(|(id, _)| id);
        if workspace_id.is_none() {
            self.missing(desk, Given::WORKSPACE);
        }
        Some(Workspace {
            project_id: project_id?,
            workspace_id: workspace_id?,
        })
    }

    /// The workspace that the row calls by its name, or what stands for it until it is looked up.
    fn named_workspace<D: Draft>(
        &mut self,
        desk: &mut Desk<'_, D>,
        lane: LaneId,
        project_id: Id,
    ) -> Option<Workspace> {
        let column = Column::Workspace;
        let name = trim(desk.text(column)?).to_owned();
        if desk.text(Column::WorkspaceId).is_some() {
            let hint = "leave one of the cells empty";
            desk.wrong(column, "the row gives a workspace_id and a workspace", hint);
            return None;
        }
        if let Some(flag) = &self.defaults.flags.target.workspace_id {
            let hint = format!("--workspace-id says {flag}; leave out the flag");
            let what = "the row names a workspace, and so does --workspace-id";
            desk.wrong(column, what, &hint);
            return None;
        }
        if self.defaults.is_blind {
            let what = "a workspace is looked up by its name, which --snapshot off leaves out";
            desk.wrong(column, what, "give its workspace_id");
            return None;
        }
        let key = (lane, project_id.clone(), name);
        if let Some(workspace_id) = self.workspaces.get(&key) {
            return Some(Workspace {
                project_id,
                workspace_id: workspace_id.clone(),
            });
        }
        let workspace_id = Row::stand_in(&key.2)?;
        self.without_workspace
            .entry(key)
            .or_insert_with(|| desk.draft.place(column));
        Some(Workspace {
            project_id,
            workspace_id,
        })
    }

    /// The project of the row; `None` is a problem that has been told.
    fn project<D: Draft>(
        &mut self,
        desk: &mut Desk<'_, D>,
        bearing: &Bearing,
        lane: Option<LaneId>,
    ) -> Option<Id> {
        let project_id = match self.defaults.given(desk, bearing, Given::PROJECT)? {
            Some((id, placed)) => {
                let region = bearing.way.as_ref().and_then(|way| way.region.as_ref());
                if let Some(region) = region.filter(|_| !placed)
                    && !self.with_stray_project.contains(region)
                {
                    self.with_stray_project.push(region.clone());
                }
                Some(id)
            }
            None => lane.and_then(|lane| self.project_of(lane)),
        };
        if project_id.is_none() && lane.is_some() {
            self.missing(desk, Given::PROJECT);
        }
        project_id
    }

    /// The project of a lane whose rows leave it open: IAM knows it by the name of the region, which
    /// stands for it until it has been looked up.
    fn project_of(&mut self, lane: LaneId) -> Option<Id> {
        let route = &self.routes[lane.0];
        if let Some(id) = self.defaults.looked_up(route) {
            return Some(id.clone());
        }
        let region = route.region.as_deref()?;
        let stand_in = Id::parse(region).ok()?;
        if !self.without_project.contains(&lane) {
            self.without_project.push(lane);
        }
        Some(stand_in)
    }

    /// Tells that the row has no project, or no workspace.
    fn missing<D: Draft>(&mut self, desk: &mut Desk<'_, D>, given: Given) {
        // Where there is no such column at all, one row's problem is every row's.
        let whole = desk.draft.cell(given.column).is_none();
        if whole && self.told.contains(&given.told) {
            return;
        }
        self.told.push(given.told);
        let (name, option, variable) = (given.column.as_str(), given.option(), given.variable);
        desk.problems.push(Problem::new(
            desk.draft.whole(),
            format!("the row has no {name}"),
            format!(
                "add a column {name}, [target] {name}, {option}, a profile with one, or {variable}"
            ),
        ));
    }
}
