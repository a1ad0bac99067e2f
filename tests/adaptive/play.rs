//! Plays a script: the real schedule, a service of its own, and time that jumps from event to event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::time::Duration;

use flowbatch::engine::ports::{Errand, RowsError, Source, Taken};
use flowbatch::engine::schedule::{Rules, Schedule, Step};
use flowbatch::model::event::Event;
use flowbatch::model::field::FieldSet;
use flowbatch::model::id::Id;
use flowbatch::model::outcome::{Failure, Status};
use flowbatch::model::reading::Reading;
use flowbatch::model::reply::{Answer, Cause, Content, Data, Envelope, Reply, Silence};
use flowbatch::model::row::Row;
use flowbatch::model::tally::Tally;
use flowbatch::model::target::{LaneId, Workspace};
use flowbatch::model::update::Update;
use flowbatch::model::workflow::Workflow;
use flowbatch::plan::decision::Terms;
use flowbatch::policy::budget::{Budget, Most};
use flowbatch::policy::retry::Retry;

use crate::limiter::Limiter;
use crate::script::{Script, ms};

/// Requests in flight at most.
const CONCURRENCY: usize = 64;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// What somebody needs who knows everything.
    pub ideal: Duration,
    /// What it took.
    pub took: Duration,
    /// Requests that left.
    pub sent: u64,
    /// Those that were refused by the limit.
    pub refused: u64,
    /// Rows that did not succeed.
    pub failed: u64,
    /// The most in flight in the last quarter.
    pub settled_in_flight: usize,
}

struct Rows {
    next: u64,
    last: u64,
}

impl Source for Rows {
    fn next(&mut self, _: LaneId) -> Result<Option<Errand>, RowsError> {
        if self.next == self.last {
            return Ok(None);
        }
        self.next += 1;
        let row = Row {
            update: Update {
                name: Some("Wish".into()),
                ..Update::default()
            },
            ..Row::new(
                self.next,
                LaneId(0),
                Workspace {
                    project_id: Id::parse("p").unwrap(),
                    workspace_id: Id::parse("s").unwrap(),
                },
                Id::parse(&format!("w{}", self.next)).unwrap(),
            )
        };
        Ok(Some(Errand::Row(Box::new(Taken::from(row)))))
    }

    fn found(&mut self, reading: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        panic!("nobody asked for {reading:?}")
    }
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// Somebody else's request.
    Other,
    Arrives(u64),
    Answers(u64, u16),
}

/// The service.
struct Service<'a> {
    script: &'a Script,
    limiter: Limiter,
    /// When each of those who work is free.
    workers: BinaryHeap<Reverse<Duration>>,
    dice: fastrand::Rng,
}

