//! Figures, not verdicts: what durability costs. Run by hand:
//! `cargo test --release --test figures -- --ignored --nocapture`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it is surprised"
)]

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flowbatch::engine::ports::{Clock, Dice, Errand, RowsError, Source};
use flowbatch::engine::run::{Beginning, Course, Run, Tools};
use flowbatch::engine::schedule::{Paces, Rules};
use flowbatch::model::event::{FORMAT, RunStarted};
use flowbatch::model::field::FieldSet;
use flowbatch::model::id::Id;
use flowbatch::model::outcome::{Ended, Failure};
use flowbatch::model::rate::{Per, Rate};
use flowbatch::model::reading::Reading;
use flowbatch::model::reply::Data;
use flowbatch::model::row::Row;
use flowbatch::model::simulation::Simulation;
use flowbatch::model::target::{LaneId, Workspace};
use flowbatch::model::update::Update;
use flowbatch::plan::decision::Terms;
use flowbatch::policy::budget::Budget;
use flowbatch::policy::retry::Retry;
use flowbatch::simulator::memory::Memory;
use flowbatch::simulator::world::World;
use flowbatch::sinks::digest::Digest;
use flowbatch::sinks::disk::Disk;
use flowbatch::sinks::journal::Journal;
use futures::stream;
use jiff::Timestamp;

/// Rows of one run.
const ROWS: u64 = 20_000;

/// A file, and whether it syncs.
struct Sheet {
    file: File,
    syncs: bool,
}

impl Disk for Sheet {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        match self.syncs {
            true => self.file.sync_data(),
            false => Ok(()),
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn reserve(&self, _length: u64) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.0.elapsed()
    }
}

struct Half;

impl Dice for Half {
    fn roll(&mut self) -> f64 {
        0.5
    }
}

struct Counted(Cell<u64>);

impl Source for Counted {
    fn next(&mut self, _lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let number = self.0.get() + 1;
        self.0.set(number);
        Ok((number <= ROWS).then(|| Errand::Row(Box::new(row(number).into()))))
    }

    fn found(&mut self, reading: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        panic!("nobody asked for {reading:?}")
    }
}

fn row(number: u64) -> Row {
    Row {
        update: Update {
            name: Some("Reviewed".to_owned()),
            ..Update::default()
        },
        ..Row::new(
            number,
            LaneId(0),
            workspace(),
            Id::parse(&format!("w{number}")).unwrap(),
        )
    }
}

fn workspace() -> Workspace {
    Workspace {
        project_id: Id::parse("project").unwrap(),
        workspace_id: Id::parse("workspace").unwrap(),
    }
}

/// Rows a second of one run.
fn speed(syncs: bool) -> f64 {
    let mut world = World::new(Simulation {
        latency: (Duration::from_millis(1), Duration::from_millis(5)),
        rate_limits: Vec::new(),
        ..Simulation::default()
    });
    world.populate(&workspace(), 1);
    for number in 1..=ROWS {
        world.adopt(&workspace(), &format!("w{number}"), None);
    }
    let folder = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = File::options()
        .append(true)
        .create_new(true)
        .open(folder.path().join("journal.jsonl"))
        .unwrap();
    let mut journal = Journal::start(Sheet { file, syncs }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "this measures")]
    let began = Instant::now();
    let mut digest = Digest::default();
    let ended = runtime.block_on(async {
        let memory = Memory::new(Arc::new(Mutex::new(world)));
        let tools = Tools {
            left_out: Vec::new(),
            paces: &Paces::default(),
            service: &memory,
            record: &mut journal,
            watchers: vec![&mut digest],
            clock: &Wall(began),
            dice: &mut Half,
            interrupts: std::pin::pin!(stream::empty()),
        };
        let mut run = Run::begin(Beginning::Run(start()), course(), tools)?;
        run.rows(&mut Counted(Cell::new(0))).await?;
        run.finish().await
    });
    assert_eq!(ended.unwrap(), Ended::Completed);
    ROWS as f64 / began.elapsed().as_secs_f64()
}

fn start() -> RunStarted {
    RunStarted {
        format: FORMAT,
        run_id: "20260101T000000Z-000000".into(),
        tool_version: "0.0.0".into(),
        operator: "tester".into(),
        job_sha256: "job".into(),
        input_sha256: None,
        copy: None,
        lanes: Vec::new(),
        seed: 1,
        rows: ROWS,
        skipped: 0,
    }
}

fn course() -> Course {
    let fast = NonZeroU32::new(1_000_000).unwrap();
    Course {
        rules: Rules {
            concurrency: 256,
            rate: Rate::new(fast, Per::Second),
            finds_limit: false,
            burst: NonZeroU32::new(256).unwrap(),
            retry: Retry {
                max_attempts: 5,
                initial_delay: Duration::from_millis(500),
                max_delay: Duration::from_secs(60),
            },
            budget: Budget::default(),
            patience: Duration::from_secs(600),
            deadline: None,
            terms: Terms::default(),
            max_age: Duration::from_secs(600),
            canaries: false,
            confirm_within: Duration::from_secs(10),
            allow_cleared: FieldSet::default(),
        },
        lanes: 1,
        timeout: Duration::from_secs(30),
        stop_at: None,
    }
}

#[test]
#[ignore = "it measures, and judges nothing"]
fn rows_a_second_with_and_without_a_sync() {
    println!("rows/s    synced  not synced  ratio");
    for _ in 0..7 {
        let (with, without) = (speed(true), speed(false));
        println!("{with:>15.0}  {without:>10.0}  {:.2}", with / without);
    }
}
