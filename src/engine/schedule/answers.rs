//! What a reply leads to: for its row, its workspace, its lane and the run.

use std::sync::Arc;
use std::time::Duration;

use crate::model::event::{Event, Meaning, Method, Pause};
use crate::model::field::Field;
use crate::model::outcome::{Ended, ErrorClass, Failure, Status};
use crate::model::rate::Rate;
use crate::model::reading::{Kind, Of};
use crate::model::reply::{Data, Reply};
use crate::model::span;
use crate::model::target::LaneId;
use crate::model::workflow::Workflow;
use crate::plan::decision::{Decision, Effect, Live, decide};
use crate::policy::adaptive::Limit;
use crate::policy::classify::{Trouble, Verdict, classify};

use super::super::health;
use super::super::work::{Matter, Work, millis};
use super::{Rules, Schedule, Trial};

/// How long an update that was confirmed is looked for, if a reading does not show it.
const READ_BACK_FOR: Duration = Duration::from_secs(10);
/// How often.
const READ_BACK_EVERY: Duration = Duration::from_secs(1);

impl Schedule {
    /// Takes the reply to the request in flight for `row`.
    pub fn answered(&mut self, now: Duration, row: u64, mut reply: Reply, dice: f64) {
        let Some(mut work) = self.in_flight.remove(&row) else {
            debug_assert!(false, "an answer for {row}, which is not in flight");
            return;
        };
        let index = work.lane().0;
        self.lanes[index].in_flight -= 1;
        let verdict = classify(&reply);
        match &mut reply {
            Reply::Answer(answer) => {
                work.http_status = Some(answer.http_status);
                work.request_id = answer.request_id.take();
            }
            Reply::Silence(_) => {
                work.http_status = None;
                work.request_id = None;
            }
        }
        if !matches!(verdict, Verdict::CredentialRefused { .. }) {
            work.replayed = false;
        }
        let pace = &mut self.lanes[index].pace;
        let found = match (&verdict, &reply) {
            // It says so itself.
            (Verdict::Throttled { .. }, _) => None,
            (Verdict::CredentialRefused { .. }, _) | (_, Reply::Silence(_)) => {
                pace.unanswered();
                None
            }
            (_, Reply::Answer(_)) => pace.admitted(now, work.sent),
        };
        if let Some(rate) = found {
            self.tell(Event::RateChanged {
                lane: LaneId(index),
                rate: Rate::near(rate),
            });
        }
        match verdict {
            Verdict::Done => self.done(now, work, reply.into_data()),
            Verdict::Throttled {
                wait,
                limit,
                message,
            } => self.throttled(now, work, (wait, limit), message, dice),
            Verdict::Passing {
                failure,
                trouble,
                at_most,
            } if work.is_nice_to_have() => {
                let _ = (trouble, at_most);
                work.failure = Some(failure);
                self.end_with(now, work, Status::Failed, false);
            }
            Verdict::Passing {
                failure,
                trouble,
                at_most,
            } => self.passing(now, work, failure, trouble, at_most, dice),
            Verdict::Final(failure) => {
                self.admitted(index);
                self.fail(now, work, failure, false);
            }
            Verdict::CredentialRefused { failure, renewal } => {
                self.unauthorized(now, work, failure, renewal);
            }
            Verdict::TlsRefused(failure) => {
                let message = failure.message.clone();
                self.fail(now, work, failure, true);
                self.close(index, Ended::Refused, message);
            }
            Verdict::PermissionRefused { failure, workspace } => {
                self.forbidden(now, work, failure, workspace);
            }
        }
    }

