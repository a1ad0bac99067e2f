//! How lines end, and on which line a record begins.

use std::collections::VecDeque;
use std::io::{self, Read};

/// The longest record. Longer is an open quote in a large file.
pub(super) const LONGEST_RECORD: u64 = 16 << 20;

/// As much of a file as is looked at to find out how it is written.
pub(super) const HEAD: u64 = 64 * 1024;

/// The byte that ends the lines of a file that begins with `head`: CR where the first line ends in CR
/// alone, else LF. A line break inside quotes ends no line: a spreadsheet may write it another way.
pub(super) fn line_end(head: &[u8]) -> u8 {
    let mut is_quoted = false;
    let mut bytes = head.iter();
    let end = bytes.find(|byte| {
        is_quoted ^= **byte == b'"';
        !is_quoted && matches!(byte, b'\r' | b'\n')
    });
    // A file that was converted twice has CR CR LF.
    let next = bytes.find(|byte| **byte != b'\r');
    match (end, next) {
        (Some(b'\r'), next) if next != Some(&b'\n') => b'\r',
        (Some(_) | None, _) => b'\n',
    }
}

/// A reader that remembers where lines end, to tell on which line a record begins: the CSV
/// reader's own count is one short in files with CRLF.
pub(super) struct LineEnds<R> {
    bytes: R,
    offset: u64,
    /// Line ends that no record has begun after yet: offset and whether it counts.
    ends: VecDeque<(u64, bool)>,
    /// The byte that counts.
    line_end: u8,
    passed: u64,
    record: u64,
}

/// A record that does not end.
#[derive(Debug, thiserror::Error)]
#[error("the row that begins on line {line} does not end")]
pub(super) struct TooLong {
    pub(super) line: u64,
}

impl<R> LineEnds<R> {
    /// Reads `bytes`, which come after `lines_before`; `line_end` as [`line_end`] has it.
    pub(super) fn new(bytes: R, lines_before: u64, line_end: u8) -> Self {
        Self {
            bytes,
            offset: 0,
            ends: VecDeque::new(),
            line_end,
            passed: lines_before,
            record: 0,
        }
    }

    /// The line of the record whose reading began at `offset`: 1 and the line ends before its
    /// first byte that is none.
    pub(super) fn line_of(&mut self, offset: u64) -> u64 {
        let mut first = offset;
        while let Some((end, counts)) = self.ends.pop_front_if(|(end, _)| *end <= first) {
            self.passed += u64::from(counts);
            if end == first {
                first += 1;
            }
        }
        self.record = offset;
        self.passed + 1
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.offset.saturating_sub(self.record) > LONGEST_RECORD {
            let line = self.passed + 1;
            return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong { line }));
        }
        let length = self.bytes.read(buffer)?;
        for at in memchr::memchr2_iter(b'\r', b'\n', &buffer[..length]) {
            let counts = buffer[at] == self.line_end;
            self.ends.push_back((self.offset + at as u64, counts));
        }
        self.offset += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_the_first_one_does() {
        for (head, end) in [
            (&b"a,b\rc,d\r"[..], b'\r'),
            (b"a,b\r", b'\r'),
            (b"a,\"b\nb\"\rc\n", b'\r'),
            (b"\r\ra,b\r", b'\r'),
            (b"a,b\r\nc\rd", b'\n'),
            (b"a,b\r\r\nc,d\r\r\n", b'\n'),
            (b"a,b\nc\rd", b'\n'),
            (b"a,\"b\rb\"\nc", b'\n'),
            (b"a,b", b'\n'),
            (b"", b'\n'),
        ] {
            assert_eq!(line_end(head), end, "{head:?}");
        }
    }
}
