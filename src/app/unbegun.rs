//! The mail and the metrics of a run that ends before there is anything to record.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::cli::{Command, RecordArgs};
use crate::error::Error;
use crate::job::file::name_in;
use crate::model::printable::unpainted;
use crate::sinks::mail::{MOST_LINES, unbegun_mail};
use crate::sinks::metrics::{earlier_job, unbegun_metrics};

use super::folder::{Readers, State, write_whole};
use super::intake::stem;
use super::{clock, host, report_target, terminal};

/// A command that schedulers start, as far as its end has to be told whatever happens.
pub(super) struct Unbegun {
    record: RecordArgs,
    what: What,
}

/// What was to be run.
enum What {
    Job(String),
    Resume(String),
    Undo(String),
}

impl Unbegun {
    /// What `command` would run, if it would run something.
    pub(super) fn of(command: &Command) -> Option<Self> {
        let (record, what) = match command {
            // The last run of a job is none that was only tried.
            Command::Run(args) if args.dry_run => return None,
            Command::Undo(args) if args.dry_run => return None,
            Command::Run(args) => (&args.record, What::Job(args.job.job.clone())),
            Command::Resume(args) => (&args.record, What::Resume(args.run.clone())),
            Command::Undo(args) => (&args.record, What::Undo(args.run.clone())),
            Command::Check(_)
            | Command::Plan(_)
            | Command::Export(_)
            | Command::Report(_)
            | Command::Runs(_)
            | Command::Verify(_)
            | Command::Approve(_)
            | Command::Auth(_)
            | Command::Simulate(_)
            | Command::Init(_)
            | Command::Schema
            | Command::Completions(_)
            | Command::Man(_) => return None,
        };
        Some(Self {
            record: record.clone(),
            what,
        })
    }

    /// Writes the metrics, and gives the text of the mail, of an end by `error`.
    pub(super) fn tell(&self, error: &Error) -> String {
        let earlier = self
            .record
            .metrics_file
            .as_deref()
            .map(|path| (path, earlier(path)));
        let known = earlier
            .as_ref()
            .and_then(|(_, text)| earlier_job(text.as_deref()?));
        let (name, typed) = (self.name(), self.typed());
        if let Some((path, Some(earlier))) = &earlier {
            // The alarms on a file stay those of one job, also while its job file cannot be read.
            let label = name.as_ref().or(known.as_ref()).unwrap_or(&typed);
            let text = unbegun_metrics(label, error.exit().code(), clock::wall(), earlier);
            let written = write_whole(path, Readers::Usual, |file| file.write_all(text.as_bytes()));
            if let Err(cause) = written {
                let error = Error::file("cannot write the metrics to", path)(cause);
                terminal::complain(&error.text());
            }
        }
        let brief = unpainted(&error.brief(MOST_LINES - 2));
        let name = name.as_ref().unwrap_or(&typed);
        unbegun_mail(name, &host(), &brief, error.exit().code())
    }

    /// What a run of it would have been called, as far as that can be read.
    fn name(&self) -> Option<String> {
        let of_run = |run: &str| {
            let state = State::open(self.record.state_dir.as_deref()).ok()?;
            let folder = state
                .find_run(run, false)
                .or_else(|_| state.find_run(run, true));
            Some(folder.ok()?.job().ok()?.name)
        };
        match &self.what {
            What::Job(job) => {
                let text = fs::read_to_string(job)
                    .ok()
                    .filter(|_| job.ends_with(".toml"));
                // A name with a variable in it is expanded with the job.
                text.and_then(|text| name_in(&text))
                    .filter(|name| !name.contains("${"))
            }
            What::Resume(run) => of_run(run),
            What::Undo(run) => of_run(run).map(|name| format!("undo {name}")),
        }
    }

    /// What it is called where nothing else is known.
    fn typed(&self) -> String {
        match &self.what {
            What::Job(job) => stem(job),
            What::Resume(run) => format!("resume {run}"),
            What::Undo(run) => format!("undo {run}"),
        }
    }
}

/// Writes the metrics of a run of `job` that is well although nothing was to be done.
pub(super) fn write_success(record: &RecordArgs, job: &str) -> Result<(), Error> {
    let Some(path) = &record.metrics_file else {
        return Ok(());
    };
    report_target::check_metrics(path)?;
    let earlier = fs::read_to_string(path).unwrap_or_default();
    let name = earlier_job(&earlier).unwrap_or_else(|| stem(job));
    let text = unbegun_metrics(&name, 0, clock::wall(), &earlier);
    write_whole(path, Readers::Usual, |file| file.write_all(text.as_bytes()))
        .map_err(Error::file("cannot write the metrics to", path))
}

/// The metrics of earlier runs; nothing if none may be written there.
fn earlier(path: &Path) -> Option<String> {
    report_target::check_metrics(path).ok()?;
    Some(fs::read_to_string(path).unwrap_or_default())
}
