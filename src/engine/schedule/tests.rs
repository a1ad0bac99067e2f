//! The schedule, asked and answered by hand.

use std::collections::{HashSet, VecDeque};

use super::*;
use crate::model::change::Change;
use crate::model::field::{Field, FieldSet};
use crate::model::guard::Guards;
use crate::model::id::Id;
use crate::model::reply::{Answer, Cause, Content, Data, Envelope, Renewal, Reply, Silence};
use crate::model::row::Row;
use crate::model::target::Workspace;
use crate::model::update::Update;
use crate::model::workflow::Workflow;
use crate::plan::decision::{Live, Terms};
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
        canaries: false,
        confirm_within: Duration::from_secs(10),
        allow_cleared: FieldSet::default(),
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
            code: match http_status {
                200 => None,
                401 => Some("APIG.0301".into()),
                429 => Some("APIG.0308".into()),
                500..=599 => Some("SecMaster.00000001".into()),
                _ => Some("SecMaster.20041002".into()),
            },
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
            Step::Send(row, ..) => left.push(row),
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
fn runs_of_one_process_share_their_pace() {
    let paces = Paces::default();
    let slow = || {
        let mut slow = schedule(1, None);
        slow.rules.rate = "1/s".parse().unwrap();
        slow.rules.burst = NonZeroU32::MIN;
        Schedule::new(slow.rules, 1, Tally::default())
    };
    let mut first = slow();
    first.take_paces(&paces);
    assert_eq!(leaving(&mut first, &mut given(&[0]), ms(0)).0, [1]);
    first.answered(ms(5), 1, answer(200, None), 0.5);
    first.leave_paces(&paces);
    let (mut second, mut rows) = (slow(), given(&[0]));
    second.take_paces(&paces);
    let (left, step) = leaving(&mut second, &mut rows, ms(10));
    let Step::Wait(Some(at)) = step else {
        panic!("{step:?}")
    };
    assert!(left.is_empty() && at >= ms(990), "{at:?}");
    assert_eq!(leaving(&mut second, &mut rows, ms(1_010)).0, [1]);
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
        Step::Send(_, Request::Get(_), _) => Method::Get,
        Step::Send(_, Request::Put(..), _) => Method::Put,
        step @ Step::Send(_, Request::Read(_), _) => panic!("{step:?}"),
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

/// The rows that have ended since the last call.
fn ends(schedule: &mut Schedule) -> Vec<(u64, Outcome)> {
    let mut ends = Vec::new();
    for event in schedule.take_events() {
        if let Event::RowEnded { row, outcome, .. } = event {
            ends.push((row, outcome));
        }
    }
    ends
}

/// How the first of them ended.
fn ended(schedule: &mut Schedule) -> Option<Outcome> {
    ends(schedule)
        .into_iter()
        .next()
        .map(|(_, outcome)| outcome)
}

/// A row whose workflow was read: it was called `old`.
fn planned() -> Known {
    let mut rows: VecDeque<Taken> = given(&[0]).0.into_iter().map(Taken::from).collect();
    rows[0].live = Some(live("old"));
    Known(rows)
}

fn live(name: &str) -> Live {
    Live {
        workflow: Workflow {
            name: name.into(),
            ..Workflow::default()
        },
        versions: None,
    }
}

#[test]
fn an_update_without_a_proof_is_read_back_before_its_row_ends() {
    let lost = || {
        Reply::Silence(Silence {
            cause: Cause::TimedOut,
            detail: String::new(),
        })
    };
    let cases: [(&dyn Fn() -> Reply, &str, Status, bool); 9] = [
        (&|| answer(500, None), "new", Status::Succeeded, false),
        (&|| answer(500, None), "old", Status::Failed, true),
        (&|| answer(500, None), "third", Status::Unknown, true),
        (&|| answer(524, None), "new", Status::Succeeded, false),
        (&|| answer(507, None), "old", Status::Failed, true),
        (&|| answer(502, None), "old", Status::Unknown, true),
        (&|| answer(302, None), "new", Status::Succeeded, false),
        (&lost, "old", Status::Unknown, true),
        (&lost, "new", Status::Succeeded, false),
    ];
    for (reply, found, status, is_unproven) in cases {
        let (mut schedule, mut rows) = (schedule(1, None), planned());
        let mut now = ms(0);
        let outcome = loop {
            let method = match schedule.next(now, &mut rows).unwrap() {
                Step::Send(_, Request::Get(_), _) => Method::Get,
                Step::Send(..) => Method::Put,
                Step::Wait(_) => {
                    now += ms(1);
                    continue;
                }
                Step::Done => panic!("{found}: it has not ended"),
            };
            match method {
                Method::Put => schedule.answered(now, 1, reply(), 0.5),
                Method::Get => schedule.answered(now, 1, read(found), 0.5),
            }
            if let Some(outcome) = ended(&mut schedule) {
                break outcome;
            }
        };
        let what = format!("{:?}, then {found}", reply());
        assert_eq!(
            (outcome.status, outcome.unproven),
            (status, is_unproven),
            "{what}"
        );
        let change = outcome.change.expect("it stands in the undo");
        assert_eq!(change.before[&Field::Name], "old", "{what}");
    }
}

#[test]
fn a_refusal_by_name_proves_nothing_about_the_update_before_it() {
    let (mut schedule, mut rows) = (schedule(1, None), planned());
    assert!(matches!(
        schedule.next(ms(0), &mut rows).unwrap(),
        Step::Send(_, Request::Put(..), _)
    ));
    schedule.answered(ms(1), 1, answer(500, None), 0.0);
    assert!(matches!(
        schedule.next(ms(2), &mut rows).unwrap(),
        Step::Send(_, Request::Put(..), _)
    ));
    schedule.answered(ms(3), 1, answer(400, None), 0.5);
    assert!(matches!(
        schedule.next(ms(3), &mut rows).unwrap(),
        Step::Send(_, Request::Get(_), None)
    ));
    schedule.answered(ms(4), 1, read("new"), 0.5);
    assert_eq!(ended_as(&mut schedule), Status::Succeeded);
}

#[test]
fn after_a_stop_an_update_without_a_proof_is_read_once_and_nothing_else_leaves() {
    for (reply, status) in [
        (read("new"), Status::Succeeded),
        (read("old"), Status::Failed),
        (answer(403, None), Status::Unknown),
        (answer(503, None), Status::Unknown),
    ] {
        let mut rows = planned();
        rows.0.extend(given(&[0, 0]).0.drain(1..).map(Taken::from));
        let mut schedule = schedule(1, None);
        schedule.next(ms(0), &mut rows).unwrap();
        schedule.answered(ms(1), 1, answer(500, None), 1.0);
        schedule.stop(Ended::Interrupted, "asked to");
        let step = schedule.next(ms(1_000), &mut rows).unwrap();
        let Step::Send(1, Request::Get(_), Some(within)) = step else {
            panic!("{step:?}");
        };
        assert_eq!(within, GRACE);
        schedule.answered(ms(1_001), 1, reply, 0.5);
        assert!(matches!(
            schedule.next(ms(1_002), &mut rows),
            Ok(Step::Done)
        ));
        let outcome = ended(&mut schedule).unwrap();
        assert_eq!(outcome.status, status);
        assert_eq!(schedule.ended(), Ended::Interrupted);
    }
}

#[test]
fn where_readings_are_not_answered_after_a_stop_one_is_enough() {
    let lost = Reply::Silence(Silence {
        cause: Cause::Connect,
        detail: String::new(),
    });
    let mut schedule = schedule(1, None);
    let mut rows = Known(given(&[0; 2]).0.into_iter().map(Taken::from).collect());
    for taken in &mut rows.0 {
        taken.live = Some(live("old"));
    }
    schedule.rules.retry.max_attempts = 9;
    schedule.rules.retry.initial_delay = HOUR;
    schedule.rules.retry.max_delay = HOUR;
    for row in 1..=2 {
        schedule.next(ms(row), &mut rows).unwrap();
        schedule.answered(ms(row), row, answer(500, None), 1.0);
    }
    schedule.stop(Ended::Deadline, "it is late");
    let mut now = ms(10);
    let mut readings = 0;
    loop {
        match schedule.next(now, &mut rows).unwrap() {
            Step::Send(row, ..) => {
                readings += 1;
                schedule.answered(now, row, lost.clone(), 0.5);
            }
            Step::Wait(_) => now += ms(1),
            Step::Done => break,
        }
    }
    assert_eq!(readings, 1);
    let ends = ends(&mut schedule).into_iter();
    let unknown = ends.filter(|(_, outcome)| outcome.status == Status::Unknown);
    assert_eq!(unknown.count(), 2);
}

#[test]
fn an_answer_about_another_workflow_is_none() {
    let about = |id: &str, name: &str| {
        let Reply::Answer(mut answer) = answer(200, None) else {
            unreachable!("it is an answer")
        };
        answer.content = Content::Envelope(Envelope {
            success: Some(true),
            data: Data::of(Workflow {
                id: id.into(),
                name: name.into(),
                ..Workflow::default()
            }),
            ..Envelope::default()
        });
        Reply::Answer(answer)
    };
    // Before an update: nothing is sent.
    let (mut schedule_1, mut rows) = (schedule(1, None), guarded());
    assert_eq!(next_method(&mut schedule_1, &mut rows, ms(0)), Method::Get);
    schedule_1.answered(ms(1), 1, about("w-2", "old"), 0.5);
    assert_eq!(ended_as(&mut schedule_1), Status::Failed);
    // As the echo of one, and when it is read back: what became of it is unknown.
    let (mut schedule, mut rows) = (schedule(1, None), planned());
    schedule.rules.retry.max_attempts = 1;
    schedule.next(ms(0), &mut rows).unwrap();
    schedule.answered(ms(1), 1, about("w-2", "new"), 0.0);
    let step = schedule.next(ms(2_000), &mut rows).unwrap();
    assert!(
        matches!(step, Step::Send(_, Request::Get(_), _)),
        "{step:?}"
    );
    schedule.answered(ms(2_001), 1, about("w-2", "new"), 0.5);
    assert_eq!(ended_as(&mut schedule), Status::Unknown);
    // Another spelling of the id is no other workflow.
    let row = given(&[0]).0.remove(0).unwrap();
    let row = Row {
        workflow_id: Id::parse("0F9183E1-C2D3-4B6C-8A7E-5D4C3B2A1908").unwrap(),
        ..row
    };
    let mut rows = Given(VecDeque::from([row]));
    let mut schedule = self::schedule(1, None);
    schedule.next(ms(0), &mut rows).unwrap();
    let id = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
    schedule.answered(ms(1), 1, about(id, "new"), 0.5);
    assert_eq!(ended_as(&mut schedule), Status::Succeeded);
}

#[test]
fn a_row_of_which_only_a_reading_was_lost_was_not_attempted() {
    let (mut schedule, mut rows) = (schedule(1, None), guarded());
    assert_eq!(next_method(&mut schedule, &mut rows, ms(0)), Method::Get);
    let truncated = Reply::Answer(Answer {
        http_status: 200,
        content: Content::Unreadable {
            how: crate::model::reply::Unreadable::Truncated,
            excerpt: String::new(),
        },
        ..Answer::default()
    });
    schedule.answered(ms(1), 1, truncated, 1.0);
    schedule.stop(Ended::Interrupted, "asked to");
    assert!(matches!(schedule.next(ms(2), &mut rows), Ok(Step::Done)));
    let outcome = ended(&mut schedule).unwrap();
    assert_eq!(
        (outcome.status, outcome.attempts, outcome.http_status),
        (Status::NotAttempted, 0, None)
    );
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
        Ok(taken.map(|taken| Errand::Row(Box::new(taken.compared(Terms::default())))))
    }

    fn found(&mut self, reading: &Reading, _: Result<Data, Failure>) -> Result<(), RowsError> {
        panic!("nobody asked for {reading:?}")
    }
}

