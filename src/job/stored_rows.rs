//! The rows of a job as a run keeps them (`input.jsonl`): rows that leave nothing open, one to a line, as JSON.
//!
//! The first line holds the targets, each once. A row names its target by its place among them, and says nothing
//! else but what is its own.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::model::field::Field;
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::row::{Row, VersionWish};
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

/// Of the file; another one is refused.
const FORMAT: u32 = 1;

/// Where rows go, as they spell it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The endpoint and credential that they leave by.
    pub lane: LaneId,
    /// Where their workflows live.
    #[serde(flatten)]
    pub workspace: Workspace,
}

/// The targets of a job's rows, in the order in which rows first go there.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    all: Vec<Target>,
    places: HashMap<(LaneId, Id, Id), usize>,
    /// Where the last row went: the next one mostly goes there, too.
    last: usize,
}

impl Targets {
    /// The place of that of `row`, which may be a new one.
    pub fn place_of(&mut self, row: &Row) -> usize {
        let Workspace {
            project_id,
            workspace_id,
        } = &row.workspace;
        let is_there = |target: &Target| {
            target.lane == row.lane
                && target.workspace.workspace_id == *workspace_id
                && target.workspace.project_id == *project_id
        };
        if self.all.get(self.last).is_some_and(is_there) {
            return self.last;
        }
        let next = self.all.len();
        let key = (row.lane, project_id.clone(), workspace_id.clone());
        self.last = *self.places.entry(key).or_insert(next);
        if self.last == next {
            self.all.push(Target {
                lane: row.lane,
                workspace: row.workspace.clone(),
            });
        }
        self.last
    }

    /// These.
    pub fn of(all: &[Target]) -> Self {
        let key = |target: &Target| {
            let Workspace {
                project_id,
                workspace_id,
            } = &target.workspace;
            (target.lane, project_id.clone(), workspace_id.clone())
        };
        Self {
            places: all.iter().map(key).zip(0..).collect(),
            all: all.to_vec(),
            last: 0,
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Target] {
        &self.all
    }

    /// They, without what finds their places.
    pub fn into_all(self) -> Vec<Target> {
        self.all
    }
}

/// A row, and why the user took it out, if they did; the reason may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The row.
    pub row: Row,
    /// Why it is not carried out.
    pub left_out: Option<String>,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    rows_format: u32,
    targets: Vec<Target>,
}

