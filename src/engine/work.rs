//! Rows on their way: what has been tried, what comes next, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::event::{Method, WasEnded};
use crate::model::outcome::{ErrorClass, Failure, Outcome, Status};
use crate::model::row::Row;

use super::ports::{Past, Request};

/// A row on its way.
#[derive(Debug)]
pub struct Work {
    /// The row.
    pub row: Arc<Row>,
    /// What its next request asks.
    pub method: Method,
    /// Requests sent.
    pub requests: u32,
    /// Updates sent.
    pub puts: u32,
    /// Attempts that used one up.
    pub used: u32,
    /// How it had ended in an earlier session, until it goes out again.
    pub ended: Option<WasEnded>,
    /// When its first request left.
    pub first_sent: Option<Duration>,
    /// When its last request left.
    pub sent: Duration,
    /// The service may have carried out an update without saying so.
    pub doubt: bool,
    /// Its attempts are used up, and a last reading tells whether its update arrived after all.
    pub read_back: bool,
    /// Its last update was throttled, and since then it has been read again.
    pub read_again: bool,
    /// Its last request was refused with its credential, and goes again with another one.
    pub replayed: bool,
    /// Of the last answer.
    pub http_status: Option<u16>,
    /// Of the last answer.
    pub request_id: Option<String>,
    /// As last told.
    pub live_name: Option<String>,
    /// The last error.
    pub failure: Option<Failure>,
}

impl Work {
    /// A row that has just been taken up. With guards, or in doubt, it is read first.
    pub fn new(row: Row, past: Past) -> Self {
        let method = if row.guards.is_empty() && !past.doubt {
            Method::Put
        } else {
            Method::Get
        };
        Self {
            row: Arc::new(row),
            method,
            requests: 0,
            puts: past.puts,
            used: 0,
            ended: past.ended,
            first_sent: None,
            sent: Duration::ZERO,
            doubt: past.doubt,
            read_back: false,
            read_again: false,
            replayed: false,
            http_status: None,
            request_id: None,
            live_name: None,
            failure: None,
        }
    }

    /// Whether the row neither sets nor expects anything: its cells are all as they were exported.
    pub fn has_nothing_to_ask(&self) -> bool {
        self.row.update.is_empty() && self.row.guards.is_empty()
    }

    /// Marks the next request as leaving at `now`.
    pub fn leave(&mut self, now: Duration) -> Request {
        self.requests += 1;
        self.first_sent.get_or_insert(now);
        self.sent = now;
        match self.method {
            Method::Get => Request::Get(Arc::clone(&self.row)),
            Method::Put => {
                self.puts += 1;
                Request::Put(Arc::clone(&self.row))
            }
        }
    }

    /// The row's outcome if it ends with `status` at `now`.
    pub fn outcome(self, status: Status, now: Duration, refused: bool) -> Outcome {
        Outcome {
            status,
            attempts: self.puts,
            duration_ms: self.first_sent.map(|sent| millis(now.saturating_sub(sent))),
            http_status: self.http_status,
            request_id: self.request_id,
            live_name: self.live_name,
            failure: match status {
                Status::Succeeded | Status::Unchanged | Status::Skipped => None,
                Status::Failed | Status::Conflict | Status::Unknown | Status::NotAttempted => {
                    self.failure
                }
            },
            refused,
        }
    }

    /// The row's outcome if the run goes on without it: in doubt if an update may have arrived,
    /// failed if the service answered an attempt with an error, else not attempted.
    pub fn left_behind(mut self, now: Duration, why: &str) -> Outcome {
        let status = if self.doubt {
            Status::Unknown
        } else if self.used > 0 && self.http_status.is_some() {
            Status::Failed
        } else {
            Status::NotAttempted
        };
        if self.failure.is_none() {
            self.failure = Some(Failure::new(ErrorClass::Canceled, why));
        }
        self.outcome(status, now, true)
    }
}

/// Whole milliseconds.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The rows of a lane that wait: those that go again, by the instant at which they are due, and
/// the next new one.
#[derive(Debug, Default)]
pub struct Queue {
    again: BinaryHeap<Reverse<Due>>,
    order: u64,
    fresh: Option<Work>,
    /// Picked, but without a permit yet.
    next: Option<Work>,
}

/// New rows are not taken up while this many wait to go again.
const MOST_WAITING: usize = 4_096;

impl Queue {
    /// Lets `work`, which was throttled, go again at `due`.
    ///
    /// With guards it is read again before its update. Only where that update is throttled as
    /// well it goes again as it is: a limit that admits one request at a time would otherwise
    /// admit the reading and never the update.
    pub fn push_throttled(&mut self, due: Duration, mut work: Work) {
        if work.method == Method::Put {
            work.read_again = !work.read_again && !work.row.guards.is_empty();
            if work.read_again {
                work.method = Method::Get;
            }
        }
        self.push(due, work);
    }

    /// Lets `work` go again at `due`. With guards it is read again first: what was read before
    /// the wait may not be true any more.
    pub fn push_again(&mut self, due: Duration, mut work: Work) {
        if !work.row.guards.is_empty() {
            work.method = Method::Get;
        }
        self.push(due, work);
    }

    /// Lets `work` send its next request at `due`.
    pub fn push(&mut self, due: Duration, work: Work) {
        self.order += 1;
        self.again.push(Reverse(Due {
            at: due,
            order: self.order,
            work: Box::new(work),
        }));
    }

