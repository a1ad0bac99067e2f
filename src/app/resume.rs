//! `flowbatch resume`: goes on where a run stopped.

use std::path::Path;

use crate::cli::{RecordArgs, ResumeArgs};
use crate::engine::run::Beginning;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::destination::Destination;
use crate::job::flags::Flags;
use crate::job::problems::Problems;
use crate::job::record::{JobRecord, SourceRecord};
use crate::model::counted::counted;
use crate::model::event::{KeptFile, SessionStarted};
use crate::model::outcome::Ended;
use crate::model::route::LaneFacts;
use crate::model::tally::Tally;
use crate::model::update::Sent;
use crate::sinks::digest::Digest;
use crate::sinks::journal::Journal;

use super::announcement::Resumed;
use super::closing::closed_gate;
use super::course::check_zone;
use super::destination::{Open, is_simulator, refuse_others};
use super::folder::{RunFolder, State, sha256_of};
use super::lanes;
use super::left_rows::LeftRows;
use super::loaded_job::LoadedJob;
use super::locks::{Holder, Locks, Policy, places};
use super::planning::{planned_changes, plans_on_record};
use super::question::Asked;
use super::record_check::check_record;
use super::report::{digest, digest_of};
use super::resolved_job::ResolvedJob;
use super::run::run_started;
use super::session::Session;
use super::{
    Done, clock, journal_file, operator, report_target, rows_file, runtime, signals, terminal,
};

/// Goes on where a run stopped. It reads the run folder alone.
pub(super) fn resume(args: &ResumeArgs) -> Done {
    let state = State::open(args.record.state_dir.as_deref())?;
    let folder = state.find_run(&args.run, args.simulate)?;
    // Its locks and its simulated world are where it is.
    let state = folder.state().unwrap_or(state);
    // Before anything is read that may be wrong by now; and again under the locks.
    check_record(
        &folder,
        &digest_of(&folder.file("journal.jsonl"), args.salvage)?.0,
    )?;
    let record = folder.job()?;
    let lanes = record.lanes.clone();
    // It belongs to the run: one session names it for all.
    let record_args = RecordArgs {
        ticket: args.record.ticket.clone().or(record.ticket.clone()),
        ..args.record.clone()
    };
    let mut problems = Problems::default();
    let flags = args.caution.flags(args.pace.flags(Flags::default()));
    let record = JobRecord {
        settings: record.settings.again(&flags, &mut problems),
        ..record
    };
    if !problems.is_empty() {
        return Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        ));
    }
    let resolved = ResolvedJob::on_record(record, &folder)?;
    tell_of_changed_input(&resolved);
    report_target::check(&args.record, &resolved.inputs())?;
    check_zone(&resolved.job)?;
    let holder = || Holder::of(&folder.id, &resolved, clock::wall());
    let policy = Policy {
        if_locked: args.record.if_locked,
        quiet: args.output.quiet,
    };
    let places = places(&state, &resolved, &[]);
    let Some(locks) = Locks::take(&state, &places, holder, policy)? else {
        return Ok(Exit::Done);
    };
    let path = folder.file("journal.jsonl");
    let disk = journal_file::take_over(&folder)?;
    let mut digest = digest(&path, args.salvage)?;
    check_record(&folder, &digest)?;
    if !args.after_undo
        && let Some(undo) = undone_by(&state, &folder)?
    {
        return Err(Error::Usage {
            what: format!(
                "run {} was undone by run {}: resuming it would change workflows again",
                folder.id, undo.id
            ),
            hint: "run the job anew; or resume it all the same with --after-undo".to_owned(),
        });
    }
    if digest.start.is_none() {
        let census = &resolved.census;
        (digest.tally.rows, digest.tally.skipped) = (census.rows, census.skipped);
    }
    if digest.ended == Some(Ended::Gate)
        && !closed_gate(&digest)
        && resolved.job.settings.send != Sent::Full
        && resolved.job.settings.allow_cleared.is_empty()
    {
        return Err(Error::Usage {
            what: format!(
                "run {} found that the service clears what an update does not hold",
                folder.id
            ),
            hint: "undo what it changed, then resume it with --send full --after-undo (or allow it: --allow-cleared FIELD)"
                .to_owned(),
        });
    }
    let (history, extent) = journal_file::history(&path, args.salvage)?;
    let journal = Journal::resume(disk, extent).map_err(Error::file("cannot write", &path))?;
    let plans = plans_on_record(&folder, &digest, args.salvage);
    let changes = planned_changes(&folder, &plans, &history, args.salvage);
    let changes = changes.map_err(Error::machine("the plan cannot be read"))?;
    let mut left = LeftRows::of(history, args.failed).with_changes(changes);
    let counted = left.count(&resolved);
    let doing = "the rows that are left cannot be found";
    let (count, in_doubt) = counted.map_err(Error::machine(doing))?;
    let asked = match count {
        0 => Asked::Nobody,
        _ => Asked::find(args.caution.yes || is_simulator(resolved.job.destination))?,
    };
    // A run that was killed after its last row still wants its report.
    if count == 0 && is_summed_up(&folder) && has_all_files(&folder) {
        let exit = Exit::of_run(Ended::Completed, &digest.tally, false);
        let text = nothing_left(&folder, &digest, args.failed);
        if exit != Exit::Done {
            return Err(Error::GivenUp { text, exit });
        }
        if !args.output.quiet {
            terminal::complain(&text);
        }
        return Ok(exit);
    }
    let stopped = Stopped {
        resolved,
        lanes,
        folder,
        digest,
        left,
        count,
        in_doubt,
        asked,
        journal,
        locks,
        record_args,
    };
    runtime()?.block_on(stopped.go_on(args, &state))
}

