//! Writes the report of a run from its journal, at whatever moment.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use crate::error::Error;
use crate::job::stage::stage_of;
use crate::model::change::Change;
use crate::model::field::FieldSet;
use crate::model::id::Id;
use crate::model::route::{LaneFacts, Route};
use crate::model::row::Row;
use crate::plan::undo::{UndoRow, WayBack};
use crate::sinks::attention::{Attention, Gathering};
use crate::sinks::digest::Digest;
use crate::sinks::ends::Ends;
use crate::sinks::history::History;
use crate::sinks::html::PageRows;
use crate::sinks::report::{self, EndedRow, ReportError, ReportWriter, Written};
use crate::sinks::rerun::{Columns, Rerun, cells_hold};
use crate::sinks::summary::FileFacts;

use super::folder::{Hashed, Readers, RunFolder, WholeFile};
use super::journal_file;
use super::planning::{planned_changes, plans_on_record};
use super::resolved_job::ResolvedJob;

const DOING: &str = "the report could not be made";

/// Rows that stand in no CSV, because its cells cannot hold what they set or expect.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Of `rerun.csv`.
    pub(super) rerun: Vec<u64>,
    /// Of `undo.csv`: by the rows of the run that changed the workflows.
    pub(super) undo: Vec<u64>,
}

impl LeftOut {
    /// What is said of them at the end of a run.
    pub(super) fn text(&self) -> Vec<String> {
        let tell = |file: &str, numbers: &[u64], instead: &str| {
            let rows = rows_text(numbers)?;
            Some(format!(
                "{file} leaves out {rows}: a CSV cell cannot hold their values; {instead}"
            ))
        };
        let rerun = tell("rerun.csv", &self.rerun, "`flowbatch resume` sends them");
        let undo = tell("undo.csv", &self.undo, "`flowbatch undo` puts them back");
        rerun.into_iter().chain(undo).collect()
    }
}

/// `rows 3, 4, 5, 6, 7 and 90 more`; nothing of none.
pub(super) fn rows_text(numbers: &[u64]) -> Option<String> {
    let shown: Vec<_> = numbers.iter().take(5).map(u64::to_string).collect();
    let (first, more) = (shown.join(", "), numbers.len() - shown.len());
    match (numbers.len(), more) {
        (0, _) => None,
        (1, _) => Some(format!("row {first}")),
        (_, 0) => Some(format!("rows {first}")),
        (_, more) => Some(format!("rows {first} and {more} more")),
    }
}

/// What a report is made from.
pub(super) struct Reporting<'a> {
    pub(super) resolved: &'a ResolvedJob,
    pub(super) lanes: &'a [LaneFacts],
    pub(super) digest: &'a Digest,
    pub(super) folder: &'a RunFolder,
    /// Whether bad lines of the journal are passed over.
    pub(super) salvage: bool,
    /// How the rows stand, where that is known without reading the journal.
    pub(super) ends: Option<Rc<Ends>>,
}

/// What rows without an end were to change, by their numbers.
type Planned = HashMap<u64, (Option<Id>, Change)>;

/// What was made of the rows of a run, all at once.
#[derive(Default)]
pub(super) struct Derived {
    pub(super) written: Written,
    pub(super) attention: Attention,
    /// What a page shows of them.
    pub(super) page: PageRows,
    pub(super) left_out: LeftOut,
    /// The files that were written.
    pub(super) files: Vec<FileFacts>,
    /// Why others could not be.
    pub(super) trouble: Vec<Error>,
}

