//! What may happen in a run: the rows, the rules, and how the service, the disk and the person at
//! the keyboard behave.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use flowbatch::engine::run::Course;
use flowbatch::engine::schedule::Rules;
use flowbatch::model::field::FieldSet;
use flowbatch::model::outcome::Ended;
use flowbatch::model::rate::{Per, Rate};
use flowbatch::model::simulation::{Fault, FaultKind, Simulation};
use flowbatch::plan::decision::Terms;
use flowbatch::policy::budget::{Budget, Most};
use flowbatch::policy::retry::Retry;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A run and its circumstances.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// Of the jitter, the world and the weather.
    pub seed: u64,
    /// One row each.
    pub wishes: Vec<Wish>,
    /// Rows go to them by turns, and each belongs to a lane, by turns as well.
    pub workspaces: usize,
    /// The rules of the run.
    pub course: Course,
    /// How the simulated service behaves.
    pub service: Simulation,
    /// What stands before the service.
    pub weather: Weather,
    /// When somebody asks to stop, and how.
    pub interrupts: Vec<(Duration, Ended)>,
    /// What keeps the record.
    pub disk: Disk,
    /// When the clock on the wall is put forward, and by how much.
    pub jump: Option<(Duration, Duration)>,
}

/// What a row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A new name.
    Plain,
    /// A new name, guarded by the name that is there.
    Guarded,
    /// A new name, guarded by a name that is not there.
    Contested,
    /// The name that is there, guarded.
    Held,
    /// A new name for a workflow that does not exist.
    Lost,
    /// Nothing: there is nothing to set and nothing to check.
    Idle,
}

/// What goes wrong before the service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    /// 429s at random.
    pub storm: Option<Storm>,
    /// A time without any answer, or with 503s only.
    pub outage: Option<Outage>,
    /// Workspaces that answer 403.
    pub forbidden: Vec<Forbidden>,
    /// From which request on, counted from 1, the credential of lane 0 is answered with a 401.
    pub expires: Option<usize>,
}

/// 429s at random.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    /// How many of the requests.
    pub share: f64,
    /// What they ask for.
    pub retry_after: Option<Duration>,
    /// Whether only updates meet them.
    pub spares_reading: bool,
}

/// A time in which nothing gets through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    /// When it begins.
    pub from: Duration,
    /// How long it lasts; without it, for ever.
    pub lasts: Option<Duration>,
    /// How it shows.
    pub shows: Symptom,
}

/// How an outage shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// No connection.
    Refusal,
    /// The connection is lost after a while.
    Loss,
    /// Nothing comes, ever.
    Hang,
    /// The gateway answers 503.
    Unavailable,
}

/// A workspace that answers 403.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forbidden {
    /// Which, by its number.
    pub workspace: usize,
    /// From which request for it on, counted from 1.
    pub from: usize,
    /// Whether the answer names the workspace as the reason.
    pub whole: bool,
}

/// What keeps the record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disk {
    /// Everything is durable at once.
    Quick,
    /// Everything becomes durable from time to time.
    Slow(Duration),
    /// The last so many events are not durable yet; they are after a rest.
    Trailing(usize),
    /// No event fits after so many.
    Full(usize),
    /// There is no room for new requests after so many events, only for those in flight.
    Cramped(usize),
    /// Everything becomes durable from time to time, until that fails: after so many times.
    Failing(Duration, usize),
}

/// One line a field: hundreds of wishes would fill the screen.
impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Scenario {{")?;
        writeln!(f, "  seed: {}", self.seed)?;
        writeln!(f, "  wishes: {:?}", self.wishes)?;
        writeln!(f, "  workspaces: {}", self.workspaces)?;
        writeln!(f, "  course: {:?}", self.course)?;
        writeln!(f, "  service: {:?}", self.service)?;
        writeln!(f, "  weather: {:?}", self.weather)?;
        writeln!(f, "  interrupts: {:?}", self.interrupts)?;
        writeln!(f, "  disk: {:?}\n}}", self.disk)
    }
}

