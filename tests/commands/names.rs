//! Workflows by their names.

use flowbatch::model::update::Update;

use crate::cloud::workspace;
use crate::language::{Desk, csv_rows};
use crate::plant::{PROJECT, described, edit, kill_before_last_end, ok, place, start, target};

#[test]
fn workflows_are_found_by_their_names_and_stay_found_when_the_run_renames_them() {
    let (cloud, desk, ids) = start(5);
    let name = |id: &str| {
        let world = cloud.world();
        world.workflow(&place(), id).unwrap().name.clone()
    };
    let names: Vec<_> = ids.iter().map(|id| name(id)).collect();
    let renamed = |to: &str| Update {
        name: Some(to.to_owned()),
        ..Update::default()
    };
    edit(&cloud, &place(), &ids[4], renamed(&names[3]));
    let desk = desk.file(
        "rows.csv",
        format!(
            "workflow_name,name\n{},New 0\n{},New 1\n{}x,New 2\n{},New 3\n",
            names[0], names[1], names[2], names[3]
        ),
    );
    let said = desk.flowbatch(&format!(
        "run rows.csv {} --max-errors 100% --report out.csv",
        target(&cloud)
    ));
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(
        (name(&ids[0]), name(&ids[1])),
        ("New 0".into(), "New 1".into())
    );
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(rows[0]["workflow_id"], ids[0]);
    assert_eq!(
        (&*rows[2]["status"], &*rows[2]["workflow_id"]),
        ("failed", "")
    );
    let near = format!("is called \"{}x\"; there is [\"{}\"", names[2], names[2]);
    assert!(rows[2]["error_message"].contains(&near), "{rows:?}");
    let several = format!(
        "2 workflows of workspace s1 are called {:?}: give the workflow_id",
        names[3]
    );
    assert!(rows[3]["error_message"].starts_with(&several), "{rows:?}");
    // What is left has names, too.
    let rerun = csv_rows(&desk.only_run().join("rerun.csv"));
    assert_eq!(
        (&*rerun[0]["workflow_id"], &*rerun[0]["workflow_name"]),
        ("", &*format!("{}x", names[2]))
    );
    ok(&desk.flowbatch("undo last"));
    assert_eq!(
        (name(&ids[0]), name(&ids[1])),
        (names[0].clone(), names[1].clone())
    );
    let blind = desk.flowbatch(&format!("run rows.csv {} --snapshot off", target(&cloud)));
    assert_eq!(blind.code, 2, "{}", blind.stderr);
}

#[test]
fn a_renaming_by_name_that_was_killed_goes_on_and_back_by_the_ids_that_were_found() {
    let (cloud, desk, ids) = start(3);
    let names: Vec<_> = {
        let world = cloud.world();
        let name = |id: &String| world.workflow(&place(), id).unwrap().name.clone();
        ids.iter().map(name).collect()
    };
    let rows: String = names
        .iter()
        .map(|name| format!("{name},[SOC] {name}\n"))
        .collect();
    let desk = desk.file("rows.csv", format!("workflow_name,name\n{rows}"));
    ok(&desk.flowbatch(&format!("run rows.csv {}", target(&cloud))));
    let run = desk.only_run();
    kill_before_last_end(&run);
    ok(&desk.flowbatch(&format!("resume {}", run.display())));
    ok(&desk.flowbatch(&format!("undo {}", run.display())));
    let world = cloud.world();
    for (id, name) in ids.iter().zip(&names) {
        assert_eq!(world.workflow(&place(), id).unwrap().name, *name);
    }
}

