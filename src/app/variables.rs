//! Credentials in variables of the environment, by the names of the ecosystem.

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::job::file::Method;
use crate::secmaster::auth::credential::Credential;
use crate::secmaster::auth::keys::Keys;
use crate::secmaster::auth::password::User;
use crate::secmaster::auth::token::Token;

use super::environment;
use super::found::{Found, Kind};

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

/// Whether the variable `name` holds a part of a credential, with whatever prefix of a profile.
pub(super) fn is_credential(name: &str) -> bool {
    let keys = KEY_VARIABLES.into_iter().flatten().flatten();
    let mut known = keys.chain(PASSWORD_VARIABLES).chain([TOKEN_VARIABLE]);
    known.any(|known| name.ends_with(known))
}

/// The variables of the ecosystem, each with a prefix before its name.
pub(super) struct Variables<'a> {
    prefix: &'a str,
}

impl<'a> Variables<'a> {
    /// Those whose names begin with `prefix`.
    pub(super) fn with(prefix: &'a str) -> Self {
        Self { prefix }
    }

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

    /// Adds the tokens and keys that they hold to `found`, the first choice first.
    ///
    /// # Errors
    /// One is wrong, and nothing was found before it: what is not needed need not be right.
    pub(super) fn tokens_and_keys(
        &self,
        method: Method,
        found: &mut Vec<Found>,
    ) -> Result<(), Error> {
        if matches!(method, Method::Auto | Method::Token) {
            add(found, self.token())?;
        }
        if matches!(method, Method::Auto | Method::Keys) {
            for names in KEY_VARIABLES {
                add(found, self.keys(names))?;
            }
        }
        Ok(())
    }

    /// The same with the IAM user that they name.
    ///
    /// # Errors
    /// Half of it is missing, and nothing was found before it.
    pub(super) fn password(&self, method: Method, found: &mut Vec<Found>) -> Result<(), Error> {
        match method {
            Method::Auto | Method::Password => add(found, self.user()),
            Method::Token | Method::Keys => Ok(()),
        }
    }

    fn token(&self) -> Result<Option<Found>, Error> {
        let Some(text) = self.secret(TOKEN_VARIABLE) else {
            return Ok(None);
        };
        let source = format!("token from {}", self.name(TOKEN_VARIABLE));
        match Token::parse(text.expose_secret()) {
            Ok(token) => Ok(Some(Found::fixed(source, Credential::Token(token)))),
            Err(fault) => Err(Error::Refused {
                what: format!("{source}: {fault}"),
                hint: fault.hint().to_owned(),
            }),
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
        let keys = keys.map_err(|fault| Error::Refused {
            what: format!("access key from {}: {fault}", self.name(ak)),
            hint: fault.hint().to_owned(),
        })?;
        let kind = if keys.is_temporary() {
            "temporary access key"
        } else {
            "access key"
        };
        let text = format!("{kind} {} from {}", keys.access_key(), self.name(ak));
        Ok(Some(Found::fixed(text, Credential::Keys(keys))))
    }

    fn user(&self) -> Result<Option<Found>, Error> {
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
            format!("IAM user {user_name} of account {account}"),
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

/// Adds what was looked for to `found`, unless it is wrong and not needed.
fn add(found: &mut Vec<Found>, looked_for: Result<Option<Found>, Error>) -> Result<(), Error> {
    match looked_for {
        Ok(more) => found.extend(more),
        Err(_) if !found.is_empty() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