impl<'a> Service<'a> {
    fn of(script: &'a Script, seed: u64) -> Self {
        let workers = script.workers.unwrap_or_default();
        Self {
            script,
            limiter: Limiter::of(script),
            workers: (0..workers).map(|_| Reverse(Duration::ZERO)).collect(),
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    fn span(&mut self, (least, most): (u64, u64)) -> Duration {
        ms(1).mul_f64(least as f64 + self.dice.f64() * (most - least) as f64)
    }

    /// When somebody has worked on a request that arrives at `now`.
    fn worked(&mut self, now: Duration) -> Duration {
        let span = self.span(self.script.answer);
        match self.workers.pop() {
            None => now + span,
            Some(Reverse(free)) => {
                let done = free.max(now) + span;
                self.workers.push(Reverse(done));
                done
            }
        }
    }

    fn outage(&mut self, now: Duration) -> Option<u16> {
        let share = self.dice.f64();
        let mut outages = self.script.outages.iter();
        let hit = outages.find(|outage| {
            let (from, until) = (outage.from, outage.until);
            let during = Duration::from_secs(from)..Duration::from_secs(until);
            during.contains(&now) && share < outage.share
        });
        hit.map(|outage| outage.status)
    }
}

/// What somebody needs who knows the limit: never refused, never waiting longer than it takes.
fn ideal(script: &Script, seed: u64) -> Duration {
    let mut service = Service::of(script, seed);
    let mut slots: BinaryHeap<_> = (0..CONCURRENCY).map(|_| Reverse(Duration::ZERO)).collect();
    let mut others = others(script);
    let mut others = others.drain(..).peekable();
    let mut last = Duration::ZERO;
    let interval = script.asked.interval();
    let mut leaves = Duration::ZERO;
    for _ in 0..script.rows {
        let Reverse(free) = slots.pop().unwrap();
        leaves = leaves.max(free);
        let mut at = leaves + service.span(script.way);
        loop {
            while let Some(other) = others.next_if(|other| *other <= at) {
                // Their part is theirs.
                service.limiter.take(other);
            }
            if service.outage(at).is_some() {
                at += ms(50);
                continue;
            }
            let change = service.limiter.changes_at();
            match service.limiter.admit(at) {
                Ok(()) => break,
                Err(wait) => {
                    let ready = at + wait.max(Duration::from_nanos(1));
                    at = change
                        .filter(|change| *change > at)
                        .map_or(ready, |change| ready.min(change));
                }
            }
        }
        let done = service.worked(at);
        last = last.max(done);
        slots.push(Reverse(done));
        leaves = (leaves + interval).max(at.saturating_sub(ms(script.way.1)));
    }
    last
}

/// When somebody else's requests arrive.
fn others(script: &Script) -> Vec<Duration> {
    let Some(other) = script.other else {
        return Vec::new();
    };
    let (mut at, until) = (
        Duration::from_secs(other.from),
        Duration::from_secs(other.until),
    );
    let mut all = Vec::new();
    while at < until {
        all.push(at);
        at += other.rate.interval();
    }
    all
}

/// Plays it with these dice.
pub(crate) fn play(script: &Script, seed: u64) -> Played {
    let rules = Rules {
        concurrency: CONCURRENCY,
        rate: script.asked,
        finds_limit: script.finds_limit,
        burst: NonZeroU32::MIN,
        retry: Retry {
            max_attempts: 5,
            initial_delay: ms(500),
            max_delay: ms(60_000),
        },
        budget: Budget {
            max_errors: Most::Percent(10.0),
            min_rows: 20,
        },
        patience: ms(600_000),
        deadline: None,
        terms: Terms::default(),
        max_age: ms(600_000),
        canaries: false,
        confirm_within: Duration::from_secs(10),
        allow_cleared: FieldSet::default(),
    };
    let mut schedule = Schedule::new(rules, 1, Tally::default());
    let mut rows = Rows {
        next: 0,
        last: script.rows,
    };
    let mut service = Service::of(script, seed);
    let mut queue = BinaryHeap::new();
    let mut order = 0_u64;
    let mut push = |queue: &mut BinaryHeap<_>, at: Duration, next: Next| {
        order += 1;
        queue.push(Reverse((at, order, next)));
    };
    for at in others(script) {
        push(&mut queue, at, Next::Other);
    }
    let mut played = Played {
        ideal: ideal(script, seed),
        ..Played::default()
    };
    let (mut now, mut in_flight) = (Duration::ZERO, 0_usize);
    let mut ended = 0;
    let mut told = (Duration::ZERO, 0);
    loop {
        if now > told.0 + ms(10_000) && std::env::var_os("FLOWBATCH_TRACE").is_some() {
            let rate = (ended - told.1) as f64 / (now - told.0).as_secs_f64();
            println!("{:9.3} now {rate:.1} rate", now.as_secs_f64());
            told = (now, ended);
        }
        let step = schedule.next(now, &mut rows).unwrap();
        for event in schedule.take_events() {
            match event {
                Event::RowEnded { outcome, .. } => {
                    ended += 1;
                    played.took = now;
                    played.failed += u64::from(outcome.status != Status::Succeeded);
                }
                Event::RateChanged { rate, .. }
                    if std::env::var_os("FLOWBATCH_TRACE").is_some() =>
                {
                    println!(
                        "{:9.3} rate {rate}, {ended} rows, {} refused",
                        now.as_secs_f64(),
                        played.refused
                    );
                }
                _ => {}
            }
        }
        let wake = match step {
            Step::Send(key, _, _) => {
                played.sent += 1;
                assert!(
                    played.sent < script.rows * 20 + 10_000,
                    "requests leave for ever"
                );
                in_flight += 1;
                if ended > script.rows * 3 / 4 {
                    played.settled_in_flight = played.settled_in_flight.max(in_flight);
                }
                let way = service.span(script.way);
                push(&mut queue, now + way, Next::Arrives(key));
                continue;
            }
            Step::Done => return played,
            Step::Wait(at) => at,
        };
        let due = queue.peek().map(|Reverse((at, ..))| *at);
        now = match (wake, due) {
            (Some(wake), Some(due)) => wake.min(due),
            (wake, due) => wake
                .or(due)
                .unwrap_or_else(|| panic!("nothing happens any more")),
        };
        while queue.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((at, _, next))) = queue.pop() else {
                break;
            };
            match next {
                Next::Other => {
                    let _ = service.limiter.admit(at);
                }
                Next::Arrives(key) => {
                    let quick = at + ms(script.answer.0);
                    if let Some(status) = service.outage(at) {
                        push(&mut queue, quick, Next::Answers(key, status));
                        continue;
                    }
                    match service.limiter.admit(at) {
                        Ok(()) => {
                            let done = service.worked(at);
                            push(&mut queue, done, Next::Answers(key, 200));
                        }
                        Err(wait) => {
                            played.refused += 1;
                            if std::env::var_os("FLOWBATCH_TRACE").is_some() {
                                println!("{:9.3} refused, {ended} rows", at.as_secs_f64());
                            }
                            let seconds = wait.as_secs_f64().ceil() as u16;
                            // The wait travels with the status.
                            push(&mut queue, quick, Next::Answers(key, 10_000 + seconds));
                        }
                    }
                }
                Next::Answers(key, status) => {
                    in_flight -= 1;
                    let reply = reply(script, &service.limiter, status);
                    schedule.answered(now, key, reply, service.dice.f64());
                }
            }
        }
    }
}

