//! Laws of runs that read the live state first, in virtual time: somebody else works on the same workflows
//! all the while.
//!
//! FLOWBATCH_CAMPAIGN=N plays N times as many scenarios, and always others.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod campaign;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Cursor;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowbatch::engine::ports::{
    Clock, Dice, Errand, Past, Record, RecordError, Request, RowsError, Seq, Service, Source,
    Taken, Watcher,
};
use flowbatch::engine::run::{Beginning, Course, Run, Tools};
use flowbatch::engine::schedule::{Paces, Rules};
use flowbatch::model::event::{Event, FORMAT, RunStarted, Stamped};
use flowbatch::model::field::{Field, FieldSet};
use flowbatch::model::guard::Guards;
use flowbatch::model::id::Id;
use flowbatch::model::outcome::{Ended, ErrorClass, Failure, Outcome, Status};
use flowbatch::model::rate::{Per, Rate};
use flowbatch::model::reading::{Of, Reading};
use flowbatch::model::reply::{Data, Reply};
use flowbatch::model::row::Row;
use flowbatch::model::simulation::{Fault, FaultKind, Simulation};
use flowbatch::model::target::{LaneId, Workspace};
use flowbatch::model::update::{Sent, Update};
use flowbatch::plan::decision::{Decision, Terms, decide};
use flowbatch::plan::snapshot::Snapshot;
use flowbatch::plan::survey::Survey;
use flowbatch::policy::budget::{Budget, Most};
use flowbatch::policy::retry::Retry;
use flowbatch::simulator::call::{Call, Operation};
use flowbatch::simulator::memory::Memory;
use flowbatch::simulator::method::Method;
use flowbatch::simulator::world::World;
use futures::stream;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::sync::Notify;
use tokio::time::Instant;

fn place() -> Workspace {
    Workspace {
        project_id: Id::parse("project").unwrap(),
        workspace_id: Id::parse("workspace").unwrap(),
    }
}

/// What is played.
#[derive(Clone, Debug)]
struct Scenario {
    seed: u64,
    /// Whether each row is guarded.
    rows: Vec<bool>,
    service: Simulation,
    sent: Sent,
    max_age: Duration,
    /// How often a request is followed by an edit of somebody else's.
    busy: f64,
    /// Requests in flight.
    concurrency: usize,
}

/// What came of it.
struct Played {
    ended: Ended,
    outcomes: HashMap<u64, Outcome>,
    /// Updates of guarded rows that overwrote what somebody else had written.
    overwritten: Vec<String>,
    world: Arc<Mutex<World>>,
    ids: Vec<String>,
}

/// Somebody else, who works on the same workflows, but not between the reading of a row and its update.
struct Colleague<'a> {
    memory: Memory,
    world: Arc<Mutex<World>>,
    ids: &'a [String],
    guarded: HashSet<String>,
    busy: f64,
    dice: RefCell<fastrand::Rng>,
    /// Workflows that were read, and whose update may follow.
    held: RefCell<HashSet<String>>,
    overwritten: RefCell<Vec<String>>,
    edits: RefCell<u32>,
}

/// What the row of a workflow wishes for.
fn wish(id: &str) -> String {
    format!("Mine {id}")
}

impl Colleague<'_> {
    fn live(&self, id: &str) -> String {
        let world = self.world.lock().unwrap();
        world.workflow(&place(), id).unwrap().description.clone()
    }

    fn edit(&self) {
        let mut dice = self.dice.borrow_mut();
        if dice.f64() >= self.busy {
            return;
        }
        let id = &self.ids[dice.usize(..self.ids.len())];
        if self.held.borrow().contains(id) {
            return;
        }
        *self.edits.borrow_mut() += 1;
        let call = Call {
            workspace: place(),
            operation: Operation::UpdateWorkflow {
                workflow_id: id.clone(),
                update: Ok(Update {
                    description: Some(format!("Theirs {}", self.edits.borrow())),
                    ..Update::default()
                }),
            },
        };
        let mut world = self.world.lock().unwrap();
        world.handle(&call, Duration::ZERO);
    }
}

impl Service for Colleague<'_> {
    async fn send(&self, request: &Request, timeout: Duration) -> Reply {
        self.edit();
        match request {
            Request::Get(row) => {
                // From here on the reading may be true.
                self.held.borrow_mut().insert(row.workflow_id.to_string());
            }
            Request::Put(row, _) => {
                let id = row.workflow_id.as_str();
                let there = self.live(id);
                if self.guarded.contains(id) && there.starts_with("Theirs") {
                    self.overwritten.borrow_mut().push(format!("{id}: {there}"));
                }
            }
            Request::Read(_) => {}
        }
        let reply = self.memory.send(request, timeout).await;
        if let Request::Put(row, _) = request {
            self.held.borrow_mut().remove(row.workflow_id.as_str());
        }
        reply
    }
}

