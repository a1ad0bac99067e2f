//! The end of a run: its report, its summary, its exit code.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::cli::{OutputShape, RunArgs};
use crate::engine::run::Broken;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::selection;
use crate::model::outcome::Ended;
use crate::sinks::digest::Digest;
use crate::sinks::journal::find_ends;
use crate::sinks::report::{self, Written};
use crate::sinks::summary::{
    Closing, Counts, FileFacts, InputFacts, JobFacts, Summary, TargetFacts, closing_text,
};

use super::destination::Open;
use super::folder::{Readers, RunFolder, sha256_of, write_whole};
use super::intake::Taken;
use super::{Done, environment, terminal};

/// A run that is over.
pub(super) struct Closed<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) taken: Taken,
    pub(super) folder: RunFolder,
    pub(super) open: Open,
    pub(super) digest: Digest,
    pub(super) ran: Result<Ended, Broken>,
}

/// Writes what is to be written of a run that is over, and tells how it went.
pub(super) fn close(mut closed: Closed<'_>) -> Done {
    let mut trouble = Vec::new();
    let ended = closed.ended(&mut trouble);
    closed.digest.ended = Some(ended);
    let written = keep(closed.write_report(), &mut trouble);
    // Only a record that failed leaves rows that were sent without an end.
    closed.digest.tally.unknown += written.as_ref().map_or(0, |written| written.in_doubt);
    keep(closed.copy_report(), &mut trouble);
    keep(closed.open.close(), &mut trouble);
    let exit = Exit::of_run(ended, &closed.digest.tally, !trouble.is_empty());
    let summary = closed.summary(ended, exit, written.as_ref().map(|written| written.rows));
    let json = serde_json::to_string_pretty(&summary).map_err(Error::machine("no summary"))?;
    let summed_up = closed
        .folder
        .write("summary.json", format!("{json}\n").as_bytes());
    keep(summed_up, &mut trouble);
    let exit = Exit::of_run(ended, &closed.digest.tally, !trouble.is_empty());
    for text in &trouble {
        terminal::complain(text);
    }
    if !(closed.args.quiet && exit == Exit::Done) {
        match closed.args.output {
            OutputShape::Json => terminal::print(&json),
            OutputShape::Text => terminal::print(&closed.text(written.as_ref(), &trouble)),
        }
    }
    Ok(exit)
}

/// The value of `done`; an error becomes text for people.
fn keep<T>(done: Result<T, Error>, trouble: &mut Vec<String>) -> Option<T> {
    done.map_err(|error| trouble.push(error.text())).ok()
}

