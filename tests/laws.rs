//! The laws of the engine: what holds in every run, whatever the service, the disk and the person at
//! the keyboard do. Scenarios are random and played in virtual time.
//!
//! `FLOWBATCH_CAMPAIGN=20` plays twenty times as many scenarios, and always others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it is surprised"
)]

mod campaign;
mod language;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::time::Duration;

use flowbatch::engine::run::{Broken, Course};
use flowbatch::engine::schedule::Rules;
use flowbatch::model::event::{Event, Meaning, Method, Pause, Stamped};
use flowbatch::model::outcome::{Ended, Outcome, Status};
use flowbatch::model::rate::Per;
use flowbatch::model::simulation::{Fault, FaultKind, Simulation};
use flowbatch::model::tally::Tally;
use flowbatch::policy::budget::{Budget, Most};
use flowbatch::policy::retry::Retry;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use language::front::Departure;
use language::replay::Replay;
use language::scenario::{
    self, Disk, Forbidden, Outage, Scenario, Storm, Symptom, Weather, Wish, anything, ms,
};
use language::{Played, law, play, since_start};

/// How long rows are read of which only that tells what became of their update, once nothing new starts.
const GRACE: Duration = flowbatch::engine::schedule::GRACE;

/// Timers of tokio are as coarse as this.
const GRAIN: Duration = Duration::from_millis(2);

#[test]
fn a_run_starts_first_and_ends_last_and_does_both_once() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let ended = *played.ended.as_ref().unwrap();
        let is_start = |stamped: &&Stamped| matches!(stamped.event, Event::RunStarted(_));
        let is_end = |stamped: &&Stamped| matches!(stamped.event, Event::SessionEnded { .. });
        let first = played.events.first().unwrap();
        let last = played.events.last().unwrap();
        prop_assert!(is_start(&first), "{first:?} is first");
        prop_assert_eq!(&last.event, &Event::SessionEnded { ended });
        prop_assert_eq!(played.events.iter().filter(is_start).count(), 1);
        prop_assert_eq!(played.events.iter().filter(is_end).count(), 1);
        Ok(())
    });
}

#[test]
fn a_run_ends_as_its_events_say() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let ended = *played.ended.as_ref().unwrap();
        let replay = Replay::of(&played, |_, _, _| {});
        let gave_up = |ended| replay.lanes.values().any(|lane| lane.closed == Some(ended));
        match (replay.stop, ended) {
            (Some(stop), ended) => prop_assert_eq!(stop, ended),
            (None, Ended::Patience | Ended::Deadline) => prop_assert!(gave_up(ended)),
            (None, Ended::Refused) => prop_assert!(
                gave_up(Ended::Refused) || !replay.closed_workspaces.is_empty(),
                "nothing was refused"
            ),
            (None, ended) => prop_assert_eq!(ended, Ended::Completed),
        }
        Ok(())
    });
}

#[test]
fn every_row_that_was_taken_up_ends_exactly_once() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let mut ended = HashSet::new();
        let mut met = HashSet::new();
        let mut requests: HashMap<u64, u32> = HashMap::new();
        let mut puts: HashMap<u64, u32> = HashMap::new();
        for stamped in &played.events {
            if let Event::Attempt {
                row,
                method,
                request,
                ..
            } = &stamped.event
            {
                met.insert(*row);
                prop_assert!(!ended.contains(row), "row {row} leaves after its end");
                let count = requests.entry(*row).or_default();
                *count += 1;
                prop_assert_eq!(*count, *request, "requests are counted");
                *puts.entry(*row).or_default() += u32::from(*method == Method::Put);
            }
            if let Event::Answer { row, request, .. } = &stamped.event {
                prop_assert!(!ended.contains(row), "row {row} is answered after its end");
                prop_assert_eq!(requests.get(row), Some(request));
            }
            if let Event::RowEnded { row, outcome, .. } = &stamped.event {
                prop_assert!(ended.insert(*row), "row {row} ends twice");
                let sent = puts.get(row).copied().unwrap_or_default();
                prop_assert_eq!(outcome.attempts, sent, "updates are counted");
            }
        }
        prop_assert!(met.is_subset(&ended), "some rows never end");
        if *played.ended.as_ref().unwrap() == Ended::Completed {
            prop_assert_eq!(ended.len(), played.rows.len());
        }
        Ok(())
    });
}

#[test]
fn an_attempt_is_on_record_before_its_request_leaves() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let bold = |departure: &&Departure| !departure.on_record;
        let bold = played.departures.iter().find(bold);
        prop_assert!(bold.is_none(), "not on record: {bold:?}");
        let mut attempts = played.attempts();
        for left in &played.departures {
            // Somebody who interrupts may drop a request before it has left.
            let own = attempts.any(|attempt| attempt == (left.row, left.method));
            prop_assert!(own, "out of order: {left:?}");
        }
        let dropped = played.departures.len() < played.attempts().count();
        prop_assert!(!dropped || !scenario.interrupts.is_empty());
        Ok(())
    });
}

