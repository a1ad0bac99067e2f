//! What a request shows: a token, or a signature.

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::super::transport::Parcel;
use super::keys::Keys;
use super::redaction::blot_out;
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
            Self::Token(token) => parcel.headers.push((HEADER, token.header())),
            Self::Keys(keys) => put_signature(keys, parcel, project_id, at),
        }
    }

    /// `text` without the secrets, should the other side have echoed them.
    pub fn blot_out(&self, text: String) -> String {
        match self {
            Self::Token(token) => blot_out(token.secret(), "token", text),
            Self::Keys(keys) => {
                let text = blot_out(keys.secret_key(), "secret key", text);
                match keys.security_token() {
                    Some(token) => blot_out(token, "security token", text),
                    None => text,
                }
            }
        }
    }
}

fn put_signature(keys: &Keys, parcel: &mut Parcel, project_id: Option<&str>, at: Timestamp) {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let query = parcel.url.query_pairs();
    let signed = sign(
        Unsigned {
            method: parcel.method.as_str(),
            host: &host(&parcel.url),
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

/// The host as HTTP writes it: with the port, unless it is the scheme's own.
fn host(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
