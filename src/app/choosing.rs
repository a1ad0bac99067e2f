//! Chooses rows from the live state and works out what templates set: the job that comes of it says everything itself.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufWriter, Write};

use jiff::Timestamp;

use crate::engine::ports::{Past, RowsError};
use crate::error::Error;
use crate::job::builder::Builder;
use crate::job::change::{Change, Chosen, as_cell};
use crate::job::column::Column;
use crate::job::draft::Draft;
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::record::InputRecord;
use crate::job::table::Options;
use crate::job::template::{Fault, Subjects, Template, Templates};
use crate::job::wish::read_update;
use crate::model::field::Field;
use crate::model::formula::unguarded;
use crate::model::id::trim;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;
use crate::model::workflow::Listed;
use crate::sinks::rerun::{Columns, Rerun};

use super::clock;
use super::destination::Open;
use super::folder::{State, sha256_of};
use super::input::Copy;
use super::intake::Taken;
use super::surveying::Surveyed;

/// Where a change looks.
pub(super) struct Search {
    /// The change, by its place among them.
    pub(super) change: usize,
    pub(super) lane: LaneId,
    pub(super) workspace: Workspace,
}

/// The job whose rows are those of `taken`, completed, and those that its changes choose from what was `surveyed`.
///
/// # Errors
/// Rows have problems, all of which are told; or the rows cannot be kept.
pub(super) fn choose(
    taken: Taken,
    surveyed: Surveyed,
    searches: &[Search],
    open: &Open,
    state: &State,
) -> Result<Taken, Error> {
    let doing = "the chosen rows cannot be kept";
    for search in searches {
        if let Some(why) = surveyed.why_incomplete(search.lane, &search.workspace) {
            return Err(Error::Refused {
                what: format!("workspace {} could not be listed: {why}", search.workspace),
                hint: "let the user list workflows (ListWorkflows), or give the rows by their ids"
                    .to_owned(),
            });
        }
    }
    let mut copy = state.temporary()?;
    let mut choice = Choice::new(&taken, surveyed, clock::wall());
    let out = BufWriter::new(copy.as_file_mut());
    let written = choice.write(searches, out);
    let told = choice.told;
    written.map_err(Error::machine(doing))?;
    let mut problems = Problems::default();
    told.into_iter()
        .for_each(|alike| problems.push(alike.problem()));
    taken.refuse(&problems)?;
    let sha256 = sha256_of(copy.path()).map_err(Error::machine(doing))?;
    let mut record = taken.record(&open.lanes);
    record.chosen_by = taken.changes.iter().map(Change::text).collect();
    let templates = &taken.job.defaults.templates;
    record.chosen_by.extend(
        templates
            .iter()
            .map(|template| format!("default {} = {:?}", template.field, template.text)),
    );
    record.input = Some(InputRecord {
        path: match &taken.input {
            Some(input) => format!("{}, completed from the live state", input.path),
            None => format!("the rows that {} chose from the live state", taken.name),
        },
        sha256,
        options: Options::default(),
    });
    record.updates = Vec::new();
    record.defaults.update = Update::default();
    // What was opened for the rows before is to be what the rows leave by now.
    let lanes = taken.census.lanes.iter();
    record.defaults.routes = lanes.map(|lane| lane.route.clone()).collect();
    let warnings = taken.job.warnings.clone();
    let mut chosen = Taken::again(record, Copy::Temporary(copy))?;
    chosen.job.warnings = warnings;
    let mut problems = Problems::default();
    chosen.check_selection(&mut problems);
    chosen.refuse(&problems)?;
    Ok(chosen)
}

/// A workflow that a change selects.
struct Found {
    place: (LaneId, Workspace),
    listed: Listed,
}

/// The same problem of several workflows.
struct Alike {
    problem: Problem,
    first: String,
    count: u64,
}

impl Alike {
    fn problem(self) -> Problem {
        let others = match self.count {
            1 => String::new(),
            2 => " and 1 more".to_owned(),
            count => format!(" and {} more", count - 1),
        };
        let what = format!("{}: {}{others}", self.problem.what, self.first);
        Problem {
            what,
            ..self.problem
        }
    }
}

