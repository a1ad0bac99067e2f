//! The end of a run: its report, its summary, its exit code.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use jiff::tz::TimeZone;

use crate::cli::{OutputArgs, OutputShape, RecordArgs};
use crate::engine::ports::Watcher;
use crate::engine::run::Broken;
use crate::engine::work::millis;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::flags::Snapshot;
use crate::model::outcome::Ended;
use crate::model::target::LaneId;
use crate::sinks::attention::Attention;
use crate::sinks::digest::Digest;
use crate::sinks::ends::Ends;
use crate::sinks::html::PageRows;
use crate::sinks::mail::mail_text;
use crate::sinks::metrics::metrics_text;
use crate::sinks::report::Written;
use crate::sinks::summary::{
    ApprovalFacts, Closing, Counts, FileFacts, InputFacts, JobFacts, Summary, TargetFacts,
    UNREADABLE, closing_text, is_wrong_workspace,
};

use super::destination::Open;
use super::folder::{Readers, RunFolder, sha256, sha256_of, write_whole};
use super::page::Page;
use super::record_check::{KnownFile, known_files};
use super::reporting::Reporting;
use super::resolved_job::ResolvedJob;
use super::{Done, host, journal_file, operator, terminal};

/// A run that is over.
pub(super) struct Closed<'a> {
    pub(super) record: &'a RecordArgs,
    pub(super) output: &'a OutputArgs,
    pub(super) resolved: ResolvedJob,
    pub(super) folder: RunFolder,
    pub(super) open: Open,
    pub(super) digest: Digest,
    /// Whether damaged lines of the journal are passed over.
    pub(super) salvage: bool,
    /// How the rows stand, where the journal was written from its beginning here.
    pub(super) ends: Option<Rc<Ends>>,
    pub(super) ran: Result<Ended, Broken>,
}

/// What was written of a run that is over, and what was not.
struct Outputs<'a> {
    /// The report, if it could be written.
    written: Option<&'a Written>,
    /// The rows that need a person.
    attention: &'a Attention,
    /// What could not be written, each with why and what to do.
    trouble: &'a [String],
    /// What CSV files leave out, each with what helps.
    left_out: &'a [String],
    pages: &'a [String],
    /// Of `summary.json`.
    sha256: &'a str,
}

