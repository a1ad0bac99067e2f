//! What the command line says about a job, not yet judged.

pub use super::table::OtherColumns;
pub use crate::model::update::Sent;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether the live state is read before anything is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Snapshot {
    /// It is; without it nothing is sent.
    #[default]
    Required,
    /// It is not: rows are sent as they stand.
    Off,
}

impl Snapshot {
    /// As they are written.
    pub const NAMES: [&'static str; 2] = ["required", "off"];

    /// As `summary.json` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Off => "off",
        }
    }
}

impl FromStr for Snapshot {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "required" => Ok(Self::Required),
            "off" => Ok(Self::Off),
            _ => Err(format!("the live state is required or off, not {text:?}")),
        }
    }
}

/// The flags of a command that runs or checks a job, as typed.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--project-id`
    pub project_id: Option<String>,
    /// `--workspace-id`
    pub workspace_id: Option<String>,
    /// `--simulate`
    pub simulate: bool,
    /// `--concurrency`
    pub concurrency: Option<String>,
    /// `--rate`
    pub rate: Option<String>,
    /// `--burst`
    pub burst: Option<String>,
    /// `--timeout`
    pub timeout: Option<String>,
    /// `--max-attempts`
    pub max_attempts: Option<String>,
    /// `--max-errors`
    pub max_errors: Option<String>,
    /// `--max-changes`
    pub max_changes: Option<String>,
    /// `--max-disables`
    pub max_disables: Option<String>,
    /// `--snapshot`
    pub snapshot: Option<Snapshot>,
    /// `--strict`
    pub strict: bool,
    /// `--allow-drift`
    pub allow_drift: bool,
    /// `--send`
    pub send: Option<Sent>,
    /// `--allow-cleared`, as often as given
    pub allow_cleared: Vec<String>,
    /// `--confirm-within`
    pub confirm_within: Option<String>,
    /// `--deadline`
    pub deadline: Option<String>,
    /// `--hold`
    pub hold: Option<String>,
    /// `--leave-recent`
    pub leave_recent: Option<String>,
    /// `--stop-at`
    pub stop_at: Option<String>,
    /// `--partition`
    pub partition: Option<String>,
    /// `--limit`
    pub limit: Option<String>,
    /// `--only`, as often as given
    pub only: Vec<String>,
    /// `--set FIELD=VALUE`, as often as given
    pub set: Vec<String>,
    /// `--column NAME=COLUMN`, as often as given
    pub column: Vec<String>,
    /// `--other-columns`
    pub other_columns: Option<OtherColumns>,
    /// `--encoding`
    pub encoding: Option<String>,
}
