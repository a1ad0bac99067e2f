//! Whatever can be wrong with a job file or its flags: each with its exact text, and nothing sent.

use expect_test::{Expect, expect};

use crate::language::Desk;

const UPDATE: &str = "[[update]]\nworkflow_id = \"w1\"\nname = \"x\"\n";

/// Runs a job file: it must be refused with this text, and no run may begin.
fn refused(job: &str, arguments: &str, text: Expect) {
    let desk = Desk::with("job.toml", job).variable("HW_AUTH_TOKEN", "canary");
    let said = desk.flowbatch(&format!("run job.toml {arguments}"));
    text.assert_eq(&said.stderr);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(!desk.has_runs(), "a run was begun");
    assert!(!said.stderr.contains("canary"));
}

#[test]
fn no_such_file() {
    let desk = Desk::new();
    for (job, text) in [
        (
            "missing.toml",
            expect![[r#"
            error: no such file
            --> missing.toml
             = help: check the path

            1 problem; nothing was sent
        "#]],
        ),
        (
            "missing.csv",
            expect![[r#"
            error: no such file
            --> missing.csv
             = help: check the path

            1 problem; nothing was sent
        "#]],
        ),
        (
            "missing",
            expect![[r#"
            error: no such file
            --> missing
             = help: name a .toml or .csv file, or - for standard input

            1 problem; nothing was sent
        "#]],
        ),
    ] {
        let said = desk.flowbatch(&format!("run {job} --simulate"));
        assert_eq!(said.code, 2);
        text.assert_eq(&said.stderr);
    }
}

#[test]
fn a_directory() {
    let desk = Desk::with("jobs/a.toml", "");
    let said = desk.flowbatch("run jobs");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: a directory is no job
        --> jobs
         = help: name a .toml or .csv file in it

        1 problem; nothing was sent
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn a_file_that_is_neither() {
    let desk = Desk::with("rows.xlsx", "PK");
    let said = desk.flowbatch("check rows.xlsx");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: neither a job file nor a CSV by its name
        --> rows.xlsx
         = help: name it .toml or .csv, or give a CSV on standard input: flowbatch run - < FILE

        1 problem; nothing was sent
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn an_empty_job() {
    refused(
        "",
        "--simulate",
        expect![[r#"
            error: the job has no rows
            --> job.toml
             = help: add [[update]] or [[change]] tables, or [rows] file = "rows.csv"

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn no_toml() {
    refused(
        "[target\nregion = \"x\n[run]\nrate = 5/s\n",
        "--simulate",
        expect![[r#"
            error: not TOML: unclosed table, expected `]`
             --> job.toml:1:8
              |
            1 | [target
              |        ^

            error: not TOML: string values must be quoted, expected literal string
             --> job.toml:4:8
              |
            4 | rate = 5/s
              |        ^^^

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn keys_nobody_knows() {
    let job = format!(
        "schema = 1\nrun = {{ concurency = 8, rate = \"5/s\" }}\n[targets]\nregion = \"x\"\n{UPDATE}enabeld = true\n"
    );
    refused(
        &job,
        "--simulate",
        expect![[r#"
            error: unknown key `concurency` in [run]
             --> job.toml:2:9
              |
            2 | run = { concurency = 8, rate = "5/s" }
              |         ^^^^^^^^^^
              |
              = help: did you mean `concurrency`?

            error: unknown key `targets`
             --> job.toml:3:2
              |
            3 | [targets]
              |  ^^^^^^^
              |
              = help: did you mean `target`?

            error: unknown key `enabeld` in [update]
             --> job.toml:8:1
              |
            8 | enabeld = true
              | ^^^^^^^
              |
              = help: did you mean `enabled`?

            3 problems; nothing was sent
        "#]],
    );
}

#[test]
fn values_of_the_wrong_type() {
    let job = format!(
        "[target]\nsimulator = \"yes\"\n[run]\nconcurrency = \"8\"\nrate = 5\ntimeout = 30\n[stop]\nmax_errors = true\n{UPDATE}labels = 5\n"
    );
    refused(
        &job,
        "--simulate",
        expect![[r#"
            error: wrong type: string
             --> job.toml:2:13
              |
            2 | simulator = "yes"
              |             ^^^^^
              |
              = help: write true or false

            error: wrong type: string
             --> job.toml:4:15
              |
            4 | concurrency = "8"
              |               ^^^
              |
              = help: write a whole number

            error: wrong type: integer
             --> job.toml:5:8
              |
            5 | rate = 5
              |        ^
              |
              = help: write a whole number per second, minute or hour: 5/s, 300/m, 1000/h; or auto, which finds the service's limit

            error: wrong type: integer
             --> job.toml:6:11
              |
            6 | timeout = 30
              |           ^^
              |
              = help: write a number with a unit: "500ms", "30s", "10m", "2h"

            error: wrong type: boolean
             --> job.toml:8:14
              |
            8 | max_errors = true
              |              ^^^^
              |
              = help: write 3, which stops on the fourth, or "10%"

            error: wrong type: integer
              --> job.toml:12:10
               |
            12 | labels = 5
               |          ^
               |
               = help: write a string or true/false

            6 problems; nothing was sent
        "#]],
    );
}

#[test]
fn values_out_of_range() {
    let job = format!(
        "schema = 2\n[run]\nconcurrency = 0\nrate = \"0/s\"\ntimeout = \"30\"\ndeadline = \"soon\"\nburst = -1\n[retry]\ninitial_delay = \"2m\"\nmax_delay = \"1m\"\n[stop]\nmax_errors = \"110%\"\n{UPDATE}"
    );
    refused(
        &job,
        "--simulate",
        expect![[r#"
            error: schema 2 is not known
             --> job.toml:1:10
              |
            1 | schema = 2
              |          ^
              |
              = help: this version reads schema = 1

            error: `concurrency` is out of range
             --> job.toml:3:15
              |
            3 | concurrency = 0
              |               ^
              |
              = help: write a whole number from 1

            error: the rate is zero, so nothing would ever leave
             --> job.toml:4:8
              |
            4 | rate = "0/s"
              |        ^^^^^
              |
              = help: write a whole number per second, minute or hour: 5/s, 300/m, 1000/h; or auto, which finds the service's limit

            error: the duration has no unit
             --> job.toml:5:11
              |
            5 | timeout = "30"
              |           ^^^^
              |
              = help: write a number with a unit: "500ms", "30s", "10m", "2h"

            error: not a duration
             --> job.toml:6:12
              |
            6 | deadline = "soon"
              |            ^^^^^^
              |
              = help: write a number with a unit: "500ms", "30s", "10m", "2h"

            error: `burst` is out of range
             --> job.toml:7:9
              |
            7 | burst = -1
              |         ^^
              |
              = help: write a whole number from 1

            error: initial_delay is longer than max_delay
             --> job.toml:9:17
              |
            9 | initial_delay = "2m"
              |                 ^^^^
              |
              = help: max_delay is 1m

            error: neither a number nor a percentage of errors
              --> job.toml:12:14
               |
            12 | max_errors = "110%"
               |              ^^^^^^
               |
               = help: write 3, which stops on the fourth, or "10%"

            8 problems; nothing was sent
        "#]],
    );
}

#[test]
fn flags_out_of_range() {
    refused(
        UPDATE,
        "--simulate --concurrency 0 --rate fast --timeout 30 --max-errors lots --max-attempts 0 --deadline x --burst 0",
        expect![[r#"
            error: the number is out of range
            --> --concurrency 0
             = help: write a whole number from 1

            error: the number is out of range
            --> --burst 0
             = help: write a whole number from 1

            error: not a rate
            --> --rate fast
             = help: write a whole number per second, minute or hour: 5/s, 300/m, 1000/h; or auto, which finds the service's limit

            error: the number is out of range
            --> --max-attempts 0
             = help: write a whole number from 1

            error: neither a number nor a percentage of errors
            --> --max-errors lots
             = help: write 3, which stops on the fourth, or "10%"

            error: the duration has no unit
            --> --timeout 30
             = help: write a number with a unit: "500ms", "30s", "10m", "2h"

            error: not a duration
            --> --deadline x
             = help: write a number with a unit: "500ms", "30s", "10m", "2h"

            7 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_variable_that_is_not_set() {
    let job = "[job]\nname = \"${TEAM} review\"\ndescription = \"costs $${TEAM} ${\"\n[[update]]\nworkflow_id = \"w1\"\nname = \"${NAME}\"\n";
    refused(
        job,
        "--simulate",
        expect![[r#"
            error: the environment variable TEAM is not set
             --> job.toml:2:8
              |
            2 | name = "${TEAM} review"
              |        ^^^^^^^^^^^^^^^^
              |
              = help: set it (export TEAM=...), or write $${TEAM} for the text itself

            error: `${` without `}`
             --> job.toml:3:15
              |
            3 | description = "costs $${TEAM} ${"
              |               ^^^^^^^^^^^^^^^^^^^
              |
              = help: write $${ for the text itself

            error: the environment variable NAME is not set
             --> job.toml:6:8
              |
            6 | name = "${NAME}"
              |        ^^^^^^^^^
              |
              = help: set it (export NAME=...), or write $${NAME} for the text itself

            3 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_secret_in_the_file() {
    let job = format!("[auth]\ntoken = \"canary-token\"\npassword = 'canary' # no\n{UPDATE}");
    refused(
        &job,
        "--simulate",
        expect![[r#"
            error: a secret in a job file
             --> job.toml:2:1
              |
            2 | token =***************
              | ^^^^^
              |
              = help: take it out and give it by HW_AUTH_TOKEN, or --token-file

            error: a secret in a job file
             --> job.toml:3:1
              |
            3 | password =**************
              | ^^^^^^^^
              |
              = help: take it out and give it by HW_USER_PASSWORD

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_region_and_the_simulator() {
    let job = format!("[target]\nregion = \"cn-north-4\"\nsimulator = true\n{UPDATE}");
    refused(
        &job,
        "",
        expect![[r#"
        error: the target is the simulator and a service
         --> job.toml:2:10
          |
        2 | region = "cn-north-4"
          |          ^^^^^^^^^^^^
          |
          = help: leave out one of simulator and region or endpoint

        1 problem; nothing was sent
    "#]],
    );
    refused(
        UPDATE,
        "--simulate --region cn-north-4",
        expect![[r#"
        error: the target is the simulator and a service
        --> --region cn-north-4
         = help: leave out --region or the simulator

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_region_and_an_endpoint() {
    let job = format!(
        "[target]\nregion = \"cn-north-4\"\nendpoint = \"https://example.com\"\nproject_id = \"p\"\nworkspace_id = \"s\"\n{UPDATE}"
    );
    refused(
        &job,
        "",
        expect![[r#"
        error: the target is a region and an endpoint
         --> job.toml:2:10
          |
        2 | region = "cn-north-4"
          |          ^^^^^^^^^^^^
          |
          = help: leave out one of them

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn a_region_nobody_knows() {
    let job = format!(
        "[target]\nregion = \"cn-nord-4\"\nproject_id = \"p\"\nworkspace_id = \"s\"\n{UPDATE}"
    );
    refused(
        &job,
        "",
        expect![[r#"
        error: no such region: "cn-nord-4"
         --> job.toml:2:10
          |
        2 | region = "cn-nord-4"
          |          ^^^^^^^^^^^
          |
          = help: did you mean cn-north-4? Regions: af-north-1, af-south-1, ap-southeast-1, ap-southeast-2, ap-southeast-3, ap-southeast-4, ap-southeast-5, cn-east-2, cn-east-3, cn-east-4, cn-east-5, cn-north-1, cn-north-11, cn-north-12, cn-north-2, cn-north-4, cn-north-9, cn-south-1, cn-south-2, cn-southwest-2, cn-southwest-3, eu-west-101, la-north-2, la-south-2, me-east-1, my-kualalumpur-1, sa-brazil-1, tr-west-1

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn http_to_a_public_host() {
    let job = format!(
        "[target]\nendpoint = \"http://secmaster.example.com\"\nproject_id = \"p\"\nworkspace_id = \"s\"\n{UPDATE}"
    );
    refused(
        &job,
        "",
        expect![[r#"
        error: http:// to secmaster.example.com would send the credential in the clear
         --> job.toml:2:12
          |
        2 | endpoint = "http://secmaster.example.com"
          |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: write https://secmaster.REGION.myhuaweicloud.com, or give the region; http:// is for 127.0.0.1 and [::1] only

        1 problem; nothing was sent
    "#]],
    );
    refused(
        UPDATE,
        "--endpoint https://me:canary@example.com",
        expect![[r#"
            error: the row has no workspace_id
             --> job.toml:1:1
              |
            1 | [[update]]
              | ^^^^^^^^^^
              |
              = help: add a column workspace_id, [target] workspace_id, --workspace-id, a profile with one, or FLOWBATCH_WORKSPACE_ID

            error: the endpoint holds a user name or password
            --> --endpoint https://*********@example.com
             = help: write https://secmaster.REGION.myhuaweicloud.com, or give the region; http:// is for 127.0.0.1 and [::1] only

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn no_target_at_all() {
    refused(
        UPDATE,
        "",
        expect![[r#"
            error: the row has no workspace_id
             --> job.toml:1:1
              |
            1 | [[update]]
              | ^^^^^^^^^^
              |
              = help: add a column workspace_id, [target] workspace_id, --workspace-id, a profile with one, or FLOWBATCH_WORKSPACE_ID

            error: the job has no target
            --> job.toml
             = help: say --region, --endpoint or --profile, set region in [target], or try it with --simulate

            2 problems; nothing was sent
        "#]],
    );
    refused(
        UPDATE,
        "--project-id p --workspace-id s",
        expect![[r#"
            error: the job has no target
            --> job.toml
             = help: say --region, --endpoint or --profile, set region in [target], or try it with --simulate

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn rows_that_are_not_there() {
    let job = "[target]\nsimulator = true\n[rows]\nfile = \"rows.csv\"\nother_columns = \"drop\"\n[rows.columns]\n\"Workflow\" = \"workflowid\"\n\"Owner\" = \"owner\"\n";
    refused(
        job,
        "",
        expect![[r#"
            error: no such file: rows.csv
             --> job.toml:4:8
              |
            4 | file = "rows.csv"
              |        ^^^^^^^^^^
              |
              = help: the path counts from the folder of the job file

            error: not a way to treat other columns: "drop"
             --> job.toml:5:17
              |
            5 | other_columns = "drop"
              |                 ^^^^^^
              |
              = help: write "refuse" or "ignore"

            error: no such column: "owner"
             --> job.toml:8:11
              |
            8 | "Owner" = "owner"
              |           ^^^^^^^
              |
              = help: columns: workflow_id, workflow_name, profile, region, project_id, workspace_id, workspace, name, description, enabled, version_id, labels, expect_name, expect_description, expect_enabled, expect_version_id, expect_labels, expect_update_time, wave

            3 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_simulator_in_a_job_for_a_service() {
    let job = format!(
        "[target]\nregion = \"cn-north-4\"\nproject_id = \"p\"\nworkspace_id = \"s\"\n[simulator]\nlatency = [\"9s\", \"1s\"]\nfaults = {{ reset = 2, resets = 0.1 }}\n{UPDATE}"
    );
    refused(
        &job,
        "",
        expect![[r#"
            error: [simulator] in a job for a service
             --> job.toml:5:2
              |
            5 | [simulator]
              |  ^^^^^^^^^
              |
              = help: take it out, or set simulator = true in [target]

            error: not a latency
             --> job.toml:6:12
              |
            6 | latency = ["9s", "1s"]
              |            ^^^^
              |
              = help: write one duration, or the shortest and the longest: ["5ms", "40ms"]

            error: not a share
             --> job.toml:7:20
              |
            7 | faults = { reset = 2, resets = 0.1 }
              |                    ^
              |
              = help: write a number from 0 to 1: 0.05

            error: unknown key `resets` in [faults]
             --> job.toml:7:23
              |
            7 | faults = { reset = 2, resets = 0.1 }
              |                       ^^^^^^
              |
              = help: did you mean `reset`?

            4 problems; nothing was sent
        "#]],
    );
}

#[test]
fn the_same_workflow_in_two_updates() {
    refused(
        &format!("{UPDATE}{UPDATE}"),
        "--simulate",
        expect![[r#"
            error: a second row for the same workflow
             --> job.toml:5:15
              |
            5 | workflow_id = "w1"
              |               ^^^^
              |
              = help: the first is row 1, on line 1; make one row of them

            1 problem; nothing was sent
        "#]],
    );
}

#[test]
fn a_job_larger_than_its_cap() {
    let job = format!("# {}\n{UPDATE}", "x".repeat(16 << 20));
    refused(
        &job,
        "--simulate",
        expect![[r#"
        error: the job file is larger than 16 MiB
        --> job.toml
         = help: put the rows into a CSV, which is streamed: [rows] file = "rows.csv"

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn more_at_once_than_any_service_bears() {
    refused(
        UPDATE,
        "--simulate --burst 5000000000 -j 5000",
        expect![[r#"
            error: concurrency is more than 1024
            --> --concurrency 5000
             = help: write a whole number from 1 to 1024

            error: burst is more than 1000
            --> --burst 5000000000
             = help: write a whole number from 1 to 1000

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_secret_does_not_get_into_the_record_by_a_variable() {
    let job = format!(
        "[job]\ndescription = \"${{HUAWEICLOUD_SDK_SK}}\"\n[target]\nsimulator = true\n{UPDATE}"
    );
    let desk = Desk::with("job.toml", job).variable("HUAWEICLOUD_SDK_SK", "canary");
    let said = desk.flowbatch("check job.toml");
    assert_eq!(said.code, 2);
    assert!(!said.stderr.contains("canary"));
    assert!(
        said.stderr
            .contains("the environment variable HUAWEICLOUD_SDK_SK holds a secret"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_secret_written_as_in_yaml_is_not_shown() {
    let job = "[auth]\nsk: canary-77\n";
    let said = Desk::with("job.toml", job).flowbatch("check job.toml");
    assert_eq!(said.code, 2);
    assert!(!said.stderr.contains("canary"), "{}", said.stderr);
}

#[test]
fn changes_that_cannot_be_carried_out() {
    refused(
        "\
[target]
simulator = true
project_id = \"p1\"
workspace_id = \"w1\"

[[change]]
where = [\"name~^Triage\", \"enabledd=true\"]
workspacse = \"all\"
set.name = \"PROD {{ name }\"

[[change]]
set.name = \"{{ nmae }}\"

[[change]]
where = \"age=3d\"
workspaces = []

[[change]]
where = \"unchanged>3\"
set = { enabled = false, owner = \"me\" }
",
        "",
        expect![[r#"
            error: no such field: "enabledd"
             --> job.toml:7:26
              |
            7 | where = ["name~^Triage", "enabledd=true"]
              |                          ^^^^^^^^^^^^^^^
              |
              = help: write FIELD=VALUE, FIELD!=VALUE, FIELD~REGEX or FIELD!~REGEX, where FIELD is one of name, description, enabled, labels, version_id, workflow_id, type, creator, modifier; or age>90d (since it was made), unchanged<1h (since its last change); several conditions are a list

            error: unknown key `workspacse` in [change]
             --> job.toml:8:1
              |
            8 | workspacse = "all"
              | ^^^^^^^^^^
              |
              = help: did you mean `workspaces`?

            error: the template cannot be worked out: unexpected `}`, expected end of variable block
             --> job.toml:9:12
              |
            9 | set.name = "PROD {{ name }"
              |            ^^^^^^^^^^^^^^^^
              |
              = help: write it as Jinja has it: "PROD {{ name }}", "{{ name | replace('Old', 'New') }}", "{{ name | regex_replace('^Old (.*)', 'New $1') }}", "{% if enabled %}on{% else %}off{% endif %}"

            error: the change does not say which workflows are meant
              --> job.toml:11:1
               |
            11 | [[change]]
               | ^^^^^^^^^^
               |
               = help: write where = "name~^Triage", or where = "all" if every workflow is meant

            error: the template speaks of nmae, which is not known (did you mean name?)
              --> job.toml:12:12
               |
            12 | set.name = "{{ nmae }}"
               |            ^^^^^^^^^^^^
               |
               = help: templates know name, description, enabled, labels, version_id, workflow_id, type, creator, modifier, version, create_time, update_time, project_id, workspace_id, workspace (if its name is known), region (if there is one), and, where a CSV has rows, row.COLUMN

            error: the change sets nothing
              --> job.toml:14:1
               |
            14 | [[change]]
               | ^^^^^^^^^^
               |
               = help: write set.enabled = false, or set.name = "PROD {{ name }}"

            error: a time is compared by > or <
              --> job.toml:15:9
               |
            15 | where = "age=3d"
               |         ^^^^^^^^
               |
               = help: write age>90d, or unchanged<1h

            error: the list of workspaces is empty
              --> job.toml:16:14
               |
            16 | workspaces = []
               |              ^^
               |
               = help: name one, write workspaces = "all", or leave it out for that of the job

            error: the duration has no unit: "3"
              --> job.toml:19:9
               |
            19 | where = "unchanged>3"
               |         ^^^^^^^^^^^^^
               |
               = help: write a number with a unit: 90d, 12h, 30m

            error: unknown key `owner` in [set]
              --> job.toml:20:26
               |
            20 | set = { enabled = false, owner = "me" }
               |                          ^^^^^
               |
               = help: known here: name, description, enabled, version_id, labels

            10 problems; nothing was sent
        "#]],
    );
}
