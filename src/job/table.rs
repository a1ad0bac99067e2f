//! A CSV as spreadsheets write it: its dialect, its header, its rows.

use std::io::{self, Cursor, Read};
use std::str::FromStr;
use std::sync::Arc;

use csv::StringRecord;

use crate::model::id::trim;

use super::cell::is_empty_row;
use super::column::{Column, Meaning, meaning, synonym};
use super::dialect::{Begun, Dialect};
use super::draft::Draft;
use super::illegible::illegible;
use super::line_ends::LineEnds;
use super::problem::{Place, Problem};
use super::problems::Problems;

/// Stands after the input as a record of its own. If it does not come back alone, the last quote
/// of the input is open, which the CSV reader itself does not tell.
const SENTINEL: char = '\0';

/// Columns of a file that a hint names, and characters of each.
const MOST_NAMED: usize = 20;
const LONGEST_NAME: usize = 40;

/// What becomes of columns of a CSV that are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherColumns {
    /// They are a problem: one of them may be a known column, mistyped.
    #[default]
    Refuse,
    /// They are ignored, unless they are written nearly like one that is known.
    Ignore,
}

impl OtherColumns {
    /// As they are written.
    pub const NAMES: [&'static str; 2] = ["refuse", "ignore"];
}

impl FromStr for OtherColumns {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "ignore" => Ok(Self::Ignore),
            _ => Err(format!("not a way to treat other columns: {text:?}")),
        }
    }
}

/// What is said about a table outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Header names that stand for columns by order of the user.
    pub columns: Vec<(String, String)>,
    /// What becomes of columns that are not known.
    pub other_columns: OtherColumns,
}

/// A table that is being read.
pub struct Table<R> {
    reader: csv::Reader<LineEnds<Input<R>>>,
    file: Arc<str>,
    headers: Vec<String>,
    slots: Vec<Slot>,
    has_nameless: bool,
    record: StringRecord,
    line: u64,
    header_line: u64,
    delimiter: u8,
    ended: bool,
    has_rows: bool,
}

