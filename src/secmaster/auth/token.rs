//! A fixed IAM token.

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// The header that carries a token.
pub const HEADER: HeaderName = HeaderName::from_static("x-auth-token");

/// A token is found in texts by its first so many characters; a shorter one is not looked for.
const SHORTEST: usize = 8;

/// An IAM token: redacted in `Debug`, wiped from memory when dropped.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Nothing but blanks.
    #[error("the token is empty")]
    Empty,
    /// Characters that no header can carry.
    #[error("the token holds blanks, line breaks or characters outside ASCII")]
    Characters,
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
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenFault::Characters);
        }
        Ok(Self(SecretString::from(token)))
    }

    /// The header's value, which HTTP libraries neither log nor index.
    pub fn header(&self) -> HeaderValue {
        // `parse` admits printable ASCII only, which every header value may hold.
        let mut value = HeaderValue::from_str(self.0.expose_secret())
            .unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// `text` with this token blotted out, should the other side have echoed it, whole or cut.
    pub fn blot_out(&self, text: String) -> String {
        let secret = self.0.expose_secret();
        // A real token has kilobytes; a short one of a test would eat ordinary words.
        let Some(start) = secret.get(..SHORTEST.min(secret.len())) else {
            return text;
        };
        if secret.len() < SHORTEST || !text.contains(start) {
            return text;
        }
        let mut clean = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(start) {
            clean += &rest[..at];
            clean += "[token]";
            let echoed = rest[at..].bytes().zip(secret.bytes());
            let length = echoed.take_while(|(echo, secret)| echo == secret).count();
            rest = &rest[at + length..];
        }
        clean + rest
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
        assert_eq!(token.blot_out("got canary-1234!".into()), "got [token]!");
        let long = Token::parse(&format!("canary-{}", "x".repeat(2_000))).unwrap();
        let echo = format!("<canary-{}", "x".repeat(400));
        assert_eq!(long.blot_out(echo), "<[token]", "also when it is cut");
    }

    #[test]
    fn a_text_that_no_header_can_carry_is_no_token() {
        assert_eq!(Token::parse(" \n").unwrap_err(), TokenFault::Empty);
        for text in ["two words", "line\nbreak", "t\u{f6}ken", "a\0b"] {
            assert_eq!(Token::parse(text).unwrap_err(), TokenFault::Characters);
        }
    }
}
