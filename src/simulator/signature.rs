//! `SDK-HMAC-SHA256` as whoever receives a request verifies it: by the request's own list of signed
//! headers, because the vendor's clients do not agree on one. Written from the vendor's description
//! of the gateway, and held against what its Python SDK signs.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::hmac;
use hyper::HeaderMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::model::row::hex;

use super::query::pairs;

const ALGORITHM: &str = "SDK-HMAC-SHA256";
const DATE: &str = "x-sdk-date";
const PAYLOAD: &str = "x-sdk-content-sha256";
const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// What is percent-encoded in a query: all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same for a path, whose slashes stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// A request as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// In capitals or not.
    pub method: &'a str,
    /// As it stands in the request line, percent-encoded.
    pub path: &'a str,
    /// As it stands in the request line, without the question mark.
    pub query: &'a str,
    /// HTTP/2's `:authority`, which stands for `host` there.
    pub authority: Option<&'a str>,
    /// All that came.
    pub headers: &'a HeaderMap,
    /// Byte for byte.
    pub body: &'a [u8],
}

impl<'a> Received<'a> {
    /// Whether whoever knows the secret key `sk` signed this.
    pub fn is_signed_with(&self, sk: &str) -> bool {
        Claim::of(self).is_some_and(|claim| claim.holds(self, sk))
    }

    /// The header `name` as text, if it has one.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value to sign of the header `name`; none if it is missing or comes twice.
    fn signed_value(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value.as_bytes().trim_ascii()),
            (None, _) if name == "host" => Some(self.authority?.as_bytes()),
            (None | Some(_), _) => None,
        }
    }

    /// What the signature covers; nothing if a header of the list `signed` is missing.
    fn canonical(&self, signed: &str) -> Option<Vec<u8>> {
        let path: Vec<u8> = percent_decode_str(self.path).collect();
        let path = percent_encode(&path, RESERVED_IN_PATH).to_string();
        let slash = if path.ends_with('/') { "" } else { "/" };
        let mut pairs = pairs(self.query);
        pairs.sort();
        let encode = |text: &str| percent_encode(text.as_bytes(), RESERVED).to_string();
        let query: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let method = self.method.to_ascii_uppercase();
        let mut text = format!("{method}\n{path}{slash}\n{}\n", query.join("&")).into_bytes();
        for name in signed.split(';') {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(self.signed_value(name)?);
            text.push(b'\n');
        }
        let payload = match self.header(PAYLOAD) {
            Some(told) if !self.body.is_empty() => told.trim().to_owned(),
            Some(_) | None => hex(digest(&digest::SHA256, self.body).as_ref()),
        };
        text.extend_from_slice(format!("\n{signed}\n{payload}").as_bytes());
        Some(text)
    }
}

/// Who a request says that it comes from, and how it wants to prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim<'a> {
    /// The id of the access key.
    pub(super) access: &'a str,
    /// When it was signed.
    pub(super) at: Timestamp,
    date: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    /// The claim in `request`'s `Authorization` and `X-Sdk-Date`; nothing if they hold none that
    /// could be verified. The date must be signed; no other header must.
    pub(super) fn of(request: &Received<'a>) -> Option<Self> {
        let text = request.header("authorization")?;
        let text = text.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let mut parts = text.split(',').map(str::trim);
        let access = parts.next()?.strip_prefix("Access=")?;
        let signed = parts.next()?.strip_prefix("SignedHeaders=")?;
        let signature = parts.next()?.strip_prefix("Signature=")?;
        let date = request.header(DATE)?.trim();
        let at = DateTime::strptime(DATE_FORMAT, date).ok()?;
        let at = TimeZone::UTC.to_timestamp(at).ok()?;
        let whole = parts.next().is_none() && signed.split(';').any(|name| name == DATE);
        whole.then_some(Self {
            access,
            at,
            date,
            signed,
            signature,
        })
    }

    /// Whether whoever knows the secret key `sk` signed `request` as it was received.
    pub(super) fn holds(&self, request: &Received<'_>, sk: &str) -> bool {
        self.expected(request, sk).is_some_and(|expected| {
            verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes()).is_ok()
        })
    }

    /// The signature that `request` needs.
    fn expected(&self, request: &Received<'_>, sk: &str) -> Option<String> {
        let canonical = request.canonical(self.signed)?;
        let canonical = hex(digest(&digest::SHA256, &canonical).as_ref());
        let text = format!("{ALGORITHM}\n{}\n{canonical}", self.date);
        let key = hmac::Key::new(hmac::HMAC_SHA256, sk.as_bytes());
        Some(hex(hmac::sign(&key, text.as_bytes()).as_ref()))
    }
}

#[cfg(test)]
pub(super) mod tests;
