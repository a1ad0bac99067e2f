//! From the bytes of a file to UTF-8: by its byte order mark, or as told, never guessed.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Encodings that a table from a spreadsheet may well have, for the problem's hint.
const LIKELY: [&Encoding; 5] = [
    encoding_rs::WINDOWS_1252,
    encoding_rs::GB18030,
    encoding_rs::BIG5,
    encoding_rs::SHIFT_JIS,
    encoding_rs::WINDOWS_1251,
];

/// A reader that gives the bytes of another one as UTF-8, without a byte order mark.
pub struct Decoded<R> {
    bytes: BufReader<R>,
    encoding: &'static Encoding,
    decoder: encoding_rs::Decoder,
    out: Vec<u8>,
    given: usize,
    ended: bool,
    line: u64,
    /// The bytes of the current line so far.
    current: Vec<u8>,
    is_marked: bool,
}

/// Bytes that the encoding does not have. Found inside an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What the file was read as.
    pub encoding: &'static str,
    /// The line, from 1.
    pub line: u64,
    /// The whole line, as bytes.
    pub bytes: Vec<u8>,
    /// The first offending byte of it.
    pub at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is not {}", self.line, self.encoding)
    }
}

impl std::error::Error for Malformed {}

/// The most of a malformed line that is kept.
const LONGEST_LINE: usize = 64 * 1024;
/// Bytes decoded at once.
const CHUNK: usize = 8 * 1024;

impl<R: Read> Decoded<R> {
    /// Reads `bytes` as `told`, else as its byte order mark says, else as UTF-8.
    ///
    /// # Errors
    /// The first bytes cannot be read.
    pub fn new(bytes: R, told: Option<&'static Encoding>) -> io::Result<Self> {
        let mut bytes = BufReader::new(bytes);
        let (marked, mark) = match Encoding::for_bom(bytes.fill_buf()?) {
            Some((encoding, length)) => (Some(encoding), length),
            None => (None, 0),
        };
        // "utf-16" says nothing about the order of bytes; the mark does.
        let utf_16 = |encoding| encoding == UTF_16LE || encoding == UTF_16BE;
        let told = told.filter(|told| !(utf_16(*told) && marked.is_some_and(utf_16)));
        let encoding = told.or(marked).unwrap_or(UTF_8);
        if marked == Some(encoding) {
            bytes.consume(mark);
        }
        Ok(Self {
            bytes,
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            out: Vec::new(),
            given: 0,
            ended: false,
            line: 1,
            current: Vec::new(),
            is_marked: marked == Some(encoding),
        })
    }

    /// Whether it gives the bytes as they are.
    pub fn is_plain(&self) -> bool {
        self.encoding == UTF_8 && !self.is_marked
    }

