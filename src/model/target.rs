//! Where a row goes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::Id;
use super::workflow::or_empty;

/// The workspace that a row's workflow lives in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Workspace {
    /// The project that owns the workspace.
    pub project_id: Id,
    /// The workspace.
    pub workspace_id: Id,
}

impl Workspace {
    /// Stands for all workspaces of a project; no workflow lives in it.
    pub fn any_of(project_id: &Id) -> Self {
        Self {
            project_id: project_id.clone(),
            workspace_id: Id::any(),
        }
    }
}

/// A workspace as the list of its project tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedWorkspace {
    /// Its id.
    #[serde(deserialize_with = "or_empty")]
    pub id: String,
    /// What people call it.
    #[serde(deserialize_with = "or_empty")]
    pub name: String,
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