impl Reporting<'_> {
    fn history(&self) -> Result<History<File>, Error> {
        let journal = self.folder.file("journal.jsonl");
        match &self.ends {
            Some(ends) => journal_file::history_by(Rc::clone(ends), &journal),
            None => Ok(journal_file::history(&journal, self.salvage)?.0),
        }
    }

    /// What rows that were sent without an end were to change.
    fn planned(&self, history: &History<File>) -> Result<Planned, Error> {
        let plans = plans_on_record(self.folder, self.digest, self.salvage);
        planned_changes(self.folder, &plans, history, self.salvage)
            .map_err(Error::machine("the plan of the run cannot be read"))
    }

    /// Shows `take` each row and what became of it, in input order. `begin` gets the fields that a way back may put back.
    pub(super) fn each<T>(
        &self,
        begin: impl FnOnce(FieldSet) -> Result<T, Error>,
        mut take: impl FnMut(&mut T, EndedRow<'_>) -> Result<(), Error>,
    ) -> Result<T, Error> {
        let history = self.history()?;
        let planned = self.planned(&history)?;
        let digest = self.digest;
        let fields = planned.values().flat_map(|(_, change)| change.after.keys());
        let fields = digest.changed.union(fields.copied().collect());
        let stopped = digest.stopped.as_ref().map(|(_, why)| why.clone());
        let because = stopped.or_else(|| digest.closed.first().cloned());
        let waves = self.resolved.waves().map_err(Error::machine(DOING))?;
        let stages = self.resolved.job.stages.as_slice();
        let place_of = |number, taken| {
            let stage = stage_of(stages, number).and_then(|stage| stages.get(stage));
            let waves = waves.as_ref().filter(|_| taken);
            let wave = waves.and_then(|waves| waves.get(waves.of(number)));
            (
                stage.map(|stage| stage.name.as_str()),
                wave.map(|wave| wave.number),
            )
        };
        let mut source = report::Source {
            place_of: &place_of,
            history,
            left_because: because.unwrap_or_else(|| "the run ended first".to_owned()),
            lanes: self.lanes,
            names: &digest.names,
            planned,
        };
        let rows = self.resolved.rows().map_err(|error| {
            let error = ReportError::Rows(error.0);
            Error::machine(DOING)(error)
        })?;
        let mut to = begin(fields)?;
        for row in rows {
            let stored = row.map_err(|error| Error::machine(DOING)(ReportError::Rows(error.0)))?;
            let ended = source.ended(stored.row, stored.left_out);
            let ended =
                ended.map_err(|error| Error::machine(DOING)(ReportError::Journal(error)))?;
            take(&mut to, ended)?;
        }
        Ok(to)
    }

    /// Shows `take` the rows that put back what the run changed, one for each workflow; with `is_guarded` they do so only where it
    /// still is as the run left it. Gives what the report says of the run as a whole.
    pub(super) fn each_undo(
        &self,
        is_guarded: bool,
        mut take: impl FnMut(UndoRow) -> Result<(), Error>,
    ) -> Result<Written, Error> {
        let mut count = 0;
        let mut take = |undo| {
            count += 1;
            take(undo)
        };
        let begin = |_| Ok((self.way_back(is_guarded), Written::default()));
        let (way_back, written) = self.each(begin, |(way_back, written), ended| {
            written.see(&ended);
            let has_changed = ended.has_changed();
            let change = has_changed.then(|| ended.into_change());
            let undo = change.and_then(|change| way_back.add(change));
            undo.map_or(Ok(()), &mut take)
        })?;
        way_back.finish().try_for_each(take)?;
        Ok(Written {
            way_back: count,
            ..written
        })
    }

    /// A way back that no change was shown yet.
    pub(super) fn way_back(&self, is_guarded: bool) -> WayBack {
        WayBack::new(!self.resolved.job.stages.is_empty(), is_guarded)
    }

    fn routes(&self) -> impl Iterator<Item = &Route> {
        let used = self.resolved.census.lanes.iter().zip(self.lanes);
        let used = used.filter(|(census, _)| census.is_used());
        used.map(|(_, lane)| &lane.route)
    }

    /// Writes the report to `out`.
    pub(super) fn write(&self, out: impl Write) -> Result<Written, Error> {
        let report = ReportWriter::new(out).map_err(unwritten)?;
        let begin = |_| Ok((report, Written::default()));
        let (report, written) = self.each(begin, |(report, written), ended| {
            written.see(&ended);
            report.push(&ended).map_err(unwritten)
        })?;
        report.finish().map_err(unwritten)?;
        Ok(written)
    }

    /// Writes the report as `path`, whole or not at all.
    pub(super) fn write_to(&self, path: &Path, readers: Readers) -> Result<Written, Error> {
        let whole = WholeFile::create(path, readers).map_err(Error::file("cannot write", path))?;
        let mut out = BufWriter::new(whole);
        let written = self.write(&mut out)?;
        let whole = out.into_inner().map_err(|error| error.into_error());
        whole
            .and_then(WholeFile::finish)
            .map_err(Error::file("cannot write", path))?;
        Ok(written)
    }

    /// What a page shows of the run, and the rows that need a person.
    pub(super) fn for_page(&self) -> Result<(Attention, PageRows), Error> {
        let begin = |_| Ok((Gathering::default(), PageRows::default()));
        let (gathering, rows) = self.each(begin, |(gathering, rows), ended| {
            gathering.see(&ended);
            rows.see(&ended);
            Ok(())
        })?;
        Ok((gathering.finish(), rows))
    }

    /// Writes into the run folder, by one reading of the record: the report; the rows that are left as a job of their own, and
    /// those that put back what was changed, each a file only where there are such rows. `wants_page`: a page is to show rows.
    ///
    /// # Errors
    /// The report cannot be written, or what it is made from not be read. `Derived::trouble` holds what else could not be written.
    pub(super) fn write_all(&self, wants_page: bool) -> Result<Derived, Error> {
        match self.write_files(wants_page, false) {
            // The report comes first.
            Err(error) if error.has_no_room() => {
                self.write_files(wants_page, true).map_err(|_| error)
            }
            written => written,
        }
    }

    /// The same; without the rows that are left and those that put back if the report is written `alone`.
    fn write_files(&self, wants_page: bool, alone: bool) -> Result<Derived, Error> {
        let path = self.folder.file("report.csv");
        let readers = self.folder.readers();
        let made = WholeFile::create(&path, readers).map_err(Error::file("cannot write", &path))?;
        let unwritten = |error: csv::Error| {
            // A `csv::Error` does not name its cause, which says whether there is no room.
            let text = error.to_string();
            let error = if let csv::ErrorKind::Io(error) = error.into_kind() {
                error
            } else {
                std::io::Error::other(text)
            };
            Error::file("cannot write", &path)(error)
        };
        let report = ReportWriter::new(BufWriter::with_capacity(64 << 10, Hashed::new(made)));
        let report = report.map_err(unwritten)?;
        // Rows of several stages are no CSV of their own: a workflow may have one in each.
        let has_stages = !self.resolved.job.stages.is_empty();
        let left = Columns::of_rows(&self.resolved.census.said, self.routes());
        let begin = |fields| {
            let undo = Columns::of_undo(fields, self.routes());
            Ok(Outputs {
                report,
                derived: Derived::default(),
                gathering: Gathering::default(),
                rerun: RowsCsv::new(self.folder, "rerun.csv", left, alone),
                undo: RowsCsv::new(self.folder, "undo.csv", undo, alone),
                way_back: self.way_back(true),
            })
        };
        let outputs = self.each(begin, |outputs, ended| {
            let Outputs {
                report,
                derived,
                gathering,
                rerun,
                undo,
                way_back,
            } = outputs;
            report.push(&ended).map_err(unwritten)?;
            derived.written.see(&ended);
            gathering.see(&ended);
            if wants_page {
                derived.page.see(&ended);
            }
            if ended.is_left() && !has_stages {
                rerun.push(&ended.row, &[ended.row.number], ended.route);
            }
            if ended.has_changed()
                && let Some(UndoRow { row, undoes, .. }) = way_back.add(ended.into_change())
            {
                derived.written.way_back += 1;
                undo.push(&row, &undoes, self.route(&row));
            }
            Ok(())
        })?;
        let Outputs {
            report,
            mut derived,
            gathering,
            rerun,
            mut undo,
            way_back,
        } = outputs;
        for UndoRow { row, undoes, .. } in way_back.finish() {
            derived.written.way_back += 1;
            undo.push(&row, &undoes, self.route(&row));
        }
        let hashed = report.finish().map_err(unwritten)?;
        let (sha256, whole) = in_full(hashed).map_err(Error::file("cannot write", &path))?;
        whole.finish().map_err(Error::file("cannot write", path))?;
        derived.files.push(FileFacts {
            path: "report.csv".to_owned(),
            sha256,
            rows: Some(derived.written.rows),
        });
        derived.attention = gathering.finish();
        derived.left_out.rerun = rerun.finish(&mut derived.files, &mut derived.trouble);
        derived.left_out.undo = undo.finish(&mut derived.files, &mut derived.trouble);
        derived.left_out.undo.sort_unstable();
        Ok(derived)
    }

    fn route(&self, row: &Row) -> Option<&Route> {
        self.lanes.get(row.lane.0).map(|lane| &lane.route)
    }

    /// What the report and `undo.csv` are to be, by one reading of the record.
    pub(super) fn verified(&self) -> Result<Verified, Error> {
        let report = ReportWriter::new(Hashed::new(std::io::sink())).map_err(unwritten)?;
        let begin = |fields| {
            let columns = Columns::of_undo(fields, self.routes());
            let undo = Rerun::new(&columns, Hashed::new(std::io::sink())).map_err(unwritten)?;
            Ok((report, undo, self.way_back(true), Verified::default()))
        };
        let write = |undo: &mut Rerun<_>, verified: &mut Verified, row: UndoRow, proven: bool| {
            verified.written.way_back += 1;
            if !proven {
                verified.unclaimed.insert(row.row.number);
            }
            match cells_hold(&row.row) {
                true => undo
                    .write(&row.row, self.route(&row.row))
                    .map_err(unwritten),
                false => Ok(()),
            }
        };
        let mut unproven: HashSet<u64> = HashSet::new();
        let is_proven = |undo: &UndoRow, unproven: &HashSet<u64>| {
            undo.undoes.iter().any(|row| !unproven.contains(row))
        };
        let made = self.each(begin, |(report, undo, way_back, verified), ended| {
            report.push(&ended).map_err(unwritten)?;
            verified.written.see(&ended);
            if !ended.has_changed() {
                return Ok(());
            }
            if ended.outcome.unproven {
                unproven.insert(ended.row.number);
            }
            match way_back.add(ended.into_change()) {
                Some(row) => {
                    let proven = is_proven(&row, &unproven);
                    write(undo, verified, row, proven)
                }
                None => Ok(()),
            }
        })?;
        let (report, mut undo, way_back, mut verified) = made;
        for row in way_back.finish() {
            let proven = is_proven(&row, &unproven);
            write(&mut undo, &mut verified, row, proven)?;
        }
        verified.report = report.finish().map_err(unwritten)?.finish();
        verified.undo = undo.finish().map_err(unwritten)?.finish();
        Ok(verified)
    }
}

