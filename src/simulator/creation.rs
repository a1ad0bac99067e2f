//! What new workflows look like.

use crate::model::row::hex;
use crate::model::target::Workspace;

use super::calendar::beginning;
use super::estate::Resident;
use super::faults::dice;
use super::records::{VersionRecord, VersionStatus, WorkflowRecord, WorkspaceRecord};

/// What the workflows of a security team do, and to what kind of entity.
const TASKS: [(&str, &str, &str); 12] = [
    (
        "Isolate host",
        "IP",
        "Cuts an infected host off the network",
    ),
    ("Block address", "IP", "Adds the address to the block list"),
    (
        "Reset password",
        "ACCOUNT",
        "Ends sessions and asks for a new password",
    ),
    (
        "Disable account",
        "ACCOUNT",
        "Locks an account that was taken over",
    ),
    (
        "Check domain",
        "DOMAIN",
        "Asks the intelligence feeds about a domain",
    ),
    (
        "Sinkhole domain",
        "DOMAIN",
        "Leads a domain to the sinkhole",
    ),
    ("Triage alert", "", "Sorts new alerts by severity"),
    ("Close duplicates", "", "Closes alerts that repeat another"),
    ("Notify on-call", "", "Calls whoever is on duty"),
    ("Scan attachment", "", "Runs an attachment in the sandbox"),
    (
        "Collect evidence",
        "IP",
        "Copies disks and memory for the forensic team",
    ),
    (
        "Revoke access key",
        "ACCOUNT",
        "Revokes an access key that leaked",
    ),
];
/// Every how-manieth workflow is enabled from the start.
const ENABLED: usize = 5;
const VERSION: &str = "v1.0";
const PERSON_NAME: &str = "simulator";
const DATACLASS_NAME: &str = "Alert";

/// Makes workflows that are the same for the same seed and workspace.
pub(super) struct Maker<'a> {
    pub(super) seed: u64,
    pub(super) workspace: &'a Workspace,
}

impl Maker<'_> {
    /// The id of the workspace's workflow number `index`.
    pub(super) fn workflow_id(&self, index: usize) -> String {
        self.uuid("workflow", &index.to_string())
    }

    /// The workspace's workflow number `index`, with one version in use.
    pub(super) fn workflow(&self, index: usize, at: String) -> Resident {
        let (task, labels, description) = TASKS[index % TASKS.len()];
        let mut resident = self.named(&self.workflow_id(index), None, at);
        resident.workflow.name = format!("{task} {}", index + 1);
        resident.workflow.description = description.into();
        resident.workflow.labels = labels.into();
        resident.workflow.enabled = index % ENABLED == ENABLED - 1;
        resident
    }

    /// A workflow of which no more is known than its name.
    pub(super) fn called(&self, name: &str, at: String) -> Resident {
        let mut resident = self.named(&self.uuid("called", name), None, at);
        resident.workflow.name = name.to_owned();
        resident
    }

    /// A workflow of which no more is known than its id, and perhaps that of its version.
    pub(super) fn named(&self, id: &str, version_id: Option<&str>, at: String) -> Resident {
        let version_id = match version_id {
            Some(version_id) => version_id.to_owned(),
            None => self.uuid("version", id),
        };
        let person = self.hex("person", "");
        let workflow = WorkflowRecord {
            id: id.to_owned(),
            name: format!("Workflow {}", id.get(..8).unwrap_or(id)),
            project_id: self.workspace.project_id.to_string(),
            workspace_id: self.workspace.workspace_id.to_string(),
            owner_id: person.clone(),
            creator_id: person.clone(),
            creator_name: PERSON_NAME.into(),
            create_time: at.clone(),
            modifier_id: person,
            modifier_name: PERSON_NAME.into(),
            update_time: at,
            version_id: version_id.clone(),
            aop_type: "NORMAL".into(),
            engine_type: "public_engine".into(),
            dataclass_id: self.uuid("dataclass", DATACLASS_NAME),
            dataclass_name: DATACLASS_NAME.into(),
            version: VERSION.into(),
            ..WorkflowRecord::default()
        };
        let version = VersionRecord {
            status: VersionStatus::Activated,
            ..self.version(&workflow, &version_id, 1)
        };
        Resident {
            workflow,
            versions: vec![version],
        }
    }

    /// The `nth` version of `workflow`, published and not in use.
    pub(super) fn version(&self, workflow: &WorkflowRecord, id: &str, nth: usize) -> VersionRecord {
        VersionRecord {
            id: id.to_owned(),
            version_id: id.to_owned(),
            name: workflow.name.clone(),
            aopworkflow_id: workflow.id.clone(),
            project_id: workflow.project_id.clone(),
            owner_id: workflow.owner_id.clone(),
            creator_id: workflow.creator_id.clone(),
            creator_name: workflow.creator_name.clone(),
            create_time: workflow.create_time.clone(),
            modifier_id: workflow.modifier_id.clone(),
            modifier_name: workflow.modifier_name.clone(),
            update_time: workflow.create_time.clone(),
            enabled: true,
            status: VersionStatus::NotActivated,
            version: format!("v{nth}.0"),
            taskconfig: "{}".into(),
            taskflow_type: "JSON".into(),
            aop_type: workflow.aop_type.clone(),
            dataclass_id: workflow.dataclass_id.clone(),
            dataclass_name: workflow.dataclass_name.clone(),
            workspace_id: workflow.workspace_id.clone(),
            ..VersionRecord::default()
        }
    }

    /// The workspace itself, as old as the world. What only IAM knows of it stays empty.
    pub(super) fn workspace(&self) -> WorkspaceRecord {
        let id = self.workspace.workspace_id.as_str();
        let person = self.hex("person", "");
        WorkspaceRecord {
            id: id.to_owned(),
            create_time: beginning(),
            update_time: beginning(),
            name: format!("SOC {}", id.get(..8).unwrap_or(id)),
            creator_id: person.clone(),
            creator_name: PERSON_NAME.into(),
            modifier_id: person,
            modifier_name: PERSON_NAME.into(),
            project_id: self.workspace.project_id.to_string(),
            ..WorkspaceRecord::default()
        }
    }

    fn uuid(&self, what: &str, name: &str) -> String {
        let hex = self.hex(what, name);
        // The shape of a random UUID: version 4, variant 8.
        let (a, b, c, d, e) = (
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..],
        );
        format!("{a}-{b}-4{c}-8{d}-{e}")
    }

    fn hex(&self, what: &str, name: &str) -> String {
        let place = self.workspace.workspace_id.as_str();
        let words = [what.as_bytes(), place.as_bytes(), name.as_bytes()];
        hex(&dice(self.seed, &words).u128(..).to_be_bytes())
    }
}
