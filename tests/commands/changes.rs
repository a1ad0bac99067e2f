//! Rows that the live state chooses, and values that it gives.

use flowbatch::model::update::Update;

use crate::cloud::{Cloud, workspace};
use crate::language::{Desk, csv_rows};
use crate::plant::{PROJECT, asked, edit, kill_before_last_end, ok, place, seen, start, target};

/// A desk with the job `job.toml`: `changes`, and a target for them.
fn job(cloud: &Cloud, desk: Desk, changes: &str) -> Desk {
    let address = &cloud.address;
    desk.file(
        "job.toml",
        format!(
            "[target]\nendpoint = \"{address}\"\nproject_id = \"{PROJECT}\"\nworkspace_id = \"s1\"\n\
             [run]\nrate = \"5000/s\"\nconcurrency = 32\n{changes}"
        ),
    )
}

/// What the workflows of workspace `id` are called.
fn names(cloud: &Cloud, id: &str) -> Vec<String> {
    let world = cloud.world();
    let place = workspace(PROJECT, id);
    let workflows = world.workflows(&place);
    workflows.map(|workflow| workflow.name.clone()).collect()
}

fn renamed(to: &str) -> Update {
    Update {
        name: Some(to.to_owned()),
        ..Update::default()
    }
}

const PREFIX: &str = "[[change]]\nwhere = \"name!~^PROD \"\nset.name = \"PROD {{ name }}\"\n";

#[test]
fn three_lines_prefix_every_workflow_and_undo_gives_the_names_back() {
    let (cloud, desk, _) = start(250);
    let before = names(&cloud, "s1");
    let desk = job(&cloud, desk, PREFIX);
    ok(&desk.flowbatch("run job.toml"));
    let after: Vec<_> = before.iter().map(|name| format!("PROD {name}")).collect();
    assert_eq!(names(&cloud, "s1"), after);
    // What was done is on record as rows that say everything themselves.
    let rows = csv_rows(&desk.only_run().join("input.csv"));
    assert_eq!(rows.len(), 250);
    assert_eq!(
        (&*rows[0]["name"], &*rows[0]["expect_name"]),
        (&*after[0], &*before[0])
    );
    // Nobody is left to be renamed: a typo, unless the job says that it may be.
    let requests = seen(&cloud);
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("the change selects no workflow")
            && said.stderr.contains("it looked at 250"),
        "{}",
        said.stderr
    );
    let again = job(&cloud, desk, &format!("{PREFIX}allow_empty = true\n"));
    ok(&again.flowbatch("run job.toml"));
    assert_eq!(asked(&cloud, requests).get("update_workflow"), None);
    let first = std::fs::read_dir(again.path(".local/state/flowbatch/runs")).unwrap();
    let mut runs: Vec<_> = first.map(|run| run.unwrap().file_name()).collect();
    runs.sort();
    ok(&again.flowbatch(&format!("undo {}", runs[0].to_string_lossy())));
    assert_eq!(names(&cloud, "s1"), before);
}

#[test]
fn a_regular_expression_renames_those_that_it_matches() {
    let (cloud, desk, ids) = start(3);
    edit(&cloud, &place(), &ids[1], renamed("Old triage (tier 1)"));
    let changes = "[[change]]\nwhere = \"name~^Old \"\n\
        set.name = \"{{ name | regex_replace('^Old (.*) \\\\((.*)\\\\)$', 'New $2: $1') }}\"\n";
    let desk = job(&cloud, desk, changes);
    ok(&desk.flowbatch("run job.toml"));
    assert_eq!(names(&cloud, "s1")[1], "New tier 1: triage");
    assert_eq!(csv_rows(&desk.only_run().join("report.csv")).len(), 1);
}

#[test]
fn templates_that_give_nothing_usable_are_problems_and_nothing_is_sent() {
    let (cloud, desk, _) = start(20);
    let changes = "\
[[change]]
where = \"workflow_id~^[0-7]\"
set.name = \"{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}\"
[[change]]
where = \"workflow_id~^[89ab]\"
set.name = \"{{ region }}\"
[[change]]
where = \"workflow_id~^[cd]\"
set.name = \"  {{ '' }}\"
[[change]]
where = \"workflow_id~^[e]\"
set.description = \"{{ name * 200 }}\"
[[change]]
where = \"workflow_id~^[f]\"
set.labels = \"{{ name }}\"
allow_empty = true
";
    let desk = job(&cloud, desk, changes);
    ok(&desk.flowbatch("check job.toml"));
    for command in ["plan", "run"] {
        let said = desk.flowbatch(&format!("{command} job.toml"));
        assert_eq!(said.code, 2, "{}", said.stderr);
        for part in [
            "the template comes to no end",
            "the template speaks of something that is not there: workflow ",
            "the template gives an empty name: workflow ",
            "the text is longer than 1024 characters: workflow ",
            "no such label: workflow ",
            "job.toml:10:12",
            " more",
        ] {
            assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
        }
    }
    assert!(!desk.has_runs());
    assert_eq!(asked(&cloud, 0).get("update_workflow"), None);
}

