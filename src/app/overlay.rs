//! What the stages of a job leave to those after them: the live state as it will be then, if all goes well. It is what a plan and
//! a choice of rows go by; what is sent goes by a reading.

use std::collections::{BTreeMap, HashMap};

use crate::model::field::Field;
use crate::model::id::Id;
use crate::model::id::{same_id, same_spelling};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::workflow::Workflow;

/// What a stage sets in a workflow; nothing where only is known that it changes it, or may change it.
type Set = BTreeMap<Field, String>;

/// What stages set, workflow by workflow. Empty where a job has no stages.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    sets: HashMap<(LaneId, Workspace, String), Vec<(usize, Set)>>,
    /// What earlier sessions have changed in a workflow, and in which stage.
    done: HashMap<(LaneId, Workspace, String), Vec<(usize, Set)>>,
    /// Workflows that are given a name.
    named: HashMap<(LaneId, Workspace, String), Vec<Id>>,
}

impl Overlay {
    /// The stage at `stage` sets in the workflow of `row` what it wishes.
    pub(super) fn wish(&mut self, stage: usize, row: &Row) {
        let wished = row.update.fields().filter_map(|field| {
            let value = row.update.value(field)?;
            Some((field, value.to_owned()))
        });
        self.set(stage, row, wished.collect());
    }

    /// The stage at `stage` may change the workflow of `row`: what is there after it nobody knows before.
    pub(super) fn touch(&mut self, stage: usize, row: &Row) {
        self.set(stage, row, Set::new());
    }

    /// The stage at `stage` sets so much in the workflow of `row`.
    pub(super) fn set(&mut self, stage: usize, row: &Row, set: Set) {
        let (lane, workspace) = (row.lane, row.workspace.clone());
        if let Some(name) = set.get(&Field::Name) {
            let key = (lane, workspace.clone(), name.clone());
            let ids = self.named.entry(key).or_default();
            if !ids.contains(&row.workflow_id) {
                ids.push(row.workflow_id.clone());
            }
        }
        let key = (lane, workspace, same_id(&row.workflow_id));
        let sets = self.sets.entry(key).or_default();
        match sets.iter_mut().find(|(known, _)| *known == stage) {
            // Planned once more, it is the same.
            Some((_, known)) => known.extend(set),
            None => sets.push((stage, set)),
        }
        sets.sort_by_key(|(stage, _)| *stage);
    }

    /// What the stages before `stage` set in a workflow.
    fn before(
        &self,
        stage: usize,
        lane: LaneId,
        workspace: &Workspace,
        id: &str,
    ) -> impl Iterator<Item = &Set> {
        // Most jobs have no stages.
        let key = (!self.sets.is_empty()).then(|| (lane, workspace.clone(), same_spelling(id)));
        let sets = key.and_then(|key| self.sets.get(&key));
        let sets = sets.into_iter().flatten();
        sets.take_while(move |(earlier, _)| *earlier < stage)
            .map(|(_, set)| set)
    }

    /// Whether a stage before `stage` changes the workflow of `row`.
    pub(super) fn touches(&self, stage: usize, row: &Row) -> bool {
        let id = row.workflow_id.as_str();
        self.before(stage, row.lane, &row.workspace, id)
            .next()
            .is_some()
    }

    /// Whether no stage changes anything.
    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Makes `workflow` what it is when `stage` begins.
    pub(super) fn apply(
        &self,
        stage: usize,
        lane: LaneId,
        workspace: &Workspace,
        workflow: &mut Workflow,
    ) {
        if self.sets.is_empty() {
            return;
        }
        let id = workflow.id.clone();
        for set in self.before(stage, lane, workspace, &id) {
            for (field, value) in set {
                workflow.set(*field, value);
            }
            // When and by whom will be known then.
            workflow.update_time.clear();
            workflow.modifier_name.clear();
        }
    }

    /// An earlier session has changed so much in the workflow of `row`, by the stage at `stage`.
    pub(super) fn was_done(&mut self, stage: usize, row: &Row, set: Set) {
        self.touch(stage, row);
        let id = same_id(&row.workflow_id);
        let key = (row.lane, row.workspace.clone(), id);
        self.done.entry(key).or_default().push((stage, set));
    }

    /// A stage after that of `row`, which is the one at `stage`, that has changed already what the row is to change.
    pub(super) fn overtaken_by(&self, stage: usize, row: &Row) -> Option<usize> {
        if self.done.is_empty() {
            return None;
        }
        let id = same_id(&row.workflow_id);
        let done = self.done.get(&(row.lane, row.workspace.clone(), id))?;
        let has_version = row.version.is_some();
        let wishes = |field: &Field| {
            row.update.value(*field).is_some() || (has_version && *field == Field::VersionId)
        };
        let mut later = done.iter().filter(|(other, _)| *other > stage);
        later
            .find(|(_, set)| set.keys().any(wishes))
            .map(|(other, _)| *other)
    }

    /// The workflows that are called `name` when `stage` begins, of which `there` are called so now.
    pub(super) fn called(
        &self,
        stage: usize,
        (lane, workspace): (LaneId, &Workspace),
        name: &str,
        there: Vec<String>,
    ) -> Vec<String> {
        if self.sets.is_empty() {
            return there;
        }
        let name_of = |id: &str| {
            let sets = self.before(stage, lane, workspace, id);
            sets.filter_map(|set| set.get(&Field::Name)).last()
        };
        let key = (lane, workspace.clone(), name.to_owned());
        let named = self.named.get(&key).into_iter().flatten();
        let named = named.map(Id::to_string).filter(|id| !there.contains(id));
        let candidates: Vec<_> = there.iter().cloned().chain(named).collect();
        let is_called = |id: &String| match name_of(id) {
            Some(given) => given == name,
            None => there.contains(id),
        };
        candidates.into_iter().filter(is_called).collect()
    }
}
