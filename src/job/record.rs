//! A job as it is put on record: enough to read its rows again and to go on with them, and no secret.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::model::route::LaneFacts;
use crate::model::simulation::Simulation;

use super::defaults::Defaults;
use super::destination::Destination;
use super::file::{Method, UpdateRecord, Written};
use super::intent::Job;
use super::rollout::Rollout;
use super::selection::Selection;
use super::settings::Settings;
use super::stage::Stage;
use super::table::Options;

/// Of [`JobRecord`]; any other is refused.
pub const SCHEMA: u32 = 2;

/// `job.json`: the job as understood.
#[derive(Debug, Serialize, Deserialize)]
pub struct JobRecord {
    /// Of this file.
    pub schema_version: u32,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The change ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The runs that it puts back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undoes: Vec<String>,
    /// Where the clock stands that the run stops by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Nothing leaves this machine.
    pub simulated: bool,
    /// Where rows go, and on whose behalf, in the order of the lanes' numbers.
    pub lanes: Vec<LaneFacts>,
    /// The CSV.
    pub input: Option<InputRecord>,
    /// How it goes.
    pub settings: Settings,
    /// Its waves, if its rows go in waves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Its stages, if its rows go in stages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
    /// Which kinds of credential are looked for.
    pub method: Method,
    /// What completes rows.
    pub defaults: Defaults,
    /// Rows of the job file itself.
    pub updates: Vec<UpdateRecord>,
    /// What chose the rows from the live state, or completed them by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen_by: Vec<String>,
    /// Which rows are taken up.
    pub selection: Selection,
    /// How the simulator behaves, if it is the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
}

/// The CSV of a job, whose bytes stand in `input.csv`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputRecord {
    /// As given.
    pub path: String,
    /// Of the original bytes.
    pub sha256: String,
    /// How it is read.
    pub options: Options,
    /// What stands there.
    #[serde(default)]
    pub form: Form,
    /// What it was made from, if it is no CSV itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub originals: Vec<Original>,
}

/// What the copy of an input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The CSV itself, as UTF-8: `input.csv`.
    #[default]
    Csv,
    /// Rows that leave nothing open: `input.jsonl`.
    Settled,
}

impl Form {
    /// The name of its file in a run folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "input.csv",
            Self::Settled => "input.jsonl",
        }
    }
}

/// The CSV that rows were made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// As given.
    pub path: String,
    /// Of the original bytes.
    pub sha256: String,
}

impl JobRecord {
    /// The name of the file in a run folder that holds its rows.
    pub fn input_file(&self) -> &'static str {
        let form = self.input.as_ref().map(|input| input.form);
        form.unwrap_or_default().file_name()
    }

    /// The job, and the rows of the job file.
    pub fn job(self) -> (Job, Rc<[Written]>) {
        let updates = self.updates.into_iter().map(Written::from);
        let job = Job {
            name: Some(self.name),
            description: self.description,
            undoes: self.undoes,
            time_zone: self.time_zone,
            hold: None,
            destination: match self.simulated {
                true => Destination::Simulator,
                false => Destination::Services,
            },
            method: self.method,
            wrong_region: None,
            settings: self.settings,
            rollout: self.rollout,
            stages: self.stages,
            stage_rows: Vec::new(),
            defaults: self.defaults,
            table: None,
            updates: Vec::new(),
            changes: Vec::new(),
            chosen_by: self.chosen_by,
            selection: self.selection,
            simulation: self.simulation.unwrap_or_default(),
            warnings: Vec::new(),
        };
        (job, updates.collect())
    }
}
