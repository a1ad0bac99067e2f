//! Runs that stop, in whatever way, and go on.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use flowbatch::model::rate::Rate;
use flowbatch::model::simulation::{Fault, FaultKind, Simulation};
use flowbatch::model::target::Workspace;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::method::Method;

use crate::cloud::{Cloud, workspace};
use crate::language::{CANARIES, Desk, Said, csv_rows};

const PROJECT: &str = "p1";
const WORKSPACE: &str = "s1";
const CONCURRENCY: usize = 8;

fn place() -> Workspace {
    workspace(PROJECT, WORKSPACE)
}

/// A cloud that throttles and fails, its ledger open, and a desk with a row for each workflow.
fn start(count: usize, simulation: Simulation) -> (Cloud, Desk) {
    let cloud = Cloud::with(Access::by_token(CANARIES.token), simulation);
    cloud.world().keep_ledger();
    let ids = cloud.workflows(&place(), count);
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = Desk::with("rows.csv", format!("workflow_id,description\n{rows}"))
        .variable("HW_AUTH_TOKEN", CANARIES.token);
    (cloud, desk)
}

fn calm() -> Simulation {
    Simulation {
        latency: (Duration::from_millis(1), Duration::from_millis(5)),
        ..Simulation::default()
    }
}

/// Sends the rows as they stand: what leaves is what the tests count.
fn arguments(cloud: &Cloud) -> String {
    format!("{} --snapshot off", usual_arguments(cloud))
}

fn usual_arguments(cloud: &Cloud) -> String {
    let address = &cloud.address;
    format!(
        "rows.csv --endpoint {address} --project-id {PROJECT} --workspace-id {WORKSPACE} --rate 2000/s --burst 50 -j {CONCURRENCY} --max-errors 100%"
    )
}

/// Starts the command and kills it after so many milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "a moment of somebody else's choosing; no test waits to be right"
)]
pub(crate) fn kill_after(desk: &Desk, arguments: &str, ms: u64) {
    let mut child = desk
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(ms));
    let _ = child.kill();
    child.wait().unwrap();
}

fn resume(desk: &Desk, more: &str) -> Said {
    let run = desk.only_run();
    desk.flowbatch(&format!("resume {} {more}", run.display()))
}

/// How often each workflow was changed.
fn applied(cloud: &Cloud) -> HashMap<String, usize> {
    let mut applied = HashMap::new();
    for entry in cloud.world().ledger() {
        if entry.method == Method::UpdateWorkflow && entry.applied {
            *applied.entry(entry.subject.clone()).or_default() += 1;
        }
    }
    applied
}

/// Kills at random moments of a run and its resumptions, under faults and throttling, until it is done.
/// FLOWBATCH_CAMPAIGN times as many.
#[test]
fn a_run_that_is_killed_again_and_again_loses_no_row_and_sends_none_that_is_done() {
    let times: u64 = std::env::var("FLOWBATCH_CAMPAIGN").map_or(1, |times| times.parse().unwrap());
    let mut kills = 0;
    let mut round = 0;
    while kills < 200 * times {
        round += 1;
        kills += killed_run(round);
    }
}

