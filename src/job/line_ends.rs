//! On which line a record begins.

use std::collections::VecDeque;
use std::io::{self, Read};

/// The longest record. Longer is an open quote in a large file.
pub(super) const LONGEST_RECORD: u64 = 16 << 20;

/// A reader that remembers where lines end, to tell on which line a record begins: the CSV
/// reader's own count is one short in files with CRLF.
pub(super) struct LineEnds<R> {
    bytes: R,
    offset: u64,
    /// Line ends that no record has begun after yet: offset and whether it is an LF.
    ends: VecDeque<(u64, bool)>,
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
    pub(super) fn new(bytes: R, lines_before: u64) -> Self {
        Self {
            bytes,
            offset: 0,
            ends: VecDeque::new(),
            passed: lines_before,
            record: 0,
        }
    }

    /// The line of the record whose reading began at `offset`: 1 and the LFs before its first
    /// byte that is no line end.
    pub(super) fn line_of(&mut self, offset: u64) -> u64 {
        let mut first = offset;
        while let Some((end, is_lf)) = self.ends.pop_front_if(|(end, _)| *end <= first) {
            self.passed += u64::from(is_lf);
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
            let is_lf = buffer[at] == b'\n';
            self.ends.push_back((self.offset + at as u64, is_lf));
        }
        self.offset += length as u64;
        Ok(length)
    }
}
