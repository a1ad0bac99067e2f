//! See before: plans, what holds them back, what a run leaves alone.

use std::fs;

use flowbatch::model::update::Update;
use flowbatch::simulator::records::VersionStatus;

use crate::cloud::workspace;
use crate::language::{Desk, csv_rows};
use crate::plant::{PROJECT, asked, described, edit, ok, place, reviewed, seen, start, target};

#[test]
fn a_thousand_workflows_are_enabled_from_their_ids_alone() {
    let (cloud, desk, ids) = start(1_000);
    let desk = desk.file("ids.csv", format!("workflow_id\n{}\n", ids.join("\n")));
    let job = format!(
        "run ids.csv {} --set enabled=true --set version_id=active",
        target(&cloud)
    );
    let requests = seen(&cloud);
    ok(&desk.flowbatch(&job));
    assert!(
        cloud
            .world()
            .workflows(&place())
            .all(|workflow| workflow.enabled)
    );
    let asked_for = asked(&cloud, requests);
    assert_eq!(
        asked_for["list_workflows"], 10,
        "a request for each hundred"
    );
    assert_eq!(
        asked_for["update_workflow"], 800,
        "one in five was enabled before"
    );
    assert_eq!(asked_for.get("list_versions"), None);
    assert_eq!(
        asked_for["show_workflow"], 801,
        "each before its version is sent, and the first after it"
    );
    // As cron does it the next night.
    let requests = seen(&cloud);
    let said = desk.flowbatch(&job);
    ok(&said);
    assert!(
        said.stdout.contains("unchanged          1000"),
        "{}",
        said.stdout
    );
    assert_eq!(asked(&cloud, requests).get("update_workflow"), None);
}

#[test]
fn versions_are_asked_for_only_where_another_than_the_one_in_use_is_wished_for() {
    let (cloud, desk, ids) = start(4);
    {
        let mut world = cloud.world();
        world.adopt(&place(), &ids[0], Some("newer-version"));
        world.draft(
            &place(),
            &ids[1],
            "draft-version",
            VersionStatus::PendingSubmit,
        );
    }
    let current = |id: &str| {
        let world = cloud.world();
        world.workflow(&place(), id).unwrap().version_id.clone()
    };
    let kept = current(&ids[2]);
    let desk = desk.file(
        "rows.csv",
        format!(
            "workflow_id,version_id\n{},latest\n{},draft-version\n{},{kept}\n{},no-such-version\n",
            ids[0], ids[1], ids[2], ids[3]
        ),
    );
    let requests = seen(&cloud);
    let run = format!(
        "run rows.csv {} --max-errors 100% --report out.csv",
        target(&cloud)
    );
    let said = desk.flowbatch(&run);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(asked(&cloud, requests)["list_versions"], 3);
    assert_eq!(current(&ids[0]), "newer-version");
    let rows = csv_rows(&desk.path("out.csv"));
    let told: Vec<_> = rows
        .iter()
        .map(|row| (&*row["status"], &*row["attempts"], &*row["error_message"]))
        .collect();
    assert_eq!(told[0].0, "succeeded");
    assert_eq!(
        told[1],
        (
            "failed",
            "0",
            "version_id \"draft-version\" is not published: it is pending_submit"
        )
    );
    assert_eq!((told[2].0, told[2].1), ("unchanged", "0"));
    assert_eq!((told[3].0, told[3].1), ("failed", "0"));
    assert!(
        told[3]
            .2
            .contains("is no version of this workflow; published: "),
        "{}",
        told[3].2
    );
}

#[test]
fn the_file_of_another_workspace_sends_nothing() {
    let (cloud, desk, _) = start(250);
    let others = cloud.workflows(&workspace(PROJECT, "s2"), 250);
    let rows: String = others.iter().map(|id| format!("{id},false\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,enabled\n{rows}"));
    let requests = seen(&cloud);
    let said = desk.flowbatch(&format!("run rows.csv {}", target(&cloud)));
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(
        said.stdout.contains("is this the right workspace?"),
        "{}",
        said.stdout
    );
    let asked = asked(&cloud, requests);
    assert_eq!(asked.get("update_workflow"), None);
    assert_eq!(asked["list_workflows"], 3);
    assert!(asked["show_workflow"] <= 20, "{asked:?}");
}

