//! `flowbatch undo`: puts back what a run changed, by a run of its own.

use std::io::{BufWriter, Seek, Write};

use crate::cli::UndoArgs;
use crate::error::Error;
use crate::job::flags::Flags;
use crate::job::flags::Snapshot;
use crate::job::problems::Problems;
use crate::job::record::{Form, InputRecord, JobRecord};
use crate::job::selection;
use crate::job::table::Options;
use crate::model::update::Update;
use crate::policy::ceiling::Ceilings;
use crate::sinks::report::Written;

use super::destination::is_simulator;
use super::folder::{State, sha256_of};
use super::input::Copy;
use super::journal_file::is_written;
use super::question::Asked;
use super::report::digest;
use super::reporting::Reporting;
use super::run::{Wanted, run_taken};
use super::taken::Taken;
use super::{Done, plan, report_target, runtime, terminal};

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
    let record = folder.job()?;
    let (lanes, name) = (record.lanes.clone(), record.name.clone());
    let journal = folder.file("journal.jsonl");
    if is_written(&journal) {
        return Err(Error::Usage {
            what: format!("run {} goes on", folder.id),
            hint: "wait until it has ended, or stop it, and undo it then".to_owned(),
        });
    }
    if args.force && args.only.is_empty() {
        return Err(Error::Usage {
            what: "--force puts back what others have changed since".to_owned(),
            hint: "name the workflow: --only workflow_id=ID".to_owned(),
        });
    }
    if args
        .only
        .iter()
        .any(|only| only.trim_start().starts_with("row"))
    {
        return Err(Error::Usage {
            what: "rows of an undo are not those of its run".to_owned(),
            hint: "name the workflow: --only workflow_id=ID".to_owned(),
        });
    }
    let blind = record.settings.snapshot == Snapshot::Off;
    let copy = folder.file(record.input_file());
    let past = Taken::again(record, Copy::Kept(copy))?;
    let digest = digest(&journal, args.salvage)?;
    let reporting = Reporting {
        taken: &past,
        lanes: &lanes,
        digest: &digest,
        folder: &folder,
        salvage: args.salvage,
        ends: None,
    };
    // By the journal, so that a run which was killed can be undone as well.
    let written = reporting.write(std::io::sink())?;
    if written.changed.count() == 0 {
        return Err(Error::Usage {
            what: match blind {
                true => format!(
                    "run {} did not read the live state (--snapshot off), so nobody knows what it changed",
                    folder.id
                ),
                false => format!("run {} changed nothing", folder.id),
            },
            hint: match state.changed_before(&folder)? {
                Some(other) => format!("the newest that did is {}", other.id),
                None => format!(
                    "its report tells what became of its rows: {}",
                    folder.file("report.csv").display()
                ),
            },
        });
    }
    let mut taken = way_back(&state, &reporting, &written, &args.only, !args.force)?;
    let mut problems = Problems::default();
    taken.job.settings = taken.job.settings.again(
        &args.caution.flags(args.pace.flags(Flags::default())),
        &mut problems,
    );
    taken.job.settings.snapshot = Snapshot::Required;
    taken.job.settings.must_hold = false;
    taken.check_selection(&mut problems);
    if !problems.is_empty() {
        return Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        ));
    }
    report_target::check(&args.record, "", taken.input.as_ref())?;
    if !args.output.quiet {
        terminal::complain(&format!("undoes:     run {} of {name}", folder.id));
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
    let wanted = Wanted {
        credential: &args.credential,
        record: &args.record,
        output: &args.output,
        fresh: false,
        began: (!args.other_credential).then_some(lanes.as_slice()),
    };
    runtime()?.block_on(run_taken(&wanted, &state, taken, asked))
}

/// The job that puts back what a run changed, or those workflows of it that `only` chooses; with `guarded` only where nobody
/// has changed them since.
pub(super) fn way_back(
    state: &State,
    reporting: &Reporting<'_>,
    written: &Written,
    only: &[String],
    guarded: bool,
) -> Result<Taken, Error> {
    let folder = reporting.folder;
    let mut copy = state.temporary()?;
    let mut out = BufWriter::new(copy.as_file_mut());
    reporting.write_undo(written, guarded, &mut out)?;
    let flushed = out.flush();
    drop(out);
    flushed
        .and_then(|()| copy.as_file_mut().rewind())
        .map_err(Error::file("cannot write", copy.path()))?;
    let sha256 = sha256_of(copy.path()).map_err(Error::file("cannot read", copy.path()))?;
    let undo = undo_record(folder.job()?, only, &folder.id, sha256)?;
    Taken::again(undo, Copy::Temporary(copy))
}

/// The job that undoes the run `id` of `record`: its targets, and nothing of its wishes.
fn undo_record(
    record: JobRecord,
    chosen: &[String],
    id: &str,
    sha256: String,
) -> Result<JobRecord, Error> {
    let mut record = record;
    record.name = format!("undo {}", record.name);
    record.description = Some(format!("puts back what run {id} changed"));
    record.input = Some(InputRecord {
        path: format!("undo.csv of run {id}"),
        sha256,
        options: Options::default(),
        form: Form::Csv,
        originals: Vec::new(),
    });
    record.ticket = None;
    record.undoes = Some(id.to_owned());
    record.updates = Vec::new();
    record.defaults.update = Update::default();
    record.defaults.is_blind = false;
    record.selection = selection::Selection::default();
    // What held the run back is not to hold back the way back.
    record.settings.ceilings = Ceilings::default();
    record.rollout = None;
    record.stages = Vec::new();
    (record.settings.deadline, record.settings.stop_at) = (None, None);
    // The run itself has changed it a short time ago.
    record.settings.leave_recent = None;
    for text in chosen {
        let only = selection::Only::parse(text)
            .ok_or_else(|| Error::flag("--only", text, "not a choice of rows", selection::HINT))?;
        record.selection.only.push(only);
    }
    Ok(record)
}
