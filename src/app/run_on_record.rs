//! A run whose record is opened to put it back.

use crate::error::Error;
use crate::model::route::LaneFacts;
use crate::sinks::digest::Digest;

use super::folder::RunFolder;
use super::input::Copy;
use super::record_check::check_record;
use super::report::digest;
use super::reporting::Reporting;
use super::taken::Taken;

/// A run on record, opened to put it back.
pub(super) struct RunOnRecord<'a> {
    folder: &'a RunFolder,
    digest: Digest,
    lanes: Vec<LaneFacts>,
    pub(super) taken: Taken,
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
        let copy = folder.file(record.input_file());
        let taken = Taken::again(record, Copy::Kept(copy))?;
        Ok(Self {
            folder,
            digest,
            lanes,
            taken,
            salvage,
        })
    }

    /// What its report is made from.
    pub(super) fn reporting(&self) -> Reporting<'_> {
        Reporting {
            taken: &self.taken,
            lanes: &self.lanes,
            digest: &self.digest,
            folder: self.folder,
            salvage: self.salvage,
            ends: None,
        }
    }
}