/// A choice that is being made.
struct Choice<'a> {
    taken: &'a Taken,
    surveyed: Surveyed,
    now: Timestamp,
    /// Those of changes by their place and field, and those of all rows by their field.
    templates: Templates,
    told: Vec<Alike>,
    /// Which row each workflow has.
    rows: HashMap<(LaneId, Workspace, String), u64>,
}

/// The key of a template.
fn key(change: Option<usize>, field: Field) -> String {
    match change {
        Some(change) => format!("change {change}, {field}"),
        None => format!("defaults, {field}"),
    }
}

impl<'a> Choice<'a> {
    fn new(taken: &'a Taken, surveyed: Surveyed, now: Timestamp) -> Self {
        let mut templates = Templates::default();
        // Those that are none were told when they were read.
        for template in &taken.job.defaults.templates {
            let _ = templates.add(key(None, template.field), &template.text);
        }
        for (index, change) in taken.changes.iter().enumerate() {
            for (field, text, _) in change.templates() {
                let _ = templates.add(key(Some(index), field), text);
            }
        }
        Self {
            taken,
            surveyed,
            now,
            templates,
            told: Vec::new(),
            rows: HashMap::new(),
        }
    }

    /// Writes all rows as a CSV.
    fn write(&mut self, searches: &[Search], out: impl Write) -> Result<(), RowsError> {
        let other = |error: csv::Error| RowsError(error.into());
        let mut csv = Rerun::new(&Columns::all(), out).map_err(other)?;
        let mut rows = self.taken.rows()?;
        while let Some((row, _)) = rows.next_row()? {
            let completed = match self.wanting(&row) {
                wanting if wanting.is_empty() => Some(row),
                wanting => self.complete(&mut rows.reader, row, &wanting)?,
            };
            if let Some(row) = completed {
                self.meet(&row, &rows.reader.place());
                let route = rows.reader.routes().get(row.lane.0);
                csv.write(&row, route).map_err(other)?;
            }
        }
        for (index, change) in self.taken.changes.iter().enumerate() {
            let (mut found, looked_at) = self.search(index, change, searches)?;
            // Workspaces are read side by side.
            found.sort_by(|a, b| a.place.cmp(&b.place));
            if found.is_empty() && !change.allow_empty {
                let hint = match looked_at {
                    0 => {
                        "no workflow lives where it looks: is this the right workspace?".to_owned()
                    }
                    _ => format!(
                        "it looked at {looked_at}; mend where, or write allow_empty = true if that may be"
                    ),
                };
                let problem = Problem::new(change.whole(), "the change selects no workflow", hint);
                self.tell(problem, change.text());
            }
            for found in found {
                let builder = rows.reader.builder();
                if let Some(row) = self.row(builder, index, change, &found) {
                    self.meet(&row, &change.whole());
                    let route = rows.reader.routes().get(row.lane.0);
                    csv.write(&row, route).map_err(other)?;
                }
            }
        }
        csv.finish().map_err(other)
    }

    /// The workflows that a change selects, and how many it looked at.
    fn search(
        &mut self,
        index: usize,
        change: &Change,
        searches: &[Search],
    ) -> Result<(Vec<Found>, u64), RowsError> {
        let own = searches.iter().filter(|search| search.change == index);
        let places: BTreeSet<_> = own
            .map(|search| (search.lane, search.workspace.clone()))
            .collect();
        let (mut found, mut looked_at) = (Vec::new(), 0);
        let mut timeless = Vec::new();
        let now = self.now;
        self.surveyed.snapshot.each(|lane, workspace, listed| {
            if !places.contains(&(lane, workspace.clone())) {
                return Ok(());
            }
            looked_at += 1;
            match selects(change, listed, now) {
                Ok(true) => found.push(Found {
                    place: (lane, workspace.clone()),
                    listed: listed.clone(),
                }),
                Ok(false) => {}
                Err(why) => timeless.push((why, who(listed))),
            }
            Ok(())
        })?;
        for (why, who) in timeless {
            let hint = "choose by something else than age or unchanged";
            self.tell(Problem::new(change.whole(), why, hint), who);
        }
        Ok((found, looked_at))
    }

