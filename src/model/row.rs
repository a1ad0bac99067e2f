//! One requested update.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::field::{Field, FieldSet};
use super::guard::Guards;
use super::id::Id;
use super::target::{LaneId, Workspace};
use super::update::Update;

/// One requested update, as the job means it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// From 1, in input order.
    pub number: u64,
    /// The line of the file that it came from, from 1.
    pub line: u64,
    /// The endpoint and credential it leaves by.
    pub lane: LaneId,
    /// Where its workflow lives.
    pub workspace: Workspace,
    /// The workflow to change. Where it is only named, something that stands for it until it is looked up.
    pub workflow_id: Id,
    /// What the workflow is called, where the row names it instead of giving its id.
    pub called: Option<String>,
    /// The wave that it asks for, among those of its stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u32>,
    /// What to set.
    pub update: Update,
    /// The version to set, where it is to be found out.
    pub version: Option<VersionWish>,
    /// What to find before anything is set.
    pub guards: Guards,
}

/// What rows say, taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Fields that some set.
    pub sets: FieldSet,
    /// Fields of which some say what they expect to find.
    pub expects: FieldSet,
    /// Whether some name their workflow.
    pub names: bool,
    /// Whether some ask for a wave.
    pub waves: bool,
    /// Whether some expect an update time.
    pub update_times: bool,
}

impl Said {
    /// Takes `row` into account.
    pub fn see(&mut self, row: &Row) {
        row.update
            .fields()
            .for_each(|field| self.sets.insert(field));
        if row.version.is_some() {
            self.sets.insert(Field::VersionId);
        }
        for (field, _) in &row.guards.fields {
            self.expects.insert(*field);
        }
        self.names |= row.called.is_some();
        self.waves |= row.wave.is_some();
        self.update_times |= row.guards.update_time.is_some();
    }
}

/// A version that is to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionWish {
    /// The one in use.
    Active,
    /// The newest that is published.
    Latest,
}

impl VersionWish {
    /// The wish that `text` is, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Latest]
            .into_iter()
            .find(|wish| text.eq_ignore_ascii_case(wish.as_str()))
    }

    /// The wish as a cell writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Latest => "latest",
        }
    }
}

impl Row {
    /// Row `number` of a CSV whose first line is its header; it sets nothing and expects nothing.
    pub fn new(number: u64, lane: LaneId, workspace: Workspace, workflow_id: Id) -> Self {
        Self {
            number,
            line: number + 1,
            lane,
            workspace,
            workflow_id,
            called: None,
            wave: None,
            update: Update::default(),
            version: None,
            guards: Guards::default(),
        }
    }

    /// What stands for the id of whatever is called `name`, until it is looked up.
    pub fn stand_in(name: &str) -> Option<Id> {
        let hash = hex(&digest(&SHA256, name.as_bytes()).as_ref()[..16]);
        Id::parse(&format!("called-{hash}")).ok()
    }

    /// Whether it sets nothing: its cells are all as they were exported.
    pub fn wishes_nothing(&self) -> bool {
        self.update.is_empty() && self.version.is_none()
    }

    /// Identifies the wish as written: the first 128 bits of the SHA-256 of what the row names, sets and
    /// expects, as a JSON array, in hexadecimal.
    pub fn hash(&self) -> String {
        let wish = (
            &self.workspace.project_id,
            &self.workspace.workspace_id,
            Some(&self.workflow_id).filter(|_| self.called.is_none()),
            &self.called,
            &self.update,
            self.version,
            Some(&self.guards).filter(|guards| !guards.is_empty()),
        );
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, &wish).unwrap_or_default();
        hex(&digest(&SHA256, &bytes).as_ref()[..16])
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }
}
