//! Builds rows: completes what a draft leaves out, and says where each row goes.

use std::collections::HashMap;
use std::rc::Rc;

use crate::model::id::{Id, trim};
use crate::model::route::Route;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

use super::column::Column;
use super::draft::Draft;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::profiles::{Profile, Profiles};
use super::way::{Regions, Target, Way};
use super::wish::Desk;

/// What completes a row that leaves something out.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The command line; a row must not say otherwise.
    pub flags: Level,
    /// The job file.
    pub job: Level,
    /// The environment (or the simulator), where all else is silent; never for a row with a profile.
    pub environment: Target,
    /// The simulator, which is in every region: where rows go whatever they say.
    pub simulator: Option<Way>,
    /// Those that rows may name.
    pub profiles: Rc<Profiles>,
    /// Those that rows may name.
    pub regions: Rc<Regions>,
    /// Projects that were looked up, by where they are.
    pub looked_up: HashMap<Route, Id>,
    /// What is wrong outside the rows, which has been told.
    pub told: Vec<Told>,
    /// For the fields that a row leaves out.
    pub update: Update,
}

/// What a place outside the rows says about the target.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// By itself.
    pub target: Target,
    /// By the profile that it names.
    pub profile: Option<Rc<Profile>>,
}

/// Something of the target that is wrong or missing outside the rows, and has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Region or endpoint.
    Way,
    /// The project.
    Project,
    /// The workspace.
    Workspace,
}

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
        let workflow_id = desk.id(Column::WorkflowId);
        if workflow_id.is_none() && desk.text(Column::WorkflowId).is_none() {
            desk.wrong(
                Column::WorkflowId,
                "the row has no workflow_id",
                "give the id as the console or an export shows it",
            );
        }
        let bearing = self.bearing(&mut desk);
        let lane = bearing
            .as_ref()
            .and_then(|bearing| self.lane(bearing, &desk));
        let workspace = bearing
            .as_ref()
            .and_then(|bearing| self.workspace(&mut desk, bearing, lane));
        let (update, guards) = desk.wishes(&self.defaults.update)?;
        Some(Row {
            number: self.number,
            line: draft.line(),
            lane: lane?,
            workspace: workspace?,
            workflow_id: workflow_id?,
            update,
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
        let bearing = self.bearing(&mut desk)?;
        let lane = self.lane(&bearing, &desk)?;
        let project_id = self.given(&mut desk, &bearing, Given::PROJECT)?;
        let workspace_id = self.given(&mut desk, &bearing, Given::WORKSPACE)?;
        Some((self.routes[lane.0].clone(), project_id, workspace_id))
    }

    /// Where the row goes and on whose behalf, as all places together say.
    fn bearing<D: Draft>(&self, desk: &mut Desk<'_, D>) -> Option<Bearing> {
        let own = self.own_profile(desk)?;
        let Defaults { flags, job, .. } = &self.defaults;
        let profile = own
            .clone()
            .or_else(|| flags.profile.clone())
            .or_else(|| job.profile.clone());
        let mut levels = Vec::new();
        for (target, named) in [
            (None, own.as_ref()),
            (Some(&flags.target), flags.profile.as_ref()),
            (Some(&job.target), job.profile.as_ref()),
        ] {
            levels.extend(target.cloned());
            levels.extend(named.map(|named| named.target.clone()));
        }
        let named = levels.len();
        // Variables may be another customer's: who names a profile says whose.
        if profile.is_none() || self.defaults.simulator.is_some() {
            levels.push(self.defaults.environment.clone());
        }
        let way = match &self.defaults.simulator {
            Some(simulator) => Some(simulator.clone()),
            None => self.way(desk, own.as_deref(), &levels)?,
        };
        let way = match &profile {
            Some(_) => way.map(|way| self.defaults.regions.undo_override(way)),
            None => way,
        };
        let by_environment = desk.text(Column::Region).is_none()
            && levels[..named].iter().all(|level| level.way.is_none());
        Some(Bearing {
            own,
            profile: profile.filter(|_| self.defaults.simulator.is_none()),
            levels,
            way,
            by_environment,
        })
    }

    /// The profile that the row itself names; the outer `None` is a problem that has been told.
    fn own_profile<D: Draft>(&self, desk: &mut Desk<'_, D>) -> Option<Option<Rc<Profile>>> {
        let Some(name) = desk.text(Column::Profile).map(trim) else {
            return Some(None);
        };
        let name = name.to_owned();
        let simulated = self.defaults.simulator.is_some();
        if let Some(flag) = &self.defaults.flags.profile
            && flag.name != name
        {
            let hint = format!("--profile says {}; leave out the flag", flag.name);
            desk.wrong(
                Column::Profile,
                "the row's profile is not that of --profile",
                &hint,
            );
            return None;
        }
        match self.defaults.profiles.get(&name) {
            Ok(profile) => Some(Some(Rc::clone(profile))),
            // Whoever only tries a job need not have the profiles it is made for.
            Err(_) if simulated => Some(None),
            Err(hint) => {
                desk.wrong(Column::Profile, "no such profile", &hint);
                None
            }
        }
    }

    /// The way of the row; the outer `None` is a problem that has been told.
    fn way<D: Draft>(
        &self,
        desk: &mut Desk<'_, D>,
        own: Option<&Profile>,
        levels: &[Target],
    ) -> Option<Option<Way>> {
        let flag = self.defaults.flags.target.way.as_ref();
        let Some(region) = desk.text(Column::Region).map(trim).map(str::to_owned) else {
            let theirs = own.and_then(|own| own.target.way.as_ref());
            if let (Some(flag), Some(theirs)) = (flag, theirs)
                && flag != theirs
            {
                let hint = format!("the command line says {}; leave out the flag", shown(flag));
                desk.wrong(
                    Column::Profile,
                    "the row's profile leads elsewhere than the flag",
                    &hint,
                );
                return None;
            }
            let way = levels.iter().find_map(|level| level.way.clone());
            return Some(way);
        };
        // Whoever names the same region may know an endpoint of its own for it.
        let ways = levels.iter().filter_map(|level| level.way.as_ref());
        let mut known = ways.filter(|way| way.region.as_ref() == Some(&region));
        if let Some(way) = known
            .next()
            .filter(|way| flag.is_none_or(|flag| flag == *way))
        {
            return Some(Some(way.clone()));
        }
        if let Some(flag) = flag {
            let hint = format!("the command line says {}; leave out the flag", shown(flag));
            desk.wrong(
                Column::Region,
                "the row's region is not that of the command line",
                &hint,
            );
            return None;
        }
        let endpoint = levels
            .iter()
            .find_map(|level| level.way.as_ref())
            .filter(|way| way.region.is_none());
        if let Some(way) = endpoint {
            let hint = format!("leave out the region, or the endpoint {}", way.endpoint);
            desk.wrong(
                Column::Region,
                "the row names a region, the job an endpoint",
                &hint,
            );
            return None;
        }
        match self.defaults.regions.way(&region) {
            Ok(way) => Some(Some(way)),
            Err(hint) => {
                desk.wrong(Column::Region, "no such region", &hint);
                None
            }
        }
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
        let project_id = self.given(desk, bearing, Given::PROJECT);
        let workspace_id = self.given(desk, bearing, Given::WORKSPACE);
        let project_id = match project_id? {
            Some(id) => Some(id),
            None => lane.and_then(|lane| self.project_of(lane)),
        };
        if project_id.is_none() && (lane.is_some() || self.told.contains(&Told::Way)) {
            self.missing(desk, Given::PROJECT);
        }
        let workspace_id = workspace_id?;
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
        if let Some(id) = self.defaults.looked_up.get(route) {
            return Some(id.clone());
        }
        let region = route.region.as_deref()?;
        let stand_in = Id::parse(region).ok()?;
        if !self.without_project.contains(&lane) {
            self.without_project.push(lane);
        }
        Some(stand_in)
    }

    /// The row's own, else its profile's, the flag's, the job's, the environment's. The outer `None` is
    /// a problem that has been told.
    fn given<D: Draft>(
        &self,
        desk: &mut Desk<'_, D>,
        bearing: &Bearing,
        given: Given,
    ) -> Option<Option<Id>> {
        let in_cell = desk.text(given.column).is_some();
        let own = match (in_cell, &bearing.own) {
            (true, _) => Some((given.column, desk.id(given.column)?)),
            (false, Some(own)) => {
                let id = (given.pick)(&own.target).clone();
                id.map(|id| (Column::Profile, id))
            }
            (false, None) => None,
        };
        if let (Some((column, own)), Some(flag)) = (&own, (given.pick)(&self.defaults.flags.target))
            && own != flag
        {
            let (name, option) = (given.column.as_str(), given.option());
            let whose = if in_cell { "" } else { "profile's " };
            let what = format!("the row's {whose}{name} is not that of {option}");
            let hint = format!("{option} says {flag}; leave out the flag");
            desk.wrong(*column, &what, &hint);
            return None;
        }
        if in_cell {
            return Some(own.map(|(_, id)| id));
        }
        let mut levels = bearing.levels.iter();
        Some(levels.find_map(|level| {
            let id = (given.pick)(level).as_ref()?;
            level.speaks_of(bearing.way.as_ref()).then(|| id.clone())
        }))
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
            format!("add a column {name}, [target] {name}, {option} or {variable}"),
        ));
    }
}

