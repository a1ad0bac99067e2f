//! `flowbatch verify`: whether the record of a run is whole and says the same everywhere.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::VerifyArgs;
use crate::engine::ports::Watcher;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::flags::Snapshot;
use crate::model::counted::counted;
use crate::model::event::Event;
use crate::model::outcome::Ended;
use crate::plan::preview::{Action, PlannedRow};
use crate::sinks::digest::Digest;
use crate::sinks::report::Written;
use crate::sinks::summary::{Counts, Summary};

use super::folder::{Hashed, RunFolder, State, sha256_of};
use super::journal_file::{self, is_written};
use super::record_check::{KnownFile, known_files};
use super::reporting::{Reporting, Verified};
use super::resolved_job::ResolvedJob;
use super::undo::way_back;
use super::{Done, plan, rows_file, runtime, terminal};

const DOING: &str = "the live state cannot be compared";

/// Rows that are told one by one.
const MOST_ROWS: usize = 20;

/// Replays the journal of a run, compares everything that is on record with it, and tells what differs.
pub(super) fn verify(args: &VerifyArgs) -> Done {
    let state = State::open(args.state_dir.as_deref())?;
    let folder = state.find_run(&args.run, args.simulate)?;
    let state = folder.state().unwrap_or(state);
    let journal = folder.file("journal.jsonl");
    if is_written(&journal) {
        return Err(Error::Usage {
            what: format!("run {} goes on", folder.id),
            hint: "verify it when it has ended".to_owned(),
        });
    }
    if !journal.exists() {
        return Err(Error::Usage {
            what: format!("run {} has no journal: its record was pruned", folder.id),
            hint: "its summary.json is what is left".to_owned(),
        });
    }
    let mut findings = Findings::default();
    let Some(replayed) = replay(&folder, &mut findings)? else {
        return Ok(findings.tell_the_rest_is_open());
    };
    // All else is made by job.json and the input, and a changed plan may name other servers and values.
    let (mut is_as_known, mut is_readable) = (true, true);
    for file in known_files(&folder, &replayed.digest) {
        let name = file.name();
        let is_good = findings.compare(&folder, &name, &file.sha256, "the journal");
        is_as_known &= is_good;
        is_readable &= is_good || !(name == "job.json" || name == rows_file::NAME);
    }
    if !is_readable {
        return Ok(findings.tell_the_rest_is_open());
    }
    // What cannot be read says nothing that the rest could be compared with.
    let record = match folder.job() {
        Ok(record) => record,
        Err(error) => {
            findings.wrong("job.json", &error.text());
            return Ok(findings.tell_the_rest_is_open());
        }
    };
    let (lanes, blind) = (
        record.lanes.clone(),
        record.settings.snapshot == Snapshot::Off,
    );
    let name = record.name.clone();
    for source in &record.sources {
        findings.compare(&folder, &source.file, &source.sha256, "job.json");
    }
    let input = rows_file::NAME;
    let resolved = match ResolvedJob::on_record(record, &folder) {
        Ok(resolved) => resolved,
        Err(error) => {
            findings.wrong(input, &format!("does not read as it did\n{}", error.text()));
            return Ok(findings.tell_the_rest_is_open());
        }
    };
    let reporting = Reporting {
        resolved: &resolved,
        lanes: &lanes,
        digest: &replayed.digest,
        folder: &folder,
        salvage: false,
        ends: None,
    };
    let verified = reporting.verified()?;
    let written = &verified.written;
    findings.compare_made(&folder, "report.csv", &verified.report);
    findings.compare_undo(&folder, &verified);
    findings.compare_summary(&reporting, &replayed, written, args.sha256.as_deref())?;
    terminal::print(&format!("run {} of {name}", folder.id));
    terminal::print(&findings.lines.join("\n"));
    if args.live && !is_as_known {
        terminal::print(
            "  open   live             not read: a changed file may name another server",
        );
    } else if args.live {
        let exit = live(args, &state, &reporting, &verified, blind, &mut findings)?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    Ok(match findings.wrong {
        0 => {
            terminal::print("the record is whole");
            Exit::Done
        }
        1 => {
            terminal::print("1 thing is not as it was left");
            Exit::Attention
        }
        wrong => {
            terminal::print(&format!("{wrong} things are not as they were left"));
            Exit::Attention
        }
    })
}

/// What the journal says when it is read from the beginning.
struct Replayed {
    digest: Digest,
    /// How long the journal was when its last session ended, in bytes; after that there are approvals alone.
    summed_up: Option<u64>,
}

/// None of a journal that is damaged, which says nothing that could be relied on.
fn replay(folder: &RunFolder, findings: &mut Findings) -> Result<Option<Replayed>, Error> {
    let mut digest = Digest::default();
    let mut reader = journal_file::read(&folder.file("journal.jsonl"), false)?;
    let mut events = 0_u64;
    let mut summed_up = None;
    while let Some(entry) = reader.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(damage) => {
                findings.wrong("journal.jsonl", &damage.to_string());
                return Ok(None);
            }
        };
        digest.see(&entry.event);
        events += 1;
        let event = &entry.event.event;
        if matches!(event, Event::SessionEnded { .. }) {
            summed_up = Some(reader.extent().bytes);
        } else if !matches!(event, Event::Approved(_)) {
            summed_up = None;
        }
    }
    let extent = reader.extent();
    let last = digest.sessions.last();
    match (extent.torn > 0, last.and_then(|session| session.ended)) {
        (true, _) => findings.wrong("journal.jsonl", "its end is torn off, as by a crash"),
        (false, None) => findings.wrong(
            "journal.jsonl",
            "its last session has no end: it was killed; `flowbatch resume` goes on with it",
        ),
        (false, Some(_)) => findings.good(
            "journal.jsonl",
            &format!("{}, each with its checksum", counted(events, "event")),
        ),
    }
    Ok(Some(Replayed { digest, summed_up }))
}

