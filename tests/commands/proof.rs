//! What the record says of updates whose answers prove nothing, and what puts them back.

use serde_json::{Value, json};

use crate::language::{CANARIES, Desk, Said, csv_rows};
use crate::odd::{Odd, Service, shows, workflow};

fn start(count: usize) -> (Service, Desk) {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", CANARIES.token);
    (Service::with(count), desk)
}

fn ok(said: &Said, code: i32) {
    assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
}

/// A job that renames `count` workflows, with few attempts and little patience for backoff.
fn renames(count: usize) -> String {
    let rows = (1..=count)
        .map(|row| format!("\n[[update]]\nworkflow_id = \"w{row}\"\nname = \"N{row}\"\n"));
    format!(
        "[retry]\ninitial_delay = \"10ms\"\nmax_attempts = 2\n[stop]\nmax_errors = \"100%\"\n{}",
        rows.collect::<String>()
    )
}

/// What became of each row: status, before.
fn report(desk: &Desk) -> Vec<(String, Value)> {
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    let row = |row: &std::collections::HashMap<String, String>| {
        let before = serde_json::from_str(&row["before"]).unwrap_or(Value::Null);
        (row["status"].clone(), before)
    };
    rows.iter().map(row).collect()
}

#[test]
fn an_update_that_was_applied_and_answered_with_an_error_is_on_record_and_goes_back() {
    for status in [500, 501, 503, 507, 520, 524, 502, 302] {
        for times in [1, 9] {
            for job in ["renames.toml", "enable.csv", "guarded.csv", "full"] {
                let (service, desk) = start(3);
                let desk = desk
                    .file("renames.toml", renames(3))
                    .file(
                        "enable.csv",
                        "workflow_id,enabled\nw1,true\nw2,true\nw3,true\n",
                    )
                    .file(
                        "guarded.csv",
                        "workflow_id,name,expect_name\nw1,N1,W1\nw2,N2,W2\nw3,N3,W3\n",
                    );
                service.behaves(
                    move |_, asked| match asked.id == "w3" && asked.put <= times {
                        true if asked.put > 0 => Odd::AppliedThen(status),
                        _ => Odd::No,
                    },
                );
                let (file, flags) = match job {
                    "full" => ("renames.toml", "--send full"),
                    job => (job, "--max-attempts 2"),
                };
                let what = format!("{status}, {times} times, {job}");
                let ran = desk.flowbatch(&format!("run {file} {flags} {}", service.target()));
                assert_eq!(ran.code, 0, "{what}: {}{}", ran.stdout, ran.stderr);
                let rows = report(&desk);
                let before = match job {
                    "enable.csv" => json!({"enabled": false}),
                    _ => json!({"name": "W3"}),
                };
                assert_eq!(rows[2], ("succeeded".to_owned(), before), "{what}");
                let id = desk.only_run().file_name().unwrap().to_owned();
                let id = id.to_str().unwrap();
                service.is_well();
                ok(&desk.flowbatch(&format!("verify {id} --live")), 0);
                let changed = desk.flowbatch("runs --changed --output json");
                assert_eq!(changed.stdout.matches("\"w3\"").count(), 1, "{what}");
                ok(&desk.flowbatch(&format!("undo {id}")), 0);
                assert_eq!(
                    *service.flows()["w3"].as_object().unwrap(),
                    *workflow(3).as_object().unwrap()
                );
            }
        }
    }
}

#[test]
fn without_the_snapshot_an_update_without_a_proof_says_that_its_former_value_is_not_known() {
    let (service, desk) = start(2);
    let desk = desk.file("job.toml", renames(2));
    service.behaves(|_, asked| match asked.id == "w1" && asked.put > 0 {
        true => Odd::AppliedThen(500),
        false => Odd::No,
    });
    let ran = desk.flowbatch(&format!("run job.toml --snapshot off {}", service.target()));
    ok(&ran, 0);
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(
        (&*rows[0]["status"], &*rows[0]["before"]),
        ("succeeded", "")
    );
    let message = &rows[0]["error_message"];
    assert!(
        message.contains("nobody knows what was there before"),
        "{message}"
    );
}