/// The line of a row, as it is written.
#[derive(Serialize)]
pub struct RowLine<'a> {
    row: u64,
    line: u64,
    #[serde(skip_serializing_if = "is_first")]
    target: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<u32>,
    #[serde(skip_serializing_if = "Update::is_empty")]
    set: &'a Update,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionWish>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    expect: &'a [(Field, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    expect_update_time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<&'a str>,
}

/// The same, as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRow {
    row: u64,
    line: u64,
    #[serde(default)]
    target: usize,
    workflow_id: Option<Id>,
    workflow_name: Option<String>,
    wave: Option<u32>,
    #[serde(default)]
    set: Update,
    version: Option<VersionWish>,
    #[serde(default)]
    expect: Vec<(Field, String)>,
    expect_update_time: Option<String>,
    left_out: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_first(target: &usize) -> bool {
    *target == 0
}

/// Writes the first line: the rows go to `targets`.
///
/// # Errors
/// It cannot be written.
pub fn write_head(targets: &[Target], mut out: impl Write) -> io::Result<()> {
    let head = Head {
        rows_format: FORMAT,
        targets: targets.to_vec(),
    };
    serde_json::to_writer(&mut out, &head)?;
    out.write_all(b"\n")
}

/// The targets that the first line of `bytes` names.
///
/// # Errors
/// It cannot be read, or is that of something else.
pub fn read_head(bytes: &mut impl BufRead) -> io::Result<Vec<Target>> {
    let mut line = Vec::new();
    bytes.read_until(b'\n', &mut line)?;
    let head: Head = serde_json::from_slice(&line)?;
    match head.rows_format {
        FORMAT => Ok(head.targets),
        other => Err(invalid(format!("rows of format {other} are not known"))),
    }
}

/// Writes `row`, which goes to the target at `target`.
///
/// # Errors
/// It cannot be written.
pub fn write_row(
    row: &Row,
    target: usize,
    left_out: Option<&str>,
    mut out: impl Write,
) -> io::Result<()> {
    serde_json::to_writer(&mut out, &RowLine::of(row, target, left_out))?;
    out.write_all(b"\n")
}

impl<'a> RowLine<'a> {
    /// That of `row`, which goes to the target at `target`.
    pub fn of(row: &'a Row, target: usize, left_out: Option<&'a str>) -> Self {
        Self {
            row: row.number,
            line: row.line,
            target,
            workflow_id: Some(&row.workflow_id).filter(|_| row.called.is_none()),
            workflow_name: row.called.as_deref(),
            wave: row.wave,
            set: &row.update,
            version: row.version,
            expect: &row.guards.fields,
            expect_update_time: row.guards.update_time.as_deref(),
            left_out,
        }
    }

    /// The same, with the id of its workflow, whether the row names it or not.
    pub fn with_id(self, workflow_id: &'a Id) -> Self {
        Self {
            workflow_id: Some(workflow_id),
            ..self
        }
    }
}

/// The row of `line`, which goes to one of `targets`.
///
/// # Errors
/// It is no row.
pub fn read_row(line: &[u8], targets: &[Target]) -> io::Result<StoredRow> {
    serde_json::from_slice::<ReadRow>(line)?.row(targets)
}

impl ReadRow {
    /// The row, which goes to one of `targets`. One whose workflow was looked up has its id.
    ///
    /// # Errors
    /// It goes to none of them, or is about no workflow.
    pub fn row(self, targets: &[Target]) -> io::Result<StoredRow> {
        let nowhere = || invalid(format!("row {} goes nowhere", self.row));
        let target = targets.get(self.target).ok_or_else(nowhere)?;
        let about_none = || invalid(format!("row {} is about no workflow", self.row));
        let stand_in = || self.workflow_name.as_deref().and_then(Row::stand_in);
        let workflow_id = self.workflow_id.or_else(stand_in);
        Ok(StoredRow {
            row: Row {
                number: self.row,
                line: self.line,
                lane: target.lane,
                workspace: target.workspace.clone(),
                workflow_id: workflow_id.ok_or_else(about_none)?,
                called: self.workflow_name,
                wave: self.wave,
                update: self.set,
                version: self.version,
                guards: Guards {
                    fields: self.expect,
                    update_time: self.expect_update_time,
                },
            },
            left_out: self.left_out,
        })
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64, workspace: &str) -> Row {
        Row {
            number,
            line: number * 3,
            lane: LaneId(number as usize % 2),
            workspace: Workspace {
                project_id: Id::parse("p").unwrap(),
                workspace_id: Id::parse(workspace).unwrap(),
            },
            workflow_id: Id::parse("w").unwrap(),
            called: None,
            wave: (number == 2).then_some(7),
            update: Update {
                name: Some("'=1\n\"".into()),
                description: Some(String::new()),
                ..Update::default()
            },
            version: Some(VersionWish::Latest),
            guards: Guards {
                fields: vec![(Field::Labels, "<empty>".into())],
                update_time: Some("then".into()),
            },
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let named = Row {
            called: Some("<empty>".into()),
            workflow_id: Row::stand_in("<empty>").unwrap(),
            ..row(3, "t")
        };
        let mut targets = Targets::default();
        let mut lines = Vec::new();
        for (row, left_out) in [(row(1, "s"), None), (row(2, "s"), Some("")), (named, None)] {
            let mut line = Vec::new();
            let target = targets.place_of(&row);
            write_row(&row, target, left_out, &mut line).unwrap();
            lines.push((line, row, left_out));
        }
        let mut head = Vec::new();
        write_head(targets.all(), &mut head).unwrap();
        let targets = read_head(&mut head.as_slice()).unwrap();
        assert_eq!(targets.len(), 3);
        for (line, row, left_out) in lines {
            let read = read_row(&line, &targets).unwrap();
            assert_eq!((read.row, read.left_out.as_deref()), (row, left_out));
            assert!(read_row(&line[1..], &targets).is_err());
        }
    }

    #[test]
    fn a_row_holds_what_is_its_own_alone() {
        let row = Row {
            wave: None,
            version: None,
            guards: Guards::default(),
            update: Update {
                enabled: Some(true),
                ..Update::default()
            },
            ..row(2, "s")
        };
        let mut line = Vec::new();
        write_row(&row, 0, None, &mut line).unwrap();
        let expected = "{\"row\":2,\"line\":6,\"workflow_id\":\"w\",\"set\":{\"enabled\":true}}\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn a_row_that_goes_nowhere_and_one_about_no_workflow_are_refused() {
        let lines = [
            &br#"{"row":1,"line":2,"target":1,"workflow_id":"w"}"#[..],
            br#"{"row":1,"line":2}"#,
            br#"{"row":1,"line":2,"workflow_id":"w","sets":{}}"#,
        ];
        let targets = [Target {
            lane: LaneId(0),
            workspace: row(1, "s").workspace,
        }];
        for line in lines {
            assert!(read_row(line, &targets).is_err());
        }
        let other = br#"{"rows_format":2,"targets":[]}"#;
        assert!(read_head(&mut other.as_slice()).is_err());
    }
}
