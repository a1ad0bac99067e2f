//! Regions, as people name them.

use crate::model::endpoint::Endpoint;
use crate::model::region::{self, REGIONS};

use super::suggestion::suggestion;

/// The endpoint of `region`, or a hint at what was meant.
///
/// # Errors
/// The hint, if there is no such region.
pub fn region_endpoint(region: &str) -> Result<Endpoint, String> {
    match region::endpoint(region).map(|url| Endpoint::parse(&url)) {
        Some(Ok(endpoint)) => Ok(endpoint),
        Some(Err(_)) | None => Err(match suggestion(region, REGIONS) {
            Some(meant) => format!("did you mean {meant}? Regions: {}", REGIONS.join(", ")),
            None => format!(
                "regions: {}; for another one give its endpoint",
                REGIONS.join(", ")
            ),
        }),
    }
}
