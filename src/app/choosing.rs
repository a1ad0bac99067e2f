//! Chooses rows from the live state and works out what templates set: the job that comes of it says everything itself.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use jiff::Timestamp;

use crate::engine::ports::{Past, RowsError};
use crate::error::Error;
use crate::job::builder::Builder;
use crate::job::cell::EMPTY;
use crate::job::census::{Census, Counted, Counting, Suspects};
use crate::job::change::{Change, Chosen, as_cell};
use crate::job::column::Column;
use crate::job::defaults::Defaults;
use crate::job::draft::{Draft, One};
use crate::job::intent::Job;
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::rows::Reader;
use crate::job::stage::{Stage, When};
use crate::job::stored_rows::Target;
use crate::job::template::{Fault, Subjects, Template, Templates};
use crate::job::wish::read_update;
use crate::model::counted::counted;
use crate::model::field::Field;
use crate::model::id::same_id;
use crate::model::id::trim;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;
use crate::model::workflow::Listed;

use super::destination::Open;
use super::folder::State;
use super::intake::check_selection;
use super::loaded_job::LoadedJob;
use super::resolved_job::ResolvedJob;
use super::rows_file::RowsWriter;
use super::surveying::Surveyed;

/// The job whose rows are those of `loaded`, completed, and those that its changes choose from what was `surveyed`.
///
/// # Errors
/// Rows have problems, all of which are told; or the rows cannot be kept.
pub(super) fn choose_from(
    loaded: LoadedJob,
    surveyed: Surveyed,
    open: &Open,
    state: &State,
) -> Result<ResolvedJob, Error> {
    const DOING: &str = "the chosen rows cannot be kept";
    let mut choice = Choice::new(&loaded, surveyed, open.service_time());
    let mut writer = RowsWriter::new(state)?;
    let counted = choice.write(&mut writer).map_err(Error::machine(DOING));
    let Choice {
        told,
        notes,
        warnings,
        lasts,
        ..
    } = choice;
    let mut problems = Problems::default();
    told.into_iter()
        .for_each(|alike| problems.push(alike.problem()));
    let (mut census, targets, idle, suspects) = counted?;
    loaded.refuse(&problems)?;
    let routes = loaded.so_far.routes();
    census.meet(&routes);
    let rows = writer.finish(targets)?;
    let mut problems = Problems::default();
    loaded
        .confirm_duplicates(&rows, &suspects, &mut problems)
        .map_err(Error::machine(DOING))?;
    check_selection(&census, &idle, &mut problems);
    loaded.refuse(&problems)?;
    let changes = loaded.changes.iter().map(Change::text);
    let defaults = loaded.all_templates();
    let defaults =
        defaults.map(|template| format!("default {} = {:?}", template.field, template.text));
    let chosen_by = changes.chain(defaults).collect();
    let resolved = loaded.resolved();
    let job = resolved.job;
    let stages = job.stages.into_iter().zip(lasts);
    Ok(ResolvedJob {
        job: Job {
            chosen_by,
            stages: stages
                .map(|(stage, last)| Stage { last, ..stage })
                .collect(),
            warnings: job.warnings.into_iter().chain(warnings).collect(),
            // They have been applied; and rows leave by the lanes that are open.
            defaults: Defaults {
                update: Update::default(),
                templates: Vec::new(),
                routes,
                ..job.defaults
            },
            ..job
        },
        census,
        rows,
        notes,
        ..resolved
    })
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
        let what = match (self.first.as_str(), self.count) {
            ("", _) => self.problem.what,
            (first, 1) => format!("{}: {first}", self.problem.what),
            (first, count) => format!("{}: {first} and {} more", self.problem.what, count - 1),
        };
        Problem {
            what,
            ..self.problem
        }
    }
}

/// A template that a row is to be completed by.
struct Wanting {
    field: Field,
    /// By which it is known.
    key: String,
    place: Place,
}

/// What rows came to: what they are, where they go, which choices no row matched, which of them may be for one workflow.
type Counts = (Census, Vec<Target>, Vec<String>, Suspects);

