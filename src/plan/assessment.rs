//! What becomes of each row by the live state: decided once, and kept as the lines of `plan.jsonl`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::job::stored_rows::{ReadRow, RowLine, Target};
use crate::model::change::Change;
use crate::model::event::Counts;
use crate::model::field::{Field, FieldSet};
use crate::model::id::Id;
use crate::model::outcome::Failure;
use crate::model::row::Row;
use crate::model::update::Update;
use crate::model::version::Version;
use crate::model::workflow::Workflow;

use super::decision::Live;
use super::preview::{Action, PlannedRow};

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Assessment {
    /// It is carried out.
    Send(Box<Sending>),
    /// It ends without a request.
    End(Box<Ending>),
}

/// A row that is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    /// The row, with the id of its workflow.
    pub row: Row,
    /// How.
    pub way: Way,
    /// Its workflow as it was read; none where it was not.
    pub live: Option<Live>,
    /// From what to what.
    pub change: Change,
    /// What its update holds.
    pub send: Update,
    /// Whether an earlier stage of the job changes its workflow.
    pub is_touched: bool,
    /// Whether its workflow is read just before its update.
    pub reads: bool,
    /// Fields that its update could clear by leaving them out.
    pub stake: FieldSet,
    /// What will be wrong with it, should the stages before it not do what they are to.
    pub failure: Option<Failure>,
    /// The stage it is in, where there are stages.
    pub stage: Option<String>,
}

/// How a row is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It is sent, as it was decided.
    Change,
    /// It is read back first: whether it was changed is not known.
    ReadBack,
    /// It is as requested already, or in conflict, if the stages before it go well: it is read again when they have.
    Open,
}

/// A row that ends without a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// The row, with the id of its workflow where that is known.
    pub row: Row,
    /// How.
    pub end: End,
    /// What its workflow is called.
    pub live_name: Option<String>,
    /// What is wrong with it.
    pub failure: Option<Failure>,
    /// What is to be known of it.
    pub note: Option<String>,
    /// The stage it is in, where there are stages.
    pub stage: Option<String>,
}

/// How a row ends without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It is as requested already.
    Unchanged,
    /// A hold list leaves its workflow alone.
    Held,
    /// A guard does not hold.
    Conflict,
    /// It cannot be carried out as things stand.
    Fail,
    /// Its workspace could not be read.
    Unread,
}

impl From<Sending> for Assessment {
    fn from(sending: Sending) -> Self {
        Self::Send(Box::new(sending))
    }
}

impl From<Ending> for Assessment {
    fn from(ending: Ending) -> Self {
        Self::End(Box::new(ending))
    }
}

impl Assessment {
    /// The row.
    pub fn row(&self) -> &Row {
        match self {
            Self::Send(sending) => &sending.row,
            Self::End(ending) => &ending.row,
        }
    }

    /// Takes it into account.
    pub fn count(&self, counts: &mut Counts) {
        match self {
            Self::Send(sending) => {
                counts.reads += u64::from(sending.reads);
                match (sending.way, &sending.failure) {
                    (Way::Change | Way::ReadBack, _) => counts.see_change(&sending.change),
                    (Way::Open, None) => counts.unchanged += 1,
                    (Way::Open, Some(_)) => counts.conflicts += 1,
                }
            }
            Self::End(ending) => match ending.end {
                End::Unchanged => counts.unchanged += 1,
                End::Conflict => counts.conflicts += 1,
                End::Fail => counts.hopeless += 1,
                End::Held | End::Unread => {}
            },
        }
    }

