//! What the pure parts of a row cost, each by itself, beside what cannot be saved: reading the CSV at all.
//!
//! The whole program against the simulator, each in a process of its own, is measured by `scripts/compare.py`.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on says so by panicking"
)]

use std::convert::Infallible;
use std::hint::black_box;
use std::io::Cursor;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowbatch::engine::ports::{Errand, RowsError, Source};
use flowbatch::engine::schedule::{Rules, Schedule, Step};
use flowbatch::job::census::Counted;
use flowbatch::job::defaults::{Defaults, Level};
use flowbatch::job::encoding::Decoded;
use flowbatch::job::problems::Problems;
use flowbatch::job::rows::{Part, Reader};
use flowbatch::job::selection::Selection;
use flowbatch::job::table::{Options, Table};
use flowbatch::job::way::{Target, Way};
use flowbatch::model::endpoint::Endpoint;
use flowbatch::model::event::{Event, Stamped};
use flowbatch::model::field::FieldSet;
use flowbatch::model::id::Id;
use flowbatch::model::outcome::{Failure, Outcome, Status};
use flowbatch::model::reading::Reading;
use flowbatch::model::reply::{Answer, Content, Data, Reply};
use flowbatch::model::route::{LaneFacts, Route};
use flowbatch::model::row::Row;
use flowbatch::model::tally::Tally;
use flowbatch::model::target::{LaneId, Workspace};
use flowbatch::model::update::Update;
use flowbatch::plan::decision::Terms;
use flowbatch::policy::budget::{Budget, Most};
use flowbatch::policy::retry::Retry;
use flowbatch::secmaster::wire::{self, Wanted};
use flowbatch::sinks::ends::Ends;
use flowbatch::sinks::history::History;
use flowbatch::sinks::line;
use flowbatch::sinks::report;
use jiff::Timestamp;

const ROWS: u64 = 1_000;
const ANSWER: &[u8] = include_bytes!("../tests/data/update-answer.json");

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn workflow(number: u64) -> String {
    format!("{number:08x}-1c4d-4d0c-9a1e-0d6f1b7e2a55")
}

fn row(number: u64) -> Row {
    Row {
        update: Update {
            description: Some("reviewed in November".to_owned()),
            ..Update::default()
        },
        ..Row::new(
            number,
            LaneId(0),
            Workspace {
                project_id: id("0f9183e1c2d34b6c8a7e5d4c3b2a1908"),
                workspace_id: id("909494e3-558e-46b6-a9eb-07a8e18ca621"),
            },
            id(&workflow(number)),
        )
    }
}

fn csv_of_rows() -> Vec<u8> {
    let mut csv = "workflow_id,description\n".to_owned();
    for number in 1..=ROWS {
        csv += &format!("{},reviewed in November\n", workflow(number));
    }
    csv.into_bytes()
}

fn endpoint() -> Endpoint {
    Endpoint::parse("https://secmaster.cn-north-4.myhuaweicloud.com").unwrap()
}

/// Rows whose target is told by the command line.
fn reader(csv: &[u8]) -> Reader<Decoded<Cursor<&[u8]>>> {
    let mut problems = Problems::default();
    let bytes = Decoded::new(Cursor::new(csv), None).unwrap();
    let table = Table::open(
        bytes,
        &"rows.csv".into(),
        &Options::default(),
        &mut problems,
    );
    let Workspace {
        project_id,
        workspace_id,
    } = row(1).workspace;
    let target = Target {
        way: Some(Way {
            endpoint: endpoint(),
            region: None,
            by_variable: false,
        }),
        project_id: Some(project_id),
        workspace_id: Some(workspace_id),
    };
    let defaults = Defaults {
        flags: Level {
            target,
            profile: None,
        },
        is_blind: true,
        ..Defaults::default()
    };
    let part = Part {
        wishes: None,
        updates: Rc::default(),
        table,
    };
    Reader::new(defaults, vec![part])
}

fn tables(criterion: &mut Criterion) {
    let table = csv_of_rows();
    let mut group = criterion.benchmark_group("1,000 rows of a CSV");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("bare: the csv crate", |bencher| {
        bencher.iter(|| {
            let mut reader = csv::Reader::from_reader(&table[..]);
            let mut record = csv::StringRecord::new();
            let mut rows = 0;
            while reader.read_record(&mut record).unwrap() {
                rows += 1;
            }
            assert_eq!(rows, ROWS);
        });
    });
    group.bench_function("checked and counted", |bencher| {
        bencher.iter(|| {
            let mut problems = Problems::default();
            let selection = Selection::default();
            let keep = |_: &Row, _: &Counted| Ok::<_, Infallible>(());
            let census = reader(&table).survey(&selection, &[], &mut problems, keep);
            assert_eq!(census.unwrap().census.rows, ROWS);
        });
    });
    group.bench_function("read once more", |bencher| {
        bencher.iter(|| {
            let mut problems = Problems::default();
            let mut reader = reader(&table);
            while let Some(row) = reader.next(&mut problems) {
                black_box(row);
            }
        });
    });
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    criterion.bench_function("an answer to an update", |bencher| {
        bencher.iter(|| wire::read(black_box(ANSWER), Wanted::Workflow));
    });
}

