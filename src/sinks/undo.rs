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
    /// By the first row of each.
    all: Vec<(Row, Change)>,
    places: HashMap<(LaneId, Workspace, String), usize>,
}

impl Changes {
    /// `row` has made `change`, after what was added before; `workflow_id` where it was looked up.
    pub fn add(&mut self, row: Row, workflow_id: Option<Id>, change: Change) {
        let workflow_id = workflow_id.unwrap_or(row.workflow_id);
        let row = Row { workflow_id, ..row };
        let key = (row.lane, row.workspace.clone(), same_id(&row.workflow_id));
        match self.places.entry(key) {
            Entry::Vacant(place) => {
                place.insert(self.all.len());
                self.all.push((row, change));
            }
            Entry::Occupied(place) => {
                let Some((_, all)) = self.all.get_mut(*place.get()) else {
                    return;
                };
                for (field, before, after) in change.fields() {
                    all.note(field, before, after);
                }
            }
        }
    }

    /// What is not as it was before the first of them.
    pub fn into_all(self) -> impl Iterator<Item = (Row, Change)> {
        self.all.into_iter().filter_map(|(row, mut change)| {
            let Change { before, after } = &mut change;
            after.retain(|field, value| before.get(field) != Some(value));
            (!change.is_empty()).then_some((row, change))
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
