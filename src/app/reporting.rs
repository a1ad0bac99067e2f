//! Writes the report of a run from its journal, at whatever moment.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use crate::error::Error;
use crate::job::stage::stage_of;
use crate::model::change::Change;
use crate::model::id::Id;
use crate::model::route::LaneFacts;
use crate::model::row::Row;
use crate::sinks::digest::Digest;
use crate::sinks::ends::{Ends, Trace};
use crate::sinks::history::History;
use crate::sinks::report::{self, ReportError, Written};
use crate::sinks::rerun::Rerun;
use crate::sinks::undo::{Changes, undo_row};

use super::folder::{Readers, RunFolder, write_whole};
use super::journal_file;
use super::planning::planned_changes;
use super::taken::Taken;

const DOING: &str = "the report could not be made";

/// What a report is made from.
pub(super) struct Reporting<'a> {
    pub(super) taken: &'a Taken,
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
        planned_changes(self.folder, self.digest.later_sessions() + 1, history)
            .map_err(Error::machine("the plan of the run cannot be read"))
    }

    /// Writes the rows that put back what the run changed as a job of their own; with `guarded` only where
    /// nobody has changed it since.
    pub(super) fn write_undo(
        &self,
        written: &Written,
        guarded: bool,
        out: impl Write,
    ) -> Result<(), Error> {
        const DOING: &str = "the way back cannot be written";
        let mut history = self.history()?;
        let mut planned = self.planned(&history)?;
        let rows = self.taken.rows().map_err(Error::machine(DOING))?;
        let mut undo = Rerun::new(&written.undo, out).map_err(Error::machine(DOING))?;
        let mut write = |row: &Row, id: Option<&Id>, change: &Change| {
            let route = self.lanes.get(row.lane.0).map(|lane| &lane.route);
            undo.write(&undo_row(row, id, change, guarded), route)
                .map_err(Error::machine(DOING))
        };
        // Of a workflow that several stages have changed, one row puts all of it back.
        let mut of_stages = Changes::default();
        for row in rows {
            let (row, _) = row.map_err(Error::machine(DOING))?;
            if !written.changed.contains(row.number) {
                continue;
            }
            let trace = history.of(row.number);
            let change = match trace {
                Trace::Ended { offset, .. } => {
                    let end = history
                        .end(row.number, offset)
                        .map_err(Error::machine(DOING))?;
                    end.1.change.map(|change| (end.1.workflow_id, change))
                }
                Trace::Sent { .. } | Trace::None => planned.remove(&row.number),
            };
            let Some((id, change)) = change else { continue };
            match (self.taken.job.stages.is_empty(), trace) {
                (true, _) => write(&row, id.as_ref(), &change)?,
                (false, Trace::Ended { offset, .. }) => of_stages.add(offset, row, id, change),
                // It was sent last of all.
                (false, Trace::Sent { .. } | Trace::None) => {
                    of_stages.add(u64::MAX, row, id, change);
                }
            }
        }
        for (row, change) in of_stages.into_all() {
            write(&row, None, &change)?;
        }
        undo.finish().map_err(Error::machine(DOING))
    }

    /// Writes the report to `out`.
    pub(super) fn write(&self, out: impl Write) -> Result<Written, Error> {
        let history = self.history()?;
        let planned = self.planned(&history)?;
        let digest = self.digest;
        let stopped = digest.stopped.as_ref().map(|(_, why)| why.clone());
        let because = stopped.or_else(|| digest.closed.first().cloned());
        let waves = self.taken.waves().map_err(Error::machine(DOING))?;
        let stages = self.taken.job.stages.as_slice();
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
            skipped_because: &|row| self.taken.job.selection.why_left_out(row),
        };
        let rows = self.taken.rows().map_err(Error::machine(DOING))?;
        let rows = rows.map(|row| row.map_err(|error| error.0));
        report::write(rows, source, out).map_err(|error: ReportError| Error::machine(DOING)(error))
    }
}
