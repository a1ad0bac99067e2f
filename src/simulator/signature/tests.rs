//! The vendor's signed requests, whole and tampered with.

use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A request, taken apart so that each part can be changed.
#[derive(Clone, Debug)]
pub(in super::super) struct Signed {
    pub(in super::super) name: String,
    pub(in super::super) method: String,
    pub(in super::super) path: String,
    pub(in super::super) query: String,
    pub(in super::super) headers: Vec<(String, Vec<u8>)>,
    pub(in super::super) body: Vec<u8>,
    pub(in super::super) ak: String,
    pub(in super::super) sk: String,
}

impl Signed {
    /// Shows the request as it is received, or nothing where HTTP has no such request.
    pub(in super::super) fn receive<T>(&self, look: impl FnOnce(&Received<'_>) -> T) -> Option<T> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(look(&Received {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            authority: None,
            headers: &headers,
            body: &self.body,
        }))
    }

    fn holds(&self) -> bool {
        let holds = |request: &Received<'_>| {
            Claim::of(request).is_some_and(|claim| claim.holds(request, &self.sk))
        };
        self.receive(holds).unwrap_or(false)
    }

    /// Signs it once more, as it is now, with the same list of headers.
    pub(in super::super) fn sign(&mut self) {
        let sign = |request: &Received<'_>| {
            let claim = Claim::of(request).unwrap();
            let signature = claim.expected(request, &self.sk).unwrap();
            let (signed, ak) = (claim.signed, &self.ak);
            format!("{ALGORITHM} Access={ak}, SignedHeaders={signed}, Signature={signature}")
        };
        let authorization = self.receive(sign).unwrap();
        *self.header("authorization") = authorization.into_bytes();
    }

    pub(in super::super) fn header(&mut self, wanted: &str) -> &mut Vec<u8> {
        let mut headers = self.headers.iter_mut();
        let (_, value) = headers
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .unwrap();
        value
    }

    /// What the signature covers, as the vendor's signer wrote it down.
    fn canonical(&self) -> String {
        let canonical = |request: &Received<'_>| {
            let claim = Claim::of(request).unwrap();
            request.canonical(claim.signed).unwrap()
        };
        String::from_utf8(self.receive(canonical).unwrap()).unwrap()
    }
}

/// The requests that the vendor's Python SDK signed, each with its canonical form.
pub(in super::super) fn vectors() -> Vec<(Signed, String)> {
    let text = include_str!("../../../tests/data/signing_vectors.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let expected = &case["expected"];
            let uri = text(&expected["request_uri"]);
            let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
            let headers = expected["headers_after_signing"].as_object().unwrap();
            let mut headers: Vec<(String, Vec<u8>)> = headers
                .iter()
                // The file shows each byte of a value as one character.
                .map(|(name, value)| {
                    let value = text(value).chars().map(|c| c as u8).collect();
                    (name.clone(), value)
                })
                .collect();
            let authorization = text(&expected["authorization"]).into_bytes();
            headers.push(("Authorization".into(), authorization));
            let signed = Signed {
                name: text(&case["name"]),
                method: text(&case["method"]),
                path: path.to_owned(),
                query: query.to_owned(),
                headers,
                body: text(&case["body"]).into_bytes(),
                ak: text(&case["ak"]),
                sk: text(&case["sk"]),
            };
            (signed, text(&expected["canonical_request"]))
        })
        .collect()
}

#[test]
fn what_the_vendor_signed_is_verified() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 28);
    for (signed, canonical) in vectors {
        assert_eq!(signed.canonical(), canonical, "{}", signed.name);
        assert!(signed.holds(), "{}", signed.name);
    }
}

#[test]
fn another_secret_key_verifies_nothing() {
    for (mut signed, _) in vectors() {
        signed.sk.push('x');
        assert!(!signed.holds(), "{}", signed.name);
    }
}

