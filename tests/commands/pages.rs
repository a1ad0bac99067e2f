//! Schema, completions, man pages and help say what the program does.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use expect_test::expect_file;
use flowbatch::cli::Cli;
use jsonschema::Validator;
use serde_json::Value;

use crate::language::Desk;

fn jobs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")
}

fn schema() -> Validator {
    let said = Desk::new().flowbatch("schema");
    jsonschema::validator_for(&serde_json::from_str(&said.stdout).unwrap()).unwrap()
}

/// Whether the schema takes a job file.
fn takes(schema: &Validator, job: &str) -> bool {
    let job: Value = toml::from_str(job).unwrap();
    schema.is_valid(&job)
}

#[test]
fn the_published_schema_is_the_programs_own() {
    let said = Desk::new().flowbatch("schema");
    expect_file!["../../jobs/flowbatch.schema.json"].assert_eq(&said.stdout);
}

#[test]
fn every_job_names_the_schema_and_is_good_by_it() {
    let schema = schema();
    let mut seen = 0;
    for entry in fs::read_dir(jobs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("#:schema flowbatch.schema.json\n"),
            "{}",
            path.display()
        );
        // What is wrong with this one stands in its rows.
        assert!(takes(&schema, &text), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
}

/// Parts of a job file, and whether they are right.
const PARTS: [(&str, bool); 60] = [
    (
        "[job]\nname = \"a\"\ndescription = \"b\"\ntime_zone = \"Europe/Berlin\"",
        true,
    ),
    ("[job]\nnmae = \"a\"", false),
    ("[job]\nname = 1", false),
    ("schema = 1", true),
    ("schema = 2", false),
    ("other = 1", false),
    ("[auth]\nmethod = \"aksk\"", true),
    ("[auth]\nmethod = \"key\"", false),
    ("[run]\nconcurrency = 1", true),
    ("[run]\nconcurrency = 1024", true),
    ("[run]\nconcurrency = 0", false),
    ("[run]\nconcurrency = 1025", false),
    ("[run]\nconcurrency = \"8\"", false),
    ("[run]\nrate = \"5/s\"", true),
    ("[run]\nrate = \"300/m\"", true),
    ("[run]\nrate = \"auto\"", true),
    ("[run]\nrate = \"5\"", false),
    ("[run]\nrate = 5", false),
    ("[run]\nburst = 1000", true),
    ("[run]\nburst = 1001", false),
    ("[run]\ntimeout = \"500ms\"", true),
    ("[run]\ntimeout = \"1.5m\"", true),
    ("[run]\ntimeout = \"30\"", false),
    ("[run]\ntimeout = 30", false),
    ("[run]\ndeadline = \"2h\"", true),
    ("[run]\ndeadline = \"2 weeks\"", false),
    ("[run]\nstop_at = \"6:00\"", true),
    ("[run]\nstop_at = \"23:59\"", true),
    ("[run]\nstop_at = \"24:00\"", false),
    ("[run]\nleave_recent = \"24h\"", true),
    ("[run]\nleave_recent = \"1\"", false),
    ("[run]\nsend = \"full\"", true),
    ("[run]\nsend = \"some\"", false),
    ("[run]\nsnapshot_max_age = \"10m\"", true),
    ("[retry]\nmax_attempts = 1", true),
    ("[retry]\nmax_attempts = 0", false),
    ("[retry]\npatience = \"10m\"", true),
    ("[retry]\nmax_dealy = \"10m\"", false),
    ("[stop]\nmax_errors = 3", true),
    ("[stop]\nmax_errors = \"10%\"", true),
    ("[stop]\nmax_errors = \"some\"", false),
    ("[stop]\nmin_rows = 0", true),
    ("[stop]\nmax_changes = \"50%\"\nmax_disables = 20", true),
    ("[defaults]\nenabled = true", true),
    ("[defaults]\nenabled = \"yes\"\nlabels = \"IP\"", true),
    ("[defaults]\nworkflow_id = \"w\"", false),
    ("[defaults]\nname = 1", false),
    (
        "[[change]]\nwhere = \"all\"\nset.name = \"PROD {{ name }}\"",
        true,
    ),
    (
        "[[change]]\nwhere = [\"name~^A\", \"enabled=true\"]\nworkspaces = \"all\"\nset.enabled = false",
        true,
    ),
    ("[[change]]\nwhere = 1\nset.enabled = false", false),
    ("[[change]]\nwhere = \"all\"\nset.nmae = \"x\"", false),
    (
        "[[change]]\nwhere = \"all\"\nallow_empty = 1\nset.enabled = false",
        false,
    ),
    (
        "[simulator]\nseed = 3\nlatency = [\"2ms\", \"20ms\"]\nrate_limit = \"20/s\"",
        true,
    ),
    ("[simulator]\nfaults.reset = 0.5\nfaults.500 = 1", true),
    ("[simulator]\nfaults.reset = 1.5", false),
    ("[simulator]\nfaults.rest = 0.5", false),
    ("[simulator]\nretry_after = \"yes\"", false),
    (
        "[[update]]\nworkflow_id = \"w2\"\nname = \"x\"\nexpect_enabled = false",
        true,
    ),
    (
        "[[update]]\nworkflow_id = \"w2\"\nexpect_nmae = \"x\"",
        false,
    ),
    ("[update]\nworkflow_id = \"w2\"\nname = \"x\"", false),
];

#[test]
fn what_the_schema_takes_the_program_takes_and_nothing_else() {
    let schema = schema();
    let others = |part: &str| {
        let row = match part.contains("[[update]]") || part.contains("[update]") {
            true => "",
            false => "\n[[update]]\nworkflow_id = \"w1\"\nname = \"y\"\n",
        };
        format!("{part}\n[target]\nsimulator = true\nworkspace_id = \"s\"\n{row}")
    };
    for (part, is_right) in PARTS {
        let job = others(part);
        let said = Desk::with("job.toml", &job).flowbatch("check job.toml");
        assert_eq!(said.code == 0, is_right, "{part}\n{}", said.stderr);
        assert_eq!(takes(&schema, &job), is_right, "{part}");
    }
}

/// The program and all its commands, each with its flags.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut root = Cli::command();
    root.build();
    let mut found = Vec::new();
    let mut open = vec![(String::from("flowbatch"), root)];
    while let Some((name, command)) = open.pop() {
        let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
        let flags = flags.filter_map(|flag| flag.get_long().map(str::to_owned));
        found.push((name.clone(), flags.collect()));
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            open.push((format!("{name}-{}", sub.get_name()), sub.clone()));
        }
    }
    found
}

