//! Where a job goes, as file, flags and environment say.

use crate::model::endpoint::{self, Endpoint};
use crate::model::id::Id;

use super::builder::{Defaults, Region, Target};
use super::desk::Desk;
use super::file::File;
use super::problem::Place;
use super::region::region_endpoint;
use super::toml::Located;

/// The project that the simulator has where none is named.
pub const SIMULATED_PROJECT: &str = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
/// The workspace that the simulator has where none is named.
pub const SIMULATED_WORKSPACE: &str = "909494e3-558e-46b6-a9eb-07a8e18ca621";

const PROJECT_VARIABLES: [&str; 2] = ["HUAWEICLOUD_SDK_PROJECT_ID", "HW_PROJECT_ID"];
const WORKSPACE_VARIABLES: [&str; 1] = ["FLOWBATCH_WORKSPACE_ID"];

/// Where a job goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The simulator.
    Simulator,
    /// A service.
    Service {
        /// Its endpoint.
        endpoint: Endpoint,
        /// The region that named it.
        region: Option<String>,
    },
    /// The rows, or else the environment, name the region.
    Open {
        /// Of the environment.
        region: Option<String>,
    },
    /// What is written is no target; the problem has been told.
    Wrong,
}

impl Desk<'_> {
    pub(super) fn is_simulated(&mut self, file: &File) -> bool {
        let written = file.target.simulator.as_ref();
        let simulated = written.is_some_and(|simulator| simulator.value);
        if simulated {
            for other in [&file.target.region, &file.target.endpoint]
                .into_iter()
                .flatten()
            {
                let what = "the target is the simulator and a service";
                let hint = "leave out one of simulator and region or endpoint";
                self.wrong(other.place(), what, hint);
            }
        }
        if simulated || self.flags.simulate {
            for (name, value) in [
                ("--region", &self.flags.region),
                ("--endpoint", &self.flags.endpoint),
            ] {
                if let Some(value) = value {
                    let place = Place::Flag(format!("{name} {value}"));
                    let what = "the target is the simulator and a service";
                    self.wrong(place, what, format!("leave out {name} or the simulator"));
                }
            }
        }
        simulated || self.flags.simulate
    }

    pub(super) fn destination(&mut self, file: &File, simulated: bool) -> Destination {
        if simulated {
            return Destination::Simulator;
        }
        if let (Some(region), Some(_)) = (&file.target.region, &file.target.endpoint) {
            let hint = "leave out one of them";
            self.wrong(
                region.place(),
                "the target is a region and an endpoint",
                hint,
            );
        }
        let flagged = |name: &str, value: &Option<String>| {
            let value = value.clone()?;
            Some((Place::Flag(format!("{name} {value}")), value))
        };
        let written = |located: &Option<Located<String>>| {
            let located = located.as_ref()?;
            Some((located.place(), located.value.clone()))
        };
        let flag_endpoint = flagged("--endpoint", &self.flags.endpoint);
        let flag_region = flagged("--region", &self.flags.region);
        if let (Some((place, _)), Some(_)) = (&flag_endpoint, &flag_region) {
            let (what, hint) = ("--endpoint and --region", "leave out one of them");
            self.wrong(place.clone(), format!("the target is {what}"), hint);
        }
        let by_flag = flag_endpoint.is_some() || flag_region.is_some();
        let (endpoint, region) = if by_flag {
            (flag_endpoint, flag_region)
        } else {
            (written(&file.target.endpoint), written(&file.target.region))
        };
        if let Some((place, text)) = endpoint {
            return match Endpoint::parse(&text) {
                Ok(endpoint) => Destination::Service {
                    endpoint,
                    region: None,
                },
                Err(fault) => {
                    self.wrong(place, fault.to_string(), endpoint::HINT);
                    Destination::Wrong
                }
            };
        }
        if let Some((place, region)) = region {
            return match region_endpoint(&region) {
                Ok(endpoint) => Destination::Service {
                    endpoint,
                    region: Some(region),
                },
                Err(hint) => {
                    self.wrong(place, format!("no such region: {region:?}"), hint);
                    Destination::Wrong
                }
            };
        }
        Destination::Open {
            region: (self.env)("HW_REGION_NAME").filter(|region| !region.is_empty()),
        }
    }

    pub(super) fn located_id(&mut self, located: Option<&Located<String>>) -> Option<Id> {
        let located = located?;
        self.id(located.place(), &located.value)
    }

    pub(super) fn flag_id(&mut self, name: &str, value: Option<&str>) -> Option<Id> {
        let value = value?;
        self.id(Place::Flag(format!("{name} {value}")), value)
    }

    pub(super) fn id(&mut self, place: Place, text: &str) -> Option<Id> {
        match Id::parse(text) {
            Ok(id) => Some(id),
            Err(fault) => {
                self.wrong(place, fault.to_string(), fault.hint());
                None
            }
        }
    }

    /// Project and workspace of the environment; the simulator has its own.
    pub(super) fn environment_target(&mut self, simulated: bool) -> Target {
        if simulated {
            return Target {
                project_id: Id::parse(SIMULATED_PROJECT).ok(),
                workspace_id: Id::parse(SIMULATED_WORKSPACE).ok(),
            };
        }
        Target {
            project_id: self.variable(&PROJECT_VARIABLES),
            workspace_id: self.variable(&WORKSPACE_VARIABLES),
        }
    }

    pub(super) fn variable(&mut self, names: &[&str]) -> Option<Id> {
        let (name, value) = self.set_variable(names)?;
        self.id(Place::Flag(format!("environment variable {name}")), &value)
    }

    pub(super) fn set_variable<'n>(&self, names: &[&'n str]) -> Option<(&'n str, String)> {
        names
            .iter()
            .find_map(|name| Some((*name, (self.env)(name).filter(|value| !value.is_empty())?)))
    }

    /// Whether a project is written outside the rows, right or wrong.
    pub(super) fn names_project(&self, file: &File) -> bool {
        self.flags.project_id.is_some()
            || file.target.project_id.is_some()
            || self.set_variable(&PROJECT_VARIABLES).is_some()
    }

    /// Whether a workspace is written outside the rows, right or wrong.
    pub(super) fn names_workspace(&self, file: &File) -> bool {
        self.flags.workspace_id.is_some()
            || file.target.workspace_id.is_some()
            || self.set_variable(&WORKSPACE_VARIABLES).is_some()
    }

    /// Warns of variables that name another target than the one in use.
    pub(super) fn compare_target(&mut self, defaults: &Defaults) {
        let region = match &defaults.region {
            Region::Named(region, _) => Some(region.clone()),
            Region::Open | Region::Endpoint | Region::Anywhere => None,
        };
        if matches!(defaults.region, Region::Anywhere) {
            return;
        }
        if let (Region::Endpoint, Some((name, value))) =
            (&defaults.region, self.set_variable(&["HW_REGION_NAME"]))
        {
            self.warnings.push(format!(
                "{name} is {value}, but the job names an endpoint: the endpoint is used"
            ));
        }
        let used = |pick: fn(&Target) -> &Option<Id>| {
            let used = pick(&defaults.flags)
                .as_ref()
                .or(pick(&defaults.job).as_ref());
            used.map(Id::to_string)
        };
        let project = used(|target| &target.project_id);
        let workspace = used(|target| &target.workspace_id);
        for (what, used, names) in [
            ("region", region, &["HW_REGION_NAME"][..]),
            ("project", project, &PROJECT_VARIABLES),
            ("workspace", workspace, &WORKSPACE_VARIABLES),
        ] {
            if let (Some(used), Some((name, value))) = (used, self.set_variable(names))
                && used != value
            {
                self.warnings.push(format!(
                    "{name} is {value}, but the job's {what} is {used}: the job's is used"
                ));
            }
        }
    }
}
