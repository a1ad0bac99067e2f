//! Builds rows: completes what a draft leaves out, and says where each row goes.

use crate::model::id::{Id, trim};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

use super::column::Column;
use super::draft::Draft;
use super::problem::Problem;
use super::problems::Problems;
use super::region::region_endpoint;
use super::wish::Desk;

/// What completes a row that leaves something out.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Project and workspace of the command line; a row must not name others.
    pub flags: Target,
    /// Project and workspace of the job file.
    pub job: Target,
    /// Project and workspace of the environment (or of the simulator), where all else is silent.
    pub environment: Target,
    /// The region of the command line or the job file, and who says so.
    pub region: Region,
    /// Columns whose value outside the rows is wrong, which has been told.
    pub told: Vec<Column>,
    /// For the fields that a row leaves out.
    pub update: Update,
}

impl Defaults {
    /// Whether a project is known outside the rows.
    pub fn has_project(&self) -> bool {
        let targets = [&self.flags, &self.job, &self.environment];
        targets.iter().any(|target| target.project_id.is_some())
    }

    /// Whether a workspace is known outside the rows.
    pub fn has_workspace(&self) -> bool {
        let targets = [&self.flags, &self.job, &self.environment];
        targets.iter().any(|target| target.workspace_id.is_some())
    }
}

/// A project and a workspace, as far as they are given.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The project.
    pub project_id: Option<Id>,
    /// The workspace.
    pub workspace_id: Option<Id>,
}

/// What is said about the region outside the rows.
#[derive(Clone, Debug, Default)]
pub enum Region {
    /// Nothing: the rows may name one.
    #[default]
    Open,
    /// The region and the words for who names it.
    Named(String, &'static str),
    /// An endpoint is given, so that a row's region would contradict it.
    Endpoint,
    /// The simulator, which is in every region.
    Anywhere,
}

/// Builds rows and remembers what they say about the region.
#[derive(Clone, Debug)]
pub struct Builder {
    defaults: Defaults,
    number: u64,
    /// Columns of the target that are missing altogether, which has been told.
    told: Vec<Column>,
    /// The region that the first row with one names.
    pub region: Option<String>,
    /// Whether a row names none.
    pub region_left_out: bool,
}

impl Builder {
    /// A builder of rows from number 1.
    pub fn new(defaults: Defaults) -> Self {
        Self {
            told: defaults.told.clone(),
            defaults,
            number: 0,
            region: None,
            region_left_out: false,
        }
    }

    /// How many rows there were so far.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// The row that `draft` means, or `None` and its problems.
    pub fn build(&mut self, draft: &impl Draft, problems: &mut Problems) -> Option<Row> {
        self.number += 1;
        let mut desk = Desk { draft, problems };
        let workflow_id = desk.id(Column::WorkflowId);
        if workflow_id.is_none() && desk.text(Column::WorkflowId).is_none() {
            desk.wrong(
                Column::WorkflowId,
                "the row has no workflow_id",
                "give the id as the console or an export shows it",
            );
        }
        self.check_region(&mut desk);
        if desk.text(Column::Profile).is_some() {
            desk.wrong(
                Column::Profile,
                "profiles are not available yet",
                "give region, project_id and workspace_id instead",
            );
        }
        let variable = "HW_PROJECT_ID";
        let project_id = self.target(&mut desk, Column::ProjectId, variable, |target| {
            &target.project_id
        });
        let variable = "FLOWBATCH_WORKSPACE_ID";
        let workspace_id = self.target(&mut desk, Column::WorkspaceId, variable, |target| {
            &target.workspace_id
        });
        let (update, guards) = desk.wishes(&self.defaults.update)?;
        Some(Row {
            number: self.number,
            line: draft.line(),
            lane: LaneId(0),
            workspace: Workspace {
                project_id: project_id?,
                workspace_id: workspace_id?,
            },
            workflow_id: workflow_id?,
            update,
            guards,
        })
    }

    /// The row's own, else the flag's, else the job's, else the environment's.
    fn target<D: Draft>(
        &mut self,
        desk: &mut Desk<'_, D>,
        column: Column,
        variable: &str,
        pick: impl Fn(&Target) -> &Option<Id>,
    ) -> Option<Id> {
        let name = column.as_str();
        let flag = pick(&self.defaults.flags).clone();
        if desk.text(column).is_some() {
            let own = desk.id(column)?;
            if let Some(flag) = flag.filter(|flag| *flag != own) {
                let option = name.replace('_', "-");
                desk.wrong(
                    column,
                    &format!("the row's {name} is not that of --{option}"),
                    &format!("--{option} says {flag}; leave out the flag"),
                );
                return None;
            }
            return Some(own);
        }
        let found = [
            &flag,
            pick(&self.defaults.job),
            pick(&self.defaults.environment),
        ]
        .into_iter()
        .find_map(Clone::clone);
        // Where there is no such column at all, one row's problem is every row's.
        let whole = desk.draft.cell(column).is_none();
        if found.is_none() && !(whole && self.told.contains(&column)) {
            self.told.push(column);
            let option = name.replace('_', "-");
            desk.problems.push(Problem::new(
                desk.draft.whole(),
                format!("the row has no {name}"),
                format!("add a column {name}, [target] {name}, --{option} or {variable}"),
            ));
        }
        found
    }

    /// A run reaches one region; a row may name it, but no other.
    fn check_region<D: Draft>(&mut self, desk: &mut Desk<'_, D>) {
        let Some(own) = desk.text(Column::Region) else {
            self.region_left_out = true;
            return;
        };
        let own = trim(own).to_owned();
        let split = "one run reaches one region: split the file by region";
        match (&self.defaults.region, &self.region) {
            (Region::Anywhere, _) => {}
            (Region::Endpoint, _) => desk.wrong(
                Column::Region,
                "the row names a region, the job an endpoint",
                "leave out one of them",
            ),
            (Region::Named(region, _), _) if *region == own => {}
            (Region::Named(region, who), _) => desk.wrong(
                Column::Region,
                &format!("the row's region is not that of {who}"),
                &format!("{who} says {region}; {split}"),
            ),
            (Region::Open, Some(first)) if *first == own => {}
            (Region::Open, Some(first)) => desk.wrong(
                Column::Region,
                "the row's region is not that of the rows before it",
                &format!("they name {first}; {split}"),
            ),
            (Region::Open, None) => match region_endpoint(&own) {
                Ok(_) => self.region = Some(own),
                Err(hint) => desk.wrong(Column::Region, "no such region", &hint),
            },
        }
    }
}
