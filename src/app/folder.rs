//! The state folder and the folders of runs in it.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown,
};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use rustix::fs::Mode;
use rustix::io::Errno;
use serde::Deserialize;
use tempfile::{NamedTempFile, TempDir};

use crate::error::Error;
use crate::job::record::{JobRecord, SCHEMA};
use crate::model::row::hex;
use crate::sinks::summary::Summary;

use super::environment;

/// The folder in which runs are kept.
pub(super) struct State(PathBuf);

impl State {
    /// The folder that was asked for, else `FLOWBATCH_STATE_DIR`, else the user's state folder.
    pub(super) fn open(asked: Option<&Path>) -> Result<Self, Error> {
        let path = match asked {
            Some(path) => path.to_owned(),
            None => default_path()?,
        };
        let state = Self(std::path::absolute(&path).map_err(Error::file("cannot find", &path))?);
        make_folder(&state.0)?;
        let readers = Readers::of(&state.0);
        for folder in OWN_FOLDERS.map(|name| state.0.join(name)) {
            let made = match make_shared(&folder, readers) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    admit_to(&folder, readers, hands_on(&folder))
                }
                made => made,
            };
            match made {
                // It may be another user's, to be read only.
                Err(error)
                    if error.kind() == io::ErrorKind::PermissionDenied && folder.exists() => {}
                made => made.map_err(Error::file("cannot make the folder", &folder))?,
            }
        }
        Ok(state)
    }

    /// Whether a run may be kept here; gives what should be known all the same.
    ///
    /// # Errors
    /// What is in the folder is not this user's: another user could change what was recorded, and what is believed of it.
    pub(super) fn check_ours(&self) -> Result<Option<String>, Error> {
        let us = rustix::process::geteuid().as_raw();
        for folder in OWN_FOLDERS.map(|name| self.0.join(name)) {
            let Ok(found) = fs::symlink_metadata(&folder) else {
                continue;
            };
            let path = folder.display();
            let (fault, hint) = match (found.is_symlink(), found.uid()) {
                (true, _) => (
                    format!("{path} is a link"),
                    "move the whole state folder there, and name it: --state-dir DIR, or FLOWBATCH_STATE_DIR",
                ),
                (false, owner) if owner != us => (
                    format!("{path} belongs to another user (uid {owner})"),
                    "run it as that user, or with a state folder of your own: --state-dir DIR, or FLOWBATCH_STATE_DIR",
                ),
                (false, _) => continue,
            };
            return Err(Error::Usage {
                what: format!("no run can be kept there: {fault}"),
                hint: hint.to_owned(),
            });
        }
        self.check_file_system()?;
        let found = fs::metadata(&self.0).map_err(Error::file("cannot read", &self.0))?;
        // With the sticky bit, others can put something in but not take ours away.
        let is_open = found.permissions().mode() & 0o1002 == 0o002;
        if is_open {
            return Ok(Some(format!(
                "all users may write in {}, and could take the records away: chmod o-w it",
                self.0.display()
            )));
        }
        let runs = fs::metadata(self.0.join("runs")).ok();
        let is_let_in = |group: u32, runs: &fs::Metadata| {
            runs.gid() == group && runs.permissions().mode() & 0o050 == 0o050
        };
        match (Readers::of(&self.0), runs) {
            (Readers::Group(group), Some(runs)) if !is_let_in(group, &runs) => Ok(Some(format!(
                "the group of {} may read there, and this user cannot let it into the runs: chmod g+s the folder",
                self.0.display()
            ))),
            (Readers::Group(_) | Readers::Owner | Readers::Usual, _) => Ok(None),
        }
    }

    /// Whether the file system knows what a record needs.
    fn check_file_system(&self) -> Result<(), Error> {
        let file = self.temporary()?;
        let file = file.as_file();
        let lock = || match file.try_lock() {
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(()),
        };
        let mode = Permissions::from_mode(0o600);
        for (what, tried) in [
            ("permissions (chmod)", file.set_permissions(mode)),
            ("locks (flock)", lock()),
            ("writes that last (fsync)", file.sync_all()),
            (
                "folders that last (fsync)",
                File::open(self.0.join("runs")).and_then(|runs| runs.sync_all()),
            ),
        ] {
            tried.map_err(|error| self.unfit(what, error))?;
        }
        Ok(())
    }

    /// Why no run can be kept here, where `what` failed.
    fn unfit(&self, what: &str, error: io::Error) -> Error {
        let errno = Errno::from_io_error(&error);
        let is_unknown = matches!(
            errno,
            Some(
                Errno::INVAL
                    | Errno::NOTSUP
                    | Errno::NOSYS
                    | Errno::NOLCK
                    | Errno::PERM
                    | Errno::NOTTY
            )
        );
        match is_unknown {
            true => Error::Usage {
                what: format!(
                    "the file system of {} knows no {what}: {error}",
                    self.0.display()
                ),
                hint: "keep runs on a local file system: --state-dir DIR, or FLOWBATCH_STATE_DIR"
                    .to_owned(),
            },
            false => Error::file("cannot write in", &self.0)(error),
        }
    }

    /// An unfinished file that is gone unless it is kept.
    pub(super) fn temporary(&self) -> Result<NamedTempFile, Error> {
        let folder = self.0.join("tmp");
        match NamedTempFile::new_in(&folder) {
            // Who may only read another user's runs has no room there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => NamedTempFile::new(),
            made => made,
        }
        .map_err(Error::file("cannot write in", folder))
    }

    /// Where the simulated world is kept.
    pub(super) fn world(&self) -> PathBuf {
        self.0.join("simulator").join("world.json")
    }

    /// The run that `text` names: its id, its folder, `last` (the newest that was no simulation, or the
    /// newest that was one) or `last:JOB`.
    pub(super) fn find_run(&self, text: &str, simulated: bool) -> Result<RunFolder, Error> {
        if text.contains('/') {
            let path = Path::new(text);
            let path = std::path::absolute(path).map_err(Error::file("cannot find", path))?;
            let id = path.file_name().unwrap_or_default();
            return RunFolder {
                id: id.to_string_lossy().into_owned(),
                path,
            }
            .there();
        }
        let job = match text.strip_prefix("last") {
            Some("") => None,
            Some(rest) if rest.starts_with(':') => Some(&rest[1..]),
            Some(_) | None => {
                let path = self.0.join("runs").join(text);
                let id = text.to_owned();
                return RunFolder { id, path }.there();
            }
        };
        let mut begun = self.runs()?.into_iter().rev().filter(RunFolder::is_begun);
        let newest = begun.find(|folder| {
            folder.job().is_ok_and(|record| {
                record.simulated == simulated && job.is_none_or(|job| record.name == job)
            })
        });
        let others = || {
            let mut runs = self.runs().unwrap_or_default().into_iter();
            runs.any(|folder| folder.job().is_ok_and(|record| record.simulated))
        };
        newest.ok_or_else(|| Error::Usage {
            what: match simulated {
                false if others() => format!(
                    "there is no run {text} in {} but simulated ones: add --simulate",
                    self.0.display()
                ),
                true => format!("there is no simulated run {text} in {}", self.0.display()),
                false => format!("there is no run {text} in {}", self.0.display()),
            },
            hint: "see `flowbatch runs`; --simulate finds simulated runs, --state-dir says where runs are kept"
                .to_owned(),
        })
    }

    /// A run that began before `newest`, of the same kind, and went on after it had ended.
    pub(super) fn went_on_after(
        &self,
        newest: &RunFolder,
        job: Option<&str>,
    ) -> Result<Option<RunFolder>, Error> {
        let last_at = |folder: &RunFolder| {
            let journal = fs::metadata(folder.file("journal.jsonl"));
            journal.and_then(|journal| journal.modified()).ok()
        };
        let simulated = newest.job()?.simulated;
        let ended = last_at(newest);
        let mut runs = self.runs()?.into_iter().rev().filter(RunFolder::is_begun);
        Ok(runs.find(|folder| {
            let is_later = folder.id < newest.id && last_at(folder) > ended;
            is_later
                && folder.job().is_ok_and(|record| {
                    record.simulated == simulated && job.is_none_or(|job| record.name == job)
                })
        }))
    }

    /// The newest run before `newest`, of the same kind, that changed something.
    pub(super) fn changed_before(&self, newest: &RunFolder) -> Result<Option<RunFolder>, Error> {
        let simulated = newest.job()?.simulated;
        let mut runs = self.runs()?.into_iter().rev().filter(RunFolder::is_begun);
        Ok(runs.find(|folder| {
            folder.id < newest.id
                && folder.file("undo.csv").exists()
                && folder
                    .job()
                    .is_ok_and(|record| record.simulated == simulated)
        }))
    }

    /// The runs that undo the one in `folder`, the newest first.
    pub(super) fn undoes(
        &self,
        folder: &RunFolder,
    ) -> Result<impl Iterator<Item = RunFolder> + use<>, Error> {
        let (runs, id) = (self.runs()?.into_iter().rev(), folder.id.clone());
        let undone = id.clone();
        let later = runs.take_while(move |other| other.id > id);
        Ok(later.filter(move |other| other.job().is_ok_and(|job| job.undoes.contains(&undone))))
    }

    /// A folder that goes when it is dropped.
    pub(super) fn temporary_folder(&self) -> Result<TempDir, Error> {
        let folder = self.0.join("tmp");
        match tempfile::tempdir_in(&folder) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => tempfile::tempdir(),
            made => made,
        }
        .map_err(Error::file("cannot write in", folder))
    }

    /// All runs, the oldest first.
    pub(super) fn runs(&self) -> Result<Vec<RunFolder>, Error> {
        let runs = self.0.join("runs");
        let entries = fs::read_dir(&runs).map_err(Error::file("cannot read", &runs))?;
        let mut found: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let id = path.file_name()?.to_str()?.to_owned();
                (is_run_id(&id) && path.is_dir()).then_some(RunFolder { id, path })
            })
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// The id of a run that begins now: it sorts by time, the last part by 2⁻²⁴ of a second.
    pub(super) fn run_id(now: Timestamp) -> String {
        let nanosecond = u64::try_from(now.subsec_nanosecond()).unwrap_or_default();
        let part = (nanosecond << 24) / 1_000_000_000;
        format!("{}-{part:06x}", now.strftime("%Y%m%dT%H%M%SZ"))
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A new run folder.
    pub(super) fn new_run(&self, id: &str) -> Result<RunFolder, Error> {
        let id = id.to_owned();
        let path = self.0.join("runs").join(&id);
        let made = make_shared(&path, Readers::of(&self.0));
        // A record that is safe is of no use in a folder that is not.
        made.and_then(|()| File::open(self.0.join("runs"))?.sync_all())
            .map_err(Error::file("cannot make the run folder", &path))?;
        Ok(RunFolder { id, path })
    }
}

