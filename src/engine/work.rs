//! Rows and readings on their way: what has been tried, what comes next, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::model::change::Change;
use crate::model::event::{Method, WasEnded};
use crate::model::field::{Field, FieldSet};
use crate::model::outcome::{ErrorClass, Failure, Outcome, Status};
use crate::model::reading::{Kind, Need, Reading};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;
use crate::model::workflow::Workflow;
use crate::plan::decision::{Effect, Live, Terms, no_name, reads_first};
use crate::policy::classify::Unproven;

use super::ports::{Request, Taken};

/// How long a reading is taken for true before the update that follows it.
const FRESH: Duration = Duration::from_secs(5);
/// How often a row is read once more because its update could not leave at once.
const MOST_REREADS: u32 = 3;

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Matter {
    /// A row.
    Row(Arc<Row>),
    /// A reading.
    Reading(Arc<Reading>),
}

/// A row or a reading on its way.
#[derive(Debug)]
pub struct Work {
    /// What it is.
    pub matter: Matter,
    /// The row's number, or the reading's.
    pub key: u64,
    /// What its next request asks.
    pub method: Method,
    /// What is to be changed, once that is known.
    pub change: Option<Change>,
    /// Whether that is something else than was planned.
    pub is_replanned: bool,
    /// The fields that its update sends.
    pub send: Arc<Update>,
    /// The workflow as it was read last.
    pub live: Option<Live>,
    /// It is read just before its update.
    pub reads_first: bool,
    /// Another row of the run has changed its workflow before.
    pub is_touched: bool,
    /// When it was read last, in this session.
    pub read_at: Option<Duration>,
    /// How often it was read once more because its update could not leave at once.
    pub rereads: u32,
    /// What was there before an update of an earlier session, whose end nobody knows, is known.
    pub knows_before: bool,
    /// An update left in this session.
    pub sent_here: bool,
    /// What was there was read just before its first update.
    pub was_read: bool,
    /// It goes alone, and is read before and after its update.
    pub is_canary: bool,
    /// Of a canary: fields that its update leaves out and could clear.
    pub stake: FieldSet,
    /// Its update was throttled.
    pub was_throttled: bool,
    /// How often a reading was throttled.
    pub throttled: u32,
    /// Its update was confirmed, and is read back since then.
    pub confirmed: Option<Duration>,
    /// Its update was confirmed, and the service shows what was there before.
    pub is_denied: bool,
    /// What the answer to its update says that it has done, if that is damage.
    pub suspected: Option<Effect>,
    /// Its update has cleared what it did not hold.
    pub is_damaged: bool,
    /// Sent fields that the service shows with another value.
    pub shown: BTreeMap<Field, String>,
    /// What is to be known although it succeeded.
    pub note: Option<String>,
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
    /// Why nothing proves that no update of it was applied, if nothing does.
    pub unproven: Option<Unproven>,
    /// No other update of it is sent, and a last reading tells whether one was applied after all.
    pub read_back: bool,
    /// That reading has left after the run, or the lane, was to end: there is no other.
    pub is_last_reading: bool,
    /// It was refused together with its workspace or credential.
    pub is_refused: bool,
    /// An update of it was answered with an error.
    pub was_answered: bool,
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
    /// A row that has just been taken up. It is read first where it has guards, where it is in doubt,
    /// or where an update holds all fields.
    pub fn row(taken: Taken, terms: Terms) -> Self {
        let Taken {
            row,
            past,
            live,
            decided,
            is_before_doubt,
            is_touched,
        } = taken;
        // Where nothing follows from what was read, it may not be true any more.
        let reads = past.unproven || is_touched || (live.is_some() && decided.is_none());
        let (change, send) = match decided {
            Some(decided) => {
                let (change, send) = *decided;
                (past.change.or(Some(change)), send)
            }
            None => (past.change, row.update.clone()),
        };
        let reads_first = is_touched || reads_first(&row, &send, terms.sent);
        let live_name = live.as_ref().map(|live| live.workflow.name.clone());
        Self {
            key: row.number,
            method: if reads || reads_first {
                Method::Get
            } else {
                Method::Put
            },
            reads_first,
            is_touched,
            knows_before: is_before_doubt,
            change,
            send: Arc::new(send),
            live,
            puts: past.puts,
            ended: past.ended,
            // The answer of an earlier session is unknown, if there was one.
            unproven: past.unproven.then_some(Unproven::Silent),
            live_name: live_name.filter(|name| !name.is_empty()),
            ..Self::new(Matter::Row(Arc::new(row)))
        }
    }

