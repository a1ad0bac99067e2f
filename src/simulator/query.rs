//! The query of a request line.

use percent_encoding::percent_decode_str;

/// The pairs of `query`, decoded, in their order; `+` is a blank.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let text = |raw: &str| {
        let spaced = raw.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}
