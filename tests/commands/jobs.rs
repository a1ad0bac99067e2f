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
            let run = [format!("counts(\"{job}\""), format!("run jobs/{job}.toml")];
            assert!(
                run.iter().any(|run| here.contains(run)),
                "{name} is run by no test"
            );
            assert!(readme.contains(&name), "{name} is not in jobs/README.md");
        }
    }
}

/// Four stages, of which the third has a typo in its first wave.
#[test]
fn migration_stops_at_the_wave_with_the_typo_and_everything_is_put_back() {
    let desk = desk();
    let world = || {
        let place = "--workspace-id a4d0c1f2-7e63-4f0f-8d7b-2c9b54f0e611";
        let said = desk.flowbatch(&format!("export --simulate {place} --out world.csv"));
        assert_eq!(said.code, 0, "{}", said.stderr);
        let rows = csv_rows(&desk.path("world.csv"));
        let text = |row: &std::collections::HashMap<String, String>| {
            ["workflow_id", "name", "description", "enabled"]
                .map(|column| row[column].clone())
                .join("|")
        };
        rows.iter().map(text).collect::<Vec<_>>()
    };
    // The world as the stages find it.
    assert_eq!(desk.flowbatch("plan jobs/migration.toml").code, 1);
    let said = desk.flowbatch("run jobs/migration.toml --ticket CHG-12");
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    for text in [
        "stopped: stage \"enable the new ones\", wave 1 of 3: 1 error, max_errors = 0\n",
        "\n  stage \"disable the old ones\": 12 rows\n  stage \"rename the new ones\": 12 rows\n",
        "\n  stage \"mark the old ones\": not attempted: it needs stage \"enable the new ones\"",
        "name is \"Triage, tier 2\", expected \"Triagge, tier 2\" (changed by simulator,",
    ] {
        assert!(said.stdout.contains(text), "{text} in {}", said.stdout);
    }
    let run = desk.only_run();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    for text in [
        "wave 1 of 3: 2 rows, gate closed",
        "not attempted: it needs",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let undone = desk.flowbatch("undo last --simulate");
    assert_eq!(undone.code, 0, "{}", undone.stderr);
    let old = |row: usize| format!("old-{row:02}|Workflow old-{row:02}||false");
    let new = |row: usize| format!("new-{row:02}|Workflow new-{row:02}||false");
    let before: Vec<_> = (1..=12).map(old).chain((1..=12).map(new)).collect();
    assert_eq!(world(), before);
    // With the typo mended it runs through.
    let list = desk.read("jobs/migration-enable.csv");
    fs::write(
        desk.path("jobs/migration-enable.csv"),
        list.replace("Triagge", "Triage"),
    )
    .unwrap();
    let said = desk.flowbatch("run jobs/migration.toml");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let world = world();
    assert_eq!(
        world[0],
        "old-01|Workflow old-01|replaced; to be deleted after the review|false"
    );
    assert_eq!(world[12], "new-01|Triage, tier 1||true");
}
