//! The pure schedule: which request leaves next, and what an answer leads to.
//!
//! It knows lanes, rows and instants; it sends nothing, reads no clock and throws no dice.

use std::collections::HashMap;
use std::mem;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::event::{Event, Method, WasEnded};
use crate::model::outcome::{Ended, Outcome, Status};
use crate::model::rate::Rate;
use crate::model::span;
use crate::model::tally::Tally;
use crate::model::target::{LaneId, Workspace};
use crate::policy::budget::Budget;
use crate::policy::pace::{Pace, Permit};
use crate::policy::retry::Retry;

use super::health::{Gate, Health};
use super::ports::{Request, Rows, RowsError};
use super::work::{Queue, Work};

/// The rules a run goes by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Requests in flight, per lane.
    pub concurrency: usize,
    /// Requests that may leave, per lane.
    pub rate: Rate,
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
}

mod answers;

/// What the loop is to do.
#[derive(Debug)]
pub enum Step {
    /// Send this, now.
    Send(Request),
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
    in_flight: HashMap<u64, Work>,
    tally: Tally,
    stop: Option<Ended>,
    /// Whether a row of this session ended with an error that counts.
    has_errors: bool,
    events: Vec<Event>,
}

/// An endpoint with a credential.
#[derive(Debug)]
struct Lane {
    id: LaneId,
    pace: Pace,
    health: Health,
    queue: Queue,
    in_flight: usize,
    exhausted: bool,
    /// The last renewal of its credential.
    renewal: u32,
}

/// What a lane can do now.
enum Turn {
    Send(Request),
    Wait(Duration),
    Busy,
    Idle,
}

impl Schedule {
    /// A schedule for `lanes` lanes, of a run that has come as far as `tally`.
    pub fn new(rules: Rules, lanes: usize, tally: Tally) -> Self {
        let lane = |id| Lane {
            id: LaneId(id),
            pace: Pace::new(rules.rate, rules.burst),
            health: Health::default(),
            queue: Queue::default(),
            in_flight: 0,
            exhausted: false,
            renewal: 0,
        };
        Self {
            rules,
            lanes: (0..lanes).map(lane).collect(),
            turn: 0,
            in_flight: HashMap::new(),
            tally,
            stop: None,
            has_errors: false,
            events: Vec::new(),
        }
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
    pub fn take_events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    /// What to do at `now`.
    ///
    /// # Errors
    /// The rows can no longer be read.
    pub fn next(&mut self, now: Duration, rows: &mut dyn Rows) -> Result<Step, RowsError> {
        if let Some(step) = self.near_the_end(now, rows)? {
            return Ok(step);
        }
        let mut wake = None;
        let mut idle = true;
        for turn in 0..self.lanes.len() {
            let lane = (self.turn + turn) % self.lanes.len();
            match self.ask(lane, now, rows)? {
                Turn::Send(request) => {
                    self.turn = lane + 1;
                    return Ok(Step::Send(request));
                }
                Turn::Wait(at) => {
                    wake = Some(wake.map_or(at, |wake: Duration| wake.min(at)));
                    idle = false;
                }
                Turn::Busy => idle = false,
                Turn::Idle => {}
            }
        }
        if self.stop.is_some() {
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
    pub fn hold(&mut self, now: Duration, rows: &mut dyn Rows) -> Result<Step, RowsError> {
        let step = self.near_the_end(now, rows)?;
        Ok(step.unwrap_or(Step::Wait(self.deadline_after(now))))
    }

    /// What to do once nothing new starts any more; the deadline is one reason for it.
    fn near_the_end(
        &mut self,
        now: Duration,
        rows: &mut dyn Rows,
    ) -> Result<Option<Step>, RowsError> {
        if self.rules.deadline.is_some_and(|deadline| deadline <= now) && self.has_more(rows)? {
            self.stop(Ended::Deadline, "the deadline is reached");
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
    fn ask(&mut self, index: usize, now: Duration, rows: &mut dyn Rows) -> Result<Turn, RowsError> {
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
            if lane.in_flight >= lane.health.slots(rules.concurrency) {
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
            let Some(work) = picked else {
                lane.pace.idle();
                return Ok(match lane.queue.due() {
                    Some(due) => Turn::Wait(due),
                    None => lane.quiet(),
                });
            };
            if let Some(why) = lane.health.workspace_closed(&work.row.workspace) {
                let why = format!("its workspace is closed: {why}");
                self.leave(work, now, &why);
                continue;
            }
            if work.has_nothing_to_ask() {
                self.end_with(now, work, Status::Unchanged, false);
                continue;
            }
            return Ok(match lane.pace.take(now) {
                Permit::NotBefore(at) => {
                    lane.queue.put_back(work);
                    Turn::Wait(gives_up.map_or(at, |give_up| give_up.min(at)))
                }
                Permit::Granted => Turn::Send(self.send(index, now, work)),
            });
        }
        Ok(Turn::Wait(now))
    }

    /// Whether any row still waits to send a request.
    fn has_more(&mut self, rows: &mut dyn Rows) -> Result<bool, RowsError> {
        for index in 0..self.lanes.len() {
            self.refill(index, rows)?;
        }
        Ok(self.lanes.iter().any(|lane| !lane.queue.is_empty()))
    }

    /// Takes up the lane's next new row, if there is room.
    fn refill(&mut self, index: usize, rows: &mut dyn Rows) -> Result<(), RowsError> {
        let lane = &mut self.lanes[index];
        if lane.exhausted || !lane.queue.wants_fresh() {
            return Ok(());
        }
        match rows.next(lane.id)? {
            Some(row) => {
                lane.health.workspace_met(&row.workspace);
                lane.queue.take_up(row, rows.past());
            }
            None => lane.exhausted = true,
        }
        Ok(())
    }

    fn send(&mut self, index: usize, now: Duration, mut work: Work) -> Request {
        let reopens = match work.method {
            Method::Put => work.ended.take(),
            Method::Get => None,
        };
        let request = work.leave(now);
        self.tell(Event::Attempt {
            row: work.row.number,
            method: work.method,
            request: work.requests,
            reopens,
        });
        self.lanes[index].in_flight += 1;
        self.in_flight.insert(work.row.number, work);
        request
    }

    fn end_with(&mut self, now: Duration, mut work: Work, status: Status, refused: bool) {
        let row = work.row.number;
        let replaces = work.ended.take();
        self.end(row, work.outcome(status, now, refused), replaces);
    }

    /// Ends a row that no request is sent for any more. One that had ended in an earlier session stays
    /// as it was.
    fn leave(&mut self, work: Work, now: Duration, why: &str) {
        if work.ended.is_none() {
            let row = work.row.number;
            self.end(row, work.left_behind(now, why), None);
        }
    }

    fn end(&mut self, row: u64, outcome: Outcome, replaces: Option<WasEnded>) {
        // What earlier sessions had does not stop this one before it has one of its own.
        let is_error = matches!(outcome.status, Status::Failed | Status::Unknown);
        self.has_errors |= is_error && !outcome.refused;
        self.tell(Event::RowEnded {
            row,
            outcome,
            replaces,
        });
        if !self.has_errors {
            return;
        }
        let counted = self.tally.ended() - self.tally.unchanged;
        if let Some(why) = self.rules.budget.exceeded(self.tally.errors, counted) {
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
        let mut works: Vec<_> = mem::take(&mut self.in_flight).into_values().collect();
        works.sort_unstable_by_key(|work| work.row.number);
        for mut work in works {
            self.lanes[work.row.lane.0].in_flight -= 1;
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