/// Writes what is to be written of a run that is over, and tells how it went.
pub(super) fn close(mut closed: Closed<'_>) -> Done {
    let mut trouble = Vec::new();
    let is_behind = closed.ran.is_err();
    let ended = closed.ended(&mut trouble);
    if is_behind {
        keep(closed.catch_up(), &mut trouble);
    }
    closed.digest.ended = Some(ended);
    keep(closed.open.close(), &mut trouble);
    let mut derived = keep(
        closed.reporting().write_all(closed.wants_page()),
        &mut trouble,
    );
    if let (None, Some(told)) = (&derived, trouble.last_mut()) {
        let again = command("report", &closed.folder, Vec::new());
        told.push_str(&format!("\n  once that is mended: {again}"));
    }
    let of_rows = derived
        .iter_mut()
        .flat_map(|derived| derived.trouble.drain(..));
    trouble.extend(of_rows.map(|error| error.text()));
    // Only a record that failed leaves rows that were sent without an end.
    closed.digest.tally.unknown += derived
        .as_ref()
        .map_or(0, |derived| derived.written.in_doubt);
    match &derived {
        Some(_) => keep(closed.copy_report(), &mut trouble).unwrap_or_default(),
        // What an earlier session left says nothing about this one.
        None => keep(closed.forget(), &mut trouble).unwrap_or_default(),
    }
    let exit = Exit::of_run(ended, &closed.digest.tally, !trouble.is_empty());
    let files = derived.as_ref().map_or(&[][..], |derived| &derived.files);
    let left_out = derived.as_ref().map(|derived| &derived.left_out);
    let summary = Summary {
        undo_left_out: left_out.map_or(Vec::new(), |left_out| left_out.undo.clone()),
        ..closed.summary(ended, exit, files)
    };
    let json = serde_json::to_string_pretty(&summary).map_err(Error::machine("no summary"))?;
    let bytes = format!("{json}\n");
    let summed_up = closed.folder.write("summary.json", bytes.as_bytes());
    keep(summed_up, &mut trouble);
    let sha256 = sha256(bytes.as_bytes());
    let rows = derived
        .as_mut()
        .map(|derived| {
            let page = std::mem::take(&mut derived.page);
            (derived.attention.clone(), page)
        })
        .unwrap_or_default();
    let pages = match &derived {
        Some(_) => keep(closed.write_pages(&rows), &mut trouble).unwrap_or_default(),
        None => Vec::new(),
    };
    keep(closed.write_metrics(&summary), &mut trouble);
    let exit = Exit::of_run(ended, &closed.digest.tally, !trouble.is_empty());
    let written = derived.as_ref().map(|derived| &derived.written);
    let mut notes = derived
        .as_ref()
        .map_or(Vec::new(), |derived| derived.left_out.text());
    notes.extend(closed.no_way_back(written));
    let outputs = Outputs {
        written,
        attention: &rows.0,
        trouble: &trouble,
        left_out: &notes,
        pages: &pages,
        sha256: &sha256,
    };
    match (closed.output.output, closed.output.quiet) {
        (_, true) if exit == Exit::Done => {}
        (OutputShape::Text, true) => {
            terminal::print_end(&closed.mail(&outputs, exit));
        }
        (shape, _) => {
            for text in &trouble {
                terminal::complain(text);
            }
            match shape {
                OutputShape::Json => terminal::print_json(&json),
                OutputShape::Text => terminal::print_end(&closed.text(&outputs)),
            }
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
        let broken = match ran {
            Ok(ended) => return ended,
            Err(broken) => broken,
        };
        if let Broken::Left(ended) = broken {
            terminal::complain(&format!(
                "warning: {broken}: it may lose its end if this machine fails now"
            ));
            return ended;
        }
        let is_input = matches!(broken, Broken::Rows(_));
        let error = Error::machine("the run was stopped")(broken);
        let folder = self.folder.path.display();
        let advice = match (is_input, error.has_no_room()) {
            (true, false) => format!("do not touch the files of a run: see {folder}"),
            (_, true) => {
                format!("free space for {folder}: what is known stands in its journal.jsonl")
            }
            (false, false) => {
                format!(
                    "look after the disk of {folder}: what is known stands in its journal.jsonl"
                )
            }
        };
        trouble.push(format!("{}\n  {advice}", error.text()));
        Ended::RecordFailed
    }

    /// Who watches sees what is durable; at the end all counts that is on record, as for the report.
    fn catch_up(&mut self) -> Result<(), Error> {
        let mut digest = Digest::default();
        let journal = self.folder.file("journal.jsonl");
        for entry in journal_file::read(&journal, self.salvage)? {
            digest.see(
                &entry
                    .map_err(Error::machine("the journal cannot be read again"))?
                    .event,
            );
        }
        self.digest = digest;
        Ok(())
    }

    /// On whose behalf the run went, as far as the service has taken the credential.
    fn identity(&self) -> Vec<String> {
        let lanes = self.open.lanes.iter().enumerate();
        let used: Vec<_> = lanes
            .filter(|(_, lane)| lane.credential.is_some())
            .collect();
        // Where the live state is not read, a row that succeeded tells it, if there is but one lane.
        let by_rows = used.len() == 1 && self.digest.tally.succeeded > 0;
        let confirmed = |lane: usize| by_rows || self.digest.confirmed.contains(&LaneId(lane));
        let taken = used.iter().filter(|(lane, _)| confirmed(*lane));
        let mut identity: Vec<_> = taken
            .filter_map(|(_, lane)| lane.identity.clone().or_else(|| lane.credential.clone()))
            .collect();
        identity.dedup();
        identity
    }

    fn report_path(&self) -> PathBuf {
        self.folder.file("report.csv")
    }

    fn reporting(&self) -> Reporting<'_> {
        Reporting {
            resolved: &self.resolved,
            lanes: &self.open.lanes,
            digest: &self.digest,
            folder: &self.folder,
            salvage: self.salvage,
            ends: self.ends.clone(),
        }
    }

    /// Removes what an earlier session wrote.
    fn forget(&self) -> Result<(), Error> {
        self.folder.remove("rerun.csv")?;
        self.folder.remove("undo.csv")?;
        self.folder.remove("report.html")?;
        self.folder.remove("report.csv")
    }

    /// Writes the report where `--report` asks for it as well.
    fn copy_report(&self) -> Result<(), Error> {
        let Some(to) = &self.record.report else {
            return Ok(());
        };
        write_whole(to, Readers::Usual, |file| {
            std::io::copy(&mut File::open(self.report_path())?, file).map(|_| ())
        })
        .map_err(Error::file("cannot write the report to", to))
    }

    /// Whether the run is written as a page into its folder: where there is a ticket that wants it; and one that an earlier session or
    /// `report` has left would be stale.
    fn keeps_page(&self) -> bool {
        self.record.ticket.is_some() || self.folder.file("report.html").exists()
    }

    /// Whether the run is written as a page at all.
    fn wants_page(&self) -> bool {
        self.keeps_page() || self.record.html.is_some()
    }

    /// Writes the run as one page where it is asked for, and into its folder where there is a ticket that wants it.
    fn write_pages(&self, rows: &(Attention, PageRows)) -> Result<Vec<String>, Error> {
        let page = Page {
            folder: &self.folder,
            resolved: &self.resolved,
            lanes: &self.open.lanes,
            rows,
            salvage: self.salvage,
        };
        let mut written = Vec::new();
        if self.keeps_page() {
            let path = self.folder.file("report.html");
            page.write_to(&path, self.folder.readers())?;
            written.push(path.display().to_string());
        }
        if let Some(path) = &self.record.html {
            page.write_to(path, Readers::Usual)?;
            written.push(path.display().to_string());
        }
        Ok(written)
    }

    /// Writes figures for Prometheus where `--metrics-file` asks for them.
    fn write_metrics(&self, summary: &Summary) -> Result<(), Error> {
        let Some(to) = &self.record.metrics_file else {
            return Ok(());
        };
        // Without it there was no success yet.
        let earlier = fs::read_to_string(to).unwrap_or_default();
        let text = metrics_text(summary, &earlier);
        write_whole(to, Readers::Usual, |file| file.write_all(text.as_bytes()))
            .map_err(Error::file("cannot write the metrics to", to))
    }

    fn summary(&self, ended: Ended, exit: Exit, derived: &[FileFacts]) -> Summary {
        let Self {
            record,
            resolved,
            folder,
            open,
            digest,
            ..
        } = self;
        let start = digest.start.as_ref();
        let (pauses, paused) = digest.throttled();
        let file = |name: &str| {
            let sha256 = sha256_of(&folder.file(name)).ok()?;
            Some(FileFacts {
                path: name.to_owned(),
                sha256,
                rows: None,
            })
        };
        let known = known_files(folder, digest);
        let of_known = |known: &KnownFile| FileFacts {
            path: known.name(),
            sha256: known.sha256.clone(),
            rows: None,
        };
        let known: Vec<FileFacts> = known.iter().map(of_known).collect();
        let is_plan =
            |file: &&FileFacts| file.path.starts_with("plan") || file.path.starts_with("snapshot");
        let sources = resolved.kept_sources.iter().map(|source| FileFacts {
            path: source.file.clone(),
            sha256: source.sha256.clone(),
            rows: None,
        });
        let files: Vec<FileFacts> = known
            .iter()
            .filter(|file| !is_plan(file))
            .cloned()
            .chain(file("journal.jsonl"))
            .chain(derived.iter().cloned())
            .chain(sources)
            .chain(known.iter().filter(is_plan).cloned())
            .collect();
        Summary {
            schema_version: 1,
            run_id: folder.id.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            operator: operator(),
            identity: self.identity(),
            host: host(),
            command: shell(typed()),
            ticket: record.ticket.clone(),
            partition: resolved.job.selection.partition.map(String::from),
            simulated: open.is_simulated(),
            snapshot: resolved.job.settings.snapshot.as_str().to_owned(),
            rate: resolved.job.settings.wanted().to_string(),
            job: JobFacts {
                name: resolved.name.clone(),
                sha256: start
                    .map(|start| start.job_sha256.clone())
                    .unwrap_or_default(),
            },
            input: resolved.input.as_ref().map(|input| InputFacts {
                path: input.path.clone(),
                sha256: input.sha256.clone(),
                rows: resolved.census.rows,
            }),
            targets: targets(open, resolved, digest),
            counts: Counts::from(&digest.tally),
            started_at: digest.started_at,
            finished_at: digest.last_at,
            took_ms: millis(digest.time.total()),
            asked_ms: millis(digest.time.asked()),
            pauses,
            paused_ms: millis(paused),
            sessions: digest.sessions.clone(),
            ended,
            waves: digest.waves.values().cloned().collect(),
            stages_left: digest.stages_left.clone(),
            approval: approvals(digest),
            undo_left_out: Vec::new(),
            given_up: digest.closed.clone(),
            exit_code: exit.code(),
            files,
        }
    }

    /// That nothing can be put back, where the run changed something without looking.
    fn no_way_back(&self, written: Option<&Written>) -> Option<String> {
        let is_blind = self.resolved.job.settings.snapshot == Snapshot::Off;
        let has_undo = written.is_some_and(|written| written.changed.count() > 0);
        let has_changed = self.digest.tally.succeeded + self.digest.tally.unknown > 0;
        (is_blind && has_changed && !has_undo).then(|| {
            "undo:   none, because --snapshot off leaves out what was there before".to_owned()
        })
    }

    /// The closing text for people.
    fn text(&self, outputs: &Outputs<'_>) -> String {
        self.tell(outputs, |closing| {
            closing_text(&self.digest, closing, outputs.attention)
        })
    }

    /// What a run that nobody watched says if somebody should look.
    fn mail(&self, outputs: &Outputs<'_>, exit: Exit) -> String {
        self.tell(outputs, |closing| {
            mail_text(
                &self.digest,
                closing,
                outputs.attention,
                &host(),
                exit.code(),
            )
        })
    }

    /// What `text` makes of the end, without the last line's end.
    fn tell(&self, outputs: &Outputs<'_>, text: impl FnOnce(&Closing<'_>) -> String) -> String {
        let written = outputs.written;
        let tally = &self.digest.tally;
        let work_left = match written {
            Some(written) => written.left.count() > 0,
            None => tally.failed + tally.unknown + tally.left() > 0,
        };
        let next = work_left.then(|| match written {
            Some(written) => next_command(&self.folder, written, tally.failed, &self.digest),
            None => format!(
                "to go on with what is left, once that is mended:\n  {}",
                command("resume", &self.folder, Vec::new())
            ),
        });
        let report = self
            .record
            .report
            .clone()
            .unwrap_or_else(|| self.report_path());
        let report = report.display().to_string();
        let has_changed = match written {
            Some(written) => written.way_back > 0,
            None => {
                let is_blind = self.resolved.job.settings.snapshot == Snapshot::Off;
                !is_blind && tally.succeeded + tally.unknown > 0
            }
        };
        let undo = has_changed.then(|| {
            let flags = match self.digest.ended {
                Some(Ended::Gate) if !closed_gate(&self.digest) => {
                    vec!["--send".to_owned(), "full".to_owned()]
                }
                Some(_) | None => Vec::new(),
            };
            command("undo", &self.folder, flags)
        });
        let closing = Closing {
            hint: unreadable(&self.digest, &self.resolved),
            undo: undo.as_deref(),
            job: &self.resolved.name,
            simulated: self.open.is_simulated(),
            target: &self.open.text(),
            folder: &self.folder.path.display().to_string(),
            sha256: outputs.sha256,
            report: written.map(|_| report.as_str()),
            pages: outputs.pages,
            trouble: outputs.trouble,
            left_out: outputs.left_out,
            next: next.as_deref(),
            zone: &TimeZone::system(),
        };
        text(&closing).trim_end().to_owned()
    }
}

