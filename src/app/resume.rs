//! `flowbatch resume`: goes on where a run stopped.

use std::path::Path;

use crate::cli::{RecordArgs, ResumeArgs};
use crate::engine::run::Beginning;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::destination::Destination;
use crate::job::flags::Flags;
use crate::job::problems::Problems;
use crate::job::record::Original;
use crate::model::counted::counted;
use crate::model::event::{RunStarted, SessionStarted};
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
use super::input::{Copy, Input};
use super::lanes;
use super::left_rows::LeftRows;
use super::locks::{Holder, Locks, Policy};
use super::planning::{planned_changes, plans_on_record};
use super::question::Asked;
use super::record_check::check_record;
use super::report::{digest, digest_of};
use super::run::run_started;
use super::session::Session;
use super::taken::Taken;
use super::{Done, clock, journal_file, operator, report_target, runtime, signals, terminal};

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
    let copy = folder.file(record.input_file());
    let mut taken = Taken::again(record, Copy::Kept(copy))?;
    let mut problems = Problems::default();
    let flags = args.caution.flags(args.pace.flags(Flags::default()));
    taken.job.settings = taken.job.settings.again(&flags, &mut problems);
    if !problems.is_empty() {
        return Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        ));
    }
    tell_of_changed_input(&taken);
    report_target::check(&args.record, "", taken.input.as_ref())?;
    check_zone(&taken.job)?;
    let holder = || Holder::of(&folder.id, &taken, clock::wall());
    let policy = Policy {
        if_locked: args.record.if_locked,
        quiet: args.output.quiet,
    };
    let Some(locks) = Locks::take(&state, &taken, holder, policy)? else {
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
        (digest.tally.rows, digest.tally.skipped) = (taken.census.rows, taken.census.skipped);
    }
    if digest.ended == Some(Ended::Gate)
        && !closed_gate(&digest)
        && taken.job.settings.send != Sent::Full
        && taken.job.settings.allow_cleared.is_empty()
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
    let changes = planned_changes(&folder, &plans, &history);
    let changes = changes.map_err(Error::machine("the plan cannot be read"))?;
    let mut left = LeftRows::of(history, args.failed).with_changes(changes);
    let counted = left.count(&taken);
    let doing = "the rows that are left cannot be found";
    let (count, in_doubt) = counted.map_err(Error::machine(doing))?;
    let asked = match count {
        0 => Asked::Nobody,
        _ => Asked::find(args.caution.yes || is_simulator(taken.job.destination))?,
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
        taken,
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
    taken: Taken,
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
    async fn go_on(mut self, args: &ResumeArgs, state: &State) -> Done {
        let open = self.open(args, state).await?;
        if !args.other_credential {
            refuse_others(&self.lanes, &open.lanes)?;
        }
        let resumed = Resumed {
            run_id: self.folder.id.clone(),
            left: self.count,
            in_doubt: self.in_doubt,
        };
        let seed = clock::seed();
        let beginning = self.beginning(&open, seed)?;
        let session = Session {
            record: &self.record_args,
            output: &args.output,
            taken: self.taken,
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

    async fn open(&mut self, args: &ResumeArgs, state: &State) -> Result<Open, Error> {
        let destination = self.taken.job.destination;
        if self.count == 0 {
            // A summary needs no credential.
            return Ok(Open::on_record(
                self.lanes.clone(),
                is_simulator(destination),
            ));
        }
        match destination {
            Destination::Simulator => Open::simulator(&self.taken, state.world(), false).await,
            Destination::Services => {
                let asked = lanes::Asked::new(&args.credential, self.taken.job.method);
                Open::services(&mut self.taken, asked).await
            }
        }
    }

    fn beginning(&self, open: &Open, seed: u64) -> Result<Beginning, Error> {
        let (folder, digest) = (&self.folder, &self.digest);
        if digest.last_at.is_none() {
            // It was killed before its first line.
            let job = folder.file("job.json");
            let job_sha256 = sha256_of(&job).map_err(Error::file("cannot read", &job))?;
            let input = self.taken.input.as_ref();
            return Ok(Beginning::Run(RunStarted {
                copy: input.map(Input::hashed).transpose()?,
                ..run_started(folder, &self.taken, job_sha256, &open.lanes, seed)
            }));
        }
        let started = SessionStarted {
            session: digest.later_sessions() + 2,
            operator: operator(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            lanes: open.lanes.clone(),
            seed,
            rows: self.count,
        };
        Ok(Beginning::Session(started, digest.tally.clone()))
    }
}

/// The run goes on with the rows on record, whatever the file holds by now.
fn tell_of_changed_input(taken: &Taken) {
    let Some(input) = &taken.input else { return };
    let own = Original {
        path: input.path.clone(),
        sha256: input.sha256.clone(),
    };
    let files = match input.originals.as_slice() {
        [] => std::slice::from_ref(&own),
        originals => originals,
    };
    for Original { path, sha256 } in files {
        let file = Path::new(path);
        if file.is_file() && sha256_of(file).is_ok_and(|now| now != *sha256) {
            terminal::complain(&format!(
                "warning: {path} has changed since the run began; it goes on with the rows as they were"
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
