//! Stages: ordered parts of a job, each with rows of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use flowbatch::model::simulation::Simulation;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::method::Method;

use crate::cloud::{Cloud, workspace};
use crate::language::{CANARIES, Desk, Said, csv_rows};
use crate::resume::kill_after;

const HEAD: &str = "[job]\nname = \"steps\"\n[target]\nsimulator = true\n[run]\nrate = \"1000/s\"\n\
                    [simulator]\nlatency = \"1ms\"\n";

fn desk(stages: &str) -> Desk {
    Desk::with("job.toml", format!("{HEAD}{stages}"))
}

fn stage(name: &str, rest: &str) -> String {
    format!("[[stage]]\nname = \"{name}\"\n{rest}\n")
}

fn update(cells: &str) -> String {
    format!("[[stage.update]]\n{cells}\n")
}

fn summary(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap()
}

/// How many rows of each stage ended how.
fn by_stage(run: &Path) -> Vec<String> {
    let mut counts = BTreeMap::new();
    for row in csv_rows(&run.join("report.csv")) {
        let key = format!("{} {}", row["stage"], row["status"]);
        *counts.entry(key).or_insert(0) += 1;
    }
    let counts = counts.into_iter();
    counts
        .map(|(what, count)| format!("{what} {count}"))
        .collect()
}

/// What is set in each workflow of the simulated world.
fn world(desk: &Desk) -> Vec<String> {
    let said = desk.flowbatch("export --simulate --out world.csv");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let rows = csv_rows(&desk.path("world.csv"));
    let texts = rows.iter().map(|row| {
        format!(
            "{}: {} {} {:?}",
            row["workflow_id"], row["name"], row["enabled"], row["description"]
        )
    });
    texts.collect()
}

fn ok(said: &Said, code: i32) {
    assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
}

fn runs(desk: &Desk) -> Vec<PathBuf> {
    let entries = fs::read_dir(desk.path(".local/state/flowbatch/runs")).unwrap();
    let mut runs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    runs
}

#[test]
fn a_later_stage_is_judged_by_what_earlier_ones_leave_and_all_of_it_is_put_back_at_once() {
    let stages = stage("rename", &update("workflow_id = \"w1\"\nname = \"Middle\""))
        + &stage(
            "enable",
            // By the name that the first stage has given it, which nothing had before.
            &update("workflow_name = \"Middle\"\nenabled = true\nexpect_name = \"Middle\""),
        )
        + &stage(
            "rename again",
            &(update("workflow_id = \"w1\"\nname = \"Last\"")
                + &update("workflow_id = \"w2\"\nname = \"Middle\"")),
        );
    let desk = desk(&stages);
    let said = desk.flowbatch("plan job.toml");
    ok(&said, 0);
    assert!(
        said.stdout.contains("    name  \"Middle\" -> \"Last\"\n"),
        "{}",
        said.stdout
    );
    let said = desk.flowbatch("run job.toml");
    ok(&said, 0);
    let run = desk.only_run();
    assert_eq!(
        by_stage(&run),
        [
            "enable succeeded 1",
            "rename again succeeded 2",
            "rename succeeded 1"
        ]
    );
    assert_eq!(
        world(&desk),
        ["w1: Last true \"\"", "w2: Middle false \"\""]
    );
    ok(&desk.flowbatch("verify last --simulate --live"), 0);
    let undo = csv_rows(&run.join("undo.csv"));
    assert_eq!(undo.len(), 2, "one row for each workflow");
    assert_eq!(undo[0]["name"], "Workflow w1");
    assert_eq!(undo[0]["expect_name"], "Last");
    ok(&desk.flowbatch("undo last --simulate"), 0);
    assert_eq!(
        world(&desk),
        ["w1: Workflow w1 false \"\"", "w2: Workflow w2 false \"\""]
    );
}

#[test]
fn rows_of_stages_may_be_chosen_by_what_the_stages_before_them_leave() {
    let stages = stage(
        "some",
        &(update("workflow_id = \"w1\"\ndescription = \"new\"")
            + &update("workflow_id = \"w2\"\nname = \"Other\"")
            + &update("workflow_id = \"w3\"\nname = \"Third\"")),
    ) + &stage(
        "those",
        "[[stage.change]]\nwhere = \"description=new\"\nset.name = \"{{ name }}, {{ description }}\"",
    ) + &stage(
        "all",
        "[stage.defaults]\ndescription = \"{{ name }}\"\n[[stage.update]]\nworkflow_id = \"w1\"\n\
         [[stage.update]]\nworkflow_id = \"w2\"",
    );
    let desk = desk(&stages);
    let said = desk.flowbatch("run job.toml");
    ok(&said, 0);
    assert_eq!(
        world(&desk),
        [
            "w1: Workflow w1, new false \"Workflow w1, new\"",
            "w2: Other false \"Other\"",
            "w3: Third false \"\""
        ]
    );
}

