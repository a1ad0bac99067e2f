//! The fields to send.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::field::Field;
use super::workflow::Workflow;

/// The entity type of a workflow: the values of the vendor's `labels` field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Label {
    /// `IP`
    #[serde(rename = "IP")]
    Ip,
    /// `ACCOUNT`
    #[serde(rename = "ACCOUNT")]
    Account,
    /// `DOMAIN`
    #[serde(rename = "DOMAIN")]
    Domain,
    /// The empty string: no entity type.
    #[serde(rename = "")]
    Cleared,
    /// A text that the service once held and that the vendor's page does not list: only an undo sends it.
    #[serde(untagged)]
    Raw(String),
}

impl Label {
    /// The label as the service writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ip => "IP",
            Self::Account => "ACCOUNT",
            Self::Domain => "DOMAIN",
            Self::Cleared => "",
            Self::Raw(text) => text,
        }
    }

    /// The label that the service writes as `text`.
    pub fn held(text: &str) -> Self {
        [Self::Ip, Self::Account, Self::Domain, Self::Cleared]
            .into_iter()
            .find(|label| label.as_str() == text)
            .unwrap_or_else(|| Self::Raw(text.to_owned()))
    }

    /// The label called `text`, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ip, Self::Account, Self::Domain]
            .into_iter()
            .find(|label| label.as_str().eq_ignore_ascii_case(text))
    }
}

/// The longest name or description that a cell of a CSV may hold, in characters: the service shows no more.
pub const LONGEST_TEXT: usize = 1_024;

/// Which fields an update holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Those that change.
    #[default]
    Changed,
    /// All five, read just before: for a service that clears what an update leaves out.
    Full,
}

impl Sent {
    /// As they are written.
    pub const NAMES: [&'static str; 2] = ["changed", "full"];
}

impl FromStr for Sent {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "changed" => Ok(Self::Changed),
            "full" => Ok(Self::Full),
            _ => Err(format!(
                "an update holds the changed fields or the full set, not {text:?}"
            )),
        }
    }
}

/// What to set: a field that is `None` is left as it is and not sent.
///
/// Its JSON is the body of the update call, field for field (`ModifyAopWorkflowInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Update {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new description; the empty string clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the workflow is to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The version to activate; the service wants it whenever `enabled` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The new entity type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Label>,
}

impl Update {
    /// The wished value of `field`, written as an export writes it.
    pub fn value(&self, field: Field) -> Option<&str> {
        match field {
            Field::Name => self.name.as_deref(),
            Field::Description => self.description.as_deref(),
            Field::Enabled => self.enabled.map(|on| if on { "true" } else { "false" }),
            Field::VersionId => self.version_id.as_deref(),
            Field::Labels => self.labels.as_ref().map(Label::as_str),
        }
    }

    /// Sets `field` to `value`, written as the service holds it.
    pub fn set(&mut self, field: Field, value: impl Into<String>) {
        let value = value.into();
        match field {
            Field::Name => self.name = Some(value),
            Field::Description => self.description = Some(value),
            Field::Enabled => self.enabled = Some(value == "true"),
            Field::VersionId => self.version_id = Some(value),
            Field::Labels => self.labels = Some(Label::held(&value)),
        }
    }

    /// The fields that would be sent.
    pub fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        Field::ALL
            .into_iter()
            .filter(|field| self.value(*field).is_some())
    }

    /// Whether nothing would be sent.
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }

    /// This update, with `defaults` for the fields it leaves out.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        Self {
            name: self.name.or_else(|| defaults.name.clone()),
            description: self.description.or_else(|| defaults.description.clone()),
            enabled: self.enabled.or(defaults.enabled),
            version_id: self.version_id.or_else(|| defaults.version_id.clone()),
            labels: self.labels.or_else(|| defaults.labels.clone()),
        }
    }

    /// Whether `live` is already as wished.
    pub fn holds_in(&self, live: &Workflow) -> bool {
        self.fields()
            .all(|field| self.value(field) == Some(live.value(field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_holds_only_what_is_to_be_set() {
        let update = Update {
            name: Some("Triage".into()),
            description: Some(String::new()),
            labels: Some(Label::Ip),
            ..Update::default()
        };
        assert_eq!(
            serde_json::to_string(&update).unwrap(),
            r#"{"name":"Triage","description":"","labels":"IP"}"#
        );
        assert_eq!(serde_json::to_string(&Update::default()).unwrap(), "{}");
    }

    #[test]
    fn defaults_fill_what_a_row_leaves_out() {
        let row = Update {
            enabled: Some(false),
            ..Update::default()
        };
        let defaults = Update {
            enabled: Some(true),
            labels: Some(Label::Domain),
            ..Update::default()
        };
        let both = row.or(&defaults);
        assert_eq!(
            (both.enabled, both.labels),
            (Some(false), Some(Label::Domain))
        );
    }
}