#[test]
fn nothing_leaves_once_the_record_has_failed() {
    let broken = (anything(), 1..1_000_usize);
    law(40, broken, |(scenario, most)| {
        let played = play(&Scenario {
            disk: Disk::Full(most),
            ..scenario
        });
        prop_assert!(
            played
                .departures
                .iter()
                .all(|d| d.on_record && !d.after_failure)
        );
        prop_assert_eq!(
            played.ended.is_err(),
            played.events.len() == most && !is_over(&played)
        );
        // What was written together with what failed may be on record, and nobody has seen it.
        prop_assert!(played.events.starts_with(&played.seen));
        Ok(())
    });
}

#[test]
fn a_disk_that_fails_behind_the_runs_back_stops_it_at_once() {
    let failing = (anything(), ms(1..=3_000), 0..40_usize);
    law(40, failing, |(scenario, every, times)| {
        let played = play(&Scenario {
            disk: Disk::Failing(every, times),
            ..scenario
        });
        let fails_at = every * (u32::try_from(times).unwrap() + 1);
        prop_assert!(played.departures.iter().all(|d| !d.after_failure));
        prop_assert!(played.events.starts_with(&played.seen));
        prop_assert_eq!(played.shown_early, 0);
        if played.was_left {
            return Ok(());
        }
        match &played.ended {
            Err(Broken::Record(_)) => {
                prop_assert!(fails_at <= played.ended_at);
                prop_assert!(played.ended_at <= fails_at + GRAIN, "{:?}", played.ended_at);
            }
            Err(Broken::Rows(_) | Broken::Left(_)) => prop_assert!(false),
            Ok(_) => prop_assert_eq!(&played.seen, &played.events),
        }
        Ok(())
    });
}

#[test]
fn where_there_is_no_room_for_more_what_is_in_flight_still_ends_on_record() {
    let cramped = (anything(), 1..1_000_usize);
    law(40, cramped, |(scenario, most)| {
        let played = play(&Scenario {
            disk: Disk::Cramped(most),
            ..scenario
        });
        prop_assert!(is_over(&played));
        prop_assert_eq!(&played.seen, &played.events);
        let ends = played.outcomes();
        for (index, stamped) in played.events.iter().enumerate() {
            if let Event::Attempt { row, .. } = stamped.event {
                // Of what the schedule told before, some may have been told after the last look.
                prop_assert!(index < most + 4, "row {row} left without room");
                prop_assert!(ends.contains_key(&row), "row {row} has no end");
            }
        }
        Ok(())
    });
}

#[test]
fn a_deadline_is_kept_while_the_disk_is_behind() {
    let mut scenario = Scenario::calm(400);
    scenario.course.rules.rate = scenario::rate(1_000, Per::Second);
    scenario.course.rules.burst = NonZeroU32::new(8).unwrap();
    scenario.course.rules.concurrency = 64;
    scenario.course.rules.deadline = Some(Duration::from_secs(5));
    scenario.wishes = vec![Wish::Plain; 4_000];
    scenario.disk = Disk::Slow(Duration::from_secs(600));
    let played = play(&scenario);
    assert_eq!(*played.ended.as_ref().unwrap(), Ended::Deadline);
    assert!(played.most_pending > 1_000, "the disk was behind");
    let last = since_start(played.events.last().unwrap());
    assert!(last <= Duration::from_secs(5) + GRAIN, "{last:?}");
}

#[test]
fn a_run_that_stops_by_the_clock_stops_when_the_clock_is_put_forward_or_the_machine_has_slept() {
    let jumps = (ms(100..=6_000), 1..48_u64);
    law(40, jumps, |(at, hours)| {
        let mut scenario = Scenario::calm(400);
        let hour = Duration::from_secs(3_600);
        scenario.course.stop_at = Some(Timestamp::UNIX_EPOCH + hour);
        scenario.jump = Some((at, hour * u32::try_from(hours).unwrap()));
        let played = play(&scenario);
        prop_assert_eq!(*played.ended.as_ref().unwrap(), Ended::Deadline);
        // The loop looks at the clock ten times a second.
        let latest = at + Duration::from_millis(100) + GRAIN;
        let late = played.departures.iter().find(|left| left.at > latest);
        prop_assert!(late.is_none(), "{late:?}");
        Ok(())
    });
}

#[test]
fn who_interrupts_twice_waits_for_no_disk() {
    let slow = (anything(), scenario::interrupts());
    law(40, slow, |(mut scenario, interrupts)| {
        scenario.interrupts.clone_from(&interrupts);
        let Some((second, _)) = interrupts.get(1) else {
            return Ok(());
        };
        scenario.disk = Disk::Slow(Duration::from_secs(600));
        let played = play(&scenario);
        prop_assert!(played.was_left);
        let latest = *second + Duration::from_secs(1) + GRAIN;
        prop_assert!(played.ended_at <= latest, "{:?}", played.ended_at);
        Ok(())
    });
}

fn is_over(played: &Played) -> bool {
    let last = played.events.last();
    last.is_some_and(|last| matches!(last.event, Event::SessionEnded { .. }))
}

#[test]
fn never_more_is_in_flight_than_the_lane_allows_and_one_until_it_has_answered() {
    law(40, anything(), |scenario| {
        let most = scenario.course.rules.concurrency;
        for departure in play(&scenario).departures {
            let most = if departure.proven { most } else { 1 };
            prop_assert!(departure.in_flight <= most, "{departure:?}");
        }
        Ok(())
    });
}

