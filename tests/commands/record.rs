//! Files of a run that were changed or are gone, commands that work on a record, runs that wait for each other.

use std::fs;
use std::path::Path;

use crate::language::{CANARIES, Desk, Said, csv_rows};
use crate::odd::{Odd, Service, workflow};
use crate::plant::PROJECT;

fn ok(said: &Said, code: i32) {
    assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
}

fn renames(count: usize) -> String {
    let rows = (1..=count).map(|row| format!("w{row},N{row}\n"));
    format!("workflow_id,name\n{}", rows.collect::<String>())
}

/// Leaves the journal of `run` as a kill does that came before the last row's end was on record, without what is derived.
fn kill(run: &Path) {
    crate::plant::kill_before_last_end(run);
    for file in ["report.csv", "rerun.csv", "undo.csv", "summary.json"] {
        let _ = fs::remove_file(run.join(file));
    }
}

#[test]
fn a_file_that_is_not_the_journals_is_refused_by_its_name_before_anything_is_sent() {
    for (file, from, to) in [
        ("input.jsonl", "N9", "X9"),
        ("plan.jsonl", "\"W4\"", "\"X4\""),
        ("snapshot.jsonl", "\"W4\"", "\"X4\""),
        ("job.json", "127.0.0.1", "127.0.0.2"),
    ] {
        let service = Service::with(9);
        let desk = Desk::new()
            .variable("HW_AUTH_TOKEN", CANARIES.token)
            .file("job.csv", renames(9));
        ok(
            &desk.flowbatch(&format!("run job.csv {}", service.target())),
            0,
        );
        let run = desk.only_run();
        kill(&run);
        let path = run.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let puts = || {
            (1..=9)
                .map(|row| service.puts(&format!("w{row}")))
                .sum::<u32>()
        };
        let before = puts();
        for command in ["resume", "undo", "report"] {
            let said = desk.flowbatch(&format!("{command} {}", run.display()));
            ok(&said, 7);
            let named = format!("/{file} was changed since the run wrote it");
            assert!(said.stderr.contains(&named), "{command}: {}", said.stderr);
        }
        assert_eq!(puts(), before, "{file}: nothing is sent");
        assert!(
            !run.join("report.csv").exists(),
            "{file}: nothing blesses it"
        );
        let verified = desk.flowbatch(&format!("verify {}", run.display()));
        ok(&verified, 1);
        assert!(
            verified.stdout.contains(&format!("WRONG  {file}")),
            "{}",
            verified.stdout
        );
        // With the former file the run resumes.
        fs::write(&path, text).unwrap();
        ok(&desk.flowbatch(&format!("resume {}", run.display())), 0);
        ok(&desk.flowbatch(&format!("verify {}", run.display())), 0);
    }
}

#[test]
fn a_saved_plan_that_was_changed_is_refused() {
    let service = Service::with(3);
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file("job.csv", renames(3));
    ok(
        &desk.flowbatch(&format!(
            "plan job.csv --out plan.json {}",
            service.target()
        )),
        0,
    );
    let plan = desk.read("plan.json");
    fs::write(desk.path("plan.json"), plan.replace("N2", "X2")).unwrap();
    let said = desk.flowbatch("run plan.json");
    ok(&said, 2);
    assert!(
        said.stderr.contains("it was changed after it was saved"),
        "{}",
        said.stderr
    );
    fs::write(desk.path("plan.json"), plan).unwrap();
    ok(&desk.flowbatch("run plan.json"), 0);
    assert_eq!(service.field("w2", "name"), "N2");
}

