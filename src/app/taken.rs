//! A job without problems, and its rows again and again, from the copy of its input.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use crate::engine::ports::RowsError;
use crate::error::Error;
use crate::job::change::Change;
use crate::job::defaults::LookedUpWorkspace;
use crate::job::destination::Destination;
use crate::job::file::{UpdateRecord, Written};
use crate::job::intent::Job;
use crate::job::problem::{Place, Problem, Source};
use crate::job::problems::Problems;
use crate::job::record::{InputRecord, JobRecord, SCHEMA};
use crate::job::rollout::{Placed, Waves};
use crate::job::rows::{Census, Part, Reader, Rest, Suspects};
use crate::job::stage::stage_of;
use crate::job::template::Template;
use crate::model::counted::counted;
use crate::model::id::Id;
use crate::model::route::{LaneFacts, Route};
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

use super::folder::{RunFolder, sha256_of};
use super::input::{Copy, Input};
use super::settling::Search;
use super::taken_rows::{LaneRows, RowsByLane, TakenRows};
use super::terminal;

/// A job without problems, and the copy of its input.
pub(super) struct Taken {
    pub(super) job: Job,
    pub(super) census: Census,
    /// The job's name for people.
    pub(super) name: String,
    pub(super) input: Option<Input>,
    pub(super) updates: Rc<[Written]>,
    /// The rows of its stages, until all of them are in one input.
    pub(super) parts: Vec<StagePart>,
    /// Rows that are still to be chosen from the live state.
    pub(super) changes: Rc<[Change]>,
    /// Where they look.
    pub(super) searches: Vec<Search>,
    /// Requests that it took to find its workspaces and to choose its rows, by lane.
    pub(super) readings: BTreeMap<LaneId, u64>,
    /// What was chosen by what, for people.
    pub(super) notes: Vec<String>,
    /// The job file and its text, for pictures of problems.
    pub(super) source: Option<(String, String)>,
    /// Whether `[defaults]` or `--set` say anything, right or wrong.
    pub(super) has_defaults: bool,
    /// Whether it comes from a record: where its credentials are now, the profiles say.
    pub(super) is_recorded: bool,
}

/// The rows of a stage.
pub(super) struct StagePart {
    /// What they are completed by.
    pub(super) wishes: (Update, Rc<[Template]>),
    pub(super) updates: Rc<[Written]>,
    pub(super) input: Option<Input>,
    /// The number of the last of them, once they have been counted.
    pub(super) last: u64,
}

impl Taken {
    /// Which rows belong to which stage, as `reader` has read them.
    pub(super) fn number_parts<R: Read>(&mut self, reader: &Reader<R>) {
        for (part, last) in self.parts.iter_mut().zip(reader.lasts()) {
            part.last = last;
        }
    }

    /// Reads every row of `updates` and `rest`; returns those that seem to be there twice.
    pub(super) fn count<R: Read>(&mut self, rest: Rest<R>, problems: &mut Problems) -> Suspects {
        let mut reader = Reader::new(self.job.defaults.clone(), Rc::clone(&self.updates), rest);
        let selection = &self.job.selection;
        let (census, suspects) = reader.census(selection, &self.changes, problems);
        self.census = census;
        suspects
    }

