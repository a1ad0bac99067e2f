//! How a CSV separates its cells.

use std::io::{self, BufRead, Read};

use super::line_ends::LONGEST_RECORD;

/// What stands before the header and has been read over: a line `sep=`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

/// The lines up to the header's first, and the delimiter: told by a line `sep=`, else the one of
/// `,` `;` tab that the header has most of outside quotes.
pub(super) fn dialect(bytes: &mut impl BufRead, before: &mut Before) -> io::Result<(Vec<u8>, u8)> {
    let mut head = Vec::new();
    loop {
        let start = head.len();
        let most = LONGEST_RECORD.saturating_sub(head.len() as u64);
        bytes.by_ref().take(most).read_until(b'\n', &mut head)?;
        let line = head[start..].trim_ascii();
        if head.len() == start || !line.is_empty() {
            break;
        }
    }
    let start = head
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .unwrap_or(0);
    let end = head.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    let line = &head[start..end.map_or(start, |end| end + 1).max(start)];
    if let Some(told) = line.strip_prefix(b"sep=")
        && let [delimiter] = told
    {
        before.lines = head.iter().filter(|byte| **byte == b'\n').count() as u64;
        before.bytes = head.len() as u64;
        return Ok((Vec::new(), *delimiter));
    }
    // A header of blanks and tabs alone was trimmed to nothing and has no delimiter to find.
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    for byte in &head {
        quoted ^= *byte == b'"';
        for (delimiter, count) in &mut counts {
            *count += usize::from(!quoted && byte == delimiter);
        }
    }
    // Of equals, the comma: it stands first.
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    Ok((head, most.map_or(b',', |(delimiter, _)| delimiter)))
}
