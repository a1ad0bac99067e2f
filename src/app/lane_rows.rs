//! The rows of a job, by the lanes that they leave by.

use crate::engine::ports::RowsError;
use crate::job::index::{Index, TooMany};
use crate::model::row::Row;
use crate::model::target::LaneId;

use super::resolved_job::ResolvedJob;
use super::rows_file::{Rows, RowsByOffset};

/// The rows of a job, each lane's in input order.
pub(super) enum LaneRows {
    /// All that are taken up, by the only lane there is.
    InOrder(Rows),
    /// Those that an index names.
    ByIndex(RowsByOffset, Index),
}

impl From<TooMany> for RowsError {
    fn from(error: TooMany) -> Self {
        Self(error.into())
    }
}

impl LaneRows {
    /// The rows of `resolved` that `index` names.
    pub(super) fn over(index: Index, resolved: &ResolvedJob) -> Result<Self, RowsError> {
        Ok(Self::ByIndex(resolved.rows.by_offset()?, index))
    }

    /// The rows of `resolved` that are taken up.
    pub(super) fn all(resolved: &ResolvedJob) -> Result<Self, RowsError> {
        let mut rows = resolved.rows()?;
        if resolved.census.lanes.len() <= 1 {
            return Ok(Self::InOrder(rows));
        }
        let mut index = Index::default();
        while let Some(row) = rows.next_taken()? {
            index.push(&row, rows.offset())?;
        }
        Self::over(index, resolved)
    }

    /// The next row that leaves by `lane`.
    pub(super) fn next(&mut self, lane: LaneId) -> Result<Option<Row>, RowsError> {
        Ok(self.next_with_offset(lane)?.map(|(row, _)| row))
    }

    /// The same, and the byte at which it begins.
    pub(super) fn next_with_offset(
        &mut self,
        lane: LaneId,
    ) -> Result<Option<(Row, u64)>, RowsError> {
        match self {
            Self::InOrder(rows) => Ok(rows.next_taken()?.map(|row| (row, rows.offset()))),
            Self::ByIndex(rows, index) => {
                let Some(entry) = index.next(lane) else {
                    return Ok(None);
                };
                Ok(Some((rows.row_at(entry.offset)?, entry.offset)))
            }
        }
    }
}
