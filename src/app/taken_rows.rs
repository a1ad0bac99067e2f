//! The rows of a taken job, once more: in input order, or lane by lane.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use crate::engine::ports::RowsError;
use crate::job::index::{Index, TooMany};
use crate::job::problems::Problems;
use crate::job::rows::Reader;
use crate::job::selection::Selector;
use crate::model::row::Row;
use crate::model::target::LaneId;

use super::input::changed;
use super::taken::Taken;

/// The rows of a taken job, in input order.
pub(super) struct TakenRows {
    pub(super) reader: Reader<File>,
    pub(super) selector: Selector,
}

impl TakenRows {
    /// The next row and whether it is taken up.
    pub(super) fn next_row(&mut self) -> Result<Option<(Row, bool)>, RowsError> {
        let mut problems = Problems::default();
        let row = self.reader.next(&mut problems);
        self.judged(row, &problems)
    }
}

impl TakenRows {
    /// The next row of the part that is read, and whether it is taken up.
    pub(super) fn next_of_part(&mut self) -> Result<Option<(Row, bool)>, RowsError> {
        let mut problems = Problems::default();
        let row = self.reader.next_of_part(&mut problems);
        self.judged(row, &problems)
    }

    fn judged(
        &mut self,
        row: Option<Row>,
        problems: &Problems,
    ) -> Result<Option<(Row, bool)>, RowsError> {
        if !problems.is_empty() {
            return Err(changed(problems));
        }
        Ok(row.map(|row| {
            let taken = self.selector.takes(&row);
            (row, taken)
        }))
    }
}

impl Iterator for TakenRows {
    type Item = Result<(Row, bool), RowsError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

/// Rows, by the lanes that they leave by.
pub(super) trait RowsByLane {
    /// The next row that leaves by `lane`.
    fn next(&mut self, lane: LaneId) -> Result<Option<Row>, RowsError>;
}

impl RowsByLane for TakenRows {
    fn next(&mut self, _: LaneId) -> Result<Option<Row>, RowsError> {
        while let Some((row, taken)) = self.next_row()? {
            if taken {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

impl From<TooMany> for RowsError {
    fn from(error: TooMany) -> Self {
        Self(error.into())
    }
}

/// The rows of a taken job, each lane's in input order.
pub(super) struct LaneRows {
    reader: Reader<File>,
    /// The table of each part once more, for reading anywhere.
    files: Vec<Option<File>>,
    index: Index,
}

impl LaneRows {
    /// The rows of `taken` that `index` names.
    pub(super) fn over(index: Index, taken: &Taken) -> Result<Self, RowsError> {
        Ok(Self {
            reader: taken.rows()?.reader,
            files: taken.copies()?,
            index,
        })
    }

    /// The rows of `taken` that are taken up.
    pub(super) fn all(taken: &Taken) -> Result<Self, RowsError> {
        let mut rows = taken.rows()?;
        let mut index = Index::default();
        while let Some((row, is_taken)) = rows.next_row()? {
            if is_taken {
                index.push(&row, rows.reader.offset())?;
            }
        }
        Self::over(index, taken)
    }
}

impl RowsByLane for LaneRows {
    fn next(&mut self, lane: LaneId) -> Result<Option<Row>, RowsError> {
        let Some(entry) = self.index.next(lane) else {
            return Ok(None);
        };
        let mut problems = Problems::default();
        let part = self.reader.part_of(entry.number.into());
        let row = match self.files.get_mut(part) {
            Some(Some(file)) => {
                let there = file.seek(SeekFrom::Start(entry.offset));
                there.map_err(|error| RowsError(error.into()))?;
                self.reader.row_at(entry, file, &mut problems)
            }
            Some(None) | None => self.reader.row_at(entry, io::empty(), &mut problems),
        };
        match row {
            // Lanes are numbered as rows come; here they come in another order.
            Some(row) => Ok(Some(Row { lane, ..row })),
            None => Err(changed(&problems)),
        }
    }
}
