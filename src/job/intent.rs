//! The job as meant: file, flags and environment put together.

use std::num::NonZeroU32;
use std::time::Duration;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use crate::model::endpoint::{self, Endpoint};
use crate::model::id::Id;
use crate::model::rate::{self, Per, Rate};
use crate::model::region::{self, REGIONS};
use crate::model::simulation::Simulation;
use crate::model::span;
use crate::model::update::{Field, Update};
use crate::policy::budget::{self, Budget, MaxErrors};
use crate::policy::retry::Retry;

use super::column::{Column, suggestion};
use super::encoding;
use super::file::{File, Limits, RowsFile, Simulator, Written};
use super::flags::Flags;
use super::problem::{Place, Problem, Problems};
use super::selection::{self, Only, Selection};
use super::table::Options;
use super::toml::Located;
use super::wish::{Defaults, Draft, Region, Target, read_update};

/// The project that the simulator has where none is named.
pub const SIMULATED_PROJECT: &str = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
/// The workspace that the simulator has where none is named.
pub const SIMULATED_WORKSPACE: &str = "909494e3-558e-46b6-a9eb-07a8e18ca621";

/// A job as meant.
#[derive(Debug)]
pub struct Job {
    /// For people; the file's name where the job has none.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where it goes, as far as it is known before the rows are read.
    pub destination: Destination,
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

/// Where a job goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The simulator.
    Simulator,
    /// A service.
    Service {
        /// Its endpoint.
        endpoint: Endpoint,
        /// The region that named it.
        region: Option<String>,
    },
    /// The rows, or else the environment, name the region.
    Open {
        /// Of the environment.
        region: Option<String>,
    },
    /// What is written is no target; the problem has been told.
    Wrong,
}

/// The CSV that rows come from.
#[derive(Clone, Debug)]
pub struct TableSource {
    /// Its path as written; `None` is the job itself (a CSV alone, or standard input).
    pub file: Option<Located<String>>,
    /// The encoding that was told.
    pub encoding: Option<&'static Encoding>,
    /// How it is read.
    pub options: Options,
}

/// How a job goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Requests in flight.
    pub concurrency: usize,
    /// How fast requests may leave.
    pub rate: Rate,
    /// Requests that may leave at once after a quiet time.
    pub burst: NonZeroU32,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long the run may take.
    pub deadline: Option<Duration>,
    /// Attempts per row.
    pub max_attempts: u32,
    /// The first delay.
    pub initial_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// How long nothing may be admitted.
    pub patience: Duration,
    /// How many errors there may be.
    pub stop: Budget,
}

impl Default for Settings {
    /// Gentle, because the service publishes no limits.
    fn default() -> Self {
        const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
        Self {
            concurrency: 8,
            rate: Rate::new(FIVE, Per::Second),
            burst: NonZeroU32::MIN,
            timeout: Duration::from_secs(30),
            deadline: None,
            max_attempts: 5,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            patience: Duration::from_secs(600),
            stop: Budget::default(),
        }
    }
}

impl Settings {
    /// How rows are tried again.
    pub fn retry(&self) -> Retry {
        Retry {
            max_attempts: self.max_attempts,
            initial_delay: self.initial_delay,
            max_delay: self.max_delay,
        }
    }
}

/// The environment, for reading.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Job {
    /// Puts together what file, flags and environment say. `table_alone`: the job is a CSV.
    pub fn new(
        mut file: File,
        flags: &Flags,
        table_alone: bool,
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
        let destination = desk.destination(&file, simulated);
        let mut update = desk.set_flags();
        if let Some(defaults) = &file.defaults {
            update = update.or(&read_update(defaults, desk.problems));
        }
        let defaults = Defaults {
            flags: Target {
                project_id: desk.flag_id("--project-id", flags.project_id.as_deref()),
                workspace_id: desk.flag_id("--workspace-id", flags.workspace_id.as_deref()),
            },
            job: Target {
                project_id: desk.located_id(file.target.project_id.as_ref()),
                workspace_id: desk.located_id(file.target.workspace_id.as_ref()),
            },
            environment: desk.environment_target(simulated),
            region: match &destination {
                Destination::Simulator => Region::Anywhere,
                Destination::Service { region: None, .. } => Region::Endpoint,
                Destination::Service {
                    region: Some(region),
                    ..
                } => {
                    let who = if flags.region.is_some() {
                        "--region"
                    } else {
                        "the job"
                    };
                    Region::Named(region.clone(), who)
                }
                Destination::Open { .. } => Region::Open,
                Destination::Wrong => Region::Anywhere,
            },
            update,
        };
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
            destination,
            defaults,
            table,
            updates,
        }
    }
}

