//! Where the rows of a job stand, lane by lane, so that lanes can be served independently.

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
    lanes: Vec<std::vec::IntoIter<Entry>>,
}

/// More rows than an index can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {} rows", u32::MAX)]
pub struct TooMany;

impl Index {
    /// The index of `rows`, each with its offset in the table.
    ///
    /// # Errors
    /// The first error of `rows`, or there are too many.
    pub fn of<E: From<TooMany>>(
        rows: impl IntoIterator<Item = Result<(Row, u64), E>>,
    ) -> Result<Self, E> {
        let mut lanes: Vec<Vec<Entry>> = Vec::new();
        for row in rows {
            let (row, offset) = row?;
            let entry = Entry {
                offset,
                number: u32::try_from(row.number).map_err(|_| TooMany)?,
                line: u32::try_from(row.line).map_err(|_| TooMany)?,
            };
            let lane = row.lane.0;
            if lanes.len() <= lane {
                lanes.resize_with(lane + 1, Vec::new);
            }
            lanes[lane].push(entry);
        }
        Ok(Self {
            lanes: lanes.into_iter().map(Vec::into_iter).collect(),
        })
    }

    /// The next row that leaves by `lane`.
    pub fn next(&mut self, lane: LaneId) -> Option<Entry> {
        self.lanes.get_mut(lane.0)?.next()
    }
}