    /// A reading that has just been taken up, the how-manieth of its leg.
    pub fn reading(key: u64, reading: Reading) -> Self {
        Self {
            key,
            ..Self::new(Matter::Reading(Arc::new(reading)))
        }
    }

    fn new(matter: Matter) -> Self {
        Self {
            matter,
            key: 0,
            method: Method::Get,
            change: None,
            is_replanned: false,
            send: Arc::default(),
            live: None,
            reads_first: false,
            is_touched: false,
            read_at: None,
            rereads: 0,
            knows_before: false,
            sent_here: false,
            was_read: false,
            was_throttled: false,
            throttled: 0,
            is_canary: false,
            stake: FieldSet::default(),
            confirmed: None,
            is_denied: false,
            suspected: None,
            is_damaged: false,
            shown: BTreeMap::new(),
            note: None,
            requests: 0,
            puts: 0,
            used: 0,
            ended: None,
            first_sent: None,
            sent: Duration::ZERO,
            unproven: None,
            read_back: false,
            is_last_reading: false,
            is_refused: false,
            was_answered: false,
            read_again: false,
            replayed: false,
            http_status: None,
            request_id: None,
            live_name: None,
            failure: None,
        }
    }

    /// The endpoint and credential it leaves by.
    pub fn lane(&self) -> LaneId {
        match &self.matter {
            Matter::Row(row) => row.lane,
            Matter::Reading(reading) => reading.lane,
        }
    }

    /// Where it goes.
    pub fn workspace(&self) -> &Workspace {
        match &self.matter {
            Matter::Row(row) => &row.workspace,
            Matter::Reading(reading) => &reading.workspace,
        }
    }

    /// Whether it asks a project which workspaces it has: nothing in it says that it works in one of them.
    pub fn asks_a_project(&self) -> bool {
        match &self.matter {
            Matter::Row(_) => false,
            Matter::Reading(reading) => reading.of.kind() == Kind::Workspaces,
        }
    }

    /// Whether nothing follows if it fails: it is asked once.
    pub fn is_nice_to_have(&self) -> bool {
        match &self.matter {
            Matter::Row(_) => false,
            Matter::Reading(reading) => reading.of.need() == Need::Nice,
        }
    }

    /// Whether what its update did can be told from what was there before it.
    pub fn can_be_judged(&self) -> bool {
        self.live.is_some() && (self.sent_here || self.knows_before)
    }

    /// Whether what was read before its update may not be true any more: something held the update up. One
    /// that is itself throttled has a rule of its own, and a slow pace (`interval` between requests) must not keep it
    /// from ever leaving.
    pub fn is_stale(&self, now: Duration, interval: Duration) -> bool {
        let fresh = FRESH.max(interval.saturating_mul(3));
        let old = |at: Duration| now.saturating_sub(at) > fresh;
        self.method == Method::Put
            && self.reads_first
            && !self.was_throttled
            && self.rereads < MOST_REREADS
            && self.read_at.is_some_and(old)
    }

    /// Whether it is a row that neither sets nor expects anything: its cells are all as they were exported.
    pub fn has_nothing_to_ask(&self) -> bool {
        match &self.matter {
            Matter::Row(row) => row.wishes_nothing() && row.guards.is_empty(),
            Matter::Reading(_) => false,
        }
    }

    /// Marks the next request as leaving at `now`.
    pub fn leave(&mut self, now: Duration) -> Request {
        self.requests += 1;
        self.first_sent.get_or_insert(now);
        self.sent = now;
        match (&self.matter, self.method) {
            (Matter::Reading(reading), _) => Request::Read(Arc::clone(reading)),
            (Matter::Row(row), Method::Get) => Request::Get(Arc::clone(row)),
            (Matter::Row(row), Method::Put) => {
                self.puts += 1;
                self.sent_here = true;
                Request::Put(Arc::clone(row), Arc::clone(&self.send))
            }
        }
    }

    /// Whether it is a row of which only a reading can tell what became of its update.
    pub fn needs_last_reading(&self) -> bool {
        let is_row = matches!(self.matter, Matter::Row(_));
        is_row && self.unproven.is_some() && !self.is_last_reading
    }

    /// Lets it be read for the last time.
    pub fn read_last(&mut self) {
        self.method = Method::Get;
        self.read_back = true;
    }

