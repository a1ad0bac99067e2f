//! Which rows of a job are taken up: `--only` and `--limit`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::model::id::Id;
use crate::model::row::Row;

use super::hold::Held;
use super::partition::Partition;
use crate::model::id::same_id;

/// What `--only` says of one key: a row matches one of its values. All keys that are given must match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// `workspace=X,Y`
    Workspace(Vec<Id>),
    /// `workflow_id=X,Y`
    WorkflowId(Vec<Id>),
    /// `workflow_name=X`: a name may hold a comma.
    WorkflowName(Vec<String>),
    /// `row=3,7-9`
    Rows(Vec<RangeInclusive<u64>>),
}

/// How an `--only` is written, for hints.
pub const HINT: &str = "write workspace=ID, workflow_id=ID, workflow_name=NAME or row=3,7-9; values of one kind are alternatives, and so are lists of ids and rows (A,B)";

/// What a row is known by to a choice of rows.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its numbers: an undo has one row for several of a run.
    pub numbers: &'a [u64],
    /// Its workspace.
    pub workspace_id: &'a Id,
    /// Its workflow.
    pub workflow_id: &'a Id,
    /// What that is called.
    pub names: &'a [String],
}

impl Only {
    /// Reads `workspace=X`, `workflow_id=X`, `workflow_name=X` or `row=3,7-9`.
    pub fn parse(text: &str) -> Option<Self> {
        let (what, value) = text.split_once('=')?;
        let ids = || -> Option<Vec<Id>> {
            let ids = value.split(',').map(|id| Id::parse(id.trim()).ok());
            ids.collect()
        };
        Some(match what.trim() {
            "workspace" | "workspace_id" => Self::Workspace(ids()?),
            "workflow_id" => Self::WorkflowId(ids()?),
            "workflow_name" if !value.is_empty() => Self::WorkflowName(vec![value.to_owned()]),
            "row" => Self::Rows(value.split(',').map(range).collect::<Option<_>>()?),
            _ => return None,
        })
    }

    /// Adds what `self` says to `all`: to what is said of the same key, if anything is.
    pub fn add_to(self, all: &mut Vec<Self>) {
        for other in all.iter_mut() {
            match (other, &self) {
                (Self::Workspace(known), Self::Workspace(more))
                | (Self::WorkflowId(known), Self::WorkflowId(more)) => {
                    return known.extend(more.iter().cloned());
                }
                (Self::WorkflowName(known), Self::WorkflowName(more)) => {
                    return known.extend(more.iter().cloned());
                }
                (Self::Rows(known), Self::Rows(more)) => {
                    return known.extend(more.iter().cloned());
                }
                (
                    Self::Workspace(_)
                    | Self::WorkflowId(_)
                    | Self::WorkflowName(_)
                    | Self::Rows(_),
                    _,
                ) => {}
            }
        }
        all.push(self);
    }

    /// Its values that `subject` matches, by their places.
    pub fn matches(&self, subject: &Subject<'_>) -> Vec<usize> {
        fn places<T>(values: &[T], is: impl Fn(&T) -> bool) -> Vec<usize> {
            let values = values.iter().enumerate().filter(|(_, value)| is(value));
            values.map(|(place, _)| place).collect()
        }
        let is_id = |id: &Id| {
            let id = same_id(id);
            move |known: &Id| same_id(known) == id
        };
        match self {
            Self::Workspace(ids) => places(ids, is_id(subject.workspace_id)),
            Self::WorkflowId(ids) => places(ids, is_id(subject.workflow_id)),
            Self::WorkflowName(names) => places(names, |name| subject.names.contains(name)),
            Self::Rows(ranges) => places(ranges, |range| {
                subject.numbers.iter().any(|number| range.contains(number))
            }),
        }
    }

    /// Its values, as written.
    pub fn values(&self) -> Vec<String> {
        fn of<T: std::fmt::Display>(key: &str, values: &[T]) -> Vec<String> {
            values
                .iter()
                .map(|value| format!("{key}={value}"))
                .collect()
        }
        match self {
            Self::Workspace(ids) => of("workspace", ids),
            Self::WorkflowId(ids) => of("workflow_id", ids),
            Self::WorkflowName(names) => of("workflow_name", names),
            Self::Rows(ranges) => of("row", &ranges.iter().map(show).collect::<Vec<_>>()),
        }
    }
}

/// Which values of a choice of rows have matched none so far: a typo, most likely.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    only: Vec<Only>,
    idle: Vec<Vec<bool>>,
}

impl Choice {
    /// A choice that has seen no row yet.
    pub fn of(only: &[Only]) -> Self {
        Self {
            idle: only
                .iter()
                .map(|only| vec![true; only.values().len()])
                .collect(),
            only: only.to_vec(),
        }
    }

    /// Whether it takes `subject`.
    pub fn takes(&mut self, subject: &Subject<'_>) -> bool {
        let mut takes = true;
        for (only, idle) in self.only.iter().zip(&mut self.idle) {
            let matches = only.matches(subject);
            takes &= !matches.is_empty();
            for place in matches {
                idle[place] = false;
            }
        }
        takes
    }

