//! Which rows of a job are taken up: `--only` and `--limit`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::model::id::Id;
use crate::model::row::Row;

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

    fn takes(&self, row: &Row) -> bool {
        match self {
            Self::Workspace(id) => row.workspace.workspace_id == *id,
            Self::WorkflowId(id) => row.workflow_id == *id,
            Self::Rows(ranges) => ranges.iter().any(|range| range.contains(&row.number)),
        }
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
}

/// Applies a [`Selection`] to rows in input order.
#[derive(Clone, Debug)]
pub struct Selector {
    selection: Selection,
    taken: u64,
}

impl Selection {
    /// A selector that has seen no row yet.
    pub fn selector(&self) -> Selector {
        Selector {
            selection: self.clone(),
            taken: 0,
        }
    }
}

impl Selector {
    /// Whether `row` is taken up; otherwise it is `skipped`.
    pub fn takes(&mut self, row: &Row) -> bool {
        let room = self.selection.limit.is_none_or(|limit| self.taken < limit);
        let takes = room && self.selection.only.iter().all(|only| only.takes(row));
        self.taken += u64::from(takes);
        takes
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
