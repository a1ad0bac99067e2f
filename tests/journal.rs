//! The journal on disks that lose power, fill up, fail and flip bits.
//!
//! `FLOWBATCH_CAMPAIGN=20` looks at twenty times as many states after a loss of power, and always others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it is surprised"
)]

mod campaign;
mod platter;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::slice;

use flowbatch::engine::ports::{Record, Seq};
use flowbatch::model::event::{Event, FORMAT, Leg, Meaning, Method, RunStarted, Stamped};
use flowbatch::model::outcome::{ErrorClass, Failure, Outcome, Status};
use flowbatch::sinks::ends::find_ends;
use flowbatch::sinks::journal::Journal;
use flowbatch::sinks::reader::{Extent, Reader, Unreadable};
use jiff::Timestamp;
use proptest::test_runner::RngSeed;

use platter::{Platter, Turn};

/// So many events, as a run tells them.
fn events(count: usize) -> Vec<Stamped> {
    (0..count).map(event).collect()
}

fn event(index: usize) -> Stamped {
    let row = (index as u64).saturating_sub(2) / 3 + 1;
    let event = match index {
        0 => Event::RunStarted(RunStarted {
            format: FORMAT,
            run_id: "20260101T000000Z-000000".into(),
            tool_version: "0.0.0".into(),
            operator: "tester".into(),
            job_sha256: "job".into(),
            input_sha256: None,
            copy: None,
            lanes: Vec::new(),
            seed: 1,
            rows: 400,
            skipped: 0,
        }),
        1 => Event::LegStarted {
            leg: Leg::Rows,
            wave: None,
        },
        _ => event_of_a_row(index % 3, row),
    };
    let at = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_millis(index as i64);
    Stamped { at, event }
}

fn event_of_a_row(turn: usize, row: u64) -> Event {
    let (method, request) = (Method::Put, 1);
    match turn {
        2 => Event::Attempt {
            row,
            method,
            request,
            reopens: None,
            change: None,
        },
        0 => Event::Answer {
            row,
            method,
            request,
            latency_ms: 7,
            http_status: Some(400),
            meaning: Meaning::Final,
            failure: None,
            unproven: false,
        },
        _ => Event::RowEnded {
            row,
            outcome: Outcome {
                shown: BTreeMap::new(),
                unproven: false,
                status: Status::Failed,
                attempts: 1,
                duration_ms: Some(7),
                http_status: Some(400),
                request_id: None,
                workflow_id: None,
                live_name: Some("名字 \"\\\n\u{0}".into()),
                change: None,
                failure: Some(Failure::new(ErrorClass::Validation, "no")),
                note: None,
                refused: false,
                held_back: false,
            },
            replaces: None,
        },
    }
}

/// Waits until so many events are durable.
fn wait_for(journal: &Journal, seq: Seq) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let moved = journal.moved();
    runtime.block_on(async {
        while journal.durable().is_ok_and(|durable| durable < seq) {
            moved.notified().await;
        }
    });
}

/// A journal of `events`, on a sound disk.
fn written(events: &[Stamped]) -> Vec<u8> {
    let platter = Platter::sound();
    let mut journal = Journal::start(platter.clone()).unwrap();
    for event in events {
        journal.append(slice::from_ref(event)).unwrap();
    }
    platter.bytes()
}

/// Where each line stands.
fn lines(journal: &[u8]) -> Vec<Range<usize>> {
    let mut begin = 0;
    let ends = journal.iter().enumerate();
    let ends = ends.filter(|(_, byte)| **byte == b'\n');
    ends.map(|(end, _)| std::mem::replace(&mut begin, end + 1)..end + 1)
        .collect()
}

/// All events, if the journal is none that is refused; and its good part.
fn read(journal: &[u8]) -> Result<(Vec<Stamped>, Extent), Unreadable> {
    let mut reader = Reader::new(journal);
    let events = reader.by_ref().map(|entry| Ok(entry?.event));
    let events = events.collect::<Result<Vec<_>, Unreadable>>()?;
    Ok((events, reader.extent()))
}