#[test]
fn an_export_by_name_is_the_migration_to_another_workspace() {
    let (cloud, desk, ids) = start(8);
    // The simulator's workflows are called the same everywhere.
    cloud.workflows(&workspace(PROJECT, "s2"), 7);
    edit(&cloud, &place(), &ids[0], described("Moved"));
    ok(&desk.flowbatch(&format!(
        "export {} --by name --out names.csv",
        target(&cloud)
    )));
    let there = target(&cloud).replace("--workspace-id s1", "--workspace-id s2");
    let plan = desk.flowbatch(&format!("plan names.csv {there} --max-errors 50%"));
    assert_eq!(plan.code, 1, "one is missing there: {}", plan.stdout);
    assert!(
        plan.stdout
            .contains("no workflow of workspace s2 is called"),
        "{}",
        plan.stdout
    );
    let said = desk.flowbatch(&format!("run names.csv {there} --max-errors 50%"));
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(cloud.described(&workspace(PROJECT, "s2"), "Moved"), 1);
}

#[test]
fn a_name_that_another_workflow_keeps_is_taken_and_names_can_be_swapped() {
    let (cloud, desk, ids) = start(3);
    let name = |id: &str| {
        let world = cloud.world();
        world.workflow(&place(), id).unwrap().name.clone()
    };
    let (first, second, third) = (name(&ids[0]), name(&ids[1]), name(&ids[2]));
    let desk = desk.file(
        "rows.csv",
        format!(
            "workflow_id,name\n{},{second}\n{},{first}\n",
            ids[0], ids[1]
        ),
    );
    ok(&desk.flowbatch(&format!("run rows.csv {}", target(&cloud))));
    assert_eq!((name(&ids[0]), name(&ids[1])), (second, first));
    let desk = desk.file(
        "taken.csv",
        format!("workflow_id,name\n{},{third}\n{},Free\n", ids[0], ids[1]),
    );
    let said = desk.flowbatch(&format!("run taken.csv {}", target(&cloud)));
    assert_eq!(said.code, 3, "{}", said.stderr);
    let why = format!("is taken: workflow {} of the workspace has it", ids[2]);
    assert!(said.stdout.contains(&why), "{}", said.stdout);
}

#[test]
fn two_rows_that_give_one_name_are_told() {
    let (cloud, desk, ids) = start(3);
    let desk = desk.file(
        "rows.csv",
        format!("workflow_id,name\n{},New\n{},New\n", ids[0], ids[1]),
    );
    let said = desk.flowbatch(&format!("run rows.csv {}", target(&cloud)));
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(
        said.stdout.contains("another row of the job gives it"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_file_of_names_can_be_tried_in_the_simulator() {
    let desk = Desk::with(
        "names.csv",
        "workflow_name,enabled\nPhishing triage,true\nDisable leaver,yes\nIsolate host,true\n",
    )
    .file("typo.csv", "workflow_name,enabled\nPhising triage,false\n");
    let said = desk.flowbatch("run names.csv --simulate --rate 1000/s");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout.contains("succeeded             3"),
        "{}",
        said.stdout
    );
    let again = desk.flowbatch("run names.csv --simulate --rate 1000/s");
    assert!(
        again.stdout.contains("unchanged             3"),
        "{}",
        again.stdout
    );
    let typo = desk.flowbatch("run typo.csv --simulate --rate 1000/s");
    assert_eq!(typo.code, 3, "{}", typo.stdout);
    assert!(
        typo.stdout
            .contains("is called \"Phising triage\"; there is"),
        "{}",
        typo.stdout
    );
}

#[test]
fn a_row_beside_another_one_for_its_workflow_is_not_sent_when_the_failed_ones_go_again() {
    let desk = Desk::new().file(
        "rows.csv",
        "workflow_id,workflow_name,description\nw-2,,first\n,Workflow w-2,second\nw-3,,x\n",
    );
    let run = "run rows.csv --simulate --max-errors 100% --rate 1000/s --yes --progress none";
    assert_eq!(desk.flowbatch(run).code, 1);
    let run = desk.only_run();
    let again = desk.flowbatch(&format!("resume {} --failed --yes", run.display()));
    assert_eq!(again.code, 1, "{}{}", again.stdout, again.stderr);
    let rows = csv_rows(&run.join("report.csv"));
    let told: Vec<_> = rows.iter().map(|row| row["status"].as_str()).collect();
    assert_eq!(told, ["succeeded", "failed", "succeeded"]);
}
