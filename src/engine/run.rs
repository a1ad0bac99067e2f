//! The one loop: asks the schedule "what now?", does it, and tells it the answer.

use std::pin::Pin;
use std::time::Duration;

use futures::future::FutureExt;
use futures::stream::{FuturesUnordered, Stream, StreamExt};
use jiff::Timestamp;

use crate::model::event::{Event, Leg, RunStarted, SessionStarted};
use crate::model::outcome::Ended;
use crate::model::reply::Reply;
use crate::model::tally::Tally;
use crate::model::target::{LaneId, Workspace};

use super::campaign::Campaign;
use super::chronicle::Chronicle;
use super::interrupts::{Interrupts, Wish};
use super::ports::{
    Clock, Dice, Record, RecordError, Request, RowsError, Service, Source, Watcher,
};
use super::schedule::{GRACE, Paces, Rules, Schedule, Step};
use super::work::millis;

/// How long the record may take to become durable for somebody who has asked twice to stop.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How often watchers are told that time has passed.
const TICK: Duration = Duration::from_millis(100);

/// What a run works with.
pub struct Tools<'a, S, R, C, D> {
    /// Carries the requests.
    pub service: &'a S,
    /// Is told everything first.
    pub record: &'a mut R,
    /// Are told everything that is durable.
    pub watchers: Vec<&'a mut dyn Watcher>,
    /// Workspaces that are left out from the start, and why.
    pub left_out: Vec<(LaneId, Workspace, String)>,
    /// How fast requests may leave, by lane: shared by all runs of a process, which all ask the same services.
    pub paces: &'a Paces,
    /// The time.
    pub clock: &'a C,
    /// Jitter.
    pub dice: &'a mut D,
    /// Asks to stop: the first lets requests in flight end, the second drops them and does not wait
    /// for the record either.
    pub interrupts: Pin<&'a mut dyn Stream<Item = Ended>>,
}

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// The rules of the schedule.
    pub rules: Rules,
    /// How many lanes there are.
    pub lanes: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// When nothing new starts any more by the clock on the wall, whatever that is put to and however long the machine sleeps.
    pub stop_at: Option<Timestamp>,
}

/// How a run begins, or goes on.
#[derive(Debug)]
pub enum Beginning {
    /// It begins.
    Run(RunStarted),
    /// It goes on from what is on record.
    Session(SessionStarted, Tally),
}

/// Why a run could not be carried on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The journal.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The copy of the input.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Nothing, but somebody asked twice to stop and did not wait until all events were durable. All of
    /// them are on record as long as the machine goes on.
    #[error("left before the journal was stored safely")]
    Left(Ended),
}

/// A run under way: leg after leg, from its first event to its last.
pub struct Run<'a, S, R, C, D> {
    chronicle: Chronicle<'a, R>,
    schedule: Schedule,
    campaign: Campaign,
    service: &'a S,
    paces: &'a Paces,
    clock: &'a C,
    dice: &'a mut D,
    interrupts: Interrupts<'a>,
    timeout: Duration,
    stop_at: Option<Timestamp>,
    /// Why the record had no room for more, once that was so.
    without_room: Option<RecordError>,
}

impl<'a, S: Service, R: Record, C: Clock, D: Dice> Run<'a, S, R, C, D> {
    /// Begins it, or goes on with it.
    ///
    /// # Errors
    /// The record failed.
    pub fn begin(
        beginning: Beginning,
        course: Course,
        tools: Tools<'a, S, R, C, D>,
    ) -> Result<Self, Broken> {
        let mut chronicle = Chronicle::new(tools.record, tools.watchers);
        let ((campaign, event), tally) = match beginning {
            Beginning::Run(start) => {
                let mut tally = Tally::default();
                let began = Campaign::begin(start);
                tally.see(&began.1);
                (began, tally)
            }
            Beginning::Session(session, tally) => (Campaign::go_on(session), tally),
        };
        chronicle.tell(tools.clock.wall(), event);
        chronicle.write()?;
        let mut schedule = Schedule::new(course.rules, course.lanes, tally);
        schedule.take_paces(tools.paces);
        for (lane, workspace, why) in tools.left_out {
            schedule.leave_out(lane, workspace, why);
        }
        Ok(Self {
            chronicle,
            schedule,
            campaign,
            service: tools.service,
            paces: tools.paces,
            clock: tools.clock,
            dice: tools.dice,
            interrupts: Interrupts::new(tools.interrupts),
            timeout: course.timeout,
            stop_at: course.stop_at,
            without_room: None,
        })
    }