#[test]
fn a_claim_needs_its_parts_and_a_signed_date() {
    let (signed, _) = vectors().swap_remove(0);
    for (from, to) in [
        ("SDK-HMAC-SHA256 ", "SDK-HMAC-SHA256"),
        ("SDK-HMAC-SHA256", "SDK-HMAC-SM3"),
        ("Access=", "Credential="),
        (", Signature=", " Signature="),
        (";x-sdk-date", ""),
        ("SignedHeaders=", "SignedHeaders=;"),
        ("SignedHeaders=", "SignedHeaders=accept;"),
        ("Signature=", "Signature=x, Signature="),
    ] {
        let mut signed = signed.clone();
        let authorization = signed.header("authorization");
        let text = String::from_utf8(authorization.clone()).unwrap();
        assert!(text.contains(from));
        *authorization = text.replacen(from, to, 1).into_bytes();
        assert!(!signed.holds(), "{to}");
    }
    for date in [
        "",
        "20250718T064447",
        "2025-07-18T06:44:47Z",
        "20251318T064447Z",
    ] {
        let mut signed = signed.clone();
        *signed.header("x-sdk-date") = date.into();
        assert!(!signed.holds(), "{date:?}");
    }
}

#[test]
fn a_signed_header_may_not_come_twice() {
    let (mut signed, _) = vectors().swap_remove(0);
    signed
        .headers
        .push(("X-Project-Id".into(), b"other".to_vec()));
    assert!(!signed.holds());
}

#[test]
fn http_2_names_the_host_as_authority() {
    let (mut signed, _) = vectors().swap_remove(0);
    let host = String::from_utf8(signed.header("host").clone()).unwrap();
    signed.headers.retain(|(name, _)| name != "Host");
    assert!(!signed.holds());
    for (authority, holds) in [(host.as_str(), true), ("elsewhere", false)] {
        let seen = signed.receive(|request| {
            let request = Received {
                authority: Some(authority),
                ..*request
            };
            Claim::of(&request).unwrap().holds(&request, &signed.sk)
        });
        assert_eq!(seen, Some(holds), "{authority}");
    }
}

/// Another byte that may stand where `byte` stood, and does not mean the same.
fn other(byte: u8, turn: u8) -> u8 {
    let turned = b'a' + (byte.wrapping_add(turn)) % 26;
    if turned.eq_ignore_ascii_case(&byte) {
        b'0' + turn % 10
    } else {
        turned
    }
}

fn change(bytes: &mut [u8], at: prop::sample::Index, turn: u8) {
    if !bytes.is_empty() {
        let byte = &mut bytes[at.index(bytes.len())];
        *byte = other(*byte, turn);
    }
}

fn change_text(text: &mut String, at: prop::sample::Index, turn: u8) {
    let mut bytes = text.clone().into_bytes();
    change(&mut bytes, at, turn);
    *text = String::from_utf8(bytes).unwrap();
}

proptest! {
    #[test]
    fn no_changed_byte_goes_unseen(
        case in any::<prop::sample::Index>(),
        part in 0..6,
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        turn in any::<u8>(),
    ) {
        let mut vectors = vectors();
        let (whole, _) = vectors.swap_remove(case.index(vectors.len()));
        let mut changed = whole.clone();
        let told = whole.headers.iter().any(|(name, _)| name == "X-Sdk-Content-Sha256");
        match part {
            0 => change_text(&mut changed.method, at, turn),
            1 => change_text(&mut changed.path, at, turn),
            2 => change_text(&mut changed.query, at, turn),
            // Its body is not signed.
            3 if told => {}
            3 => change(&mut changed.body, at, turn),
            4 => {
                let signed: Vec<usize> = (0..whole.headers.len())
                    .filter(|index| !whole.headers[*index].0.contains('_'))
                    .filter(|index| whole.headers[*index].0 != "Authorization")
                    .collect();
                let header = &mut changed.headers[signed[which.index(signed.len())]];
                change(&mut header.1, at, turn);
            }
            _ => {
                let authorization = changed.header("authorization");
                let start = authorization.len() - 64;
                change(&mut authorization[start..], at, turn);
            }
        }
        let same = format!("{whole:?}") == format!("{changed:?}");
        prop_assert_eq!(changed.holds(), same, "{:?}", changed);
    }
}