    /// The row that a change makes of a workflow; none if there are problems with it, which are told.
    fn row(
        &mut self,
        builder: &mut Builder,
        index: usize,
        change: &Change,
        found: &Found,
    ) -> Option<Row> {
        let Found {
            place: (lane, workspace),
            listed,
        } = found;
        let lane = *lane;
        let mut worked_out = Vec::new();
        let mut sound = true;
        for (field, _, place) in change.templates() {
            let subjects = self.subjects(lane, workspace, listed);
            let value = self
                .templates
                .render(&key(Some(index), field), &subjects.as_subjects(None));
            match self.checked(field, value, &place, listed) {
                Some(value) => worked_out.push((field, as_cell(&value))),
                None => sound = false,
            }
        }
        if !sound {
            return None;
        }
        let chosen = Chosen {
            change,
            workspace,
            workflow_id: &listed.workflow.id,
            worked_out: &worked_out,
        };
        let mut problems = Problems::default();
        let mut row = builder.build(&chosen, &mut problems);
        let mut guarded: Vec<_> = worked_out
            .iter()
            .map(|(field, _)| (*field, key(Some(index), *field)))
            .collect();
        if let Some(built) = &row {
            let wanting = self.wanting(built);
            if !wanting.is_empty() {
                let further = self.further(&wanting, lane, workspace, listed, None)?;
                row = builder.complete(&chosen, &further, &mut problems);
                guarded.extend(
                    wanting
                        .iter()
                        .map(|wanting| (wanting.field, key(None, wanting.field))),
                );
            }
        }
        for problem in problems.into_all() {
            self.tell(problem, who(listed));
        }
        row.map(|row| self.guarded(row, listed, &guarded))
    }

    /// The row that `reader` read last, completed by the templates that it is `wanting`.
    fn complete<R: std::io::Read>(
        &mut self,
        reader: &mut crate::job::rows::Reader<R>,
        row: Row,
        wanting: &[Template],
    ) -> Result<Option<Row>, RowsError> {
        let place = reader.place();
        let row = match self.surveyed.identify(row, &Past::default())? {
            Ok(row) => row,
            Err(failure) => {
                let hint = "what it is to become is worked out from what it is";
                self.tell(Problem::new(place, failure.message, hint), String::new());
                return Ok(None);
            }
        };
        let id = row.workflow_id.as_str();
        let Some(listed) = self
            .surveyed
            .snapshot
            .listed(row.lane, &row.workspace, id)?
        else {
            let hint = "what it is to become is worked out from what it is: take the row out";
            let why = self.surveyed.why_missing(&row).message;
            self.tell(Problem::new(place, why, hint), format!("workflow {id}"));
            return Ok(None);
        };
        let cells = reader.cells();
        let Some(further) = self.further(wanting, row.lane, &row.workspace, &listed, Some(cells))
        else {
            return Ok(None);
        };
        let mut problems = Problems::default();
        let completed = reader.complete(&further, &mut problems);
        for problem in problems.into_all() {
            self.tell(problem, who(&listed));
        }
        let keys: Vec<_> = wanting
            .iter()
            .map(|wanting| (wanting.field, key(None, wanting.field)))
            .collect();
        Ok(completed.map(|completed| {
            let completed = Row {
                workflow_id: row.workflow_id,
                called: None,
                ..completed
            };
            self.guarded(completed, &listed, &keys)
        }))
    }

    /// The templates of all rows that `row` leaves room for.
    fn wanting(&self, row: &Row) -> Vec<Template> {
        let templates = self.taken.job.defaults.templates.iter();
        let open = templates.filter(|template| {
            let is_version = template.field == Field::VersionId && row.version.is_some();
            row.update.value(template.field).is_none() && !is_version
        });
        open.cloned().collect()
    }

    /// What the templates `wanting` give; none if there are problems, which are told.
    fn further(
        &mut self,
        wanting: &[Template],
        lane: LaneId,
        workspace: &Workspace,
        listed: &Listed,
        cells: Option<std::collections::BTreeMap<String, String>>,
    ) -> Option<Update> {
        let mut update = Update::default();
        let mut sound = true;
        for template in wanting {
            let subjects = self.subjects(lane, workspace, listed);
            let subjects = subjects.as_subjects(cells.clone());
            let value = self.templates.render(&key(None, template.field), &subjects);
            let Some(value) = self.checked(template.field, value, &template.place, listed) else {
                sound = false;
                continue;
            };
            let draft = WorkedOut {
                field: template.field,
                value: as_cell(&value),
                place: template.place.clone(),
            };
            let mut problems = Problems::default();
            update = read_update(&draft, &mut problems).or(&update);
            for problem in problems.into_all() {
                sound = false;
                self.tell(problem, who(listed));
            }
        }
        sound.then_some(update)
    }