    fn done(&mut self, now: Duration, mut work: Box<Work>, data: Data) {
        let index = work.lane().0;
        if !work.asks_a_project() {
            self.lanes[index].health.workspace_works(work.workspace());
        }
        let row = match &work.matter {
            Matter::Reading(reading) => {
                let reading = Arc::clone(reading);
                self.admitted(index);
                let data = match (&reading.of, data) {
                    (Of::Page(_), data @ Data::Page { .. })
                    | (Of::Workflow(_), data @ Data::Workflow(_))
                    | (Of::Versions(_), data @ Data::Versions(_))
                    | (Of::Workspaces(..), data @ Data::Workspaces { .. }) => Ok(data),
                    (of, _) => Err(Failure::new(
                        ErrorClass::Protocol,
                        format!("the answer holds no {}", of.kind()),
                    )),
                };
                self.read(reading, work.requests, data);
                return;
            }
            Matter::Row(row) => Arc::clone(row),
        };
        let live = data.into_workflow();
        if let Some(live) = &live {
            work.live_name = Some(live.name.clone()).filter(|name| !name.is_empty());
        }
        match (work.method, live) {
            (Method::Put, echo) => {
                self.admitted(index);
                self.answer(now, &work, Meaning::Done, None);
                self.updated(now, work, echo.as_ref());
            }
            (Method::Get, None) => {
                self.admitted(index);
                let failure = Failure::new(ErrorClass::Protocol, "the answer holds no workflow");
                self.fail(now, work, failure, false);
            }
            (Method::Get, Some(live)) if work.confirmed.is_some() => {
                self.admitted(index);
                self.answer(now, &work, Meaning::Done, None);
                self.read_back(now, work, &live);
            }
            (Method::Get, Some(live)) => {
                let before = work.live.take();
                let versions = before.as_ref().and_then(|live| live.versions.clone());
                let live = Live {
                    workflow: live,
                    versions,
                };
                let terms = self.rules.terms.of_touched(work.is_touched);
                let decision = decide(&row, &live, terms);
                work.read_at = Some(now);
                // If an update may have arrived, what was there before it is what it is to be judged by.
                let (before, effect) = match before.filter(|_| work.doubt) {
                    Some(before) => {
                        let effect = Effect::of(&work.send, &before.workflow, &live.workflow);
                        (before, effect)
                    }
                    None => (live, Effect::default()),
                };
                work.live = Some(before);
                // Where updates alone are throttled, a reading that one is to follow admits nothing.
                let health = &mut self.lanes[index].health;
                let resumes = match decision {
                    Decision::Change(..) => health.answers(),
                    Decision::Unchanged | Decision::Conflict(_) | Decision::Hopeless(_) => {
                        health.admitted()
                    }
                };
                if resumes {
                    self.tell(Event::LaneResumed {
                        lane: LaneId(index),
                    });
                }
                self.answer(now, &work, Meaning::Done, None);
                self.found(now, work, decision, effect);
            }
        }
    }

    /// The update was confirmed. What the service echoes is compared with what was sent and with what was
    /// there; the first row of a run, and whatever looks damaged, is read back.
    fn updated(&mut self, now: Duration, mut work: Box<Work>, echo: Option<&Workflow>) {
        let before = work.live.as_ref().map(|live| &live.workflow);
        let effect = echo.map(|echo| match before {
            Some(before) => Effect::of(&work.send, before, echo),
            None => Effect::of_unknown(&work.send, echo),
        });
        // What was read long ago may have been cleared by somebody else.
        let cleared = |effect: &Effect| !effect.cleared.is_empty();
        let looks_damaged = work.read_at.is_some() && effect.as_ref().is_some_and(cleared);
        let is_tried = self.is_tried(work.key);
        if before.is_some() && (is_tried || looks_damaged) {
            work.confirmed = Some(now);
            work.suspected = effect.filter(|_| looks_damaged);
            work.used = 0;
            work.method = Method::Get;
            self.lanes[work.lane().0].queue.push(now, work);
            return;
        }
        work.note = effect.and_then(|effect| effect.note());
        self.end_with(now, work, Status::Succeeded, false);
    }

