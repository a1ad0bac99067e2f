//! The pure order of a run: which leg comes next, and its start and end, each told once.

use crate::model::event::{Event, Leg, RunStarted, SessionStarted};
use crate::model::outcome::Ended;

/// The order of a run.
#[derive(Debug)]
pub struct Campaign {
    last: Option<(Leg, Option<u32>)>,
    /// The last wave whose rows have had their leg; none where no rows had one yet.
    rows: Option<Option<u32>>,
}

impl Campaign {
    fn new() -> Self {
        Self {
            last: None,
            rows: None,
        }
    }

    /// A run that begins with `start`, and what is to be told of it.
    pub fn begin(start: RunStarted) -> (Self, Event) {
        (Self::new(), Event::RunStarted(start))
    }

    /// A run that goes on with another session, and what is to be told of it.
    pub fn go_on(session: SessionStarted) -> (Self, Event) {
        (Self::new(), Event::SessionStarted(session))
    }

    /// Whether `leg`, of a `wave` if rows go in waves, begins now, and what is to be told of it: not once the run is to stop,
    /// and not out of order.
    pub fn next_leg(&mut self, leg: Leg, wave: Option<u32>, is_stopping: bool) -> Option<Event> {
        let in_order = match (leg, self.rows) {
            (Leg::Survey, rows) => rows.is_none() && !self.has_verified(),
            // Each wave has its rows once, and is then looked at.
            (Leg::Rows, last) => last.is_none_or(|last| last < wave),
            (Leg::Verification, Some(last)) => last == wave,
            // What an earlier session left in doubt is looked at again first, of whatever wave.
            (Leg::Verification, None) => self.last.is_some(),
        };
        debug_assert!(in_order, "{leg:?} of {wave:?} after {:?}", self.last);
        if is_stopping || !in_order {
            return None;
        }
        self.last = Some((leg, wave));
        if leg == Leg::Rows {
            self.rows = Some(wave);
        }
        Some(Event::LegStarted { leg, wave })
    }

    fn has_verified(&self) -> bool {
        matches!(self.last, Some((Leg::Verification, _)))
    }

    /// What is to be told of the end.
    pub fn finish(self, ended: Ended) -> Event {
        Event::SessionEnded { ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubtful_waves_are_looked_at_first_and_rows_of_any_wave_may_follow() {
        let mut campaign = Campaign::new();
        let mut begins = |leg, wave| campaign.next_leg(leg, wave, false).is_some();
        assert!(begins(Leg::Survey, None));
        assert!(begins(Leg::Verification, Some(7)));
        assert!(begins(Leg::Rows, Some(2)));
        assert!(begins(Leg::Verification, Some(2)));
        assert!(begins(Leg::Rows, Some(3)));
        assert!(campaign.next_leg(Leg::Rows, Some(4), true).is_none());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "Rows of Some(2) after")]
    fn no_wave_goes_twice() {
        let mut campaign = Campaign::new();
        campaign.next_leg(Leg::Rows, Some(2), false);
        campaign.next_leg(Leg::Rows, Some(2), false);
    }
}