    /// What a template gave, if it is anything that a workflow can be called.
    fn checked(
        &mut self,
        field: Field,
        value: Result<String, Fault>,
        place: &Place,
        listed: &Listed,
    ) -> Option<String> {
        let (what, hint) = match value {
            Ok(value) if field == Field::Name && trim(unguarded(&value)).is_empty() => (
                "the template gives an empty name".to_owned(),
                "a workflow cannot be without a name: narrow where, or mend the template",
            ),
            Ok(value) => return Some(value),
            Err(fault) => (fault.what, fault.hint),
        };
        self.tell(Problem::new(place.clone(), what, hint), who(listed));
        None
    }

    /// The row that does not overwrite what the templates of `keys` were worked out from, should others change it.
    fn guarded(&self, mut row: Row, listed: &Listed, keys: &[(Field, String)]) -> Row {
        let read = keys.iter().flat_map(|(_, key)| self.templates.reads(key));
        let fields: BTreeSet<_> = keys.iter().map(|(field, _)| *field).chain(read).collect();
        for field in fields {
            if row.guards.value(field).is_none() {
                let live = listed.workflow.value(field).to_owned();
                row.guards.fields.push((field, live));
            }
        }
        row
    }

    fn subjects<'s>(
        &'s self,
        lane: LaneId,
        workspace: &'s Workspace,
        listed: &'s Listed,
    ) -> Known<'s> {
        let mut place = vec![
            ("project_id", workspace.project_id.as_str()),
            ("workspace_id", workspace.workspace_id.as_str()),
        ];
        let name = self.surveyed.directory.name(lane, workspace);
        place.extend(name.map(|name| ("workspace", name)));
        let route = self.taken.census.lanes.get(lane.0).map(|lane| &lane.route);
        let region = route.and_then(|route| route.region.as_deref());
        place.extend(region.map(|region| ("region", region)));
        Known { listed, place }
    }

    /// Tells a workflow that has a row already.
    fn meet(&mut self, row: &Row, place: &Place) {
        if self.taken.changes.is_empty() {
            return;
        }
        let workflow = row.workflow_id.to_string();
        let key = (row.lane, row.workspace.clone(), workflow.clone());
        if let Some(first) = self.rows.insert(key, row.number) {
            let hint = "add an exclude, or narrow where, so that one row is left for each workflow";
            let problem = Problem::new(place.clone(), "a workflow has a row already", hint);
            self.tell(problem, format!("workflow {workflow} is row {first}"));
        }
    }

    fn tell(&mut self, problem: Problem, who: String) {
        let mut told = self.told.iter_mut();
        let alike = told.find(|alike| {
            alike.problem.what == problem.what && alike.problem.place == problem.place
        });
        match alike {
            Some(alike) => alike.count += 1,
            None => self.told.push(Alike {
                problem,
                first: who,
                count: 1,
            }),
        }
    }
}

/// What is known of a workflow when a template is worked out.
struct Known<'a> {
    listed: &'a Listed,
    place: Vec<(&'static str, &'a str)>,
}

impl Known<'_> {
    fn as_subjects(&self, row: Option<std::collections::BTreeMap<String, String>>) -> Subjects<'_> {
        Subjects {
            listed: self.listed,
            place: &self.place,
            row,
        }
    }
}

/// What a template gave, as a row of one cell.
struct WorkedOut {
    field: Field,
    value: String,
    place: Place,
}

impl Draft for WorkedOut {
    fn cell(&self, column: Column) -> Option<&str> {
        (column == Column::Wish(self.field)).then_some(&self.value)
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

/// Whether `change` is about `listed`.
fn selects(change: &Change, listed: &Listed, now: Timestamp) -> Result<bool, String> {
    if !change.filter.takes(listed, now)? {
        return Ok(false);
    }
    for exclude in &change.exclude {
        if exclude.takes(listed, now)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The workflow, for people.
fn who(listed: &Listed) -> String {
    format!(
        "workflow {} ({:?})",
        listed.workflow.id, listed.workflow.name
    )
}
