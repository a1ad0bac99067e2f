//! How fast requests may leave a lane.
//!
//! Source of the rules: GCRA as `governor` implements it; the margin and the making-up of
//! lateness come from measurements (a limiter with burst 1 whose every wake-up is late loses
//! 3 to 16 % of its rate).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::model::rate::Rate;

/// The share of the rate that is used, so that two clocks that disagree slightly do not collide.
const SHARE: f64 = 0.995;

/// How late a wake-up may be and still count from the instant that was promised.
const LATENESS: Duration = Duration::from_millis(5);

/// The pace of a lane.
#[derive(Debug)]
pub struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, Dial, NoOpMiddleware<Duration>>,
    promised: Option<Duration>,
}

/// The answer to "may a request leave now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may; the permit is taken.
    Granted,
    /// Not before this instant.
    NotBefore(Duration),
}

impl Pace {
    /// A pace of `rate`, with `burst` requests at once after a quiet time.
    pub fn new(rate: Rate, burst: NonZeroU32) -> Self {
        Self::at(rate.per_second(), burst)
    }

    /// The same for `per_second`, which need not be whole; it is more than zero.
    pub fn at(per_second: f64, burst: NonZeroU32) -> Self {
        let interval = Duration::from_secs_f64(1.0 / (per_second * SHARE));
        let quota = Quota::with_period(interval)
            // `with_period` refuses zero only, and the shortest interval of a Rate is a microsecond.
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, Dial::default()),
            promised: None,
        }
    }

    /// Takes a permit at `now`, for work that is waiting.
    ///
    /// Work that was told to wait and comes at most 5 ms late counts as on time, so that the
    /// lateness of timers is made up for instead of added up.
    pub fn take(&mut self, now: Duration) -> Permit {
        let on_time = self
            .promised
            .filter(|promised| *promised <= now && now - *promised <= LATENESS);
        self.limiter.clock().set(on_time.unwrap_or(now));
        match self.limiter.check() {
            Ok(()) => {
                // More may be waiting; its slot is counted from this one, not from `now`.
                self.promised = on_time;
                Permit::Granted
            }
            Err(not_until) => {
                let at = not_until.earliest_possible();
                self.promised = Some(at);
                if at > now {
                    return Permit::NotBefore(at);
                }
                // The dial stood at an earlier promise; the next slot is due by now as well.
                self.take(now)
            }
        }
    }

    /// Takes the permits of a whole burst at `now`: whoever changes the pace saves nothing up by that.
    pub fn charge(&mut self, now: Duration, burst: NonZeroU32) {
        self.limiter.clock().set(now);
        for _ in 0..burst.get() {
            // A new limiter has just these.
            let _ = self.limiter.check();
        }
    }

    /// Nothing is waiting: a slot that was promised is no longer owed.
    pub fn idle(&mut self) {
        self.promised = None;
    }
}

/// The limiter's clock: it shows what the schedule sets.
#[derive(Debug, Default)]
struct Dial(AtomicU64);

impl Dial {
    fn set(&self, now: Duration) {
        // 584 years fit.
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanos, Ordering::Relaxed);
    }
}

impl Clock for Dial {
    type Instant = Duration;
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: &str, burst: u32) -> Pace {
        Pace::new(rate.parse().unwrap(), NonZeroU32::new(burst).unwrap())
    }

    /// Takes permits for work that always waits and wakes `late` after each promise, for `span`.
    fn departures(pace: &mut Pace, late: Duration, span: Duration) -> Vec<Duration> {
        let mut now = Duration::from_secs(100);
        let end = now + span;
        let mut left = Vec::new();
        while now < end {
            match pace.take(now) {
                Permit::Granted => left.push(now),
                Permit::NotBefore(at) => {
                    assert!(at > now, "a promise lies ahead");
                    now = at + late;
                }
            }
        }
        left
    }

    #[test]
    fn lateness_of_up_to_five_milliseconds_costs_nothing() {
        for late in [0, 1, 3, 5] {
            let left = departures(
                &mut pace("50/s", 1),
                Duration::from_millis(late),
                Duration::from_secs(20),
            );
            assert!(
                (994..=997).contains(&left.len()),
                "{late} ms late: {}",
                left.len()
            );
        }
    }

    #[test]
    fn longer_lateness_is_not_made_up_by_a_burst() {
        let left = departures(
            &mut pace("50/s", 1),
            Duration::from_millis(30),
            Duration::from_secs(10),
        );
        let shortest = left.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(shortest >= Duration::from_millis(20), "{shortest:?}");
    }

    #[test]
    fn in_any_second_at_most_the_rate_and_the_burst_leaves() {
        for (rate, burst, most) in [("50/s", 1, 51), ("200/s", 2, 202), ("10/s", 10, 20)] {
            for late in [0, 2, 4, 9] {
                let late = Duration::from_millis(late);
                let left = departures(&mut pace(rate, burst), late, Duration::from_secs(5));
                for (first, start) in left.iter().enumerate() {
                    let window = left[first..]
                        .iter()
                        .take_while(|at| **at < *start + Duration::from_secs(1))
                        .count();
                    assert!(
                        window <= most,
                        "{rate} burst {burst} late {late:?}: {window}"
                    );
                }
            }
        }
    }

    #[test]
    fn quiet_time_saves_up_the_burst_and_no_more() {
        let mut pace = pace("10/s", 3);
        let at = |pace: &mut Pace, now| {
            (0..10)
                .filter(|_| pace.take(now) == Permit::Granted)
                .count()
        };
        assert_eq!(at(&mut pace, Duration::from_secs(1)), 3);
        pace.idle();
        assert_eq!(at(&mut pace, Duration::from_secs(60)), 3);
    }
}
