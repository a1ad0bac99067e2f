//! The language of the laws: a scenario is played in virtual time, and what was played is looked at.

pub(crate) mod book;
pub(crate) mod front;
pub(crate) mod replay;
pub(crate) mod scenario;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowbatch::engine::ports::{Clock, Dice, Errand, RowsError, Source};
use flowbatch::engine::run::{Beginning, Broken, Run, Tools};
use flowbatch::engine::schedule::Paces;
use flowbatch::model::endpoint::Endpoint;
use flowbatch::model::event::{Event, FORMAT, Method, RunStarted, Stamped};
use flowbatch::model::field::Field;
use flowbatch::model::guard::Guards;
use flowbatch::model::id::Id;
use flowbatch::model::outcome::{Ended, Failure, Outcome};
use flowbatch::model::reading::Reading;
use flowbatch::model::reply::Data;
use flowbatch::model::route::{LaneFacts, Route};
use flowbatch::model::row::Row;
use flowbatch::model::tally::Tally;
use flowbatch::model::target::{LaneId, Workspace};
use flowbatch::model::update::Update;
use flowbatch::model::workflow::Workflow;
use flowbatch::simulator::memory::Memory;
use flowbatch::simulator::world::World;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::time::Instant;

use book::{Book, Reader};
use front::{Departure, Front};
use scenario::{Scenario, Wish};

/// A scenario that was played.
pub(crate) struct Played {
    /// What was to be played.
    pub scenario: Scenario,
    /// How the run ended, also if somebody left before its record was durable.
    pub ended: Result<Ended, Broken>,
    /// Whether somebody did.
    pub was_left: bool,
    /// When.
    pub ended_at: Duration,
    /// What is on record.
    pub events: Vec<Stamped>,
    /// What the watcher was shown.
    pub seen: Vec<Stamped>,
    /// The watcher's counts.
    pub tally: Tally,
    /// How many events the watcher was shown before they were durable.
    pub shown_early: usize,
    /// The most events that were not durable when an attempt was told.
    pub most_pending: usize,
    /// What left.
    pub departures: Vec<Departure>,
    /// The rows of the run.
    pub rows: Vec<Row>,
    /// The workflows before the run, by row.
    pub before: Vec<Option<Workflow>>,
    /// The service's world, as it was left.
    pub world: Arc<Mutex<World>>,
}

impl Played {
    /// The requests that were told, in order: for which row, and what they ask.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = (u64, Method)> {
        self.events.iter().filter_map(|stamped| {
            let Event::Attempt { row, method, .. } = stamped.event else {
                return None;
            };
            Some((row, method))
        })
    }

    /// How each row ended that did.
    pub(crate) fn outcomes(&self) -> BTreeMap<u64, &Outcome> {
        let ends = self.events.iter().filter_map(|stamped| {
            let Event::RowEnded { row, outcome, .. } = &stamped.event else {
                return None;
            };
            Some((*row, outcome))
        });
        ends.collect()
    }

    /// The row of this number.
    pub(crate) fn row(&self, number: u64) -> &Row {
        &self.rows[usize::try_from(number).unwrap() - 1]
    }

    /// The workflow of a row as it is now.
    pub(crate) fn live(&self, row: &Row) -> Option<Workflow> {
        live(&self.world.lock().unwrap(), row)
    }

    /// Whether an update of the row was carried out.
    pub(crate) fn was_applied(&self, row: &Row) -> bool {
        let world = self.world.lock().unwrap();
        let mut entries = world.ledger().iter();
        entries.any(|entry| entry.applied && entry.subject == row.workflow_id.as_str())
    }
}

/// When an event happened, since the start of the run.
pub(crate) fn since_start(stamped: &Stamped) -> Duration {
    stamped.at.duration_since(EPOCH).try_into().unwrap()
}

/// A law: in `cases` scenarios (times FLOWBATCH_CAMPAIGN), `holds` holds.
///
/// Without FLOWBATCH_CAMPAIGN the scenarios are always the same; with it, always others.
pub(crate) fn law<T: std::fmt::Debug>(
    cases: u32,
    scenarios: impl Strategy<Value = T>,
    holds: impl Fn(T) -> Result<(), TestCaseError>,
) {
    let config = Config {
        max_shrink_iters: 200,
        ..crate::campaign::config(cases)
    };
    if let Err(broken) = TestRunner::new(config).run(&scenarios, holds) {
        panic!("{broken}");
    }
}

/// Plays `scenario` from the first event to the last.
pub(crate) fn play(scenario: &Scenario) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play_now(scenario))
}

