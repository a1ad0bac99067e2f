//! The record never denies a change: random runs in virtual time against a service with odd manners and a colleague at work,
//! killed and resumed, undone and done again. After each, what the world went through, the report, the undo, the list of
//! changes, the exit code and the journal read again must agree.
//!
//! `FLOWBATCH_SEED=17 cargo test --test agreement` plays one seed; FLOWBATCH_CAMPAIGN=N plays N times as many.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and one that fails prints what it saw"
)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::Cursor;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use flowbatch::engine::ports::{
    Clock, Dice, Errand, Past, Record, RecordError, Request, RowsError, Seq, Service, Source,
    Taken, Watcher,
};
use flowbatch::engine::run::{Beginning, Course, Run, Tools};
use flowbatch::engine::schedule::{Paces, Rules};
use flowbatch::exit::Exit;
use flowbatch::model::change::Change;
use flowbatch::model::event::{Event, FORMAT, RunStarted, SessionStarted, Stamped};
use flowbatch::model::field::{Field, FieldSet};
use flowbatch::model::guard::Guards;
use flowbatch::model::id::Id;
use flowbatch::model::outcome::{Ended, ErrorClass, Failure, Outcome, Status};
use flowbatch::model::reading::{Of, Reading};
use flowbatch::model::reply::{Data, Reply};
use flowbatch::model::row::Row;
use flowbatch::model::row_change::RowChange;
use flowbatch::model::simulation::{Fault, FaultKind, Simulation};
use flowbatch::model::tally::Tally;
use flowbatch::model::target::{LaneId, Workspace};
use flowbatch::model::update::{Label, Sent, Update};
use flowbatch::model::workflow::Workflow;
use flowbatch::plan::decision::{Decision, Live, Terms, decide};
use flowbatch::plan::snapshot::Snapshot;
use flowbatch::plan::survey::Survey;
use flowbatch::plan::undo::WayBack;
use flowbatch::policy::budget::{Budget, Most};
use flowbatch::policy::retry::Retry;
use flowbatch::simulator::call::{Call, Operation};
use flowbatch::simulator::memory::Memory;
use flowbatch::simulator::world::World;
use flowbatch::sinks::changes::{Question, Run as ChangedBy, changes};
use flowbatch::sinks::ends::{Trace, find_ends};
use flowbatch::sinks::history::History;
use flowbatch::sinks::line;
use flowbatch::sinks::reader::Reader;
use flowbatch::sinks::report;
use futures::{FutureExt, stream};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

const SEEDS: u64 = 300;

#[test]
fn the_record_agrees_with_what_the_world_went_through() {
    let one = std::env::var("FLOWBATCH_SEED").ok();
    let times = std::env::var("FLOWBATCH_CAMPAIGN").ok();
    let times: u64 = times.map_or(1, |times| times.parse().unwrap());
    let seeds = match one {
        Some(seed) => {
            let seed: u64 = seed.parse().unwrap();
            seed..seed + 1
        }
        None => 0..SEEDS * times,
    };
    let mut bad = Vec::new();
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        for problem in runtime.block_on(play(seed, &mut met)) {
            println!("BAD  FLOWBATCH_SEED={seed} cargo test --test agreement  # {problem}");
            bad.push(seed);
        }
    }
    println!("{met:?}");
    assert!(bad.is_empty(), "seeds {bad:?}");
}

fn place() -> Workspace {
    Workspace {
        project_id: Id::parse("project").unwrap(),
        workspace_id: Id::parse("workspace").unwrap(),
    }
}

/// The fields of a workflow that an update can change.
type Values = BTreeMap<Field, String>;

fn values(live: &Workflow) -> Values {
    let value = |field: Field| (field, live.value(field).to_owned());
    Field::ALL.map(value).into()
}

/// What is between the run and the world: it sees what each update really did, and lets a colleague work, but never between a
/// reading and the update that follows it, which no client can see.
struct Front<'a> {
    memory: Memory,
    world: Arc<Mutex<World>>,
    dice: RefCell<Rng>,
    /// How often a request is followed by an edit of the colleague's.
    busy: f64,
    held: RefCell<BTreeSet<String>>,
    /// What updates did, in order: the workflow, before and after.
    done: &'a RefCell<Vec<(String, Values, Values)>>,
    /// Workflows that the colleague has changed, and when: by the count of updates before.
    edited: &'a RefCell<BTreeMap<String, (usize, String)>>,
    edits: Cell<u32>,
}