#[test]
fn a_stage_that_fails_keeps_those_that_need_it_from_going_and_lets_the_others_go() {
    let stages = stage(
        "first",
        &update("workflow_name = \"Nobody\"\nenabled = true"),
    ) + &stage("second", &update("workflow_id = \"w1\"\nname = \"Second\""))
        + &stage(
            "alarm",
            &format!(
                "needs = [\"first\"]\nwhen = \"failed\"\n{}",
                update("workflow_id = \"w2\"\nname = \"Alarm\"")
            ),
        )
        + &stage(
            "apart",
            &format!(
                "needs = []\n{}",
                update("workflow_id = \"w3\"\nname = \"Apart\"")
            ),
        );
    let desk = desk(&stages);
    let said = desk.flowbatch("run job.toml --max-errors 100%");
    ok(&said, 3);
    for line in [
        "steps (simulated): stopped: stage \"first\": 1 error, max_errors = 0\n",
        "  stage \"second\": not attempted: it needs stage \"first\", which did not go well\n",
        "  stage \"alarm\": 1 row\n",
    ] {
        assert!(said.stdout.contains(line), "{line} in {}", said.stdout);
    }
    let run = desk.only_run();
    assert_eq!(
        by_stage(&run),
        [
            "alarm succeeded 1",
            "apart succeeded 1",
            "first failed 1",
            "second not_attempted 1"
        ]
    );
    assert!(!run.join("rerun.csv").exists());
    // Somebody mends the world, and the stage that failed goes again with those that need it.
    fs::write(desk.path("mend.csv"), "workflow_id,name\nw9,Nobody\n").unwrap();
    ok(&desk.flowbatch("run mend.csv --simulate"), 0);
    let id = run.file_name().unwrap().to_str().unwrap();
    ok(&desk.flowbatch(&format!("resume {id} --failed")), 0);
    assert_eq!(
        by_stage(&run),
        [
            "alarm succeeded 1",
            "apart succeeded 1",
            "first succeeded 1",
            "second succeeded 1"
        ]
    );
    assert_eq!(summary(&run)["stages_left"], Value::Null);
    ok(&desk.flowbatch(&format!("verify {id}")), 0);
}

#[test]
fn a_stage_for_failures_is_skipped_where_there_are_none() {
    let stages = stage("first", &update("workflow_id = \"w1\"\nname = \"First\""))
        + &stage(
            "alarm",
            &format!(
                "when = \"failed\"\n{}",
                update("workflow_id = \"w2\"\nname = \"Alarm\"")
            ),
        )
        + &stage(
            "last",
            &format!(
                "needs = [\"first\"]\n{}",
                update("workflow_id = \"w1\"\nenabled = true")
            ),
        );
    let desk = desk(&stages);
    let said = desk.flowbatch("run job.toml");
    ok(&said, 0);
    assert_eq!(
        by_stage(&desk.only_run()),
        ["alarm skipped 1", "first succeeded 1", "last succeeded 1"]
    );
    let report = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(
        report[1]["error_message"],
        "it is for a stage before it that fails, and none has"
    );
}