/// Whether `name` is one that [`State::run_id`] makes; other folders are somebody else's.
fn is_run_id(name: &str) -> bool {
    let shape = "00000000T000000Z-ffffff";
    let fits = |(c, like): (char, char)| match like {
        '0' => c.is_ascii_digit(),
        'f' => c.is_ascii_hexdigit(),
        like => c == like,
    };
    name.len() == shape.len() && name.chars().zip(shape.chars()).all(fits)
}

fn default_path() -> Result<PathBuf, Error> {
    if let Some(path) = environment("FLOWBATCH_STATE_DIR").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    if let Some(path) = environment("XDG_STATE_HOME").filter(|path| path.starts_with('/')) {
        return Ok(Path::new(&path).join("flowbatch"));
    }
    match environment("HOME").filter(|path| !path.is_empty()) {
        Some(home) => Ok(Path::new(&home).join(".local/state/flowbatch")),
        None => Err(Error::Usage {
            what: "no place for the record: HOME is not set".to_owned(),
            hint: "say --state-dir DIR or set FLOWBATCH_STATE_DIR".to_owned(),
        }),
    }
}

/// Folders of a state folder that no other user may have made.
const OWN_FOLDERS: [&str; 3] = ["runs", "tmp", "locks"];

/// The setgid bit of the folder around `path`.
fn hands_on(path: &Path) -> u32 {
    let around = path.parent().and_then(|around| fs::metadata(around).ok());
    around.map_or(0, |around| around.permissions().mode() & 0o2000)
}

