//! A job to begin with.

use std::fs;

use crate::language::Desk;

#[test]
fn a_job_that_was_begun_is_checked_planned_and_run_as_it_says() {
    let desk = Desk::new();
    let said = desk.flowbatch("init --demo try");
    assert_eq!(said.code, 0, "{}", said.stderr);
    // The program need not be in the PATH.
    let commands: Vec<_> = said
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    assert_eq!(commands.len(), 5, "{}", said.stdout);
    for command in commands {
        let output = desk.shell(command).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
    let again = desk.flowbatch("init --demo try");
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (
            2,
            "error: there is something in try already\n  name a new folder\n"
        )
    );
}

#[test]
fn flags_say_where_a_job_goes_and_what_is_there_stays() {
    let desk = Desk::new();
    let said =
        desk.flowbatch("init jobs.toml --region cn-north-4 --workspace-id ws-1 --csv rows.csv");
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(
        said.stdout
            .replace(env!("CARGO_BIN_EXE_flowbatch"), "flowbatch"),
        "wrote jobs.toml; to go on:\n  flowbatch export --region cn-north-4 --workspace-id ws-1 --out rows.csv\n  \
         (edit rows.csv in a spreadsheet)\n  flowbatch check jobs.toml\n  flowbatch plan jobs.toml\n  flowbatch run jobs.toml\n"
    );
    let job = desk.read("jobs.toml");
    for line in [
        "region = \"cn-north-4\"",
        "workspace_id = \"ws-1\"",
        "file = \"rows.csv\"",
    ] {
        assert!(job.lines().any(|found| found == line), "{line} in {job}");
    }
    assert!(desk.read("flowbatch.schema.json") == desk.flowbatch("schema").stdout);
    fs::write(desk.path("rows.csv"), "workflow_id,name\nw1,x\n").unwrap();
    let said = desk.flowbatch("check jobs.toml");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let again = desk.flowbatch("init jobs.toml --simulate");
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (
            2,
            "error: jobs.toml is there already\n  name another file, or remove it\n"
        )
    );
    let csv = desk.flowbatch("init rows.csv");
    let text = "error: rows.csv does not end in .toml, as job files do\n  name it so\n";
    assert_eq!((csv.code, csv.stderr.as_str()), (2, text));
}

#[test]
fn without_a_workspace_the_export_is_of_all() {
    let desk = Desk::new();
    let said = desk.flowbatch("init jobs.toml --region cn-north-4");
    assert!(
        said.stdout
            .contains(" export --region cn-north-4 --all-workspaces --out jobs.csv\n"),
        "{}",
        said.stdout
    );
    let fault = desk.flowbatch("init other.toml --profile ''");
    assert_eq!(fault.code, 2);
    assert!(
        fault
            .stderr
            .contains("write the name of a profile of profiles.toml"),
        "{}",
        fault.stderr
    );
}

#[test]
fn on_a_terminal_it_asks_for_what_is_open() {
    let desk = Desk::new();
    let program = env!("CARGO_BIN_EXE_flowbatch");
    // A terminal of its own, whose keys are these.
    let line = format!(
        "printf 'ap-southeast-2\\n\\nws-7\\n\\n' | script -qec '{program} init triage.toml' /dev/null"
    );
    let said = desk.shell(&line).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("workspace id: "), "{said}");
    let job = desk.read("triage.toml");
    for part in [
        "region = \"ap-southeast-2\"\nworkspace_id = \"ws-7\"\n# project_id = \"\"\n",
        "file = \"triage.csv\"\n",
    ] {
        assert!(job.contains(part), "{part} in {job}");
    }
}