#[test]
fn ceilings_hold_a_plan_back_before_anything_is_sent() {
    let (cloud, desk, ids) = start(40);
    let rows: String = ids[..30]
        .iter()
        .map(|id| format!("{id},Reviewed\n"))
        .collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    let requests = seen(&cloud);
    for (flags, why) in [
        (
            "--max-changes 29",
            "30 workflows are to change, max_changes = 29",
        ),
        (
            "--max-changes 50%",
            "30 of the 40 workflows there are to change, max_changes = \"50%\"",
        ),
    ] {
        let said = desk.flowbatch(&format!("run rows.csv {} {flags}", target(&cloud)));
        assert_eq!(said.code, 3, "{}", said.stderr);
        assert!(said.stdout.contains(why), "{}", said.stdout);
        let planned = desk.flowbatch(&format!("plan rows.csv {} {flags}", target(&cloud)));
        assert_eq!(planned.code, 3, "{}", planned.stderr);
        assert!(planned.stdout.contains(why), "{}", planned.stdout);
    }
    assert_eq!(asked(&cloud, requests).get("update_workflow"), None);
    let blind = desk.flowbatch(&format!(
        "run rows.csv {} --max-changes 5 --snapshot off",
        target(&cloud)
    ));
    assert_eq!(blind.code, 2, "{}", blind.stderr);
    ok(&desk.flowbatch(&format!(
        "run rows.csv {} --max-changes 75%",
        target(&cloud)
    )));
    assert_eq!(cloud.described(&place(), "Reviewed"), 30);
}

#[test]
fn one_row_that_cannot_be_carried_out_stops_a_strict_run_and_counts_otherwise() {
    let (cloud, desk, ids) = start(20);
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file(
        "rows.csv",
        format!("workflow_id,description\nlost,Reviewed\n{rows}"),
    );
    let strict = desk.flowbatch(&format!("run rows.csv {} --strict", target(&cloud)));
    assert_eq!(strict.code, 3, "{}", strict.stderr);
    assert_eq!(cloud.described(&place(), "Reviewed"), 0);
    let said = desk.flowbatch(&format!("run rows.csv {}", target(&cloud)));
    assert_eq!(
        said.code, 1,
        "one of twenty-one is below ten percent: {}",
        said.stdout
    );
    assert_eq!(cloud.described(&place(), "Reviewed"), 20);
}

#[test]
fn a_conflict_names_who_changed_the_workflow_and_when() {
    let (cloud, desk, ids) = start(1);
    edit(&cloud, &place(), &ids[0], described("Theirs"));
    let desk = desk.file(
        "rows.csv",
        format!(
            "workflow_id,description,expect_description\n{},Mine,Old\n",
            ids[0]
        ),
    );
    let said = desk.flowbatch(&format!("run rows.csv {} --report out.csv", target(&cloud)));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let row = csv_rows(&desk.path("out.csv")).remove(0);
    assert_eq!((&*row["status"], &*row["attempts"]), ("conflict", "0"));
    let message = &row["error_message"];
    assert!(
        message.starts_with("description is \"Theirs\", expected \"Old\" (changed by "),
        "{message}"
    );
}

#[test]
fn who_may_neither_list_nor_read_sends_nothing_and_is_told_what_helps() {
    let (cloud, desk, ids) = start(2);
    let desk = desk.file(
        "rows.csv",
        format!("workflow_id,description\n{},a\n{},b\n", ids[0], ids[1]),
    );
    let here = target(&cloud);
    let elsewhere = here.replace("--workspace-id s1", "--workspace-id nowhere");
    cloud.access.revoke(place());
    let requests = seen(&cloud);
    for (target, hint) in [
        (&here, "--snapshot off"),
        (&elsewhere, "check workspace_id"),
    ] {
        let said = desk.flowbatch(&format!("run rows.csv {target}"));
        assert_eq!(said.code, 4, "{}{}", said.stderr, said.stdout);
        assert!(said.stdout.contains(hint), "{}", said.stdout);
        let planned = desk.flowbatch(&format!("plan rows.csv {target}"));
        assert_eq!(planned.code, 4, "{}", planned.stderr);
        assert!(planned.stderr.contains(hint), "{}", planned.stderr);
    }
    assert_eq!(asked(&cloud, requests).get("update_workflow"), None);
}

