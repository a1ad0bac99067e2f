//! How many requests the service has use for: more in flight are only slower where it works on a few at a time.
//!
//! Where answers take much longer than they did, half as many are let into flight. If no fewer are answered, there was
//! a queue, and it stays at that; if there are, the service is slow for another reason, and nothing is held back. By Little's law the
//! number in flight is what is answered in a second times how long an answer takes.

use std::time::Duration;

/// How many requests may be in flight, by how long answers take.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    concurrency: usize,
    /// At most so many.
    most: usize,
    /// When the answers that are counted began, how many there were, and how long they took in all.
    since: Duration,
    answers: u32,
    spent: Duration,
    /// The shortest that answers have taken on average, in seconds.
    shortest: Option<f64>,
    /// Half as many are tried: how many it were before, how many a second were answered, and how long that took.
    tried: Option<(usize, f64, f64)>,
    /// When more are let into flight again, to see whether that helps by now.
    again_at: Duration,
}

/// Answers that are enough to tell whether more in flight are of use; the first time fewer do.
const ENOUGH: u32 = 256;
const ENOUGH_AT_FIRST: u32 = 32;
/// From so many times the shortest on, answers wait in a queue, or the service is slow for another reason.
const QUEUED: f64 = 2.5;
/// With half as many in flight a queue that is shorter loses no more than this share of the answers.
const KEPT: f64 = 0.93;

/// When it is tried again whether more in flight are of use by now.
const AGAIN: Duration = Duration::from_secs(60);

impl Room {
    /// Room for `concurrency`, until answers show otherwise.
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            most: concurrency,
            since: Duration::ZERO,
            answers: 0,
            spent: Duration::ZERO,
            shortest: None,
            tried: None,
            again_at: Duration::ZERO,
        }
    }

    /// How many may be in flight.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Takes an answer into account, which came at `now` to a request that took `latency`.
    pub fn see(&mut self, now: Duration, latency: Duration) {
        self.answers += 1;
        self.spent += latency;
        let enough = if self.shortest.is_none() {
            ENOUGH_AT_FIRST
        } else {
            ENOUGH
        };
        if self.answers < enough {
            return;
        }
        let span = now.saturating_sub(self.since).as_secs_f64().max(0.001);
        let rate = f64::from(self.answers) / span;
        let mean = self.spent.as_secs_f64() / f64::from(self.answers);
        self.since = now;
        self.answers = 0;
        self.spent = Duration::ZERO;
        match self.tried.take() {
            Some((_, earlier, _)) if rate >= earlier * KEPT => self.again_at = now + AGAIN,
            // It takes as long as it takes.
            Some((before, _, mean)) => {
                self.most = before;
                self.shortest = Some(mean);
            }
            None if self.most < self.concurrency && now >= self.again_at => {
                self.most = (self.most * 2).min(self.concurrency);
                self.again_at = now + AGAIN;
            }
            None => {}
        }
        let shortest = self.shortest.map_or(mean, |shortest| shortest.min(mean));
        self.shortest = Some(shortest);
        // Little's law: so many were in flight.
        let in_flight = rate * mean;
        if self.tried.is_none() && mean > QUEUED * shortest && in_flight > 4.0 {
            self.tried = Some((self.most, rate, mean));
            self.most = ((in_flight / 2.0) as usize).clamp(1, self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a service that works on `workers` at a time, each for `ms`, answer so many as there is room for.
    fn settle(room: &mut Room, workers: usize, mut ms: impl FnMut(usize) -> u64) {
        let mut now = room.since;
        for answer in 0..20_000 {
            let working = room.most().min(workers);
            let work = Duration::from_millis(ms(answer));
            // Each waits for those before it.
            let latency = work.mul_f64(room.most() as f64 / working as f64);
            now += work / working as u32;
            room.see(now, latency);
        }
    }

    #[test]
    fn no_more_are_let_into_flight_than_are_worked_on_and_some_that_wait() {
        let mut room = Room::new(8);
        // At first a few show how long one takes.
        settle(&mut room, 64, |_| 20);
        assert_eq!(room.most(), 8);
        let mut room = Room {
            concurrency: 64,
            most: 64,
            ..room
        };
        settle(&mut room, 8, |_| 20);
        assert!((8..=32).contains(&room.most()), "{room:?}");
    }

    #[test]
    fn a_service_that_has_become_slow_for_another_reason_is_not_held_back() {
        let mut room = Room::new(64);
        settle(
            &mut room,
            64,
            |answer| if answer < 1_000 { 20 } else { 200 },
        );
        assert_eq!(room.most(), 64);
    }
}
