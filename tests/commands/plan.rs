//! See before, go back after: plan, convergence, ceilings, the question, export, undo.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use flowbatch::model::simulation::Simulation;
use flowbatch::model::target::Workspace;
use flowbatch::model::update::Update;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::call::{Call, Operation};
use flowbatch::simulator::records::VersionStatus;

use crate::cloud::{Cloud, workspace};
use crate::language::{CANARIES, Desk, Said, csv_rows};

const PROJECT: &str = "p1";
/// The fields that an update can change.
const WRITABLE: [&str; 5] = ["name", "description", "enabled", "version_id", "labels"];

fn place() -> Workspace {
    workspace(PROJECT, "s1")
}

/// A cloud with `count` workflows in its workspace, its ledger open, and a desk.
fn start(count: usize) -> (Cloud, Desk, Vec<String>) {
    let quick = Simulation {
        latency: (Duration::ZERO, Duration::ZERO),
        ..Simulation::default()
    };
    start_with(count, quick)
}

fn start_with(count: usize, simulation: Simulation) -> (Cloud, Desk, Vec<String>) {
    let cloud = Cloud::with(Access::by_token(CANARIES.token), simulation);
    cloud.world().keep_ledger();
    let ids = cloud.workflows(&place(), count);
    let desk = Desk::new().variable("HW_AUTH_TOKEN", CANARIES.token);
    (cloud, desk, ids)
}

/// Where it goes, and fast.
fn target(cloud: &Cloud) -> String {
    let address = &cloud.address;
    format!(
        "--endpoint {address} --project-id {PROJECT} --workspace-id s1 --rate 5000/s --burst 100 -j 32"
    )
}

fn ok(said: &Said) {
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
}

/// How often each kind of request reached the world since its `seen`th.
fn asked(cloud: &Cloud, seen: usize) -> BTreeMap<&'static str, usize> {
    let mut asked = BTreeMap::new();
    for entry in &cloud.world().ledger()[seen..] {
        *asked.entry(entry.method.as_str()).or_default() += 1;
    }
    asked
}

fn seen(cloud: &Cloud) -> usize {
    cloud.world().ledger().len()
}

/// What another client changes.
fn edit(cloud: &Cloud, place: &Workspace, workflow_id: &str, update: Update) {
    let call = Call {
        workspace: place.clone(),
        operation: Operation::UpdateWorkflow {
            workflow_id: workflow_id.to_owned(),
            update: Ok(update),
        },
    };
    cloud.world().handle(&call, Duration::from_secs(3_600));
}

fn described(text: &str) -> Update {
    Update {
        description: Some(text.to_owned()),
        ..Update::default()
    }
}

/// The writable fields of an export, by workflow.
fn writable(text: &str, delimiter: u8) -> BTreeMap<String, Vec<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let rows = reader.deserialize::<HashMap<String, String>>();
    rows.map(|row| {
        let row = row.unwrap();
        let fields = WRITABLE.map(|field| row[field].clone());
        (row["workflow_id"].clone(), fields.to_vec())
    })
    .collect()
}

