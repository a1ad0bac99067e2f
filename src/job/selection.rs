//! Which rows of a job are taken up: `--only` and `--limit`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::model::id::Id;
use crate::model::row::Row;

use super::hold::Held;
use super::partition::Partition;
use crate::model::id::same_id;

/// One `--only`. Several must all hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// `workspace=X`
    Workspace(Id),
    /// `workflow_id=X`
    WorkflowId(Id),
    /// `row=3,7-9`
    Rows(Vec<RangeInclusive<u64>>),
}

/// How an `--only` is written, for hints.
pub const HINT: &str = "write workspace=ID, workflow_id=ID or row=3,7-9";

impl Only {
    /// Reads `workspace=X`, `workflow_id=X` or `row=3,7-9`.
    pub fn parse(text: &str) -> Option<Self> {
        let (what, value) = text.split_once('=')?;
        Some(match what.trim() {
            "workspace" | "workspace_id" => Self::Workspace(Id::parse(value).ok()?),
            "workflow_id" => Self::WorkflowId(Id::parse(value).ok()?),
            "row" => Self::Rows(value.split(',').map(range).collect::<Option<_>>()?),
            _ => return None,
        })
    }

    /// Its parts that `row` matches, by index.
    fn matches(&self, row: &Row) -> Vec<usize> {
        let one = |matches: bool| if matches { vec![0] } else { Vec::new() };
        match self {
            Self::Workspace(id) => one(row.workspace.workspace_id == *id),
            Self::WorkflowId(id) => one(row.workflow_id == *id),
            Self::Rows(ranges) => {
                let parts = ranges.iter().enumerate();
                let hit = parts.filter(|(_, range)| range.contains(&row.number));
                hit.map(|(index, _)| index).collect()
            }
        }
    }

    /// Its parts, as written.
    fn parts(&self) -> Vec<String> {
        match self {
            Self::Workspace(id) => vec![format!("workspace={id}")],
            Self::WorkflowId(id) => vec![format!("workflow_id={id}")],
            Self::Rows(ranges) => {
                let part = |range| format!("row={}", show(range));
                ranges.iter().map(part).collect()
            }
        }
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
    /// All must hold.
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
    /// Which parts of which `--only` no row has matched yet.
    idle: Vec<Vec<bool>>,
}

impl Selection {
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
        held.map(String::as_str)
    }

    /// A selector that has seen no row yet.
    pub fn selector(&self) -> Selector {
        let idle = self.only.iter().map(|only| vec![true; only.parts().len()]);
        Selector {
            idle: idle.collect(),
            selection: self.clone(),
            taken: 0,
        }
    }
}

impl Selector {
    /// Whether `row` is taken up; otherwise it is `skipped`.
    pub fn takes(&mut self, row: &Row) -> bool {
        let mut takes = true;
        for (only, idle) in self.selection.only.iter().zip(&mut self.idle) {
            let matches = only.matches(row);
            takes &= !matches.is_empty();
            for part in matches {
                idle[part] = false;
            }
        }
        takes &= self
            .selection
            .partition
            .is_none_or(|partition| partition.part_of(row) == partition.part());
        takes &= self.selection.held(&row.workflow_id).is_none();
        takes &= self.selection.limit.is_none_or(|limit| self.taken < limit);
        self.taken += u64::from(takes);
        takes
    }

    /// The parts of `--only` that no row matched: a typo, most likely.
    pub fn idle(&self) -> Vec<String> {
        let parts = self.selection.only.iter().map(Only::parts).zip(&self.idle);
        parts
            .flat_map(|(parts, idle)| parts.into_iter().zip(idle))
            .filter(|(_, idle)| **idle)
            .map(|(part, _)| part)
            .collect()
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
        ] {
            assert_eq!(Only::parse(text), None, "{text}");
        }
    }
}
