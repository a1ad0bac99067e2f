//! SDK-HMAC-SHA256, the signature of the vendor's API gateway.
//!
//! Source of the rules: the vendor's signing guide and its official signer, whose own cases are in
//! `tests/data/signing_vectors.json`.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::model::row::hex;

use super::keys::Keys;

const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// RFC 3986's unreserved characters stay as they are; everything else becomes `%XX`.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What is hashed in place of a body that is no JSON.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const CONTENT_SHA256: &str = "X-Sdk-Content-Sha256";
const DATE: &str = "X-Sdk-Date";

/// A request before it is signed.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    /// In capitals.
    pub method: &'a str,
    /// With the port, unless it is the scheme's own.
    pub host: &'a str,
    /// As it will be sent: percent-encoded, from the first slash.
    pub path: &'a str,
    /// Names and values, not encoded.
    pub query: Vec<(String, String)>,
    /// Those that are known before the HTTP library adds its own.
    pub headers: Vec<(String, String)>,
    /// As it will be sent, byte for byte.
    pub body: &'a [u8],
}

/// A request with what proves whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// All headers to be sent, but for [`Signed::authorization`].
    pub headers: Vec<(String, String)>,
    /// The `Authorization` header.
    pub authorization: String,
    /// What was hashed, for tests.
    pub canonical_request: String,
    /// What was signed, for tests.
    pub string_to_sign: String,
}

