//! Holds the layering of ARCHITECTURE.md: who may import whom, and which crate stays where.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Floors and what they may import of the crate, besides themselves. `module` alone allows all
/// of it; `module::file` one file.
const TABLE: [(&str, &[&str]); 13] = [
    ("model", &[]),
    ("policy", &["model"]),
    ("job", &["model", "policy"]),
    ("plan", &["model", "policy", "job"]),
    ("engine", &["model", "policy", "plan"]),
    ("secmaster", &["model", "engine::ports"]),
    ("sinks", &["model", "engine::ports"]),
    ("simulator", &["model", "engine::ports"]),
    ("exit", &["model"]),
    ("error", &["exit", "model"]),
    ("cli", &["job::flags"]),
    (
        "app",
        &[
            "cli",
            "engine",
            "error",
            "exit",
            "job",
            "model",
            "plan",
            "policy",
            "secmaster",
            "simulator",
            "sinks",
        ],
    ),
    ("main", &["app"]),
];

/// Crates that only some places may name.
const CRATES: [(&str, &[&str]); 13] = [
    ("maud", &["sinks/html.rs", "sinks/chart.rs"]),
    ("reqwest", &["secmaster/transport.rs", "secmaster/error.rs"]),
    ("ipnet", &["secmaster/proxy.rs"]),
    ("indicatif", &["sinks/bar.rs"]),
    ("clap", &["cli"]),
    ("hyper", &["simulator"]),
    ("configparser", &["app/credentials_file.rs"]),
    ("governor", &["policy/pace.rs"]),
    ("minijinja", &["job/template.rs"]),
    ("backoff", &["policy/retry.rs"]),
    ("toml", &["job"]),
    (
        "tokio",
        &[
            "engine",
            "app",
            "simulator",
            "secmaster/transport.rs",
            "sinks/journal.rs",
        ],
    ),
    ("tracing", &["sinks/log.rs", "app"]),
];

/// What pure floors must not know: files, clocks, async.
const PURE: [&str; 4] = ["model", "policy", "job", "plan"];
const IMPURE: [&str; 6] = [
    "std::fs",
    "tokio",
    "std::net::Tcp",
    "std::process",
    "async fn",
    ".await",
];

fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    let name = |path: &Path| {
        path.strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    // Tests inside a file may look further than the file itself.
    let code = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]").next().unwrap().to_owned()
    };
    let test_only = |name: &str| name.ends_with("/tests.rs");
    found
        .iter()
        .map(|path| (name(path), code(path)))
        .filter(|(name, _)| !test_only(name))
        .collect()
}

fn floor(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// Lines of code, without comments.
fn lines(code: &str) -> impl Iterator<Item = &str> {
    code.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
}

#[test]
fn imports_run_strictly_downward() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let floor = floor(&file);
        if floor == "lib" {
            continue;
        }
        let (_, may) = TABLE
            .iter()
            .find(|(name, _)| *name == floor)
            .unwrap_or_else(|| panic!("{file} is on no floor of the table"));
        for line in lines(&code) {
            for (at, _) in line.match_indices("crate::") {
                let path = &line[at + "crate::".len()..];
                let allowed =
                    path.starts_with(floor) || may.iter().any(|allowed| path.starts_with(allowed));
                if !allowed {
                    wrong.push(format!("{file}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_heavy_crate_stays_where_it_belongs() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, places) in CRATES {
            if places.iter().any(|place| file.starts_with(place)) {
                continue;
            }
            // A crate or a module of ours may end in its name: `hyper_rustls::`, `super::toml::`.
            let path = format!("{name}::");
            let named = |line: &str| {
                line.match_indices(&path).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| c != ':' && c != '_' && !c.is_alphanumeric())
                })
            };
            for line in lines(&code).filter(|line| named(line)) {
                wrong.push(format!("{file}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_pure_floors_know_no_files_no_clock_and_no_async() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        if !PURE.contains(&floor(&file)) {
            continue;
        }
        for line in lines(&code) {
            if IMPURE.iter().any(|impure| line.contains(impure)) {
                wrong.push(format!("{file}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_is_called_after_nothing() {
    for (file, _) in sources() {
        for word in ["util", "common", "helper", "manager", "misc", "imp."] {
            assert!(!file.contains(word), "{file}: find its noun");
        }
    }
}
