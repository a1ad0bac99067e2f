//! What a row has changed in its workflow.

use std::collections::BTreeMap;

use super::change::Change;
use super::field::Field;
use super::id::Id;
use super::row::Row;

/// What a row of a run has changed, or may have.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// Tells it from what came before and after it: the greater, the later.
    pub at: u64,
    /// The row.
    pub row: Row,
    /// Its workflow, where that was looked up by its name.
    pub workflow_id: Option<Id>,
    /// From what to what.
    pub change: Change,
    /// Whether nothing proves that it was made: what was there before may still be.
    pub unproven: bool,
    /// What the service showed instead of what was sent.
    pub shown: BTreeMap<Field, String>,
    /// What the workflow was called.
    pub live_name: Option<String>,
}