#[test]
fn a_template_that_speaks_of_nobody_known_is_told_before_anything_is_asked() {
    let (cloud, desk, _) = start(1);
    let desk = job(
        &cloud,
        desk,
        "[[change]]\nwhere = \"all\"\nset.name = \"PROD {{ nmae }}\"\n",
    );
    let said = desk.flowbatch("check job.toml");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr
            .contains("speaks of nmae, which is not known (did you mean name?)"),
        "{}",
        said.stderr
    );
    assert_eq!(seen(&cloud), 0);
}

#[test]
fn a_change_looks_in_all_workspaces_or_in_those_that_it_names() {
    let (cloud, desk, _) = start(4);
    for other in ["s2", "s3"] {
        cloud.workflows(&workspace(PROJECT, other), 3);
    }
    let requests = seen(&cloud);
    let all = "[[change]]\nwhere = \"all\"\nworkspaces = \"all\"\nset.description = \"in {{ workspace }}\"\n";
    let desk = job(&cloud, desk, all);
    let said = desk.flowbatch("plan job.toml");
    ok(&said);
    for line in [
        "workspace \"SOC s1\", s1 (project p1): 4 to change",
        "workspace \"SOC s3\", s3 (project p1): 3 to change",
        "description  \"Cuts an infected host off the network\" -> \"in SOC s2\"",
    ] {
        assert!(said.stdout.contains(line), "{line}: {}", said.stdout);
    }
    // Each time a list of workspaces and one of each's workflows: to choose, and to plan.
    let requests = asked(&cloud, requests);
    assert_eq!(
        (requests["list_workspaces"], requests["list_workflows"]),
        (2, 6)
    );
    let these = "[[change]]\nwhere = \"all\"\nworkspaces = [\"SOC s2\", \"s3\"]\n\
        exclude = [\"name~1$\", \"name~2$\"]\nset.description = \"Reviewed\"\n";
    let desk = job(&cloud, desk, these);
    ok(&desk.flowbatch("run job.toml"));
    let done = |id| cloud.described(&workspace(PROJECT, id), "Reviewed");
    assert_eq!((done("s1"), done("s2"), done("s3")), (0, 1, 1));
    let none = "[[change]]\nwhere = \"all\"\nworkspaces = [\"SOC s4\"]\nset.description = \"x\"\n";
    let said = job(&cloud, desk, none).flowbatch("plan job.toml");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr
            .contains("no workspace of project p1 is called \"SOC s4\"")
            && said.stderr.contains("did you mean one of [\"SOC s1\""),
        "{}",
        said.stderr
    );
}

#[test]
fn a_workflow_that_two_changes_select_is_a_problem() {
    let (cloud, desk, _) = start(5);
    let twice = "[[change]]\nwhere = \"name~1$\"\nset.description = \"x\"\n\
        [[change]]\nwhere = \"all\"\nset.labels = \"IP\"\n";
    let said = job(&cloud, desk, twice).flowbatch("run job.toml");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr
            .contains("a workflow has a row already: workflow "),
        "{}",
        said.stderr
    );
}

#[test]
fn what_somebody_else_renamed_after_the_choice_is_not_overwritten() {
    let (cloud, desk, ids) = start(5);
    let desk = job(&cloud, desk, PREFIX);
    ok(&desk.flowbatch("plan job.toml --out plan.json"));
    edit(&cloud, &place(), &ids[2], renamed("Theirs"));
    let said = desk.flowbatch("run plan.json --allow-drift");
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    let names = names(&cloud, "s1");
    assert_eq!(names[2], "Theirs");
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("PROD "))
            .count(),
        4
    );
}

#[test]
fn a_job_that_chooses_disables_no_more_than_a_tenth_unless_it_says_so() {
    let (cloud, desk, ids) = start(50);
    for id in &ids[..6] {
        let on = Update {
            enabled: Some(true),
            ..Update::default()
        };
        edit(&cloud, &place(), id, on);
    }
    let enabled = || {
        let world = cloud.world();
        world
            .workflows(&place())
            .filter(|workflow| workflow.enabled)
            .count()
    };
    let all = enabled();
    let off = "[[change]]\nwhere = \"enabled=true\"\nset.enabled = false\n";
    let desk = job(&cloud, desk, off);
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 3, "{}", said.stdout);
    assert!(
        said.stdout.contains("max_disables = \"10%\""),
        "{}",
        said.stdout
    );
    assert_eq!(enabled(), all);
    ok(&desk.flowbatch("run job.toml --max-disables 100%"));
    assert_eq!(enabled(), 0);
}

