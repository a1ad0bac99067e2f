//! How many requests may leave in which time.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A count per second, minute or hour, such as `5/s` or `300/m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    count: NonZeroU32,
    per: Per,
}

/// The unit of a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
}

/// How fast requests are to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As fast as the service allows.
    Auto,
    /// So fast at most.
    At(Rate),
}

impl Wanted {
    /// No faster than this, whatever the service allows: what its gateway admits for one API by default (the
    /// vendor's user guide of APIG: 200 requests a second).
    pub const MOST: Rate = Rate::new(NonZeroU32::new(200).unwrap(), Per::Second);

    /// The rate that is not exceeded, and whether a lower one is found out.
    pub fn settled(self) -> (Rate, bool) {
        match self {
            Self::Auto => (Self::MOST, true),
            Self::At(rate) => (rate, false),
        }
    }
}

impl Rate {
    /// What one of so many has of it: together they never have more. A share below one in the unit is one of the next longer
    /// unit; the smallest is one in an hour.
    pub fn shared(self, among: NonZeroU32) -> Self {
        let longer = [(Per::Second, Per::Minute), (Per::Minute, Per::Hour)];
        let count = self.count.get() / among.get();
        if let Some(count) = NonZeroU32::new(count) {
            return Self::new(count, self.per);
        }
        match longer.into_iter().find(|(per, _)| *per == self.per) {
            Some((_, longer)) => {
                let count = self
                    .count
                    .saturating_mul(const { NonZeroU32::new(60).unwrap() });
                Self::new(count, longer).shared(among)
            }
            None => Self::new(NonZeroU32::MIN, Per::Hour),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::At(rate) => rate.fmt(f),
        }
    }
}

impl FromStr for Wanted {
    type Err = RateFault;
    fn from_str(text: &str) -> Result<Self, RateFault> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            text => text.parse().map(Self::At),
        }
    }
}

/// A text that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateFault {
    /// `0/s`: nothing would ever leave.
    #[error("the rate is zero, so nothing would ever leave")]
    Zero,
    /// More than a million: its interval would be shorter than the limiter's clock can hold apart.
    #[error("the rate is more than 1000000")]
    Large,
    /// Anything else.
    #[error("not a rate")]
    Shape,
}

/// How a rate of one's own choice is written, for hints.
pub const OWN_HINT: &str = "write a number and a unit: 5/s, 300/m or 10/h";

/// The same, where the program may find it out.
pub const HINT: &str = "write a whole number per second, minute or hour: 5/s, 300/m, 1000/h; or auto, which finds the service's limit";

impl Rate {
    /// `count` requests per `per`.
    pub const fn new(count: NonZeroU32, per: Per) -> Self {
        Self { count, per }
    }

    /// The whole number that is nearest to `per_second`: of the shortest unit in which it has two digits.
    pub fn near(per_second: f64) -> Self {
        let units = [Per::Second, Per::Minute, Per::Hour];
        let in_unit = |per: &Per| per_second * per.length().as_secs_f64();
        let unit = units.into_iter().find(|per| in_unit(per) >= 10.0);
        let per = unit.unwrap_or(Per::Hour);
        let count = in_unit(&per).round().clamp(1.0, 1_000_000.0) as u32;
        // It was clamped from one on.
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self { count, per }
    }

    /// The time between two requests.
    pub fn interval(self) -> Duration {
        self.per.length() / self.count.get()
    }

    /// Requests per second.
    pub fn per_second(self) -> f64 {
        f64::from(self.count.get()) / self.per.length().as_secs_f64()
    }

    /// The number before the slash.
    pub fn count(self) -> u32 {
        self.count.get()
    }

    /// The time after the slash.
    pub fn window(self) -> Duration {
        self.per.length()
    }
}

impl Per {
    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        })
    }
}

impl FromStr for Rate {
    type Err = RateFault;
    fn from_str(text: &str) -> Result<Self, RateFault> {
        let (count, per) = text.split_once('/').ok_or(RateFault::Shape)?;
        let per = match per.trim() {
            "s" | "sec" | "second" => Per::Second,
            "m" | "min" | "minute" => Per::Minute,
            "h" | "hour" => Per::Hour,
            _ => return Err(RateFault::Shape),
        };
        let count: u32 = count.trim().parse().map_err(|_| RateFault::Shape)?;
        let count = NonZeroU32::new(count).ok_or(RateFault::Zero)?;
        if count.get() > 1_000_000 {
            return Err(RateFault::Large);
        }
        Ok(Self { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            Per::Second => "s",
            Per::Minute => "m",
            Per::Hour => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl TryFrom<String> for Rate {
    type Error = RateFault;
    fn try_from(text: String) -> Result<Self, RateFault> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_rate_are_never_more_than_it_together() {
        let share = |rate: &str, among: u32| {
            let rate: Rate = rate.parse().unwrap();
            rate.shared(NonZeroU32::new(among).unwrap()).to_string()
        };
        assert_eq!(share("100/s", 8), "12/s");
        assert_eq!(share("5/s", 8), "37/m");
        assert_eq!(share("300/m", 7), "42/m");
        assert_eq!(share("1/m", 8), "7/h");
        assert_eq!(share("1/h", 8), "1/h");
    }

    #[test]
    fn a_measured_rate_is_told_in_the_unit_that_shows_it() {
        for (per_second, text) in [(99.4, "99/s"), (9.9, "594/m"), (0.01, "36/h"), (0.0, "1/h")] {
            assert_eq!(Rate::near(per_second).to_string(), text);
        }
    }

    #[test]
    fn a_rate_is_a_whole_number_per_unit() {
        for (text, micros) in [
            ("5/s", 200_000),
            ("300/m", 200_000),
            ("1 / h", 3_600_000_000),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.interval(), Duration::from_micros(micros), "{text}");
        }
        assert_eq!("5/s".parse::<Rate>().unwrap().to_string(), "5/s");
        assert_eq!("0/s".parse::<Rate>(), Err(RateFault::Zero));
        assert_eq!("2000000/s".parse::<Rate>(), Err(RateFault::Large));
        for text in ["", "5", "5/", "/s", "-1/s", "1.5/s", "5/parsec"] {
            assert_eq!(text.parse::<Rate>(), Err(RateFault::Shape), "{text}");
        }
    }
}
