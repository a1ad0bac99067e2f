//! `flowbatch undo`: puts back what a run changed, by a run of its own.

use crate::cli::UndoArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::flags::Flags;
use crate::job::flags::Snapshot;
use crate::job::problems::Problems;
use crate::job::record::JobRecord;
use crate::job::selection::{self, Choice, Only, Subject};
use crate::job::settings::Settings;
use crate::model::row::Row;
use crate::model::update::Update;
use crate::policy::budget::Most;
use crate::policy::ceiling::Ceilings;
use crate::sinks::report::Written;

use super::destination::is_simulator;
use super::folder::{RunFolder, State};
use super::journal_file::is_written;
use super::locks::{Holder, Locks, Policy, places};
use super::question::Asked;
use super::reporting::{Reporting, rows_text};
use super::resolved_job::ResolvedJob;
use super::run::{Wanted, run_loaded};
use super::run_on_record::RunOnRecord;
use super::saved_plan::Recounted;
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
    let (mut resolved, lost) = what_to_undo(args, &state, &folder, &only)?;
    let record = folder.job()?;
    let (lanes, name) = (record.lanes, &record.name);
    report_target::check(&args.record, &[])?;
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
    let simulated = is_simulator(resolved.job.destination);
    let asked = Asked::find(args.caution.yes || simulated || args.dry_run)?;
    if args.dry_run {
        return plan::of_loaded(
            &plan::Asked {
                credential: &args.credential,
                output: &args.output,
                out: None,
                full: false,
                detailed_exitcode: false,
                fresh: false,
            },
            &state,
            resolved.into(),
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
            Holder::of(&State::run_id(now), &resolved, now)
        };
        let own = places(&state, &resolved, &[]);
        let Some(locks) = Locks::take(&state, &own, holder, policy)? else {
            return Ok(Exit::Done);
        };
        (resolved, _) = what_to_undo(args, &state, &folder, &only)?;
        if locks.cover(&places(&state, &resolved, &[])) {
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
    let exit = runtime()?.block_on(run_loaded(
        &wanted,
        &state,
        resolved.into(),
        asked,
        Some(locks),
    ))?;
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
) -> Result<(ResolvedJob, Vec<u64>), Error> {
    let journal = folder.file("journal.jsonl");
    if is_written(&journal) {
        return Err(Error::Usage {
            what: format!("run {} is still running", folder.id),
            hint: "wait until it has ended, or stop it, and undo it then".to_owned(),
        });
    }
    let run = RunOnRecord::open(folder, args.salvage)?;
    let is_blind = run.resolved.job.settings.snapshot == Snapshot::Off;
    let reporting = run.reporting();
    let mut problems = Problems::default();
    let flags = args.caution.flags(args.pace.flags(Flags::default()));
    // By the journal, so that a run which was killed can be undone as well.
    let (written, resolved) =
        way_back(state, &reporting, only, !args.force, |settings| Settings {
            snapshot: Snapshot::Required,
            ..settings.again(&flags, &mut problems)
        })?;
    // A choice names what is to be put back.
    let lost = written.lost.numbers().filter(|_| only.is_empty());
    let lost: Vec<u64> = lost.collect();
    if written.way_back == 0 {
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
                (false, None) if written.changed.count() > 0 => format!(
                    "run {} left all workflows as they were before: there is nothing to put back",
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
    let resolved = resolved?;
    match problems.is_empty() {
        true => Ok((resolved, lost)),
        false => Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        )),
    }
}

/// What a run came to; and the job that puts back what it changed, or those workflows of it that `only` chooses, with `is_guarded`
/// only where they are unchanged since.
pub(super) fn way_back(
    state: &State,
    reporting: &Reporting<'_>,
    only: &[Only],
    is_guarded: bool,
    settings: impl FnOnce(Settings) -> Settings,
) -> Result<(Written, Result<ResolvedJob, Error>), Error> {
    let folder = reporting.folder;
    let record = undo_record(reporting)?;
    let mut rows = Recounted::new(state, &record.defaults.routes)?;
    let mut choice = Choice::of(only);
    let written = reporting.each_undo(is_guarded, |undo| {
        let takes = choice.takes(&Subject {
            numbers: &undo.undoes,
            workspace_id: &undo.row.workspace.workspace_id,
            workflow_id: &undo.row.workflow_id,
            names: &undo.names,
        });
        if !takes {
            return Ok(());
        }
        // The report of the undo tells by its lines which rows of the run it puts back.
        rows.push(Row {
            line: undo.row.number,
            ..undo.row
        })
    })?;
    let (census, rows) = rows.finish()?;
    let refused = |what: String, hint: &str| {
        let hint = hint.to_owned();
        Err(Error::Usage { what, hint })
    };
    let resolved = if let Some(value) = choice.idle().first() {
        refused(
            format!(
                "--only {value}: no row of run {} that changed something matches",
                folder.id
            ),
            "row= counts the rows of the run's report; workflow_name= is a name before or after the run; workspace= and workflow_id= take ids",
        )
    } else if census.rows == 0 {
        refused(
            format!(
                "no workflow that run {} changed matches all of --only",
                folder.id
            ),
            "several values of one kind are alternatives, different kinds must all match",
        )
    } else {
        let record = JobRecord {
            census,
            settings: settings(record.settings),
            ..record
        };
        Ok(ResolvedJob::of_record(record, rows))
    };
    Ok((written, resolved))
}

/// The job that undoes a run: its targets, and nothing of what it requested.
pub(super) fn undo_record(reporting: &Reporting<'_>) -> Result<JobRecord, Error> {
    let id = &reporting.folder.id;
    let mut record = reporting.folder.job()?;
    record.name = format!("undo {}", record.name);
    record.description = Some(format!("puts back what run {id} changed"));
    (record.input, record.sources) = (None, Vec::new());
    record.ticket = None;
    record.undoes = vec![id.to_owned()];
    record.defaults.routes = reporting.resolved.routes();
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