#[test]
fn a_dry_run_is_a_plan() {
    let (cloud, desk, ids) = start(2);
    let desk = desk.file("rows.csv", format!("workflow_id,name\n{},New\n", ids[0]));
    let planned = desk.flowbatch(&format!("plan rows.csv {}", target(&cloud)));
    let dry = desk.flowbatch(&format!("run rows.csv {} --dry-run", target(&cloud)));
    assert_eq!((planned.code, &planned.stdout), (dry.code, &dry.stdout));
    assert!(planned.stdout.contains("-> \"New\""), "{}", planned.stdout);
    assert!(!desk.has_runs());
}

#[test]
fn a_saved_plan_is_carried_out_as_it_was_shown_or_not_at_all() {
    let (cloud, desk, ids) = start(6);
    let desk = reviewed(desk, &ids);
    edit(&cloud, &place(), &ids[5], described("Reviewed"));
    let target = target(&cloud);
    ok(&desk.flowbatch(&format!("plan rows.csv {target} --out plan.json")));
    edit(&cloud, &place(), &ids[0], described("Theirs"));
    let requests = seen(&cloud);
    let drifted = desk.flowbatch("run plan.json");
    assert_eq!(drifted.code, 3, "{}{}", drifted.stderr, drifted.stdout);
    assert!(
        drifted
            .stdout
            .contains("1 row of the plan does not hold any more"),
        "{}",
        drifted.stdout
    );
    assert_eq!(asked(&cloud, requests).get("update_workflow"), None);
    let allowed = desk.flowbatch("run plan.json --allow-drift --report out.csv");
    assert_eq!(allowed.code, 1, "{}{}", allowed.stderr, allowed.stdout);
    let statuses: Vec<_> = csv_rows(&desk.path("out.csv"))
        .iter()
        .map(|row| row["status"].clone())
        .collect();
    assert_eq!(
        statuses,
        [
            "conflict",
            "succeeded",
            "succeeded",
            "succeeded",
            "succeeded"
        ],
        "what was as wished already is no part of the plan"
    );
    assert_eq!(cloud.described(&place(), "Theirs"), 1);
    let other = desk.flowbatch("run plan.json --workspace-id other --set enabled=true");
    assert_eq!(other.code, 2, "{}", other.stderr);
    for flag in ["--workspace-id", "--set"] {
        assert!(other.stderr.contains(flag), "{}", other.stderr);
    }
    let whole = desk.read("plan.json");
    let cut = whole.trim_end().rfind('\n').unwrap();
    let desk = desk.file("cut.json", &whole[..=cut]);
    let refused = desk.flowbatch("run cut.json");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("its end is missing"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_plan_that_was_held_back_is_held_back_again_when_it_is_resumed() {
    let (cloud, desk, ids) = start(20);
    let rows: String = ids[..6]
        .iter()
        .map(|id| format!("{id},Reviewed\n"))
        .collect();
    let desk = desk.file(
        "rows.csv",
        format!("workflow_id,description\nlost,Reviewed\n{rows}"),
    );
    let held = |desk: &Desk, command: &str, more: &str| {
        let said = desk.flowbatch(&format!("{command} {more}"));
        assert_eq!(said.code, 3, "{}{}", said.stderr, said.stdout);
        let run = said
            .stdout
            .lines()
            .find_map(|line| line.trim().strip_prefix("record: "));
        let run = run.unwrap().to_owned();
        let again = desk.flowbatch(&format!("resume {run}"));
        assert_eq!(again.code, 3, "{}{}", again.stderr, again.stdout);
        assert_eq!(cloud.described(&place(), "Reviewed"), 0, "nothing is sent");
        run
    };
    // One of seven rows is more than ten percent.
    held(&desk, &format!("run rows.csv {}", target(&cloud)), "");
    let flags = "--strict --max-errors 50%";
    held(&desk, &format!("run rows.csv {}", target(&cloud)), flags);
    let good = desk.file("good.csv", format!("workflow_id,description\n{rows}"));
    ok(&good.flowbatch(&format!("plan good.csv {} --out plan.json", target(&cloud))));
    edit(&cloud, &place(), &ids[0], described("Theirs"));
    let run = held(&good, "run plan.json", "");
    let allowed = good.flowbatch(&format!("resume {run} --allow-drift"));
    assert_eq!(allowed.code, 1, "{}{}", allowed.stderr, allowed.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), 5);
    assert_eq!(cloud.described(&place(), "Theirs"), 1);
}

#[test]
fn a_share_of_what_lives_there_counts_for_a_single_row_too() {
    let (cloud, desk, ids) = start(10);
    let desk = desk.file(
        "row.csv",
        format!("workflow_id,description\n{},Mine\n", ids[0]),
    );
    let run = format!("run row.csv {}", target(&cloud));
    let held = desk.flowbatch(&format!("{run} --max-changes 5%"));
    assert_eq!(held.code, 3, "{}", held.stderr);
    assert!(
        held.stdout
            .contains("1 of the 10 workflows there are to change"),
        "{}",
        held.stdout
    );
    ok(&desk.flowbatch(&format!("{run} --max-changes 10%")));
}

#[test]
fn a_saved_plan_for_a_service_does_not_go_to_the_simulator_nor_blindly() {
    let (cloud, desk, ids) = start(2);
    let desk = desk.file(
        "row.csv",
        format!("workflow_id,description\n{},Mine\n", ids[0]),
    );
    ok(&desk.flowbatch(&format!("plan row.csv {} --out plan.json", target(&cloud))));
    for flag in ["--simulate", "--snapshot off"] {
        let said = desk.flowbatch(&format!("run plan.json {flag}"));
        assert_eq!(said.code, 2, "{flag}: {}", said.stderr);
        assert!(said.stderr.contains(flag), "{}", said.stderr);
    }
    assert_eq!(cloud.described(&place(), "Mine"), 0);
}

#[test]
fn a_plan_is_not_saved_over_a_job() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,New\n");
    for (path, why) in [
        ("rows.csv", "a saved plan is known by the name x.json"),
        ("notes.json", "a file is there that is no saved plan"),
        ("no/folder/plan.json", "there is no folder no/folder"),
    ] {
        fs::write(desk.path("notes.json"), "[1]").unwrap();
        let said = desk.flowbatch(&format!("plan rows.csv --simulate --out {path}"));
        assert_eq!(said.code, 2, "{}", said.stderr);
        let text = format!("error: the plan cannot go to {path}: {why}\n");
        assert!(said.stderr.starts_with(&text), "{}", said.stderr);
    }
    for _ in 0..2 {
        ok(&desk.flowbatch("plan rows.csv --simulate --out plan.json"));
    }
}

