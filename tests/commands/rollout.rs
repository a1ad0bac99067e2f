//! Rows in waves: each is read back and judged before the next begins.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::language::{Desk, csv_rows};

/// Forty rows in waves of 1, 4 and 40, and what else the job says.
fn desk(rollout: &str, simulator: &str) -> Desk {
    let rows: String = (1..=40)
        .map(|row| format!("w{row:02},Tier {row},\n"))
        .collect();
    let job = format!(
        "[job]\nname = \"migration\"\n[target]\nsimulator = true\n[run]\nrate = \"1000/s\"\n[rollout]\n{rollout}\n\
         [rows]\nfile = \"rows.csv\"\n[simulator]\nlatency = \"1ms\"\n{simulator}\n"
    );
    Desk::with("job.toml", job).file("rows.csv", format!("workflow_id,name,expect_name\n{rows}"))
}

fn summary(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap()
}

/// How many rows of each wave ended how.
fn by_wave(run: &Path) -> Vec<String> {
    let rows = csv_rows(&run.join("report.csv"));
    let mut counts = std::collections::BTreeMap::new();
    for row in rows {
        *counts
            .entry(format!("{} {}", row["wave"], row["status"]))
            .or_insert(0) += 1;
    }
    counts
        .into_iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect()
}

#[test]
fn waves_are_told_and_stand_in_report_and_summary() {
    let desk = desk("waves = [1, \"10%\", \"100%\"]", "");
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    for line in [
        "  wave 1 of 3: 1 row\n",
        "  wave 2 of 3: 3 rows\n",
        "  wave 3 of 3: 36 rows\n",
    ] {
        assert!(said.stdout.contains(line), "{line} in {}", said.stdout);
    }
    let run = desk.only_run();
    assert_eq!(
        by_wave(&run),
        ["1 succeeded 1", "2 succeeded 3", "3 succeeded 36"]
    );
    assert_eq!(summary(&run)["waves"].as_array().unwrap().len(), 3);
    // A row is in the wave that its place gives it, also where nothing is to be done.
    let again = desk.flowbatch("run job.toml");
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(desk.flowbatch("verify last --simulate").code, 0);
}

#[test]
fn a_row_that_fails_closes_the_gate_and_the_way_back_is_told() {
    let desk = desk("waves = [1, \"10%\", \"100%\"]", "");
    // A workflow that is not there, in the second wave.
    let rows = desk.read("rows.csv");
    let rows: Vec<_> = rows
        .lines()
        .enumerate()
        .map(|(line, text)| match line {
            0 => "workflow_id,workflow_name,name".to_owned(),
            3 => ",No such workflow,Tier 3".to_owned(),
            _ => text.trim_end_matches(',').replacen(',', ",,", 1),
        })
        .collect();
    fs::write(desk.path("rows.csv"), rows.join("\n") + "\n").unwrap();
    let said = desk.flowbatch("run job.toml --max-errors 100%");
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    let run = desk.only_run();
    assert_eq!(
        by_wave(&run),
        [
            "1 succeeded 1",
            "2 failed 1",
            "2 succeeded 2",
            "3 not_attempted 36"
        ]
    );
    assert_eq!(summary(&run)["ended"], "gate");
    assert!(
        said.stdout
            .contains("stopped: wave 2 of 3: 1 error, max_errors = 0\n"),
        "{}",
        said.stdout
    );
    let lines: Vec<_> = said.stdout.lines().collect();
    let resume = lines.last().unwrap();
    assert!(
        resume.contains(" resume ") && resume.contains(" --failed "),
        "{resume}"
    );
    // The gate is judged anew: what failed still does.
    let again = desk.shell(resume).output().unwrap();
    assert_eq!(
        again.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&again.stdout)
    );
    assert_eq!(by_wave(&run).last().unwrap(), "3 not_attempted 36");
    // Everything that was changed is put back.
    let undo = lines
        .iter()
        .find_map(|line| line.strip_prefix("  undo:   "))
        .unwrap();
    let undone = desk.shell(undo).output().unwrap();
    assert_eq!(
        undone.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&undone.stdout)
    );
    let live = desk.flowbatch("export --simulate");
    assert!(!live.stdout.contains("Tier"), "{}", live.stdout);
}

