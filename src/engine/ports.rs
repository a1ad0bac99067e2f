//! The few traits through which the engine meets the world.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::event::{Method, Stamped, WasEnded};
use crate::model::reply::Reply;
use crate::model::row::Row;
use crate::model::target::LaneId;

/// What the schedule hands out. All requests share slots, pace, pauses and retry.
#[derive(Clone, Debug)]
pub enum Request {
    /// Reads the row's workflow.
    Get(Arc<Row>),
    /// Updates the row's workflow.
    Put(Arc<Row>),
}

impl Request {
    /// The row it is for.
    pub fn row(&self) -> &Row {
        match self {
            Self::Get(row) | Self::Put(row) => row,
        }
    }

    /// What it asks.
    pub fn method(&self) -> Method {
        match self {
            Self::Get(_) => Method::Get,
            Self::Put(_) => Method::Put,
        }
    }
}

/// Carries requests to the service and brings back what came of them.
pub trait Service {
    /// Sends `request` once and waits `timeout` for its answer. Never fails: whatever happens is a
    /// reply.
    fn send(&self, request: &Request, timeout: Duration) -> impl Future<Output = Reply>;
}

/// The rows of a run, handed out lazily.
pub trait Rows {
    /// The next row that leaves by `lane`.
    ///
    /// # Errors
    /// The copy of the input can no longer be read.
    fn next(&mut self, lane: LaneId) -> Result<Option<Row>, RowsError>;

    /// What earlier sessions of the run did with the row that was handed out last.
    fn past(&self) -> Past {
        Past::default()
    }
}

/// What earlier sessions of a run did with a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Updates sent.
    pub puts: u32,
    /// One of them may have been carried out without a word: the row is read before it is sent again.
    pub doubt: bool,
    /// How it had ended.
    pub ended: Option<WasEnded>,
}

/// The copy of the input can no longer be read.
#[derive(Debug, thiserror::Error)]
#[error("the run's copy of its input can no longer be read")]
pub struct RowsError(#[source] pub Box<dyn Error + Send + Sync>);

/// The how-manieth event of a record, from 1.
pub type Seq = u64;

/// The record of the run: told first, in order; its failure stops the run.
pub trait Record {
    /// Writes `event` so that it survives the end of this process.
    ///
    /// # Errors
    /// The event could not be written, or an earlier one was lost. No request may leave that cannot be
    /// recorded. A failure is final.
    fn append(&mut self, event: &Stamped) -> Result<Seq, RecordError>;

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
    /// Monotonic, since the start of the run.
    fn now(&self) -> Duration;
    /// UTC.
    fn wall(&self) -> Timestamp;
}

/// Random numbers in `0..1`.
pub trait Dice {
    /// The next one.
    fn roll(&mut self) -> f64;
}