#[test]
fn an_update_that_was_refused_is_failed_and_stands_in_an_undo_that_is_harmless() {
    let (service, desk) = start(3);
    let desk = desk.file("job.toml", renames(3));
    service.behaves(|_, asked| match asked.id == "w2" && asked.put > 0 {
        true => Odd::Refuses(500),
        false => Odd::No,
    });
    ok(
        &desk.flowbatch(&format!("run job.toml {}", service.target())),
        1,
    );
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(
        (&*rows[1]["status"], &*rows[1]["attempts"]),
        ("failed", "2")
    );
    assert!(rows[1]["error_message"].ends_with("it was read back and is as before"));
    service.is_well();
    let live = desk.flowbatch("verify last --live");
    ok(&live, 0);
    assert!(
        live.stdout
            .contains("1 as before the run, which had no proof of a change"),
        "{}",
        live.stdout
    );
    ok(&desk.flowbatch("undo last"), 0);
    assert_eq!(service.field("w2", "name"), "W2");
    assert_eq!(service.puts("w2"), 2, "the undo sends nothing for it");
}

#[test]
fn a_reading_about_another_workflow_is_none() {
    // A guard that would hold in another workflow.
    let (service, desk) = start(3);
    let desk = desk.file(
        "job.csv",
        "workflow_id,name,expect_name\nw1,N1,W1\nw2,N2,\n",
    );
    service.behaves(|flows, asked| {
        if asked.method == "GET" && asked.id.is_empty() {
            return Odd::No;
        }
        if asked.method == "GET" && asked.id == "w1" {
            flows.get_mut("w1").unwrap()["name"] = "a colleague's".into();
            let mut other = flows["w3"].clone();
            other["name"] = "W1".into();
            return shows(other);
        }
        Odd::No
    });
    ok(
        &desk.flowbatch(&format!(
            "run job.csv --max-errors 100% {}",
            service.target()
        )),
        1,
    );
    assert_eq!(service.field("w1", "name"), "a colleague's");
    assert_eq!(report(&desk)[0].0, "failed");

    // An update that was lost, and another workflow that is as requested.
    let (service, desk) = start(2);
    let desk = desk.file("job.toml", renames(1));
    service.behaves(|flows, asked| match (asked.put, asked.id) {
        (1.., _) => Odd::Closes,
        (0, "w1") => {
            let mut other = flows["w2"].clone();
            other["name"] = "N1".into();
            shows(other)
        }
        _ => Odd::No,
    });
    // The canary's own reading is none, so nothing is sent at all.
    ok(
        &desk.flowbatch(&format!("run job.toml {}", service.target())),
        1,
    );
    assert_eq!(report(&desk)[0].0, "failed");
    assert_eq!(service.puts("w1"), 0);
}

#[test]
fn a_draft_at_the_beginning_does_not_hide_a_service_that_clears() {
    let (service, desk) = start(30);
    for field in ["description", "version_id", "labels"] {
        service.set("w1", field, "");
    }
    for row in 2..=30 {
        service.set(&format!("w{row}"), "enabled", true);
    }
    let before = service.flows().clone();
    let desk = desk.file("job.toml", renames(30));
    service.behaves(|flows, asked| {
        if asked.put > 0 {
            let flow = flows.get_mut(asked.id).unwrap();
            for field in ["name", "description", "version_id", "labels"] {
                flow[field] = "".into();
            }
            flow["enabled"] = false.into();
        }
        Odd::No
    });
    let ran = desk.flowbatch(&format!("run job.toml {}", service.target()));
    ok(&ran, 3);
    assert!(
        ran.stdout.contains("--send full") && ran.stdout.contains("allow_cleared"),
        "{}",
        ran.stdout
    );
    let harmed = service
        .flows()
        .iter()
        .filter(|(id, flow)| flow["name"] != before[*id]["name"])
        .count();
    assert_eq!(harmed, 2, "the draft and the canary");
    ok(&desk.flowbatch("undo last --send full"), 0);
    assert_eq!(*service.flows(), before);
}

