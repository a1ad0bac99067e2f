//! Go back after: undo, and what is no damage.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use flowbatch::model::simulation::Simulation;
use flowbatch::model::update::Update;

use crate::language::csv_rows;
use crate::plant::{
    asked, clearing, described, edit, kill_before_last_end, ok, place, reviewed, seen, start,
    start_with, target,
};

#[test]
fn a_service_that_clears_what_is_not_sent_touches_one_workflow_and_the_undo_command_mends_it() {
    let (cloud, desk, ids) = start_with(30, clearing());
    let desk = reviewed(desk, &ids);
    let all = || {
        let (world, place) = (cloud.world(), place());
        let live = world.workflows(&place).map(|workflow| workflow.live());
        live.map(|live| {
            let fields = (
                live.name,
                live.description,
                live.enabled,
                live.version_id,
                live.labels,
            );
            (live.id, fields)
        })
        .collect::<BTreeMap<_, _>>()
    };
    let before = all();
    let said = desk.flowbatch(&format!("run rows.csv {} --report out.csv", target(&cloud)));
    assert_eq!(said.code, 3, "{}{}", said.stderr, said.stdout);
    let after = all();
    let touched: Vec<_> = before
        .iter()
        .filter(|(id, fields)| after[*id] != **fields)
        .collect();
    assert_eq!(touched.len(), 1, "{touched:?}");
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(
        (&*rows[0]["status"], &*rows[0]["error_class"]),
        ("failed", "protocol")
    );
    assert!(rows[1..].iter().all(|row| row["status"] == "not_attempted"));
    assert!(
        said.stdout
            .contains("the service clears what an update does not hold"),
        "{}",
        said.stdout
    );
    let undo = said
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("undo:"));
    let undo = undo.unwrap().trim().split_once(' ').unwrap().1.to_owned();
    assert!(undo.contains(" --send full"), "{undo}");
    ok(&desk.flowbatch(&undo));
    assert_eq!(all(), before);
    // With all fields in every update the job goes through, and nothing is cleared.
    ok(&desk.flowbatch(&format!("run rows.csv {} --send full", target(&cloud))));
    let done = all();
    for (id, fields) in &before {
        let mut wanted = fields.clone();
        wanted.1 = "Reviewed".to_owned();
        assert_eq!(done[id], wanted);
    }
}

#[test]
fn only_narrows_an_undo_and_force_needs_it() {
    let (cloud, desk, ids) = start(3);
    let desk = reviewed(desk, &ids);
    ok(&desk.flowbatch(&format!("run rows.csv {}", target(&cloud))));
    edit(&cloud, &place(), &ids[0], described("Theirs"));
    let refused = desk.flowbatch("undo last --force");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let run = desk.only_run();
    let run = run.display();
    let said = desk.flowbatch(&format!("undo {run} --only workflow_id={}", ids[1]));
    ok(&said);
    assert_eq!(cloud.described(&place(), "Reviewed"), 1);
    let conflict = desk.flowbatch(&format!("undo {run} --only workflow_id={}", ids[0]));
    assert_eq!(conflict.code, 1, "{}", conflict.stdout);
    assert_eq!(cloud.described(&place(), "Theirs"), 1);
    let forced = desk.flowbatch(&format!("undo {run} --force --only workflow_id={}", ids[0]));
    ok(&forced);
    assert_eq!(cloud.described(&place(), "Theirs"), 0);
    let idle = desk.flowbatch(&format!("undo {run} --only workflow_id=other"));
    assert_eq!(idle.code, 2, "{}", idle.stderr);
}

