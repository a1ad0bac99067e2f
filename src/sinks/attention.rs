//! Rows that need a person, grouped by what went wrong: a fold over a report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as Unknown;

use crate::model::formula::unguarded;
use crate::model::outcome::{ErrorClass, Status};
use crate::model::printable::is_printable;

/// Characters of a message that the service wrote.
const MOST_CHARACTERS: usize = 200;

/// Rows of one kind that are kept; the others are counted.
const MOST_ROWS: usize = 20;

/// Kinds that are kept apart; the others are counted together.
const MOST_KINDS: usize = 64;

/// Rows that need a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// By what went wrong, the commonest first.
    pub groups: Vec<Group>,
    /// Rows of kinds beyond those that are kept apart.
    pub others: u64,
}

/// Rows with the same kind of error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What kind.
    pub class: ErrorClass,
    /// The service's or gateway's code; empty if there was none.
    pub code: String,
    /// How many.
    pub count: u64,
    /// How many of them are unknown: they may have been carried out.
    pub unknown: u64,
    /// The first of them, in input order.
    pub rows: Vec<AttentionRow>,
}

/// A row that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionRow {
    /// Its number, from 1.
    pub number: u64,
    /// Its line.
    pub line: u64,
    /// How it ended.
    pub status: Status,
    /// Its workflow; empty if that was only named, and is not known.
    pub workflow_id: String,
    /// What its workflow is called, if anybody knows.
    pub live_name: String,
    /// What went wrong.
    pub message: String,
    /// Its stage, if rows go in stages.
    pub stage: String,
}

/// The cells that count here.
#[derive(Deserialize)]
struct Cells<'a> {
    row: u64,
    line: u64,
    workflow_id: &'a str,
    live_name: &'a str,
    status: &'a str,
    attempts: u64,
    error_class: &'a str,
    error_code: &'a str,
    error_message: &'a str,
    stage: &'a str,
}

impl AttentionRow {
    /// `row 3 (line 4) 9b9f… "Triage": its own message`, without a message that was `said` already.
    pub(super) fn text(&self, said: &str) -> String {
        let stage = match self.stage.as_str() {
            "" => String::new(),
            stage => format!(" of stage {stage:?}"),
        };
        let mut text = format!("row {} (line {}{stage})", self.number, self.line);
        if !self.workflow_id.is_empty() {
            let _ = write!(text, " {}", self.workflow_id);
        }
        if !self.live_name.is_empty() {
            let _ = write!(text, " {:?}", clipped(&self.live_name));
        }
        if self.message != said {
            let _ = write!(text, ": {}", clipped(&self.message));
        }
        text
    }
}

/// `text` in one line, and not a long one.
pub(super) fn clipped(text: &str) -> String {
    let mut characters = text.chars().map(|c| if is_printable(c) { c } else { ' ' });
    let mut clipped: String = characters.by_ref().take(MOST_CHARACTERS).collect();
    if characters.next().is_some() {
        clipped.push('…');
    }
    clipped
}

impl Attention {
    /// The rows of `report` that need a person.
    ///
    /// # Errors
    /// It cannot be read, or is no report.
    pub fn read(report: impl Read) -> Result<Self, csv::Error> {
        let mut reader = csv::Reader::from_reader(report);
        let header = reader.headers()?.clone();
        let mut record = csv::StringRecord::new();
        let mut groups: BTreeMap<(ErrorClass, String), Group> = BTreeMap::new();
        let mut others = 0;
        while reader.read_record(&mut record)? {
            let cells: Cells<'_> = record.deserialize(Some(&header))?;
            let Some((status, class)) = needs_a_person(&cells) else {
                continue;
            };
            let key = (class, unguarded(cells.error_code).to_owned());
            if groups.len() >= MOST_KINDS && !groups.contains_key(&key) {
                others += 1;
                continue;
            }
            let code = key.1.clone();
            let group = groups.entry(key).or_insert_with(|| Group {
                class,
                code,
                count: 0,
                unknown: 0,
                rows: Vec::new(),
            });
            group.count += 1;
            group.unknown += u64::from(status == Status::Unknown);
            if group.rows.len() < MOST_ROWS {
                group.rows.push(AttentionRow {
                    number: cells.row,
                    line: cells.line,
                    status,
                    workflow_id: unguarded(cells.workflow_id).to_owned(),
                    live_name: unguarded(cells.live_name).to_owned(),
                    message: unguarded(cells.error_message).to_owned(),
                    stage: unguarded(cells.stage).to_owned(),
                });
            }
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| {
            let first = group.rows.first().map_or(u64::MAX, |row| row.number);
            (u64::MAX - group.count, first)
        });
        Ok(Self { groups, others })
    }
}