/// The newest run that has put back something of what the run in `folder` changed.
pub(super) fn undone_by(state: &State, folder: &RunFolder) -> Result<Option<RunFolder>, Error> {
    for other in state.undoes(folder)? {
        let journal = other.file("journal.jsonl");
        // One without a journal was pruned: its summary is what is left.
        let attempts = match (digest(&journal, true), other.summary()) {
            (Ok(digest), _) => digest.tally.attempts,
            (Err(_), Some(summary)) => summary.counts.tally.attempts,
            (Err(_), None) => 0,
        };
        if attempts > 0 {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// A run that stopped, and what this process holds of it.
struct Stopped {
    resolved: ResolvedJob,
    /// Where it went.
    lanes: Vec<LaneFacts>,
    folder: RunFolder,
    /// What it came to.
    digest: Digest,
    left: LeftRows,
    count: u64,
    in_doubt: u64,
    asked: Asked,
    journal: Journal,
    locks: Locks,
    /// Where the record goes, and its ticket.
    record_args: RecordArgs,
}

/// Whether the summary speaks of the journal as it is.
fn is_summed_up(folder: &RunFolder) -> bool {
    let summary = folder.summary();
    let journal = sha256_of(&folder.file("journal.jsonl")).ok();
    summary.is_some_and(|summary| summary.sha256_of("journal.jsonl") == journal.as_deref())
}

/// Whether everything that is derived from the journal is there as it was written: a disk may have been full.
fn has_all_files(folder: &RunFolder) -> bool {
    let Some(summary) = folder.summary() else {
        return false;
    };
    let is_there =
        |name: &str, sha256: &str| sha256_of(&folder.file(name)).is_ok_and(|now| now == sha256);
    let was_written = summary.exit_code != Exit::Unrecorded.code();
    let has_report = summary.sha256_of("report.csv").is_some();
    let mut files = summary.files.iter();
    was_written && has_report && files.all(|file| is_there(&file.path, &file.sha256))
}

impl Stopped {
    async fn go_on(self, args: &ResumeArgs, state: &State) -> Done {
        let (resolved, open) = open(self.resolved, &self.lanes, self.count, args, state).await?;
        if !args.other_credential {
            refuse_others(&self.lanes, &open.lanes)?;
        }
        let resumed = Resumed {
            run_id: self.folder.id.clone(),
            left: self.count,
            in_doubt: self.in_doubt,
        };
        let seed = clock::seed();
        let beginning = beginning(
            (&self.folder, &self.digest),
            &resolved,
            &open,
            (self.count, seed),
        )?;
        let session = Session {
            record: &self.record_args,
            output: &args.output,
            resolved,
            open,
            folder: self.folder,
            beginning,
            asked: self.asked,
            left: self.left,
            journal: self.journal,
            locks: self.locks,
            interrupts: signals::listen(),
            digest: self.digest,
            salvage: args.salvage,
            resumed: Some(resumed),
            seed,
        };
        session.carry_out().await
    }
}

/// Where `resolved` goes that is to go on with `count` rows.
async fn open(
    resolved: ResolvedJob,
    lanes: &[LaneFacts],
    count: u64,
    args: &ResumeArgs,
    state: &State,
) -> Result<(ResolvedJob, Open), Error> {
    let destination = resolved.job.destination;
    if count == 0 {
        // A summary needs no credential.
        let open = Open::on_record(lanes.to_vec(), is_simulator(destination));
        return Ok((resolved, open));
    }
    match destination {
        Destination::Simulator => {
            let loaded = LoadedJob::from(resolved);
            let open = Open::simulator(&loaded, state.world(), false).await?;
            Ok((loaded.resolved(), open))
        }
        Destination::Services => {
            let asked = lanes::Asked::new(&args.credential, resolved.job.method);
            let (open, _) = Open::services(&resolved, &[], asked).await?;
            Ok((resolved, open))
        }
    }
}

/// How the next session of the run in `folder` begins, which has come as far as `digest` and sends `count` rows.
fn beginning(
    (folder, digest): (&RunFolder, &Digest),
    resolved: &ResolvedJob,
    open: &Open,
    (count, seed): (u64, u64),
) -> Result<Beginning, Error> {
    if digest.last_at.is_none() {
        // It was killed before its first line.
        let sha256_of_file = |name: &str| {
            let path = folder.file(name);
            sha256_of(&path).map_err(Error::file("cannot read", &path))
        };
        let input = KeptFile {
            path: rows_file::NAME.to_owned(),
            sha256: sha256_of_file(rows_file::NAME)?,
        };
        let files = (sha256_of_file("job.json")?, input);
        let started = run_started(folder, resolved, files, &open.lanes, seed);
        return Ok(Beginning::Run(started));
    }
    let started = SessionStarted {
        session: digest.later_sessions() + 2,
        operator: operator(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        lanes: open.lanes.clone(),
        seed,
        rows: count,
    };
    Ok(Beginning::Session(started, digest.tally.clone()))
}

/// The run goes on with the rows on record, whatever the file holds by now.
fn tell_of_changed_input(resolved: &ResolvedJob) {
    for SourceRecord { path, sha256, .. } in &resolved.kept_sources {
        let file = Path::new(path);
        if file.is_file() && sha256_of(file).is_ok_and(|now| now != *sha256) {
            terminal::complain(&format!(
                "warning: {path} has changed since the run began; it goes on as it began"
            ));
        }
    }
}

fn nothing_left(folder: &RunFolder, digest: &Digest, failed_too: bool) -> String {
    let Tally {
        failed, conflict, ..
    } = digest.tally;
    let mut text = format!("run {} has nothing left to send", folder.id);
    if failed > 0 && !failed_too {
        let them = if failed == 1 { "it" } else { "them" };
        let rows = counted(failed, "row");
        text += &format!("; {rows} failed for good: --failed sends {them} again");
    }
    if conflict > 0 {
        let need = if conflict == 1 { "needs" } else { "need" };
        let (rows, report) = (counted(conflict, "row"), folder.file("report.csv"));
        text += &format!("; {rows} {need} attention: {}", report.display());
    }
    text
}
