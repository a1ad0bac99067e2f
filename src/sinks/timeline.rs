//! How a run went over time: what was answered when, and how long answers took.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::ports::Watcher;
use crate::model::event::{Event, Meaning, Stamped};
use crate::model::rate::Rate;
use crate::model::work_time::WorkTime;

/// Buckets that are kept; with more, two become one.
const MOST_BUCKETS: usize = 120;

/// How a run went over the time that it worked.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What one bucket holds.
    pub width: Duration,
    /// What was answered, bucket by bucket.
    pub buckets: Vec<Bucket>,
    /// Where sessions after the first began, since the beginning.
    pub sessions: Vec<Duration>,
    /// The limits of the service that were found, and when.
    pub limits: Vec<(Duration, Rate)>,
    /// How many answers took so many milliseconds.
    latencies: BTreeMap<u64, u64>,
    /// How long the run had worked, event by event.
    time: WorkTime,
}

/// What was answered in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Requests that did what they should.
    pub good: u64,
    /// Requests that the service did not admit.
    pub throttled: u64,
    /// Requests that failed.
    pub failed: u64,
}

impl Bucket {
    /// All of them.
    pub fn answers(self) -> u64 {
        self.good + self.throttled + self.failed
    }

    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.throttled += other.throttled;
        self.failed += other.failed;
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            width: Duration::from_millis(100),
            buckets: Vec::new(),
            sessions: Vec::new(),
            limits: Vec::new(),
            latencies: BTreeMap::new(),
            time: WorkTime::default(),
        }
    }
}

impl Timeline {
    /// How long it worked.
    pub fn length(&self) -> Duration {
        self.time.total()
    }

    /// The time that `share` of the answers did not exceed, in milliseconds; none without answers.
    pub fn percentile(&self, share: f64) -> Option<u64> {
        let all: u64 = self.latencies.values().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut seen = 0;
        let mut latencies = self.latencies.iter();
        let found = latencies.find(|(_, count)| {
            seen += *count;
            seen >= wanted.max(1)
        });
        found.map(|(latency, _)| *latency)
    }

    /// Answers by how long they took: the upper end of a step in milliseconds, and how many took longer than the step before
    /// and no longer than that. Steps double.
    pub fn latency_steps(&self) -> Vec<(u64, u64)> {
        let mut steps: BTreeMap<u64, u64> = BTreeMap::new();
        for (latency, count) in &self.latencies {
            *steps
                .entry((*latency).max(1).next_power_of_two())
                .or_default() += count;
        }
        let Some((first, last)) = steps.keys().next().zip(steps.keys().next_back()) else {
            return Vec::new();
        };
        let (first, last) = (*first, *last);
        let mut step = first;
        let mut all = Vec::new();
        while step <= last {
            all.push((step, steps.get(&step).copied().unwrap_or_default()));
            step *= 2;
        }
        all
    }

    fn bucket(&mut self, at: Timestamp) -> &mut Bucket {
        let since = self.time.until(at);
        while since.as_nanos() / self.width.as_nanos() >= MOST_BUCKETS as u128 {
            self.width *= 2;
            let pairs = self.buckets.chunks(2).map(|pair| {
                let mut both = pair[0];
                pair[1..].iter().for_each(|other| both.add(*other));
                both
            });
            self.buckets = pairs.collect();
        }
        let index = (since.as_nanos() / self.width.as_nanos()) as usize;
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, Bucket::default());
        }
        &mut self.buckets[index]
    }
}