/// So many rows by one lane, whose workflows have a description and are otherwise empty; the first one has none.
fn rows_with_a_draft(count: usize) -> Known {
    let mut rows: VecDeque<Taken> = given(&vec![0; count])
        .0
        .into_iter()
        .map(Taken::from)
        .collect();
    for taken in &mut rows {
        let mut live = live("old");
        if taken.row.number > 1 {
            live.workflow.description = "as it was".into();
        }
        taken.live = Some(live);
    }
    Known(rows)
}

/// Plays a service that shows each workflow as `show` makes it of its row's number and what was sent so far; gives what left, in
/// order, and the schedule at its end.
fn served(
    mut schedule: Schedule,
    rows: &mut Known,
    mut show: impl FnMut(u64, Method) -> (String, String),
) -> (Vec<(u64, Method)>, Schedule) {
    let (mut now, mut left) = (ms(0), Vec::new());
    loop {
        match schedule.next(now, rows).unwrap() {
            Step::Send(row, request, _) => {
                let method = match request {
                    Request::Get(_) => Method::Get,
                    Request::Put(..) | Request::Read(_) => Method::Put,
                };
                left.push((row, method));
                let (name, description) = show(row, method);
                let Reply::Answer(mut answer) = answer(200, None) else {
                    unreachable!("it is an answer")
                };
                answer.content = Content::Envelope(Envelope {
                    success: Some(true),
                    data: Data::of(Workflow {
                        name,
                        description,
                        ..Workflow::default()
                    }),
                    ..Envelope::default()
                });
                now += ms(1);
                schedule.answered(now, row, Reply::Answer(answer), 0.5);
            }
            Step::Wait(at) => now = at.unwrap_or(now + ms(1)).max(now + ms(1)),
            Step::Done => return (left, schedule),
        }
    }
}

