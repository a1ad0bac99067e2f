//! `undo.csv`: the rows that put back what a run changed, each guarded by what it left.

use crate::model::change::Change;
use crate::model::field::Field;
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::row::Row;
use crate::model::update::Update;

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
