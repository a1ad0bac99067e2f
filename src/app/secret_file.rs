//! Files that hold secrets, or say where they are.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::error::Error;

/// The largest file that is taken for one with a secret: tokens may have 2 MiB.
const LARGEST: u64 = 4 << 20;
/// Reads a file of ours; none that others may read or write. `what` it is, for people.
pub(super) fn read(what: &str, path: &Path) -> Result<SecretString, Error> {
    let cannot = |error: std::io::Error| Error::Refused {
        what: format!("{what} {} cannot be read: {error}", path.display()),
        hint: "check the path and its permissions".to_owned(),
    };
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    check(what, path, &metadata)?;
    // Growing, it would leave pieces of itself behind.
    let length = usize::try_from(metadata.len().min(LARGEST)).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(length + 1));
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    Ok(SecretString::from(text.as_str()))
}

/// Refuses a regular file that others may read or write; a pipe is read by whoever holds it. One of
/// root's may be there for a group, as services are given theirs.
fn check(what: &str, path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let mode = metadata.permissions().mode() & 0o777;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let forbidden = if ours || metadata.uid() != 0 {
        0o077
    } else {
        0o027
    };
    if !metadata.is_file() || mode & forbidden == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Error::Refused {
        what: format!("{what} {path} can be read or written by others (mode {mode:03o})"),
        hint: format!("make it yours alone: chmod 600 {path}"),
    })
}

/// What a file looks like from outside: if it changes, so has the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Whether nothing is in it yet.
    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }

    /// Of `path` now, if it is there and a regular file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_file().then(|| Self {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}