impl Watcher for Timeline {
    fn see(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        self.time.see(stamped);
        match &stamped.event {
            Event::SessionStarted(_) => self.sessions.push(self.time.until(at)),
            Event::Answer {
                latency_ms,
                meaning,
                failure,
                ..
            } => {
                *self.latencies.entry(*latency_ms).or_default() += 1;
                let bucket = self.bucket(at);
                match (meaning, failure) {
                    (Meaning::Throttled, _) => bucket.throttled += 1,
                    (Meaning::Done, None) => bucket.good += 1,
                    (Meaning::Done | Meaning::Again | Meaning::Final, _) => bucket.failed += 1,
                }
            }
            Event::RateChanged { rate, .. } => {
                self.limits.push((self.time.until(at), *rate));
            }
            Event::Read {
                requests,
                throttled,
                failure,
                ..
            } => {
                // Those that were tried again have failed.
                let failed = u64::from(requests.saturating_sub(*throttled));
                let good = u64::from(failure.is_none()).min(failed);
                self.bucket(at).add(Bucket {
                    good,
                    throttled: (*throttled).into(),
                    failed: failed - good,
                });
            }
            Event::RunStarted(_)
            | Event::Asked { .. }
            | Event::LegStarted { .. }
            | Event::Attempt { .. }
            | Event::RowEnded { .. }
            | Event::Proven { .. }
            | Event::Suspected { .. }
            | Event::WorkspaceNamed { .. }
            | Event::Planned(_)
            | Event::LanePaused { .. }
            | Event::LaneResumed { .. }
            | Event::LaneClosed { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::Stop { .. }
            | Event::WaveEnded(_)
            | Event::StageLeft(_)
            | Event::Approved(_)
            | Event::SessionEnded { .. } => {}
        }
    }

    fn tick(&mut self, _: Timestamp) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Method, RunStarted, SessionStarted};
    use crate::model::id::Id;
    use crate::model::outcome::{ErrorClass, Failure};
    use crate::model::reading::Kind;
    use crate::model::target::{LaneId, Workspace};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + ms).unwrap()
    }

    /// Of a run that began at 0.
    fn begun() -> Timeline {
        let mut timeline = Timeline::default();
        timeline.see(&Stamped {
            at: at(0),
            event: Event::RunStarted(RunStarted {
                format: 1,
                run_id: String::new(),
                tool_version: String::new(),
                operator: String::new(),
                job_sha256: String::new(),
                input_sha256: None,
                copy: None,
                lanes: Vec::new(),
                seed: 0,
                rows: 1,
                skipped: 0,
            }),
        });
        timeline
    }

    fn answer(timeline: &mut Timeline, ms: i64, latency_ms: u64, meaning: Meaning) {
        let failure = (meaning != Meaning::Done).then(|| Failure::new(ErrorClass::Server, "x"));
        timeline.see(&Stamped {
            at: at(ms),
            event: Event::Answer {
                row: 1,
                method: Method::Put,
                request: 1,
                latency_ms,
                http_status: None,
                meaning,
                failure,
                unproven: false,
            },
        });
    }

    fn session(timeline: &mut Timeline, ms: i64) {
        timeline.see(&Stamped {
            at: at(ms),
            event: Event::SessionStarted(SessionStarted {
                session: 2,
                operator: String::new(),
                tool_version: String::new(),
                lanes: Vec::new(),
                seed: 0,
                rows: 0,
            }),
        });
    }

    #[test]
    fn buckets_grow_with_the_run_and_lose_nothing() {
        let mut timeline = begun();
        for second in 0..1_000 {
            answer(&mut timeline, second * 1_000, 10, Meaning::Done);
        }
        answer(&mut timeline, 1_000_000, 20, Meaning::Throttled);
        assert!(timeline.buckets.len() <= MOST_BUCKETS);
        assert_eq!(timeline.width, Duration::from_millis(12_800));
        let all = timeline.buckets.iter().map(|bucket| bucket.answers());
        assert_eq!(all.sum::<u64>(), 1_001);
        let last = timeline.buckets.last().unwrap();
        assert_eq!((last.throttled, last.failed), (1, 0));
    }

    #[test]
    fn the_time_between_two_sessions_is_left_out() {
        let mut timeline = begun();
        answer(&mut timeline, 2_000, 10, Meaning::Done);
        session(&mut timeline, 9_002_000);
        answer(&mut timeline, 9_003_000, 10, Meaning::Final);
        assert_eq!(timeline.length(), Duration::from_secs(3));
        assert_eq!(timeline.sessions, [Duration::from_secs(2)]);
    }

    #[test]
    fn readings_are_answers_as_well() {
        let mut timeline = begun();
        for (requests, throttled, failure) in [
            (4, 2, None),
            (0, 0, Some(Failure::new(ErrorClass::Canceled, "x"))),
            (3, 1, Some(Failure::new(ErrorClass::Server, "x"))),
        ] {
            timeline.see(&Stamped {
                at: at(10),
                event: Event::Read {
                    lane: LaneId(0),
                    workspace: Workspace {
                        project_id: Id::parse("p").unwrap(),
                        workspace_id: Id::parse("s").unwrap(),
                    },
                    kind: Kind::List,
                    found: 1,
                    requests,
                    throttled,
                    failure,
                },
            });
        }
        let all = Bucket {
            good: 1,
            throttled: 3,
            failed: 3,
        };
        assert_eq!(timeline.buckets, [all]);
    }

    #[test]
    fn latencies_are_told_by_their_share_and_by_steps_that_double() {
        let mut timeline = Timeline::default();
        for latency in 1..=100 {
            answer(&mut timeline, 0, latency, Meaning::Done);
        }
        let shares = [0.5, 0.95, 0.99, 1.0].map(|share| timeline.percentile(share));
        assert_eq!(shares, [Some(50), Some(95), Some(99), Some(100)]);
        let steps = timeline.latency_steps();
        assert_eq!(steps.first(), Some(&(1, 1)));
        assert_eq!(steps[6..], [(64, 32), (128, 36)]);
        assert_eq!(Timeline::default().percentile(0.5), None);
        assert_eq!(Timeline::default().latency_steps(), []);
    }
}