    fn refill(&mut self) -> io::Result<()> {
        let input = self.bytes.fill_buf()?;
        let last = input.is_empty();
        let input = &input[..input.len().min(CHUNK)];
        self.out.resize(
            self.decoder
                .max_utf8_buffer_length_without_replacement(input.len())
                .unwrap_or(CHUNK * 4),
            0,
        );
        let (result, read, written) =
            self.decoder
                .decode_to_utf8_without_replacement(input, &mut self.out, last);
        let seen = &input[..read];
        match seen.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => {
                self.line += seen.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.current.clear();
                self.current.extend_from_slice(&seen[end + 1..]);
            }
            None if self.current.len() < LONGEST_LINE => self.current.extend_from_slice(seen),
            None => {}
        }
        let malformed = match result {
            encoding_rs::DecoderResult::Malformed(length, after) => {
                Some(usize::from(length) + usize::from(after))
            }
            encoding_rs::DecoderResult::InputEmpty | encoding_rs::DecoderResult::OutputFull => None,
        };
        self.bytes.consume(read);
        self.out.truncate(written);
        self.given = 0;
        if let Some(length) = malformed {
            let at = self.current.len().saturating_sub(length);
            let rest = (LONGEST_LINE - self.current.len().min(LONGEST_LINE)) as u64;
            let mut line = std::mem::take(&mut self.current);
            self.bytes
                .by_ref()
                .take(rest)
                .read_until(b'\n', &mut line)?;
            while line
                .last()
                .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
            {
                line.pop();
            }
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                Malformed {
                    encoding: self.encoding.name(),
                    line: self.line,
                    bytes: line,
                    at,
                },
            ));
        }
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() && !self.ended {
            self.refill()?;
        }
        let length = buffer.len().min(self.out.len() - self.given);
        buffer[..length].copy_from_slice(&self.out[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

/// How each likely encoding reads `bytes`, where it can.
pub fn readings(bytes: &[u8]) -> Vec<(&'static str, String)> {
    LIKELY
        .iter()
        .filter_map(|encoding| {
            let text = decode(encoding, bytes)?;
            // A reading with control characters is none.
            (!text.chars().any(char::is_control)).then_some((encoding.name(), text))
        })
        .collect()
}

fn decode(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let length = decoder.max_utf8_buffer_length(bytes.len())?;
    let mut text = String::with_capacity(length);
    let (result, _, replaced) = decoder.decode_to_string(bytes, &mut text, true);
    (result == CoderResult::InputEmpty && !replaced).then_some(text)
}

/// The encoding called `label` (the WHATWG's labels: `gb18030`, `windows-1252`, `utf-16le`).
pub fn find(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.trim().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], told: Option<&str>) -> Result<String, Malformed> {
        let told = told.map(|label| find(label).unwrap());
        let mut text = String::new();
        match Decoded::new(bytes, told).unwrap().read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(*error.into_inner().unwrap().downcast().unwrap()),
        }
    }

    #[test]
    fn a_byte_order_mark_tells_the_encoding_and_is_no_text() {
        assert_eq!(read(b"\xef\xbb\xbfa\xc3\xa9", None).unwrap(), "a\u{e9}");
        assert_eq!(read(b"\xff\xfea\0\xe9\0", None).unwrap(), "a\u{e9}");
        assert_eq!(read(b"\xfe\xff\0a\0\xe9", None).unwrap(), "a\u{e9}");
        assert_eq!(
            read("plain \u{5a01}".as_bytes(), None).unwrap(),
            "plain \u{5a01}"
        );
    }

    #[test]
    fn another_encoding_is_read_as_told() {
        assert_eq!(read(b"caf\xe9", Some("windows-1252")).unwrap(), "caf\u{e9}");
        assert_eq!(
            read(b"\xcd\xfe\xd0\xb2", Some("gbk")).unwrap(),
            "\u{5a01}\u{80c1}"
        );
        assert_eq!(read(b"a\0b\0", Some("utf-16le")).unwrap(), "ab");
    }

    #[test]
    fn bytes_outside_the_encoding_are_told_with_their_line() {
        let malformed = read(b"id,name\r\nw1,caf\xe9 noir\r\nw2,x\r\n", None).unwrap_err();
        assert_eq!(
            malformed,
            Malformed {
                encoding: "UTF-8",
                line: 2,
                bytes: b"w1,caf\xe9 noir".to_vec(),
                at: 6,
            }
        );
        assert_eq!(read(b"a\n\xff", None).unwrap_err().line, 2);
        assert_eq!(read(b"a\nb\xe5\xa8", None).unwrap_err().at, 1);
    }

    #[test]
    fn malformed_bytes_far_into_a_file_keep_their_place() {
        let mut bytes = b"w,name\n".repeat(5_000);
        bytes.extend_from_slice(b"w,\xfc");
        let malformed = read(&bytes, None).unwrap_err();
        assert_eq!((malformed.line, malformed.at), (5_001, 2));
        assert_eq!(malformed.bytes, b"w,\xfc");
    }

    #[test]
    fn likely_readings_are_shown_where_they_make_sense() {
        let shown = readings(b"\xcd\xfe\xd0\xb2");
        assert!(
            shown.contains(&("gb18030", "\u{5a01}\u{80c1}".to_owned())),
            "{shown:?}"
        );
        assert!(shown.iter().any(|(name, _)| *name == "windows-1252"));
    }
}
