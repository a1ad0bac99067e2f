//! The pure order of a run: which leg comes next, and its start and end, each told once.

use crate::model::event::{Event, Leg, RunStarted, SessionStarted};
use crate::model::outcome::Ended;

/// The order of a run.
#[derive(Debug)]
pub struct Campaign {
    legs: std::vec::IntoIter<Leg>,
}

impl Campaign {
    /// A run that begins with `start`, and what is to be told of it.
    pub fn begin(start: RunStarted) -> (Self, Event) {
        let legs = vec![Leg::Rows].into_iter();
        (Self { legs }, Event::RunStarted(start))
    }

    /// A run that goes on with another session, and what is to be told of it.
    pub fn go_on(session: SessionStarted) -> (Self, Event) {
        let legs = vec![Leg::Rows].into_iter();
        (Self { legs }, Event::SessionStarted(session))
    }

    /// The leg that comes next, unless the run has ended; and what is to be told of it.
    pub fn next_leg(&mut self, so_far: Ended) -> Option<(Leg, Event)> {
        match so_far {
            Ended::Completed => self.legs.next().map(|leg| (leg, Event::LegStarted { leg })),
            Ended::MaxErrors
            | Ended::Refused
            | Ended::Deadline
            | Ended::Patience
            | Ended::RecordFailed
            | Ended::Hangup
            | Ended::Interrupted
            | Ended::Terminated => None,
        }
    }

    /// What is to be told of the end.
    pub fn finish(self, ended: Ended) -> Event {
        Event::SessionEnded { ended }
    }
}