/// A record in memory, durable at once.
#[derive(Default)]
struct Book {
    count: Seq,
    moved: Arc<Notify>,
}

impl Record for Book {
    fn append(&mut self, events: &[Stamped]) -> Result<Seq, RecordError> {
        self.count += events.len() as Seq;
        Ok(self.count)
    }
    fn make_room(&mut self, _: usize) -> Result<(), RecordError> {
        Ok(())
    }
    fn durable(&self) -> Result<Seq, RecordError> {
        Ok(self.count)
    }
    fn moved(&self) -> Arc<Notify> {
        Arc::clone(&self.moved)
    }
}

#[derive(Default)]
struct Ends(HashMap<u64, Outcome>);

impl Watcher for Ends {
    fn see(&mut self, stamped: &Stamped) {
        if let Event::RowEnded { row, outcome, .. } = &stamped.event {
            let before = self.0.insert(*row, outcome.clone());
            assert!(before.is_none(), "row {row} ends twice");
        }
    }
    fn tick(&mut self, _: Timestamp) {}
}

struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.0.elapsed()
    }
}

struct Jitter(fastrand::Rng);

impl Dice for Jitter {
    fn roll(&mut self) -> f64 {
        self.0.f64()
    }
}

struct Lists {
    survey: Survey,
    snapshot: Snapshot<Cursor<Vec<u8>>>,
}

impl Source for Lists {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        Ok(self.survey.next(lane).map(Errand::Reading))
    }
    fn found(&mut self, reading: &Reading, data: Result<Data, Failure>) -> Result<(), RowsError> {
        match (&reading.of, data) {
            (
                Of::Page(page),
                Ok(Data::Page {
                    workflows, total, ..
                }),
            ) => {
                for listed in &workflows {
                    self.snapshot
                        .keep(reading.lane, &reading.workspace, listed)
                        .unwrap();
                }
                self.survey
                    .found(reading, *page, workflows.len() as u64, total);
            }
            (_, Err(failure)) => self.survey.failed(reading, &failure),
            (of, Ok(data)) => panic!("{of:?} gives {data:?}"),
        }
        Ok(())
    }
}

struct Planned(VecDeque<Taken>);

impl Source for Planned {
    fn next(&mut self, _: LaneId) -> Result<Option<Errand>, RowsError> {
        Ok(self.0.pop_front().map(|taken| Errand::Row(Box::new(taken))))
    }
    fn found(&mut self, _: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        Ok(())
    }
}

fn play(scenario: &Scenario) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play_now(scenario))
}

