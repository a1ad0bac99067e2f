//! Stories of disks: full, limited, read-only; and what is on record then.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::language::{Desk, csv_rows};
use super::service::{self, Service};

fn named(rows: u32) -> Desk {
    let rows: String = (1..=rows).map(|row| format!("w{row},x {row}\n")).collect();
    Desk::with("rows.csv", format!("workflow_id,name\n{rows}"))
}

/// Runs the rows of `desk` where no file may grow beyond so many KiB; returns what is said.
fn run_within(desk: &Desk, kib: u32) -> String {
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let line = format!(
        "ulimit -f {kib}; exec {program} run rows.csv --simulate --snapshot off --rate 2000/s -j 32"
    );
    let output = desk.shell(&line).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{text}");
    let reason = "error: the run was stopped: the journal could not be written: File too large";
    assert!(text.contains(reason), "{text}");
    text
}

/// The events of a journal, by a JSON reader that knows nothing of journals.
fn events(run: &Path) -> Vec<Value> {
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let lines = journal.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// What report, summary and journal say of each row; returns the ids of those that succeeded and of
/// those that were not sent, of which there are some.
fn agreed(run: &Path) -> (Vec<String>, Vec<String>) {
    let events = events(run);
    let has = |event: &str, row: u64| {
        let mut events = events.iter();
        events.any(|told| told["event"] == event && told["row"] == row)
    };
    let (mut done, mut left) = (Vec::new(), Vec::new());
    for row in csv_rows(&run.join("report.csv")) {
        let number = row["row"].parse().unwrap();
        let id = row["workflow_id"].clone();
        match row["status"].as_str() {
            "succeeded" => {
                assert!(has("row_ended", number), "row {number}");
                done.push(id);
            }
            "not_attempted" => {
                assert!(!has("attempt", number), "row {number}");
                left.push(id);
            }
            other => panic!("row {number} is {other}"),
        }
    }
    assert!(!done.is_empty() && !left.is_empty());
    let summary = fs::read_to_string(run.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["ended"], "record_failed");
    assert_eq!(summary["counts"]["succeeded"], done.len());
    assert_eq!(summary["counts"]["not_attempted"], left.len());
    assert_eq!(events.last().unwrap()["ended"], "record_failed");
    (done, left)
}

#[test]
fn a_file_size_limit_leaves_no_row_in_doubt() {
    let desk = named(700);
    run_within(&desk, 300);
    agreed(&desk.only_run());
}

#[test]
fn a_limit_that_the_report_does_not_fit_leaves_no_half_report() {
    let desk = named(3_000);
    let text = run_within(&desk, 300);
    let run = desk.only_run();
    let report = run.join("report.csv");
    for part in [
        &format!("cannot write {}: File too large", report.display()),
        "once that is mended: ",
        " report ",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!run.join("report.csv").exists(), "half a report is none");
    assert_eq!(events(&run).last().unwrap()["event"], "session_ended");
}

/// Whether this machine lets a user have file systems of their own.
#[expect(clippy::print_stdout, reason = "why a story is skipped")]
fn can_mount() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output();
    match tried {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            println!("skipped, because unshare is not permitted: {why}");
            false
        }
        Err(error) => {
            println!("skipped, because there is no unshare: {error}");
            false
        }
    }
}

