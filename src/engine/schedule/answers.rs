//! What a reply leads to: for its row, its workspace, its lane and the run.

use std::time::Duration;

use crate::model::event::{Event, Meaning, Method, Pause};
use crate::model::guard::Finding;
use crate::model::outcome::{Ended, ErrorClass, Failure, Status};
use crate::model::reply::Reply;
use crate::model::span;
use crate::model::target::LaneId;
use crate::model::workflow::Workflow;
use crate::policy::classify::{Trouble, Verdict, classify};

use super::super::health::Effect;
use super::super::work::{Work, millis};
use super::{Rules, Schedule};

impl Schedule {
    /// Takes the reply to the request in flight for `row`.
    pub fn answered(&mut self, now: Duration, row: u64, reply: &Reply, dice: f64) {
        let Some(mut work) = self.in_flight.remove(&row) else {
            debug_assert!(false, "an answer for row {row}, which is not in flight");
            return;
        };
        let index = work.row.lane.0;
        self.lanes[index].in_flight -= 1;
        match reply {
            Reply::Answer(answer) => {
                work.http_status = Some(answer.http_status);
                work.request_id.clone_from(&answer.request_id);
            }
            Reply::Silence(_) => {
                work.http_status = None;
                work.request_id = None;
            }
        }
        let verdict = classify(reply);
        if !matches!(verdict, Verdict::CredentialRefused { .. }) {
            work.replayed = false;
        }
        match verdict {
            Verdict::Done(live) => self.done(now, work, live),
            Verdict::Throttled { wait, message } => self.throttled(now, work, wait, message, dice),
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

    fn done(&mut self, now: Duration, mut work: Work, live: Option<Workflow>) {
        let index = work.row.lane.0;
        let finding = live
            .as_ref()
            .filter(|_| work.method == Method::Get)
            .map(|live| work.row.guards.check(&work.row.update, live));
        let health = &mut self.lanes[index].health;
        let resumes = match finding {
            Some(Finding::Differs) => health.answers(),
            Some(Finding::AsWished | Finding::Conflict(_)) | None => health.admitted(),
        };
        health.workspace_works(&work.row.workspace);
        if resumes {
            self.tell(Event::LaneResumed {
                lane: LaneId(index),
            });
        }
        if let Some(live) = live {
            work.live_name = Some(live.name).filter(|name| !name.is_empty());
        }
        match (work.method, finding) {
            (Method::Put, _) => {
                self.answer(now, &work, Meaning::Done, None);
                self.end_with(now, work, Status::Succeeded, false);
            }
            (Method::Get, None) => {
                let failure = Failure::new(ErrorClass::Protocol, "the answer holds no workflow");
                self.fail(now, work, failure, false);
            }
            (Method::Get, Some(finding)) => {
                self.answer(now, &work, Meaning::Done, None);
                self.found(now, work, finding);
            }
        }
    }

    /// What the live state says to the row.
    fn found(&mut self, now: Duration, mut work: Work, finding: Finding) {
        match finding {
            // It may still arrive: nobody knows how long the service takes.
            Finding::Differs if work.read_back => {
                self.end_with(now, work, Status::Unknown, false);
            }
            Finding::Differs => {
                // Before all that left later: with them first, a service that throttles
                // could be kept busy with reading alone.
                work.method = Method::Put;
                let first = work.first_sent.unwrap_or(now);
                self.lanes[work.row.lane.0].queue.push(first, work);
            }
            // What it wishes is there: by its own update, if one may have arrived.
            Finding::AsWished if work.doubt => {
                self.end_with(now, work, Status::Succeeded, false);
            }
            Finding::AsWished => self.end_with(now, work, Status::Unchanged, false),
            Finding::Conflict(message) => {
                work.failure = Some(Failure::new(ErrorClass::Conflict, message));
                self.end_with(now, work, Status::Conflict, false);
            }
        }
    }

    fn throttled(
        &mut self,
        now: Duration,
        mut work: Work,
        asked: Option<Duration>,
        message: String,
        dice: f64,
    ) {
        let index = work.row.lane.0;
        let failure = Failure::new(ErrorClass::RateLimited, message.clone());
        self.lanes[index].health.note(&message);
        self.answer(now, &work, Meaning::Throttled, Some(failure.clone()));
        let rules = self.rules;
        let lane = &mut self.lanes[index];
        let id = lane.id;
        let (pause, recovered) = lane
            .health
            .throttled(now, work.sent, asked, &rules.retry, dice);
        if !work.doubt {
            work.failure = Some(failure);
        }
        // Those that wait go again in the order in which they first left.
        let first = work.first_sent.unwrap_or(now);
        lane.queue.push_throttled(first, work);
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
        if let Some(asked) = asked {
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
        mut work: Work,
        failure: Failure,
        trouble: Trouble,
        at_most: Option<u32>,
        dice: f64,
    ) {
        let index = work.row.lane.0;
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
                Effect::Counts
            }
        };
        work.failure = Some(failure.clone());
        if effect == Effect::Counts {
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
            Effect::OutageBegins(wait) => self.tell(Event::LanePaused {
                lane: LaneId(index),
                why: Pause::Outage,
                wait_ms: millis(wait),
                message,
            }),
            Effect::NeverAnswered => {
                let message = format!("the endpoint never answered: {message}");
                self.close(index, Ended::Refused, message);
            }
            Effect::DoesNotCount | Effect::Counts => {}
        }
    }

    /// The credential is refused. With another one by now the request goes again, once.
    fn unauthorized(
        &mut self,
        now: Duration,
        mut work: Work,
        failure: Failure,
        renewal: Option<u32>,
    ) {
        let index = work.row.lane.0;
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

    fn forbidden(&mut self, now: Duration, work: Work, failure: Failure, whole: bool) {
        let index = work.row.lane.0;
        let workspace = work.row.workspace.clone();
        let message = failure.message.clone();
        self.admitted(index);
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

    fn fail(&mut self, now: Duration, mut work: Work, failure: Failure, refused: bool) {
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
        self.tell(Event::Answer {
            row: work.row.number,
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
