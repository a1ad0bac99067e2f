//! A line of the journal, which checks itself.
//!
//! A line is one JSON object whose last member is `"crc"`: the CRC-32 (IEEE 802.3, as gzip has it) of
//! every byte from the opening brace up to, and without, the comma before that member; eight
//! hexadecimal digits in lower case. The line ends with one LF:
//!
//! ```text
//! {"at":"2026-11-24T08:00:00Z","event":"lane_resumed","lane":0,"crc":"1a2b3c4d"}
//! └────────────────────── covered ───────────────────────────┘
//! ```
//!
//! What is not covered (the member itself and the LF) is compared as text, byte by byte: read as a
//! number, a digit in upper case would pass for the one in lower case.

use std::ops::Range;

use jiff::Timestamp;

use crate::model::event::{Event, Stamped};

/// What follows the covered bytes, without the digits.
const BEFORE: &[u8] = b",\"crc\":\"";
const AFTER: &[u8] = b"\"}\n";
const DIGITS: usize = 8;

/// Why a line is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It does not end.
    #[error("it is cut off")]
    Cut,
    /// It carries no checksum.
    #[error("it carries no checksum")]
    Unsealed,
    /// Its checksum is that of other bytes.
    #[error("its checksum does not fit")]
    Sum,
    /// It is longer than any line that is written.
    #[error("it is too long")]
    Long,
}

/// Writes the lines of `events` at the end of `lines`, each as its `Serialize` writes it and sealed; `begun` is shown
/// each event and where its line begins.
///
/// The instant is written by hand: mostly it is that of the event before.
///
/// # Errors
/// None that is known: members are texts, numbers and lists of them.
pub fn write(
    lines: &mut Vec<u8>,
    events: &[Stamped],
    mut begun: impl FnMut(&Event, usize),
) -> serde_json::Result<()> {
    let mut last: Option<(Timestamp, Range<usize>)> = None;
    for Stamped { at, event } in events {
        let begin = lines.len();
        begun(event, begin);
        lines.extend_from_slice(b"{\"at\":");
        let from = lines.len();
        match last {
            Some((same, range)) if same == *at => lines.extend_from_within(range),
            Some(_) | None => serde_json::to_writer(&mut *lines, at)?,
        }
        let middle = lines.len();
        last = Some((*at, from..middle));
        serde_json::to_writer(&mut *lines, event)?;
        // The event's own members follow.
        if let Some(brace) = lines.get_mut(middle) {
            *brace = b',';
        }
        seal(lines, begin);
    }
    Ok(())
}

/// Closes the text of a JSON object with at least one member, which `lines` holds from byte `begin` to its
/// end, with its checksum and an LF.
pub fn seal(lines: &mut Vec<u8>, begin: usize) {
    // The closing brace comes again at the end.
    lines.pop();
    let sum = digits(&lines[begin..]);
    lines.extend_from_slice(BEFORE);
    lines.extend_from_slice(&sum);
    lines.extend_from_slice(AFTER);
}

/// Checks that `line`, with its LF, is as it was written.
///
/// # Errors
/// It is not.
pub fn check(line: &[u8]) -> Result<(), Flaw> {
    if line.last() != Some(&b'\n') {
        return Err(Flaw::Cut);
    }
    let parts = line
        .strip_suffix(AFTER)
        .and_then(|rest| rest.split_last_chunk::<DIGITS>());
    let (rest, sum) = parts.ok_or(Flaw::Unsealed)?;
    let covered = rest.strip_suffix(BEFORE).ok_or(Flaw::Unsealed)?;
    if digits(covered) == *sum {
        Ok(())
    } else {
        Err(Flaw::Sum)
    }
}

fn digits(covered: &[u8]) -> [u8; DIGITS] {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let sum = crc32fast::hash(covered).to_be_bytes();
    std::array::from_fn(|index| {
        let byte = usize::from(sum[index / 2]);
        HEX[if index % 2 == 0 { byte >> 4 } else { byte & 15 }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(text: &str) -> Vec<u8> {
        let mut line = text.as_bytes().to_vec();
        seal(&mut line, 0);
        line
    }

    #[test]
    fn the_checksum_is_that_of_gzip_over_the_object_without_its_last_brace() {
        // printf '{"a":1' | gzip -c | tail -c8 | head -c4 | od -An -tx4
        let line = sealed(r#"{"a":1}"#);
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let sum = crc32fast::hash(br#"{"a":1"#);
        let expected = format!("{{\"a\":1,\"crc\":\"{sum:08x}\"}}\n");
        assert_eq!(String::from_utf8(line.clone()).unwrap(), expected);
        assert_eq!(check(&line), Ok(()));
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["a"], 1);
    }

    #[test]
    fn an_event_is_written_as_serde_writes_it() {
        use crate::model::event::{Leg, Meaning, Method};
        use crate::model::outcome::{Outcome, Status};
        let events = [
            Event::LegStarted {
                leg: Leg::Rows,
                wave: Some(2),
            },
            Event::Answer {
                row: 7,
                method: Method::Put,
                request: 1,
                latency_ms: 20,
                http_status: Some(200),
                meaning: Meaning::Done,
                failure: None,
                unproven: false,
            },
            Event::RowEnded {
                row: 7,
                outcome: Outcome {
                    live_name: Some("\"quoted\"".to_owned()),
                    ..Outcome::without_requests(Status::Succeeded)
                },
                replaces: None,
            },
        ];
        let times = [
            "2026-11-24T08:00:00.5Z",
            "2026-11-24T08:00:00.5Z",
            "2026-11-24T08:00:01Z",
        ];
        let stamped: Vec<_> = events
            .into_iter()
            .zip(times)
            .map(|(event, at)| Stamped {
                at: at.parse().unwrap(),
                event,
            })
            .collect();
        let mut lines = b"before".to_vec();
        let mut begins = Vec::new();
        write(&mut lines, &stamped, |_, begin| begins.push(begin)).unwrap();
        let mut expected = b"before".to_vec();
        for (event, begin) in stamped.iter().zip(begins) {
            assert_eq!(begin, expected.len());
            serde_json::to_writer(&mut expected, event).unwrap();
            seal(&mut expected, begin);
        }
        assert_eq!(String::from_utf8(lines), String::from_utf8(expected));
    }

    #[test]
    fn a_line_with_any_bit_changed_is_refused() {
        let line = sealed(r#"{"at":"2026-11-24T08:00:00Z","event":"lane_resumed","lane":10}"#);
        for index in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.clone();
                other[index] ^= 1 << bit;
                assert!(check(&other).is_err(), "bit {bit} of byte {index}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        let line = sealed(r#"{"a":1}"#);
        assert_eq!(check(&line[..line.len() - 1]), Err(Flaw::Cut));
        assert_eq!(check(b""), Err(Flaw::Cut));
        assert_eq!(check(b"{\"a\":1}\n"), Err(Flaw::Unsealed));
        let other = String::from_utf8(line).unwrap().replace('1', "2");
        assert_eq!(check(other.as_bytes()), Err(Flaw::Sum));
    }
}
