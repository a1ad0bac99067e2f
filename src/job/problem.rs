//! Something that is wrong with a job: where, what, and what to do.

use std::ops::Range;
use std::sync::Arc;

/// Something that is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What happened, without the value itself: the same words are the same problem.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the job file: bytes of its text.
    Job(Range<usize>),
    /// A cell of a CSV.
    Cell {
        /// The file.
        file: Arc<str>,
        /// From 1.
        line: u64,
        /// The header's name.
        column: String,
        /// As written.
        cell: String,
    },
    /// A line of a CSV.
    Line {
        /// The file.
        file: Arc<str>,
        /// From 1.
        line: u64,
        /// The line, or as much of it as is known.
        text: String,
    },
    /// A file as a whole.
    File(Arc<str>),
    /// An argument of the command line.
    Flag(String),
}

impl Problem {
    /// `what` is wrong at `place`; `hint` says what to do.
    pub fn new(place: Place, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            place,
            what: what.into(),
            hint: hint.into(),
        }
    }
}

impl Place {
    /// The file and column that make two problems with the same words the same one.
    pub(super) fn kind(&self) -> (&str, &str) {
        match self {
            Self::Job(_) => ("", ""),
            Self::Cell { file, column, .. } => (file, column),
            Self::Line { file, .. } | Self::File(file) => (file, ""),
            Self::Flag(flag) => ("", flag),
        }
    }

    pub(super) fn line(&self) -> Option<u64> {
        match self {
            Self::Cell { line, .. } | Self::Line { line, .. } => Some(*line),
            Self::Job(_) | Self::File(_) | Self::Flag(_) => None,
        }
    }
}

/// The job file that [`Place::Job`] speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path, as given.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}