impl Scenario {
    /// `rows` plain rows, generous rules, a sound service, a quick disk, and nobody who interrupts.
    pub(crate) fn calm(rows: usize) -> Self {
        Self {
            seed: 1,
            wishes: vec![Wish::Plain; rows],
            workspaces: 1,
            course: Course {
                rules: Rules {
                    concurrency: 8,
                    rate: rate(50, Per::Second),
                    finds_limit: false,
                    burst: NonZeroU32::MIN,
                    retry: Retry {
                        max_attempts: 5,
                        initial_delay: Duration::from_millis(500),
                        max_delay: Duration::from_secs(60),
                    },
                    budget: ALL_MAY_FAIL,
                    patience: Duration::from_secs(600),
                    deadline: None,
                    terms: Terms::default(),
                    max_age: Duration::from_secs(600),
                    canaries: false,
                    confirm_within: Duration::from_secs(10),
                    allow_cleared: FieldSet::default(),
                },
                lanes: 1,
                timeout: Duration::from_secs(30),
                stop_at: None,
            },
            service: Simulation::default(),
            weather: Weather::default(),
            interrupts: Vec::new(),
            disk: Disk::Quick,
            jump: None,
        }
    }

    /// The lane that a workspace belongs to.
    pub(crate) fn lane(&self, workspace: usize) -> usize {
        workspace % self.course.lanes
    }
}

/// A budget that nothing exceeds.
pub(crate) const ALL_MAY_FAIL: Budget = Budget {
    max_errors: Most::Count(u64::MAX),
    min_rows: 0,
};

/// `count` requests per `per`.
pub(crate) fn rate(count: u32, per: Per) -> Rate {
    Rate::new(NonZeroU32::new(count).unwrap(), per)
}

/// A span of time between two numbers of milliseconds.
pub(crate) fn ms(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

/// Anything at all.
pub(crate) fn anything() -> impl Strategy<Value = Scenario> {
    let run = (any::<u64>(), wishes(1..=400), 1..=4_usize, course());
    let world = (service(), weather(), interrupts(), disk());
    (run, world).prop_map(
        |((seed, wishes, workspaces, course), (service, weather, interrupts, disk))| Scenario {
            seed,
            wishes,
            workspaces,
            course,
            service,
            weather,
            interrupts,
            disk,
            jump: None,
        },
    )
}

/// Rows of all kinds.
pub(crate) fn wishes(count: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Wish>> {
    let wish = prop_oneof![
        6 => Just(Wish::Plain),
        1 => Just(Wish::Guarded),
        1 => Just(Wish::Contested),
        1 => Just(Wish::Held),
        1 => Just(Wish::Lost),
        1 => Just(Wish::Idle),
    ];
    vec(wish, count)
}

/// Rules of all kinds.
pub(crate) fn course() -> impl Strategy<Value = Course> {
    let budget = prop_oneof![
        2 => Just(ALL_MAY_FAIL),
        1 => Just(Budget::default()),
        1 => (0..30_u64).prop_map(|most| Budget {
            max_errors: Most::Count(most),
            min_rows: 0,
        }),
    ];
    let pace = (1..=64_usize, client_rate(), 1..=8_u32, any::<bool>());
    let stops = (
        budget,
        ms(2_000..=600_000),
        option::weighted(0.3, ms(100..=120_000)),
        ms(200..=30_000),
    );
    (pace, retry(), stops, 1..=2_usize).prop_map(
        |(
            (concurrency, rate, burst, finds_limit),
            retry,
            (budget, patience, deadline, timeout),
            lanes,
        )| {
            Course {
                rules: Rules {
                    concurrency,
                    rate,
                    finds_limit,
                    burst: NonZeroU32::new(burst).unwrap(),
                    retry,
                    budget,
                    patience,
                    deadline,
                    terms: Terms::default(),
                    max_age: Duration::from_secs(600),
                    canaries: false,
                    confirm_within: Duration::from_secs(10),
                    allow_cleared: FieldSet::default(),
                },
                lanes,
                timeout,
                stop_at: None,
            }
        },
    )
}

/// Rates at which a test ends before long.
pub(crate) fn client_rate() -> impl Strategy<Value = Rate> {
    prop_oneof![
        4 => (2..=200_u32).prop_map(|count| rate(count, Per::Second)),
        1 => (120..=6_000_u32).prop_map(|count| rate(count, Per::Minute)),
    ]
}

fn retry() -> impl Strategy<Value = Retry> {
    (1..=8_u32, ms(0..=2_000), ms(500..=60_000)).prop_map(
        |(max_attempts, initial_delay, max_delay)| Retry {
            max_attempts,
            initial_delay,
            max_delay,
        },
    )
}

/// A service with latencies, limits and faults.
pub(crate) fn service() -> impl Strategy<Value = Simulation> {
    (any::<u64>(), latency(), limits(), any::<bool>(), faults()).prop_map(
        |(seed, latency, rate_limits, retry_after, faults)| Simulation {
            clears_unsent: false,
            seed,
            latency,
            rate_limits,
            retry_after,
            faults,
        },
    )
}

/// From at once to a second.
pub(crate) fn latency() -> impl Strategy<Value = (Duration, Duration)> {
    (ms(0..=50), ms(0..=950)).prop_map(|(shortest, more)| (shortest, shortest + more))
}

/// Limits such as the gateway has.
pub(crate) fn limits() -> impl Strategy<Value = Vec<Rate>> {
    let limit = prop_oneof![
        (1..=50_u32).prop_map(|count| rate(count, Per::Second)),
        (60..=600_u32).prop_map(|count| rate(count, Per::Minute)),
    ];
    prop_oneof![2 => Just(Vec::new()), 1 => vec(limit, 1..=2)]
}

/// Some of the kinds, none of them too often.
pub(crate) fn faults() -> impl Strategy<Value = Vec<Fault>> {
    // A service that forgets what it has acknowledged, or clears what it was not sent, is found out by reading back alone.
    let kinds = FaultKind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, FaultKind::Lost | FaultKind::Clears));
    let fault = (
        proptest::sample::select(kinds.collect::<Vec<_>>()),
        0.0..0.15,
    )
        .prop_map(|(kind, share)| Fault { kind, share });
    prop_oneof![1 => Just(Vec::new()), 2 => vec(fault, 1..=5)]
}