/// The endpoint of `region`, or a hint at what was meant.
///
/// # Errors
/// The hint, if there is no such region.
pub fn region_endpoint(region: &str) -> Result<Endpoint, String> {
    match region::endpoint(region).map(|url| Endpoint::parse(&url)) {
        Some(Ok(endpoint)) => Ok(endpoint),
        Some(Err(_)) | None => Err(match suggestion(region, REGIONS) {
            Some(meant) => format!("did you mean {meant}? Regions: {}", REGIONS.join(", ")),
            None => format!(
                "regions: {}; for another one give its endpoint",
                REGIONS.join(", ")
            ),
        }),
    }
}

struct Desk<'a> {
    flags: &'a Flags,
    env: Env<'a>,
    problems: &'a mut Problems,
    warnings: Vec<String>,
}

impl Desk<'_> {
    fn wrong(&mut self, place: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(place, what, hint));
    }

    fn is_simulated(&mut self, file: &File) -> bool {
        let written = file.target.simulator.as_ref();
        let simulated = written.is_some_and(|simulator| simulator.value);
        if let Some(simulator) = written.filter(|simulator| simulator.value) {
            for other in [&file.target.region, &file.target.endpoint]
                .into_iter()
                .flatten()
            {
                let what = "the target is the simulator and a service";
                let hint = "leave out one of simulator and region or endpoint";
                self.wrong(other.place(), what, hint);
                let _ = simulator;
            }
        }
        if simulated || self.flags.simulate {
            for (name, value) in [
                ("--region", &self.flags.region),
                ("--endpoint", &self.flags.endpoint),
            ] {
                if let Some(value) = value {
                    let place = Place::Flag(format!("{name} {value}"));
                    let what = "the target is the simulator and a service";
                    self.wrong(place, what, format!("leave out {name} or the simulator"));
                }
            }
        }
        simulated || self.flags.simulate
    }

    fn destination(&mut self, file: &File, simulated: bool) -> Destination {
        if simulated {
            return Destination::Simulator;
        }
        if let (Some(region), Some(_)) = (&file.target.region, &file.target.endpoint) {
            let hint = "leave out one of them";
            self.wrong(
                region.place(),
                "the target is a region and an endpoint",
                hint,
            );
        }
        let flagged = |name: &str, value: &Option<String>| {
            let value = value.clone()?;
            Some((Place::Flag(format!("{name} {value}")), value))
        };
        let written = |located: &Option<Located<String>>| {
            let located = located.as_ref()?;
            Some((located.place(), located.value.clone()))
        };
        let flag_endpoint = flagged("--endpoint", &self.flags.endpoint);
        let flag_region = flagged("--region", &self.flags.region);
        if let (Some((place, _)), Some(_)) = (&flag_endpoint, &flag_region) {
            let (what, hint) = ("--endpoint and --region", "leave out one of them");
            self.wrong(place.clone(), format!("the target is {what}"), hint);
        }
        let by_flag = flag_endpoint.is_some() || flag_region.is_some();
        let (endpoint, region) = if by_flag {
            (flag_endpoint, flag_region)
        } else {
            (written(&file.target.endpoint), written(&file.target.region))
        };
        if let Some((place, text)) = endpoint {
            return match Endpoint::parse(&text) {
                Ok(endpoint) => Destination::Service {
                    endpoint,
                    region: None,
                },
                Err(fault) => {
                    self.wrong(place, fault.to_string(), endpoint::HINT);
                    Destination::Wrong
                }
            };
        }
        if let Some((place, region)) = region {
            return match region_endpoint(&region) {
                Ok(endpoint) => Destination::Service {
                    endpoint,
                    region: Some(region),
                },
                Err(hint) => {
                    self.wrong(place, format!("no such region: {region:?}"), hint);
                    Destination::Wrong
                }
            };
        }
        Destination::Open {
            region: (self.env)("HW_REGION_NAME").filter(|region| !region.is_empty()),
        }
    }

    fn located_id(&mut self, located: Option<&Located<String>>) -> Option<Id> {
        let located = located?;
        self.id(located.place(), &located.value)
    }

    fn flag_id(&mut self, name: &str, value: Option<&str>) -> Option<Id> {
        let value = value?;
        self.id(Place::Flag(format!("{name} {value}")), value)
    }

    fn id(&mut self, place: Place, text: &str) -> Option<Id> {
        match Id::parse(text) {
            Ok(id) => Some(id),
            Err(fault) => {
                self.wrong(place, fault.to_string(), fault.hint());
                None
            }
        }
    }

    /// Project and workspace of the environment; the simulator has its own.
    fn environment_target(&mut self, simulated: bool) -> Target {
        if simulated {
            return Target {
                project_id: Id::parse(SIMULATED_PROJECT).ok(),
                workspace_id: Id::parse(SIMULATED_WORKSPACE).ok(),
            };
        }
        Target {
            project_id: self.variable(&PROJECT_VARIABLES),
            workspace_id: self.variable(&WORKSPACE_VARIABLES),
        }
    }

    fn variable(&mut self, names: &[&str]) -> Option<Id> {
        let (name, value) = self.set_variable(names)?;
        self.id(Place::Flag(format!("environment variable {name}")), &value)
    }

    fn set_variable<'n>(&self, names: &[&'n str]) -> Option<(&'n str, String)> {
        names
            .iter()
            .find_map(|name| Some((*name, (self.env)(name).filter(|value| !value.is_empty())?)))
    }

    /// Warns of variables that name another target than the one in use.
    fn compare_target(&mut self, defaults: &Defaults) {
        let region = match &defaults.region {
            Region::Named(region, _) => Some(region.clone()),
            Region::Open | Region::Endpoint | Region::Anywhere => None,
        };
        if matches!(defaults.region, Region::Anywhere) {
            return;
        }
        let used = |pick: fn(&Target) -> &Option<Id>| {
            let used = pick(&defaults.flags)
                .as_ref()
                .or(pick(&defaults.job).as_ref());
            used.map(Id::to_string)
        };
        let project = used(|target| &target.project_id);
        let workspace = used(|target| &target.workspace_id);
        for (what, used, names) in [
            ("region", region, &["HW_REGION_NAME"][..]),
            ("project", project, &PROJECT_VARIABLES),
            ("workspace", workspace, &WORKSPACE_VARIABLES),
        ] {
            if let (Some(used), Some((name, value))) = (used, self.set_variable(names))
                && used != value
            {
                self.warnings.push(format!(
                    "{name} is {value}, but the job's {what} is {used}: the job's is used"
                ));
            }
        }
    }

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
            let draft = One {
                column: Column::Wish(field),
                value,
                place,
            };
            update = read_update(&draft, self.problems).or(&update);
        }
        update
    }

    fn table(&mut self, rows: Option<RowsFile>, table_alone: bool) -> Option<TableSource> {
        let mut options = Options::default();
        let mut told = None;
        let mut file = None;
        let in_job = rows.is_some();
        if let Some(rows) = rows {
            file = rows.file;
            told = rows
                .encoding
                .map(|encoding| (encoding.place(), encoding.value));
            match rows
                .other_columns
                .as_ref()
                .map(|other| other.value.as_str())
            {
                None | Some("refuse") => {}
                Some("ignore") => options.ignore_others = true,
                Some(other) => {
                    let place = rows.other_columns.as_ref().map(Located::place);
                    let place = place.unwrap_or(Place::Job(rows.span));
                    let what = format!("not a way to treat other columns: {other:?}");
                    self.wrong(place, what, "write \"refuse\" or \"ignore\"");
                }
            }
            for (header, column) in rows.columns {
                self.map_column(&mut options, header, &column.value, column.place());
            }
        }
        if let Some(encoding) = &self.flags.encoding {
            let place = Place::Flag(format!("--encoding {encoding}"));
            told = Some((place, encoding.clone()));
        }
        for mapping in &self.flags.column {
            let place = Place::Flag(format!("--column {mapping}"));
            match mapping.split_once('=') {
                Some((header, column)) if !header.is_empty() => {
                    self.map_column(&mut options, header.to_owned(), column, place);
                }
                Some(_) | None => {
                    let hint = "write --column 'Workflow-ID=workflow_id'";
                    self.wrong(place, "not NAME=COLUMN", hint);
                }
            }
        }
        if !in_job && !table_alone {
            for (name, given) in [
                ("--encoding", self.flags.encoding.is_some()),
                ("--column", !self.flags.column.is_empty()),
            ] {
                if given {
                    let hint = "it is for rows from a CSV: add [rows] file = \"rows.csv\"";
                    self.wrong(Place::Flag(name.to_owned()), "the job has no CSV", hint);
                }
            }
            return None;
        }
        let encoding = told.and_then(|(place, label)| {
            let found = encoding::find(&label);
            if found.is_none() {
                let hint = "names are those of the web: utf-8, gb18030, windows-1252, utf-16le";
                self.wrong(place, format!("no such encoding: {label:?}"), hint);
            }
            found
        });
        Some(TableSource {
            file,
            encoding,
            options,
        })
    }

    fn map_column(&mut self, options: &mut Options, header: String, column: &str, place: Place) {
        if Column::from_header(column).is_some() {
            options.columns.push((header, column.to_owned()));
            return;
        }
        let names = Column::ALL.map(Column::as_str);
        let hint = match suggestion(column, names) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("columns: {}", names.join(", ")),
        };
        self.wrong(place, format!("no such column: {column:?}"), hint);
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

    fn settings(&mut self, limits: &Limits) -> Settings {
        let flags = self.flags;
        let plain = Settings::default();
        let number = |located: &Option<Located<u64>>| located.as_ref().map(|number| number.value);
        let duration =
            |located: &Option<Located<Duration>>| located.as_ref().map(|span| span.value);
        let concurrency = self
            .flag_number("--concurrency", flags.concurrency.as_deref(), 1)
            .or(number(&limits.concurrency))
            .map_or(plain.concurrency, |number| {
                usize::try_from(number).unwrap_or(usize::MAX)
            });
        let burst = self
            .flag_number("--burst", flags.burst.as_deref(), 1)
            .or(number(&limits.burst))
            .map_or(plain.burst, |number| {
                NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(plain.burst)
            });
        let rate = self
            .flag("--rate", flags.rate.as_deref(), rate::HINT, |text| {
                text.parse::<Rate>().map_err(|fault| fault.to_string())
            })
            .or(limits.rate.as_ref().map(|rate| rate.value));
        let max_attempts = self
            .flag_number("--max-attempts", flags.max_attempts.as_deref(), 1)
            .or(number(&limits.max_attempts))
            .map_or(plain.max_attempts, |number| {
                u32::try_from(number).unwrap_or(u32::MAX)
            });
        let max_errors = match (&flags.max_errors, &limits.max_errors) {
            (Some(text), _) => {
                let place = Place::Flag(format!("--max-errors {text}"));
                self.max_errors(place, text)
            }
            (None, Some(located)) => self.max_errors(located.place(), &located.value),
            (None, None) => None,
        };
        let max_delay = duration(&limits.max_delay).unwrap_or(plain.max_delay);
        let initial_delay = duration(&limits.initial_delay).unwrap_or(plain.initial_delay);
        if let Some(located) = limits
            .initial_delay
            .as_ref()
            .filter(|_| initial_delay > max_delay)
        {
            let hint = format!("max_delay is {}", span::show(max_delay));
            self.wrong(
                located.place(),
                "initial_delay is longer than max_delay",
                hint,
            );
        }
        let timeout = self
            .flag_span("--timeout", flags.timeout.as_deref())
            .or(duration(&limits.timeout))
            .unwrap_or(plain.timeout);
        if timeout.is_zero() {
            let place = limits.timeout.as_ref().map(Located::place);
            let place = place.unwrap_or_else(|| Place::Flag("--timeout".to_owned()));
            self.wrong(
                place,
                "the timeout is zero, so no answer would be in time",
                span::HINT,
            );
        }
        Settings {
            concurrency,
            rate: rate.unwrap_or(plain.rate),
            burst,
            timeout,
            deadline: self
                .flag_span("--deadline", flags.deadline.as_deref())
                .or(duration(&limits.deadline)),
            max_attempts,
            initial_delay,
            max_delay,
            patience: duration(&limits.patience).unwrap_or(plain.patience),
            stop: Budget {
                max_errors: max_errors.unwrap_or(plain.stop.max_errors),
                min_rows: number(&limits.min_rows).unwrap_or(plain.stop.min_rows),
            },
        }
    }

    fn max_errors(&mut self, place: Place, text: &str) -> Option<MaxErrors> {
        let text = text.trim();
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(MaxErrors::Percent),
            None => text.parse().ok().map(MaxErrors::Count),
        };
        if parsed.is_none() {
            self.wrong(
                place,
                "neither a number nor a percentage of errors",
                budget::HINT,
            );
        }
        parsed
    }

    fn flag<T>(
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

    fn flag_number(&mut self, name: &str, text: Option<&str>, least: u64) -> Option<u64> {
        let hint = format!("write a whole number from {least}");
        self.flag(name, text, &hint, |text| match text.trim().parse() {
            Ok(number) if number >= least => Ok(number),
            Ok(_) | Err(_) => Err("the number is out of range".to_owned()),
        })
    }

    fn flag_span(&mut self, name: &str, text: Option<&str>) -> Option<Duration> {
        self.flag(name, text, span::HINT, |text| {
            span::parse(text).map_err(|fault| fault.to_string())
        })
    }

    fn simulation(&mut self, written: &Simulator, simulated: bool) -> Simulation {
        let plain = Simulation::default();
        if let Some(span) = written.span.clone().filter(|_| !simulated) {
            self.wrong(
                Place::Job(span),
                "[simulator] in a job for a service",
                "take it out, or set simulator = true in [target]",
            );
        }
        let mut rate_limits = Vec::new();
        for limit in &written.rate_limits {
            match limit.value.parse::<Rate>() {
                Ok(rate) => rate_limits.push(rate),
                Err(fault) => self.wrong(limit.place(), fault.to_string(), rate::HINT),
            }
        }
        let mut spans = Vec::new();
        for latency in &written.latency {
            match span::parse(&latency.value) {
                Ok(span) => spans.push(span),
                Err(fault) => self.wrong(latency.place(), fault.to_string(), span::HINT),
            }
        }
        let latency = match (&spans[..], written.latency.first()) {
            ([], _) => plain.latency,
            ([one], _) => (*one, *one),
            ([least, most], _) if least <= most => (*least, *most),
            (_, first) => {
                let place = first.map_or(Place::Job(0..0), Located::place);
                let hint =
                    "write one duration, or the shortest and the longest: [\"5ms\", \"40ms\"]";
                self.wrong(place, "not a latency", hint);
                plain.latency
            }
        };
        Simulation {
            seed: written.seed.as_ref().map_or(plain.seed, |seed| seed.value),
            latency,
            rate_limits,
            retry_after: written
                .retry_after
                .as_ref()
                .map_or(plain.retry_after, |on| on.value),
            faults: written.faults.clone(),
        }
    }
}

const PROJECT_VARIABLES: [&str; 2] = ["HUAWEICLOUD_SDK_PROJECT_ID", "HW_PROJECT_ID"];
const WORKSPACE_VARIABLES: [&str; 1] = ["FLOWBATCH_WORKSPACE_ID"];

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
