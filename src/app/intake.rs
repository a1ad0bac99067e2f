//! Takes a job in: reads the file, copies its CSV, finds every problem, counts the rows.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::cli::JobArgs;
use crate::engine::ports::RowsError;
use crate::error::Error;
use crate::job::change::Change;
use crate::job::defaults::LookedUpWorkspace;
use crate::job::destination::Destination;
use crate::job::encoding::Decoded;
use crate::job::file::{self, UpdateRecord, Written};
use crate::job::illegible::illegible;
use crate::job::intent::Job;
use crate::job::problem::{Place, Problem, Source};
use crate::job::problems::Problems;
use crate::job::record::{Form, InputRecord, JobRecord, SCHEMA};
use crate::job::rollout::{Placed, Rollout, Waves};
use crate::job::rows::{Census, Part, Reader, Rest, Suspects};
use crate::job::source::TableSource;
use crate::job::stage::{StageRows, stage_of};
use crate::job::table::Table;
use crate::job::template::{Template, Templates};
use crate::model::id::Id;
use crate::model::route::LaneFacts;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

use super::folder::{Hashed, RunFolder};
use super::holds;
use super::input::{Copy, Input, Tee, open_table};
use super::settling::Search;
use super::taken_rows::{LaneRows, RowsByLane, TakenRows};
use super::{environment, profiles, terminal};

/// A job without problems, and the copy of its input.
pub(super) struct Taken {
    pub(super) job: Job,
    pub(super) census: Census,
    /// The job's name for people.
    pub(super) name: String,
    pub(super) input: Option<Input>,
    updates: Rc<[Written]>,
    /// The rows of its stages, until all of them are in one input.
    parts: Vec<StagePart>,
    /// Rows that are still to be chosen from the live state.
    pub(super) changes: Rc<[Change]>,
    /// Where they look.
    pub(super) searches: Vec<Search>,
    /// What was chosen by what, for people.
    pub(super) notes: Vec<String>,
    /// The job file and its text, for pictures of problems.
    source: Option<(String, String)>,
    /// Whether `[defaults]` or `--set` say anything, right or wrong.
    has_defaults: bool,
}

/// The rows of a stage.
struct StagePart {
    /// What they are completed by.
    wishes: (Update, Rc<[Template]>),
    updates: Rc<[Written]>,
    input: Option<Input>,
    /// The number of the last of them, once they have been counted.
    last: u64,
}

/// Takes in the job that the command line names; `temporary` makes the file for the copy.
///
/// # Errors
/// The job has problems, all of which are told; or the copy could not be made.
pub(super) fn take_in(
    args: &JobArgs,
    temporary: impl Fn() -> Result<NamedTempFile, Error>,
) -> Result<Taken, Error> {
    let (profiles, unreadable) = match profiles::load() {
        Ok(profiles) => (profiles, None),
        Err(error) => (Rc::default(), Some(error)),
    };
    let mut problems = Problems::default();
    let (text, table_alone) = match read_job(&args.job) {
        Ok(read) => read,
        Err(problem) => {
            problems.push(problem);
            return Err(Error::Problems(
                problems.render(None, terminal::wants_color()),
            ));
        }
    };
    let written = match &text {
        Some(text) => file::File::read(text, &environment, &mut problems),
        None => file::File::default(),
    };
    let mut job = Job::new(
        written,
        &args.flags(),
        table_alone,
        Rc::clone(&profiles),
        &environment,
        &mut problems,
    );
    let (held, expired) = holds::read(&args.job, &job, &mut problems);
    job.selection.held = held;
    job.warnings.extend(expired);
    let updates: Rc<[Written]> = std::mem::take(&mut job.updates).into();
    let changes: Rc<[Change]> = std::mem::take(&mut job.changes).into();
    let defaults = &job.defaults;
    let has_defaults =
        !args.set.is_empty() || !defaults.update.is_empty() || !defaults.templates.is_empty();
    let mut taken = Taken {
        has_defaults,
        name: job.name.clone().unwrap_or_else(|| stem(&args.job)),
        job,
        census: Census::default(),
        input: None,
        updates,
        parts: Vec::new(),
        changes,
        searches: Vec::new(),
        notes: Vec::new(),
        source: text.map(|text| (args.job.clone(), text)),
    };
    taken.first_pass(&args.job, temporary, &mut problems)?;
    if let Some(error) = unreadable.filter(|_| profiles.were_asked_for()) {
        return Err(error);
    }
    taken.settle_destination(&args.job, &mut problems);
    taken.refuse_two_kinds_of_waves(&mut problems);
    // Rows that are still to be chosen, or to be told where they go, may be those that are meant.
    if taken.changes.is_empty() && taken.census.without_workspace.is_empty() {
        taken.check_selection(&mut problems);
    }
    taken.warn_of_variables();
    taken.refuse(&problems)?;
    Ok(taken)
}

