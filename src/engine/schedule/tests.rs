//! The schedule, asked and answered by hand.

use std::collections::VecDeque;

use super::*;
use crate::model::field::Field;
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::reply::{Answer, Cause, Content, Data, Envelope, Renewal, Reply, Silence};
use crate::model::row::Row;
use crate::model::target::Workspace;
use crate::model::update::Update;
use crate::model::workflow::Workflow;
use crate::plan::decision::Terms;
use crate::policy::budget::Most;

const HOUR: Duration = Duration::from_secs(3_600);

struct Given(VecDeque<Row>);

impl Source for Given {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let place = self.0.iter().position(|row| row.lane == lane);
        let row = place.and_then(|place| self.0.remove(place));
        Ok(row.map(|row| Errand::Row(Box::new(row.into()))))
    }

    fn found(&mut self, reading: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        panic!("nobody asked for {reading:?}")
    }
}

/// Rows that leave by the lanes named.
fn given(lanes: &[usize]) -> Given {
    let id = |text: &str| Id::parse(text).unwrap();
    let rows = lanes.iter().zip(1..).map(|(lane, number)| Row {
        number,
        line: number,
        lane: LaneId(*lane),
        workspace: Workspace {
            project_id: id("p"),
            workspace_id: id(&format!("ws-{lane}")),
        },
        workflow_id: id(&format!("w-{number}")),
        called: None,
        wave: None,
        update: Update {
            name: Some("new".into()),
            ..Update::default()
        },
        version: None,
        guards: Guards::default(),
    });
    Given(rows.collect())
}

