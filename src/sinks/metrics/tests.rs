use expect_test::expect;

use super::*;
use crate::model::outcome::Ended;
use crate::model::tally::Tally;
use crate::sinks::summary::{Counts, JobFacts};

fn summary(exit_code: u8) -> Summary {
    let mut tally = Tally::default();
    (tally.rows, tally.succeeded, tally.failed) = (12, 9, 2);
    (tally.attempts, tally.throttled) = (14, 3);
    Summary {
        undo_left_out: Vec::new(),
        schema_version: 1,
        run_id: String::new(),
        tool_version: String::new(),
        operator: String::new(),
        identity: Vec::new(),
        host: String::new(),
        command: String::new(),
        ticket: None,
        partition: None,
        simulated: false,
        snapshot: String::new(),
        rate: String::new(),
        job: JobFacts {
            name: "triage \"eu\"\\\n".to_owned(),
            sha256: String::new(),
        },
        input: None,
        targets: Vec::new(),
        counts: Counts::from(&tally),
        started_at: Some("2026-11-24T02:15:00Z".parse().unwrap()),
        finished_at: Some("2026-11-24T02:15:04.250Z".parse().unwrap()),
        took_ms: 3_250,
        asked_ms: 1_000,
        pauses: 2,
        paused_ms: 1_500,
        sessions: Vec::new(),
        ended: Ended::Completed,
        waves: Vec::new(),
        stages_left: Vec::new(),
        approval: Vec::new(),
        given_up: Vec::new(),
        exit_code,
        files: Vec::new(),
    }
}

#[test]
fn a_run_is_told_in_gauges() {
    let text = metrics_text(&summary(0), "");
    expect![[r##"
        # HELP flowbatch_last_success_timestamp_seconds When a run of the job, not simulated, last ended with exit code 0.
        # TYPE flowbatch_last_success_timestamp_seconds gauge
        flowbatch_last_success_timestamp_seconds{job="triage \"eu\"\\\n"} 1795486504.250
        # HELP flowbatch_run_finished_timestamp_seconds When the job's last run ended.
        # TYPE flowbatch_run_finished_timestamp_seconds gauge
        flowbatch_run_finished_timestamp_seconds{job="triage \"eu\"\\\n"} 1795486504.250
        # HELP flowbatch_run_duration_seconds How long the job's last run worked: all its sessions, without the time between them and at questions.
        # TYPE flowbatch_run_duration_seconds gauge
        flowbatch_run_duration_seconds{job="triage \"eu\"\\\n"} 3.250
        # HELP flowbatch_run_exit_code What the job's last run returned; 0 is a success.
        # TYPE flowbatch_run_exit_code gauge
        flowbatch_run_exit_code{job="triage \"eu\"\\\n"} 0
        # HELP flowbatch_run_simulated 1 where nothing left this machine.
        # TYPE flowbatch_run_simulated gauge
        flowbatch_run_simulated{job="triage \"eu\"\\\n"} 0
        # HELP flowbatch_run_rows Rows of the job's last run, by how they ended.
        # TYPE flowbatch_run_rows gauge
        flowbatch_run_rows{job="triage \"eu\"\\\n",status="succeeded"} 9
        flowbatch_run_rows{job="triage \"eu\"\\\n",status="unchanged"} 0
        flowbatch_run_rows{job="triage \"eu\"\\\n",status="failed"} 2
        flowbatch_run_rows{job="triage \"eu\"\\\n",status="conflict"} 0
        flowbatch_run_rows{job="triage \"eu\"\\\n",status="unknown"} 0
        flowbatch_run_rows{job="triage \"eu\"\\\n",status="skipped"} 0
        flowbatch_run_rows{job="triage \"eu\"\\\n",status="not_attempted"} 1
        # HELP flowbatch_run_rows_differing Rows of the job's last run that succeeded and that the service shows with other values than were sent.
        # TYPE flowbatch_run_rows_differing gauge
        flowbatch_run_rows_differing{job="triage \"eu\"\\\n"} 0
        # HELP flowbatch_run_attempts Updates that the job's last run sent.
        # TYPE flowbatch_run_attempts gauge
        flowbatch_run_attempts{job="triage \"eu\"\\\n"} 14
        # HELP flowbatch_run_throttled_requests Requests of the job's last run that the service throttled, readings among them.
        # TYPE flowbatch_run_throttled_requests gauge
        flowbatch_run_throttled_requests{job="triage \"eu\"\\\n"} 3
        # HELP flowbatch_run_throttled_seconds How long the job's last run waited because it was throttled.
        # TYPE flowbatch_run_throttled_seconds gauge
        flowbatch_run_throttled_seconds{job="triage \"eu\"\\\n"} 1.500
    "##]]
    .assert_eq(&text);
}

#[test]
fn the_last_success_outlives_a_failure_and_is_the_jobs_own() {
    let good = metrics_text(&summary(0), "");
    let success = |text: &str| {
        let mut lines = text.lines();
        let found = lines.find(|line| line.starts_with(LAST_SUCCESS.0));
        found.map(str::to_owned)
    };
    let bad = metrics_text(&summary(1), &good);
    assert_eq!(success(&bad), success(&good));
    assert!(success(&bad).is_some());
    let mut other = summary(1);
    other.job.name = "other".to_owned();
    assert_eq!(success(&metrics_text(&other, &good)), None);
    // A rehearsal is no success.
    let mut rehearsal = summary(0);
    rehearsal.simulated = true;
    assert_eq!(success(&metrics_text(&rehearsal, "")), None);
    rehearsal.finished_at = Some("2026-12-01T00:00:00Z".parse().unwrap());
    assert_eq!(success(&metrics_text(&rehearsal, &good)), success(&good));
    // What is no number is not handed on.
    let torn = "flowbatch_last_success_timestamp_seconds{job=\"other\"} 17x\n";
    assert_eq!(success(&metrics_text(&other, torn)), None);
}

#[test]
fn an_end_before_the_beginning_keeps_the_last_success_and_nothing_else() {
    let earlier = metrics_text(&summary(0), "");
    let at = "2026-11-25T02:15:00Z".parse().unwrap();
    let text = unbegun_metrics("triage \"eu\"\\\n", 4, at, &earlier);
    expect![[r#"
        # HELP flowbatch_last_success_timestamp_seconds When a run of the job, not simulated, last ended with exit code 0.
        # TYPE flowbatch_last_success_timestamp_seconds gauge
        flowbatch_last_success_timestamp_seconds{job="triage \"eu\"\\\n"} 1795486504.250
        # HELP flowbatch_run_finished_timestamp_seconds When the job's last run ended.
        # TYPE flowbatch_run_finished_timestamp_seconds gauge
        flowbatch_run_finished_timestamp_seconds{job="triage \"eu\"\\\n"} 1795572900.000
        # HELP flowbatch_run_exit_code What the job's last run returned; 0 is a success.
        # TYPE flowbatch_run_exit_code gauge
        flowbatch_run_exit_code{job="triage \"eu\"\\\n"} 4
    "#]]
    .assert_eq(&text);
    assert_eq!(earlier_job(&text).as_deref(), Some("triage \"eu\"\\\n"));
    assert_eq!(earlier_job(""), None);
}
