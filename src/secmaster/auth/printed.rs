//! A credential as JSON, as programs print it and the metadata service answers.

use jiff::Timestamp;
use secrecy::zeroize::Zeroize;
use serde::Deserialize;

use super::credential::Credential;
use super::keys::Keys;
use super::supply::Supplied;
use super::token::Token;

impl Printed {
    fn wipe(&mut self) {
        self.sk.zeroize();
        self.security_token.zeroize();
        self.token.zeroize();
        if let Some(inner) = &mut self.credential {
            inner.wipe();
        }
    }
}

/// How such JSON is written, for hints.
pub const HINT: &str = "it must print {\"ak\": ..., \"sk\": ..., \"security_token\": ..., \
                        \"expires_at\": ...} or {\"token\": ..., \"expires_at\": ...}";

/// The members, by the names of the vendor's tools and of the metadata service.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Printed {
    #[serde(alias = "access")]
    ak: Option<String>,
    #[serde(alias = "secret")]
    sk: Option<String>,
    #[serde(alias = "securitytoken")]
    security_token: Option<String>,
    token: Option<String>,
    expires_at: Option<String>,
    credential: Option<Box<Printed>>,
}

/// Why a text is no credential. It says nothing of the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrintedFault {
    /// No JSON object.
    #[error("it is no JSON object")]
    Shape,
    /// Neither a token nor a key with its secret.
    #[error("it holds neither a token nor ak and sk")]
    Members,
    /// A value that no header can carry.
    #[error("{0}")]
    Value(String),
    /// An end that is no time.
    #[error("its expires_at is no time")]
    End,
}

/// The credential in `json`.
///
/// # Errors
/// There is none.
pub fn read(json: &[u8]) -> Result<Supplied, PrintedFault> {
    let mut printed: Printed = serde_json::from_slice(json).map_err(|_| PrintedFault::Shape)?;
    let supplied = supplied(printed.credential.as_deref().unwrap_or(&printed));
    printed.wipe();
    supplied
}

fn supplied(printed: &Printed) -> Result<Supplied, PrintedFault> {
    let value = |fault: String| PrintedFault::Value(fault);
    let credential = match (&printed.token, &printed.ak, &printed.sk) {
        (Some(token), None, None) => {
            Credential::Token(Token::parse(token).map_err(|fault| value(fault.to_string()))?)
        }
        (None, Some(ak), Some(sk)) => {
            let keys = Keys::new(ak, sk, printed.security_token.as_deref());
            Credential::Keys(keys.map_err(|fault| value(fault.to_string()))?)
        }
        (Some(_), Some(_), _)
        | (Some(_), None, Some(_))
        | (None, None, _)
        | (None, Some(_), None) => return Err(PrintedFault::Members),
    };
    let ends = printed
        .expires_at
        .as_deref()
        .filter(|ends| !ends.is_empty());
    let ends = ends.map(|ends| ends.parse::<Timestamp>().map_err(|_| PrintedFault::End));
    Ok(Supplied {
        credential,
        ends: ends.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_read_by_either_name() {
        for json in [
            r#"{"ak":"A","sk":"S","security_token":"T","expires_at":"2026-11-24T10:00:00.5Z"}"#,
            r#"{"credential":{"access":"A","secret":"S","securitytoken":"T","expires_at":"2026-11-24T10:00:00.500000Z"}}"#,
        ] {
            let supplied = read(json.as_bytes()).unwrap();
            let keys = Keys::new("A", "S", Some("T")).unwrap();
            assert_eq!(supplied.credential, Credential::Keys(keys));
            assert_eq!(
                supplied.ends,
                Some("2026-11-24T10:00:00.5Z".parse().unwrap())
            );
        }
        let supplied = read(br#"{"token":"abc"}"#).unwrap();
        assert_eq!(
            supplied.credential,
            Credential::Token(Token::parse("abc").unwrap())
        );
        assert_eq!(supplied.ends, None);
    }

    #[test]
    fn anything_else_is_told_without_its_values() {
        for (json, fault) in [
            ("canary", "it is no JSON object"),
            (
                r#"{"ak":"canary"}"#,
                "it holds neither a token nor ak and sk",
            ),
            (
                r#"{"token":"canary","ak":"a","sk":"s"}"#,
                "it holds neither a token nor ak and sk",
            ),
            (
                r#"{"ak":"a","sk":"can ary"}"#,
                "the secret key holds blanks, line breaks or characters outside ASCII",
            ),
            (
                r#"{"token":"t","expires_at":"canary"}"#,
                "its expires_at is no time",
            ),
        ] {
            assert_eq!(read(json.as_bytes()).unwrap_err().to_string(), fault);
        }
    }
}
