//! An IAM token.

use http::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::redaction::Echoes;

/// The header that carries a token.
pub const HEADER: HeaderName = HeaderName::from_static("x-auth-token");

/// An IAM token: redacted in `Debug`; its own copy is wiped from memory when dropped.
#[derive(Clone, Debug)]
pub struct Token {
    secret: SecretString,
    header: HeaderValue,
    echoes: Echoes,
    /// Of the password that it was had for.
    password: Option<Echoes>,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Nothing but blanks.
    #[error("the token is empty")]
    Empty,
    /// A shell or an editor left quotes around it.
    #[error("the token stands in quotes")]
    Quotes,
    /// What IAM or a tool answered, and not the token in it.
    #[error("it is JSON, not the token alone")]
    Json,
    /// As it stands in a header of another service.
    #[error("the token begins with Bearer")]
    Bearer,
    /// A text that stands for the token in instructions and scripts.
    #[error("a placeholder stands where the token belongs")]
    Placeholder,
    /// A line of an environment file.
    #[error("the token has HW_AUTH_TOKEN= before it")]
    Assignment,
    /// Characters that no header can carry.
    #[error("the token holds blanks, line breaks or characters outside ASCII")]
    Characters,
}

impl TokenFault {
    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Empty => {
                "put a token there, or take it away to have the credential found elsewhere"
            }
            Self::Quotes => "give the token without the quotes around it",
            Self::Json => {
                "give the token alone: the header X-Subject-Token of IAM's answer, or a tool's member for it"
            }
            Self::Bearer => "give the token alone, as IAM's header X-Subject-Token holds it",
            Self::Placeholder => {
                "put the token itself there: no shell has expanded $NAME, and <...> is not filled in"
            }
            Self::Assignment => "give the token alone, without the variable's name",
            Self::Characters => "give the token on one line, and nothing else",
        }
    }
}

impl Token {
    /// The token in `text`, without the blanks around it.
    ///
    /// # Errors
    /// Nothing is left, or a header could not carry it.
    pub fn parse(text: &str) -> Result<Self, TokenFault> {
        let token = text.trim();
        if token.is_empty() {
            return Err(TokenFault::Empty);
        }
        if token.starts_with(['{', '[']) {
            return Err(TokenFault::Json);
        }
        if token
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
        {
            return Err(TokenFault::Bearer);
        }
        if token.starts_with(['"', '\'', '\u{201c}']) {
            return Err(TokenFault::Quotes);
        }
        if token.starts_with(['$', '<']) {
            return Err(TokenFault::Placeholder);
        }
        if token.starts_with("HW_AUTH_TOKEN=") {
            return Err(TokenFault::Assignment);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenFault::Characters);
        }
        // Printable ASCII is what every header value may hold.
        let mut header = HeaderValue::from_str(token).map_err(|_| TokenFault::Characters)?;
        header.set_sensitive(true);
        Ok(Self {
            secret: SecretString::from(token),
            header,
            echoes: Echoes::of(token, "token"),
            password: None,
        })
    }

    /// The same, whose password is to be found in texts as well.
    pub(super) fn had_for(self, password: &SecretString) -> Self {
        Self {
            password: Some(Echoes::of(password.expose_secret(), "password")),
            ..self
        }
    }

    /// `text` without the token, should the other side have echoed it.
    pub(super) fn blot_out(&self, text: String) -> String {
        let text = self.echoes.blot_out(text);
        match &self.password {
            Some(password) => password.blot_out(text),
            None => text,
        }
    }

    /// The secret that `text` holds, if it holds one.
    pub(super) fn secret_in(&self, text: &str) -> Option<&'static str> {
        let password = self
            .password
            .as_ref()
            .filter(|password| password.are_in(text));
        let token = self.echoes.are_in(text).then_some("token");
        token.or(password.map(|_| "password"))
    }

    /// The header's value, which HTTP libraries neither log nor index.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_itself_in_no_debug_output() {
        let token = Token::parse(" canary-1234\n").unwrap();
        let shown = format!("{token:?} {:?}", token.header());
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_text_that_no_header_can_carry_is_no_token() {
        assert_eq!(Token::parse(" \n").unwrap_err(), TokenFault::Empty);
        for text in ["two words", "line\nbreak", "t\u{f6}ken", "a\0b"] {
            assert_eq!(Token::parse(text).unwrap_err(), TokenFault::Characters);
        }
    }
}
