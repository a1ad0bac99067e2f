//! `flowbatch runs`: what runs there are, and which records are old enough to go.

use std::time::{Duration, SystemTime};
use std::{fs, io};

use jiff::Timestamp;

use crate::cli::{ListShape, PruneArgs, RunsArgs, RunsCommand};
use crate::error::Error;
use crate::exit::Exit;
use crate::model::counted::counted;
use crate::model::outcome::Ended;
use crate::model::span;
use crate::sinks::digest::Digest;
use crate::sinks::listing::{self, Listed, Open, table};
use crate::sinks::summary::Counts;

use super::changed::changed;
use super::folder::{RunFolder, State};
use super::journal_file::{JournalFile, is_written};
use super::left_rows::LeftRows;
use super::planning::{plan_path, snapshot_path};
use super::report::digest;
use super::resolved_job::ResolvedJob;
use super::{Done, clock, journal_file, terminal};

/// Tells what runs there are, or removes old records.
pub(super) fn runs(args: &RunsArgs) -> Done {
    let state = State::open(args.state_dir.as_deref())?;
    match &args.command {
        Some(RunsCommand::Prune(prune)) => self::prune(&state, prune),
        None if args.changed => changed(&state, args),
        None => list(&state, args.simulate, args.output),
    }
}

fn list(state: &State, only_simulated: bool, shape: ListShape) -> Done {
    if shape == ListShape::Csv {
        return Err(Error::Usage {
            what: "--output csv is for changes".to_owned(),
            hint: "add --changed, or write --output json".to_owned(),
        });
    }
    let mut runs: Vec<_> = state
        .runs()?
        .iter()
        .map(|folder| listed(folder, is_written(&folder.file("journal.jsonl"))))
        .filter(|run| run.simulated || !only_simulated)
        .collect();
    runs.reverse();
    match shape {
        ListShape::Json => {
            let json = serde_json::to_string_pretty(&runs);
            terminal::print_json(&json.map_err(Error::machine("no list"))?);
        }
        ListShape::Text if runs.is_empty() => {
            terminal::complain(&format!("no runs in {}", state.path().display()));
        }
        ListShape::Text | ListShape::Csv => terminal::print(table(&runs, clock::wall()).trim_end()),
    }
    Ok(Exit::Done)
}

/// The run in one line: by its summary where that is the last word, else by its journal.
fn listed(folder: &RunFolder, running: bool) -> Listed {
    let summary = folder
        .summary()
        .filter(|_| !running && is_last_word(folder));
    if let Some(summary) = summary {
        return Listed {
            run_id: folder.id.clone(),
            job: summary.job.name,
            simulated: summary.simulated,
            state: listing::State::Ended(summary.ended),
            counts: Some(summary.counts),
            started_at: summary.started_at,
            last_at: summary.finished_at,
            operator: summary.operator,
            partition: summary.partition,
        };
    }
    let journal = folder.file("journal.jsonl");
    let job = folder.job();
    let (name, simulated) = match &job {
        Ok(job) => (job.name.clone(), job.simulated),
        Err(_) => ("-".to_owned(), false),
    };
    let digest = match journal.is_file() {
        true => digest(&journal, false).map(Some),
        false => Ok(None),
    };
    let open = match (&digest, running) {
        (_, true) => Open::Running,
        (Err(_), false) => Open::Unreadable,
        (Ok(None), false) => Open::NotBegun,
        (Ok(Some(_)), false) => Open::Killed,
    };
    let mut digest = digest.ok().flatten();
    if let Some(digest) = digest.as_mut().filter(|_| open == Open::Killed) {
        // What was in flight when it was killed has no end.
        let history = journal_file::history(&journal, false);
        digest.tally.unknown += history.map_or(0, |(history, _)| history.in_doubt());
    }
    let digest = digest.as_ref();
    let ended = digest.and_then(|digest| digest.ended).filter(|_| !running);
    let approved = ended == Some(Ended::Approval) && digest.is_some_and(Digest::is_approved);
    Listed {
        run_id: folder.id.clone(),
        job: name,
        simulated,
        state: match ended {
            Some(_) if approved => listing::State::Open(Open::Approved),
            Some(ended) => listing::State::Ended(ended),
            None => listing::State::Open(open),
        },
        counts: digest.map(|digest| Counts::from(&digest.tally)),
        started_at: digest.and_then(|digest| digest.started_at),
        last_at: digest.and_then(|digest| digest.last_at),
        operator: digest
            .and_then(|digest| digest.start.as_ref())
            .map_or("-".to_owned(), |start| start.operator.clone()),
        partition: job
            .ok()
            .and_then(|job| job.selection.partition.map(String::from)),
    }
}

/// Whether nothing was put on record after the summary.
pub(super) fn is_last_word(folder: &RunFolder) -> bool {
    let written = |name: &str| fs::metadata(folder.file(name)).and_then(|found| found.modified());
    match (written("journal.jsonl"), written("summary.json")) {
        (Ok(journal), Ok(summary)) => journal <= summary,
        // A pruned run has its summary alone.
        (Err(_), Ok(_)) => true,
        (_, Err(_)) => false,
    }
}

