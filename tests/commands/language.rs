//! A small language for tests of the binary: a desk with files on it, commands, what they said.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

/// One secret of each kind, which must never be seen again. Every desk looks for them in what its
/// commands say, and, when it is cleared, in every file that they left.
pub(crate) struct Canaries {
    pub(crate) token: &'static str,
    pub(crate) secret_key: &'static str,
    pub(crate) security_token: &'static str,
    pub(crate) password: &'static str,
}

pub(crate) const CANARIES: Canaries = Canaries {
    token: "canary-token-5f2c9e",
    secret_key: "canary-secret-key-a81b",
    security_token: "canary-security-token-77d0",
    password: "canary-password-3c4e",
};

impl Canaries {
    const ALL: [&'static str; 4] = [
        CANARIES.token,
        CANARIES.secret_key,
        CANARIES.security_token,
        CANARIES.password,
    ];

    /// The canary that `text` holds, as it is or in base64.
    fn found_in(text: &[u8]) -> Option<&'static str> {
        let holds = |needle: &[u8]| text.windows(needle.len()).any(|part| part == needle);
        Self::ALL.into_iter().find(|canary| {
            let encoded = STANDARD.encode(canary);
            holds(canary.as_bytes()) || holds(encoded.trim_end_matches('=').as_bytes())
        })
    }
}

/// An empty folder in which commands run, with a state folder of its own and a bare environment.
pub(crate) struct Desk {
    folder: TempDir,
    variables: Vec<(String, String)>,
    /// Files that the test itself has written.
    own: Vec<PathBuf>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            variables: Vec::new(),
            own: Vec::new(),
        }
    }

    /// A desk with one file on it.
    pub(crate) fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        Self::new().file(name, content)
    }

    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.own.push(path);
        self
    }

    /// A file that nobody else may read.
    pub(crate) fn secret(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let desk = self.file(name, content);
        fs::set_permissions(desk.path(name), Permissions::from_mode(0o600)).unwrap();
        desk
    }

    /// Sets a variable of the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_flowbatch")), arguments)
    }

    /// A command of the copy `program`.
    pub(crate) fn command_of(&self, program: &Path, arguments: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(words(arguments))
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TZ", "UTC")
            .env("USER", "tester")
            .env("FLOWBATCH_METADATA", "off")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A command of the shell, at this desk.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `flowbatch ARGUMENTS`.
    pub(crate) fn flowbatch(&self, arguments: &str) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said::of(&output)
    }

    /// Runs `flowbatch ARGUMENTS` with `input` on standard input.
    pub(crate) fn flowbatch_reading(&self, arguments: &str, input: &str) -> Said {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        Said::of(&child.wait_with_output().unwrap())
    }

    /// The folder of the only run.
    pub(crate) fn only_run(&self) -> PathBuf {
        let runs = self.path(".local/state/flowbatch/runs");
        let mut runs: Vec<_> = fs::read_dir(runs)
            .unwrap()
            .map(|run| run.unwrap().path())
            .collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    /// Removes the folders of runs that were killed before they began: nothing was sent.
    pub(crate) fn forget_unbegun(&self) {
        let runs = fs::read_dir(self.path(".local/state/flowbatch/runs"));
        for run in runs.into_iter().flatten() {
            let run = run.unwrap().path();
            if !run.join("journal.jsonl").exists() {
                fs::remove_dir_all(run).unwrap();
            }
        }
    }

    /// Whether any run was begun.
    pub(crate) fn has_runs(&self) -> bool {
        fs::read_dir(self.path(".local/state/flowbatch/runs"))
            .is_ok_and(|mut runs| runs.next().is_some())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for path in files(self.folder.path()) {
            if self.own.contains(&path) {
                continue;
            }
            let found = Canaries::found_in(&fs::read(&path).unwrap_or_default());
            assert_eq!(found, None, "in {}", path.display());
        }
    }
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.file_type().unwrap().is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// Words as a shell splits them, with single quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

impl Said {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        for said in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(said);
            assert_eq!(Canaries::found_in(said), None, "{text}");
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// The rows of a CSV as maps from the header's names, by the `csv` crate alone.
pub(crate) fn csv_rows(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}