fn reply(script: &Script, limiter: &Limiter, status: u16) -> Reply {
    let answer = |http_status, retry_after, message: String, data| {
        Reply::Answer(Answer {
            http_status,
            request_id: Some("r".into()),
            retry_after,
            content: Content::Envelope(Envelope {
                success: Some(http_status == 200),
                code: (http_status == 429).then(|| "APIG.0308".into()),
                message: Some(message),
                data,
            }),
            ..Answer::default()
        })
    };
    match status {
        0 => Reply::Silence(Silence {
            cause: Cause::Lost,
            detail: "the connection ended".into(),
        }),
        200 => {
            let workflow = Workflow {
                name: "Wish".into(),
                ..Workflow::default()
            };
            answer(200, None, String::new(), Data::of(workflow))
        }
        10_000.. => {
            let wait = Duration::from_secs((status - 10_000).into());
            let rate = limiter.rate().unwrap();
            let text = match script.told {
                true => format!(
                    "policy user over ratelimit,limit:{},time:{}",
                    rate.count(),
                    match rate.window().as_secs() {
                        1 => "1 second",
                        60 => "1 minute",
                        other => panic!("{other} s"),
                    }
                ),
                false => "slow down".to_owned(),
            };
            answer(429, script.retry_after.then_some(wait), text, Data::Nothing)
        }
        other => answer(other, None, "out of order".into(), Data::Nothing),
    }
}