    /// The values that matched no row.
    pub fn idle(&self) -> Vec<String> {
        let values = self.only.iter().map(Only::values).zip(&self.idle);
        values
            .flat_map(|(values, idle)| values.into_iter().zip(idle))
            .filter(|(_, idle)| **idle)
            .map(|(value, _)| value)
            .collect()
    }
}

/// A range as `--only row=` takes it: `3`, `7-9`.
pub fn show(range: &RangeInclusive<u64>) -> String {
    match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

fn range(text: &str) -> Option<RangeInclusive<u64>> {
    let number = |text: &str| text.trim().parse().ok().filter(|number| *number > 0);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..=last)
}

/// Which rows are taken up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// One for each key; all must match.
    pub only: Vec<Only>,
    /// The first so many of those.
    pub limit: Option<u64>,
    /// The part that is taken up, if it is not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// Workflows that are left alone, and why.
    #[serde(default, skip_serializing_if = "Held::is_empty")]
    pub held: Held,
}

/// What the report says of a row that is in another part.
pub fn elsewhere(part: u32, of: u32) -> String {
    format!("in part {part} of {of}")
}

/// Applies a [`Selection`] to rows in input order.
#[derive(Clone, Debug)]
pub struct Selector {
    selection: Selection,
    taken: u64,
    choice: Choice,
}

impl Selection {
    /// All rows.
    pub const fn all() -> Self {
        Self {
            only: Vec::new(),
            limit: None,
            partition: None,
            held: Held::new(),
        }
    }

    /// Whether which rows are taken up follows from the workspaces that they name: these have to be looked up first, for the
    /// rows of all parts.
    pub fn goes_by_place(&self) -> bool {
        let by_workspace = |only: &Only| matches!(only, Only::Workspace(_));
        self.partition.is_some() || self.only.iter().any(by_workspace)
    }

    /// Why `row` is left out by more than the user's choice of rows, if it is.
    pub fn why_left_out(&self, row: &Row) -> Option<String> {
        if let Some(partition) = self.partition {
            let part = partition.part_of(row);
            if part != partition.part() {
                return Some(elsewhere(part, partition.of()));
            }
        }
        self.held(&row.workflow_id).map(str::to_owned)
    }

    /// Why the workflow `id` is left alone, if it is.
    pub fn held(&self, id: &Id) -> Option<&str> {
        // Most jobs hold none.
        let held = (!self.held.is_empty()).then(|| self.held.get(&same_id(id)))?;
        held.map(|hold| hold.why.as_str())
    }

    /// A selector that has seen no row yet.
    pub fn selector(&self) -> Selector {
        Selector {
            choice: Choice::of(&self.only),
            selection: self.clone(),
            taken: 0,
        }
    }
}

impl Selector {
    /// Whether `row` is taken up; otherwise it is `skipped`.
    pub fn takes(&mut self, row: &Row) -> bool {
        let mut takes = self.choice.takes(&Subject {
            numbers: &[row.number],
            workspace_id: &row.workspace.workspace_id,
            workflow_id: &row.workflow_id,
            names: row.called.as_slice(),
        });
        takes &= self
            .selection
            .partition
            .is_none_or(|partition| partition.part_of(row) == partition.part());
        takes &= self.selection.held(&row.workflow_id).is_none();
        takes &= self.selection.limit.is_none_or(|limit| self.taken < limit);
        self.taken += u64::from(takes);
        takes
    }

    /// The values of `--only` that no row matched.
    pub fn idle(&self) -> Vec<String> {
        self.choice.idle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_by_number_and_range() {
        assert_eq!(
            Only::parse("row=3,7-9"),
            Some(Only::Rows(vec![3..=3, 7..=9]))
        );
        for text in [
            "row=",
            "row=0",
            "row=9-7",
            "row=a",
            "rows=1",
            "workspace",
            "workspace=",
            "name=x",
            "workflow_name=",
            "workflow_id=a,",
        ] {
            assert_eq!(Only::parse(text), None, "{text}");
        }
    }

    #[test]
    fn values_of_one_key_are_alternatives_and_all_keys_must_match() {
        let mut only = Vec::new();
        for text in [
            "workflow_id=A,B",
            "workspace=s",
            "workflow_id=0F9183E1-C2D3-4B6C-8A7E-5D4C3B2A1908",
            "workflow_name=Triage, tier 1",
            "workflow_name=Other",
        ] {
            Only::parse(text).unwrap().add_to(&mut only);
        }
        let mut choice = Choice::of(&only);
        let mut takes = |workspace: &str, workflow: &str, name: &str| {
            choice.takes(&Subject {
                numbers: &[1],
                workspace_id: &Id::parse(workspace).unwrap(),
                workflow_id: &Id::parse(workflow).unwrap(),
                names: &[name.to_owned()],
            })
        };
        assert!(takes("s", "A", "Triage, tier 1"));
        assert!(takes("s", "0f9183e1c2d34b6c8a7e5d4c3b2a1908", "Other"));
        assert!(!takes("t", "A", "Other"));
        assert!(!takes("s", "C", "Other"));
        assert!(!takes("s", "A", "Triage"));
        assert_eq!(choice.idle(), ["workflow_id=B"]);
    }
}