/// Makes the folder `path` for this user and these `readers`. A user outside their group can
/// let them in only where the folder around it hands its group on (setgid).
fn make_shared(path: &Path, readers: Readers) -> io::Result<()> {
    let hands_on = hands_on(path);
    let mode = match readers {
        // Born so, it needs no other mode: to set one would take setgid away.
        Readers::Group(_) if hands_on != 0 => 0o750,
        Readers::Group(_) | Readers::Owner | Readers::Usual => 0o700,
    };
    // The mode is meant as it is.
    let umask = rustix::process::umask(Mode::empty());
    let made = DirBuilder::new().mode(mode).create(path);
    rustix::process::umask(umask);
    made?;
    admit_to(path, readers, hands_on)
}

/// Lets `readers` into the folder `path`, if it is this user's, and no other group in their place.
fn admit_to(path: &Path, readers: Readers, hands_on: u32) -> io::Result<()> {
    let Readers::Group(group) = readers else {
        return Ok(());
    };
    let found = fs::symlink_metadata(path)?;
    if found.uid() != rustix::process::geteuid().as_raw() || !found.is_dir() {
        return Ok(());
    }
    if found.gid() != group && chown(path, None, Some(group)).is_err() {
        // Another group's members are not those who were let in.
        return Ok(());
    }
    let found = fs::symlink_metadata(path)?.permissions().mode();
    match found & 0o050 == 0o050 && found & 0o2000 >= hands_on {
        true => Ok(()),
        false => fs::set_permissions(path, Permissions::from_mode(0o750 | hands_on)),
    }
}

