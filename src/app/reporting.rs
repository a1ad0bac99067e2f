//! Writes the report of a run from its journal, at whatever moment.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::model::route::LaneFacts;
use crate::sinks::digest::Digest;
use crate::sinks::report::{self, ReportError, Written};

use super::folder::{Readers, write_whole};
use super::intake::Taken;
use super::journal_file;

const DOING: &str = "the report could not be made";

/// What a report is made from.
pub(super) struct Reporting<'a> {
    pub(super) taken: &'a Taken,
    pub(super) lanes: &'a [LaneFacts],
    pub(super) digest: &'a Digest,
    pub(super) journal: PathBuf,
    /// Whether bad lines of the journal are passed over.
    pub(super) salvage: bool,
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

    /// Writes the report to `out`.
    pub(super) fn write(&self, out: impl Write) -> Result<Written, Error> {
        let (history, _) = journal_file::history(&self.journal, self.salvage)?;
        let digest = self.digest;
        let stopped = digest.stopped.as_ref().map(|(_, why)| why.clone());
        let because = stopped.or_else(|| digest.closed.first().cloned());
        let source = report::Source {
            history,
            left_because: because.unwrap_or_else(|| "the run ended first".to_owned()),
            lanes: self.lanes,
        };
        let rows = self.taken.rows().map_err(Error::machine(DOING))?;
        let rows = rows.map(|row| row.map_err(|error| error.0));
        report::write(rows, source, out).map_err(|error: ReportError| Error::machine(DOING)(error))
    }
}
