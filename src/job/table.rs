//! A CSV as spreadsheets write it: its dialect, its header, its rows.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use csv::StringRecord;
use serde::{Deserialize, Serialize};

use crate::model::id::trim;

use super::column::{Column, Meaning, meaning};
use super::encoding::{Malformed, readings};
use super::problem::{Place, Problem, Problems};
use super::wish::Draft;

/// Stands after the input as a record of its own. If it does not come back alone, the last quote
/// of the input is open, which the CSV reader itself does not tell.
const SENTINEL: &str = "\0";
/// The longest record. Longer is an open quote in a large file.
const LONGEST_RECORD: u64 = 16 << 20;

/// What is said about a table outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Header names that stand for columns by order of the user.
    pub columns: Vec<(String, String)>,
    /// Whether columns that are not known are ignored.
    pub ignore_others: bool,
}

/// A table that is being read.
pub struct Table<R> {
    reader: csv::Reader<LineEnds<Input<R>>>,
    file: Arc<str>,
    headers: Vec<String>,
    slots: Vec<Slot>,
    record: StringRecord,
    line: u64,
    header_line: u64,
    delimiter: u8,
    ended: bool,
}

type Input<R> = io::Chain<io::Chain<Cursor<Vec<u8>>, BufReader<R>>, Cursor<Vec<u8>>>;

/// What a column of the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Column(Column),
    Ignored,
    /// Without a name: may stand there as long as it is empty.
    Nameless,
}

impl<R: Read> Table<R> {
    /// Reads the header of `bytes`, which are UTF-8. `None`, and its problems, if there is none
    /// that rows could be read by.
    pub fn open(
        bytes: R,
        file: &Arc<str>,
        options: &Options,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut bytes = BufReader::new(bytes);
        let mut lines_before = 0;
        let (head, delimiter) = match dialect(&mut bytes, &mut lines_before) {
            Ok(found) => found,
            Err(error) => {
                problems.push(unreadable(file, &error, b','));
                return None;
            }
        };
        let input = Cursor::new(head)
            .chain(bytes)
            .chain(Cursor::new(format!("\n{SENTINEL}\n").into_bytes()));
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(LineEnds::new(input, lines_before));
        let mut table = Self {
            reader,
            file: Arc::clone(file),
            headers: Vec::new(),
            slots: Vec::new(),
            record: StringRecord::new(),
            line: 0,
            header_line: 0,
            delimiter,
            ended: false,
        };
        let before = problems.count();
        if !table.read(problems) {
            if problems.count() == before {
                problems.push(Problem::new(
                    Place::File(Arc::clone(file)),
                    "the file is empty",
                    "its first line names the columns: workflow_id and at least one to change",
                ));
            }
            return None;
        }
        table.read_header(options, problems).then_some(table)
    }

    fn read_header(&mut self, options: &Options, problems: &mut Problems) -> bool {
        self.headers = self
            .record
            .iter()
            .map(|name| trim(name).to_owned())
            .collect();
        self.header_line = self.line;
        let before = problems.count();
        let mut slots: Vec<Slot> = Vec::new();
        for name in &self.headers {
            let place = Place::Cell {
                file: Arc::clone(&self.file),
                line: self.line,
                column: "header".to_owned(),
                cell: name.clone(),
            };
            let slot = slot(name, place.clone(), options, problems);
            if let Slot::Column(column) = slot
                && slots.contains(&slot)
            {
                problems.push(Problem::new(
                    place,
                    format!("two columns are {}", column.as_str()),
                    "leave one of them out",
                ));
            }
            slots.push(slot);
        }
        if !slots.contains(&Slot::Column(Column::WorkflowId)) {
            problems.push(Problem::new(
                self.header_place(),
                "no column is workflow_id",
                "the first line names the columns; map another name with --column 'NAME=workflow_id'",
            ));
        }
        for (name, _) in &options.columns {
            if !self.headers.iter().any(|header| same(header, name)) {
                problems.push(Problem::new(
                    self.header_place(),
                    format!("there is no column {name:?} to map"),
                    "the names of --column and [rows.columns] must stand in the header",
                ));
            }
        }
        self.slots = slots;
        problems.count() == before
    }