/// Makes `path` and what leads to it, for this user alone.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Error::Damaged {
        what: format!("cannot make the folder {}: {error}", path.display()),
        hint: "say --state-dir DIR, or set FLOWBATCH_STATE_DIR".to_owned(),
    })
}

impl RunFolder {
    /// The folder, if it is that of a run.
    fn there(self) -> Result<Self, Error> {
        if self.is_begun() {
            return Ok(self);
        }
        let (has_job, has_journal) = (
            self.file("job.json").is_file(),
            self.file("journal.jsonl").is_file(),
        );
        if has_job != has_journal && (has_journal || self.summary().is_some()) {
            let gone = if has_job { "journal.jsonl" } else { "job.json" };
            return Err(Error::Damaged {
                what: format!(
                    "the record of run {} is damaged: its {gone} is gone",
                    self.id
                ),
                hint: format!("put it back from a copy of {}", self.path.display()),
            });
        }
        if has_job {
            return Err(Error::Usage {
                what: format!(
                    "run {} was killed before it began: nothing was sent",
                    self.id
                ),
                hint: "run the job again".to_owned(),
            });
        }
        if self.summary().is_some() {
            return Err(Error::Usage {
                what: format!("the record of run {} was pruned", self.id),
                hint: format!("its {} is left", self.file("summary.json").display()),
            });
        }
        Err(Error::Usage {
            what: format!("there is no run at {}", self.path.display()),
            hint: "name a run by its id or its folder; --state-dir says where runs are kept"
                .to_owned(),
        })
    }
}

/// The folder of a run: complete in itself.
pub(super) struct RunFolder {
    pub(super) id: String,
    pub(super) path: PathBuf,
}

impl RunFolder {
    /// The state folder that it is in, unless it was moved out of one.
    pub(super) fn state(&self) -> Option<State> {
        let runs = self.path.parent().filter(|runs| runs.ends_with("runs"))?;
        Some(State(runs.parent()?.to_owned()))
    }

    /// Whether there is a journal, without which nothing is sent.
    fn is_begun(&self) -> bool {
        self.file("job.json").is_file() && self.file("journal.jsonl").is_file()
    }

