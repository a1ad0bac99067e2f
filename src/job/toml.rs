//! Reads tables of a job file with every problem at once.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever kind of TOML value is not the wanted one is told as that"
)]

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::span;

use super::expansion::{ExpansionFault, expand};
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::secret::belongs;
use super::suggestion::suggestion;

/// A value and the bytes of the file that it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

impl<T> Located<T> {
    /// Where it stands, for problems.
    pub fn place(&self) -> Place {
        Place::Job(self.span.clone())
    }
}

/// Reads tables; collects problems.
pub struct Reader<'a> {
    /// Where problems go.
    pub problems: &'a mut Problems,
    /// The environment, for `${NAME}`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// What is read.
    pub what: What,
}

/// Which file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A job file.
    Job,
    /// `profiles.toml`
    Profiles,
}

impl What {
    /// A secret does not belong there, but `instead`.
    fn refuse(self, instead: &str) -> (&'static str, String) {
        match self {
            Self::Job => (
                "a secret in a job file",
                format!("take it out and give it by {instead}"),
            ),
            Self::Profiles => (
                "a secret in profiles.toml",
                "take it out and name its place: credentials_file, token_file, env_prefix or command"
                    .to_owned(),
            ),
        }
    }
}

/// A table of the file.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    name: &'static str,
    table: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The table that is the whole file.
    pub fn root(table: &'a DeTable<'a>) -> Self {
        Self { name: "", table }
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    /// Where the value called `key` stands.
    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.get(key).map_or(0..0, Spanned::span)
    }

    /// The keys and where they stand.
    pub fn keys(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        self.table
            .iter()
            .map(|(key, _)| (&**key.get_ref(), key.span()))
    }
}