#[test]
fn never_more_leaves_than_the_pace_allows_in_any_window() {
    let paced = (anything(), ms(1..=10_000));
    law(40, paced, |(scenario, window)| {
        let played = play(&scenario);
        let rules = &scenario.course.rules;
        let burst = f64::from(rules.burst.get());
        let second = Duration::from_secs(1);
        for lane in 0..scenario.course.lanes {
            let times = departures(&played, lane);
            let in_a_second = most_in_any(&times, second) as f64;
            prop_assert!(
                in_a_second <= rules.rate.per_second() + burst,
                "{in_a_second}"
            );
            let in_a_window = most_in_any(&times, window) as f64;
            let due = rules.rate.per_second() * window.as_secs_f64();
            prop_assert!(
                in_a_window <= due + burst + 1.0,
                "{in_a_window} in {window:?}"
            );
        }
        Ok(())
    });
}

/// When requests left by `lane`.
fn departures(played: &Played, lane: usize) -> Vec<Duration> {
    let left = played.departures.iter();
    let left = left.filter(|departure| departure.lane == lane);
    left.map(|departure| departure.at).collect()
}

/// The most of `times` that lie in one window.
fn most_in_any(times: &[Duration], window: Duration) -> usize {
    let mut first = 0;
    let counts = times.iter().enumerate().map(|(last, at)| {
        while times[first] + window <= *at {
            first += 1;
        }
        last - first + 1
    });
    counts.max().unwrap_or_default()
}

#[test]
fn nothing_starts_after_a_stop_but_one_reading_of_each_row_whose_update_has_no_proof() {
    law(60, anything(), |scenario| {
        let played = play(&scenario);
        let deadline = scenario.course.rules.deadline;
        let mut broken = None;
        let mut unproven: HashSet<u64> = HashSet::new();
        let mut read: HashSet<u64> = HashSet::new();
        let mut ends_at = None;
        Replay::of(&played, |at, event, before| {
            if let Event::Answer {
                row,
                unproven: true,
                ..
            } = event
            {
                unproven.insert(*row);
            }
            let (Event::Attempt { row, .. } | Event::Answer { row, .. }) = event else {
                return;
            };
            let row = played.row(*row);
            let lane = before.lane(row.lane.0);
            let gave_up = matches!(lane.closed, Some(Ended::Patience | Ended::Deadline));
            let is_late = deadline.is_some_and(|deadline| deadline <= at);
            if before.stop.is_some() || gave_up || is_late {
                ends_at.get_or_insert(at + GRACE);
            }
            if let Event::Answer {
                meaning: Meaning::Throttled,
                ..
            } = event
            {
                // It was not read.
                read.remove(&row.number);
            }
            let Event::Attempt { method, .. } = event else {
                return;
            };
            let is_reading = *method == Method::Get && unproven.contains(&row.number);
            let what = if before.stop == Some(Ended::RecordFailed) {
                "without a record"
            } else if lane.closed == Some(Ended::Refused) {
                "by a lane that is refused"
            } else if (before.stop.is_some() || gave_up || is_late) && !is_reading {
                "after the stop"
            } else if before.closed_workspaces.contains(&row.workspace) && !is_reading {
                "for a closed workspace"
            } else if ends_at.is_some_and(|ends_at| ends_at <= at) {
                "when the last readings are over"
            } else if (before.stop.is_some() || gave_up) && !read.insert(row.number) {
                "a second time after the stop"
            } else {
                return;
            };
            broken.get_or_insert(format!("row {} leaves {what}, at {at:?}", row.number));
        });
        prop_assert_eq!(broken, None);
        Ok(())
    });
}

#[test]
fn an_update_without_a_proof_never_ends_unchanged_and_is_read_back_wherever_readings_are_answered()
{
    let all = prop_oneof![
        Just(FaultKind::InternalErrorAfter),
        Just(FaultKind::UnavailableAfter),
        Just(FaultKind::ResetAfter),
        Just(FaultKind::InternalError),
    ];
    let applied = (anything(), all, 0.2..0.9, scenario::interrupts());
    law(60, applied, |(scenario, kind, share, interrupts)| {
        let mut scenario = undisturbed(scenario);
        scenario.service.faults = vec![Fault { kind, share }];
        scenario.interrupts = interrupts.into_iter().take(1).collect();
        scenario.service.latency = (Duration::from_millis(5), Duration::from_millis(50));
        let played = play(&scenario);
        let mut is_unproven: HashSet<u64> = HashSet::new();
        let mut is_read: HashSet<u64> = HashSet::new();
        for stamped in &played.events {
            if let Event::Answer {
                row,
                method,
                unproven,
                meaning,
                ..
            } = &stamped.event
            {
                is_unproven.extend(unproven.then_some(*row));
                let is_done = *method == Method::Get && *meaning == Meaning::Done;
                is_read.extend((*unproven && is_done).then_some(*row));
            }
            let Event::RowEnded { row, outcome, .. } = &stamped.event else {
                continue;
            };
            if !is_unproven.contains(row) {
                continue;
            }
            prop_assert!(outcome.status != Status::Unchanged, "row {row}");
            prop_assert!(outcome.status != Status::NotAttempted, "row {row}");
            let was_applied = played.was_applied(played.row(*row));
            let denies = matches!(outcome.status, Status::Failed | Status::Conflict);
            if denies && was_applied {
                prop_assert!(outcome.unproven, "row {row} denies it: {outcome:?}");
            }
            if outcome.status == Status::Failed {
                prop_assert!(is_read.contains(row), "row {row} was not read back");
            }
        }
        Ok(())
    });
}

