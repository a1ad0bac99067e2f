//! Credentials that this machine supplies again and again: from files, and from programs.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::future::{LocalBoxFuture, ready};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::error::Error;
use crate::model::id::Id;
use crate::model::span;
use crate::secmaster::auth::credential::Credential;
use crate::secmaster::auth::keys::Keys;
use crate::secmaster::auth::printed;
use crate::secmaster::auth::supply::{Fixed, Supplied, Supply, SupplyError};
use crate::secmaster::auth::token::Token;

use super::credentials_file::Basic;
use super::secret_file::{self, Stamp};
use super::variables::is_credential;

/// How long a program may take to print a credential.
const TIMEOUT: Duration = Duration::from_secs(30);
/// As much as it may print.
const LONGEST: u64 = 4 << 20;

/// A file that is read again when it changes.
pub(super) struct Reread {
    path: PathBuf,
    read: fn(&Path) -> Result<Credential, Error>,
    seen: Cell<Option<Stamp>>,
    /// What was read when it was found.
    first: Cell<Option<Credential>>,
}

impl Reread {
    /// A file that holds a token.
    pub(super) fn token(path: PathBuf) -> Result<Box<dyn Supply>, Error> {
        let read = |path: &Path| {
            let text = secret_file::read("the token file", path)?;
            match Token::parse(text.expose_secret()) {
                Ok(token) => Ok(Credential::Token(token)),
                Err(fault) => Err(Error::Refused {
                    what: format!("token from {}: {fault}", path.display()),
                    hint: fault.hint().to_owned(),
                }),
            }
        };
        let seen = Stamp::of(&path);
        let first = read(&path)?;
        if seen.is_none() {
            // A pipe is read once.
            return Ok(Box::new(Fixed(first)));
        }
        Ok(Box::new(Self {
            path,
            read,
            seen: Cell::new(seen),
            first: Cell::new(Some(first)),
        }))
    }

    /// A credentials file, which held `keys` a moment ago.
    pub(super) fn keys(path: PathBuf, keys: Keys) -> Box<dyn Supply> {
        if Stamp::of(&path).is_none() {
            return Box::new(Fixed(Credential::Keys(keys)));
        }
        Box::new(Self {
            seen: Cell::new(Stamp::of(&path)),
            path,
            read: |path| Ok(Credential::Keys(Basic::read(path)?.keys)),
            first: Cell::new(Some(Credential::Keys(keys))),
        })
    }
}

impl Supply for Reread {
    fn supply<'a>(
        &'a self,
        _: &'a Id,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Supplied, SupplyError>> {
        let credential = match self.first.take() {
            Some(first) => Ok(first),
            None => {
                self.seen.set(Stamp::of(&self.path));
                (self.read)(&self.path)
            }
        };
        let supplied = credential.map(|credential| Supplied {
            credential,
            ends: None,
        });
        // Whoever replaces the file may not be done yet.
        let missing = Stamp::of(&self.path).is_none_or(Stamp::is_empty);
        Box::pin(ready(supplied.map_err(|error| match missing {
            true => SupplyError::Unavailable(error.to_string()),
            false => SupplyError::Refused(error.to_string()),
        })))
    }

    fn has_changed(&self) -> bool {
        let now = Stamp::of(&self.path);
        now.is_some() && now != self.seen.get()
    }
}

/// A program that prints a credential as JSON.
pub(super) struct Program {
    words: Vec<String>,
    folder: PathBuf,
}

impl Program {
    /// The program and its arguments, run in `folder`; no shell reads them.
    pub(super) fn new(words: Vec<String>, folder: PathBuf) -> Self {
        Self { words, folder }
    }

    async fn ask(&self) -> Result<Supplied, SupplyError> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err(SupplyError::Refused("the command is empty".to_owned()));
        };
        let by_hand = "run it by hand to see why (no credential variables are passed to it)";
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Whatever it says may hold a secret.
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // Those of other accounts are none of its business.
        let set = std::env::vars_os().map(|(name, _)| name);
        for name in set.filter(|name| is_credential(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        let output = match tokio::time::timeout(TIMEOUT, output_of(&mut command)).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                return Err(SupplyError::Refused(format!(
                    "{program} cannot be run: {error}; give its whole path, or look at PATH"
                )));
            }
            Err(_elapsed) => {
                let text = format!(
                    "{program} took longer than {}; {by_hand}",
                    span::show(TIMEOUT)
                );
                return Err(SupplyError::Unavailable(text));
            }
        };
        let (printed, status) = match output {
            Printed::TooMuch => {
                let text = format!("{program} prints more than 4 MiB; {}", printed::HINT);
                return Err(SupplyError::Refused(text));
            }
            Printed::Ended(printed, status) => (printed, status),
        };
        if !status.success() {
            let text = format!("{program} ended with {status}; {by_hand}");
            return Err(SupplyError::Unavailable(text));
        }
        printed::read(&printed).map_err(|fault| {
            SupplyError::Refused(format!(
                "{program} printed no credential: {fault}; {}",
                printed::HINT
            ))
        })
    }
}

/// What a program printed.
enum Printed {
    /// This, before it ended.
    Ended(Zeroizing<Vec<u8>>, ExitStatus),
    /// More than is read; it was killed.
    TooMuch,
}

/// Runs `command` to its end, or until it has printed too much.
async fn output_of(command: &mut Command) -> io::Result<Printed> {
    let mut child = command.spawn()?;
    let mut printed = Zeroizing::new(Vec::new());
    if let Some(out) = child.stdout.take() {
        out.take(LONGEST + 1).read_to_end(&mut printed).await?;
    }
    if printed.len() as u64 > LONGEST {
        child.kill().await?;
        return Ok(Printed::TooMuch);
    }
    Ok(Printed::Ended(printed, child.wait().await?))
}

impl Supply for Program {
    fn supply<'a>(
        &'a self,
        _: &'a Id,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Supplied, SupplyError>> {
        Box::pin(self.ask())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use futures::FutureExt;
    use tempfile::TempDir;

    use super::*;
    use crate::secmaster::auth::keeper::Keeper;

    #[test]
    fn a_token_file_is_read_again_when_it_changes() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("token");
        let write = |token: &str| {
            // As whoever is careful replaces a file.
            let new = folder.path().join("new");
            fs::write(&new, token).unwrap();
            fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
            fs::rename(&new, &path).unwrap();
        };
        write("one");
        let keeper = Keeper::new(Reread::token(path.clone()).unwrap());
        let project = Id::parse("p").unwrap();
        let show = || {
            let shown = keeper.show(&project, Timestamp::UNIX_EPOCH).now_or_never();
            Credential::clone(&shown.unwrap().unwrap().credential)
        };
        let token = |text: &str| Credential::Token(Token::parse(text).unwrap());
        assert_eq!(show(), token("one"));
        write("second");
        assert_eq!(show(), token("second"));
        fs::remove_file(&path).unwrap();
        assert_eq!(
            show(),
            token("second"),
            "what was good is used while it lasts"
        );
    }
}
