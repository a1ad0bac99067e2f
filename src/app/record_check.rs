//! Whether the files of a run are those that its journal knows.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::sinks::digest::Digest;

use super::folder::{RunFolder, sha256_of};
use super::planning::{plan_path, snapshot_path};
use super::rows_file;

/// A file of a run with the SHA-256 that the journal has of it.
pub(super) struct KnownFile {
    pub(super) path: PathBuf,
    pub(super) sha256: String,
}

impl KnownFile {
    /// Its name in the run folder.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// The files that the journal of the run in `folder` knows by their hashes: what is sent depends on each of them.
pub(super) fn known_files(folder: &RunFolder, digest: &Digest) -> Vec<KnownFile> {
    let mut files = Vec::new();
    let mut know = |path: PathBuf, sha256: Option<&String>| {
        files.extend(sha256.map(|sha256| KnownFile {
            path,
            sha256: sha256.clone(),
        }));
    };
    if let Some(start) = &digest.start {
        know(folder.file("job.json"), Some(&start.job_sha256));
        let copy = start.copy.iter();
        copy.for_each(|copy| know(folder.file(&copy.path), Some(&copy.sha256)));
    }
    for (session, plan) in &digest.plans {
        know(
            snapshot_path(folder, *session),
            plan.snapshot_sha256.as_ref(),
        );
        know(plan_path(folder, *session), plan.sha256.as_ref());
    }
    files
}

/// Refuses a run whose files are not those that its journal knows: what it would send, or put back, is not what it planned. Where
/// salvage passed over a line that knows a file, the summary may know it still.
///
/// # Errors
/// A file was changed or removed since, or nothing on record knows the job and its input.
pub(super) fn check_record(folder: &RunFolder, digest: &Digest) -> Result<(), Error> {
    // A journal without a line has sent nothing.
    if digest.start.is_none() && digest.last_at.is_some() && folder.summary().is_none() {
        return Err(Error::Damaged {
            what: format!(
                "run {}: the line of its journal that holds the hashes of job.json and the input is damaged, and there is no summary.json; nothing was sent",
                folder.id
            ),
            hint: "`flowbatch report --salvage` makes report.csv and undo.csv: compare undo.csv with the service, and run it as a job"
                .to_owned(),
        });
    }
    check_known(folder, digest)
}

/// The same for a command that sends nothing: what nothing on record knows is taken as it is.
///
/// # Errors
/// A file was changed or removed since.
pub(super) fn check_known(folder: &RunFolder, digest: &Digest) -> Result<(), Error> {
    let mut files = known_files(folder, digest);
    let summary = folder.summary();
    let others = summary.map(|summary| summary.files).unwrap_or_default();
    for other in others.into_iter().filter(|file| is_carried_out(&file.path)) {
        let path = folder.file(&other.path);
        if !files.iter().any(|file| file.path == path) {
            files.push(KnownFile {
                path,
                sha256: other.sha256,
            });
        }
    }
    check(folder, &files)
}

/// Whether a run is carried out by the file of that name, and not the file made from it.
fn is_carried_out(name: &str) -> bool {
    let kinds = ["job.", rows_file::NAME, "plan", "snapshot"];
    kinds.iter().any(|kind| name.starts_with(kind))
}

fn check(folder: &RunFolder, files: &[KnownFile]) -> Result<(), Error> {
    for file in files {
        let what = match sha256_of(&file.path) {
            Ok(now) if now == file.sha256 => continue,
            Ok(_) => "was changed since the run wrote it",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is gone",
            Err(error) => return Err(Error::file("cannot read", &file.path)(error)),
        };
        return Err(refuse(folder, &file.path, what));
    }
    Ok(())
}

fn refuse(folder: &RunFolder, path: &Path, what: &str) -> Error {
    Error::Damaged {
        what: format!(
            "run {}: {} {what} (its SHA-256 is not the one on record); nothing was sent",
            folder.id,
            path.display()
        ),
        hint: "restore the file from a backup, or plan the job anew; `flowbatch verify` shows what else differs"
            .to_owned(),
    }
}
