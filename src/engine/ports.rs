//! The few traits through which the engine meets the world.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::change::Change;
use crate::model::event::{Stamped, WasEnded};
use crate::model::id::Id;
use crate::model::outcome::Failure;
use crate::model::reading::{Of, Reading};
use crate::model::reply::{Data, Reply};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;
use crate::plan::decision::{Decision, Live, Terms, decide};

/// What the schedule hands out. All requests share slots, pace, pauses and retry.
#[derive(Clone, Debug)]
pub enum Request {
    /// Reads the row's workflow.
    Get(Arc<Row>),
    /// Updates the row's workflow: these fields are sent.
    Put(Arc<Row>, Arc<Update>),
    /// Reads what lives in a workspace.
    Read(Arc<Reading>),
}

impl Request {
    /// The endpoint and credential it leaves by.
    pub fn lane(&self) -> LaneId {
        match self {
            Self::Get(row) | Self::Put(row, _) => row.lane,
            Self::Read(reading) => reading.lane,
        }
    }

    /// Where it goes.
    pub fn workspace(&self) -> &Workspace {
        match self {
            Self::Get(row) | Self::Put(row, _) => &row.workspace,
            Self::Read(reading) => &reading.workspace,
        }
    }

    /// The workflow it is about, if it is about one.
    pub fn workflow_id(&self) -> Option<&Id> {
        match self {
            Self::Get(row) | Self::Put(row, _) => Some(&row.workflow_id),
            Self::Read(reading) => match &reading.of {
                Of::Page(_) | Of::Workspaces(..) => None,
                Of::Workflow(id) | Of::Versions(id) => Some(id),
            },
        }
    }
}

/// Carries requests to the service and brings back what came of them.
pub trait Service {
    /// Sends `request` once and waits `timeout` for its answer. Never fails: whatever happens is a
    /// reply.
    fn send(&self, request: &Request, timeout: Duration) -> impl Future<Output = Reply>;
}

/// Where the requests of a leg come from, handed out lazily.
pub trait Source {
    /// The next errand that leaves by `lane`.
    ///
    /// # Errors
    /// What it reads can no longer be read.
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError>;

    /// Takes what came of a reading; more errands may follow from it.
    ///
    /// # Errors
    /// What was found cannot be kept.
    fn found(&mut self, reading: &Reading, data: Result<Data, Failure>) -> Result<(), RowsError>;
}

/// What a source hands out.
#[derive(Clone, Debug)]
pub enum Errand {
    /// A row to be carried out.
    Row(Box<Taken>),
    /// A reading.
    Reading(Reading),
}

/// A row with what is known of it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The row.
    pub row: Row,
    /// What earlier sessions of the run did with it.
    pub past: Past,
    /// Its workflow as it was read before; none where nothing was.
    pub live: Option<Live>,
    /// What is to be changed by that, and by sending what; none where that does not follow from it.
    pub decided: Option<Box<(Change, Update)>>,
    /// Whether that is what was there before an update whose end nobody knows.
    pub is_before_doubt: bool,
    /// Whether another row of the run was to change its workflow before: it is read again first and judged by that, and may
    /// have been changed a short time ago.
    pub is_touched: bool,
}

impl From<Row> for Taken {
    /// A row of which nothing is known.
    fn from(row: Row) -> Self {
        Self {
            row,
            past: Past::default(),
            live: None,
            decided: None,
            is_before_doubt: false,
            is_touched: false,
        }
    }
}

impl Taken {
    /// The same, compared with its workflow as it was read before, by these `terms`.
    #[must_use]
    pub fn compared(self, terms: Terms) -> Self {
        let decision = self
            .live
            .as_ref()
            .map(|live| decide(&self.row, live, terms));
        let decided = match decision {
            Some(Decision::Change(change, send)) => Some(Box::new((change, send))),
            Some(Decision::Unchanged | Decision::Conflict(_) | Decision::Hopeless(_)) | None => {
                None
            }
        };
        Self { decided, ..self }
    }
}

/// What earlier sessions of a run did with a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Updates sent.
    pub puts: u32,
    /// One of them may have been carried out without a word: the row is read before it is sent again.
    pub unproven: bool,
    /// How it had ended.
    pub ended: Option<WasEnded>,
    /// What it was to change, by the plan.
    pub change: Option<Change>,
    /// The workflow that it is about, where that was looked up by its name.
    pub workflow_id: Option<Id>,
}

/// A file that rows come from, or that their live states are kept in, fails.
#[derive(Debug, thiserror::Error)]
#[error("a file of the run can no longer be read, or not be written")]
pub struct RowsError(#[source] pub Box<dyn Error + Send + Sync>);

impl From<std::io::Error> for RowsError {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

/// The how-manieth event of a record, from 1.
pub type Seq = u64;

/// The record of the run: told first, in order; its failure stops the run.
pub trait Record {
    /// Writes `events` together, so that they survive the end of this process; gives the last one's number.
    ///
    /// # Errors
    /// Not all could be written, or an earlier one was lost. No request may leave that cannot be
    /// recorded. A failure is final.
    fn append(&mut self, events: &[Stamped]) -> Result<Seq, RecordError>;

    /// Makes sure that what `requests` requests in flight may lead to can be appended: its results must
    /// not be lost for want of room.
    ///
    /// # Errors
    /// There is no such room. What was promised before still holds.
    fn make_room(&mut self, requests: usize) -> Result<(), RecordError>;

    /// Up to which event all survive the end of this machine.
    ///
    /// # Errors
    /// The record has failed, now or before: nothing can be appended any more.
    fn durable(&self) -> Result<Seq, RecordError>;

    /// Notified, with `notify_one`, whenever [`Record::durable`] may have moved or failed on its own:
    /// the loop may be busy just then, and must find out later.
    fn moved(&self) -> Arc<Notify>;
}

/// An event could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the journal could not be written")]
pub struct RecordError(#[source] pub Box<dyn Error + Send + Sync>);

/// Is told what happened, once it is on record; cannot stop the run.
pub trait Watcher {
    /// Takes one event into account.
    fn see(&mut self, event: &Stamped);

    /// Time has passed.
    fn tick(&mut self, now: Timestamp);
}

/// The time, real or virtual.
pub trait Clock {
    /// Monotonic, since some instant before the run.
    fn now(&self) -> Duration;
    /// UTC.
    fn wall(&self) -> Timestamp;
}

/// Random numbers in `0..1`.
pub trait Dice {
    /// The next one.
    fn roll(&mut self) -> f64;
}
