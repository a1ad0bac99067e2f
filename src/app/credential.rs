//! Where the credential of a lane is found.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use configparser::ini::Ini;
use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::job::file::Method;
use crate::job::profiles::{Profile, Source};
use crate::model::endpoint::Endpoint;
use crate::secmaster::auth::credential::Credential;
use crate::secmaster::auth::iam::User;
use crate::secmaster::auth::keys::Keys;
use crate::secmaster::auth::metadata::Metadata;
use crate::secmaster::auth::supply::{Fixed, Supply};
use crate::secmaster::auth::token::Token;

use super::profiles::resolve;
use super::supply::{Program, Reread};
use super::{environment, metadata, secret_file};

/// A credential that was found.
pub(super) struct Found {
    /// Whose it is as far as it says itself, and where it was found; nothing secret.
    pub(super) text: String,
    pub(super) kind: Kind,
    /// IAM, where the same place names it.
    pub(super) iam_endpoint: Option<Endpoint>,
    /// What was found as well and is not used.
    pub(super) passed_over: Vec<String>,
}

/// What has to be done to have it.
pub(super) enum Kind {
    /// It is here, or whoever has it can be asked.
    Supply(Box<dyn Supply>),
    /// The metadata service may have one; whether there is one must be asked.
    Metadata(Metadata),
    /// IAM gives tokens for it.
    Password(User),
}

impl Found {
    fn new(text: String, kind: Kind) -> Self {
        Self {
            text,
            kind,
            iam_endpoint: None,
            passed_over: Vec::new(),
        }
    }

    fn fixed(text: String, credential: Credential) -> Self {
        Self::new(text, Kind::Supply(Box::new(Fixed(credential))))
    }
}

const HINT: &str = "give an IAM token by HW_AUTH_TOKEN or --token-file FILE, an access key by \
                    HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, a profile by --profile NAME; to try a job \
                    without an account, say --simulate";

