//! A time of the day, as people write it: `06:00`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How one is written, for hints.
pub const HINT: &str = "write hours and minutes: \"06:00\"";

/// A time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daytime {
    hour: i8,
    minute: i8,
}

/// A text that is no time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of the day")]
pub struct DaytimeFault;

impl Daytime {
    /// The first instant after `now` at which a clock of `zone` reaches it.
    ///
    /// Where a clock that is put forward jumps over it, that is the jump; where one that is put back shows it twice, each
    /// time counts. None only at the end of all times.
    pub fn next(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = zone.to_datetime(now).date();
        let mut days = std::iter::successors(Some(today), |day| day.tomorrow().ok()).take(3);
        days.find_map(|day| {
            let instants = self.on(day, zone);
            instants.into_iter().flatten().find(|at| *at > now)
        })
    }

    /// When a clock of `zone` reaches it on that `day`, the earlier time first.
    fn on(self, day: jiff::civil::Date, zone: &TimeZone) -> [Option<Timestamp>; 2] {
        let Ok(time) = Time::new(self.hour, self.minute, 0, 0) else {
            return [None, None];
        };
        let local = day.to_datetime(time);
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(local).ok(), None],
            // By the offset that is not in force yet it would have been before the jump.
            AmbiguousOffset::Gap { after, .. } => {
                let before = after.to_timestamp(local).ok();
                let jump = before.and_then(|at| zone.following(at).next());
                [jump.map(|jump| jump.timestamp()), None]
            }
            AmbiguousOffset::Fold { before, after } => [
                before.to_timestamp(local).ok(),
                after.to_timestamp(local).ok(),
            ],
        }
    }
}

impl FromStr for Daytime {
    type Err = DaytimeFault;

    fn from_str(text: &str) -> Result<Self, DaytimeFault> {
        let (hour, minute) = text.trim().split_once(':').ok_or(DaytimeFault)?;
        let number = |digits: &str, length: std::ops::RangeInclusive<usize>, most: i8| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|number| *number <= most);
            number.filter(|_| plain && length.contains(&digits.len()))
        };
        Ok(Self {
            hour: number(hour, 1..=2, 23).ok_or(DaytimeFault)?,
            minute: number(minute, 2..=2, 59).ok_or(DaytimeFault)?,
        })
    }
}

impl fmt::Display for Daytime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for Daytime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Daytime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(daytime: &str, now: &str, zone: &str) -> String {
        let daytime: Daytime = daytime.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let at = daytime.next(now.parse().unwrap(), &zone).unwrap();
        at.to_string()
    }

    #[test]
    fn it_is_today_or_tomorrow_by_the_clock_on_the_wall() {
        // Berlin is an hour ahead in winter.
        let berlin = "Europe/Berlin";
        assert_eq!(
            next("06:00", "2026-11-24T01:15:00Z", berlin),
            "2026-11-24T05:00:00Z"
        );
        assert_eq!(
            next("06:00", "2026-11-24T05:00:00Z", berlin),
            "2026-11-25T05:00:00Z"
        );
        assert_eq!(
            next("0:30", "2026-11-24T23:15:00Z", berlin),
            "2026-11-24T23:30:00Z"
        );
    }

    #[test]
    fn nights_in_which_the_clock_changes_are_right() {
        let berlin = "Europe/Berlin";
        // Put forward from 02:00 to 03:00 on 29 March 2026: six o'clock comes an hour sooner.
        assert_eq!(
            next("06:00", "2026-03-29T00:30:00Z", berlin),
            "2026-03-29T04:00:00Z"
        );
        // Half past two does not come: the clock has passed it when it jumps.
        assert_eq!(
            next("02:30", "2026-03-29T00:30:00Z", berlin),
            "2026-03-29T01:00:00Z"
        );
        // Put back from 03:00 to 02:00 on 25 October 2026: half past two comes twice.
        assert_eq!(
            next("02:30", "2026-10-24T23:30:00Z", berlin),
            "2026-10-25T00:30:00Z"
        );
        assert_eq!(
            next("02:30", "2026-10-25T00:45:00Z", berlin),
            "2026-10-25T01:30:00Z"
        );
        assert_eq!(
            next("06:00", "2026-10-24T23:30:00Z", berlin),
            "2026-10-25T05:00:00Z"
        );
    }

    #[test]
    fn a_day_that_never_was_is_passed_over() {
        // Samoa left out 30 December 2011.
        assert_eq!(
            next("06:00", "2011-12-29T17:00:00Z", "Pacific/Apia"),
            "2011-12-30T10:00:00Z"
        );
    }

    #[test]
    fn only_hours_and_minutes_are_one() {
        for text in [
            "", "6", "24:00", "06:60", "06:0", "6am", "+6:00", "06:00:00",
        ] {
            assert_eq!(text.parse::<Daytime>(), Err(DaytimeFault), "{text}");
        }
        assert_eq!("6:05".parse::<Daytime>().unwrap().to_string(), "06:05");
    }
}