/// What helps if the live state could not be read for want of permission.
fn unreadable(digest: &Digest, resolved: &ResolvedJob) -> Option<&'static str> {
    let was_read = resolved.job.settings.snapshot == Snapshot::Off || digest.plan.is_some();
    let is_wrong = digest.unread.as_ref().is_some_and(is_wrong_workspace);
    (digest.refused_workspaces > 0 && !was_read && !is_wrong).then_some(UNREADABLE)
}

/// The lanes that rows left by.
fn targets(open: &Open, resolved: &ResolvedJob, digest: &Digest) -> Vec<TargetFacts> {
    let lanes = open.lanes.iter().zip(&resolved.census.lanes);
    let lanes = lanes.enumerate();
    let used = lanes.filter(|(_, (facts, _))| facts.credential.is_some());
    used.map(|(lane, (facts, census))| TargetFacts {
        lane: facts.clone(),
        workspaces: census.places.len() as u64,
        found_limit: digest.limits.get(&LaneId(lane)).copied(),
    })
    .collect()
}

/// Who let the run go on.
fn approvals(digest: &Digest) -> Vec<ApprovalFacts> {
    let approvals = digest.approvals.iter().cloned();
    approvals
        .map(|(at, approval)| ApprovalFacts { at, approval })
        .collect()
}