#[test]
fn nothing_starts_on_a_paused_lane_except_single_probes_in_an_outage() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let mut broken = None;
        Replay::of(&played, |at, event, before| {
            let Event::Attempt { row, .. } = event else {
                return;
            };
            let lane = before.lane(played.row(*row).lane.0);
            match lane.paused {
                Some((Pause::Throttled, _)) => {
                    broken = Some(format!("row {row} leaves at {at:?}, in a pause"));
                }
                Some((Pause::Outage, _)) if lane.in_flight > 0 => {
                    broken = Some(format!("row {row} leaves at {at:?}, beside a probe"));
                }
                Some((Pause::Outage, _)) | None => {}
            }
        });
        prop_assert_eq!(broken, None);
        Ok(())
    });
}

#[test]
fn a_lane_goes_on_after_a_pause_and_not_before_the_service_allows() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let mut broken = None;
        Replay::of(&played, |at, event, before| {
            let (Event::LanePaused { lane, .. } | Event::LaneResumed { lane }) = event else {
                return;
            };
            let pauses = matches!(event, Event::LanePaused { .. });
            let lane = before.lane(lane.0);
            if lane.closed.is_some() {
                broken = Some(format!("{event:?} at {at:?} on a closed lane"));
            } else if !pauses && lane.paused.is_none() {
                broken = Some(format!("{event:?} at {at:?} without a pause"));
            } else if !pauses && at < lane.not_before {
                broken = Some(format!("{event:?} at {at:?}, before it may"));
            }
        });
        prop_assert_eq!(broken, None);
        Ok(())
    });
}

#[test]
fn the_record_read_back_tells_the_same_events_and_the_same_counts() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let mut tally = Tally::default();
        for stamped in &played.events {
            let line = serde_json::to_string(stamped).unwrap();
            let read: Stamped = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&read, stamped);
            tally.see(&read.event);
        }
        prop_assert!(played.was_left || tally == played.tally);
        let ends = played.outcomes();
        for status in Status::ALL {
            let count = ends.values().filter(|end| end.status == status).count() as u64;
            if status == Status::NotAttempted {
                prop_assert!(tally.of(status) >= count);
            } else {
                prop_assert_eq!(tally.of(status), count, "{}", status);
            }
        }
        prop_assert_eq!(
            Status::ALL.iter().map(|s| tally.of(*s)).sum::<u64>(),
            tally.rows
        );
        Ok(())
    });
}

#[test]
fn watchers_see_the_record_in_order_and_never_what_is_not_durable() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        if played.was_left {
            prop_assert!(scenario.interrupts.len() > 1);
            prop_assert!(played.events.starts_with(&played.seen));
        } else {
            prop_assert_eq!(&played.seen, &played.events);
        }
        prop_assert_eq!(played.shown_early, 0);
        Ok(())
    });
}

#[test]
fn nothing_starts_while_a_thousand_events_wait_for_the_disk() {
    let slow = (60..=1_500_usize, 200..=1_500_usize, 1..=64_usize);
    law(20, slow, |(rows, trailing, concurrency)| {
        let mut scenario = Scenario::calm(rows);
        scenario.course.rules.rate = scenario::rate(1_000, Per::Second);
        scenario.course.rules.burst = NonZeroU32::new(8).unwrap();
        scenario.course.rules.concurrency = concurrency;
        scenario.disk = Disk::Trailing(trailing);
        let played = play(&scenario);
        // What one answer leads to is told together.
        prop_assert!(played.most_pending < 1_024 + 4, "{}", played.most_pending);
        prop_assert_eq!(*played.ended.as_ref().unwrap(), Ended::Completed);
        Ok(())
    });
}

#[test]
fn throttling_fails_no_row() {
    let throttled = (
        anything(),
        option::weighted(0.7, scenario::storm(0.5)),
        scenario::limits(),
        1..=8_u32,
    );
    law(40, throttled, |(scenario, storm, limits, max_attempts)| {
        let mut scenario = undisturbed(scenario);
        scenario.weather.storm = storm;
        scenario.service.rate_limits = limits;
        scenario.course.rules.retry.max_attempts = max_attempts;
        prop_assert_eq!(all_done(&play(&scenario)), Ok(()));
        Ok(())
    });
}

