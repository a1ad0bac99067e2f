//! Where a row goes, as one of the places that may say so says it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::endpoint::Endpoint;
use crate::model::id::Id;
use crate::model::region::{self, REGIONS};

use super::suggestion::suggestion;

/// The way to a service: an endpoint, and the region that it belongs to, if one is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Way {
    /// Where requests go.
    pub endpoint: Endpoint,
    /// The region.
    pub region: Option<String>,
    /// Whether a variable of the environment leads the region there.
    pub by_variable: bool,
}

impl Way {
    /// Whether both mean the same place, of which one may know more than the other.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (&self.region, &other.region) {
            (Some(region), Some(theirs)) => region == theirs,
            (None, _) | (_, None) => self.endpoint == other.endpoint,
        }
    }
}

/// What one place says about the target, as far as it says anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Region or endpoint.
    pub way: Option<Way>,
    /// The project.
    pub project_id: Option<Id>,
    /// The workspace.
    pub workspace_id: Option<Id>,
}

impl Target {
    /// Whether what it says of projects and workspaces may hold on `way`: those of one region do not
    /// exist in another.
    pub fn speaks_of(&self, way: Option<&Way>) -> bool {
        let region = |way: &Way| way.region.clone();
        let (own, other) = (self.way.as_ref().and_then(region), way.and_then(region));
        own.is_none() || other.is_none() || own == other
    }
}

/// Endpoints of regions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Regions {
    /// By the environment, in place of the vendor's table.
    pub overrides: BTreeMap<String, Endpoint>,
}

impl Regions {
    /// `way` as the vendor's table has it, should a variable have led it elsewhere.
    pub fn without_variables(&self, way: Way) -> Way {
        match way.region.as_ref().filter(|_| way.by_variable) {
            Some(region) => Self::default().way(region).unwrap_or(way),
            None => way,
        }
    }

    /// The way to the region `name`.
    ///
    /// # Errors
    /// A hint, if there is no such region.
    pub fn way(&self, name: &str) -> Result<Way, String> {
        let table = || region::endpoint(name).and_then(|url| Endpoint::parse(&url).ok());
        let by_variable = self.overrides.contains_key(name);
        match self.overrides.get(name).cloned().or_else(table) {
            Some(endpoint) => Ok(Way {
                endpoint,
                region: Some(name.to_owned()),
                by_variable,
            }),
            None => Err(match suggestion(name, REGIONS) {
                Some(meant) => format!("did you mean {meant}? Regions: {}", REGIONS.join(", ")),
                None => format!(
                    "regions: {}; for another one give its endpoint",
                    REGIONS.join(", ")
                ),
            }),
        }
    }
}