fn with_canaries() -> Schedule {
    let mut schedule = schedule(1, None);
    schedule.rules.canaries = true;
    schedule.rules.budget.max_errors = Most::Count(0);
    schedule
}

#[test]
fn a_draft_is_no_canary_for_what_others_have_to_lose() {
    // A service that clears what an update does not hold.
    let mut put = HashSet::new();
    let (left, mut schedule) = served(with_canaries(), &mut rows_with_a_draft(9), |row, method| {
        if method == Method::Put {
            put.insert(row);
        }
        match (put.contains(&row), row) {
            (true, _) => ("new".into(), String::new()),
            (false, 1) => ("old".into(), String::new()),
            (false, _) => ("old".into(), "as it was".into()),
        }
    });
    let puts = left.iter().filter(|(_, method)| *method == Method::Put);
    assert_eq!(puts.map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(schedule.ended(), Ended::Gate);
    let (_, harmed) = ends(&mut schedule)
        .into_iter()
        .find(|(row, _)| *row == 2)
        .unwrap();
    let message = harmed.failure.unwrap().message;
    assert!(message.contains("--send full"), "{message}");
    assert!(
        message.contains(r#"allow_cleared = ["description"]"#),
        "{message}"
    );
    assert_eq!(
        harmed.change.unwrap().before[&Field::Description],
        "as it was"
    );
}

#[test]
fn a_field_that_may_be_cleared_is_put_back_by_the_undo_and_stops_nothing() {
    let mut schedule = with_canaries();
    schedule.rules.allow_cleared = [Field::Description].into_iter().collect();
    let mut put = HashSet::new();
    let (_, mut schedule) = served(schedule, &mut rows_with_a_draft(4), |row, method| {
        if method == Method::Put {
            put.insert(row);
        }
        match put.contains(&row) {
            true => ("new".into(), String::new()),
            false => ("old".into(), "as it was".into()),
        }
    });
    assert_eq!(schedule.ended(), Ended::Completed);
    for (row, outcome) in ends(&mut schedule) {
        assert_eq!(outcome.status, Status::Succeeded);
        let change = outcome.change.unwrap();
        let before = change.before.get(&Field::Description);
        assert_eq!(before.map(String::as_str), Some("as it was"), "row {row}");
    }
}

#[test]
fn canaries_are_proven_once_for_each_field_and_a_later_session_knows() {
    let mut put = HashSet::new();
    let mut show = |row: u64, method: Method| {
        if method == Method::Put {
            put.insert(row);
        }
        let name = if put.contains(&row) { "new" } else { "old" };
        let description = if row == 1 { "" } else { "as it was" };
        (name.to_owned(), description.to_owned())
    };
    let (left, mut first) = served(with_canaries(), &mut rows_with_a_draft(6), &mut show);
    let gets = left.iter().filter(|(_, method)| *method == Method::Get);
    assert_eq!(gets.map(|(row, _)| *row).collect::<Vec<_>>(), [1, 1, 2, 2]);
    let mut proven = Vec::new();
    for event in first.take_events() {
        if let Event::Proven { row, fields } = event {
            proven.push((row, fields.to_string()));
        }
    }
    assert_eq!(proven, [(1, String::new()), (2, "description".to_owned())]);
    let mut again = with_canaries();
    again.tally = first.tally().clone();
    put.clear();
    let (left, _) = served(again, &mut rows_with_a_draft(6), |row, method| {
        let name = if method == Method::Put { "new" } else { "old" };
        let description = if row == 1 { "" } else { "as it was" };
        (name.into(), description.into())
    });
    assert!(
        left.iter().all(|(_, method)| *method == Method::Put),
        "{left:?}"
    );
}

#[test]
fn a_service_that_confirms_and_does_not_apply_is_found_out_by_its_canary() {
    let (left, mut schedule) = served(with_canaries(), &mut rows_with_a_draft(5), |_, method| {
        let echo = if method == Method::Put { "new" } else { "old" };
        (echo.into(), String::new())
    });
    let puts = left.iter().filter(|(_, method)| *method == Method::Put);
    assert_eq!(puts.count(), 1);
    assert_eq!(schedule.ended(), Ended::Unconfirmed);
    let outcome = ended(&mut schedule).unwrap();
    assert_eq!(outcome.status, Status::Unknown);
    let message = outcome.failure.unwrap().message;
    assert!(message.contains("within 10s"), "{message}");
}

#[test]
fn a_service_that_trims_differs_and_goes_on() {
    let mut put = HashSet::new();
    let (_, mut schedule) = served(with_canaries(), &mut rows_with_a_draft(3), |row, method| {
        if method == Method::Put {
            put.insert(row);
        }
        let name = if put.contains(&row) { "ne" } else { "old" };
        (name.into(), String::new())
    });
    assert_eq!(schedule.ended(), Ended::Completed);
    assert_eq!(
        (schedule.tally().succeeded, schedule.tally().differs),
        (3, 3)
    );
    let outcome = ended(&mut schedule).unwrap();
    assert_eq!(outcome.shown[&Field::Name], "ne");
}

#[test]
fn an_echo_that_is_as_before_is_read_back_before_it_is_believed() {
    for (read_back, status) in [("new", Status::Succeeded), ("old", Status::Unknown)] {
        let mut schedule = with_canaries();
        schedule.tally.is_proven = true;
        schedule.rules.budget.max_errors = Most::Count(100);
        let (left, mut schedule) = served(schedule, &mut planned(), |_, method| {
            let name = if method == Method::Put {
                "old"
            } else {
                read_back
            };
            (name.into(), String::new())
        });
        assert_eq!(left[..2], [(1, Method::Put), (1, Method::Get)]);
        assert_eq!(ended_as(&mut schedule), status);
        assert_eq!(schedule.ended(), Ended::Completed);
    }
}

#[test]
fn a_field_that_an_answer_shows_as_cleared_makes_the_next_row_a_canary() {
    // The third update clears; a colleague might have, as far as its answer goes.
    for clears_again in [false, true] {
        let mut puts = 0;
        let mut cleared = HashSet::new();
        let mut put = HashSet::new();
        let (left, mut schedule) =
            served(with_canaries(), &mut rows_with_a_draft(8), |row, method| {
                if method == Method::Put {
                    puts += 1;
                    put.insert(row);
                    if puts == 4 || (clears_again && puts > 4) {
                        cleared.insert(row);
                    }
                }
                let name = if put.contains(&row) { "new" } else { "old" };
                let is_empty = row == 1 || cleared.contains(&row);
                let description = if is_empty { "" } else { "as it was" };
                (name.into(), description.into())
            });
        let read: Vec<_> = left
            .iter()
            .filter(|(row, method)| *method == Method::Get && *row > 2)
            .collect();
        assert!(!read.is_empty(), "the row after it is a canary");
        let ends = ends(&mut schedule);
        let suspect = &ends.iter().find(|(row, _)| *row == 4).unwrap().1;
        if clears_again {
            assert_eq!(schedule.ended(), Ended::Gate);
            assert_eq!(suspect.status, Status::Failed);
            let change = suspect.change.as_ref().unwrap();
            assert_eq!(change.before[&Field::Description], "as it was");
        } else {
            assert_eq!(schedule.ended(), Ended::Completed);
            assert_eq!(suspect.status, Status::Succeeded);
            assert!(suspect.note.as_ref().unwrap().contains("cleared"));
        }
    }
}

#[test]
fn a_canary_whose_lane_is_given_up_does_not_keep_the_other_lanes_waiting() {
    let given_up = answer(429, Some(HOUR * 2));
    let mut schedule = schedule(2, None);
    schedule.rules.canaries = true;
    let mut rows = Known(given(&[0, 1]).0.into_iter().map(Taken::from).collect());
    for taken in &mut rows.0 {
        taken.live = Some(live("old"));
    }
    let Step::Send(1, Request::Get(_), _) = schedule.next(ms(0), &mut rows).unwrap() else {
        panic!("row 1 is read")
    };
    assert!(matches!(schedule.next(ms(0), &mut rows), Ok(Step::Wait(_))));
    schedule.answered(ms(1), 1, given_up, 0.5);
    let step = schedule.next(ms(2), &mut rows).unwrap();
    assert!(matches!(step, Step::Send(2, ..)), "{step:?}");
}

/// The service's answer to a read: a workflow with this name and description.
fn read_with(name: &str, description: &str) -> Reply {
    let Reply::Answer(mut answer) = read(name) else {
        unreachable!("it is an answer")
    };
    answer.content = Content::Envelope(Envelope {
        success: Some(true),
        data: Data::of(Workflow {
            name: name.into(),
            description: description.into(),
            ..Workflow::default()
        }),
        ..Envelope::default()
    });
    Reply::Answer(answer)
}

/// What leaves next, whenever that is.
fn next_at(schedule: &mut Schedule, rows: &mut Known, now: &mut Duration) -> (u64, Method) {
    for _ in 0..100_000 {
        match schedule.next(*now, rows).unwrap() {
            Step::Send(row, Request::Get(_), _) => return (row, Method::Get),
            Step::Send(row, ..) => return (row, Method::Put),
            Step::Wait(at) => *now = at.unwrap_or(*now).max(*now + ms(1)),
            Step::Done => panic!("nothing leaves any more"),
        }
    }
    panic!("nothing leaves")
}

#[test]
fn an_update_that_the_service_trims_is_found_whatever_its_answer_was() {
    for is_guarded in [false, true] {
        let (mut schedule, mut rows, mut now) = (schedule(1, None), planned(), ms(0));
        rows.0[0].row.update.name = Some("new ".into());
        if is_guarded {
            rows.0[0].row.guards.fields = vec![(Field::Name, "old".into())];
        }
        let outcome = loop {
            match next_at(&mut schedule, &mut rows, &mut now).1 {
                Method::Put => schedule.answered(now, 1, answer(524, None), 0.5),
                Method::Get => {
                    let name = if schedule.tally().attempts == 0 {
                        "old"
                    } else {
                        "new"
                    };
                    schedule.answered(now, 1, read(name), 0.5);
                }
            }
            if let Some(outcome) = ended(&mut schedule) {
                break outcome;
            }
        };
        assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
        assert_eq!(outcome.shown[&Field::Name], "new");
        assert_eq!(outcome.change.unwrap().after[&Field::Name], "new ");
    }
}

#[test]
fn a_lane_that_was_given_up_is_asked_once_what_became_of_an_update() {
    let (mut schedule, mut rows, mut now) = (schedule(1, None), planned(), ms(0));
    let given_up = || answer(503, Some(HOUR * 2));
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Put)
    );
    schedule.answered(now, 1, given_up(), 0.5);
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Get)
    );
    schedule.answered(now, 1, given_up(), 0.5);
    assert!(matches!(schedule.next(now, &mut rows), Ok(Step::Done)));
    assert_eq!(ended(&mut schedule).unwrap().status, Status::Unknown);
}