#[test]
fn on_a_full_disk_what_was_sent_is_known_and_the_rest_was_not_sent() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new().variable("HW_AUTH_TOKEN", service::TOKEN);
    let service = Service::start_with(&desk, 400);
    let ids = service.ids();
    let desk = desk.file("rows.csv", service::csv(&ids));
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let (target, token) = (service.target(), service::TOKEN);
    // What is left of the room at the end is given back, and the folder is kept for the look at it.
    let line = format!(
        "mkdir -p state kept && HW_AUTH_TOKEN={token} FLOWBATCH_METADATA=off unshare -rm bash -c '\
         mount -t tmpfs -o size=140k tmpfs state && {{ \
         {program} run rows.csv {target} --snapshot off --rate 500/s --state-dir state; code=$?; \
         cp -r state/runs/* kept/; exit $code; }}'"
    );
    let output = desk.shell(&line).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{text}");
    let reason = "error: the run was stopped: the journal could not be written: No space left";
    assert!(text.contains(reason), "{text}");
    let run = fs::read_dir(desk.path("kept")).unwrap().next().unwrap();
    let events = events(&run.unwrap().path());
    assert_eq!(events.last().unwrap()["ended"], "record_failed", "{text}");
    let told = |event: &str| -> Vec<u64> {
        let told = events.iter().filter(|told| told["event"] == event);
        let mut rows: Vec<_> = told.map(|told| told["row"].as_u64().unwrap()).collect();
        rows.sort_unstable();
        rows
    };
    let (sent, ended) = (told("attempt"), told("row_ended"));
    assert!(sent.iter().all(|row| ended.contains(row)), "in doubt");
    assert!(!sent.is_empty() && sent.len() < ids.len());
    for (index, id) in ids.iter().enumerate() {
        let was_sent = sent.contains(&(index as u64 + 1));
        let live = &service.get(&format!("workflows/{id}"))["data"]["description"];
        assert_eq!(live == "Reviewed", was_sent, "row {}", index + 1);
    }
}

#[test]
fn near_a_full_disk_the_report_comes_first() {
    if !can_mount() {
        return;
    }
    let desk = named(1_000);
    let program = env!("CARGO_BIN_EXE_flowbatch");
    // Room for the report alone, and for so much more.
    for more in [16, 48, 80] {
        let line = format!(
            "rm -rf state kept && mkdir state kept && unshare -rm bash -c '\
             mount -t tmpfs tmpfs state && \
             {program} run rows.csv --simulate --rate 5000/s --burst 1000 --state-dir state -q && \
             cd state/runs/* && need=$(stat -c %s report.csv) && rm report.csv undo.csv && cd ../../.. && \
             used=$(df -k --output=used state | tail -n 1) && \
             mount -o remount,size=$((used + need / 1024 + {more}))k state && {{ \
             {program} report last --simulate --state-dir state; code=$?; cp -r state/runs/* kept/; exit $code; }}'"
        );
        let output = desk.shell(&line).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(7), "{more}: {text}");
        assert!(text.contains("undo.csv"), "{more}: {text}");
        let run = fs::read_dir(desk.path("kept")).unwrap().next().unwrap();
        let run = run.unwrap().path();
        assert_eq!(csv_rows(&run.join("report.csv")).len(), 1_000, "{more}");
        assert!(!run.join("undo.csv").exists(), "{more}");
    }
}

#[test]
fn a_report_that_cannot_be_written_stops_nothing_and_is_told() {
    let desk = named(20);
    let said = desk.flowbatch("run rows.csv --simulate --rate 500/s --report /dev/full");
    assert_eq!(said.code, 7, "{}", said.stderr);
    let text = "error: cannot write the report to /dev/full: No space left on device";
    assert!(said.stderr.contains(text), "{}", said.stderr);
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row["status"] == "succeeded"));
}

#[test]
fn where_no_record_can_be_kept_nothing_is_sent() {
    if !can_mount() {
        return;
    }
    let desk = named(3);
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let line = format!(
        "mkdir -p state && unshare -rm bash -c 'mount -t tmpfs tmpfs state && \
         mkdir state/runs state/tmp && mount -o remount,ro state && \
         exec {program} run rows.csv --simulate --state-dir state'"
    );
    let output = desk.shell(&line).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains("Read-only file system"), "{text}");
    assert!(!text.contains("target:"), "nothing has begun: {text}");
}

#[test]
fn where_the_live_state_cannot_be_kept_nothing_is_sent() {
    let desk = named(2_000);
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let output = desk
        .shell(&format!(
            "ulimit -f 200; {program} run rows.csv --simulate --rate 5000/s --burst 100 --progress none"
        ))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{said}");
    for part in ["File too large", "free space for "] {
        assert!(said.contains(part), "{said}");
    }
    let closing = String::from_utf8_lossy(&output.stdout);
    assert!(closing.contains("not_attempted      2000"), "{closing}");
    assert!(closing.contains("0 attempts"), "{closing}");
}

