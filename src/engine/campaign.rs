//! The pure order of a run: which leg comes next, and its start and end, each told once.

use crate::model::event::{Event, Leg, RunStarted, SessionStarted};
use crate::model::outcome::Ended;

/// The order of a run.
#[derive(Debug)]
pub struct Campaign {
    last: Option<(Leg, Option<u32>)>,
}

impl Campaign {
    /// A run that begins with `start`, and what is to be told of it.
    pub fn begin(start: RunStarted) -> (Self, Event) {
        (Self { last: None }, Event::RunStarted(start))
    }

    /// A run that goes on with another session, and what is to be told of it.
    pub fn go_on(session: SessionStarted) -> (Self, Event) {
        (Self { last: None }, Event::SessionStarted(session))
    }

    /// Whether `leg`, of a `wave` if rows go in waves, begins now, and what is to be told of it: not once the run is to stop,
    /// and not out of order.
    pub fn next_leg(&mut self, leg: Leg, wave: Option<u32>, is_stopping: bool) -> Option<Event> {
        let in_order = match (self.last, leg) {
            (None | Some((Leg::Survey, _)), Leg::Survey | Leg::Rows) => true,
            // Each wave has its rows once, and is then looked at.
            (Some((Leg::Rows | Leg::Verification, last)), Leg::Rows) => last < wave,
            (Some((Leg::Rows, last)), Leg::Verification) => last == wave,
            // What an earlier session left in doubt is looked at again first.
            (Some((Leg::Survey | Leg::Verification, _)), Leg::Verification) => true,
            (Some((Leg::Rows | Leg::Verification, _)), Leg::Survey) | (None, Leg::Verification) => {
                false
            }
        };
        debug_assert!(in_order, "{leg:?} of {wave:?} after {:?}", self.last);
        if is_stopping || !in_order {
            return None;
        }
        self.last = Some((leg, wave));
        Some(Event::LegStarted { leg, wave })
    }

    /// What is to be told of the end.
    pub fn finish(self, ended: Ended) -> Event {
        Event::SessionEnded { ended }
    }
}