/// One run of 120 rows, killed until it is done; gives how often.
fn killed_run(seed: u64) -> u64 {
    let mut dice = fastrand::Rng::with_seed(seed);
    let answers_get_lost = seed.is_multiple_of(2);
    let mut faults = Vec::new();
    if answers_get_lost {
        faults.extend([
            (FaultKind::Unavailable, 0.04),
            (FaultKind::Reset, 0.03),
            (FaultKind::ResetAfter, 0.03),
            (FaultKind::Truncated, 0.02),
        ]);
    }
    let (cloud, desk) = start(
        120,
        Simulation {
            seed,
            rate_limits: vec!["400/s".parse::<Rate>().unwrap()],
            retry_after: false,
            faults: faults
                .into_iter()
                .map(|(kind, share)| Fault { kind, share })
                .collect(),
            ..calm()
        },
    );
    // Every third round reads the live state first, and goes back at the end.
    let plans = seed.is_multiple_of(3);
    let run = match plans {
        true => format!("run {}", usual_arguments(&cloud)),
        false => format!("run {}", arguments(&cloud)),
    };
    let descriptions = || {
        let (world, place) = (cloud.world(), place());
        let workflows = world.workflows(&place);
        workflows
            .map(|workflow| (workflow.id.clone(), workflow.description.clone()))
            .collect::<HashMap<_, _>>()
    };
    let before = descriptions();
    kill_after(&desk, &run, dice.u64(10..60));
    let mut kills = 1;
    while !desk.has_runs() {
        kill_after(&desk, &run, dice.u64(20..80));
    }
    let run = desk.only_run();
    if !run.join("journal.jsonl").exists() || !run.join("job.json").exists() {
        // It was killed before anything could be sent.
        assert!(applied(&cloud).is_empty());
        return kills;
    }
    let mut doubtful = HashSet::new();
    let (mut finished, mut seen) = (HashSet::new(), 0);
    for _ in 0..60 {
        let sent = updates_since(&cloud, seen);
        assert!(sent.is_disjoint(&finished), "a finished row was sent again");
        let now;
        (now, finished) = check_report(&desk, &cloud);
        seen = cloud.world().ledger().len();
        let new = now.difference(&doubtful).count();
        assert!(answers_get_lost || new <= CONCURRENCY, "{new} in doubt");
        doubtful = now;
        kill_after(&desk, &format!("resume {}", run.display()), dice.u64(5..60));
        kills += 1;
        let rows = report(&desk);
        if rows.iter().all(|row| row["status"] == "succeeded") {
            break;
        }
    }
    let said = resume(&desk, "--failed");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert!(updates_since(&cloud, seen).is_disjoint(&finished));
    let rows = report(&desk);
    assert!(
        rows.iter().all(|row| row["status"] == "succeeded"),
        "{rows:?}"
    );
    assert_eq!(cloud.described(&place(), "Reviewed"), 120);
    if plans {
        let undone = desk.flowbatch(&format!("undo {} --max-errors 100%", run.display()));
        assert!([0, 1].contains(&undone.code), "{}", undone.stderr);
        let run = desk.flowbatch("runs --output json");
        let runs: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let id = runs[0]["run_id"].as_str().unwrap();
        let again = desk.flowbatch(&format!("resume {id} --failed"));
        assert_eq!(again.code, 0, "{}{}", again.stderr, again.stdout);
        assert_eq!(descriptions(), before, "all is as it was before the run");
    }
    kills
}

/// The workflows to which updates were sent since the ledger had so many entries.
fn updates_since(cloud: &Cloud, seen: usize) -> HashSet<String> {
    let world = cloud.world();
    let entries = &world.ledger()[seen..];
    let updates = entries
        .iter()
        .filter(|entry| entry.method == Method::UpdateWorkflow);
    updates.map(|entry| entry.subject.clone()).collect()
}

/// The report as the journal gives it now.
fn report(desk: &Desk) -> Vec<HashMap<String, String>> {
    let run = desk.only_run();
    let said = desk.flowbatch(&format!("report {}", run.display()));
    assert_eq!(said.code, 0, "{}", said.stderr);
    csv_rows(&run.join("report.csv"))
}

/// Every row is there once; what is reported done is done, what is done is reported so or named as in
/// doubt. Gives what is in doubt and what is finished: without answers that are lost, a kill adds no more than could be in flight.
fn check_report(desk: &Desk, cloud: &Cloud) -> (HashSet<String>, HashSet<String>) {
    let rows = report(desk);
    let numbers: Vec<_> = rows
        .iter()
        .map(|row| row["row"].parse::<usize>().unwrap())
        .collect();
    assert_eq!(numbers, (1..=120).collect::<Vec<_>>());
    let applied = applied(cloud);
    let (mut doubtful, mut finished) = (HashSet::new(), HashSet::new());
    for row in &rows {
        let done = applied.contains_key(&row["workflow_id"]);
        match row["status"].as_str() {
            "succeeded" => {
                assert!(done, "{row:?}");
                finished.insert(row["workflow_id"].clone());
            }
            "unknown" => {
                doubtful.insert(row["workflow_id"].clone());
            }
            "not_attempted" | "failed" => assert!(!done, "{row:?}"),
            other => panic!("{other}: {row:?}"),
        }
    }
    (doubtful, finished)
}

