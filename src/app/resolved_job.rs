//! A job whose rows leave nothing open, and these rows again and again.

use std::collections::BTreeMap;

use crate::engine::ports::RowsError;
use crate::error::Error;
use crate::job::census::Census;
use crate::job::destination::Destination;
use crate::job::intent::Job;
use crate::job::record::{InputRecord, JobRecord, SCHEMA, SourceRecord};
use crate::job::rollout::Waves;
use crate::job::stage::stage_of;
use crate::model::counted::counted;
use crate::model::event::KeptFile;
use crate::model::route::{LaneFacts, Route};
use crate::model::target::LaneId;

use super::folder::RunFolder;
use super::placing::Placing;
use super::rows_file::{Rows, RowsFile};
use super::sources::{self, SourceFile};

/// A job whose rows leave nothing open.
pub(super) struct ResolvedJob {
    pub(super) job: Job,
    /// The job's name for people.
    pub(super) name: String,
    pub(super) census: Census,
    pub(super) rows: RowsFile,
    /// What they come from, if it is one file.
    pub(super) input: Option<InputRecord>,
    /// The files that the user gave, until a run keeps them.
    pub(super) sources: Vec<SourceFile>,
    /// Those that a run has kept.
    pub(super) kept_sources: Vec<SourceRecord>,
    /// Requests that it took to find its workspaces and to choose its rows, by lane.
    pub(super) readings: BTreeMap<LaneId, u64>,
    /// What was chosen by what, for people.
    pub(super) notes: Vec<String>,
    /// Whether it comes from a record: where its credentials are now, the profiles say.
    pub(super) is_recorded: bool,
}

impl ResolvedJob {
    /// The job of `record`, with these rows.
    pub(super) fn of_record(record: JobRecord, rows: RowsFile) -> Self {
        Self {
            name: record.name.clone(),
            census: record.census.clone(),
            input: record.input.clone(),
            kept_sources: record.sources.clone(),
            job: record.job(),
            rows,
            sources: Vec::new(),
            readings: BTreeMap::new(),
            notes: Vec::new(),
            is_recorded: true,
        }
    }

    /// The job that was put on record in `folder`.
    ///
    /// # Errors
    /// Its rows cannot be read.
    pub(super) fn on_record(record: JobRecord, folder: &RunFolder) -> Result<Self, Error> {
        Ok(Self::of_record(record, RowsFile::open(folder)?))
    }

    /// The same job, whose rows and files the run in `folder` keeps; and the file of its rows.
    pub(super) fn kept_in(self, folder: &RunFolder) -> Result<(Self, KeptFile), Error> {
        let (rows, kept) = self.rows.keep(folder)?;
        let kept_sources = sources::keep(self.sources, folder)?;
        let resolved = Self {
            rows,
            sources: Vec::new(),
            kept_sources,
            ..self
        };
        Ok((resolved, kept))
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
            input: self.input.clone(),
            sources: self.kept_sources.clone(),
            census: self.census.clone(),
            settings: job.settings,
            rollout: job.rollout.clone(),
            stages: job.stages.clone(),
            method: job.method,
            defaults: job.defaults.clone(),
            chosen_by: job.chosen_by.clone(),
            selection: job.selection.clone(),
            simulation: simulated.then(|| job.simulation.clone()),
        }
    }

    /// The files that the user gave, as given.
    pub(super) fn inputs(&self) -> Vec<String> {
        let given = self.sources.iter().map(|source| &source.path);
        let kept = self.kept_sources.iter().map(|source| &source.path);
        given.chain(kept).cloned().collect()
    }

    /// Its rows in input order.
    pub(super) fn rows(&self) -> Result<Rows, RowsError> {
        self.rows.rows()
    }

    /// Where its lanes lead, in the order of their numbers.
    pub(super) fn routes(&self) -> Vec<Route> {
        let lanes = self.census.lanes.iter();
        lanes.map(|lane| lane.route.clone()).collect()
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
        self.verifies_stage(stage_of(&self.job.stages, number).unwrap_or_default())
    }

    fn verifies_stage(&self, stage: usize) -> bool {
        let of_stage = self.job.stages.get(stage).map(|stage| &stage.rollout);
        let rollout = self.job.rollout.as_ref().or(of_stage);
        rollout.is_some_and(|rollout| rollout.verify)
    }

    /// Which row is in which wave, if they go in waves.
    pub(super) fn waves(&self) -> Result<Option<Waves>, RowsError> {
        let Some(mut placing) = Placing::of(&self.job) else {
            return Ok(None);
        };
        let mut rows = self.rows()?;
        while let Some(row) = rows.next_taken()? {
            placing.place(&row);
        }
        Ok(Some(placing.waves(&self.job)))
    }

    /// In which stages and waves its rows go, for people: how many rows each wave holds.
    pub(super) fn course_lines(&self, waves: &Waves) -> Vec<String> {
        course_lines(&self.job, waves, |_| false)
    }
}

/// In which stages and waves the rows of `job` go, for people: how many rows each wave holds. More rows are chosen by the live
/// state for stages of which `chooses` says so.
pub(super) fn course_lines(
    job: &Job,
    waves: &Waves,
    chooses: impl Fn(usize) -> bool,
) -> Vec<String> {
    let sizes_of = |stage| {
        let all = 1..=waves.count();
        let of_stage = all.filter(|wave| waves.get(*wave).is_some_and(|wave| wave.stage == stage));
        of_stage.map(|wave| waves.rows(wave)).collect::<Vec<_>>()
    };
    let rows_text = |stage: usize| {
        let sizes = sizes_of(stage);
        let rows = sizes.iter().sum();
        match (rows, chooses(stage)) {
            (0, true) => "rows by the live state".to_owned(),
            (rows, true) => format!("{} and more by the live state", counted(rows, "row")),
            (rows, false) => format!("{}{}", counted(rows, "row"), in_waves(&sizes)),
        }
    };
    if job.rollout.is_some() {
        return vec![format!("waves:      {}", rows_text(0))];
    }
    let stages = job.stages.iter().enumerate();
    let lines = stages.map(|(index, stage)| {
        let rows = rows_text(index);
        format!("stage {}:    {:?}, {rows}", index + 1, stage.name)
    });
    lines.collect()
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