fn schedule(lanes: usize, deadline: Option<Duration>) -> Schedule {
    let rules = Rules {
        concurrency: 4,
        rate: "1000/s".parse().unwrap(),
        finds_limit: false,
        burst: NonZeroU32::new(100).unwrap(),
        retry: Retry {
            max_attempts: 2,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
        },
        budget: Budget {
            max_errors: Most::Count(100),
            min_rows: 0,
        },
        patience: HOUR,
        deadline,
        terms: Terms::default(),
        max_age: HOUR,
        trial: false,
    };
    Schedule::new(rules, lanes, Tally::default())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn answer(http_status: u16, retry_after: Option<Duration>) -> Reply {
    Reply::Answer(Answer {
        http_status,
        request_id: Some("r".into()),
        retry_after,
        content: Content::Envelope(Envelope {
            success: Some(http_status == 200),
            ..Envelope::default()
        }),
        ..Answer::default()
    })
}

/// The rows that leave at `now`, and what to do after that.
fn leaving(schedule: &mut Schedule, rows: &mut Given, now: Duration) -> (Vec<u64>, Step) {
    let mut left = Vec::new();
    loop {
        match schedule.next(now, rows).unwrap() {
            Step::Send(row, _) => left.push(row),
            step @ (Step::Wait(_) | Step::Done) => return (left, step),
        }
    }
}

#[test]
fn one_request_proves_the_credential_and_the_others_follow() {
    let (mut schedule, mut rows) = (schedule(1, None), given(&[0; 6]));
    assert_eq!(leaving(&mut schedule, &mut rows, ms(0)).0, [1]);
    schedule.answered(ms(9), 1, answer(200, None), 0.5);
    assert_eq!(leaving(&mut schedule, &mut rows, ms(9)).0, [2, 3, 4, 5]);
}

#[test]
fn lanes_take_turns() {
    let (mut schedule, mut rows) = (schedule(2, None), given(&[0, 0, 0, 1, 1, 1]));
    assert_eq!(leaving(&mut schedule, &mut rows, ms(0)).0, [1, 4]);
    schedule.answered(ms(9), 1, answer(200, None), 0.5);
    schedule.answered(ms(9), 4, answer(200, None), 0.5);
    assert_eq!(leaving(&mut schedule, &mut rows, ms(9)).0, [2, 5, 3, 6]);
}

#[test]
fn a_part_of_the_run_may_go_slower_than_the_lane() {
    let (mut schedule, mut rows) = (schedule(1, None), given(&[0; 400]));
    assert_eq!(leaving(&mut schedule, &mut rows, ms(0)).0, [1]);
    schedule.answered(ms(1), 1, answer(200, None), 0.5);
    schedule.narrow(Some("10/s".parse().unwrap()), Some(2));
    let mut sent = Vec::new();
    for now in (1..10_000).map(ms) {
        for row in leaving(&mut schedule, &mut rows, now).0 {
            sent.push(now);
            schedule.answered(now, row, answer(200, None), 0.5);
        }
    }
    assert!((98..=101).contains(&sent.len()), "{}", sent.len());
    let in_a_second = |from: &Duration| {
        let window = *from..*from + ms(1_000);
        sent.iter().filter(|at| window.contains(*at)).count()
    };
    assert!(sent.iter().map(in_a_second).max() <= Some(10));
    // Without it, the lane's own limits hold again.
    schedule.narrow(None, Some(2));
    let now = ms(20_000);
    assert_eq!(leaving(&mut schedule, &mut rows, now).0.len(), 2);
    schedule.narrow(None, None);
    assert_eq!(leaving(&mut schedule, &mut rows, now).0.len(), 2);
}

#[test]
fn a_row_that_was_throttled_goes_before_new_ones_and_has_used_up_nothing() {
    let (mut schedule, mut rows) = (schedule(1, None), given(&[0; 3]));
    schedule.rules.concurrency = 1;
    let mut now = ms(0);
    for _ in 0..5 {
        assert_eq!(leaving(&mut schedule, &mut rows, now).0, [1]);
        schedule.answered(now, 1, answer(429, Some(ms(1_000))), 0.5);
        assert!(leaving(&mut schedule, &mut rows, now).0.is_empty());
        now += ms(1_000);
    }
    assert_eq!(leaving(&mut schedule, &mut rows, now).0[0], 1);
    schedule.answered(now, 1, answer(200, None), 0.5);
    let Some(Event::RowEnded {
        row: 1, outcome, ..
    }) = schedule.take_events().next_back()
    else {
        panic!("row 1 has not ended")
    };
    assert_eq!((outcome.status, outcome.attempts), (Status::Succeeded, 6));
}

#[test]
fn a_wait_beyond_patience_ends_at_once_even_where_a_shorter_pause_goes_on() {
    let (mut schedule, mut rows) = (schedule(1, None), given(&[0; 9]));
    leaving(&mut schedule, &mut rows, ms(0));
    schedule.answered(ms(1), 1, answer(200, None), 0.5);
    assert_eq!(leaving(&mut schedule, &mut rows, ms(1)).0, [2, 3, 4, 5]);
    schedule.answered(ms(2), 2, answer(429, Some(ms(1_000))), 0.5);
    schedule.answered(ms(3), 3, answer(429, Some(HOUR * 2)), 0.5);
    schedule.answered(ms(4), 4, answer(200, None), 0.5);
    schedule.answered(ms(4), 5, answer(200, None), 0.5);
    let (left, step) = leaving(&mut schedule, &mut rows, ms(5));
    assert!(left.is_empty() && matches!(step, Step::Done), "{step:?}");
    assert_eq!(schedule.ended(), Ended::Patience);
}

#[test]
fn a_wait_beyond_the_deadline_ends_its_lane_and_no_other() {
    let (mut schedule, mut rows) = (schedule(2, Some(HOUR / 2)), given(&[0, 0, 1, 1]));
    leaving(&mut schedule, &mut rows, ms(0));
    schedule.answered(ms(1), 1, answer(429, Some(HOUR / 2)), 0.5);
    schedule.answered(ms(1), 3, answer(200, None), 0.5);
    assert_eq!(leaving(&mut schedule, &mut rows, ms(1)).0, [4]);
    schedule.answered(ms(2), 4, answer(200, None), 0.5);
    assert!(matches!(
        leaving(&mut schedule, &mut rows, ms(2)).1,
        Step::Done
    ));
    assert_eq!(schedule.ended(), Ended::Deadline);
}

#[test]
fn a_backoff_that_reaches_beyond_the_deadline_ends_nothing_before_it() {
    let (mut schedule, mut rows) = (schedule(1, Some(ms(100))), given(&[0]));
    leaving(&mut schedule, &mut rows, ms(0));
    schedule.answered(ms(1), 1, answer(429, None), 0.5);
    // The first refusal of a named pace makes a little room, the next one backs off.
    assert!(leaving(&mut schedule, &mut rows, ms(1)).0.is_empty());
    let (left, _) = leaving(&mut schedule, &mut rows, ms(30));
    assert_eq!(left, [1]);
    schedule.answered(ms(31), 1, answer(429, None), 0.5);
    let (_, step) = leaving(&mut schedule, &mut rows, ms(31));
    assert!(
        matches!(step, Step::Wait(Some(at)) if at == ms(100)),
        "{step:?}"
    );
    assert!(matches!(
        leaving(&mut schedule, &mut rows, ms(100)).1,
        Step::Done
    ));
    assert_eq!(schedule.ended(), Ended::Deadline);
}

/// A row that expects the name `old`.
fn guarded() -> Given {
    let mut rows = given(&[0]);
    rows.0[0].guards.fields = vec![(Field::Name, "old".into())];
    rows
}

/// The service's answer to a read: the workflow with this name.
fn read(name: &str) -> Reply {
    let Reply::Answer(mut answer) = answer(200, None) else {
        unreachable!("it is an answer")
    };
    answer.content = Content::Envelope(Envelope {
        success: Some(true),
        data: Data::of(Workflow {
            name: name.into(),
            ..Workflow::default()
        }),
        ..Envelope::default()
    });
    Reply::Answer(answer)
}

fn next_method(schedule: &mut Schedule, rows: &mut Given, now: Duration) -> Method {
    match schedule.next(now, rows).unwrap() {
        Step::Send(_, Request::Get(_)) => Method::Get,
        Step::Send(_, Request::Put(..)) => Method::Put,
        step @ Step::Send(_, Request::Read(_)) => panic!("{step:?}"),
        step @ (Step::Wait(_) | Step::Done) => panic!("{step:?}"),
    }
}

fn ended_as(schedule: &mut Schedule) -> Status {
    match schedule.take_events().next_back() {
        Some(Event::RowEnded { outcome, .. }) => outcome.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_guarded_row_is_read_again_before_its_update_goes_again() {
    let (mut schedule, mut rows) = (schedule(1, None), guarded());
    assert_eq!(next_method(&mut schedule, &mut rows, ms(0)), Method::Get);
    schedule.answered(ms(1), 1, read("old"), 0.5);
    assert_eq!(next_method(&mut schedule, &mut rows, ms(1)), Method::Put);
    schedule.answered(ms(2), 1, answer(429, Some(ms(60_000))), 0.5);
    // A minute later somebody else has renamed it.
    let later = ms(60_002);
    assert_eq!(next_method(&mut schedule, &mut rows, later), Method::Get);
    schedule.answered(later, 1, read("theirs"), 0.5);
    assert_eq!(ended_as(&mut schedule), Status::Conflict);
}

#[test]
fn an_update_that_may_have_arrived_is_found_by_reading_again() {
    let lost = Reply::Silence(Silence {
        cause: Cause::Lost,
        detail: String::new(),
    });
    for (found, status) in [("new", Status::Succeeded), ("theirs", Status::Conflict)] {
        let (mut schedule, mut rows) = (schedule(1, None), guarded());
        next_method(&mut schedule, &mut rows, ms(0));
        schedule.answered(ms(1), 1, read("old"), 0.5);
        next_method(&mut schedule, &mut rows, ms(1));
        schedule.answered(ms(2), 1, lost.clone(), 0.0);
        assert_eq!(next_method(&mut schedule, &mut rows, ms(3)), Method::Get);
        schedule.answered(ms(4), 1, read(found), 0.5);
        assert_eq!(ended_as(&mut schedule), status, "{found}");
    }
}

#[test]
fn doubt_survives_a_refusal_that_says_nothing_about_the_wish() {
    let lost = Reply::Silence(Silence {
        cause: Cause::TimedOut,
        detail: String::new(),
    });
    for (http_status, status) in [(401, Status::Unknown), (400, Status::Failed)] {
        let (mut schedule, mut rows) = (schedule(1, None), given(&[0]));
        next_method(&mut schedule, &mut rows, ms(0));
        schedule.answered(ms(1), 1, lost.clone(), 0.0);
        next_method(&mut schedule, &mut rows, ms(2));
        schedule.answered(ms(3), 1, answer(http_status, None), 0.5);
        let mut ended = None;
        for event in schedule.take_events() {
            if let Event::RowEnded { outcome, .. } = event {
                ended = Some(outcome.status);
            }
        }
        assert_eq!(ended, Some(status), "{http_status}");
    }
}

/// A 401, after which there is another credential, or not.
fn unauthorized(renewal: Option<u32>) -> Reply {
    match answer(401, None) {
        Reply::Answer(answer) => Reply::Answer(Answer {
            renewal: renewal.map(Renewal::Renewed),
            ..answer
        }),
        silence @ Reply::Silence(_) => silence,
    }
}

#[test]
fn rows_refused_with_a_credential_that_was_renewed_go_again_at_once_and_use_no_attempt_up() {
    let (mut schedule, mut rows) = (schedule(1, None), given(&[0, 0, 0]));
    let (left, _) = leaving(&mut schedule, &mut rows, ms(0));
    assert_eq!(left, [1]);
    schedule.answered(ms(1), 1, answer(200, None), 0.5);
    let (left, _) = leaving(&mut schedule, &mut rows, ms(1_000));
    assert_eq!(left, [2, 3]);
    schedule.answered(ms(1_001), 2, unauthorized(Some(1)), 0.5);
    schedule.answered(ms(1_002), 3, unauthorized(Some(1)), 0.5);
    let (left, _) = leaving(&mut schedule, &mut rows, ms(2_000));
    assert_eq!(left, [2, 3]);
    schedule.answered(ms(2_001), 2, answer(200, None), 0.5);
    schedule.answered(ms(2_001), 3, answer(200, None), 0.5);
    assert!(matches!(
        schedule.next(ms(2_002), &mut rows),
        Ok(Step::Done)
    ));
    let events: Vec<_> = schedule.take_events().collect();
    let renewed = |event: &&Event| matches!(event, Event::CredentialRenewed { renewal: 1, .. });
    assert_eq!(events.iter().filter(renewed).count(), 1, "{events:?}");
    assert_eq!(schedule.ended(), Ended::Completed);
}

#[test]
fn a_refusal_that_another_credential_does_not_cure_closes_the_lane() {
    let (mut schedule, mut rows) = (schedule(1, None), given(&[0, 0]));
    leaving(&mut schedule, &mut rows, ms(0));
    schedule.answered(ms(1), 1, unauthorized(Some(1)), 0.5);
    let (left, _) = leaving(&mut schedule, &mut rows, ms(1_000));
    assert_eq!(left, [1], "one replay");
    schedule.answered(ms(1_001), 1, unauthorized(Some(2)), 0.5);
    let (left, step) = leaving(&mut schedule, &mut rows, ms(2_000));
    assert!(left.is_empty() && matches!(step, Step::Done), "{left:?}");
    assert_eq!(schedule.ended(), Ended::Refused);
}

/// Rows with what is known of them.
struct Known(VecDeque<Taken>);

impl Source for Known {
    fn next(&mut self, lane: LaneId) -> Result<Option<Errand>, RowsError> {
        let place = self.0.iter().position(|taken| taken.row.lane == lane);
        let taken = place.and_then(|place| self.0.remove(place));
        Ok(taken.map(|taken| Errand::Row(Box::new(taken))))
    }

    fn found(&mut self, reading: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        panic!("nobody asked for {reading:?}")
    }
}

#[test]
fn a_first_row_whose_lane_is_given_up_does_not_keep_the_other_lanes_waiting() {
    let given_up = answer(429, Some(HOUR * 2));
    for had_ended in [false, true] {
        let mut schedule = schedule(2, None);
        schedule.trial = Trial::Wanted;
        let mut rows = Known(given(&[0, 1]).0.into_iter().map(Taken::from).collect());
        // An earlier session does not know whether it was changed, so it is read first.
        rows.0[0].past.doubt = true;
        rows.0[0].past.ended = had_ended.then_some(WasEnded {
            status: Status::Unknown,
            refused: false,
            tried: true,
            error_class: None,
            error_code: None,
        });
        let Step::Send(1, Request::Get(_)) = schedule.next(ms(0), &mut rows).unwrap() else {
            panic!("row 1 is read")
        };
        schedule.answered(ms(1), 1, given_up.clone(), 0.5);
        let step = schedule.next(ms(2), &mut rows).unwrap();
        assert!(matches!(step, Step::Send(2, _)), "{had_ended}: {step:?}");
    }
}
