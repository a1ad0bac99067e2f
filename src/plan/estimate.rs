//! The requests of a run that are known beforehand, and how long they take at least.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;

use crate::model::counted::counted;
use crate::model::field::FieldSet;
use crate::model::rate::Rate;
use crate::model::target::LaneId;

/// Requests that are known beforehand. What fails, is throttled or looked for again comes on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Updates.
    pub updates: u64,
    /// Readings: the lists and workflows of the snapshot, workflows just before an update, what canaries are compared with, and
    /// what is read back.
    pub readings: u64,
}

impl Requests {
    /// All of them.
    pub fn all(self) -> u64 {
        self.updates + self.readings
    }

    /// `9 requests (3 updates, 6 readings)`
    pub fn text(self) -> String {
        let Self { updates, readings } = self;
        let all = counted(self.all(), "request");
        let (updates, readings) = (counted(updates, "update"), counted(readings, "reading"));
        format!("{all} ({updates}, {readings})")
    }

    fn add(&mut self, other: Self) {
        self.updates += other.updates;
        self.readings += other.readings;
    }
}

/// The requests of a run, lane by lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate(BTreeMap<LaneId, Requests>);

impl Estimate {
    /// Adds requests of `lane`.
    pub fn add(&mut self, lane: LaneId, requests: Requests) {
        self.0.entry(lane).or_default().add(requests);
    }

    /// Adds readings of `lane`.
    pub fn read(&mut self, lane: LaneId, readings: u64) {
        let requests = Requests {
            updates: 0,
            readings,
        };
        self.add(lane, requests);
    }

    /// Those of all lanes.
    pub fn total(&self) -> Requests {
        let mut total = Requests::default();
        self.0.values().for_each(|requests| total.add(*requests));
        total
    }

    /// How long they take at least, where each lane sends at most `rate`, and `burst` at once. Lanes go side by side: the longest
    /// decides.
    pub fn at_least(&self, rate: Rate, burst: NonZeroU32) -> Duration {
        let most = self.0.values().map(|requests| requests.all()).max();
        let gaps = most.unwrap_or_default().saturating_sub(burst.get().into());
        let gaps = u32::try_from(gaps).unwrap_or(u32::MAX);
        rate.interval().saturating_mul(gaps)
    }
}

/// Which rows of a plan are canaries: those that show what an update does, and what it leaves alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Canaries {
    /// Whether one has shown that an update has effect.
    pub is_proven: bool,
    /// Fields that an update is known to leave alone.
    pub safe: FieldSet,
    /// Canaries that had such a field to lose.
    pub count: u32,
    /// As many of those as there may be.
    pub most: u32,
}

impl Canaries {
    /// Whether the next row, whose update could clear the fields `stake`, is one.
    pub fn takes(&mut self, stake: FieldSet) -> bool {
        let stake = stake.without(self.safe);
        let has_stake = self.count < self.most && !stake.is_empty();
        if self.is_proven && !has_stake {
            return false;
        }
        self.is_proven = true;
        self.safe = self.safe.union(stake);
        self.count += u32::from(!stake.is_empty());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field::Field;
    use crate::model::rate::Per;

    #[test]
    fn the_longest_lane_decides_and_a_burst_takes_no_time() {
        let mut estimate = Estimate::default();
        let requests = |updates, readings| Requests { updates, readings };
        estimate.add(LaneId(0), requests(3, 1));
        estimate.read(LaneId(0), 2);
        estimate.add(LaneId(1), requests(4, 1));
        assert_eq!(estimate.total(), requests(7, 4));
        assert_eq!(
            estimate.total().text(),
            "11 requests (7 updates, 4 readings)"
        );
        let rate = Rate::new(NonZeroU32::new(5).unwrap(), Per::Second);
        let at_least = |burst| estimate.at_least(rate, NonZeroU32::new(burst).unwrap());
        assert_eq!(at_least(1), Duration::from_secs(1));
        assert_eq!(at_least(4), Duration::from_millis(400));
        assert_eq!(at_least(9), Duration::ZERO);
        assert_eq!(
            Estimate::default().at_least(rate, NonZeroU32::MIN),
            Duration::ZERO
        );
    }

    #[test]
    fn the_first_row_is_a_canary_and_the_first_that_has_another_field_to_lose() {
        let fields = |fields: &[Field]| fields.iter().copied().collect::<FieldSet>();
        let mut canaries = Canaries {
            most: 5,
            ..Canaries::default()
        };
        let rows = [
            &[][..],
            &[Field::Labels],
            &[Field::Labels],
            &[],
            &[Field::Labels, Field::Name],
            &[Field::Name],
        ];
        let taken = rows.map(|row| canaries.takes(fields(row)));
        assert_eq!(taken, [true, true, false, false, true, false]);
    }
}
