//! Where a job goes, as file, flags and environment say.

use std::rc::Rc;

use crate::model::endpoint::{self, Endpoint};
use crate::model::id::Id;
use crate::model::region::REGIONS;

use super::defaults::{Defaults, Level, Told};
use super::desk::Desk;
use super::file::File;
use super::problem::{Place, Problem};
use super::profiles::{Profile, Profiles};
use super::toml::Located;
use super::way::{Regions, Target, Way};

/// The project that the simulator has where none is named.
pub const SIMULATED_PROJECT: &str = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
/// The workspace that the simulator has where none is named.
pub const SIMULATED_WORKSPACE: &str = "909494e3-558e-46b6-a9eb-07a8e18ca621";

const REGION_VARIABLES: [&str; 1] = ["HW_REGION_NAME"];
const PROJECT_VARIABLES: [&str; 2] = ["HUAWEICLOUD_SDK_PROJECT_ID", "HW_PROJECT_ID"];
const WORKSPACE_VARIABLES: [&str; 1] = ["FLOWBATCH_WORKSPACE_ID"];

/// Where a job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The simulator.
    Simulator,
    /// Services, as each row says.
    Services,
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

    /// What the command line says about the target.
    pub(super) fn flag_level(&mut self, regions: &Regions, profiles: &Profiles) -> Level {
        let flags = self.flags;
        let place = |name: &str, value: &str| Place::Flag(format!("{name} {value}"));
        if let (Some(endpoint), Some(_)) = (&flags.endpoint, &flags.region) {
            let what = "the target is --endpoint and --region";
            self.wrong(place("--endpoint", endpoint), what, "leave out one of them");
        }
        let way = match (&flags.endpoint, &flags.region) {
            (Some(endpoint), _) => self.endpoint_way(place("--endpoint", endpoint), endpoint),
            (None, Some(region)) => self.region_way(place("--region", region), region, regions),
            (None, None) => None,
        };
        let profile = flags
            .profile
            .as_ref()
            .and_then(|name| self.profile(place("--profile", name), name, profiles));
        Level {
            target: Target {
                way,
                project_id: self.flag_id("--project-id", flags.project_id.as_deref()),
                workspace_id: self.flag_id("--workspace-id", flags.workspace_id.as_deref()),
            },
            profile,
        }
    }

    /// What the job file says about the target.
    pub(super) fn job_level(
        &mut self,
        file: &File,
        regions: &Regions,
        profiles: &Profiles,
    ) -> Level {
        let target = &file.target;
        if let (Some(region), Some(_)) = (&target.region, &target.endpoint) {
            let what = "the target is a region and an endpoint";
            self.wrong(region.place(), what, "leave out one of them");
        }
        let way = match (&target.endpoint, &target.region) {
            (Some(endpoint), _) => self.endpoint_way(endpoint.place(), &endpoint.value),
            (None, Some(region)) => self.region_way(region.place(), &region.value, regions),
            (None, None) => None,
        };
        let profile = target
            .profile
            .as_ref()
            .and_then(|name| self.profile(name.place(), &name.value, profiles));
        Level {
            target: Target {
                way,
                project_id: self.located_id(target.project_id.as_ref()),
                workspace_id: self.located_id(target.workspace_id.as_ref()),
            },
            profile,
        }
    }

    fn endpoint_way(&mut self, place: Place, text: &str) -> Option<Way> {
        match Endpoint::parse(text) {
            Ok(endpoint) => Some(Way {
                endpoint,
                region: None,
                by_variable: false,
            }),
            Err(fault) => {
                self.wrong(place, fault.to_string(), endpoint::HINT);
                None
            }
        }
    }

    fn region_way(&mut self, place: Place, region: &str, regions: &Regions) -> Option<Way> {
        match regions.way(region) {
            Ok(way) => Some(way),
            Err(hint) => {
                self.wrong(place, format!("no such region: {region:?}"), hint);
                None
            }
        }
    }

    fn profile(&mut self, place: Place, name: &str, profiles: &Profiles) -> Option<Rc<Profile>> {
        match profiles.get(name) {
            Ok(profile) => Some(Rc::clone(profile)),
            Err(_) if self.flags.simulate => None,
            Err(hint) => {
                self.wrong(place, format!("no such profile: {name:?}"), hint);
                None
            }
        }
    }

    /// The endpoints that the environment gives regions, in place of the vendor's table.
    pub(super) fn regions(&mut self) -> Regions {
        let mut regions = Regions::default();
        for region in REGIONS {
            let name = region_variable(region);
            let Some(value) = (self.env)(&name).filter(|value| !value.trim().is_empty()) else {
                continue;
            };
            // The vendor's SDK takes several; the first is as good as any.
            let first = value.split(',').next().unwrap_or_default().trim();
            match Endpoint::parse(first) {
                Ok(endpoint) => {
                    regions.overrides.insert(region.to_owned(), endpoint);
                }
                Err(fault) => {
                    let place = Place::Flag(format!("environment variable {name}"));
                    self.wrong(place, fault.to_string(), endpoint::HINT);
                }
            }
        }
        regions
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

    /// What the environment says about the target; the simulator has a target of its own. The second
    /// value is what is wrong with its region, should a row need it.
    pub(super) fn environment_target(
        &mut self,
        simulated: bool,
        regions: &Regions,
    ) -> (Target, Option<Problem>) {
        if simulated {
            let target = Target {
                way: None,
                project_id: Id::parse(SIMULATED_PROJECT).ok(),
                workspace_id: Id::parse(SIMULATED_WORKSPACE).ok(),
            };
            return (target, None);
        }
        let region = self.set_variable(&REGION_VARIABLES);
        let (way, wrong) = match region.map(|(name, region)| (name, regions.way(&region), region)) {
            None => (None, None),
            Some((_, Ok(way), _)) => (Some(way), None),
            Some((name, Err(hint), region)) => {
                let place = Place::Flag(format!("environment variable {name}"));
                let what = format!("no such region: {region:?}");
                (None, Some(Problem::new(place, what, hint)))
            }
        };
        let target = Target {
            way,
            project_id: self.variable(&PROJECT_VARIABLES),
            workspace_id: self.variable(&WORKSPACE_VARIABLES),
        };
        (target, wrong)
    }

    /// The variable that names the project, unless it is the simulator's own. Two that differ are
    /// warned of.
    pub(super) fn project_variable(&mut self, simulated: bool) -> Option<&'static str> {
        if simulated {
            return None;
        }
        let set = |name: &str| (self.env)(name).filter(|value| !value.is_empty());
        let [first, second] = PROJECT_VARIABLES;
        if let (Some(one), Some(other)) = (set(first), set(second))
            && one != other
        {
            let text =
                format!("{first} is {one}, {second} is {other}: the first is used if any is");
            self.warnings.push(text);
        }
        self.set_variable(&PROJECT_VARIABLES).map(|(name, _)| name)
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

    /// What is written about the target outside the rows, and is wrong.
    pub(super) fn told(&self, file: &File, defaults: &Defaults) -> Vec<Told> {
        let levels = [
            &defaults.flags.target,
            &defaults.job.target,
            &defaults.environment,
        ];
        let has = |pick: fn(&Target) -> bool| levels.iter().any(|target| pick(target));
        let (flags, target) = (self.flags, &file.target);
        let is_set = |names: &[&str]| self.set_variable(names).is_some();
        let way = flags.region.is_some()
            || flags.endpoint.is_some()
            || flags.profile.is_some()
            || target.region.is_some()
            || target.endpoint.is_some()
            || target.profile.is_some();
        let project =
            flags.project_id.is_some() || target.project_id.is_some() || is_set(&PROJECT_VARIABLES);
        let workspace = flags.workspace_id.is_some()
            || target.workspace_id.is_some()
            || is_set(&WORKSPACE_VARIABLES);
        let named = defaults.flags.profile.is_some() || defaults.job.profile.is_some();
        let mut told = Vec::new();
        if way && !named && !has(|target| target.way.is_some()) {
            told.push(Told::Way);
        }
        if project && !has(|target| target.project_id.is_some()) {
            told.push(Told::Project);
        }
        if workspace && !has(|target| target.workspace_id.is_some()) {
            told.push(Told::Workspace);
        }
        told
    }

    /// Warns of variables that name another target than the one in use, or another way to it.
    pub(super) fn compare_target(&mut self, defaults: &Defaults) {
        if defaults.simulator.is_some() {
            return;
        }
        let levels = [&defaults.flags, &defaults.job];
        let targets: Vec<&Target> = levels
            .iter()
            .flat_map(|level| {
                let profile = level.profile.as_ref().map(|profile| &profile.target);
                [Some(&level.target), profile]
            })
            .flatten()
            .collect();
        let way = targets.iter().find_map(|target| target.way.as_ref());
        if let (Some(Way { region: None, .. }), Some((name, value))) =
            (way, self.set_variable(&REGION_VARIABLES))
        {
            self.warnings.push(format!(
                "{name} is {value}, but the job names an endpoint: the endpoint is used"
            ));
        }
        let id = |pick: fn(&Target) -> &Option<Id>| {
            let id = targets.iter().find_map(|target| pick(target).as_ref());
            id.map(Id::to_string)
        };
        let region = way.and_then(|way| way.region.clone());
        let project = id(|target| &target.project_id);
        let workspace = id(|target| &target.workspace_id);
        for (what, used, names) in [
            ("region", region.as_ref(), &REGION_VARIABLES[..]),
            ("project", project.as_ref(), &PROJECT_VARIABLES),
            ("workspace", workspace.as_ref(), &WORKSPACE_VARIABLES),
        ] {
            if let (Some(used), Some((name, value))) = (used, self.set_variable(names))
                && *used != value
            {
                self.warnings.push(format!(
                    "{name} is {value}, but the job's {what} is {used}: the job's is used"
                ));
            }
        }
    }
}

/// The variable by which the vendor's SDKs take an endpoint for `region`.
pub fn region_variable(region: &str) -> String {
    let name = region.to_ascii_uppercase().replace('-', "_");
    format!("HUAWEICLOUD_SDK_REGION_SECMASTER_{name}")
}