#[test]
fn a_last_reading_goes_again_with_a_credential_that_was_renewed() {
    let (mut schedule, mut rows, mut now) = (schedule(1, None), planned(), ms(0));
    next_at(&mut schedule, &mut rows, &mut now);
    schedule.answered(now, 1, answer(500, None), 1.0);
    schedule.stop(Ended::Interrupted, "asked to");
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Get)
    );
    schedule.answered(now, 1, unauthorized(Some(1)), 0.5);
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Get)
    );
    schedule.answered(now, 1, read("new"), 0.5);
    assert_eq!(ended_as(&mut schedule), Status::Succeeded);
}

/// A run of which a canary has proven that updates leave descriptions alone.
fn proven() -> Schedule {
    let mut schedule = with_canaries();
    schedule.tally.is_proven = true;
    schedule.tally.proven = [Field::Description].into_iter().collect();
    schedule
}

#[test]
fn what_a_colleague_has_cleared_is_no_harm_done_by_an_update_without_a_proof() {
    let (mut schedule, mut rows, mut now) = (proven(), rows_with_a_draft(3), ms(0));
    rows.0.pop_front();
    schedule.rules.concurrency = 1;
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (2, Method::Put)
    );
    schedule.answered(now, 2, answer(524, None), 0.5);
    let mut put = HashSet::from([2]);
    loop {
        match schedule.next(now, &mut rows).unwrap() {
            Step::Send(row, request, _) => {
                if let Request::Put(..) = request {
                    put.insert(row);
                }
                let name = if put.contains(&row) { "new" } else { "old" };
                let description = if row == 2 { "" } else { "as it was" };
                schedule.answered(now, row, read_with(name, description), 0.5);
            }
            Step::Wait(at) => now = at.unwrap_or(now).max(now + ms(1)),
            Step::Done => break,
        }
    }
    assert_eq!(schedule.ended(), Ended::Completed);
    let ends = ends(&mut schedule);
    assert_eq!(ends.len(), 2);
    for (row, outcome) in ends {
        assert_eq!(outcome.status, Status::Succeeded, "{row}");
        let change = outcome.change.unwrap();
        assert_eq!(change.fields().count(), 1, "{row}: {change:?}");
    }
}