#[test]
fn an_update_that_was_acknowledged_and_forgotten_is_found_before_the_next_wave() {
    let desk = desk("waves = [20, \"100%\"]", "seed = 5\nfaults.lost = 0.1");
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    let run = desk.only_run();
    let summary = summary(&run);
    let differing = summary["waves"][0]["differing"].as_array().unwrap();
    assert!(!differing.is_empty(), "{summary}");
    assert_eq!(by_wave(&run).last().unwrap(), "2 not_attempted 20");
    // It is looked at again before anything else goes.
    let again = desk.flowbatch("resume last --simulate");
    assert_eq!(again.code, 3, "{}", again.stdout);
    assert_eq!(by_wave(&run).last().unwrap(), "2 not_attempted 20");
    // Once somebody has seen to it, the others go.
    let mended: String = (1..=20)
        .map(|row| format!("w{row:02},Tier {row}\n"))
        .collect();
    fs::write(
        desk.path("mended.csv"),
        format!("workflow_id,name\n{mended}"),
    )
    .unwrap();
    let id = run.file_name().unwrap().to_str().unwrap();
    assert_eq!(
        desk.flowbatch("run mended.csv --simulate --rate 1000/s")
            .code,
        0
    );
    let job = desk.read("job.toml").replace("faults.lost = 0.1", "");
    fs::write(desk.path("job.toml"), job).unwrap();
    let resumed = desk.flowbatch(&format!("resume {id}"));
    let waves = &self::summary(&run)["waves"];
    assert!(
        waves[0]["differing"].as_array().unwrap().is_empty(),
        "{waves}{}",
        resumed.stdout
    );
    let unverified = desk_without(&desk);
    let said = unverified.flowbatch("run job.toml --fresh");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
}

/// The same job, which reads nothing back.
fn desk_without(desk: &Desk) -> Desk {
    let job = desk
        .read("job.toml")
        .replace("[rollout]\n", "[rollout]\nverify = false\n");
    Desk::with("job.toml", job).file("rows.csv", desk.read("rows.csv"))
}

#[test]
fn without_a_terminal_a_wave_waits_for_approval() {
    let desk = desk("waves = [1, \"100%\"]\npause = \"confirm\"", "");
    let early = desk.flowbatch("approve last --simulate");
    assert_eq!(early.code, 2, "{}", early.stderr);
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 8, "{}{}", said.stdout, said.stderr);
    let run = desk.only_run();
    assert_eq!(by_wave(&run), ["1 succeeded 1", "2 not_attempted 39"]);
    let commands: Vec<_> = said.stdout.lines().rev().take(2).collect();
    let (resume, approve) = (commands[0], commands[1]);
    let shell = |line: &str| desk.shell(line).output().unwrap().status.code();
    // Nobody has approved it yet.
    assert_eq!(shell(resume), Some(8));
    assert_eq!(by_wave(&run), ["1 succeeded 1", "2 not_attempted 39"]);
    assert_eq!(shell(&format!("{approve} --note 'looked at it'")), Some(0));
    let twice = desk.flowbatch("approve last --simulate");
    assert!(
        twice.code == 0 && twice.stdout.contains("already"),
        "{}{}",
        twice.stdout,
        twice.stderr
    );
    assert_eq!(shell(resume), Some(0));
    assert_eq!(by_wave(&run), ["1 succeeded 1", "2 succeeded 39"]);
    let approval = &summary(&run)["approval"];
    assert_eq!(approval.as_array().unwrap().len(), 1, "{approval}");
    assert_eq!(approval[0]["note"], "looked at it");
    assert_eq!(desk.flowbatch("verify last --simulate").code, 0);
    let late = desk.flowbatch("approve last --simulate");
    assert!(
        late.code == 2 && late.stderr.contains("does not wait for approval"),
        "{}",
        late.stderr
    );
}