    /// Whether `live` still has in all fields of its change what was there before it.
    pub fn is_as_before(&self, live: &Workflow) -> bool {
        self.change.as_ref().is_some_and(|change| {
            let mut fields = change.fields();
            fields.all(|(field, before, _)| live.value(field) == before)
        })
    }

    /// The row's outcome if it ends with `status` at `now`.
    pub fn outcome(mut self, status: Status, now: Duration, refused: bool) -> Outcome {
        let mut status = if self.confirmed.is_some() && !self.is_damaged && !self.is_denied {
            // Whatever became of reading it back.
            let failure = self.failure.take().filter(|_| status != Status::Succeeded);
            let unread = |failure: Failure| format!("it was not read back: {}", failure.message);
            self.note = self.note.or_else(|| failure.map(unread));
            Status::Succeeded
        } else {
            status
        };
        let no_name = match (&self.matter, &self.live) {
            (Matter::Row(row), Some(live)) => no_name(row, &live.workflow),
            (Matter::Row(_), None) | (Matter::Reading(_), _) => None,
        };
        let is_partial = status == Status::Succeeded && no_name.is_some();
        if is_partial {
            status = Status::Failed;
            self.failure = no_name;
        }
        let is_unproven = self.unproven.is_some();
        let is_attempted = status != Status::NotAttempted;
        Outcome {
            status,
            attempts: self.puts,
            duration_ms: self.first_sent.map(|sent| millis(now.saturating_sub(sent))),
            http_status: self.http_status.filter(|_| is_attempted),
            request_id: self.request_id.filter(|_| is_attempted),
            workflow_id: match &self.matter {
                Matter::Row(row) if row.called.is_some() => Some(row.workflow_id.clone()),
                Matter::Row(_) | Matter::Reading(_) => None,
            },
            live_name: self.live_name,
            change: match status {
                Status::Succeeded | Status::Unknown => self.change,
                // What was refused changed nothing, unless it was confirmed first, or may have been applied before.
                Status::Failed => self
                    .change
                    .filter(|_| self.is_damaged || is_partial || is_unproven),
                // Its own update may have arrived before somebody else's.
                Status::Conflict => self.change.filter(|_| is_unproven),
                Status::Unchanged | Status::Skipped | Status::NotAttempted => None,
            },
            failure: match status {
                Status::Succeeded | Status::Unchanged | Status::Skipped => None,
                Status::Failed | Status::Conflict | Status::Unknown | Status::NotAttempted => {
                    self.failure
                }
            },
            note: self.note.filter(|_| status == Status::Succeeded),
            shown: self.shown,
            unproven: match status {
                Status::Unknown => true,
                Status::Failed | Status::Conflict => is_unproven,
                Status::Succeeded | Status::Unchanged | Status::Skipped | Status::NotAttempted => {
                    false
                }
            },
            refused,
            held_back: false,
        }
    }