#[test]
fn what_a_full_disk_kept_from_being_written_is_made_again_by_resume_and_by_report() {
    for command in ["resume", "report"] {
        let service = Service::with(4);
        let desk = Desk::new()
            .variable("HW_AUTH_TOKEN", CANARIES.token)
            .file("job.csv", renames(4));
        ok(
            &desk.flowbatch(&format!("run job.csv {}", service.target())),
            0,
        );
        let run = desk.only_run();
        let undo = fs::read(run.join("undo.csv")).unwrap();
        let report = fs::read(run.join("report.csv")).unwrap();
        for file in ["undo.csv", "report.csv"] {
            fs::remove_file(run.join(file)).unwrap();
        }
        ok(&desk.flowbatch(&format!("{command} {}", run.display())), 0);
        assert_eq!(fs::read(run.join("undo.csv")).unwrap(), undo, "{command}");
        assert_eq!(
            fs::read(run.join("report.csv")).unwrap(),
            report,
            "{command}"
        );
        let again = desk.flowbatch(&format!("resume {}", run.display()));
        ok(&again, 0);
        if command == "resume" {
            assert!(
                again.stderr.contains("nothing left to send"),
                "{}",
                again.stderr
            );
        }
    }
}

#[test]
fn an_undo_that_waits_for_locks_puts_back_what_the_run_did_meanwhile() {
    let service = Service::with(20);
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file("job.csv", renames(20))
        .file("other.csv", "workflow_id,description\nw1,x\n");
    // A run that is stopped by its errors when two rows are done: the rest is left.
    service.behaves(|_, asked| match asked.put > 0 && !["w1", "w10"].contains(&asked.id) {
        true => Odd::Says(serde_json::json!({"success": false, "code": "SecMaster.20041002", "message": "no"})),
        false => Odd::No,
    });
    let run = format!("run job.csv --max-errors 0 -j 1 {}", service.target());
    ok(&desk.flowbatch(&run), 3);
    let run = desk.only_run();
    // Another run holds the workspace until both others wait for it.
    let (let_go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    service.behaves(move |_, asked| {
        if asked.put > 0 && asked.body["description"] == "x" {
            let _ = gone.lock().unwrap().recv();
        }
        Odd::No
    });
    let spawn = |arguments: &str| desk.command(arguments).spawn().unwrap();
    let holder = spawn(&format!("run other.csv {}", service.target()));
    let held = |count: usize| {
        let locks = desk.path(".local/state/flowbatch/locks");
        let waiting = || fs::read_dir(&locks).map_or(0, |locks| locks.count());
        while waiting() < count {
            std::thread::yield_now();
        }
    };
    held(1);
    while service.puts("w1") < 2 {
        std::thread::yield_now();
    }
    let resume = spawn(&format!(
        "resume {} --failed --if-locked wait",
        run.display()
    ));
    let undo = spawn(&format!("undo {} --if-locked wait", run.display()));
    let_go.send(()).unwrap();
    let mut outputs = Vec::new();
    for child in [holder, resume, undo] {
        outputs.push(child.wait_with_output().unwrap());
    }
    assert!(outputs[0].status.success(), "{:?}", outputs[0]);
    // In either order: the undo puts back all that the resumption did, or the resumption is refused.
    let (resumed, undone) = (outputs[1].status.code(), outputs[2].status.code());
    let changed = service
        .flows()
        .values()
        .filter(|flow| flow["name"].as_str().unwrap().starts_with('N'))
        .count();
    assert_eq!(
        changed, 0,
        "resume {resumed:?}, undo {undone:?}: {outputs:?}"
    );
    assert!(
        matches!((resumed, undone), (Some(0 | 2), Some(0))),
        "{outputs:?}"
    );
}

#[test]
fn two_spellings_of_a_workspace_are_one_lock() {
    let service = Service::with(1);
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file("job.csv", renames(1));
    let target = |workspace: &str| {
        format!(
            "run job.csv --endpoint {} --project-id {PROJECT} --workspace-id {workspace}",
            service.address
        )
    };
    for workspace in [
        "909494e3-558e-46b6-a9eb-07a8e18ca621",
        "909494E3558E46B6A9EB07A8E18CA621",
    ] {
        desk.flowbatch(&target(workspace));
    }
    let locks = fs::read_dir(desk.path(".local/state/flowbatch/locks")).unwrap();
    assert_eq!(locks.count(), 1);
}

#[test]
fn each_command_that_works_on_a_record_finds_its_credential_again() {
    for how in ["profile", "token file", "variable"] {
        let service = Service::with(4);
        let mut desk = Desk::new()
            .file("job.csv", renames(4))
            .secret("token", CANARIES.token);
        let profile = format!(
            "[profile.kunde]\nendpoint = \"{}\"\nproject_id = \"{PROJECT}\"\nworkspace_id = \"s1\"\ntoken_file = \"{}\"\n",
            service.address,
            desk.path("token").display()
        );
        desk = desk.secret(".config/flowbatch/profiles.toml", profile);
        let (target, credential) = match how {
            "profile" => ("--profile kunde --rate 1000/s".to_owned(), ""),
            "token file" => (
                format!("{} --token-file token", service.target()),
                "--token-file token",
            ),
            _ => {
                desk = desk.variable("HW_AUTH_TOKEN", CANARIES.token);
                (service.target(), "")
            }
        };
        ok(
            &desk.flowbatch(&format!("plan job.csv --out plan.json {target}")),
            0,
        );
        ok(&desk.flowbatch(&format!("run plan.json {credential}")), 0);
        let run = desk.only_run();
        let run = run.display();
        ok(
            &desk.flowbatch(&format!("verify {run} --live {credential}")),
            0,
        );
        ok(
            &desk.flowbatch(&format!("undo {run} --dry-run {credential}")),
            0,
        );
        kill(&desk.only_run());
        ok(&desk.flowbatch(&format!("resume {run} {credential}")), 0);
        ok(&desk.flowbatch(&format!("undo {run} {credential}")), 0);
        assert_eq!(service.flows()["w1"], workflow(1), "{how}");
    }
}

#[test]
fn the_column_wave_is_kept_by_saved_plans_and_reruns() {
    let service = Service::with(4);
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file(
            "rows.csv",
            "workflow_id,name,wave\nw1,N1,2\nw2,N2,1\nw3,N3,2\nw4,N4,1\n",
        )
        .file(
            "job.toml",
            "[rows]\nfile = \"rows.csv\"\n[rollout]\npause = \"none\"\n",
        );
    ok(
        &desk.flowbatch(&format!(
            "plan job.toml --out plan.json {}",
            service.target()
        )),
        0,
    );
    service.behaves(|_, asked| match asked.put > 0 && asked.id == "w3" {
        true => Odd::Says(
            serde_json::json!({"success": false, "code": "SecMaster.20041002", "message": "no"}),
        ),
        false => Odd::No,
    });
    ok(&desk.flowbatch("run plan.json"), 3);
    let run = desk.only_run();
    let waves: Vec<_> = csv_rows(&run.join("report.csv"))
        .iter()
        .map(|row| row["wave"].clone())
        .collect();
    assert_eq!(waves, ["2", "1", "2", "1"]);
    let rerun = csv_rows(&run.join("rerun.csv"));
    assert_eq!((&*rerun[0]["workflow_id"], &*rerun[0]["wave"]), ("w3", "2"));
}

/// A run that has given so many workflows new names, one after the other.
fn ran(count: usize) -> (Service, Desk) {
    let service = Service::with(count);
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file("job.csv", renames(count));
    ok(
        &desk.flowbatch(&format!("run job.csv -j 1 {}", service.target())),
        0,
    );
    (service, desk)
}

#[test]
fn an_undo_is_not_held_back_by_the_limits_of_its_run() {
    for limits in ["--strict", "--max-errors 0"] {
        let service = Service::with(9);
        let desk = Desk::new()
            .variable("HW_AUTH_TOKEN", CANARIES.token)
            .file("job.csv", renames(9));
        let command = format!("run job.csv {limits} {}", service.target());
        ok(&desk.flowbatch(&command), 0);
        for gone in ["w3", "w4", "w5"] {
            service.flows().remove(gone);
        }
        let undone = desk.flowbatch(&format!("undo {}", desk.only_run().display()));
        ok(&undone, 1);
        let is_back = |id: &str| service.field(id, "name") == id.to_uppercase();
        assert!(
            ["w1", "w2", "w6", "w7", "w8", "w9"]
                .into_iter()
                .all(is_back)
        );
    }
}

#[test]
fn stages_that_spell_a_workspace_in_two_ways_are_one_way_back() {
    let service = Service::with(3);
    let csv = |column: &str, workspace: &str| {
        let rows = (1..=3).map(|row| format!("w{row},N{row},{workspace}\n"));
        format!(
            "workflow_id,{column},workspace_id\n{}",
            rows.collect::<String>()
        )
    };
    let stages = ["names", "texts"]
        .map(|name| format!("[[stage]]\nname = \"{name}\"\n[stage.rows]\nfile = \"{name}.csv\"\n"));
    let head = format!(
        "[target]\nendpoint = \"{}\"\nproject_id = \"{PROJECT}\"\n[run]\nrate = \"500/s\"\n",
        service.address
    );
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file(
            "names.csv",
            csv("name", "909494e3-558e-46b6-a9eb-07a8e18ca621"),
        )
        .file(
            "texts.csv",
            csv("description", "909494E3558E46B6A9EB07A8E18CA621"),
        )
        .file("job.toml", head + &stages.concat());
    ok(&desk.flowbatch("run job.toml"), 0);
    assert_eq!(service.field("w3", "description"), "N3");
    let run = desk.only_run();
    ok(
        &desk.flowbatch(&format!("verify {} --live", run.display())),
        0,
    );
    ok(&desk.flowbatch(&format!("undo {}", run.display())), 0);
    for number in 1..=3 {
        let now = service.field(&format!("w{number}"), "description");
        assert_eq!(now, workflow(number)["description"]);
        assert_eq!(
            service.field(&format!("w{number}"), "name"),
            workflow(number)["name"]
        );
    }
}

#[test]
fn a_part_whose_job_was_undone_is_not_resumed() {
    let service = Service::with(8);
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file("job.csv", renames(8));
    for part in [1, 2] {
        let command = format!(
            "run job.csv --partition {part}/2 --state-dir {part} {}",
            service.target()
        );
        ok(&desk.flowbatch(&command), 0);
    }
    let of_part = |part: &str| {
        let mut runs = fs::read_dir(desk.path(part).join("runs")).unwrap();
        runs.next().unwrap().unwrap().path()
    };
    let parts = ["1", "2"].map(of_part);
    let names = parts.each_ref().map(|part| part.display().to_string());
    ok(
        &desk.flowbatch(&format!("report --merge {} --out merged", names.join(" "))),
        0,
    );
    ok(
        &desk.flowbatch("run merged/undo.json --rate 500/s --state-dir 2"),
        0,
    );
    assert_eq!(service.field("w1", "name"), "W1");
    kill(&parts[1]);
    let resumed = desk.flowbatch(&format!("resume {}", names[1]));
    ok(&resumed, 2);
    assert!(
        resumed.stderr.contains("was undone by run"),
        "{}",
        resumed.stderr
    );
}

#[test]
fn a_live_verification_asks_no_server_that_a_changed_file_names() {
    let (service, other) = (Service::with(2), Service::with(2));
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file("job.csv", renames(2));
    ok(
        &desk.flowbatch(&format!("run job.csv {}", service.target())),
        0,
    );
    let path = desk.only_run().join("job.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&service.address, &other.address)).unwrap();
    other.behaves(|_, _| panic!("nothing is to be asked here"));
    let verified = desk.flowbatch(&format!("verify {} --live", desk.only_run().display()));
    ok(&verified, 1);
    assert!(!verified.stdout.contains("live  "), "{}", verified.stdout);
}

#[test]
fn an_input_that_was_changed_beyond_reading_is_refused_by_its_own_name() {
    let service = Service::with(2);
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .file("job.csv", "workflow_id,enabled\nw1,true\nw2,true\n");
    ok(
        &desk.flowbatch(&format!("run job.csv {}", service.target())),
        0,
    );
    let run = desk.only_run();
    kill(&run);
    fs::write(
        run.join("input.jsonl"),
        "workflow_id,enabled\nw1,true\nw2,falsf\n",
    )
    .unwrap();
    for command in ["resume", "undo", "report"] {
        let said = desk.flowbatch(&format!("{command} {}", run.display()));
        ok(&said, 7);
        let named = "/input.jsonl was changed since the run wrote it";
        assert!(said.stderr.contains(named), "{command}: {}", said.stderr);
    }
    let verified = desk.flowbatch(&format!("verify {}", run.display()));
    ok(&verified, 1);
    let named = "WRONG  input.jsonl      not as the journal has it";
    assert!(verified.stdout.contains(named), "{}", verified.stdout);
}

/// Damages the first line of the journal that tells of `event`.
fn damage(run: &Path, event: &str) {
    let path = run.join("journal.jsonl");
    let journal = fs::read_to_string(&path).unwrap();
    let told = format!("\"event\":\"{event}\"");
    assert!(journal.contains(&told));
    fs::write(path, journal.replacen(&told, "\"evXnt\":\"\"", 1)).unwrap();
}

#[test]
fn salvage_puts_back_by_a_plan_whose_line_is_damaged() {
    let (service, desk) = ran(5);
    let run = desk.only_run();
    kill(&run);
    damage(&run, "planned");
    ok(
        &desk.flowbatch(&format!("undo {} --salvage", run.display())),
        0,
    );
    assert!((1..=5).all(|row| service.field(&format!("w{row}"), "name") == format!("W{row}")));
}

#[test]
fn salvage_tells_which_rows_nothing_can_put_back() {
    let (service, desk) = ran(5);
    let run = desk.only_run();
    kill(&run);
    damage(&run, "planned");
    fs::remove_file(run.join("plan.jsonl")).unwrap();
    let undone = desk.flowbatch(&format!("undo {} --salvage", run.display()));
    ok(&undone, 1);
    let told = "row 5 of run";
    assert!(undone.stderr.contains(told), "{}", undone.stderr);
    assert_eq!(service.field("w4", "name"), "W4");
    assert_eq!(service.field("w5", "name"), "N5");
}

#[test]
fn salvage_carries_out_no_job_whose_hash_is_lost() {
    let (service, desk) = ran(3);
    let run = desk.only_run();
    let summary = fs::read(run.join("summary.json")).unwrap();
    damage(&run, "run_started");
    fs::remove_file(run.join("summary.json")).unwrap();
    let undo = || desk.flowbatch(&format!("undo {} --salvage", run.display()));
    let refused = undo();
    ok(&refused, 7);
    assert!(
        refused.stderr.contains("report --salvage"),
        "{}",
        refused.stderr
    );
    // What sends nothing makes the undo for people.
    ok(
        &desk.flowbatch(&format!("report {} --salvage", run.display())),
        0,
    );
    assert!(run.join("undo.csv").exists());
    // The summary knows them as well.
    fs::write(run.join("summary.json"), summary).unwrap();
    ok(&undo(), 0);
    assert_eq!(service.field("w1", "name"), "W1");
}

#[test]
fn a_job_json_that_is_gone_is_told_as_that() {
    let (_service, desk) = ran(2);
    let run = desk.only_run();
    fs::remove_file(run.join("job.json")).unwrap();
    for command in ["resume", "undo", "report", "verify"] {
        let said = desk.flowbatch(&format!("{command} {}", run.display()));
        ok(&said, 7);
        assert!(
            said.stderr.contains("its job.json is gone"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn what_is_left_of_a_plan_that_was_never_whole_keeps_no_salvage_from_its_work() {
    for torn in ["", "{\"plan\":2,\"tool_ver", "{}\n"] {
        let (service, desk) = ran(5);
        let run = desk.only_run();
        kill(&run);
        fs::write(run.join("plan-2.jsonl"), torn).unwrap();
        ok(
            &desk.flowbatch(&format!("report {} --salvage", run.display())),
            0,
        );
        ok(
            &desk.flowbatch(&format!("undo {} --salvage", run.display())),
            0,
        );
        assert!((1..=5).all(|row| service.field(&format!("w{row}"), "name") == format!("W{row}")));
    }
}
