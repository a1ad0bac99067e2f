//! Which workspaces projects have, and what people call them.

use std::collections::{BTreeMap, VecDeque};

use crate::model::id::Id;
use crate::model::outcome::Failure;
use crate::model::reading::{FURTHEST_WORKSPACE, Need, Of, Reading};
use crate::model::target::{LaneId, NamedWorkspace, Workspace};

use super::snapshot::nearest;

/// The workspaces of projects, as their lists tell them.
#[derive(Debug, Default)]
pub struct Directory {
    lanes: Vec<VecDeque<Reading>>,
    projects: BTreeMap<(LaneId, Id), Project>,
}

#[derive(Debug, Default)]
struct Project {
    /// Without those that were told before: a list may move while it is read.
    workspaces: Vec<NamedWorkspace>,
    /// Those that could not be read.
    odd: u64,
    /// Why not all of them are known.
    incomplete: Option<String>,
}

impl Directory {
    /// The project is to be asked by `lane`; once is enough.
    pub fn add(&mut self, lane: LaneId, project_id: &Id, need: Need) {
        let key = (lane, project_id.clone());
        if self.projects.contains_key(&key) {
            return;
        }
        self.projects.insert(key, Project::default());
        self.ask(lane, project_id, 0, need);
    }

    fn ask(&mut self, lane: LaneId, project_id: &Id, offset: u64, need: Need) {
        if self.lanes.len() <= lane.0 {
            self.lanes.resize_with(lane.0 + 1, VecDeque::new);
        }
        self.lanes[lane.0].push_back(Reading {
            lane,
            workspace: Workspace::any_of(project_id),
            of: Of::Workspaces(offset, need),
        });
    }

    /// The next reading by `lane`.
    pub fn next(&mut self, lane: LaneId) -> Option<Reading> {
        self.lanes.get_mut(lane.0)?.pop_front()
    }

    /// The page of `reading`, which begins at `offset`, holds these, of `total`.
    pub fn found(
        &mut self,
        reading: &Reading,
        (offset, need): (u64, Need),
        workspaces: Vec<NamedWorkspace>,
        total: Option<u64>,
    ) {
        let project_id = &reading.workspace.project_id;
        let Some(project) = self.projects.get_mut(&(reading.lane, project_id.clone())) else {
            return;
        };
        let next = offset + workspaces.len() as u64;
        // A service that counts fewer than it shows does not count.
        let total = total.filter(|total| *total >= next);
        let odd = workspaces.iter().filter(|one| one.id.is_empty()).count() as u64;
        project.odd += odd;
        let is_last = workspaces.is_empty() || total.is_some_and(|total| next >= total);
        for workspace in workspaces.into_iter().filter(|one| !one.id.is_empty()) {
            if !project
                .workspaces
                .iter()
                .any(|known| known.id == workspace.id)
            {
                project.workspaces.push(workspace);
            }
        }
        match (is_last, next <= FURTHEST_WORKSPACE) {
            (true, _) => {
                let known = project.workspaces.len() as u64 + project.odd;
                if total.is_some_and(|total| known < total) {
                    project.incomplete = Some("the list ended before its end".to_owned());
                }
            }
            (false, true) => self.ask(reading.lane, project_id, next, need),
            (false, false) => {
                let why = "the project has more workspaces than its list reaches";
                project.incomplete = Some(why.to_owned());
            }
        }
    }

    /// The page of `reading` could not be read.
    pub fn failed(&mut self, reading: &Reading, failure: &Failure) {
        let key = (reading.lane, reading.workspace.project_id.clone());
        if let Some(project) = self.projects.get_mut(&key) {
            project.incomplete = Some(failure.message.clone());
        }
    }

    /// What people call `workspace`, if that is known.
    pub fn name(&self, lane: LaneId, workspace: &Workspace) -> Option<&str> {
        let project = self.projects.get(&(lane, workspace.project_id.clone()))?;
        let mut known = project.workspaces.iter();
        let named = known.find(|known| known.id == workspace.workspace_id.as_str())?;
        Some(&named.name)
            .filter(|name| !name.is_empty())
            .map(String::as_str)
    }

    /// All workspaces of the project.
    ///
    /// # Errors
    /// Why not all of them are known.
    pub fn all(&self, lane: LaneId, project_id: &Id) -> Result<Vec<Id>, String> {
        let project = self.project(lane, project_id)?;
        let known = project.workspaces.iter();
        let ids = known.map(|known| Id::parse(&known.id).map_err(|fault| fault.to_string()));
        ids.collect()
    }

