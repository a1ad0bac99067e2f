//! The world as JSON, to be kept from one command to the next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::target::Workspace;

use super::estate::Resident;
use super::method::Method;
use super::world::World;

/// What outlives a session. Not the settings, nor the gateway's windows.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The latest time given out, since the world began.
    latest: Duration,
    requests: u64,
    /// Kept so that a run that is resumed does not meet the very same faults again.
    counts: Vec<(Method, String, u64)>,
    workspaces: Vec<KeptWorkspace>,
}

#[derive(Serialize, Deserialize)]
struct KeptWorkspace {
    #[serde(flatten)]
    workspace: Workspace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    residents: Vec<Resident>,
}

impl World {
    /// The world as it is now, for [`World::merge_json`].
    ///
    /// # Errors
    /// None that could be named: the world holds nothing that JSON cannot say.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let counts = self.counts.iter();
        let counts = counts.map(|((method, subject), count)| (*method, subject.clone(), *count));
        let mut kept = Kept {
            latest: self.calendar.latest(),
            requests: self.requests,
            counts: counts.collect(),
            workspaces: Vec::new(),
        };
        // The same world gives the same bytes.
        kept.counts.sort();
        for (workspace, estate) in &self.estates {
            kept.workspaces.push(KeptWorkspace {
                workspace: workspace.clone(),
                name: estate.name.clone(),
                residents: estate.residents().to_vec(),
            });
        }
        serde_json::to_string(&kept)
    }

    /// Takes in what an earlier session kept: its workflows replace those of the same ids, and time,
    /// request ids and luck go on where they stopped.
    ///
    /// # Errors
    /// `json` holds no world; nothing was taken in.
    pub fn merge_json(&mut self, json: &str) -> serde_json::Result<()> {
        let kept: Kept = serde_json::from_str(json)?;
        self.calendar.go_on_from(kept.latest);
        self.requests = self.requests.max(kept.requests);
        for (method, subject, count) in kept.counts {
            let known = self.counts.entry((method, subject)).or_default();
            *known = count.max(*known);
        }
        for kept in kept.workspaces {
            let estate = self.estates.entry(kept.workspace).or_default();
            estate.name = kept.name.or(estate.name.take());
            for resident in kept.residents {
                estate.settle(resident);
            }
        }
        Ok(())
    }
}