/// The command line, as text.
fn typed() -> impl Iterator<Item = String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned())
}

/// Whether a wave was judged, and no other followed it.
pub(super) fn closed_gate(digest: &Digest) -> bool {
    digest.waves.values().any(|wave| wave.closed.is_some())
}

/// Whether rows were not as they were set when they were read back.
fn differs(digest: &Digest) -> bool {
    let mut waves = digest.waves.values();
    waves.any(|wave| !wave.differing.is_empty())
}

/// The command that goes on with the rows that are left.
fn next_command(folder: &RunFolder, written: &Written, failed: u64, digest: &Digest) -> String {
    let mut flags = Vec::new();
    let ended = digest.ended;
    if ended == Some(Ended::Approval) {
        return format!(
            "to let the next wave go, and to go on:\n  {}\n  {}",
            command("approve", folder, Vec::new()),
            command("resume", folder, Vec::new())
        );
    }
    let is_harm = ended == Some(Ended::Gate) && !closed_gate(digest);
    let text = match written.resumable {
        0 => {
            flags.push("--failed".to_owned());
            match folder.file("rerun.csv").exists() {
                true => {
                    "to send what failed again, once it is mended (or mend rerun.csv and run that):"
                }
                false => "to send what failed again, once it is mended:",
            }
        }
        _ if ended == Some(Ended::Gate) && differs(digest) => {
            "to go on with the next wave, once those rows are as they were set (undo what was changed otherwise):"
        }
        _ if ended == Some(Ended::Gate) && !is_harm => {
            flags.push("--failed".to_owned());
            "if the job is wrong, mend it and run it anew: what is done is unchanged then (or undo it). If the service was \
             wrong and is mended, go on with what failed or was in conflict:"
        }
        _ if is_harm => {
            "the service clears what an update does not hold. Undo what was changed, then go on with updates that \
             hold all fields (or, if it may clear them, with --allow-cleared FIELD):"
        }
        _ if ended == Some(Ended::Unconfirmed) => {
            "the service confirms updates that it does not show, maybe of rows that succeeded too: `flowbatch verify RUN --live` \
             tells. If it only takes longer, go on with a longer --confirm-within:"
        }
        _ if ended == Some(Ended::Ceiling) => {
            "to go on once that is mended (or with --allow-drift, without --strict, with a higher max_changes or \
             max_disables):"
        }
        _ if ended == Some(Ended::MaxErrors) => {
            "to go on with the rows as they are on record, once the service is mended (errors so far count; the next stops \
             it again, unless --max-errors is raised); rows that are wrong are mended in the file, which is run anew then:"
        }
        _ if failed == 0 || ended == Some(Ended::Interrupted) => "to go on with what is left:",
        _ => "to go on with what is left, once what failed is mended:",
    };
    if ended == Some(Ended::Unconfirmed) && written.resumable > 0 {
        flags.extend(["--confirm-within", "60s"].map(str::to_owned));
    }
    if is_harm {
        flags.extend(["--send", "full", "--after-undo"].map(str::to_owned));
    }
    format!("{text}\n  {}", command("resume", folder, flags))
}

