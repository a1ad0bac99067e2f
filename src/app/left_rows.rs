//! The rows that a session takes up, each with what became of it before.

use std::collections::HashMap;
use std::fs::File;

use crate::engine::ports::{Past, RowsError};
use crate::job::index::Index;
use crate::model::change::Change;
use crate::model::id::Id;
use crate::model::outcome::Outcome;
use crate::model::row::Row;
use crate::sinks::ends::Trace;
use crate::sinks::history::History;

use super::resolved_job::ResolvedJob;

/// Which rows a session takes up: all that the user has not left out, or those of them that earlier
/// sessions left.
#[derive(Default)]
pub(super) struct LeftRows {
    history: Option<History<File>>,
    /// Whether those that failed for good, or were in conflict, are taken up as well.
    failed_too: bool,
    /// What rows in doubt were to change.
    changes: HashMap<u64, (Option<Id>, Change)>,
}

impl LeftRows {
    /// Those that `history` leaves; with `failed_too`, also those that failed for good or were in conflict.
    pub(super) fn of(history: History<File>, failed_too: bool) -> Self {
        Self {
            history: Some(history),
            failed_too,
            changes: HashMap::new(),
        }
    }

    /// What rows in doubt were to change, by the plan.
    pub(super) fn with_changes(self, changes: HashMap<u64, (Option<Id>, Change)>) -> Self {
        Self { changes, ..self }
    }

    /// What became of row `number`; none if it is not to be sent again.
    pub(super) fn past(&mut self, number: u64) -> Result<Option<Past>, RowsError> {
        let Some(history) = &mut self.history else {
            return Ok(Some(Past::default()));
        };
        let past = history.past(number, self.failed_too);
        let Some(mut past) = past.map_err(|error| RowsError(error.into()))? else {
            return Ok(None);
        };
        if past.unproven
            && let Some((id, change)) = self.changes.get(&number)
        {
            past.change.get_or_insert_with(|| change.clone());
            past.workflow_id = past.workflow_id.or_else(|| id.clone());
        }
        Ok(Some(past))
    }

    /// Shows each of them to `take`, in input order, with its offset in the file.
    pub(super) fn each(
        &mut self,
        resolved: &ResolvedJob,
        mut take: impl FnMut(Row, u64, Past) -> Result<(), RowsError>,
    ) -> Result<(), RowsError> {
        let mut rows = resolved.rows()?;
        while let Some(row) = rows.next_taken()? {
            if let Some(past) = self.past(row.number)? {
                take(row, rows.offset(), past)?;
            }
        }
        Ok(())
    }

    /// Shows `take` the rows that have ended and are not taken up again, each with its offset in the file, and how.
    pub(super) fn each_done(
        &mut self,
        resolved: &ResolvedJob,
        mut take: impl FnMut(Row, u64, Outcome) -> Result<(), RowsError>,
    ) -> Result<(), RowsError> {
        if self.history.is_none() {
            return Ok(());
        }
        let mut rows = resolved.rows()?;
        while let Some(row) = rows.next_taken()? {
            if self.past(row.number)?.is_some() {
                continue;
            }
            let Some(history) = &mut self.history else {
                continue;
            };
            if let Trace::Ended { offset, .. } = history.of(row.number) {
                let end = history.end(row.number, offset);
                let (_, outcome) = end.map_err(|error| RowsError(error.into()))?;
                take(row, rows.offset(), outcome)?;
            }
        }
        Ok(())
    }

    /// Where those of them stand that `choose` chooses.
    pub(super) fn index(
        &mut self,
        resolved: &ResolvedJob,
        mut choose: impl FnMut(&Row, Past) -> Result<bool, RowsError>,
    ) -> Result<Index, RowsError> {
        let mut index = Index::default();
        self.each(resolved, |row, offset, past| {
            if choose(&row, past)? {
                index.push(&row, offset)?;
            }
            Ok(())
        })?;
        Ok(index)
    }

    /// How many there are, and how many of them may have been changed without a word.
    pub(super) fn count(&mut self, resolved: &ResolvedJob) -> Result<(u64, u64), RowsError> {
        let (mut count, mut in_doubt) = (0, 0);
        self.each(resolved, |_, _, past| {
            count += 1;
            in_doubt += u64::from(past.unproven);
            Ok(())
        })?;
        Ok((count, in_doubt))
    }

    /// Whether an earlier session has left them.
    pub(super) fn are_of_earlier(&self) -> bool {
        self.history.is_some()
    }
}
