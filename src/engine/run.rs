//! The one loop: asks the schedule "what now?", does it, and tells it the answer.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{FuturesUnordered, Stream, StreamExt};

use crate::model::event::{RunStarted, SessionStarted};
use crate::model::outcome::Ended;
use crate::model::reply::Reply;
use crate::model::tally::Tally;
use crate::model::target::{LaneId, Workspace};

use super::campaign::Campaign;
use super::chronicle::Chronicle;
use super::interrupts::{Interrupts, Wish};
use super::ports::{Clock, Dice, Record, RecordError, Request, Rows, RowsError, Service, Watcher};
use super::schedule::{Rules, Schedule, Step};

/// How long requests in flight may take once the run was told to stop.
const GRACE: Duration = Duration::from_secs(20);
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
    /// The rows.
    pub rows: &'a mut dyn Rows,
    /// Workspaces that are left out from the start, and why.
    pub left_out: Vec<(LaneId, Workspace, String)>,
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

/// Carries a run out from its first event to its last.
///
/// # Errors
/// The record or the rows failed: nothing has left since, and what was in flight was dropped, unless the
/// record had kept room for it. Or somebody left before all events were durable.
pub async fn carry_out<S, R, C, D>(
    beginning: Beginning,
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
    let ((mut campaign, event), tally) = match beginning {
        Beginning::Run(start) => (Campaign::begin(start), Tally::default()),
        Beginning::Session(session, tally) => (Campaign::go_on(session), tally),
    };
    chronicle.tell(tools.clock.wall(), event)?;
    let mut schedule = Schedule::new(course.rules, course.lanes, tally);
    for (lane, workspace, why) in tools.left_out {
        schedule.leave_out(lane, workspace, why);
    }
    let mut interrupts = Interrupts::new(tools.interrupts);
    let mut desk = Desk {
        chronicle: &mut chronicle,
        schedule: &mut schedule,
        service: tools.service,
        clock: tools.clock,
        dice: tools.dice,
        interrupts: &mut interrupts,
        timeout: course.timeout,
    };
    let mut ended = Ended::Completed;
    let mut without_room = None;
    while let Some((_leg, event)) = campaign.next_leg(ended) {
        desk.chronicle.tell(desk.clock.wall(), event)?;
        without_room = desk.carry_out_leg(tools.rows).await?;
        ended = desk.schedule.ended();
    }
    chronicle.tell(tools.clock.wall(), campaign.finish(ended))?;
    let moved = chronicle.moved();
    let patience = tools.clock.now() + LAST_PATIENCE;
    while !chronicle.is_shown() {
        let left = patience.saturating_sub(tools.clock.now());
        let leaves = interrupts.leaves();
        tokio::select! {
            biased;
            wish = interrupts.next() => match wish {
                // It has stopped already.
                Wish::Stop(_) => {}
                Wish::Leave(ended) => return Err(Broken::Left(ended)),
            },
            () = moved.notified() => chronicle.show()?,
            () = wait(left), if leaves.is_some() => {
                return Err(Broken::Left(leaves.unwrap_or(ended)));
            }
        }
    }
    match without_room {
        Some(error) => Err(error.into()),
        None => Ok(ended),
    }
}

/// Where the loop works.
struct Desk<'a, 'b, S, R, C, D> {
    chronicle: &'a mut Chronicle<'b, R>,
    schedule: &'a mut Schedule,
    service: &'a S,
    clock: &'a C,
    dice: &'a mut D,
    interrupts: &'a mut Interrupts<'b>,
    timeout: Duration,
}

impl<S: Service, R: Record, C: Clock, D: Dice> Desk<'_, '_, S, R, C, D> {
    /// One leg: one source of requests, until every row of it has ended. Returns why the record had no
    /// room for more, if that ended it.
    async fn carry_out_leg(&mut self, rows: &mut dyn Rows) -> Result<Option<RecordError>, Broken> {
        let (service, timeout) = (self.service, self.timeout);
        let mut in_flight = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        let moved = self.chronicle.moved();
        let mut grace = None;
        let mut without_room = None;
        loop {
            let now = self.clock.now();
            // No request may leave whose result could not be kept; those in flight have their room.
            if !self.schedule.is_stopping()
                && let Err(error) = self.chronicle.make_room(in_flight.len() + 1)
            {
                let why = format!("no room: {}", error.0);
                self.schedule.stop(Ended::RecordFailed, &why);
                grace = Some(now + GRACE);
                without_room = Some(error);
            }
            // A disk that is behind keeps requests from starting, not the run from ending.
            let step = if self.chronicle.is_behind() {
                self.schedule.hold(now, rows)?
            } else {
                self.schedule.next(now, rows)?
            };
            self.tell()?;
            let wake = match step {
                Step::Send(request) => {
                    in_flight.push(send(service, timeout, request));
                    continue;
                }
                Step::Done => return Ok(without_room),
                Step::Wait(at) => [at, grace].into_iter().flatten().min(),
            };
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
                Some((row, reply)) = in_flight.next() => {
                    let dice = self.dice.roll();
                    self.schedule.answered(self.clock.now(), row, &reply, dice);
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