#[test]
fn a_run_that_was_killed_is_undone_by_its_journal() {
    let (cloud, desk, ids) = start(3);
    let desk = reviewed(desk, &ids);
    ok(&desk.flowbatch(&format!("run rows.csv {}", target(&cloud))));
    let run = desk.only_run();
    kill_before_last_end(&run);
    for file in ["report.csv", "summary.json", "undo.csv"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    ok(&desk.flowbatch(&format!("undo {}", run.display())));
    assert_eq!(
        cloud.described(&place(), "Reviewed"),
        0,
        "also the row in doubt"
    );
}

#[test]
fn a_run_that_sent_rows_as_they_stood_cannot_be_undone_and_says_so() {
    let (cloud, desk, ids) = start(1);
    let desk = desk.file(
        "rows.csv",
        format!("workflow_id,description\n{},Mine\n", ids[0]),
    );
    let said = desk.flowbatch(&format!("run rows.csv {} --snapshot off", target(&cloud)));
    ok(&said);
    assert!(
        said.stdout.contains("undo:   none, because --snapshot off"),
        "{}",
        said.stdout
    );
    let undo = desk.flowbatch("undo last");
    assert_eq!(undo.code, 2, "{}", undo.stderr);
    assert!(undo.stderr.contains("--snapshot off"), "{}", undo.stderr);
}

#[test]
fn what_a_colleague_disables_meanwhile_is_no_damage() {
    let slow = Simulation {
        latency: (Duration::from_millis(20), Duration::from_millis(20)),
        ..Simulation::default()
    };
    let (cloud, desk, ids) = start_with(40, slow);
    let rows: String = ids
        .iter()
        .map(|id| format!("{id},true,Reviewed\n"))
        .collect();
    let desk = desk.file("on.csv", format!("workflow_id,enabled,description\n{rows}"));
    ok(&desk.flowbatch(&format!("run on.csv {}", target(&cloud))));
    let desk = desk.file(
        "rows.csv",
        format!(
            "workflow_id,description\n{}",
            rows.replace("true,Reviewed", "Again")
        ),
    );
    let requests = seen(&cloud);
    let run = format!("run rows.csv {} -j 1", target(&cloud)).replace("-j 32", "");
    let child = desk.command(&run).spawn().unwrap();
    // After the survey, and before the row's turn.
    while !asked(&cloud, requests).contains_key("update_workflow") {
        std::thread::yield_now();
    }
    let off = Update {
        enabled: Some(false),
        ..Update::default()
    };
    edit(&cloud, &place(), &ids[39], off);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    ok(&desk.flowbatch("undo last"));
    let world = cloud.world();
    let last = world.workflow(&place(), &ids[39]).unwrap();
    assert!(!last.enabled, "nobody enables it again");
}

#[test]
fn a_run_that_found_a_service_that_clears_fields_goes_on_with_all_fields_only() {
    let (cloud, desk, ids) = start_with(4, clearing());
    let desk = reviewed(desk, &ids);
    assert_eq!(
        desk.flowbatch(&format!("run rows.csv {}", target(&cloud)))
            .code,
        3
    );
    let run = desk.only_run();
    let requests = seen(&cloud);
    let refused = desk.flowbatch(&format!("resume {}", run.display()));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--send full"), "{}", refused.stderr);
    assert_eq!(seen(&cloud), requests, "nothing is sent");
    let dry = desk.flowbatch(&format!("undo {} --dry-run --send full", run.display()));
    ok(&dry);
    assert!(dry.stdout.contains("1 to change"), "{}", dry.stdout);
    ok(&desk.flowbatch(&format!("undo {} --send full", run.display())));
    let resume = format!("resume {} --send full", run.display());
    assert_eq!(desk.flowbatch(&resume).code, 2);
    ok(&desk.flowbatch(&format!("{resume} --after-undo")));
    assert_eq!(cloud.described(&place(), "Reviewed"), 4);
    // The undo began last, the run went on after it.
    let last = desk.flowbatch("undo last");
    assert_eq!(last.code, 2, "{}", last.stderr);
    assert!(
        last.stderr.contains("which went on after it"),
        "{}",
        last.stderr
    );
}

#[test]
fn a_service_that_clears_fields_is_found_out_although_the_first_update_was_killed() {
    let (cloud, desk, ids) = start_with(6, clearing());
    let desk = reviewed(desk, &ids);
    let name = |id: &str| {
        let world = cloud.world();
        world.workflow(&place(), id).unwrap().name.clone()
    };
    let before = name(&ids[0]);
    assert_eq!(
        desk.flowbatch(&format!("run rows.csv {}", target(&cloud)))
            .code,
        3
    );
    assert_eq!(name(&ids[0]), "", "the first update has cleared it");
    let run = desk.only_run();
    // As a kill leaves it that came while the first update was on its way.
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let put = journal
        .find("\"event\":\"attempt\",\"row\":1,\"method\":\"put\"")
        .unwrap();
    let end = put + journal[put..].find('\n').unwrap();
    fs::write(run.join("journal.jsonl"), &journal[..=end]).unwrap();
    for file in ["report.csv", "summary.json", "undo.csv"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    let requests = seen(&cloud);
    let resumed = desk.flowbatch(&format!("resume {}", run.display()));
    assert_eq!(resumed.code, 3, "{}{}", resumed.stderr, resumed.stdout);
    assert_eq!(asked(&cloud, requests).get("update_workflow"), None);
    ok(&desk.flowbatch(&format!("undo {} --send full", run.display())));
    assert_eq!(name(&ids[0]), before);
}
