//! A job as it is put on record: enough to go on with its rows, and no secret.

use serde::{Deserialize, Serialize};

use crate::model::route::LaneFacts;
use crate::model::simulation::Simulation;

use super::census::Census;
use super::defaults::Defaults;
use super::destination::Destination;
use super::file::Method;
use super::intent::Job;
use super::rollout::Rollout;
use super::selection::Selection;
use super::settings::Settings;
use super::stage::Stage;

/// Of [`JobRecord`]; any other is refused.
pub const SCHEMA: u32 = 3;

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
    /// What its rows come from, if it is one file.
    pub input: Option<InputRecord>,
    /// The files that the user gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceRecord>,
    /// What its rows are, all in all.
    pub census: Census,
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
    /// What chose the rows from the live state, or completed them by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen_by: Vec<String>,
    /// Which rows are taken up.
    pub selection: Selection,
    /// How the simulator behaves, if it is the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
}

/// What the rows of a job come from, if it is one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// As given, or what it is for people.
    pub path: String,
    /// Of its bytes as they were read.
    pub sha256: String,
}

/// A file that the user gave, kept beside the rows that were made from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// As given.
    pub path: String,
    /// Of its bytes as they were read.
    pub sha256: String,
    /// The name of the file in the run folder that holds these bytes.
    pub file: String,
}

impl JobRecord {
    /// The job.
    pub fn job(self) -> Job {
        Job {
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
            settings: self.settings,
            rollout: self.rollout,
            stages: self.stages,
            defaults: self.defaults,
            chosen_by: self.chosen_by,
            selection: self.selection,
            simulation: self.simulation.unwrap_or_default(),
            warnings: Vec::new(),
        }
    }
}