#[test]
fn rows_in_doubt_are_read_back_and_those_that_are_done_not_sent_again() {
    let (cloud, desk) = start(
        60,
        Simulation {
            latency: (Duration::from_millis(20), Duration::from_millis(40)),
            ..Simulation::default()
        },
    );
    let mut child = desk
        .command(&format!("run {} --progress none", arguments(&cloud)))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Something has been answered, and something is in flight.
    while applied(&cloud).len() < 20 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let rows = report(&desk);
    let with = |status: &str| {
        let rows = rows.iter().filter(|row| row["status"] == status);
        rows.map(|row| row["workflow_id"].clone())
            .collect::<HashSet<_>>()
    };
    let (finished, doubtful) = (with("succeeded"), with("unknown"));
    assert!(doubtful.len() <= CONCURRENCY, "{doubtful:?}");
    let before = cloud.world().ledger().len();
    let said = resume(&desk, "");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    for part in [
        format!("{} rows are left", 60 - finished.len()),
        format!("{} of them in doubt", doubtful.len()),
    ] {
        assert!(said.stderr.contains(&part), "{part}: {}", said.stderr);
    }
    assert!(said.stdout.contains("in 2 sessions"), "{}", said.stdout);
    let world = cloud.world();
    let after = &world.ledger()[before..];
    let sent = |method: Method| {
        let entries = after.iter().filter(|entry| entry.method == method);
        entries
            .map(|entry| entry.subject.clone())
            .collect::<HashSet<_>>()
    };
    assert_eq!(
        sent(Method::ShowWorkflow),
        doubtful,
        "exactly what is in doubt is read"
    );
    assert!(sent(Method::UpdateWorkflow).is_disjoint(&finished));
    drop(world);
    assert_eq!(cloud.described(&place(), "Reviewed"), 60);
    assert!(
        applied(&cloud).values().all(|times| *times == 1),
        "none was sent in vain"
    );
    let again = resume(&desk, "");
    assert_eq!(again.code, 0);
    assert!(
        again.stderr.contains("nothing left to send"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_row_whose_attempts_are_used_up_is_read_back_before_it_is_called_unknown() {
    let (cloud, desk) = start(
        40,
        Simulation {
            faults: vec![Fault {
                kind: FaultKind::ResetAfter,
                share: 0.5,
            }],
            ..calm()
        },
    );
    let said = desk.flowbatch(&format!("run {} --max-attempts 1", arguments(&cloud)));
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    let read: HashSet<_> = cloud
        .world()
        .ledger()
        .iter()
        .filter(|entry| entry.method == Method::ShowWorkflow)
        .map(|entry| entry.subject.clone())
        .collect();
    let settled = |row: &&HashMap<String, String>| {
        row["status"] == "succeeded" && read.contains(&row["workflow_id"])
    };
    assert!(rows.iter().any(|row| settled(&row)), "{}", said.stdout);
    for row in &rows {
        assert_eq!(row["attempts"], "1");
        let unknown = row["status"] == "unknown";
        assert!(!unknown || read.contains(&row["workflow_id"]), "{row:?}");
    }
}

#[test]
fn the_report_of_a_resumed_run_is_that_of_one_that_was_never_stopped() {
    let (cloud, desk) = start(40, calm());
    kill_after(&desk, &format!("run {}", arguments(&cloud)), 40);
    if !desk.has_runs() || !desk.only_run().join("journal.jsonl").exists() {
        return;
    }
    assert_eq!(resume(&desk, "").code, 0);
    let (other_cloud, other_desk) = start(40, calm());
    let said = other_desk.flowbatch(&format!("run {}", arguments(&other_cloud)));
    assert_eq!(said.code, 0, "{}", said.stderr);
    let plain = |desk: &Desk| {
        let rows = csv_rows(&desk.only_run().join("report.csv"));
        let same = [
            "row",
            "line",
            "workflow_id",
            "status",
            "changed_fields",
            "after",
            "row_hash",
        ];
        let rows = rows
            .iter()
            .map(|row| same.map(|column| row[column].clone()));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(plain(&desk), plain(&other_desk));
    let first = fs::read(desk.only_run().join("report.csv")).unwrap();
    report(&desk);
    let again = fs::read(desk.only_run().join("report.csv")).unwrap();
    assert!(first == again, "the same journal gives the same bytes");
}

#[test]
fn a_damaged_journal_is_refused_with_its_line_and_gone_on_with_only_if_told_to() {
    let (cloud, desk) = start(6, calm());
    let said = desk.flowbatch(&format!("run {}", arguments(&cloud)));
    assert_eq!(said.code, 0, "{}", said.stderr);
    let journal = desk.only_run().join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let end = text.find("row_ended").unwrap();
    let line = text[..end].lines().count();
    let mut bytes = text.into_bytes();
    bytes[end] = b'R';
    fs::write(&journal, bytes).unwrap();
    let run = desk.only_run();
    for command in ["resume", "report"] {
        let said = desk.flowbatch(&format!("{command} {}", run.display()));
        assert_eq!(said.code, 7, "{}", said.stderr);
        for part in [format!("line {line} of the journal"), "--salvage".into()] {
            assert!(said.stderr.contains(&part), "{}", said.stderr);
        }
    }
    let sent = cloud.world().ledger().len();
    let said = resume(&desk, "--salvage");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert!(
        said.stderr
            .contains("warning: 1 damaged lines of the journal were passed over"),
        "{}",
        said.stderr
    );
    let world = cloud.world();
    let methods: Vec<_> = world.ledger()[sent..]
        .iter()
        .map(|entry| entry.method)
        .collect();
    assert_eq!(methods, [Method::ShowWorkflow], "the row is read back");
    drop(world);
    assert_eq!(csv_rows(&run.join("report.csv")).len(), 6);
    // Whether something is left of a damaged record nobody can tell: it is for a person to remove.
    let pruned = desk.flowbatch("runs prune --older-than 0s");
    assert_eq!(pruned.stdout, "pruned 0 records; summaries stay\n");
    assert!(
        pruned.stderr.contains("remove its folder by hand"),
        "{}",
        pruned.stderr
    );
}

#[test]
fn a_run_that_was_killed_after_its_last_row_gets_its_report_by_resume() {
    let (cloud, desk) = start(4, calm());
    let said = desk.flowbatch(&format!("run {}", arguments(&cloud)));
    assert_eq!(said.code, 0, "{}", said.stderr);
    let run = desk.only_run();
    // As a kill between the last event and the report leaves it.
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let last = journal.trim_end().rfind('\n').unwrap();
    assert!(journal[last..].contains("session_ended"));
    fs::write(run.join("journal.jsonl"), &journal[..=last]).unwrap();
    fs::remove_file(run.join("report.csv")).unwrap();
    fs::remove_file(run.join("summary.json")).unwrap();
    let listed = desk.flowbatch("runs");
    assert!(listed.stdout.contains("killed"), "{}", listed.stdout);
    let sent = cloud.world().ledger().len();
    // Nothing is sent, so no credential is needed.
    let desk = desk.variable("HW_AUTH_TOKEN", "");
    let said = resume(&desk, "");
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(cloud.world().ledger().len(), sent, "nothing is sent");
    assert_eq!(csv_rows(&run.join("report.csv")).len(), 4);
    assert!(run.join("summary.json").exists());
}

#[test]
fn a_run_that_was_killed_before_its_first_line_begins_by_resume() {
    let (cloud, desk) = start(4, calm());
    let said = desk.flowbatch(&format!("run {}", arguments(&cloud)));
    assert_eq!(said.code, 0, "{}", said.stderr);
    let journal = desk.only_run().join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    for torn in ["", &text[..40]] {
        fs::write(&journal, torn).unwrap();
        assert!(
            report(&desk)
                .iter()
                .all(|row| row["status"] == "not_attempted")
        );
        let said = resume(&desk, "");
        assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
        assert!(report(&desk).iter().all(|row| row["status"] == "succeeded"));
    }
}

/// The command ends by this signal after so many milliseconds, again after each of the pauses; gives
/// its exit code.
#[expect(
    clippy::disallowed_methods,
    reason = "a moment of somebody else's choosing; no test waits to be right"
)]
fn signal_after(desk: &Desk, arguments: &str, signal: Signal, pauses: &[u64]) -> Option<i32> {
    let mut child = desk
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    for pause in pauses {
        std::thread::sleep(Duration::from_millis(*pause));
        if child.try_wait().unwrap().is_none() {
            let _ = kill_process(pid, signal);
        }
    }
    child.wait().unwrap().code()
}

#[test]
fn a_run_that_is_told_to_stop_at_any_moment_loses_nothing() {
    let times: u64 = std::env::var("FLOWBATCH_CAMPAIGN").map_or(1, |times| times.parse().unwrap());
    for seed in 0..24 * times {
        let mut dice = fastrand::Rng::with_seed(seed);
        let slow = Simulation {
            seed,
            latency: (Duration::from_millis(2), Duration::from_millis(20)),
            faults: vec![Fault {
                kind: FaultKind::Unavailable,
                share: 0.05,
            }],
            ..Simulation::default()
        };
        let (cloud, desk) = start(120, slow);
        let signal = match seed % 3 {
            0 => Signal::TERM,
            _ => Signal::INT,
        };
        let times = 1 + seed as usize % 4 % 3;
        let pauses: Vec<u64> = (0..times)
            .map(|_| dice.u64(1..60))
            .scan(60, |first, pause| Some(std::mem::take(first) + pause))
            .collect();
        let mut command = format!("run {}", arguments(&cloud));
        for _ in 0..40 {
            // One that was killed before it listened, and so before it began, is run again.
            desk.forget_unbegun();
            let code = signal_after(&desk, &command, signal, &pauses);
            // The signal may come before the run listens.
            let ends = [Some(0), Some(1), Some(130), Some(143), None];
            assert!(ends.contains(&code), "{code:?}");
            if desk.has_runs() && desk.only_run().join("journal.jsonl").exists() {
                check_report(&desk, &cloud);
                command = format!("resume {}", desk.only_run().display());
            }
            if code == Some(0) {
                break;
            }
        }
        assert_eq!(resume(&desk, "--failed").code, 0);
        assert_eq!(cloud.described(&place(), "Reviewed"), 120);
    }
}

#[test]
fn two_runs_in_the_same_instant_do_not_share_a_workspace() {
    for policy in ["fail", "wait"] {
        let (cloud, desk) = start(30, calm());
        let begin = || {
            desk.command(&format!("run {} --if-locked {policy}", arguments(&cloud)))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let (mut first, mut second) = (begin(), begin());
        let mut codes = [first.wait().unwrap().code(), second.wait().unwrap().code()];
        codes.sort();
        match policy {
            "fail" => assert!(
                // Also when one was done before the other asked.
                codes == [Some(0), Some(6)] || codes == [Some(0), Some(0)],
                "{codes:?}"
            ),
            _ => assert_eq!(codes, [Some(0), Some(0)]),
        }
        let world = cloud.world();
        let updates: Vec<_> = world
            .ledger()
            .iter()
            .filter(|entry| entry.method == Method::UpdateWorkflow)
            .map(|entry| entry.subject.clone())
            .collect();
        for turn in updates.chunks(30) {
            let different: HashSet<_> = turn.iter().collect();
            assert_eq!(different.len(), 30, "one after the other");
        }
    }
}

/// A run that is under way, its first requests unanswered.
fn busy_run(cloud: &Cloud, desk: &Desk, arguments: &str) -> std::process::Child {
    let run = desk
        .command(&format!("run {arguments} --progress none"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while cloud.world().ledger().is_empty() {
        std::thread::yield_now();
    }
    run
}

fn slow() -> Simulation {
    Simulation {
        latency: (Duration::from_secs(30), Duration::from_secs(30)),
        ..Simulation::default()
    }
}

#[test]
fn a_run_that_goes_on_is_neither_resumed_nor_pruned_and_its_report_is_its_own() {
    let (cloud, desk) = start(3, slow());
    let mut run = busy_run(&cloud, &desk, &arguments(&cloud));
    let folder = desk.only_run();
    // Also by a resumption that looks for locks elsewhere.
    let copy = desk.flowbatch(&format!(
        "resume {} --state-dir elsewhere",
        folder.display()
    ));
    assert_eq!(copy.code, 6, "{}", copy.stderr);
    let listed = desk.flowbatch("runs");
    assert!(listed.stdout.contains("running"), "{}", listed.stdout);
    let pruned = desk.flowbatch("runs prune --older-than 0s");
    assert!(pruned.stderr.contains("it goes on"), "{}", pruned.stderr);
    let report = desk.flowbatch(&format!("report {}", folder.display()));
    assert_eq!(report.code, 2, "{}", report.stderr);
    assert!(report.stderr.contains("--csv -"), "{}", report.stderr);
    let report = desk.flowbatch(&format!("report {} --csv -", folder.display()));
    assert_eq!(report.code, 0, "{}", report.stderr);
    assert!(report.stderr.contains("goes on; this is how it stands now"));
    assert_eq!(report.stdout.lines().count(), 4);
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn a_workspace_that_another_run_holds_is_left_out_and_the_others_are_done() {
    let (cloud, desk) = start(1, calm());
    assert_eq!(
        desk.flowbatch(&format!("run {}", arguments(&cloud))).code,
        0
    );
    let locks = fs::read_dir(desk.path(".local/state/flowbatch/locks")).unwrap();
    let locks: Vec<_> = locks.map(|lock| lock.unwrap().path()).collect();
    assert_eq!(locks.len(), 1);
    let held = fs::File::open(&locks[0]).unwrap();
    held.lock().unwrap();
    let ids = cloud.workflows(&workspace(PROJECT, "s2"), 2);
    let here = desk.read("rows.csv").lines().nth(1).unwrap()[..36].to_owned();
    let desk = desk.file(
        "both.csv",
        format!(
            "workflow_id,description,workspace_id\n{},Other,s2\n{here},Other,{WORKSPACE}\n{},Other,s2\n",
            ids[0], ids[1]
        ),
    );
    let address = &cloud.address;
    let both = format!("run both.csv --endpoint {address} --project-id {PROJECT} --if-locked skip");
    let said = desk.flowbatch(&format!("{both} --report out.csv"));
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    let rows = csv_rows(&desk.path("out.csv"));
    let statuses: Vec<_> = rows.iter().map(|row| &*row["status"]).collect();
    assert_eq!(statuses, ["succeeded", "not_attempted", "succeeded"]);
    assert!(
        rows[1]["error_message"].contains("holds workspace"),
        "{rows:?}"
    );
    assert_eq!(cloud.described(&place(), "Other"), 0);
    drop(held);
    let said = desk.flowbatch("resume last");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert_eq!(cloud.described(&place(), "Other"), 1);
}

#[test]
fn two_runs_that_wait_for_each_others_workspaces_both_end() {
    let (cloud, desk) = start(1, calm());
    let here = desk.read("rows.csv").lines().nth(1).unwrap()[..36].to_owned();
    let there = cloud.workflows(&workspace(PROJECT, "s2"), 1).remove(0);
    let lines = [format!("{here},A,{WORKSPACE}\n"), format!("{there},A,s2\n")];
    let head = "workflow_id,description,workspace_id\n";
    let desk = desk
        .file("one.csv", format!("{head}{}{}", lines[0], lines[1]))
        .file("other.csv", format!("{head}{}{}", lines[1], lines[0]));
    let address = &cloud.address;
    for _ in 0..5 {
        let runs: Vec<_> = ["one.csv", "other.csv"]
            .into_iter()
            .map(|job| {
                desk.command(&format!(
                    "run {job} --endpoint {address} --project-id {PROJECT} --if-locked wait --rate 500/s"
                ))
                .spawn()
                .unwrap()
            })
            .collect();
        for run in runs {
            let output = run.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }
}

#[test]
fn a_run_that_stopped_by_its_errors_goes_on_until_there_is_a_new_one() {
    let (cloud, desk) = start(6, calm());
    let good = desk.read("rows.csv");
    let (head, good) = good.split_once('\n').unwrap();
    let bad: String = (1..=3).map(|n| format!("gone-{n},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("{head}\n{bad}{good}"));
    let all = arguments(&cloud).replace("--max-errors 100%", "--max-errors 1 -j 1");
    let all = all.replace(&format!("-j {CONCURRENCY} "), "");
    let said = desk.flowbatch(&format!("run {all}"));
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(
        said.stdout.contains("--max-errors is raised"),
        "{}",
        said.stdout
    );
    // The third is a new error, and stops it again.
    assert_eq!(resume(&desk, "").code, 3);
    // None of those that are left is an error.
    let said = resume(&desk, "");
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), 6);
}

#[test]
fn a_resumption_never_writes_its_report_over_the_input() {
    let (cloud, desk) = start(3, calm());
    assert_eq!(
        desk.flowbatch(&format!("run {}", arguments(&cloud))).code,
        0
    );
    let rows = desk.read("rows.csv");
    let mut piped = desk.shell(&format!(
        "set -o pipefail; {} report last --csv - | head -c 9",
        env!("CARGO_BIN_EXE_flowbatch")
    ));
    let piped = piped.output().unwrap();
    assert_eq!(piped.status.code(), Some(0), "a broken pipe is no error");
    for command in [
        "resume last --report rows.csv",
        "report last --csv rows.csv",
    ] {
        let said = desk.flowbatch(command);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(
            said.stderr.contains("the job's own input"),
            "{}",
            said.stderr
        );
        assert_eq!(desk.read("rows.csv"), rows);
    }
}

#[test]
fn a_job_may_reach_more_workspaces_than_a_shell_lets_it_open_files() {
    let rows: String = (0..300)
        .map(|n| format!("w-{n},Reviewed,s-{n}\n"))
        .collect();
    let desk = Desk::with(
        "rows.csv",
        format!("workflow_id,description,workspace_id\n{rows}"),
    )
    .variable("HW_AUTH_TOKEN", CANARIES.token);
    let cloud = Cloud::with(Access::by_token(CANARIES.token), calm());
    let mut command = desk.shell(&format!(
        "ulimit -S -n 100; HW_AUTH_TOKEN={} {} run rows.csv --endpoint {} --project-id {PROJECT} --rate 2000/s --max-errors 100% -q",
        CANARIES.token,
        env!("CARGO_BIN_EXE_flowbatch"),
        cloud.address
    ));
    let said = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(!stderr.contains("Too many open files"), "{stderr}");
    assert_ne!(said.status.code(), Some(7), "{stderr}");
}

#[test]
fn folders_that_are_no_runs_are_left_alone() {
    let (cloud, desk) = start(3, calm());
    assert_eq!(
        desk.flowbatch(&format!("run {}", arguments(&cloud))).code,
        0
    );
    let runs = desk.path(".local/state/flowbatch/runs");
    for file in ["archive/notes.txt", "20200101T000000Z-00000a/job.json"] {
        let path = runs.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}").unwrap();
    }
    let said = desk.flowbatch("resume 20200101T000000Z-00000a");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("nothing was sent"), "{}", said.stderr);
    assert_eq!(desk.flowbatch("report last --csv -").code, 0);
    assert_eq!(desk.flowbatch("runs prune --older-than 0s").code, 0);
    assert!(runs.join("archive/notes.txt").exists());
    assert!(!runs.join("20200101T000000Z-00000a").exists());
}

#[test]
fn a_report_and_the_rows_that_are_left_are_jobs_as_they_are() {
    let (cloud, desk) = start(6, calm());
    let csv = desk.read("rows.csv") + "no-such-workflow,Reviewed\n";
    let desk = desk.file("rows.csv", csv);
    let said = desk.flowbatch(&format!("run {}", arguments(&cloud)));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let run = desk.only_run();
    let (report, rerun) = (run.join("report.csv"), run.join("rerun.csv"));
    cloud.world().adopt(&place(), "no-such-workflow", None);
    let endpoint = format!("--endpoint {} --rate 1000/s", cloud.address);
    let said = desk.flowbatch(&format!("run {} {endpoint}", rerun.display()));
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), 7);
    // Where the target is a region, its own columns say all.
    let desk = desk.variable(
        "HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4",
        &cloud.address,
    );
    let desk = desk.variable("HW_AUTH_TOKEN", "ended-token");
    let said = desk.flowbatch(&format!(
        "run rows.csv --region cn-north-4 --project-id {PROJECT} --workspace-id {WORKSPACE} --state-dir region"
    ));
    assert_eq!(said.code, 4, "{}", said.stderr);
    let desk = desk.variable("HW_AUTH_TOKEN", CANARIES.token);
    let left = fs::read_dir(desk.path("region/runs"))
        .unwrap()
        .next()
        .unwrap();
    let left = left.unwrap().path().join("rerun.csv");
    let said = desk.flowbatch(&format!("run {} --rate 1000/s", left.display()));
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert!(
        said.stdout.contains("rows                  7"),
        "{}",
        said.stdout
    );
    let said = desk.flowbatch(&format!(
        "run {} {endpoint} --set enabled=false",
        report.display()
    ));
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
}

#[test]
fn old_records_go_but_never_what_can_be_resumed() {
    let (cloud, desk) = start(3, calm());
    let run = format!("run {} --state-dir state", usual_arguments(&cloud));
    assert_eq!(desk.flowbatch(&run).code, 0);
    let desk = desk.variable("HW_AUTH_TOKEN", "ended-token");
    assert_eq!(desk.flowbatch(&run).code, 4);
    let listed = desk.flowbatch("runs --state-dir state");
    let lines: Vec<_> = listed.stdout.lines().collect();
    for (line, parts) in [
        (lines[1], ["refused", "0/3", "tester", "rows"]),
        (lines[2], ["completed", "3/3", "tester", "rows"]),
    ] {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    let json = desk.flowbatch("runs --state-dir state --output json");
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json[0]["state"], "refused");
    assert_eq!(json[1]["counts"]["succeeded"], 3);
    let files = || {
        let runs = fs::read_dir(desk.path("state/runs")).unwrap();
        let mut files: Vec<_> = runs
            .map(|run| fs::read_dir(run.unwrap().path()).unwrap().count())
            .collect();
        files.sort_unstable();
        files
    };
    let before = files();
    let young = desk.flowbatch("runs prune --older-than 400d --state-dir state");
    assert_eq!(
        (young.code, files()),
        (0, before.clone()),
        "{}",
        young.stderr
    );
    let old = desk.flowbatch("runs prune --older-than 0s --state-dir state");
    assert_eq!(old.stdout, "pruned 1 record; summaries stay\n");
    assert!(
        old.stderr
            .contains("3 rows are left, which `flowbatch resume` sends"),
        "{}",
        old.stderr
    );
    assert_eq!(files(), [1, before[0]], "of one run the summary is left");
    let again = desk.flowbatch("runs --state-dir state");
    assert!(again.stdout.contains("completed"), "{}", again.stdout);
    let wrong = desk.flowbatch("runs prune --older-than 400 --state-dir state");
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("400d"), "{}", wrong.stderr);
}

#[test]
fn whoever_may_read_the_state_folder_may_read_the_runs_in_it() {
    use std::os::unix::fs::PermissionsExt;
    for (folder_mode, modes) in [(0o750, [0o750, 0o640]), (0o700, [0o700, 0o600])] {
        let (cloud, desk) = start(3, calm());
        let state = desk.path("state");
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(folder_mode)).unwrap();
        let said = desk.flowbatch(&format!(
            "run {} --state-dir state",
            usual_arguments(&cloud)
        ));
        assert_eq!(said.code, 0, "{}", said.stderr);
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let run = fs::read_dir(state.join("runs")).unwrap().next().unwrap();
        let run = run.unwrap().path();
        assert_eq!(mode(&run), modes[0]);
        for file in fs::read_dir(&run).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(mode(&file), modes[1], "{}", file.display());
        }
    }
}

