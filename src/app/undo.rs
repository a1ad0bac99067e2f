//! `flowbatch undo`: puts back what a run changed, by a run of its own.

use std::io::{BufWriter, Seek, Write};

use crate::cli::UndoArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::flags::Flags;
use crate::job::flags::Snapshot;
use crate::job::problems::Problems;
use crate::job::record::{Form, InputRecord, JobRecord};
use crate::job::selection::{self, Choice, Only, Subject};
use crate::job::settled;
use crate::job::table::Options;
use crate::model::row::Row;
use crate::model::update::Update;
use crate::policy::budget::Most;
use crate::policy::ceiling::Ceilings;
use crate::sinks::report::Written;

use super::destination::is_simulator;
use super::folder::{RunFolder, State, sha256_of};
use super::input::Copy;
use super::journal_file::is_written;
use super::locks::{Holder, Locks, Policy};
use super::question::Asked;
use super::reporting::{Reporting, rows_text};
use super::run::{Wanted, run_taken};
use super::run_on_record::RunOnRecord;
use super::taken::Taken;
use super::{Done, clock, plan, report_target, runtime, terminal};

/// Puts back what a run changed.
pub(super) fn undo(args: &UndoArgs) -> Done {
    let state = State::open(args.record.state_dir.as_deref())?;
    let folder = state.find_run(&args.run, args.simulate)?;
    let state = folder.state().unwrap_or(state);
    if args.run.starts_with("last")
        && let Some(other) = state.went_on_after(&folder, args.run.strip_prefix("last:"))?
    {
        return Err(Error::Usage {
            what: format!(
                "{} may be run {}, which began last, or run {}, which went on after it",
                args.run, folder.id, other.id
            ),
            hint: "name the one that is meant by its id".to_owned(),
        });
    }
    if args.force && args.only.is_empty() {
        return Err(Error::Usage {
            what: "--force puts back what others have changed since".to_owned(),
            hint: "name the workflow: --only workflow_id=ID".to_owned(),
        });
    }
    let only = read_only(&args.only)?;
    let (mut taken, lost) = what_to_undo(args, &state, &folder, &only)?;
    let record = folder.job()?;
    let (lanes, name) = (record.lanes, &record.name);
    report_target::check(&args.record, "", taken.input.as_ref())?;
    if !args.output.quiet {
        terminal::complain(&format!("undoes:     run {} of {name}", folder.id));
        if !record.undoes.is_empty() {
            terminal::complain(&format!(
                "            it was an undo itself: what run {} changed is set again",
                record.undoes.join(", ")
            ));
        }
    }
    if let Some(rows) = rows_text(&lost) {
        terminal::complain(&format!(
            "warning: {rows} of run {} cannot be put back: nothing on record shows what was there before; look at them by hand",
            folder.id
        ));
    }
    let simulated = is_simulator(taken.job.destination);
    let asked = Asked::find(args.caution.yes || simulated || args.dry_run)?;
    if args.dry_run {
        return plan::of_taken(
            &plan::Asked {
                credential: &args.credential,
                output: &args.output,
                out: None,
                full: false,
                detailed_exitcode: false,
                fresh: false,
            },
            &state,
            taken,
        );
    }
    let policy = Policy {
        if_locked: args.record.if_locked,
        quiet: args.output.quiet,
    };
    // What there is to put back is known under the locks alone: the run may be resumed while they are waited for.
    let locks = loop {
        let holder = || {
            let now = clock::wall();
            Holder::of(&State::run_id(now), &taken, now)
        };
        let Some(locks) = Locks::take(&state, &taken, holder, policy)? else {
            return Ok(Exit::Done);
        };
        (taken, _) = what_to_undo(args, &state, &folder, &only)?;
        if locks.cover(&state, &taken) {
            break locks;
        }
    };
    let wanted = Wanted {
        credential: &args.credential,
        record: &args.record,
        output: &args.output,
        fresh: false,
        began: (!args.other_credential).then_some(lanes.as_slice()),
    };
    let exit = runtime()?.block_on(run_taken(&wanted, &state, taken, asked, Some(locks)))?;
    let is_whole = lost.is_empty() || exit != Exit::Done;
    Ok(if is_whole { exit } else { Exit::Attention })
}

/// Which rows are to be put back, by `--only`.
fn read_only(texts: &[String]) -> Result<Vec<Only>, Error> {
    let mut only = Vec::new();
    for text in texts {
        let parsed = Only::parse(text);
        parsed
            .ok_or_else(|| Error::flag("--only", text, "not a choice of rows", selection::HINT))?
            .add_to(&mut only);
    }
    Ok(only)
}

