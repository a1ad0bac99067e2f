//! The runs of a state folder as a table.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::outcome::Ended;
use crate::model::span;

use super::summary::Counts;

/// A run in one line.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The run's id.
    pub run_id: String,
    /// The job's name.
    pub job: String,
    /// Nothing left this machine.
    pub simulated: bool,
    /// How it stands.
    pub state: State,
    /// The counts as they are on record.
    pub counts: Option<Counts>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// The last thing on record.
    pub last_at: Option<Timestamp>,
    /// The user who started it.
    pub operator: String,
    /// Which part of its job it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum State {
    /// One of its sessions goes on or ended without an end on record.
    Open(Open),
    /// Its last session ended.
    Ended(Ended),
}

/// A run whose last session has no end on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Open {
    /// It goes on.
    Running,
    /// It was killed.
    Killed,
    /// It was killed before anything could be sent.
    NotBegun,
    /// Its record cannot be read.
    Unreadable,
    /// It waited for approval and got it: nobody has gone on with it yet.
    Approved,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open(Open::Running) => "running",
            Self::Open(Open::Killed) => "killed",
            Self::Open(Open::NotBegun) => "not begun",
            Self::Open(Open::Unreadable) => "unreadable",
            Self::Open(Open::Approved) => "approved",
            Self::Ended(ended) => ended.as_str(),
        }
    }
}

/// `runs` as a table, in their order, as of `now`.
pub fn table(runs: &[Listed], now: Timestamp) -> String {
    let head = [
        "RUN", "STATE", "DONE", "FAILED", "CONFLICT", "UNKNOWN", "AGE", "OPERATOR", "JOB",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(runs.iter().map(|run| cells(run, now)));
    let mut widths = [0; 9];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(padded, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", padded.trim_end());
    }
    text
}

fn cells(run: &Listed, now: Timestamp) -> [String; 9] {
    let counts = run.counts.as_ref().map(|counts| &counts.tally);
    let count = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let age = run
        .started_at
        .and_then(|began| now.duration_since(began).try_into().ok());
    let mut job = run.job.clone();
    if let Some(partition) = &run.partition {
        let _ = write!(job, ", part {partition}");
    }
    if run.simulated {
        job += " (simulated)";
    }
    [
        run.run_id.clone(),
        run.state.as_str().to_owned(),
        counts.map_or("-".to_owned(), |tally| {
            format!(
                "{}/{}",
                tally.succeeded + tally.unchanged,
                tally.rows - tally.skipped.min(tally.rows)
            )
        }),
        count(counts.map(|tally| tally.failed)),
        count(counts.map(|tally| tally.conflict)),
        count(counts.map(|tally| tally.unknown)),
        age.map_or("-".to_owned(), span::show),
        run.operator.clone(),
        job,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tally::Tally;

    #[test]
    fn runs_are_told_as_a_table() {
        let began: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let run = |run_id: &str, state, succeeded, failed| Listed {
            run_id: run_id.to_owned(),
            job: "triage".to_owned(),
            partition: (failed > 0).then(|| "2/3".to_owned()),
            simulated: failed == 0,
            state,
            counts: {
                let mut tally = Tally::default();
                (tally.rows, tally.skipped) = (300, 10);
                (tally.succeeded, tally.failed) = (succeeded, failed);
                tally.conflict = failed.min(2);
                Some(Counts::from(&tally))
            },
            started_at: Some(began),
            last_at: Some(began),
            operator: "ops".to_owned(),
        };
        let runs = [
            run(
                "20261124T080000Z-3f9a1c",
                State::Ended(Ended::MaxErrors),
                7,
                31,
            ),
            run("20261124T080000Z-000001", State::Open(Open::Running), 1, 0),
            Listed {
                counts: None,
                started_at: None,
                state: State::Open(Open::NotBegun),
                ..run("20261123T080000Z-000000", State::Open(Open::Killed), 0, 1)
            },
        ];
        let now = "2026-11-25T11:00:00Z".parse().unwrap();
        assert_eq!(
            table(&runs, now),
            "\
RUN                      STATE       DONE   FAILED  CONFLICT  UNKNOWN  AGE    OPERATOR  JOB
20261124T080000Z-3f9a1c  max_errors  7/290  31      2         0        1d 3h  ops       triage, part 2/3
20261124T080000Z-000001  running     1/290  0       0         0        1d 3h  ops       triage (simulated)
20261123T080000Z-000000  not begun   -      -       -         -        -      ops       triage, part 2/3
"
        );
    }
}