impl Front<'_> {
    fn values(&self, id: &str) -> Option<Values> {
        let world = self.world.lock().unwrap();
        world
            .workflow(&place(), id)
            .map(|found| values(&found.live()))
    }

    fn let_the_colleague_work(&self) {
        let mut dice = self.dice.borrow_mut();
        if dice.f64() >= self.busy {
            return;
        }
        let mut world = self.world.lock().unwrap();
        let ids: Vec<_> = world
            .workflows(&place())
            .map(|found| found.id.clone())
            .collect();
        let id = &ids[dice.usize(..ids.len())];
        if self.held.borrow().contains(id) {
            return;
        }
        self.edits.set(self.edits.get() + 1);
        let text = format!("theirs {}", self.edits.get());
        edit(&mut world, id, |update| {
            update.description = Some(text.clone())
        });
        self.edited
            .borrow_mut()
            .insert(id.clone(), (self.done.borrow().len(), text));
    }
}

/// Sets fields of a workflow, as its author did.
fn edit(world: &mut World, id: &str, set: impl FnOnce(&mut Update)) {
    let mut update = Update::default();
    set(&mut update);
    let call = Call {
        workspace: place(),
        operation: Operation::UpdateWorkflow {
            workflow_id: id.to_owned(),
            update: Ok(update),
        },
    };
    world.behave(Simulation::default());
    world.handle(&call, Duration::ZERO);
}

impl Service for Front<'_> {
    async fn send(&self, request: &Request, timeout: Duration) -> Reply {
        let own = self.world.lock().unwrap().simulation().clone();
        self.let_the_colleague_work();
        self.world.lock().unwrap().behave(own);
        let id = request.workflow_id().map(ToString::to_string);
        if let (Request::Get(_), Some(id)) = (request, &id) {
            self.held.borrow_mut().insert(id.clone());
        }
        let before = id.as_deref().and_then(|id| self.values(id));
        let mut answer = std::pin::pin!(self.memory.send(request, timeout));
        // The world does what it does at once; the answer takes its time.
        let at_once = answer.as_mut().now_or_never();
        if let (Request::Put(..), Some(id), Some(before)) = (request, &id, before) {
            self.held.borrow_mut().remove(id);
            let after = self.values(id).unwrap();
            if before != after {
                self.done.borrow_mut().push((id.clone(), before, after));
            }
        }
        match at_once {
            Some(reply) => reply,
            None => answer.await,
        }
    }
}

/// A record in memory, as the file would be.
#[derive(Default)]
struct Journal {
    bytes: Vec<u8>,
    count: Seq,
    moved: Arc<Notify>,
}