#[test]
fn a_suspect_waits_after_a_stop_for_what_the_canary_under_way_shows() {
    let (mut schedule, mut rows, mut now) = (proven(), rows_with_a_draft(4), ms(0));
    rows.0.pop_front();
    schedule.rules.concurrency = 1;
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (2, Method::Put)
    );
    schedule.answered(now, 2, read_with("new", ""), 0.5);
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (3, Method::Get)
    );
    schedule.answered(now, 3, read_with("old", "as it was"), 0.5);
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (3, Method::Put)
    );
    schedule.stop(Ended::Interrupted, "asked to");
    assert!(matches!(schedule.next(now, &mut rows), Ok(Step::Wait(_))));
    // What its answer shows is believed, because nothing reads it back any more.
    schedule.answered(now, 3, read_with("new", ""), 0.5);
    assert!(matches!(schedule.next(now, &mut rows), Ok(Step::Done)));
    let ends = ends(&mut schedule);
    for row in [2, 3] {
        let outcome = &ends.iter().find(|(ended, _)| *ended == row).unwrap().1;
        assert_eq!(outcome.status, Status::Failed);
        let change = outcome.change.as_ref().unwrap();
        assert_eq!(change.before[&Field::Description], "as it was", "{row}");
    }
}

#[test]
fn a_name_that_cannot_be_empty_again_is_told_although_the_answer_to_the_rest_was_an_error() {
    let (mut schedule, mut rows, mut now) = (schedule(1, None), planned(), ms(0));
    let update = &mut rows.0[0].row.update;
    (update.name, update.description) = (Some(String::new()), Some("back".into()));
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Put)
    );
    schedule.answered(now, 1, answer(524, None), 0.5);
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Get)
    );
    schedule.answered(now, 1, read_with("old", "back"), 0.5);
    let outcome = ended(&mut schedule).unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.failure.unwrap().message.contains("had no name"));
    assert_eq!(outcome.change.unwrap().after[&Field::Description], "back");
}