    /// The workspace that has the id `text` or is called so, exactly.
    ///
    /// # Errors
    /// There is none, or several, or nobody knows: what, and what to do.
    pub fn look_up(&self, lane: LaneId, project_id: &Id, text: &str) -> Result<Id, NotFound> {
        let project = self.project(lane, project_id).map_err(NotFound::unread)?;
        let known = || project.workspaces.iter();
        let by_id = known().find(|known| known.id.eq_ignore_ascii_case(text));
        let by_name: Vec<_> = known().filter(|known| known.name == text).collect();
        let found = match (by_id, by_name.as_slice()) {
            (Some(found), _) => found,
            (None, [found]) => found,
            (None, []) => {
                let names: Vec<_> = known().map(|known| known.name.clone()).collect();
                let hint = match nearest(text, &names).as_slice() {
                    [] => format!(
                        "the project has {} others; give the name or the id as the console shows it",
                        names.len()
                    ),
                    near => format!("did you mean one of {near:?}?"),
                };
                return Err(NotFound {
                    what: format!("no workspace of project {project_id} is called {text:?}"),
                    hint,
                });
            }
            (None, several) => {
                let ids: Vec<_> = several.iter().map(|known| known.id.as_str()).collect();
                return Err(NotFound {
                    what: format!(
                        "{} workspaces of project {project_id} are called {text:?}",
                        several.len()
                    ),
                    hint: format!("give the id: {}", ids.join(" or ")),
                });
            }
        };
        Id::parse(&found.id).map_err(|fault| NotFound::unread(fault.to_string()))
    }

    fn project(&self, lane: LaneId, project_id: &Id) -> Result<&Project, String> {
        let project = self.projects.get(&(lane, project_id.clone()));
        let project = project.ok_or("they were not listed")?;
        match &project.incomplete {
            None => Ok(project),
            Some(why) => Err(why.clone()),
        }
    }
}

/// Why a workspace was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl NotFound {
    fn unread(why: String) -> Self {
        Self {
            what: format!("the workspaces could not be listed: {why}"),
            hint: "let the user list workspaces (ListWorkspaces), or give workspace_id".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::ErrorClass;

    const LANE: LaneId = LaneId(0);

    fn project() -> Id {
        Id::parse("p").unwrap()
    }

    fn named(number: u64) -> NamedWorkspace {
        NamedWorkspace {
            id: format!("id-{number}"),
            name: format!("SOC {}", number / 2),
        }
    }

    /// Lists a project of `count` workspaces; gives the requests that it took.
    fn listed(count: u64, tells_total: bool) -> (Directory, u64) {
        let mut directory = Directory::default();
        directory.add(LANE, &project(), Need::Must);
        directory.add(LANE, &project(), Need::Must);
        let mut requests = 0;
        while let Some(reading) = directory.next(LANE) {
            let Of::Workspaces(offset, need) = reading.of else {
                panic!("{reading:?}")
            };
            assert!(offset <= FURTHEST_WORKSPACE);
            requests += 1;
            let page = (offset..count.min(offset + 100)).map(named).collect();
            let total = tells_total.then_some(count);
            directory.found(&reading, (offset, need), page, total);
        }
        (directory, requests)
    }

    #[test]
    fn all_pages_are_read_as_far_as_the_list_reaches() {
        for (count, tells_total, requests) in [
            (0, true, 1),
            (1, true, 1),
            (1, false, 2),
            (100, true, 1),
            (101, true, 2),
            (999, true, 10),
        ] {
            let (directory, took) = listed(count, tells_total);
            assert_eq!(took, requests, "{count}");
            assert_eq!(directory.all(LANE, &project()).unwrap().len() as u64, count);
        }
        let (directory, _) = listed(2_000, true);
        let why = directory.all(LANE, &project()).unwrap_err();
        assert!(
            why.contains("more workspaces than its list reaches"),
            "{why}"
        );
    }

    #[test]
    fn a_workspace_is_found_by_its_id_or_its_exact_name_alone() {
        let (directory, _) = listed(7, true);
        let look_up = |text| directory.look_up(LANE, &project(), text);
        assert_eq!(look_up("id-3").unwrap().as_str(), "id-3");
        assert_eq!(look_up("SOC 3").unwrap().as_str(), "id-6");
        let several = look_up("SOC 1").unwrap_err();
        assert_eq!(
            several.what,
            "2 workspaces of project p are called \"SOC 1\""
        );
        assert_eq!(several.hint, "give the id: id-2 or id-3");
        let none = look_up("soc 3").unwrap_err();
        assert!(none.hint.contains("SOC 3"), "{none:?}");
        let here = Workspace {
            project_id: project(),
            workspace_id: Id::parse("id-4").unwrap(),
        };
        assert_eq!(directory.name(LANE, &here), Some("SOC 2"));
    }

    #[test]
    fn a_list_that_may_not_be_read_says_so() {
        let mut directory = Directory::default();
        directory.add(LANE, &project(), Need::Must);
        let reading = directory.next(LANE).unwrap();
        directory.failed(&reading, &Failure::new(ErrorClass::Permission, "no right"));
        let error = directory.look_up(LANE, &project(), "x").unwrap_err();
        assert!(error.what.contains("no right") && error.hint.contains("ListWorkspaces"));
    }
}
