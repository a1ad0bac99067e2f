//! What the README shows is true.

use std::fs;
use std::path::Path;

use crate::language::Desk;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The fenced block that begins with `start`.
fn block(start: &str) -> String {
    let readme = readme();
    let at = readme
        .find(start)
        .unwrap_or_else(|| panic!("no block begins with {start:?}"));
    let end = readme[at..].find("\n```").unwrap();
    format!("{}\n", &readme[at..at + end])
}

#[test]
fn the_walk_through_says_what_the_program_says() {
    let csv = block("workflow_id,name,enabled,version_id\n");
    let shown = block("$ flowbatch check triage.csv --simulate\n");
    let desk = Desk::with("triage.csv", &csv);
    let said = desk.flowbatch("check triage.csv --simulate");
    let (_, text) = shown.split_once('\n').unwrap();
    assert_eq!((said.code, said.stderr.as_str()), (2, text));
    let mended = csv.replace("ture,", "yes,5f0e3b0c-1df5-4b9a-9a46-0f8a7d2f8a11");
    let desk = Desk::with("triage.csv", mended);
    let said = desk.flowbatch("run triage.csv --simulate");
    let shown = block("$ flowbatch run triage.csv --simulate\n");
    let (announced, closing) = shown.split_once("triage (simulated)").unwrap();
    assert_eq!(said.stderr, announced.split_once('\n').unwrap().1);
    let (verdict, _) = closing.split_once("  2026-").unwrap();
    assert!(
        said.stdout
            .starts_with(&format!("triage (simulated){verdict}")),
        "{}",
        said.stdout
    );
}

#[test]
fn the_job_file_of_the_readme_is_a_good_one_and_its_defaults_are_true() {
    let job = block("schema = 1\n\n[job]\nname = \"enable-triage\"");
    let csv = block("workflow_id,name,enabled,version_id\n").replace("ture,", "no,");
    let desk = Desk::with("job.toml", &job).file("triage.csv", csv);
    let said = desk.flowbatch("check job.toml");
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (0, ""),
        "{}",
        said.stderr
    );
    // The same settings are recorded where the job file leaves them out.
    let simulated = job.replace("region = \"ap-southeast-2\"", "simulator = true");
    let bare = "[target]\nsimulator = true\n[[update]]\nworkflow_id = \"w1\"\nname = \"x\"\n";
    let settings = |job: &str| {
        let desk = Desk::with("job.toml", job).file("triage.csv", "workflow_id,name\nw2,x\n");
        let said = desk.flowbatch("run job.toml");
        assert_eq!(said.code, 0, "{}", said.stderr);
        let recorded = fs::read_to_string(desk.only_run().join("job.json")).unwrap();
        let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
        recorded["settings"].clone()
    };
    assert_eq!(settings(&simulated), settings(bare));
}

#[test]
fn both_commands_of_the_readme_are_there() {
    let readme = readme();
    for command in [
        "    cargo run --release -- run jobs/demo.toml\n",
        "    cargo test\n",
    ] {
        assert!(readme.contains(command), "{command}");
    }
}

#[test]
fn the_profile_of_the_readme_is_a_good_one() {
    let desk = Desk::new()
        .secret("profiles.toml", block("[profile.kunde-a]\n"))
        .variable("FLOWBATCH_PROFILES", "profiles.toml");
    let said = desk.flowbatch("auth --profile kunde-a");
    assert_eq!(said.code, 4);
    let text = "error: profile kunde-a: the credentials file kunde-a.ini cannot be read";
    assert!(said.stderr.starts_with(text), "{}", said.stderr);
}
