//! When there are too many errors to go on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many errors a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Most {
    /// A number: 3 stops on the fourth.
    Count(u64),
    /// A share of the rows that have ended, in percent.
    Percent(f64),
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// How a limit on errors is written, for hints.
pub const HINT: &str = "write 3, which stops on the fourth, or \"10%\"";

/// The rule of `[stop]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// How many.
    pub max_errors: Most,
    /// A share counts only once this many rows have ended.
    pub min_rows: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            max_errors: Most::Percent(10.0),
            min_rows: 20,
        }
    }
}

impl Budget {
    /// Why the run must stop, if it must: `errors` of the `ended` rows that were not unchanged.
    pub fn exceeded(&self, errors: u64, ended: u64) -> Option<String> {
        match self.max_errors {
            Most::Count(most) if errors > most => {
                let plural = if errors == 1 { "error" } else { "errors" };
                Some(format!("{errors} {plural}, max_errors = {most}"))
            }
            Most::Percent(most)
                if ended >= self.min_rows && errors as f64 * 100.0 > most * ended as f64 =>
            {
                Some(format!(
                    "{errors} of {ended} rows are errors, max_errors = \"{most}%\""
                ))
            }
            Most::Count(_) | Most::Percent(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_stops_on_the_fourth() {
        let budget = Budget {
            max_errors: Most::Count(3),
            min_rows: 20,
        };
        assert_eq!(budget.exceeded(3, 3), None);
        assert_eq!(
            budget.exceeded(4, 4).as_deref(),
            Some("4 errors, max_errors = 3")
        );
        let none = Budget {
            max_errors: Most::Count(0),
            min_rows: 20,
        };
        assert!(none.exceeded(1, 1).is_some());
    }

    #[test]
    fn a_share_counts_once_enough_rows_have_ended() {
        let budget = Budget::default();
        assert_eq!(budget.exceeded(19, 19), None);
        assert_eq!(budget.exceeded(2, 20), None);
        assert_eq!(
            budget.exceeded(3, 20).as_deref(),
            Some("3 of 20 rows are errors, max_errors = \"10%\"")
        );
    }
}
