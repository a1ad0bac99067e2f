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
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    let wrong = |is: &str, hint: &str| Error::Refused {
        what: format!("{what} {} {is}", path.display()),
        hint: hint.to_owned(),
    };
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(
            "is longer than 4 MiB",
            "give the file that holds it, and nothing else",
        ));
    }
    match text(&bytes) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(NoText::Utf16) => Err(wrong("is in UTF-16", "save it as UTF-8")),
        Err(NoText::Other) => Err(wrong("is not in UTF-8", "save it as UTF-8")),
    }
}

/// Why bytes are no text of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoText {
    /// As Windows PowerShell writes what is redirected.
    Utf16,
    Other,
}

/// The text in `bytes`, without a byte order mark.
fn text(bytes: &[u8]) -> Result<&str, NoText> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(NoText::Utf16);
    }
    match str::from_utf8(bytes) {
        // Every second byte of ASCII, without a mark.
        Ok(text) if text.contains('\0') => Err(NoText::Utf16),
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(_) => Err(NoText::Other),
    }
}

/// The first bytes of what `from` holds; nothing if it holds more than [`LARGEST`].
///
/// # Errors
/// It cannot be read.
pub(super) fn read_bounded(from: impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= LARGEST))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf_8_with_or_without_a_mark() {
        assert_eq!(text(b"abc"), Ok("abc"));
        assert_eq!(text(b"\xef\xbb\xbfabc"), Ok("abc"));
        assert_eq!(text(b"\xff\xfea\0"), Err(NoText::Utf16));
        assert_eq!(text(b"\xfe\xff\0a"), Err(NoText::Utf16));
        assert_eq!(text(b"a\0b\0"), Err(NoText::Utf16));
        assert_eq!(text(b"a\xe4"), Err(NoText::Other));
    }
}