#[test]
fn rows_that_failed_for_good_go_again_only_if_told_to() {
    let (cloud, desk) = start(5, calm());
    let csv = desk.read("rows.csv") + "no-such-workflow,Reviewed\n";
    let desk = desk.file("rows.csv", csv);
    let said = desk.flowbatch(&format!("run {}", arguments(&cloud)));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let again = resume(&desk, "");
    assert_eq!(again.code, 1, "a person is still needed");
    assert!(
        again
            .stderr
            .contains("1 row failed for good: --failed sends it again"),
        "{}",
        again.stderr
    );
    cloud.world().adopt(&place(), "no-such-workflow", None);
    let said = resume(&desk, "--failed");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), 6);
    assert!(!desk.only_run().join("rerun.csv").exists());
}

#[test]
fn rows_refused_for_want_of_permission_go_out_again_with_a_credential_that_may() {
    let (cloud, desk) = start(4, calm());
    let desk = desk.variable("HW_AUTH_TOKEN", "ended-token");
    assert_eq!(
        desk.flowbatch(&format!("run {}", arguments(&cloud))).code,
        4
    );
    let desk = desk.variable("HW_AUTH_TOKEN", CANARIES.token);
    let said = resume(&desk, "");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), 4);
}

#[test]
fn a_changed_input_is_told_and_the_run_goes_on_with_the_rows_as_they_were() {
    let (cloud, desk) = start(4, calm());
    let desk = desk.variable("HW_AUTH_TOKEN", "ended-token");
    assert_eq!(
        desk.flowbatch(&format!("run {}", arguments(&cloud))).code,
        4
    );
    let desk = desk
        .file("rows.csv", "workflow_id,description\nother,Changed\n")
        .variable("HW_AUTH_TOKEN", CANARIES.token);
    let said = resume(&desk, "");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert!(
        said.stderr
            .contains("warning: rows.csv has changed since the run began"),
        "{}",
        said.stderr
    );
    assert_eq!(cloud.described(&place(), "Reviewed"), 4);
}