/// Names of an access key, its secret and its security token.
const KEY_VARIABLES: [[Option<&str>; 3]; 3] = [
    [
        Some("HUAWEICLOUD_SDK_AK"),
        Some("HUAWEICLOUD_SDK_SK"),
        Some("HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    ],
    [Some("CLOUD_SDK_AK"), Some("CLOUD_SDK_SK"), None],
    [
        Some("HW_ACCESS_KEY"),
        Some("HW_SECRET_KEY"),
        Some("HW_SECURITY_TOKEN"),
    ],
];
/// Names of an IAM user, its password and its account.
const PASSWORD_VARIABLES: [&str; 3] = ["HW_USER_NAME", "HW_USER_PASSWORD", "HW_DOMAIN_NAME"];
const TOKEN_VARIABLE: &str = "HW_AUTH_TOKEN";

/// The credential of `profile`: only the one that it names, because variables may be another
/// customer's.
pub(super) fn of_profile(profile: &Profile) -> Result<Found, Error> {
    let name = &profile.name;
    let found = match &profile.source {
        None => {
            return Err(Error::Refused {
                what: format!("profile {name} names no credential"),
                hint: "give it credentials_file, token_file, command, or env_prefix (\"\" for the \
                       usual variables)"
                    .to_owned(),
            });
        }
        Some(Source::TokenFile(file)) => token_file(&resolve(file))?,
        Some(Source::CredentialsFile(file)) => {
            let path = resolve(file);
            credentials_file(&path)?.ok_or_else(|| Error::Refused {
                what: format!("{} has no section [basic]", path.display()),
                hint: "write ak and sk into it".to_owned(),
            })?
        }
        Some(Source::Command(words)) => Found::new(
            format!("what {} prints", words.first().map_or("", String::as_str)),
            Kind::Supply(Box::new(Program::new(words.clone()))),
        ),
        Some(Source::EnvPrefix(prefix)) => {
            let variables = Variables { prefix };
            let mut found = variables.all(Method::Auto)?.into_iter();
            match found.next() {
                Some(first) => Found {
                    passed_over: found.map(|other| other.text).collect(),
                    ..first
                },
                None => {
                    return Err(Error::Refused {
                        what: format!("profile {name}: no variables {prefix}... hold a credential"),
                        hint: format!(
                            "set {prefix}HUAWEICLOUD_SDK_AK and {prefix}HUAWEICLOUD_SDK_SK, or \
                             {prefix}{TOKEN_VARIABLE}"
                        ),
                    });
                }
            }
        }
    };
    Ok(Found {
        iam_endpoint: profile.iam_endpoint.clone().or(found.iam_endpoint),
        ..found
    })
}

/// The first credential that is found where the ecosystem keeps them.
pub(super) fn find(asked: Option<&Path>, method: Method) -> Result<Found, Error> {
    let mut found = Vec::new();
    if let Some(path) = asked {
        if !matches!(method, Method::Auto | Method::Token) {
            return Err(Error::Usage {
                what: "--token-file gives a token, and [auth] method asks for something else"
                    .to_owned(),
                hint: "leave out one of them".to_owned(),
            });
        }
        found.push(token_file(path)?);
    }
    let variables = Variables { prefix: "" };
    let mut in_variables = variables.all(method)?;
    // A password comes after keys in a file: the vendor recommends keys.
    let password = in_variables.pop_if(|found| matches!(found.kind, Kind::Password(_)));
    found.append(&mut in_variables);
    if matches!(method, Method::Auto | Method::Keys)
        && let Some(path) = credentials_path()
    {
        match credentials_file(&path) {
            Ok(in_file) => found.extend(in_file),
            // A file that is not needed need not be right.
            Err(_) if !found.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    found.extend(password);
    let mut found = found.into_iter();
    if let Some(first) = found.next() {
        return Ok(Found {
            passed_over: found.map(|other| other.text).collect(),
            ..first
        });
    }
    match metadata::service() {
        Some(metadata) if matches!(method, Method::Auto | Method::Keys) => Ok(Found::new(
            "temporary key of this server's agency".to_owned(),
            Kind::Metadata(metadata?),
        )),
        Some(_) | None => Err(none("no credential".to_owned())),
    }
}

/// There is no credential.
pub(super) fn none(what: String) -> Error {
    Error::Refused {
        what,
        hint: HINT.to_owned(),
    }
}

fn token_file(path: &Path) -> Result<Found, Error> {
    let supply = Reread::token(path.to_owned())?;
    let text = format!("token from {}", path.display());
    Ok(Found::new(text, Kind::Supply(Box::new(supply))))
}

/// Where the vendor's SDKs keep keys, if anything is there or should be.
fn credentials_path() -> Option<PathBuf> {
    if let Some(path) =
        environment("HUAWEICLOUD_SDK_CREDENTIALS_FILE").filter(|path| !path.is_empty())
    {
        return Some(path.into());
    }
    let home = environment("HOME").filter(|home| !home.is_empty())?;
    let path = Path::new(&home).join(".huaweicloud").join("credentials");
    path.exists().then_some(path)
}

/// The key in the section `[basic]` of a file as the vendor's SDKs read it; `None` without one.
fn credentials_file(path: &Path) -> Result<Option<Found>, Error> {
    let Some(basic) = Basic::read(path)? else {
        return Ok(None);
    };
    let text = format!(
        "access key {} from {}",
        basic.keys.access_key(),
        path.display()
    );
    let supply = Reread::keys(path.to_owned(), basic.keys);
    Ok(Some(Found {
        iam_endpoint: basic.iam_endpoint,
        ..Found::new(text, Kind::Supply(Box::new(supply)))
    }))
}

/// The section `[basic]`.
pub(super) struct Basic {
    pub(super) keys: Keys,
    iam_endpoint: Option<Endpoint>,
}

impl Basic {
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
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
        let basic = ini.get_map_ref().get("basic");
        let basic = basic.map(|section| Self::of(section, &wrong)).transpose();
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
            keys: keys.map_err(|fault| wrong(format!(": {fault}")))?,
            iam_endpoint: iam_endpoint
                .map_err(|fault| wrong(format!(": iam_endpoint: {fault}")))?,
        })
    }
}

/// The variables of the ecosystem, each with a prefix before its name.
struct Variables<'a> {
    prefix: &'a str,
}

