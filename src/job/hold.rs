//! Workflows that are left alone for a while: `hold.csv`, with workflow_id, until and reason.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use csv::StringRecord;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::model::id::{Id, same_id, trim};

use super::cell::{Spoilt, is_empty_row};
use super::dialect::{Begun, Dialect};
use super::encoding::Decoded;
use super::illegible::illegible;
use super::line_ends::LineEnds;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::suggestion::{normal, suggestion};

/// The columns.
const COLUMNS: [&str; 3] = ["workflow_id", "until", "reason"];

/// How an end is written, for hints.
const HINT: &str = "write a day (2026-12-24, which is still held), an instant (2026-12-24T06:00:00+01:00), or nothing for good";

/// A workflow that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// As the list has it.
    pub workflow_id: Id,
    /// Until when, and for which reason, in words.
    pub why: String,
}

/// The workflows that are held, by [`same_id`].
pub type Held = BTreeMap<String, Hold>;

/// A list of holds, as it stands at some instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Those that hold.
    pub held: Held,
    /// Those that hold no more, in words.
    pub expired: Vec<String>,
}

/// A hold list, and the place of its lines.
struct Reading<'a> {
    file: &'a Arc<str>,
    now: Timestamp,
    zone: &'a TimeZone,
    problems: &'a mut Problems,
}

impl Holds {
    /// Reads the list `bytes`, which is called `file`, as of `now`; a day ends with the midnight of `zone`. Whatever is wrong
    /// is a problem: a workflow that somebody wanted to be held must not slip through.
    pub fn read(
        bytes: impl Read,
        file: &Arc<str>,
        now: Timestamp,
        zone: &TimeZone,
        problems: &mut Problems,
    ) -> Self {
        let mut reading = Reading {
            file,
            now,
            zone,
            problems,
        };
        let mut holds = Self::default();
        if let Err((error, delimiter)) = reading.all(bytes, &mut holds) {
            problems.push(illegible(file, &error, delimiter));
        }
        holds
    }
}

