//! How a CSV separates its cells and ends its lines.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use super::line_ends::{HEAD, line_end};
use super::problem::{Place, Problem};

/// Delimiters that are found out.
const FOUND_OUT: [char; 3] = [',', ';', '\t'];

/// Delimiters that are looked for as well, to be named in a problem.
const OTHERS: [char; 18] = [
    '|', ':', '^', '~', '!', '#', '$', '&', '*', '/', '\\', '@', '=', '\u{1f}', '\u{a6}',
    '\u{ff0c}', '\u{ff1b}', '\u{3001}',
];

/// The bytes of a CSV, the first of which were read and are read again.
pub(super) struct Begun<R> {
    head: Cursor<Vec<u8>>,
    /// Why no more was read.
    failed: Option<io::Error>,
    rest: R,
}

impl<R: Read> Begun<R> {
    /// Reads the beginning of `bytes`. An error comes again where it came.
    pub(super) fn new(mut bytes: R) -> Self {
        let mut head = Vec::new();
        let failed = bytes.by_ref().take(HEAD).read_to_end(&mut head).err();
        Self {
            head: Cursor::new(head),
            failed,
            rest: bytes,
        }
    }

    /// The beginning.
    pub(super) fn head(&self) -> &[u8] {
        self.head.get_ref()
    }

    /// All bytes after the first `skipped`.
    pub(super) fn after(mut self, skipped: u64) -> Self {
        self.head.set_position(skipped);
        self
    }
}

impl<R: Read> Read for Begun<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => match self.failed.take() {
                Some(error) => Err(error),
                None => self.rest.read(buffer),
            },
            length => Ok(length),
        }
    }
}

/// How a CSV is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Bytes before the header, of a line `sep=`.
    pub(super) bytes_before: u64,
    /// Lines before the header.
    pub(super) lines_before: u64,
    /// What separates cells.
    pub(super) delimiter: u8,
    /// The byte that ends lines.
    pub(super) line_end: u8,
    /// The line `sep=`, or the header where there is none, and its number.
    first: (u64, String),
    sep: Sep,
    /// Another delimiter, by which the header names more columns.
    better: Option<char>,
}

/// What a first line `sep=` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sep {
    /// It is none.
    None,
    /// One delimiter.
    One(u8),
    /// Several characters, none, or what cannot be a delimiter.
    Unclear,
}

impl Dialect {
    /// That of a CSV that begins with `head`. A line `sep=` names the delimiter; else it is the
    /// one of `,` `;` tab by which the header has most names that are `known`, and of equals the most
    /// frequent one outside quotes.
    pub(super) fn of(head: &[u8], known: impl Fn(&str) -> bool) -> Self {
        let line_end = line_end(head);
        let first = first_line(head, line_end);
        let sep = sep(&first.text);
        let (bytes_before, lines_before, header) = match sep {
            Sep::None => (0, 0, first.text.clone()),
            Sep::One(_) | Sep::Unclear => {
                let header = first_line(&head[first.end..], line_end);
                (first.end as u64, first.number, header.text)
            }
        };
        let score = |delimiter: char| names(&header, delimiter).filter(|name| known(name)).count();
        let delimiter = match sep {
            Sep::One(delimiter) => delimiter,
            Sep::None | Sep::Unclear => {
                let worth =
                    |delimiter: &char| (score(*delimiter), names(&header, *delimiter).count());
                // Of equals, the comma: it stands first.
                let most = FOUND_OUT.into_iter().rev().max_by_key(worth);
                most.map_or(b',', |delimiter| delimiter as u8)
            }
        };
        let own = score(char::from(delimiter));
        let others = FOUND_OUT.into_iter().chain(OTHERS).rev();
        let better = others.max_by_key(|other| score(*other));
        Self {
            bytes_before,
            lines_before,
            delimiter,
            line_end,
            first: (first.number, first.text),
            sep,
            better: better.filter(|other| score(*other) > own),
        }
    }

    /// What is wrong with it, if the cells of `file` cannot be told apart by it.
    pub(super) fn problem(&self, file: &Arc<str>) -> Option<Problem> {
        let better = self.better.map(shown);
        let (what, hint) = match (self.sep, better) {
            (Sep::None | Sep::One(_), None) => return None,
            (Sep::None, Some((better, true))) => (
                format!("the cells are separated by {better}, and no line says so"),
                format!("put a line sep={better} before the header, or save the file with , or ;"),
            ),
            (Sep::None, Some((better, false))) => (
                format!("the cells are separated by {better}"),
                "save the file with , ; or tab between the cells".to_owned(),
            ),
            (Sep::One(_), Some((better, _))) => (
                format!("the cells are separated by {better}, not as the line sep= says"),
                "correct the line, or leave it out".to_owned(),
            ),
            (Sep::Unclear, _) => {
                let (delimiter, _) = shown(self.better.unwrap_or(char::from(self.delimiter)));
                (
                    "the line sep= names no delimiter".to_owned(),
                    format!(
                        "write sep= and the one character between the cells (here {delimiter}), or leave the line out"
                    ),
                )
            }
        };
        let (line, text) = self.first.clone();
        let file = Arc::clone(file);
        Some(Problem::new(Place::Line { file, line, text }, what, hint))
    }
}

/// A delimiter as it is shown, and whether a line `sep=` may name it as shown.
fn shown(delimiter: char) -> (String, bool) {
    match delimiter {
        '\t' => ("tab".to_owned(), false),
        c if c.is_ascii_graphic() => (c.to_string(), true),
        c if c.is_control() => (format!("U+{:04X}", u32::from(c)), false),
        c => (c.to_string(), false),
    }
}

