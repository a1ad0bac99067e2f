//! Where a row goes and on whose behalf: its own columns, the flags, the job, profiles and the environment
//! put together.

use std::rc::Rc;

use crate::model::id::{Id, trim};

use super::column::Column;
use super::defaults::{Defaults, Told};
use super::draft::Draft;
use super::profiles::Profile;
use super::way::{Target, Way};
use super::wish::Desk;

/// Where a row goes and on whose behalf.
pub(super) struct Bearing {
    /// The profile that the row itself names.
    own: Option<Rc<Profile>>,
    /// The one whose credential is shown.
    pub(super) profile: Option<Rc<Profile>>,
    /// Whatever says something about the target besides the row's own cells, the strongest first.
    levels: Vec<Target>,
    pub(super) way: Option<Way>,
    /// Nothing but the environment says where.
    pub(super) by_environment: bool,
}

/// One of the two ids of a target, and by which names it can be given.
#[derive(Clone, Copy)]
pub(super) struct Given {
    pub(super) column: Column,
    pub(super) variable: &'static str,
    pub(super) told: Told,
    pick: fn(&Target) -> &Option<Id>,
}

impl Given {
    pub(super) const PROJECT: Self = Self {
        column: Column::ProjectId,
        variable: "HW_PROJECT_ID",
        told: Told::Project,
        pick: |target| &target.project_id,
    };
    pub(super) const WORKSPACE: Self = Self {
        column: Column::WorkspaceId,
        variable: "FLOWBATCH_WORKSPACE_ID",
        told: Told::Workspace,
        pick: |target| &target.workspace_id,
    };

    pub(super) fn option(self) -> String {
        format!("--{}", self.column.as_str().replace('_', "-"))
    }
}

fn shown(way: &Way) -> &str {
    way.region.as_deref().unwrap_or(way.endpoint.as_str())
}

impl Defaults {
    /// Where the row goes and on whose behalf, as all places together say.
    pub(super) fn bearing<D: Draft>(&self, desk: &mut Desk<'_, D>) -> Option<Bearing> {
        let own = self.own_profile(desk)?;
        let Defaults { flags, job, .. } = self;
        let profile = own
            .clone()
            .or_else(|| flags.profile.clone())
            .or_else(|| job.profile.clone());
        let speaks = |named: &Option<Rc<Profile>>| {
            named.is_none()
                || named.as_ref().map(|named| &named.name)
                    == profile.as_ref().map(|profile| &profile.name)
        };
        let mut levels = Vec::new();
        for (target, named) in [
            (None, &own),
            (Some(&flags.target), &flags.profile),
            (Some(&job.target), &job.profile),
        ] {
            // What is written beside another profile is another customer's.
            if speaks(named) {
                levels.extend(target.cloned());
                levels.extend(named.as_ref().map(|named| named.target.clone()));
            }
        }
        let named = levels.len();
        // Variables may be another customer's: who names a profile says whose.
        if profile.is_none() || self.simulator.is_some() {
            levels.push(self.environment.clone());
        }
        let way = match &self.simulator {
            Some(simulator) => Some(simulator.clone()),
            None => self.way(desk, own.as_deref(), &levels)?,
        };
        let way = match &profile {
            Some(profile) => way.map(|way| match &profile.target.way {
                // It may have an endpoint of its own for the region, or know the endpoint's region.
                Some(theirs) if theirs.agrees_with(&way) => theirs.clone(),
                Some(_) | None => self.regions.without_variables(way),
            }),
            None => way,
        };
        let by_environment = desk.text(Column::Region).is_none()
            && levels[..named].iter().all(|level| level.way.is_none());
        Some(Bearing {
            own,
            profile: profile.filter(|_| self.simulator.is_none()),
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
        let simulated = self.simulator.is_some();
        if let Some(flag) = &self.flags.profile
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
        match self.profiles.get(&name) {
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
        let flag = self.flags.target.way.as_ref();
        let Some(region) = desk.text(Column::Region).map(trim).map(str::to_owned) else {
            let theirs = own.and_then(|own| own.target.way.as_ref());
            if let (Some(flag), Some(theirs)) = (flag, theirs)
                && !flag.agrees_with(theirs)
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
            .filter(|way| flag.is_none_or(|flag| flag.agrees_with(way)))
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
        match self.regions.way(&region) {
            Ok(way) => Some(Some(way)),
            Err(hint) => {
                desk.wrong(Column::Region, "no such region", &hint);
                None
            }
        }
    }

    /// The row's own, else its profile's, the flag's, the job's, the environment's, and whether the place
    /// that says so names the row or its region. The outer `None` is a problem that has been told.
    pub(super) fn given<D: Draft>(
        &self,
        desk: &mut Desk<'_, D>,
        bearing: &Bearing,
        given: Given,
    ) -> Option<Option<(Id, bool)>> {
        let in_cell = desk.text(given.column).is_some();
        let own = match (in_cell, &bearing.own) {
            (true, _) => Some((given.column, desk.id(given.column)?)),
            (false, Some(own)) => {
                let id = (given.pick)(&own.target).clone();
                id.map(|id| (Column::Profile, id))
            }
            (false, None) => None,
        };
        if let (Some((column, own)), Some(flag)) = (&own, (given.pick)(&self.flags.target))
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
            return Some(own.map(|(_, id)| (id, true)));
        }
        let mut levels = bearing.levels.iter();
        Some(levels.find_map(|level| {
            let id = (given.pick)(level).as_ref()?;
            let speaks = level.speaks_of(bearing.way.as_ref());
            speaks.then(|| (id.clone(), level.way.is_some()))
        }))
    }
}
