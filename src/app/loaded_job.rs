//! A job that was taken in: its rows are kept, and some of them may leave something open.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::cli::JobArgs;
use crate::engine::ports::RowsError;
use crate::error::Error;
use crate::job::census::{Counting, Duplicates, Suspects};
use crate::job::change::{Change, Scope};
use crate::job::defaults::{Defaults, LookedUpWorkspace};
use crate::job::intent::Job;
use crate::job::problem::Place;
use crate::job::problems::Problems;
use crate::job::rows::Findings;
use crate::job::stage::stage_of;
use crate::job::stored_rows::Target;
use crate::job::template::Template;
use crate::model::id::Id;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};

use super::folder::State;
use super::intake::{
    NextReader, PartSource, ReadJob, check_selection, read, reader_of, refuse, templates,
};
use super::resolved_job::ResolvedJob;
use super::rows_file::{RowsFile, RowsWriter};
use super::sources::{Csv, Keep};

/// Where a change looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Search {
    /// The change, by its place among them.
    pub(super) change: usize,
    pub(super) lane: LaneId,
    pub(super) workspace: Workspace,
}

/// A job whose rows are kept; where something is open, something stands for it.
pub(super) struct LoadedJob {
    pub(super) so_far: ResolvedJob,
    pub(super) findings: Findings,
    /// Rows that are still to be chosen from the live state.
    pub(super) changes: Rc<[Change]>,
    /// Where they look.
    pub(super) searches: Vec<Search>,
    parts: Vec<PartSource>,
    text: Option<(String, String)>,
}

impl LoadedJob {
    /// Takes in the job that the command line names, and keeps its rows in `state`; with `strict` no row may be beyond carrying out.
    ///
    /// # Errors
    /// The job has problems: all of them. Or its rows cannot be kept.
    pub(super) fn take_in(args: &JobArgs, strict: bool, state: &State) -> Result<Self, Error> {
        let mut rows = RowsWriter::new(state)?;
        let read = read(args, Keep::In(state), |row, counted| {
            rows.write(row, counted)
        })?;
        Self::new(read.strict(strict), rows)
    }

    /// The job that was `read`, whose `rows` were written.
    fn new(read: ReadJob, rows: RowsWriter) -> Result<Self, Error> {
        let csvs: Vec<&Csv> = read
            .parts
            .iter()
            .filter_map(|part| part.csv.as_ref())
            .collect();
        let input = match csvs.as_slice() {
            [csv] => Some(csv.record()),
            _ => None,
        };
        Ok(Self {
            so_far: ResolvedJob {
                job: read.job,
                name: read.name,
                census: read.census,
                rows: rows.finish(read.targets)?,
                input,
                sources: read.file.into_iter().collect(),
                kept_sources: Vec::new(),
                readings: BTreeMap::new(),
                notes: Vec::new(),
                is_recorded: false,
            },
            findings: read.findings,
            changes: read.changes,
            searches: Vec::new(),
            parts: read.parts,
            text: read.text,
        })
    }

    /// What the live state is to work out for rows of the stage at `stage`, or for all rows.
    pub(super) fn templates(&self, stage: usize) -> &[Template] {
        templates(&self.so_far.job, &self.parts, stage)
    }

    /// The same for rows of any stage.
    pub(super) fn all_templates(&self) -> impl Iterator<Item = &Template> {
        (0..self.parts.len()).flat_map(|stage| self.templates(stage))
    }

    /// Its rows as written once more.
    pub(super) fn reader(&self) -> io::Result<NextReader> {
        // Its rows leave by the lanes that are open.
        let defaults = Defaults {
            routes: self.so_far.routes(),
            ..self.so_far.job.defaults.clone()
        };
        reader_of(defaults, &self.parts)
    }

    /// Refuses the job for its problems, if there are any.
    pub(super) fn refuse(&self, problems: &Problems) -> Result<(), Error> {
        refuse(self.text.as_ref(), problems)
    }