/// What was found, line by line.
#[derive(Default)]
struct Findings {
    lines: Vec<String>,
    wrong: u64,
}

impl Findings {
    fn good(&mut self, file: &str, what: &str) {
        self.lines.push(format!("  ok     {file:<16} {what}"));
    }

    fn wrong(&mut self, file: &str, what: &str) {
        self.wrong += 1;
        self.lines.push(format!("  WRONG  {file:<16} {what}"));
    }

    /// Says what was found, and that nothing else could be looked at.
    fn tell_the_rest_is_open(&self) -> Exit {
        terminal::print(&self.lines.join("\n"));
        terminal::print("the record is damaged; the rest of it could not be compared");
        Exit::Attention
    }

    /// Compares the hash of a file with the one that stands in `whose` record.
    fn compare(&mut self, folder: &RunFolder, file: &str, sha256: &str, whose: &str) -> bool {
        self.compare_with(folder, file, sha256, &format!("as {whose} has it"))
    }

    /// Compares the hash of a file with that of what the journal makes.
    fn compare_made(&mut self, folder: &RunFolder, file: &str, sha256: &str) {
        self.compare_with(folder, file, sha256, "as the journal makes it");
    }

    /// Tells whether they are the same.
    fn compare_with(
        &mut self,
        folder: &RunFolder,
        file: &str,
        sha256: &str,
        as_wanted: &str,
    ) -> bool {
        match sha256_of(&folder.file(file)) {
            Ok(now) if now == sha256 => {
                self.good(file, as_wanted);
                return true;
            }
            Ok(_) => self.wrong(file, &format!("not {as_wanted}")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.wrong(file, &format!("gone, not {as_wanted}"));
            }
            Err(error) => self.wrong(file, &format!("cannot be read: {error}")),
        }
        false
    }

    fn compare_undo(&mut self, folder: &RunFolder, verified: &Verified) {
        let name = "undo.csv";
        if verified.written.way_back > 0 {
            self.compare_made(folder, name, &verified.undo);
        } else if folder.file(name).exists() {
            self.wrong(name, "there is one, and there is nothing to put back");
        }
    }

    fn compare_summary(
        &mut self,
        reporting: &Reporting<'_>,
        replayed: &Replayed,
        written: &Written,
        asked: Option<&str>,
    ) -> Result<(), Error> {
        let (digest, folder) = (&replayed.digest, reporting.folder);
        let Some(summary) = folder.summary() else {
            self.wrong("summary.json", "there is none, or it cannot be read");
            return Ok(());
        };
        let path = folder.file("summary.json");
        let sha256 = sha256_of(&path).map_err(Error::file("cannot read", &path))?;
        // Those that are made from the journal were compared with that, and those that it knows.
        let mut seen = vec!["report.csv".to_owned(), "undo.csv".to_owned()];
        seen.extend(known_files(folder, digest).iter().map(KnownFile::name));
        let sources = reporting.resolved.kept_sources.iter();
        seen.extend(sources.map(|source| source.file.clone()));
        let others = summary.files.iter();
        for file in others.filter(|file| !seen.contains(&file.path)) {
            let part = replayed.summed_up.filter(|_| file.path == "journal.jsonl");
            if let Some(part) = part
                && sha256_of_part(&folder.file(&file.path), part)
                    .is_ok_and(|now| now == file.sha256)
            {
                self.good(&file.path, "as the summary has it");
            } else {
                self.compare(folder, &file.path, &file.sha256, "the summary");
            }
        }
        let mut tally = digest.tally.clone();
        tally.unknown += written.in_doubt;
        let (counts, told) = (Counts::from(&tally), &summary.counts);
        let (counts, told) = (as_json(&counts), as_json(told));
        let is_asked = |asked: &str| asked.eq_ignore_ascii_case(&sha256);
        let what = format!("sha256 {sha256}");
        match asked {
            _ if counts != told => {
                self.wrong("summary.json", "its counts are not those of the journal");
            }
            _ if !speaks_of_all(&summary, digest) => {
                self.wrong("summary.json", "it does not speak of the last session");
            }
            Some(asked) if !is_asked(asked) => {
                self.wrong(
                    "summary.json",
                    &format!("{what}, not the one that was given"),
                );
            }
            Some(_) => self.good("summary.json", &format!("{what}, the one that was given")),
            None => self.good("summary.json", &what),
        }
        Ok(())
    }
}