/// A choice that is being made.
struct Choice<'a> {
    loaded: &'a LoadedJob,
    surveyed: Surveyed,
    now: Timestamp,
    /// The stage that is at hand, by its place.
    stage: usize,
    /// Those of changes by their place and field, and those of all rows by their field.
    templates: Templates,
    told: Vec<Alike>,
    /// Who gave each workflow its row in this stage.
    rows: HashMap<(LaneId, [String; 3]), String>,
    /// What each change came to, for people.
    notes: Vec<String>,
    warnings: Vec<String>,
    /// The number of each stage's last row.
    lasts: Vec<u64>,
}

/// The key of a template.
fn key(change: Option<usize>, stage: usize, field: Field) -> String {
    match change {
        Some(change) => format!("change {change}, {field}"),
        None => format!("defaults of {stage}, {field}"),
    }
}

/// What a row that could not be completed expects, so that nothing of it is sent should its workflow be there later.
const NEVER: &str = "what nobody could read when its values were to be worked out";

impl<'a> Choice<'a> {
    fn new(loaded: &'a LoadedJob, surveyed: Surveyed, now: Timestamp) -> Self {
        let mut templates = Templates::default();
        // Those that are none were told when they were read.
        for stage in 0..loaded.so_far.job.stages.len().max(1) {
            for template in loaded.templates(stage) {
                let _ = templates.add(key(None, stage, template.field), &template.text);
            }
        }
        for (index, change) in loaded.changes.iter().enumerate() {
            for (field, text, _) in change.templates() {
                let _ = templates.add(key(Some(index), change.stage, field), text);
            }
        }
        Self {
            loaded,
            warnings: surveyed.odd_texts().collect(),
            surveyed,
            now,
            stage: 0,
            templates,
            told: Vec::new(),
            rows: HashMap::new(),
            notes: Vec::new(),
            lasts: Vec::new(),
        }
    }

    /// Writes all rows, stage by stage if there are stages, and counts them.
    fn write(&mut self, out: &mut RowsWriter) -> Result<Counts, RowsError> {
        let loaded = self.loaded;
        let mut counting = Counting::new(&loaded.so_far.job.selection);
        let mut write = |row: &Row, counted: &Counted| {
            out.write(row, counted)
                .map_err(|error| RowsError(error.text().into()))
        };
        let mut told = Problems::default();
        let mut reader = loaded.reader()?;
        loop {
            self.stage = self.lasts.len();
            self.surveyed.stage = self.stage;
            self.rows.clear();
            while let Some(row) = reader.next_of_part(&mut told) {
                // Rows are taken up by the way in which they stand in the job.
                let is_taken = counting.chooses(&row);
                let wanting = self.wanting(&row);
                let completed = match wanting.is_empty() || !is_taken {
                    true => Some(row),
                    false => self.complete(&mut reader, row, &wanting)?,
                };
                let Some(row) = completed else { continue };
                if is_taken {
                    self.meet_named(&row, &reader.place())?;
                    self.sets(&row);
                }
                let routes = reader.builder().routes();
                write(
                    &row,
                    &counting.count_completed(&row, is_taken, self.stage, routes),
                )?;
            }
            for (index, change) in loaded.changes.iter().enumerate() {
                if change.stage != self.stage {
                    continue;
                }
                for found in self.search(index, change)? {
                    let builder = reader.builder();
                    if let Some(row) = self.row(builder, index, change, &found) {
                        let by = format!("the [[change]] on line {}", change.line());
                        self.meet(&row, &change.whole(), by, who(&found.listed));
                        self.sets(&row);
                        let routes = reader.builder().routes();
                        write(&row, &counting.count(&row, self.stage, routes))?;
                    }
                }
            }
            self.lasts.push(reader.builder().count());
            if !reader.next_part() {
                return Ok(counting.finish());
            }
        }
    }

    /// Later stages look at what `row` sets, not at what is there now.
    fn sets(&mut self, row: &Row) {
        let stage = self.loaded.so_far.job.stages.get(self.stage);
        match stage.map(|stage| stage.when) {
            // One for failures does not go where all goes well.
            None | Some(When::Failed) => {}
            Some(When::Succeeded | When::Always) => {
                self.surveyed.overlay.wish(self.stage, row);
            }
        }
    }