#[test]
fn a_limit_of_one_request_at_a_time_keeps_no_guarded_row_for_ever() {
    let tight = (
        scenario::wishes(1..=30),
        1..=3_u32,
        1..=16_usize,
        any::<bool>(),
    );
    law(20, tight, |(wishes, limit, concurrency, retry_after)| {
        let mut scenario = Scenario::calm(0);
        scenario.wishes = wishes;
        scenario.wishes.push(Wish::Guarded);
        scenario.course.rules.concurrency = concurrency;
        scenario.service.rate_limits = vec![scenario::rate(limit, Per::Second)];
        scenario.service.retry_after = retry_after;
        prop_assert_eq!(all_done(&play(&scenario)), Ok(()));
        Ok(())
    });
}

/// The scenario, with nothing that could fail or end a row early, and all the patience it needs.
fn undisturbed(mut scenario: Scenario) -> Scenario {
    scenario.wishes.retain(|wish| *wish != Wish::Lost);
    scenario.course.rules.budget = scenario::ALL_MAY_FAIL;
    scenario.course.rules.deadline = None;
    scenario.course.rules.patience = Duration::from_secs(86_400);
    scenario.course.timeout = Duration::from_secs(30);
    scenario.service.faults.clear();
    scenario.weather = Weather::default();
    scenario.interrupts.clear();
    scenario
}

/// Whether every row got what it wished for.
fn all_done(played: &Played) -> Result<(), String> {
    let outcomes = played.outcomes();
    for (wish, row) in played.scenario.wishes.iter().zip(&played.rows) {
        let wanted = match wish {
            Wish::Plain | Wish::Guarded => Status::Succeeded,
            Wish::Contested => Status::Conflict,
            Wish::Held | Wish::Idle => Status::Unchanged,
            Wish::Lost => Status::Failed,
        };
        let outcome = outcomes.get(&row.number);
        let outcome = outcome.ok_or_else(|| format!("row {} has no end", row.number))?;
        if outcome.status != wanted {
            return Err(format!("row {}: {outcome:?}", row.number));
        }
    }
    Ok(())
}

#[test]
fn only_attempts_that_were_not_throttled_are_used_up() {
    let unreadable = prop_oneof![Just(FaultKind::Truncated), Just(FaultKind::Html)];
    let troubled = (
        anything(),
        scenario::storm(0.5),
        unreadable,
        0.1..0.6,
        1..=8_u32,
    );
    law(40, troubled, |(scenario, storm, kind, share, most)| {
        let mut scenario = undisturbed(scenario);
        scenario.weather.storm = Some(storm);
        scenario.service.faults = vec![Fault { kind, share }];
        scenario.course.rules.retry.max_attempts = most;
        let played = play(&scenario);
        let mut used: HashMap<u64, u32> = HashMap::new();
        for stamped in &played.events {
            if let Event::Answer { row, meaning, .. } = stamped.event {
                let counts = matches!(meaning, Meaning::Again | Meaning::Final);
                *used.entry(row).or_default() += u32::from(counts);
            }
        }
        for (row, outcome) in played.outcomes() {
            let used = used.get(&row).copied().unwrap_or_default();
            match outcome.status {
                Status::Failed => prop_assert_eq!(used, most, "row {}", row),
                // A last reading, which may fail as well, tells whether its update arrived.
                Status::Unknown => prop_assert!(used == most || used == most + 1, "row {row}"),
                Status::Succeeded | Status::Unchanged | Status::Conflict => {
                    prop_assert!(used <= most, "row {row}");
                }
                Status::Skipped | Status::NotAttempted => prop_assert!(false, "row {row}"),
            }
        }
        Ok(())
    });
}

#[test]
fn an_outage_that_patience_outlasts_fails_no_row() {
    let outage = (
        anything(),
        ms(500..=5_000),
        ms(100..=60_000),
        scenario::symptom(),
    );
    law(40, outage, |(scenario, from, lasts, shows)| {
        let mut scenario = undisturbed(scenario);
        scenario.service.rate_limits.clear();
        // Something must work first, and whatever runs into the outage must have attempts left.
        scenario.service.latency = (Duration::from_millis(5), Duration::from_millis(100));
        scenario.course.rules.retry.initial_delay = Duration::from_millis(500);
        scenario.course.rules.retry.max_attempts = 20;
        scenario.course.rules.retry.max_delay = Duration::from_secs(10);
        scenario.course.timeout = Duration::from_secs(5);
        scenario.course.rules.patience = lasts + Duration::from_secs(30);
        scenario.weather.outage = Some(Outage {
            from,
            lasts: Some(lasts),
            shows,
        });
        prop_assert_eq!(all_done(&play(&scenario)), Ok(()));
        Ok(())
    });
}

#[test]
fn one_error_more_than_allowed_stops_the_run_and_not_one_fewer() {
    law(40, anything(), |scenario| {
        let played = play(&scenario);
        let budget = scenario.course.rules.budget;
        let mut broken = None;
        Replay::of(&played, |at, event, before| {
            let exceeded = budget.exceeded(before.errors, before.counted).is_some();
            let stops = matches!(
                event,
                Event::Stop {
                    ended: Ended::MaxErrors,
                    ..
                }
            );
            if before.stop.is_none() && exceeded != stops {
                broken = Some(format!(
                    "{event:?} at {at:?} after {} errors",
                    before.errors
                ));
            }
        });
        prop_assert_eq!(broken, None);
        Ok(())
    });
}

