//! What is tried again, how often, and after how long.
//!
//! Within a run [`classify`](super::classify::classify) says what a reply means for its row:
//!
//! | verdict | goes again | uses an attempt up | after |
//! |---|---|---|---|
//! | `Passing` | until [`Retry::is_over`] | yes; none in an outage | [`Retry::delay`] |
//! | `Throttled` | always | no | the pause of its lane: as long as the service asks, else [`Retry::lane_delay`] |
//! | `CredentialRefused` | once, if there is another credential | no | the renewal |
//! | `PermissionRefused`, `TlsRefused`, `Echo`, `Final` | never | | |
//!
//! A lane that is out of reach tries one request at a time, [`Retry::lane_delay`] apart (`engine::health`), until it answers or
//! the run's patience ends. A row whose update may have been applied is read before it is sent again, and its end is what that
//! reading shows. After a run [`Outcome::is_resumed`](crate::model::outcome::Outcome::is_resumed) says which rows `resume` sends.
//!
//! There is one backoff: a capped exponential schedule with jitter from outside.

use std::time::{Duration, Instant};

use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

/// How rows are tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts that count, per row.
    pub max_attempts: u32,
    /// The first delay's upper bound.
    pub initial_delay: Duration,
    /// No delay is longer.
    pub max_delay: Duration,
}

/// The shortest pause of a lane that was throttled without being told for how long.
/// The vendor's advice is to wait two to five seconds; the schedule reaches that at the second refusal.
const LANE_DELAY: Duration = Duration::from_secs(1);

impl Retry {
    /// Full jitter: a random share (`dice` in `0..1`) of the schedule's `n`-th delay, `n` from 1.
    pub fn delay(&self, n: u32, dice: f64) -> Duration {
        self.schedule(self.initial_delay, n)
            .mul_f64(dice.clamp(0.0, 1.0))
    }

    /// Whether a row that has used up so many attempts is not tried again; `at_most` are fewer than the job's.
    pub fn is_over(&self, used: u32, at_most: Option<u32>) -> bool {
        used >= at_most.unwrap_or(u32::MAX).min(self.max_attempts)
    }

    /// The pause of a whole lane after its `n`-th refusal in a row: at least half of the
    /// schedule's delay, because a pause of nothing would be none.
    pub fn lane_delay(&self, n: u32, dice: f64) -> Duration {
        let half = self.schedule(self.initial_delay.max(LANE_DELAY), n) / 2;
        half + half.mul_f64(dice.clamp(0.0, 1.0))
    }

    /// `initial`, doubled `n - 1` times, at most `max_delay`.
    fn schedule(&self, initial: Duration, n: u32) -> Duration {
        let first = initial.min(self.max_delay);
        let clock = Fixed::new();
        let mut schedule = ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            // Its own jitter goes above `max_interval`; ours comes from outside.
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: self.max_delay,
            start_time: clock.0,
            max_elapsed_time: None,
            clock,
        };
        let mut delay = first;
        // 64 doublings reach any cap.
        for _ in 0..n.clamp(1, 64) {
            delay = schedule.next_backoff().unwrap_or(self.max_delay);
        }
        delay.min(self.max_delay)
    }
}

/// A clock that stands still: the schedule asks for one, and without a limit on the elapsed time
/// its answer changes nothing.
struct Fixed(Instant);

impl Fixed {
    #[expect(
        clippy::disallowed_methods,
        reason = "an anchor that never moves, not a clock"
    )]
    fn new() -> Self {
        Self(Instant::now())
    }
}

impl backoff::Clock for Fixed {
    fn now(&self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        max_attempts: 5,
        initial_delay: Duration::from_millis(500),
        max_delay: Duration::from_secs(60),
    };

    #[test]
    fn delays_double_up_to_the_cap() {
        let ms: Vec<_> = (1..=9).map(|n| RETRY.delay(n, 1.0).as_millis()).collect();
        assert_eq!(
            ms,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000
            ]
        );
        assert_eq!(RETRY.delay(u32::MAX, 1.0).as_secs(), 60);
    }

    #[test]
    fn attempts_are_used_up_by_the_jobs_number_or_a_smaller_one() {
        assert!(!RETRY.is_over(4, None));
        assert!(RETRY.is_over(5, None));
        assert!(RETRY.is_over(1, Some(1)));
        assert!(RETRY.is_over(5, Some(9)));
    }

    #[test]
    fn full_jitter_takes_any_share_of_the_delay() {
        assert_eq!(RETRY.delay(3, 0.0), Duration::ZERO);
        assert_eq!(RETRY.delay(3, 0.25), Duration::from_millis(500));
    }

    #[test]
    fn a_lane_pauses_for_at_least_half_a_second() {
        assert_eq!(RETRY.lane_delay(1, 0.0), Duration::from_millis(500));
        assert_eq!(RETRY.lane_delay(2, 0.5), Duration::from_millis(1_500));
    }

    #[test]
    fn a_cap_below_the_first_delay_holds() {
        let retry = Retry {
            max_delay: Duration::from_millis(100),
            ..RETRY
        };
        assert_eq!(retry.delay(1, 1.0), Duration::from_millis(100));
        assert_eq!(retry.lane_delay(4, 1.0), Duration::from_millis(100));
    }
}
