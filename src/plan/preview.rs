//! A plan as text for people, and as lines for programs.

use serde::{Deserialize, Serialize};

use crate::model::change::Change;
use crate::model::event::Counts;
use crate::model::field::Field;
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::outcome::Failure;
use crate::model::target::{LaneId, Workspace};

/// One row of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRow {
    /// Its number.
    pub row: u64,
    /// The line that it came from.
    pub line: u64,
    /// The lane that it leaves by.
    pub lane: LaneId,
    /// Where its workflow lives.
    #[serde(flatten)]
    pub workspace: Workspace,
    /// The workflow.
    pub workflow_id: Id,
    /// Its name as it was read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub live_name: String,
    /// What becomes of it.
    pub action: Action,
    /// From what to what.
    #[serde(flatten)]
    pub change: Change,
    /// The wave that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u32>,
    /// What it expects to find, by its own cells.
    #[serde(default, skip_serializing_if = "Guards::is_empty")]
    pub guards: Guards,
    /// Why it is not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Its stage, if rows go in stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Its workflow is changed.
    Change,
    /// It is read back first: whether it was changed is not known.
    ReadBack,
    /// A guard does not hold.
    Conflict,
    /// It cannot be carried out as things stand.
    Fail,
}

impl Counts {
    /// Takes a row into account that makes `change`.
    pub fn see_change(&mut self, change: &Change) {
        self.changes += 1;
        let enabled = change.after.get(&Field::Enabled).map(String::as_str);
        self.enables += u64::from(enabled == Some("true"));
        self.disables += u64::from(enabled == Some("false"));
        self.renames += u64::from(change.after.contains_key(&Field::Name));
        let otherwise = |field: &Field| !matches!(field, Field::Enabled | Field::Name);
        self.otherwise += u64::from(change.after.keys().any(otherwise));
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.changes += other.changes;
        self.reads += other.reads;
        self.enables += other.enables;
        self.disables += other.disables;
        self.renames += other.renames;
        self.otherwise += other.otherwise;
        self.unchanged += other.unchanged;
        self.conflicts += other.conflicts;
        self.hopeless += other.hopeless;
    }

    /// All rows of the plan.
    pub fn rows(&self) -> u64 {
        self.changes + self.unchanged + self.conflicts + self.hopeless
    }

    /// `3 to change: 1 enabled, 2 renamed`
    pub fn changes_text(&self) -> String {
        let parts = [
            (self.enables, "enabled"),
            (self.disables, "disabled"),
            (self.renames, "renamed"),
            (self.otherwise, "otherwise changed"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        match parts.as_slice() {
            [] => format!("{} to change", self.changes),
            parts => format!("{} to change: {}", self.changes, parts.join(", ")),
        }
    }

    /// The same, and what does not change.
    pub fn text(&self) -> String {
        let mut text = self.changes_text();
        for (count, what) in [
            (self.unchanged, "as wished already"),
            (self.conflicts, "in conflict"),
            (self.hopeless, "that cannot be carried out"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {count} {what}"));
            }
        }
        text
    }
}

impl PlannedRow {
    /// Some lines: which workflow, and field by field from what to what.
    pub fn text(&self) -> String {
        let name = match self.live_name.as_str() {
            "" => String::new(),
            name => format!("{name:?} "),
        };
        let mut text = format!("  row {}  {name}{}", self.row, self.workflow_id);
        match self.action {
            Action::Change => {}
            Action::ReadBack => text.push_str("  (was sent before; is read back)"),
            Action::Conflict => text.push_str("  conflict"),
            Action::Fail => text.push_str("  cannot be carried out"),
        }
        if let Some(failure) = &self.failure {
            text.push_str(&format!("\n    {}", failure.message));
        }
        let width = self
            .change
            .fields()
            .map(|(field, ..)| field.as_str().len())
            .max();
        let width = width.unwrap_or_default();
        for (field, before, after) in self.change.fields() {
            let quoted = |value: &str| match field {
                Field::Enabled => value.to_owned(),
                Field::Name | Field::Description | Field::VersionId | Field::Labels => {
                    format!("{value:?}")
                }
            };
            text.push_str(&format!(
                "\n    {:width$}  {} -> {}",
                field.as_str(),
                quoted(before),
                quoted(after)
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(action: Action) -> PlannedRow {
        let mut change = Change::default();
        change.note(Field::Name, "Old", "New \"one\"");
        change.note(Field::Enabled, "true", "false");
        PlannedRow {
            row: 3,
            line: 4,
            lane: LaneId(0),
            workspace: Workspace {
                project_id: Id::parse("p").unwrap(),
                workspace_id: Id::parse("s").unwrap(),
            },
            workflow_id: Id::parse("w").unwrap(),
            live_name: "Old".into(),
            action,
            change,
            wave: None,
            guards: Guards::default(),
            failure: None,
            stage: None,
        }
    }

    #[test]
    fn a_row_shows_each_field_from_what_to_what() {
        assert_eq!(
            row(Action::Change).text(),
            "  row 3  \"Old\" w\n    name     \"Old\" -> \"New \\\"one\\\"\"\n    enabled  true -> false"
        );
    }

    #[test]
    fn counts_tell_what_changes_and_what_does_not() {
        let mut counts = Counts::default();
        counts.see_change(&row(Action::Change).change);
        (counts.conflicts, counts.unchanged) = (1, 7);
        assert_eq!(
            counts.text(),
            "1 to change: 1 disabled, 1 renamed; 7 as wished already; 1 in conflict"
        );
    }
}
