//! Writes the report of a run from its journal, at whatever moment.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use crate::error::Error;
use crate::job::stage::stage_of;
use crate::model::change::Change;
use crate::model::id::Id;
use crate::model::route::LaneFacts;
use crate::plan::undo::{RowChange, UndoRow, WayBack};
use crate::sinks::digest::Digest;
use crate::sinks::ends::{Ends, Trace};
use crate::sinks::history::History;
use crate::sinks::report::{self, ReportError, Written};
use crate::sinks::rerun::{Rerun, cells_hold};

use super::folder::{Readers, RunFolder, write_whole};
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

impl Reporting<'_> {
    /// Writes the report as `path`, whole or not at all.
    pub(super) fn write_to(&self, path: &Path, readers: Readers) -> Result<Written, Error> {
        let mut written = Ok(Written::default());
        let whole = write_whole(path, readers, |file| {
            let mut out = BufWriter::new(file);
            written = self.write(&mut out);
            match &written {
                Ok(_) => out.flush(),
                // Half a report is none.
                Err(_) => Err(std::io::Error::other("the report is incomplete")),
            }
        });
        let written = written?;
        whole.map_err(Error::file("cannot write", path))?;
        Ok(written)
    }

    fn history(&self) -> Result<History<File>, Error> {
        let journal = self.folder.file("journal.jsonl");
        match &self.ends {
            Some(ends) => journal_file::history_by(Rc::clone(ends), &journal),
            None => Ok(journal_file::history(&journal, self.salvage)?.0),
        }
    }

    /// What rows that were sent without an end were to change.
    fn planned(
        &self,
        history: &History<File>,
    ) -> Result<HashMap<u64, (Option<Id>, Change)>, Error> {
        let plans = plans_on_record(self.folder, self.digest, self.salvage);
        planned_changes(self.folder, &plans, history)
            .map_err(Error::machine("the plan of the run cannot be read"))
    }

    /// Writes what is derived from the report into the run folder: the rows that are left as a job of their own, and those that
    /// put back what was changed; without such rows there is no file. Gives the rows that cells cannot hold.
    pub(super) fn write_derived(&self, written: &Written) -> Result<LeftOut, Error> {
        Ok(LeftOut {
            rerun: self.write_rerun_file(written)?,
            undo: self.write_undo_file(written)?,
        })
    }

    fn write_undo_file(&self, written: &Written) -> Result<Vec<u64>, Error> {
        if written.changed.count() == 0 {
            self.folder.remove("undo.csv")?;
            return Ok(Vec::new());
        }
        let path = self.folder.file("undo.csv");
        let mut done = Ok(Vec::new());
        let whole = write_whole(&path, self.folder.readers(), |file| {
            let mut out = BufWriter::new(file);
            done = self.write_undo(written, &mut out);
            match done {
                Ok(_) => out.flush(),
                Err(_) => Err(std::io::Error::other("undo.csv is incomplete")),
            }
        });
        let left_out = done?;
        whole.map_err(Error::file("cannot write", path))?;
        Ok(left_out)
    }

    fn write_rerun_file(&self, written: &Written) -> Result<Vec<u64>, Error> {
        let path = self.folder.file("rerun.csv");
        // Rows of several stages are no CSV of their own: a workflow may have one in each.
        if written.left.count() == 0 || !self.resolved.job.stages.is_empty() {
            self.folder.remove("rerun.csv")?;
            return Ok(Vec::new());
        }
        let doing = "the rows that are left cannot be written";
        let rows = self.resolved.rows().map_err(Error::machine(doing))?;
        let mut left_out = Vec::new();
        let write = |file: &mut File| {
            let other = std::io::Error::other::<csv::Error>;
            let mut rerun = Rerun::new(&written.columns, BufWriter::new(file)).map_err(other)?;
            for row in rows {
                let row = row.map_err(std::io::Error::other)?.row;
                if !written.left.contains(row.number) {
                    continue;
                }
                if !cells_hold(&row) {
                    left_out.push(row.number);
                    continue;
                }
                let lane = self.lanes.get(row.lane.0);
                let written = rerun.write(&row, lane.map(|lane| &lane.route));
                written.map_err(other)?;
            }
            rerun.finish().map_err(other)
        };
        write_whole(&path, self.folder.readers(), write)
            .map_err(Error::file("cannot write", path))?;
        Ok(left_out)
    }

    /// Shows `take` the rows that put back what the run changed, one for each workflow; with `is_guarded` they do so only where it
    /// still is as the run left it.
    pub(super) fn each_undo(
        &self,
        written: &Written,
        is_guarded: bool,
        mut take: impl FnMut(UndoRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const DOING: &str = "what puts the run back cannot be made";
        let mut history = self.history()?;
        let mut planned = self.planned(&history)?;
        let mut way_back = WayBack::new(!self.resolved.job.stages.is_empty(), is_guarded);
        for row in self.resolved.rows().map_err(Error::machine(DOING))? {
            let row = row.map_err(Error::machine(DOING))?.row;
            if !written.changed.contains(row.number) {
                continue;
            }
            let change = match history.of(row.number) {
                Trace::Ended { offset, .. } => {
                    let end = history.end(row.number, offset);
                    let (_, outcome) = end.map_err(Error::machine(DOING))?;
                    RowChange {
                        at: offset,
                        row,
                        workflow_id: outcome.workflow_id,
                        change: outcome.change.unwrap_or_default(),
                        unproven: outcome.unproven,
                        shown: outcome.shown,
                        live_name: outcome.live_name,
                    }
                }
                // It was sent last of all.
                Trace::Sent { .. } | Trace::None => {
                    let Some((workflow_id, change)) = planned.remove(&row.number) else {
                        continue;
                    };
                    RowChange {
                        at: u64::MAX,
                        row,
                        workflow_id,
                        change,
                        unproven: true,
                        shown: BTreeMap::new(),
                        live_name: None,
                    }
                }
            };
            way_back.add(change).map_or(Ok(()), &mut take)?;
        }
        way_back.finish().try_for_each(take)
    }

    /// Writes the rows that put back what the run changed as a CSV for people. Gives the rows of the run that no cells can put
    /// back: they are left out.
    pub(super) fn write_undo(&self, written: &Written, out: impl Write) -> Result<Vec<u64>, Error> {
        const DOING: &str = "undo.csv cannot be written";
        let mut undo = Rerun::new(&written.undo, out).map_err(Error::machine(DOING))?;
        let mut left_out = Vec::new();
        self.each_undo(written, true, |UndoRow { row, undoes, .. }| {
            if !cells_hold(&row) {
                left_out.extend(undoes);
                return Ok(());
            }
            let route = self.lanes.get(row.lane.0).map(|lane| &lane.route);
            undo.write(&row, route).map_err(Error::machine(DOING))
        })?;
        undo.finish().map_err(Error::machine(DOING))?;
        left_out.sort_unstable();
        Ok(left_out)
    }

    /// Writes the report to `out`.
    pub(super) fn write(&self, out: impl Write) -> Result<Written, Error> {
        let history = self.history()?;
        let planned = self.planned(&history)?;
        let digest = self.digest;
        let stopped = digest.stopped.as_ref().map(|(_, why)| why.clone());
        let because = stopped.or_else(|| digest.closed.first().cloned());
        let waves = self.resolved.waves().map_err(Error::machine(DOING))?;
        let stages = self.resolved.job.stages.as_slice();
        let source = report::Source {
            place_of: &|number, taken| {
                let stage = stage_of(stages, number).and_then(|stage| stages.get(stage));
                let waves = waves.as_ref().filter(|_| taken);
                let wave = waves.and_then(|waves| waves.get(waves.of(number)));
                (
                    stage.map(|stage| stage.name.as_str()),
                    wave.map(|wave| wave.number),
                )
            },
            history,
            left_because: because.unwrap_or_else(|| "the run ended first".to_owned()),
            lanes: self.lanes,
            names: &digest.names,
            planned,
        };
        let rows = self.resolved.rows().map_err(Error::machine(DOING))?;
        let rows = rows.map(|row| match row {
            Ok(stored) => Ok((stored.row, stored.left_out)),
            Err(error) => Err(error.0),
        });
        report::write(rows, source, out).map_err(|error: ReportError| Error::machine(DOING)(error))
    }
}