/// What a plan expects of a stage that does not go, or of rows that fail, is not what is sent by.
#[test]
fn a_row_is_judged_by_what_earlier_stages_have_really_left() {
    // The stage for failures does not go, and the last one sets what it would have set.
    let stages = stage("first", &update("workflow_id = \"w1\"\nlabels = \"IP\""))
        + &stage(
            "rescue",
            &format!(
                "when = \"failed\"\n{}",
                update("workflow_id = \"w1\"\ndescription = \"Q\"\nname = \"Bad\"")
            ),
        )
        + &stage(
            "last",
            &format!(
                "needs = [\"first\"]\n{}",
                update("workflow_id = \"w1\"\ndescription = \"Q\"\nexpect_name = \"Workflow w1\"")
            ),
        );
    let desk = desk(&stages);
    ok(&desk.flowbatch("run job.toml"), 0);
    assert_eq!(
        by_stage(&desk.only_run()),
        ["first succeeded 1", "last succeeded 1", "rescue skipped 1"]
    );
    assert_eq!(world(&desk), ["w1: Workflow w1 false \"Q\""]);
    // Rows that fail, although the stage may go on: those after them are not as wished already.
    let mut job = format!("{HEAD}seed = 3\nfaults.500 = 0.5\n");
    let rows = |from: u32| {
        let rows = (from..from + 6)
            .map(|row| update(&format!("workflow_id = \"k{row}\"\ndescription = \"Q\"")));
        rows.collect::<String>()
    };
    job += &(stage("first", &format!("max_errors = 6\n{}", rows(1)))
        + &stage("again", &format!("max_errors = 6\n{}", rows(1))));
    let desk = Desk::with("job.toml", job);
    let said = desk.flowbatch("run job.toml --max-attempts 1 --max-errors 100");
    ok(&said, 1);
    let report = csv_rows(&desk.only_run().join("report.csv"));
    let failed = |row: &&std::collections::HashMap<String, String>| row["status"] == "failed";
    assert!(report.iter().any(|row| failed(&row)), "{}", said.stdout);
    let live = world(&desk);
    for row in report.iter().filter(|row| row["stage"] == "again") {
        let is_set = live.contains(&format!(
            "{}: Workflow {} false \"Q\"",
            row["workflow_id"], row["workflow_id"]
        ));
        let says_so = ["succeeded", "unchanged"].contains(&row["status"].as_str());
        assert!(is_set || !says_so, "{row:?} in {live:?}");
    }
    let undo = desk.flowbatch("undo last --simulate --max-attempts 5");
    ok(&undo, 0);
    assert!(
        world(&desk).iter().all(|text| text.ends_with("\"\"")),
        "{:?}",
        world(&desk)
    );
}

#[test]
fn a_name_that_an_earlier_stage_was_to_give_is_expected_to_be_there() {
    let stages = stage(
        "first",
        &format!(
            "max_errors = 1\n{}",
            update("workflow_id = \"w1\"\nname = \"Middle\"\nexpect_name = \"Other\"")
        ),
    ) + &stage(
        "second",
        &update("workflow_id = \"w1\"\ndescription = \"by id\""),
    ) + &stage(
        "always",
        &format!(
            "when = \"always\"\n{}",
            update("workflow_id = \"w1\"\nlabels = \"IP\"\nexpect_description = \"Q\"")
        ),
    );
    let desk = desk(&stages);
    let said = desk.flowbatch("run job.toml --max-errors 100%");
    ok(&said, 3);
    assert_eq!(
        by_stage(&desk.only_run()),
        [
            "always conflict 1",
            "first conflict 1",
            "second succeeded 1"
        ]
    );
    assert_eq!(world(&desk), ["w1: Workflow w1 false \"by id\""]);
}

#[test]
fn a_stage_may_allow_errors_and_waits_for_approval_between_its_waves() {
    let rows: String = (1..=4)
        .map(|row| update(&format!("workflow_id = \"w{row}\"\nenabled = true")))
        .collect();
    let stages = stage(
        "first",
        &format!(
            "max_errors = 1\n{}{}",
            update("workflow_name = \"Nobody\"\nenabled = true"),
            update("workflow_id = \"w9\"\nenabled = true")
        ),
    ) + &stage(
        "second",
        &format!("[stage.rollout]\nwaves = [1, \"100%\"]\npause = \"confirm\"\n{rows}"),
    );
    let desk = desk(&stages);
    let said = desk.flowbatch("run job.toml --max-errors 100%");
    ok(&said, 8);
    assert!(
        said.stdout.contains(
            "waits for approval: stage \"second\", wave 1 of 2 is done; wave 2 has 3 rows to change\n"
        ),
        "{}",
        said.stdout
    );
    let run = desk.only_run();
    let approved = desk.flowbatch("approve last --simulate");
    ok(&approved, 0);
    assert!(
        approved
            .stdout
            .starts_with("stage \"second\", wave 1 of 2 is approved;"),
        "{}",
        approved.stdout
    );
    ok(&desk.flowbatch("resume last --simulate"), 1);
    assert_eq!(
        by_stage(&run),
        ["first failed 1", "first succeeded 1", "second succeeded 4"]
    );
    let waves: Vec<_> = csv_rows(&run.join("report.csv"))
        .into_iter()
        .map(|row| row["wave"].clone())
        .collect();
    assert_eq!(waves, ["1", "1", "1", "2", "2", "2"]);
}