    /// What is shown of it; nothing of a row that is as requested already, or left alone.
    pub fn planned_row(&self) -> Option<PlannedRow> {
        let (action, change, live_name, failure, stage) = match self {
            Self::Send(sending) => {
                let action = match (sending.way, &sending.failure) {
                    (Way::Change, _) => Action::Change,
                    (Way::ReadBack, _) => Action::ReadBack,
                    (Way::Open, Some(_)) => Action::Conflict,
                    (Way::Open, None) => return None,
                };
                let name = sending.live.as_ref().map(|live| &live.workflow.name);
                let Sending {
                    change,
                    failure,
                    stage,
                    ..
                } = &**sending;
                (action, change.clone(), name, failure, stage)
            }
            Self::End(ending) => {
                let action = match ending.end {
                    End::Conflict => Action::Conflict,
                    End::Fail => Action::Fail,
                    End::Unchanged | End::Held | End::Unread => return None,
                };
                let Ending {
                    live_name,
                    failure,
                    stage,
                    ..
                } = &**ending;
                let change = Change::default();
                (action, change, live_name.as_ref(), failure, stage)
            }
        };
        let row = self.row();
        Some(PlannedRow {
            row: row.number,
            line: row.line,
            lane: row.lane,
            workspace: row.workspace.clone(),
            workflow_id: row.workflow_id.clone(),
            live_name: live_name.cloned().unwrap_or_default(),
            action,
            change,
            wave: row.wave,
            guards: row.guards.clone(),
            failure: failure.clone(),
            stage: stage.clone(),
        })
    }
}

/// Of a plan's file.
const FORMAT: u32 = 2;

/// The first line of a plan's file.
#[derive(Serialize, Deserialize)]
struct Head {
    plan: u32,
    tool_version: String,
    job: String,
    targets: Vec<Target>,
}

/// Its last line.
#[derive(Serialize)]
struct Foot<'a> {
    counts: &'a Counts,
}

/// The line of a row that is carried out, as it is written.
#[derive(Serialize)]
struct SendLine<'a> {
    action: Way,
    row: RowLine<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    before: &'a BTreeMap<Field, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    after: &'a BTreeMap<Field, String>,
    #[serde(skip_serializing_if = "Update::is_empty")]
    send: &'a Update,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<BTreeMap<Field, &'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<&'a [Version]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    touched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'a str>,
}

/// The same, as it is read.
#[derive(Deserialize)]
struct ReadSend {
    action: Way,
    row: ReadRow,
    #[serde(default)]
    before: BTreeMap<Field, String>,
    #[serde(default)]
    after: BTreeMap<Field, String>,
    #[serde(default)]
    send: Update,
    kept: Option<BTreeMap<Field, String>>,
    versions: Option<Vec<Version>>,
    #[serde(default)]
    touched: bool,
    failure: Option<Failure>,
    stage: Option<String>,
}

/// The line of a row that ends without a request, as it is written.
#[derive(Serialize)]
struct EndLine<'a> {
    end: End,
    row: RowLine<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'a str>,
}

/// The same, as it is read.
#[derive(Deserialize)]
struct ReadEnd {
    end: End,
    row: ReadRow,
    live_name: Option<String>,
    failure: Option<Failure>,
    note: Option<String>,
    stage: Option<String>,
}

/// How the lines of rows that are carried out begin, and those of rows that are not.
const SEND: &[u8] = b"{\"action\":";
const END: &[u8] = b"{\"end\":";

/// Writes the first line of the plan for `job`, whose rows go to `targets`.
///
/// # Errors
/// It cannot be written.
pub fn write_head(
    job: &str,
    targets: &[Target],
    tool_version: &str,
    mut out: impl Write,
) -> io::Result<()> {
    let head = Head {
        plan: FORMAT,
        tool_version: tool_version.to_owned(),
        job: job.to_owned(),
        targets: targets.to_vec(),
    };
    serde_json::to_writer(&mut out, &head)?;
    out.write_all(b"\n")
}

/// Writes the last line of a plan that comes to `counts`.
///
/// # Errors
/// It cannot be written.
pub fn write_foot(counts: &Counts, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut out, &Foot { counts })?;
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
    match head.plan {
        FORMAT => Ok(head.targets),
        other => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a plan of format {other} is not known"),
        )),
    }
}

