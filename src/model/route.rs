//! Where a lane leads, and on whose behalf.

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;

/// Where a lane leads, and on whose behalf: an endpoint and the profile that has the credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Route {
    /// Where requests go.
    pub endpoint: Endpoint,
    /// The region that the endpoint belongs to, if one is named.
    pub region: Option<String>,
    /// The profile whose credential is shown, if one is named.
    pub profile: Option<String>,
}

impl Route {
    /// The lane in a few words, to tell it from others: `kunde-a in cn-north-4`.
    pub fn name(&self) -> String {
        let place = match &self.region {
            Some(region) => region.clone(),
            None => self.endpoint.to_string(),
        };
        match &self.profile {
            Some(profile) => format!("{profile} in {place}"),
            None => place,
        }
    }

    /// Where it leads, for people: `region cn-north-4 (https://...)`.
    pub fn text(&self) -> String {
        match &self.region {
            Some(region) => format!("region {region} ({})", self.endpoint),
            None => self.endpoint.to_string(),
        }
    }
}

/// A lane as it is put on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneFacts {
    /// Where it leads.
    #[serde(flatten)]
    pub route: Route,
    /// Whose credential is shown, and where it came from; nothing secret. `None` for a lane that no row
    /// leaves by.
    pub credential: Option<String>,
    /// The same for the same access key or IAM user, wherever it was found; nothing secret. `None` for
    /// tokens and whatever else changes its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}