    /// What is on record of its job.
    pub(super) fn job(&self) -> Result<JobRecord, Error> {
        let path = self.file("job.json");
        let text = fs::read_to_string(&path).map_err(Error::file("cannot read", &path))?;
        #[derive(Deserialize)]
        struct Head {
            schema_version: u32,
        }
        let doing = "the job on record (job.json) cannot be read";
        let head: Head = serde_json::from_str(&text).map_err(Error::machine(doing))?;
        if head.schema_version != SCHEMA {
            return Err(Error::Usage {
                what: format!(
                    "run {} has a job.json of schema {}, this version reads {SCHEMA}",
                    self.id, head.schema_version
                ),
                hint: "use the version of flowbatch that made it (summary.json: tool_version)"
                    .to_owned(),
            });
        }
        serde_json::from_str(&text).map_err(Error::machine(doing))
    }

    /// The summary that the last session left, if it came so far.
    pub(super) fn summary(&self) -> Option<Summary> {
        let text = fs::read(self.file("summary.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Who may read its files: whoever may read the folder.
    pub(super) fn readers(&self) -> Readers {
        Readers::of(&self.path)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes a file of the run if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::file("cannot remove", path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes the run: it never began.
    pub(super) fn forget(&self) -> Result<(), Error> {
        fs::remove_dir_all(&self.path).map_err(Error::file("cannot remove", &self.path))
    }

    /// Writes a file of the run, complete or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.file(name);
        write_whole(&path, self.readers(), |file| file.write_all(bytes))
            .map_err(Error::file("cannot write", path))
    }
}

/// Who may read a file that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// This user alone.
    Owner,
    /// This user, and this group.
    Group(u32),
    /// Whoever could read the file that was there, else whoever the umask lets.
    Usual,
}

impl Readers {
    /// Those who may read in the folder `path`.
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(found) if found.permissions().mode() & 0o050 == 0o050 => Self::Group(found.gid()),
            Ok(_) | Err(_) => Self::Owner,
        }
    }

    /// Lets them read `file`, which was made for this user alone. A group that this user cannot give it to is not let in, and
    /// no other is in its place.
    pub(super) fn admit(self, file: &File) -> io::Result<()> {
        let Self::Group(group) = self else {
            return Ok(());
        };
        let is_theirs = file.metadata()?.gid() == group || fchown(file, None, Some(group)).is_ok();
        match is_theirs {
            true => file.set_permissions(Permissions::from_mode(0o640)),
            false => Ok(()),
        }
    }
}

/// Makes `path` anew for these `readers`, to be written and read.
pub(super) fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.mode(0o600).open(path)?;
    readers.admit(&file)?;
    Ok(file)
}

/// Writes `path` so that it is there complete or as it was before. What exists and is no regular
/// file is written directly; a link is followed first.
pub(super) fn write_whole(
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let mut whole = WholeFile::create(path, readers)?;
    write(whole.file())?;
    whole.finish()
}

/// A file that is there complete, once it is finished, or as it was before.
pub(super) struct WholeFile {
    path: PathBuf,
    to: To,
}

/// Where a whole file is written.
enum To {
    /// To a file that takes its place.
    Beside(NamedTempFile),
    /// To one that is copied into it: a file alone may be mounted into a folder where nothing can be made.
    Elsewhere(File),
    /// There: it is no regular file.
    There(File),
}