/// Where a row goes and on whose behalf.
struct Bearing {
    /// The profile that the row itself names.
    own: Option<Rc<Profile>>,
    /// The one whose credential is shown.
    profile: Option<Rc<Profile>>,
    /// Whatever says something about the target besides the row's own cells, the strongest first.
    levels: Vec<Target>,
    way: Option<Way>,
    /// Nothing but the environment says where.
    by_environment: bool,
}

/// One of the two ids of a target, and by which names it can be given.
#[derive(Clone, Copy)]
struct Given {
    column: Column,
    variable: &'static str,
    told: Told,
    pick: fn(&Target) -> &Option<Id>,
}

impl Given {
    const PROJECT: Self = Self {
        column: Column::ProjectId,
        variable: "HW_PROJECT_ID",
        told: Told::Project,
        pick: |target| &target.project_id,
    };
    const WORKSPACE: Self = Self {
        column: Column::WorkspaceId,
        variable: "FLOWBATCH_WORKSPACE_ID",
        told: Told::Workspace,
        pick: |target| &target.workspace_id,
    };

    fn option(self) -> String {
        format!("--{}", self.column.as_str().replace('_', "-"))
    }
}

fn shown(way: &Way) -> &str {
    way.region.as_deref().unwrap_or(way.endpoint.as_str())
}
