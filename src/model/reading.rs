//! One request of a survey: a reading of what lives in a workspace, or of which workspaces there are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::Id;
use super::target::{LaneId, Workspace};

/// The most entries of one page (the vendor's page of ListWorkflows).
pub const PAGE: u64 = 100;
/// The furthest offset at which a page may begin (the same).
pub const FURTHEST: u64 = 10_000;
/// The furthest offset at which a page of workspaces may begin (the vendor's OpenAPI of ListWorkspaces).
pub const FURTHEST_WORKSPACE: u64 = 999;

/// One request of a survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The endpoint and credential it leaves by.
    pub lane: LaneId,
    /// Where; [`Workspace::any_of`] where a project as a whole is asked.
    pub workspace: Workspace,
    /// What it asks for.
    pub of: Of,
}

/// What a reading asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A page of the workspace's workflows.
    Page(Page),
    /// One workflow.
    Workflow(Id),
    /// The versions of a workflow.
    Versions(Id),
    /// A page of the project's workspaces, which begins at this offset.
    Workspaces(u64, Need),
}

/// What follows if a reading fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The run cannot go on without it: it is tried again.
    Must,
    /// Nothing: it is asked once, and says nothing about the service.
    Nice,
}

/// A page of a list that is sorted by the time of making, the oldest first, unless it is read from its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many to leave out from the first.
    pub offset: u64,
    /// The newest first: what lies beyond [`FURTHEST`] is reached from the other end.
    pub from_the_end: bool,
    /// Only those that are enabled, or that are not.
    pub enabled: Option<bool>,
}

/// What kind of reading it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A page of a list.
    List,
    /// One workflow.
    Get,
    /// The versions of a workflow.
    Versions,
    /// A page of a project's workspaces.
    Workspaces,
}

impl Kind {
    /// What an answer to it is to hold.
    pub fn noun(self) -> &'static str {
        match self {
            Self::List => "list of workflows",
            Self::Get => "workflow",
            Self::Versions => "list of versions",
            Self::Workspaces => "list of workspaces",
        }
    }
}

impl Of {
    /// What follows if it fails.
    pub fn need(&self) -> Need {
        match self {
            Self::Page(_) | Self::Workflow(_) | Self::Versions(_) => Need::Must,
            Self::Workspaces(_, need) => *need,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Page(_) => Kind::List,
            Self::Workflow(_) => Kind::Get,
            Self::Versions(_) => Kind::Versions,
            Self::Workspaces(..) => Kind::Workspaces,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Versions => "versions",
            Self::Workspaces => "workspaces",
        })
    }
}
