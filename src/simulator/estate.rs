//! What one workspace holds, and the rules by which it changes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::model::update::Update;

use super::answer::{Page, Refusal};
use super::call::{ListQuery, SortBy};
use super::records::{VersionRecord, VersionStatus, WorkflowRecord};

/// The most characters of a name or description, as the vendor's API description has it for the
/// answers; for the request it says nothing.
const LONGEST: usize = 1_024;

/// A workflow and its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resident {
    pub(super) workflow: WorkflowRecord,
    pub(super) versions: Vec<VersionRecord>,
}

/// What one workspace holds.
#[derive(Debug, Default)]
pub(super) struct Estate {
    /// What people call the workspace, if it was made for its name.
    pub(super) name: Option<String>,
    /// In the order of their making, so that the usual list needs hardly any sorting.
    residents: Vec<Resident>,
    by_workflow: HashMap<String, usize>,
    by_version: HashMap<String, usize>,
}

impl Estate {
    pub(super) fn residents(&self) -> &[Resident] {
        &self.residents
    }

    pub(super) fn resident(&self, workflow_id: &str) -> Option<&Resident> {
        let index = self.by_workflow.get(workflow_id)?;
        self.residents.get(*index)
    }

    /// Whether any workflow has this version.
    pub(super) fn knows_version(&self, version_id: &str) -> bool {
        self.by_version.contains_key(version_id)
    }

    /// Takes `resident` in, in place of the one with its id.
    pub(super) fn settle(&mut self, resident: Resident) {
        let id = resident.workflow.id.clone();
        let index = *self.by_workflow.entry(id).or_insert(self.residents.len());
        for version in &resident.versions {
            self.by_version.insert(version.id.clone(), index);
        }
        match self.residents.get_mut(index) {
            Some(place) => *place = resident,
            None => self.residents.push(resident),
        }
    }

    /// Adds a version to the workflow that it names.
    pub(super) fn publish(&mut self, version: VersionRecord) {
        if let Some(index) = self.by_workflow.get(&version.aopworkflow_id) {
            self.by_version.insert(version.id.clone(), *index);
            self.residents[*index].versions.push(version);
        }
    }

    pub(super) fn show(&self, workflow_id: &str) -> Result<&WorkflowRecord, Refusal> {
        self.resident(workflow_id)
            .map(|resident| &resident.workflow)
            .ok_or_else(Refusal::no_such_workflow)
    }

    pub(super) fn list(&self, query: &ListQuery) -> Result<Page<WorkflowRecord>, Refusal> {
        query.check()?;
        let all = self.residents.iter().map(|resident| &resident.workflow);
        let mut all: Vec<_> = all.filter(|workflow| query.asks_for(workflow)).collect();
        all.sort_by(|a, b| match query.sort_by {
            SortBy::CreateTime => a.create_time.cmp(&b.create_time),
            SortBy::UpdateTime => a.update_time.cmp(&b.update_time),
        });
        if query.descending {
            all.reverse();
        }
        Ok(Page::of(&all, query))
    }

    pub(super) fn versions(
        &self,
        workflow_id: &str,
        status: Option<VersionStatus>,
    ) -> Result<Page<VersionRecord>, Refusal> {
        let resident = self.resident(workflow_id);
        let resident = resident.ok_or_else(Refusal::no_such_workflow)?;
        let asked = |version: &&VersionRecord| status.is_none_or(|s| version.status == s);
        let all: Vec<_> = resident.versions.iter().filter(asked).collect();
        // The call knows neither offset nor limit.
        let query = ListQuery {
            limit: all.len(),
            ..ListQuery::default()
        };
        Ok(Page::of(&all, &query))
    }

    pub(super) fn version(&self, version_id: &str) -> Result<&VersionRecord, Refusal> {
        let index = self.by_version.get(version_id);
        let resident = index.and_then(|index| self.residents.get(*index));
        resident
            .and_then(|resident| resident.version(version_id))
            .ok_or_else(Refusal::no_such_version)
    }