/// What the report and `undo.csv` of a run are to be.
#[derive(Default)]
pub(super) struct Verified {
    pub(super) written: Written,
    /// Their SHA-256.
    pub(super) report: String,
    pub(super) undo: String,
    /// Rows of the way back for workflows of which the run does not claim that it has changed them, by the first row of the run.
    pub(super) unclaimed: HashSet<u64>,
}

fn unwritten(error: csv::Error) -> Error {
    Error::machine(DOING)(ReportError::Write(error))
}

/// The hash of what was written, and where.
fn in_full<W: Write>(out: BufWriter<Hashed<W>>) -> std::io::Result<(String, W)> {
    let hashed = out.into_inner();
    Ok(hashed
        .map_err(std::io::IntoInnerError::into_error)?
        .into_parts())
}

/// What is made of the rows of a run.
struct Outputs<'a> {
    report: ReportWriter<BufWriter<Hashed<WholeFile>>>,
    derived: Derived,
    gathering: Gathering,
    rerun: RowsCsv<'a>,
    undo: RowsCsv<'a>,
    way_back: WayBack,
}

/// A CSV of rows in a run folder, which is there if there are any.
struct RowsCsv<'a> {
    folder: &'a RunFolder,
    name: &'static str,
    columns: Columns,
    /// Whether there is room for the report alone.
    no_room: bool,
    out: Option<Rerun<BufWriter<Hashed<WholeFile>>>>,
    /// Why it cannot be written.
    failed: Option<Error>,
    /// The rows of the run that cells cannot hold.
    left_out: Vec<u64>,
}

