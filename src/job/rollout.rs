//! `[rollout]`: the rows of a job in waves, each looked at before the next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::span;
use crate::policy::budget::Most;

use super::desk::Desk;
use super::file::RolloutFile;
use super::problem::Place;
use super::toml::Located;

/// How the end of a wave is written, for hints.
pub const HINT: &str =
    "write numbers of rows or percentages that grow: waves = [1, \"5%\", \"100%\"]";

/// How a pause is written, for hints.
const PAUSE_HINT: &str = "write \"none\", \"confirm\", or how long to wait: \"10m\"";

/// The rows of a job in waves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Where each wave ends: so many rows, or such a share of them, from the first one on.
    pub ends: Vec<Most>,
    /// Whether what a wave has set is read back before the next.
    pub verify: bool,
    /// What happens between two waves.
    pub pause: Pause,
    /// How many rows of a wave may fail, or such a share of it, before the gate to the next is closed.
    pub max_errors: Most,
}

/// What happens between two waves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// The next one begins.
    None,
    /// Somebody is asked.
    Confirm,
    /// So much time passes.
    For(Duration),
}

/// A wave of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wave {
    /// The number of its last row.
    pub last: u64,
    /// Its stage, by its place; 0 where there are no stages.
    pub stage: usize,
    /// The how-manieth of its stage, from 1.
    pub number: u32,
    /// How many its stage has.
    pub of: u32,
}

/// Which rows are in which wave, over all stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waves(Vec<Wave>);

impl Rollout {
    /// Where the waves of so many rows end, counted from 1. A wave has a row at least; one that has none falls away.
    pub fn counts(&self, rows: u64) -> Vec<u64> {
        let mut counts: Vec<u64> = Vec::new();
        for end in &self.ends {
            let end = match end {
                Most::Count(count) => *count,
                // A share of a row is a row.
                Most::Percent(percent) => (rows as f64 * percent / 100.0).ceil() as u64,
            };
            let end = end.min(rows);
            if counts.last().is_none_or(|last| *last < end) && end > 0 {
                counts.push(end);
            }
        }
        counts
    }
}

impl Waves {
    /// Takes up the waves of `stage`, which end with the rows of these numbers; they grow.
    pub fn add(&mut self, stage: usize, ending: Vec<u64>) {
        let of = u32::try_from(ending.len()).unwrap_or(u32::MAX);
        let waves = (1..).zip(ending);
        self.0.extend(waves.map(|(number, last)| Wave {
            last,
            stage,
            number,
            of,
        }));
    }

    /// The wave `wave` of all, from 1.
    pub fn get(&self, wave: u32) -> Option<Wave> {
        self.0.get((wave as usize).checked_sub(1)?).copied()
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The wave of row `number` among all, from 1; the last one for whatever is beyond.
    pub fn of(&self, number: u64) -> u32 {
        let before = self.0.partition_point(|wave| wave.last < number);
        u32::try_from(before + 1)
            .unwrap_or(u32::MAX)
            .min(self.count())
    }
}

impl Desk<'_> {
    pub(super) fn rollout(&mut self, written: Option<RolloutFile>) -> Option<Rollout> {
        let written = written?;
        let mut ends: Vec<(Most, Place)> = Vec::new();
        for Located { value, span } in written.waves {
            let place = Place::Job(span);
            match parse(&value) {
                Some(end) if end != Most::Count(0) => ends.push((end, place)),
                Some(_) | None => self.wrong(place, "not the end of a wave", HINT),
            }
        }
        if ends.is_empty() {
            let all = (Most::Percent(100.0), Place::Job(written.span.clone()));
            ends = vec![
                (Most::Count(1), all.1.clone()),
                (Most::Percent(10.0), all.1.clone()),
                all,
            ];
        }
        self.check_order(&ends);
        let pause = written.pause.map(|pause| {
            let parsed = match pause.value.as_str() {
                "none" => Some(Pause::None),
                "confirm" => Some(Pause::Confirm),
                span => span::parse(span).ok().map(Pause::For),
            };
            parsed.unwrap_or_else(|| {
                self.wrong(pause.place(), "not a pause", PAUSE_HINT);
                Pause::None
            })
        });
        let max_errors = written.max_errors.map(|most| {
            parse(&most.value).unwrap_or_else(|| {
                self.wrong(
                    most.place(),
                    "not a number of errors",
                    "write a number, or a percentage: \"5%\"",
                );
                Most::Count(0)
            })
        });
        Some(Rollout {
            ends: ends.into_iter().map(|(end, _)| end).collect(),
            verify: written.verify.is_none_or(|verify| verify.value),
            pause: pause.unwrap_or(Pause::None),
            max_errors: max_errors.unwrap_or(Most::Count(0)),
        })
    }

    /// Waves grow, and the last one takes all.
    fn check_order(&mut self, ends: &[(Most, Place)]) {
        for pair in ends.windows(2) {
            let grows = match (pair[0].0, pair[1].0) {
                (Most::Count(a), Most::Count(b)) => a < b,
                (Most::Percent(a), Most::Percent(b)) => a < b,
                (Most::Percent(a), Most::Count(_)) => a < 100.0,
                (Most::Count(_), Most::Percent(_)) => true,
            };
            if !grows {
                let what = "a wave ends where the one before it ends, or sooner";
                self.wrong(pair[1].1.clone(), what, HINT);
            }
        }
        if let Some((last, place)) = ends.last()
            && *last != Most::Percent(100.0)
        {
            self.wrong(
                place.clone(),
                "the last wave does not take all rows",
                "let it be \"100%\", or say --limit for a part of them",
            );
        }
    }
}

/// `3` or `5%`; none beyond 100 %, and no end at nothing.
pub(super) fn parse(text: &str) -> Option<Most> {
    match text.trim().strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().ok()?;
            (percent > 0.0 && percent <= 100.0).then_some(Most::Percent(percent))
        }
        None => text.trim().parse().ok().map(Most::Count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(ends: &[Most]) -> Rollout {
        Rollout {
            ends: ends.to_vec(),
            verify: true,
            pause: Pause::None,
            max_errors: Most::Count(0),
        }
    }

    #[test]
    fn waves_are_cumulative_and_each_has_a_row() {
        let ends = [Most::Count(1), Most::Percent(5.0), Most::Percent(100.0)];
        let counts = |rows| rollout(&ends).counts(rows);
        assert_eq!(counts(300), [1, 15, 300]);
        // Five percent of them is less than a row.
        assert_eq!(counts(10), [1, 10]);
        assert_eq!(counts(30), [1, 2, 30]);
        assert_eq!(counts(1), [1]);
        assert_eq!(counts(0), Vec::<u64>::new());
    }

    #[test]
    fn a_row_is_in_the_wave_that_its_place_among_the_taken_ones_gives_it() {
        // The others were left out.
        let numbers = [4, 7, 8, 20, 21];
        let mut waves = Waves::default();
        waves.add(0, vec![4, 8, 21]);
        assert_eq!(waves.count(), 3);
        assert_eq!(numbers.map(|number| waves.of(number)), [1, 2, 2, 3, 3]);
        // Those of another stage come after them.
        waves.add(1, vec![22, 30]);
        let wave = waves.get(waves.of(23)).unwrap();
        assert_eq!((wave.stage, wave.number, wave.of), (1, 2, 2));
    }
}