#[test]
fn three_errors_allowed_stop_the_run_on_the_fourth() {
    let lost = vec(prop_oneof![Just(Wish::Plain), Just(Wish::Lost)], 1..=200);
    law(40, lost, |wishes| {
        let errors = wishes.iter().filter(|wish| **wish == Wish::Lost).count();
        let mut scenario = Scenario::calm(0);
        scenario.wishes = wishes;
        scenario.course.rules.budget = Budget {
            max_errors: Most::Count(3),
            min_rows: 20,
        };
        let ended = play(&scenario).ended.unwrap();
        let wanted = if errors > 3 {
            Ended::MaxErrors
        } else {
            Ended::Completed
        };
        prop_assert_eq!(ended, wanted);
        Ok(())
    });
}

#[test]
fn rows_that_are_refused_with_their_workspace_or_credential_are_no_errors() {
    let refused = (
        1..=300_usize,
        1..=4_usize,
        any::<bool>(),
        option::of(1..200_usize),
        1..=64_usize,
    );
    law(
        40,
        refused,
        |(rows, workspaces, whole, expires, concurrency)| {
            let mut scenario = Scenario::calm(rows);
            scenario.workspaces = workspaces;
            scenario.course.rules.concurrency = concurrency;
            scenario.course.rules.budget = Budget {
                max_errors: Most::Count(0),
                min_rows: 0,
            };
            scenario.weather.expires = expires;
            scenario.weather.forbidden = vec![Forbidden {
                workspace: 0,
                from: 1,
                whole,
            }];
            let played = play(&scenario);
            let ended = *played.ended.as_ref().unwrap();
            let attempted = played.departures.len();
            let expired = expires.is_some_and(|expires| expires <= attempted);
            let wanted = if expired || workspaces.min(rows) == 1 {
                Ended::Refused
            } else {
                Ended::Completed
            };
            prop_assert_eq!(ended, wanted);
            Ok(())
        },
    );
}

#[test]
fn the_world_is_left_as_the_outcomes_say() {
    law(60, anything(), |scenario| {
        let played = play(&scenario);
        for (number, outcome) in played.outcomes() {
            let row = played.row(number);
            let live = played.live(row);
            let applied = played.was_applied(row);
            let holds = live.as_ref().is_some_and(|live| row.update.holds_in(live));
            match outcome.status {
                Status::Succeeded => prop_assert!(holds && applied, "row {number}: {live:?}"),
                Status::Unchanged => prop_assert!(holds && !applied, "row {number}: {live:?}"),
                // Carried out, the answer lost, sent again and refused.
                Status::Failed if applied => {
                    prop_assert!(outcome.attempts > 1, "row {number}: {outcome:?}");
                }
                Status::Unknown => {
                    prop_assert!(outcome.attempts > 0, "row {number}: {outcome:?}");
                }
                Status::Failed | Status::Conflict | Status::NotAttempted => {
                    prop_assert!(!applied, "row {number}: {outcome:?}");
                    let before = &played.before[usize::try_from(number).unwrap() - 1];
                    prop_assert_eq!(before, &live);
                }
                Status::Skipped => prop_assert!(false, "nobody skips row {number}"),
            }
        }
        let ends = played.outcomes();
        for row in &played.rows {
            let taken_up = ends.contains_key(&row.number);
            prop_assert!(taken_up || !played.was_applied(row), "row {}", row.number);
        }
        Ok(())
    });
}

#[test]
fn the_deadline_ends_the_run_within_one_timeout() {
    let late = (anything(), ms(100..=10_000));
    law(40, late, |(scenario, deadline)| {
        let mut scenario = undisturbed(scenario);
        scenario.course.rules.deadline = Some(deadline);
        scenario.course.timeout = Duration::from_secs(2);
        scenario.service.faults = vec![Fault {
            kind: FaultKind::Hang,
            share: 0.2,
        }];
        scenario.disk = Disk::Quick;
        let played = play(&scenario);
        let ended = *played.ended.as_ref().unwrap();
        if ended != Ended::Completed {
            prop_assert_eq!(ended, Ended::Deadline);
            let latest = deadline + scenario.course.timeout.max(GRACE) + GRAIN;
            prop_assert!(played.ended_at <= latest, "{:?}", played.ended_at);
            // At once, or when a row that was in flight by then would have to go again.
            let (mut may, mut late) = (deadline, None);
            for stamped in &played.events {
                let at = since_start(stamped);
                if matches!(stamped.event, Event::Answer { .. }) {
                    may = may.max(at);
                }
                if matches!(stamped.event, Event::Stop { .. }) && at > may + GRAIN {
                    late = Some(at);
                }
            }
            prop_assert_eq!(late, None);
        }
        let cut_short = played.tally.left() > 0;
        prop_assert!(!cut_short || ended == Ended::Deadline);
        Ok(())
    });
}