fn prune(state: &State, args: &PruneArgs) -> Done {
    let age = span::parse(&args.older_than).map_err(|fault| {
        Error::flag(
            "--older-than",
            &args.older_than,
            &fault.to_string(),
            "write a number with a unit: \"400d\"",
        )
    })?;
    let mut pruned = 0_u64;
    let mut kept: Vec<(String, String)> = Vec::new();
    for folder in state.runs()? {
        let why = match prune_one(&folder, age) {
            Ok(Pruned::Gone) => {
                pruned += 1;
                continue;
            }
            Ok(Pruned::Young) => continue,
            Ok(Pruned::Wanted(why)) => why,
            Err(error) => error.text(),
        };
        kept.push((folder.id, why));
    }
    let records = counted(pruned, "record");
    terminal::print(&format!("pruned {records}; summaries stay"));
    for (id, why) in kept {
        terminal::complain(&format!("kept {id}: {why}"));
    }
    Ok(Exit::Done)
}

/// What becomes of a run's record.
enum Pruned {
    Gone,
    Young,
    Wanted(String),
}

fn prune_one(folder: &RunFolder, age: Duration) -> Result<Pruned, Error> {
    let journal = folder.file("journal.jsonl");
    if !journal.exists() && folder.summary().is_some() {
        // Pruned before, or half of it.
        remove(folder)?;
        return Ok(Pruned::Young);
    }
    // From here on nobody goes on with it.
    let held = journal.exists().then(|| JournalFile::open(&journal));
    let running = match &held {
        Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => true,
        Some(Ok(_)) | None => false,
        Some(Err(error)) => return Ok(Pruned::Wanted(format!("it cannot be locked: {error}"))),
    };
    let run = listed(folder, running);
    if !is_older(folder, &run, age) {
        return Ok(Pruned::Young);
    }
    match wanted(folder, &run) {
        Some(why) => Ok(Pruned::Wanted(why)),
        None => remove(folder).map(|()| Pruned::Gone),
    }
}

/// Whether the last thing that happened to the run is longer ago than `age`.
fn is_older(folder: &RunFolder, run: &Listed, age: Duration) -> bool {
    let modified = || {
        let found = fs::metadata(&folder.path).and_then(|found| found.modified());
        Timestamp::try_from(found.unwrap_or(SystemTime::UNIX_EPOCH)).ok()
    };
    let last = run.last_at.or_else(modified);
    let passed = last.and_then(|last| Duration::try_from(clock::wall().duration_since(last)).ok());
    passed.is_some_and(|passed| passed > age)
}

/// What is to be done with a record that is damaged: whether rows are left, nobody can tell.
const BY_HAND: &str = "look at it, and remove its folder by hand";

/// Why the record of the run is still wanted.
fn wanted(folder: &RunFolder, run: &Listed) -> Option<String> {
    match run.state {
        listing::State::Open(Open::Running) => return Some("it goes on".to_owned()),
        listing::State::Open(Open::NotBegun) => return None,
        listing::State::Open(Open::Unreadable) => {
            return Some(format!("its journal cannot be read: {BY_HAND}"));
        }
        listing::State::Open(Open::Killed | Open::Approved) | listing::State::Ended(_) => {}
    }
    match count_left(folder) {
        Ok(0) => None,
        Ok(1) => Some("1 row is left, which `flowbatch resume` sends".to_owned()),
        Ok(rows) => Some(format!(
            "{rows} rows are left, which `flowbatch resume` sends"
        )),
        Err(error) => {
            let error = error.text();
            Some(format!(
                "{}: {BY_HAND}",
                error.trim_start_matches("error: ").trim_end()
            ))
        }
    }
}

/// The rows that `resume` would send.
fn count_left(folder: &RunFolder) -> Result<u64, Error> {
    let path = folder.file("journal.jsonl");
    let (history, _) = journal_file::history(&path, false)?;
    let record = folder.job()?;
    let resolved = ResolvedJob::on_record(record, folder)?;
    let mut left = LeftRows::of(history, false);
    let counted = left.count(&resolved);
    let (count, _) = counted.map_err(Error::machine("the rows that are left cannot be found"))?;
    Ok(count)
}

/// What a run folder may hold besides its summary; the journal goes first, so that nobody goes on with a
/// run that is half removed.
const FILES: [&str; 8] = [
    "journal.jsonl",
    "snapshot.jsonl",
    "plan.jsonl",
    "undo.csv",
    "report.csv",
    "report.html",
    "rerun.csv",
    "job.json",
];

/// Removes everything but the summary; the folder as well where there is none and nothing else is in it.
fn remove(folder: &RunFolder) -> Result<(), Error> {
    for name in FILES {
        folder.remove(name)?;
    }
    let entries = fs::read_dir(&folder.path).map_err(Error::file("cannot read", &folder.path))?;
    for entry in entries.flatten() {
        // The rows, and the files that they were made from.
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("input.") || name.starts_with("input-") {
            folder.remove(&name)?;
        }
    }
    for session in 2.. {
        let paths = [snapshot_path(folder, session), plan_path(folder, session)];
        if !paths.iter().any(|path| path.exists()) {
            break;
        }
        for path in paths.into_iter().filter(|path| path.exists()) {
            fs::remove_file(&path).map_err(Error::file("cannot remove", path))?;
        }
    }
    // It stays where the summary does.
    let _ = fs::remove_dir(&folder.path);
    Ok(())
}
