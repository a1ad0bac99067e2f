//! `[rollout]`: the rows of a job in waves, each looked at before the next.

use std::collections::{BTreeSet, HashMap};
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
    /// Whether the job says where its waves end; else rows may.
    #[serde(default)]
    pub says_waves: bool,
    /// In which order rows come into waves.
    #[serde(default)]
    pub order: Order,
}

/// In which order rows come into waves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they stand.
    #[default]
    Input,
    /// All of one workspace, then all of the next one; the workspaces as they come first.
    ByWorkspace,
}

impl Order {
    /// As they are written.
    pub const NAMES: [&'static str; 2] = ["input", "by-workspace"];

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "input" => Self::Input,
            "by-workspace" => Self::ByWorkspace,
            _ => return None,
        })
    }
}

/// A row that is taken up, as far as its wave depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its number.
    pub number: u64,
    /// The wave that it asks for.
    pub wave: Option<u32>,
    /// Its workspace, as the how-manieth of those that rows go to.
    pub workspace: u32,
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
    /// Its stage, by its place; 0 where there are no stages.
    pub stage: usize,
    /// The how-manieth of its stage, from 1.
    pub number: u32,
    /// How many its stage has.
    pub of: u32,
}

/// Which rows are in which wave, over all stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waves {
    all: Vec<Wave>,
    /// By the row's number, from 1: its wave among all, from 1; 0 for one that is not taken up.
    of: Vec<u32>,
    /// How many rows each holds.
    rows: Vec<u64>,
}

impl Rollout {
    /// Where the waves of so many rows end, counted from 1. A wave has a row at least; one that has none falls away.
    fn counts(&self, rows: u64) -> Vec<u64> {
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

    /// The wave of each of `rows`, from 1, and how many there are.
    fn assign(&self, rows: &[Placed]) -> (Vec<u32>, u32) {
        if !self.says_waves && rows.iter().any(|row| row.wave.is_some()) {
            let asked: BTreeSet<u32> = rows.iter().filter_map(|row| row.wave).collect();
            let place: HashMap<u32, u32> = asked.into_iter().zip(1..).collect();
            // Who asks for none comes after all.
            let last = u32::try_from(place.len() + 1).unwrap_or(u32::MAX);
            let wave = |row: &Placed| row.wave.and_then(|wave| place.get(&wave));
            let waves: Vec<_> = rows.iter().map(|row| *wave(row).unwrap_or(&last)).collect();
            let count = waves.iter().copied().max().unwrap_or_default();
            return (waves, count);
        }
        let mut order: Vec<usize> = (0..rows.len()).collect();
        match self.order {
            Order::Input => {}
            Order::ByWorkspace => order.sort_by_key(|row| rows[*row].workspace),
        }
        let ends = self.counts(rows.len() as u64);
        let mut waves = vec![0; rows.len()];
        for (position, row) in order.into_iter().enumerate() {
            let before = ends.partition_point(|end| *end <= position as u64);
            waves[row] = u32::try_from(before + 1).unwrap_or(u32::MAX);
        }
        (waves, u32::try_from(ends.len()).unwrap_or(u32::MAX))
    }
}

impl Waves {
    /// Takes up the waves of `stage`, whose `rows` that are taken up go by `rollout`.
    pub fn add(&mut self, stage: usize, rollout: &Rollout, rows: &[Placed]) {
        let (waves, of) = rollout.assign(rows);
        let before = self.count();
        self.rows.resize((before + of) as usize, 0);
        for (row, wave) in rows.iter().zip(waves) {
            let number = usize::try_from(row.number).unwrap_or(usize::MAX);
            if self.of.len() < number {
                self.of.resize(number, 0);
            }
            self.of[number - 1] = before + wave;
            if let Some(rows) = self.rows.get_mut((before + wave) as usize - 1) {
                *rows += 1;
            }
        }
        self.all
            .extend((1..=of).map(|number| Wave { stage, number, of }));
    }

    /// The wave `wave` of all, from 1.
    pub fn get(&self, wave: u32) -> Option<Wave> {
        self.all.get((wave as usize).checked_sub(1)?).copied()
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    /// How many rows the wave `wave` of all holds: all that are taken up and stand in it.
    pub fn rows(&self, wave: u32) -> u64 {
        let place = (wave as usize).checked_sub(1);
        let rows = place.and_then(|place| self.rows.get(place));
        rows.copied().unwrap_or_default()
    }

    /// The wave of row `number` among all, from 1; 0 for a row that is in none.
    pub fn of(&self, number: u64) -> u32 {
        let place = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let wave = place.and_then(|place| self.of.get(place));
        wave.copied().unwrap_or_default()
    }
}

impl Desk<'_> {
    pub(super) fn rollout(&mut self, written: Option<RolloutFile>) -> Option<Rollout> {
        let written = written?;
        let says_waves = !written.waves.is_empty();
        let order = written.order.map(|order| {
            Order::parse(&order.value).unwrap_or_else(|| {
                let hint = format!("there are {}", Order::NAMES.join(" and "));
                self.wrong(order.place(), "no such order", hint);
                Order::Input
            })
        });
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
            says_waves,
            order: order.unwrap_or_default(),
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
            says_waves: true,
            order: Order::Input,
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

    fn placed(number: u64, wave: Option<u32>, workspace: u32) -> Placed {
        Placed {
            number,
            wave,
            workspace,
        }
    }

    #[test]
    fn a_row_is_in_the_wave_that_its_place_among_the_taken_ones_gives_it() {
        // The others were left out.
        let numbers = [4, 7, 8, 20, 21];
        let rows = numbers.map(|number| placed(number, None, 0));
        let ends = [Most::Count(1), Most::Count(3), Most::Percent(100.0)];
        let mut waves = Waves::default();
        waves.add(0, &rollout(&ends), &rows);
        assert_eq!(waves.count(), 3);
        assert_eq!(numbers.map(|number| waves.of(number)), [1, 2, 2, 3, 3]);
        assert_eq!((waves.of(5), waves.of(22)), (0, 0));
        assert_eq!([1, 2, 3, 4].map(|wave| waves.rows(wave)), [1, 2, 2, 0]);
        // Those of another stage come after them.
        let ends = [Most::Count(1), Most::Percent(100.0)];
        waves.add(
            1,
            &rollout(&ends),
            &[22, 30].map(|number| placed(number, None, 0)),
        );
        let wave = waves.get(waves.of(30)).unwrap();
        assert_eq!((wave.stage, wave.number, wave.of), (1, 2, 2));
    }

    #[test]
    fn workspaces_go_one_after_the_other_if_they_are_to() {
        let rollout = Rollout {
            order: Order::ByWorkspace,
            ..rollout(&[Most::Count(2), Most::Percent(100.0)])
        };
        let rows = [(1, 0), (2, 1), (3, 0), (4, 1)];
        let rows = rows.map(|(number, workspace)| placed(number, None, workspace));
        assert_eq!(rollout.assign(&rows).0, [1, 2, 1, 2]);
    }

    #[test]
    fn rows_may_say_their_waves_where_the_job_does_not() {
        let rows = [Some(20), None, Some(3), Some(20)];
        let rows: Vec<_> = (1..)
            .zip(rows)
            .map(|(number, wave)| placed(number, wave, 0))
            .collect();
        let by_rows = Rollout {
            says_waves: false,
            ..rollout(&[Most::Percent(100.0)])
        };
        assert_eq!(by_rows.assign(&rows), (vec![2, 3, 1, 2], 3));
        assert_eq!(rollout(&[Most::Percent(100.0)]).assign(&rows).1, 1);
    }
}