/// Waits until the journal of the only run tells of the end of a wave.
fn wait_for_a_wave(desk: &Desk) -> PathBuf {
    let line = "timeout 60 sh -c 'until grep -q wave_ended $HOME/.local/state/flowbatch/runs/*/journal.jsonl 2>/dev/null; \
                do sleep 0.05; done'";
    assert!(
        desk.shell(line).status().unwrap().success(),
        "no wave has ended"
    );
    desk.only_run()
}

#[test]
fn a_run_that_is_killed_between_two_waves_goes_on_in_the_next_one() {
    let desk = desk("waves = [1, \"10%\", \"100%\"]\npause = \"1s\"", "");
    let mut child = desk.command("run job.toml").spawn().unwrap();
    let run = wait_for_a_wave(&desk);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = desk.flowbatch("resume last --simulate");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(
        by_wave(&run),
        ["1 succeeded 1", "2 succeeded 3", "3 succeeded 36"]
    );
    let rows = csv_rows(&run.join("report.csv"));
    assert!(
        rows.iter().all(|row| row["attempts"] == "1"),
        "no row goes twice"
    );
}

#[test]
fn a_signal_ends_a_pause() {
    let desk = desk("waves = [1, \"100%\"]\npause = \"1h\"", "");
    let mut child = desk.command("run job.toml").spawn().unwrap();
    let run = wait_for_a_wave(&desk);
    let killed = desk
        .shell(&format!("kill -TERM {}", child.id()))
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(by_wave(&run), ["1 succeeded 1", "2 not_attempted 39"]);
}

#[test]
fn waves_that_do_not_grow_or_leave_rows_out_are_problems() {
    for (rollout, what, at) in [
        (
            "waves = [5, 3, \"100%\"]",
            "a wave ends where the one before it ends, or sooner",
            "job.toml:8:13",
        ),
        (
            "waves = [1, \"50%\"]",
            "the last wave does not take all rows",
            "job.toml:8:13",
        ),
        (
            "waves = [0, \"100%\"]",
            "not the end of a wave",
            "job.toml:8:10",
        ),
        (
            "waves = [\"some\", \"100%\"]",
            "not the end of a wave",
            "job.toml:8:10",
        ),
        ("pause = \"ask\"", "not a pause", "job.toml:8:9"),
        (
            "max_errors = \"200%\"",
            "not a number of errors",
            "job.toml:8:14",
        ),
    ] {
        let said = desk(rollout, "").flowbatch("check job.toml");
        let text = format!("error: {what}\n --> {at}\n");
        assert!(
            said.code == 2 && said.stderr.starts_with(&text),
            "{}",
            said.stderr
        );
    }
    let blind = desk("verify = true", "").flowbatch("run job.toml --snapshot off");
    assert!(
        blind.code == 2 && blind.stderr.contains("[rollout] needs the live state"),
        "{}",
        blind.stderr
    );
}

#[test]
fn a_wave_that_has_nothing_to_change_holds_nobody_up_and_is_approved_like_any_other() {
    let desk = desk("waves = [1, 3, \"100%\"]\npause = \"confirm\"", "").file(
        "first.csv",
        "workflow_id,name\nw01,Tier 1\nw02,Tier 2\nw03,Tier 3\n",
    );
    assert_eq!(desk.flowbatch("run first.csv --simulate").code, 0);
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 8, "{}{}", said.stdout, said.stderr);
    let asked =
        "waits for approval: wave 2 of 3 had nothing to change; wave 3 has 37 rows to change\n";
    assert!(said.stdout.contains(asked), "{}", said.stdout);
    assert!(
        said.stdout
            .contains("\n  wave 1 of 3: 1 row, 1 without an update\n"),
        "{}",
        said.stdout
    );
    let approved = desk.flowbatch("approve last --simulate");
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    // Nobody has gone on with it yet, and its record is whole.
    let runs = desk.flowbatch("runs").stdout;
    assert!(runs.contains("  approved  "), "{runs}");
    let verified = desk.flowbatch("verify last --simulate");
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    let resumed = desk.flowbatch("resume last --simulate");
    assert_eq!(resumed.code, 0, "{}{}", resumed.stdout, resumed.stderr);
    // The way back asks nobody.
    let undone = desk.flowbatch("undo last --simulate");
    assert_eq!(undone.code, 0, "{}{}", undone.stdout, undone.stderr);
}

