//! The pure schedule: which request leaves next, and what an answer leads to.
//!
//! It knows lanes, rows and instants; it sends nothing, reads no clock and throws no dice.

use std::collections::BTreeMap;
use std::mem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use crate::model::event::{Event, Method, WasEnded};
use crate::model::outcome::{Ended, ErrorClass, Failure, Outcome, Status};
use crate::model::rate::Rate;
use crate::model::reading::Reading;
use crate::model::reply::Data;
use crate::model::span;
use crate::model::tally::Tally;
use crate::model::target::{LaneId, Workspace};
use crate::plan::decision::Terms;
use crate::policy::adaptive::Adaptive;
use crate::policy::budget::{Budget, Most};
use crate::policy::pace::{Pace, Permit};
use crate::policy::retry::Retry;

use super::health::{Gate, Health};
use super::ports::{Errand, Request, RowsError, Source, Taken};
use super::work::{Matter, Queue, Work};

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
    /// Whether the first row goes alone and is read back.
    pub trial: bool,
}

mod answers;

/// What the loop is to do.
#[derive(Debug)]
pub enum Step {
    /// Send this, now; its answer is for the errand of this number.
    Send(u64, Request),
    /// Ask again at this instant, or when an answer comes.
    Wait(Option<Duration>),
    /// Every row has ended.
    Done,
}

/// Rows without a request of their own that end in one call, so that the loop stays awake.
const ENDED_AT_ONCE: usize = 256;

/// The schedule of a run.
#[derive(Debug)]
pub struct Schedule {
    rules: Rules,
    lanes: Vec<Lane>,
    turn: usize,
    in_flight: BTreeMap<u64, Box<Work>>,
    tally: Tally,
    stop: Option<Ended>,
    /// Whether a row of this session ended with an error that counts.
    has_errors: bool,
    /// Rows that ended otherwise than as wished, for whoever wants to know.
    unwell: Option<Vec<(u64, Status)>>,
    trial: Trial,
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

/// The first row of a run, which goes alone and is read back before others leave: nobody has
/// confirmed that the service leaves alone what an update does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// It is still to be made.
    Wanted,
    /// This row is it.
    Under { key: u64, lane: LaneId },
    /// It was passed, or is not wanted.
    Over,
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
}

/// Limits of a part of the run, within those of the lane.
#[derive(Debug, Default)]
struct Narrow {
    pace: Option<Pace>,
    /// It has permitted a request that the lane's own pace has not yet.
    has_permit: bool,
    concurrency: Option<usize>,
}

/// What a lane can do now.
enum Turn {
    Send(u64, Request),
    Wait(Duration),
    Busy,
    Idle,
}

