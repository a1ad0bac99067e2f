//! What completes rows: fields, and where they go.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::model::id::Id;
use crate::model::route::Route;
use crate::model::update::Update;

use super::profiles::{Profile, Profiles};
use super::template::Template;
use super::way::{Regions, Target, Way};

/// What completes a row that leaves something out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Defaults {
    /// The command line; a row must not say otherwise.
    pub flags: Level,
    /// The job file.
    pub job: Level,
    /// The environment (or the simulator), where all else is silent; never for a row with a profile.
    pub environment: Target,
    /// The variable that names the environment's project.
    #[serde(skip)]
    pub project_variable: Option<&'static str>,
    /// The simulator, which is in every region: where rows go whatever they say.
    pub simulator: Option<Way>,
    /// Those that rows may name.
    pub profiles: Rc<Profiles>,
    /// Those that rows may name.
    pub regions: Rc<Regions>,
    /// Projects that were looked up, by where they are.
    pub looked_up: Vec<(Route, Id)>,
    /// Workspaces that were looked up.
    #[serde(default)]
    pub workspaces: Vec<LookedUpWorkspace>,
    /// Ways whose lanes are numbered before any row is read.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// What is wrong outside the rows, which has been told.
    #[serde(skip)]
    pub told: Vec<Told>,
    /// For the fields that a row leaves out.
    pub update: Update,
    /// The same, worked out by the live state of each row's workflow. A job on record has none: its rows have been
    /// completed.
    #[serde(skip)]
    pub templates: Vec<Template>,
    /// Whether the live state is not read, so that nothing can be looked up.
    #[serde(default)]
    pub is_blind: bool,
}

/// A workspace that rows name, and its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUpWorkspace {
    /// The way to its project.
    pub route: Route,
    /// Its project.
    pub project_id: Id,
    /// What rows call it.
    pub name: String,
    /// Its id.
    pub workspace_id: Id,
}

/// What a place outside the rows says about the target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

impl Defaults {
    /// The project that was looked up for `route`.
    pub fn looked_up(&self, route: &Route) -> Option<&Id> {
        let mut known = self.looked_up.iter();
        known.find(|(known, _)| known == route).map(|(_, id)| id)
    }

    /// Whether the command line or the job file names a region or an endpoint, by a profile or not.
    pub fn names_way(&self) -> bool {
        self.names(|target| target.way.is_some())
    }

    /// Whether the command line or the job file names a project, by a profile or not.
    pub fn names_project(&self) -> bool {
        self.names(|target| target.project_id.is_some())
    }

    /// The variable that names `project`, if neither the command line nor the job file names one.
    pub fn variable_of(&self, project: &Id) -> Option<&'static str> {
        let named = self.environment.project_id.as_ref() == Some(project);
        self.project_variable
            .filter(|_| named && !self.names_project())
    }

    fn names(&self, says: fn(&Target) -> bool) -> bool {
        [&self.flags, &self.job].into_iter().any(|level| {
            says(&level.target)
                || level
                    .profile
                    .as_ref()
                    .is_some_and(|named| says(&named.target))
        })
    }
}
