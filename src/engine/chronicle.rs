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
    pending: VecDeque<(Seq, Stamped)>,
    has_begun: bool,
}

impl<'a, R: Record> Chronicle<'a, R> {
    /// A stream onto `record`, shown to `watchers`.
    pub fn new(record: &'a mut R, watchers: Vec<&'a mut dyn Watcher>) -> Self {
        Self {
            record,
            watchers,
            pending: VecDeque::new(),
            has_begun: false,
        }
    }

    /// Tells `event`, which happened at `at`.
    ///
    /// # Errors
    /// The record has failed; the watchers have not seen the event.
    pub fn tell(&mut self, at: Timestamp, event: Event) -> Result<(), RecordError> {
        let stamped = Stamped { at, event };
        let seq = self.record.append(&stamped)?;
        self.pending.push_back((seq, stamped));
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

    /// Makes sure that the results of `requests` requests in flight can be told.
    ///
    /// # Errors
    /// They could not.
    pub fn make_room(&mut self, requests: usize) -> Result<(), RecordError> {
        self.record.make_room(requests)
    }

    /// Whether so much waits to become durable that nothing new may start.
    pub fn is_behind(&self) -> bool {
        self.pending.len() >= MOST_PENDING
    }

    /// Whether everything told has been shown.
    pub fn is_shown(&self) -> bool {
        self.pending.is_empty()
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