struct Rows(u64);

impl Source for Rows {
    fn next(&mut self, _: LaneId) -> Result<Option<Errand>, RowsError> {
        self.0 += 1;
        Ok((self.0 <= ROWS).then(|| Errand::Row(Box::new(row(self.0).into()))))
    }

    fn found(&mut self, _: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        Ok(())
    }
}

fn rules() -> Rules {
    Rules {
        concurrency: 64,
        rate: "1000000/s".parse().unwrap(),
        finds_limit: false,
        burst: NonZeroU32::new(64).unwrap(),
        retry: Retry {
            max_attempts: 5,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
        },
        budget: Budget {
            max_errors: Most::Percent(10.0),
            min_rows: 20,
        },
        patience: Duration::from_secs(900),
        deadline: None,
        terms: Terms::default(),
        max_age: Duration::from_secs(600),
        canaries: false,
        confirm_within: Duration::from_secs(10),
        allow_cleared: FieldSet::default(),
    }
}

fn reply() -> Reply {
    let (content, request_id) = wire::read(ANSWER, Wanted::Workflow);
    assert!(matches!(content, Content::Envelope(_)));
    Reply::Answer(Answer {
        http_status: 200,
        request_id,
        content,
        ..Answer::default()
    })
}

fn schedules(criterion: &mut Criterion) {
    let reply = reply();
    let mut group = criterion.benchmark_group("1,000 rows through the schedule");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("answered at once", |bencher| {
        bencher.iter(|| {
            let mut schedule = Schedule::new(rules(), 1, Tally::default());
            let mut rows = Rows(0);
            let mut now = Duration::ZERO;
            loop {
                match schedule.next(now, &mut rows).unwrap() {
                    Step::Send(key, _, _) => schedule.answered(now, key, reply.clone(), 0.5),
                    Step::Wait(at) => now = at.unwrap(),
                    Step::Done => break,
                }
                schedule.take_events().for_each(drop);
            }
        });
    });
    group.finish();
}

fn ended(number: u64) -> Stamped {
    Stamped {
        at: "2026-11-24T08:00:00.123456789Z"
            .parse::<Timestamp>()
            .unwrap(),
        event: Event::RowEnded {
            row: number,
            outcome: Outcome {
                attempts: 1,
                duration_ms: Some(52),
                http_status: Some(200),
                request_id: Some("c733ff11e4eab2e918c5c0cf8f313501".to_owned()),
                live_name: Some(format!("Isolate host {number}")),
                ..Outcome::without_requests(Status::Succeeded)
            },
            replaces: None,
        },
    }
}

fn records(criterion: &mut Criterion) {
    let event = [ended(7)];
    let mut lines = Vec::new();
    criterion.bench_function("a line of the journal", |bencher| {
        bencher.iter(|| {
            lines.clear();
            line::write(&mut lines, black_box(&event), |_, _| {}).unwrap();
        });
    });

    let mut journal = b"{}\n".to_vec();
    let mut ends = Ends::default();
    let events: Vec<_> = (1..=ROWS).map(ended).collect();
    line::write(&mut journal, &events, |event, begin| {
        ends.see(event, begin as u64);
    })
    .unwrap();
    let ends = Rc::new(ends);
    let facts = LaneFacts {
        route: Route {
            endpoint: endpoint(),
            region: None,
            profile: None,
        },
        credential: None,
        identity: None,
    };
    let rows: Vec<_> = (1..=ROWS).map(row).collect();
    let mut group = criterion.benchmark_group("1,000 rows of a report");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("from the journal", |bencher| {
        bencher.iter(|| {
            let source = report::Source {
                history: History::new(Rc::clone(&ends), Cursor::new(&journal)),
                left_because: String::new(),
                lanes: std::slice::from_ref(&facts),
                names: &Default::default(),
                planned: Default::default(),
                place_of: &|_, _| (None, None),
            };
            let rows = rows
                .iter()
                .map(|row| Ok::<_, Infallible>((row.clone(), None)));
            let mut out = Vec::with_capacity(400 << 10);
            report::write(rows, source, &mut out).unwrap().rows
        });
    });
    group.finish();
}

criterion_group!(row_parts, tables, answers, schedules, records);
criterion_main!(row_parts);