    /// What is there after an update that was confirmed.
    fn read_back(&mut self, now: Duration, mut work: Box<Work>, live: &Workflow) {
        let before = work.live.as_ref().map(|live| live.workflow.clone());
        let effect = Effect::of(&work.send, &before.unwrap_or_default(), live);
        if !effect.cleared.is_empty() {
            return self.damaged(now, work, effect);
        }
        // Nobody knows how soon a reading shows an update.
        let since = now.saturating_sub(work.confirmed.unwrap_or(now));
        if !effect.missing.is_empty() && since < READ_BACK_FOR {
            self.lanes[work.lane().0]
                .queue
                .push(now + READ_BACK_EVERY, work);
            return;
        }
        work.note = effect.note();
        self.pass(&work);
        self.end_with(now, work, Status::Succeeded, false);
    }

    /// Others may leave, if `work` is the one that went alone: it did what it should and nothing else.
    fn pass(&mut self, work: &Work) {
        let is_tried = self.is_tried(work.key);
        // What an earlier session sent left before anybody knew what was there.
        if is_tried && work.can_be_judged() {
            self.trial = Trial::Over;
            self.tell(Event::Proven { row: work.key });
        }
    }

    /// An update has cleared what it did not hold: nothing else may leave.
    pub(super) fn damaged(&mut self, now: Duration, mut work: Box<Work>, effect: Effect) {
        let names: Vec<_> = effect
            .cleared
            .iter()
            .map(|(field, _)| field.as_str())
            .collect();
        let message = format!(
            "the service clears what an update does not hold: {} of row {}",
            names.join(", "),
            work.key
        );
        let change = work.change.get_or_insert_default();
        for (field, was) in &effect.cleared {
            let is = if *field == Field::Enabled {
                "false"
            } else {
                ""
            };
            change.note(*field, was, is);
        }
        work.is_damaged = true;
        work.failure = Some(Failure::new(ErrorClass::Protocol, message.clone()));
        // First: the row's own error may be one too many.
        self.stop(Ended::Gate, &message);
        self.end_with(now, work, Status::Failed, false);
    }

    /// What the live state says to the row; `effect` is that of an update which may have arrived.
    fn found(&mut self, now: Duration, mut work: Box<Work>, decision: Decision, effect: Effect) {
        match decision {
            // It may still arrive: nobody knows how long the service takes.
            Decision::Change(..) if work.read_back => {
                self.end_with(now, work, Status::Unknown, false);
            }
            Decision::Change(change, send) => {
                match &mut work.change {
                    Some(planned) if work.doubt => {
                        for (field, before, after) in change.fields() {
                            planned.note(field, before, after);
                        }
                    }
                    Some(planned) if *planned == change => {}
                    Some(_) | None => {
                        work.change = Some(change);
                        work.is_replanned = true;
                    }
                }
                work.send = Arc::new(send);
                // Before all that left later: with them first, a service that throttles
                // could be kept busy with reading alone.
                work.method = Method::Put;
                let first = work.first_sent.unwrap_or(now);
                self.lanes[work.lane().0].queue.push(first, work);
            }
            // What it wishes is there: by its own update, if one may have arrived.
            Decision::Unchanged
                if work.doubt && work.can_be_judged() && !effect.cleared.is_empty() =>
            {
                self.damaged(now, work, effect);
            }
            Decision::Unchanged if work.doubt => {
                work.note = effect.note();
                self.pass(&work);
                self.end_with(now, work, Status::Succeeded, false);
            }
            Decision::Unchanged => self.end_with(now, work, Status::Unchanged, false),
            Decision::Conflict(message) => {
                work.failure = Some(Failure::new(ErrorClass::Conflict, message));
                self.end_with(now, work, Status::Conflict, false);
            }
            Decision::Hopeless(failure) => {
                let status = match work.doubt {
                    true => Status::Unknown,
                    false => Status::Failed,
                };
                work.failure = Some(failure);
                self.end_with(now, work, status, false);
            }
        }
    }

