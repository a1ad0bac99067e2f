//! `[[stage]]`: ordered parts of a job, each with rows of its own.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::rate::{self, Rate};
use crate::model::update::Update;
use crate::policy::budget::{self, Most};

use super::change::Change;
use super::desk::Desk;
use super::file::{RolloutFile, RowsFile, Written};
use super::keys;
use super::line_starts::LineStarts;
use super::problem::Place;
use super::rollout::{self, Order, Pause, Rollout};
use super::source::TableSource;
use super::suggestion::suggestion;
use super::template::Template;
use super::toml::{Located, Reader, Table};

/// How the stages that a stage needs are to have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All of them well.
    #[default]
    Succeeded,
    /// One of them not well.
    Failed,
    /// However.
    Always,
}

impl When {
    /// As they are written.
    pub const NAMES: [&'static str; 3] = ["succeeded", "failed", "always"];

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "always" => Self::Always,
            _ => return None,
        })
    }
}

/// An ordered part of a job, without its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// What it is called.
    pub name: String,
    /// Those whose end it looks at, by their places.
    pub needs: Vec<usize>,
    /// How they are to have ended.
    pub when: When,
    /// Its waves; one, where it says nothing of them.
    pub rollout: Rollout,
    /// So many of its rows, in all waves, may end without what they wished; none: what its waves allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<Most>,
    /// Its own rate, within that of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// So many requests of it in flight, within those of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// The number of its last row; 0 until that is known.
    #[serde(default)]
    pub last: u64,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage {:?}", self.name)
    }
}

/// The stage of row `number` among `stages`, by its place; none where there are no stages.
pub fn stage_of(stages: &[Stage], number: u64) -> Option<usize> {
    let before = stages.partition_point(|stage| stage.last < number);
    (!stages.is_empty()).then(|| before.min(stages.len() - 1))
}

/// What the rows of a stage come from, before they are read.
#[derive(Debug)]
pub struct StageRows {
    /// For the fields that its rows leave out.
    pub update: Update,
    /// The same, worked out by the live state.
    pub templates: Vec<Template>,
    /// Its CSV, if it has one.
    pub table: Option<TableSource>,
    /// `[[stage.update]]`
    pub updates: Vec<Written>,
}

/// `[[stage]]` as written.
#[derive(Debug)]
pub struct StageFile {
    /// `name`
    pub name: Option<Located<String>>,
    /// `needs`
    pub needs: Option<Vec<Located<String>>>,
    /// `when`
    pub when: Option<Located<String>>,
    /// `max_errors`
    pub max_errors: Option<Located<String>>,
    /// `rate`
    pub rate: Option<Located<Rate>>,
    /// `concurrency`
    pub concurrency: Option<Located<u64>>,
    /// `[stage.rollout]`
    pub rollout: Option<RolloutFile>,
    /// `[stage.defaults]`
    pub defaults: Option<Written>,
    /// `[stage.rows]`
    pub rows: Option<RowsFile>,
    /// `[[stage.update]]`
    pub updates: Vec<Written>,
    /// `[[stage.change]]`
    pub changes: Vec<Change>,
    /// Where the table stands.
    pub place: Place,
}

impl Reader<'_> {
    /// The `[[stage]]` tables of a job file with these lines.
    pub fn read_stages(&mut self, root: Table<'_>, lines: &LineStarts) -> Vec<StageFile> {
        let tables = self.tables(root, "stage");
        let stages = tables.into_iter().map(|(table, span)| {
            self.only(table, &keys::names(&keys::stage()));
            let names_needs = table.keys().any(|(key, _)| key == "needs");
            StageFile {
                name: self.string(table, "name"),
                needs: names_needs.then(|| self.strings(table, "needs")),
                when: self.string(table, "when"),
                max_errors: self.text_or_number(table, "max_errors", budget::HINT),
                rate: self.parsed(table, "rate", rate::OWN_HINT),
                concurrency: self.number(table, "concurrency", 1),
                rollout: self.read_rollout(table),
                defaults: self.read_defaults(table, lines),
                rows: self.read_rows(table),
                updates: self.read_updates(table, lines),
                changes: self.read_changes(table, lines),
                place: Place::Job(span),
            }
        });
        stages.collect()
    }
}

/// A stage of which everything is known but its rows.
pub struct Staged {
    /// The stage.
    pub stage: Stage,
    /// Where its rows come from.
    pub rows: StageRows,
    /// `[[stage.change]]`
    pub changes: Vec<Change>,
}

