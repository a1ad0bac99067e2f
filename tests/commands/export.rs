//! Exports, and the round trip.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use crate::cloud::workspace;
use crate::language::{CANARIES, Desk, csv_rows};
use crate::plant::{PROJECT, asked, described, edit, ok, place, seen, start, target};
use crate::sheet::{edited, writable};

/// Export, edit half of the rows, plan, run, plan, undo, export, in each of three workspaces: at the end all
/// is as it was.
fn round_trip(count: usize, export_flags: &str, delimiter: u8) {
    let (cloud, mut desk, _) = start(0);
    let places = ["s1", "s2", "s3"];
    let target = target(&cloud).replace("--workspace-id s1 ", "");
    let export = |desk: &Desk, place: &str| {
        let said = desk.flowbatch(&format!(
            "export {target} --workspace-id {place} --out {place}.csv {export_flags}"
        ));
        ok(&said);
        desk.read(&format!("{place}.csv"))
    };
    let mut before = BTreeMap::new();
    for place in places {
        cloud.workflows(&workspace(PROJECT, place), count / 3);
        let text = export(&desk, place);
        before.insert(place, writable(&text, delimiter));
        assert_eq!(before[place].len(), count / 3);
        let wanted = edited(&text, delimiter, |index, column, cell| {
            match (index % 2, column) {
                (0, "name") => Some(match index % 8 {
                    0 => format!("'=Triage {index}"),
                    2 => format!("'-x{index}"),
                    4 => format!("''quoted' {index}"),
                    _ => format!("Reviewed, \"{index}\"\nsecond line"),
                }),
                (0, "enabled") if index % 4 == 0 => {
                    Some(if cell == "true" { "FALSCH" } else { "WAHR" }.to_owned())
                }
                _ => None,
            }
        });
        desk = desk.file(&format!("{place}-edited.csv"), wanted);
    }
    for place in places {
        let job = format!("{place}-edited.csv {target}");
        let said = desk.flowbatch(&format!("plan {job} --output json --detailed-exitcode"));
        assert_eq!(said.code, 10, "{}", said.stderr);
        let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        let rows = count / 3;
        let changed = rows.div_ceil(2);
        assert_eq!(plan["counts"]["changes"], changed);
        assert_eq!(plan["counts"]["unchanged"], rows - changed);
        assert_eq!(plan["rows"].as_array().unwrap().len(), changed);
        let requests = seen(&cloud);
        let said = desk.flowbatch(&format!("run {job} --output json"));
        ok(&said);
        let summary: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(summary["counts"]["succeeded"], changed);
        assert_eq!(summary["counts"]["unchanged"], rows - changed);
        assert_eq!(asked(&cloud, requests)["update_workflow"], changed);
        let again = desk.flowbatch(&format!("plan {job} --detailed-exitcode"));
        ok(&again);
        let run = summary["run_id"].as_str().unwrap();
        ok(&desk.flowbatch(&format!("undo {run} -q")));
        assert_eq!(writable(&export(&desk, place), delimiter), before[place]);
    }
}

#[test]
fn export_edit_plan_run_undo_and_export_again_gives_the_first_export() {
    round_trip(5_001, "", b',');
}

#[test]
fn the_round_trip_holds_through_a_spreadsheets_file() {
    round_trip(300, "--for excel", b';');
}