/// Everything that a command may be asked to print.
const RESULTS: [&str; 21] = [
    "undo --simulate last --dry-run",
    "run rows.csv --simulate --rate 500/s",
    "run rows.csv --simulate --rate 500/s --output json",
    "plan rows.csv --simulate",
    "plan rows.csv --simulate --output json",
    "check rows.csv --simulate",
    "runs --simulate",
    "runs --simulate --output json",
    "runs --simulate --changed",
    "runs --simulate --changed --output json",
    "runs --simulate --changed --output csv",
    "verify --simulate last",
    "report --simulate last",
    "report --simulate last --csv -",
    "report --simulate last --html -",
    "export --simulate --project-id p --workspace-id s",
    "schema",
    "completions bash",
    "man",
    "--help",
    "--version",
];

#[test]
fn a_result_that_cannot_be_written_is_exit_7_and_one_line_whatever_it_is() {
    let desk = named(3);
    let first = desk.flowbatch("run rows.csv --simulate --rate 500/s");
    assert_eq!(first.code, 0, "{}", first.stderr);
    for words in RESULTS {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = desk.command(words).stdout(full).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(7), "{words}: {text}");
        let line = "error: the result could not be written to standard output, and is incomplete there: \
                    No space left on device (os error 28)\n";
        assert!(text.ends_with(line), "{words}: {text}");
        assert_eq!(text.matches("error:").count(), 1, "{words}: {text}");
    }
}

#[test]
fn the_mail_of_a_run_goes_to_standard_error_where_standard_output_is_full() {
    let rows = "workflow_id,name,expect_name\nw1,New,Something else\n";
    let desk = Desk::with("rows.csv", rows);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = desk.command("run -q rows.csv --simulate");
    let output = command.stdout(full).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(
        text.starts_with("flowbatch: rows (simulated) on "),
        "{text}"
    );
    assert!(
        text.contains("1 row needs a person (exit code 1)"),
        "{text}"
    );
    assert!(text.contains("\nrecord: "), "{text}");
    assert!(
        text.ends_with("No space left on device (os error 28)\n"),
        "{text}"
    );
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let desk = named(3);
    desk.flowbatch("run rows.csv --simulate --rate 500/s");
    for words in RESULTS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = desk.command(words).stdout(writer).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("error"), "{words}: {text}");
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{words}: {text}"
        );
    }
}

#[test]
fn a_process_that_may_open_few_files_sends_fewer_requests_in_parallel_and_writes_its_report() {
    let desk = Desk::new();
    let service = Service::start_with(&desk, 120);
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let listed = desk.shell(&format!(
        "HW_AUTH_TOKEN={} {program} export {} --out all.csv",
        service::TOKEN,
        service.target()
    ));
    assert!({ listed }.status().unwrap().success());
    let rows: String = csv_rows(&desk.path("all.csv"))
        .iter()
        .map(|row| format!("{},reviewed\n", row["workflow_id"]))
        .collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    for command in ["plan rows.csv", "run rows.csv"] {
        let line = format!(
            "ulimit -n 48; HW_AUTH_TOKEN={} exec {program} {command} -j 64 --rate 1000/s --burst 100 {}",
            service::TOKEN,
            service.target()
        );
        let output = desk.shell(&line).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command}: {text}");
        assert!(
            text.contains("warning: this process may open 48 files: at most "),
            "{text}"
        );
    }
    let report = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(report.len(), 120);
}

#[test]
fn a_report_goes_down_a_pipe_that_is_read() {
    let desk = named(3);
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let line = format!(
        "mkfifo pipe; cat pipe > got & {program} run rows.csv --simulate --rate 500/s --report pipe; code=$?; wait; exit $code"
    );
    let output = desk.shell(&line).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(csv_rows(&desk.path("got")).len(), 3);
}
