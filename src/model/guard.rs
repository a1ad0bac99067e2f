//! What a row expects to find before it changes anything.

use serde::{Deserialize, Serialize};

use super::field::Field;
use super::update::Update;
use super::workflow::Workflow;

/// The `expect_` cells of a row that are to be checked.
///
/// The service has no conditional update: the workflow is read immediately before its PUT, and
/// an edit between that read and that PUT cannot be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guards {
    /// Expected values by field, as an export writes them. Several of one field are alternatives.
    pub fields: Vec<(Field, String)>,
    /// The expected `update_time`, in the service's own notation.
    pub update_time: Option<String>,
}

/// What the live state says to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The guards hold and there is something to change.
    Differs,
    /// The live state is already as wished.
    AsWished,
    /// A guard does not hold: what was expected, and what is there.
    Conflict(String),
}

impl Guards {
    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.update_time.is_none()
    }

    /// What is expected of `field`, if anything is.
    pub fn value(&self, field: Field) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| *known == field)
            .map(|(_, expected)| expected.as_str())
    }

    /// Compares the live state with what is expected and wished.
    ///
    /// A field may hold the expected or already the wished value; anything else is somebody
    /// else's work, which must not be overwritten.
    pub fn check(&self, update: &Update, live: &Workflow) -> Finding {
        for (field, expected) in &self.fields {
            let found = live.value(*field);
            let mut others = self.fields.iter().filter(|(other, _)| other == field);
            let is_expected = others.any(|(_, expected)| same(found, expected));
            if !is_expected && update.value(*field) != Some(found) {
                return Finding::Conflict(format!("{field} is {found:?}, expected {expected:?}"));
            }
        }
        if update.holds_in(live) {
            return Finding::AsWished;
        }
        match &self.update_time {
            Some(expected) if *expected != live.update_time => Finding::Conflict(format!(
                "update_time is {:?}, expected {expected:?}",
                live.update_time
            )),
            Some(_) | None => Finding::Differs,
        }
    }
}

/// Equal but for line ends, which spreadsheets write their own way.
fn same(found: &str, expected: &str) -> bool {
    found == expected || found.replace("\r\n", "\n") == expected.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(name: &str, enabled: bool) -> Workflow {
        Workflow {
            name: name.into(),
            enabled,
            update_time: "t1".into(),
            ..Workflow::default()
        }
    }

    #[test]
    fn a_guard_lets_through_the_expected_and_the_wished_value_only() {
        let guards = Guards {
            fields: vec![(Field::Name, "old".into())],
            update_time: None,
        };
        let update = Update {
            name: Some("new".into()),
            ..Update::default()
        };
        assert_eq!(guards.check(&update, &live("old", true)), Finding::Differs);
        assert_eq!(guards.check(&update, &live("new", true)), Finding::AsWished);
        assert_eq!(
            guards.check(&update, &live("theirs", true)),
            Finding::Conflict(r#"name is "theirs", expected "old""#.into())
        );
    }

    #[test]
    fn several_values_of_one_field_are_alternatives() {
        let guards = Guards {
            fields: ["new", "new "]
                .map(|name| (Field::Name, name.to_owned()))
                .into(),
            update_time: None,
        };
        let update = Update {
            name: Some("old".into()),
            ..Update::default()
        };
        for name in ["new", "new "] {
            assert_eq!(guards.check(&update, &live(name, true)), Finding::Differs);
        }
        let found = guards.check(&update, &live("theirs", true));
        assert!(matches!(found, Finding::Conflict(_)), "{found:?}");
    }

    #[test]
    fn a_guard_on_a_field_without_a_wish_is_a_condition() {
        let guards = Guards {
            fields: vec![(Field::Name, "old".into())],
            update_time: None,
        };
        let update = Update {
            enabled: Some(false),
            ..Update::default()
        };
        assert_eq!(guards.check(&update, &live("old", true)), Finding::Differs);
        assert!(matches!(
            guards.check(&update, &live("x", false)),
            Finding::Conflict(_)
        ));
    }

    #[test]
    fn a_changed_update_time_is_a_conflict_unless_all_is_as_wished() {
        let guards = Guards {
            fields: vec![],
            update_time: Some("t0".into()),
        };
        let update = Update {
            enabled: Some(false),
            ..Update::default()
        };
        assert!(matches!(
            guards.check(&update, &live("x", true)),
            Finding::Conflict(_)
        ));
        assert_eq!(guards.check(&update, &live("x", false)), Finding::AsWished);
    }
}
