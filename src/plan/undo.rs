//! What puts back what a run changed: a pure function of its rows and of how they ended.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::change::Change;
use crate::model::field::Field;
use crate::model::guard::Guards;
use crate::model::id::same_id;
use crate::model::row::Row;
use crate::model::row_change::RowChange;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

/// A row that puts back what one workflow was before a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoRow {
    /// The row, with the number of the first row of the run that changed the workflow.
    pub row: Row,
    /// The rows of the run that did.
    pub undoes: Vec<u64>,
    /// What the workflow was and is called, as far as the run knows.
    pub names: Vec<String>,
}

/// Makes the rows that put back what a run changed, one for each workflow.
#[derive(Debug)]
pub struct WayBack {
    is_guarded: bool,
    /// By workflow, where a run has several rows for one.
    of_stages: Option<Changes>,
}

/// The changes of each workflow, in the order of the first row for it.
#[derive(Debug, Default)]
struct Changes {
    all: Vec<Vec<RowChange>>,
    places: HashMap<(LaneId, Workspace, String), usize>,
}

impl WayBack {
    /// Of a run whose rows are in stages or not (`is_staged`). With `is_guarded` a row puts back only what still is as the run
    /// left it.
    pub fn new(is_staged: bool, is_guarded: bool) -> Self {
        Self {
            is_guarded,
            of_stages: is_staged.then(Changes::default),
        }
    }

    /// Takes `change` into account. Gives the row that puts it back, unless a later row may have changed the workflow again.
    pub fn add(&mut self, change: RowChange) -> Option<UndoRow> {
        let Some(Changes { all, places }) = &mut self.of_stages else {
            return undo_row(vec![change], self.is_guarded);
        };
        let id = change.workflow_id.as_ref();
        let id = same_id(id.unwrap_or(&change.row.workflow_id));
        let key = (change.row.lane, change.row.workspace.clone(), id);
        match places.entry(key) {
            Entry::Vacant(place) => {
                place.insert(all.len());
                all.push(vec![change]);
            }
            Entry::Occupied(place) => {
                if let Some(changes) = all.get_mut(*place.get()) {
                    changes.push(change);
                }
            }
        }
        None
    }

    /// The rows that are still to be given.
    pub fn finish(self) -> impl Iterator<Item = UndoRow> {
        let all = self.of_stages.unwrap_or_default().all.into_iter();
        all.filter_map(move |changes| undo_row(changes, self.is_guarded))
    }
}