#[test]
fn an_export_edited_later_never_reverts_a_colleagues_work_nor_does_undo() {
    let mut dice = fastrand::Rng::with_seed(7);
    for round in 0..12 {
        let (cloud, desk, ids) = start(30);
        let here = place();
        let said = desk.flowbatch(&format!("export {} --out all.csv", target(&cloud)));
        ok(&said);
        let mut wished = HashMap::new();
        let text = edited(&desk.read("all.csv"), b',', |index, column, _| {
            (column == "description" && dice.bool()).then(|| {
                let text = format!("Mine {index}");
                wished.insert(index, text.clone());
                text
            })
        });
        let desk = desk.file("edited.csv", text);
        let exported = csv_rows(&desk.path("edited.csv"));
        let number = |id: &str| {
            exported
                .iter()
                .position(|row| row["workflow_id"] == id)
                .unwrap()
        };
        let mut theirs = HashMap::new();
        let colleague =
            |dice: &mut fastrand::Rng, theirs: &mut HashMap<String, String>, when: &str| {
                for id in &ids {
                    if dice.u8(..) < 80 {
                        let text = format!("Theirs {when} {round}");
                        edit(&cloud, &here, id, described(&text));
                        theirs.insert(id.clone(), text);
                    }
                }
            };
        colleague(&mut dice, &mut theirs, "before");
        let said = desk.flowbatch(&format!("run edited.csv {} --output json", target(&cloud)));
        let conflicts = theirs
            .keys()
            .filter(|id| wished.contains_key(&number(id)))
            .count();
        assert_eq!(said.code, i32::from(conflicts > 0), "{}", said.stderr);
        let summary: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(summary["counts"]["conflict"], conflicts);
        let live = |id: &str| {
            let world = cloud.world();
            world.workflow(&here, id).unwrap().description.clone()
        };
        for id in &ids {
            match (theirs.get(id), wished.get(&number(id))) {
                (Some(theirs), _) => assert_eq!(live(id), *theirs),
                (None, Some(mine)) => assert_eq!(live(id), *mine),
                (None, None) => {}
            }
        }
        let mut later = HashMap::new();
        colleague(&mut dice, &mut later, "after");
        let run = summary["run_id"].as_str().unwrap();
        if summary["counts"]["succeeded"] == 0 {
            continue;
        }
        let undone = desk.flowbatch(&format!("undo {run}"));
        assert!(
            [0, 1].contains(&undone.code),
            "{}{}",
            undone.stderr,
            undone.stdout
        );
        for (id, text) in &later {
            assert_eq!(live(id), *text, "undo takes nobody's work away");
        }
        for id in ids
            .iter()
            .filter(|id| !later.contains_key(*id) && !theirs.contains_key(*id))
        {
            assert_eq!(live(id), exported[number(id)]["expect_description"]);
        }
    }
}

#[test]
fn an_export_takes_what_where_says_and_is_there_whole_or_not_at_all() {
    let (cloud, desk, _) = start(150);
    let target = target(&cloud);
    let said = desk.flowbatch(&format!(
        "export {target} --where name~1[0-9]$ --where enabled=false"
    ));
    ok(&said);
    let names: Vec<_> = said.stdout.lines().skip(1).collect();
    assert!(!names.is_empty());
    let (world, place) = (cloud.world(), place());
    let wanted = world.workflows(&place).filter(|workflow| {
        let mut last = workflow.name.chars().rev();
        let digit = last.next().is_some_and(|last| last.is_ascii_digit());
        digit && last.next() == Some('1') && !workflow.enabled
    });
    assert_eq!(names.len(), wanted.count());
    drop(world);
    let wrong = desk.flowbatch(&format!("export {target} --where nmae=x"));
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    let desk = desk.file("there.csv", "as it was\n");
    let nowhere = target.replace("--workspace-id s1", "--workspace-id nowhere");
    let refused = desk.flowbatch(&format!("export {nowhere} --out there.csv --force"));
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert_eq!(desk.read("there.csv"), "as it was\n");
}