impl Desk<'_> {
    /// The stages as meant; the command line says `by_flags` for all rows, the job file `defaults`.
    pub(super) fn stages(
        &mut self,
        written: Vec<StageFile>,
        by_flags: &(Update, Vec<Template>),
        defaults: Option<&Written>,
    ) -> Vec<Staged> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut stages = Vec::new();
        for (index, stage) in written.into_iter().enumerate() {
            let name = self.stage_name(&stage, &places);
            let needs = self.stage_needs(&stage, index, &places);
            places.insert(name.clone(), index);
            let when = stage.when.as_ref().map(|when| {
                When::parse(&when.value).unwrap_or_else(|| {
                    let hint = format!("there are {}", When::NAMES.join(", "));
                    self.wrong(when.place(), "no such condition", hint);
                    When::default()
                })
            });
            if let (Some(when), true) = (&stage.when, needs.is_empty()) {
                let hint = "leave it out, or say which stages it needs";
                self.wrong(when.place(), "when looks at no stage", hint);
            }
            let max_errors = stage.max_errors.as_ref().map(|most| {
                rollout::parse(&most.value).unwrap_or_else(|| {
                    self.wrong(most.place(), "not a number of errors", budget::HINT);
                    Most::Count(0)
                })
            });
            self.ceiling("concurrency", None, &stage.concurrency, 1_024);
            let is_said = stage
                .rollout
                .as_ref()
                .is_some_and(|rollout| rollout.max_errors.is_some());
            let whole = Rollout {
                ends: vec![Most::Percent(100.0)],
                verify: false,
                pause: Pause::None,
                max_errors: max_errors.unwrap_or(Most::Count(0)),
                // A stage without waves has one, whatever its rows say.
                says_waves: true,
                order: Order::Input,
            };
            let rollout = match self.rollout(stage.rollout) {
                Some(rollout) if is_said => rollout,
                Some(rollout) => Rollout {
                    max_errors: whole.max_errors,
                    ..rollout
                },
                None => whole,
            };
            // The command line goes before the stage, and the stage before the job.
            let (mut update, mut templates) = (by_flags.0.clone(), by_flags.1.clone());
            if let Some(defaults) = &stage.defaults {
                update = self.complete(update, &mut templates, defaults);
            }
            if let Some(defaults) = defaults {
                // What is wrong with them has been told.
                let told = std::mem::take(self.problems);
                update = self.complete(update, &mut templates, defaults);
                *self.problems = told;
            }
            self.check_changes(&stage.changes, !update.is_empty() || !templates.is_empty());
            if stage.rows.is_none() && stage.updates.is_empty() && stage.changes.is_empty() {
                let hint =
                    "add [[stage.update]] or [[stage.change]], or [stage.rows] file = \"rows.csv\"";
                self.wrong(stage.place, "the stage has no rows", hint);
            }
            stages.push(Staged {
                stage: Stage {
                    name,
                    needs,
                    max_errors,
                    when: when.unwrap_or_default(),
                    rate: stage.rate.map(|rate| rate.value),
                    concurrency: stage
                        .concurrency
                        .and_then(|number| usize::try_from(number.value).ok()),
                    rollout,
                    last: 0,
                },
                rows: StageRows {
                    update,
                    templates,
                    table: self.table(stage.rows, false),
                    updates: stage.updates,
                },
                changes: stage.changes,
            });
        }
        stages
    }

    fn stage_name(&mut self, stage: &StageFile, places: &HashMap<String, usize>) -> String {
        let Some(name) = &stage.name else {
            let hint = "write name = \"disable the old ones\"";
            self.wrong(stage.place.clone(), "the stage has no name", hint);
            return String::new();
        };
        if name.value.trim().is_empty() || name.value.chars().any(char::is_control) {
            self.wrong(name.place(), "not a name", "write a few words");
        } else if places.contains_key(&name.value) {
            let what = format!("two stages are called {:?}", name.value);
            self.wrong(name.place(), what, "give each its own name");
        }
        name.value.clone()
    }

    fn stage_needs(
        &mut self,
        stage: &StageFile,
        index: usize,
        places: &HashMap<String, usize>,
    ) -> Vec<usize> {
        let Some(needs) = &stage.needs else {
            return index.checked_sub(1).into_iter().collect();
        };
        let mut found = Vec::new();
        for need in needs {
            match places.get(&need.value) {
                Some(place) => found.push(*place),
                None => {
                    let what = format!("no stage before this one is called {:?}", need.value);
                    let hint = match suggestion(&need.value, places.keys().map(String::as_str)) {
                        Some(meant) => format!("did you mean {meant:?}?"),
                        None => "stages go in the order in which they stand".to_owned(),
                    };
                    self.wrong(need.place(), what, hint);
                }
            }
        }
        found
    }
}
