//! What stands before the simulated service: weather, and somebody who writes down what leaves.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::time::Duration;

use flowbatch::engine::ports::{Clock, Request, Service};
use flowbatch::model::event::Method;
use flowbatch::model::reply::{Answer, Cause, Content, Envelope, Reply, Silence};
use flowbatch::model::row::Row;
use flowbatch::simulator::memory::Memory;

use super::book::Book;
use super::scenario::{Forbidden, Scenario, Symptom};
use super::{Virtual, pause, workspace};

/// More requests than any scenario needs: a run that sends them would go on for ever.
const TOO_MANY: usize = 100_000;

/// A request that left.
#[derive(Clone, Debug)]
pub(crate) struct Departure {
    /// When.
    pub at: Duration,
    /// By which lane.
    pub lane: usize,
    /// For which row.
    pub row: u64,
    /// What it asked.
    pub method: Method,
    /// Whether its attempt was on record by then.
    pub on_record: bool,
    /// Whether the record had failed by then.
    pub after_failure: bool,
    /// How many were in flight on its lane, with it.
    pub in_flight: usize,
    /// Whether the lane had had an answer other than 401.
    pub proven: bool,
}

/// The service as the run meets it.
pub(crate) struct Front<'a> {
    memory: Memory,
    book: Book,
    clock: &'a Virtual,
    scenario: &'a Scenario,
    dice: RefCell<fastrand::Rng>,
    departures: RefCell<Vec<Departure>>,
    lanes: Vec<LaneSeen>,
    /// Requests so far, by workspace.
    requests: Vec<Cell<usize>>,
}

#[derive(Default)]
struct LaneSeen {
    in_flight: Cell<usize>,
    requests: Cell<usize>,
    proven: Cell<bool>,
}

/// Counts a request as in flight for as long as it lives.
struct Flight<'a>(&'a Cell<usize>);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl<'a> Front<'a> {
    /// Puts the scenario's weather before `memory`.
    pub(crate) fn new(
        memory: Memory,
        book: Book,
        clock: &'a Virtual,
        scenario: &'a Scenario,
    ) -> Self {
        Self {
            memory,
            book,
            clock,
            scenario,
            dice: RefCell::new(fastrand::Rng::with_seed(scenario.seed)),
            departures: RefCell::default(),
            lanes: (0..scenario.course.lanes)
                .map(|_| LaneSeen::default())
                .collect(),
            requests: (0..scenario.workspaces).map(|_| Cell::new(0)).collect(),
        }
    }

    /// Everything that left, in order.
    pub(crate) fn departures(self) -> Vec<Departure> {
        self.departures.into_inner()
    }

    fn depart(&self, request: &Request) -> Flight<'_> {
        let (row, method) = asked(request);
        let lane = &self.lanes[row.lane.0];
        lane.in_flight.set(lane.in_flight.get() + 1);
        lane.requests.set(lane.requests.get() + 1);
        let page = self.book.page();
        let open = page.open.get(&row.number);
        let mut departures = self.departures.borrow_mut();
        departures.push(Departure {
            at: self.clock.now(),
            lane: row.lane.0,
            row: row.number,
            method,
            on_record: open.is_some_and(|(open, _)| *open == method),
            after_failure: page.failed,
            in_flight: lane.in_flight.get(),
            proven: lane.proven.get(),
        });
        assert!(departures.len() < TOO_MANY, "requests leave for ever");
        Flight(&lane.in_flight)
    }

    async fn answer(&self, request: &Request, timeout: Duration) -> Reply {
        let weather = &self.scenario.weather;
        if let Some(outage) = weather.outage {
            let now = self.clock.now();
            let over = outage.lasts.is_some_and(|lasts| outage.from + lasts <= now);
            if outage.from <= now && !over {
                return show(outage.shows).await;
            }
        }
        let (row, method) = asked(request);
        let lane = &self.lanes[row.lane.0];
        if let Some(first) = weather.expires
            && row.lane.0 == 0
            && lane.requests.get() >= first
        {
            return refusal(401, "APIG.0301", "the token has expired").await;
        }
        if let Some(storm) = weather.storm
            && !(storm.spares_reading && method == Method::Get)
            && self.dice.borrow_mut().f64() < storm.share
        {
            let reply = refusal(429, "APIG.0308", "slow down").await;
            return asking(reply, storm.retry_after);
        }
        let index = (0..self.scenario.workspaces)
            .find(|index| workspace(*index) == row.workspace)
            .unwrap();
        let count = &self.requests[index];
        count.set(count.get() + 1);
        let forbids =
            |forbidden: &&Forbidden| forbidden.workspace == index && forbidden.from <= count.get();
        if let Some(forbidden) = weather.forbidden.iter().find(forbids) {
            let code = if forbidden.whole {
                "SecMaster.20010001"
            } else {
                "APIG.0302"
            };
            return refusal(403, code, "not for you").await;
        }
        self.memory.send(request, timeout).await
    }
}

impl Service for Front<'_> {
    async fn send(&self, request: &Request, timeout: Duration) -> Reply {
        let _flight = self.depart(request);
        let reply = tokio::time::timeout(timeout, self.answer(request, timeout)).await;
        let reply = reply.unwrap_or_else(|_| Reply::Silence(Silence::timed_out(timeout)));
        if matches!(&reply, Reply::Answer(answer) if answer.http_status != 401) {
            self.lanes[request.lane().0].proven.set(true);
        }
        reply
    }
}

/// The row that a request is for, and what it asks.
fn asked(request: &Request) -> (&Row, Method) {
    match request {
        Request::Get(row) => (row, Method::Get),
        Request::Put(row, _) => (row, Method::Put),
        Request::Read(reading) => panic!("nothing is read beforehand: {reading:?}"),
    }
}

async fn show(symptom: Symptom) -> Reply {
    let silence = |cause| {
        Reply::Silence(Silence {
            cause,
            detail: "the network is down".into(),
        })
    };
    match symptom {
        Symptom::Refusal => {
            pause(Duration::from_millis(1)).await;
            silence(Cause::Connect)
        }
        Symptom::Loss => {
            pause(Duration::from_millis(150)).await;
            silence(Cause::Lost)
        }
        Symptom::Hang => pending().await,
        Symptom::Unavailable => refusal(503, "", "no backend").await,
    }
}

async fn refusal(http_status: u16, code: &str, message: &str) -> Reply {
    pause(Duration::from_millis(8)).await;
    Reply::Answer(Answer {
        http_status,
        request_id: Some("front".into()),
        content: Content::Envelope(Envelope {
            code: Some(code.to_owned()),
            message: Some(message.to_owned()),
            ..Envelope::default()
        }),
        ..Answer::default()
    })
}

fn asking(reply: Reply, retry_after: Option<Duration>) -> Reply {
    match reply {
        Reply::Answer(answer) => Reply::Answer(Answer {
            retry_after,
            ..answer
        }),
        Reply::Silence(_) => reply,
    }
}