    /// Reads what `source` asks for, unless the run has ended. What it found is `source`'s.
    ///
    /// # Errors
    /// The record or the source failed.
    pub async fn survey(&mut self, source: &mut dyn Source) -> Result<(), Broken> {
        let began = self.clock.now();
        self.leg(Leg::Survey, None, source).await?;
        self.schedule.surveyed(began);
        Ok(())
    }

    /// Carries out the rows of `source`, unless the run has ended.
    ///
    /// # Errors
    /// The record or the source failed.
    pub async fn rows(&mut self, source: &mut dyn Source) -> Result<(), Broken> {
        self.leg(Leg::Rows, None, source).await
    }

    /// Carries out the rows of one wave, unless the run has ended.
    ///
    /// # Errors
    /// The record or the source failed.
    pub async fn wave(&mut self, wave: u32, source: &mut dyn Source) -> Result<(), Broken> {
        self.leg(Leg::Rows, Some(wave), source).await
    }

    /// Reads back what the rows of a wave have set, unless the run has ended. What it found is `source`'s.
    ///
    /// # Errors
    /// The record or the source failed.
    pub async fn verify(&mut self, wave: u32, source: &mut dyn Source) -> Result<(), Broken> {
        self.leg(Leg::Verification, Some(wave), source).await
    }

    /// What is decided without a request: changes the schedule, and tells what follows from it.
    ///
    /// # Errors
    /// The record failed.
    pub fn decide<T>(&mut self, decide: impl FnOnce(&mut Schedule) -> T) -> Result<T, Broken> {
        let decided = decide(&mut self.schedule);
        self.tell();
        self.chronicle.write()?;
        Ok(decided)
    }

    /// Tells `event`.
    ///
    /// # Errors
    /// The record failed.
    pub fn note(&mut self, event: Event) -> Result<(), Broken> {
        self.chronicle.tell(self.clock.wall(), event);
        Ok(self.chronicle.write()?)
    }

    /// How it stands.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Waits for `answer`, or for somebody who asks to stop.
    async fn wait_for<T>(&mut self, answer: impl Future<Output = T>) -> Result<T, Ended> {
        let answer = std::pin::pin!(answer);
        tokio::select! {
            biased;
            wish = self.interrupts.next() => Err(match wish {
                Wish::Stop(ended) | Wish::Leave(ended) => ended,
            }),
            answer = answer => Ok(answer),
        }
    }

    /// Waits for the `answer` of a person, or for a signal, and records how long that took: meanwhile the run does not work.
    ///
    /// # Errors
    /// The record failed.
    pub async fn ask<T>(
        &mut self,
        answer: impl Future<Output = T>,
    ) -> Result<Result<T, Ended>, Broken> {
        let began = self.clock.now();
        let answered = self.wait_for(answer).await;
        let waited_ms = millis(self.clock.now().saturating_sub(began));
        self.note(Event::Asked { waited_ms })?;
        Ok(answered)
    }

    /// Lets so much time pass, or until somebody asks to stop.
    ///
    /// # Errors
    /// Somebody did.
    pub async fn pause(&mut self, span: Duration) -> Result<(), Ended> {
        self.wait_for(wait(span)).await
    }

    /// Ends it, and waits until everything told is durable.
    ///
    /// # Errors
    /// The record failed: nothing has left since, and what was in flight was dropped, unless the
    /// record had kept room for it. Or somebody left before all events were durable.
    pub async fn finish(mut self) -> Result<Ended, Broken> {
        self.schedule.leave_paces(self.paces);
        let ended = self.schedule.ended();
        let last = self.campaign.finish(ended);
        self.chronicle.tell(self.clock.wall(), last);
        self.chronicle.write()?;
        let moved = self.chronicle.moved();
        let patience = self.clock.now() + LAST_PATIENCE;
        while !self.chronicle.is_shown() {
            let left = patience.saturating_sub(self.clock.now());
            let leaves = self.interrupts.leaves();
            tokio::select! {
                biased;
                wish = self.interrupts.next() => match wish {
                    // It has stopped already.
                    Wish::Stop(_) => {}
                    Wish::Leave(ended) => return Err(Broken::Left(ended)),
                },
                () = moved.notified() => self.chronicle.show()?,
                () = wait(left), if leaves.is_some() => {
                    return Err(Broken::Left(leaves.unwrap_or(ended)));
                }
            }
        }
        match self.without_room {
            Some(error) => Err(error.into()),
            None => Ok(ended),
        }
    }