    /// When the first row that goes again is due.
    pub fn due(&self) -> Option<Duration> {
        self.again.peek().map(|Reverse(due)| due.at)
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.next.is_none() && self.fresh.is_none() && self.again.is_empty()
    }

    /// Whether a new row may be taken up.
    pub fn wants_fresh(&self) -> bool {
        self.fresh.is_none() && self.again.len() < MOST_WAITING
    }

    /// Takes up a new row.
    pub fn take_up(&mut self, row: Row, past: Past) {
        debug_assert!(self.fresh.is_none(), "one new row is taken up at a time");
        self.fresh = Some(Work::new(row, past));
    }

    /// The row that is next: the first that is due, else the new one.
    pub fn pick(&mut self, now: Duration) -> Option<Work> {
        if self.next.is_none() && self.due().is_some_and(|due| due <= now) {
            return self.again.pop().map(|Reverse(due)| *due.work);
        }
        self.next.take().or_else(|| self.fresh.take())
    }

    /// The row for a probe, due or not: by turns a new one, so that a row which itself is the
    /// trouble cannot pass for an outage.
    pub fn pick_probe(&mut self, turn: u32) -> Option<Work> {
        if turn % 2 == 1 && self.next.is_none() && self.fresh.is_some() {
            return self.fresh.take();
        }
        self.pop()
    }

    /// Returns a row that was picked but may not leave yet; it stays the next one.
    pub fn put_back(&mut self, work: Work) {
        debug_assert!(self.next.is_none(), "one row is picked at a time");
        self.next = Some(work);
    }

    /// Any row, to be ended.
    pub fn pop(&mut self) -> Option<Work> {
        let next = self.next.take();
        let again = || self.again.pop().map(|Reverse(due)| *due.work);
        next.or_else(again).or_else(|| self.fresh.take())
    }
}

/// A row and the instant from which it may go again.
#[derive(Debug)]
struct Due {
    at: Duration,
    order: u64,
    work: Box<Work>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guard::Guards;
    use crate::model::id::Id;
    use crate::model::target::{LaneId, Workspace};
    use crate::model::update::Update;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn row(number: u64) -> Row {
        let id = |text: &str| Id::parse(text).unwrap();
        Row {
            number,
            line: number,
            lane: LaneId(0),
            workspace: Workspace {
                project_id: id("p"),
                workspace_id: id("ws"),
            },
            workflow_id: id("w"),
            update: Update {
                enabled: Some(false),
                ..Update::default()
            },
            guards: Guards::default(),
        }
    }

    /// A queue with a new row 1, and rows that are due when told.
    fn queue(due: &[(u64, u64)]) -> Queue {
        let mut queue = Queue::default();
        queue.take_up(row(1), Past::default());
        for (number, at) in due {
            queue.push(ms(*at), Work::new(row(*number), Past::default()));
        }
        queue
    }

    fn number(work: Option<Work>) -> Option<u64> {
        work.map(|work| work.row.number)
    }

    #[test]
    fn rows_that_are_due_go_before_the_new_one_in_the_order_of_their_instants() {
        let mut queue = queue(&[(4, 20), (2, 10), (3, 10), (5, 99)]);
        let picked: Vec<_> = (0..5).map(|_| number(queue.pick(ms(20)))).collect();
        assert_eq!(picked, [Some(2), Some(3), Some(4), Some(1), None]);
        assert_eq!(queue.due(), Some(ms(99)));
    }

    #[test]
    fn a_row_that_was_put_back_stays_the_next_one() {
        let mut queue = queue(&[(2, 10)]);
        let first = queue.pick(ms(0)).unwrap();
        queue.put_back(first);
        assert_eq!(number(queue.pick(ms(10))), Some(1));
        assert_eq!(number(queue.pick(ms(10))), Some(2));
    }

    #[test]
    fn probes_take_new_rows_and_old_ones_by_turns_due_or_not() {
        let mut first = queue(&[(2, 99)]);
        assert_eq!(number(first.pick_probe(1)), Some(1));
        assert_eq!(number(first.pick_probe(1)), Some(2));
        let mut second = queue(&[(2, 99)]);
        assert_eq!(number(second.pick_probe(2)), Some(2));
        assert_eq!(number(second.pick_probe(2)), Some(1));
    }

    #[test]
    fn an_update_that_is_throttled_is_read_again_but_not_for_ever() {
        let mut guarded = row(2);
        guarded.guards.update_time = Some("t0".into());
        let mut queue = Queue::default();
        let mut work = Work::new(guarded, Past::default());
        let mut sent = Vec::new();
        for _ in 0..6 {
            sent.push(work.method);
            if work.method == Method::Get {
                // It is read, and the guard holds.
                work.method = Method::Put;
                queue.push(ms(0), work);
            } else {
                queue.push_throttled(ms(0), work);
            }
            work = queue.pick(ms(0)).unwrap();
        }
        use Method::{Get, Put};
        assert_eq!(sent, [Get, Put, Get, Put, Put, Get]);
    }

    #[test]
    fn a_row_left_behind_is_in_doubt_only_if_its_update_may_have_arrived() {
        for (doubt, status) in [(false, Status::NotAttempted), (true, Status::Unknown)] {
            let mut work = Work::new(row(1), Past::default());
            work.leave(ms(5));
            work.doubt = doubt;
            let outcome = work.left_behind(ms(9), "the run ended first");
            assert_eq!((outcome.status, outcome.attempts), (status, 1));
            assert_eq!(outcome.duration_ms, Some(4));
            assert!(outcome.refused, "it is no error of the job");
        }
    }
}