    /// The workflows that a change selects, workspace by workspace.
    fn search(&mut self, index: usize, change: &Change) -> Result<Vec<Found>, RowsError> {
        let own = self.loaded.searches.iter();
        let places: BTreeSet<_> = own
            .filter(|search| search.change == index)
            .map(|search| (search.lane, search.workspace.clone()))
            .collect();
        let mut found = Vec::new();
        let mut looked_at = LookedAt {
            workflows: 0,
            excluded: vec![0; change.exclude.len()],
        };
        let mut timeless = Vec::new();
        let (now, stage) = (self.now, self.stage);
        let Surveyed {
            snapshot, overlay, ..
        } = &mut self.surveyed;
        snapshot.each(|lane, workspace, listed| {
            let place = (lane, workspace.clone());
            if !places.contains(&place) {
                return Ok(());
            }
            let mut listed = Cow::Borrowed(listed);
            if !overlay.is_empty() {
                overlay.apply(stage, lane, workspace, &mut listed.to_mut().workflow);
            }
            match looked_at.selects(change, &listed, now) {
                Ok(true) => found.push(Found {
                    place,
                    listed: listed.into_owned(),
                }),
                Ok(false) => {}
                Err(why) => timeless.push((why, who(&listed))),
            }
            Ok(())
        })?;
        for (why, who) in timeless {
            let hint = "choose by something else than age or unchanged";
            self.tell(Problem::new(change.whole(), why, hint), who);
        }
        self.notes.push(looked_at.note(change, found.len()));
        self.warnings.extend(looked_at.warnings(change));
        if found.is_empty() && !change.allow_empty {
            let hint = match looked_at.workflows {
                0 => "no workflow lives where it looks: is this the right workspace?".to_owned(),
                many => format!(
                    "it looked at {many}; if that may be, because they are as wished already, write allow_empty = true; else mend where"
                ),
            };
            let problem = Problem::new(change.whole(), "the change selects no workflow", hint);
            self.tell(problem, change.text());
        }
        // Workspaces are read side by side.
        found.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(found)
    }

    /// The row that a change makes of a workflow; none if there are problems with it, which are told.
    fn row(
        &mut self,
        builder: &mut Builder,
        index: usize,
        change: &Change,
        found: &Found,
    ) -> Option<Row> {
        let templates = change.templates().map(|(field, _, place)| Wanting {
            field,
            key: key(Some(index), self.stage, field),
            place,
        });
        let mut wanting: Vec<_> = templates.collect();
        let worked_out = self.work_out(&wanting, found, None)?;
        let (_, workspace) = &found.place;
        let chosen = Chosen {
            change,
            workspace,
            workflow_id: &found.listed.workflow.id,
            worked_out: &worked_out,
        };
        let mut problems = Problems::default();
        let mut row = builder.build(&chosen, &mut problems);
        if let Some(built) = &row {
            let further = self.wanting(built);
            if !further.is_empty() {
                let update = self.further(&further, found, None)?;
                row = builder.complete(&chosen, &update, &mut problems);
                wanting.extend(further);
            }
        }
        self.tell_all(problems, &found.listed);
        let mut row = self.guarded(row?, &found.listed, &wanting, change.chooses_by());
        // Whatever else the lane is called by, that is where it was found.
        row.lane = found.place.0;
        let time = &found.listed.workflow.update_time;
        if change.minds_any_change() && !time.is_empty() {
            row.guards.update_time.get_or_insert_with(|| time.clone());
        }
        Some(row)
    }

