//! Runs that nobody watches: what they mail, and what they tell whoever monitors them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::language::Desk;

/// Two rows that cannot be carried out, each for a reason of its own, among forty that can.
fn two_bad_rows() -> String {
    let mut csv = "workflow_id,workflow_name,name,expect_name\n".to_owned();
    for row in 1..=40 {
        let _ = writeln!(csv, "w{row},,Workflow {row},");
    }
    csv + "w41,,New,Something else\n,No such workflow,New,\n"
}

#[test]
fn a_quiet_run_that_fails_says_in_one_short_text_what_to_do() {
    let desk = Desk::with("nightly.csv", two_bad_rows());
    let said = desk.flowbatch("run nightly.csv --simulate --rate 1000/s -q");
    assert_eq!((said.code, said.stderr.as_str()), (1, ""));
    let lines: Vec<_> = said.stdout.lines().collect();
    assert!(lines.len() <= 60, "{}", said.stdout);
    let subject = lines[0];
    assert!(
        subject.starts_with("flowbatch: nightly (simulated) on "),
        "{subject}"
    );
    assert!(
        subject.ends_with(": 2 rows need a person (exit code 1)"),
        "{subject}"
    );
    for part in [
        "\nrows:   40 succeeded, 1 failed, 1 conflict of 42\n",
        "\nconflict, 1 row: ",
        "\n  row 41 (line 42) w41 \"Workflow w41\"",
        "\nnot_found, 1 row: ",
        "\n  row 42 (line 43)",
        "/report.csv\nrecord: ",
        "\nundo:   ",
    ] {
        assert!(said.stdout.contains(part), "{part} in {}", said.stdout);
    }
    // The last line is a command that a shell takes as it is.
    let resume = lines.last().unwrap().trim();
    let said = desk.shell(resume).output().unwrap();
    // All that is left is still wrong, which its plan shows before anything is sent.
    assert_eq!(said.status.code(), Some(3), "{resume}");
}

#[test]
fn a_quiet_run_with_a_wrong_job_is_brief_as_well() {
    let mut csv = "workflow_id,name,enabled\n".to_owned();
    for row in 1..=9 {
        let _ = writeln!(csv, "w{row},,maybe {row}\nw/{row},x,\nw{row}x,,\n");
    }
    let desk = Desk::with("nightly.csv", csv);
    let loud = desk.flowbatch("run nightly.csv --simulate");
    assert!(loud.stderr.lines().count() > 60, "{}", loud.stderr);
    let quiet = desk.flowbatch("run nightly.csv --simulate -q");
    assert_eq!((quiet.code, quiet.stdout.as_str()), (2, ""));
    let lines: Vec<_> = quiet.stderr.lines().collect();
    assert!(lines.len() <= 60, "{}", quiet.stderr);
    assert_eq!(lines.first(), loud.stderr.lines().next().as_ref());
    assert_eq!(lines.last(), loud.stderr.lines().last().as_ref());
}

#[test]
fn metrics_tell_the_last_success_also_after_a_failure() {
    let desk = Desk::with("nightly.csv", "workflow_id,name\nw1,One\n");
    let run = |expected: i32| {
        let said = desk
            .flowbatch("run nightly.csv --simulate --rate 1000/s -q --metrics-file nightly.prom");
        assert_eq!(said.code, expected, "{}{}", said.stdout, said.stderr);
        desk.read("nightly.prom")
    };
    let value = |text: &str, name: &str| {
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(name));
        found.map(|value| value.trim().to_owned())
    };
    let success = "flowbatch_last_success_timestamp_seconds{job=\"nightly\"}";
    let good = run(0);
    assert_eq!(
        value(
            &good,
            "flowbatch_run_rows{job=\"nightly\",status=\"succeeded\"}"
        ),
        Some("1".to_owned())
    );
    assert!(value(&good, success).is_some(), "{good}");
    let mode = fs::metadata(desk.path("nightly.prom"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o444, 0o444, "the collector is another user");
    fs::write(
        desk.path("nightly.csv"),
        "workflow_id,name,expect_name\nw1,Two,Zero\n",
    )
    .unwrap();
    let bad = run(1);
    assert_eq!(
        value(&bad, "flowbatch_run_exit_code{job=\"nightly\"}"),
        Some("1".to_owned())
    );
    assert_eq!(value(&bad, success), value(&good, success));
}

#[test]
fn metrics_go_nowhere_where_they_would_not_be_read_or_would_cost_a_file() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\n").file("other.prom", "other 1\n");
    for (path, what) in [
        (
            "metrics.txt",
            "the textfile collector reads files whose name ends in .prom only\n  name it so\n",
        ),
        (
            "other.prom",
            "a file is there that flowbatch has not written\n  name another file\n",
        ),
        (
            "nowhere/metrics.prom",
            "there is no folder nowhere\n  name another file\n",
        ),
    ] {
        let said = desk.flowbatch(&format!("run rows.csv --simulate --metrics-file {path}"));
        let text = format!("error: the metrics cannot go to {path}: {what}");
        assert_eq!((said.code, said.stderr), (2, text));
    }
    assert!(!desk.has_runs());
    assert_eq!(desk.read("other.prom"), "other 1\n");
}

#[test]
fn a_run_stops_by_the_clock_of_the_jobs_time_zone() {
    let job = "[job]\ntime_zone = \"Asia/Tokyo\"\n[run]\nstop_at = \"06:00\"\n[target]\nsimulator = true\n\
               [[update]]\nworkflow_id = \"w1\"\nname = \"x\"\n";
    let desk = Desk::with("job.toml", job);
    let stops = |arguments: &str| {
        let said = desk.flowbatch(&format!("run job.toml {arguments}"));
        let mut lines = said.stderr.lines();
        let line = lines.find_map(|line| line.strip_prefix("stops:      at "));
        line.unwrap().to_owned()
    };
    assert!(stops("").contains(" 06:00:00 +09:00, in "), "{}", stops(""));
    let flag = stops("--stop-at 7:30");
    assert!(flag.contains(" 07:30:00 +09:00, in "), "{flag}");
    // The earlier holds.
    let sooner = stops("--deadline 1s");
    assert!(sooner.ends_with(", in 1s"), "{sooner}");
}

#[test]
fn a_time_that_no_clock_shows_is_a_problem() {
    let job = "[job]\ntime_zone = \"Europe/Atlantis\"\n[run]\nstop_at = \"6\"\n[target]\nsimulator = true\n\
               [[update]]\nworkflow_id = \"w1\"\nname = \"x\"\n";
    let said = Desk::with("job.toml", job).flowbatch("run job.toml");
    assert_eq!(said.code, 2);
    for part in [
        "no time zone is called \"Europe/Atlantis\" here\n --> job.toml:2:13\n",
        "not a time of the day\n --> job.toml:4:11\n",
        "write hours and minutes: \"06:00\"",
    ] {
        assert!(said.stderr.contains(part), "{part} in {}", said.stderr);
    }
}