impl Assessment {
    /// Writes it; its row goes to the target at `target`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, target: usize, mut out: impl Write) -> io::Result<()> {
        match self {
            Self::Send(sending) => serde_json::to_writer(&mut out, &sending.line(target))?,
            Self::End(ending) => serde_json::to_writer(&mut out, &ending.line(target))?,
        }
        out.write_all(b"\n")
    }

    /// The one on `line`, whose row goes to one of `targets`; none if the line is that of no row.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(line: &[u8], targets: &[Target]) -> io::Result<Option<Self>> {
        if line.starts_with(SEND) {
            let sending = serde_json::from_slice::<ReadSend>(line)?.sending(targets)?;
            return Ok(Some(sending.into()));
        }
        if line.starts_with(END) {
            let ending = serde_json::from_slice::<ReadEnd>(line)?.ending(targets)?;
            return Ok(Some(ending.into()));
        }
        Ok(None)
    }

    /// Whether `line` is that of a row which is carried out.
    pub fn is_sent(line: &[u8]) -> bool {
        line.starts_with(SEND)
    }
}

impl Sending {
    fn line(&self, target: usize) -> SendLine<'_> {
        SendLine {
            action: self.way,
            row: RowLine::of(&self.row, target, None).with_id(&self.row.workflow_id),
            before: &self.change.before,
            after: &self.change.after,
            send: &self.send,
            kept: self.live.as_ref().map(|live| self.kept(&live.workflow)),
            versions: self.live.as_ref().and_then(|live| live.versions.as_deref()),
            touched: self.is_touched,
            failure: self.failure.as_ref(),
            stage: self.stage.as_deref(),
        }
    }

    /// What `live` holds besides the former values of the change.
    fn kept<'a>(&self, live: &'a Workflow) -> BTreeMap<Field, &'a str> {
        let values = Field::ALL.map(|field| (field, live.value(field)));
        let is_plain = |field: Field, value: &str| match self.change.before.get(&field) {
            Some(before) => before == value,
            None => value == Workflow::default().value(field),
        };
        let kept = values
            .into_iter()
            .filter(|(field, value)| !is_plain(*field, value));
        kept.collect()
    }
}

impl ReadSend {
    fn sending(self, targets: &[Target]) -> io::Result<Sending> {
        let row = self.row.row(targets)?.row;
        let versions = self.versions;
        let live = self.kept.map(|kept| {
            let mut workflow = Workflow {
                id: row.workflow_id.to_string(),
                ..Workflow::default()
            };
            for (field, value) in self.before.iter().chain(&kept) {
                workflow.set(*field, value);
            }
            Live { workflow, versions }
        });
        Ok(Sending {
            row,
            way: self.action,
            live,
            change: Change {
                before: self.before,
                after: self.after,
            },
            send: self.send,
            is_touched: self.touched,
            // They were counted when it was planned.
            reads: false,
            stake: FieldSet::default(),
            failure: self.failure,
            stage: self.stage,
        })
    }
}

impl Ending {
    fn line(&self, target: usize) -> EndLine<'_> {
        let row = RowLine::of(&self.row, target, None);
        EndLine {
            end: self.end,
            row: match self.looked_up() {
                Some(id) => row.with_id(id),
                None => row,
            },
            live_name: self.live_name.as_deref(),
            failure: self.failure.as_ref(),
            note: self.note.as_deref(),
            stage: self.stage.as_deref(),
        }
    }

    /// The workflow that was looked up by its name, if one was.
    pub fn looked_up(&self) -> Option<&Id> {
        let stand_in = self.row.called.as_deref().map(Row::stand_in)?;
        Some(&self.row.workflow_id).filter(|id| stand_in.as_ref() != Some(id))
    }
}

impl ReadEnd {
    fn ending(self, targets: &[Target]) -> io::Result<Ending> {
        Ok(Ending {
            row: self.row.row(targets)?.row,
            end: self.end,
            live_name: self.live_name,
            failure: self.failure,
            note: self.note,
            stage: self.stage,
        })
    }
}
