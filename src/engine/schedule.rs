//! The pure schedule: which request leaves next, and what an answer leads to.
//!
//! It knows lanes, rows and instants; it sends nothing, reads no clock and throws no dice.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use crate::model::event::{Event, Method, WasEnded};
use crate::model::field::{Field, FieldSet};
use crate::model::outcome::{Ended, ErrorClass, Failure, Outcome, Status};
use crate::model::rate::Rate;
use crate::model::reading::Reading;
use crate::model::reply::Data;
use crate::model::span;
use crate::model::tally::Tally;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;
use crate::model::workflow::Workflow;
use crate::plan::decision::{Effect, Terms, at_stake};
use crate::policy::adaptive::Adaptive;
use crate::policy::budget::{Budget, Most};
use crate::policy::classify::Unproven;
use crate::policy::pace::{Pace, Permit};
use crate::policy::retry::Retry;

use super::health::{Gate, Health};
use super::ports::{Errand, Request, RowsError, Source, Taken};
use super::work::{MOST_WAITING, Matter, Queue, Work};

/// The rules a run goes by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Requests in flight, per lane.
    pub concurrency: usize,
    /// Requests that may leave, per lane.
    pub rate: Rate,
    /// Whether it is only the most, and what the service admits is to be found out from the beginning.
    pub finds_limit: bool,
    /// Requests that may leave at once after a quiet time.
    pub burst: NonZeroU32,
    /// How rows are tried again.
    pub retry: Retry,
    /// How many errors there may be.
    pub budget: Budget,
    /// How long nothing may be admitted.
    pub patience: Duration,
    /// When nothing new starts any more, since the start of the run.
    pub deadline: Option<Duration>,
    /// By what terms rows are compared with the live state.
    pub terms: Terms,
    /// How old a survey may be when an update leaves by it; the row is read again otherwise.
    pub max_age: Duration,
    /// Whether canaries go first: rows that show what an update does, and what it leaves alone.
    pub canaries: bool,
    /// How long a confirmed update is read back until its values show.
    pub confirm_within: Duration,
    /// Fields that an update may clear by leaving them out.
    pub allow_cleared: FieldSet,
}

impl Rules {
    /// The pace of a lane that nothing has left by yet.
    fn pace(&self) -> Adaptive {
        let Self {
            rate,
            burst,
            concurrency,
            finds_limit,
            ..
        } = *self;
        Adaptive::new(rate, burst, concurrency, finds_limit)
    }
}

mod answers;

/// What the loop is to do.
#[derive(Debug)]
pub enum Step {
    /// Send this, now; its answer is for the errand of this number. It may take no longer than that, if that is given.
    Send(u64, Request, Option<Duration>),
    /// Ask again at this instant, or when an answer comes.
    Wait(Option<Duration>),
    /// Every row has ended.
    Done,
}

/// Rows without a request of their own that end in one call, so that the loop stays awake.
const ENDED_AT_ONCE: usize = 256;
/// How long requests in flight may take, and how long rows are read of which only that tells what became of their update, once
/// nothing new starts any more.
pub const GRACE: Duration = Duration::from_secs(20);
/// Canaries that have a field to lose, in a run: as many as there are fields.
pub const MOST_CANARIES: u32 = Field::ALL.len() as u32;

/// The schedule of a run.
#[derive(Debug)]
pub struct Schedule {
    rules: Rules,
    lanes: Vec<Lane>,
    turn: usize,
    in_flight: BTreeMap<u64, Box<Work>>,
    tally: Tally,
    stop: Option<Ended>,
    /// Since when.
    stopped_at: Option<Duration>,
    /// Whether rows are not even read any more.
    is_left: bool,
    /// Whether a row of this session ended with an error that counts.
    has_errors: bool,
    /// Rows that ended otherwise than by an update of theirs, once they are asked for.
    not_updated: Option<Vec<(u64, Status)>>,
    /// The canary that is under way.
    canary: Option<u64>,
    /// Rows whose update was confirmed by an answer that shows fields as cleared which it did not send: the next canary tells
    /// whether the update has done it.
    suspects: Vec<(Box<Work>, Effect)>,
    by_plan: ByPlan,
    /// When the live states were read.
    surveyed_at: Option<Duration>,
    /// Readings taken up.
    readings: u64,
    /// What came of readings, until somebody takes it.
    found: Vec<(Arc<Reading>, Result<Data, Failure>)>,
    events: Vec<Event>,
}