#[test]
fn an_export_costs_nobodys_work() {
    let (cloud, desk, _) = start(3);
    let target = target(&cloud);
    let desk = desk.file("empty.csv", "").secret("token", CANARIES.token);
    std::os::unix::fs::symlink(desk.path("token"), desk.path("link.csv")).unwrap();
    let export = |flags: &str| desk.flowbatch(&format!("export {target} {flags}"));
    for out in ["all.csv", "empty.csv"] {
        ok(&export(&format!("--out {out}")));
        // It was not touched.
        ok(&export(&format!("--out {out} --for excel")));
        ok(&export(&format!("--out {out}")));
    }
    ok(&export("--out by-name.csv --by name"));
    let text = edited(&desk.read("all.csv"), b',', |row, column, _| {
        (row == 1 && column == "enabled").then(|| "true".to_owned())
    });
    let job = "workflow_id,name\nw1,x\n";
    let desk = desk.file("all.csv", &text).file("job.csv", job);
    let export = |flags: &str| desk.flowbatch(&format!("export {target} {flags}"));
    for (out, why) in [
        ("all.csv", "a file is there: the enabled of workflow "),
        (
            "job.csv",
            "a file is there: it is not an export by workflow_id",
        ),
        (
            "link.csv",
            "a file is there: it is not an export by workflow_id",
        ),
        (
            "by-name.csv",
            "a file is there: it is not an export by workflow_id",
        ),
        (".", "that is a folder"),
    ] {
        let before = fs::read(desk.path(out)).unwrap_or_default();
        let said = export(&format!("--out {out}"));
        assert_eq!(said.code, 2, "{out}: {}", said.stderr);
        assert!(said.stderr.contains(why), "{out}: {}", said.stderr);
        assert!(
            said.stderr.contains("say --force to lose what is there"),
            "{out}: {}",
            said.stderr
        );
        assert_eq!(
            fs::read(desk.path(out)).unwrap_or_default(),
            before,
            "{out}"
        );
    }
    ok(&export("--out job.csv --force"));
    ok(&export("--out /dev/null"));
}

#[test]
fn an_export_that_finds_nothing_says_so() {
    let (cloud, desk, _) = start(3);
    let said = desk.flowbatch(&format!(
        "export {} --where name=nowhere --where enabled=true --out none.csv",
        target(&cloud)
    ));
    ok(&said);
    let warning =
        "warning: no workflow matches --where name=nowhere --where enabled=true (3 checked)\n";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
}

#[test]
fn a_newcomer_goes_round_in_the_simulator_from_an_empty_folder() {
    let desk = Desk::new();
    ok(&desk.flowbatch("export --simulate --out all.csv"));
    let text = edited(&desk.read("all.csv"), b',', |_, column, cell| {
        (column == "name").then(|| format!("[SOC] {cell}"))
    });
    let desk = desk.file("renamed.csv", text);
    let fast = "--simulate --rate 1000/s --burst 50";
    let said = desk.flowbatch(&format!("plan renamed.csv {fast} --detailed-exitcode"));
    assert_eq!(said.code, 10, "{}", said.stderr);
    ok(&desk.flowbatch(&format!("run renamed.csv {fast}")));
    ok(&desk.flowbatch("undo last --simulate --rate 1000/s --burst 50"));
    ok(&desk.flowbatch("export --simulate --out again.csv"));
    assert_eq!(
        writable(&desk.read("all.csv"), b','),
        writable(&desk.read("again.csv"), b',')
    );
}

#[test]
fn what_the_service_tells_is_exported_and_read_back_whatever_it_is() {
    let (cloud, desk, ids) = start(3);
    edit(&cloud, &place(), &ids[0], described("   "));
    ok(&desk.flowbatch(&format!("export {} --out all.csv", target(&cloud))));
    let said = desk.flowbatch(&format!("run all.csv {}", target(&cloud)));
    ok(&said);
    assert!(
        said.stdout.contains("unchanged             3"),
        "{}",
        said.stdout
    );
    let desk = desk.file(
        "row.csv",
        format!("workflow_id,description\n{},Mine\n", ids[0]),
    );
    ok(&desk.flowbatch(&format!("run row.csv {}", target(&cloud))));
    ok(&desk.flowbatch("undo last"));
    assert_eq!(cloud.described(&place(), "   "), 1);
}

