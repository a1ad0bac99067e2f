use expect_test::expect;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::engine::ports::Watcher;
use crate::model::event::{Event, RunStarted, Stamped};
use crate::model::outcome::{Ended, ErrorClass, Failure, Outcome};
use crate::sinks::attention::AttentionRow;

fn digest(failed: u64, rows: u64) -> Digest {
    let mut digest = Digest::default();
    digest.see(&Stamped {
        at: "2026-11-24T02:15:00Z".parse().unwrap(),
        event: Event::RunStarted(RunStarted {
            format: 1,
            run_id: String::new(),
            tool_version: String::new(),
            operator: String::new(),
            job_sha256: String::new(),
            input_sha256: None,
            copy: None,
            lanes: Vec::new(),
            seed: 0,
            rows,
            skipped: 0,
        }),
    });
    for row in 1..=failed {
        let failure = Failure::new(ErrorClass::NotFound, "no such workflow");
        let outcome = Outcome {
            failure: Some(failure),
            ..Outcome::without_requests(Status::Failed)
        };
        digest.see(&Stamped {
            at: "2026-11-24T02:15:04Z".parse().unwrap(),
            event: Event::RowEnded {
                row,
                outcome,
                replaces: None,
            },
        });
    }
    digest.see(&Stamped {
        at: "2026-11-24T02:15:04Z".parse().unwrap(),
        event: Event::SessionEnded {
            ended: Ended::Completed,
        },
    });
    digest.tally.succeeded = rows - failed;
    digest
}

fn row(number: u64, message: &str) -> AttentionRow {
    AttentionRow {
        number,
        line: number + 1,
        status: Status::Failed,
        workflow_id: format!("workflow-{number}"),
        live_name: String::new(),
        message: message.to_owned(),
        stage: String::new(),
    }
}

fn closing<'a>(trouble: &'a [String], zone: &'a TimeZone) -> Closing<'a> {
    Closing {
        pages: &[],
        left_out: &[],
        job: "nightly",
        simulated: false,
        target: "region ap-southeast-2 (https://secmaster.ap-southeast-2.myhuaweicloud.com)",
        folder: "/var/lib/flowbatch/runs/20261124T021500Z-3f9a1c",
        sha256: "5f2c9e",
        report: Some("/var/lib/flowbatch/runs/20261124T021500Z-3f9a1c/report.csv"),
        trouble,
        hint: None,
        undo: Some("flowbatch undo 20261124T021500Z-3f9a1c --state-dir /var/lib/flowbatch"),
        next: Some(
            "to send what failed again, once it is mended (or mend rerun.csv and run that):\n  flowbatch resume \
             20261124T021500Z-3f9a1c --failed --state-dir /var/lib/flowbatch",
        ),
        zone,
    }
}

#[test]
fn a_mail_says_who_what_where_why_and_what_to_type() {
    let attention = Attention {
        groups: vec![
            Group {
                class: ErrorClass::NotFound,
                unknown: 0,
                code: "SecMaster.20040611".to_owned(),
                count: 2,
                rows: vec![row(3, "no such workflow"), row(9, "no such workflow")],
            },
            Group {
                class: ErrorClass::Conflict,
                unknown: 0,
                code: String::new(),
                count: 1,
                rows: vec![AttentionRow {
                    status: Status::Conflict,
                    live_name: "Triage, tier 1".to_owned(),
                    ..row(4, "enabled is true, expected false")
                }],
            },
        ],
        others: 0,
    };
    let text = mail_text(
        &digest(3, 100),
        &closing(&[], &TimeZone::UTC),
        &attention,
        "host7",
        1,
    );
    expect![[r#"
        flowbatch: nightly on host7: 3 rows need a person (exit code 1)

        when:   2026-11-24 02:15:00 +00:00, took 4s, 25.0 rows/s
        target: region ap-southeast-2 (https://secmaster.ap-southeast-2.myhuaweicloud.com)
        rows:   97 succeeded, 3 failed of 100
        sent:   0 attempts

        not_found SecMaster.20040611, 2 rows: no such workflow
          no such workflow or version there: check workflow_id, version_id and workspace_id
          row 3 (line 4) workflow-3
          row 9 (line 10) workflow-9

        conflict, 1 row: enabled is true, expected false
          something else is there than was expected: look at the workflow before you change the row
          row 4 (line 5) workflow-4 "Triage, tier 1"

        report: /var/lib/flowbatch/runs/20261124T021500Z-3f9a1c/report.csv
        record: /var/lib/flowbatch/runs/20261124T021500Z-3f9a1c
        sha256: 5f2c9e (summary.json)
        undo:   flowbatch undo 20261124T021500Z-3f9a1c --state-dir /var/lib/flowbatch
        to send what failed again, once it is mended (or mend rerun.csv and run that):
          flowbatch resume 20261124T021500Z-3f9a1c --failed --state-dir /var/lib/flowbatch
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_run_that_was_stopped_says_so_before_its_rows() {
    let mut digest = digest(2, 10);
    digest.ended = Some(Ended::Patience);
    assert_eq!(
        subject(&digest),
        "2 rows need a person, stopped: the service admitted nothing for longer than patience allows"
    );
}

#[test]
fn each_kind_has_its_turn_among_the_rows() {
    let group = |rows: u64| Group {
        class: ErrorClass::Server,
        unknown: 0,
        code: rows.to_string(),
        count: rows,
        rows: (1..=rows.min(20)).map(|number| row(number, "x")).collect(),
    };
    assert_eq!(shares(&[group(500), group(2), group(20)], 20), [9, 2, 9]);
    assert_eq!(shares(&[group(3)], 20), [3]);
}

proptest! {
    #[test]
    fn a_mail_is_short_enough_whatever_went_wrong(
        kinds in proptest::collection::vec(1..500_u64, 0..80),
        closed in 0..30_usize,
        troubles in 0..30_usize,
        noise in "\\PC{0,40}\n\\PC{0,400}",
    ) {
        let groups = kinds.iter().enumerate().map(|(index, count)| Group {
            class: ErrorClass::Server,
                unknown: 0,
            code: format!("{index}"),
            count: *count,
            rows: (1..=(*count).min(20)).map(|number| AttentionRow {
                live_name: noise.clone(),
                ..row(number, &format!("{noise}{number}"))
            }).collect(),
        });
        let attention = Attention { groups: groups.collect(), others: 3 };
        let mut digest = digest(0, 9);
        digest.closed = vec![noise.clone(); closed];
        let trouble = vec![noise.clone(); troubles];
        let text = mail_text(&digest, &closing(&trouble, &TimeZone::UTC), &attention, "h", 3);
        prop_assert!(text.lines().count() <= MOST_LINES, "{text}");
        // Each kind that is told is told with a row at least.
        for (index, count) in kinds.iter().enumerate().take(MOST_KINDS) {
            let heading = format!("\nserver {index}, {count} row");
            prop_assert!(text.contains(&heading), "{text}");
        }
        let told = text.matches("\n  row ").count();
        prop_assert!(told >= kinds.len().min(MOST_KINDS) && told <= MOST_ROWS, "{told} in {text}");
    }
}
