//! Where file, flags and environment are put together, and where their problems go.

use std::time::Duration;

use crate::model::span;

use super::flags::Flags;
use super::problem::{Place, Problem};
use super::problems::Problems;

/// The environment, for reading.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) struct Desk<'a> {
    pub(super) flags: &'a Flags,
    pub(super) env: Env<'a>,
    pub(super) problems: &'a mut Problems,
    pub(super) warnings: Vec<String>,
}

impl Desk<'_> {
    pub(super) fn wrong(&mut self, place: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(place, what, hint));
    }

    pub(super) fn flag<T>(
        &mut self,
        name: &str,
        text: Option<&str>,
        hint: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = text?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.wrong(Place::Flag(format!("{name} {text}")), what, hint);
                None
            }
        }
    }

    pub(super) fn flag_number(
        &mut self,
        name: &str,
        text: Option<&str>,
        least: u64,
    ) -> Option<u64> {
        let hint = format!("write a whole number from {least}");
        self.flag(name, text, &hint, |text| match text.trim().parse() {
            Ok(number) if number >= least => Ok(number),
            Ok(_) | Err(_) => Err("the number is out of range".to_owned()),
        })
    }

    pub(super) fn flag_span(&mut self, name: &str, text: Option<&str>) -> Option<Duration> {
        self.flag(name, text, span::HINT, |text| {
            span::parse(text).map_err(|fault| fault.to_string())
        })
    }
}
