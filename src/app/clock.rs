//! The real clock and real dice.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::engine::ports::{Clock, Dice};

/// The system's clocks. All runs of this process, and the readings before them, go by the same time.
pub(super) struct System;

/// When the time was first asked for.
static STARTED: OnceLock<Instant> = OnceLock::new();

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Duration {
        STARTED.get_or_init(Instant::now).elapsed()
    }

    /// To the millisecond, as the record has it.
    fn wall(&self) -> Timestamp {
        wall_ms()
    }
}

/// The time of day, to the millisecond.
pub(super) fn wall_ms() -> Timestamp {
    let now = wall();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(super) fn wall() -> Timestamp {
    Timestamp::now()
}

/// When this process began; [`begin`] has set it.
static BEGAN: OnceLock<Timestamp> = OnceLock::new();

/// Notes when this process began: whoever stops by the clock counts from here, however long it waited for others.
pub(super) fn begin() {
    let _ = BEGAN.set(wall());
}

/// When this process began.
pub(super) fn began() -> Timestamp {
    *BEGAN.get_or_init(wall)
}

/// Lets a moment pass, before a run begins.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing goes on yet that it could hold up"
)]
pub(super) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Dice with a seed that is on record.
pub(super) struct Seeded(fastrand::Rng);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }
}

impl Dice for Seeded {
    fn roll(&mut self) -> f64 {
        self.0.f64()
    }
}

/// A seed that nobody chose.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the seed comes from"
)]
pub(super) fn seed() -> u64 {
    fastrand::Rng::new().u64(..)
}
