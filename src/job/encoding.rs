//! From the bytes of a file to UTF-8: by its byte order mark, or as told, never guessed.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::line_ends::{HEAD, line_end};

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
    bytes: BufReader<io::Chain<Cursor<Vec<u8>>, R>>,
    encoding: &'static Encoding,
    decoder: encoding_rs::Decoder,
    out: Vec<u8>,
    given: usize,
    ended: bool,
    line: u64,
    /// The bytes of the current line so far.
    current: Vec<u8>,
    is_marked: bool,
    /// The byte that ends a line.
    line_end: u8,
    utf_8: Utf8Signs,
}

/// What shows that a file is UTF-8 although another encoding was told.
struct Utf8Signs {
    told: &'static Encoding,
    /// The first line beyond ASCII, if all such lines so far are valid UTF-8.
    first: Option<Mistold>,
    /// Characters beyond ASCII so far.
    beyond: usize,
    /// Whether a line was no UTF-8.
    is_other: bool,
}

/// A file of another encoding than was told. Found inside an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistold {
    /// What was told.
    pub told: &'static str,
    /// What it is.
    pub found: &'static str,
    /// The line that shows it, from 1.
    pub line: u64,
    /// That line, read as what it is.
    pub text: String,
}

impl fmt::Display for Mistold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is {}, not {}", self.line, self.found, self.told)
    }
}

impl std::error::Error for Mistold {}

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
    /// The first bytes cannot be read, or are the mark of another encoding than was told
    /// ([`Mistold`]).
    pub fn new(mut bytes: R, told: Option<&'static Encoding>) -> io::Result<Self> {
        let mut head = Vec::new();
        bytes.by_ref().take(HEAD).read_to_end(&mut head)?;
        let (marked, mark) = match Encoding::for_bom(&head) {
            Some((encoding, length)) => (Some(encoding), length),
            None => (None, 0),
        };
        // "utf-16" says nothing about the order of bytes; the mark does.
        let utf_16 = |encoding| encoding == UTF_16LE || encoding == UTF_16BE;
        let told = told.filter(|told| !(utf_16(*told) && marked.is_some_and(utf_16)));
        let encoding = told.or(marked).unwrap_or(UTF_8);
        if let Some(marked) = marked.filter(|marked| *marked != encoding) {
            let (text, _) = marked.decode_without_bom_handling(&head[mark..]);
            return Err(mistold(Mistold {
                told: encoding.name(),
                found: marked.name(),
                line: 1,
                text: text.lines().next().unwrap_or_default().to_owned(),
            }));
        }
        let line_end = match utf_16(encoding) {
            true => b'\n',
            false => line_end(&head),
        };
        let mut head = Cursor::new(head);
        head.set_position(mark as u64);
        Ok(Self {
            bytes: BufReader::new(head.chain(bytes)),
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            out: Vec::new(),
            given: 0,
            ended: false,
            line: 1,
            current: Vec::new(),
            is_marked: marked.is_some(),
            line_end,
            utf_8: Utf8Signs::new(encoding),
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
        let mut found = None;
        for piece in input[..read].split_inclusive(|byte| *byte == self.line_end) {
            if self.current.len() < LONGEST_LINE {
                self.current.extend_from_slice(piece);
            }
            if piece.last() == Some(&self.line_end) {
                found = found.or_else(|| self.utf_8.see(self.line, &self.current));
                self.line += 1;
                self.current.clear();
            }
        }
        if last {
            found = found.or_else(|| self.utf_8.see(self.line, &self.current));
            found = found.or_else(|| self.utf_8.judge_file());
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
                .read_until(self.line_end, &mut line)?;
            while line
                .last()
                .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
            {
                line.pop();
            }
            if let Some(text) = beyond_ascii(&line).filter(|_| self.encoding != UTF_8) {
                return Err(mistold(self.utf_8.mistold(self.line, text)));
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
        match found {
            Some(found) => Err(mistold(found)),
            None => Ok(()),
        }
    }
}

impl Utf8Signs {
    fn new(told: &'static Encoding) -> Self {
        Self {
            told,
            first: None,
            beyond: 0,
            is_other: [UTF_8, UTF_16LE, UTF_16BE].contains(&told),
        }
    }

    /// Takes in a line. It is given back if it alone shows that the file is not of the one-byte encoding told.
    fn see(&mut self, line: u64, bytes: &[u8]) -> Option<Mistold> {
        if self.is_other || bytes.is_ascii() {
            return None;
        }
        let Some(text) = beyond_ascii(bytes) else {
            // One-byte encodings are judged line by line: a file may be of several hands.
            self.is_other = !self.told.is_single_byte();
            return None;
        };
        if self.told.is_single_byte() {
            return is_certainly_utf_8(text, self.told).then(|| self.mistold(line, text));
        }
        self.beyond += text.chars().filter(|c| !c.is_ascii()).count();
        if self.first.is_none() {
            self.first = Some(self.mistold(line, text));
        }
        None
    }

    /// What shows that the whole file is UTF-8 and not of the encoding told, which has characters of several bytes.
    ///
    /// One such character may look like UTF-8: so do a fifth of the usual Chinese ones in GBK. That all of them do
    /// grows less likely with each; from the second on a file is refused, for it is easily saved as UTF-8.
    fn judge_file(&mut self) -> Option<Mistold> {
        self.first
            .take()
            .filter(|_| self.beyond > 1 && !self.is_other)
    }

    fn mistold(&self, line: u64, text: &str) -> Mistold {
        Mistold {
            told: self.told.name(),
            found: UTF_8.name(),
            line,
            text: text.trim_end_matches(['\r', '\n']).to_owned(),
        }
    }
}

/// `bytes` as a text, if they are valid UTF-8 and not just ASCII.
fn beyond_ascii(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_ascii()).then_some(text)
}

fn mistold(found: Mistold) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, found)
}