#[test]
fn chosen_rows_are_counted_left_out_and_gone_on_with_like_any_others() {
    let (cloud, desk, ids) = start(12);
    let desk = job(&cloud, desk, PREFIX);
    let said = desk.flowbatch("plan job.toml --only row=3,5");
    assert!(
        said.stdout.contains("2 to change"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    let said = desk.flowbatch("plan job.toml --only row=99");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("the job has 12 rows"),
        "{}",
        said.stderr
    );
    ok(&desk.flowbatch("run job.toml --limit 10"));
    kill_before_last_end(&desk.only_run());
    // Whoever goes on does not choose anew.
    edit(&cloud, &place(), &ids[11], renamed("Newcomer"));
    ok(&desk.flowbatch("resume last"));
    let report = csv_rows(&desk.only_run().join("report.csv"));
    let with = |status| report.iter().filter(|row| row["status"] == status).count();
    assert_eq!((with("succeeded"), with("skipped")), (10, 2), "{report:?}");
}

#[test]
fn defaults_are_worked_out_from_the_workflow_and_from_the_row() {
    let (cloud, desk, ids) = start(4);
    let rows = format!(
        "workflow_id,name,x_owner\n{},,Ana\n{},Kept,Bo\n{},,{{{{ 7 * 7 }}}}\n",
        ids[0], ids[1], ids[2]
    );
    let defaults = "[defaults]\nname = \"{{ name | upper }}\"\ndescription = \"Owner: {{ row.x_owner }}\"\n\
        [rows]\nfile = \"rows.csv\"\n";
    let before = names(&cloud, "s1");
    let desk = job(&cloud, desk.file("rows.csv", rows), defaults);
    ok(&desk.flowbatch("run job.toml"));
    let upper = |index: usize| before[index].to_uppercase();
    let expected = [upper(0), "Kept".to_owned(), upper(2), before[3].clone()];
    assert_eq!(names(&cloud, "s1"), expected);
    for owner in ["Owner: Ana", "Owner: Bo", "Owner: {{ 7 * 7 }}"] {
        assert_eq!(cloud.described(&place(), owner), 1, "{owner}");
    }
    // The same by a flag, which is stronger; the cell of a CSV is never a template.
    let said = desk
        .command("plan job.toml --full")
        .arg("--set")
        .arg("name=Z {{ name }}")
        .output();
    let text = String::from_utf8(said.unwrap().stdout).unwrap();
    assert!(text.contains(&format!("-> \"Z {}\"", upper(0))), "{text}");
    assert!(!text.contains("Z Kept"), "{text}");
}

#[test]
fn rows_name_their_workspaces_and_exact_names_alone_are_found() {
    let (cloud, desk, ids) = start(2);
    let others = cloud.workflows(&workspace(PROJECT, "s2"), 2);
    let rows = |second: &str| {
        format!(
            "workspace,workflow_id,description\nSOC s1,{},Reviewed\n{second},{},Reviewed\n",
            ids[0], others[1]
        )
    };
    let target = target(&cloud).replace("--workspace-id s1 ", "");
    let desk = desk.file("rows.csv", rows("s2"));
    ok(&desk.flowbatch(&format!("run rows.csv {target}")));
    assert_eq!(cloud.described(&place(), "Reviewed"), 1);
    assert_eq!(cloud.described(&workspace(PROJECT, "s2"), "Reviewed"), 1);
    let report = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(
        (&*report[1]["workspace_id"], &*report[1]["workspace_name"]),
        ("s2", "SOC s2")
    );
    // So it is when it is made anew from the journal.
    ok(&desk.flowbatch("report last --csv again.csv"));
    assert_eq!(csv_rows(&desk.path("again.csv")), report);
    let desk = desk.file("rows.csv", rows("SOC s 2"));
    let said = desk.flowbatch(&format!("run rows.csv {target}"));
    assert_eq!(said.code, 2);
    for part in [
        "no workspace of project p1 is called \"SOC s 2\"",
        "rows.csv:3:workspace",
        "did you mean one of [\"SOC s2\"",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    for flags in ["--workspace-id s1", "--snapshot off"] {
        let said = desk.flowbatch(&format!("check rows.csv {target} {flags}"));
        assert_eq!(said.code, 2, "{flags}");
        assert!(
            said.stderr.contains("workspace"),
            "{flags}: {}",
            said.stderr
        );
    }
}

#[test]
fn a_change_needs_the_live_state_and_somebody_who_may_list_it() {
    let (cloud, desk, _) = start(3);
    let desk = job(&cloud, desk, PREFIX);
    let said = desk.flowbatch("run job.toml --snapshot off");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("a change chooses from the live state"),
        "{}",
        said.stderr
    );
    cloud.access.revoke(place());
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(!desk.has_runs());
    assert_eq!(asked(&cloud, 0).get("update_workflow"), None);
}

#[test]
fn a_newcomer_tries_a_change_against_the_simulator() {
    let desk = Desk::new().file(
        "job.toml",
        "[target]\nsimulator = true\nproject_id = \"p\"\n[run]\nrate = \"1000/s\"\n\
         [[change]]\nwhere = \"enabled=false\"\nworkspaces = [\"SOC Berlin\"]\nset.labels = \"IP\"\n",
    );
    let said = desk.flowbatch("plan job.toml");
    ok(&said);
    assert!(
        said.stdout.contains("workspace \"SOC Berlin\""),
        "{}",
        said.stdout
    );
    ok(&desk.flowbatch("run job.toml"));
    ok(&desk.flowbatch("undo last --simulate"));
}