/// Signs `request` at `at`; the gateway takes it for 15 minutes.
///
/// `project_id` and a temporary key's token travel in headers that are signed as well. `None` for a
/// request that has an `Authorization` of its own: it is to be sent as it is.
pub fn sign(
    request: Unsigned<'_>,
    keys: &Keys,
    project_id: Option<&str>,
    at: Timestamp,
) -> Option<Signed> {
    let mut headers = request.headers;
    if find(&headers, "Authorization").is_some() {
        return None;
    }
    if let Some(project_id) = project_id {
        set(&mut headers, "X-Project-Id", project_id);
    }
    if let Some(token) = keys.security_token() {
        set(&mut headers, "X-Security-Token", token);
    }
    let json = |value: &str| {
        ["application/json", "application/bson"]
            .iter()
            .any(|json| value.starts_with(json))
    };
    if find(&headers, "Content-Type").is_some_and(|value| !json(value)) {
        set(&mut headers, CONTENT_SHA256, UNSIGNED_PAYLOAD);
    }
    if find(&headers, DATE).is_none() {
        set(
            &mut headers,
            DATE,
            &at.strftime("%Y%m%dT%H%M%SZ").to_string(),
        );
    }
    if find(&headers, "Host").is_none() {
        set(&mut headers, "Host", request.host);
    }
    for (_, value) in &mut headers {
        *value = value.trim().to_owned();
    }
    let mut signed: Vec<(String, &str)> = headers
        .iter()
        .filter(|(name, _)| !name.contains('_'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
        .collect();
    signed.sort();
    let names: Vec<_> = signed.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let canonical_request = [
        request.method,
        &canonical_path(request.path),
        &canonical_query(&request.query),
        &lines,
        &names,
        &payload_hash(request.body, &headers),
    ]
    .join("\n");
    let date = find(&headers, DATE).unwrap_or_default();
    let string_to_sign = format!(
        "{ALGORITHM}\n{date}\n{}",
        sha256(canonical_request.as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, keys.secret_key().as_bytes());
    let signature = hex(hmac::sign(&key, string_to_sign.as_bytes()).as_ref());
    Some(Signed {
        authorization: format!(
            "{ALGORITHM} Access={}, SignedHeaders={names}, Signature={signature}",
            keys.access_key()
        ),
        headers,
        canonical_request,
        string_to_sign,
    })
}

/// The path as it is signed: each segment decoded and encoded anew, and a slash at the end.
///
/// The whole path is decoded before it is split, as the official signer does it: `%2F` inside a
/// segment becomes a slash here, never on the wire.
fn canonical_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let segments = decoded.split('/').map(encode);
    let mut canonical = segments.collect::<Vec<_>>().join("/");
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// The query as it is signed and sent: encoded, sorted by name and value.
pub fn canonical_query(query: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = query.iter().collect();
    pairs.sort();
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn payload_hash(body: &[u8], headers: &[(String, String)]) -> String {
    match find(headers, CONTENT_SHA256) {
        Some(told) if !body.is_empty() => told.to_owned(),
        Some(_) | None => sha256(body),
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    let (_, value) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(value)
}

fn set(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value.to_owned()));
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        method: String,
        host: String,
        path: String,
        query: Vec<(String, serde_json::Value)>,
        headers_given: BTreeMap<String, String>,
        project_id: Option<String>,
        security_token: Option<String>,
        body: String,
        ak: String,
        sk: String,
        expected: Expected,
    }

    #[derive(Deserialize)]
    struct Expected {
        headers_after_signing: BTreeMap<String, String>,
        canonical_request: String,
        canonical_request_sha256: String,
        string_to_sign: String,
        request_uri: String,
        authorization: String,
    }

    /// A list is a name said several times, as the SDK sends it.
    fn pairs(query: &[(String, serde_json::Value)]) -> Vec<(String, String)> {
        use serde_json::Value;
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Bool(_)
            | Value::Number(_)
            | Value::Null
            | Value::Array(_)
            | Value::Object(_) => value.to_string(),
        };
        let values = |value: &Value| match value.as_array() {
            Some(list) => list.iter().map(text).collect(),
            None => vec![text(value)],
        };
        query
            .iter()
            .flat_map(|(name, value)| values(value).into_iter().map(|text| (name.clone(), text)))
            .collect()
    }

    #[test]
    fn every_case_of_the_official_signer_matches_to_the_byte() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../../tests/data/signing_vectors.json")).unwrap();
        assert_eq!(vectors.cases.len(), 28);
        for case in vectors.cases {
            let name = &case.name;
            let query = pairs(&case.query);
            let wire = canonical_query(&query);
            let uri = match wire.as_str() {
                "" => case.path.clone(),
                query => format!("{}?{query}", case.path),
            };
            assert_eq!(uri, case.expected.request_uri, "{name}");
            let keys = Keys::new(&case.ak, &case.sk, case.security_token.as_deref()).unwrap();
            let request = Unsigned {
                method: &case.method,
                host: &case.host,
                path: &case.path,
                query,
                headers: case.headers_given.into_iter().collect(),
                body: case.body.as_bytes(),
            };
            // Each case brings its own date.
            let signed = sign(
                request,
                &keys,
                case.project_id.as_deref(),
                Timestamp::UNIX_EPOCH,
            )
            .unwrap();
            assert_eq!(
                signed.canonical_request, case.expected.canonical_request,
                "{name}"
            );
            assert_eq!(
                sha256(signed.canonical_request.as_bytes()),
                case.expected.canonical_request_sha256,
                "{name}"
            );
            assert_eq!(
                signed.string_to_sign, case.expected.string_to_sign,
                "{name}"
            );
            assert_eq!(signed.authorization, case.expected.authorization, "{name}");
            let mut expected = case.expected.headers_after_signing;
            if name == "header_unicode_value" {
                // The file shows the bytes of this one as Latin-1.
                expected.insert("X-Note".into(), "\u{e9}\u{6d41}".into());
            }
            let headers: BTreeMap<_, _> = signed.headers.into_iter().collect();
            assert_eq!(headers, expected, "{name}");
        }
    }

    #[test]
    fn the_date_is_that_of_the_signing() {
        let keys = Keys::new("AK", "SK", None).unwrap();
        let request = Unsigned {
            method: "GET",
            host: "host",
            path: "/",
            query: Vec::new(),
            headers: Vec::new(),
            body: b"",
        };
        let at = "2026-11-24T08:31:00.999Z".parse().unwrap();
        let signed = sign(request, &keys, None, at).unwrap();
        assert!(signed.string_to_sign.contains("\n20261124T083100Z\n"));
    }

    #[test]
    fn a_request_with_an_authorization_of_its_own_is_left_alone() {
        let keys = Keys::new("AK", "SK", None).unwrap();
        let request = Unsigned {
            method: "GET",
            host: "host",
            path: "/",
            query: Vec::new(),
            headers: vec![("authorization".into(), "Basic x".into())],
            body: b"",
        };
        assert_eq!(sign(request, &keys, Some("p"), Timestamp::UNIX_EPOCH), None);
    }
}