/// The job that puts back what the run in `folder` has changed by now, as the command line asks; and the rows of the run that it
/// cannot put back, because nothing on record shows what was there before.
fn what_to_undo(
    args: &UndoArgs,
    state: &State,
    folder: &RunFolder,
    only: &[Only],
) -> Result<(Taken, Vec<u64>), Error> {
    let journal = folder.file("journal.jsonl");
    if is_written(&journal) {
        return Err(Error::Usage {
            what: format!("run {} is still running", folder.id),
            hint: "wait until it has ended, or stop it, and undo it then".to_owned(),
        });
    }
    let run = RunOnRecord::open(folder, args.salvage)?;
    let is_blind = run.taken.job.settings.snapshot == Snapshot::Off;
    let reporting = run.reporting();
    // By the journal, so that a run which was killed can be undone as well.
    let written = reporting.write(std::io::sink())?;
    // A choice names what is to be put back.
    let lost = written.lost.numbers().filter(|_| only.is_empty());
    let lost: Vec<u64> = lost.collect();
    if written.changed.count() == 0 {
        return Err(Error::Usage {
            what: match (is_blind, rows_text(&lost)) {
                (true, _) => format!(
                    "run {} did not read the live state (--snapshot off), so nobody knows what it changed",
                    folder.id
                ),
                (false, Some(rows)) => format!(
                    "{rows} of run {} cannot be put back: nothing on record shows what was there before",
                    folder.id
                ),
                (false, None) => format!("run {} changed nothing", folder.id),
            },
            hint: match state.changed_before(folder)? {
                Some(other) => format!("the newest that did is {}", other.id),
                None => format!(
                    "its report tells what became of its rows: {}",
                    folder.file("report.csv").display()
                ),
            },
        });
    }
    let mut taken = way_back(state, &reporting, &written, only, !args.force)?;
    let mut problems = Problems::default();
    taken.job.settings = taken.job.settings.again(
        &args.caution.flags(args.pace.flags(Flags::default())),
        &mut problems,
    );
    taken.job.settings.snapshot = Snapshot::Required;
    match problems.is_empty() {
        true => Ok((taken, lost)),
        false => Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        )),
    }
}

/// The job that puts back what a run changed, or those workflows of it that `only` chooses; with `is_guarded` only where nobody
/// has changed them since.
pub(super) fn way_back(
    state: &State,
    reporting: &Reporting<'_>,
    written: &Written,
    only: &[Only],
    is_guarded: bool,
) -> Result<Taken, Error> {
    const DOING: &str = "the rows that put the run back cannot be kept";
    let folder = reporting.folder;
    let mut copy = state.temporary()?;
    let mut out = BufWriter::new(copy.as_file_mut());
    let mut choice = Choice::of(only);
    let mut count = 0;
    reporting.each_undo(written, is_guarded, |undo| {
        let takes = choice.takes(&Subject {
            numbers: &undo.undoes,
            workspace_id: &undo.row.workspace.workspace_id,
            workflow_id: &undo.row.workflow_id,
            names: &undo.names,
        });
        if !takes {
            return Ok(());
        }
        count += 1;
        // The report of the undo tells by its lines which rows of the run it puts back.
        let row = Row {
            number: count,
            line: undo.row.number,
            ..undo.row
        };
        settled::write(&row, &mut out).map_err(Error::machine(DOING))
    })?;
    let flushed = out.flush();
    drop(out);
    if let Some(value) = choice.idle().first() {
        return Err(Error::Usage {
            what: format!(
                "--only {value}: no row of run {} that changed something matches",
                folder.id
            ),
            hint: "row= counts the rows of the run's report; workflow_name= is a name before or after the run; workspace= and workflow_id= take ids"
                .to_owned(),
        });
    }
    if count == 0 {
        return Err(Error::Usage {
            what: format!(
                "no workflow that run {} changed matches all of --only",
                folder.id
            ),
            hint: "several values of one kind are alternatives, different kinds must all match"
                .to_owned(),
        });
    }
    flushed
        .and_then(|()| copy.as_file_mut().rewind())
        .map_err(Error::file("cannot write", copy.path()))?;
    let sha256 = sha256_of(copy.path()).map_err(Error::file("cannot read", copy.path()))?;
    let record = undo_record(reporting, sha256)?;
    Taken::again(record, Copy::Temporary(copy))
}

/// The job that undoes a run: its targets, and nothing of what it requested.
pub(super) fn undo_record(reporting: &Reporting<'_>, sha256: String) -> Result<JobRecord, Error> {
    let id = &reporting.folder.id;
    let mut record = reporting.folder.job()?;
    record.name = format!("undo {}", record.name);
    record.description = Some(format!("puts back what run {id} changed"));
    record.input = Some(InputRecord {
        path: format!("the changes of run {id}"),
        sha256,
        options: Options::default(),
        form: Form::Settled,
        originals: Vec::new(),
    });
    record.ticket = None;
    record.undoes = vec![id.to_owned()];
    record.updates = Vec::new();
    record.defaults.routes = reporting.taken.routes();
    record.defaults.update = Update::default();
    record.defaults.is_blind = false;
    record.selection = selection::Selection::default();
    // What held the run back is not to hold back the way back.
    record.settings.ceilings = Ceilings::default();
    record.settings.stop.max_errors = Most::Percent(100.0);
    (record.settings.strict, record.settings.must_hold) = (false, false);
    record.rollout = None;
    record.stages = Vec::new();
    (record.settings.deadline, record.settings.stop_at) = (None, None);
    // The run itself has changed it a short time ago.
    record.settings.leave_recent = None;
    Ok(record)
}
