//! The state folder and the folders of runs in it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use tempfile::NamedTempFile;

use crate::error::Error;
use crate::model::row::hex;

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
        for folder in [state.0.clone(), state.0.join("runs"), state.0.join("tmp")] {
            make_folder(&folder)?;
        }
        Ok(state)
    }

    /// An unfinished file that is gone unless it is kept.
    pub(super) fn temporary(&self) -> Result<NamedTempFile, Error> {
        let folder = self.0.join("tmp");
        NamedTempFile::new_in(&folder).map_err(Error::file("cannot write in", folder))
    }

    /// Where the simulated world is kept.
    pub(super) fn world(&self) -> PathBuf {
        self.0.join("simulator").join("world.json")
    }

    /// A new run folder.
    pub(super) fn new_run(&self, now: Timestamp, seed: u64) -> Result<RunFolder, Error> {
        let id = format!(
            "{}-{:06x}",
            now.strftime("%Y%m%dT%H%M%SZ"),
            seed & 0xff_ffff
        );
        let path = self.0.join("runs").join(&id);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(Error::file("cannot make the run folder", &path))?;
        Ok(RunFolder { id, path })
    }
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

/// Makes `path` and what leads to it, for this user alone.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(Error::file("cannot make the folder", path))
}

/// The folder of a run: complete in itself.
pub(super) struct RunFolder {
    pub(super) id: String,
    pub(super) path: PathBuf,
}

impl RunFolder {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file of the run, complete or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.file(name);
        write_whole(&path, Readers::Owner, |file| file.write_all(bytes))
            .map_err(Error::file("cannot write", path))
    }
}

/// Who may read a file that is written.
#[derive(Clone, Copy)]
pub(super) enum Readers {
    /// This user alone.
    Owner,
    /// Whoever could read the file that was there, else whoever the umask lets.
    Usual,
}

/// Writes `path` so that it is there complete or as it was before. What exists and is no regular
/// file is written directly; a link is followed first.
pub(super) fn write_whole(
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let path = behind_links(path)?;
    let found = fs::metadata(&path);
    if found.as_ref().is_ok_and(|found| !found.is_file()) {
        return write(&mut File::options().write(true).open(&path)?);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let mut file = match readers {
        Readers::Owner => NamedTempFile::new_in(folder)?,
        // As for any new file: the umask takes from this what it takes.
        Readers::Usual => tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?,
    };
    if let (Readers::Usual, Ok(found)) = (readers, found) {
        file.as_file().set_permissions(found.permissions())?;
    }
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
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
    let mut hashed = Hashed::new(BufReader::new(File::open(path)?));
    io::copy(&mut hashed, &mut io::sink())?;
    Ok(hashed.finish())
}

/// A reader that hashes what passes through.
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
        hex(self.context.finish().as_ref())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.context.update(&buffer[..length]);
        Ok(length)
    }
}
