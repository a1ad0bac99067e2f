//! A run on one page: `report.html`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use jiff::tz::TimeZone;

use crate::engine::ports::Watcher;
use crate::error::Error;
use crate::model::route::LaneFacts;
use crate::sinks::attention::Attention;
use crate::sinks::digest::Digest;
use crate::sinks::html::{Facts, PageRows, page};
use crate::sinks::timeline::Timeline;

use super::closing::command;
use super::destination::{Open, is_simulator};
use super::folder::{Readers, RunFolder, sha256_of, write_whole};
use super::journal_file;
use super::resolved_job::ResolvedJob;
use super::runs::is_last_word;

const DOING: &str = "the page cannot be made";

/// What a page is made from.
pub(super) struct Page<'a> {
    pub(super) folder: &'a RunFolder,
    pub(super) resolved: &'a ResolvedJob,
    pub(super) lanes: &'a [LaneFacts],
    /// The rows that need a person, and those that are shown.
    pub(super) rows: &'a (Attention, PageRows),
    /// Whether bad lines of the journal are passed over.
    pub(super) salvage: bool,
}

impl Page<'_> {
    /// Writes it as `path`, whole or not at all.
    pub(super) fn write_to(&self, path: &Path, readers: Readers) -> Result<(), Error> {
        let text = self.text()?;
        write_whole(path, readers, |file| file.write_all(text.as_bytes()))
            .map_err(Error::file("cannot write", path))
    }

    /// It, as text.
    pub(super) fn text(&self) -> Result<String, Error> {
        let (mut digest, timeline) = self.replayed()?;
        let (attention, rows) = self.rows;
        let summary = self.folder.summary().filter(|_| is_last_word(self.folder));
        let summary = summary.as_ref();
        let sha256 = summary.and_then(|_| sha256_of(&self.folder.file("summary.json")).ok());
        let simulated = is_simulator(self.resolved.job.destination);
        let target = Open::on_record(self.lanes.to_vec(), simulated).text();
        // A run that was killed has no end of what was in flight, and no summary.
        digest.tally.unknown = rows.unknown;
        let was_killed = digest.ended.is_none();
        let next = was_killed.then(|| command("resume", self.folder, Vec::new()));
        let has_undo = match was_killed {
            true => digest.tally.succeeded + digest.tally.unknown > 0,
            false => self.folder.file("undo.csv").exists(),
        };
        let undo = has_undo.then(|| command("undo", self.folder, Vec::new()));
        let facts = Facts {
            run_id: &self.folder.id,
            job: &self.resolved.name,
            description: self.resolved.job.description.as_deref(),
            simulated,
            target: &target,
            ticket: summary.and_then(|summary| summary.ticket.as_deref()),
            host: summary.map(|summary| summary.host.as_str()),
            identity: summary.map_or(&[], |summary| &summary.identity),
            files: summary.map_or(&[], |summary| &summary.files),
            sha256: sha256.as_deref(),
            next: next.as_deref(),
            undo: undo.as_deref(),
            verify: &command("verify", self.folder, Vec::new()),
            zone: &TimeZone::system(),
        };
        Ok(page(&facts, &digest, &timeline, attention, rows))
    }

    /// What the journal says, from its beginning.
    fn replayed(&self) -> Result<(Digest, Timeline), Error> {
        let (mut digest, mut timeline) = (Digest::default(), Timeline::default());
        let journal = self.folder.file("journal.jsonl");
        for entry in journal_file::read(&journal, self.salvage)? {
            let entry = entry.map_err(Error::machine(DOING))?;
            digest.see(&entry.event);
            timeline.see(&entry.event);
        }
        Ok((digest, timeline))
    }
}

/// Refuses a place for a page where something else is.
pub(super) fn check_target(path: &Path) -> Result<(), Error> {
    const BEGINNING: &[u8] = b"<!DOCTYPE html>";
    super::report_target::check_folder("the page", path)?;
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|file| {
        let most = BEGINNING.len() as u64;
        file.take(most).read_to_end(&mut beginning)
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) if beginning.is_empty() || beginning == BEGINNING => Ok(()),
        Ok(_) | Err(_) => Err(Error::Usage {
            what: format!(
                "the page cannot go to {}: something else is there",
                path.display()
            ),
            hint: "name another file".to_owned(),
        }),
    }
}