#[test]
fn an_unedited_row_for_a_workflow_that_is_gone_is_no_success() {
    let (cloud, desk, _) = start(3);
    ok(&desk.flowbatch(&format!("export {} --out all.csv", target(&cloud))));
    let mut text = desk.read("all.csv");
    let last = text.lines().last().unwrap().to_owned();
    text.push_str(&format!("gone{}\n", &last[4..]));
    let desk = desk.file("more.csv", text);
    let said = desk.flowbatch(&format!("run more.csv {} --max-errors 50%", target(&cloud)));
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    assert!(
        said.stdout.contains("unchanged             3"),
        "{}",
        said.stdout
    );
}

#[test]
fn all_workspaces_of_a_project_go_into_one_file_that_is_a_job() {
    let (cloud, desk, _) = start(120);
    cloud.workflows(&workspace(PROJECT, "s2"), 5);
    let target = target(&cloud).replace("--workspace-id s1 ", "");
    let export = |out: &str| format!("export {target} --all-workspaces --out {out}");
    let requests = seen(&cloud);
    let said = desk.flowbatch(&export("all.csv"));
    ok(&said);
    assert!(
        said.stderr
            .contains("exported 125 workflows of 2 workspaces to all.csv"),
        "{}",
        said.stderr
    );
    let requests = asked(&cloud, requests);
    assert_eq!(
        (requests["list_workspaces"], requests["list_workflows"]),
        (1, 3)
    );
    let text = desk.read("all.csv");
    let rows = csv_rows(&desk.path("all.csv"));
    assert_eq!(
        (&*rows[0]["workspace_name"], &*rows[124]["workspace_name"]),
        ("SOC s1", "SOC s2")
    );
    let wanted = edited(&text, b',', |index, column, _| {
        (column == "description" && index % 60 == 4).then(|| "Reviewed".to_owned())
    });
    let desk = desk.file("edited.csv", wanted);
    ok(&desk.flowbatch(&format!("run edited.csv {target}")));
    let reviewed = |place| cloud.described(&workspace(PROJECT, place), "Reviewed");
    assert_eq!((reviewed("s1"), reviewed("s2")), (2, 1));
    ok(&desk.flowbatch("undo last"));
    ok(&desk.flowbatch(&export("again.csv")));
    assert_eq!(
        writable(&desk.read("again.csv"), b','),
        writable(&text, b',')
    );
}

#[test]
fn workspaces_by_their_names_are_a_migration_to_another_project() {
    let (cloud, desk, _) = start(3);
    for (project, place) in [(PROJECT, "s2"), ("p2", "s1"), ("p2", "s2")] {
        cloud.workflows(&workspace(project, place), 3);
    }
    let theirs = cloud.workflows(&workspace("p2", "s2"), 3);
    let called = {
        let world = cloud.world();
        let live = world.workflow(&workspace("p2", "s2"), &theirs[1]).unwrap();
        live.name.clone()
    };
    let ours = cloud.workflows(&workspace(PROJECT, "s2"), 3);
    edit(
        &cloud,
        &workspace(PROJECT, "s2"),
        &ours[1],
        described("Ours"),
    );
    let target = target(&cloud).replace("--workspace-id s1 ", "");
    ok(&desk.flowbatch(&format!(
        "export {target} --all-workspaces --by name --out all.csv"
    )));
    let rows = csv_rows(&desk.path("all.csv"));
    assert_eq!(
        (&*rows[4]["workflow_name"], &*rows[4]["workspace"]),
        (&*called, "SOC s2")
    );
    let there = target.replace("--project-id p1", "--project-id p2");
    let said = desk.flowbatch(&format!("run all.csv {there}"));
    ok(&said);
    assert_eq!(cloud.described(&workspace("p2", "s2"), "Ours"), 1);
    assert_eq!(cloud.described(&workspace("p2", "s1"), "Ours"), 0);
}
