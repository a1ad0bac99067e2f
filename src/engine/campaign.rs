//! The pure order of a run: which leg comes next, and its start and end, each told once.

use crate::model::event::{Event, Leg, RunStarted, SessionStarted};
use crate::model::outcome::Ended;

/// The order of a run.
#[derive(Debug)]
pub struct Campaign {
    last: Option<Leg>,
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

    /// Whether `leg` begins now, and what is to be told of it: not once the run is to stop, and not out of
    /// order.
    pub fn next_leg(&mut self, leg: Leg, is_stopping: bool) -> Option<Event> {
        let in_order = match (self.last, leg) {
            (None | Some(Leg::Survey), _) => true,
            (Some(Leg::Rows), _) => false,
        };
        debug_assert!(in_order, "{leg:?} after {:?}", self.last);
        if is_stopping || !in_order {
            return None;
        }
        self.last = Some(leg);
        Some(Event::LegStarted { leg })
    }

    /// What is to be told of the end.
    pub fn finish(self, ended: Ended) -> Event {
        Event::SessionEnded { ended }
    }
}
