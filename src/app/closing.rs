//! The end of a run: its report, its summary, its exit code.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use jiff::tz::TimeZone;

use crate::cli::{OutputShape, RunArgs};
use crate::engine::run::Broken;
use crate::error::Error;
use crate::exit::Exit;
use crate::model::outcome::Ended;
use crate::sinks::digest::Digest;
use crate::sinks::journal::find_ends;
use crate::sinks::report::{self, ReportError, Written};
use crate::sinks::summary::{
    Closing, Counts, FileFacts, InputFacts, JobFacts, Summary, TargetFacts, closing_text,
};

use super::destination::Open;
use super::folder::{RunFolder, sha256_of, write_whole};
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
pub(super) fn close(closed: Closed<'_>) -> Done {
    let Closed {
        args,
        taken,
        folder,
        open,
        mut digest,
        ran,
    } = closed;
    let mut trouble = Vec::new();
    let ended = ran.unwrap_or_else(|broken| {
        trouble.push(Error::machine("the run was stopped")(broken).text());
        Ended::RecordFailed
    });
    digest.ended = Some(ended);
    let report_path = folder.file("report.csv");
    let written = write_report(&report_path, &taken, &folder, &open, &digest);
    let left = match &written {
        Ok(written) => written.left.clone(),
        Err(_) => None,
    };
    let rows = written.as_ref().map(|written| written.rows).ok();
    trouble.extend(written.err().map(|error| error.text()));
    if let Some(path) = &args.report {
        let copied = copy_report(&report_path, path);
        trouble.extend(copied.err().map(|error| error.text()));
    }
    let simulated = open.is_simulated();
    let target_text = open.text();
    let target = TargetFacts {
        endpoint: open.lane.endpoint.to_string(),
        region: open.region.clone(),
        workspaces: taken.census.workspaces,
    };
    trouble.extend(open.close().err().map(|error| error.text()));
    let exit = Exit::of_run(ended, &digest.tally, !trouble.is_empty());
    let summary = summary(
        args, &taken, &folder, &digest, ended, exit, simulated, target, rows,
    );
    let json = serde_json::to_string_pretty(&summary).map_err(Error::machine("no summary"))?;
    let summed_up = folder.write("summary.json", format!("{json}\n").as_bytes());
    trouble.extend(summed_up.err().map(|error| error.text()));
    let exit = Exit::of_run(ended, &digest.tally, !trouble.is_empty());
    for text in &trouble {
        terminal::complain(text);
    }
    if args.quiet && exit == Exit::Done {
        return Ok(exit);
    }
    match args.output {
        OutputShape::Json => terminal::print(&json),
        OutputShape::Text => {
            let work_left = digest.tally.failed + digest.tally.unknown + digest.tally.left() > 0;
            let known = work_left && rows.is_some();
            let next = known.then(|| next_command(&folder, left.as_deref()));
            let report_shown = args
                .report
                .as_deref()
                .unwrap_or(&report_path)
                .display()
                .to_string();
            let closing = Closing {
                job: &taken.name,
                run_id: &folder.id,
                simulated,
                folder: &folder.path.display().to_string(),
                target: &target_text,
                report: rows.map(|_| report_shown.as_str()),
                trouble: trouble.first().map(String::as_str),
                next: next.as_deref(),
                zone: &TimeZone::system(),
            };
            terminal::print(closing_text(&digest, &closing).trim_end());
        }
    }
    Ok(exit)
}

fn write_report(
    path: &Path,
    taken: &Taken,
    folder: &RunFolder,
    open: &Open,
    digest: &Digest,
) -> Result<Written, Error> {
    let journal = folder.file("journal.jsonl");
    let read = || File::open(&journal).map(BufReader::new);
    let doing = "the report could not be made";
    let ends = find_ends(read().map_err(Error::file("cannot read", &journal))?)
        .map_err(Error::machine(doing))?;
    let stopped = digest.stopped.as_ref().map(|(_, why)| why.clone());
    let because = stopped.or_else(|| digest.closed.first().cloned());
    let source = report::Source {
        journal: read().map_err(Error::file("cannot read", &journal))?,
        ends: &ends,
        left_because: because.unwrap_or_else(|| "the run ended first".to_owned()),
        region: open.region.clone().unwrap_or_default(),
    };
    let rows = taken.rows().map_err(Error::machine(doing))?;
    let mut written = Err(ReportError::from(std::io::Error::other(
        "nothing was written",
    )));
    write_whole(path, |file| {
        let mut out = BufWriter::new(file);
        written = report::write(
            rows.map(|row| row.map_err(|error| error.0)),
            source,
            &mut out,
        );
        out.flush()
    })
    .map_err(Error::file("cannot write", path))?;
    written.map_err(Error::machine(doing))
}

fn copy_report(from: &Path, to: &Path) -> Result<(), Error> {
    write_whole(to, |file| {
        std::io::copy(&mut File::open(from)?, file).map(|_| ())
    })
    .map_err(Error::file("cannot write the report to", to))
}

#[expect(
    clippy::too_many_arguments,
    reason = "it is the list of what a summary holds"
)]
fn summary(
    args: &RunArgs,
    taken: &Taken,
    folder: &RunFolder,
    digest: &Digest,
    ended: Ended,
    exit: Exit,
    simulated: bool,
    target: TargetFacts,
    rows: Option<u64>,
) -> Summary {
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
        command: shell(std::env::args()),
        ticket: args.ticket.clone(),
        simulated,
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
        targets: vec![target],
        counts: Counts::from(&digest.tally),
        started_at: digest.started_at,
        finished_at: digest.last_at,
        ended,
        exit_code: exit.code(),
        files: files.into_iter().flatten().collect(),
    }
}

fn operator() -> String {
    let name = environment("USER").or_else(|| environment("LOGNAME"));
    name.unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw()))
}

/// The command that goes on with the rows that are left: as typed, with those rows alone.
fn next_command(folder: &RunFolder, left: Option<&[RangeInclusive<u64>]>) -> String {
    let mut words = Vec::new();
    let mut typed = std::env::args();
    while let Some(word) = typed.next() {
        let name = word.split('=').next().unwrap_or_default();
        match name {
            "--only" | "--limit" => {
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
            let ranges: Vec<_> = ranges.iter().map(range).collect();
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

fn range(range: &RangeInclusive<u64>) -> String {
    match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
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
