//! The one stream of events: onto the record first, then, once durable, to the watchers.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::event::{Event, Stamped};

use super::ports::{Record, RecordError, Seq, Watcher};

/// Events that may be on the record without being durable before nothing new starts.
const MOST_PENDING: usize = 1_024;

/// The stream of events of a run.
pub struct Chronicle<'a, R> {
    record: &'a mut R,
    watchers: Vec<&'a mut dyn Watcher>,
    /// Not on the record yet.
    told: Vec<Stamped>,
    /// On the record, and not durable as far as is known.
    pending: VecDeque<(Seq, Stamped)>,
    has_begun: bool,
}

impl<'a, R: Record> Chronicle<'a, R> {
    /// A stream onto `record`, shown to `watchers`.
    pub fn new(record: &'a mut R, watchers: Vec<&'a mut dyn Watcher>) -> Self {
        Self {
            record,
            watchers,
            told: Vec::new(),
            pending: VecDeque::new(),
            has_begun: false,
        }
    }

    /// Tells `event`, which happened at `at`. It is on record after the next [`Chronicle::write`]: before any
    /// request leaves.
    pub fn tell(&mut self, at: Timestamp, event: Event) {
        self.told.push(Stamped { at, event });
    }

    /// Writes what was told, and shows the watchers what has become durable.
    ///
    /// # Errors
    /// The record has failed; the watchers have not seen what was told.
    pub fn write(&mut self) -> Result<(), RecordError> {
        if !self.told.is_empty() {
            let last = self.record.append(&self.told)?;
            let first = last + 1 - self.told.len() as Seq;
            self.pending.extend((first..).zip(self.told.drain(..)));
        }
        self.show()
    }

    /// Shows the watchers what has become durable.
    ///
    /// # Errors
    /// The record has failed.
    pub fn show(&mut self) -> Result<(), RecordError> {
        let durable = self.record.durable()?;
        while let Some((_, event)) = self.pending.pop_front_if(|(seq, _)| *seq <= durable) {
            self.has_begun = true;
            for watcher in &mut self.watchers {
                watcher.see(&event);
            }
        }
        Ok(())
    }

    /// Makes sure that what was told and the results of `requests` requests in flight fit on the record.
    ///
    /// # Errors
    /// They could not.
    pub fn make_room(&mut self, requests: usize) -> Result<(), RecordError> {
        self.record.make_room(self.told.len() + requests)
    }

    /// Whether so much waits to become durable that nothing new may start.
    pub fn is_behind(&self) -> bool {
        self.told.len() + self.pending.len() >= MOST_PENDING
    }

    /// Whether everything told has been shown.
    pub fn is_shown(&self) -> bool {
        self.told.is_empty() && self.pending.is_empty()
    }

    /// Notified when more may have become durable.
    pub fn moved(&self) -> Arc<Notify> {
        self.record.moved()
    }

    /// Tells the watchers that time has passed, once they know of what.
    pub fn tick(&mut self, now: Timestamp) {
        if !self.has_begun {
            return;
        }
        for watcher in &mut self.watchers {
            watcher.tick(now);
        }
    }
}