#[test]
fn who_interrupts_waits_for_what_is_in_flight_and_who_does_it_twice_does_not() {
    let interrupted = (anything(), scenario::interrupts());
    law(40, interrupted, |(mut scenario, interrupts)| {
        scenario.interrupts.clone_from(&interrupts);
        scenario.course.timeout = Duration::from_secs(60);
        scenario.service.faults.push(Fault {
            kind: FaultKind::Hang,
            share: 0.2,
        });
        let played = play(&scenario);
        let last = since_start(played.events.last().unwrap());
        let grace = Duration::from_secs(20);
        let latest = interrupts.first().map(|(at, _)| *at + grace + GRAIN);
        let sooner = interrupts.get(1).map(|(at, _)| *at + GRAIN);
        let latest = latest.into_iter().chain(sooner).min();
        prop_assert!(
            latest.is_none_or(|latest| last <= latest),
            "{last:?}, {latest:?}"
        );
        Ok(())
    });
}

#[test]
fn patience_ends_the_run_within_one_timeout() {
    let endless = (250..=400_usize, rules(), scenario::symptom(), 1..=64_usize);
    law(
        40,
        endless,
        |(rows, (patience, retry), shows, concurrency)| {
            let scenario = out_for_ever(rows, patience, retry, shows, concurrency);
            let played = play(&scenario);
            prop_assert_eq!(*played.ended.as_ref().unwrap(), Ended::Patience);
            let answers = played.events.iter().filter_map(|stamped| {
                let Event::Answer { meaning, .. } = stamped.event else {
                    return None;
                };
                Some((since_start(stamped), meaning))
            });
            let answers: Vec<_> = answers.collect();
            let mut backwards = answers.iter().rev();
            let trouble = backwards
                .by_ref()
                .take_while(|(_, meaning)| *meaning != Meaning::Done);
            let (began, _) = trouble.last().unwrap();
            let over = *began + patience;
            let ended_at = played.ended_at;
            prop_assert!(over <= ended_at, "{ended_at:?} is before {over:?}");
            let latest = over + scenario.course.timeout.max(GRACE) + GRAIN;
            prop_assert!(ended_at <= latest, "{ended_at:?} is after {latest:?}");
            Ok(())
        },
    );
}

#[test]
fn an_outage_is_met_with_few_requests() {
    let endless = (250..=400_usize, rules(), scenario::symptom(), 1..=64_usize);
    law(
        40,
        endless,
        |(rows, (patience, retry), shows, concurrency)| {
            let scenario = out_for_ever(rows, patience, retry, shows, concurrency);
            let mut probes = 0;
            Replay::of(&play(&scenario), |_, event, before| {
                let outage = matches!(before.lane(0).paused, Some((Pause::Outage, _)));
                probes += u32::from(outage && matches!(event, Event::Attempt { .. }));
            });
            let mut most = 0;
            let mut wait = Duration::ZERO;
            while wait <= patience {
                most += 1;
                wait += retry.lane_delay(most, 0.0);
            }
            prop_assert!(probes <= most, "{probes} probes, {most} are enough");
            Ok(())
        },
    );
}

/// Patience, and how it is tried again.
fn rules() -> impl Strategy<Value = (Duration, Retry)> {
    let retry = (ms(0..=2_000), ms(500..=60_000));
    let retry = retry.prop_map(|(initial_delay, max_delay)| Retry {
        max_attempts: 5,
        initial_delay,
        max_delay,
    });
    (ms(20_000..=600_000), retry)
}

/// An outage without an end, after five seconds with little trouble.
fn out_for_ever(
    rows: usize,
    patience: Duration,
    retry: Retry,
    shows: Symptom,
    concurrency: usize,
) -> Scenario {
    let mut scenario = Scenario::calm(rows);
    scenario.course.rules.rate = scenario::rate(40, Per::Second);
    scenario.course.rules.concurrency = concurrency;
    scenario.course.rules.patience = patience;
    scenario.course.rules.retry = retry;
    scenario.course.timeout = Duration::from_secs(1);
    scenario.weather.outage = Some(Outage {
        from: Duration::from_secs(5),
        lasts: None,
        shows,
    });
    scenario.service.faults = vec![Fault {
        kind: FaultKind::InternalError,
        share: 0.05,
    }];
    scenario
}

#[test]
fn an_endpoint_that_never_answered_is_given_up_after_five_probes() {
    let dead = prop_oneof![
        Just(Symptom::Refusal),
        Just(Symptom::Loss),
        Just(Symptom::Hang)
    ];
    let deaf = (3..=400_usize, dead, 1..=64_usize, 1..=8_u32);
    law(40, deaf, |(rows, shows, concurrency, max_attempts)| {
        let mut scenario = Scenario::calm(rows);
        scenario.course.rules.concurrency = concurrency;
        scenario.course.rules.retry.max_attempts = max_attempts;
        scenario.weather.outage = Some(Outage {
            from: Duration::ZERO,
            lasts: None,
            shows,
        });
        let played = play(&scenario);
        prop_assert_eq!(*played.ended.as_ref().unwrap(), Ended::Refused);
        prop_assert_eq!(played.departures.len(), 3 + 5);
        Ok(())
    });
}

