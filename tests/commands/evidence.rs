//! The record of a run as evidence: whether it is whole, and who changed what.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::language::{Desk, csv_rows};

const TWO: &str = "workflow_id,name,enabled\nw1,One,true\nw2,\"=Two, \"\"x\"\"\",\n";

/// A desk with a run on it, and its folder.
fn ran() -> (Desk, PathBuf) {
    let desk = Desk::with("rows.csv", TWO);
    let said = desk.flowbatch("run rows.csv --simulate --rate 100/s --ticket CHG-1");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let run = desk.only_run();
    (desk, run)
}

#[test]
fn a_record_that_nobody_has_touched_is_whole() {
    let (desk, run) = ran();
    let said = desk.flowbatch("verify last --simulate");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout.ends_with("\nthe record is whole\n"),
        "{}",
        said.stdout
    );
    let shell = |line: &str| {
        let output = desk.shell(line).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    // As somebody else counts it.
    let by_others = shell(&format!("sha256sum {}", run.join("summary.json").display()));
    let hash = by_others.split_whitespace().next().unwrap();
    assert!(
        said.stdout.contains(&format!("sha256 {hash}\n")),
        "{}",
        said.stdout
    );
    let given = desk.flowbatch(&format!(
        "verify last --simulate --sha256 {}",
        hash.to_uppercase()
    ));
    assert_eq!(given.code, 0, "{}", given.stdout);
    let other = desk.flowbatch("verify last --simulate --sha256 5f2c");
    assert!(
        other.code == 1 && other.stdout.contains("not the one that was given"),
        "{}",
        other.stdout
    );
}

