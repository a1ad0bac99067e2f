//! Where a row goes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::Id;

/// The workspace that a row's workflow lives in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Workspace {
    /// The project that owns the workspace.
    pub project_id: Id,
    /// The workspace.
    pub workspace_id: Id,
}

impl fmt::Display for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (project {})", self.workspace_id, self.project_id)
    }
}

/// The number of a lane: an endpoint with a credential. Lanes have paces and pauses of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaneId(pub usize);