#[test]
fn rows_that_the_plan_finds_wrong_close_the_gate_before_anything_is_sent() {
    let desk = desk("waves = [1, \"100%\"]", "");
    let rows = desk.read("rows.csv");
    let rows = rows
        .replacen(
            "workflow_id,name,expect_name",
            "workflow_id,workflow_name,name",
            1,
        )
        .replacen("w01,Tier 1,", ",No such workflow,Tier 1", 1);
    let rows: String = rows
        .lines()
        .map(
            |line| match line.starts_with('w') && !line.starts_with("workflow") {
                true => line.trim_end_matches(',').replacen(',', ",,", 1) + "\n",
                false => line.to_owned() + "\n",
            },
        )
        .collect();
    fs::write(desk.path("rows.csv"), rows).unwrap();
    let said = desk.flowbatch("run job.toml --max-errors 100%");
    assert_eq!(said.code, 3, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout
            .contains("stopped: wave 1 of 2: 1 error, max_errors = 0\n"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains("--send full"), "{}", said.stdout);
    // It is judged anew by whoever goes on with it.
    let again = desk.flowbatch("resume last --simulate");
    assert_eq!(again.code, 3, "{}{}", again.stdout, again.stderr);
}

#[test]
fn rows_may_choose_their_waves() {
    let desk = Desk::with(
        "job.toml",
        "[target]\nsimulator = true\n[run]\nrate = \"1000/s\"\n[rollout]\n[rows]\nfile = \"rows.csv\"\n",
    )
    .file(
        "rows.csv",
        "workflow_id,name,wave\nw1,One,\nw2,Two,2\nw3,Three,1\nw4,Four,2\n",
    );
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stderr
            .contains("waves:      4 rows in waves of 1, 2, 1\n"),
        "{}",
        said.stderr
    );
    let run = desk.only_run();
    let waves: Vec<_> = csv_rows(&run.join("report.csv"))
        .into_iter()
        .map(|row| row["wave"].clone())
        .collect();
    assert_eq!(waves, ["3", "2", "1", "2"]);
    let order: Vec<_> = fs::read_to_string(run.join("journal.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "row_ended")
        .map(|event| event["row"].as_u64().unwrap())
        .collect();
    assert_eq!((order[0], order[3]), (3, 1), "{order:?}");
    let job = desk
        .read("job.toml")
        .replace("[rollout]", "[rollout]\nwaves = [1, \"100%\"]");
    fs::write(desk.path("job.toml"), job).unwrap();
    let said = desk.flowbatch("check job.toml");
    assert!(
        said.code == 2 && said.stderr.contains("the rows ask for waves (column wave)"),
        "{}",
        said.stderr
    );
    let wrong = desk.read("rows.csv").replace(",2\n", ",second\n");
    fs::write(desk.path("rows.csv"), wrong).unwrap();
    let said = desk.flowbatch("check job.toml");
    assert!(
        said.code == 2 && said.stderr.contains("not the number of a wave"),
        "{}",
        said.stderr
    );
}

#[test]
fn waves_may_go_workspace_by_workspace() {
    let rows: String = (1..=6)
        .map(|row| format!("w{row},s{},Reviewed\n", row % 2))
        .collect();
    let desk = Desk::with(
        "job.toml",
        "[target]\nsimulator = true\n[run]\nrate = \"1000/s\"\n[rollout]\nwaves = [\"50%\", \"100%\"]\n\
         order = \"by-workspace\"\n[rows]\nfile = \"rows.csv\"\n",
    )
    .file("rows.csv", format!("workflow_id,workspace_id,description\n{rows}"));
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    for row in rows {
        let wave = if row["workspace_id"] == "s1" {
            "1"
        } else {
            "2"
        };
        assert_eq!(row["wave"], wave, "{row:?}");
    }
}
