//! Where a row goes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::id::{Id, is_same, same_id};
use super::workflow::or_empty;

/// The workspace that a row's workflow lives in. Two spellings of its ids are one workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workspace {
    /// The project that owns the workspace.
    pub project_id: Id,
    /// The workspace.
    pub workspace_id: Id,
}

impl PartialEq for Workspace {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.workspace_id, &other.workspace_id)
            && is_same(&self.project_id, &other.project_id)
    }
}

impl Eq for Workspace {}

impl Hash for Workspace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spelled().hash(state);
    }
}

impl PartialOrd for Workspace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Workspace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.spelled().cmp(&other.spelled())
    }
}

impl Workspace {
    fn spelled(&self) -> [String; 2] {
        [&self.project_id, &self.workspace_id].map(same_id)
    }

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