    /// Where `row` stands, as far as that is on record.
    pub(super) fn place(&self, row: &Row) -> Place {
        let stages = &self.so_far.job.stages;
        let stage = stage_of(stages, row.number).unwrap_or_default();
        let before = stage.checked_sub(1).and_then(|before| stages.get(before));
        let before = before.map_or(0, |stage| stage.last);
        let part = self.parts.get(stage);
        let is_update = |part: &&PartSource| row.number - before > part.updates.len() as u64;
        let csv = part.filter(is_update).and_then(|part| part.csv.as_ref());
        let job = || {
            self.text
                .as_ref()
                .map_or("the job", |(path, _)| path)
                .into()
        };
        Place::Line {
            file: csv.map_or_else(job, |csv| Arc::clone(&csv.label)),
            line: row.line,
            text: row
                .called
                .clone()
                .unwrap_or_else(|| row.workflow_id.to_string()),
        }
    }

    /// Tells those rows of `rows` among `suspects` that are for one workflow.
    pub(super) fn confirm_duplicates(
        &self,
        rows: &RowsFile,
        suspects: &Suspects,
        problems: &mut Problems,
    ) -> Result<(), RowsError> {
        if suspects.is_empty() {
            return Ok(());
        }
        let routes = self.so_far.routes();
        let mut duplicates = Duplicates::among(suspects);
        for stored in rows.rows()? {
            let row = stored?.row;
            let stage = stage_of(&self.so_far.job.stages, row.number).unwrap_or_default();
            duplicates.see(
                &row,
                stage,
                &routes[row.lane.0],
                || self.place(&row),
                problems,
            );
        }
        Ok(())
    }

    /// The same job, whose changes look there.
    pub(super) fn that_searches(self, searches: Vec<Search>) -> Self {
        Self { searches, ..self }
    }

    /// The same job, for which so many requests were sent by each lane.
    pub(super) fn that_took(self, readings: BTreeMap<LaneId, u64>) -> Self {
        Self {
            so_far: ResolvedJob {
                readings,
                ..self.so_far
            },
            ..self
        }
    }

    /// The files that its rows come from, as given.
    pub(super) fn inputs(&self) -> Vec<String> {
        let csvs = self.parts.iter().filter_map(|part| part.csv.as_ref());
        let csvs = csvs.map(|csv| csv.path.clone());
        self.so_far.inputs().into_iter().chain(csvs).collect()
    }

    /// The same job with the projects that were looked up, by lane.
    pub(super) fn with_projects(
        self,
        projects: &BTreeMap<usize, Id>,
        state: &State,
    ) -> Result<Self, Error> {
        if projects.is_empty() {
            return Ok(self);
        }
        // The region's name stands for a project that is to be looked up.
        let found = |lane: LaneId, id: &Id| {
            let route = &self.so_far.census.lanes[lane.0].route;
            let is_open = route.region.as_deref() == Some(id.as_str());
            let project = projects.get(&lane.0).filter(|_| is_open);
            project.unwrap_or(id).clone()
        };
        let findings = Findings {
            scopes: self
                .findings
                .scopes
                .iter()
                .map(|scope| Scope {
                    project_id: found(scope.lane, &scope.project_id),
                    ..scope.clone()
                })
                .collect(),
            without_workspace: self
                .findings
                .without_workspace
                .iter()
                .map(|((lane, project, name), place)| {
                    let key = (*lane, found(*lane, project), name.clone());
                    (key, place.clone())
                })
                .collect(),
            without_project: Vec::new(),
            ..self.findings.clone()
        };
        let targets = self.so_far.rows.targets().iter().map(|target| {
            let Target { lane, workspace } = target;
            Target {
                lane: *lane,
                workspace: Workspace {
                    project_id: found(*lane, &workspace.project_id),
                    workspace_id: workspace.workspace_id.clone(),
                },
            }
        });
        let targets = targets.collect();
        let lanes = &self.so_far.census.lanes;
        let looked_up = projects
            .iter()
            .map(|(lane, project)| (lanes[*lane].route.clone(), project.clone()));
        let defaults = &self.so_far.job.defaults;
        let defaults = Defaults {
            looked_up: defaults
                .looked_up
                .iter()
                .cloned()
                .chain(looked_up)
                .collect(),
            ..defaults.clone()
        };
        self.going_to(targets, defaults, findings, state)
    }

