//! Rows that the live state chooses, and values that it gives.

use flowbatch::model::update::Update;

use crate::cloud::{Cloud, workspace};
use crate::language::{Desk, csv_rows};
use crate::plant::{
    PROJECT, asked, edit, enabled, kill_before_last_end, ok, place, seen, start, target,
};

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
    let rows = std::fs::read_to_string(desk.only_run().join("input.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 250);
    let first: serde_json::Value = serde_json::from_str(rows.lines().nth(1).unwrap()).unwrap();
    assert_eq!(first["set"]["name"], *after[0]);
    assert_eq!(first["expect"][0][1], *before[0]);
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
    // A list of workspaces to find them, to name them, and to name them in the plan; one of the workflows of
    // each to choose, and to plan.
    let requests = asked(&cloud, requests);
    assert_eq!(
        (requests["list_workspaces"], requests["list_workflows"]),
        (3, 6)
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
            .contains("a workflow is chosen that the [[change]] on line 8 has already: workflow "),
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
    let all = enabled(&cloud);
    let off = "[[change]]\nwhere = \"enabled=true\"\nset.enabled = false\n";
    let desk = job(&cloud, desk, off);
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 3, "{}", said.stdout);
    assert!(
        said.stdout.contains("max_disables = \"10%\""),
        "{}",
        said.stdout
    );
    assert_eq!(enabled(&cloud), all);
    ok(&desk.flowbatch("run job.toml --max-disables 100%"));
    assert_eq!(enabled(&cloud), 0);
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

#[test]
fn what_a_rule_was_about_is_looked_at_again_before_it_is_carried_out() {
    let (cloud, desk, _) = start(20);
    let changes = "[stop]\nmax_disables = 0\n[[change]]\nwhere = [\"name!~^Keep\", \"enabled=true\"]\nset.enabled = false\n";
    let id = {
        let world = cloud.world();
        let place = place();
        let mut workflows = world.workflows(&place);
        workflows
            .find(|workflow| workflow.enabled)
            .unwrap()
            .id
            .clone()
    };
    let desk = job(&cloud, desk, changes);
    assert_eq!(desk.flowbatch("run job.toml").code, 3);
    // It is not what the rule is about any more.
    edit(&cloud, &place(), &id, renamed("Keep: incident 4711"));
    let said = desk.flowbatch("resume last --max-disables 5");
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    assert!(cloud.world().workflow(&place(), &id).unwrap().enabled);
    let report = csv_rows(&desk.only_run().join("report.csv"));
    let row = report.iter().find(|row| row["workflow_id"] == id).unwrap();
    assert_eq!(row["status"], "conflict");
    // The same for one that nobody had changed for long, and somebody has by now.
    let changes = "[stop]\nmax_disables = 0\n[[change]]\nwhere = [\"enabled=true\", \"unchanged<1d\"]\nset.enabled = false\n";
    let changes = changes.replace("unchanged<1d", "unchanged>1d");
    let desk = job(&cloud, desk, &changes);
    let said = desk.flowbatch("plan job.toml --output json");
    let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(
        plan["rows"][0]["guards"]["update_time"].is_string(),
        "{plan}"
    );
}

#[test]
fn who_waits_for_another_run_chooses_when_it_has_ended() {
    let (cloud, desk, _) = start(20);
    let desk = job(&cloud, desk, PREFIX);
    let prefix = desk.read("job.toml");
    let second =
        "[[change]]\nwhere = \"name!~^PROD \"\nallow_empty = true\nset.description = \"Never\"\n";
    let desk = job(&cloud, desk, second);
    let desk = desk.file("slow.toml", prefix.replace("5000/s", "25/s"));
    let slow = desk.command("run slow.toml").spawn().unwrap();
    while asked(&cloud, 0)
        .get("update_workflow")
        .copied()
        .unwrap_or_default()
        < 3
    {
        std::thread::yield_now();
    }
    ok(&desk.flowbatch("run job.toml --if-locked wait"));
    assert!(slow.wait_with_output().unwrap().status.success());
    assert_eq!(cloud.described(&place(), "Never"), 0);
}

#[test]
fn an_exclude_that_leaves_nobody_out_is_told_and_the_others_are_counted() {
    let (cloud, desk, _) = start(20);
    let changes = "[[change]]\nwhere = \"all\"\nexclude = [\"name ~ 7$\", \"name = Nobody\"]\nset.labels = \"IP\"\n";
    let said = job(&cloud, desk, changes).flowbatch("plan job.toml");
    ok(&said);
    for part in [
        "warning: exclude \"name = Nobody\" of the [[change]] on line 8 leaves nobody out",
        "chosen:     18 of 20 workflows by the [[change]] on line 8, 2 excluded",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
}

#[test]
fn rows_that_are_left_out_need_nothing_to_be_worked_out() {
    let (cloud, desk, ids) = start(3);
    let rows = format!(
        "workflow_id,workspace\n{},SOC s1\ngone,SOC nowhere\n{},SOC s1\n",
        ids[0], ids[1]
    );
    let target = target(&cloud).replace("--workspace-id s1 ", "");
    let desk = desk.file("rows.csv", rows);
    let run = |only: &str| {
        let command = desk.command(&format!("run rows.csv {target} {only}"));
        let mut command = command;
        let output = command
            .arg("--set")
            .arg("description={{ name }}!")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    run("--only row=1,3");
    let report = csv_rows(&desk.only_run().join("report.csv"));
    let told: Vec<_> = report
        .iter()
        .map(|row| (&*row["status"], &*row["line"]))
        .collect();
    assert_eq!(
        told,
        [("succeeded", "2"), ("skipped", "3"), ("succeeded", "4")]
    );
}

#[test]
fn a_row_whose_workflow_is_gone_fails_alone_though_a_template_needs_it() {
    let (cloud, desk, ids) = start(30);
    let rows: String = ids.iter().map(|id| format!("{id}\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id\ngone\n{rows}"));
    let desk = job(
        &cloud,
        desk,
        "[defaults]\ndescription = \"{{ name }}!\"\n[rows]\nfile = \"rows.csv\"\n",
    );
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    let report = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(
        (&*report[0]["status"], &*report[0]["error_class"]),
        ("failed", "not_found")
    );
    assert_eq!(
        report
            .iter()
            .filter(|row| row["status"] == "succeeded")
            .count(),
        30
    );
    // Whoever changes the file meanwhile is told that the run goes on with what it was.
    let desk = desk.file("rows.csv", "workflow_id\nother\n");
    let said = desk.flowbatch("resume last --failed");
    assert!(
        said.stderr
            .contains("rows.csv has changed since the run began"),
        "{}",
        said.stderr
    );
}

#[test]
fn an_exports_unedited_rows_and_a_change_are_one_job() {
    let (cloud, desk, _) = start(6);
    ok(&desk.flowbatch(&format!(
        "export {} --out all.csv --where name~[12]$",
        target(&cloud)
    )));
    let changes =
        "[rows]\nfile = \"all.csv\"\n[[change]]\nwhere = \"name~[34]$\"\nset.labels = \"IP\"\n";
    let desk = job(&cloud, desk, changes);
    ok(&desk.flowbatch("run job.toml"));
    let report = csv_rows(&desk.only_run().join("report.csv"));
    let statuses: Vec<_> = report.iter().map(|row| &*row["status"]).collect();
    assert_eq!(
        statuses,
        ["unchanged", "unchanged", "succeeded", "succeeded"]
    );
}

#[test]
fn a_row_by_name_and_a_change_for_the_same_workflow_are_a_problem_and_two_such_rows_are_one_too_many()
 {
    let (cloud, desk, ids) = start(6);
    let name = names(&cloud, "s1")[0].clone();
    let desk = desk.file(
        "rows.csv",
        format!("workflow_name,description\n{name},by name\n"),
    );
    let changes = "[rows]\nfile = \"rows.csv\"\n[[change]]\nwhere = \"all\"\nset.labels = \"IP\"\n";
    let desk = job(&cloud, desk, changes);
    let said = desk.flowbatch("run job.toml");
    assert_eq!(said.code, 2, "{}", said.stdout);
    assert!(
        said.stderr
            .contains("a workflow is chosen that row 1 has already"),
        "{}",
        said.stderr
    );
    let both = format!(
        "workflow_name,workflow_id,description\n{name},,by name\n,{},by id\n",
        ids[0]
    );
    let desk = desk.file("both.csv", both);
    let said = desk.flowbatch(&format!(
        "run both.csv {} --max-errors 100%",
        target(&cloud)
    ));
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert!(
        said.stdout.contains("another row is for the same workflow"),
        "{}",
        said.stdout
    );
    assert_eq!(cloud.described(&place(), "by name"), 1);
    ok(&desk.flowbatch("undo last"));
}

#[test]
fn the_way_back_is_not_held_up_by_what_held_the_run() {
    let (cloud, desk, _) = start(20);
    let changes =
        "[[change]]\nwhere = \"enabled=false\"\nset.enabled = true\nset.version_id = \"active\"\n";
    let desk = job(&cloud, desk, changes);
    ok(&desk.flowbatch("run job.toml"));
    ok(&desk.flowbatch("undo last"));
    // A run that changes nothing is not what was meant by the last one.
    let desk = job(
        &cloud,
        desk,
        &format!("{PREFIX}allow_empty = true\n").replace("!~^PROD ", "=Nobody"),
    );
    ok(&desk.flowbatch("run job.toml"));
    let said = desk.flowbatch("undo last");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("the newest that did is "),
        "{}",
        said.stderr
    );
}

#[test]
fn chosen_rows_leave_by_the_way_that_they_were_found_by() {
    let (one, desk, _) = start(3);
    let (other, _, _) = start(3);
    let profile = format!(
        "[profile.e]\nendpoint = \"{}\"\nproject_id = \"{PROJECT}\"\nworkspace_id = \"s1\"\nenv_prefix = \"\"\n",
        other.address
    );
    let token = crate::language::CANARIES.token;
    let desk = desk
        .secret("profiles.toml", profile)
        .secret("token", token)
        .variable("FLOWBATCH_PROFILES", "profiles.toml");
    let changes = "[[change]]\nwhere = \"name~1$\"\nset.description = \"by the job\"\n\
        [[change]]\nwhere = \"name~2$\"\nprofile = \"e\"\nset.description = \"by its profile\"\n";
    let desk = job(&one, desk, changes);
    let text = desk
        .read("job.toml")
        .replace("[target]\n", "[target]\nprofile = \"e\"\n");
    let desk = desk.file("job.toml", text);
    let said = desk.flowbatch("run job.toml");
    ok(&said);
    let at = |cloud: &Cloud, what: &str| cloud.described(&place(), what);
    assert_eq!(
        (at(&one, "by the job"), at(&other, "by the job")),
        (1, 0),
        "{}",
        said.stderr
    );
    assert_eq!(
        (at(&one, "by its profile"), at(&other, "by its profile")),
        (0, 1)
    );
}