type Input<R> = io::Chain<Begun<R>, Cursor<Vec<u8>>>;

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
        let begun = Begun::new(bytes);
        if let Some((what, hint)) = not_a_csv(begun.head()) {
            let place = Place::File(Arc::clone(file));
            problems.push(Problem::new(place, what, hint));
            return None;
        }
        let is_mapped = |name: &str| options.columns.iter().any(|(header, _)| same(header, name));
        let known = |name: &str| match meaning(name) {
            Meaning::Column(_) | Meaning::Synonym(_) => true,
            Meaning::Ignored | Meaning::NearMiss(_) | Meaning::Unknown => is_mapped(name),
        };
        let dialect = Dialect::of(begun.head(), known);
        if let Some(problem) = dialect.problem(file) {
            problems.push(problem);
            return None;
        }
        let sentinel = Cursor::new(format!("\n{SENTINEL}\n").into_bytes());
        let input = begun.after(dialect.bytes_before).chain(sentinel);
        let reader = csv::ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(LineEnds::new(input, dialect.lines_before, dialect.line_end));
        let mut table = Self {
            reader,
            file: Arc::clone(file),
            headers: Vec::new(),
            slots: Vec::new(),
            has_nameless: false,
            record: StringRecord::new(),
            line: 0,
            header_line: 0,
            delimiter: dialect.delimiter,
            ended: false,
            has_rows: false,
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
        let known = |name: &String| match meaning(name) {
            Meaning::Column(_) | Meaning::Ignored | Meaning::NearMiss(_) | Meaning::Synonym(_) => {
                true
            }
            Meaning::Unknown => options.columns.iter().any(|(header, _)| same(header, name)),
        };
        if !self.headers.iter().any(known) {
            problems.push(Problem::new(
                self.header_place(),
                "the first line names no column",
                format!("it must name the columns (workflow_id or workflow_name, name, enabled ...); {}", self.named()),
            ));
            return false;
        }
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
        let names_workflows = [Column::WorkflowId, Column::WorkflowName]
            .into_iter()
            .any(|column| slots.contains(&Slot::Column(column)));
        if !names_workflows {
            problems.push(Problem::new(
                self.header_place(),
                "no column says which workflow",
                format!(
                    "each row needs workflow_id or workflow_name; map another name with --column '{}'; {}",
                    self.mapping(),
                    self.named()
                ),
            ));
        }
        for (name, _) in &options.columns {
            if !self.headers.iter().any(|header| same(header, name)) {
                problems.push(Problem::new(
                    self.header_place(),
                    format!("there is no column {name:?} to map"),
                    format!(
                        "the names of --column and [rows.columns] must stand in the header; {}",
                        self.named()
                    ),
                ));
            }
        }
        self.has_nameless = slots.contains(&Slot::Nameless);
        self.slots = slots;
        problems.count() == before
    }

    /// Whether any column says what to set or to expect.
    pub fn has_wishes(&self) -> bool {
        self.slots.iter().any(|slot| match slot {
            Slot::Column(Column::Wish(_) | Column::Expect(_) | Column::ExpectUpdateTime) => true,
            Slot::Column(
                Column::WorkflowId
                | Column::WorkflowName
                | Column::Profile
                | Column::Region
                | Column::ProjectId
                | Column::WorkspaceId
                | Column::Workspace
                | Column::Wave,
            )
            | Slot::Ignored
            | Slot::Nameless => false,
        })
    }

    /// The problem of a table in which no column says what to change; `otherwise` is another way to say it.
    pub fn nothing_to_change(&self, otherwise: &str) -> Problem {
        let ignored = self.headers.iter().zip(&self.slots);
        let meant = ignored.filter(|(_, slot)| **slot == Slot::Ignored);
        let mut meant = meant.filter_map(|(name, _)| Some((name, synonym(name)?)));
        let hint = match meant.next() {
            Some((name, column)) => format!(
                "the column {name} is ignored: call it {column} if that is meant (--column '{name}={column}'), or {otherwise}"
            ),
            None => format!(
                "add a column such as enabled, or {otherwise}; {}",
                self.named()
            ),
        };
        Problem::new(self.header_place(), "no column says what to change", hint)
    }

    /// The columns of the file, for hints.
    fn named(&self) -> String {
        let names = self.headers.iter().filter(|name| !name.is_empty());
        let more = names.clone().nth(MOST_NAMED).is_some();
        let mut shown: Vec<_> = names.take(MOST_NAMED).map(|name| shortened(name)).collect();
        if more {
            shown.push("...".to_owned());
        }
        format!("the file's columns: {}", shown.join(", "))
    }

    /// How a column of the file that seems to say which workflow is mapped.
    fn mapping(&self) -> String {
        let ways = [Column::WorkflowId, Column::WorkflowName].map(Column::as_str);
        let mut meant = self.headers.iter().filter_map(|name| match meaning(name) {
            Meaning::NearMiss(column) | Meaning::Synonym(column) => Some((name, column)),
            Meaning::Column(_) | Meaning::Ignored | Meaning::Unknown => None,
        });
        match meant.find(|(_, column)| ways.contains(column)) {
            Some((name, column)) => format!("{name}={column}"),
            None => "Name=workflow_name".to_owned(),
        }
    }

    /// Where the header stands.
    pub fn header_place(&self) -> Place {
        Place::Line {
            file: Arc::clone(&self.file),
            line: self.header_line,
            text: self.headers.join(&self.between()),
        }
    }

    /// Goes on to the next row that can be read; false at the end. Rows that cannot be read are
    /// problems.
    pub fn advance(&mut self, problems: &mut Problems) -> bool {
        while self.read(problems) {
            if is_empty_row(&self.record) {
                continue;
            }
            self.has_rows = true;
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
        let nameless = self.has_nameless
            && self
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
            if !self.record.as_slice().contains(SENTINEL) {
                return true;
            }
            if self.record.len() == 1 && self.record.as_slice().len() == SENTINEL.len_utf8() {
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
                csv::ErrorKind::Io(io) => illegible(&self.file, io, self.delimiter),
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
                let first = open.split(['\r', '\n']).next().unwrap_or_default();
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

impl<R> Table<R> {
    /// Whether a row has been read after the header, whatever is wrong with it.
    pub fn has_rows(&self) -> bool {
        self.has_rows
    }

    /// What stands between cells.
    fn between(&self) -> String {
        char::from(self.delimiter).to_string()
    }

    /// The names of the columns, those that rows are made of by their own.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().zip(&self.slots);
        named.map(|(header, slot)| match slot {
            Slot::Column(column) => column.as_str(),
            Slot::Ignored | Slot::Nameless => header,
        })
    }

    /// The cells of the row that was read last, by the names of their columns.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns().zip(self.record.iter())
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

    fn named(&self, name: &str) -> Option<(&str, Place)> {
        let mut cells = self.headers.iter().zip(&self.slots).zip(&self.record);
        let ((header, _), cell) =
            cells.find(|((header, slot), _)| **slot == Slot::Ignored && *header == name)?;
        let place = Place::Cell {
            file: Arc::clone(&self.file),
            line: self.line,
            column: header.clone(),
            cell: cell.to_owned(),
        };
        Some((cell, place))
    }

    fn whole(&self) -> Place {
        Place::Line {
            file: Arc::clone(&self.file),
            line: self.line,
            text: self.record.iter().collect::<Vec<_>>().join(&self.between()),
        }
    }

    fn line(&self) -> u64 {
        self.line
    }
}

/// What a file is whose beginning is that of something else.
fn not_a_csv(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if head.starts_with(b"PK\x03\x04") {
        Some((
            "this is a workbook, not a CSV",
            "save it as CSV UTF-8 in the spreadsheet",
        ))
    } else if head.trim_ascii_start().starts_with(b"<") {
        Some(("this is a web page, not a CSV", "download the file itself"))
    } else {
        None
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
        Meaning::Unknown | Meaning::Synonym(_) if options.other_columns == OtherColumns::Ignore => {
            Slot::Ignored
        }
        Meaning::Unknown => {
            let hint = "leave it out, begin its name with x_ to have it ignored, or say --other-columns ignore";
            problems.push(Problem::new(place, "no such column", hint));
            Slot::Ignored
        }
        Meaning::NearMiss(column) | Meaning::Synonym(column) => {
            let hint =
                format!("did you mean {column}? (begin the name with x_ to have it ignored)");
            problems.push(Problem::new(place, "no such column", hint));
            Slot::Ignored
        }
    }
}

/// A column's name, not too long.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

fn same(header: &str, name: &str) -> bool {
    trim(header).to_lowercase() == trim(name).to_lowercase()
}
