//! Workflows as the service holds them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::field::Field;

/// The live state of a workflow, as far as an update can change it or a guard can ask for it.
///
/// The service leaves fields out or sends `null`; both read as empty here, as in the vendor's SDK,
/// where no field of a response is mandatory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workflow {
    /// The workflow's id.
    #[serde(deserialize_with = "or_empty")]
    pub id: String,
    /// The name people see.
    #[serde(deserialize_with = "or_empty")]
    pub name: String,
    /// Free text.
    #[serde(deserialize_with = "or_empty")]
    pub description: String,
    /// Whether it runs.
    #[serde(deserialize_with = "or_false")]
    pub enabled: bool,
    /// The id of the activated version; empty if there is none.
    #[serde(deserialize_with = "or_empty")]
    pub version_id: String,
    /// The entity type.
    #[serde(deserialize_with = "or_empty")]
    pub labels: String,
    /// When it was last changed, in the service's own notation.
    #[serde(deserialize_with = "or_empty")]
    pub update_time: String,
    /// Who changed it last.
    #[serde(deserialize_with = "or_empty")]
    pub modifier_name: String,
}

/// What else the service tells of a workflow when it lists it: for exports, and to choose by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the vendor's, field for field")]
pub struct Details {
    #[serde(deserialize_with = "or_empty")]
    pub version: String,
    #[serde(deserialize_with = "or_empty")]
    pub aop_type: String,
    #[serde(deserialize_with = "or_empty")]
    pub engine_type: String,
    #[serde(deserialize_with = "or_empty")]
    pub dataclass_id: String,
    #[serde(deserialize_with = "or_empty")]
    pub dataclass_name: String,
    #[serde(deserialize_with = "or_empty")]
    pub owner_id: String,
    #[serde(deserialize_with = "or_empty")]
    pub creator_id: String,
    #[serde(deserialize_with = "or_empty")]
    pub creator_name: String,
    #[serde(deserialize_with = "or_empty")]
    pub create_time: String,
    #[serde(deserialize_with = "or_empty")]
    pub modifier_id: String,
    #[serde(deserialize_with = "or_empty")]
    pub current_approval_version_id: String,
}

/// A workflow with all that is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What an update can change or a guard can ask for.
    pub workflow: Workflow,
    /// The rest.
    pub details: Details,
}

/// A workflow of which the service shows a value that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OddWorkflow {
    /// Its id; empty if that is what cannot be read.
    pub id: String,
    /// The member that cannot be read.
    pub field: String,
    /// The beginning of its value, as JSON.
    pub value: String,
}

impl fmt::Display for OddWorkflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, field, value } = self;
        match id.as_str() {
            "" => write!(
                f,
                "a workflow has the {field} {value}, which cannot be read"
            ),
            id => write!(
                f,
                "workflow {id} has the {field} {value}, which cannot be read"
            ),
        }
    }
}

impl Listed {
    /// Its texts that no request sends.
    pub fn notes_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let Workflow {
            id: _,
            name: _,
            description: _,
            enabled: _,
            version_id: _,
            labels: _,
            update_time,
            modifier_name,
        } = &mut self.workflow;
        let Details {
            version,
            aop_type,
            engine_type,
            dataclass_id,
            dataclass_name,
            owner_id,
            creator_id,
            creator_name,
            create_time,
            modifier_id,
            current_approval_version_id,
        } = &mut self.details;
        let details = [
            version,
            aop_type,
            engine_type,
            dataclass_id,
            dataclass_name,
            owner_id,
            creator_id,
            creator_name,
            create_time,
            modifier_id,
            current_approval_version_id,
        ];
        [update_time, modifier_name].into_iter().chain(details)
    }
}

impl Workflow {
    /// Makes `field` what an export writes as `value`.
    pub fn set(&mut self, field: Field, value: &str) {
        match field {
            Field::Name => value.clone_into(&mut self.name),
            Field::Description => value.clone_into(&mut self.description),
            Field::Enabled => self.enabled = value == "true",
            Field::VersionId => value.clone_into(&mut self.version_id),
            Field::Labels => value.clone_into(&mut self.labels),
        }
    }

    /// The live value of `field`, as an export writes it.
    pub fn value(&self, field: Field) -> &str {
        match field {
            Field::Name => &self.name,
            Field::Description => &self.description,
            Field::Enabled if self.enabled => "true",
            Field::Enabled => "false",
            Field::VersionId => &self.version_id,
            Field::Labels => &self.labels,
        }
    }
}

pub(super) fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_missing_or_null_reads_as_empty() {
        let live: Workflow =
            serde_json::from_str(r#"{"id":"w","name":null,"enabled":null,"owner_id":"x"}"#)
                .unwrap();
        assert_eq!(
            live,
            Workflow {
                id: "w".into(),
                ..Workflow::default()
            }
        );
    }
}
