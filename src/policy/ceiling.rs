//! When a plan changes too much to be carried out.

use serde::{Deserialize, Serialize};

use crate::model::event::Counts;

use super::budget::Most;

/// What a plan may come to. Percentages are of the workflows that live in the workspaces which it touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ceilings {
    /// Workflows that change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_changes: Option<Most>,
    /// Workflows that are disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_disables: Option<Most>,
    /// Whether nobody said the latter: it is that of a job which chooses its rows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_implied: bool,
}

impl Ceilings {
    /// Whether there is any.
    pub fn is_set(&self) -> bool {
        self.max_changes.is_some() || self.max_disables.is_some()
    }

    /// Whether any is a share of what lives in the workspaces.
    pub fn wants_totals(&self) -> bool {
        let share = |most: Option<Most>| matches!(most, Some(Most::Percent(_)));
        share(self.max_changes) || share(self.max_disables)
    }

    /// Why a plan that comes to `counts` must not be carried out, if it must not.
    pub fn exceeded(&self, counts: &Counts) -> Option<String> {
        let checks = [
            (self.max_changes, counts.changes, "max_changes", "to change"),
            (
                self.max_disables,
                counts.disables,
                "max_disables",
                "to be disabled",
            ),
        ];
        let told = checks.into_iter().find_map(|(most, count, key, what)| {
            match most? {
                Most::Count(most) if count > most => {
                    Some(format!("{count} workflows are {what}, {key} = {most}"))
                }
                Most::Percent(most) if count > 0 => match counts.living {
                    Some(living) if count as f64 * 100.0 > most * living as f64 => Some(format!(
                        "{count} of the {living} workflows there are {what}, {key} = \"{most}%\""
                    )),
                    Some(_) => None,
                    None => Some(format!(
                        "{key} = \"{most}%\" is a share of the workflows there, and not all workspaces \
                         could be listed: give a number"
                    )),
                },
                Most::Count(_) | Most::Percent(_) => None,
            }
        });
        let is_implied = self.is_implied && self.max_changes.is_none();
        told.map(|why| match is_implied {
            true => format!(
                "{why}, which holds for a job with [[change]] that does not say otherwise: if it is meant, --max-disables {}",
                counts.disables
            ),
            false => why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_of_three_holds_back_the_fourth_and_a_percentage_is_of_what_lives_there() {
        let counts = |changes, disables| Counts {
            changes,
            disables,
            living: Some(40),
            ..Counts::default()
        };
        let ceilings = Ceilings {
            max_changes: Some(Most::Percent(50.0)),
            max_disables: Some(Most::Count(3)),
            is_implied: false,
        };
        assert_eq!(ceilings.exceeded(&counts(20, 3)), None);
        assert_eq!(
            ceilings.exceeded(&counts(21, 0)).as_deref(),
            Some("21 of the 40 workflows there are to change, max_changes = \"50%\"")
        );
        assert_eq!(
            ceilings.exceeded(&counts(4, 4)).as_deref(),
            Some("4 workflows are to be disabled, max_disables = 3")
        );
    }
}
