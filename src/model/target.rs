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
        // All spellings of a UUID end so; and workspaces are few.
        let ends = self.workspace_id.as_str().bytes().rev();
        let ends = ends.filter(|byte| *byte != b'-').take(8);
        ends.for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
    }
}

impl PartialOrd for Workspace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Workspace {
    fn cmp(&self, other: &Self) -> Ordering {
        match self == other {
            true => Ordering::Equal,
            false => self.spelled().cmp(&other.spelled()),
        }
    }
}

impl Workspace {
    /// As it is the same in all spellings.
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn two_spellings_of_an_id_are_one_workspace() {
        let workspaces = [
            ("p", "909494e3-558e-46b6-a9eb-07a8e18ca621"),
            ("p", "909494E3558E46B6A9EB07A8E18CA621"),
            ("p", "909494e3-558e-46b6-a9eb-07a8e18ca622"),
            ("q", "909494e3-558e-46b6-a9eb-07a8e18ca621"),
            ("p", "s-1"),
            ("p", "S-1"),
            ("p", "s1"),
        ]
        .map(|(project, workspace)| Workspace {
            project_id: Id::parse(project).unwrap(),
            workspace_id: Id::parse(workspace).unwrap(),
        });
        let hashed: HashSet<_> = workspaces.iter().collect();
        let sorted: BTreeSet<_> = workspaces.iter().collect();
        assert_eq!((hashed.len(), sorted.len()), (6, 6));
        assert_eq!(workspaces[0], workspaces[1]);
    }
}
