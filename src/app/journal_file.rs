//! The file a journal is kept in.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::error::Error;
use crate::sinks::disk::Disk;
use crate::sinks::ends::{Ends, find_ends};
use crate::sinks::history::History;
use crate::sinks::reader::{Extent, Reader};

use super::clock;
use super::folder::{Readers, RunFolder};

/// The file a journal is kept in, open for appending.
pub(super) struct JournalFile(File);

impl JournalFile {
    /// Makes the file, for these `readers`; that it exists is durable.
    pub(super) fn create(path: &Path, readers: Readers) -> io::Result<Self> {
        let file = appending().create_new(true).mode(0o600).open(path)?;
        lock(&file)?;
        readers.admit(&file)?;
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self(file))
    }

    /// Opens the journal of a run that goes on.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`]: another process writes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = appending().open(path)?;
        lock(&file)?;
        // Whoever held it may have been removing the record.
        let (ours, there) = (file.metadata()?, path.metadata()?);
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self(file))
    }
}

/// The journal of the run in `folder`, to go on with it. From here on it has no other writer.
///
/// # Errors
/// It cannot be written, or another process does.
pub(super) fn take_over(folder: &RunFolder) -> Result<JournalFile, Error> {
    let path = folder.file("journal.jsonl");
    JournalFile::open(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Error::Locked {
                what: format!("run {} goes on in another process", folder.id),
                hint: "wait until it has ended; `flowbatch runs` shows it".to_owned(),
            };
        }
        Error::file("cannot write", &path)(error)
    })
}

/// How often a lock is tried, [`PROBE`] apart: [`is_written`] holds it for a moment.
const TRIES: u32 = 20;
const PROBE: Duration = Duration::from_millis(10);

/// A journal has one writer; the lock ends with it, however it ends.
fn lock(file: &File) -> io::Result<()> {
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => clock::pause(PROBE),
            done => return done.map_err(io::Error::from),
        }
    }
    file.try_lock().map_err(io::Error::from)
}

/// Whether somebody writes the journal at `path` now.
pub(super) fn is_written(path: &Path) -> bool {
    let locked = File::open(path).map(|file| file.try_lock_shared());
    matches!(locked, Ok(Err(TryLockError::WouldBlock)))
}

/// What stands in the journal at `path`; with `salvage`, what is damaged is passed over.
pub(super) fn read(path: &Path, salvage: bool) -> Result<Reader<BufReader<File>>, Error> {
    let file = File::open(path).map_err(Error::file("cannot read", path))?;
    let journal = BufReader::new(file);
    Ok(match salvage {
        true => Reader::salvaging(journal),
        false => Reader::new(journal),
    })
}

/// What became of the rows by the journal at `path`, and its good part.
pub(super) fn history(path: &Path, salvage: bool) -> Result<(History<File>, Extent), Error> {
    let mut reader = read(path, salvage)?;
    let ends = find_ends(&mut reader).map_err(Error::machine("the journal cannot be read"))?;
    Ok((history_by(Rc::new(ends), path)?, reader.extent()))
}

/// What became of the rows by the journal at `path`, in which they stand as `ends` says.
pub(super) fn history_by(ends: Rc<Ends>, path: &Path) -> Result<History<File>, Error> {
    let file = File::open(path).map_err(Error::file("cannot read", path))?;
    Ok(History::new(ends, file))
}

/// A link that somebody has put there is not followed.
fn appending() -> OpenOptions {
    let mut options = File::options();
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options.append(true).custom_flags(no_follow);
    options
}

impl Disk for JournalFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)?;
        self.0.sync_all()
    }

    fn reserve(&self, length: u64) -> io::Result<u64> {
        // Room beyond the limit can be had, and not be written to.
        let limit = getrlimit(Resource::Fsize).current;
        if limit.is_some_and(|limit| limit < length) {
            return Err(Errno::FBIG.into());
        }
        allocate(&self.0, length)
    }
}

/// Room for the first `length` bytes, without making the file longer.
#[cfg(target_os = "linux")]
fn allocate(file: &File, length: u64) -> io::Result<u64> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length) {
        Ok(()) => Ok(length),
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(u64::MAX),
        // Asked again when it is needed next.
        Err(Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Only Linux can without making the file longer.
#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File, _length: u64) -> io::Result<u64> {
    Ok(u64::MAX)
}
