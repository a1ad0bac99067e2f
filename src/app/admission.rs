//! Who may come into `flowbatch simulate`.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::ExposeSecret;

use crate::cli::SimulateArgs;
use crate::error::Error;
use crate::model::id::Id;
use crate::model::span;
use crate::simulator::access::Access;
use crate::simulator::account::{Account, Key};

use super::secret_file;

/// IAM's tokens live so long; so do our temporary keys.
const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Who may come in.
pub(super) struct Admission {
    pub(super) access: Access,
    /// For people.
    pub(super) text: String,
}

/// Who may come in by the command line: everybody, if it names no credential. All credentials are
/// those of one account, which owns the project.
pub(super) fn admission(args: &SimulateArgs, project_id: &Id) -> Result<Admission, Error> {
    let mut account = Account::new(&args.account).project(project_id.clone(), &args.region);
    let mut admitted = Vec::new();
    if let Some(token) = &args.token {
        account = account.token(token);
        admitted.push("the token".to_owned());
    }
    if let Some(key) = key(args)? {
        admitted.push(format!("the access key {}", key.ak));
        account = account.key(key);
    }
    if let Some((user, password)) = user(args)? {
        account = account.user(user, password);
        admitted.push(format!("the user {user}"));
    }
    if args.metadata {
        admitted.push("temporary keys".to_owned());
    }
    let (access, admitted) = match admitted.is_empty() {
        true => (Access::open(), "everybody".to_owned()),
        false => (Access::of([]), admitted.join(", ")),
    };
    access.add(account);
    let life = match &args.token_life {
        None => LIFE,
        Some(text) => span::parse(text)
            .map_err(|fault| Error::flag("--token-life", text, &fault.to_string(), span::HINT))?,
    };
    access.set_token_life(life);
    if args.metadata {
        access.metadata_of(&args.account, life);
    }
    match args.token_requests {
        None => {}
        Some(0) => {
            let hint = "write how many requests a token is good for, or leave the flag out";
            return Err(Error::flag(
                "--token-requests",
                "0",
                "no token would be good for anything",
                hint,
            ));
        }
        Some(count) => access.set_token_requests(count),
    }
    if let Some(text) = &args.clock_offset {
        access.set_clock_offset(offset(text)?);
    }
    let text = format!(
        "account {}, region {}; admitting {admitted}",
        args.account, args.region
    );
    Ok(Admission { access, text })
}

/// The access key, if there is one.
fn key(args: &SimulateArgs) -> Result<Option<Key>, Error> {
    let (ak, sk_file) = match (&args.ak, &args.sk_file) {
        (Some(ak), Some(sk_file)) => (ak, sk_file),
        (None, None) => {
            return match &args.security_token_file {
                None => Ok(None),
                Some(_) => Err(alone("--security-token-file", "--ak and --sk-file")),
            };
        }
        (Some(_), None) => return Err(alone("--ak", "--sk-file")),
        (None, Some(_)) => return Err(alone("--sk-file", "--ak")),
    };
    let key = Key::new(ak, secret("--sk-file", sk_file)?);
    Ok(Some(match &args.security_token_file {
        None => key,
        Some(file) => key.with_security_token(secret("--security-token-file", file)?),
    }))
}

/// The IAM user with the password, if there is one.
fn user(args: &SimulateArgs) -> Result<Option<(&str, String)>, Error> {
    match (&args.user, &args.password_file) {
        (Some(user), Some(file)) => Ok(Some((user, secret("--password-file", file)?))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(alone("--user", "--password-file")),
        (None, Some(_)) => Err(alone("--password-file", "--user")),
    }
}

/// `flag` says nothing without `other`.
fn alone(flag: &str, other: &str) -> Error {
    Error::Usage {
        what: format!("{flag} without {other}"),
        hint: format!("give {other} too, or leave {flag} out"),
    }
}

/// What `file` holds, without the blanks and line ends around it.
fn secret(flag: &str, file: &Path) -> Result<String, Error> {
    let text = secret_file::read("the file", file).map_err(|error| Error::Usage {
        what: format!("{flag}: {error}"),
        hint: error.hint().unwrap_or_default().to_owned(),
    })?;
    match text.expose_secret().trim() {
        "" => {
            let hint = "name a file that holds the secret and nothing else";
            let name = file.display().to_string();
            Err(Error::flag(flag, &name, "the file is empty", hint))
        }
        secret => Ok(secret.to_owned()),
    }
}

/// `20m`, `+20m` or `-20m`.
fn offset(text: &str) -> Result<SignedDuration, Error> {
    let (behind, ahead) = match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => (false, text),
    };
    let hint = "write how far the clock is ahead, as 20m, or behind, as -20m";
    let wrong = |what: &str| Error::flag("--clock-offset", text, what, hint);
    let span = span::parse(ahead).map_err(|fault| wrong(&fault.to_string()))?;
    let span = SignedDuration::try_from(span).map_err(|_| wrong("not a duration"))?;
    Ok(if behind { -span } else { span })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind() {
        for (text, seconds) in [
            ("20m", 1_200),
            ("+20m", 1_200),
            ("-20m", -1_200),
            ("-0s", 0),
        ] {
            let offset = offset(text).unwrap();
            assert_eq!(offset, SignedDuration::from_secs(seconds), "{text}");
        }
        for text in ["", "-", "--20m", "+-20m", "20", "soon"] {
            assert!(offset(text).is_err(), "{text}");
        }
    }
}
