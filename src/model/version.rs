//! Versions of a workflow as the service holds them.

use serde::{Deserialize, Serialize};

use super::workflow::or_empty;

/// A version of a workflow, as far as a row can ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Its id.
    #[serde(deserialize_with = "or_empty")]
    pub id: String,
    /// Where it stands in its life (`pending_submit` ... `activated`), in the service's own words.
    #[serde(deserialize_with = "or_empty")]
    pub status: String,
    /// What people call it.
    #[serde(deserialize_with = "or_empty")]
    pub version: String,
    /// When it was made, in the service's own notation.
    #[serde(deserialize_with = "or_empty")]
    pub create_time: String,
}

impl Version {
    /// Its texts that no request sends.
    pub fn notes_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let Self {
            id: _,
            status,
            version,
            create_time,
        } = self;
        [status, version, create_time].into_iter()
    }

    /// Whether a workflow can be enabled with it (the vendor's Terraform provider: `not_activated` or
    /// `activated`).
    pub fn is_published(&self) -> bool {
        matches!(self.status.as_str(), "activated" | "not_activated")
    }
}