/// `flowbatch NAME RUN FLAGS`, with all that it needs.
pub(super) fn command(name: &str, folder: &RunFolder, flags: Vec<String>) -> String {
    let program = typed().next().unwrap_or_else(|| "flowbatch".to_owned());
    let mut words = vec![program, name.to_owned(), folder.id.clone()];
    words.extend(flags);
    if let Some(state) = folder.state() {
        words.push("--state-dir".to_owned());
        words.push(state.path().display().to_string());
    }
    words.extend(kept_flags(typed(), name == "resume"));
    shell(words)
}

/// The flags of `typed` that the next command needs as well, with whole paths: where the credential is and who is believed; and,
/// for another session of the same run, where its figures and its page go.
fn kept_flags(typed: impl Iterator<Item = String>, same_run: bool) -> Vec<String> {
    let whole = |path: &str| match std::path::absolute(path) {
        Ok(path) => path.display().to_string(),
        Err(_) => path.to_owned(),
    };
    let mut flags = Vec::new();
    let mut typed = typed;
    while let Some(word) = typed.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        match name.as_str() {
            "--token-file" | "--ca-file" => {}
            "--metrics-file" | "--html" if same_run => {}
            // What was said once of this run holds for the next session of it.
            "--salvage" | "--other-credential" => {
                flags.push(name);
                continue;
            }
            _ => continue,
        }
        if let Some(value) = value.or_else(|| typed.next()) {
            flags.extend([name, whole(&value)]);
        }
    }
    flags
}

/// Words as a shell takes them.
pub(super) fn shell(words: impl IntoIterator<Item = String>) -> String {
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
