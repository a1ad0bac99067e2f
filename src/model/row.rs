//! One requested update.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::guard::Guards;
use super::id::Id;
use super::target::{LaneId, Workspace};
use super::update::Update;

/// One requested update, as the job means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// From 1, in input order.
    pub number: u64,
    /// The line of the file that it came from, from 1.
    pub line: u64,
    /// The endpoint and credential it leaves by.
    pub lane: LaneId,
    /// Where its workflow lives.
    pub workspace: Workspace,
    /// The workflow to change.
    pub workflow_id: Id,
    /// What to set.
    pub update: Update,
    /// What to find before anything is set.
    pub guards: Guards,
}

impl Row {
    /// Identifies the wish as written: the first 128 bits of the SHA-256 of what the row names,
    /// sets and expects, in hexadecimal.
    pub fn hash(&self) -> String {
        #[derive(Serialize)]
        struct Wish<'a> {
            workspace: &'a Workspace,
            workflow_id: &'a Id,
            update: &'a Update,
            guards: &'a Guards,
        }
        let wish = Wish {
            workspace: &self.workspace,
            workflow_id: &self.workflow_id,
            update: &self.update,
            guards: &self.guards,
        };
        // Serializing these types to memory cannot fail: no map with foreign keys, no own impl.
        let bytes = serde_json::to_vec(&wish).unwrap_or_default();
        hex(&digest(&SHA256, &bytes).as_ref()[..16])
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
