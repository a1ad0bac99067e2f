//! What a reply leads to: for its row, its workspace, its lane and the run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::event::{Event, Meaning, Method, Pause};
use crate::model::field::{Field, FieldSet};
use crate::model::id::{same_id, same_spelling};
use crate::model::outcome::{Ended, ErrorClass, Failure, Status};
use crate::model::rate::Rate;
use crate::model::reading::{Kind, Of};
use crate::model::reply::{Data, Reply};
use crate::model::row::Row;
use crate::model::span;
use crate::model::target::LaneId;
use crate::model::workflow::{OddWorkflow, Workflow};
use crate::plan::decision::{Decision, Effect, Live, cleared_text, decide};
use crate::policy::adaptive::Limit;
use crate::policy::classify::{Trouble, Unproven, Verdict, classify, is_bare_success, unproven};

use super::super::health;
use super::super::work::{Matter, Work, millis};
use super::{MOST_CANARIES, Rules, Schedule};

/// How often an update that was confirmed is looked for, if a reading does not show it.
const READ_BACK_EVERY: Duration = Duration::from_secs(1);

/// That what the service shows of a workflow cannot be read.
fn unreadable(odd: &OddWorkflow) -> Failure {
    Failure::new(ErrorClass::Protocol, odd.to_string())
}