    /// Whether any column says what to set or to expect.
    pub fn has_wishes(&self) -> bool {
        self.slots.iter().any(|slot| match slot {
            Slot::Column(Column::Wish(_) | Column::Expect(_) | Column::ExpectUpdateTime) => true,
            Slot::Column(
                Column::WorkflowId
                | Column::Profile
                | Column::Region
                | Column::ProjectId
                | Column::WorkspaceId,
            )
            | Slot::Ignored
            | Slot::Nameless => false,
        })
    }

    /// The names of the columns, in order.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Where the header stands.
    pub fn header_place(&self) -> Place {
        Place::Line {
            file: Arc::clone(&self.file),
            line: self.header_line,
            text: self.headers.join(","),
        }
    }

    /// Goes on to the next row that can be read; false at the end. Rows that cannot be read are
    /// problems.
    pub fn advance(&mut self, problems: &mut Problems) -> bool {
        while self.read(problems) {
            if self.record.iter().all(str::is_empty) {
                // What is left of a row that was cleared in the spreadsheet.
                continue;
            }
            if self.fits(problems) {
                return true;
            }
        }
        false
    }

    /// Whether the record has the header's shape.
    fn fits(&self, problems: &mut Problems) -> bool {
        let (cells, columns) = (self.record.len(), self.slots.len());
        let spare = self.record.iter().skip(columns);
        let nameless = self
            .record
            .iter()
            .zip(&self.slots)
            .any(|(cell, slot)| *slot == Slot::Nameless && !trim(cell).is_empty());
        if cells < columns || spare.clone().any(|cell| !trim(cell).is_empty()) {
            problems.push(Problem::new(
                self.whole(),
                "the row has not as many cells as the header",
                format!(
                    "cells: {cells}, columns: {columns}; a text that holds the delimiter or a line break must stand in quotes"
                ),
            ));
            return false;
        }
        if nameless {
            problems.push(Problem::new(
                self.whole(),
                "a cell stands in a column without a name",
                "name the column in the first line, or begin its name with x_ to have it ignored",
            ));
            return false;
        }
        true
    }

    /// Reads the next record without NUL. False at the end, which may be a problem.
    fn read(&mut self, problems: &mut Problems) -> bool {
        let mut there_is = self.pull(problems);
        while there_is {
            if !self.record.iter().any(|cell| cell.contains(SENTINEL)) {
                return true;
            }
            if self.record.len() == 1 && self.record.get(0) == Some(SENTINEL) {
                // The sentinel, unless something follows it.
                let place = self.whole();
                there_is = self.pull(problems);
                if there_is {
                    problems.push(nul(place));
                }
                continue;
            }
            self.tell_nul(problems);
            there_is = self.pull(problems);
        }
        false
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other kinds are of no use to people"
    )]
    fn pull(&mut self, problems: &mut Problems) -> bool {
        let problem = match self.reader.read_record(&mut self.record) {
            _ if self.ended => return false,
            Ok(true) => {
                let start = self.record.position().map_or(0, csv::Position::byte);
                self.line = self.reader.get_mut().line_of(start);
                return true;
            }
            Ok(false) => None,
            Err(error) => Some(match error.kind() {
                csv::ErrorKind::Io(io) => unreadable(&self.file, io, self.delimiter),
                _ => {
                    let what = format!("the file cannot be read: {error}");
                    Problem::new(Place::File(Arc::clone(&self.file)), what, "")
                }
            }),
        };
        self.ended = true;
        problem
            .into_iter()
            .for_each(|problem| problems.push(problem));
        false
    }

    /// A NUL in a record: of the input's own, or the sentinel inside an open quote.
    fn tell_nul(&mut self, problems: &mut Problems) {
        let last = self.record.iter().next_back().unwrap_or_default();
        match last.strip_suffix(&format!("\n{SENTINEL}\n")) {
            Some(open) => {
                self.ended = true;
                let first = open.lines().next().unwrap_or_default().to_owned();
                problems.push(Problem::new(
                    Place::Line {
                        file: Arc::clone(&self.file),
                        line: self.line,
                        text: format!("\"{first}"),
                    },
                    "a quote is opened and never closed",
                    "close it, or double a quote that belongs to the text: \"\"",
                ));
            }
            None => problems.push(nul(self.whole())),
        }
    }
}