#[test]
fn a_stage_counts_its_errors_in_all_of_its_waves() {
    let rows: String = [1, 2]
        .map(|wave| {
            update(&format!("workflow_id = \"w{wave}\"\nenabled = true"))
                + &update(&format!(
                    "workflow_name = \"Nobody {wave}\"\nenabled = true"
                ))
        })
        .concat();
    let stages = |max_errors: u32| {
        stage(
            "first",
            &format!("max_errors = {max_errors}\n[stage.rollout]\nwaves = [2, \"100%\"]\n{rows}"),
        ) + &stage("second", &update("workflow_id = \"w3\"\nenabled = true"))
    };
    let few = desk(&stages(1));
    let said = few.flowbatch("run job.toml --max-errors 100%");
    ok(&said, 3);
    assert!(
        said.stdout
            .contains("wave 2 of 2: of all its waves, 2 errors, max_errors = 1\n"),
        "{}",
        said.stdout
    );
    ok(
        &desk(&stages(2)).flowbatch("run job.toml --max-errors 100%"),
        1,
    );
}

#[test]
fn what_is_wrong_with_stages_is_told_before_anything_is_sent() {
    let told = |stages: &str| {
        let said = desk(stages).flowbatch("check job.toml");
        assert_eq!(said.code, 2, "{}", said.stdout);
        said.stderr
    };
    let row = update("workflow_id = \"w1\"\nenabled = true");
    let one = stage("one", &row);
    for (stages, text) in [
        (format!("[[stage]]\n{row}"), "the stage has no name"),
        (stage("one", ""), "the stage has no rows"),
        (format!("{one}{one}"), "two stages are called \"one\""),
        (
            stage("one", &format!("needs = [\"two\"]\n{row}")),
            "no stage before this one is called \"two\"",
        ),
        (
            stage("one", &format!("when = \"failed\"\n{row}")),
            "when looks at no stage",
        ),
        (
            format!(
                "{one}{}",
                stage("two", &format!("when = \"sometimes\"\n{row}"))
            ),
            "there are succeeded, failed, always",
        ),
        (
            format!("{one}[[update]]\nworkflow_id = \"w2\"\nenabled = true\n"),
            "it stands beside [[stage]], and outside of it",
        ),
        (
            format!("{one}[rollout]\n"),
            "it stands beside [[stage]], and outside of it",
        ),
        (
            stage("one", &format!("{row}{row}")),
            "a second row for the same workflow",
        ),
        (
            stage("one", "[stage.rows]\nfile = \"none.csv\""),
            "no such file: none.csv",
        ),
        (
            stage("one", &format!("neds = []\n{row}")),
            "did you mean `needs`?",
        ),
    ] {
        let said = told(&stages);
        assert!(said.contains(text), "{text} in {said}");
    }
    let desk = desk(&one);
    for (flag, text) in [
        ("--partition 1/2", "does not go in stages"),
        ("--snapshot off", "[[stage]] needs the live state"),
    ] {
        let said = desk.flowbatch(&format!("run job.toml {flag}"));
        assert!(
            said.code == 2 && said.stderr.contains(text),
            "{}",
            said.stderr
        );
    }
    let saved = desk.flowbatch("plan job.toml --out p.json");
    assert!(
        saved.code == 2 && saved.stderr.contains("has no stages"),
        "{}",
        saved.stderr
    );
    assert!(!desk.path(".local/state/flowbatch/runs").exists() || runs(&desk).is_empty());
}

/// Kills runs at random moments, in stages and in the waits between their waves, until they are done; FLOWBATCH_CAMPAIGN times
/// as many.
#[test]
fn a_run_that_is_killed_in_a_stage_or_a_wait_goes_on_there() {
    let times: u64 = std::env::var("FLOWBATCH_CAMPAIGN").map_or(1, |times| times.parse().unwrap());
    let mut kills = 0;
    let mut round = 0;
    while kills < 20 * times {
        round += 1;
        kills += killed_run(round);
    }
}

