//! An access key: what requests are signed with.

use secrecy::{ExposeSecret, SecretString};

use super::redaction::Echoes;

/// An access key with its secret: permanent, or temporary with a security token. The secrets are
/// redacted in `Debug` and wiped from memory when dropped.
#[derive(Clone, Debug)]
pub struct Keys {
    access_key: String,
    secret_key: SecretString,
    security_token: Option<SecretString>,
    /// Of the secret key, and of the security token.
    echoes: (Echoes, Option<Echoes>),
}

/// Why texts are no [`Keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// One of them is nothing but blanks.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// A shell or an editor left quotes around it.
    #[error("the {0} stands in quotes")]
    Quotes(&'static str),
    /// Characters that no header can carry.
    #[error("the {0} holds blanks, line breaks or characters outside ASCII")]
    Characters(&'static str),
}

impl KeysFault {
    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Empty(_) => "set both keys, or unset both to have the credential found elsewhere",
            Self::Quotes(_) => "give it without the quotes around it",
            Self::Characters(_) => "give it on one line, and nothing else",
        }
    }
}

impl Keys {
    /// The key in these texts, without the blanks around them.
    ///
    /// # Errors
    /// One is empty, or a header could not carry it.
    pub fn new(
        access_key: &str,
        secret_key: &str,
        security_token: Option<&str>,
    ) -> Result<Self, KeysFault> {
        let security_token = security_token
            .map(str::trim)
            .filter(|token| !token.is_empty());
        let token = security_token.map(|token| word("security token", token));
        let token = token.transpose()?;
        let access_key = word("access key", access_key)?.to_owned();
        let secret_key = word("secret key", secret_key)?;
        Ok(Self {
            access_key,
            echoes: (
                Echoes::of(secret_key, "secret key"),
                token.map(|token| Echoes::of(token, "security token")),
            ),
            secret_key: SecretString::from(secret_key),
            security_token: token.map(SecretString::from),
        })
    }

    /// The key's id, which is no secret.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(super) fn secret_key(&self) -> &str {
        self.secret_key.expose_secret()
    }

    pub(super) fn security_token(&self) -> Option<&str> {
        self.security_token
            .as_ref()
            .map(ExposeSecret::expose_secret)
    }

    /// `text` without the secrets, should the other side have echoed them.
    pub(super) fn blot_out(&self, text: String) -> String {
        let (secret_key, security_token) = &self.echoes;
        let text = secret_key.blot_out(text);
        match security_token {
            Some(token) => token.blot_out(text),
            None => text,
        }
    }

    /// The secret that `text` holds, if it holds one.
    pub(super) fn secret_in(&self, text: &str) -> Option<&'static str> {
        let (secret_key, security_token) = &self.echoes;
        let token = security_token.as_ref().filter(|token| token.are_in(text));
        let key = secret_key.are_in(text).then_some("secret key");
        key.or(token.map(|_| "security token"))
    }

    /// Whether the key ends by itself.
    pub fn is_temporary(&self) -> bool {
        self.security_token.is_some()
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.access_key == other.access_key
            && self.secret_key() == other.secret_key()
            && self.security_token() == other.security_token()
    }
}

/// `text` without blanks around it, if a header can carry it.
fn word<'t>(what: &'static str, text: &'t str) -> Result<&'t str, KeysFault> {
    match text.trim() {
        "" => Err(KeysFault::Empty(what)),
        word if word.starts_with(['"', '\'', '\u{201c}']) => Err(KeysFault::Quotes(what)),
        word if word.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(word),
        _ => Err(KeysFault::Characters(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_its_id_and_none_of_its_secrets() {
        let keys = Keys::new("AK1\n", " canary-sk ", Some("canary-st")).unwrap();
        let shown = format!("{keys:?}");
        assert!(
            shown.contains("AK1") && !shown.contains("canary"),
            "{shown}"
        );
        assert!(keys.is_temporary());
    }

    #[test]
    fn a_key_without_one_of_its_parts_is_none() {
        assert_eq!(
            Keys::new(" ", "sk", None).unwrap_err(),
            KeysFault::Empty("access key")
        );
        assert_eq!(
            Keys::new("ak", "", None).unwrap_err(),
            KeysFault::Empty("secret key")
        );
        let fault = Keys::new("ak", "two words", None).unwrap_err();
        assert_eq!(fault, KeysFault::Characters("secret key"));
        let fault = Keys::new("ak", "\"sk\"", None).unwrap_err();
        assert_eq!(fault, KeysFault::Quotes("secret key"));
        assert!(!Keys::new("ak", "sk", Some(" ")).unwrap().is_temporary());
    }
}