impl Schedule {
    /// A schedule for `lanes` lanes, of a run that has come as far as `tally`.
    pub fn new(rules: Rules, lanes: usize, tally: Tally) -> Self {
        let lane = |id| Lane {
            id: LaneId(id),
            pace: Adaptive::new(
                rules.rate,
                rules.burst,
                rules.concurrency,
                rules.finds_limit,
            ),
            narrow: Narrow::default(),
            health: Health::default(),
            queue: Queue::default(),
            in_flight: 0,
            exhausted: false,
            renewal: 0,
        };
        let trial = match rules.trial && !tally.is_proven {
            true => Trial::Wanted,
            false => Trial::Over,
        };
        Self {
            rules,
            lanes: (0..lanes).map(lane).collect(),
            turn: 0,
            in_flight: BTreeMap::new(),
            tally,
            stop: None,
            has_errors: false,
            unwell: None,
            trial,
            by_plan: ByPlan::default(),
            surveyed_at: None,
            readings: 0,
            found: Vec::new(),
            events: Vec::new(),
        }
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

    /// Rows that ended otherwise than as wished since the last call; none before the first.
    pub fn take_unwell(&mut self) -> Vec<(u64, Status)> {
        self.unwell.replace(Vec::new()).unwrap_or_default()
    }

    /// What came of readings since the last call. More errands may follow from it.
    pub fn take_found(&mut self) -> Vec<(Arc<Reading>, Result<Data, Failure>)> {
        if !self.found.is_empty() {
            self.begin_leg();
        }
        mem::take(&mut self.found)
    }

    /// Ends a row without a request: the live state says how, or that it could not be read.
    pub fn end_by_plan(
        &mut self,
        taken: &Taken,
        status: Status,
        live_name: Option<String>,
        failure: Option<Failure>,
        note: Option<String>,
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
            refused: status == Status::NotAttempted,
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
        if let Some(step) = self.near_the_end(now, rows)? {
            return Ok(step);
        }
        let mut wake = None;
        let mut idle = true;
        let trial = self.trial;
        for turn in 0..self.lanes.len() {
            let lane = (self.turn + turn) % self.lanes.len();
            match self.ask(lane, now, rows)? {
                Turn::Send(key, request) => {
                    self.turn = lane + 1;
                    return Ok(Step::Send(key, request));
                }
                Turn::Wait(at) => {
                    wake = Some(wake.map_or(at, |wake: Duration| wake.min(at)));
                    idle = false;
                }
                Turn::Busy => idle = false,
                Turn::Idle => {}
            }
        }
        // Lanes that waited for the row which went alone need not do so any more.
        if self.stop.is_some() || self.trial != trial {
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
        let step = self.near_the_end(now, rows)?;
        Ok(step.unwrap_or(Step::Wait(self.deadline_after(now))))
    }

    /// What to do once nothing new starts any more; the deadline is one reason for it.
    fn near_the_end(
        &mut self,
        now: Duration,
        rows: &mut dyn Source,
    ) -> Result<Option<Step>, RowsError> {
        if self.rules.deadline.is_some_and(|deadline| deadline <= now) && self.has_more(rows)? {
            self.stop(Ended::Deadline, "the deadline or stop_at is reached");
        }
        if self.stop.is_none() {
            return Ok(None);
        }
        self.leave_waiting(now);
        Ok(Some(if self.in_flight.is_empty() {
            Step::Done
        } else {
            Step::Wait(None)
        }))
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
                let Some(work) = lane.queue.pop() else {
                    return Ok(lane.quiet());
                };
                self.leave(work, now, &why);
                continue;
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
            let alone = match self.trial {
                Trial::Under { lane: tried, .. } if tried != lane.id => return Ok(Turn::Busy),
                Trial::Under { .. } => true,
                Trial::Wanted | Trial::Over => false,
            };
            let probe = match lane.health.gate(now) {
                Gate::Shut(until) => {
                    return Ok(Turn::Wait(gives_up.map_or(until, |at| at.min(until))));
                }
                Gate::Probe(turn) => Some(turn),
                Gate::Open => None,
            };
            let picked = match probe {
                _ if alone => lane.queue.pick_old(now, probe.is_none()),
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
            if let Some(why) = lane.health.workspace_closed(work.workspace()) {
                let why = format!("its workspace is closed: {why}");
                self.leave(work, now, &why);
                continue;
            }
            if work.has_nothing_to_ask() {
                self.end_with(now, work, Status::Unchanged, false);
                continue;
            }
            let aged = |at: Duration| now.saturating_sub(at) > rules.max_age;
            let first = work.live.is_some() && work.requests == 0;
            // What is compared after the first update is what was there just before it.
            let is_tried = first && self.trial == Trial::Wanted;
            if is_tried || (first && self.surveyed_at.is_some_and(aged)) {
                work.method = Method::Get;
            }
            if work.is_stale(now, lane.pace.interval()) {
                work.rereads += 1;
                work.method = Method::Get;
            }
            return Ok(match lane.permit(now) {
                Permit::NotBefore(at) => {
                    lane.queue.put_back(work);
                    Turn::Wait(gives_up.map_or(at, |give_up| give_up.min(at)))
                }
                Permit::Granted => Turn::Send(work.key, self.send(index, now, work)),
            });
        }
        Ok(Turn::Wait(now))
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
        let lane = &mut self.lanes[index];
        if lane.exhausted || !lane.queue.wants_fresh() {
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
        let request = work.leave(now);
        match &work.matter {
            Matter::Row(row) => {
                if self.trial == Trial::Wanted {
                    let (key, lane) = (work.key, row.lane);
                    self.trial = Trial::Under { key, lane };
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
            self.read(reading, work.requests, Err(failure));
            return;
        }
        // Where it cannot be read back, the answer to the update itself is believed.
        if status != Status::Succeeded
            && !work.is_damaged
            && let Some(effect) = work.suspected.take()
        {
            return self.damaged(now, work, effect);
        }
        let row = work.key;
        let replaces = work.ended.take();
        self.end(row, work.outcome(status, now, refused), replaces);
    }

    /// Ends a row that no request is sent for any more. One that had ended in an earlier session stays
    /// as it was.
    fn leave(&mut self, mut work: Box<Work>, now: Duration, why: &str) {
        match &work.matter {
            Matter::Reading(reading) => {
                let reading = Arc::clone(reading);
                let canceled = || Failure::new(ErrorClass::Canceled, why);
                let failure = work.failure.take().unwrap_or_else(canceled);
                self.read(reading, work.requests, Err(failure));
            }
            // What its update did is known from its answer.
            Matter::Row(_) if work.suspected.is_some() => {
                if let Some(effect) = work.suspected.take() {
                    self.damaged(now, work, effect);
                }
            }
            Matter::Row(_) if work.ended.is_none() => {
                let row = work.key;
                self.end(row, work.left_behind(now, why), None);
            }
            Matter::Row(_) => self.end_trial(work.key),
        }
    }

    /// If row `key` went alone, the next one does: it did not show what the service does.
    fn end_trial(&mut self, row: u64) {
        if self.is_tried(row) {
            self.trial = Trial::Wanted;
        }
    }

    /// Whether row `row` is the one that goes alone.
    fn is_tried(&self, row: u64) -> bool {
        matches!(self.trial, Trial::Under { key, .. } if key == row)
    }

    /// A reading ended.
    fn read(&mut self, reading: Arc<Reading>, requests: u32, data: Result<Data, Failure>) {
        let found = match &data {
            Ok(Data::Workflow(_)) => 1,
            Ok(Data::Page { workflows, .. }) => workflows.len() as u64,
            Ok(Data::Versions(versions)) => versions.len() as u64,
            Ok(Data::Workspaces { workspaces, .. }) => workspaces.len() as u64,
            Ok(Data::Nothing) | Err(_) => 0,
        };
        self.tell(Event::Read {
            lane: reading.lane,
            workspace: reading.workspace.clone(),
            kind: reading.of.kind(),
            found,
            requests,
            failure: data.as_ref().err().cloned(),
        });
        self.found.push((reading, data));
    }

    fn end(&mut self, row: u64, outcome: Outcome, replaces: Option<WasEnded>) {
        // What earlier sessions had does not stop this one before it has one of its own.
        let is_error = matches!(outcome.status, Status::Failed | Status::Unknown);
        self.has_errors |= is_error && !outcome.refused;
        self.end_trial(row);
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

    /// Drops what is in flight: those rows are in doubt.
    pub fn abandon(&mut self, now: Duration) {
        for mut work in mem::take(&mut self.in_flight).into_values() {
            let lane = &mut self.lanes[work.lane().0];
            lane.in_flight -= 1;
            lane.pace.unanswered();
            work.doubt |= work.method == Method::Put;
            self.leave(work, now, "dropped before the answer came");
        }
    }

    fn leave_waiting(&mut self, now: Duration) {
        for index in 0..self.lanes.len() {
            while let Some(work) = self.lanes[index].queue.pop() {
                self.leave(work, now, "the run ended first");
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.tally.see(&event);
        if let Some(unwell) = &mut self.unwell
            && let Event::RowEnded { row, outcome, .. } = &event
            && !matches!(outcome.status, Status::Succeeded | Status::Unchanged)
        {
            unwell.push((*row, outcome.status));
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
        if self.in_flight > 0 {
            Turn::Busy
        } else {
            Turn::Idle
        }
    }
}

#[cfg(test)]
mod tests;
