//! The fields that the update call can change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A field that the update call can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// `name`
    Name,
    /// `description`
    Description,
    /// `enabled`
    Enabled,
    /// `version_id`
    VersionId,
    /// `labels`
    Labels,
}

impl Field {
    /// All of them, in the order of the vendor's page.
    pub const ALL: [Self; 5] = [
        Self::Name,
        Self::Description,
        Self::Enabled,
        Self::VersionId,
        Self::Labels,
    ];

    /// The field's name in requests, job files and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Description => "description",
            Self::Enabled => "enabled",
            Self::VersionId => "version_id",
            Self::Labels => "labels",
        }
    }

    /// The field called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