impl Closed<'_> {
    /// How the run ended. A record that failed is told with what can be done about it.
    fn ended(&mut self, trouble: &mut Vec<String>) -> Ended {
        let ran = std::mem::replace(&mut self.ran, Ok(Ended::RecordFailed));
        ran.unwrap_or_else(|broken| {
            let error = Error::machine("the run was stopped")(broken);
            let folder = self.folder.path.display();
            trouble.push(format!(
                "{}\n  free space for {folder}: what is known stands in its journal.jsonl",
                error.text()
            ));
            Ended::RecordFailed
        })
    }

    fn report_path(&self) -> PathBuf {
        self.folder.file("report.csv")
    }

    fn write_report(&self) -> Result<Written, Error> {
        let journal = self.folder.file("journal.jsonl");
        let read = || {
            let file = File::open(&journal).map(BufReader::new);
            file.map_err(Error::file("cannot read", &journal))
        };
        let doing = "the report could not be made";
        let ends = find_ends(read()?).map_err(Error::machine(doing))?;
        let digest = &self.digest;
        let stopped = digest.stopped.as_ref().map(|(_, why)| why.clone());
        let because = stopped.or_else(|| digest.closed.first().cloned());
        let source = report::Source {
            journal: read()?,
            ends: &ends,
            left_because: because.unwrap_or_else(|| "the run ended first".to_owned()),
            lanes: &self.open.lanes,
        };
        let rows = self.taken.rows().map_err(Error::machine(doing))?;
        let rows = rows.map(|row| row.map_err(|error| error.0));
        let path = self.report_path();
        let mut written = Ok(Written::default());
        let whole = write_whole(&path, Readers::Owner, |file| {
            let mut out = BufWriter::new(file);
            written = report::write(rows, source, &mut out);
            match &written {
                Ok(_) => out.flush(),
                // Half a report is none.
                Err(_) => Err(std::io::Error::other("the report is incomplete")),
            }
        });
        let written = written.map_err(Error::machine(doing))?;
        whole.map_err(Error::file("cannot write", path))?;
        Ok(written)
    }

    /// Writes the report where `--report` asks for it as well.
    fn copy_report(&self) -> Result<(), Error> {
        let Some(to) = &self.args.report else {
            return Ok(());
        };
        write_whole(to, Readers::Usual, |file| {
            std::io::copy(&mut File::open(self.report_path())?, file).map(|_| ())
        })
        .map_err(Error::file("cannot write the report to", to))
    }

    fn summary(&self, ended: Ended, exit: Exit, rows: Option<u64>) -> Summary {
        let Self {
            args,
            taken,
            folder,
            open,
            digest,
            ..
        } = self;
        let start = digest.start.as_ref();
        let file = |name: &str, rows: Option<u64>| {
            let sha256 = sha256_of(&folder.file(name)).ok()?;
            Some(FileFacts {
                path: name.to_owned(),
                sha256,
                rows,
            })
        };
        let files = [
            file("job.json", None),
            file("input.csv", None),
            file("journal.jsonl", None),
            file("report.csv", rows),
        ];
        Summary {
            schema_version: 1,
            run_id: folder.id.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            operator: operator(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            command: shell(typed()),
            ticket: args.ticket.clone(),
            simulated: open.is_simulated(),
            snapshot: "off",
            job: JobFacts {
                name: taken.name.clone(),
                sha256: start
                    .map(|start| start.job_sha256.clone())
                    .unwrap_or_default(),
            },
            input: taken.input.as_ref().map(|input| InputFacts {
                path: input.path.clone(),
                sha256: input.sha256.clone(),
                rows: taken.census.rows,
            }),
            targets: targets(open, taken),
            counts: Counts::from(&digest.tally),
            started_at: digest.started_at,
            finished_at: digest.last_at,
            ended,
            given_up: digest.closed.clone(),
            exit_code: exit.code(),
            files: files.into_iter().flatten().collect(),
        }
    }

    /// The closing text for people.
    fn text(&self, written: Option<&Written>, trouble: &[String]) -> String {
        let tally = &self.digest.tally;
        let work_left = tally.failed + tally.unknown + tally.left() > 0;
        let next = written.filter(|_| work_left);
        let next = next.map(|written| next_command(&self.folder, written.left.as_deref()));
        let report = self
            .args
            .report
            .clone()
            .unwrap_or_else(|| self.report_path());
        let report = report.display().to_string();
        let closing = Closing {
            job: &self.taken.name,
            simulated: self.open.is_simulated(),
            target: &self.open.text(),
            folder: &self.folder.path.display().to_string(),
            report: written.map(|_| report.as_str()),
            trouble: trouble.first().and_then(|text| text.lines().next()),
            next: next.as_deref(),
            zone: &TimeZone::system(),
        };
        closing_text(&self.digest, &closing).trim_end().to_owned()
    }
}

/// The lanes that rows left by.
fn targets(open: &Open, taken: &Taken) -> Vec<TargetFacts> {
    let lanes = open.lanes.iter().zip(&taken.census.lanes);
    let used = lanes.filter(|(facts, _)| facts.credential.is_some());
    used.map(|(facts, census)| TargetFacts {
        lane: facts.clone(),
        workspaces: census.workspaces,
    })
    .collect()
}

fn operator() -> String {
    let name = environment("USER").or_else(|| environment("LOGNAME"));
    name.unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw()))
}

/// The command line, as text.
fn typed() -> impl Iterator<Item = String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned())
}

/// The command that goes on with the rows that are left: as typed, with those rows alone.
fn next_command(folder: &RunFolder, left: Option<&[RangeInclusive<u64>]>) -> String {
    let mut words = Vec::new();
    let mut typed = typed();
    // The copy of standard input is UTF-8, whatever the input was.
    let from_input = std::env::args_os().any(|word| word == "-");
    while let Some(word) = typed.next() {
        let name = word.split('=').next().unwrap_or_default();
        match name {
            "--encoding" if !from_input => words.push(word),
            "--only" | "--limit" | "--encoding" | "--report" => {
                if !word.contains('=') {
                    typed.next();
                }
            }
            "-" => words.push(folder.file("input.csv").display().to_string()),
            "--fresh" => {}
            _ => words.push(word),
        }
    }
    match left {
        Some(ranges) => {
            let ranges: Vec<_> = ranges.iter().map(selection::show).collect();
            words.push("--only".to_owned());
            words.push(format!("row={}", ranges.join(",")));
            format!(
                "to go on with what is left, once what failed is mended:\n  {}",
                shell(words)
            )
        }
        // Sending a row again is safe: what it sets is absolute.
        None => format!(
            "to send every row again (those that are left are too scattered to name):\n  {}",
            shell(words)
        ),
    }
}

/// Words as a shell takes them.
fn shell(words: impl IntoIterator<Item = String>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,%+@".contains(c);
    let quoted = words.into_iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_can_be_pasted_into_a_shell() {
        let words = ["run", "my jobs/a.csv", "it's", "", "row=3,7-9", "$HOME"];
        assert_eq!(
            shell(words.map(str::to_owned)),
            r"run 'my jobs/a.csv' 'it'\''s' '' row=3,7-9 '$HOME'"
        );
    }
}
