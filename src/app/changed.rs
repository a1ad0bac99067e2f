//! `flowbatch runs --changed`: who changed what, over all runs on record.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::cli::{ListShape, RunsArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::model::span;
use crate::sinks::changes::{COLUMNS, ChangeMade, Question, Run, changes};

use super::course::local_zone;
use super::folder::{RunFolder, State};
use super::report::digest;
use super::reporting::Reporting;
use super::resolved_job::ResolvedJob;
use super::runs::is_last_word;
use super::terminal::{self, Out};
use super::{Done, clock};

const DOING: &str = "the changes cannot be told";

/// Tells what runs changed, the oldest run first. A record that cannot be read is told, and is no reason to tell less of the
/// others; it ends with 1.
pub(super) fn changed(state: &State, args: &RunsArgs) -> Done {
    let asked = Question {
        workspace: args.workspace.clone(),
        workflow: args.workflow.clone(),
        since: args.since.as_deref().map(since).transpose()?,
    };
    let mut told = Told::new(args.output)?;
    let mut exit = Exit::Done;
    for folder in state.runs()? {
        if let Err(error) = tell(state, &folder, args, &asked, &mut told) {
            terminal::complain(&format!("run {}: {}", folder.id, error.text()));
            exit = Exit::Attention;
        }
    }
    if told.finish()? == 0 && args.output == ListShape::Text {
        terminal::complain(&none_text(state, args)?);
    }
    Ok(exit)
}

/// The changes of one run.
fn tell(
    state: &State,
    folder: &RunFolder,
    args: &RunsArgs,
    asked: &Question,
    told: &mut Told,
) -> Result<(), Error> {
    let journal = folder.file("journal.jsonl");
    if !journal.exists() {
        if folder.summary().is_some() {
            terminal::complain(&format!(
                "run {}: its record was pruned; what it changed is not known any more",
                folder.id
            ));
        }
        return Ok(());
    }
    let record = folder.job()?;
    let is_asked = |name: &str| args.job.as_ref().is_none_or(|asked| asked == name);
    if record.simulated != args.simulate || !is_asked(&record.name) {
        return Ok(());
    }
    let mut run = Run {
        run_id: folder.id.clone(),
        job: record.name.clone(),
        ..Run::default()
    };
    let summary = folder.summary().filter(|_| is_last_word(folder));
    let report: Box<dyn Read> = match summary {
        Some(summary) => {
            (run.operator, run.ticket) = (summary.operator, summary.ticket);
            let path = folder.file("report.csv");
            Box::new(File::open(&path).map_err(Error::file("cannot read", path))?)
        }
        // It goes on, or was killed: its journal tells.
        None => {
            let digest = digest(&journal, false)?;
            run.ticket.clone_from(&record.ticket);
            run.operator = digest
                .start
                .as_ref()
                .map_or("-".to_owned(), |start| start.operator.clone());
            let lanes = record.lanes.clone();
            let resolved = ResolvedJob::on_record(record, folder)?;
            let reporting = Reporting {
                resolved: &resolved,
                lanes: &lanes,
                digest: &digest,
                folder,
                salvage: false,
                ends: None,
            };
            let mut report = state.temporary()?;
            let mut out = BufWriter::new(report.as_file_mut());
            reporting.write(&mut out)?;
            let flushed = out.flush();
            drop(out);
            flushed
                .and_then(|()| report.as_file_mut().rewind())
                .map_err(Error::file("cannot write", report.path()))?;
            Box::new(report)
        }
    };
    changes(&run, report, asked, |change| told.tell(change)).map_err(Error::machine(DOING))
}

/// What is said where there is nothing to tell: a cron job that asks wrongly would never notice.
fn none_text(state: &State, args: &RunsArgs) -> Result<String, Error> {
    let asked = [&args.workspace, &args.workflow, &args.job, &args.since];
    let mut text = match asked.iter().any(|asked| asked.is_some()) {
        true => "no change on record is like that".to_owned(),
        false => "no change is on record".to_owned(),
    };
    let is_simulated = |folder: RunFolder| folder.job().is_ok_and(|record| record.simulated);
    if !args.simulate && state.runs()?.into_iter().any(is_simulated) {
        text += "; those of simulated runs are left out: --simulate shows them";
    }
    Ok(text)
}

/// When `--since` begins.
fn since(text: &str) -> Result<Timestamp, Error> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    // A day begins at midnight.
    if let Ok(at) = text.parse::<DateTime>()
        && let Ok(at) = local_zone()?.to_timestamp(at)
    {
        return Ok(at);
    }
    let span = span::parse(text).ok();
    let span = span.and_then(|span| SignedDuration::try_from(span).ok());
    span.and_then(|span| clock::wall().checked_sub(span).ok())
        .ok_or_else(|| {
            let hint =
                "write a day (2026-11-01), a time of it (2026-11-01T06:00, or 2026-11-01T06:00Z) or a span (30d)";
            Error::flag("--since", text, "not a time", hint)
        })
}

/// Where changes are told.
enum Shape {
    Text(TimeZone),
    Json(Vec<ChangeMade>),
    Csv(Box<csv::Writer<Out>>),
}

/// Changes, as they are told.
struct Told {
    shape: Shape,
    count: u64,
}

impl Told {
    fn new(shape: ListShape) -> Result<Self, Error> {
        let shape = match shape {
            ListShape::Text => Shape::Text(TimeZone::system()),
            ListShape::Json => Shape::Json(Vec::new()),
            ListShape::Csv => {
                let mut csv = csv::Writer::from_writer(Out);
                csv.write_record(COLUMNS).map_err(Error::machine(DOING))?;
                Shape::Csv(Box::new(csv))
            }
        };
        Ok(Self { shape, count: 0 })
    }

    fn tell(&mut self, change: ChangeMade) -> Result<(), csv::Error> {
        self.count += 1;
        match &mut self.shape {
            Shape::Text(zone) => terminal::print(&change.text(zone)),
            Shape::Json(all) => all.push(change),
            Shape::Csv(csv) => change.write(csv)?,
        }
        Ok(())
    }

    /// How many there were.
    fn finish(self) -> Result<u64, Error> {
        match self.shape {
            Shape::Text(_) => {}
            Shape::Json(all) => {
                let json = serde_json::to_string_pretty(&all);
                terminal::print_json(&json.map_err(Error::machine("no list"))?);
            }
            Shape::Csv(mut csv) => csv.flush().map_err(Error::machine(DOING))?,
        }
        Ok(self.count)
    }
}
