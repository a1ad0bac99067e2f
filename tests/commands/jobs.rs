//! Every job in `jobs/`, run against the simulator.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::language::{Desk, csv_rows};

/// A desk with a copy of `jobs/`.
fn desk() -> Desk {
    let mut desk = Desk::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("jobs/{}", path.file_name().unwrap().to_str().unwrap());
        desk = desk.file(&name, fs::read(path).unwrap());
    }
    desk
}

/// Runs a job; returns the counts of its summary.
fn counts(job: &str, code: i32) -> Value {
    counts_with(job, "", code)
}

fn counts_with(job: &str, arguments: &str, code: i32) -> Value {
    let desk = desk();
    let said = desk.flowbatch(&format!("run jobs/{job}.toml {arguments}"));
    assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
    let run = desk.only_run();
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["simulated"], true);
    let rows = csv_rows(&run.join("report.csv"));
    assert_eq!(summary["counts"]["rows"], rows.len());
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(
            row["row"],
            (index + 1).to_string(),
            "each row once, in input order"
        );
    }
    summary["counts"].clone()
}

#[test]
fn the_demo_ends_all_green_although_the_service_fails_now_and_then() {
    let counts = counts("demo", 0);
    assert_eq!(counts["succeeded"], 300);
    assert!(counts["attempts"].as_u64() > Some(300), "{counts}");
}

#[test]
fn enable_brings_the_version_with_each_row() {
    assert_eq!(counts("enable", 0)["succeeded"], 12);
}

#[test]
fn rename_reads_a_guarded_workflow_first() {
    assert_eq!(counts("rename", 0)["succeeded"], 3);
}

#[test]
fn prefix_renames_what_lives_there_and_finds_nothing_to_do_again() {
    assert_eq!(counts("prefix", 0)["succeeded"], 25);
    let desk = desk();
    desk.flowbatch("run jobs/prefix.toml");
    let again = desk.flowbatch("plan jobs/prefix.toml");
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "prefix (simulated): 0 to change\n"),
        "{}",
        again.stderr
    );
}

#[test]
fn disable_is_read_as_a_german_spreadsheet_writes_it() {
    assert_eq!(counts_with("disable", "--snapshot off", 0)["succeeded"], 9);
    // Some of them are disabled already.
    let counts = counts("disable", 0);
    assert_eq!(counts["succeeded"], 3);
    assert_eq!(counts["unchanged"], 6);
}

#[test]
fn many_workspaces_are_one_run() {
    assert_eq!(counts("many-workspaces", 0)["succeeded"], 60);
}

#[test]
fn rollout_goes_in_three_waves() {
    assert_eq!(counts("rollout", 0)["succeeded"], 60);
}

#[test]
fn throttled_fails_no_row() {
    let counts = counts("throttled", 0);
    assert_eq!(counts["succeeded"], 80);
    assert!(counts["throttled"].as_u64() > Some(0), "{counts}");
}

#[test]
fn flaky_ends_green_after_many_attempts() {
    let counts = counts("flaky", 0);
    assert_eq!(counts["succeeded"], 200);
    assert!(counts["attempts"].as_u64() > Some(220), "{counts}");
}

#[test]
fn problems_has_them_all_and_sends_nothing() {
    // Two of them ask for a version that only a reading can tell.
    for (arguments, problems) in [("--snapshot off", 17), ("", 15)] {
        let desk = desk();
        let said = desk.flowbatch(&format!("run jobs/problems.toml {arguments}"));
        assert_eq!(said.code, 2);
        assert!(
            said.stderr
                .ends_with(&format!("{problems} problems; nothing was sent\n")),
            "{}",
            said.stderr
        );
        assert!(!desk.has_runs());
    }
}

#[test]
fn every_job_is_run_by_a_test_here_and_stands_in_the_readme() {
    let here = include_str!("jobs.rs");
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/README.md")).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(job) = name.strip_suffix(".toml") {
            let run = [format!("counts(\"{job}\""), format!("jobs/{job}.toml {{")];
            assert!(
                run.iter().any(|run| here.contains(run)),
                "{name} is run by no test"
            );
            assert!(readme.contains(&name), "{name} is not in jobs/README.md");
        }
    }
}