    /// Changes what `update` holds and nothing else; all of it, or nothing.
    pub(super) fn update(
        &mut self,
        workflow_id: &str,
        update: &Update,
        at: impl FnOnce() -> String,
    ) -> Result<&WorkflowRecord, Refusal> {
        let index = self.by_workflow.get(workflow_id);
        let index = *index.ok_or_else(Refusal::no_such_workflow)?;
        self.check(&self.residents[index], update)?;
        let resident = &mut self.residents[index];
        if let Some(version_id) = &update.version_id {
            resident.activate(version_id);
        }
        let workflow = &mut resident.workflow;
        if let Some(name) = &update.name {
            workflow.name.clone_from(name);
        }
        if let Some(description) = &update.description {
            workflow.description.clone_from(description);
        }
        if let Some(enabled) = update.enabled {
            workflow.enabled = enabled;
        }
        if let Some(label) = &update.labels {
            workflow.labels = label.as_str().to_owned();
        }
        workflow.update_time = at();
        Ok(workflow)
    }

    /// Makes a workflow what it was before.
    pub(super) fn put_back(&mut self, before: Resident) {
        let index = self.by_workflow.get(&before.workflow.id).copied();
        if let Some(resident) = index.and_then(|index| self.residents.get_mut(index)) {
            *resident = before;
        }
    }

    fn check(&self, resident: &Resident, update: &Update) -> Result<(), Refusal> {
        for (field, text) in [("name", &update.name), ("description", &update.description)] {
            let length = text.as_ref().map_or(0, |text| text.chars().count());
            if length > LONGEST {
                return Err(Refusal::invalid(format!(
                    "{field}: {length} characters are more than {LONGEST}"
                )));
            }
        }
        let will_run = update.enabled.unwrap_or(resident.workflow.enabled);
        match update.version_id.as_deref() {
            None if update.enabled == Some(true) => Err(Refusal::invalid(
                "version_id is mandatory when a workflow is enabled",
            )),
            Some("") if will_run => Err(Refusal::invalid(
                "version_id is empty, and the workflow is enabled",
            )),
            None | Some("") => Ok(()),
            Some(version_id) => match resident.version(version_id) {
                Some(version) if version.status.is_published() => Ok(()),
                Some(_) => Err(Refusal::invalid(
                    "version_id names a version that is not published",
                )),
                None if self.knows_version(version_id) => Err(Refusal::invalid(
                    "version_id names a version of another workflow",
                )),
                None => Err(Refusal::no_such_version()),
            },
        }
    }
}

impl Resident {
    fn version(&self, version_id: &str) -> Option<&VersionRecord> {
        let mut versions = self.versions.iter();
        versions.find(|version| version.id == version_id)
    }

    /// Puts the version of this id into use, and the one before out of it.
    fn activate(&mut self, version_id: &str) {
        self.workflow.version_id = version_id.to_owned();
        self.workflow.version = String::new();
        for version in &mut self.versions {
            if version.id == version_id {
                version.status = VersionStatus::Activated;
                self.workflow.version.clone_from(&version.version);
            } else if version.status == VersionStatus::Activated {
                version.status = VersionStatus::NotActivated;
            }
        }
    }
}

impl ListQuery {
    fn asks_for(&self, workflow: &WorkflowRecord) -> bool {
        let holds = |wish: &Option<String>, text: &str| {
            wish.as_ref()
                .is_none_or(|wish| text.contains(wish.as_str()))
        };
        let equals =
            |wish: &Option<String>, text: &str| wish.as_ref().is_none_or(|wish| wish == text);
        self.enabled.is_none_or(|wish| wish == workflow.enabled)
            && holds(&self.name, &workflow.name)
            && holds(&self.description, &workflow.description)
            && equals(&self.dataclass_id, &workflow.dataclass_id)
            && equals(&self.dataclass_name, &workflow.dataclass_name)
            && equals(&self.aop_type, &workflow.aop_type)
    }
}
