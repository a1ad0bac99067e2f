//! A run whose record is opened to put it back.

use crate::error::Error;
use crate::model::route::LaneFacts;
use crate::sinks::digest::Digest;

use super::folder::RunFolder;
use super::record_check::check_record;
use super::report::digest;
use super::reporting::Reporting;
use super::resolved_job::ResolvedJob;

/// A run on record, opened to put it back.
pub(super) struct RunOnRecord<'a> {
    folder: &'a RunFolder,
    digest: Digest,
    lanes: Vec<LaneFacts>,
    pub(super) resolved: ResolvedJob,
    salvage: bool,
}

impl<'a> RunOnRecord<'a> {
    /// The run in `folder`, if its files are those that its journal knows.
    ///
    /// # Errors
    /// One of them was changed, is gone or cannot be read.
    pub(super) fn open(folder: &'a RunFolder, salvage: bool) -> Result<Self, Error> {
        let digest = digest(&folder.file("journal.jsonl"), salvage)?;
        check_record(folder, &digest)?;
        let record = folder.job()?;
        let lanes = record.lanes.clone();
        let resolved = ResolvedJob::on_record(record, folder)?;
        Ok(Self {
            folder,
            digest,
            lanes,
            resolved,
            salvage,
        })
    }

    /// What its report is made from.
    pub(super) fn reporting(&self) -> Reporting<'_> {
        Reporting {
            resolved: &self.resolved,
            lanes: &self.lanes,
            digest: &self.digest,
            folder: self.folder,
            salvage: self.salvage,
            ends: None,
        }
    }
}
