//! The credentials file of the vendor's SDKs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use configparser::ini::Ini;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroize;

use crate::error::Error;
use crate::model::endpoint::Endpoint;
use crate::secmaster::auth::keys::Keys;

use super::{environment, secret_file};

/// A credentials file, and how it is known.
pub(super) enum CredentialsFile {
    /// A variable names it: it is wanted.
    Named(PathBuf),
    /// It stands where the vendor's SDKs look.
    Default(PathBuf),
}

/// Where the vendor's SDKs keep keys, if anything is there or should be.
pub(super) fn find() -> Option<CredentialsFile> {
    if let Some(path) =
        environment("HUAWEICLOUD_SDK_CREDENTIALS_FILE").filter(|path| !path.is_empty())
    {
        return Some(CredentialsFile::Named(path.into()));
    }
    let home = environment("HOME").filter(|home| !home.is_empty())?;
    let path = Path::new(&home).join(".huaweicloud").join("credentials");
    path.exists().then_some(CredentialsFile::Default(path))
}

/// The section `[basic]`.
pub(super) struct Basic {
    pub(super) keys: Keys,
    pub(super) iam_endpoint: Option<Endpoint>,
}

impl Basic {
    /// What the file at `path` holds.
    ///
    /// # Errors
    /// It cannot be used; what it lacks.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = secret_file::read("the credentials file", path)?;
        let wrong = |what: String| Error::Refused {
            what: format!("the credentials file {} {what}", path.display()),
            hint: "write [basic], then ak = ... and sk = ... on lines of their own".to_owned(),
        };
        let mut ini = Ini::new_cs();
        ini.set_inline_comment_symbols(Some(&[]));
        // Its own words could hold a line of the file.
        let read = ini.read(text.expose_secret().to_owned());
        read.map_err(|_| wrong("is no INI file".to_owned()))?;
        let sections = ini.get_map_ref();
        let basic = match sections.get("basic") {
            Some(section) => Self::of(section, &wrong),
            None => Err(wrong(no_basic(sections.keys()))),
        };
        for section in ini.get_mut_map().values_mut() {
            section.values_mut().for_each(Zeroize::zeroize);
        }
        basic
    }

    fn of(
        section: &HashMap<String, Option<String>>,
        wrong: &dyn Fn(String) -> Error,
    ) -> Result<Self, Error> {
        let value = |key: &str| {
            let value = section.get(key).and_then(Option::as_deref);
            value.map(str::trim).filter(|value| !value.is_empty())
        };
        let (Some(ak), Some(sk)) = (value("ak"), value("sk")) else {
            return Err(wrong("has no ak and sk in [basic]".to_owned()));
        };
        let keys = Keys::new(ak, sk, value("security_token"));
        let iam_endpoint = value("iam_endpoint").map(Endpoint::parse).transpose();
        Ok(Self {
            keys: keys.map_err(|fault| wrong(format!("cannot be used: {fault}")))?,
            iam_endpoint: iam_endpoint
                .map_err(|fault| wrong(format!("cannot be used: iam_endpoint: {fault}")))?,
        })
    }
}

/// That there is no section `[basic]`, and which there are; outside of any, keys are in one called `default`.
fn no_basic<'a>(sections: impl Iterator<Item = &'a String>) -> String {
    // What is no name may be a secret between brackets.
    let is_name = |name: &&String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        name.len() <= 32 && name.chars().all(plain)
    };
    let mut names: Vec<_> = sections
        .filter(is_name)
        .map(|name| format!("[{name}]"))
        .collect();
    names.sort();
    match names.is_empty() {
        true => "has no section [basic]".to_owned(),
        false => format!("has no section [basic]; it has {}", names.join(", ")),
    }
}