#[test]
fn each_file_that_was_touched_is_named() {
    for (file, from, to) in [
        ("report.csv", "succeeded", "unchanged"),
        ("undo.csv", "Workflow w1", "Workflow w9"),
        ("input.csv", "One", "Uno"),
        ("input.jsonl", "One", "Uno"),
        ("job.json", "rows", "raws"),
        ("plan.jsonl", "Workflow w1", "Workflow w9"),
        ("snapshot.jsonl", "Workflow w1", "Workflow w9"),
        ("summary.json", "\"succeeded\": 2", "\"succeeded\": 1"),
        ("journal.jsonl", "succeeded", "unchanged"),
    ] {
        let (desk, run) = ran();
        let path = run.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let said = desk.flowbatch("verify last --simulate");
        let wrong: Vec<_> = said
            .stdout
            .lines()
            .filter(|line| line.starts_with("  WRONG"))
            .collect();
        assert_eq!(said.code, 1, "{file}: {}{}", said.stdout, said.stderr);
        assert!(
            wrong.iter().any(|line| line.contains(&format!(" {file} "))),
            "{file}: {wrong:?}"
        );
    }
    let (desk, run) = ran();
    fs::remove_file(run.join("report.csv")).unwrap();
    let said = desk.flowbatch("verify last --simulate");
    assert!(
        said.code == 1 && said.stdout.contains("gone, not as the journal makes it"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_torn_journal_is_not_whole() {
    let (desk, run) = ran();
    let path = run.join("journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 9]).unwrap();
    let said = desk.flowbatch("verify last --simulate");
    assert!(
        said.code == 1 && said.stdout.contains("its end is torn off, as by a crash"),
        "{}",
        said.stdout
    );
}

#[test]
fn the_live_state_is_compared_with_what_the_run_left() {
    let (desk, run) = ran();
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let live = || desk.flowbatch(&format!("verify {id} --live"));
    let said = live();
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout
            .contains("  ok     live             2 as the run left them\n"),
        "{}",
        said.stdout
    );
    fs::write(desk.path("other.csv"), "workflow_id,name\nw1,Other\n").unwrap();
    assert_eq!(desk.flowbatch("run other.csv --simulate").code, 0);
    let said = live();
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout
            .contains("  WRONG  live             1 as the run left them, 1 changed since\n"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("  w1 \"Other\": name is \"Other\""),
        "{}",
        said.stdout
    );
}

#[test]
fn the_summary_says_who_and_on_whose_behalf() {
    let (_desk, run) = ran();
    let summary: Value =
        serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["identity"], serde_json::json!(["its own token"]));
    let session = &summary["sessions"][0];
    assert_eq!(
        (&session["operator"], &session["session"], &session["ended"]),
        (&"tester".into(), &1.into(), &"completed".into())
    );
}

#[test]
fn who_changed_what_is_told_over_all_runs() {
    let (desk, run) = ran();
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    fs::write(desk.path("other.csv"), "workflow_id,name\nw1,Uno\n").unwrap();
    assert_eq!(desk.flowbatch("run other.csv --simulate").code, 0);
    // A run that was killed has no report; its journal tells.
    fs::remove_file(run.join("report.csv")).unwrap();
    fs::remove_file(run.join("summary.json")).unwrap();
    let rows = |arguments: &str| {
        let said = desk.flowbatch(&format!(
            "runs --changed --simulate --output csv {arguments}"
        ));
        assert_eq!((said.code, said.stderr.as_str()), (0, ""));
        let path = desk.path("changes.csv");
        fs::write(&path, said.stdout).unwrap();
        csv_rows(&path)
    };
    let of = |arguments: &str| {
        let rows = rows(arguments);
        let pairs = rows
            .iter()
            .map(|row| format!("{} {}", row["workflow_id"], row["after"]));
        pairs.collect::<Vec<_>>()
    };
    let (one, two, uno) = (
        r#"w1 {"name":"One","enabled":true}"#,
        r#"w2 {"name":"=Two, \"x\""}"#,
        r#"w1 {"name":"Uno"}"#,
    );
    assert_eq!(of(""), [one, two, uno]);
    assert_eq!(of("--workflow w1"), [one, uno]);
    assert_eq!(of("--workflow Uno"), [uno]);
    // By the name that it had before as well.
    assert_eq!(of("--workflow 'Workflow w1'"), [one]);
    assert_eq!(of("--workflow One"), [one, uno]);
    assert_eq!(of("--since 2200-01-01T06:00"), Vec::<String>::new());
    assert_eq!(of("--job rows"), [one, two]);
    assert_eq!(of("--since 1d"), [one, two, uno]);
    assert_eq!(of("--since 2200-01-01"), Vec::<String>::new());
    assert_eq!(of("--workspace 'SOC 909494e3' --job other"), [uno]);
    assert_eq!(of("--workspace nowhere"), Vec::<String>::new());
    let first = &rows("")[0];
    assert_eq!(
        (
            first["run_id"].as_str(),
            first["operator"].as_str(),
            first["before"].as_str()
        ),
        (
            id.as_str(),
            "tester",
            r#"{"name":"Workflow w1","enabled":false}"#
        )
    );
    let real = desk.flowbatch("runs --changed");
    assert_eq!(
        (real.code, real.stderr.as_str()),
        (
            0,
            "no change is on record; those of simulated runs are left out: --simulate shows them\n"
        )
    );
    let typo = desk.flowbatch("runs --changed --simulate --workflow Oen");
    assert_eq!(
        (typo.code, typo.stderr.as_str()),
        (0, "no change on record is like that\n")
    );
    let wrong = desk.flowbatch("runs --changed --since lately");
    assert!(
        wrong.code == 2
            && wrong
                .stderr
                .starts_with("error: --since lately: not a time\n"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_run_with_a_ticket_has_a_page_and_any_run_can_be_given_one() {
    let (desk, run) = ran();
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    for part in [
        "<!DOCTYPE html>",
        &id,
        "CHG-1",
        "=Two, &quot;x&quot;",
        "flowbatch verify",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let again = desk.flowbatch("report last --simulate --html -");
    // The commands in it are those that this process was called by.
    assert_eq!(
        (again.code, again.stdout.trim_end() == page.trim_end()),
        (0, true)
    );
    let said = desk.flowbatch("report last --simulate --html rows.csv");
    let text =
        "error: the page cannot go to rows.csv: something else is there\n  name another file\n";
    assert_eq!((said.code, said.stderr.as_str()), (2, text));
    assert_eq!(desk.read("rows.csv"), TWO);
    let said = desk.flowbatch("run rows.csv --simulate --html nowhere/page.html");
    assert_eq!(said.code, 2, "{}", said.stderr);
    let said = desk.flowbatch("run rows.csv --simulate --html page.html");
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        desk.read("page.html").contains("2</strong> unchanged"),
        "{}",
        desk.read("page.html")
    );
}

#[test]
fn what_cannot_be_read_any_more_is_told_as_damage() {
    for (file, text) in [
        ("input.jsonl", Some("nothing\n")),
        ("job.json", Some("{}")),
        ("job.json", None),
        ("journal.jsonl", None),
    ] {
        let (desk, run) = ran();
        let path = run.join(file);
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let said = desk.flowbatch(&format!("verify {}", run.display()));
        let told = format!("{}{}", said.stdout, said.stderr);
        assert_eq!(said.code, if text.is_some() { 1 } else { 7 }, "{told}");
        assert!(told.contains(file) && told.contains("damaged"), "{told}");
    }
    // As an editor of another system leaves it: nobody goes on with that.
    let (desk, run) = ran();
    let path = run.join("journal.jsonl");
    let text = fs::read_to_string(&path).unwrap().replace('\n', "\r\n");
    fs::write(&path, &text).unwrap();
    for command in ["verify", "resume"] {
        let said = desk.flowbatch(&format!("{command} last --simulate"));
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(
            said.code != 0 && told.contains("line 1 of the journal"),
            "{told}"
        );
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn the_ticket_stays_with_the_run() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\nw2,\n");
    let said =
        desk.flowbatch("run rows.csv --simulate --set enabled=true --max-changes 1 --ticket CHG-7");
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    let resume = desk.flowbatch("resume last --simulate --max-changes 5 --metrics-file m.prom");
    assert_eq!(resume.code, 0, "{}{}", resume.stdout, resume.stderr);
    let run = desk.only_run();
    let summary: Value =
        serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["ticket"], "CHG-7");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("CHG-7") && page.contains("data-well=\"true\">done<"),
        "stale"
    );
}

#[test]
fn half_of_what_a_row_changed_is_not_what_the_run_left() {
    let (desk, run) = ran();
    fs::write(desk.path("half.csv"), "workflow_id,enabled\nw1,false\n").unwrap();
    assert_eq!(desk.flowbatch("run half.csv --simulate").code, 0);
    let said = desk.flowbatch(&format!("verify {} --live", run.display()));
    assert_eq!(said.code, 1, "{}", said.stdout);
    for text in [
        "  WRONG  live             1 as the run left them, 1 in part as before the run\n",
        "w1 \"One\": only name is as the run left it\n",
    ] {
        assert!(said.stdout.contains(text), "{text} in {}", said.stdout);
    }
}
