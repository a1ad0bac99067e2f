//! A job in parts, each in a process of its own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::language::{Desk, csv_rows};
use crate::service::{Service, TOKEN};

/// Rows of the job; `FLOWBATCH_PARTITION_ROWS` says how many in a larger campaign.
fn rows() -> u32 {
    let asked = std::env::var("FLOWBATCH_PARTITION_ROWS").ok();
    asked.and_then(|rows| rows.parse().ok()).unwrap_or(1_600)
}

const PARTS: u32 = 8;

/// What a report says of each row, without what no two runs have in common: a row that was refused
/// in one of them took an attempt more.
fn told(report: &Path) -> Vec<HashMap<String, String>> {
    let mut rows = csv_rows(report);
    for row in &mut rows {
        for column in [
            "attempts",
            "request_id",
            "started_at",
            "finished_at",
            "duration_ms",
            "region",
        ] {
            row.remove(column);
        }
    }
    rows
}

fn summary(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap()
}

/// The run folders in a state folder.
fn runs(desk: &Desk, state: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(desk.path(state).join("runs")).unwrap();
    let mut runs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    runs
}

/// A service of its own, the job's rows for it, and the command that carries them out there.
fn service(desk: &Desk, arguments: &str) -> (Service, String) {
    let service = Service::begin(desk, rows(), arguments);
    let mut csv = "workflow_id,description\n".to_owned();
    for id in service.ids() {
        csv += &format!("{id},reviewed\n");
    }
    fs::write(desk.path("rows.csv"), csv).unwrap();
    let command = format!("run rows.csv {} --yes --progress none", service.target());
    (service, command)
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the least time that the rows need is what is looked at"
)]
fn eight_parts_at_once_are_the_job_and_keep_within_its_rate() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    // The service's limit is the rate of the job.
    let (_service, command) = service(&desk, "--rate-limit 400/s");
    let begun = Instant::now();
    let parts: Vec<_> = (1..=PARTS)
        .map(|part| {
            let part =
                format!("{command} --rate 400/s --partition {part}/{PARTS} --state-dir parts");
            desk.command(&part).spawn().unwrap()
        })
        .collect();
    for part in parts {
        let said = part.wait_with_output().unwrap();
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
    let took = begun.elapsed();
    let folders = runs(&desk, "parts");
    assert_eq!(folders.len(), PARTS as usize);
    // However slow the machine: who keeps to the rate needs so long. Requests that left in time
    // and were held up together on the way may still be refused.
    let least = Duration::from_secs(1).mul_f64(0.95 * f64::from(rows()) / 400.0);
    assert!(took >= least, "{took:?}");
    let throttled = folders
        .iter()
        .map(|folder| summary(folder)["counts"]["throttled"].as_u64());
    let throttled: u64 = throttled.map(Option::unwrap).sum();
    assert!(throttled <= u64::from(rows()) / 20, "{throttled} refused");
    let names: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let merged = desk.flowbatch(&format!("report --merge {} --out merged", names.join(" ")));
    assert_eq!(merged.code, 0, "{}{}", merged.stdout, merged.stderr);
    // The same job in one piece, for a service that is the same.
    let (_other, command) = service(&desk, "");
    let whole = desk.flowbatch(&format!("{command} --rate 5000/s -j 64 --state-dir whole"));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let whole = &runs(&desk, "whole")[0];
    let merged = desk.path("merged");
    let (parts, piece) = (
        told(&merged.join("report.csv")),
        told(&whole.join("report.csv")),
    );
    assert_eq!(parts.len(), piece.len());
    for (part, whole) in parts.iter().zip(&piece) {
        assert_eq!(part, whole);
    }
    let undo = |folder: &Path| {
        let rows = csv_rows(&folder.join("undo.csv"));
        rows.into_iter()
            .map(|row| (row["x_row"].clone(), row["workflow_id"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(undo(&merged), undo(whole));
    let told = summary(&merged);
    assert_eq!(
        (
            &told["rows"],
            &told["counts"]["succeeded"],
            &told["missing"]
        ),
        (&rows().into(), &rows().into(), &serde_json::json!([]))
    );
}

#[test]
fn a_part_that_is_missing_is_told_and_its_rows_are_not_attempted() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start_with(&desk, 30);
    let csv: String = service.ids().iter().map(|id| format!("{id},x\n")).collect();
    fs::write(
        desk.path("rows.csv"),
        format!("workflow_id,description\n{csv}"),
    )
    .unwrap();
    let target = service.target();
    for part in [1, 3] {
        let said = desk.flowbatch(&format!(
            "run rows.csv {target} --rate 1000/s --partition {part}/3"
        ));
        assert_eq!(said.code, 0, "{}", said.stderr);
    }
    let folders = runs(&desk, ".local/state/flowbatch");
    let names = folders.iter().map(|folder| folder.display().to_string());
    let names = names.collect::<Vec<_>>().join(" ");
    let said = desk.flowbatch(&format!("report --merge {names} --out merged"));
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(
        said.stdout.contains("merged 2 of 3 parts of rows\n"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("\n  part 2 is missing\n"),
        "{}",
        said.stdout
    );
    let report = csv_rows(&desk.path("merged/report.csv"));
    assert_eq!(report.len(), 30);
    let missing = report
        .iter()
        .filter(|row| row["error_message"] == "part 2 of 3 is missing");
    assert!(
        missing.clone().count() > 0 && missing.clone().all(|row| row["status"] == "not_attempted")
    );
    // It replaces an earlier one, and nothing else.
    let again = desk.flowbatch(&format!("report --merge {names} --out merged"));
    assert_eq!(again.code, 1, "{}", again.stderr);
    let onto = desk.flowbatch(&format!(
        "report --merge {names} --out {}",
        folders[0].display()
    ));
    assert!(
        onto.code == 2 && onto.stderr.contains("something else in"),
        "{}",
        onto.stderr
    );
    let twice = desk.flowbatch(&format!(
        "report --merge {names} {} --out merged",
        folders[0].display()
    ));
    assert!(
        twice.code == 2 && twice.stderr.contains("is there twice"),
        "{}",
        twice.stderr
    );
}

#[test]
fn an_indexed_job_says_which_part() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\nw2,Two\nw3,Three\n");
    let said = desk.flowbatch("check rows.csv --simulate --partition auto");
    assert!(
        said.code == 2 && said.stderr.contains("do not say which part"),
        "{}",
        said.stderr
    );
    let desk = desk
        .variable("JOB_COMPLETION_INDEX", "1")
        .variable("JOB_COMPLETIONS", "2");
    let said = desk.flowbatch("run rows.csv --simulate --rate 5/s --partition auto");
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stderr.contains("pace:       at most 2/s"),
        "{}",
        said.stderr
    );
    assert_eq!(summary(&desk.only_run())["partition"], "2/2");
    let whole = desk.flowbatch("run rows.csv --simulate --partition 3/2");
    assert!(
        whole.code == 2 && whole.stderr.contains("error: not a part\n"),
        "{}",
        whole.stderr
    );
}

#[test]
fn parts_share_a_workspace_with_each_other_and_with_nobody_else() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start_with(&desk, 40);
    let csv: String = service.ids().iter().map(|id| format!("{id},x\n")).collect();
    fs::write(
        desk.path("rows.csv"),
        format!("workflow_id,description\n{csv}"),
    )
    .unwrap();
    fs::copy(desk.path("rows.csv"), desk.path("other.csv")).unwrap();
    let target = service.target();
    // Slow enough to be there while the others come.
    let slow = format!("run rows.csv {target} --rate 2/s --progress none --partition 1/2");
    let mut first = desk.command(&slow).spawn().unwrap();
    let begun = "timeout 60 sh -c 'until grep -q leg_started $HOME/.local/state/flowbatch/runs/*/journal.jsonl 2>/dev/null; \
                 do sleep 0.05; done'";
    assert!(desk.shell(begun).status().unwrap().success());
    let code = |arguments: &str| {
        desk.flowbatch(&format!("run {arguments} {target} --rate 1000/s"))
            .code
    };
    assert_eq!(code("rows.csv --partition 2/2"), 0);
    assert_eq!(code("rows.csv --partition 1/2"), 6, "that part goes on");
    assert_eq!(code("rows.csv"), 6, "a whole job wants all of it");
    assert_eq!(code("other.csv --partition 2/2"), 6, "another job");
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(code("other.csv"), 0);
}

/// Statuses of the rows, by the two parts of a job.
fn in_two_parts(desk: &Desk, job: &str) -> [Vec<String>; 2] {
    [1, 2].map(|part| {
        let state = format!("part-{part}");
        let said = desk.flowbatch(&format!(
            "run {job} --partition {part}/2 --rate 1000/s --yes --progress none --state-dir {state}"
        ));
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
        let rows = csv_rows(&runs(desk, &state)[0].join("report.csv"));
        rows.iter().map(|row| row["status"].clone()).collect()
    })
}

#[test]
fn each_row_is_in_one_part_whatever_has_to_be_looked_up_for_it() {
    let mut named = "workspace,workflow_id,description\n".to_owned();
    let mut rows = "workflow_name\n".to_owned();
    for number in 1..=20 {
        named += &format!("SOC a{},q{number},e\n", number % 5);
        rows += &format!("Workflow w-{number}\n");
    }
    let templates = "[target]\nsimulator = true\n[rows]\nfile = \"rows.csv\"\n[defaults]\ndescription = \"now {{ name }}\"\n";
    for job in ["named.csv --simulate", "templates.toml"] {
        let desk = Desk::new()
            .file("named.csv", &named)
            .file("rows.csv", &rows)
            .file("templates.toml", templates);
        let [first, second] = in_two_parts(&desk, job);
        assert_eq!(first.len(), 20);
        for (first, second) in first.iter().zip(&second) {
            let is_in_one = (first == "skipped") != (second == "skipped");
            assert!(is_in_one, "{job}: {first} and {second}");
        }
    }
}
