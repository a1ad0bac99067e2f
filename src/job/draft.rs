//! A row as written, whoever wrote it.

use super::column::Column;
use super::problem::Place;

/// A row that says nothing: it goes where everything else says.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Draft for Silent {
    fn cell(&self, _: Column) -> Option<&str> {
        None
    }
    fn place(&self, _: Column) -> Place {
        self.whole()
    }
    fn whole(&self) -> Place {
        Place::Job(0..0)
    }
    fn line(&self) -> u64 {
        0
    }
}

/// One cell alone, as `--set` gives it.
#[derive(Clone, Debug)]
pub struct One<'a> {
    /// Its column.
    pub column: Column,
    /// What it says.
    pub value: &'a str,
    /// Where it stands.
    pub place: Place,
}

impl Draft for One<'_> {
    fn cell(&self, column: Column) -> Option<&str> {
        (column == self.column).then_some(self.value)
    }
    fn place(&self, _: Column) -> Place {
        self.place.clone()
    }
    fn whole(&self) -> Place {
        self.place.clone()
    }
    fn line(&self) -> u64 {
        0
    }
}

/// A row as written: cells by column, and where they stand.
pub trait Draft {
    /// The cell, if the row has one; an empty cell says nothing.
    fn cell(&self, column: Column) -> Option<&str>;
    /// Where the cell stands, for problems.
    fn place(&self, column: Column) -> Place;
    /// The cell of a column that rows are not made of, and where it stands.
    fn named(&self, _: &str) -> Option<(&str, Place)> {
        None
    }
    /// Where the row stands, for problems.
    fn whole(&self) -> Place;
    /// The line it begins on.
    fn line(&self) -> u64;
}
