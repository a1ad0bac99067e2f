//! The job as meant: file, flags and environment put together.

use std::num::NonZeroU32;
use std::rc::Rc;

use jiff::tz::TimeZone;

use crate::model::endpoint::Endpoint;
use crate::model::field::Field;
use crate::model::formula::unguarded;
use crate::model::simulation::Simulation;
use crate::model::update::Update;
use crate::policy::budget::Most;

use super::change::{Change, Workspaces};
use super::column::Column;
use super::defaults::Defaults;
use super::desk::{Desk, Env};
use super::destination::Destination;
use super::draft::{Draft, One};
use super::file::{File, Method, Written};
use super::flags::Flags;
use super::flags::Snapshot;
use super::partition::{self, Partition, PartitionFault};
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::profiles::Profiles;
use super::rollout::Rollout;
use super::selection::{self, Only, Selection};
use super::settings::Settings;
use super::source::TableSource;
use super::stage::{Stage, StageRows};
use super::suggestion::suggestion;
use super::template::{self, Template};
use super::toml::Located;
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

/// How many of the workflows that live in the touched workspaces a job that chooses its rows may disable, if it does
/// not say.
const MOST_DISABLES: Most = Most::Percent(10.0);

/// A file that is named.
#[derive(Clone, Debug)]
pub enum Named {
    /// On the command line: its path.
    Flag(String),
    /// In the job file: its path from there.
    Job(Located<String>),
}

/// A job as meant.
#[derive(Debug)]
pub struct Job {
    /// For people; the file's name where the job has none.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The run that it puts back, if it is the way back of one.
    pub undoes: Vec<String>,
    /// Where the clock stands that `stop_at` goes by; without it that of this machine.
    pub time_zone: Option<String>,
    /// The list of workflows that are left alone.
    pub hold: Option<Named>,
    /// Where it goes, as far as it is known before the rows are read.
    pub destination: Destination,
    /// `[auth] method`
    pub method: Method,
    /// How it goes.
    pub settings: Settings,
    /// Its waves, if its rows go in waves.
    pub rollout: Option<Rollout>,
    /// Its stages, if its rows go in stages.
    pub stages: Vec<Stage>,
    /// What completes rows.
    pub defaults: Defaults,
    /// What chose the rows from the live state, for the record.
    pub chosen_by: Vec<String>,
    /// Which rows are taken up.
    pub selection: Selection,
    /// How the simulator behaves, if it is the target.
    pub simulation: Simulation,
    /// What people should know although it is no problem.
    pub warnings: Vec<String>,
}

/// A job as meant, and its rows as written.
#[derive(Debug)]
pub struct Intent {
    /// The job.
    pub job: Job,
    /// `[[change]]`, of all stages.
    pub changes: Vec<Change>,
    /// Where its rows come from: those of each stage, where there are stages.
    pub rows: RowSources,
    /// What is wrong with the environment's region, should a row need it.
    pub wrong_region: Option<Problem>,
}

/// Where the rows of a job come from.
#[derive(Debug)]
pub enum RowSources {
    /// All of them from here.
    Whole {
        /// The CSV, if rows come from one.
        table: Option<TableSource>,
        /// `[[update]]`
        updates: Vec<Written>,
    },
    /// Those of each stage.
    Stages(Vec<StageRows>),
}

