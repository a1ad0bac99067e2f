//! What the world answers.

use std::time::Duration;

use crate::model::rate::Rate;

use super::call::{Invalid, ListQuery};
use super::method::Method;
use super::records::{VersionRecord, WorkflowRecord, WorkspaceRecord};

/// What comes of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Handled {
    /// How long the answer takes.
    pub after: Duration,
    /// The service's id of the request.
    pub request_id: String,
    /// What the client gets to see.
    pub delivery: Delivery,
}

/// What the client gets to see.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// The answer.
    Whole(Answered),
    /// The answer's head, and half of its body.
    Cut(Answered),
    /// A proxy's web page instead.
    WebPage,
    /// The end of the connection instead.
    Closed,
    /// Nothing, ever.
    Never,
}

/// An answer of the service or of its gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// One workspace.
    Workspace(Box<WorkspaceRecord>),
    /// Some workspaces.
    Workspaces(Page<WorkspaceRecord>),
    /// One workflow.
    Workflow(Box<WorkflowRecord>),
    /// Some workflows.
    Workflows(Page<WorkflowRecord>),
    /// One version.
    Version(Box<VersionRecord>),
    /// Some versions.
    Versions(Page<VersionRecord>),
    /// No.
    Refused(Refusal),
}

/// Some of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// They.
    pub data: Vec<T>,
    /// How many there are in all.
    pub total: usize,
    /// How many were left out before them.
    pub offset: usize,
    /// How many were asked for at most.
    pub limit: usize,
}

impl<T> Page<T> {
    /// The page of `all` that `query` asks for.
    pub(super) fn of(all: &[&T], query: &ListQuery) -> Self
    where
        T: Clone,
    {
        Self {
            data: all
                .iter()
                .skip(query.offset)
                .take(query.limit)
                .map(|one| (*one).clone())
                .collect(),
            total: all.len(),
            offset: query.offset,
            limit: query.limit,
        }
    }
}

/// No, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The service's or the gateway's code.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// Who says so: bodies differ in their members.
    pub speaker: Speaker,
    /// How long to wait, where the answer tells.
    pub retry_after: Option<Duration>,
}

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The service, about workflows: `code`, `message`.
    Workflows,
    /// The service, about workspaces: `error_code`, `error_msg`.
    Workspaces,
    /// The gateway: `error_code`, `error_msg`, `request_id`.
    Gateway,
}

impl Refusal {
    fn service(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            speaker: Speaker::Workflows,
            retry_after: None,
        }
    }

    fn gateway(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            speaker: Speaker::Gateway,
            ..Self::service(status, code, message)
        }
    }

    pub(super) fn no_such_workflow() -> Self {
        Self::service(400, "SecMaster.20040611", "workflow not found")
    }

    pub(super) fn no_such_version() -> Self {
        Self::service(400, "SecMaster.20040605", "workflow version not found")
    }

    /// A 403, although the vendor's page of codes knows only 400: seen by the vendor's Terraform
    /// provider.
    pub(super) fn no_such_workspace() -> Self {
        Self::service(403, "SecMaster.20010001", "invalid workspace id")
    }

    /// Seen by the vendor's Terraform provider.
    pub(super) fn no_workspace_to_show() -> Self {
        Self::service(400, "SecMaster.20011003", "workspace not found")
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::service(400, "SecMaster.20041002", message)
    }

    /// The same, in the shape that the refusals of such an operation have.
    pub(super) fn of(self, method: Method) -> Self {
        match method {
            Method::ListWorkspaces | Method::ShowWorkspace => self.about_workspaces(),
            Method::ListWorkflows
            | Method::ShowWorkflow
            | Method::UpdateWorkflow
            | Method::ListVersions
            | Method::ShowVersion => self,
        }
    }

    /// The same, said about workspaces.
    pub(super) fn about_workspaces(self) -> Self {
        match self.speaker {
            Speaker::Gateway => self,
            Speaker::Workflows | Speaker::Workspaces => Self {
                speaker: Speaker::Workspaces,
                ..self
            },
        }
    }

    pub(super) fn internal_error() -> Self {
        Self::service(500, "SecMaster.00000001", "internal error")
    }

    pub(super) fn unavailable() -> Self {
        Self::gateway(503, "APIG.0613", "The IAM service is currently unavailable")
    }

    pub(super) fn no_such_api() -> Self {
        let message = "The API does not exist or has not been published in the environment";
        Self::gateway(404, "APIG.0101", message)
    }

    pub(super) fn too_large() -> Self {
        Self::gateway(413, "APIG.0201", "Request entity too large")
    }

    pub(super) fn unauthorized(why: &str) -> Self {
        let message = format!("Incorrect IAM authentication information: {why}");
        Self::gateway(401, "APIG.0301", message)
    }

    pub(super) fn not_authorized() -> Self {
        Self::gateway(403, "APIG.0302", "The user is not authorized")
    }

    /// The gateway's 429, in its own words: clients read the window out of them.
    pub(super) fn throttled(rate: Rate, retry_after: Option<Duration>) -> Self {
        let limit = rate.count();
        let unit = match rate.window().as_secs() {
            1 => "second",
            60 => "minute",
            _ => "hour",
        };
        Self {
            retry_after,
            ..Self::gateway(
                429,
                "APIG.0308",
                format!(
                    "The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:1 {unit}"
                ),
            )
        }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.0)
    }
}