    fn throttled(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        (asked, limit): (Option<Duration>, Option<Limit>),
        message: String,
        dice: f64,
    ) {
        let index = work.lane().0;
        let failure = Failure::new(ErrorClass::RateLimited, message.clone());
        self.lanes[index].health.note(&message);
        self.answer(now, &work, Meaning::Throttled, Some(failure.clone()));
        let rules = self.rules;
        let lane = &mut self.lanes[index];
        let id = lane.id;
        // A text names no end of its window: a whole one is the only wait that is long enough, unless the pace knows better.
        let told = asked.or(limit.map(|limit| limit.window));
        let wait = lane.pace.refused(now, work.sent, limit, asked).or(told);
        let (pause, recovered) = lane
            .health
            .throttled(now, work.sent, wait, &rules.retry, dice);
        if !work.doubt {
            work.failure = Some(failure);
        }
        if work.is_nice_to_have() {
            let failure = Failure::new(ErrorClass::RateLimited, message.clone());
            work.failure = Some(failure);
            self.end_with(now, work, Status::Failed, false);
        } else {
            // Those that wait go again in the order in which they first left.
            let first = work.first_sent.unwrap_or(now);
            lane.queue.push_throttled(first, work);
        }
        if recovered {
            self.tell(Event::LaneResumed { lane: id });
        }
        if let Some(wait) = pause {
            self.tell(Event::LanePaused {
                lane: id,
                why: Pause::Throttled,
                wait_ms: millis(wait),
                message,
            });
        }
        let finds_limit = rules.finds_limit;
        if let Some(asked) = asked.or(told.and(wait).filter(|_| !finds_limit)) {
            self.wait_as_asked(index, now, asked);
        }
    }

    /// Gives the lane up at once if the service asks it to wait longer than it may.
    fn wait_as_asked(&mut self, index: usize, now: Duration, asked: Duration) {
        let Rules {
            patience, deadline, ..
        } = self.rules;
        let until = now.saturating_add(asked);
        let gives_up = self.lanes[index].health.gives_up_at(patience);
        let wait = span::show(asked);
        if gives_up.is_some_and(|at| at < until) {
            let patience = span::show(patience);
            let message =
                format!("the service asks to wait {wait}, which is beyond patience ({patience})");
            self.close(index, Ended::Patience, message);
        } else if deadline.is_some_and(|at| at < until) {
            let message = format!("the service asks to wait {wait}, which is beyond the deadline");
            self.close(index, Ended::Deadline, message);
        }
    }

    fn passing(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        failure: Failure,
        trouble: Trouble,
        at_most: Option<u32>,
        dice: f64,
    ) {
        let index = work.lane().0;
        let retry = self.rules.retry;
        if work.method == Method::Put {
            work.doubt |= trouble.leaves_doubt();
        }
        self.lanes[index].health.note(&failure.message);
        let effect = match trouble {
            Trouble::Silent { .. } | Trouble::Failing { .. } => {
                let silent = matches!(trouble, Trouble::Silent { .. });
                self.lanes[index]
                    .health
                    .troubled(now, work.sent, silent, &retry, dice)
            }
            Trouble::Other { .. } => {
                self.admitted(index);
                health::Effect::Counts
            }
        };
        work.failure = Some(failure.clone());
        if effect == health::Effect::Counts {
            work.used += 1;
            if work.used >= at_most.unwrap_or(u32::MAX).min(retry.max_attempts) {
                let status = if work.doubt {
                    Status::Unknown
                } else {
                    Status::Failed
                };
                if work.doubt && !work.read_back {
                    work.read_back = true;
                    work.method = Method::Get;
                    let due = now + retry.delay(work.used, dice);
                    self.answer(now, &work, Meaning::Again, Some(failure));
                    self.lanes[index].queue.push_again(due, work);
                    return;
                }
                self.answer(now, &work, Meaning::Final, Some(failure));
                self.end_with(now, work, status, false);
                return;
            }
            let due = now + retry.delay(work.used, dice);
            self.answer(now, &work, Meaning::Again, Some(failure));
            self.lanes[index].queue.push_again(due, work);
            return;
        }
        let message = failure.message.clone();
        self.answer(now, &work, Meaning::Again, Some(failure));
        self.lanes[index].queue.push_again(now, work);
        match effect {
            health::Effect::OutageBegins(wait) => self.tell(Event::LanePaused {
                lane: LaneId(index),
                why: Pause::Outage,
                wait_ms: millis(wait),
                message,
            }),
            health::Effect::NeverAnswered => {
                let message = format!("the endpoint never answered: {message}");
                self.close(index, Ended::Refused, message);
            }
            health::Effect::DoesNotCount | health::Effect::Counts => {}
        }
    }