/// One run of three stages, killed until it is done; gives how often.
fn killed_run(seed: u64) -> u64 {
    let mut dice = fastrand::Rng::with_seed(seed);
    let cloud = Cloud::with(Access::by_token(CANARIES.token), slow());
    cloud.world().keep_ledger();
    let place = workspace("p1", "s1");
    let ids = cloud.workflows(&place, 12);
    let csv = |cells: &dyn Fn(usize) -> String| {
        let rows = ids.iter().enumerate();
        rows.map(|(row, id)| format!("{id},{}\n", cells(row)))
            .collect::<String>()
    };
    let rows = |name: &str| format!("[stage.rows]\nfile = \"{name}.csv\"");
    let job = stage("first", &rows("first"))
        + &stage(
            "second",
            &format!(
                "[stage.rollout]\nwaves = [2, \"50%\", \"100%\"]\npause = \"30ms\"\n{}",
                rows("second")
            ),
        )
        + &stage("third", &rows("third"));
    let desk = Desk::with("job.toml", job)
        .file(
            "first.csv",
            format!("workflow_id,name\n{}", csv(&|row| format!("First {row}"))),
        )
        .file(
            "second.csv",
            format!("workflow_id,description\n{}", csv(&|_| "Second".to_owned())),
        )
        .file(
            "third.csv",
            format!("workflow_id,name\n{}", csv(&|row| format!("Third {row}"))),
        )
        .variable("HW_AUTH_TOKEN", CANARIES.token);
    let target = format!(
        "--endpoint {} --project-id p1 --workspace-id s1",
        cloud.address
    );
    let run = format!("run job.toml {target} --rate 300/s -j 4 --progress none");
    let mut kills = 0;
    let has_begun = || {
        let folder = desk.path(".local/state/flowbatch/runs");
        folder.exists()
            && runs(&desk)
                .iter()
                .any(|run| run.join("journal.jsonl").exists())
    };
    while !has_begun() {
        kill_after(&desk, &run, dice.u64(40..300));
        kills += 1;
    }
    let folder = runs(&desk)
        .into_iter()
        .find(|run| run.join("journal.jsonl").exists())
        .unwrap();
    let resume = format!("resume {}", folder.display());
    for _ in 0..dice.u64(2..8) {
        kill_after(&desk, &resume, dice.u64(40..300));
        kills += 1;
    }
    let said = desk.flowbatch(&resume);
    ok(&said, 0);
    assert_eq!(
        by_stage(&folder),
        [
            "first succeeded 12",
            "second succeeded 12",
            "third succeeded 12"
        ]
    );
    ok(&desk.flowbatch(&format!("verify {}", folder.display())), 0);
    // No workflow is a stage ahead of another one, and none is changed twice by a stage.
    let mut changed: BTreeMap<String, u32> = ids.iter().map(|id| (id.clone(), 0)).collect();
    for entry in cloud.world().ledger() {
        if entry.method == Method::UpdateWorkflow && entry.applied {
            *changed.get_mut(&entry.subject).unwrap() += 1;
            let (least, most) = (changed.values().min(), changed.values().max());
            assert!(most.unwrap() - least.unwrap() <= 1, "{changed:?}");
        }
    }
    assert!(changed.values().all(|count| *count == 3), "{changed:?}");
    kills
}

fn slow() -> Simulation {
    Simulation {
        latency: (Duration::from_millis(5), Duration::from_millis(15)),
        ..Simulation::default()
    }
}

#[test]
fn a_plan_says_where_a_run_would_stop_and_hides_no_row_that_needs_a_person() {
    let good: String = (1..=25)
        .map(|row| {
            update(&format!(
                "workflow_id = \"w{row:02}\"\nname = \"New {row}\""
            ))
        })
        .collect();
    let bad = update("workflow_id = \"w99\"\nname = \"New 99\"\nexpect_name = \"Other\"");
    let stages = stage("first", &good) + &stage("second", &bad) + &stage("third", &good);
    let desk = desk(&stages);
    let said = desk.flowbatch("plan job.toml");
    ok(&said, 1);
    for text in [
        "\n  stage \"first\":\n  row 1  ",
        "\n  stage \"second\":\n  row 26  \"Workflow w99\" w99  conflict\n",
        "\n  a run would stop half-way: stage \"second\": 1 error, max_errors = 0\n",
    ] {
        assert!(said.stdout.contains(text), "{text} in {}", said.stdout);
    }
    let json = desk.flowbatch("plan job.toml --output json").stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][25]["stage"], "second");
    assert!(
        json["stops"]
            .as_str()
            .unwrap()
            .starts_with("stage \"second\"")
    );
}

