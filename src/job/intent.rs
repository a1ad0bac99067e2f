//! The job as meant: file, flags and environment put together.

use std::rc::Rc;

use crate::model::endpoint::Endpoint;
use crate::model::field::Field;
use crate::model::simulation::Simulation;
use crate::model::update::Update;

use super::column::Column;
use super::defaults::Defaults;
use super::desk::{Desk, Env};
use super::destination::Destination;
use super::draft::Draft;
use super::file::{File, Method, Written};
use super::flags::Flags;
use super::flags::Snapshot;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::profiles::Profiles;
use super::selection::{self, Only, Selection};
use super::settings::Settings;
use super::source::TableSource;
use super::suggestion::suggestion;
use super::way::Way;
use super::wish::read_update;

/// Where rows go that go to the simulator, before it has a port.
fn simulator_way() -> Option<Way> {
    let endpoint = Endpoint::parse("http://127.0.0.1").ok()?;
    Some(Way {
        endpoint,
        region: None,
        by_variable: false,
    })
}

/// A job as meant.
#[derive(Debug)]
pub struct Job {
    /// For people; the file's name where the job has none.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where it goes, as far as it is known before the rows are read.
    pub destination: Destination,
    /// `[auth] method`
    pub method: Method,
    /// What is wrong with the environment's region, should a row need it.
    pub wrong_region: Option<Problem>,
    /// How it goes.
    pub settings: Settings,
    /// What completes rows.
    pub defaults: Defaults,
    /// The CSV, if rows come from one.
    pub table: Option<TableSource>,
    /// `[[update]]`
    pub updates: Vec<Written>,
    /// Which rows are taken up.
    pub selection: Selection,
    /// How the simulator behaves, if it is the target.
    pub simulation: Simulation,
    /// What people should know although it is no problem.
    pub warnings: Vec<String>,
}

impl Job {
    /// Puts together what file, flags and environment say. `table_alone`: the job is a CSV.
    pub fn new(
        mut file: File,
        flags: &Flags,
        table_alone: bool,
        profiles: Rc<Profiles>,
        env: Env<'_>,
        problems: &mut Problems,
    ) -> Self {
        let mut desk = Desk {
            flags,
            env,
            problems,
            warnings: Vec::new(),
        };
        let simulated = desk.is_simulated(&file);
        let regions = desk.regions();
        let mut update = desk.set_flags();
        if let Some(defaults) = &file.defaults {
            update = update.or(&read_update(defaults, desk.problems));
        }
        let (environment, wrong_region) = desk.environment_target(simulated, &regions);
        let mut defaults = Defaults {
            flags: desk.flag_level(&regions, &profiles),
            job: desk.job_level(&file, &regions, &profiles),
            environment,
            project_variable: desk.project_variable(simulated),
            simulator: simulated.then(simulator_way).flatten(),
            profiles,
            regions: Rc::new(regions),
            update,
            is_blind: desk.flags.snapshot == Some(Snapshot::Off),
            ..Defaults::default()
        };
        defaults.told = desk.told(&file, &defaults);
        desk.compare_target(&defaults);
        let table = desk.table(file.rows.take(), table_alone);
        let updates = std::mem::take(&mut file.updates);
        Self {
            name: file.name.take().map(|name| name.value),
            description: file.description.take().map(|text| text.value),
            settings: desk.settings(&file.limits),
            selection: desk.selection(),
            simulation: desk.simulation(&file.simulator, simulated),
            warnings: desk.warnings,
            destination: match simulated {
                true => Destination::Simulator,
                false => Destination::Services,
            },
            method: file.method,
            wrong_region,
            defaults,
            table,
            updates,
        }
    }
}

impl Desk<'_> {
    fn set_flags(&mut self) -> Update {
        let mut update = Update::default();
        for set in &self.flags.set {
            let place = Place::Flag(format!("--set {set}"));
            let Some((field, value)) = set.split_once('=') else {
                self.wrong(place, "not FIELD=VALUE", "write --set enabled=true");
                continue;
            };
            let plain = field.trim().to_ascii_lowercase().replace('-', "_");
            let plain = if plain == "label" {
                "labels".to_owned()
            } else {
                plain
            };
            let Some(field) = Field::from_name(&plain) else {
                let names = Field::ALL.map(Field::as_str);
                let hint = match suggestion(&plain, names) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("fields: {}", names.join(", ")),
                };
                self.wrong(place, "no such field", hint);
                continue;
            };
            if value.is_empty() {
                let hint = "write <empty> to set the empty string";
                self.wrong(place, "the value is empty", hint);
                continue;
            }
            if update.value(field).is_some() {
                let hint = "say each field once";
                self.wrong(place, format!("--set {field} is said twice"), hint);
                continue;
            }
            let draft = One {
                column: Column::Wish(field),
                value,
                place,
            };
            update = read_update(&draft, self.problems).or(&update);
        }
        update
    }

    fn selection(&mut self) -> Selection {
        let mut only = Vec::new();
        for text in &self.flags.only {
            match Only::parse(text) {
                Some(parsed) => only.push(parsed),
                None => {
                    let place = Place::Flag(format!("--only {text}"));
                    self.wrong(place, "not a selection of rows", selection::HINT);
                }
            }
        }
        let limit = self.flag_number("--limit", self.flags.limit.as_deref(), 1);
        Selection { only, limit }
    }
}

/// One cell alone, as `--set` gives it.
struct One<'a> {
    column: Column,
    value: &'a str,
    place: Place,
}

impl Draft for One<'_> {
    fn cell(&self, column: Column) -> Option<&str> {
        (column == self.column).then_some(self.value)
    }
    fn place(&self, _: Column) -> Place {
        self.place.clone()
    }
    fn whole(&self) -> Place {
        self.place.clone()
    }
    fn line(&self) -> u64 {
        0
    }
}