impl Variables<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Out of the environment at once into a type that wipes itself.
    fn secret(&self, name: &str) -> Option<SecretString> {
        let value = environment(&self.name(name)).map(Zeroizing::new)?;
        let value = SecretString::from(value.as_str());
        let empty = value.expose_secret().trim().is_empty();
        (!empty).then_some(value)
    }

    /// Every credential that they hold, the first choice first, a password last.
    fn all(&self, method: Method) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        if matches!(method, Method::Auto | Method::Token) {
            found.extend(self.token()?);
        }
        if matches!(method, Method::Auto | Method::Keys) {
            for names in KEY_VARIABLES {
                found.extend(self.keys(names)?);
            }
        }
        if matches!(method, Method::Auto | Method::Password) {
            found.extend(self.password()?);
        }
        Ok(found)
    }

    fn token(&self) -> Result<Option<Found>, Error> {
        let Some(text) = self.secret(TOKEN_VARIABLE) else {
            return Ok(None);
        };
        let source = format!("token from {}", self.name(TOKEN_VARIABLE));
        match Token::parse(text.expose_secret()) {
            Ok(token) => Ok(Some(Found::fixed(source, Credential::Token(token)))),
            Err(fault) => Err(none(format!("{source}: {fault}"))),
        }
    }

    fn keys(&self, names: [Option<&str>; 3]) -> Result<Option<Found>, Error> {
        let [ak, sk, token] = names;
        let (ak, sk) = (ak.unwrap_or_default(), sk.unwrap_or_default());
        let (id, secret) = (self.secret(ak), self.secret(sk));
        let (id, secret) = match (id, secret) {
            (None, None) => return Ok(None),
            (Some(id), Some(secret)) => (id, secret),
            (Some(_), None) => return Err(self.half(ak, sk)),
            (None, Some(_)) => return Err(self.half(sk, ak)),
        };
        let token = token.and_then(|name| self.secret(name));
        let token = token.as_ref().map(ExposeSecret::expose_secret);
        let keys = Keys::new(id.expose_secret(), secret.expose_secret(), token);
        let keys = keys.map_err(|fault| none(format!("{}: {fault}", self.name(ak))))?;
        let kind = if keys.is_temporary() {
            "temporary access key"
        } else {
            "access key"
        };
        let text = format!("{kind} {} from {}", keys.access_key(), self.name(ak));
        Ok(Some(Found::fixed(text, Credential::Keys(keys))))
    }

    fn password(&self) -> Result<Option<Found>, Error> {
        let [user, password, account] = PASSWORD_VARIABLES;
        // An account's name alone is set for other reasons.
        if self.secret(user).is_none() && self.secret(password).is_none() {
            return Ok(None);
        }
        let value = |name: &str, set: &str| self.secret(name).ok_or_else(|| self.half(set, name));
        let set = if self.secret(user).is_some() {
            user
        } else {
            password
        };
        let name = value(user, set)?;
        let password = value(password, set)?;
        let account = value(account, set)?;
        let user_name = name.expose_secret().trim().to_owned();
        let account = account.expose_secret().trim().to_owned();
        let text = format!(
            "IAM user {user_name} of account {account} from {}",
            self.name(user)
        );
        Ok(Some(Found::new(
            text,
            Kind::Password(User {
                name: user_name,
                account,
                password,
            }),
        )))
    }

    fn half(&self, set: &str, missing: &str) -> Error {
        let (set, missing) = (self.name(set), self.name(missing));
        Error::Refused {
            what: format!("{set} is set, {missing} is not"),
            hint: format!("set both, or unset {set} to have the credential found elsewhere"),
        }
    }
}