impl Schedule {
    /// Takes the reply to the request in flight for `row`.
    pub fn answered(&mut self, now: Duration, row: u64, mut reply: Reply, dice: f64) {
        let Some(mut work) = self.in_flight.remove(&row) else {
            debug_assert!(false, "an answer for {row}, which is not in flight");
            return;
        };
        let index = work.lane().0;
        self.lanes[index].in_flight -= 1;
        let mut verdict = classify(&reply);
        if work.method == Method::Put {
            work.unproven = work.unproven.max(unproven(&reply));
            if let Verdict::Passing { at_most, .. } = &mut verdict
                && is_bare_success(&reply)
            {
                *at_most = Some(1);
            }
        }
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
            } => self.passing(now, work, failure, (trouble, at_most), dice),
            Verdict::Final(failure) => {
                self.seen(&work);
                self.conclude(now, work, failure, false, Duration::ZERO);
            }
            Verdict::CredentialRefused { failure, renewal } => {
                self.unauthorized(now, work, failure, renewal);
            }
            Verdict::Echo(failure) => {
                let message = failure.message.clone();
                if work.confirmed.is_some() {
                    // It was applied, and cannot be looked at.
                    work.unproven = Some(Unproven::Refused);
                    work.read_back = true;
                }
                self.conclude(now, work, failure, true, Duration::ZERO);
                self.close(index, Ended::Refused, message.clone());
                self.stop(Ended::Refused, &message);
            }
            Verdict::TlsRefused(failure) => {
                let message = failure.message.clone();
                self.conclude(now, work, failure, true, Duration::ZERO);
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
                    (Of::Workflow(_), Data::Odd(odd)) => Err(unreadable(&odd)),
                    (of, _) => Err(Failure::new(
                        ErrorClass::Protocol,
                        format!("the answer holds no {}", of.kind().noun()),
                    )),
                };
                self.read(reading, (work.requests, work.throttled), data);
                return;
            }
            Matter::Row(row) => Arc::clone(row),
        };
        let no_workflow = match &data {
            Data::Odd(odd) => unreadable(odd),
            Data::Nothing
            | Data::Workflow(_)
            | Data::Page { .. }
            | Data::Versions(_)
            | Data::Workspaces { .. } => {
                Failure::new(ErrorClass::Protocol, "the answer holds no workflow")
            }
        };
        let live = data.into_workflow();
        if let Some(failure) = live.as_ref().and_then(|live| stranger(&row, live)) {
            return match work.method {
                // It is unknown what it was an answer to.
                Method::Put => {
                    work.unproven = Some(Unproven::Silent);
                    self.passing(now, work, failure, (Trouble::Other, None), 0.0);
                }
                Method::Get => {
                    self.seen(&work);
                    self.conclude(now, work, failure, false, Duration::ZERO);
                }
            };
        }
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
                self.seen(&work);
                self.conclude(now, work, no_workflow, false, Duration::ZERO);
            }
            (Method::Get, Some(live)) if work.confirmed.is_some() => {
                self.admitted(index);
                self.answer(now, &work, Meaning::Done, None);
                self.read_back(now, work, &live);
            }
            (Method::Get, Some(live)) => {
                let before = work.live.take();
                let versions = before.as_ref().and_then(|live| live.versions.clone());
                let is_as_before = work.is_as_before(&live);
                let live = Live {
                    workflow: live,
                    versions,
                };
                let terms = self.rules.terms.of_touched(work.is_touched);
                let decision = decide(&row, &live, terms);
                work.read_at = Some(now);
                // If an update may have been applied, what was there before it is what it is to be judged by.
                let (before, effect) = match before.filter(|_| work.unproven.is_some()) {
                    Some(before) => {
                        let was = Some(&before.workflow);
                        let effect = Effect::of(&work.send, was, &live.workflow);
                        (before, self.charged(&work, effect))
                    }
                    None => (live, Effect::default()),
                };
                work.live = Some(before);
                // Where updates alone are throttled, a reading that one is to follow admits nothing.
                match decision {
                    _ if work.read_back => self.seen(&work),
                    Decision::Change(..) if self.lanes[index].health.answers() => {
                        let lane = LaneId(index);
                        self.tell(Event::LaneResumed { lane });
                    }
                    Decision::Change(..) => {}
                    Decision::Unchanged | Decision::Conflict(_) | Decision::Hopeless(_) => {
                        self.admitted(index);
                    }
                }
                self.answer(now, &work, Meaning::Done, None);
                self.found(now, work, decision, effect, is_as_before);
            }
        }
    }

    /// The update was confirmed. What the service echoes is compared with what was sent and with what was there. A canary,
    /// whatever looks damaged, and whatever still looks as before, is read back.
    fn updated(&mut self, now: Duration, mut work: Box<Work>, echo: Option<&Workflow>) {
        work.unproven = None;
        let before = work.live.as_ref().map(|live| &live.workflow);
        let has_before = before.is_some();
        let effect = echo.map(|echo| Effect::of(&work.send, before, echo));
        let mut effect = effect.map(|effect| self.charged(&work, effect));
        effect
            .iter_mut()
            .for_each(|effect| self.allow(&mut work, effect));
        let mut effect = effect.unwrap_or_default();
        // A canary has shown that updates have effect: what the service makes of a text is no former value then.
        if !work.is_canary {
            effect.accept_normalized();
        }
        // What was read long ago may have been cleared by a colleague.
        let is_suspect = !effect.cleared.is_empty();
        let looks_damaged = is_suspect && work.read_at.is_some();
        work.is_denied = effect.shows_former();
        show(&mut work, effect.shown());
        if has_before && (work.is_canary || looks_damaged || work.is_denied) {
            work.confirmed = Some(now);
            work.suspected = Some(effect).filter(|_| looks_damaged);
            work.used = 0;
            work.method = Method::Get;
            self.lanes[work.lane().0].queue.push(now, work);
            return;
        }
        if is_suspect && self.rules.canaries {
            return self.suspect(now, work, effect);
        }
        work.note = join(work.note.take(), effect.note());
        self.end_with(now, work, Status::Succeeded, false);
    }

    /// `effect` without what `work` cannot be charged with: where what was there before is known from an earlier session alone, a
    /// colleague may have cleared what an update is known to leave alone.
    fn charged(&self, work: &Work, mut effect: Effect) -> Effect {
        if work.knows_before {
            let others = effect.take_allowed(self.tally.proven).into_iter();
            let others = others.map(|(field, was)| cleared_text(field, &was));
            effect.others.extend(others);
        }
        effect
    }

    /// Takes note of what an update may clear, and has: an undo puts it back.
    fn allow(&self, work: &mut Work, effect: &mut Effect) {
        let allowed = effect.take_allowed(self.rules.allow_cleared);
        for (field, was) in &allowed {
            note_cleared(work, *field, was);
            work.note = join(work.note.take(), Some(cleared_text(*field, was)));
        }
    }

    /// The answer to an update shows fields as cleared that it did not send. Its row was planned by the snapshot, so a
    /// colleague may have done it: the next row that has such a field to lose tells.
    fn suspect(&mut self, now: Duration, work: Box<Work>, effect: Effect) {
        if self.tally.canaries >= MOST_CANARIES {
            return self.damaged(now, work, effect);
        }
        let fields = effect.cleared.iter().map(|(field, _)| *field).collect();
        self.tell(Event::Suspected {
            row: work.key,
            fields,
        });
        self.suspects.push((work, effect));
    }

    /// What is there after an update that was confirmed.
    fn read_back(&mut self, now: Duration, mut work: Box<Work>, live: &Workflow) {
        let before = work.live.as_ref().map(|live| &live.workflow);
        let effect = Effect::of(&work.send, before, live);
        let mut effect = self.charged(&work, effect);
        self.allow(&mut work, &mut effect);
        if !effect.cleared.is_empty() {
            return self.damaged(now, work, effect);
        }
        work.suspected = None;
        let within = self.rules.confirm_within;
        let until = work.confirmed.unwrap_or(now).saturating_add(within);
        if effect.shows_former() && now < until {
            work.is_denied = true;
            let due = until.min(now + READ_BACK_EVERY);
            self.lanes[work.lane().0].queue.push(due, work);
            return;
        }
        // It had what the service makes of what was sent.
        effect.accept_normalized();
        work.is_denied = effect.shows_former();
        if work.is_denied {
            return self.denied(now, work, &effect);
        }
        // The answer itself shows what the service made of it; a reading may show a colleague's work.
        let mut shown = effect.normalized();
        shown.append(&mut work.shown);
        show(&mut work, shown);
        work.note = join(work.note.take(), effect.note());
        self.pass(now, &work);
        self.end_with(now, work, Status::Succeeded, false);
    }

    /// The service has confirmed an update and shows what was there before: how soon a reading shows an update is not documented.
    fn denied(&mut self, now: Duration, mut work: Box<Work>, effect: &Effect) {
        let what = effect.note().unwrap_or_default();
        let within = span::show(self.rules.confirm_within);
        let message = format!(
            "the service confirmed the update and does not show it within {within}: {what}"
        );
        if work.is_canary {
            let message = format!("row {}: {message}", work.key);
            self.stop(Ended::Unconfirmed, &message);
        }
        work.failure = Some(Failure::new(ErrorClass::Protocol, message));
        self.end_with(now, work, Status::Unknown, false);
    }

    /// Others may leave, if `work` is a canary, or shows by itself what an update does: it did what it should and left alone
    /// what it did not send.
    fn pass(&mut self, now: Duration, work: &Work) {
        let fields = match &work.live {
            _ if work.is_canary => work.stake,
            Some(live) if work.can_be_judged() => self.unproven_stake(&work.send, &live.workflow),
            Some(_) | None => return,
        };
        let row = work.key;
        self.tell(Event::Proven { row, fields });
        let proven = self.tally.proven;
        self.acquit(now, |effect| {
            let mut cleared = effect.cleared.iter();
            cleared.all(|(field, _)| proven.contains(*field))
        });
    }

    /// An update has cleared what it did not hold: nothing else may leave.
    pub(super) fn damaged(&mut self, now: Duration, work: Box<Work>, effect: Effect) {
        let cleared = effect.cleared.iter().map(|(field, _)| *field);
        let cleared: FieldSet = cleared.collect();
        let names: Vec<_> = cleared.iter().map(Field::as_str).collect();
        let message = format!(
            "the service clears what an update does not hold: {cleared} of row {}. Send all fields (--send full), or, if it \
             may be cleared, say allow_cleared = {names:?}",
            work.key
        );
        // First: the row's own error may be one too many.
        self.stop(Ended::Gate, &message);
        let mut harmed = vec![(work, effect)];
        harmed.append(&mut self.suspects);
        for (mut work, effect) in harmed {
            for (field, was) in &effect.cleared {
                note_cleared(&mut work, *field, was);
            }
            work.is_damaged = true;
            work.failure = Some(Failure::new(ErrorClass::Protocol, message.clone()));
            self.end_with(now, work, Status::Failed, false);
        }
    }

    /// What the live state says to the row; `effect` is that of an update which may have been applied, and `is_as_before`
    /// whether nothing of it is there.
    fn found(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        decision: Decision,
        mut effect: Effect,
        is_as_before: bool,
    ) {
        let is_unproven = work.unproven.is_some();
        if is_unproven {
            self.allow(&mut work, &mut effect);
        }
        // Its own update is there, as the service writes it, and whatever a guard says now.
        let is_judged = is_unproven && work.can_be_judged() && !is_as_before;
        let is_there = is_judged && effect.normalized().len() == effect.missing.len();
        if is_judged {
            show(&mut work, effect.normalized());
        }
        if is_there && !effect.cleared.is_empty() {
            let is_fresh = work.is_canary || work.was_read || work.knows_before;
            return match is_fresh || !self.rules.canaries {
                true => self.damaged(now, work, effect),
                false => {
                    work.unproven = None;
                    self.suspect(now, work, effect);
                }
            };
        }
        match decision {
            // The one field that cannot be put back is all that is left.
            Decision::Hopeless(_) if is_there => self.applied(now, work, &effect),
            Decision::Change(..) | Decision::Conflict(_)
                if is_there && !effect.missing.is_empty() =>
            {
                self.applied(now, work, &effect);
            }
            Decision::Change(..) if work.read_back => {
                // After an error the service is done with the update; otherwise it may still be applied.
                let is_final = is_as_before && work.unproven == Some(Unproven::Refused);
                let (status, what) = match (is_final, is_as_before) {
                    (true, _) => (Status::Failed, "it was read back and is as before"),
                    (false, true) => (Status::Unknown, "it was read back and is as before so far"),
                    (false, false) => (
                        Status::Unknown,
                        "it was read back and is neither as before nor as requested",
                    ),
                };
                let what = match work.change {
                    Some(_) => what,
                    None => {
                        "it was read back and is not as requested; what was there before is not known"
                    }
                };
                if let Some(failure) = &mut work.failure {
                    failure.message += &format!("; {what}");
                }
                let refused = work.is_refused;
                self.end_with(now, work, status, refused);
            }
            Decision::Change(change, send) => {
                match &mut work.change {
                    Some(planned) if is_unproven && !is_as_before => {
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
                if work.is_canary
                    && let Some(live) = &work.live
                {
                    work.stake = self.unproven_stake(&send, &live.workflow);
                }
                work.send = Arc::new(send);
                // Before all that left later: with them first, a service that throttles
                // could be kept busy with reading alone.
                work.method = Method::Put;
                let first = work.first_sent.unwrap_or(now);
                self.lanes[work.lane().0].queue.push(first, work);
            }
            // What it asks for is there: by its own update, if one may have been applied.
            Decision::Unchanged if is_unproven => self.applied(now, work, &effect),
            Decision::Unchanged => self.end_with(now, work, Status::Unchanged, false),
            Decision::Conflict(message) => {
                work.failure = Some(Failure::new(ErrorClass::Conflict, message));
                self.end_with(now, work, Status::Conflict, false);
            }
            Decision::Hopeless(failure) => {
                let status = match is_unproven {
                    true => Status::Unknown,
                    false => Status::Failed,
                };
                work.failure = Some(failure);
                self.end_with(now, work, status, false);
            }
        }
    }

    /// An update whose answer proved nothing is there.
    fn applied(&mut self, now: Duration, mut work: Box<Work>, effect: &Effect) {
        let unseen = "an update was sent, and nobody knows what was there before it";
        let unseen = work.change.is_none().then(|| unseen.to_owned());
        work.note = join(join(work.note.take(), effect.note()), unseen);
        self.lanes[work.lane().0].health.was_applied();
        self.pass(now, &work);
        self.end_with(now, work, Status::Succeeded, false);
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
        work.throttled += 1;
        let rules = self.rules;
        let lane = &mut self.lanes[index];
        let id = lane.id;
        // A text names no end of its window: a whole one is the only wait that is long enough, unless the pace knows better.
        let told = asked.or(limit.map(|limit| limit.window));
        let wait = lane.pace.refused(now, work.sent, limit, asked).or(told);
        let (pause, recovered) =
            lane.health
                .throttled(now, (work.method, work.sent), wait, &rules.retry, dice);
        if work.unproven.is_none() {
            work.failure = Some(failure);
        }
        // It has not been read, and may be once more, where a pause keeps it from hammering.
        work.is_last_reading &= lane.health.closed().is_some();
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
        (trouble, at_most): (Trouble, Option<u32>),
        dice: f64,
    ) {
        let index = work.lane().0;
        let retry = self.rules.retry;
        work.was_answered |= work.method == Method::Put && work.http_status.is_some();
        self.lanes[index].health.note(&failure.message);
        if work.is_last_reading {
            // The others would wait for nothing.
            self.lanes[index].is_silent |= work.http_status.is_none();
            return self.conclude(now, work, failure, false, Duration::ZERO);
        }
        let effect = match trouble {
            Trouble::Silent | Trouble::Failing => {
                let what = (work.method, trouble == Trouble::Silent);
                let health = &mut self.lanes[index].health;
                health.troubled(now, work.sent, what, &retry, dice)
            }
            Trouble::Other => {
                self.seen(&work);
                health::Effect::Counts
            }
        };
        if effect == health::Effect::Counts {
            work.used += 1;
            let due = retry.delay(work.used, dice);
            if retry.is_over(work.used, at_most) || work.read_back {
                // What was answered is over; what was not may still be on its way.
                let wait = match work.unproven {
                    Some(Unproven::Silent) => due,
                    Some(Unproven::Refused) | None => Duration::ZERO,
                };
                return self.conclude(now, work, failure, false, wait);
            }
            work.failure = Some(failure.clone());
            self.answer(now, &work, Meaning::Again, Some(failure));
            self.lanes[index].queue.push_again(now + due, work);
            return;
        }
        let message = failure.message.clone();
        if !work.read_back {
            work.failure = Some(failure.clone());
        }
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
            // It has not been read.
            work.is_last_reading = false;
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
        self.conclude(now, work, failure, true, Duration::ZERO);
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
        self.seen(&work);
        if work.read_back {
            // Who may not read what became of one row says nothing about the others.
            return self.conclude(now, work, failure, true, Duration::ZERO);
        }
        // Whoever may not list may still read what is named.
        let lists =
            matches!(&work.matter, Matter::Reading(reading) if reading.of.kind() == Kind::List);
        if work.asks_a_project() || (lists && !whole) {
            return self.conclude(now, work, failure, true, Duration::ZERO);
        }
        let health = &mut self.lanes[index].health;
        let closes = health.workspace_refuses(&workspace, whole, &message);
        let refused = health.workspace_closed(&workspace).is_some();
        self.conclude(now, work, failure, refused, Duration::ZERO);
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

    /// The lane has answered `work`: nothing is wrong with it, unless that was only read back.
    fn seen(&mut self, work: &Work) {
        let index = work.lane().0;
        if !work.read_back {
            return self.admitted(index);
        }
        if self.lanes[index].health.answers_reading_back() {
            let lane = LaneId(index);
            self.tell(Event::LaneResumed { lane });
        }
    }

    /// No other request changes anything for `work`, which ends with `failure`. If only a reading can tell what became of its
    /// update, it is read first, after `wait`.
    fn conclude(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        failure: Failure,
        refused: bool,
        wait: Duration,
    ) {
        if work.unproven.is_some() && !work.read_back {
            self.answer(now, &work, Meaning::Again, Some(failure.clone()));
            work.failure = Some(failure);
            work.is_refused = refused;
            work.read_last();
            self.lanes[work.lane().0].queue.push(now + wait, work);
            return;
        }
        self.answer(now, &work, Meaning::Final, Some(failure.clone()));
        // A workflow that is gone shows no update.
        let is_known = work.unproven.is_none() || failure.class == ErrorClass::NotFound;
        let status = match is_known {
            true => Status::Failed,
            false => Status::Unknown,
        };
        work.failure = Some(match work.failure.take().filter(|_| work.read_back) {
            Some(first) => Failure {
                message: format!(
                    "{}; it was not read back: {}",
                    first.message, failure.message
                ),
                ..first
            },
            None => failure,
        });
        let refused = refused || work.is_refused;
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
            unproven: work.unproven.is_some(),
        });
    }
}

