//! What people do with the simulator inside.

use std::fs;

use serde_json::Value;

use crate::language::{Desk, csv_rows};

const THREE: &str = "workflow_id,name,enabled,version_id\nw1,Isolate host,true,v1\nw2,=cmd(),false,\nw3,\"Two\nlines\",,\n";

#[test]
fn a_csv_alone_is_a_job_and_its_report_has_every_row_once() {
    // Rows that are sent as they stand are told as they were sent.
    let blind = (
        "off",
        ["name enabled version_id", "name enabled", "name"],
        serde_json::json!({"name": "Isolate host", "enabled": true, "version_id": "v1"}),
    );
    let planned = (
        "required",
        ["name enabled", "name", "name"],
        serde_json::json!({"name": "Isolate host", "enabled": true}),
    );
    for (snapshot, changed_fields, after) in [blind, planned] {
        report_has_every_row_once(snapshot, changed_fields, &after);
    }
}

fn report_has_every_row_once(snapshot: &str, changed_fields: [&str; 3], after: &Value) {
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch(&format!(
        "run rows.csv --simulate --snapshot {snapshot} --rate 100/s --report out.csv"
    ));
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stdout.starts_with("rows (simulated): done\n"),
        "{}",
        said.stdout
    );
    let text = desk.read("out.csv");
    assert_eq!(
        text.lines().next().unwrap(),
        "row,line,project_id,workspace_id,workflow_id,live_name,status,changed_fields,attempts,\
         http_status,error_class,error_code,error_message,request_id,started_at,finished_at,\
         duration_ms,before,after,row_hash,stage,wave,region,profile,workspace_name"
    );
    let rows = csv_rows(&desk.path("out.csv"));
    let column = |name: &str| {
        rows.iter()
            .map(|row| row[name].as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(column("row"), ["1", "2", "3"]);
    assert_eq!(column("line"), ["2", "3", "4"]);
    assert_eq!(column("workflow_id"), ["w1", "w2", "w3"]);
    assert_eq!(column("status"), ["succeeded"; 3]);
    assert_eq!(column("changed_fields"), changed_fields);
    assert_eq!(
        column("live_name"),
        ["Isolate host", "'=cmd()", "Two\nlines"]
    );
    assert_eq!(column("attempts"), ["1"; 3]);
    assert_eq!(column("http_status"), ["200"; 3]);
    let object = |column: &str| serde_json::from_str::<Value>(&rows[0][column]).unwrap();
    assert_eq!(&object("after"), after);
    match snapshot {
        "off" => assert_eq!(rows[0]["before"], "", "it was never seen"),
        _ => {
            let before = object("before");
            assert_eq!(before["enabled"], false);
            assert!(before["name"].is_string() && before["name"] != "Isolate host");
            assert_eq!(before.as_object().unwrap().len(), 2, "{before}");
        }
    }
    assert!(
        rows.iter()
            .all(|row| row["started_at"].ends_with('Z') && !row["request_id"].is_empty())
    );
    assert_eq!(
        fs::read_to_string(desk.only_run().join("report.csv")).unwrap(),
        text
    );
}

#[test]
fn a_csv_on_standard_input_is_a_job() {
    let desk = Desk::new();
    let said = desk.flowbatch_reading("run - --simulate --rate 100/s", THREE);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(
        fs::read_to_string(desk.only_run().join("input.csv")).unwrap(),
        THREE
    );
}

#[test]
fn the_run_folder_is_private_and_complete() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch("run rows.csv --simulate --rate 100/s --ticket CHG-1 --output json");
    let run = desk.only_run();
    assert_eq!(
        fs::metadata(&run).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let summary: Value = serde_json::from_str(&said.stdout).unwrap();
    let written: Value =
        serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary, written);
    assert_eq!(
        summary["run_id"],
        run.file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(summary["ticket"], "CHG-1");
    assert_eq!(summary["operator"], "tester");
    assert_eq!(summary["ended"], "completed");
    assert_eq!(summary["exit_code"], 0);
    assert_eq!(summary["counts"]["succeeded"], 3);
    let files: Vec<_> = summary["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        files,
        [
            "job.json",
            "input.jsonl",
            "journal.jsonl",
            "report.csv",
            "undo.csv",
            "input.csv",
            "snapshot.jsonl",
            "plan.jsonl"
        ]
    );
    for file in files {
        let mode = fs::metadata(run.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is for its owner alone");
    }
}

#[test]
fn the_journal_tells_an_attempt_before_its_answer() {
    let desk = Desk::with("rows.csv", THREE);
    desk.flowbatch("run rows.csv --simulate --snapshot off --rate 100/s");
    let journal = fs::read_to_string(desk.only_run().join("journal.jsonl")).unwrap();
    let events: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
    assert_eq!(name(&events[0]), "run_started");
    assert_eq!(events[0]["format"], 1);
    assert_eq!(name(events.last().unwrap()), "session_ended");
    for row in 1..=3 {
        let of_row: Vec<_> = events
            .iter()
            .filter(|event| event["row"] == row)
            .map(name)
            .collect();
        assert_eq!(of_row, ["attempt", "answer", "row_ended"], "row {row}");
    }
}

#[test]
fn a_canary_is_read_back_before_another_row_leaves_that_has_as_much_to_lose() {
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch("run rows.csv --simulate --rate 100/s");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let journal = fs::read_to_string(desk.only_run().join("journal.jsonl")).unwrap();
    let told: Vec<_> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "attempt" || event["event"] == "row_ended")
        .map(|event| {
            let what = event["method"].as_str().unwrap_or("ended");
            format!("{what} {}", event["row"])
        })
        .collect();
    assert_eq!(told[..4], ["get 1", "put 1", "get 1", "ended 1"]);
    // The second one is enabled, which the first has not shown to survive; the third has nothing more to lose.
    assert_eq!(told[4..8], ["get 2", "put 2", "get 2", "ended 2"]);
    assert_eq!(told[8..], ["put 3", "ended 3"]);
}

#[test]
fn what_spreadsheets_write_is_understood() {
    let utf16: Vec<u8> = "\u{feff}Workflow ID;Name;Enabled\r\nw1;Pr\u{fc}fung;FALSCH\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let gbk = b"workflow_id,name\r\nw1,\xcd\xfe\xd0\xb2\r\n".to_vec();
    for (bytes, flags, after) in [
        (utf16, "", r#"{"name":"Prüfung","enabled":false}"#),
        (gbk, "--encoding gbk", r#"{"name":"威胁"}"#),
        (b"caf\xe9;w1\r\n".to_vec(), "", ""),
        (
            b"sep=|\r\nworkflow_id|name|enabled\r\nw1|a,b;c|\xc3\xa9\r\n".to_vec(),
            "",
            "",
        ),
        (
            b"sep=;\r\nworkflow-id;NAME\r\n\xc2\xa0w1\xe2\x80\x8b;a,b\r\n;;\r\n".to_vec(),
            "",
            r#"{"name":"a,b"}"#,
        ),
        (
            b"workflow_id\tname\n w1 \ttab\n\n".to_vec(),
            "",
            r#"{"name":"tab"}"#,
        ),
        (
            b"workflow_id,name,description\nw1,'=1+1,<empty>\n".to_vec(),
            "",
            r#"{"name":"=1+1","description":""}"#,
        ),
        (
            b"id,Titel\nw1,x\n".to_vec(),
            "--column id=workflow_id --column Titel=name",
            r#"{"name":"x"}"#,
        ),
        (
            b"workflow_id,x_note,status\nw1,y,failed\n".to_vec(),
            "--set labels=ip",
            r#"{"labels":"IP"}"#,
        ),
    ] {
        let desk = Desk::with("rows.csv", &bytes);
        let said = desk.flowbatch(&format!(
            "run rows.csv --simulate --snapshot off --rate 100/s {flags}"
        ));
        if after.is_empty() {
            assert_eq!(said.code, 2, "{bytes:?}");
            continue;
        }
        assert_eq!(said.code, 0, "{bytes:?} {}", said.stderr);
        let rows = csv_rows(&desk.only_run().join("report.csv"));
        assert_eq!(
            (rows.len(), rows[0]["after"].as_str()),
            (1, after),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_report_is_a_job_once_it_is_said_what_to_do() {
    let desk = Desk::with("rows.csv", THREE);
    desk.flowbatch("run rows.csv --simulate --rate 100/s --report report.csv");
    let alone = desk.flowbatch("run report.csv --simulate");
    assert_eq!(alone.code, 2);
    assert!(
        alone.stderr.contains("no column says what to change"),
        "{}",
        alone.stderr
    );
    let said = desk.flowbatch("run report.csv --simulate --rate 100/s --set enabled=false");
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn a_guard_that_does_not_hold_is_a_conflict_and_sends_nothing() {
    let desk = Desk::with("rows.csv", THREE).file(
        "guarded.csv",
        "workflow_id,name,expect_name,expect_enabled\n\
         w1,Mine,Isolate host,\n\
         w2,Mine,Somebody,\n\
         w3,\"Two\nlines\",Old,\n\
         w1x,Same,Same,\n",
    );
    desk.flowbatch("run rows.csv --simulate --rate 100/s");
    let said = desk.flowbatch("run guarded.csv --simulate --rate 100/s --report out.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    let column = |name: &str| {
        rows.iter()
            .map(|row| row[name].as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        column("status"),
        ["succeeded", "conflict", "unchanged", "unchanged"]
    );
    assert_eq!(column("attempts"), ["1", "0", "0", "0"]);
    assert_eq!(column("error_class"), ["", "conflict", "", ""]);
    let message = &rows[1]["error_message"];
    let expected = "name is \"=cmd()\", expected \"Somebody\" (changed by simulator, 20";
    assert!(message.starts_with(expected), "{message}");
    // A cell equal to its expectation is no wish: not even a read is needed.
    assert_eq!(rows[3]["duration_ms"], "");
}

#[test]
fn rows_can_be_chosen_and_the_others_are_skipped() {
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch(
        "run rows.csv --simulate --rate 100/s --only row=2-3 --limit 1 --report out.csv",
    );
    assert_eq!(said.code, 0, "{}", said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    let statuses: Vec<_> = rows.iter().map(|row| row["status"].as_str()).collect();
    assert_eq!(statuses, ["skipped", "succeeded", "skipped"]);
}

#[test]
fn quiet_says_nothing_when_all_is_well() {
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch("run rows.csv --simulate --rate 100/s -q");
    assert_eq!(
        (said.code, said.stdout.as_str(), said.stderr.as_str()),
        (0, "", "")
    );
}

#[test]
fn progress_as_json_lines_can_be_parsed() {
    let rows: String = (1..=30).map(|row| format!("w{row},x{row}\n")).collect();
    let desk = Desk::with("rows.csv", format!("workflow_id,name\n{rows}"));
    let said = desk.flowbatch("run rows.csv --simulate --rate 20/s --progress json");
    let lines: Vec<Value> = said
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), said.stderr.lines().count(), "{}", said.stderr);
    let (announcement, progress) = lines.split_first().unwrap();
    assert_eq!(announcement["rows"], 30);
    assert!(
        progress
            .iter()
            .all(|line| line["total"] == 30 && line["done"].is_u64())
    );
    assert_eq!(progress.last().unwrap()["done"], 30);
}

#[test]
fn a_report_never_costs_the_input() {
    let desk = Desk::with("rows.csv", THREE)
        .file(
            "job.toml",
            "[target]\nsimulator = true\n[rows]\nfile = \"rows.csv\"\n",
        )
        .file("notes.txt", "mine");
    for (path, why) in [
        ("rows.csv", "that is the job's own input"),
        ("job.toml", "that is the job's own input"),
        ("notes.txt", "a file is there that is no report"),
        (".", "that is a directory"),
        ("no/such/folder.csv", "there is no folder no/such"),
    ] {
        let said = desk.flowbatch(&format!("run job.toml --report {path}"));
        assert_eq!(said.code, 2, "{path}");
        assert_eq!(
            said.stderr,
            format!("error: the report cannot go to {path}: {why}\n  name another file\n")
        );
    }
    assert!(!desk.has_runs());
    for _ in 0..2 {
        let said = desk.flowbatch("run job.toml --rate 100/s --report out.csv");
        assert_eq!(
            said.code, 0,
            "a report may replace a report: {}",
            said.stderr
        );
    }
}

#[test]
fn a_choice_of_rows_that_chooses_nothing_is_a_problem() {
    for (only, what) in [
        ("--only row=9", "--only row=9"),
        ("--only row=2,7-9", "--only row=7-9"),
        ("--only workflow_id=nope", "--only workflow_id=nope"),
        ("--only workspace=nope", "--only workspace=nope"),
        ("--only row=1 --only workflow_id=w2", "no row is left"),
    ] {
        let desk = Desk::with("rows.csv", THREE);
        let said = desk.flowbatch(&format!("run rows.csv --simulate {only}"));
        assert_eq!(said.code, 2, "{only}");
        assert!(said.stderr.contains(what), "{only}: {}", said.stderr);
    }
}

#[test]
fn what_is_said_before_anything_leaves() {
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch("run rows.csv --simulate --rate 50/s --set labels=IP");
    expect_test::expect![[r#"
        target:     simulator (nothing leaves this machine)
        project:    0f9183e1c2d34b6c8a7e5d4c3b2a1908
        workspace:  909494e3-558e-46b6-a9eb-07a8e18ca621
        credential: its own token
        rows:       3: 1 to be enabled, 1 to be disabled, 3 to be renamed, 3 to be changed otherwise
        defaults:   labels=IP where a row leaves it out
        pace:       at most 50/s, 8 in flight: 7 requests if every row is sent, at least 120ms
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn a_report_that_cannot_be_written_is_exit_7_and_the_run_is_done_all_the_same() {
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch("run rows.csv --simulate --rate 100/s --report /dev/full");
    assert_eq!(said.code, 7, "{}", said.stderr);
    assert!(
        said.stderr.contains("cannot write the report to /dev/full"),
        "{}",
        said.stderr
    );
    assert_eq!(csv_rows(&desk.only_run().join("report.csv")).len(), 3);
}

#[test]
fn a_report_over_a_link_changes_what_it_points_to() {
    let desk = Desk::with("rows.csv", THREE).file("real.csv", "");
    std::os::unix::fs::symlink(desk.path("real.csv"), desk.path("link.csv")).unwrap();
    let said = desk.flowbatch("run rows.csv --simulate --rate 100/s --report link.csv");
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(desk.path("link.csv").is_symlink());
    assert_eq!(csv_rows(&desk.path("real.csv")).len(), 3);
}

#[test]
fn the_simulated_world_is_kept_from_command_to_command() {
    let desk = Desk::with("rows.csv", THREE).file(
        "check.csv",
        "workflow_id,name,expect_name\nw1,Isolate host,Other\n",
    );
    desk.flowbatch("run rows.csv --simulate --rate 100/s");
    let kept = desk.flowbatch("run check.csv --simulate");
    assert_eq!(kept.code, 0, "already as wished: {}", kept.stdout);
    let fresh = desk.flowbatch("run check.csv --simulate --fresh");
    assert_eq!(fresh.code, 1, "a conflict in a new world: {}", fresh.stdout);
}

#[test]
fn check_says_what_a_run_would_do() {
    let desk = Desk::with("rows.csv", THREE);
    let said = desk.flowbatch("check rows.csv --simulate --limit 2");
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (
            0,
            "rows: 3 rows in 1 workspace, 1 of them left out: 1 to be enabled, 1 to be disabled, 2 to be renamed; no problems, nothing was sent\n"
        )
    );
    assert!(!desk.has_runs());
}

#[test]
fn a_variable_that_names_another_target_is_a_warning() {
    let job = "[target]\nregion = \"cn-north-4\"\nproject_id = \"p1\"\nworkspace_id = \"s1\"\n[[update]]\nworkflow_id = \"w1\"\nname = \"x\"\n";
    let desk = Desk::with("job.toml", job)
        .variable("HW_REGION_NAME", "cn-north-1")
        .variable("HW_PROJECT_ID", "p2");
    let said = desk.flowbatch("check job.toml");
    assert_eq!(said.code, 0);
    assert_eq!(
        said.stderr,
        "warning: HW_REGION_NAME is cn-north-1, but the job's region is cn-north-4: the job's is used\n\
         warning: HW_PROJECT_ID is p2, but the job's project is p1: the job's is used\n"
    );
}

#[test]
fn a_report_outside_is_read_by_whom_it_was_read_before() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::with("rows.csv", THREE).file("shared.csv", "");
    fs::set_permissions(desk.path("shared.csv"), fs::Permissions::from_mode(0o664)).unwrap();
    std::os::unix::fs::symlink("behind.csv", desk.path("link.csv")).unwrap();
    for report in ["shared.csv", "link.csv"] {
        let said = desk.flowbatch(&format!(
            "run rows.csv --simulate --rate 100/s --report {report}"
        ));
        assert_eq!(said.code, 0, "{}", said.stderr);
    }
    let mode = fs::metadata(desk.path("shared.csv"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o664);
    assert!(desk.path("link.csv").is_symlink() && desk.path("behind.csv").is_file());
}

#[test]
fn the_printed_command_does_the_rest_of_standard_input_in_any_encoding() {
    // Row 2 is taken out at first by a guard that does not hold; the printed command names it.
    let desk = Desk::new().file("in.csv", b"workflow_id,name\nw1,\xcd\xfe\nw2,\xd0\xb2\n");
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let output = desk
        .shell(&format!(
            "{program} run - --simulate --encoding gbk --rate 1/m --deadline 500ms < in.csv"
        ))
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stdout}");
    let next = stdout.lines().last().unwrap().trim().to_owned();
    let next = format!("{next} --rate 100/s --deadline 1m --report out.csv");
    let output = desk.shell(&next).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(rows[1]["after"], "{\"name\":\"\u{80c1}\"}");
}

#[test]
fn an_argument_that_is_no_text_costs_nothing() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::with("rows.csv", THREE);
    let mut command = desk.command("run rows.csv --simulate --rate 100/s --report");
    let output = command
        .arg(std::ffi::OsStr::from_bytes(b"r\xff.csv"))
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(desk.only_run().join("summary.json").exists());
}

#[test]
fn nohup_is_obeyed() {
    let rows: String = (1..=8).map(|row| format!("w{row},x{row}\n")).collect();
    let desk = Desk::with("rows.csv", format!("workflow_id,name\n{rows}"));
    let program = env!("CARGO_BIN_EXE_flowbatch");
    // The shell ignores the signal, and so does what it starts.
    let output = desk
        .shell(&format!(
            "trap '' HUP; {program} run rows.csv --simulate --rate 8/s --report out.csv & \
             while ! grep -q row_ended $HOME/.local/state/flowbatch/runs/*/journal.jsonl 2>/dev/null; do sleep 0.05; done; \
             kill -HUP $!; wait $!"
        ))
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_undo_of_an_undo_says_that_it_does_it_again() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\nw2,Two\n");
    let fast = "--simulate --rate 1000/s";
    assert_eq!(desk.flowbatch(&format!("run rows.csv {fast}")).code, 0);
    let undo = desk.flowbatch("undo last --simulate --rate 1000/s");
    assert!(
        !undo.stderr.contains("it was an undo itself"),
        "{}",
        undo.stderr
    );
    let again = desk.flowbatch("undo last --simulate --rate 1000/s");
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stderr.contains("it was an undo itself: what run "),
        "{}",
        again.stderr
    );
}

#[test]
fn a_run_that_did_not_look_says_that_there_is_no_way_back() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\n");
    let said = desk.flowbatch("run rows.csv --simulate --snapshot off --rate 1000/s");
    let text = "undo:   none, because --snapshot off leaves out what was there before\n";
    assert!(said.stdout.contains(text), "{}", said.stdout);
    let looked = desk.flowbatch("run rows.csv --simulate --rate 1000/s");
    assert!(!looked.stdout.contains("undo:   none"), "{}", looked.stdout);
}

#[test]
fn a_user_without_variables_is_known_by_name() {
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\n");
    let mut command = desk.command("run rows.csv --simulate --output json");
    let output = command
        .env_remove("USER")
        .env_remove("LOGNAME")
        .output()
        .unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let known = desk.shell("id -un").output().unwrap();
    let known = String::from_utf8(known.stdout).unwrap();
    assert_eq!(summary["operator"], known.trim());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let desk = Desk::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = desk.flowbatch(&format!("simulate --port {port}"));
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains(&format!(
            "port {port} cannot be opened: Address already in use"
        )),
        "{}",
        said.stderr
    );
}

#[test]
fn the_files_that_the_user_gave_are_kept_as_they_were_read_beside_the_rows_made_of_them() {
    let latin = b"workflow_id;name\r\nw1;Pr\xfcfung\r\n";
    let job = "[target]\nsimulator = true\nproject_id = \"p\"\nworkspace_id = \"s\"\n\n\
        [[stage]]\nname = \"one\"\n[stage.rows]\nfile = \"one.csv\"\nencoding = \"windows-1252\"\n\n\
        [[stage]]\nname = \"two\"\n[stage.rows]\nfile = \"two.csv\"\n";
    let desk = Desk::with("job.toml", job).file("two.csv", "workflow_id,enabled\nw1,false\n");
    fs::write(desk.path("one.csv"), latin).unwrap();
    let said = desk.flowbatch("run job.toml --rate 100/s");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let run = desk.only_run();
    assert_eq!(fs::read(run.join("input.csv")).unwrap(), latin);
    let second = fs::read_to_string(run.join("input-2.csv")).unwrap();
    assert_eq!(second, desk.read("two.csv"));
    assert_eq!(fs::read_to_string(run.join("input.toml")).unwrap(), job);
    let rows = fs::read_to_string(run.join("input.jsonl")).unwrap();
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["targets"].as_array().unwrap().len(), 1);
    assert_eq!(rows[1]["set"]["name"], "Pr\u{fc}fung");
    assert_eq!(rows[2]["set"]["enabled"], false);
    assert_eq!(desk.flowbatch("runs prune --older-than 0s").code, 0);
    let left = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["summary.json"]);
}
