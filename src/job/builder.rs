//! Builds rows: completes what a draft leaves out, and says where each row goes.

use std::collections::HashMap;

use crate::model::id::Id;
use crate::model::route::Route;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};

use super::bearing::{Bearing, Given};
use super::defaults::{Defaults, Told};
use super::draft::Draft;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::wish::Desk;

/// Builds rows and remembers where they go.
#[derive(Clone, Debug)]
pub struct Builder {
    defaults: Defaults,
    number: u64,
    told: Vec<Told>,
    lanes: HashMap<Route, LaneId>,
    routes: Vec<Route>,
    /// A row that has no region and no endpoint.
    pub astray: Option<Place>,
    /// Whether a row goes to the environment's region for want of another.
    pub by_environment: bool,
    /// Whether a row goes where a row, a flag, the job or a profile says.
    pub by_name: bool,
    /// Lanes with a project that is to be looked up.
    pub without_project: Vec<LaneId>,
    /// Regions whose rows take a project from a place that names no region.
    pub with_stray_project: Vec<String>,
}

impl Builder {
    /// A builder of rows from number 1.
    pub fn new(defaults: Defaults) -> Self {
        Self {
            told: defaults.told.clone(),
            defaults,
            number: 0,
            lanes: HashMap::new(),
            routes: Vec::new(),
            astray: None,
            by_environment: false,
            by_name: false,
            without_project: Vec::new(),
            with_stray_project: Vec::new(),
        }
    }

    /// How many rows there were so far.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// Where the lanes lead that rows have taken so far, in the order of their numbers.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The row that `draft` means, or `None` and its problems.
    pub fn build(&mut self, draft: &impl Draft, problems: &mut Problems) -> Option<Row> {
        self.build_as(self.number + 1, draft, problems)
    }

    /// The row that `draft` means, as the row with this number.
    pub fn build_as(
        &mut self,
        number: u64,
        draft: &impl Draft,
        problems: &mut Problems,
    ) -> Option<Row> {
        self.number = number;
        let mut desk = Desk { draft, problems };
        let (workflow_id, called) = desk.workflow(self.defaults.is_blind);
        let bearing = self.defaults.bearing(&mut desk);
        let lane = bearing
            .as_ref()
            .and_then(|bearing| self.lane(bearing, &desk));
        let workspace = bearing
            .as_ref()
            .and_then(|bearing| self.workspace(&mut desk, bearing, lane));
        let blind = self.defaults.is_blind;
        let (update, version, guards) = desk.wishes(&self.defaults.update, blind)?;
        Some(Row {
            number: self.number,
            line: draft.line(),
            lane: lane?,
            workspace: workspace?,
            workflow_id: workflow_id?,
            called,
            update,
            version,
            guards,
        })
    }

    /// Where `draft` goes, as far as anything says: the route, the project and the workspace. `None` is
    /// a problem that has been told, or there is nothing that says where.
    pub fn bound_for(
        &mut self,
        draft: &impl Draft,
        problems: &mut Problems,
    ) -> Option<(Route, Option<Id>, Option<Id>)> {
        let mut desk = Desk { draft, problems };
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
        let route = Route {
            endpoint: way.endpoint,
            region: way.region,
            profile: bearing.profile.as_ref().map(|profile| profile.name.clone()),
        };
        let next = LaneId(self.routes.len());
        let lane = *self.lanes.entry(route.clone()).or_insert(next);
        if lane == next {
            self.routes.push(route);
        }
        Some(lane)
    }

    fn workspace<D: Draft>(
        &mut self,
        desk: &mut Desk<'_, D>,
        bearing: &Bearing,
        lane: Option<LaneId>,
    ) -> Option<Workspace> {
        let project_id = self.defaults.given(desk, bearing, Given::PROJECT);
        let workspace_id = self.defaults.given(desk, bearing, Given::WORKSPACE);
        let project_id = match project_id? {
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
        let workspace_id = workspace_id?.map(|(id, _)| id);
        if workspace_id.is_none() {
            self.missing(desk, Given::WORKSPACE);
        }
        Some(Workspace {
            project_id: project_id?,
            workspace_id: workspace_id?,
        })
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