    /// The row's outcome if the run leaves it: unknown if an update may have been applied,
    /// failed if the service answered an update with an error, else not attempted.
    pub fn left_behind(mut self, now: Duration, why: &str) -> Outcome {
        let status = if self.unproven.is_some() {
            Status::Unknown
        } else if self.was_answered {
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
    /// Rows that a canary goes before.
    waiting: VecDeque<Box<Work>>,
    fresh: Option<Box<Work>>,
    /// Picked, but without a permit yet.
    next: Option<Box<Work>>,
}

/// New rows are not taken up while this many wait to go again, or for a canary.
pub const MOST_WAITING: usize = 4_096;

impl Queue {
    /// Lets `work`, which was throttled, go again at `due`.
    ///
    /// With guards it is read again before its update. Only where that update is throttled as
    /// well it goes again as it is: a limit that admits one request at a time would otherwise
    /// admit the reading and never the update.
    pub fn push_throttled(&mut self, due: Duration, mut work: Box<Work>) {
        if work.method == Method::Put {
            work.was_throttled = true;
            work.read_again = !work.read_again && work.reads_first;
            if work.read_again {
                work.method = Method::Get;
            }
        }
        self.push(due, work);
    }

    /// Lets `work` go again at `due`. With guards it is read again first: what was read before
    /// the wait may not be true any more.
    pub fn push_again(&mut self, due: Duration, mut work: Box<Work>) {
        if work.reads_first {
            work.method = Method::Get;
        }
        self.push(due, work);
    }

    /// Lets `work` send its next request at `due`.
    pub fn push(&mut self, due: Duration, work: Box<Work>) {
        self.order += 1;
        self.again.push(Reverse(Due {
            at: due,
            order: self.order,
            work,
        }));
    }

    /// When the first row that goes again is due.
    pub fn due(&self) -> Option<Duration> {
        self.again.peek().map(|Reverse(due)| due.at)
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.next.is_none()
            && self.fresh.is_none()
            && self.again.is_empty()
            && self.waiting.is_empty()
    }

    /// Whether a new row may be taken up, while at most `most_waiting` rows may wait for a canary.
    pub fn wants_fresh(&self, most_waiting: usize) -> bool {
        self.fresh.is_none() && self.again.len() < MOST_WAITING && self.waiting.len() < most_waiting
    }

    /// Lets `work` wait until the canary that is under way has ended.
    pub fn wait_for_canary(&mut self, work: Box<Work>) {
        self.waiting.push_back(work);
    }

    /// Whether rows wait for a canary.
    pub fn waits_for_canary(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The canary has ended: those that waited for it are next, in their order.
    pub fn end_wait_for_canary(&mut self, now: Duration) {
        for work in mem::take(&mut self.waiting) {
            self.push(now, work);
        }
    }

    /// Takes up a new one.
    pub fn take_up(&mut self, work: Box<Work>) {
        debug_assert!(self.fresh.is_none(), "one new row is taken up at a time");
        self.fresh = Some(work);
    }

    /// The row that is next: the first that is due, else the new one.
    pub fn pick(&mut self, now: Duration) -> Option<Box<Work>> {
        if self.next.is_none() && self.due().is_some_and(|due| due <= now) {
            return self.again.pop().map(|Reverse(due)| due.work);
        }
        self.next.take().or_else(|| self.fresh.take())
    }

    /// The row for a probe, due or not: by turns a new one, so that a row which itself is the
    /// trouble cannot pass for an outage.
    pub fn pick_probe(&mut self, turn: u32) -> Option<Box<Work>> {
        if turn % 2 == 1 && self.next.is_none() && self.fresh.is_some() {
            return self.fresh.take();
        }
        let next = self.next.take();
        let again = || self.again.pop().map(|Reverse(due)| due.work);
        next.or_else(again).or_else(|| self.fresh.take())
    }

    /// Returns a row that was picked but may not leave yet; it stays the next one.
    pub fn put_back(&mut self, work: Box<Work>) {
        debug_assert!(self.next.is_none(), "one row is picked at a time");
        self.next = Some(work);
    }

    /// Any row, to be ended.
    pub fn pop(&mut self) -> Option<Box<Work>> {
        let next = self.next.take();
        let again = || self.again.pop().map(|Reverse(due)| due.work);
        let waiting = || self.waiting.pop_front();
        next.or_else(again)
            .or_else(waiting)
            .or_else(|| self.fresh.take())
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
    use crate::model::id::Id;
    use crate::model::target::{LaneId, Workspace};
    use crate::model::update::Update;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn row(number: u64) -> Row {
        let id = |text: &str| Id::parse(text).unwrap();
        Row {
            update: Update {
                enabled: Some(false),
                ..Update::default()
            },
            ..Row::new(
                number,
                LaneId(0),
                Workspace {
                    project_id: id("p"),
                    workspace_id: id("ws"),
                },
                id("w"),
            )
        }
    }

    fn new(row: Row) -> Box<Work> {
        Box::new(Work::row(row.into(), Terms::default()))
    }

    /// A queue with a new row 1, and rows that are due when told.
    fn queue(due: &[(u64, u64)]) -> Queue {
        let mut queue = Queue::default();
        queue.take_up(new(row(1)));
        for (number, at) in due {
            queue.push(ms(*at), new(row(*number)));
        }
        queue
    }

    fn number(work: Option<Box<Work>>) -> Option<u64> {
        work.map(|work| work.key)
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
        let mut work = new(guarded);
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
        for (unproven, status) in [(false, Status::NotAttempted), (true, Status::Unknown)] {
            let mut work = new(row(1));
            work.leave(ms(5));
            work.unproven = unproven.then_some(Unproven::Silent);
            let outcome = work.left_behind(ms(9), "the run ended first");
            assert_eq!((outcome.status, outcome.attempts), (status, 1));
            assert_eq!(outcome.duration_ms, Some(4));
            assert!(outcome.refused, "it is no error of the job");
        }
    }
}