#[test]
fn a_workspace_belongs_to_one_run_at_a_time() {
    let slow = Simulation {
        latency: (Duration::from_secs(30), Duration::from_secs(30)),
        ..Simulation::default()
    };
    let (cloud, desk) = start(3, slow);
    let rows = desk.read("rows.csv");
    let desk = desk.file("other.csv", rows);
    let mut first = desk
        .command(&format!("run {} --progress none", arguments(&cloud)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while cloud.world().ledger().is_empty() {
        std::thread::yield_now();
    }
    let id = desk
        .only_run()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let run = |file: &str, policy: &str| {
        let arguments = arguments(&cloud).replace("rows.csv", file);
        desk.flowbatch(&format!("run {arguments} --if-locked {policy}"))
    };
    let said = run("rows.csv", "fail");
    assert_eq!(said.code, 6, "{}", said.stderr);
    let pid = first.id();
    for part in [
        format!("run {id} of \"rows\" (process {pid}, since 20"),
        "--if-locked wait".into(),
    ] {
        assert!(said.stderr.contains(&part), "{part}: {}", said.stderr);
    }
    let same_job = run("rows.csv", "skip");
    assert_eq!(same_job.code, 0, "{}", same_job.stderr);
    let other_job = run("other.csv", "skip");
    assert_eq!(other_job.code, 6, "{}", other_job.stderr);
    let resumed = desk.flowbatch(&format!("resume {id}"));
    assert_eq!(resumed.code, 6, "{}", resumed.stderr);
    // No lock outlives its holder.
    first.kill().unwrap();
    first.wait().unwrap();
    let said = run("rows.csv", "fail --deadline 1ms");
    assert_eq!(said.code, 5, "{}", said.stderr);
}