#[test]
fn a_version_that_disabling_clears_may_be_allowed_and_is_put_back() {
    let (service, desk) = start(4);
    for row in 1..=4 {
        service.set(&format!("w{row}"), "enabled", true);
    }
    let before = service.flows().clone();
    let desk = desk.file(
        "job.toml",
        "[run]\nallow_cleared = [\"version_id\"]\n[defaults]\nenabled = false\n[rows]\nfile = \"rows.csv\"\n",
    )
    .file("rows.csv", "workflow_id\nw1\nw2\nw3\nw4\n");
    service.behaves(|flows, asked| {
        if asked.body["enabled"] == false {
            flows.get_mut(asked.id).unwrap()["version_id"] = "".into();
        }
        Odd::No
    });
    ok(
        &desk.flowbatch(&format!("run job.toml {}", service.target())),
        0,
    );
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    assert!(
        rows.iter()
            .all(|row| row["error_message"].contains("version_id, which was not sent"))
    );
    service.is_well();
    ok(&desk.flowbatch("undo last"), 0);
    assert_eq!(*service.flows(), before);
    let wrong = desk.flowbatch(&format!(
        "run job.toml --allow-cleared versions {}",
        service.target()
    ));
    ok(&wrong, 2);
    assert!(
        wrong.stderr.contains("no field is called \"versions\""),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_service_that_confirms_what_it_does_not_do_is_found_out() {
    let (service, desk) = start(5);
    let desk = desk.file("job.toml", renames(5));
    service.behaves(|flows, asked| match asked.put {
        0 => Odd::No,
        _ => {
            let mut echo = flows[asked.id].clone();
            echo["name"] = asked.body["name"].clone();
            shows(echo)
        }
    });
    let ran = desk.flowbatch(&format!(
        "run job.toml --confirm-within 300ms {}",
        service.target()
    ));
    ok(&ran, 3);
    assert!(
        ran.stdout.contains("does not show it within 300ms"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("--confirm-within 60s"),
        "{}",
        ran.stdout
    );
    let rows = report(&desk);
    assert_eq!(rows[0].0, "unknown");
    assert!(
        rows[1..]
            .iter()
            .all(|(status, _)| status == "not_attempted")
    );
    // The next session begins with a canary again.
    let run = desk.only_run().display().to_string();
    let resumed = desk.flowbatch(&format!("resume {run} --confirm-within 300ms"));
    ok(&resumed, 3);
    let puts = (1..=5).map(|row| service.puts(&format!("w{row}")));
    assert_eq!(puts.sum::<u32>(), 2);
}

#[test]
fn values_that_the_service_trims_are_counted_and_go_back_all_the_same() {
    let (service, desk) = start(3);
    let desk = desk.file(
        "job.toml",
        "[[update]]\nworkflow_id = \"w1\"\nname = \"N1 \"\n[[update]]\nworkflow_id = \"w2\"\nname = \"N2 \"\n",
    );
    let trims = |flows: &mut std::collections::BTreeMap<String, Value>,
                 asked: &crate::odd::Asked<'_>| {
        let Some(name) = asked.body["name"].as_str().filter(|_| asked.put > 0) else {
            return Odd::No;
        };
        let flow = flows.get_mut(asked.id).unwrap();
        flow["name"] = name.trim().into();
        shows(flow.clone())
    };
    service.behaves(trims);
    let run = format!(
        "run job.toml --metrics-file m.prom --html page.html {}",
        service.target()
    );
    let ran = desk.flowbatch(&run);
    ok(&ran, 1);
    assert!(ran.stdout.contains("2 rows need"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("differs               2  of them"),
        "{}",
        ran.stdout
    );
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    assert_eq!(
        (&*rows[0]["status"], &*rows[0]["error_class"]),
        ("succeeded", "differs")
    );
    let summary = std::fs::read_to_string(desk.only_run().join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["counts"]["differs"], 2);
    assert!(
        desk.read("m.prom")
            .contains("flowbatch_run_rows_differing{job=\"job\"} 2")
    );
    assert!(desk.read("page.html").contains("of those succeeded differ"));
    let mail = desk.flowbatch(&format!("{run} -q"));
    ok(&mail, 1);
    assert!(
        mail.stdout.contains("(2 of them differ)"),
        "{}",
        mail.stdout
    );
    assert!(
        mail.stdout.contains("write that value into the job"),
        "{}",
        mail.stdout
    );
    let first = std::fs::read_dir(desk.path(".local/state/flowbatch/runs")).unwrap();
    let mut runs: Vec<_> = first.map(|run| run.unwrap().path()).collect();
    runs.sort();
    // The second run has put the same values there: the first one is what there is to undo.
    ok(&desk.flowbatch(&format!("undo {}", runs[0].display())), 0);
    assert_eq!(
        (service.field("w1", "name"), service.field("w2", "name")),
        ("W1".into(), "W2".into())
    );
}

#[test]
fn an_undo_puts_back_texts_that_no_cell_can_hold_and_says_which_undo_csv_leaves_out() {
    let (service, desk) = start(6);
    let long = "d".repeat(1_100);
    service.set("w1", "description", long);
    service.set("w2", "description", "a\0b");
    service.set("w3", "description", "<empty>");
    service.set("w4", "name", "<empty>");
    service.set("w5", "labels", "ip address");
    let before = service.flows().clone();
    let rows: String = (1..=6)
        .map(|row| format!("w{row},N{row},D,DOMAIN\n"))
        .collect();
    let desk = desk.file(
        "job.csv",
        format!("workflow_id,name,description,labels\n{rows}"),
    );
    let ran = desk.flowbatch(&format!("run job.csv {}", service.target()));
    ok(&ran, 0);
    assert!(
        ran.stdout.contains(
            "undo.csv leaves out rows 1, 2, 3, 4, 5: a CSV cell cannot hold their values"
        ),
        "{}",
        ran.stdout
    );
    let run = desk.only_run();
    let summary = std::fs::read_to_string(run.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["undo_left_out"], json!([1, 2, 3, 4, 5]));
    assert_eq!(csv_rows(&run.join("undo.csv")).len(), 1);
    let run = run.display();
    ok(&desk.flowbatch(&format!("verify {run} --live")), 0);
    ok(
        &desk.flowbatch(&format!("undo {run} --only workflow_id=w6")),
        0,
    );
    assert_eq!(service.field("w6", "name"), "W6");
    ok(&desk.flowbatch(&format!("undo {run}")), 0);
    assert_eq!(*service.flows(), before);
}

#[test]
fn a_name_that_was_empty_is_a_row_that_says_so() {
    let (service, desk) = start(2);
    service.set("w1", "name", "");
    let desk = desk.file("job.toml", renames(2));
    ok(
        &desk.flowbatch(&format!("run job.toml {}", service.target())),
        0,
    );
    let run = desk.only_run();
    let undone = desk.flowbatch(&format!("undo {} --report undone.csv", run.display()));
    ok(&undone, 1);
    let rows = csv_rows(&desk.path("undone.csv"));
    assert_eq!(
        (&*rows[0]["status"], &*rows[1]["status"]),
        ("failed", "succeeded")
    );
    assert!(rows[0]["error_message"].contains("had no name"), "{rows:?}");
    assert_eq!(
        (service.field("w1", "name"), service.field("w2", "name")),
        ("N1".into(), "W2".into())
    );
}

#[test]
fn rows_of_an_undo_are_chosen_by_workflow_name_and_row_of_the_run() {
    let (service, desk) = start(6);
    let desk = desk.file("job.toml", renames(6));
    ok(
        &desk.flowbatch(&format!("run job.toml {}", service.target())),
        0,
    );
    let run = desk.only_run();
    let undo = |only: &str| desk.flowbatch(&format!("undo {} {only}", run.display()));
    ok(&undo("--only workflow_id=w1 --only workflow_id=w2"), 0);
    ok(&undo("--only workflow_name=W3 --only workflow_name=N4"), 0);
    ok(&undo("--only row=5"), 0);
    let names: Vec<_> = service
        .flows()
        .values()
        .map(|flow| flow["name"].clone())
        .collect();
    assert_eq!(names, ["W1", "W2", "W3", "W4", "W5", "N6"]);
    let none = undo("--only workflow_id=w6,w9");
    ok(&none, 2);
    assert!(
        none.stderr.contains("--only workflow_id=w9: no row of run"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_rename_by_name_that_is_run_twice_is_unchanged_and_a_chain_is_blocked() {
    let (service, desk) = start(3);
    let desk = desk
        .file("once.csv", "workflow_name,name\nW1,New 1\n")
        .file("chain.csv", "workflow_name,name\nW2,W3\nW3,W4\n");
    let run =
        |file: &str| desk.flowbatch(&format!("run {file} --report out.csv {}", service.target()));
    ok(&run("once.csv"), 0);
    ok(&run("once.csv"), 0);
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(
        (&*rows[0]["status"], &*rows[0]["workflow_id"]),
        ("unchanged", "w1")
    );
    assert!(
        rows[0]["error_message"].contains("the row was carried out before"),
        "{rows:?}"
    );
    ok(&run("once.csv --strict"), 3);
    ok(&run("chain.csv"), 0);
    assert_eq!(
        (service.field("w2", "name"), service.field("w3", "name")),
        ("W3".into(), "W4".into())
    );
    ok(&run("chain.csv --max-errors 100%"), 1);
    let rows = csv_rows(&desk.path("out.csv"));
    assert!(rows.iter().all(|row| row["status"] == "failed"), "{rows:?}");
    assert_eq!(
        (service.field("w2", "name"), service.field("w3", "name")),
        ("W3".into(), "W4".into())
    );
}

#[test]
fn a_job_whose_rows_are_all_held_skips_them_and_is_well() {
    let (service, desk) = start(2);
    let desk = desk
        .file("job.csv", "workflow_id,name\nw1,N1\nw2,N2\n")
        .file(
            "hold.csv",
            "workflow_id,until,reason\nw1,,audit\nw2,,audit\n",
        );
    let ran = desk.flowbatch(&format!("run job.csv --hold hold.csv {}", service.target()));
    ok(&ran, 0);
    assert!(report(&desk).iter().all(|(status, _)| status == "skipped"));
}

#[test]
fn an_update_that_is_answered_without_a_body_is_read_back_once_and_sent_once() {
    for status in [200, 204] {
        for applied in [true, false] {
            let (service, desk) = start(3);
            let desk = desk.file("rows.csv", "workflow_id,name\nw1,N1\nw2,N2\nw3,N3\n");
            service.behaves(move |flows, asked| match asked.put {
                0 => Odd::No,
                _ => {
                    if applied {
                        flows.get_mut(asked.id).unwrap()["name"] = asked.body["name"].clone();
                    }
                    Odd::Bare(status)
                }
            });
            let ran = desk.flowbatch(&format!(
                "run rows.csv --max-errors 100% --snapshot off {}",
                service.target()
            ));
            for id in ["w1", "w2", "w3"] {
                assert_eq!(service.puts(id), 1, "{status}: {}", ran.stdout);
            }
            let status = match applied {
                true => "succeeded             3",
                false => "unknown               3",
            };
            assert!(ran.stdout.contains(status), "{}", ran.stdout);
        }
    }
}

#[test]
fn unknown_rows_are_spoken_of_only_where_there_are_some() {
    for (closes, is_unknown) in [(false, false), (true, true)] {
        let (service, desk) = start(3);
        let desk = desk.file("rows.csv", "workflow_id,name\nw1,N1\nw2,N2\nw3,N3\n");
        service.behaves(move |_, asked| match (asked.put, closes) {
            (0, _) => Odd::No,
            (_, true) => Odd::Closes,
            (_, false) => Odd::Refuses(500),
        });
        for quiet in ["", "-q"] {
            let flags = "--max-errors 100% --max-attempts 1";
            let ran = desk.flowbatch(&format!(
                "run rows.csv {flags} {quiet} {}",
                service.target()
            ));
            let text = ran.stdout;
            assert_eq!(text.contains(" unknown"), is_unknown, "{text}");
            let advice = "look at the workflows of rows that are unknown first";
            assert_eq!(text.contains(advice), is_unknown, "{text}");
        }
    }
}