#[test]
fn a_run_that_was_undone_is_resumed_only_on_demand() {
    let rows: String = (1..=3)
        .map(|row| update(&format!("workflow_id = \"w{row}\"\nenabled = true")))
        .collect();
    let stages = stage(
        "only",
        &format!("[stage.rollout]\nwaves = [1, \"100%\"]\npause = \"confirm\"\n{rows}"),
    );
    let desk = desk(&stages);
    ok(&desk.flowbatch("run job.toml"), 8);
    let run = desk.only_run();
    let id = run.file_name().unwrap().to_str().unwrap();
    ok(&desk.flowbatch(&format!("undo {id}")), 0);
    let approved = desk.flowbatch(&format!("approve {id}"));
    assert!(
        approved.code == 2 && approved.stderr.contains("has put back what run"),
        "{}",
        approved.stderr
    );
    let resumed = desk.flowbatch(&format!("resume {id}"));
    ok(&resumed, 2);
    assert!(
        resumed.stderr.contains("was undone by run") && resumed.stderr.contains("--after-undo"),
        "{}",
        resumed.stderr
    );
    ok(&desk.flowbatch(&format!("resume {id} --after-undo")), 8);
}

#[test]
fn a_row_that_goes_again_does_not_overwrite_what_a_later_stage_has_set() {
    let stages = stage(
        "first",
        &(update("workflow_id = \"w1\"\nname = \"First\"\nexpect_description = \"ready\"")
            + &update("workflow_id = \"w2\"\nname = \"First 2\"\nexpect_description = \"ready\"")),
    ) + &stage(
        "later",
        &format!(
            "needs = []\n{}",
            update("workflow_id = \"w1\"\nname = \"Later\"")
        ),
    );
    let desk = desk(&stages);
    ok(&desk.flowbatch("run job.toml"), 3);
    let run = desk.only_run();
    fs::write(
        desk.path("ready.csv"),
        "workflow_id,description\nw1,ready\nw2,ready\n",
    )
    .unwrap();
    ok(&desk.flowbatch("run ready.csv --simulate"), 0);
    ok(
        &desk.flowbatch(&format!("resume {} --failed", run.display())),
        3,
    );
    let report = csv_rows(&run.join("report.csv"));
    assert_eq!(
        report[0]["error_message"],
        "stage \"later\", which comes after, has changed it already: undo the run, and run the job anew"
    );
    assert_eq!(report[1]["status"], "succeeded");
    assert_eq!(
        world(&desk),
        ["w1: Later false \"ready\"", "w2: First 2 false \"ready\""]
    );
    ok(&desk.flowbatch(&format!("undo {}", run.display())), 0);
    assert_eq!(
        world(&desk),
        [
            "w1: Workflow w1 false \"ready\"",
            "w2: Workflow w2 false \"ready\""
        ]
    );
}

#[test]
fn stages_that_leave_all_as_it_was_leave_nothing_to_put_back() {
    let stages = stage("there", &update("workflow_id = \"w1\"\nname = \"Middle\""))
        + &stage(
            "back",
            &update("workflow_id = \"w1\"\nname = \"Workflow w1\""),
        );
    let desk = desk(&stages);
    let ran = desk.flowbatch("run job.toml");
    ok(&ran, 0);
    assert!(!ran.stdout.contains("undo:"), "{}", ran.stdout);
    let run = desk.only_run();
    assert_eq!(by_stage(&run), ["back succeeded 1", "there succeeded 1"]);
    assert!(!run.join("undo.csv").exists());
    let verified = desk.flowbatch(&format!("verify {} --live", run.display()));
    ok(&verified, 0);
    let undone = desk.flowbatch(&format!("undo {}", run.display()));
    ok(&undone, 2);
    for said in [&verified.stdout, &undone.stderr] {
        assert!(said.contains("left all workflows as they were"), "{said}");
    }
}

#[test]
fn flags_for_a_csv_are_for_those_of_stages_as_well() {
    let stages = stage("one", "[stage.rows]\nfile = \"rows.csv\"");
    let desk = desk(&stages).file("rows.csv", "workflow_id,name,owner\nw1,x,me\n");
    ok(&desk.flowbatch("check job.toml"), 2);
    ok(&desk.flowbatch("check job.toml --other-columns ignore"), 0);
    let mapped = desk.flowbatch("check job.toml --column owner=description");
    ok(&mapped, 0);
}