/// The good part of `journal`, whose lines are the first ones of `whole`, unless it is refused.
fn prefix_of(whole: &[u8], lines: &[Range<usize>], journal: &[u8]) -> Result<Extent, Unreadable> {
    let mut reader = Reader::new(journal);
    let mut expected = lines.iter();
    while let Some(line) = reader.next_line()? {
        let expected = expected.next().unwrap();
        assert_eq!(line.text, &whole[expected.clone()], "line {}", line.number);
    }
    Ok(reader.extent())
}

#[test]
fn what_was_written_is_read_back() {
    let events = events(400);
    let journal = written(&events);
    let (found, extent) = read(&journal).unwrap();
    assert_eq!(found, events);
    let bytes = journal.len() as u64;
    let (lines, torn) = (400, 0);
    assert_eq!(extent, Extent { lines, bytes, torn });
}

#[test]
fn cut_anywhere_a_journal_is_its_longest_whole_prefix() {
    // Each cut is read from the start: the time grows with the square of this.
    let count = match std::env::var_os("FLOWBATCH_CAMPAIGN") {
        Some(_) => 400,
        None => 160,
    };
    let journal = written(&events(count));
    let lines = lines(&journal);
    let mut whole = 0;
    for cut in 0..=journal.len() {
        if lines.get(whole).is_some_and(|line| line.end <= cut) {
            whole += 1;
        }
        let mut reader = Reader::new(&journal[..cut]);
        while reader.next_line().unwrap().is_some() {}
        let bytes = lines[..whole].last().map_or(0, |line| line.end);
        let expected = Extent {
            lines: whole as u64,
            bytes: bytes as u64,
            torn: (cut - bytes) as u64,
        };
        assert_eq!(reader.extent(), expected, "cut at {cut}");
    }
}

#[test]
fn a_byte_that_is_not_what_it_was_is_found_wherever_it_stands() {
    let whole = written(&events(60));
    let lines = lines(&whole);
    for (index, line) in lines.iter().enumerate() {
        for at in line.clone() {
            let was = whole[at];
            let others = [was ^ 1, was ^ 0x20, was ^ 0x80, was ^ 0xff, b'\n', 0, b'"'];
            for other in others.into_iter().filter(|other| *other != was) {
                let mut journal = whole.clone();
                journal[at] = other;
                // Without its LF a line is one with the next.
                let last = if was == b'\n' { index + 1 } else { index };
                // A crash leaves zeros, or no end.
                let is_last_byte = at + 1 == whole.len();
                let is_torn = last + 1 >= lines.len() && (other == 0 || is_last_byte);
                match prefix_of(&whole, &lines, &journal) {
                    Ok(extent) => {
                        assert!(is_torn, "byte {at} as {other} went unnoticed");
                        assert_eq!(extent.lines, index as u64, "byte {at} as {other}");
                        assert_eq!(extent.bytes, line.start as u64);
                    }
                    Err(Unreadable::Damaged { line, offset, .. }) => {
                        assert!(!is_torn, "byte {at} as {other} is at the end");
                        let place = (index as u64 + 1, lines[index].start as u64);
                        assert_eq!((line, offset), place, "byte {at} as {other}");
                    }
                    Err(error) => panic!("byte {at} as {other}: {error}"),
                }
            }
        }
    }
}

