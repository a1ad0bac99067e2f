//! Errors of the HTTP client, and texts of the other side, made fit for the record.

use std::error::Error;
use std::time::Duration;

use crate::model::printable::is_printable;
use crate::model::reply::{Cause, Silence};
use crate::model::span;

/// `text` on one line, without characters that are not printable.
pub fn tidy(text: &str) -> String {
    // Most are tidy as they are.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return text.to_owned();
    }
    let mut tidy = String::new();
    let mut blank = false;
    let plain = text
        .chars()
        .filter(|c| c.is_whitespace() || is_printable(*c));
    for c in plain {
        if c.is_whitespace() {
            blank = !tidy.is_empty();
            continue;
        }
        if blank {
            tidy.push(' ');
            blank = false;
        }
        tidy.push(c);
    }
    tidy
}

/// Texts of rustls for what every further attempt would meet again: a certificate, a version or a
/// peer that is refused. A connection that merely breaks during the handshake is not among them.
const TLS: [&str; 4] = [
    "invalid peer certificate",
    "received corrupt message",
    "received fatal alert",
    "peer is incompatible",
];

/// What the system says where a process has as many files open as it may (EMFILE).
const NO_FILES: &str = "Too many open files";

/// Why `error` left no answer; a connection may take `connect_timeout`.
pub fn silence(error: &reqwest::Error, connect_timeout: Duration) -> Silence {
    // reqwest and its pool say only that a request was not sent; what follows says why.
    let pool = error.source();
    let detail = match pool.and_then(Error::source).or(pool) {
        Some(source) => chain(source),
        None => chain(error),
    };
    let cause = if error.is_builder() {
        Cause::Unsendable
    } else if error.is_connect() && TLS.iter().any(|text| detail.contains(text)) {
        // Once it is connected, an alert may come after the request was applied.
        Cause::Tls
    } else if error.is_dns() {
        Cause::Dns
    } else if error.is_connect() {
        Cause::Connect
    } else {
        Cause::Lost
    };
    let detail = match detail.contains(NO_FILES) {
        true => format!("{detail}; raise the limit on open files (ulimit -n), or lower -j"),
        false => detail,
    };
    let detail = match cause == Cause::Connect && error.is_timeout() {
        true => format!("connection timed out after {}", span::show(connect_timeout)),
        false => tidy(&detail),
    };
    Silence { cause, detail }
}

/// The error and its causes, outermost first, each said once.
pub fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_side_says_cannot_play_with_a_terminal() {
        assert_eq!(tidy("a\x1b[31mb\r\n\tc\u{202e}d \u{7} e"), "a[31mb cd e");
    }
}