    /// One leg: one source of requests, until every errand of it has ended.
    async fn leg(
        &mut self,
        leg: Leg,
        wave: Option<u32>,
        source: &mut dyn Source,
    ) -> Result<(), Broken> {
        let is_stopping = self.schedule.is_stopping();
        let Some(event) = self.campaign.next_leg(leg, wave, is_stopping) else {
            return Ok(());
        };
        self.note(event)?;
        self.schedule.begin_leg();
        let (service, timeout) = (self.service, self.timeout);
        let mut in_flight = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        let moved = self.chronicle.moved();
        let mut grace = None;
        loop {
            let now = self.clock.now();
            if self.stop_at.is_some_and(|at| at <= self.clock.wall()) {
                self.schedule.deadline_is_reached(now);
            }
            // No request may leave whose result could not be kept; those in flight have their room.
            if !self.schedule.is_left()
                && let Err(error) = self.chronicle.make_room(in_flight.len() + 1)
            {
                self.schedule.read_no_more();
                grace.get_or_insert(now + GRACE);
                if !self.schedule.is_stopping() {
                    let why = format!("no room: {}", error.0);
                    self.schedule.stop(Ended::RecordFailed, &why);
                    self.without_room = Some(error);
                }
            }
            // A disk that is behind keeps requests from starting, not the run from ending.
            let step = if self.chronicle.is_behind() {
                self.schedule.hold(now, source)?
            } else {
                self.schedule.next(now, source)?
            };
            self.tell();
            let found = self.schedule.take_found();
            if !found.is_empty() {
                for (reading, data) in found {
                    source.found(&reading, data)?;
                }
                if matches!(step, Step::Done | Step::Wait(_)) {
                    continue;
                }
            }
            let wake = match step {
                Step::Send(key, request, within) => {
                    let timeout = within.map_or(timeout, |within| within.min(timeout));
                    in_flight.push(send(service, timeout, key, request));
                    continue;
                }
                Step::Done => return Ok(self.chronicle.write()?),
                Step::Wait(at) => [at, grace].into_iter().flatten().min(),
            };
            // What stands in line leaves below: its attempts are on record before that.
            self.chronicle.write()?;
            let sleep = wake.map_or(Duration::MAX, |at| at.saturating_sub(self.clock.now()));
            tokio::select! {
                biased;
                wish = self.interrupts.next() => match wish {
                    Wish::Stop(ended) => {
                        self.schedule.stop(ended, &stopping(in_flight.len()));
                        grace.get_or_insert(self.clock.now() + GRACE);
                    }
                    Wish::Leave(_) => {
                        in_flight.clear();
                        self.schedule.abandon(self.clock.now());
                    }
                },
                Some((key, reply)) = in_flight.next() => {
                    self.answered(key, reply);
                    // What came together is written together, before it is asked whether there is room for more.
                    while let Some(Some((key, reply))) = in_flight.next().now_or_never() {
                        self.answered(key, reply);
                    }
                    self.tell();
                    self.chronicle.write()?;
                }
                () = moved.notified() => self.chronicle.show()?,
                _ = tick.tick() => self.chronicle.tick(self.clock.wall()),
                () = wait(sleep), if wake.is_some() => {
                    if grace.is_some_and(|grace| grace <= self.clock.now()) {
                        in_flight.clear();
                        self.schedule.abandon(self.clock.now());
                    }
                }
            }
        }
    }

    fn answered(&mut self, key: u64, reply: Reply) {
        let dice = self.dice.roll();
        self.schedule.answered(self.clock.now(), key, reply, dice);
    }

    fn tell(&mut self) {
        let at = self.clock.wall();
        for event in self.schedule.take_events() {
            self.chronicle.tell(at, event);
        }
    }
}

/// What happens after the first signal.
fn stopping(in_flight: usize) -> String {
    match in_flight {
        0 => "no request is in flight".to_owned(),
        _ => format!(
            "waiting {} at most for {in_flight} in flight; a second signal drops them",
            crate::model::span::show(GRACE)
        ),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the loop")]
async fn wait(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Sends one request; the reply is for what `key` names.
async fn send<S: Service>(
    service: &S,
    timeout: Duration,
    key: u64,
    request: Request,
) -> (u64, Reply) {
    (key, service.send(&request, timeout).await)
}