async fn play_now(scenario: &Scenario) -> Played {
    let clock = Virtual::start(scenario.jump);
    let mut world = World::new(scenario.service.clone());
    world.keep_ledger();
    let rows = settle(scenario, &mut world);
    let before = rows.iter().map(|row| live(&world, row)).collect();
    let world = Arc::new(Mutex::new(world));
    let memory = Memory::new(Arc::clone(&world));
    let mut book = Book::open(scenario.disk);
    let mut reader = Reader::of(&book);
    let front = Front::new(memory, book.clone(), &clock, scenario);
    let start = RunStarted {
        format: FORMAT,
        run_id: "20260101T000000Z-000000".into(),
        tool_version: "0.0.0".into(),
        operator: "tester".into(),
        job_sha256: "job".into(),
        input_sha256: None,
        copy: None,
        lanes: (0..scenario.course.lanes).map(lane_facts).collect(),
        seed: scenario.seed,
        rows: rows.len() as u64,
        skipped: 0,
    };
    let since_start = &clock;
    let asked = stream::iter(scenario.interrupts.clone()).then(move |(at, how)| async move {
        pause(at.saturating_sub(since_start.now())).await;
        how
    });
    let tools = Tools {
        left_out: Vec::new(),
        paces: &Paces::default(),
        service: &front,
        record: &mut book,
        watchers: vec![&mut reader],
        clock: &clock,
        dice: &mut Jitter(fastrand::Rng::with_seed(scenario.seed)),
        interrupts: std::pin::pin!(asked),
    };
    let mut pile = Pile::of(&rows, scenario.course.lanes);
    let mut course = scenario.course;
    // Who refuses at random has no limit to be found.
    course.rules.finds_limit &= scenario.weather.storm.is_none();
    let ended = match Run::begin(Beginning::Run(start), course, tools) {
        Ok(mut run) => match run.rows(&mut pile).await {
            Ok(()) => run.finish().await,
            Err(broken) => Err(broken),
        },
        Err(broken) => Err(broken),
    };
    let ended_at = clock.now();
    let page = std::mem::take(&mut *book.page());
    let was_left = matches!(ended, Err(Broken::Left(_)));
    let ended = match page.events.last().map(|last| &last.event) {
        Some(Event::SessionEnded { ended }) if was_left => Ok(*ended),
        _ => ended,
    };
    Played {
        scenario: scenario.clone(),
        ended,
        was_left,
        ended_at,
        events: page.events,
        seen: reader.seen,
        tally: reader.tally,
        shown_early: reader.early,
        most_pending: page.most_pending,
        departures: front.departures(),
        rows,
        before,
        world,
    }
}

/// The workspace of this number.
pub(crate) fn workspace(index: usize) -> Workspace {
    Workspace {
        project_id: Id::parse("project").unwrap(),
        workspace_id: Id::parse(&format!("workspace-{index}")).unwrap(),
    }
}

/// The rows that the scenario wishes for, with the workflows that they are about.
fn settle(scenario: &Scenario, world: &mut World) -> Vec<Row> {
    for index in 0..scenario.workspaces {
        world.populate(&workspace(index), 1);
    }
    let wishes = scenario.wishes.iter().enumerate();
    let rows = wishes.map(|(index, wish)| {
        let home = index % scenario.workspaces;
        let workflow_id = format!("workflow-{index}");
        let workspace = workspace(home);
        if *wish != Wish::Lost {
            world.adopt(&workspace, &workflow_id, None);
        }
        let found = world.workflow(&workspace, &workflow_id);
        let found = found.map(|workflow| workflow.name.clone());
        let new = Some(format!("Wish {index}"));
        let (name, expected) = match wish {
            Wish::Plain | Wish::Lost => (new, None),
            Wish::Guarded => (new, found),
            Wish::Contested => (new, Some("a name of old".to_owned())),
            Wish::Held => (found.clone(), found),
            Wish::Idle => (None, None),
        };
        Row {
            update: Update {
                name,
                ..Update::default()
            },
            guards: Guards {
                fields: expected
                    .into_iter()
                    .map(|name| (Field::Name, name))
                    .collect(),
                update_time: None,
            },
            ..Row::new(
                index as u64 + 1,
                LaneId(scenario.lane(home)),
                workspace,
                Id::parse(&workflow_id).unwrap(),
            )
        }
    });
    rows.collect()
}

fn live(world: &World, row: &Row) -> Option<Workflow> {
    let found = world.workflow(&row.workspace, row.workflow_id.as_str());
    found.map(|record| record.live())
}

/// Rows by lane.
struct Pile(Vec<VecDeque<Row>>);

impl Pile {
    fn of(rows: &[Row], lanes: usize) -> Self {
        let of = |lane| rows.iter().filter(move |row| row.lane == LaneId(lane));
        Self((0..lanes).map(|lane| of(lane).cloned().collect()).collect())
    }
}

impl Source for Pile {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let row = self.0[lane.0].pop_front();
        Ok(row.map(|row| Errand::Row(Box::new(row.into()))))
    }

    fn found(&mut self, reading: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        panic!("nobody asked for {reading:?}")
    }
}

/// Tokio's own clock, which stands still until everything waits.
pub(crate) struct Virtual {
    began: Instant,
    /// How often it was asked.
    asked: Cell<u32>,
    /// When the clock on the wall is put forward, and by how much.
    jump: Option<(Duration, Duration)>,
}

/// When every run begins.
const EPOCH: Timestamp = Timestamp::UNIX_EPOCH;

/// A run that asks for the time more often would go on for ever.
const TOO_OFTEN: u32 = 400_000;

impl Virtual {
    fn start(jump: Option<(Duration, Duration)>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time")]
        let began = Instant::now();
        Self {
            began,
            asked: Cell::new(0),
            jump,
        }
    }
}

impl Clock for Virtual {
    fn now(&self) -> Duration {
        self.asked.set(self.asked.get() + 1);
        let now = self.began.elapsed();
        assert!(self.asked.get() < TOO_OFTEN, "still going on at {now:?}");
        now
    }

    fn wall(&self) -> Timestamp {
        let now = self.now();
        let jump = self.jump.filter(|(at, _)| *at <= now);
        EPOCH + now + jump.map_or(Duration::ZERO, |(_, by)| by)
    }
}

/// Lets virtual time pass.
pub(crate) async fn pause(span: Duration) {
    #[expect(clippy::disallowed_methods, reason = "virtual time")]
    tokio::time::sleep(span).await;
}

struct Jitter(fastrand::Rng);

impl Dice for Jitter {
    fn roll(&mut self) -> f64 {
        self.0.f64()
    }
}

fn lane_facts(lane: usize) -> LaneFacts {
    LaneFacts {
        route: Route {
            endpoint: Endpoint::parse(&format!("https://lane-{lane}.example")).unwrap(),
            region: None,
            profile: None,
        },
        credential: Some("a key".to_owned()),
        identity: None,
    }
}