/// The SHA-256 of the first `length` bytes of a file.
fn sha256_of_part(path: &Path, length: u64) -> io::Result<String> {
    let mut hashed = Hashed::new(File::open(path)?.take(length));
    io::copy(&mut hashed, &mut io::sink())?;
    Ok(hashed.finish())
}

fn as_json(counts: &Counts) -> serde_json::Value {
    // Numbers alone.
    serde_json::to_value(counts).unwrap_or_default()
}

/// Whether the summary knows of every session.
fn speaks_of_all(summary: &Summary, digest: &Digest) -> bool {
    // A record that failed ends without a word of its own.
    summary.ended == Ended::RecordFailed || summary.sessions == digest.sessions
}

/// Reads the workflows that the run changed, and tells which are not as it left them.
fn live(
    args: &VerifyArgs,
    state: &State,
    reporting: &Reporting<'_>,
    verified: &Verified,
    blind: bool,
    findings: &mut Findings,
) -> Done {
    if verified.written.way_back == 0 {
        let why = match blind {
            _ if verified.written.changed.count() > 0 => "left all workflows as they were before",
            true => "did not read the live state, so nobody knows what it changed",
            false => "changed nothing",
        };
        terminal::print(&format!("  live   the run {why}"));
        return Ok(Exit::Done);
    }
    let (_, resolved) = way_back(state, reporting, &[], true, |settings| settings)?;
    let resolved = resolved?;
    let asked = plan::Asked {
        credential: &args.credential,
        output: &args.output,
        out: None,
        full: true,
        detailed_exitcode: false,
        fresh: false,
    };
    let made = runtime()?.block_on(plan::make(&asked, state, resolved.into()))?;
    let counts = &made.plan.counts;
    // A row that puts back all that it would is as the run left it; one that has nothing to put back is as it was before.
    let is_left = |row: &&PlannedRow| row.action == Action::Change;
    let left = made.rows().filter(is_left);
    let left: HashMap<u64, usize> = left
        .map(|row| (row.row, row.change.fields().count()))
        .collect();
    let shown: HashSet<u64> = made.rows().map(|row| row.row).collect();
    let (mut partly, mut never) = (BTreeSet::new(), 0);
    let mut back = Vec::new();
    for row in made.resolved.rows().map_err(Error::machine(DOING))? {
        let row = row.map_err(Error::machine(DOING))?.row;
        let is_back = !shown.contains(&row.number);
        let is_claimed = !verified.unclaimed.contains(&row.line);
        never += u64::from(is_back && !is_claimed);
        if is_back && is_claimed && back.len() < MOST_ROWS {
            back.push(row.workflow_id);
        }
        let fields = row.update.fields().count();
        if left.get(&row.number).is_some_and(|left| *left < fields) {
            partly.insert(row.number);
        }
    }
    let partly_count = partly.len() as u64;
    let unchanged = counts.unchanged.saturating_sub(never);
    let mut parts = vec![format!(
        "{} as the run left them",
        counts.changes - partly_count
    )];
    for (count, what) in [
        (partly_count, "in part as before the run"),
        (never, "as before the run, which had no proof of a change"),
        (unchanged, "as before the run"),
        (counts.conflicts, "changed since"),
        (counts.hopeless, "gone, or not to be read"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let others = partly_count + unchanged + counts.conflicts + counts.hopeless;
    let verdict = if others == 0 { "ok   " } else { "WRONG" };
    terminal::print(&format!(
        "  {verdict}  live             {}",
        parts.join(", ")
    ));
    findings.wrong += u64::from(others > 0);
    let is_other = |row: &&PlannedRow| {
        partly.contains(&row.row) || matches!(row.action, Action::Conflict | Action::Fail)
    };
    for row in made.rows().filter(is_other).take(MOST_ROWS) {
        let left = row.change.fields().map(|(field, ..)| field.as_str());
        let why = match &row.failure {
            Some(failure) => failure.message.clone(),
            None => format!(
                "only {} is as the run left it",
                left.collect::<Vec<_>>().join(", ")
            ),
        };
        let name = match row.live_name.as_str() {
            "" => String::new(),
            name => format!(" {name:?}"),
        };
        terminal::print(&format!("           {}{name}: {why}", row.workflow_id));
    }
    for id in back {
        terminal::print(&format!("           {id}: as before the run"));
    }
    Ok(Exit::Done)
}
