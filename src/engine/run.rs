//! The one loop: asks the schedule "what now?", does it, and tells it the answer.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{FuturesUnordered, Stream, StreamExt};

use crate::model::event::RunStarted;
use crate::model::outcome::Ended;
use crate::model::reply::Reply;

use super::campaign::Campaign;
use super::chronicle::Chronicle;
use super::ports::{Clock, Dice, Record, RecordError, Request, Rows, RowsError, Service, Watcher};
use super::schedule::{Rules, Schedule, Step};

/// How long requests in flight may take once the run was told to stop.
const GRACE: Duration = Duration::from_secs(20);
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
    /// The rows.
    pub rows: &'a mut dyn Rows,
    /// The time.
    pub clock: &'a C,
    /// Jitter.
    pub dice: &'a mut D,
    /// Asks to stop: the first lets requests in flight end, the second drops them.
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
}

/// Carries a run out from its first event to its last.
///
/// # Errors
/// The record or the rows failed; nothing has left since, and what was in flight was dropped.
pub async fn carry_out<S, R, C, D>(
    start: RunStarted,
    course: Course,
    tools: Tools<'_, S, R, C, D>,
) -> Result<Ended, Broken>
where
    S: Service,
    R: Record,
    C: Clock,
    D: Dice,
{
    let mut chronicle = Chronicle::new(tools.record, tools.watchers);
    let (mut campaign, event) = Campaign::begin(start);
    chronicle.tell(tools.clock.wall(), event)?;
    let mut schedule = Schedule::new(course.rules, course.lanes);
    let mut desk = Desk {
        chronicle: &mut chronicle,
        schedule: &mut schedule,
        service: tools.service,
        clock: tools.clock,
        dice: tools.dice,
        interrupts: tools.interrupts,
        timeout: course.timeout,
    };
    let mut ended = Ended::Completed;
    while let Some((_leg, event)) = campaign.next_leg(ended) {
        desk.chronicle.tell(desk.clock.wall(), event)?;
        desk.carry_out_leg(tools.rows).await?;
        ended = desk.schedule.ended();
    }
    chronicle.tell(tools.clock.wall(), campaign.finish(ended))?;
    while !chronicle.is_shown() {
        let moved = chronicle.moved();
        let notified = moved.notified();
        chronicle.show();
        if !chronicle.is_shown() {
            notified.await;
        }
    }
    Ok(ended)
}

/// Where the loop works.
struct Desk<'a, 'b, S, R, C, D> {
    chronicle: &'a mut Chronicle<'b, R>,
    schedule: &'a mut Schedule,
    service: &'a S,
    clock: &'a C,
    dice: &'a mut D,
    interrupts: Pin<&'a mut dyn Stream<Item = Ended>>,
    timeout: Duration,
}

impl<S: Service, R: Record, C: Clock, D: Dice> Desk<'_, '_, S, R, C, D> {
    /// One leg: one source of requests, until every row of it has ended.
    async fn carry_out_leg(&mut self, rows: &mut dyn Rows) -> Result<(), Broken> {
        let (service, timeout) = (self.service, self.timeout);
        let mut in_flight = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        let moved = self.chronicle.moved();
        let mut grace = None;
        let mut interruptible = true;
        loop {
            // A disk that is behind keeps requests from starting, not the run from ending.
            let step = if self.chronicle.is_behind() && !self.schedule.is_stopping() {
                Step::Wait(None)
            } else {
                self.schedule.next(self.clock.now(), rows)?
            };
            self.tell()?;
            let wake = match step {
                Step::Send(request) => {
                    in_flight.push(send(service, timeout, request));
                    continue;
                }
                Step::Done => return Ok(()),
                Step::Wait(at) => [at, grace].into_iter().flatten().min(),
            };
            let sleep = wake.map_or(Duration::MAX, |at| at.saturating_sub(self.clock.now()));
            tokio::select! {
                biased;
                stop = self.interrupts.next(), if interruptible => match stop {
                    Some(ended) if grace.is_none() => {
                        self.schedule.stop(ended, &stopping(in_flight.len()));
                        grace = Some(self.clock.now() + GRACE);
                    }
                    Some(_) => {
                        in_flight.clear();
                        self.schedule.abandon(self.clock.now());
                    }
                    None => interruptible = false,
                },
                Some((row, reply)) = in_flight.next() => {
                    let dice = self.dice.roll();
                    self.schedule.answered(self.clock.now(), row, &reply, dice);
                }
                () = moved.notified() => self.chronicle.show(),
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

    fn tell(&mut self) -> Result<(), RecordError> {
        for event in self.schedule.take_events() {
            self.chronicle.tell(self.clock.wall(), event)?;
        }
        Ok(())
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

/// Sends one request; the reply is for its row.
async fn send<S: Service>(service: &S, timeout: Duration, request: Request) -> (u64, Reply) {
    let row = request.row().number;
    (row, service.send(&request, timeout).await)
}