impl<'a> RowsCsv<'a> {
    /// No row yet. With `no_room` there is none for them beside the report.
    fn new(folder: &'a RunFolder, name: &'static str, columns: Columns, no_room: bool) -> Self {
        Self {
            folder,
            name,
            columns,
            no_room,
            out: None,
            failed: None,
            left_out: Vec::new(),
        }
    }

    /// Adds `row`, which goes by `route`; it stands for these rows of the run.
    fn push(&mut self, row: &Row, of: &[u64], route: Option<&Route>) {
        let path = self.folder.file(self.name);
        if self.no_room {
            let why = std::io::Error::other("there is no room for it beside report.csv");
            self.failed = Some(Error::file("cannot write", path)(why));
            return;
        }
        let out = match &mut self.out {
            Some(out) => Ok(out),
            None if self.failed.is_some() => return,
            None => WholeFile::create(&path, self.folder.readers())
                .map_err(csv::Error::from)
                .and_then(|whole| Rerun::new(&self.columns, BufWriter::new(Hashed::new(whole))))
                .map(|made| self.out.insert(made)),
        };
        let written = match cells_hold(row) {
            true => out.and_then(|out| out.write(row, route)),
            false => {
                self.left_out.extend(of);
                out.map(|_| ())
            }
        };
        if let Err(error) = written {
            self.failed = Some(Error::file("cannot write", path)(std::io::Error::other(
                error,
            )));
            self.out = None;
        }
    }

    /// Puts the file in its place, or removes what is there if there are no rows. Gives the rows that it leaves out.
    fn finish(self, files: &mut Vec<FileFacts>, trouble: &mut Vec<Error>) -> Vec<u64> {
        let path = self.folder.file(self.name);
        let done = match (self.out, self.failed) {
            // What an earlier session left says nothing about this one.
            (_, Some(error)) => self.folder.remove(self.name).and(Err(error)),
            (None, None) => self.folder.remove(self.name).map(|()| None),
            (Some(out), None) => {
                let whole = out
                    .finish()
                    .map_err(std::io::Error::other)
                    .and_then(in_full);
                let placed = whole.and_then(|(sha256, whole)| {
                    whole.finish()?;
                    Ok(Some(sha256))
                });
                placed.map_err(Error::file("cannot write", path))
            }
        };
        match done {
            Ok(sha256) => files.extend(sha256.map(|sha256| FileFacts {
                path: self.name.to_owned(),
                sha256,
                rows: None,
            })),
            Err(error) => trouble.push(error),
        }
        self.left_out
    }
}
