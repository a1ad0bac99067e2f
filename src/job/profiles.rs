//! `profiles.toml`: names for accounts, each with a target and the place of its credential.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;
use url::Url;

use crate::model::endpoint::{self, Endpoint};
use crate::model::id::Id;

use super::problems::Problems;
use super::toml::{Located, Reader, Table, What};
use super::way::{Regions, Target, Way};

/// A name for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// It.
    pub name: String,
    /// What it says about the target.
    pub target: Target,
    /// Where its credential is. Not on record: it is found anew by the name.
    #[serde(skip)]
    pub source: Option<Source>,
    /// IAM, if it is not the region's own.
    #[serde(skip)]
    pub iam_endpoint: Option<Endpoint>,
    /// The proxy to its endpoint.
    #[serde(skip)]
    pub proxy: Option<Url>,
    /// PEM certificates that are believed besides the system's; relative to the file.
    #[serde(skip)]
    pub ca_file: Option<PathBuf>,
}

/// Where a profile's credential is; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file as the vendor's SDKs read it.
    CredentialsFile(PathBuf),
    /// A file with an IAM token.
    TokenFile(PathBuf),
    /// Variables whose names begin with this.
    EnvPrefix(String),
    /// A program, with its arguments, that prints JSON.
    Command(Vec<String>),
}

/// The profiles that there are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Profiles {
    /// Where they are written, for people.
    pub path: String,
    /// Whether one was asked for.
    #[serde(skip)]
    asked: Cell<bool>,
    profiles: BTreeMap<String, Rc<Profile>>,
}

const KEYS: [&str; 11] = [
    "region",
    "endpoint",
    "project_id",
    "workspace_id",
    "credentials_file",
    "token_file",
    "env_prefix",
    "command",
    "iam_endpoint",
    "proxy",
    "ca_file",
];

impl Profiles {
    /// Reads `text`, which stands at `path`. Whatever is wrong is a problem.
    pub fn read(
        path: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
        problems: &mut Problems,
    ) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            problems,
            env,
            what: What::Profiles,
        };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            reader.wrong(span, format!("not TOML: {}", error.message()), "");
        }
        let root = Table::root(root.get_ref());
        reader.only(root, &["profile"]);
        let mut profiles = BTreeMap::new();
        if let Some(table) = reader.table(root, "profile") {
            let names: Vec<_> = table.keys().map(|(name, _)| name.to_owned()).collect();
            for name in names {
                if let Some(profile) = reader.subtable(table, &name, "profile") {
                    let profile = reader.read_profile(name.clone(), profile);
                    profiles.insert(name, Rc::new(profile));
                }
            }
        }
        Self {
            path: path.to_owned(),
            asked: Cell::new(false),
            profiles,
        }
    }

    /// Whether a profile was asked for: otherwise it does not matter what is wrong with the file.
    pub fn were_asked_for(&self) -> bool {
        self.asked.get()
    }

    /// The profile called `name`.
    ///
    /// # Errors
    /// A hint, if there is none.
    pub fn get(&self, name: &str) -> Result<&Rc<Profile>, String> {
        self.asked.set(true);
        self.profiles.get(name).ok_or_else(|| {
            if self.profiles.is_empty() {
                return format!("there are none: write [profile.{name}] into {}", self.path);
            }
            let likely = self
                .profiles
                .keys()
                .map(|known| (strsim::jaro_winkler(known, name), known))
                .filter(|(likeness, _)| *likeness > 0.85)
                .max_by(|(a, _), (b, _)| a.total_cmp(b));
            let meant = match likely {
                Some((_, meant)) => format!("did you mean {meant}? "),
                None => String::new(),
            };
            let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
            format!("{meant}{} has {}", self.path, names.join(", "))
        })
    }
}

impl Reader<'_> {
    fn read_profile(&mut self, name: String, table: Table<'_>) -> Profile {
        self.only(table, &KEYS);
        let region = self.string(table, "region");
        let endpoint = self.endpoint(table, "endpoint");
        let way = match (endpoint, region) {
            (Some(endpoint), region) => Some(Way {
                endpoint,
                region: region.map(|region| region.value),
                by_variable: false,
            }),
            (None, Some(region)) => self.way(region),
            (None, None) => None,
        };
        let target = Target {
            way,
            project_id: self.id(table, "project_id"),
            workspace_id: self.id(table, "workspace_id"),
        };
        Profile {
            name,
            target,
            source: self.source(table),
            iam_endpoint: self.endpoint(table, "iam_endpoint"),
            proxy: self.proxy(table),
            ca_file: self.string(table, "ca_file").map(|file| file.value.into()),
        }
    }

    fn way(&mut self, region: Located<String>) -> Option<Way> {
        // The environment does not lead a profile elsewhere.
        match Regions::default().way(&region.value) {
            Ok(way) => Some(way),
            Err(hint) => {
                let what = format!("no such region: {:?}", region.value);
                self.wrong(region.span, what, hint);
                None
            }
        }
    }

    fn id(&mut self, table: Table<'_>, key: &str) -> Option<Id> {
        let text = self.string(table, key)?;
        match Id::parse(&text.value) {
            Ok(id) => Some(id),
            Err(fault) => {
                self.wrong(text.span, fault.to_string(), fault.hint());
                None
            }
        }
    }

    fn endpoint(&mut self, table: Table<'_>, key: &str) -> Option<Endpoint> {
        let text = self.string(table, key)?;
        match Endpoint::parse(&text.value) {
            Ok(endpoint) => Some(endpoint),
            Err(fault) => {
                self.wrong(text.span, fault.to_string(), endpoint::HINT);
                None
            }
        }
    }

    fn proxy(&mut self, table: Table<'_>) -> Option<Url> {
        let text = self.string(table, "proxy")?;
        let hint = "write http://HOST:PORT, without a user or password";
        let url = Url::parse(&text.value)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        match url {
            Some(url) if url.username().is_empty() && url.password().is_none() => Some(url),
            Some(_) => {
                self.wrong(text.span, "the proxy holds a user name or password", hint);
                None
            }
            None => {
                self.wrong(text.span, "the proxy is not the URL of one", hint);
                None
            }
        }
    }

    fn source(&mut self, table: Table<'_>) -> Option<Source> {
        let credentials_file = self.string(table, "credentials_file");
        let token_file = self.string(table, "token_file");
        let env_prefix = self.string(table, "env_prefix");
        let command = self.strings(table, "command");
        let mut spans = Vec::new();
        let mut sources = Vec::new();
        if let Some(file) = credentials_file {
            spans.push(file.span);
            sources.push(Source::CredentialsFile(file.value.into()));
        }
        if let Some(file) = token_file {
            spans.push(file.span);
            sources.push(Source::TokenFile(file.value.into()));
        }
        if let Some(prefix) = env_prefix {
            spans.push(prefix.span);
            sources.push(Source::EnvPrefix(prefix.value));
        }
        if let [alone] = command.as_slice()
            && alone.value.contains(char::is_whitespace)
        {
            let hint = "write the program and its arguments as a list: [\"vault\", \"read\"]";
            self.wrong(alone.span.clone(), "the command is one text", hint);
        }
        if let Some(first) = command.first() {
            spans.push(first.span.clone());
            let words = command.iter().map(|word| word.value.clone());
            sources.push(Source::Command(words.collect()));
        }
        if let Some(second) = spans.get(1) {
            let hint = "leave one of credentials_file, token_file, env_prefix and command";
            self.wrong(second.clone(), "a second place for the credential", hint);
        }
        sources.into_iter().next()
    }
}
