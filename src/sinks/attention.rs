//! Rows that need a person, grouped by what went wrong: a fold over the rows of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::id::Id;
use crate::model::outcome::{ErrorClass, Status};
use crate::model::printable::is_printable;

use super::report::EndedRow;

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

/// Rows that need a person, as rows are shown one after the other.
#[derive(Debug, Default)]
pub struct Gathering {
    groups: BTreeMap<(ErrorClass, String), Group>,
    others: u64,
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

impl Gathering {
    /// Takes `ended` into account.
    pub fn see(&mut self, ended: &EndedRow<'_>) {
        let Some(class) = needs_a_person(ended) else {
            return;
        };
        let (row, outcome) = (&ended.row, &ended.outcome);
        let failure = outcome.failure.as_ref();
        let code = failure.and_then(|failure| failure.code.clone());
        let key = (class, code.unwrap_or_default());
        if self.groups.len() >= MOST_KINDS && !self.groups.contains_key(&key) {
            self.others += 1;
            return;
        }
        let code = key.1.clone();
        let group = self.groups.entry(key).or_insert_with(|| Group {
            class,
            code,
            count: 0,
            unknown: 0,
            rows: Vec::new(),
        });
        group.count += 1;
        group.unknown += u64::from(outcome.status == Status::Unknown);
        if group.rows.len() < MOST_ROWS {
            group.rows.push(AttentionRow {
                number: row.number,
                line: row.line,
                status: outcome.status,
                workflow_id: ended.workflow_id().map(Id::to_string).unwrap_or_default(),
                live_name: outcome.live_name.clone().unwrap_or_default(),
                message: ended.message().to_owned(),
                stage: ended.stage.unwrap_or_default().to_owned(),
            });
        }
    }

    /// All of them.
    pub fn finish(self) -> Attention {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        groups.sort_by_key(|group| {
            let first = group.rows.first().map_or(u64::MAX, |row| row.number);
            (u64::MAX - group.count, first)
        });
        Attention {
            groups,
            others: self.others,
        }
    }
}

/// What went wrong with the row, if that is a person's business. One that was not attempted is, where it was refused and not only
/// too late.
fn needs_a_person(ended: &EndedRow<'_>) -> Option<ErrorClass> {
    let class = ended.error_class();
    let differs = ended.outcome.status == Status::Succeeded && class == Some(ErrorClass::Differs);
    (ended.outcome.is_wrong() || differs).then_some(class.unwrap_or(ErrorClass::Canceled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Failure, Outcome};
    use crate::sinks::report::tests_support::ended_row;

    #[test]
    fn rows_stand_by_what_went_wrong_and_the_commonest_comes_first() {
        let none_such = Some((ErrorClass::NotFound, Some("SecMaster.20040611"), "no such"));
        let mut gathering = Gathering::default();
        for (number, name, status, error) in [
            (1, "A", Status::Succeeded, None),
            (
                2,
                "=B",
                Status::Conflict,
                Some((ErrorClass::Conflict, None, "changed")),
            ),
            (3, "C", Status::Failed, none_such),
            (4, "D", Status::Failed, none_such),
            (5, "E", Status::Skipped, None),
            (
                6,
                "F",
                Status::NotAttempted,
                Some((ErrorClass::Canceled, None, "ended first")),
            ),
            (
                7,
                "G",
                Status::NotAttempted,
                Some((ErrorClass::Permission, None, "may not")),
            ),
        ] {
            gathering.see(&ended_row(
                number,
                Outcome {
                    live_name: Some(name.to_owned()),
                    failure: error.map(|(class, code, message)| Failure {
                        code: code.map(str::to_owned),
                        ..Failure::new(class, message)
                    }),
                    ..Outcome::without_requests(status)
                },
            ));
        }
        let attention = gathering.finish();
        let told: Vec<_> = attention
            .groups
            .iter()
            .map(|group| {
                let rows = group.rows.iter().map(|row| row.number);
                (group.class, group.count, rows.collect::<Vec<_>>())
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
}