    /// The same job with the workspaces that were looked up.
    pub(super) fn with_workspaces(
        self,
        found: Vec<LookedUpWorkspace>,
        state: &State,
    ) -> Result<Self, Error> {
        let by_stand_in: Vec<_> = found
            .iter()
            .filter_map(|found| Some((Row::stand_in(&found.name)?, found)))
            .collect();
        let lanes = &self.so_far.census.lanes;
        let targets = self.so_far.rows.targets().iter().map(|target| {
            let place = &target.workspace;
            let is_meant = |(stand_in, found): &&(Id, &LookedUpWorkspace)| {
                *stand_in == place.workspace_id
                    && found.project_id == place.project_id
                    && found.route == lanes[target.lane.0].route
            };
            let meant = by_stand_in.iter().find(is_meant);
            Target {
                lane: target.lane,
                workspace: Workspace {
                    project_id: place.project_id.clone(),
                    workspace_id: meant
                        .map_or(&place.workspace_id, |(_, found)| &found.workspace_id)
                        .clone(),
                },
            }
        });
        let targets = targets.collect();
        let findings = Findings {
            without_workspace: BTreeMap::new(),
            ..self.findings.clone()
        };
        let defaults = &self.so_far.job.defaults;
        let defaults = Defaults {
            workspaces: defaults.workspaces.iter().cloned().chain(found).collect(),
            ..defaults.clone()
        };
        let loaded = self.going_to(targets, defaults, findings, state)?;
        if loaded.changes.is_empty() {
            let mut problems = Problems::default();
            check_selection(&loaded.so_far.census, &loaded.findings.idle, &mut problems);
            loaded.refuse(&problems)?;
        }
        Ok(loaded)
    }

    /// The same job, whose rows go to `targets`: by now two of them may turn out to be for one workflow, or to be others than the
    /// user chose.
    fn going_to(
        self,
        targets: Vec<Target>,
        defaults: Defaults,
        findings: Findings,
        state: &State,
    ) -> Result<Self, Error> {
        const DOING: &str = "the rows of the job cannot be read again";
        let routes = self.so_far.routes();
        let job = self.so_far.job;
        let rows = self.so_far.rows.going_to(targets);
        let mut writer = RowsWriter::new(state)?;
        let mut counting = Counting::new(&job.selection);
        for stored in rows.rows().map_err(Error::machine(DOING))? {
            let row = stored.map_err(Error::machine(DOING))?.row;
            let stage = stage_of(&job.stages, row.number).unwrap_or_default();
            writer.write(&row, &counting.count(&row, stage, &routes))?;
        }
        let (mut census, targets, idle, suspects) = counting.finish();
        census.meet(&routes);
        for (lane, before) in census.lanes.iter_mut().zip(&self.so_far.census.lanes) {
            lane.is_searched = before.is_searched;
        }
        let loaded = Self {
            so_far: ResolvedJob {
                job: Job { defaults, ..job },
                census,
                rows: writer.finish(targets)?,
                ..self.so_far
            },
            findings: Findings { idle, ..findings },
            ..self
        };
        let mut problems = Problems::default();
        loaded
            .confirm_duplicates(&loaded.so_far.rows, &suspects, &mut problems)
            .map_err(Error::machine(DOING))?;
        loaded.refuse(&problems)?;
        Ok(loaded)
    }

    /// The job, in which nothing is open any more.
    pub(super) fn resolved(self) -> ResolvedJob {
        let csvs = self.parts.into_iter().filter_map(|part| part.csv);
        let csvs = csvs.map(Csv::into_source);
        ResolvedJob {
            sources: self.so_far.sources.into_iter().chain(csvs).collect(),
            ..self.so_far
        }
    }
}

impl From<ResolvedJob> for LoadedJob {
    /// A job in which nothing is open.
    fn from(job: ResolvedJob) -> Self {
        Self {
            so_far: job,
            findings: Findings::default(),
            changes: Rc::default(),
            searches: Vec::new(),
            parts: Vec::new(),
            text: None,
        }
    }
}
