//! What a request shows: a token, or a signature.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;
use url::form_urlencoded;

use super::super::transport::Parcel;
use super::keys::Keys;
use super::signature::{Unsigned, sign};
use super::token::{HEADER, Token};

/// What a request shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// Carried as it is.
    Token(Token),
    /// Signs, and never travels itself.
    Keys(Keys),
}

impl Credential {
    /// Puts the credential on `parcel`, which leaves at `at` for something in `project_id`.
    pub fn put_on(&self, parcel: &mut Parcel, project_id: Option<&str>, at: Timestamp) {
        match self {
            Self::Token(token) => {
                parcel.headers.insert(HEADER, token.header());
            }
            Self::Keys(keys) => put_signature(keys, parcel, project_id, at),
        }
    }

    /// `text` without the secrets, should the other side have echoed them.
    pub fn blot_out(&self, text: String) -> String {
        match self {
            Self::Token(token) => token.blot_out(text),
            Self::Keys(keys) => keys.blot_out(text),
        }
    }

    /// What the secret is called that `text` holds, if it holds one.
    pub fn secret_in(&self, text: &str) -> Option<&'static str> {
        match self {
            Self::Token(token) => token.secret_in(text),
            Self::Keys(keys) => keys.secret_in(text),
        }
    }
}

fn put_signature(keys: &Keys, parcel: &mut Parcel, project_id: Option<&str>, at: Timestamp) {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let query = parcel.url.query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes());
    let signed = sign(
        Unsigned {
            method: parcel.method.as_str(),
            // An endpoint leaves its scheme's own port out, as HTTP does.
            host: parcel.url.authority(),
            path: parcel.url.path(),
            query: query.into_owned().collect(),
            headers: parcel
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
            body: &parcel.body,
        },
        keys,
        project_id,
        at,
    );
    let Some(signed) = signed else {
        return;
    };
    let authorization = ("authorization".to_owned(), signed.authorization);
    parcel.headers = signed
        .headers
        .into_iter()
        // HTTP names the host itself, in whichever way its version does.
        .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
        .chain([authorization])
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).ok()?;
            let mut value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
            let secret = name == AUTHORIZATION || name == "x-security-token";
            value.set_sensitive(secret);
            Some((name, value))
        })
        .collect();
}