/// Why `live`, which the service gave for the workflow of `row`, is no answer, if it is none.
fn stranger(row: &Row, live: &Workflow) -> Option<Failure> {
    let is_other = !live.id.is_empty() && same_spelling(&live.id) != same_id(&row.workflow_id);
    is_other.then(|| {
        let what = format!("the answer is about another workflow: {}", live.id);
        Failure::new(ErrorClass::Protocol, what)
    })
}

/// Takes note of what the service made of sent values. One that was sent as it was and shows otherwise is part of the change: an
/// undo puts it back.
fn show(work: &mut Work, shown: BTreeMap<Field, String>) {
    work.shown = shown;
    let (Some(live), Some(change)) = (&work.live, &mut work.change) else {
        return;
    };
    for (field, shown) in &work.shown {
        if !change.after.contains_key(field) {
            change.note(*field, live.workflow.value(*field), shown);
        }
    }
}

/// What an update has cleared is part of its change: an undo puts it back.
fn note_cleared(work: &mut Work, field: Field, was: &str) {
    let is = match field {
        Field::Enabled => "false",
        Field::Name | Field::Description | Field::VersionId | Field::Labels => "",
    };
    work.change.get_or_insert_default().note(field, was, is);
}

/// Both texts, as far as there are any.
fn join(first: Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) if first != second => Some(format!("{first}; {second}")),
        (first, second) => first.or(second),
    }
}
