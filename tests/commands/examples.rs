//! What stands in `examples/` is well formed, and its commands are the program's own.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use configparser::ini::Ini;
use flowbatch::cli::Cli;
use saphyr::{LoadableYamlNode, Yaml};

use crate::language::Desk;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// Asserts that the program takes `words` as they are.
fn is_a_command(words: &[&str]) {
    let parsed = Cli::try_parse_from(words);
    assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
}

/// The words of a line that runs the program, up to what belongs to the shell.
fn words(line: &str) -> Vec<&str> {
    let at = line.find("flowbatch ").unwrap_or_default();
    let words = line[at..].split_whitespace();
    let of_program = words.take_while(|word| !word.starts_with('>'));
    of_program.map(|word| word.trim_matches('"')).collect()
}

#[test]
fn the_crontab_has_times_and_commands_that_cron_and_the_program_take() {
    let mut jobs = 0;
    for line in read("crontab").lines().filter(|line| !line.is_empty()) {
        let is_variable = line.split_whitespace().next().unwrap().contains('=');
        if line.starts_with('#') || is_variable {
            continue;
        }
        let fields: Vec<_> = line.split_whitespace().take(5).collect();
        for (field, most) in fields.iter().zip([59, 23, 31, 12, 7]) {
            let number: Option<u8> = field.parse().ok();
            assert!(*field == "*" || number.is_some_and(|n| n <= most), "{line}");
        }
        // Cron takes it for the end of the line.
        assert!(!line.contains('%'), "{line}");
        assert!(
            line.split_whitespace().nth(5) == Some("flowbatch"),
            "{line}"
        );
        is_a_command(&words(line));
        jobs += 1;
    }
    assert_eq!(jobs, 2);
}

#[test]
fn the_systemd_units_start_commands_of_the_program() {
    let unit = |name: &str| {
        // A key may come twice, which an INI file of this crate may not: each line is read by itself.
        let mut section = String::new();
        let mut lines = Vec::new();
        for line in read(name).lines() {
            match line.strip_prefix('[') {
                Some(rest) => section = rest.trim_end_matches(']').to_owned(),
                None if line.is_empty() || line.starts_with('#') => {}
                None => {
                    let mut ini = Ini::new_cs();
                    ini.read(format!("[{section}]\n{line}")).unwrap();
                    let (key, value) = line.split_once('=').unwrap();
                    assert_eq!(ini.get(&section, key).as_deref(), Some(value));
                    lines.push((section.clone(), key.to_owned(), value.to_owned()));
                }
            }
        }
        lines
    };
    let service = unit("systemd/flowbatch-nightly.service");
    let starts = service
        .iter()
        .filter(|(_, key, _)| key.starts_with("ExecStart"));
    let starts: Vec<_> = starts.map(|(_, _, command)| command).collect();
    assert_eq!(starts.len(), 2);
    for command in starts {
        assert!(
            command.starts_with("/usr/local/bin/flowbatch "),
            "{command}"
        );
        is_a_command(&words(command));
    }
    let timer = unit("systemd/flowbatch-nightly.timer");
    let has = |section: &str, key: &str| timer.iter().any(|(s, k, _)| s == section && k == key);
    assert!(has("Timer", "OnCalendar") && has("Install", "WantedBy"));
}

#[test]
fn the_cron_job_of_a_cluster_runs_a_command_of_the_program() {
    let text = read("kubernetes/cronjob.yaml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let [job] = documents.as_slice() else {
        panic!("{} documents", documents.len());
    };
    assert_eq!(job["kind"].as_str(), Some("CronJob"));
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let command = container["command"].as_vec().unwrap();
    let command: Vec<_> = command.iter().map(|word| word.as_str().unwrap()).collect();
    is_a_command(&command);
    // What is mounted is there.
    let names = |list: &Yaml<'_>| -> Vec<String> {
        let list = list.as_vec().unwrap().iter();
        list.map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
}

#[test]
fn the_indexed_job_of_a_cluster_runs_as_many_parts_as_it_says() {
    let text = read("kubernetes/indexed-job.yaml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let spec = &documents[0]["spec"];
    let container = &spec["template"]["spec"]["containers"][0];
    let command = container["command"].as_vec().unwrap();
    let command: Vec<_> = command.iter().map(|word| word.as_str().unwrap()).collect();
    is_a_command(&command);
    let parts = &container["env"][0];
    assert_eq!(parts["name"].as_str(), Some("JOB_COMPLETIONS"));
    let completions = spec["completions"].as_integer().unwrap().to_string();
    assert_eq!(parts["value"].as_str(), Some(completions.as_str()));
}

#[test]
fn the_ci_workflow_runs_commands_of_the_program() {
    let text = read("ci/github.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let mut commands = 0;
    for job in ["plan", "run"] {
        for step in documents[0]["jobs"][job]["steps"].as_vec().unwrap() {
            if let Some(line) = step.as_mapping_get("run").and_then(Yaml::as_str) {
                is_a_command(&words(line));
                commands += 1;
            }
        }
    }
    assert_eq!(commands, 4);
}

#[test]
fn the_hold_list_is_a_good_one() {
    let desk =
        Desk::with("rows.csv", "workflow_id,name\nw1,One\n").file("hold.csv", read("hold.csv"));
    let said = desk.flowbatch("check rows.csv --simulate --hold hold.csv");
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

#[test]
fn every_example_stands_in_their_readme() {
    let readme = read("README.md");
    for part in ["crontab", "hold.csv"] {
        assert!(readme.contains(part), "{part}");
    }
    for sub in ["systemd", "kubernetes", "ci"] {
        for entry in fs::read_dir(folder().join(sub)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(readme.contains(&format!("]({sub}/{name})")), "{sub}/{name}");
        }
    }
}

#[test]
fn the_jobs_to_try_do_not_disturb_each_other_in_one_state_folder() {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    let mut names: Vec<_> = fs::read_dir(&jobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    names.sort();
    let counts = |desk: &Desk, job: &Path| {
        let job = job.display();
        let said = desk.flowbatch(&format!("run {job} --yes --rate 1000/s --burst 50 -j 32"));
        let counts = said.stdout.lines().filter(|line| {
            let mut words = line.split_whitespace();
            let is_status = words.next().is_some_and(|word| {
                flowbatch::model::outcome::Status::ALL
                    .iter()
                    .any(|status| status.as_str() == word)
            });
            is_status && words.next().is_some_and(|word| word.parse::<u64>().is_ok())
        });
        (said.code, counts.map(str::to_owned).collect::<Vec<_>>())
    };
    let alone: Vec<_> = names.iter().map(|job| counts(&Desk::new(), job)).collect();
    for reverse in [false, true] {
        let desk = Desk::new();
        let mut order: Vec<_> = names.iter().zip(&alone).collect();
        if reverse {
            order.reverse();
        }
        for (job, alone) in order {
            assert_eq!(&counts(&desk, job), alone, "{}", job.display());
        }
    }
}
