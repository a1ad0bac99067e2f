//! Limits that count in windows that slide, in windows that stand, or by a bucket of tokens.

use std::collections::VecDeque;
use std::time::Duration;

use flowbatch::model::rate::Rate;

use crate::script::{Script, Shape};

/// Where fixed windows begin, as a share: nobody starts with one.
const PHASE: f64 = 0.37;

/// The limit of a service at work.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    shape: Shape,
    later: VecDeque<(Duration, Shape)>,
    admitted: VecDeque<Duration>,
    tokens: f64,
    filled: Duration,
}

impl Limiter {
    pub(crate) fn of(script: &Script) -> Self {
        let mut limiter = Self {
            shape: script.limit,
            later: script
                .later
                .iter()
                .map(|later| (Duration::from_secs(later.at), later.limit))
                .collect(),
            admitted: VecDeque::new(),
            tokens: 0.0,
            filled: Duration::ZERO,
        };
        limiter.tokens = limiter.rate().map_or(0.0, |rate| f64::from(rate.count()));
        limiter
    }

    pub(crate) fn rate(&self) -> Option<Rate> {
        match self.shape {
            Shape::None => None,
            Shape::Sliding(rate) | Shape::Fixed(rate) | Shape::Bucket(rate) => Some(rate),
        }
    }

    /// Lets a request in, or says how long that takes at least.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        if let Some((_, shape)) = self.later.pop_front_if(|(at, _)| *at <= now) {
            self.fill(now);
            self.shape = shape;
            if let Some(rate) = self.rate() {
                self.tokens = self.tokens.min(f64::from(rate.count()));
            }
        }
        let Some(rate) = self.rate() else {
            return Ok(());
        };
        let window = rate.window();
        match self.shape {
            Shape::None => {}
            Shape::Sliding(_) | Shape::Fixed(_) => {
                let start = match self.shape {
                    Shape::Fixed(_) => begin(now, window),
                    Shape::None | Shape::Sliding(_) | Shape::Bucket(_) => {
                        now.saturating_sub(window)
                    }
                };
                let counts = |at: &Duration| match self.shape {
                    Shape::Fixed(_) => *at >= start,
                    Shape::None | Shape::Sliding(_) | Shape::Bucket(_) => {
                        *at > start || now < window
                    }
                };
                while self.admitted.front().is_some_and(|at| !counts(at)) {
                    self.admitted.pop_front();
                }
                if self.admitted.len() >= rate.count() as usize {
                    let over = self.admitted.len() - rate.count() as usize;
                    return Err(match self.shape {
                        Shape::Fixed(_) => window - into(now, window),
                        Shape::None | Shape::Sliding(_) | Shape::Bucket(_) => {
                            (self.admitted[over] + window).saturating_sub(now)
                        }
                    });
                }
                self.admitted.push_back(now);
            }
            Shape::Bucket(_) => {
                self.fill(now);
                if self.tokens < 1.0 {
                    let missing = (1.0 - self.tokens) / rate.per_second();
                    return Err(Duration::from_secs_f64(missing) + Duration::from_nanos(1));
                }
                self.tokens -= 1.0;
            }
        }
        Ok(())
    }

    /// Lets a request in, come what may.
    pub(crate) fn take(&mut self, now: Duration) {
        if self.admit(now).is_err() {
            self.admitted.push_back(now);
            self.tokens -= 1.0;
        }
    }

    fn fill(&mut self, now: Duration) {
        let Some(rate) = self.rate() else {
            return;
        };
        // What was on its way for longer arrives later, and finds no fewer.
        let now = now.max(self.filled);
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.per_second()).min(f64::from(rate.count()));
        self.filled = now;
    }

    /// When the limit changes next.
    pub(crate) fn changes_at(&self) -> Option<Duration> {
        self.later.front().map(|(at, _)| *at)
    }
}

/// When the fixed window began that `now` is in, or the time itself did.
fn begin(now: Duration, window: Duration) -> Duration {
    now.saturating_sub(into(now, window))
}

/// How long the fixed window has been going on that `now` is in.
fn into(now: Duration, window: Duration) -> Duration {
    let phase = window.mul_f64(PHASE);
    let since = now.as_nanos() + (window - phase).as_nanos();
    Duration::from_nanos(u64::try_from(since % window.as_nanos()).unwrap())
}