/// A line of a file.
struct Line {
    /// From 1.
    number: u64,
    /// Without its end.
    text: String,
    /// Where the next one begins.
    end: usize,
}

/// The first line of `head` that is not blank. A line break inside quotes does not end it.
fn first_line(head: &[u8], line_end: u8) -> Line {
    let (mut start, mut number) = (0, 1);
    loop {
        let mut is_quoted = false;
        let length = head[start..].iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            !is_quoted && *byte == line_end
        });
        let end = length.map_or(head.len(), |length| start + length + 1);
        let line = &head[start..end];
        if end == head.len() || !line.trim_ascii().is_empty() {
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            return Line { number, text, end };
        }
        (start, number) = (end, number + 1);
    }
}

/// What `line` says if it is a line `sep=`, as spreadsheets write and read it: in any case, in quotes or
/// not, and with the delimiter repeated where it was saved with empty cells.
fn sep(line: &str) -> Sep {
    let line = line.trim_ascii_start();
    let bare = line
        .strip_prefix('"')
        .and_then(|line| line.strip_suffix('"'));
    let line = bare.unwrap_or(line).as_bytes();
    let Some((start, told)) = line.split_at_checked(4) else {
        return Sep::None;
    };
    if !start.eq_ignore_ascii_case(b"sep=") {
        return Sep::None;
    }
    let told = match told {
        [_] => told,
        _ => told.trim_ascii_end(),
    };
    match told {
        [delimiter, more @ ..]
            if more.iter().all(|byte| byte == delimiter)
                && delimiter.is_ascii()
                && !delimiter.is_ascii_alphanumeric()
                && !matches!(delimiter, b'"' | b'\0') =>
        {
            Sep::One(*delimiter)
        }
        _ => Sep::Unclear,
    }
}

/// The names of a header, separated by `delimiter` outside quotes.
fn names(header: &str, delimiter: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let names = header.split(move |c| {
        is_quoted ^= c == '"';
        !is_quoted && c == delimiter
    });
    names.map(|name| name.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> bool {
        ["workflow_id", "name", "enabled"].contains(&name)
    }

    #[test]
    fn the_delimiter_is_the_one_by_which_columns_are_known() {
        for (head, delimiter) in [
            ("workflow_id,name\n", b','),
            ("workflow_id;x_note (short, clear, plain);name\n", b';'),
            ("workflow_id\tx;y;z\n", b'\t'),
            ("\"workflow_id\";\"a,b,c\"\n", b';'),
            ("workflow_id,\"a\n;;;\",name\n", b','),
            ("workflow_id\n", b','),
            // No column is known: the most frequent one.
            ("Kennung;Titel\n", b';'),
            ("\r\n\r\nworkflow_id;name\r\n", b';'),
            ("", b','),
        ] {
            let dialect = Dialect::of(head.as_bytes(), known);
            assert_eq!(dialect.delimiter, delimiter, "{head:?}");
            assert_eq!(dialect.problem(&"t.csv".into()), None, "{head:?}");
        }
    }

    #[test]
    fn a_line_sep_is_obeyed_however_it_is_written() {
        for (line, delimiter) in [
            ("sep=;", b';'),
            ("SEP=;", b';'),
            ("Sep=|", b'|'),
            ("\"sep=;\"", b';'),
            ("sep=;;;", b';'),
            ("sep=\t", b'\t'),
            ("sep=; ", b';'),
        ] {
            let d = char::from(delimiter);
            let head = format!("{line}\r\nworkflow_id{d}name\r\n");
            let dialect = Dialect::of(head.as_bytes(), known);
            assert_eq!(dialect.delimiter, delimiter, "{line:?}");
            assert_eq!(
                (dialect.bytes_before, dialect.lines_before),
                (line.len() as u64 + 2, 1),
                "{line:?}"
            );
            assert_eq!(dialect.problem(&"t.csv".into()), None, "{line:?}");
        }
    }

    #[test]
    fn another_delimiter_that_would_name_columns_is_named() {
        for (head, what) in [
            (
                "workflow_id|name\n",
                "the cells are separated by |, and no line says so",
            ),
            (
                "workflow_id:name\n",
                "the cells are separated by :, and no line says so",
            ),
            (
                "workflow_id\u{ff0c}name\n",
                "the cells are separated by \u{ff0c}",
            ),
            (
                "workflow_id\u{1f}name\n",
                "the cells are separated by U+001F",
            ),
            (
                "sep=,\nworkflow_id;name\n",
                "the cells are separated by ;, not as the line sep= says",
            ),
            (
                "SEP=;\nworkflow_id\tname\n",
                "the cells are separated by tab, not as the line sep= says",
            ),
            (
                "sep=\nworkflow_id;name\n",
                "the line sep= names no delimiter",
            ),
            (
                "sep=ab\nworkflow_id;name\n",
                "the line sep= names no delimiter",
            ),
            (
                "sep=;,\nworkflow_id;name\n",
                "the line sep= names no delimiter",
            ),
            (
                "sep=\"\nworkflow_id;name\n",
                "the line sep= names no delimiter",
            ),
        ] {
            let dialect = Dialect::of(head.as_bytes(), known);
            let problem = dialect.problem(&"t.csv".into()).map(|problem| problem.what);
            assert_eq!(problem.as_deref(), Some(what), "{head:?}");
        }
    }
}