#[test]
fn a_service_that_only_throttles_exhausts_patience_and_is_not_hammered() {
    let storm = scenario::storm(1.0).prop_map(|storm| Storm {
        share: 1.1,
        ..storm
    });
    let wish = prop_oneof![Just(Wish::Plain), Just(Wish::Guarded)];
    let wishes = (wish, 1..=200_usize).prop_map(|(wish, rows)| vec![wish; rows]);
    let endless = (wishes, storm, ms(20_000..=600_000), 1..=64_usize);
    law(40, endless, |(wishes, storm, patience, concurrency)| {
        let mut scenario = Scenario::calm(0);
        scenario.wishes = wishes;
        scenario.course.rules.patience = patience;
        scenario.course.rules.concurrency = concurrency;
        scenario.weather.storm = Some(storm);
        let played = play(&scenario);
        prop_assert_eq!(*played.ended.as_ref().unwrap(), Ended::Patience);
        let latest = patience + scenario.course.timeout;
        prop_assert!(played.ended_at <= latest, "{:?}", played.ended_at);
        // A pause lasts half a second at least, and what leaves after it meets the next one soon.
        let storms = played.ended_at.as_millis() / 500 + 1;
        let most = storms * 3 + scenario.wishes.len() as u128;
        prop_assert!(played.departures.len() as u128 <= most);
        let tried = |end: &&Outcome| end.status != Status::NotAttempted;
        prop_assert_eq!(played.outcomes().into_values().filter(tried).count(), 0);
        Ok(())
    });
}

#[test]
fn a_wait_beyond_patience_or_the_deadline_ends_the_run_at_once() {
    let asked = (
        1..=100_usize,
        ms(10_000..=600_000),
        any::<bool>(),
        any::<u64>(),
    );
    law(40, asked, |(rows, most, by_deadline, more)| {
        let mut scenario = Scenario::calm(rows);
        let (limit, ended) = if by_deadline {
            scenario.course.rules.deadline = Some(most);
            scenario.course.rules.patience = most * 2;
            (most, Ended::Deadline)
        } else {
            (most, Ended::Patience)
        };
        let beyond = limit.as_secs().saturating_add(1).saturating_add(more);
        scenario.weather.storm = Some(Storm {
            share: 1.1,
            retry_after: Some(Duration::from_secs(beyond.min(if by_deadline {
                limit.as_secs() * 2 - 1
            } else {
                u64::MAX
            }))),
            spares_reading: false,
        });
        let played = play(&scenario);
        prop_assert_eq!(*played.ended.as_ref().unwrap(), ended);
        prop_assert_eq!(played.departures.len(), 1);
        prop_assert!(
            played.ended_at < Duration::from_secs(1),
            "{:?}",
            played.ended_at
        );
        Ok(())
    });
}

#[test]
fn ten_thousand_rows_leave_as_fast_as_the_pace_allows_and_no_faster() {
    let fault = |kind, share| Fault { kind, share };
    let mut scenario = Scenario::calm(10_000);
    scenario.seed = 7;
    scenario.course = Course {
        rules: Rules {
            concurrency: 16,
            rate: scenario::rate(50, Per::Second),
            ..scenario.course.rules
        },
        timeout: Duration::from_secs(2),
        ..scenario.course
    };
    scenario.service = Simulation {
        seed: 7,
        latency: (Duration::from_millis(5), Duration::from_millis(40)),
        faults: vec![
            fault(FaultKind::InternalError, 0.01),
            fault(FaultKind::Unavailable, 0.01),
            fault(FaultKind::Reset, 0.01),
            fault(FaultKind::ResetAfter, 0.01),
            fault(FaultKind::Truncated, 0.01),
            fault(FaultKind::Hang, 0.005),
        ],
        ..Simulation::default()
    };
    scenario.weather.storm = Some(Storm {
        share: 0.005,
        retry_after: None,
        spares_reading: false,
    });
    let played = play(&scenario);
    assert_eq!(*played.ended.as_ref().unwrap(), Ended::Completed);

    let first_attempts = played.events.iter().filter_map(|stamped| {
        let first = matches!(stamped.event, Event::Attempt { request: 1, .. });
        first.then(|| since_start(stamped))
    });
    let first_attempts: Vec<_> = first_attempts.collect();
    let (first, last) = (first_attempts[0], *first_attempts.last().unwrap());
    let (mut used, mut paused, mut pauses) = (0_u32, Duration::ZERO, 0_u32);
    Replay::of(&played, |at, event, before| {
        used += u32::from(matches!(event, Event::Attempt { .. }) && at <= last);
        pauses += u32::from(matches!(event, Event::LanePaused { .. }));
        if at <= last {
            paused = before.lane(0).time_paused;
        }
    });
    let unpaused = (last - first).checked_sub(paused).unwrap();
    let permits = 50.0 * unpaused.as_secs_f64();
    let share = f64::from(used) / permits;
    let times = departures(&played, 0);
    let most = most_in_any(&times, Duration::from_secs(1));
    println!(
        "{used} of {permits:.0} permits used ({:.2} %) in {unpaused:?} beside {pauses} pauses of \
         {paused:?}; at most {most} in any second; {} requests in {:?}",
        share * 100.0,
        times.len(),
        played.ended_at,
    );
    println!("{:?}", played.tally);
    assert!(most <= 51, "{most} in one second");
    // Some are refused, by whatever: the pace is eased by 3 %.
    assert!(share >= 0.96, "{share}");
}