#[test]
fn what_an_earlier_session_cleared_is_forgotten_where_all_is_as_it_was_before() {
    let (mut schedule, mut now) = (schedule(1, None), ms(0));
    let mut rows = planned();
    let mut change = Change::default();
    change.note(Field::Name, "old", "new");
    change.note(Field::Description, "text", "");
    let taken = &mut rows.0[0];
    taken.live = None;
    taken.past.unproven = true;
    taken.past.change = Some(change);
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Get)
    );
    schedule.answered(now, 1, read_with("old", "text"), 0.5);
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (1, Method::Put)
    );
    schedule.answered(now, 1, read_with("new", "text"), 0.5);
    let outcome = ended(&mut schedule).unwrap();
    assert_eq!(outcome.status, Status::Succeeded);
    let fields: Vec<_> = outcome.change.unwrap().after.into_keys().collect();
    assert_eq!(fields, [Field::Name]);
}

#[test]
fn a_canary_whose_answer_was_an_error_and_that_was_cleared_ends_the_run() {
    let (mut schedule, mut rows, mut now) = (with_canaries(), rows_with_a_draft(3), ms(0));
    rows.0.pop_front();
    schedule.rules.concurrency = 1;
    // What an earlier session found is unknown.
    rows.0[0].live = None;
    rows.0[0].past.unproven = true;
    assert_eq!(
        next_at(&mut schedule, &mut rows, &mut now),
        (2, Method::Get)
    );
    schedule.answered(now, 2, read_with("old", "as it was"), 0.5);
    let mut put = false;
    loop {
        match schedule.next(now, &mut rows).unwrap() {
            Step::Send(row, Request::Put(..), _) => {
                assert_eq!(row, 2, "nothing else leaves");
                put = true;
                schedule.answered(now, row, answer(524, None), 0.5);
            }
            Step::Send(row, ..) if put && row == 2 => {
                schedule.answered(now, row, read_with("new", ""), 0.5);
            }
            Step::Send(row, ..) => {
                schedule.answered(now, row, read_with("old", "as it was"), 0.5);
            }
            Step::Wait(at) => now = at.unwrap_or(now).max(now + ms(1)),
            Step::Done => break,
        }
        assert!(now < HOUR, "it ends");
    }
    assert_eq!(schedule.ended(), Ended::Gate);
}