fn weather() -> impl Strategy<Value = Weather> {
    (
        option::weighted(0.3, storm(0.5)),
        option::weighted(0.3, outage()),
        forbidden(),
        option::weighted(0.2, 1..300_usize),
    )
        .prop_map(|(storm, outage, forbidden, expires)| Weather {
            storm,
            outage,
            forbidden,
            expires,
        })
}

/// A storm of at most this share.
pub(crate) fn storm(most: f64) -> impl Strategy<Value = Storm> {
    let retry_after = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Duration::ZERO)),
        2 => (1..=10_u64).prop_map(|seconds| Some(Duration::from_secs(seconds))),
    ];
    (0.0..most, retry_after, any::<bool>()).prop_map(|(share, retry_after, spares_reading)| Storm {
        share,
        retry_after,
        spares_reading,
    })
}

fn outage() -> impl Strategy<Value = Outage> {
    (
        ms(0..=5_000),
        option::weighted(0.7, ms(100..=120_000)),
        symptom(),
    )
        .prop_map(|(from, lasts, shows)| Outage { from, lasts, shows })
}

/// Any of the four.
pub(crate) fn symptom() -> impl Strategy<Value = Symptom> {
    prop_oneof![
        Just(Symptom::Refusal),
        Just(Symptom::Loss),
        Just(Symptom::Hang),
        Just(Symptom::Unavailable),
    ]
}

/// Some workspaces that refuse.
pub(crate) fn forbidden() -> impl Strategy<Value = Vec<Forbidden>> {
    let one =
        (0..4_usize, 1..20_usize, any::<bool>()).prop_map(|(workspace, from, whole)| Forbidden {
            workspace,
            from,
            whole,
        });
    prop_oneof![3 => Just(Vec::new()), 1 => vec(one, 1..=2)]
}

/// Up to three, at any instant of a short run.
pub(crate) fn interrupts() -> impl Strategy<Value = Vec<(Duration, Ended)>> {
    let how = prop_oneof![
        Just(Ended::Interrupted),
        Just(Ended::Terminated),
        Just(Ended::Hangup),
    ];
    let times = vec((ms(0..=20_000), how), 1..=3).prop_map(|mut times| {
        times.sort_by_key(|(at, _)| *at);
        times
    });
    prop_oneof![2 => Just(Vec::new()), 1 => times]
}

/// Quick, slow or trailing; never full.
pub(crate) fn disk() -> impl Strategy<Value = Disk> {
    prop_oneof![
        2 => Just(Disk::Quick),
        1 => ms(1..=60_000).prop_map(Disk::Slow),
        1 => (1..=1_500_usize).prop_map(Disk::Trailing),
    ]
}