impl Reader<'_> {
    /// Notes a problem at `span`.
    pub fn wrong(&mut self, span: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        self.problems
            .push(Problem::new(Place::Job(span), what, hint));
    }

    /// Refuses the keys of `table` that are not in `known`, with a suggestion.
    pub fn only(&mut self, table: Table<'_>, known: &[&'static str]) {
        for (key, span) in table.keys() {
            if known.contains(&key) {
                continue;
            }
            let meant = suggestion(key, known.iter().copied());
            let misspelt = self.what == What::Profiles && meant.is_some();
            if let Some(instead) = belongs(key).filter(|_| !misspelt) {
                let (what, hint) = self.what.refuse(instead);
                self.wrong(span, what, hint);
                continue;
            }
            let what = match table.name {
                "" => format!("unknown key `{key}`"),
                name => format!("unknown key `{key}` in [{name}]"),
            };
            let hint = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.wrong(span, what, hint);
        }
    }

    /// The table called `key`.
    pub fn table<'a>(&mut self, table: Table<'a>, key: &'static str) -> Option<Table<'a>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Table { name: key, table }),
            other => {
                self.wrong_type(value.span(), other, &format!("a table: [{key}]"));
                None
            }
        }
    }

    /// The table called `key` in `table`, whatever it is called; `name` stands for it in problems.
    pub fn subtable<'a>(
        &mut self,
        table: Table<'a>,
        key: &str,
        name: &'static str,
    ) -> Option<Table<'a>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Table { name, table }),
            other => {
                self.wrong_type(value.span(), other, &format!("a table: [{name}.{key}]"));
                None
            }
        }
    }

    /// The tables of the array called `key`, each with the span of its header.
    pub fn tables<'a>(
        &mut self,
        table: Table<'a>,
        key: &'static str,
    ) -> Vec<(Table<'a>, Range<usize>)> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(value.span(), value.get_ref(), &format!("tables: [[{key}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push((Table { name: key, table }, item.span())),
                other => self.wrong_type(item.span(), other, &format!("tables: [[{key}]]")),
            }
        }
        tables
    }

    /// The string called `key`, with its variables replaced.
    pub fn string(&mut self, table: Table<'_>, key: &str) -> Option<Located<String>> {
        self.string_like(table, key, "write a string: \"...\"")
    }

    /// The string called `key`; `hint` says how it is written.
    fn string_like(&mut self, table: Table<'_>, key: &str, hint: &str) -> Option<Located<String>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => self.expanded(text, value.span()),
            other => {
                let what = format!("wrong type: {}", other.type_str());
                self.wrong(value.span(), what, hint);
                None
            }
        }
    }

    fn expanded(&mut self, text: &str, span: Range<usize>) -> Option<Located<String>> {
        match expand(text, self.env) {
            Ok(value) => Some(Located { value, span }),
            Err(fault) => {
                let hint = match &fault {
                    ExpansionFault::Unset(name) => {
                        format!(
                            "set it (export {name}=...), or write $${{{name}}} for the text itself"
                        )
                    }
                    ExpansionFault::Secret(_) => {
                        "a job is put on record word for word: leave it out".to_owned()
                    }
                    ExpansionFault::Open => "write $${ for the text itself".to_owned(),
                };
                self.wrong(span, fault.to_string(), hint);
                None
            }
        }
    }

    /// The cell that `key` writes: strings as they are (`""` sets the empty string), booleans as a CSV
    /// would have them.
    pub fn cell(&mut self, table: Table<'_>, key: &str) -> Option<Located<String>> {
        let value = table.get(key)?;
        let span = value.span();
        match value.get_ref() {
            DeValue::String(text) => self.expanded(text, span).map(|located| Located {
                value: match located.value.as_str() {
                    "" => super::cell::EMPTY.to_owned(),
                    // A cell of a CSV would lose an apostrophe that a string keeps.
                    text => crate::model::formula::guarded(text).into_owned(),
                },
                span: located.span,
            }),
            DeValue::Boolean(on) => Some(Located {
                value: on.to_string(),
                span,
            }),
            other => {
                self.wrong_type(span, other, "a string or true/false");
                None
            }
        }
    }

    /// The boolean called `key`.
    pub fn boolean(&mut self, table: Table<'_>, key: &str) -> Option<Located<bool>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(on) => Some(Located {
                value: *on,
                span: value.span(),
            }),
            other => {
                self.wrong_type(value.span(), other, "true or false");
                None
            }
        }
    }

    /// The whole number called `key`, at least `least`.
    pub fn number(&mut self, table: Table<'_>, key: &str, least: u64) -> Option<Located<u64>> {
        let value = table.get(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(value.span(), value.get_ref(), "a whole number");
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix());
        match parsed {
            Ok(parsed) if parsed >= least => Some(Located {
                value: parsed,
                span: value.span(),
            }),
            Ok(_) | Err(_) => {
                let what = format!("`{key}` is out of range");
                self.wrong(
                    value.span(),
                    what,
                    format!("write a whole number from {least}"),
                );
                None
            }
        }
    }

    /// The duration called `key`.
    pub fn duration(&mut self, table: Table<'_>, key: &str) -> Option<Located<Duration>> {
        let text = self.string_like(table, key, span::HINT)?;
        match span::parse(&text.value) {
            Ok(value) => Some(Located {
                value,
                span: text.span,
            }),
            Err(fault) => {
                self.wrong(text.span, fault.to_string(), span::HINT);
                None
            }
        }
    }

    /// The value called `key`, which is written as a string.
    pub fn parsed<T: FromStr<Err: ToString>>(
        &mut self,
        table: Table<'_>,
        key: &str,
        hint: &str,
    ) -> Option<Located<T>> {
        let text = self.string_like(table, key, hint)?;
        match text.value.parse() {
            Ok(value) => Some(Located {
                value,
                span: text.span,
            }),
            Err(fault) => {
                self.wrong(text.span, T::Err::to_string(&fault), hint);
                None
            }
        }
    }

    /// A value that may be a number or a string, as text; `hint` says how it is written.
    pub fn text_or_number(
        &mut self,
        table: Table<'_>,
        key: &str,
        hint: &str,
    ) -> Option<Located<String>> {
        match table.get(key)?.get_ref() {
            DeValue::Integer(number) => Some(Located {
                value: number.as_str().to_owned(),
                span: table.get(key)?.span(),
            }),
            _ => self.string_like(table, key, hint),
        }
    }

    /// The list called `key` of strings and whole numbers, as texts.
    pub fn texts_or_numbers(
        &mut self,
        table: Table<'_>,
        key: &str,
        hint: &str,
    ) -> Vec<Located<String>> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(value.span(), value.get_ref(), "a list: [...]");
            return Vec::new();
        };
        if array.is_empty() {
            self.wrong(value.span(), "an empty list".to_owned(), hint);
        }
        let mut texts = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.extend(self.expanded(text, item.span())),
                DeValue::Integer(number) => texts.push(Located {
                    value: number.as_str().to_owned(),
                    span: item.span(),
                }),
                other => {
                    let what = format!("wrong type: {}", other.type_str());
                    self.wrong(item.span(), what, hint);
                }
            }
        }
        texts
    }

    /// The strings or the one string called `key`.
    pub fn strings(&mut self, table: Table<'_>, key: &str) -> Vec<Located<String>> {
        let Some(value) = table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            return self.string(table, key).into_iter().collect();
        };
        let mut strings = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                DeValue::String(text) => strings.extend(self.expanded(text, item.span())),
                other => self.wrong_type(item.span(), other, "strings: [\"...\"]"),
            }
        }
        strings
    }

    /// Whether `key` is a list without anything in it.
    pub fn is_empty_list(&self, table: Table<'_>, key: &str) -> bool {
        let value = table.get(key).map(Spanned::get_ref);
        matches!(value, Some(DeValue::Array(array)) if array.is_empty())
    }

    /// The value called `key` as a share in `0..=1`.
    pub fn share(&mut self, table: Table<'_>, key: &str) -> Option<Located<f64>> {
        let value = table.get(key)?;
        let parsed = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        };
        match parsed.filter(|share| (0.0..=1.0).contains(share)) {
            Some(share) => Some(Located {
                value: share,
                span: value.span(),
            }),
            None => {
                self.wrong(
                    value.span(),
                    "not a share",
                    "write a number from 0 to 1: 0.05",
                );
                None
            }
        }
    }

    fn wrong_type(&mut self, span: Range<usize>, found: &DeValue<'_>, wanted: &str) {
        let what = format!("wrong type: {}", found.type_str());
        self.wrong(span, what, format!("write {wanted}"));
    }
}
