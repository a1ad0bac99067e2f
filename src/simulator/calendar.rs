//! The world's own time, as the service writes it.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// When the world began: the instant of the vendor's example.
const BEGINNING: Timestamp = Timestamp::constant(1_752_821_087, 0);
/// Time that passes between the making of two workflows.
const BETWEEN_TWO: Duration = Duration::from_secs(60);
/// How old the youngest workflow is when a session begins: nobody has just worked on any of them.
const YOUNGEST: Duration = Duration::from_hours(24);

/// Gives every change a later time than the one before it, also from session to session.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// When this session began, since the beginning.
    session: Duration,
    /// The latest time given out, since the beginning.
    latest: Duration,
}

impl Calendar {
    /// Goes on where another session of the world stopped.
    pub(super) fn go_on_from(&mut self, latest: Duration) {
        self.latest = self.latest.max(latest);
        self.session = self.latest;
    }

    /// The latest time given out.
    pub(super) fn latest(&self) -> Duration {
        self.latest
    }

    /// What its clock says, so long after the session began.
    pub(super) fn now(&self, now: Duration) -> Timestamp {
        let since = self.latest.max(self.session + now);
        BEGINNING.checked_add(since).unwrap_or(Timestamp::MAX)
    }

    /// The time of a change, `now` since the session began.
    pub(super) fn time_of_change(&mut self, now: Duration) -> String {
        let soonest = self.latest + Duration::from_millis(1);
        self.latest = soonest.max(self.session + now);
        show(self.latest)
    }

    /// When one more workflow was made, before the session began.
    pub(super) fn time_of_making(&mut self) -> String {
        self.latest += BETWEEN_TWO;
        self.session = self.session.max(self.latest + YOUNGEST);
        show(self.latest)
    }
}

/// When the world began.
pub(super) fn beginning() -> String {
    show(Duration::ZERO)
}

/// `2025-07-18T14:47:16.939Z+0800`: a literal `Z`, and yet an offset, which counts.
fn show(since: Duration) -> String {
    let at = BEGINNING.checked_add(since).unwrap_or(Timestamp::MAX);
    let there = at.to_zoned_datetime(TimeZone::fixed(Offset::constant(8)));
    there.strftime("%Y-%m-%dT%H:%M:%S.%3fZ%z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_the_vendors_example_writes_it() {
        let mut calendar = Calendar::default();
        assert_eq!(show(Duration::ZERO), "2025-07-18T14:44:47.000Z+0800");
        assert_eq!(
            calendar.time_of_change(Duration::from_millis(149_939)),
            "2025-07-18T14:47:16.939Z+0800"
        );
    }

    #[test]
    fn no_two_changes_share_their_time_even_over_two_sessions() {
        let mut first = Calendar::default();
        let a = first.time_of_change(Duration::from_secs(9));
        let b = first.time_of_change(Duration::from_secs(9));
        let mut second = Calendar::default();
        second.go_on_from(first.latest());
        let c = second.time_of_change(Duration::ZERO);
        let d = second.time_of_change(Duration::from_secs(1));
        assert!(a < b && b < c && c < d, "{a} {b} {c} {d}");
    }
}
