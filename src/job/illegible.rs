//! The problem of a file whose bytes cannot be read.

use std::io;
use std::sync::Arc;

use super::encoding::{Malformed, Mistold, readings};
use super::line_ends::TooLong;
use super::problem::{Place, Problem};

/// The problem of a file whose bytes cannot be read on.
pub fn illegible(file: &Arc<str>, error: &io::Error, delimiter: u8) -> Problem {
    let inner = error.get_ref();
    if let Some(malformed) = inner.and_then(|inner| inner.downcast_ref::<Malformed>()) {
        return wrong_encoding(file, malformed, delimiter);
    }
    if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<Mistold>()) {
        let place = Place::Line {
            file: Arc::clone(file),
            line: found.line,
            text: found.text.clone(),
        };
        return Problem::new(
            place,
            format!("the file is {}, not {}", found.found, found.told),
            format!(
                "leave encoding out (--encoding, [rows] encoding): {} is read without. If it only looks so, save it as UTF-8",
                found.found
            ),
        );
    }
    if let Some(long) = inner.and_then(|inner| inner.downcast_ref::<TooLong>()) {
        return Problem::new(
            Place::Line {
                file: Arc::clone(file),
                line: long.line,
                text: String::new(),
            },
            "a row is longer than 16 MiB",
            "probably a quote is opened here and never closed",
        );
    }
    let what = format!("the file cannot be read: {error}");
    Problem::new(Place::File(Arc::clone(file)), what, "")
}

/// One problem that shows the first such cell as each likely encoding reads it.
fn wrong_encoding(file: &Arc<str>, malformed: &Malformed, delimiter: u8) -> Problem {
    let at = malformed.at.min(malformed.bytes.len());
    let (before, after) = malformed.bytes.split_at(at);
    let is_edge = |byte: &u8| matches!(*byte, b',' | b';' | b'\t' | b'"') || *byte == delimiter;
    let start = before.iter().rposition(is_edge).map_or(0, |edge| edge + 1);
    let end = after
        .iter()
        .position(is_edge)
        .map_or(malformed.bytes.len(), |edge| at + edge);
    let cell = &malformed.bytes[start..end];
    let readings: Vec<_> = readings(cell)
        .into_iter()
        .map(|(name, text)| format!("--encoding {name} reads {text:?}"))
        .collect();
    let hint = match &readings[..] {
        [] => "save it as UTF-8 (in Excel: CSV UTF-8), or say --encoding NAME".to_owned(),
        readings => format!(
            "say which is right: {}; or save it as UTF-8",
            readings.join(", ")
        ),
    };
    Problem::new(
        Place::Line {
            file: Arc::clone(file),
            line: malformed.line,
            text: String::from_utf8_lossy(&malformed.bytes).into_owned(),
        },
        format!("the file is not {}", malformed.encoding),
        hint,
    )
}
