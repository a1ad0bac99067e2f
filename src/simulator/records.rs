//! Workflows and their versions with all the fields that the service sends, by their exact names.

use serde::{Deserialize, Serialize};

use crate::model::target::NamedWorkspace;
use crate::model::version::Version;
use crate::model::workflow::{Details, Listed, Workflow};

/// A workflow (`AopWorkflowInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the vendor's, field for field")]
pub struct WorkflowRecord {
    pub id: String,
    pub name: String,
    pub description: String,
    pub project_id: String,
    pub owner_id: String,
    pub creator_id: String,
    pub creator_name: String,
    pub create_time: String,
    pub modifier_id: String,
    pub modifier_name: String,
    pub update_time: String,
    pub edit_role: String,
    pub use_role: String,
    pub approve_role: String,
    pub enabled: bool,
    pub workspace_id: String,
    pub version_id: String,
    pub current_approval_version_id: String,
    pub current_rejected_version_id: String,
    pub aop_type: String,
    pub engine_type: String,
    pub dataclass_id: String,
    pub dataclass_name: String,
    pub labels: String,
    pub version: String,
}

impl WorkflowRecord {
    /// The part of it that an update can change or a guard can ask for.
    pub fn live(&self) -> Workflow {
        Workflow {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            enabled: self.enabled,
            version_id: self.version_id.clone(),
            labels: self.labels.clone(),
            update_time: self.update_time.clone(),
            modifier_name: self.modifier_name.clone(),
        }
    }

    /// All of it that a client looks at.
    pub fn listed(&self) -> Listed {
        Listed {
            workflow: self.live(),
            details: Details {
                version: self.version.clone(),
                aop_type: self.aop_type.clone(),
                engine_type: self.engine_type.clone(),
                dataclass_id: self.dataclass_id.clone(),
                dataclass_name: self.dataclass_name.clone(),
                owner_id: self.owner_id.clone(),
                creator_id: self.creator_id.clone(),
                creator_name: self.creator_name.clone(),
                create_time: self.create_time.clone(),
                modifier_id: self.modifier_id.clone(),
                current_approval_version_id: self.current_approval_version_id.clone(),
            },
        }
    }
}

/// A version of a workflow (`AopWorkflowVersionInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the vendor's, field for field")]
pub struct VersionRecord {
    pub id: String,
    pub version_id: String,
    pub name: String,
    pub aopworkflow_id: String,
    pub description: String,
    pub project_id: String,
    pub owner_id: String,
    pub creator_id: String,
    pub creator_name: String,
    pub create_time: String,
    pub modifier_id: String,
    pub modifier_name: String,
    pub update_time: String,
    pub enabled: bool,
    pub status: VersionStatus,
    pub version: String,
    pub taskconfig: String,
    pub taskflow: String,
    pub taskflow_type: String,
    pub aop_type: String,
    pub input: String,
    pub output: String,
    pub dataclass_id: String,
    pub dataclass_name: String,
    pub workspace_id: String,
}

impl WorkspaceRecord {
    /// The part of it that a client looks at.
    pub fn named(&self) -> NamedWorkspace {
        NamedWorkspace {
            id: self.id.clone(),
            name: self.name.clone(),
        }
    }
}

impl VersionRecord {
    /// The part of it that a client looks at.
    pub fn seen(&self) -> Version {
        let status = serde_json::to_value(self.status);
        Version {
            id: self.id.clone(),
            status: status
                .ok()
                .and_then(|status| status.as_str().map(str::to_owned))
                .unwrap_or_default(),
            version: self.version.clone(),
            create_time: self.create_time.clone(),
        }
    }
}

/// A workspace (`ShowWorkspaceResponseBodyWorkspace`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the vendor's, field for field")]
pub struct WorkspaceRecord {
    pub id: String,
    pub create_time: String,
    pub update_time: String,
    pub name: String,
    pub description: String,
    pub creator_id: String,
    pub creator_name: String,
    pub modifier_id: String,
    pub modifier_name: String,
    pub project_id: String,
    pub project_name: String,
    pub domain_id: String,
    pub domain_name: String,
    pub enterprise_project_id: String,
    pub enterprise_project_name: String,
    pub is_view: bool,
    pub region_id: String,
    pub view_bind_id: String,
    pub view_bind_name: String,
    /// Workspaces that it looks after: none here.
    pub workspace_agency_list: [(); 0],
}

/// Where a version stands between its first draft and its use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionStatus {
    /// A draft.
    #[default]
    PendingSubmit,
    /// Waits for a reviewer.
    PendingApproval,
    /// Approved, on its way.
    Publishing,
    /// Approved, and lost on its way.
    PublishFailed,
    /// Published, not in use.
    NotActivated,
    /// Published and in use: at most one version of a workflow.
    Activated,
    /// Turned down by a reviewer.
    Rejected,
}

impl VersionStatus {
    /// Whether a workflow can be enabled with such a version.
    pub fn is_published(self) -> bool {
        match self {
            Self::NotActivated | Self::Activated => true,
            Self::PendingSubmit
            | Self::PendingApproval
            | Self::Publishing
            | Self::PublishFailed
            | Self::Rejected => false,
        }
    }
}
