//! Job files that nobody wrote on purpose: whatever stands in them is told, never a panic.

mod campaign;

use std::rc::Rc;

use flowbatch::job::file::File;
use flowbatch::job::flags::Flags;
use flowbatch::job::intent::Intent;
use flowbatch::job::problem::Source;
use flowbatch::job::problems::Problems;
use proptest::prelude::*;

const JOB: &str = r#"schema = 1
[job]
name = "enable-${TEAM}"
[target]
endpoint = "https://me:canary@example.com" # é 威
project_id = "p"
workspace_id = "s"
[auth]
token = "canary-é"
[run]
concurrency = 8
rate = "5/s"
timeout = "30s"
[stop]
max_errors = "10%"
[defaults]
enabled = true
[rows]
file = "triage.csv"
[rows.columns]
"Workflow-Kennung" = "workflow_id"
[[update]]
workflow_id = "w1"
name = "Triage, tier 1"
[simulator]
latency = ["5ms", "40ms"]
faults = { reset = 0.1 }
"#;

/// Reads `text` as a job file and tells its problems.
fn told(text: &str) -> String {
    let env = |name: &str| (name == "TEAM").then(|| "soc".to_owned());
    let mut problems = Problems::default();
    let file = File::read(text, &env, &mut problems);
    Intent::new(
        file,
        &Flags::default(),
        false,
        Rc::default(),
        &env,
        &mut problems,
    );
    let path = "job.toml";
    let plain = problems.render(Some(Source { path, text }), false);
    problems.render(Some(Source { path, text }), true);
    plain
}

#[test]
fn neither_a_token_nor_a_password_in_a_url_is_shown() {
    let told = told(JOB);
    assert!(told.contains("a secret in a job file"), "{told}");
    assert!(
        told.contains("the endpoint holds a user name or password"),
        "{told}"
    );
    assert!(!told.contains("canary"), "{told}");
}

proptest! {
    #![proptest_config(campaign::config(256))]

    #[test]
    fn a_job_file_with_something_torn_out_or_put_in_is_told(
        at in 0..JOB.len(),
        length in 0_usize..40,
        put in "[\\[\\]{}\"'=\n\r#$a-z0-9_.é威\u{0}\\\\-]{0,12}",
    ) {
        let boundary = |mut index: usize| {
            while !JOB.is_char_boundary(index) {
                index -= 1;
            }
            index
        };
        let start = boundary(at);
        let end = boundary((at + length).min(JOB.len())).max(start);
        told(&format!("{}{put}{}", &JOB[..start], &JOB[end..]));
    }

    #[test]
    fn any_text_is_told(text in "\\PC{0,200}") {
        told(&text);
    }
}
