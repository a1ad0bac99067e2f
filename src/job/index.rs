//! Where the rows of a job stand, lane by lane, so that lanes can be served independently.

use std::collections::VecDeque;

use crate::model::row::Row;
use crate::model::target::LaneId;

/// Where one row stands. Sixteen bytes: a job may have millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// In the table, in bytes; nothing for rows of the job file.
    pub offset: u64,
    /// The row's number.
    pub number: u32,
    /// Its line.
    pub line: u32,
}

/// Where the rows stand that are taken up, by lane, each in input order.
#[derive(Clone, Debug, Default)]
pub struct Index {
    lanes: Vec<VecDeque<Entry>>,
}

/// More rows than an index can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {} rows", u32::MAX)]
pub struct TooMany;

impl Index {
    /// Adds `row`, which stands at `offset` in the table.
    ///
    /// # Errors
    /// There are too many.
    pub fn push(&mut self, row: &Row, offset: u64) -> Result<(), TooMany> {
        let entry = Entry {
            offset,
            number: u32::try_from(row.number).map_err(|_| TooMany)?,
            line: u32::try_from(row.line).map_err(|_| TooMany)?,
        };
        let lane = row.lane.0;
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, VecDeque::new);
        }
        self.lanes[lane].push_back(entry);
        Ok(())
    }

    /// How many rows there are.
    pub fn len(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.len() as u64).sum()
    }

    /// Those of its rows that `choose` chooses by their number.
    pub fn chosen(&self, choose: impl Fn(u64) -> bool) -> Self {
        let lanes = self.lanes.iter().map(|lane| {
            let chosen = lane.iter().filter(|entry| choose(entry.number.into()));
            chosen.copied().collect()
        });
        Self {
            lanes: lanes.collect(),
        }
    }

    /// Whether no row is left in it.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// The next row that leaves by `lane`.
    pub fn next(&mut self, lane: LaneId) -> Option<Entry> {
        self.lanes.get_mut(lane.0)?.pop_front()
    }
}