/// What a disk may hold after a loss of power at `time`: what was synced, any part of the rest, and zeros for
/// any end of that.
fn after_power_loss(turns: &[Turn], bytes: &[u8], dice: &mut fastrand::Rng) -> (Vec<u8>, Seq) {
    let time = dice.usize(..=turns.len());
    let (mut written, mut synced, mut reported) = (0, 0, 0);
    for turn in &turns[..time] {
        match *turn {
            Turn::Wrote(length) => written = length,
            Turn::Synced(length) => synced = length,
            Turn::Reported(seq) => reported = seq,
        }
    }
    let length = dice.usize(synced..=written);
    let whole = match dice.bool() {
        true => length,
        false => dice.usize(synced..=length),
    };
    let mut left = bytes[..whole].to_vec();
    left.resize(length, 0);
    (left, reported)
}

#[test]
fn no_loss_of_power_loses_an_event_that_was_reported_durable() {
    let events = events(200);
    let platter = Platter::sound();
    let mut journal = Journal::start(platter.clone()).unwrap();
    for (index, event) in events.iter().enumerate() {
        journal.append(slice::from_ref(event)).unwrap();
        if index % 50 == 49 {
            wait_for(&journal, index as Seq - 10);
        }
        platter.report(journal.durable().unwrap());
    }
    wait_for(&journal, 200);
    platter.report(200);
    let (turns, bytes) = (platter.turns(), platter.bytes());
    let lines = lines(&bytes);
    let config = campaign::config(12_000);
    let mut dice = match config.rng_seed {
        RngSeed::Fixed(seed) => fastrand::Rng::with_seed(seed),
        #[expect(clippy::disallowed_methods, reason = "always others; printed")]
        RngSeed::Random => fastrand::Rng::new(),
    };
    println!("dice: {}", dice.get_seed());
    for state in 0..config.cases {
        let (left, reported) = after_power_loss(&turns, &bytes, &mut dice);
        let extent = prefix_of(&bytes, &lines, &left).unwrap();
        assert!(extent.lines >= reported, "state {state}");
        // Going on costs a thread: now and then.
        if state % 100 == 0 {
            goes_on(left, extent, &events);
        }
    }
}

/// A journal that goes on after a loss of power tells everything that follows.
fn goes_on(left: Vec<u8>, good: Extent, events: &[Stamped]) {
    let platter = Platter::holding(left);
    let mut journal = Journal::resume(platter.clone(), good).unwrap();
    assert_eq!(journal.durable().unwrap(), good.lines);
    assert_eq!(
        platter.synced(),
        good.bytes,
        "what was there is durable now"
    );
    let rest = usize::try_from(good.lines).unwrap();
    let rest = &events[rest..events.len().min(rest + 3)];
    let mut last = good.lines;
    for event in rest {
        last = journal.append(slice::from_ref(event)).unwrap();
    }
    assert_eq!(last, good.lines + rest.len() as Seq);
    wait_for(&journal, last);
    let (found, extent) = read(&platter.bytes()).unwrap();
    assert_eq!(found, events[..found.len()]);
    assert_eq!((extent.lines, extent.torn), (last, 0));
}

#[test]
fn one_event_becomes_durable_without_another() {
    let platter = Platter::sound();
    let mut journal = Journal::start(platter.clone()).unwrap();
    let seq = journal.append(slice::from_ref(&event(0))).unwrap();
    wait_for(&journal, seq);
    assert_eq!(journal.durable().unwrap(), 1);
    assert_eq!(platter.synced(), platter.bytes().len() as u64);
}