/// Whether a line that is valid UTF-8, `text`, is no line of the one-byte encoding `told`.
///
/// Whatever is beyond ASCII in it comes in pairs, threes and fours then, the first of which a one-byte
/// encoding reads as a letter and the others as symbols. Such text is rare, but real: a word that ends in
/// a sharp s or in an accented capital, and then an ellipsis or an apostrophe. As UTF-8 it is a lone letter
/// of a far script. So one of these is wanted as well: a character that `told` has (who names windows-1252
/// writes its letters), one of three bytes or more (CJK, quotes, dashes), or two in a row.
fn is_certainly_utf_8(text: &str, told: &'static Encoding) -> bool {
    let mut was_beyond = false;
    text.chars().any(|c| {
        let is_beyond = !c.is_ascii();
        let in_a_row = was_beyond && is_beyond;
        was_beyond = is_beyond;
        is_beyond && (in_a_row || c.len_utf8() > 2 || has(told, c))
    })
}

/// Whether `encoding` has the character `c`.
fn has(encoding: &'static Encoding, c: char) -> bool {
    let (_, _, is_replaced) = encoding.encode(c.encode_utf8(&mut [0; 4]));
    !is_replaced
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
    fn lines_that_end_in_cr_alone_are_counted() {
        let malformed = read(b"id,name\rw1,\"a\nb\"\rw2,caf\xe9\rw3,x\r", None).unwrap_err();
        assert_eq!(
            (malformed.line, malformed.at, malformed.bytes),
            (3, 6, b"w2,caf\xe9".to_vec())
        );
    }

    /// What is said of UTF-8 and marks that are read as something else.
    fn told_wrong(bytes: &[u8], told: &str) -> Option<(u64, &'static str, String)> {
        let mut text = String::new();
        let read = Decoded::new(bytes, find(told))
            .and_then(|mut decoded| decoded.read_to_string(&mut text));
        let error = read.err()?.into_inner().unwrap();
        let Mistold {
            line, found, text, ..
        } = *error.downcast().ok()?;
        Some((line, found, text))
    }

    #[test]
    fn utf_8_is_not_read_as_an_encoding_of_one_byte() {
        for (text, told) in [
            ("w1,Pr\u{fc}fung", "windows-1252"),
            ("w1,Zg\u{142}oszenie \u{f3}sme", "iso-8859-2"),
            (
                "w1,\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}",
                "windows-1251",
            ),
            (
                "w1,\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}",
                "windows-1252",
            ),
            ("w1,\u{5a01}", "windows-1252"),
            ("w1,a \u{2013} b", "macintosh"),
        ] {
            for end in ["\n", "\r\n", "\r", ""] {
                let bytes = format!(
                    "id,name{}{text}{end}",
                    if end.is_empty() { "\n" } else { end }
                );
                assert_eq!(
                    told_wrong(bytes.as_bytes(), told),
                    Some((2, "UTF-8", text.to_owned())),
                    "{text} {told}"
                );
            }
        }
        // A line longer than what is decoded at once.
        let long = format!("{}\u{fc}", "x".repeat(CHUNK - 1));
        assert!(told_wrong(long.as_bytes(), "windows-1252").is_some());
    }

    #[test]
    fn text_of_one_byte_is_read_whatever_its_symbols() {
        for (bytes, told) in [
            (&b"w1,Pr\xfcfung"[..], "windows-1252"),
            (b"w1,wei\xdf\x85", "windows-1252"),
            (b"w1,CAF\xc9\x92S", "windows-1252"),
            (b"w1,\x84Fu\xdf\x93", "windows-1252"),
            (b"w1,SOCI\xc9T\xc9\x99", "windows-1252"),
            (b"w1,\xcf\xf0\xe8\xe2\xe5\xf2", "windows-1251"),
            (b"w1,\xabRUS\xdf\xbb", "windows-1251"),
            (b"w1,plain", "windows-1252"),
        ] {
            assert_eq!(told_wrong(bytes, told), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_of_utf_8_is_not_read_as_an_encoding_of_several_bytes() {
        let german = "id,name\nw1,plain\nw2,Gr\u{fc}\u{df}e\n";
        let chinese = "id,name\nw1,\u{9694}\u{79bb}\u{4e3b}\u{673a}\nw2,\u{9694}\n";
        for told in ["gb18030", "gbk", "big5", "shift_jis", "euc-kr", "euc-jp"] {
            let found = told_wrong(german.as_bytes(), told);
            assert_eq!(
                found,
                Some((3, "UTF-8", "w2,Gr\u{fc}\u{df}e".to_owned())),
                "{told}"
            );
            let found = told_wrong(chinese.as_bytes(), told).unwrap();
            assert_eq!(found.1, "UTF-8", "{told}");
        }
    }

    #[test]
    fn text_of_several_bytes_is_read_although_some_of_it_looks_like_utf_8() {
        let told = |text: &str, told: &str| told_wrong(&find(told).unwrap().encode(text).0, told);
        // In GBK these are C3 BC C3 9F and C2 A1: valid UTF-8.
        for text in [
            "w1,\u{7709}\u{813d}\nw2,\u{9694}\u{79bb}\u{4e3b}\u{673a}",
            "w1,\u{9694}\u{79bb}\nw2,\u{7709}\u{813d}",
            "w1,\u{7709}",
            "w1,plain",
        ] {
            assert_eq!(told(text, "gb18030"), None, "{text}");
        }
        assert_eq!(told("w1,\u{3042}\u{3044}", "shift_jis"), None);
    }

    #[test]
    fn a_mark_of_another_encoding_than_was_told_is_no_text() {
        let utf_8 = Some((1, "UTF-8", "id,\u{e9}".to_owned()));
        for told in ["windows-1252", "gbk", "big5", "shift_jis", "utf-16le"] {
            assert_eq!(told_wrong(b"\xef\xbb\xbfid,\xc3\xa9\nw1,x", told), utf_8);
        }
        assert_eq!(
            told_wrong(b"\xff\xfei\0d\0\n\0", "windows-1252"),
            Some((1, "UTF-16LE", "id".to_owned()))
        );
        assert_eq!(told_wrong(b"\xef\xbb\xbfid", "utf-8"), None);
        assert_eq!(told_wrong(b"\xff\xfei\0", "utf-16"), None);
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