#[test]
fn completions_know_every_command_and_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let said = Desk::new().flowbatch(&format!("completions {shell}"));
        assert_eq!(said.code, 0);
        for (command, flags) in commands() {
            for flag in flags {
                let written = match shell {
                    "fish" => format!("-l {flag}"),
                    _ => format!("--{flag}"),
                };
                assert!(
                    said.stdout.contains(&written),
                    "{shell}: {command} {written}"
                );
            }
        }
    }
}

#[test]
fn bash_completes_by_them() {
    let script = Desk::new().flowbatch("completions bash").stdout;
    let complete = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let at = words.len() - 1;
        let mut bash = Command::new("bash")
            .arg("--norc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asked = format!(
            "{script}\nCOMP_WORDS=({line})\nCOMP_CWORD={at}\n_flowbatch flowbatch '{}' '{}'\necho \"${{COMPREPLY[@]}}\"\n",
            words[at],
            words[at - 1]
        );
        bash.stdin
            .take()
            .unwrap()
            .write_all(asked.as_bytes())
            .unwrap();
        let said = bash.wait_with_output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("flowbatch exp"), "export");
    assert_eq!(complete("flowbatch run --metr"), "--metrics-file");
    assert_eq!(complete("flowbatch run --if-locked w"), "wait");
}

#[test]
fn man_pages_know_every_command_and_flag() {
    let desk = Desk::new();
    assert_eq!(desk.flowbatch("man --out man1").code, 0);
    for (command, flags) in commands() {
        let page = desk.read(&format!("man1/{command}.1"));
        assert!(page.contains(".TH"), "{command}");
        for flag in flags {
            let written = format!("\\-\\-{}", flag.replace('-', "\\-"));
            assert!(page.contains(&written), "{command} {flag}");
        }
    }
    let page = desk.flowbatch("man").stdout;
    for part in ["flowbatch", "Exit codes", "Environment", "Files"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn every_command_shows_how_it_is_used() {
    let names = commands()
        .into_iter()
        .map(|(name, _)| name.replace("flowbatch-", ""));
    for name in names.filter(|name| name != "flowbatch" && !name.contains('-')) {
        let said = Desk::new().flowbatch(&format!("{name} --help"));
        assert_eq!(said.code, 0);
        let example = format!("\n  flowbatch {name}");
        assert!(
            said.stdout.contains(&example),
            "{name} has no example: {}",
            said.stdout
        );
        for line in said.stdout.lines() {
            // The URL of an example is what it is.
            assert!(
                line.chars().count() <= 100 || line.contains("http"),
                "{line}"
            );
        }
    }
}
