//! `undo.csv`: the rows that put back what a run changed, each guarded by what it left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::model::change::Change;
use crate::model::field::Field;
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::id::same_id;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

/// What several rows have changed, workflow by workflow.
#[derive(Debug, Default)]
pub struct Changes {
    /// By the first row of each, with what its rows have changed and when.
    all: Vec<(Row, Vec<(u64, Change)>)>,
    places: HashMap<(LaneId, Workspace, String), usize>,
}

impl Changes {
    /// `row` has made `change`; `at` tells it from what came before and after. `workflow_id` where it was looked up.
    pub fn add(&mut self, at: u64, row: Row, workflow_id: Option<Id>, change: Change) {
        let workflow_id = workflow_id.unwrap_or(row.workflow_id);
        let row = Row { workflow_id, ..row };
        let key = (row.lane, row.workspace.clone(), same_id(&row.workflow_id));
        match self.places.entry(key) {
            Entry::Vacant(place) => {
                place.insert(self.all.len());
                self.all.push((row, vec![(at, change)]));
            }
            Entry::Occupied(place) => {
                if let Some((_, changes)) = self.all.get_mut(*place.get()) {
                    changes.push((at, change));
                }
            }
        }
    }

    /// What is not as it was before the first of them.
    pub fn into_all(self) -> impl Iterator<Item = (Row, Change)> {
        self.all.into_iter().filter_map(|(row, mut changes)| {
            // A row of an earlier stage may have gone again after one of a later stage.
            changes.sort_by_key(|(at, _)| *at);
            let mut all = Change::default();
            for (_, change) in &changes {
                for (field, before, after) in change.fields() {
                    all.note(field, before, after);
                }
            }
            let Change { before, after } = &mut all;
            after.retain(|field, value| before.get(field) != Some(value));
            (!all.is_empty()).then_some((row, all))
        })
    }
}

/// The row that puts back `change`, which `row` made; `workflow_id` where it was looked up. Without `guarded` it does so whatever is there now.
pub fn undo_row(row: &Row, workflow_id: Option<&Id>, change: &Change, guarded: bool) -> Row {
    let mut update = Update::default();
    let mut fields = Vec::new();
    for (field, before, after) in change.fields() {
        // The service tells no name of it, and takes none that is empty.
        if field == Field::Name && before.is_empty() {
            continue;
        }
        if update.set(field, before) && guarded {
            fields.push((field, after.to_owned()));
        }
    }
    Row {
        workflow_id: workflow_id.unwrap_or(&row.workflow_id).clone(),
        called: None,
        update,
        version: None,
        guards: Guards {
            fields,
            update_time: None,
        },
        ..row.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_workflow_are_put_back_from_the_last_to_the_first_in_time() {
        let id = |text: &str| Id::parse(text).unwrap();
        let row = |number| Row {
            number,
            line: number,
            lane: LaneId(0),
            workspace: Workspace {
                project_id: id("p"),
                workspace_id: id("s"),
            },
            workflow_id: id("w"),
            called: None,
            wave: None,
            update: Update::default(),
            version: None,
            guards: Guards::default(),
        };
        let change = |fields: &[(Field, &str, &str)]| {
            let mut change = Change::default();
            for (field, before, after) in fields {
                change.note(*field, before, after);
            }
            change
        };
        let mut changes = Changes::default();
        // The first row goes again after the second.
        changes.add(90, row(1), None, change(&[(Field::Name, "B", "A")]));
        changes.add(
            50,
            row(2),
            None,
            change(&[(Field::Name, "base", "B"), (Field::Labels, "", "IP")]),
        );
        changes.add(95, row(3), None, change(&[(Field::Labels, "IP", "")]));
        let all: Vec<_> = changes.into_all().collect();
        assert_eq!(all.len(), 1);
        let (row, all) = &all[0];
        assert_eq!(row.number, 1);
        // The label is what it was.
        let fields: Vec<_> = all.fields().collect();
        assert_eq!(fields, [(Field::Name, "base", "A")]);
    }
}