async fn play_now(scenario: &Scenario) -> Played {
    let mut world = World::new(scenario.service.clone());
    world.populate(&place(), scenario.rows.len());
    world.keep_ledger();
    let live: Vec<_> = world
        .workflows(&place())
        .map(|found| found.live())
        .collect();
    let ids: Vec<_> = live.iter().map(|live| live.id.clone()).collect();
    let rows: Vec<_> = live
        .iter()
        .zip(&scenario.rows)
        .enumerate()
        .map(|(index, (live, guarded))| {
            row(index as u64 + 1, &live.id, &live.description, *guarded)
        })
        .collect();
    let guarded = rows.iter().filter(|row| !row.guards.is_empty());
    let guarded = guarded.map(|row| row.workflow_id.to_string()).collect();
    let world = Arc::new(Mutex::new(world));
    let colleague = Colleague {
        memory: Memory::new(Arc::clone(&world)),
        world: Arc::clone(&world),
        ids: &ids,
        guarded,
        busy: scenario.busy,
        dice: RefCell::new(fastrand::Rng::with_seed(scenario.seed)),
        held: RefCell::default(),
        overwritten: RefCell::default(),
        edits: RefCell::default(),
    };
    #[expect(clippy::disallowed_methods, reason = "virtual time")]
    let clock = Virtual(Instant::now());
    let mut ends = Ends::default();
    let mut dice = Jitter(fastrand::Rng::with_seed(scenario.seed));
    let ended = {
        let interrupts = std::pin::pin!(stream::pending());
        let tools = Tools {
            service: &colleague,
            record: &mut Book::default(),
            watchers: vec![&mut ends],
            left_out: Vec::new(),
            paces: &Paces::default(),
            clock: &clock,
            dice: &mut dice,
            interrupts,
        };
        let start = RunStarted {
            format: FORMAT,
            run_id: "20260101T000000Z-000000".into(),
            tool_version: "0.0.0".into(),
            operator: "tester".into(),
            job_sha256: "job".into(),
            input_sha256: None,
            copy: None,
            lanes: Vec::new(),
            seed: scenario.seed,
            rows: rows.len() as u64,
            skipped: 0,
        };
        let mut run = Run::begin(Beginning::Run(start), course(scenario), tools).unwrap();
        let mut lists = Lists {
            survey: Survey::default(),
            snapshot: Snapshot::new(Cursor::new(Vec::new()), true),
        };
        lists.survey.add(LaneId(0), &place(), None);
        run.survey(&mut lists).await.unwrap();
        lists.snapshot.settle().unwrap();
        let mut planned = VecDeque::new();
        for row in rows {
            let id = row.workflow_id.as_str();
            let live = lists.snapshot.live(LaneId(0), &place(), id).unwrap();
            let decision = live
                .as_ref()
                .map(|live| decide(&row, live, terms(scenario)));
            let taken = Taken {
                row,
                past: Past::default(),
                live,
                decided: None,
                is_before_doubt: false,
                is_touched: false,
            };
            let taken = taken.compared(terms(scenario));
            let (status, failure) = match decision {
                Some(Decision::Change(..)) => {
                    planned.push_back(taken);
                    continue;
                }
                Some(Decision::Unchanged) => (Status::Unchanged, None),
                Some(Decision::Conflict(message)) => {
                    let failure = Failure::new(ErrorClass::Conflict, message);
                    (Status::Conflict, Some(failure))
                }
                Some(Decision::Hopeless(failure)) => (Status::Failed, Some(failure)),
                None => {
                    let failure = Failure::new(ErrorClass::NotFound, "not seen");
                    (Status::Failed, Some(failure))
                }
            };
            run.decide(|schedule| schedule.end_by_plan(&taken, status, None, failure, None, false))
                .unwrap();
        }
        run.rows(&mut Planned(planned)).await.unwrap();
        run.finish().await.unwrap()
    };
    let overwritten = colleague.overwritten.take();
    Played {
        ended,
        outcomes: ends.0,
        overwritten,
        world,
        ids,
    }
}

fn row(number: u64, id: &str, description: &str, guarded: bool) -> Row {
    Row {
        update: Update {
            description: Some(wish(id)),
            ..Update::default()
        },
        guards: Guards {
            fields: match guarded {
                true => vec![(Field::Description, description.to_owned())],
                false => Vec::new(),
            },
            update_time: None,
        },
        ..Row::new(number, LaneId(0), place(), Id::parse(id).unwrap())
    }
}

fn terms(scenario: &Scenario) -> Terms {
    Terms {
        sent: scenario.sent,
        ..Terms::default()
    }
}

fn course(scenario: &Scenario) -> Course {
    let number = |number| NonZeroU32::new(number).unwrap();
    Course {
        rules: Rules {
            concurrency: scenario.concurrency,
            rate: Rate::new(number(200), Per::Second),
            finds_limit: false,
            burst: number(5),
            retry: Retry {
                max_attempts: 4,
                initial_delay: Duration::from_millis(200),
                max_delay: Duration::from_secs(5),
            },
            budget: Budget {
                max_errors: Most::Count(u64::MAX),
                min_rows: 0,
            },
            patience: Duration::from_secs(600),
            deadline: None,
            terms: terms(scenario),
            max_age: scenario.max_age,
            canaries: true,
            confirm_within: Duration::from_secs(10),
            allow_cleared: FieldSet::default(),
        },
        lanes: 1,
        timeout: Duration::from_secs(10),
        stop_at: None,
    }
}

fn service() -> impl Strategy<Value = Simulation> {
    let fault = |kind, most: f64| (0.0..=most).prop_map(move |share| Fault { kind, share });
    let faults = (
        fault(FaultKind::Unavailable, 0.1),
        fault(FaultKind::Reset, 0.05),
        fault(FaultKind::ResetAfter, 0.05),
        fault(FaultKind::Truncated, 0.05),
    );
    (any::<u64>(), faults, any::<bool>()).prop_map(|(seed, faults, throttles)| Simulation {
        seed,
        latency: (Duration::from_millis(5), Duration::from_millis(80)),
        rate_limits: match throttles {
            true => vec!["60/s".parse().unwrap()],
            false => Vec::new(),
        },
        faults: vec![faults.0, faults.1, faults.2, faults.3],
        ..Simulation::default()
    })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let rows = prop::collection::vec(any::<bool>(), 1..160);
    let age = prop_oneof![
        Just(Duration::from_secs(600)),
        Just(Duration::from_millis(200))
    ];
    let sent = prop_oneof![3 => Just(Sent::Changed), 1 => Just(Sent::Full)];
    (
        any::<u64>(),
        rows,
        service(),
        sent,
        age,
        0.0..0.8,
        1..32_usize,
    )
        .prop_map(
            |(seed, rows, service, sent, max_age, busy, concurrency)| Scenario {
                seed,
                rows,
                service,
                sent,
                max_age,
                busy,
                concurrency,
            },
        )
}

