//! The gateway's limits: sliding windows over the requests that were admitted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::rate::Rate;

/// Limits that all hold.
#[derive(Debug)]
pub(super) struct Throttle {
    windows: Vec<Window>,
}

#[derive(Debug)]
struct Window {
    rate: Rate,
    /// When the requests that it still counts were admitted.
    admitted: VecDeque<Duration>,
}

/// A request is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Throttled {
    /// The limit that takes longest to clear.
    pub(super) rate: Rate,
    /// How long that takes.
    pub(super) wait: Duration,
}

impl Throttle {
    pub(super) fn new(rates: &[Rate]) -> Self {
        let windows = rates
            .iter()
            .map(|rate| Window {
                rate: *rate,
                admitted: VecDeque::new(),
            })
            .collect();
        Self { windows }
    }

    /// Lets a request in. One that is refused counts in no window.
    pub(super) fn admit(&mut self, now: Duration) -> Result<(), Throttled> {
        let fullest = self
            .windows
            .iter_mut()
            .filter_map(|window| window.full(now))
            .max_by_key(|throttled| throttled.wait);
        if let Some(throttled) = fullest {
            return Err(throttled);
        }
        for window in &mut self.windows {
            window.admitted.push_back(now);
        }
        Ok(())
    }
}

impl Window {
    fn full(&mut self, now: Duration) -> Option<Throttled> {
        let length = self.rate.window();
        while self
            .admitted
            .front()
            .is_some_and(|first| *first + length <= now)
        {
            self.admitted.pop_front();
        }
        let first = self.admitted.front()?;
        (self.admitted.len() >= self.rate.count() as usize).then(|| Throttled {
            rate: self.rate,
            wait: (*first + length).saturating_sub(now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(rates: &[&str]) -> Throttle {
        let rates: Vec<Rate> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
        Throttle::new(&rates)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_window_slides_over_what_was_admitted() {
        let mut throttle = throttle(&["2/s"]);
        for (at, wait) in [
            (0, None),
            (100, None),
            (900, Some(100)),
            (999, Some(1)),
            (1_000, None),
            (1_050, Some(50)),
            (1_100, None),
        ] {
            let told = throttle.admit(ms(at)).err().map(|throttled| throttled.wait);
            assert_eq!(told, wait.map(ms), "at {at}");
        }
    }

    #[test]
    fn of_several_limits_the_longest_wait_is_told() {
        let mut throttle = throttle(&["1/s", "2/m"]);
        assert!(throttle.admit(ms(0)).is_ok());
        assert_eq!(throttle.admit(ms(10)).unwrap_err().wait, ms(990));
        assert!(throttle.admit(ms(1_000)).is_ok());
        let throttled = throttle.admit(ms(1_500)).unwrap_err();
        assert_eq!(
            (throttled.rate.to_string().as_str(), throttled.wait),
            ("2/m", ms(58_500))
        );
    }

    #[test]
    fn without_limits_all_are_let_in() {
        let mut throttle = throttle(&[]);
        assert!((0..1_000).all(|_| throttle.admit(ms(0)).is_ok()));
    }
}