#[test]
fn how_rows_stand_is_the_same_whether_it_was_noted_while_writing_or_read_afterwards() {
    let meanings = [
        Meaning::Done,
        Meaning::Again,
        Meaning::Throttled,
        Meaning::Final,
    ];
    let mut stories = Vec::new();
    for method in [Method::Get, Method::Put] {
        for meaning in meanings {
            for unproven in [false, true] {
                stories.push((method, meaning, unproven));
            }
        }
    }
    // Each row comes as far as its attempt, its answer, its end, or its next attempt.
    let mut told = vec![event(0)];
    for (index, (method, meaning, unproven)) in stories.iter().enumerate() {
        for steps in 1..=4 {
            let row = index as u64 * 4 + steps;
            let attempt = || Event::Attempt {
                row,
                method: *method,
                request: 1,
                reopens: None,
                change: None,
            };
            let answer = Event::Answer {
                row,
                method: *method,
                request: 1,
                latency_ms: 7,
                http_status: None,
                meaning: *meaning,
                failure: None,
                unproven: *unproven,
            };
            let way = [attempt(), answer, event_of_a_row(1, row), attempt()];
            let at = told[0].at;
            let way = way.into_iter().take(steps as usize);
            told.extend(way.map(|event| Stamped { at, event }));
        }
    }
    let platter = Platter::sound();
    let mut journal = Journal::start(platter.clone()).unwrap();
    for together in told.chunks(7) {
        journal.append(together).unwrap();
    }
    let noted = journal.take_ends().unwrap();
    let read = find_ends(&mut Reader::new(&platter.bytes()[..])).unwrap();
    for row in 0..=stories.len() as u64 * 4 + 1 {
        assert_eq!(noted.of(row), read.of(row), "row {row}");
    }
    assert!(noted.has_sent());
}

#[test]
fn a_full_disk_ends_the_journal_for_good_and_leaves_what_was_before() {
    let events = events(50);
    let room = written(&events[..20]).len() + 30;
    let platter = Platter::sound();
    platter.limit(Some(room));
    let mut journal = Journal::start(platter.clone()).unwrap();
    for event in &events[..20] {
        journal.append(slice::from_ref(event)).unwrap();
    }
    let error = journal.append(slice::from_ref(&events[20])).unwrap_err();
    assert_eq!(error.0.to_string(), io::ErrorKind::StorageFull.to_string());
    platter.limit(None);
    assert!(
        journal.append(slice::from_ref(&events[21])).is_err(),
        "it is not tried again"
    );
    assert!(journal.durable().is_err());
    let (found, extent) = read(&platter.bytes()).unwrap();
    assert_eq!(found, events[..20]);
    assert_eq!(extent.torn, 30);
}

#[test]
fn a_sync_that_failed_once_ends_the_journal_for_good() {
    let events = events(5);
    let platter = Platter::sound();
    let mut journal = Journal::start(platter.clone()).unwrap();
    journal.append(slice::from_ref(&events[0])).unwrap();
    wait_for(&journal, 1);
    platter.fail_next_sync();
    journal.append(slice::from_ref(&events[1])).unwrap();
    // Nobody appends any more, and it is told all the same.
    wait_for(&journal, 2);
    let error = journal.durable().unwrap_err();
    let text = "the disk did not store what it had taken";
    assert_eq!(error.0.to_string(), text);
    assert!(journal.append(slice::from_ref(&events[2])).is_err());
    drop(journal);
    assert_eq!(platter.syncs(), 2, "asking again would tell nothing");
}

#[test]
fn room_is_kept_for_what_is_in_flight_and_given_back() {
    let platter = Platter::sound();
    platter.limit(Some(100_000));
    let mut journal = Journal::start(platter.clone()).unwrap();
    assert!(journal.make_room(8).is_ok());
    let kept = platter.reserved();
    assert!(kept >= 8 * 2_048, "{kept}");
    assert!(journal.make_room(8).is_ok());
    assert_eq!(platter.reserved(), kept, "there is enough");
    assert!(journal.make_room(1_000).is_err());
    let seq = journal.append(slice::from_ref(&event(0))).unwrap();
    wait_for(&journal, seq);
    drop(journal);
    assert_eq!(platter.reserved(), platter.bytes().len() as u64);
}

#[test]
fn a_disk_that_cannot_keep_room_is_used_without() {
    let platter = Platter::sound();
    platter.cannot_reserve();
    let mut journal = Journal::start(platter.clone()).unwrap();
    assert!(journal.make_room(1_000_000).is_ok());
    journal.append(slice::from_ref(&event(0))).unwrap();
}