#[test]
fn a_saved_plan_that_changes_nothing_is_well_and_runs_nothing() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\n");
    let fast = "--simulate --rate 1000/s";
    assert_eq!(desk.flowbatch(&format!("run rows.csv {fast}")).code, 0);
    let plan = desk.flowbatch(&format!("plan rows.csv {fast} --out plan.json"));
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let said = desk.flowbatch("run plan.json");
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, ""),
        "{}",
        said.stderr
    );
    assert_eq!(
        said.stderr,
        "the plan plan.json changes nothing: there is nothing to run\n"
    );
    let quiet = desk.flowbatch("run plan.json -q");
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
    desk.only_run();
}

#[test]
fn a_saved_plan_keeps_the_version_that_a_row_names_although_it_was_in_use() {
    let (cloud, desk, ids) = start(2);
    let version = {
        let world = cloud.world();
        let workflow = world.workflow(&place(), &ids[0]).unwrap();
        workflow.version_id.clone()
    };
    let desk = desk.file(
        "rows.csv",
        format!(
            "workflow_id,description,version_id\n{},Reviewed,{version}\n",
            ids[0]
        ),
    );
    ok(&desk.flowbatch(&format!("plan rows.csv {} --out plan.json", target(&cloud))));
    cloud
        .world()
        .adopt(&place(), &ids[0], Some("their-version"));
    let theirs = Update {
        version_id: Some("their-version".to_owned()),
        ..Update::default()
    };
    edit(&cloud, &place(), &ids[0], theirs);
    let drifted = desk.flowbatch("run plan.json");
    assert_eq!(drifted.code, 3, "{}{}", drifted.stderr, drifted.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), 0);
}

#[test]
fn a_saved_plan_takes_no_holds_and_has_no_parts() {
    let (cloud, desk, ids) = start(2);
    let desk = reviewed(desk, &ids);
    ok(&desk.flowbatch(&format!("plan rows.csv {} --out plan.json", target(&cloud))));
    for flag in ["--hold nowhere.csv", "--partition 1/2"] {
        let refused = desk.flowbatch(&format!("run plan.json {flag}"));
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        let said = "a saved plan says which rows change where";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    assert_eq!(cloud.described(&place(), "Reviewed"), 0);
}
