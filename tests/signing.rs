//! What the client signs, the simulator's gateway verifies: two readings of one page of the vendor's, written
//! apart. And nothing else does.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use flowbatch::secmaster::auth::keys::Keys;
use flowbatch::secmaster::auth::signature::{Unsigned, canonical_query, sign};
use flowbatch::simulator::signature::Received;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::sample::Index;

mod campaign;

const SK: &str = "SkExAmPlE0000000000000000000000000000000SK";

/// A request on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wire {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Wire {
    /// Whether the gateway takes it; what is no request at all it does not even read.
    fn is_taken(&self) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
            let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) else {
                return false;
            };
            headers.append(name, value);
        }
        let received = Received {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            authority: None,
            headers: &headers,
            body: &self.body,
        };
        received.is_signed_with(SK)
    }
}

prop_compose! {
    fn request()(
        method in prop::sample::select(vec!["GET", "PUT", "POST", "DELETE"]),
        segments in prop::collection::vec("[a-zA-Z0-9._~ äöü流+*'()-]{1,12}", 1..5),
        query in prop::collection::vec(("[a-z_]{1,6}", "[a-zA-Z0-9 +&=/?%~äÖ流.-]{0,8}"), 0..4),
        note in proptest::option::of("[!-~]([ -~]{0,10}[!-~])?"),
        body in prop::collection::vec(any::<u8>(), 0..40),
        project in proptest::option::of("[0-9a-f]{8}"),
        token in proptest::option::of("[A-Za-z0-9+/=]{4,20}"),
        seconds in 0_i64..4_000_000_000,
    ) -> (Wire, Vec<usize>) {
        let encode = |text: &String| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let segments: Vec<_> = segments.iter().map(encode).collect();
        let path = format!("/{}", segments.join("/"));
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        headers.extend(note.map(|note| ("X-Note".to_owned(), note)));
        let keys = Keys::new("AKIDEXAMPLE", SK, token.as_deref()).unwrap();
        let unsigned = Unsigned {
            method,
            host: "secmaster.example:8443",
            path: &path,
            query: query.clone(),
            headers,
            body: &body,
        };
        let at = Timestamp::from_second(seconds).unwrap();
        let signed = sign(unsigned, &keys, project.as_deref(), at).unwrap();
        let mut headers = signed.headers;
        let covered = (0..headers.len()).collect();
        headers.push(("Authorization".to_owned(), signed.authorization));
        let wire = Wire {
            method: method.to_owned(),
            path,
            query: canonical_query(&query),
            headers,
            body,
        };
        (wire, covered)
    }
}

/// Another character that may stand there, and is not the same in the other case.
fn other(byte: u8, turn: u8) -> u8 {
    let letter = b'a' + byte.wrapping_add(turn) % 26;
    match letter.eq_ignore_ascii_case(&byte) {
        true => b'0' + turn % 10,
        false => letter,
    }
}

fn change(text: &mut String, at: Index, turn: u8) {
    let places: Vec<_> = text
        .char_indices()
        .filter(|(_, c)| c.is_ascii())
        .map(|(place, _)| place)
        .collect();
    if !places.is_empty() {
        let place = places[at.index(places.len())];
        let new = char::from(other(text.as_bytes()[place], turn));
        text.replace_range(place..=place, &new.to_string());
    }
}

proptest! {
    #![proptest_config(campaign::config(512))]

    #[test]
    fn what_the_client_signs_the_gateway_takes((wire, _) in request()) {
        prop_assert!(wire.is_taken(), "{wire:?}");
    }

    #[test]
    fn and_nothing_that_differs_in_one_byte(
        (wire, covered) in request(),
        part in 0..6,
        which in any::<Index>(),
        at in any::<Index>(),
        turn in any::<u8>(),
    ) {
        let mut changed = wire.clone();
        match part {
            0 => change(&mut changed.method, at, turn),
            1 => change(&mut changed.path, at, turn),
            2 => change(&mut changed.query, at, turn),
            3 if !changed.body.is_empty() => {
                let byte = at.index(changed.body.len());
                changed.body[byte] = changed.body[byte].wrapping_add(turn.max(1));
            }
            3 => changed.body.push(turn),
            4 => {
                let header = covered[which.index(covered.len())];
                change(&mut changed.headers[header].1, at, turn);
            }
            _ => {
                let last = changed.headers.len() - 1;
                let authorization = &mut changed.headers[last].1;
                let start = authorization.find("SignedHeaders=").unwrap();
                let mut rest = authorization.split_off(start);
                change(&mut rest, at, turn);
                authorization.push_str(&rest);
            }
        }
        let same = changed == wire;
        prop_assert_eq!(changed.is_taken(), same, "{:?}", changed);
    }
}