/// The row that puts back what all of `changes` have changed in one workflow; none if it is as it was before the first.
fn undo_row(mut changes: Vec<RowChange>, is_guarded: bool) -> Option<UndoRow> {
    let first = changes.first()?.row.clone();
    let undoes = changes.iter().map(|change| change.row.number).collect();
    // A row of an earlier stage may have gone again after one of a later stage.
    changes.sort_by_key(|change| change.at);
    let mut names: Vec<String> = Vec::new();
    let mut all = Change::default();
    // What may be there now.
    let mut possible: BTreeMap<Field, Vec<String>> = BTreeMap::new();
    let mut workflow_id = first.workflow_id.clone();
    for change in changes {
        for (field, before, after) in change.change.fields() {
            all.note(field, before, after);
            // The likeliest first: a CSV for people holds that one.
            let shown = change.shown.get(&field).cloned().into_iter();
            let mut now: Vec<String> = shown.chain([after.to_owned()]).collect();
            let possible = possible.entry(field).or_default();
            if change.unproven {
                now.push(before.to_owned());
                now.append(possible);
            }
            *possible = now;
            if field == Field::Name {
                names.extend([before, after].map(str::to_owned));
            }
        }
        names.extend(change.row.called.into_iter().chain(change.live_name));
        names.extend(change.shown.get(&Field::Name).cloned());
        workflow_id = change.workflow_id.unwrap_or(workflow_id);
    }
    names.sort_unstable();
    names.dedup();
    let (mut update, mut fields) = (Update::default(), Vec::new());
    for (field, before, _) in all.fields() {
        let mut others = possible.remove(&field).unwrap_or_default();
        others.retain(|value| value != before);
        if others.is_empty() {
            continue;
        }
        update.set(field, before);
        if is_guarded {
            let mut seen = BTreeSet::new();
            others.retain(|value| seen.insert(value.clone()));
            fields.extend(others.into_iter().map(|value| (field, value)));
        }
    }
    let row = Row {
        workflow_id,
        called: None,
        wave: None,
        update,
        version: None,
        guards: Guards {
            fields,
            update_time: None,
        },
        ..first
    };
    (!row.update.is_empty()).then_some(UndoRow { row, undoes, names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Id;

    fn changed(number: u64, at: u64, fields: &[(Field, &str, &str)]) -> RowChange {
        let id = |text: &str| Id::parse(text).unwrap();
        let mut change = Change::default();
        for (field, before, after) in fields {
            change.note(*field, before, after);
        }
        RowChange {
            at,
            row: Row {
                wave: Some(3),
                ..Row::new(
                    number,
                    LaneId(0),
                    Workspace {
                        project_id: id("p"),
                        workspace_id: id("s"),
                    },
                    id("w"),
                )
            },
            workflow_id: None,
            change,
            unproven: false,
            shown: BTreeMap::new(),
            live_name: None,
        }
    }

    #[test]
    fn changes_of_a_workflow_are_put_back_from_the_last_to_the_first_in_time() {
        let mut way_back = WayBack::new(true, true);
        // The first row goes again after the second.
        let label = (Field::Labels, "", "IP");
        for change in [
            changed(1, 90, &[(Field::Name, "B", "A")]),
            changed(2, 50, &[(Field::Name, "base", "B"), label]),
            changed(3, 95, &[(Field::Labels, "IP", "")]),
        ] {
            assert_eq!(way_back.add(change), None);
        }
        let all: Vec<_> = way_back.finish().collect();
        assert_eq!(all.len(), 1);
        let UndoRow { row, undoes, names } = &all[0];
        assert_eq!((row.number, undoes.as_slice()), (1, [1, 2, 3].as_slice()));
        assert_eq!(*names, ["A", "B", "base"]);
        // The label is what it was.
        assert_eq!(row.update.fields().collect::<Vec<_>>(), [Field::Name]);
        assert_eq!(row.update.name.as_deref(), Some("base"));
        assert_eq!(row.guards.fields, [(Field::Name, "A".to_owned())]);
    }

    #[test]
    fn what_an_unproven_change_would_have_replaced_may_still_be_there() {
        let name = |number, before, after| changed(number, number, &[(Field::Name, before, after)]);
        let doubtful = |change| RowChange {
            unproven: true,
            ..change
        };
        for (changes, expected) in [
            (vec![doubtful(name(1, "A", "B"))], vec!["B"]),
            (
                vec![name(1, "A", "B"), doubtful(name(2, "B", "C"))],
                vec!["C", "B"],
            ),
            (
                vec![name(1, "A", "B"), doubtful(name(2, "B", "A"))],
                vec!["B"],
            ),
            (
                vec![doubtful(name(1, "A", "B")), name(2, "A", "C")],
                vec!["C"],
            ),
            (vec![name(1, "A", "B"), name(2, "B", "A")], vec![]),
        ] {
            let mut way_back = WayBack::new(true, true);
            changes.into_iter().for_each(|change| {
                way_back.add(change);
            });
            let rows: Vec<_> = way_back.finish().collect();
            let guards = rows.iter().flat_map(|undo| &undo.row.guards.fields);
            let names: Vec<_> = guards.map(|(_, value)| value.as_str()).collect();
            assert_eq!(names, expected);
            let back = rows
                .iter()
                .all(|undo| undo.row.update.name.as_deref() == Some("A"));
            assert!(back, "{rows:?}");
        }
    }

    #[test]
    fn texts_are_put_back_exactly_as_the_service_held_them() {
        let long = "d".repeat(2_000);
        for before in ["<empty>", "a\0b", "", "'=1", &long] {
            let change = changed(1, 1, &[(Field::Description, before, "D")]);
            let undo = WayBack::new(false, true).add(change).unwrap();
            assert_eq!(undo.row.update.description.as_deref(), Some(before));
        }
        let change = changed(1, 1, &[(Field::Labels, "ip", "DOMAIN")]);
        let undo = WayBack::new(false, true).add(change).unwrap();
        let json = serde_json::to_string(&undo.row.update).unwrap();
        assert_eq!(json, r#"{"labels":"ip"}"#);
        assert_eq!(
            serde_json::from_str::<Update>(&json).unwrap(),
            undo.row.update
        );
    }

    #[test]
    fn the_guard_takes_what_the_service_showed_and_what_was_sent() {
        let mut change = changed(1, 1, &[(Field::Name, "old", "new ")]);
        change.shown.insert(Field::Name, "new".into());
        let undo = WayBack::new(false, true).add(change.clone()).unwrap();
        let both = ["new", "new "].map(|name| (Field::Name, name.to_owned()));
        assert_eq!(undo.row.guards.fields, both);
        let unguarded = WayBack::new(false, false).add(change).unwrap();
        assert!(unguarded.row.guards.is_empty());
    }
}