fn law<T: std::fmt::Debug>(
    cases: u32,
    scenarios: impl Strategy<Value = T>,
    holds: impl Fn(T) -> Result<(), TestCaseError>,
) {
    if let Err(broken) = TestRunner::new(campaign::config(cases)).run(&scenarios, holds) {
        panic!("{broken}");
    }
}

#[test]
fn no_edit_of_anybody_else_is_overwritten_where_a_row_is_guarded() {
    law(150, scenario(), |scenario| {
        let played = play(&scenario);
        prop_assert_eq!(&played.overwritten, &Vec::<String>::new());
        prop_assert_eq!(played.outcomes.len(), scenario.rows.len(), "each row ends");
        Ok(())
    });
}

#[test]
fn what_is_said_to_have_succeeded_was_there_and_says_what_was_there_before() {
    law(100, scenario(), |scenario| {
        let scenario = Scenario {
            busy: 0.0,
            ..scenario
        };
        let played = play(&scenario);
        let world = played.world.lock().unwrap();
        for (row, outcome) in &played.outcomes {
            let id = &played.ids[usize::try_from(*row).unwrap() - 1];
            let live = world.workflow(&place(), id).unwrap();
            if outcome.status != Status::Succeeded {
                continue;
            }
            prop_assert_eq!(&live.description, &wish(id));
            let change = outcome.change.as_ref().unwrap();
            prop_assert_eq!(&change.after[&Field::Description], &wish(id));
            prop_assert_ne!(&change.before[&Field::Description], &wish(id));
        }
        Ok(())
    });
}

#[test]
fn a_service_that_clears_what_is_not_sent_is_found_out_by_one_workflow() {
    law(60, scenario(), |scenario| {
        let scenario = Scenario {
            busy: 0.0,
            sent: Sent::Changed,
            service: Simulation {
                clears_unsent: true,
                ..scenario.service
            },
            ..scenario
        };
        let played = play(&scenario);
        let world = played.world.lock().unwrap();
        let applied = world.ledger().iter().filter(|entry| entry.applied);
        let touched: HashSet<_> = applied.map(|entry| entry.subject.clone()).collect();
        let told =
            |outcome: &&Outcome| outcome.status == Status::Failed && outcome.change.is_some();
        let told = played.outcomes.values().filter(told).count();
        // An update whose answer was lost may have been carried out before the first was read back; so may
        // one that nobody could read back.
        let in_doubt =
            |outcome: &&Outcome| outcome.status == Status::Unknown || outcome.note.is_some();
        let doubts = played.outcomes.values().filter(in_doubt);
        prop_assert!(
            touched.len() <= 1 + doubts.count(),
            "{touched:?} {:?}",
            played.outcomes
        );
        prop_assert!(told <= 1);
        if told == 1 {
            prop_assert_eq!(played.ended, Ended::Gate);
        }
        Ok(())
    });
}

#[test]
fn a_survey_costs_a_request_for_each_hundred_workflows() {
    for count in [1, 100, 101, 1_234] {
        let played = play(&Scenario {
            seed: 1,
            rows: vec![false; count],
            service: Simulation::default(),
            sent: Sent::Changed,
            max_age: Duration::from_secs(600),
            busy: 0.0,
            concurrency: 16,
        });
        let world = played.world.lock().unwrap();
        let asked = |method| {
            let entries = world.ledger().iter();
            entries.filter(|entry| entry.method == method).count()
        };
        assert_eq!(asked(Method::ListWorkflows), count.div_ceil(100));
        // A canary before and after its update: the first row, and the first one that is enabled.
        let ids = played.ids.iter();
        let first_enabled = ids
            .map(|id| world.workflow(&place(), id).unwrap().enabled)
            .position(|enabled| enabled);
        let canaries = 1 + usize::from(first_enabled.is_some_and(|place| place > 0));
        assert_eq!(asked(Method::ShowWorkflow), 2 * canaries);
        assert_eq!(asked(Method::UpdateWorkflow), count);
        assert_eq!(played.ended, Ended::Completed);
    }
}