impl Record for Journal {
    fn append(&mut self, events: &[Stamped]) -> Result<Seq, RecordError> {
        line::write(&mut self.bytes, events, |_, _| {}).unwrap();
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

impl Journal {
    fn events(&self) -> Vec<Stamped> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for stamped in self.events() {
            tally.see(&stamped.event);
        }
        tally
    }

    fn history(&self) -> History<Cursor<Vec<u8>>> {
        let ends = find_ends(&mut Reader::new(self.bytes.as_slice())).unwrap();
        History::new(Rc::new(ends), Cursor::new(self.bytes.clone()))
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn see(&mut self, _: &Stamped) {}
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

struct Jitter(Rng);

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
                let count = workflows.len() as u64;
                self.survey.found(reading, *page, count, total);
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

/// A run with all its sessions: what the run folder holds.
struct Recorded {
    rows: Vec<Row>,
    sent: Sent,
    journal: Journal,
    /// The plans, the last of each row.
    plan: HashMap<u64, Change>,
    /// What was there before the first session sent anything.
    first_seen: HashMap<u64, Live>,
    sessions: u32,
    ended: Option<Ended>,
}

impl Recorded {
    fn new(rows: Vec<Row>, sent: Sent) -> Self {
        Self {
            rows,
            sent,
            journal: Journal::default(),
            plan: HashMap::new(),
            first_seen: HashMap::new(),
            sessions: 0,
            ended: None,
        }
    }

    /// One session of it, which is killed if it is not over in `most`. Tells whether it was.
    async fn session(
        &mut self,
        front: &Front<'_>,
        seed: u64,
        failed_too: bool,
        most: Duration,
    ) -> bool {
        let mut history = (self.sessions > 0).then(|| self.journal.history());
        let in_doubt = self.planned_changes();
        let mut left = Vec::new();
        for row in &self.rows {
            let past = match &mut history {
                None => Some(Past::default()),
                Some(history) => history.past(row.number, failed_too).unwrap(),
            };
            let Some(mut past) = past else { continue };
            if past.unproven && past.change.is_none() {
                past.change = in_doubt.get(&row.number).cloned();
            }
            left.push((row.clone(), past));
        }
        let beginning = self.beginning(seed, left.len() as u64);
        self.sessions += 1;
        #[expect(clippy::disallowed_methods, reason = "virtual time")]
        let clock = Virtual(Instant::now());
        let course = course(self.sent);
        let terms = course.rules.terms;
        let (first_seen, plan) = (&mut self.first_seen, &mut self.plan);
        let interrupts = std::pin::pin!(stream::pending());
        let (mut nobody, mut jitter) = (Nobody, Jitter(Rng::with_seed(seed)));
        let paces = Paces::default();
        let tools = Tools {
            service: front,
            record: &mut self.journal,
            watchers: vec![&mut nobody],
            left_out: Vec::new(),
            paces: &paces,
            clock: &clock,
            dice: &mut jitter,
            interrupts,
        };
        let session = async {
            let mut run = Run::begin(beginning, course, tools).unwrap();
            let mut lists = Lists {
                survey: Survey::default(),
                snapshot: Snapshot::new(Cursor::new(Vec::new()), true),
            };
            lists.survey.add(LaneId(0), &place(), None);
            run.survey(&mut lists).await.unwrap();
            lists.snapshot.settle().unwrap();
            if run.schedule().is_stopping() {
                return run.finish().await.unwrap();
            }
            let mut planned = VecDeque::new();
            for (row, past) in left {
                let id = row.workflow_id.as_str();
                let live = lists.snapshot.live(LaneId(0), &place(), id).unwrap();
                if let Some(live) = &live {
                    first_seen.entry(row.number).or_insert_with(|| live.clone());
                }
                let decision = live.as_ref().map(|live| decide(&row, live, terms));
                let mut taken = Taken {
                    row,
                    past,
                    live,
                    decided: None,
                    is_before_doubt: false,
                    is_touched: false,
                };
                if taken.past.unproven {
                    if let Some(before) = first_seen.get(&taken.row.number) {
                        taken.live = Some(before.clone());
                        taken.is_before_doubt = true;
                    }
                    planned.push_back(taken.compared(terms));
                    continue;
                }
                let taken = taken.compared(terms);
                let (status, failure) = match decision {
                    Some(Decision::Change(change, _)) => {
                        plan.insert(taken.row.number, change);
                        planned.push_back(taken);
                        continue;
                    }
                    Some(Decision::Unchanged) => (Status::Unchanged, None),
                    Some(Decision::Conflict(message)) => (
                        Status::Conflict,
                        Some(Failure::new(ErrorClass::Conflict, message)),
                    ),
                    Some(Decision::Hopeless(failure)) => (Status::Failed, Some(failure)),
                    None => (
                        Status::Failed,
                        Some(Failure::new(ErrorClass::NotFound, "not seen")),
                    ),
                };
                run.decide(|schedule| {
                    schedule.end_by_plan(&taken, status, None, failure, None, false)
                })
                .unwrap();
            }
            run.rows(&mut Planned(planned)).await.unwrap();
            run.finish().await.unwrap()
        };
        let ended = tokio::time::timeout(most, session).await;
        self.ended = ended.as_ref().ok().copied();
        ended.is_err()
    }

    fn beginning(&self, seed: u64, rows: u64) -> Beginning {
        if self.sessions == 0 {
            return Beginning::Run(RunStarted {
                format: FORMAT,
                run_id: "20260101T000000Z-000000".into(),
                tool_version: "0.0.0".into(),
                operator: "tester".into(),
                job_sha256: "job".into(),
                input_sha256: None,
                copy: None,
                lanes: Vec::new(),
                seed,
                rows: self.rows.len() as u64,
                skipped: 0,
            });
        }
        let started = SessionStarted {
            session: self.sessions + 1,
            operator: "tester".into(),
            tool_version: "0.0.0".into(),
            lanes: Vec::new(),
            seed,
            rows,
        };
        Beginning::Session(started, self.journal.tally())
    }

    /// What rows that were sent without an end were to change.
    fn planned_changes(&self) -> HashMap<u64, Change> {
        let mut changes = self.plan.clone();
        for stamped in self.journal.events() {
            if let Event::Attempt {
                row,
                change: Some(change),
                ..
            } = stamped.event
            {
                changes.insert(row, change);
            }
        }
        changes
    }

    /// The report: its bytes, and what it is made from.
    fn report(&self) -> (Vec<u8>, report::Written) {
        let planned = self.planned_changes().into_iter();
        let source = report::Source {
            history: self.journal.history(),
            left_because: "the run ended first".into(),
            lanes: &[],
            names: &BTreeMap::new(),
            planned: planned.map(|(row, change)| (row, (None, change))).collect(),
            place_of: &|_, _| (None, None),
        };
        let rows = self.rows.iter().cloned();
        let rows = rows.map(|row| Ok::<_, std::io::Error>((row, None)));
        let mut bytes = Vec::new();
        let written = report::write(rows, source, &mut bytes).unwrap();
        (bytes, written)
    }

    /// How each row ended; nothing of those without an end.
    fn outcomes(&self) -> BTreeMap<u64, Option<Outcome>> {
        let mut history = self.journal.history();
        let mut outcomes = BTreeMap::new();
        for row in &self.rows {
            let outcome = match history.of(row.number) {
                Trace::Ended { offset, .. } => Some(history.end(row.number, offset).unwrap().1),
                Trace::Sent { .. } | Trace::None => None,
            };
            outcomes.insert(row.number, outcome);
        }
        outcomes
    }

    /// The rows that undo it.
    fn undo_rows(&self) -> Vec<Row> {
        let (_, written) = self.report();
        let mut planned = self.planned_changes();
        let mut history = self.journal.history();
        let mut way_back = WayBack::new(false, true);
        let mut rows = Vec::new();
        for row in self
            .rows
            .iter()
            .filter(|row| written.changed.contains(row.number))
        {
            let outcome = match history.of(row.number) {
                Trace::Ended { offset, .. } => history.end(row.number, offset).unwrap().1,
                Trace::Sent { .. } | Trace::None => Outcome {
                    change: planned.remove(&row.number),
                    unproven: true,
                    ..Outcome::without_requests(Status::Unknown)
                },
            };
            let undo = way_back.add(RowChange {
                at: 0,
                row: row.clone(),
                workflow_id: None,
                change: outcome.change.unwrap_or_default(),
                unproven: outcome.unproven,
                shown: outcome.shown,
                live_name: outcome.live_name,
            });
            rows.extend(undo.map(|undo| undo.row));
        }
        for (number, row) in (1..).zip(&mut rows) {
            row.number = number;
        }
        rows
    }

    /// Shows the journal, for a single seed.
    fn tell(&self) {
        for line in String::from_utf8_lossy(&self.journal.bytes).lines() {
            println!("{line}");
        }
    }

    fn exit(&self) -> u8 {
        Exit::of_run(self.ended.unwrap(), &self.journal.tally(), false).code()
    }
}

fn course(sent: Sent) -> Course {
    let number = |number| NonZeroU32::new(number).unwrap();
    Course {
        rules: Rules {
            concurrency: 4,
            rate: "200/s".parse().unwrap(),
            finds_limit: false,
            burst: number(5),
            retry: Retry {
                max_attempts: 3,
                initial_delay: Duration::from_millis(200),
                max_delay: Duration::from_secs(5),
            },
            budget: Budget {
                max_errors: Most::Count(u64::MAX),
                min_rows: 0,
            },
            patience: Duration::from_secs(60),
            deadline: None,
            terms: Terms {
                sent,
                ..Terms::default()
            },
            max_age: Duration::from_secs(600),
            canaries: true,
            confirm_within: Duration::from_secs(3),
            allow_cleared: FieldSet::default(),
        },
        lanes: 1,
        timeout: Duration::from_secs(5),
        stop_at: None,
    }
}

/// The kinds that go wrong, each with how often at most.
const KINDS: [(FaultKind, f64); 10] = [
    (FaultKind::InternalErrorAfter, 0.3),
    (FaultKind::UnavailableAfter, 0.3),
    (FaultKind::Other, 0.2),
    (FaultKind::Stale, 0.3),
    (FaultKind::Trims, 0.5),
    (FaultKind::ResetAfter, 0.2),
    (FaultKind::Reset, 0.1),
    (FaultKind::Truncated, 0.2),
    (FaultKind::InternalError, 0.2),
    (FaultKind::Hang, 0.05),
];

const TEXTS: [&str; 8] = [
    "",
    "<empty>",
    "a\0b",
    "'=1",
    "plain",
    " padded ",
    "two\nlines",
    "\u{feff}x",
];

/// The world as it is at first, and rows for some of its workflows.
fn set_up(dice: &mut Rng) -> (World, Vec<Row>) {
    let mut world = World::new(Simulation::default());
    let count = dice.usize(2..12);
    world.populate(&place(), count);
    let ids: Vec<_> = world
        .workflows(&place())
        .map(|found| found.id.clone())
        .collect();
    let mut rows = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let description = TEXTS[dice.usize(..TEXTS.len())].to_owned();
        let label = ["IP", "DOMAIN", "", "ip address"][dice.usize(..4)];
        edit(&mut world, id, |update| {
            update.description = Some(description);
            update.labels = Some(Label::held(label));
        });
        let live = world.workflow(&place(), id).unwrap().live();
        let mut update = Update::default();
        while update.is_empty() {
            if dice.f64() < 0.6 {
                let end = if dice.bool() { "" } else { " " };
                update.name = Some(format!("New {index}{end}"));
            }
            if dice.f64() < 0.5 {
                update.description = Some(TEXTS[dice.usize(..TEXTS.len())].to_owned());
            }
            if dice.f64() < 0.4 {
                update.enabled = Some(dice.bool());
            }
            if dice.f64() < 0.2 {
                update.labels = Some(Label::Account);
            }
        }
        let fields = match dice.u8(..4) {
            0 => vec![(Field::Name, live.name.clone())],
            1 => vec![(Field::Name, "something else".to_owned())],
            _ => Vec::new(),
        };
        rows.push(Row {
            update,
            guards: Guards {
                fields,
                update_time: None,
            },
            ..Row::new(index as u64 + 1, LaneId(0), place(), Id::parse(id).unwrap())
        });
    }
    (world, rows)
}

/// Plays one seed; gives what does not agree.
async fn play(seed: u64, met: &mut BTreeMap<String, u32>) -> Vec<String> {
    let mut dice = Rng::with_seed(seed);
    let (mut world, rows) = set_up(&mut dice);
    let original: BTreeMap<String, Values> = world
        .workflows(&place())
        .map(|found| (found.id.clone(), values(&found.live())))
        .collect();
    let mut faults = Vec::new();
    for (kind, most) in KINDS {
        if dice.f64() < 0.25 {
            let share = dice.f64() * most;
            faults.push(Fault { kind, share });
        }
    }
    let odd = Simulation {
        seed,
        latency: (Duration::from_millis(5), Duration::from_millis(60)),
        faults,
        clears_unsent: dice.f64() < 0.15,
        ..Simulation::default()
    };
    world.behave(odd.clone());
    let world = Arc::new(Mutex::new(world));
    let (done, edited) = (RefCell::default(), RefCell::default());
    let mut front = Front {
        memory: Memory::new(Arc::clone(&world)),
        world: Arc::clone(&world),
        dice: RefCell::new(Rng::with_seed(seed ^ 0xed17)),
        busy: if dice.f64() < 0.3 { 0.2 } else { 0.0 },
        held: RefCell::default(),
        done: &done,
        edited: &edited,
        edits: Cell::new(0),
    };
    let sent = if dice.f64() < 0.2 {
        Sent::Full
    } else {
        Sent::Changed
    };
    let mut run = Recorded::new(rows, sent);
    let hour = Duration::from_secs(3_600);
    let kills = dice.u32(..3);
    for _ in 0..kills {
        let most = Duration::from_millis(dice.u64(1..1_500));
        front.held.borrow_mut().clear();
        if !run.session(&front, dice.u64(..), false, most).await {
            break;
        }
    }
    // A run that was killed may be undone as it is.
    let is_undone_killed = kills > 0 && run.ended.is_none() && dice.f64() < 0.3;
    let mut problems = Vec::new();
    if !is_undone_killed {
        for _ in 0..dice.u32(1..3) {
            if run.ended.is_none() || dice.bool() {
                front.held.borrow_mut().clear();
                let failed_too = run.ended.is_some() && dice.bool();
                run.session(&front, dice.u64(..), failed_too, hour).await;
            }
        }
        problems.extend(disagreements(
            &run,
            &done.borrow(),
            &original,
            front.busy > 0.0,
        ));
    }
    for outcome in run.outcomes().values() {
        let status = outcome
            .as_ref()
            .map_or("none", |outcome| outcome.status.as_str());
        *met.entry(status.to_owned()).or_default() += 1;
    }
    let unknown = run.outcomes().into_iter().filter(|(_, outcome)| {
        let outcome = outcome.as_ref();
        outcome.is_some_and(|outcome| outcome.status == Status::Unknown)
    });
    let id_of = |number: u64| {
        run.rows[usize::try_from(number).unwrap() - 1]
            .workflow_id
            .to_string()
    };
    let unknown: BTreeSet<String> = unknown.map(|(number, _)| id_of(number)).collect();
    // The way back, by a service that behaves, without a colleague at work.
    let changed: BTreeSet<String> = done.borrow().iter().map(|(id, ..)| id.clone()).collect();
    world.lock().unwrap().behave(Simulation::default());
    front.busy = 0.0;
    let before_undo = state(&world);
    let undo_rows = run.undo_rows();
    let covered: BTreeSet<_> = undo_rows
        .iter()
        .map(|row| row.workflow_id.to_string())
        .collect();
    for id in changed.difference(&covered) {
        let is_back = before_undo[id] == original[id];
        if !is_back {
            problems.push(format!("{id} was changed and is not in the undo"));
        }
    }
    if std::env::var_os("FLOWBATCH_SEED").is_some() {
        println!("{odd:?}");
        run.tell();
        done.borrow().iter().for_each(|done| println!("  {done:?}"));
        println!("{:?}", edited.borrow());
    }
    if undo_rows.is_empty() {
        return problems;
    }
    let mut undo = Recorded::new(undo_rows, Sent::Changed);
    front.held.borrow_mut().clear();
    let made = done.borrow().len();
    undo.session(&front, dice.u64(..), false, hour).await;
    let after_undo = state(&world);
    let undone: BTreeMap<String, Outcome> = undo
        .rows
        .iter()
        .filter_map(|row| {
            let outcome = undo.outcomes().remove(&row.number)??;
            Some((row.workflow_id.to_string(), outcome))
        })
        .collect();
    for (id, now) in &after_undo {
        let theirs = edited.borrow().get(id).cloned();
        let status = undone.get(id).map(|outcome| outcome.status);
        *met.entry(format!("undo {status:?}")).or_default() += 1;
        let is_well = matches!(status, None | Some(Status::Succeeded | Status::Unchanged));
        // What an update has cleared whose end is unknown, only a reading finds out: the record says so.
        let is_unknown = is_undone_killed || unknown.contains(id);
        let is_well = is_well && !(is_unknown && odd.clears_unsent);
        if let Some((at, text)) = &theirs {
            // What the colleague has done after the last update stays.
            let ours = done.borrow()[..made]
                .iter()
                .rposition(|(own, ..)| own == id);
            if ours.is_none_or(|ours| ours < *at) && now[&Field::Description] != *text {
                problems.push(format!(
                    "{id}: the undo overwrites {text:?} with {:?}",
                    now[&Field::Description]
                ));
            }
        } else if is_well && *now != original[id] {
            problems.push(format!(
                "{id} after the undo ({status:?}): {now:?}, was {:?}",
                original[id]
            ));
        }
    }
    let is_all_well = undone.values().all(|outcome| {
        matches!(outcome.status, Status::Succeeded | Status::Unchanged) && !outcome.differs()
    });
    if (undo.exit() == 0) != is_all_well {
        problems.push(format!("the undo exits with {}: {undone:?}", undo.exit()));
    }
    // And the way back from there.
    let again = undo.undo_rows();
    if !again.is_empty() && edited.borrow().is_empty() {
        let mut again = Recorded::new(again, Sent::Changed);
        again.session(&front, dice.u64(..), false, hour).await;
        let now = state(&world);
        if again.exit() == 0 && now != before_undo {
            problems.push(format!(
                "the undo of the undo gives {now:?}, was {before_undo:?}"
            ));
        }
    }
    problems
}

fn state(world: &Arc<Mutex<World>>) -> BTreeMap<String, Values> {
    let world = world.lock().unwrap();
    let place = place();
    let workflows = world.workflows(&place);
    workflows
        .map(|found| (found.id.clone(), values(&found.live())))
        .collect()
}

/// What the record of a run that is over says otherwise than the world.
fn disagreements(
    run: &Recorded,
    done: &[(String, Values, Values)],
    original: &BTreeMap<String, Values>,
    is_busy: bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    let (report, written) = run.report();
    if run.report().0 != report {
        problems.push("the report is another one the second time".to_owned());
    }
    if written.rows != run.rows.len() as u64 {
        problems.push(format!("{} rows of {}", written.rows, run.rows.len()));
    }
    let mut told = BTreeSet::new();
    changes(
        &ChangedBy::default(),
        report.as_slice(),
        &Question::default(),
        |change| {
            told.insert(change.workflow_id.clone());
            Ok(())
        },
    )
    .unwrap();
    let outcomes = run.outcomes();
    let mut needs = 0;
    for row in &run.rows {
        let (number, id) = (row.number, row.workflow_id.to_string());
        let ours: Vec<_> = done.iter().filter(|(own, ..)| *own == id).collect();
        let Some(outcome) = &outcomes[&number] else {
            needs += 1;
            if !ours.is_empty() {
                problems.push(format!("row {number} has no end and was changed"));
            }
            continue;
        };
        let status = outcome.status;
        let is_well = matches!(status, Status::Succeeded | Status::Unchanged) && !outcome.differs();
        needs += u32::from(!is_well);
        let Some((_, first, _)) = ours.first() else {
            continue;
        };
        let denies = match status {
            Status::Unchanged | Status::Skipped | Status::NotAttempted => true,
            Status::Failed | Status::Conflict | Status::Unknown => outcome.change.is_none(),
            Status::Succeeded => outcome.change.is_none(),
        };
        let last = &ours.last().unwrap().2;
        let is_back = first == last;
        if denies && !is_back {
            problems.push(format!(
                "row {number} is {status}, and was changed: {ours:?}"
            ));
        }
        if !told.contains(&id) && !is_back {
            problems.push(format!("row {number} ({status}) is not among the changes"));
        }
        if status == Status::Succeeded && !is_busy {
            let change = outcome.change.clone().unwrap_or_default();
            for (field, was) in &change.before {
                if original[&id][field] != *was {
                    problems.push(format!(
                        "row {number}: {field} was {:?}, not {was:?}",
                        original[&id][field]
                    ));
                }
            }
            for field in row.update.fields() {
                let shown = outcome.shown.get(&field).map(String::as_str);
                let wanted = row.update.value(field).unwrap();
                if last[&field] != wanted && shown != Some(&last[&field]) {
                    problems.push(format!(
                        "row {number} is succeeded, and {field} is {:?}",
                        last[&field]
                    ));
                }
            }
        }
    }
    let exit = run.exit();
    if run.ended == Some(Ended::Completed) && (exit == 0) != (needs == 0) {
        problems.push(format!(
            "exit code {exit} with {needs} rows that need attention"
        ));
    }
    problems
}
