//! A change: field by field, from what was there to what is wished.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::field::Field;

/// The fields that change, each with what was there and what is to be there, as an export writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What was there.
    pub before: BTreeMap<Field, String>,
    /// What is to be there.
    pub after: BTreeMap<Field, String>,
}

impl Change {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.after.is_empty()
    }

    /// Takes up that `field` goes from `before` to `after`.
    pub fn note(&mut self, field: Field, before: &str, after: &str) {
        self.before
            .entry(field)
            .or_insert_with(|| before.to_owned());
        self.after.insert(field, after.to_owned());
    }

    /// The fields that change, each with what was there and what is to be there.
    pub fn fields(&self) -> impl Iterator<Item = (Field, &str, &str)> {
        self.after.iter().map(|(field, after)| {
            let before = self.before.get(field).map_or("", String::as_str);
            (*field, before, after.as_str())
        })
    }
}