/// How the row ended and what went wrong, if that is a person's business. One that was not attempted is, where it was
/// refused and not only too late.
fn needs_a_person(cells: &Cells<'_>) -> Option<(Status, ErrorClass)> {
    let status = word::<Status>(cells.status)?;
    let class = word::<ErrorClass>(cells.error_class);
    let needs = match status {
        Status::Failed | Status::Conflict | Status::Unknown => true,
        Status::NotAttempted => {
            cells.attempts > 0 || class.is_some_and(|class| class != ErrorClass::Canceled)
        }
        Status::Succeeded => class == Some(ErrorClass::Differs),
        Status::Unchanged | Status::Skipped => false,
    };
    needs.then_some((status, class.unwrap_or(ErrorClass::Canceled)))
}

/// The variant that a report calls `text`.
fn word<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    let deserializer = IntoDeserializer::<'de, Unknown>::into_deserializer(text);
    T::deserialize(deserializer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::report_column::REPORT_COLUMNS;

    /// A report whose rows have these cells, and nothing else.
    fn report(rows: &[[&str; 8]]) -> String {
        let names = [
            "row",
            "line",
            "workflow_id",
            "live_name",
            "status",
            "error_class",
            "error_code",
            "error_message",
        ];
        let mut text = REPORT_COLUMNS.join(",");
        for row in rows {
            let cells = REPORT_COLUMNS.map(|column| match column {
                "attempts" => "0",
                column => names
                    .iter()
                    .position(|name| *name == column)
                    .map_or("", |at| row[at]),
            });
            text += &format!("\n{}", cells.join(","));
        }
        text
    }

    #[test]
    fn rows_stand_by_what_went_wrong_and_the_commonest_comes_first() {
        let text = report(&[
            ["1", "2", "a", "A", "succeeded", "", "", ""],
            ["2", "3", "b", "'=B", "conflict", "conflict", "", "changed"],
            [
                "3",
                "4",
                "c",
                "C",
                "failed",
                "not_found",
                "SecMaster.20040611",
                "no such",
            ],
            [
                "4",
                "5",
                "d",
                "D",
                "failed",
                "not_found",
                "SecMaster.20040611",
                "no such",
            ],
            ["5", "6", "e", "E", "skipped", "", "", ""],
            [
                "6",
                "7",
                "f",
                "F",
                "not_attempted",
                "canceled",
                "",
                "the run ended first",
            ],
            [
                "7",
                "8",
                "g",
                "G",
                "not_attempted",
                "permission",
                "",
                "may not",
            ],
        ]);
        let attention = Attention::read(text.as_bytes()).unwrap();
        let told: Vec<_> = attention
            .groups
            .iter()
            .map(|group| {
                (
                    group.class,
                    group.count,
                    group.rows.iter().map(|row| row.number).collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (ErrorClass::NotFound, 2, vec![3, 4]),
                (ErrorClass::Conflict, 1, vec![2]),
                (ErrorClass::Permission, 1, vec![7]),
            ]
        );
        let row = &attention.groups[1].rows[0];
        assert_eq!(
            (row.line, row.live_name.as_str(), row.status),
            (3, "=B", Status::Conflict)
        );
    }

    #[test]
    fn what_is_no_report_is_an_error() {
        assert!(Attention::read("a,b\n1,2\n".as_bytes()).is_err());
    }
}