/// The CSV `text` with some cells changed by `change`, row by row.
fn edited(
    text: &str,
    delimiter: u8,
    mut change: impl FnMut(usize, &str, &str) -> Option<String>,
) -> String {
    let bare = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(bare.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for (index, record) in reader.records().enumerate() {
        let record = record.unwrap();
        let cells = headers.iter().zip(record.iter());
        let cells = cells.map(|(name, cell)| change(index, name, cell).unwrap_or(cell.to_owned()));
        writer.write_record(cells.collect::<Vec<_>>()).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

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

/// A service that takes an update for the whole workflow.
fn clearing() -> Simulation {
    Simulation {
        latency: (Duration::ZERO, Duration::ZERO),
        clears_unsent: true,
        ..Simulation::default()
    }
}

#[test]
fn a_service_that_clears_what_is_not_sent_touches_one_workflow_and_the_undo_command_mends_it() {
    let (cloud, desk, ids) = start_with(30, clearing());
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    let all = || {
        let (world, place) = (cloud.world(), place());
        let live = world.workflows(&place).map(|workflow| workflow.live());
        live.map(|live| {
            let fields = (
                live.name,
                live.description,
                live.enabled,
                live.version_id,
                live.labels,
            );
            (live.id, fields)
        })
        .collect::<BTreeMap<_, _>>()
    };
    let before = all();
    let said = desk.flowbatch(&format!("run rows.csv {} --report out.csv", target(&cloud)));
    assert_eq!(said.code, 3, "{}{}", said.stderr, said.stdout);
    let after = all();
    let touched: Vec<_> = before
        .iter()
        .filter(|(id, fields)| after[*id] != **fields)
        .collect();
    assert_eq!(touched.len(), 1, "{touched:?}");
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(
        (&*rows[0]["status"], &*rows[0]["error_class"]),
        ("failed", "protocol")
    );
    assert!(rows[1..].iter().all(|row| row["status"] == "not_attempted"));
    assert!(
        said.stdout
            .contains("the service clears what an update does not hold"),
        "{}",
        said.stdout
    );
    let undo = said
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("undo:"));
    let undo = undo.unwrap().trim().split_once(' ').unwrap().1.to_owned();
    assert!(undo.contains(" --send full"), "{undo}");
    ok(&desk.flowbatch(&undo));
    assert_eq!(all(), before);
    // With all fields in every update the job goes through, and nothing is cleared.
    ok(&desk.flowbatch(&format!("run rows.csv {} --send full", target(&cloud))));
    let done = all();
    for (id, fields) in &before {
        let mut wanted = fields.clone();
        wanted.1 = "Reviewed".to_owned();
        assert_eq!(done[id], wanted);
    }
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
fn only_narrows_an_undo_and_force_needs_it() {
    let (cloud, desk, ids) = start(3);
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    ok(&desk.flowbatch(&format!("run rows.csv {}", target(&cloud))));
    edit(&cloud, &place(), &ids[0], described("Theirs"));
    let refused = desk.flowbatch("undo last --force");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let run = desk.only_run();
    let run = run.display();
    let said = desk.flowbatch(&format!("undo {run} --only workflow_id={}", ids[1]));
    ok(&said);
    assert_eq!(cloud.described(&place(), "Reviewed"), 1);
    let conflict = desk.flowbatch(&format!("undo {run} --only workflow_id={}", ids[0]));
    assert_eq!(conflict.code, 1, "{}", conflict.stdout);
    assert_eq!(cloud.described(&place(), "Theirs"), 1);
    let forced = desk.flowbatch(&format!("undo {run} --force --only workflow_id={}", ids[0]));
    ok(&forced);
    assert_eq!(cloud.described(&place(), "Theirs"), 0);
    let idle = desk.flowbatch(&format!("undo {run} --only workflow_id=other"));
    assert_eq!(idle.code, 2, "{}", idle.stderr);
}

#[test]
fn a_run_that_was_killed_is_undone_by_its_journal() {
    let (cloud, desk, ids) = start(3);
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    ok(&desk.flowbatch(&format!("run rows.csv {}", target(&cloud))));
    let run = desk.only_run();
    // As a kill leaves it that came before the last row's end was on record.
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let last_end = journal.rfind("row_ended").unwrap();
    let cut = journal[..last_end].rfind('\n').unwrap();
    let answer = journal[..cut].rfind('\n').unwrap();
    fs::write(run.join("journal.jsonl"), &journal[..=answer]).unwrap();
    for file in ["report.csv", "summary.json", "undo.csv"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    ok(&desk.flowbatch(&format!("undo {}", run.display())));
    assert_eq!(
        cloud.described(&place(), "Reviewed"),
        0,
        "also the row in doubt"
    );
}

#[test]
fn a_run_that_sent_rows_as_they_stood_cannot_be_undone_and_says_so() {
    let (cloud, desk, ids) = start(1);
    let desk = desk.file(
        "rows.csv",
        format!("workflow_id,description\n{},Mine\n", ids[0]),
    );
    let said = desk.flowbatch(&format!("run rows.csv {} --snapshot off", target(&cloud)));
    ok(&said);
    assert!(!said.stdout.contains("undo:"), "{}", said.stdout);
    let undo = desk.flowbatch("undo last");
    assert_eq!(undo.code, 2, "{}", undo.stderr);
    assert!(undo.stderr.contains("--snapshot off"), "{}", undo.stderr);
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

/// Runs `flowbatch ARGUMENTS` at a terminal of its own, at which somebody types `answer`.
fn at_a_terminal(desk: &Desk, arguments: &str, answer: &str) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let mut command = desk.shell(&format!("script -qec '{program} {arguments}' /dev/null"));
    let child = command
        .env("HW_AUTH_TOKEN", CANARIES.token)
        .env("FLOWBATCH_METADATA", "off")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut text = Vec::new();
    let mut is_answered = answer.is_empty();
    let mut part = [0; 4_096];
    loop {
        let length = output.read(&mut part).unwrap();
        if length == 0 {
            break;
        }
        text.extend_from_slice(&part[..length]);
        let shown = String::from_utf8_lossy(&text);
        if !is_answered && (shown.contains("[y/N]") || shown.contains("anything else to stop")) {
            input.write_all(answer.as_bytes()).unwrap();
            is_answered = true;
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    (child.wait().unwrap().code().unwrap(), text)
}

#[test]
fn who_sits_at_a_terminal_is_asked_and_enter_means_no() {
    let (cloud, desk, ids) = start(30);
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    let run = format!("run rows.csv {}", target(&cloud));
    for answer in ["\n", "n\n", "30\n"] {
        let (code, text) = at_a_terminal(&desk, &run, answer);
        assert_eq!(code, 130, "{text}");
        assert!(text.contains("change 30 workflows? [y/N]"), "{text}");
        assert!(
            text.contains("30 to change: 30 otherwise changed"),
            "{text}"
        );
        assert!(!desk.has_runs(), "no run folder is left");
    }
    assert_eq!(cloud.described(&place(), "Reviewed"), 0);
    // What asks nothing asks nobody.
    let (code, text) = at_a_terminal(&desk, &format!("{run} --yes"), "");
    assert_eq!((code, text.contains("[y/N]")), (0, false), "{text}");
    let (code, text) = at_a_terminal(&desk, &run, "");
    assert_eq!(
        (code, text.contains("[y/N]")),
        (0, false),
        "nothing is left to change: {text}"
    );
}

#[test]
fn many_disables_are_confirmed_by_their_number() {
    let (cloud, desk, ids) = start(30);
    let rows: String = ids.iter().map(|id| format!("{id},true\n")).collect();
    let desk = desk.file("on.csv", format!("workflow_id,enabled\n{rows}"));
    ok(&desk.flowbatch(&format!("run on.csv {}", target(&cloud))));
    let desk = desk.file(
        "off.csv",
        format!("workflow_id,enabled\n{}", rows.replace("true", "false")),
    );
    let enabled = || {
        let world = cloud.world();
        world
            .workflows(&place())
            .filter(|workflow| workflow.enabled)
            .count()
    };
    let run = format!("run off.csv {}", target(&cloud));
    let (code, text) = at_a_terminal(&desk, &run, "y\n");
    assert_eq!((code, enabled()), (130, 30), "{text}");
    let (code, text) = at_a_terminal(&desk, &run, "30\n");
    assert_eq!((code, enabled()), (0, 0), "{text}");
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
    let refused = desk.flowbatch(&format!("export {nowhere} --out there.csv"));
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert_eq!(desk.read("there.csv"), "as it was\n");
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
fn a_saved_plan_is_carried_out_as_it_was_shown_or_not_at_all() {
    let (cloud, desk, ids) = start(6);
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
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
fn what_a_colleague_disables_meanwhile_is_no_damage() {
    let slow = Simulation {
        latency: (Duration::from_millis(20), Duration::from_millis(20)),
        ..Simulation::default()
    };
    let (cloud, desk, ids) = start_with(40, slow);
    let rows: String = ids
        .iter()
        .map(|id| format!("{id},true,Reviewed\n"))
        .collect();
    let desk = desk.file("on.csv", format!("workflow_id,enabled,description\n{rows}"));
    ok(&desk.flowbatch(&format!("run on.csv {}", target(&cloud))));
    let desk = desk.file(
        "rows.csv",
        format!(
            "workflow_id,description\n{}",
            rows.replace("true,Reviewed", "Again")
        ),
    );
    let requests = seen(&cloud);
    let run = format!("run rows.csv {} -j 1", target(&cloud)).replace("-j 32", "");
    let child = desk.command(&run).spawn().unwrap();
    // After the survey, and before the row's turn.
    while !asked(&cloud, requests).contains_key("update_workflow") {
        std::thread::yield_now();
    }
    let off = Update {
        enabled: Some(false),
        ..Update::default()
    };
    edit(&cloud, &place(), &ids[39], off);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    ok(&desk.flowbatch("undo last"));
    let world = cloud.world();
    let last = world.workflow(&place(), &ids[39]).unwrap();
    assert!(!last.enabled, "nobody enables it again");
}

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
    // As a kill leaves it that came before the last row's end was on record.
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let last_end = journal.rfind("row_ended").unwrap();
    let cut = journal[..last_end].rfind('\n').unwrap();
    let answer = journal[..cut].rfind('\n').unwrap();
    fs::write(run.join("journal.jsonl"), &journal[..=answer]).unwrap();
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
fn a_run_that_found_a_service_that_clears_fields_goes_on_with_all_fields_only() {
    let (cloud, desk, ids) = start_with(4, clearing());
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    assert_eq!(
        desk.flowbatch(&format!("run rows.csv {}", target(&cloud)))
            .code,
        3
    );
    let run = desk.only_run();
    let requests = seen(&cloud);
    let refused = desk.flowbatch(&format!("resume {}", run.display()));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--send full"), "{}", refused.stderr);
    assert_eq!(seen(&cloud), requests, "nothing is sent");
    let dry = desk.flowbatch(&format!("undo {} --dry-run --send full", run.display()));
    ok(&dry);
    assert!(dry.stdout.contains("1 to change"), "{}", dry.stdout);
    ok(&desk.flowbatch(&format!("undo {} --send full", run.display())));
    ok(&desk.flowbatch(&format!("resume {} --send full", run.display())));
    assert_eq!(cloud.described(&place(), "Reviewed"), 4);
    // The undo began last, the run went on after it.
    let last = desk.flowbatch("undo last");
    assert_eq!(last.code, 2, "{}", last.stderr);
    assert!(
        last.stderr.contains("which went on after it"),
        "{}",
        last.stderr
    );
}

#[test]
fn a_service_that_clears_fields_is_found_out_although_the_first_update_was_killed() {
    let (cloud, desk, ids) = start_with(6, clearing());
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = desk.file("rows.csv", format!("workflow_id,description\n{rows}"));
    let name = |id: &str| {
        let world = cloud.world();
        world.workflow(&place(), id).unwrap().name.clone()
    };
    let before = name(&ids[0]);
    assert_eq!(
        desk.flowbatch(&format!("run rows.csv {}", target(&cloud)))
            .code,
        3
    );
    assert_eq!(name(&ids[0]), "", "the first update has cleared it");
    let run = desk.only_run();
    // As a kill leaves it that came while the first update was on its way.
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let put = journal
        .find("\"event\":\"attempt\",\"row\":1,\"method\":\"put\"")
        .unwrap();
    let end = put + journal[put..].find('\n').unwrap();
    fs::write(run.join("journal.jsonl"), &journal[..=end]).unwrap();
    for file in ["report.csv", "summary.json", "undo.csv"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    let requests = seen(&cloud);
    let resumed = desk.flowbatch(&format!("resume {}", run.display()));
    assert_eq!(resumed.code, 3, "{}{}", resumed.stderr, resumed.stdout);
    assert_eq!(asked(&cloud, requests).get("update_workflow"), None);
    ok(&desk.flowbatch(&format!("undo {} --send full", run.display())));
    assert_eq!(name(&ids[0]), before);
}