impl Intent {
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
        let by_flags = desk.set_flags();
        let (mut update, mut templates) = by_flags.clone();
        if let Some(defaults) = &file.defaults {
            update = desk.complete(update, &mut templates, defaults);
        }
        desk.check_changes(&file.changes, !update.is_empty() || !templates.is_empty());
        if desk.flags.snapshot == Some(Snapshot::Off) {
            desk.refuse_blind_choice(&templates, &file.changes);
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
            templates,
            is_blind: desk.flags.snapshot == Some(Snapshot::Off),
            ..Defaults::default()
        };
        defaults.told = desk.told(&file, &defaults);
        desk.compare_target(&defaults);
        if !file.stages.is_empty() {
            desk.refuse_beside_stages(&file);
        }
        let table = desk.table(file.rows.take(), table_alone);
        let updates = std::mem::take(&mut file.updates);
        let mut changes = std::mem::take(&mut file.changes);
        let written = std::mem::take(&mut file.stages);
        let (mut stages, mut stage_rows) = (Vec::new(), Vec::new());
        for staged in desk.stages(written, &by_flags, file.defaults.as_ref()) {
            if desk.flags.snapshot == Some(Snapshot::Off) {
                desk.refuse_blind_choice(&staged.rows.templates, &staged.changes);
            }
            let stage = stages.len();
            let own = staged.changes.into_iter();
            changes.extend(own.map(|mut change| {
                change.stage = stage;
                change
            }));
            stages.push(staged.stage);
            stage_rows.push(staged.rows);
        }
        if table.is_none() && stage_rows.iter().all(|rows| rows.table.is_none()) {
            desk.refuse_flags_of_tables();
        }
        let mut settings = desk.settings(&file.limits);
        if !changes.is_empty() && settings.ceilings.max_disables.is_none() {
            settings.ceilings.max_disables = Some(MOST_DISABLES);
            settings.ceilings.is_implied = true;
        }
        let rollout = desk.rollout(file.rollout.take());
        let selection = desk.selection();
        if let Some(partition) = selection.partition {
            let flag = || Place::Flag(format!("--partition {partition}"));
            if !stages.is_empty() {
                let hint = "leave --partition out: a stage is looked at as a whole";
                desk.wrong(
                    flag(),
                    "a part of a job does not go in stages ([[stage]])",
                    hint,
                );
            }
            if rollout.is_some() {
                let hint = "leave --partition out: a wave is looked at as a whole";
                desk.wrong(
                    flag(),
                    "a part of a job does not go in waves ([rollout])",
                    hint,
                );
            }
            if !changes.is_empty() {
                let hint = "carry out a CSV instead: flowbatch export --where ... --out rows.csv";
                desk.wrong(
                    flag(),
                    "rows of a [[change]] are not the same for every part",
                    hint,
                );
            }
            let among = NonZeroU32::new(partition.of()).unwrap_or(NonZeroU32::MIN);
            settings.rate = settings.rate.shared(among);
            settings.ceilings = partition.share(settings.ceilings);
        }
        let has_waves = rollout.is_some() || !stages.is_empty();
        if has_waves && settings.snapshot == Snapshot::Off {
            let table = if stages.is_empty() {
                "[rollout]"
            } else {
                "[[stage]]"
            };
            desk.wrong(
                Place::Flag("--snapshot off".to_owned()),
                format!("{table} needs the live state, which --snapshot off does not read"),
                "leave --snapshot off out",
            );
        }
        let goes_by_clock =
            settings.stop_at.is_some() || file.hold.is_some() || flags.hold.is_some();
        if goes_by_clock && file.time_zone.is_none() {
            desk.refuse_unknown_zone();
        }
        let job = Job {
            rollout,
            stages,
            name: file.name.take().map(|name| name.value),
            description: file.description.take().map(|text| text.value),
            undoes: Vec::new(),
            time_zone: desk.time_zone(file.time_zone.take()),
            hold: desk.hold(file.hold.take()),
            settings,
            selection,
            simulation: desk.simulation(&file.simulator, simulated),
            warnings: desk.warnings,
            destination: match simulated {
                true => Destination::Simulator,
                false => Destination::Services,
            },
            method: file.method,
            defaults,
            chosen_by: Vec::new(),
        };
        Self {
            rows: match job.stages.is_empty() {
                true => RowSources::Whole { table, updates },
                false => RowSources::Stages(stage_rows),
            },
            job,
            changes,
            wrong_region,
        }
    }
}