impl WholeFile {
    /// Begins the file `path` for these `readers`. What exists and is no regular file is written directly; a link is followed
    /// first.
    pub(super) fn create(path: &Path, readers: Readers) -> io::Result<Self> {
        let path = behind_links(path)?;
        let found = fs::metadata(&path);
        if found.as_ref().is_ok_and(|found| !found.is_file()) {
            let to = To::There(File::options().write(true).open(&path)?);
            return Ok(Self { path, to });
        }
        let folder = folder_of(&path);
        let made = match readers {
            Readers::Owner | Readers::Group(_) => NamedTempFile::new_in(folder),
            // As for any new file: the umask takes from this what it takes.
            Readers::Usual => tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(folder),
        };
        let file = match made {
            Err(error)
                if found.is_ok()
                    && readers == Readers::Usual
                    && matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                    ) =>
            {
                let to = To::Elsewhere(tempfile::tempfile()?);
                return Ok(Self { path, to });
            }
            made => made?,
        };
        if let (Readers::Usual, Ok(found)) = (readers, found) {
            file.as_file().set_permissions(found.permissions())?;
        }
        readers.admit(file.as_file())?;
        let to = To::Beside(file);
        Ok(Self { path, to })
    }

    /// What is written to.
    fn file(&mut self) -> &mut File {
        match &mut self.to {
            To::Beside(file) => file.as_file_mut(),
            To::Elsewhere(file) | To::There(file) => file,
        }
    }

    /// Puts it in its place, durably.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = match self.to {
            To::There(_) => return Ok(()),
            To::Elsewhere(mut whole) => return write_in_place(&self.path, &mut whole),
            To::Beside(file) => file,
        };
        file.as_file().sync_all()?;
        match file.persist(&self.path) {
            // A file that is a mount point cannot be replaced.
            Err(error) if error.error.kind() == io::ErrorKind::ResourceBusy => {
                return write_in_place(&self.path, &mut error.file.reopen()?);
            }
            persisted => persisted.map_err(|error| error.error)?,
        };
        // Durably, where the folder may be read; what counts is that the file is whole.
        let _ = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

/// The folder that `path` is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// Writes what is `whole` into the file that is there.
fn write_in_place(path: &Path, whole: &mut File) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    whole.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    io::copy(whole, &mut file)?;
    file.sync_all()
}

/// Where `path` leads, also if nothing is there yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(to) => Ok(path.parent().unwrap_or(Path::new("")).join(to)),
            Err(_) => Ok(path.to_owned()),
        },
        found => found,
    }
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    hex(context.finish().as_ref())
}

/// The SHA-256 of a file.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hashed = Hashed::new(File::open(path)?);
    let mut buffered = BufReader::with_capacity(64 << 10, &mut hashed);
    io::copy(&mut buffered, &mut io::sink())?;
    Ok(hashed.finish())
}

/// A reader or writer that hashes what passes through.
pub(super) struct Hashed<R> {
    bytes: R,
    context: Context,
}

impl<R> Hashed<R> {
    pub(super) fn new(bytes: R) -> Self {
        Self {
            bytes,
            context: Context::new(&SHA256),
        }
    }

    /// The SHA-256 of what has passed, in hexadecimal.
    pub(super) fn finish(self) -> String {
        self.into_parts().0
    }

    /// The same, and what it has passed to or from.
    pub(super) fn into_parts(self) -> (String, R) {
        (hex(self.context.finish().as_ref()), self.bytes)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.context.update(&buffer[..length]);
        Ok(length)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.bytes.write(bytes)?;
        self.context.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes.flush()
    }
}

/// A file that hashes what is written, one after the other, and can be read.
pub(super) struct Appended {
    file: File,
    context: Context,
}

impl Appended {
    /// Adds to `file`, which is empty.
    pub(super) fn to(file: File) -> Self {
        Self {
            file,
            context: Context::new(&SHA256),
        }
    }

    /// Makes what was written durable. Gives its SHA-256, in hexadecimal.
    pub(super) fn sync(&self) -> io::Result<String> {
        self.file.sync_all()?;
        Ok(hex(self.context.clone().finish().as_ref()))
    }
}

impl Read for Appended {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Appended {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.context.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_system_does_not_know_is_named_with_what_to_do() {
        let state = State("/mnt/share".into());
        let text = |errno: Errno| state.unfit("locks (flock)", errno.into()).text();
        let unknown = "error: the file system of /mnt/share knows no locks (flock): Operation not supported (os error 95)\n  \
                       keep runs on a local file system: --state-dir DIR, or FLOWBATCH_STATE_DIR";
        assert_eq!(text(Errno::NOTSUP), unknown);
        let full = "error: cannot write in /mnt/share: No space left on device (os error 28)";
        assert_eq!(text(Errno::NOSPC), full);
    }
}