fn stem(job: &str) -> String {
    match Path::new(job).file_stem() {
        _ if job == "-" => "standard input".to_owned(),
        Some(stem) => stem.to_string_lossy().into_owned(),
        None => job.to_owned(),
    }
}

/// The text of a job file; `None` and true for a CSV alone.
fn read_job(job: &str) -> Result<(Option<String>, bool), Problem> {
    let wrong = |what: &str, hint: &str| Problem::new(Place::File(job.into()), what, hint);
    let path = Path::new(job);
    if job == "-" {
        return Ok((None, true));
    }
    if path.is_dir() {
        return Err(wrong(
            "a directory is no job",
            "name a .toml or .csv file in it",
        ));
    }
    let extension = path
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("toml") => {}
        Some("csv" | "tsv" | "txt") => return Ok((None, true)),
        Some(_) | None if !path.exists() => {
            return Err(wrong(
                "no such file",
                "name a .toml or .csv file, or - for standard input",
            ));
        }
        Some(_) | None => {
            let hint =
                "name it .toml or .csv, or give a CSV on standard input: flowbatch run - < FILE";
            return Err(wrong("neither a job file nor a CSV by its name", hint));
        }
    }
    let cannot = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            wrong("no such file", "check the path")
        } else {
            wrong(&format!("the file cannot be read: {error}"), "")
        }
    };
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(file::LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > file::LARGEST {
        return Err(wrong(
            "the job file is larger than 16 MiB",
            "put the rows into a CSV, which is streamed: [rows] file = \"rows.csv\"",
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((Some(text.trim_start_matches('\u{feff}').to_owned()), false)),
        Err(_) => Err(wrong("the job file is not UTF-8", "save it as UTF-8")),
    }
}

impl Taken {
    /// Reads every row once: copies the input, tells every problem, counts.
    fn first_pass(
        &mut self,
        job: &str,
        temporary: impl Fn() -> Result<NamedTempFile, Error>,
        problems: &mut Problems,
    ) -> Result<(), Error> {
        if !self.job.stages.is_empty() {
            return self.first_pass_of_stages(job, temporary, problems);
        }
        let Some(source) = self.job.table.clone() else {
            let suspects = self.count(Rest::<io::Empty>::None, problems);
            self.confirm(&suspects, problems);
            if self.updates.is_empty() && self.changes.is_empty() && problems.is_empty() {
                problems.push(Problem::new(
                    Place::File(job.into()),
                    "the job has no rows",
                    "add [[update]] or [[change]] tables, or [rows] file = \"rows.csv\"",
                ));
            }
            return Ok(());
        };
        let Some((mut bytes, path)) = open_table(job, &source, problems) else {
            self.count(Rest::<io::Empty>::None, problems);
            return Ok(());
        };
        let label: Arc<str> = path.as_str().into();
        let copy = temporary()?;
        let mut hashed = Hashed::new(&mut bytes);
        let before = problems.count();
        let mut suspects = Suspects::default();
        let mut is_plain = false;
        {
            let writer = BufWriter::new(copy.as_file());
            let table = Decoded::new(&mut hashed, source.encoding).map(|decoded| {
                is_plain = decoded.is_plain();
                let tee = Tee {
                    from: decoded,
                    to: writer,
                };
                Table::open(tee, &label, &source.options, problems)
            });
            match table {
                Err(error) => problems.push(Problem::new(
                    Place::File(Arc::clone(&label)),
                    format!("the file cannot be read: {error}"),
                    "",
                )),
                Ok(None) => {}
                Ok(Some(table)) if !table.has_wishes() && !self.has_defaults => {
                    problems.push(Problem::new(
                        table.header_place(),
                        "no column says what to change",
                        "add a column such as enabled, or say --set FIELD=VALUE",
                    ));
                }
                Ok(Some(table)) => {
                    check_columns(&self.job.defaults.templates, &table, problems);
                    suspects = self.count(Rest::Table(table), problems);
                }
            }
        }
        if self.census.rows == 0 && problems.count() == before {
            problems.push(Problem::new(
                Place::File(Arc::clone(&label)),
                "the file has a header but no rows",
                "add a line for each workflow",
            ));
        }
        let sha256 = hashed.finish();
        self.input = Some(Input {
            path,
            copy_sha256: is_plain.then(|| sha256.clone()),
            sha256,
            copy: Copy::Temporary(copy),
            label,
            options: source.options,
            form: Form::Csv,
            originals: Vec::new(),
        });
        self.confirm(&suspects, problems);
        Ok(())
    }

    /// The same for the rows of stages: each copies its CSV, and then all of them are read.
    fn first_pass_of_stages(
        &mut self,
        job: &str,
        temporary: impl Fn() -> Result<NamedTempFile, Error>,
        problems: &mut Problems,
    ) -> Result<(), Error> {
        for rows in std::mem::take(&mut self.job.stage_rows) {
            let before = problems.count();
            let input = match &rows.table {
                Some(source) => copy_table(job, source, &temporary, problems)?,
                None => None,
            };
            if let Some(input) = &input {
                check_table(input, &rows, problems);
            }
            if problems.count() > before {
                // What is wrong with it is told; rows of it would only repeat that.
                continue;
            }
            self.parts.push(StagePart {
                wishes: (rows.update, rows.templates.into()),
                updates: rows.updates.into(),
                input,
                last: 0,
            });
        }
        // Where one of them cannot be read, what is wrong with the others is told all the same.
        if !self.parts.is_empty() {
            let doing = "cannot read the input again";
            let mut reader = self.reader().map_err(Error::machine(doing))?;
            let selection = &self.job.selection;
            let (census, suspects) = reader.census(selection, &self.changes, problems);
            self.census = census;
            self.number_parts(&reader);
            self.confirm(&suspects, problems);
        }
        Ok(())
    }

    /// Which rows belong to which stage, as `reader` has read them.
    fn number_parts<R: Read>(&mut self, reader: &Reader<R>) {
        for (part, last) in self.parts.iter_mut().zip(reader.lasts()) {
            part.last = last;
        }
    }

    /// Reads every row of `updates` and `rest`; returns those that seem to be there twice.
    fn count<R: Read>(&mut self, rest: Rest<R>, problems: &mut Problems) -> Suspects {
        let mut reader = Reader::new(self.job.defaults.clone(), Rc::clone(&self.updates), rest);
        let selection = &self.job.selection;
        let (census, suspects) = reader.census(selection, &self.changes, problems);
        self.census = census;
        suspects
    }

    /// Tells the rows that really are there twice.
    fn confirm(&self, suspects: &Suspects, problems: &mut Problems) {
        if suspects.is_empty() {
            return;
        }
        match self.rows() {
            Ok(mut rows) => rows.reader.confirm_duplicates(suspects, problems),
            // Its header was read a moment ago.
            Err(error) => problems.push(Problem::new(
                Place::File("the copy of the input".into()),
                error.to_string(),
                "",
            )),
        }
    }

    /// Warns of variables that name another target than all the rows do; against flags and the job file
    /// they have been compared.
    fn warn_of_variables(&mut self) {
        let defaults = &self.job.defaults;
        if defaults.simulator.is_some() {
            return;
        }
        let used = self.census.lanes.iter().filter(|lane| lane.rows > 0);
        let regions: Vec<_> = used
            .clone()
            .filter_map(|lane| lane.route.region.clone())
            .collect();
        let projects: Vec<_> = used
            .filter_map(|lane| Some(lane.first_workspace.as_ref()?.project_id.to_string()))
            .collect();
        for (variable, rows, told) in [
            ("HW_REGION_NAME", regions, defaults.names_way()),
            (
                "HUAWEICLOUD_SDK_PROJECT_ID",
                projects.clone(),
                defaults.names_project(),
            ),
            ("HW_PROJECT_ID", projects, defaults.names_project()),
        ] {
            let Some(value) = environment(variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            if !told && !rows.is_empty() && !rows.contains(&value) {
                let named = &rows[0];
                self.job.warnings.push(format!(
                    "{variable} is {value}, but the rows go elsewhere ({named} ...): the rows' own is used"
                ));
            }
        }
    }

    /// Tells rows that ask for waves where the job says itself where they end.
    fn refuse_two_kinds_of_waves(&self, problems: &mut Problems) {
        for (stage, place) in &self.census.waved {
            let of_stage = self.job.stages.get(*stage).map(|stage| &stage.rollout);
            let rollout = self.job.rollout.as_ref().or(of_stage);
            if rollout.is_some_and(|rollout| rollout.says_waves) {
                problems.push(Problem::new(
                    place.clone(),
                    "the rows ask for waves (column wave), and the job says where waves end",
                    "leave out one of them: the column, or waves in [rollout]",
                ));
            }
        }
    }

    /// A choice of rows that chooses nothing is a typo; a cron job would do nothing for ever.
    pub(super) fn check_selection(&self, problems: &mut Problems) {
        for part in &self.census.idle {
            problems.push(Problem::new(
                Place::Flag(format!("--only {part}")),
                "no row is like that",
                format!(
                    "the job has {} rows; row= counts them from 1",
                    self.census.rows
                ),
            ));
        }
        let none_left = self.census.rows > 0 && self.census.skipped == self.census.rows;
        if none_left && problems.is_empty() {
            problems.push(Problem::new(
                Place::Flag("--only".to_owned()),
                "no row is left",
                "several --only must all hold for a row",
            ));
        }
    }

    /// Whether every row goes somewhere, now that the rows have said what they say.
    fn settle_destination(&mut self, job: &str, problems: &mut Problems) {
        if self.census.region_left_out {
            problems.push(Problem::new(
                Place::File(job.into()),
                "some rows name a region, the others would take another one from HW_REGION_NAME",
                "name the region in every row, or by --region",
            ));
        }
        if let [one, other, ..] = self.census.with_stray_project.as_slice() {
            problems.push(Problem::new(
                Place::File(job.into()),
                format!("rows of several regions ({one}, {other} ...) would take the same project"),
                "a project belongs to one region: name it in a column, or leave it out to have it looked up",
            ));
        }
        let Some(astray) = self.census.astray.take() else {
            return;
        };
        if let Some(problem) = self.job.wrong_region.take() {
            problems.push(problem);
            return;
        }
        let hint = "say --region, --endpoint or --profile, set region in [target], or try it with --simulate";
        problems.push(match self.census.lanes.is_empty() {
            true => Problem::new(Place::File(job.into()), "the job has no target", hint),
            false => Problem::new(
                astray,
                "the row names no region and no profile, and neither does the job",
                "fill in its profile or its region",
            ),
        });
    }

    /// Completes the rows with the projects that were looked up, by lane, and reads them once more: now
    /// two rows may turn out to be for one workflow.
    pub(super) fn settle_projects(&mut self, projects: BTreeMap<usize, Id>) -> Result<(), Error> {
        for (lane, project) in projects {
            let route = self.census.lanes[lane].route.clone();
            self.job.defaults.looked_up.push((route, project));
        }
        self.recount()
    }

    /// Completes the rows with workspaces that were looked up, and reads them once more.
    pub(super) fn settle_workspaces(
        &mut self,
        workspaces: Vec<LookedUpWorkspace>,
    ) -> Result<(), Error> {
        self.job.defaults.workspaces.extend(workspaces);
        self.recount()
    }

    /// Refuses the job for its problems, if there are any.
    pub(super) fn refuse(&self, problems: &Problems) -> Result<(), Error> {
        if problems.is_empty() {
            return Ok(());
        }
        let source = self.source.as_ref();
        let source = source.map(|(path, text)| Source { path, text });
        Err(Error::Problems(
            problems.render(source, terminal::wants_color()),
        ))
    }

    /// Reads the rows once more, from the copy.
    fn recount(&mut self) -> Result<(), Error> {
        let doing = "cannot read the input again";
        let mut problems = Problems::default();
        let mut reader = self.reader().map_err(Error::machine(doing))?;
        let selection = &self.job.selection;
        let (census, suspects) = reader.census(selection, &self.changes, &mut problems);
        self.census = census;
        self.number_parts(&reader);
        self.confirm(&suspects, &mut problems);
        self.refuse(&problems)
    }

    /// The job as understood, for the record.
    pub(super) fn record(&self, lanes: &[LaneFacts]) -> JobRecord {
        let job = &self.job;
        let simulated = job.destination == Destination::Simulator;
        JobRecord {
            schema_version: SCHEMA,
            name: self.name.clone(),
            description: job.description.clone(),
            ticket: None,
            undoes: job.undoes.clone(),
            time_zone: job.time_zone.clone(),
            simulated,
            lanes: lanes.to_vec(),
            input: self.input.as_ref().map(|input| InputRecord {
                path: input.path.clone(),
                sha256: input.sha256.clone(),
                options: input.options.clone(),
                form: input.form,
                originals: input.originals.clone(),
            }),
            settings: job.settings,
            rollout: job.rollout.clone(),
            stages: job.stages.clone(),
            method: job.method,
            defaults: job.defaults.clone(),
            updates: self.updates.iter().map(UpdateRecord::from).collect(),
            chosen_by: job.chosen_by.clone(),
            selection: job.selection.clone(),
            simulation: simulated.then(|| job.simulation.clone()),
        }
    }

    /// A job that was put on record, with the copy of its input.
    ///
    /// # Errors
    /// The rows do not read as they did.
    pub(super) fn again(record: JobRecord, copy: Copy) -> Result<Self, Error> {
        let name = record.name.clone();
        let input = record.input.clone().map(|input| Input {
            label: input.path.as_str().into(),
            path: input.path,
            sha256: input.sha256,
            options: input.options,
            form: input.form,
            originals: input.originals,
            copy_sha256: None,
            copy,
        });
        let (job, updates) = record.job();
        let mut taken = Self {
            job,
            census: Census::default(),
            name,
            input,
            updates,
            parts: Vec::new(),
            changes: Rc::default(),
            searches: Vec::new(),
            notes: Vec::new(),
            source: None,
            has_defaults: true,
        };
        taken.recount()?;
        Ok(taken)
    }

    /// The rows by lane: in input order where there is one lane, else each lane's in its own.
    pub(super) fn rows_by_lane(&self) -> Result<Box<dyn RowsByLane>, RowsError> {
        if self.census.lanes.len() <= 1 {
            return Ok(Box::new(self.rows()?));
        }
        let rows = LaneRows::all(self)?;
        Ok(Box::new(rows))
    }

    /// The rows once more, from the copies: those of each stage, as long as they stand apart.
    fn reopen(&self) -> Result<Vec<Part<File>>, RowsError> {
        let rest = |input: &Option<Input>| input.as_ref().map_or(Ok(Rest::None), Input::reopen);
        if self.parts.is_empty() {
            return Ok(vec![Part {
                wishes: None,
                updates: Rc::clone(&self.updates),
                rest: rest(&self.input)?,
                last: 0,
            }]);
        }
        let parts = self.parts.iter().map(|part| {
            Ok(Part {
                wishes: Some((part.wishes.0.clone(), Rc::clone(&part.wishes.1))),
                updates: Rc::clone(&part.updates),
                rest: rest(&part.input)?,
                last: part.last,
            })
        });
        parts.collect()
    }

    fn reader(&self) -> Result<Reader<File>, RowsError> {
        let reader = Reader::over(self.job.defaults.clone(), self.reopen()?);
        let borders = match self.is_in_parts() {
            true => Vec::new(),
            false => self.job.stages.iter().map(|stage| stage.last).collect(),
        };
        Ok(reader.bordered_by(borders))
    }

    /// The rows once more, from the copy.
    pub(super) fn rows(&self) -> Result<TakenRows, RowsError> {
        Ok(TakenRows {
            reader: self.reader()?,
            selector: self.job.selection.selector(),
        })
    }

    /// The files that its rows come from.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Input> {
        let of_stages = self.parts.iter().filter_map(|part| part.input.as_ref());
        self.input.iter().chain(of_stages)
    }

    /// Their copies, open for reading anywhere; one for each part of the rows.
    pub(super) fn copies(&self) -> Result<Vec<Option<File>>, RowsError> {
        let open = |input: &Option<Input>| input.as_ref().map(Input::file).transpose();
        match self.parts.as_slice() {
            [] => Ok(vec![open(&self.input)?]),
            parts => parts.iter().map(|part| open(&part.input)).collect(),
        }
    }

    /// Whether the rows of its stages still stand apart.
    pub(super) fn is_in_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// What the live state is to work out for rows of the stage at `stage`, or for all rows.
    pub(super) fn templates(&self, stage: usize) -> &[Template] {
        match self.parts.get(stage) {
            Some(part) => &part.wishes.1,
            None => &self.job.defaults.templates,
        }
    }

    /// The same for rows of any stage.
    pub(super) fn all_templates(&self) -> impl Iterator<Item = &Template> {
        (0..self.parts.len().max(1)).flat_map(|stage| self.templates(stage))
    }

    /// In which stages and waves its rows go, for people.
    pub(super) fn course_lines(&self) -> Vec<String> {
        let in_waves = |rollout: &Rollout, rows: u64| {
            let ends = rollout.counts(rows);
            let ends: Vec<_> = ends.iter().map(u64::to_string).collect();
            if !rollout.says_waves && !self.census.waved.is_empty() {
                return " in the waves that they ask for".to_owned();
            }
            match ends.len() {
                0 | 1 => String::new(),
                _ => format!(" in waves up to {}", ends.join(", ")),
            }
        };
        let count = |rows: u64| match rows {
            1 => "1 row".to_owned(),
            rows => format!("{rows} rows"),
        };
        if let Some(rollout) = &self.job.rollout {
            let rows = self.census.rows - self.census.skipped;
            let waves = in_waves(rollout, rows);
            return vec![format!("waves:      {}{waves}", count(rows))];
        }
        let mut before = 0;
        let stages = self.job.stages.iter().enumerate();
        let lines = stages.map(|(index, stage)| {
            let last = self.parts.get(index).map_or(stage.last, |part| part.last);
            let rows = last - before;
            before = last;
            let choosing = self.changes.iter().filter(|change| change.stage == index);
            let (what, waves) = match (rows, choosing.count()) {
                (rows, 0) => (count(rows), in_waves(&stage.rollout, rows)),
                (0, _) => ("rows by the live state".to_owned(), String::new()),
                (rows, _) => {
                    let what = format!("{} and more by the live state", count(rows));
                    (what, String::new())
                }
            };
            format!("stage {}:    {:?}, {what}{waves}", index + 1, stage.name)
        });
        lines.collect()
    }

    /// Which row is in which wave, if they go in waves.
    pub(super) fn waves(&self) -> Result<Option<Waves>, RowsError> {
        let stages = &self.job.stages;
        let rollouts: Vec<_> = match &self.job.rollout {
            Some(rollout) => vec![rollout],
            None => stages.iter().map(|stage| &stage.rollout).collect(),
        };
        if rollouts.is_empty() {
            return Ok(None);
        }
        let mut rows: Vec<Vec<Placed>> = vec![Vec::new(); rollouts.len()];
        let mut workspaces: HashMap<(LaneId, Workspace), u32> = HashMap::new();
        let mut all = self.rows()?;
        while let Some((row, is_taken)) = all.next_row()? {
            if !is_taken {
                continue;
            }
            let stage = stage_of(stages, row.number).unwrap_or_default();
            let next = u32::try_from(workspaces.len()).unwrap_or(u32::MAX);
            let place = (row.lane, row.workspace);
            rows[stage].push(Placed {
                number: row.number,
                wave: row.wave,
                workspace: *workspaces.entry(place).or_insert(next),
            });
        }
        let mut waves = Waves::default();
        for (stage, (rollout, rows)) in rollouts.into_iter().zip(rows).enumerate() {
            waves.add(stage, rollout, &rows);
        }
        Ok(Some(waves))
    }

    /// Keeps the copy of the input, if there is one, in the run's `folder`.
    pub(super) fn keep_input(&mut self, folder: &RunFolder) -> Result<(), Error> {
        match &mut self.input {
            Some(input) => {
                let path = folder.file(input.form.file_name());
                input.keep(path, folder.readers())
            }
            None => Ok(()),
        }
    }
}

/// Copies a CSV. None of one that cannot be read, which is told.
fn copy_table(
    job: &str,
    source: &TableSource,
    temporary: impl Fn() -> Result<NamedTempFile, Error>,
    problems: &mut Problems,
) -> Result<Option<Input>, Error> {
    let Some((mut bytes, path)) = open_table(job, source, problems) else {
        return Ok(None);
    };
    let label: Arc<str> = path.as_str().into();
    let mut copy = temporary()?;
    let mut hashed = Hashed::new(&mut bytes);
    let copied = Decoded::new(&mut hashed, source.encoding)
        .and_then(|mut decoded| io::copy(&mut decoded, copy.as_file_mut()));
    if let Err(error) = copied {
        problems.push(illegible(&label, &error, b','));
        return Ok(None);
    }
    Ok(Some(Input {
        path,
        sha256: hashed.finish(),
        copy_sha256: None,
        copy: Copy::Temporary(copy),
        label,
        options: source.options.clone(),
        form: Form::Csv,
        originals: Vec::new(),
    }))
}

/// Tells what is wrong with the header of a stage's CSV, and with one that has no rows.
fn check_table(input: &Input, rows: &StageRows, problems: &mut Problems) {
    let Ok(file) = input.file() else { return };
    let Some(mut table) = Table::open(file, &input.label, &input.options, problems) else {
        return;
    };
    if !table.has_wishes() && rows.update.is_empty() && rows.templates.is_empty() {
        problems.push(Problem::new(
            table.header_place(),
            "no column says what to change",
            "add a column such as enabled, or say it in [stage.defaults]",
        ));
    }
    check_columns(&rows.templates, &table, problems);
    let mut told = Problems::default();
    if !table.advance(&mut told) && told.is_empty() {
        problems.push(Problem::new(
            Place::File(Arc::clone(&input.label)),
            "the file has a header but no rows",
            "add a line for each workflow",
        ));
    }
}

/// Tells templates that speak of columns which `table` does not have.
fn check_columns<R: Read>(all: &[Template], table: &Table<R>, problems: &mut Problems) {
    for template in all {
        let mut templates = Templates::default();
        // What is wrong with it otherwise was told when it was read.
        let _ = templates.add(template.field.to_string(), &template.text);
        for (column, _) in templates.columns() {
            let names: Vec<_> = table.columns().collect();
            if !names.contains(&column.as_str()) {
                problems.push(Problem::new(
                    template.place.clone(),
                    format!(
                        "the template speaks of the column {column}, which the file does not have"
                    ),
                    format!("its columns: {}", names.join(", ")),
                ));
            }
        }
    }
}