impl Desk<'_> {
    /// Tells rows, and waves of them, that stand outside the stages.
    fn refuse_beside_stages(&mut self, file: &File) {
        let hint = "put it into a stage: [stage.rows], [[stage.update]], [[stage.change]], [stage.rollout]";
        let rows = file.rows.iter().map(|rows| Place::Job(rows.span.clone()));
        let updates = file.updates.iter().map(Draft::whole);
        let changes = file.changes.iter().map(Draft::whole);
        let rollout = file.rollout.iter();
        let rollout = rollout.map(|rollout| Place::Job(rollout.span.clone()));
        for place in rows.chain(updates).chain(changes).chain(rollout) {
            self.wrong(place, "it stands beside [[stage]], and outside of it", hint);
        }
    }

    /// The part that is taken up; `auto` is what a Kubernetes Indexed Job says.
    fn partition(&mut self) -> Option<Partition> {
        let text = self.flags.partition.clone()?;
        let place = Place::Flag(format!("--partition {text}"));
        if text.trim() != "auto" {
            return self.flag("--partition", Some(&text), partition::HINT, |text| {
                text.parse()
                    .map_err(|fault: PartitionFault| fault.to_string())
            });
        }
        let number = |name: &str| (self.env)(name)?.trim().parse::<u32>().ok();
        let index = number("JOB_COMPLETION_INDEX").and_then(|index| index.checked_add(1));
        let parts = index.zip(number("JOB_COMPLETIONS"));
        let found = parts.and_then(|(part, of)| Partition::new(part, of).ok());
        if found.is_none() {
            self.wrong(
                place,
                "JOB_COMPLETION_INDEX and JOB_COMPLETIONS do not say which part",
                "an Indexed Job sets the first from 0 on; set JOB_COMPLETIONS to its spec.completions",
            );
        }
        found
    }

    fn hold(&mut self, written: Option<Located<String>>) -> Option<Named> {
        let flag = self.flags.hold.clone().map(Named::Flag);
        flag.or(written.map(Named::Job))
    }

    fn time_zone(&mut self, written: Option<Located<String>>) -> Option<String> {
        let Located { value, span } = written?;
        if TimeZone::get(&value).is_err() {
            self.wrong(
                Place::Job(span),
                format!("no time zone is called {value:?} here"),
                "write a name such as \"Europe/Berlin\", or install tzdata",
            );
        }
        Some(value)
    }

    /// Tells a `TZ` that names no zone: it would count as UTC, and a clock of the job would be hours off.
    fn refuse_unknown_zone(&mut self) {
        let Some(name) = (self.env)("TZ").filter(|_| TimeZone::try_system().is_err()) else {
            return;
        };
        self.wrong(
            Place::Flag("environment variable TZ".to_owned()),
            format!("no time zone is called {name:?} here"),
            "write a name such as TZ=Europe/Berlin, set time_zone in [job], or install tzdata",
        );
    }

    fn set_flags(&mut self) -> (Update, Vec<Template>) {
        let mut update = Update::default();
        let mut templates: Vec<Template> = Vec::new();
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
            let is_template = |template: &Template| template.field == field;
            if update.value(field).is_some() || templates.iter().any(is_template) {
                let hint = "say each field once";
                self.wrong(place, format!("--set {field} is said twice"), hint);
                continue;
            }
            if template::is_one(value) {
                if let Err(fault) = template::Templates::default().add("set".to_owned(), value) {
                    self.wrong(place.clone(), fault.what, fault.hint);
                }
                let text = value.to_owned();
                templates.push(Template { field, text, place });
                continue;
            }
            let draft = One {
                column: Column::Wish(field),
                value,
                place,
            };
            update = read_update(&draft, self.problems).or(&update);
        }
        (update, templates)
    }

    /// What the flags say (`update`, `templates`), completed by `[defaults]`.
    pub(super) fn complete(
        &mut self,
        update: Update,
        templates: &mut Vec<Template>,
        defaults: &Written,
    ) -> Update {
        let mut plain = Update::default();
        for (column, cell) in defaults.cells() {
            let Column::Wish(field) = *column else {
                continue;
            };
            let text = unguarded(&cell.value);
            let is_said = update.value(field).is_some()
                || templates.iter().any(|template| template.field == field);
            if template::is_one(text) {
                if !is_said {
                    let (text, place) = (text.to_owned(), cell.place());
                    templates.push(Template { field, text, place });
                }
                continue;
            }
            let draft = One {
                column: Column::Wish(field),
                value: &cell.value,
                place: cell.place(),
            };
            let read = read_update(&draft, self.problems);
            if !is_said {
                plain = read.or(&plain);
            }
        }
        update.or(&plain)
    }

    /// Tells changes that would change nothing, and those that name workspaces beside the command line; with
    /// `has_defaults` something else says what to set.
    pub(super) fn check_changes(&mut self, changes: &[Change], has_defaults: bool) {
        for change in changes {
            let names_places = match &change.workspaces {
                Workspaces::OfTheJob => false,
                Workspaces::All | Workspaces::These(_) => true,
            };
            for (column, cell) in change.set.cells() {
                if !template::is_one(&cell.value) {
                    let draft = One {
                        column: *column,
                        value: &cell.value,
                        place: cell.place(),
                    };
                    read_update(&draft, self.problems);
                }
            }
            if names_places && self.flags.workspace_id.is_some() {
                let what = "the change names its workspaces, and so does --workspace-id";
                self.wrong(change.whole(), what, "leave out one of them");
            }
            if !change.sets_anything() && !has_defaults && !change.set.broken {
                let hint = "write set.enabled = false, or set.name = \"PROD {{ name }}\"";
                self.wrong(change.whole(), "the change sets nothing", hint);
            }
        }
    }

    /// What the live state gives cannot be had without it.
    fn refuse_blind_choice(&mut self, templates: &[Template], changes: &[Change]) {
        let hint = "leave --snapshot off out";
        for template in templates {
            let what =
                "a template is worked out by the live state, which --snapshot off does not read";
            self.wrong(template.place.clone(), what, hint);
        }
        for change in changes {
            let what = "a change chooses from the live state, which --snapshot off does not read";
            self.wrong(change.whole(), what, hint);
        }
    }

    fn selection(&mut self) -> Selection {
        let mut only = Vec::new();
        for text in &self.flags.only {
            match Only::parse(text) {
                Some(parsed) => parsed.add_to(&mut only),
                None => {
                    let place = Place::Flag(format!("--only {text}"));
                    self.wrong(place, "not a selection of rows", selection::HINT);
                }
            }
        }
        let limit = self.flag_number("--limit", self.flags.limit.as_deref(), 1);
        Selection {
            only,
            limit,
            partition: self.partition(),
            ..Selection::default()
        }
    }
}
