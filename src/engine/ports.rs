//! The few traits through which the engine meets the world.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::event::{Method, Stamped};
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
    /// The event could not be written. No request may leave that cannot be recorded.
    fn append(&mut self, event: &Stamped) -> Result<Seq, RecordError>;

    /// Up to which event all survive the end of this machine.
    fn durable(&self) -> Seq;

    /// Notified, with `notify_one`, whenever [`Record::durable`] may have moved on its own: the
    /// loop may be busy just then, and must find out later.
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