    /// The row that `reader` read last, completed by the templates that it is `wanting`; none if there are problems
    /// with it, which are told. One whose workflow could not be read stays as it is: the plan says why.
    fn complete<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        row: Row,
        wanting: &[Wanting],
    ) -> Result<Option<Row>, RowsError> {
        let left_open = |mut row: Row| {
            row.guards.update_time = Some(NEVER.to_owned());
            Ok(Some(row))
        };
        let Ok(known) = self.surveyed.identify(row.clone(), &Past::default())? else {
            return left_open(row);
        };
        let id = known.workflow_id.as_str();
        let listed = self
            .surveyed
            .snapshot
            .listed(known.lane, &known.workspace, id)?;
        let Some(mut listed) = listed else {
            return left_open(row);
        };
        let (lane, workspace) = (known.lane, &known.workspace);
        let overlay = &self.surveyed.overlay;
        overlay.apply(self.stage, lane, workspace, &mut listed.workflow);
        let found = Found {
            place: (known.lane, known.workspace.clone()),
            listed,
        };
        let Some(further) = self.further(wanting, &found, Some(reader.cells())) else {
            return Ok(None);
        };
        let mut problems = Problems::default();
        let completed = reader.complete(&further, &mut problems);
        self.tell_all(problems, &found.listed);
        Ok(completed.map(|completed| {
            let completed = Row {
                lane: known.lane,
                workflow_id: known.workflow_id,
                called: None,
                ..completed
            };
            self.guarded(completed, &found.listed, wanting, std::iter::empty())
        }))
    }

    /// The templates of all rows that `row` leaves room for.
    fn wanting(&self, row: &Row) -> Vec<Wanting> {
        let templates = self.loaded.templates(self.stage).iter();
        let open = templates.filter(|Template { field, .. }| {
            let is_version = *field == Field::VersionId && row.version.is_some();
            row.update.value(*field).is_none() && !is_version
        });
        open.map(|template| Wanting {
            field: template.field,
            key: key(None, self.stage, template.field),
            place: template.place.clone(),
        })
        .collect()
    }

    /// What the templates `wanting` give, as defaults; none if there are problems, which are told.
    fn further(
        &mut self,
        wanting: &[Wanting],
        found: &Found,
        cells: Option<BTreeMap<String, String>>,
    ) -> Option<Update> {
        let worked_out = self.work_out(wanting, found, cells)?;
        let mut problems = Problems::default();
        let mut update = Update::default();
        for ((field, value), Wanting { place, .. }) in worked_out.iter().zip(wanting) {
            let draft = One {
                column: Column::Wish(*field),
                value,
                place: place.clone(),
            };
            update = read_update(&draft, &mut problems).or(&update);
        }
        let is_sound = problems.is_empty();
        self.tell_all(problems, &found.listed);
        is_sound.then_some(update)
    }

    /// What the templates `wanting` give, as cells; none if there are problems, which are told.
    fn work_out(
        &mut self,
        wanting: &[Wanting],
        found: &Found,
        cells: Option<BTreeMap<String, String>>,
    ) -> Option<Vec<(Field, String)>> {
        let (lane, workspace) = &found.place;
        let mut place = vec![
            ("project_id", workspace.project_id.as_str()),
            ("workspace_id", workspace.workspace_id.as_str()),
        ];
        let name = self.surveyed.directory.name(*lane, workspace);
        place.extend(name.map(|name| ("workspace", name)));
        let route = self
            .loaded
            .so_far
            .census
            .lanes
            .get(lane.0)
            .map(|lane| &lane.route);
        let region = route.and_then(|route| route.region.as_deref());
        place.extend(region.map(|region| ("region", region)));
        let subjects = Subjects {
            listed: &found.listed,
            place: &place,
            row: cells,
        };
        let given: Vec<_> = wanting
            .iter()
            .map(|wanting| {
                checked(
                    wanting.field,
                    self.templates.render(&wanting.key, &subjects),
                )
            })
            .collect();
        let mut worked_out = Vec::new();
        for (wanting, given) in wanting.iter().zip(given) {
            match given {
                Ok(value) => worked_out.push((wanting.field, as_cell(&value))),
                Err(Fault { what, hint }) => {
                    let problem = Problem::new(wanting.place.clone(), what, hint);
                    self.tell(problem, who(&found.listed));
                }
            }
        }
        (worked_out.len() == wanting.len()).then_some(worked_out)
    }

    /// The row that is a conflict, should others change what it was chosen by, or what the templates `wanting` were
    /// worked out from.
    fn guarded(
        &self,
        mut row: Row,
        listed: &Listed,
        wanting: &[Wanting],
        chosen_by: impl Iterator<Item = Field>,
    ) -> Row {
        let read = wanting
            .iter()
            .flat_map(|wanting| self.templates.reads(&wanting.key));
        let fields = wanting.iter().map(|wanting| wanting.field);
        let fields: BTreeSet<_> = fields.chain(read).chain(chosen_by).collect();
        for field in fields {
            if row.guards.value(field).is_none() {
                let live = listed.workflow.value(field).to_owned();
                row.guards.fields.push((field, live));
            }
        }
        row
    }

    /// Notes the workflow of a row that stands in the job, if changes may choose it as well.
    fn meet_named(&mut self, row: &Row, place: &Place) -> Result<(), RowsError> {
        if self.loaded.changes.is_empty() {
            return Ok(());
        }
        // One that is not found by its name is about nobody.
        if let Ok(row) = self.surveyed.identify(row.clone(), &Past::default())? {
            self.meet(&row, place, format!("row {}", row.number), String::new());
        }
        Ok(())
    }

    /// Tells a workflow that has a row already.
    fn meet(&mut self, row: &Row, place: &Place, by: String, who: String) {
        let Workspace {
            project_id,
            workspace_id,
        } = &row.workspace;
        let ids = [project_id, workspace_id, &row.workflow_id].map(same_id);
        if let Some(first) = self.rows.insert((row.lane, ids), by) {
            let what = format!("a workflow is chosen that {first} has already");
            let hint = "add an exclude, or narrow where, so that one row is left for each workflow";
            self.tell(Problem::new(place.clone(), what, hint), who);
        }
    }

    fn tell_all(&mut self, problems: Problems, listed: &Listed) {
        for problem in problems.into_all() {
            self.tell(problem, who(listed));
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

/// What a template gave, if a field can be set to it.
fn checked(field: Field, value: Result<String, Fault>) -> Result<String, Fault> {
    let value = value?;
    if field == Field::Name && trim(&value).is_empty() {
        return Err(Fault {
            what: "the template gives an empty name".to_owned(),
            hint: "a workflow cannot be without a name: narrow where, or mend the template",
        });
    }
    if value.eq_ignore_ascii_case(EMPTY) {
        return Err(Fault {
            what: format!("the template gives the text {EMPTY}, which a cell clears a field by"),
            hint: "let it give nothing at all, if the field is to be cleared",
        });
    }
    Ok(value)
}

/// What a change looked at.
struct LookedAt {
    workflows: u64,
    /// How many of those that `where` takes each `exclude` left out.
    excluded: Vec<u64>,
}

impl LookedAt {
    /// Whether `change` is about `listed`.
    fn selects(
        &mut self,
        change: &Change,
        listed: &Listed,
        now: Timestamp,
    ) -> Result<bool, String> {
        self.workflows += 1;
        if !change.filter.takes(listed, now)? {
            return Ok(false);
        }
        let mut selects = true;
        for (exclude, count) in change.exclude.iter().zip(&mut self.excluded) {
            if exclude.takes(listed, now)? {
                *count += 1;
                selects = false;
            }
        }
        Ok(selects)
    }

    /// `8 of 25 workflows by the [[change]] on line 7, 2 excluded`
    fn note(&self, change: &Change, found: usize) -> String {
        let excluded = match self.excluded.iter().sum::<u64>() {
            0 => String::new(),
            excluded => format!(", {excluded} excluded"),
        };
        let (line, workflows) = (change.line(), counted(self.workflows, "workflow"));
        format!("{found} of {workflows} by the [[change]] on line {line}{excluded}")
    }

    /// Who excludes nobody may have meant somebody.
    fn warnings(&self, change: &Change) -> Vec<String> {
        let excludes = change.exclude.iter().zip(&self.excluded);
        let idle = excludes.filter(|(_, count)| **count == 0);
        idle.map(|(exclude, _)| {
            let line = change.line();
            format!(
                "exclude {} of the [[change]] on line {line} leaves nobody out",
                exclude.text()
            )
        })
        .collect()
    }
}

/// The workflow, for people.
fn who(listed: &Listed) -> String {
    format!(
        "workflow {} ({:?})",
        listed.workflow.id, listed.workflow.name
    )
}