    /// The credential is refused. With another one by now the request goes again, once.
    fn unauthorized(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        failure: Failure,
        renewal: Option<u32>,
    ) {
        let index = work.lane().0;
        self.lanes[index].health.credential_refused();
        if let Some(renewal) = renewal.filter(|_| !work.replayed) {
            work.replayed = true;
            self.answer(now, &work, Meaning::Again, Some(failure));
            let lane = &mut self.lanes[index];
            let first = work.first_sent.unwrap_or(now);
            lane.queue.push(first, work);
            if lane.renewal < renewal {
                lane.renewal = renewal;
                let lane = lane.id;
                self.tell(Event::CredentialRenewed { lane, renewal });
            }
            return;
        }
        let message = failure.message.clone();
        self.fail(now, work, failure, true);
        self.close(
            index,
            Ended::Refused,
            format!("the credential is refused: {message}"),
        );
    }

    fn forbidden(&mut self, now: Duration, work: Box<Work>, failure: Failure, whole: bool) {
        let index = work.lane().0;
        let workspace = work.workspace().clone();
        let message = failure.message.clone();
        self.admitted(index);
        // Whoever may not list may still read what is named.
        let lists =
            matches!(&work.matter, Matter::Reading(reading) if reading.of.kind() == Kind::List);
        if work.asks_a_project() || (lists && !whole) {
            return self.fail(now, work, failure, true);
        }
        let health = &mut self.lanes[index].health;
        let closes = health.workspace_refuses(&workspace, whole, &message);
        let refused = health.workspace_closed(&workspace).is_some();
        self.fail(now, work, failure, refused);
        if closes {
            self.tell(Event::WorkspaceClosed {
                lane: LaneId(index),
                workspace,
                message,
            });
        }
    }

    fn admitted(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        if lane.health.admitted() {
            let lane = lane.id;
            self.tell(Event::LaneResumed { lane });
        }
    }

    fn fail(&mut self, now: Duration, mut work: Box<Work>, failure: Failure, refused: bool) {
        self.answer(now, &work, Meaning::Final, Some(failure.clone()));
        let status = if work.doubt && !refuses_the_wish(failure.class) {
            Status::Unknown
        } else {
            Status::Failed
        };
        work.failure = Some(failure);
        self.end_with(now, work, status, refused);
    }

    fn answer(&mut self, now: Duration, work: &Work, meaning: Meaning, failure: Option<Failure>) {
        match work.matter {
            Matter::Row(_) => {}
            Matter::Reading(_) => return,
        }
        self.tell(Event::Answer {
            row: work.key,
            method: work.method,
            request: work.requests,
            latency_ms: millis(now.saturating_sub(work.sent)),
            http_status: work.http_status,
            meaning,
            failure,
            doubt: work.doubt,
        });
    }
}

/// Whether an error says that what the row sends is wrong: then it was wrong the time before, too,
/// when no usable answer came.
fn refuses_the_wish(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Validation | ErrorClass::NotFound => true,
        ErrorClass::Auth
        | ErrorClass::Permission
        | ErrorClass::Conflict
        | ErrorClass::RateLimited
        | ErrorClass::Server
        | ErrorClass::Timeout
        | ErrorClass::Network
        | ErrorClass::Tls
        | ErrorClass::Protocol
        | ErrorClass::Canceled => false,
    }
}