impl Reading<'_> {
    fn all(&mut self, bytes: impl Read, holds: &mut Holds) -> Result<(), (io::Error, u8)> {
        let bytes = Decoded::new(bytes, None).map_err(|error| (error, b','))?;
        let begun = Begun::new(bytes);
        let known = |name: &str| COLUMNS.iter().any(|column| normal(column) == normal(name));
        let dialect = Dialect::of(begun.head(), known);
        if let Some(problem) = dialect.problem(self.file) {
            self.problems.push(problem);
            return Ok(());
        }
        let delimiter = dialect.delimiter;
        let input = begun.after(dialect.bytes_before);
        let lines = LineEnds::new(input, dialect.lines_before, dialect.line_end);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(lines);
        let mut record = StringRecord::new();
        let mut columns: Option<[Option<usize>; 3]> = None;
        loop {
            let read = reader.read_record(&mut record);
            let there_is = read.map_err(|error| (io::Error::from(error), delimiter))?;
            if !there_is {
                break;
            }
            let start = record.position().map_or(0, csv::Position::byte);
            let line = reader.get_mut().line_of(start);
            match columns {
                None => columns = Some(self.header(&record, line, delimiter)),
                Some(columns) => self.hold(&record, columns, line, holds),
            }
        }
        if columns.is_none() {
            let place = Place::File(Arc::clone(self.file));
            self.wrong(
                place,
                "the file is empty",
                "its first line is workflow_id,until,reason",
            );
        }
        Ok(())
    }

    fn wrong(&mut self, place: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(place, what, hint));
    }

    fn cell(&self, line: u64, column: &str, cell: &str) -> Place {
        Place::Cell {
            file: Arc::clone(self.file),
            line,
            column: column.to_owned(),
            cell: cell.to_owned(),
        }
    }

    /// Which cells are workflow_id, until and reason.
    fn header(&mut self, record: &StringRecord, line: u64, delimiter: u8) -> [Option<usize>; 3] {
        let between = char::from(delimiter).to_string();
        for name in record {
            let plain = normal(name);
            let known = COLUMNS.iter().any(|column| normal(column) == plain);
            if known || plain.is_empty() || trim(name).to_lowercase().starts_with("x_") {
                continue;
            }
            let hint = match suggestion(name, COLUMNS) {
                Some(meant) => format!("did you mean {meant}?"),
                None => {
                    "columns: workflow_id, until, reason, and any that begins with x_".to_owned()
                }
            };
            self.wrong(self.cell(line, "header", name), "no such column", hint);
        }
        let columns = COLUMNS.map(|column| {
            record
                .iter()
                .position(|name| normal(name) == normal(column))
        });
        if columns[0].is_none() {
            let place = Place::Line {
                file: Arc::clone(self.file),
                line,
                text: record.iter().collect::<Vec<_>>().join(&between),
            };
            self.wrong(
                place,
                "no column is workflow_id",
                "the first line names the columns: workflow_id,until,reason",
            );
        }
        columns
    }

    /// One line of the list.
    fn hold(
        &mut self,
        record: &StringRecord,
        columns: [Option<usize>; 3],
        line: u64,
        holds: &mut Holds,
    ) {
        let [id, until, reason] =
            columns.map(|at| trim(at.and_then(|at| record.get(at)).unwrap_or_default()));
        if is_empty_row(record) {
            return;
        }
        if record.iter().any(|cell| cell.contains(['\n', '\r'])) {
            let place = self.cell(line, COLUMNS[2], reason);
            self.wrong(
                place,
                "a cell of a hold has a line break",
                "probably a quote is opened here and never closed",
            );
            return;
        }
        for (column, cell) in COLUMNS.into_iter().zip([id, until, reason]) {
            if let Some(spoilt) = Spoilt::find(cell) {
                let place = self.cell(line, column, cell);
                self.wrong(place, spoilt.what(), spoilt.hint());
                return;
            }
        }
        let id = match Id::parse(id) {
            Ok(id) => id,
            Err(fault) => {
                let place = self.cell(line, COLUMNS[0], id);
                self.wrong(place, fault.to_string(), "give the id of a workflow");
                return;
            }
        };
        let end = match self.end(until) {
            Ok(end) => end,
            Err(()) => {
                let place = self.cell(line, COLUMNS[1], until);
                self.wrong(place, "not a day or an instant", HINT);
                return;
            }
        };
        let reason = match reason {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        if end.is_some_and(|end| end <= self.now) {
            holds.expired.push(format!(
                "{}:{line}: {id} was held until {until}, and is held no more{reason}",
                self.file
            ));
            return;
        }
        let until = match until {
            "" => String::new(),
            until => format!(" until {until}"),
        };
        let why = format!("held{until}{reason}");
        let hold = Hold {
            workflow_id: id,
            why,
        };
        holds.held.insert(same_id(&hold.workflow_id), hold);
    }

    /// When a hold that is written so ends.
    fn end(&self, until: &str) -> Result<Option<Timestamp>, ()> {
        if until.is_empty() {
            return Ok(None);
        }
        if let Ok(at) = until.parse::<Timestamp>() {
            return Ok(Some(at));
        }
        let day: Date = match until.len() {
            10 => until.parse().map_err(|_| ())?,
            _ => return Err(()),
        };
        let next = day.tomorrow().map_err(|_| ())?;
        let midnight = next.to_zoned_datetime(self.zone.clone()).map_err(|_| ())?;
        Ok(Some(midnight.timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Holds, Vec<String>) {
        let mut problems = Problems::default();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // Half past ten in the evening of the 24th, in Berlin.
        let now = "2026-12-24T21:30:00Z".parse().unwrap();
        let holds = Holds::read(
            text.as_bytes(),
            &"hold.csv".into(),
            now,
            &zone,
            &mut problems,
        );
        let told = problems.render(None, false);
        let told = told.lines().filter_map(|line| line.strip_prefix("error: "));
        (holds, told.map(str::to_owned).collect())
    }

    #[test]
    fn a_day_is_held_to_its_end_and_an_instant_to_itself() {
        let (holds, problems) = read(
            "workflow_id,until,reason\nw1,2026-12-24,freeze\nw2,2026-12-23,over\nw3,,\nw4,2026-12-24T22:30:00+01:00,\n\
             w5,2026-12-24T22:31:00+01:00,soon\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        let held: Vec<_> = holds
            .held
            .iter()
            .map(|(id, hold)| format!("{id} {}", hold.why))
            .collect();
        assert_eq!(
            held,
            [
                "w1 held until 2026-12-24: freeze",
                "w3 held",
                "w5 held until 2026-12-24T22:31:00+01:00: soon",
            ]
        );
        assert_eq!(
            holds.expired,
            [
                "hold.csv:3: w2 was held until 2026-12-23, and is held no more: over",
                "hold.csv:5: w4 was held until 2026-12-24T22:30:00+01:00, and is held no more",
            ]
        );
    }

    #[test]
    fn it_is_read_as_a_spreadsheet_writes_it_and_however_an_id_is_spelt() {
        let (holds, problems) = read(
            "\u{feff}Workflow ID;Reason;Until;x_owner\r\n9B9F1B1E-5A52-4D1B-8A3B-6F6F2C9F4C11;\"a; b\";2027-01-01;me\r\n;;;\r\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            holds.held.into_iter().collect::<Vec<_>>(),
            [(
                "9b9f1b1e5a524d1b8a3b6f6f2c9f4c11".to_owned(),
                Hold {
                    workflow_id: Id::parse("9B9F1B1E-5A52-4D1B-8A3B-6F6F2C9F4C11").unwrap(),
                    why: "held until 2027-01-01: a; b".to_owned(),
                }
            )]
        );
    }

    #[test]
    fn whatever_is_wrong_with_a_hold_is_a_problem() {
        for (text, what) in [
            ("", "the file is empty"),
            ("id,until\nw1,\n", "no such column"),
            ("until,reason\n2026-12-24,x\n", "no column is workflow_id"),
            ("workflow_id,untill\nw1,\n", "no such column"),
            (
                "workflow_id,until\nw1,24.12.2026\n",
                "not a day or an instant",
            ),
            (
                "workflow_id,until\nw1,2026-02-30\n",
                "not a day or an instant",
            ),
            (
                "workflow_id,until\nw1,20261224T1\n",
                "not a day or an instant",
            ),
            ("workflow_id,until\n,2026-12-24\n", "the id is empty"),
            (
                "workflow_id,until\n#NV,2026-12-24\n",
                Spoilt::SheetError.what(),
            ),
            ("workflow_id,until\nw1,#REF!\n", Spoilt::SheetError.what()),
            (
                "workflow_id,until,reason\nw1,2026-12-24,\"open\nw2,,\n",
                "a cell of a hold has a line break",
            ),
        ] {
            let (_, problems) = read(text);
            assert_eq!(problems.first().map(String::as_str), Some(what), "{text}");
        }
    }
}
