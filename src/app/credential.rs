//! Where the credential of a lane is found.

use std::path::Path;

use crate::cli::CredentialArgs;
use crate::error::Error;
use crate::job::file::Method;
use crate::job::profiles::{Profile, Source};

use super::credentials_file::{self, Basic, CredentialsFile};
use super::found::{Found, Kind, key_identity, none};
use super::profiles::resolve;
use super::supply::{Program, Reread};
use super::variables::Variables;
use super::{lanes, metadata};

/// The credential of `profile`: only the one that it names, because variables may be another
/// customer's.
pub(super) fn of_profile(profile: &Profile) -> Result<Found, Error> {
    let name = &profile.name;
    let found = match &profile.source {
        None => {
            return Err(Error::Refused {
                what: "it names no credential".to_owned(),
                hint: "give it credentials_file, token_file, command, or env_prefix (\"\" for the \
                       usual variables)"
                    .to_owned(),
            });
        }
        Some(Source::TokenFile(file)) => token_file(&resolve(file))?,
        Some(Source::CredentialsFile(file)) => {
            let path = resolve(file);
            in_credentials_file(&path)?
        }
        Some(Source::Command(words)) => {
            let text = format!("what {} prints", words.first().map_or("", String::as_str));
            let kind = Kind::Supply(Box::new(Program::new(
                resolve_program(words),
                resolve(Path::new(".")),
            )));
            Found::new(text, format!("command of profile {name}"), kind)
        }
        Some(Source::EnvPrefix(prefix)) => {
            let mut found = Vec::new();
            let variables = Variables::with(prefix);
            variables.tokens_and_keys(Method::Auto, &mut found)?;
            variables.password(Method::Auto, &mut found)?;
            match first(found) {
                Some(first) => first,
                None => {
                    return Err(Error::Refused {
                        what: format!("no variables {prefix}... hold a credential"),
                        hint: format!(
                            "set {prefix}HUAWEICLOUD_SDK_AK and {prefix}HUAWEICLOUD_SDK_SK, or \
                             {prefix}HW_AUTH_TOKEN"
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
/// A service on this machine is no reason to ask the metadata service (`is_local`), unless it is one as well.
pub(super) fn find(asked: Option<&Path>, method: Method, is_local: bool) -> Result<Found, Error> {
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
    let variables = Variables::with("");
    variables.tokens_and_keys(method, &mut found)?;
    let file = match method {
        Method::Auto | Method::Keys => credentials_file::find(),
        Method::Token | Method::Password => None,
    };
    let mut unusable = None;
    match file {
        // Another identity than the one that was named must not act in its place.
        Some(CredentialsFile::Named(path)) => match in_credentials_file(&path) {
            Ok(in_file) => found.push(in_file),
            // The token is named as well, and more closely.
            Err(error) if asked.is_some() => unusable = Some(error),
            Err(error) => return Err(error),
        },
        Some(CredentialsFile::Default(path)) => match in_credentials_file(&path) {
            Ok(in_file) => found.push(in_file),
            Err(error) => unusable = Some(error),
        },
        None => {}
    }
    // After keys in a file: the vendor recommends keys.
    variables.password(method, &mut found)?;
    if let Some(first) = first(found) {
        let warning = unusable.map(|error| format!("{} is used: {error}", first.text));
        return Ok(Found {
            warnings: warning.into_iter().collect(),
            ..first
        });
    }
    if let Some(error) = unusable {
        return Err(error);
    }
    match metadata::service(is_local) {
        Some(metadata) if matches!(method, Method::Auto | Method::Keys) => Ok(Found::new(
            "temporary key of this server's agency".to_owned(),
            "agency".to_owned(),
            Kind::Metadata(metadata?),
        )),
        Some(_) | None => Err(none(match method {
            Method::Auto => "no credential".to_owned(),
            Method::Token => "no token, and [auth] method asks for one".to_owned(),
            Method::Keys => "no access key, and [auth] method asks for one".to_owned(),
            Method::Password => {
                "no HW_USER_NAME with its password and HW_DOMAIN_NAME, and [auth] method asks for them"
                    .to_owned()
            }
        })),
    }
}

/// The first of `found`; the others are passed over.
fn first(found: Vec<Found>) -> Option<Found> {
    let mut found = found.into_iter();
    let first = found.next()?;
    Some(Found {
        passed_over: found.map(|other| other.text).collect(),
        ..first
    })
}

/// The words of a profile's command: a program with a path counts from the folder of the profiles.
fn resolve_program(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
        *program = resolve(Path::new(program)).display().to_string();
    }
    words
}

fn token_file(path: &Path) -> Result<Found, Error> {
    let supply = Reread::token(path.to_owned())?;
    let text = format!("token from {}", path.display());
    Ok(Found::new(text.clone(), text, Kind::Supply(supply)))
}

/// The key in the section `[basic]` of a file as the vendor's SDKs read it.
fn in_credentials_file(path: &Path) -> Result<Found, Error> {
    let basic = Basic::read(path)?;
    let text = format!(
        "access key {} from {}",
        basic.keys.access_key(),
        path.display()
    );
    let identity = key_identity(&basic.keys);
    let supply = Reread::keys(path.to_owned(), basic.keys);
    Ok(Found {
        iam_endpoint: basic.iam_endpoint,
        ..Found::new(text, identity, Kind::Supply(supply))
    })
}

/// Looks at the files that the command line names.
pub(super) fn check(args: &CredentialArgs) -> Result<(), Error> {
    if let Some(path) = &args.token_file {
        token_file(path)?;
    }
    if let Some(path) = &args.ca_file {
        lanes::read_ca(path)?;
    }
    Ok(())
}
