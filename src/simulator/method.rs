//! Kinds of operations.

use serde::{Deserialize, Serialize};

/// What kind of operation: faults are dealt by it, and the ledger tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`super::workspaces::WorkspacesCall`]
    ListWorkspaces,
    /// [`super::call::Operation::ShowWorkspace`]
    ShowWorkspace,
    /// [`super::call::Operation::ListWorkflows`]
    ListWorkflows,
    /// [`super::call::Operation::ShowWorkflow`]
    ShowWorkflow,
    /// [`super::call::Operation::UpdateWorkflow`]
    UpdateWorkflow,
    /// [`super::call::Operation::ListVersions`]
    ListVersions,
    /// [`super::call::Operation::ShowVersion`]
    ShowVersion,
}

impl Method {
    /// A word for it that never changes: faults hang on it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListWorkspaces => "list_workspaces",
            Self::ShowWorkspace => "show_workspace",
            Self::ListWorkflows => "list_workflows",
            Self::ShowWorkflow => "show_workflow",
            Self::UpdateWorkflow => "update_workflow",
            Self::ListVersions => "list_versions",
            Self::ShowVersion => "show_version",
        }
    }
}