    /// Tells the rows that really are there twice.
    pub(super) fn confirm(&self, suspects: &Suspects, problems: &mut Problems) {
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

    /// A choice of rows that chooses nothing is a typo; a cron job would do nothing for ever.
    pub(super) fn check_selection(&self, problems: &mut Problems) {
        for part in &self.census.idle {
            problems.push(Problem::new(
                Place::Flag(format!("--only {part}")),
                "no row is like that",
                format!(
                    "the job has {}; row= counts them from 1",
                    counted(self.census.rows, "row")
                ),
            ));
        }
        let none_left = self.census.rows > 0 && self.census.skipped == self.census.rows;
        // A hold list may leave none: that is what it is for.
        if none_left && self.census.held == 0 && problems.is_empty() {
            problems.push(Problem::new(
                Place::Flag("--only".to_owned()),
                "no row is left",
                "--only of different kinds must all match a row",
            ));
        }
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
    pub(super) fn recount(&mut self) -> Result<(), Error> {
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
            readings: BTreeMap::new(),
            notes: Vec::new(),
            source: None,
            has_defaults: true,
            is_recorded: true,
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
    pub(super) fn reopen(&self) -> Result<Vec<Part<File>>, RowsError> {
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

    pub(super) fn reader(&self) -> Result<Reader<File>, RowsError> {
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

    /// Where its lanes lead, in the order of their numbers.
    pub(super) fn routes(&self) -> Vec<Route> {
        let lanes = self.census.lanes.iter();
        lanes.map(|lane| lane.route.clone()).collect()
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

    /// In which stages and waves its rows go, for people: how many rows each wave holds.
    pub(super) fn course_lines(&self, waves: &Waves) -> Vec<String> {
        let sizes_of = |stage| {
            let all = 1..=waves.count();
            let of_stage =
                all.filter(|wave| waves.get(*wave).is_some_and(|wave| wave.stage == stage));
            of_stage.map(|wave| waves.rows(wave)).collect::<Vec<_>>()
        };
        let rows_text = |stage: usize| {
            let sizes = sizes_of(stage);
            let rows = sizes.iter().sum();
            let mut choosing = self.changes.iter().filter(|change| change.stage == stage);
            match (rows, choosing.next()) {
                (0, Some(_)) => "rows by the live state".to_owned(),
                (rows, Some(_)) => format!("{} and more by the live state", counted(rows, "row")),
                (rows, None) => format!("{}{}", counted(rows, "row"), in_waves(&sizes)),
            }
        };
        if self.job.rollout.is_some() {
            return vec![format!("waves:      {}", rows_text(0))];
        }
        let stages = self.job.stages.iter().enumerate();
        let lines = stages.map(|(index, stage)| {
            let rows = rows_text(index);
            format!("stage {}:    {:?}, {rows}", index + 1, stage.name)
        });
        lines.collect()
    }

    /// How many rows are in waves that are read back.
    pub(super) fn verified_rows(&self, waves: &Waves) -> u64 {
        let is_verified = |wave: &u32| {
            let wave = waves.get(*wave);
            wave.is_some_and(|wave| self.verifies_stage(wave.stage))
        };
        let verified = (1..=waves.count()).filter(is_verified);
        verified.map(|wave| waves.rows(wave)).sum()
    }

    /// Whether what row `number` sets is read back when its wave is done.
    pub(super) fn verifies(&self, number: u64) -> bool {
        self.verifies_stage(self.stage_of(number))
    }

    fn verifies_stage(&self, stage: usize) -> bool {
        let of_stage = self.job.stages.get(stage).map(|stage| &stage.rollout);
        let rollout = self.job.rollout.as_ref().or(of_stage);
        rollout.is_some_and(|rollout| rollout.verify)
    }

    /// The stage of row `number`, by its place; 0 where there are no stages.
    fn stage_of(&self, number: u64) -> usize {
        let stage = match self.parts.as_slice() {
            [] => stage_of(&self.job.stages, number),
            parts => parts.iter().position(|part| number <= part.last),
        };
        stage.unwrap_or_default()
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
            let stage = self.stage_of(row.number);
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
                input.keep(path.clone(), folder.readers())?;
                if input.copy_sha256.is_none() {
                    let sha256 = sha256_of(&path).map_err(Error::file("cannot read", &path))?;
                    input.copy_sha256 = Some(sha256);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Waves that are listed one by one.
const MOST_WAVES: usize = 20;

/// ` in waves of 1, 29, 270`; nothing where there is but one.
fn in_waves(sizes: &[u64]) -> String {
    if sizes.len() < 2 {
        return String::new();
    }
    let shown = sizes.iter().take(MOST_WAVES).map(u64::to_string);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match sizes.len().saturating_sub(MOST_WAVES) {
        0 => format!(" in waves of {shown}"),
        more => format!(" in waves of {shown} and {more} more"),
    }
}