/// Rows that ended without a request, because the live state said how.
#[derive(Clone, Copy, Debug, Default)]
struct ByPlan {
    errors: u64,
    /// Those that were not unchanged.
    ended: u64,
}

/// An endpoint with a credential.
#[derive(Debug)]
struct Lane {
    id: LaneId,
    pace: Adaptive,
    narrow: Narrow,
    health: Health,
    queue: Queue,
    in_flight: usize,
    exhausted: bool,
    /// The last renewal of its credential.
    renewal: u32,
    /// Since when nothing new leaves by it.
    closed_at: Option<Duration>,
    /// Rows that are read for the last time, once nothing new leaves.
    last_readings: VecDeque<Box<Work>>,
    /// Whether such a reading was not answered.
    is_silent: bool,
}

/// Limits of a part of the run, within those of the lane.
#[derive(Debug, Default)]
struct Narrow {
    pace: Option<Pace>,
    /// It has permitted a request that the lane's own pace has not yet.
    has_permit: bool,
    concurrency: Option<usize>,
}

/// The paces of lanes, from one run of a process to the next.
#[derive(Debug, Default)]
pub struct Paces(RefCell<Vec<Adaptive>>);

/// What a lane can do now.
enum Turn {
    Send(u64, Request, Option<Duration>),
    Wait(Duration),
    Busy,
    Idle,
}