impl<R: Read> Draft for Table<R> {
    fn cell(&self, column: Column) -> Option<&str> {
        let index = self
            .slots
            .iter()
            .position(|slot| *slot == Slot::Column(column))?;
        self.record.get(index)
    }

    fn place(&self, column: Column) -> Place {
        let index = self
            .slots
            .iter()
            .position(|slot| *slot == Slot::Column(column));
        match index.and_then(|index| Some((&self.headers[index], self.record.get(index)?))) {
            Some((header, cell)) => Place::Cell {
                file: Arc::clone(&self.file),
                line: self.line,
                column: header.clone(),
                cell: cell.to_owned(),
            },
            None => self.whole(),
        }
    }

    fn whole(&self) -> Place {
        Place::Line {
            file: Arc::clone(&self.file),
            line: self.line,
            text: self.record.iter().collect::<Vec<_>>().join(","),
        }
    }

    fn line(&self) -> u64 {
        self.line
    }
}

fn nul(place: Place) -> Problem {
    Problem::new(
        place,
        "the file holds a NUL character",
        "if it is UTF-16 without a byte order mark, say --encoding utf-16le",
    )
}

/// What the header `name` is, with its problem if it is nothing.
fn slot(name: &str, place: Place, options: &Options, problems: &mut Problems) -> Slot {
    let mapped = options
        .columns
        .iter()
        .find(|(header, _)| same(header, name));
    if let Some((_, column)) = mapped {
        return match Column::from_header(column) {
            Some(column) => Slot::Column(column),
            // Told where the mapping is written.
            None => Slot::Ignored,
        };
    }
    if name.is_empty() {
        return Slot::Nameless;
    }
    match meaning(name) {
        Meaning::Column(column) => Slot::Column(column),
        Meaning::Ignored => Slot::Ignored,
        Meaning::Unknown if options.ignore_others => Slot::Ignored,
        Meaning::Unknown => {
            let hint = "leave it out, begin its name with x_ to have it ignored, or set other_columns = \"ignore\" in [rows]";
            problems.push(Problem::new(place, "no such column", hint));
            Slot::Ignored
        }
        Meaning::NearMiss(column) => {
            let hint =
                format!("did you mean {column}? (begin the name with x_ to have it ignored)");
            problems.push(Problem::new(place, "no such column", hint));
            Slot::Ignored
        }
    }
}

fn same(header: &str, name: &str) -> bool {
    trim(header).to_lowercase() == trim(name).to_lowercase()
}

/// The lines up to the header's first, and the delimiter: told by a line `sep=`, else the one of
/// `,` `;` tab that the header has most of outside quotes.
fn dialect(bytes: &mut impl BufRead, lines_before: &mut u64) -> io::Result<(Vec<u8>, u8)> {
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
    let line = head.trim_ascii();
    if let Some(told) = line.strip_prefix(b"sep=")
        && let [delimiter] = told
    {
        *lines_before = head.iter().filter(|byte| **byte == b'\n').count() as u64;
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

/// The problem of a file whose bytes cannot be read on.
fn unreadable(file: &Arc<str>, error: &io::Error, delimiter: u8) -> Problem {
    let inner = error.get_ref();
    if let Some(malformed) = inner.and_then(|inner| inner.downcast_ref::<Malformed>()) {
        return wrong_encoding(file, malformed, delimiter);
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

/// A reader that remembers where lines end, to tell on which line a record begins: the CSV
/// reader's own count is one short in files with CRLF.
struct LineEnds<R> {
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
struct TooLong {
    line: u64,
}

impl<R> LineEnds<R> {
    fn new(bytes: R, lines_before: u64) -> Self {
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
    fn line_of(&mut self, offset: u64) -> u64 {
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
        for (at, byte) in (self.offset..).zip(&buffer[..length]) {
            if matches!(byte, b'\r' | b'\n') {
                self.ends.push_back((at, *byte == b'\n'));
            }
        }
        self.offset += length as u64;
        Ok(length)
    }
}
