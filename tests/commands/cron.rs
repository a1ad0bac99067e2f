//! Runs that nobody watches: what they mail, and what they tell whoever monitors them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::language::{Desk, csv_rows};
use crate::plant::{start, target};

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
    assert!(
        lines[0].starts_with("flowbatch: nightly on "),
        "{}",
        lines[0]
    );
    assert_eq!(lines.get(2), loud.stderr.lines().next().as_ref());
    assert_eq!(lines.last(), loud.stderr.lines().last().as_ref());
}

#[test]
fn metrics_tell_the_last_success_also_after_a_failure() {
    let service = crate::odd::Service::with(3);
    let desk = Desk::with("nightly.csv", "workflow_id,name\nw1,One\n")
        .variable("HW_AUTH_TOKEN", crate::language::CANARIES.token);
    let run = |expected: i32| {
        let said = desk.flowbatch(&format!(
            "run nightly.csv {} -q --metrics-file nightly.prom",
            service.target()
        ));
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

#[test]
fn a_zone_of_the_environment_that_is_not_found_is_a_problem_where_a_clock_matters() {
    let job = "[run]\nstop_at = \"06:00\"\n[target]\nsimulator = true\n[[update]]\nworkflow_id = \"w1\"\nname = \"x\"\n";
    let run = |zone: &str, command: &str| {
        let desk = Desk::with("job.toml", job)
            .file("rows.csv", "workflow_id,name\nw1,x\n")
            .file("hold.csv", "workflow_id,until\nw2,2090-01-01\n")
            .variable("TZ", zone);
        desk.flowbatch(command)
    };
    for command in [
        "run job.toml",
        "check job.toml",
        "plan job.toml",
        "run rows.csv --simulate --hold hold.csv",
        "run rows.csv --simulate --stop-at 6:00",
        "runs --changed --since 2026-11-01",
    ] {
        for zone in ["Europe/Berln", "\"UTC\"", "CEST"] {
            let said = run(zone, command);
            assert_eq!(said.code, 2, "{command}: {}", said.stderr);
            assert!(
                said.stderr.contains("no time zone is called"),
                "{}",
                said.stderr
            );
            assert!(
                said.stderr.contains("environment variable TZ"),
                "{}",
                said.stderr
            );
        }
    }
    for zone in ["", ":Europe/Berlin", "EST5EDT,M3.2.0,M11.1.0", "UTC"] {
        let said = run(zone, "check job.toml");
        assert_eq!(said.code, 0, "{zone}: {}", said.stderr);
    }
    // Where none does, it only shows.
    let said = run("Europe/Berln", "run rows.csv --simulate");
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn an_end_before_the_beginning_has_its_mail_and_its_metrics() {
    let rows = "workflow_id,name\nw1,One\n";
    let change = "[job]\nname = \"nightly\"\n[[change]]\nwhere = [\"name=nowhere\"]\nset = { description = \"x\" }\n";
    let wrong = "[job]\nname = \"nightly\"\n[run]\nspeed = 1\n";
    let broken = "[job\nname = \"nightly\"\n";
    let service = crate::odd::Service::with(3);
    service.behaves(|_, asked| match asked.path.ends_with("/workflows") {
        true => crate::odd::Odd::Answers(
            401,
            serde_json::json!({"error_code": "APIG.0301", "error_msg": "no"}),
        ),
        false => crate::odd::Odd::No,
    });
    let target = service.target();
    for (job, text, code, cause) in [
        ("nightly.csv", "", 2, "empty"),
        ("wrong.toml", wrong, 2, "unknown key"),
        ("broken.toml", broken, 2, ""),
        ("nightly.csv", rows, 4, "no credential"),
        ("change.toml", change, 4, "no credential"),
        ("change.toml", change, 4, "no"),
    ] {
        let desk = Desk::with(job, text).file("good.csv", rows).file(
            "nightly.toml",
            "[job]\nname = \"nightly\"\n[rows]\nfile = \"good.csv\"\n",
        );
        // A success that was real; that of the rehearsal is none.
        let success = "flowbatch_last_success_timestamp_seconds{job=\"nightly\"} 1795486504.250\n";
        let desk = desk.file("nightly.prom", format!("# HELP flowbatch_\n{success}"));
        let good = desk
            .flowbatch("run nightly.toml --simulate --rate 1000/s -q --metrics-file nightly.prom");
        assert_eq!(good.code, 0, "{}", good.stderr);
        let desk = match cause {
            "no" => desk.variable("HW_AUTH_TOKEN", crate::language::CANARIES.token),
            _ => desk,
        };
        let said = desk.flowbatch(&format!(
            "run {job} {target} -q --metrics-file nightly.prom"
        ));
        assert_eq!(said.code, code, "{job}: {}{}", said.stdout, said.stderr);
        let subject = said.stderr.lines().next().unwrap_or_default();
        let called = match job {
            "broken.toml" => "flowbatch: broken on ",
            _ => "flowbatch: nightly on ",
        };
        assert!(subject.starts_with(called), "{job}: {subject}");
        assert!(
            subject.ends_with(&format!(" (exit code {code})")),
            "{job}: {subject}"
        );
        assert!(subject.contains(cause), "{job}: {subject}");
        assert!(said.stderr.contains("\n\nerror: "), "{}", said.stderr);
        let metrics = desk.read("nightly.prom");
        let exit = format!("flowbatch_run_exit_code{{job=\"nightly\"}} {code}\n");
        assert!(metrics.contains(&exit), "{job}: {metrics}");
        assert!(metrics.contains(success), "{metrics}");
        // The run that was well has the only folder.
        desk.only_run();
    }
}

#[test]
fn a_record_that_fails_names_the_commands_that_go_on_and_back() {
    // Attempts fill the journal, which is not yet long when the rows are planned.
    let job = "[target]\nsimulator = true\n[simulator]\nlatency = \"0ms\"\n[simulator.faults]\n500 = 0.9\n\
               [retry]\nmax_attempts = 60\ninitial_delay = \"1ms\"\nmax_delay = \"2ms\"\n[run]\nrate = \"5000/s\"\nburst = 100\n\
               [stop]\nmax_errors = \"100%\"\n[rows]\nfile = \"rows.csv\"\n";
    let rows: String = (1..=60).map(|row| format!("w{row},x {row}\n")).collect();
    let program = env!("CARGO_BIN_EXE_flowbatch");
    for quiet in ["", "-q"] {
        let desk =
            Desk::with("rows.csv", format!("workflow_id,name\n{rows}")).file("job.toml", job);
        let run = |options: &str, limit: &str| {
            let line =
                format!("ulimit -f {limit}; exec {program} run job.toml -j 32 {quiet} {options}");
            desk.shell(&line).output().unwrap()
        };
        let output = run("", "160");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(7), "{text}");
        let commands: Vec<_> = ["resume", "undo"]
            .iter()
            .map(|name| {
                let mut lines = text
                    .lines()
                    .map(|line| line.trim().trim_start_matches("undo:").trim());
                let start = format!("{program} {name} ");
                lines
                    .find(|line| line.starts_with(&start))
                    .unwrap_or_else(|| panic!("{name}: {text}"))
                    .to_owned()
            })
            .collect();
        // They work as they stand.
        for command in &commands {
            let output = desk
                .shell(&format!("{command} --dry-run || {command}"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                matches!(output.status.code(), Some(0 | 1 | 3)),
                "{command}: {said}"
            );
        }
    }
}

#[test]
fn the_terminal_shows_the_first_five_rows_of_each_kind_of_error() {
    let mut csv = "workflow_id,name,expect_name\n".to_owned();
    for row in 1..=7 {
        let _ = writeln!(csv, "w{row},New {row},Something else {row}");
    }
    let desk = Desk::with("rows.csv", csv);
    let said = desk.flowbatch("run rows.csv --simulate --rate 1000/s --max-errors 100%");
    assert_eq!(said.code, 1, "{}", said.stderr);
    for row in 1..=7 {
        let line = format!(
            "\n      row {row} (line {}) w{row} \"Workflow w{row}\"",
            row + 1
        );
        assert_eq!(said.stdout.contains(&line), row <= 5, "{}", said.stdout);
    }
    let head = "    conflict (7 rows): name is \"Workflow w1\", expected \"Something else 1\"";
    assert!(said.stdout.contains(head), "{}", said.stdout);
    assert!(
        said.stdout.contains("\n      and 2 more, see the report\n"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_hold_for_a_workflow_that_is_nowhere_is_a_warning() {
    let (cloud, desk, ids) = start(60);
    let rows: String = ids.iter().take(40).map(|id| format!("{id},x\n")).collect();
    let held = format!(
        "workflow_id\n{}\n{}\n11111111-1111-4111-8111-11111111111A\n",
        ids[0].to_uppercase(),
        ids[50]
    );
    let desk = desk
        .file("rows.csv", format!("workflow_id,description\n{rows}"))
        .file("hold.csv", held);
    for command in ["plan", "run"] {
        let said = desk.flowbatch(&format!(
            "{command} rows.csv --hold hold.csv {}",
            target(&cloud)
        ));
        assert_eq!(said.code, 0, "{command}: {}", said.stderr);
        let warning = "the hold list names workflows that neither a row names nor the service has shown: \
                       11111111-1111-4111-8111-11111111111A\n";
        assert!(said.stderr.contains(warning), "{command}: {}", said.stderr);
    }
}

#[test]
fn a_filter_of_logs_that_means_nothing_is_a_warning() {
    let desk =
        Desk::with("rows.csv", "workflow_id,name\nw1,x\n").variable("FLOWBATCH_LOG", "verbose");
    let said = desk.flowbatch("run rows.csv --simulate");
    let warning = "warning: FLOWBATCH_LOG=verbose: verbose is no level (off, error, warn, info, debug, trace), \
                   and is taken for the name of a module\n";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
}

/// What the report of the only run says of each row: its status and its message.
fn ends(desk: &Desk) -> Vec<(String, String)> {
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    rows.into_iter()
        .map(|mut row| {
            let mut take = |name: &str| row.remove(name).unwrap();
            (take("status"), take("error_message"))
        })
        .collect()
}

#[test]
fn a_held_workflow_is_left_alone_also_where_a_row_names_it() {
    let held = "9b9f1b1e-5a52-4d1b-8a3b-6f6f2c9f4c11";
    let job = "[run]\nhold = \"lists/hold.csv\"\nrate = \"1000/s\"\n[target]\nsimulator = true\n[rows]\nfile = \"rows.csv\"\n";
    let desk = Desk::with("job.toml", job)
        .file(
            "lists/hold.csv",
            format!("workflow_id,until,reason\n{held},,release freeze\nw9,2024-01-01,old\n"),
        )
        // The simulator knows what jobs name by their ids, and by those it calls it.
        .file("known.csv", format!("workflow_id,description\n{held},x\n"))
        .file(
            "rows.csv",
            format!(
                "workflow_id,workflow_name,name\nw1,,One\n{},,Two\n",
                held.to_uppercase()
            ),
        );
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let told =
        "warning: lists/hold.csv:3: w9 was held until 2024-01-01, and is held no more: old\n";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    assert!(said.stderr.contains("(1 left out)"), "{}", said.stderr);
    let skipped = |why: &str| ("skipped".to_owned(), why.to_owned());
    assert_eq!(
        ends(&desk),
        [
            ("succeeded".to_owned(), String::new()),
            skipped("held: release freeze")
        ]
    );
    let rest = "run known.csv --simulate --state-dir other";
    assert_eq!(desk.flowbatch(rest).code, 0);
    fs::write(
        desk.path("rows.csv"),
        "workflow_id,workflow_name,name\n,Workflow 9b9f1b1e,Two\n",
    )
    .unwrap();
    let said = desk.flowbatch("run job.toml --state-dir other");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let run = fs::read_dir(desk.path("other/runs")).unwrap();
    let newest = run.map(|run| run.unwrap().path()).max().unwrap();
    let row = &csv_rows(&newest.join("report.csv"))[0];
    assert_eq!(
        (
            row["status"].as_str(),
            row["error_message"].as_str(),
            row["workflow_id"].as_str()
        ),
        ("skipped", "held: release freeze", held)
    );
}

#[test]
fn a_hold_list_with_a_fault_sends_nothing() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\n")
        .file("hold.csv", "workflow_id,until\nw1,24.12.2026\n");
    let said = desk.flowbatch("run rows.csv --simulate --hold hold.csv");
    let text = "error: not a day or an instant\n --> hold.csv:2:until\n";
    assert!(
        said.code == 2 && said.stderr.starts_with(text),
        "{}",
        said.stderr
    );
    let said = desk.flowbatch("run rows.csv --simulate --hold nowhere.csv");
    let text = "error: no such file: nowhere.csv\n";
    assert!(
        said.code == 2 && said.stderr.starts_with(text),
        "{}",
        said.stderr
    );
    assert!(!desk.has_runs());
}

#[test]
fn what_was_changed_a_short_time_ago_is_left_alone_and_undone_all_the_same() {
    let desk = Desk::with(
        "rows.csv",
        "workflow_id,name,expect_enabled\nw1,One,\nw2,Two,\nw3,,false\n",
    )
    .file("again.csv", "workflow_id,name\nw1,Uno\nw2,Two\nw3,Drei\n");
    let run =
        |arguments: &str| desk.flowbatch(&format!("{arguments} --simulate --leave-recent 10m"));
    assert_eq!(run("run rows.csv").code, 0);
    let said = run("run again.csv");
    assert_eq!(said.code, 1, "{}", said.stdout);
    let runs = fs::read_dir(desk.path(".local/state/flowbatch/runs")).unwrap();
    let newest = runs.map(|run| run.unwrap().path()).max().unwrap();
    let rows = csv_rows(&newest.join("report.csv"));
    let statuses: Vec<_> = rows.iter().map(|row| row["status"].as_str()).collect();
    assert_eq!(statuses, ["conflict", "unchanged", "succeeded"]);
    assert!(
        rows[0]["error_message"].starts_with(
            "it was changed a short time ago, which leave_recent forbids (changed by "
        ),
        "{}",
        rows[0]["error_message"]
    );
    // The plan says it before.
    let planned = run("plan again.csv");
    assert!(
        planned.stdout.contains("leave_recent forbids"),
        "{}",
        planned.stdout
    );
    let undone = desk.flowbatch("undo last --simulate");
    assert_eq!(undone.code, 0, "{}{}", undone.stdout, undone.stderr);
}