impl Schedule {
    /// A schedule for `lanes` lanes, of a run that has come as far as `tally`.
    pub fn new(rules: Rules, lanes: usize, tally: Tally) -> Self {
        let lane = |id| Lane {
            id: LaneId(id),
            pace: rules.pace(),
            narrow: Narrow::default(),
            health: Health::default(),
            queue: Queue::default(),
            in_flight: 0,
            exhausted: false,
            renewal: 0,
            closed_at: None,
            last_readings: VecDeque::new(),
            is_silent: false,
        };
        Self {
            rules,
            lanes: (0..lanes).map(lane).collect(),
            turn: 0,
            in_flight: BTreeMap::new(),
            tally,
            stop: None,
            stopped_at: None,
            is_left: false,
            has_errors: false,
            not_updated: None,
            canary: None,
            suspects: Vec::new(),
            by_plan: ByPlan::default(),
            surveyed_at: None,
            readings: 0,
            found: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Uses the paces that the run before it has left in `paces`.
    pub fn take_paces(&mut self, paces: &Paces) {
        for (lane, pace) in self.lanes.iter_mut().zip(paces.0.take()) {
            lane.pace = pace;
        }
    }

    /// Leaves the paces in `paces`, for the next run.
    pub fn leave_paces(&mut self, paces: &Paces) {
        let rules = self.rules;
        let lanes = self.lanes.iter_mut();
        let left = lanes.map(|lane| mem::replace(&mut lane.pace, rules.pace()));
        paces.0.replace(left.collect());
    }

    /// The deadline is reached, by another clock than that of `now`.
    pub fn deadline_is_reached(&mut self, now: Duration) {
        let deadline = self.rules.deadline;
        self.rules.deadline = Some(deadline.map_or(now, |deadline| deadline.min(now)));
    }

    /// Another leg begins: its source has errands for every lane.
    pub fn begin_leg(&mut self) {
        for lane in &mut self.lanes {
            lane.exhausted = false;
        }
    }

    /// From here on at most `rate` and `concurrency` by each lane as well; none: whatever the rules say.
    pub fn narrow(&mut self, rate: Option<Rate>, concurrency: Option<usize>) {
        for lane in &mut self.lanes {
            lane.narrow = Narrow {
                pace: rate.map(|rate| Pace::new(rate, NonZeroU32::MIN)),
                has_permit: false,
                concurrency,
            };
        }
    }

    /// What lives in the workspaces was read, at `now` at the latest.
    pub fn surveyed(&mut self, now: Duration) {
        // As old as its oldest part.
        self.surveyed_at.get_or_insert(now);
    }

    /// Whether nothing leaves by `lane` for `workspace` any more, and why.
    pub fn refuses(&self, lane: LaneId, workspace: &Workspace) -> Option<&str> {
        let health = &self.lanes.get(lane.0)?.health;
        let closed = health.closed().map(|closed| closed.message.as_str());
        closed.or_else(|| health.workspace_closed(workspace))
    }

    /// Rows that ended otherwise than by an update of theirs since the last call, and how; none before the first.
    pub fn take_not_updated(&mut self) -> Vec<(u64, Status)> {
        self.not_updated.replace(Vec::new()).unwrap_or_default()
    }

    /// What came of readings since the last call. More errands may follow from it.
    pub fn take_found(&mut self) -> Vec<(Arc<Reading>, Result<Data, Failure>)> {
        if !self.found.is_empty() {
            self.begin_leg();
        }
        mem::take(&mut self.found)
    }

    /// Ends a row without a request: the live state says how, or that it could not be read. With `held_back` nothing of the plan
    /// is sent.
    pub fn end_by_plan(
        &mut self,
        taken: &Taken,
        status: Status,
        live_name: Option<String>,
        failure: Option<Failure>,
        note: Option<String>,
        held_back: bool,
    ) {
        if status == Status::NotAttempted && taken.past.ended.is_some() {
            // It stays as it was.
            return;
        }
        let outcome = Outcome {
            status,
            attempts: taken.past.puts,
            duration_ms: None,
            http_status: None,
            request_id: None,
            workflow_id: live_name
                .is_some()
                .then(|| taken.row.workflow_id.clone())
                .filter(|_| taken.row.called.is_some()),
            live_name,
            change: None,
            failure,
            note,
            shown: BTreeMap::new(),
            unproven: false,
            refused: status == Status::NotAttempted,
            held_back,
        };
        let is_error = matches!(status, Status::Failed | Status::Unknown);
        self.has_errors |= is_error;
        self.by_plan.errors += u64::from(is_error);
        let counts = !matches!(
            status,
            Status::Unchanged | Status::Skipped | Status::NotAttempted
        );
        self.by_plan.ended += u64::from(counts);
        self.tell(Event::RowEnded {
            row: taken.row.number,
            outcome,
            replaces: taken.past.ended.clone(),
        });
    }

    /// The counts so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// No row of `workspace` is sent: somebody else is at it.
    pub fn leave_out(&mut self, lane: LaneId, workspace: Workspace, message: String) {
        self.lanes[lane.0]
            .health
            .workspace_refuses(&workspace, true, &message);
        self.tell(Event::WorkspaceClosed {
            lane,
            workspace,
            message,
        });
    }

    /// What has happened since the last call, in order.
    pub fn take_events(&mut self) -> vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    /// What to do at `now`.
    ///
    /// # Errors
    /// The rows can no longer be read.
    pub fn next(&mut self, now: Duration, rows: &mut dyn Source) -> Result<Step, RowsError> {
        if let Some(step) = self.near_the_end(now, rows, true)? {
            return Ok(step);
        }
        let mut wake = None;
        let mut idle = true;
        let canary = self.canary;
        for turn in 0..self.lanes.len() {
            let lane = (self.turn + turn) % self.lanes.len();
            match self.ask(lane, now, rows)? {
                Turn::Send(key, request, within) => {
                    self.turn = lane + 1;
                    return Ok(Step::Send(key, request, within));
                }
                Turn::Wait(at) => {
                    wake = Some(wake.map_or(at, |wake: Duration| wake.min(at)));
                    idle = false;
                }
                Turn::Busy => idle = false,
                Turn::Idle => {}
            }
        }
        // Lanes that waited for a canary need not do so any more.
        if self.stop.is_some() || self.canary != canary {
            return self.next(now, rows);
        }
        if idle && !self.suspects.is_empty() {
            // No canary followed.
            self.acquit(now, |_| true);
            return self.next(now, rows);
        }
        if idle {
            return Ok(Step::Done);
        }
        let wakes = [wake, self.deadline_after(now)];
        Ok(Step::Wait(wakes.into_iter().flatten().min()))
    }

    /// What to do at `now` while nothing may start: only the deadline and a stop are looked at.
    ///
    /// # Errors
    /// The rows can no longer be read.
    pub fn hold(&mut self, now: Duration, rows: &mut dyn Source) -> Result<Step, RowsError> {
        let step = self.near_the_end(now, rows, false)?;
        Ok(step.unwrap_or(Step::Wait(self.deadline_after(now))))
    }

    /// What to do once nothing new starts any more; the deadline is one reason for it. Rows of which only a reading tells what
    /// became of their update are still read, if requests `may_leave`.
    fn near_the_end(
        &mut self,
        now: Duration,
        rows: &mut dyn Source,
        may_leave: bool,
    ) -> Result<Option<Step>, RowsError> {
        if self.rules.deadline.is_some_and(|deadline| deadline <= now) && self.has_more(rows)? {
            self.stop(Ended::Deadline, "the deadline or stop_at is reached");
        }
        if self.stop.is_none() {
            return Ok(None);
        }
        self.stopped_at.get_or_insert(now);
        let mut wake: Option<Duration> = None;
        for index in 0..self.lanes.len() {
            match self.ask_last(index, now, "the run ended first", may_leave) {
                Turn::Send(key, request, within) => {
                    return Ok(Some(Step::Send(key, request, within)));
                }
                Turn::Wait(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                Turn::Busy | Turn::Idle => {}
            }
        }
        // What a canary under way shows tells of the suspects as well.
        let is_over = wake.is_none() && self.in_flight.is_empty();
        if is_over || self.canary.is_none() {
            self.acquit(now, |_| true);
        }
        Ok(Some(match is_over {
            true => Step::Done,
            false => Step::Wait(wake),
        }))
    }

    /// Until when `lane` may still be asked what became of updates, if it may.
    fn reads_until(&self, lane: &Lane) -> Option<Duration> {
        let gave_up = lane.health.closed().map(|closed| closed.ended);
        // Who refuses everything answers no reading, and nothing leaves that cannot be recorded.
        let is_deaf = gave_up == Some(Ended::Refused) || lane.is_silent;
        let is_left = self.is_left || self.stop == Some(Ended::RecordFailed);
        let since = self.stopped_at.into_iter().chain(lane.closed_at).min();
        since
            .filter(|_| !is_deaf && !is_left)
            .map(|since| since + GRACE)
    }

    /// What a lane can do at `now` by which nothing new leaves any more: `why` is what becomes of its rows.
    fn ask_last(&mut self, index: usize, now: Duration, why: &str, may_leave: bool) -> Turn {
        if self.lanes[index].health.resume(now) {
            let lane = self.lanes[index].id;
            self.events.push(Event::LaneResumed { lane });
        }
        while let Some(work) = self.lanes[index].queue.pop() {
            match work.needs_last_reading() {
                true => self.lanes[index].last_readings.push_back(work),
                false => self.leave(work, now, why),
            }
        }
        let concurrency = self.rules.concurrency;
        let until = self.reads_until(&self.lanes[index]);
        let Some(until) = until.filter(|until| now < *until) else {
            for work in mem::take(&mut self.lanes[index].last_readings) {
                self.leave(work, now, why);
            }
            return self.lanes[index].quiet();
        };
        let lane = &mut self.lanes[index];
        let slots = lane.health.slots(lane.pace.slots().min(concurrency));
        if lane.last_readings.is_empty() {
            return lane.quiet();
        }
        if !may_leave || lane.in_flight >= slots {
            return Turn::Wait(until);
        }
        let not_before = match lane.health.gate(now) {
            Gate::Shut(at) => Some(at),
            Gate::Probe(_) | Gate::Open => match lane.permit(now) {
                Permit::NotBefore(at) => Some(at),
                Permit::Granted => None,
            },
        };
        match (not_before, lane.last_readings.pop_front()) {
            (None, Some(mut work)) => {
                work.read_last();
                work.is_last_reading = true;
                let key = work.key;
                Turn::Send(key, self.send(index, now, work), Some(until - now))
            }
            (not_before, work) => {
                lane.last_readings.extend(work);
                Turn::Wait(not_before.map_or(until, |at| at.min(until)))
            }
        }
    }

    /// A deadline that has passed without stopping anything wakes nobody any more.
    fn deadline_after(&self, now: Duration) -> Option<Duration> {
        self.rules.deadline.filter(|deadline| *deadline > now)
    }

    /// What one lane can do at `now`.
    fn ask(
        &mut self,
        index: usize,
        now: Duration,
        rows: &mut dyn Source,
    ) -> Result<Turn, RowsError> {
        for _ in 0..ENDED_AT_ONCE {
            self.refill(index, rows)?;
            let rules = self.rules;
            let lane = &mut self.lanes[index];
            if lane.health.resume(now) {
                self.events.push(Event::LaneResumed { lane: lane.id });
            }
            if let Some(closed) = lane.health.closed() {
                let why = closed.message.clone();
                lane.closed_at.get_or_insert(now);
                match self.ask_last(index, now, &why, true) {
                    turn @ Turn::Send(..) => return Ok(turn),
                    turn if self.lanes[index].exhausted => return Ok(turn),
                    // More rows may come that are to be left.
                    Turn::Wait(_) | Turn::Busy | Turn::Idle => continue,
                }
            }
            let gives_up = lane.health.gives_up_at(rules.patience);
            if gives_up.is_some_and(|at| at <= now) {
                let patience = span::show(rules.patience);
                let last = lane.health.last_trouble();
                let why = format!("nothing was admitted for {patience}, at last: {last}");
                self.close(index, Ended::Patience, why);
                continue;
            }
            let narrow = lane.narrow.concurrency.unwrap_or(usize::MAX);
            let slots = lane.pace.slots().min(rules.concurrency).min(narrow);
            if lane.in_flight >= lane.health.slots(slots) {
                return Ok(Turn::Busy);
            }
            let probe = match lane.health.gate(now) {
                Gate::Shut(until) => {
                    return Ok(Turn::Wait(gives_up.map_or(until, |at| at.min(until))));
                }
                Gate::Probe(turn) => Some(turn),
                Gate::Open => None,
            };
            let picked = match probe {
                Some(turn) => lane.queue.pick_probe(turn),
                None => lane.queue.pick(now),
            };
            let Some(mut work) = picked else {
                lane.pace.idle();
                lane.narrow.pace.iter_mut().for_each(Pace::idle);
                return Ok(match lane.queue.due() {
                    Some(due) => Turn::Wait(due),
                    None => lane.quiet(),
                });
            };
            // What became of its update is asked in a workspace that is closed as well: it may still be read.
            if let Some(why) = lane.health.workspace_closed(work.workspace())
                && !work.needs_last_reading()
            {
                let why = format!("its workspace is closed: {why}");
                self.leave(work, now, &why);
                continue;
            }
            if lane.health.workspace_closed(work.workspace()).is_some() {
                work.read_last();
            }
            if work.has_nothing_to_ask() {
                self.end_with(now, work, Status::Unchanged, false);
                continue;
            }
            let aged = |at: Duration| now.saturating_sub(at) > rules.max_age;
            let is_first = work.live.is_some() && work.requests == 0;
            if is_first && self.surveyed_at.is_some_and(aged) {
                work.method = Method::Get;
            }
            if work.is_stale(now, lane.pace.interval()) {
                work.rereads += 1;
                work.method = Method::Get;
            }
            if self.needs_canary(&work) {
                if self.canary.is_some() {
                    self.lanes[index].queue.wait_for_canary(work);
                    continue;
                }
                work.is_canary = true;
                // What is compared after its update is what was there just before it.
                match &work.live {
                    Some(live) if work.read_at.is_some() => {
                        work.stake = self.unproven_stake(&work.send, &live.workflow);
                    }
                    Some(_) | None => work.method = Method::Get,
                }
            }
            let lane = &mut self.lanes[index];
            return Ok(match lane.permit(now) {
                Permit::NotBefore(at) => {
                    work.is_canary &= self.canary == Some(work.key);
                    lane.queue.put_back(work);
                    Turn::Wait(gives_up.map_or(at, |give_up| give_up.min(at)))
                }
                Permit::Granted => Turn::Send(work.key, self.send(index, now, work), None),
            });
        }
        Ok(Turn::Wait(now))
    }

    /// Whether `work` is to go alone: no canary has shown that an update has effect, or that it leaves alone what this one
    /// leaves out.
    fn needs_canary(&self, work: &Work) -> bool {
        let may_be_next = work.method == Method::Put || work.requests == 0;
        let knows = !work.is_canary && !work.sent_here && !work.read_back;
        let is_asked = work.unproven.is_some() && work.method == Method::Get;
        let Some(live) = work.live.as_ref() else {
            return false;
        };
        if !self.rules.canaries || !may_be_next || !knows || is_asked {
            return false;
        }
        let is_at_stake = || !self.unproven_stake(&work.send, &live.workflow).is_empty();
        !self.tally.is_proven || (self.tally.canaries < MOST_CANARIES && is_at_stake())
    }

    /// Fields that an update which holds `send` could clear, as far as anybody knows.
    fn unproven_stake(&self, send: &Update, before: &Workflow) -> FieldSet {
        let safe = self.tally.proven.union(self.rules.allow_cleared);
        at_stake(send, before).without(safe)
    }

    /// Whether any row still waits to send a request.
    fn has_more(&mut self, rows: &mut dyn Source) -> Result<bool, RowsError> {
        for index in 0..self.lanes.len() {
            self.refill(index, rows)?;
        }
        Ok(self.lanes.iter().any(|lane| !lane.queue.is_empty()))
    }

    /// Takes up the lane's next new row, if there is room.
    fn refill(&mut self, index: usize, rows: &mut dyn Source) -> Result<(), RowsError> {
        // Before an update has shown that it has effect, everything waits.
        let most_waiting = match self.tally.is_proven {
            true => MOST_WAITING,
            false => 1,
        };
        let lane = &mut self.lanes[index];
        if lane.exhausted || !lane.queue.wants_fresh(most_waiting) {
            return Ok(());
        }
        match rows.next(lane.id)? {
            Some(errand) => {
                let work = match errand {
                    Errand::Row(taken) => Work::row(*taken, self.rules.terms),
                    Errand::Reading(reading) => {
                        self.readings += 1;
                        Work::reading(self.readings, reading)
                    }
                };
                if !work.asks_a_project() {
                    lane.health.workspace_met(work.workspace());
                }
                lane.queue.take_up(Box::new(work));
            }
            None => lane.exhausted = true,
        }
        Ok(())
    }

    fn send(&mut self, index: usize, now: Duration, mut work: Box<Work>) -> Request {
        let reopens = match work.method {
            Method::Put => work.ended.take(),
            Method::Get => None,
        };
        if work.method == Method::Put && !work.sent_here {
            work.was_read = work.read_at.is_some();
        }
        let request = work.leave(now);
        match &work.matter {
            Matter::Row(_) => {
                if work.is_canary {
                    self.canary.get_or_insert(work.key);
                }
                self.tell(Event::Attempt {
                    row: work.key,
                    method: work.method,
                    request: work.requests,
                    reopens,
                    change: match work.method {
                        Method::Put if work.is_replanned => work.change.clone(),
                        Method::Put | Method::Get => None,
                    },
                });
            }
            Matter::Reading(_) => {}
        }
        self.lanes[index].in_flight += 1;
        self.in_flight.insert(work.key, work);
        request
    }

    fn end_with(&mut self, now: Duration, mut work: Box<Work>, status: Status, refused: bool) {
        if let Matter::Reading(reading) = &work.matter {
            let reading = Arc::clone(reading);
            let failure = work.failure.take();
            let failure = failure.unwrap_or_else(|| {
                Failure::new(ErrorClass::Protocol, "nobody knows what came of it")
            });
            self.read(reading, (work.requests, work.throttled), Err(failure));
            return;
        }
        // Where it cannot be read back, the answer to the update itself is believed.
        if status != Status::Succeeded
            && !work.is_damaged
            && let Some(effect) = work.suspected.take()
        {
            return self.damaged(now, work, effect);
        }
        // Its answer has shown what was there before, and nothing has shown otherwise since.
        let status = match work.confirmed.is_some() && work.is_denied && !work.is_damaged {
            true => Status::Unknown,
            false => status,
        };
        let row = work.key;
        let replaces = work.ended.take();
        self.end(now, row, work.outcome(status, now, refused), replaces);
    }

    /// Ends a row that no request is sent for any more. One that had ended in an earlier session stays
    /// as it was.
    fn leave(&mut self, mut work: Box<Work>, now: Duration, why: &str) {
        match &work.matter {
            Matter::Reading(reading) => {
                let reading = Arc::clone(reading);
                let canceled = || Failure::new(ErrorClass::Canceled, why);
                let failure = work.failure.take().unwrap_or_else(canceled);
                self.read(reading, (work.requests, work.throttled), Err(failure));
            }
            // What its update did is known from its answer.
            Matter::Row(_) if work.suspected.is_some() => {
                if let Some(effect) = work.suspected.take() {
                    self.damaged(now, work, effect);
                }
            }
            Matter::Row(_) if work.confirmed.is_some() => {
                work.failure
                    .get_or_insert_with(|| Failure::new(ErrorClass::Canceled, why));
                self.end_with(now, work, Status::Unknown, true);
            }
            Matter::Row(_) if work.ended.is_none() => {
                let row = work.key;
                self.end(now, row, work.left_behind(now, why), None);
            }
            Matter::Row(_) => self.end_canary(now, work.key),
        }
    }

    /// If row `row` was the canary, others may leave, or be the next one.
    fn end_canary(&mut self, now: Duration, row: u64) {
        if self.canary == Some(row) {
            self.canary = None;
            for lane in &mut self.lanes {
                lane.queue.end_wait_for_canary(now);
            }
        }
    }

    /// Ends the suspects that `is_cleared` chooses: whatever they did not send and is cleared, nothing shows that their update
    /// has done it.
    fn acquit(&mut self, now: Duration, is_cleared: impl Fn(&Effect) -> bool) {
        let suspects = self
            .suspects
            .extract_if(.., |(_, effect)| is_cleared(effect));
        for (mut work, effect) in suspects.collect::<Vec<_>>() {
            work.note = effect.note();
            self.end_with(now, work, Status::Succeeded, false);
        }
    }

    /// A reading ended that took `requests`, of which `throttled` were throttled.
    fn read(
        &mut self,
        reading: Arc<Reading>,
        (requests, throttled): (u32, u32),
        data: Result<Data, Failure>,
    ) {
        let found = match &data {
            Ok(Data::Workflow(_)) => 1,
            Ok(Data::Page { workflows, odd, .. }) => (workflows.len() + odd.len()) as u64,
            Ok(Data::Versions(versions)) => versions.len() as u64,
            Ok(Data::Workspaces { workspaces, .. }) => workspaces.len() as u64,
            Ok(Data::Nothing | Data::Odd(_)) | Err(_) => 0,
        };
        self.tell(Event::Read {
            lane: reading.lane,
            workspace: reading.workspace.clone(),
            kind: reading.of.kind(),
            found,
            requests,
            throttled,
            failure: data.as_ref().err().cloned(),
        });
        self.found.push((reading, data));
    }

    fn end(&mut self, now: Duration, row: u64, outcome: Outcome, replaces: Option<WasEnded>) {
        // What earlier sessions had does not stop this one before it has one of its own.
        let is_error = matches!(outcome.status, Status::Failed | Status::Unknown);
        self.has_errors |= is_error && !outcome.refused;
        self.end_canary(now, row);
        self.tell(Event::RowEnded {
            row,
            outcome,
            replaces,
        });
        if !self.has_errors {
            return;
        }
        let counted = self.tally.ended().saturating_sub(self.tally.unchanged);
        let (errors, counted) = match self.rules.budget.max_errors {
            Most::Count(_) => (self.tally.errors, counted),
            // A share of all rows was looked at when they were planned; now it is that of the rest.
            Most::Percent(_) => (
                self.tally.errors.saturating_sub(self.by_plan.errors),
                counted.saturating_sub(self.by_plan.ended),
            ),
        };
        if let Some(why) = self.rules.budget.exceeded(errors, counted) {
            self.stop(Ended::MaxErrors, &why);
        }
    }

    fn close(&mut self, index: usize, ended: Ended, message: String) {
        let lane = &mut self.lanes[index];
        if lane.health.closed().is_some() {
            return;
        }
        lane.health.close(ended, message.clone());
        let lane = lane.id;
        self.tell(Event::LaneClosed {
            lane,
            ended,
            message,
        });
    }

    /// Nothing new starts any more.
    pub fn stop(&mut self, ended: Ended, message: &str) {
        if self.stop.is_none() {
            self.stop = Some(ended);
            self.tell(Event::Stop {
                ended,
                message: message.to_owned(),
            });
        }
    }

    /// Whether nothing new starts any more.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether rows are not even read any more.
    pub fn is_left(&self) -> bool {
        self.is_left
    }

    /// From now on rows are not even read any more.
    pub fn read_no_more(&mut self) {
        self.is_left = true;
    }

    /// Drops what is in flight: what became of those rows is unknown.
    pub fn abandon(&mut self, now: Duration) {
        self.read_no_more();
        for mut work in mem::take(&mut self.in_flight).into_values() {
            let lane = &mut self.lanes[work.lane().0];
            lane.in_flight -= 1;
            lane.pace.unanswered();
            if work.method == Method::Put {
                work.unproven = Some(Unproven::Silent);
            }
            self.leave(work, now, "dropped before the answer came");
        }
    }

    fn tell(&mut self, event: Event) {
        self.tally.see(&event);
        if let Some(not_updated) = &mut self.not_updated
            && let Event::RowEnded { row, outcome, .. } = &event
            && outcome.status != Status::Succeeded
        {
            not_updated.push((*row, outcome.status));
        }
        self.events.push(event);
    }

    /// How the run ended, once nothing is left to do.
    pub fn ended(&self) -> Ended {
        let closed = |lane: &Lane| lane.health.closed().map(|closed| closed.ended);
        let gave_up = |ended: &Ended| matches!(ended, Ended::Patience | Ended::Deadline);
        let gave_up = self.lanes.iter().filter_map(closed).find(gave_up);
        let mut used = self
            .lanes
            .iter()
            .filter(|lane| lane.health.is_used())
            .peekable();
        match self.stop.or(gave_up) {
            Some(ended) => ended,
            None if used.peek().is_some() && used.all(|lane| lane.health.refused()) => {
                Ended::Refused
            }
            None => Ended::Completed,
        }
    }
}

impl Lane {
    /// Whether a request may leave at `now`.
    fn permit(&mut self, now: Duration) -> Permit {
        let Narrow {
            pace, has_permit, ..
        } = &mut self.narrow;
        if let Some(pace) = pace
            && !*has_permit
        {
            match pace.take(now) {
                Permit::Granted => *has_permit = true,
                later @ Permit::NotBefore(_) => return later,
            }
        }
        let permit = self.pace.take(now);
        *has_permit &= permit != Permit::Granted;
        permit
    }

    /// Nothing can start here until an answer comes, or ever.
    fn quiet(&self) -> Turn {
        if self.in_flight > 0 || self.queue.waits_for_canary() {
            Turn::Busy
        } else {
            Turn::Idle
        }
    }
}

#[cfg(test)]
mod tests;
