//! What tests of runs by a plan share: a cloud with workflows, another client, what is asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use flowbatch::model::simulation::Simulation;
use flowbatch::model::target::Workspace;
use flowbatch::model::update::Update;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::call::{Call, Operation};

use crate::cloud::{Cloud, workspace};
use crate::language::{CANARIES, Desk, Said};

pub(crate) const PROJECT: &str = "p1";

pub(crate) fn place() -> Workspace {
    workspace(PROJECT, "s1")
}

/// A cloud with `count` workflows in its workspace, its ledger open, and a desk.
pub(crate) fn start(count: usize) -> (Cloud, Desk, Vec<String>) {
    let quick = Simulation {
        latency: (Duration::ZERO, Duration::ZERO),
        ..Simulation::default()
    };
    start_with(count, quick)
}

pub(crate) fn start_with(count: usize, simulation: Simulation) -> (Cloud, Desk, Vec<String>) {
    let cloud = Cloud::with(Access::by_token(CANARIES.token), simulation);
    cloud.world().keep_ledger();
    let ids = cloud.workflows(&place(), count);
    let desk = Desk::new().variable("HW_AUTH_TOKEN", CANARIES.token);
    (cloud, desk, ids)
}

/// Where it goes, and fast.
pub(crate) fn target(cloud: &Cloud) -> String {
    let address = &cloud.address;
    format!(
        "--endpoint {address} --project-id {PROJECT} --workspace-id s1 --rate 5000/s --burst 100 -j 32"
    )
}

pub(crate) fn ok(said: &Said) {
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
}

/// How often each kind of request reached the world since its `seen`th.
pub(crate) fn asked(cloud: &Cloud, seen: usize) -> BTreeMap<&'static str, usize> {
    let mut asked = BTreeMap::new();
    for entry in &cloud.world().ledger()[seen..] {
        *asked.entry(entry.method.as_str()).or_default() += 1;
    }
    asked
}

pub(crate) fn seen(cloud: &Cloud) -> usize {
    cloud.world().ledger().len()
}

/// How many workflows of the place are enabled.
pub(crate) fn enabled(cloud: &Cloud) -> usize {
    let world = cloud.world();
    let place = place();
    let workflows = world.workflows(&place);
    workflows.filter(|workflow| workflow.enabled).count()
}

/// What another client changes.
pub(crate) fn edit(cloud: &Cloud, place: &Workspace, workflow_id: &str, update: Update) {
    let call = Call {
        workspace: place.clone(),
        operation: Operation::UpdateWorkflow {
            workflow_id: workflow_id.to_owned(),
            update: Ok(update),
        },
    };
    cloud.world().handle(&call, Duration::from_secs(3_600));
}

pub(crate) fn described(text: &str) -> Update {
    Update {
        description: Some(text.to_owned()),
        ..Update::default()
    }
}

/// A service that takes an update for the whole workflow.
pub(crate) fn clearing() -> Simulation {
    Simulation {
        latency: (Duration::ZERO, Duration::ZERO),
        clears_unsent: true,
        ..Simulation::default()
    }
}

/// `desk` with a row for each workflow, `rows.csv`: all are to be described as reviewed.
pub(crate) fn reviewed(desk: Desk, ids: &[String]) -> Desk {
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    desk.file("rows.csv", format!("workflow_id,description\n{rows}"))
}

/// Leaves the journal of `run` as a kill does that came before the last row's end was on record.
pub(crate) fn kill_before_last_end(run: &Path) {
    let path = run.join("journal.jsonl");
    let journal = fs::read_to_string(&path).unwrap();
    let last_end = journal.rfind("row_ended").unwrap();
    let cut = journal[..last_end].rfind('\n').unwrap();
    let answer = journal[..cut].rfind('\n').unwrap();
    fs::write(path, &journal[..=answer]).unwrap();
}
