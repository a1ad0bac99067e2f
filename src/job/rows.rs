//! The rows of a job as the user wrote them, read once, in input order.

use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

use crate::model::formula::unguarded;
use crate::model::id::Id;
use crate::model::row::Row;
use crate::model::target::LaneId;
use crate::model::update::Update;

use super::builder::Builder;
use super::census::{Census, Counted, Counting, Duplicates, Suspects};
use super::change::{Change, Scope, Workspaces};
use super::column::Column;
use super::defaults::Defaults;
use super::draft::Draft;
use super::file::Written;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::selection::Selection;
use super::stored_rows::Target;
use super::table::Table;
use super::template::Template;

/// Reads the rows of a job in input order: part by part, of each `[[update]]` first, then the table.
pub struct Reader<R> {
    builder: Builder,
    parts: Vec<Part<R>>,
    /// The part that is read, by its place: the stage, where there are stages.
    at: usize,
    next_update: usize,
    /// Whether the row that was read last is one of the table.
    is_in_table: bool,
}

/// A part of a job's rows: a stage, or all of them.
pub struct Part<R> {
    /// What its rows are completed by, if not by the same as all.
    pub wishes: Option<(Update, Rc<[Template]>)>,
    /// Rows of the job file.
    pub updates: Rc<[Written]>,
    /// Those of a CSV.
    pub table: Option<Table<R>>,
}

/// What the rows leave open, and what is odd about them as a whole.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The number of each part's last row.
    pub lasts: Vec<u64>,
    /// A row that has no region and no endpoint.
    pub astray: Option<Place>,
    /// Whether some rows go where something names, and others to the environment's region for want
    /// of that.
    pub region_left_out: bool,
    /// Lanes with a project that is to be looked up.
    pub without_project: Vec<LaneId>,
    /// Workspaces that are to be looked up, and where they are named first: lane, project, name.
    pub without_workspace: BTreeMap<(LaneId, Id, String), Place>,
    /// Where changes look for rows.
    pub scopes: Vec<Scope>,
    /// Regions whose rows take a project from a place that names no region.
    pub with_stray_project: Vec<String>,
    /// The first row of each stage that asks for a wave, and its stage.
    pub waved: Vec<(usize, Place)>,
    /// The parts of `--only` that no row matched.
    pub idle: Vec<String>,
}

/// What a reading of all rows came to.
pub struct Surveyed {
    /// What they are.
    pub census: Census,
    /// Where they go.
    pub targets: Vec<Target>,
    /// What they leave open.
    pub findings: Findings,
    /// Which of them may be for one workflow.
    pub suspects: Suspects,
}

impl<R: Read> Reader<R> {
    /// Reads `parts`, one after the other.
    pub fn new(defaults: Defaults, parts: Vec<Part<R>>) -> Self {
        let mut reader = Self {
            builder: Builder::new(defaults),
            parts,
            at: 0,
            next_update: 0,
            is_in_table: false,
        };
        reader.turn_to(0);
        reader
    }

    /// The next row, or `None` after the last. Rows with problems are told and passed over.
    pub fn next(&mut self, problems: &mut Problems) -> Option<Row> {
        loop {
            if let Some(row) = self.next_of_part(problems) {
                return Some(row);
            }
            if !self.next_part() {
                return None;
            }
        }
    }

    /// Turns to the next part, if there is one.
    pub fn next_part(&mut self) -> bool {
        let is_there = self.at + 1 < self.parts.len();
        if is_there {
            self.turn_to(self.at + 1);
            (self.next_update, self.is_in_table) = (0, false);
        }
        is_there
    }

    fn turn_to(&mut self, at: usize) {
        self.at = at;
        if let Some((update, templates)) = self.parts.get(at).and_then(|part| part.wishes.as_ref())
        {
            self.builder.complete_by(update, templates);
        }
    }

    /// The next row of this part, or `None` after its last.
    pub fn next_of_part(&mut self, problems: &mut Problems) -> Option<Row> {
        let part = self.parts.get_mut(self.at)?;
        while let Some(update) = part.updates.get(self.next_update) {
            self.next_update += 1;
            if update.broken {
                continue;
            }
            self.is_in_table = false;
            if let Some(row) = self.builder.build(update, problems) {
                return Some(row);
            }
        }
        self.is_in_table = true;
        let table = part.table.as_mut()?;
        while table.advance(problems) {
            if let Some(row) = self.builder.build(table, problems) {
                return Some(row);
            }
        }
        None
    }

    /// The table that the row was read from which was read last, if it was.
    fn table(&self) -> Option<&Table<R>> {
        let part = self.parts.get(self.at)?;
        part.table.as_ref().filter(|_| self.is_in_table)
    }

    /// The row of the job file that was read last.
    fn update(&self) -> Option<&Written> {
        let part = self.parts.get(self.at)?;
        part.updates.get(self.next_update.checked_sub(1)?)
    }

    /// The row that was read last, completed by `further` as well.
    pub fn complete(&mut self, further: &Update, problems: &mut Problems) -> Option<Row> {
        let part = self.parts.get(self.at)?;
        match part.table.as_ref().filter(|_| self.is_in_table) {
            Some(table) => self.builder.complete(table, further, problems),
            None => {
                let update = part.updates.get(self.next_update.checked_sub(1)?)?;
                self.builder.complete(update, further, problems)
            }
        }
    }

    /// The cells of the row that was read last, by the names of their columns.
    pub fn cells(&self) -> BTreeMap<String, String> {
        let owned = |(name, cell): (&str, &str)| (name.to_owned(), unguarded(cell).to_owned());
        if let Some(table) = self.table() {
            return table.cells().map(owned).collect();
        }
        let cells = self.update().into_iter().flat_map(Written::cells);
        cells
            .map(|(column, cell)| owned((column.as_str(), &cell.value)))
            .collect()
    }

    /// Whether the table of each part has had any row, read or not.
    pub fn have_rows(&self) -> impl Iterator<Item = bool> {
        let tables = self.parts.iter().map(|part| part.table.as_ref());
        tables.map(|table| table.is_some_and(Table::has_rows))
    }

    /// Builds rows that stand in no file, numbered after those that were read.
    pub fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }

    /// Where the row that was read last stands, for problems with it as a whole.
    pub fn place(&self) -> Place {
        match (self.table(), self.update()) {
            (Some(table), _) => table.place(Column::WorkflowId),
            (None, Some(update)) => update.place(Column::WorkflowId),
            (None, None) => Place::Job(0..0),
        }
    }

    /// Reads every row, and where `changes` look for more; tells every problem, counts, and shows each row to `keep`.
    ///
    /// # Errors
    /// That of `keep`.
    pub fn survey<E>(
        &mut self,
        selection: &Selection,
        changes: &[Change],
        problems: &mut Problems,
        mut keep: impl FnMut(&Row, &Counted) -> Result<(), E>,
    ) -> Result<Surveyed, E> {
        let mut counting = Counting::new(selection);
        let mut findings = Findings::default();
        loop {
            while let Some(row) = self.next_of_part(problems) {
                if row.wave.is_some()
                    && findings
                        .waved
                        .last()
                        .is_none_or(|(last, _)| *last != self.at)
                {
                    findings.waved.push((self.at, self.place()));
                }
                let counted = counting.count(&row, self.at, self.builder.routes());
                keep(&row, &counted)?;
            }
            findings.lasts.push(self.builder.count());
            if !self.next_part() {
                break;
            }
        }
        let (mut census, targets, idle, suspects) = counting.finish();
        // Those that could not be built were rows as well.
        census.rows = self.builder.count();
        findings.idle = idle;
        for (index, change) in changes.iter().enumerate() {
            let Some((lane, project_id, workspace_id)) = self.builder.scope(change, problems)
            else {
                continue;
            };
            if workspace_id.is_none() && matches!(change.workspaces, Workspaces::OfTheJob) {
                problems.push(Problem::new(
                    change.whole(),
                    "the change has no workspace to look in",
                    "name them (workspaces = [\"SOC Berlin\"]), write workspaces = \"all\", or set [target] workspace_id",
                ));
            }
            census.meet(self.builder.routes());
            census.lanes[lane.0].is_searched = true;
            findings.scopes.push(Scope {
                change: index,
                lane,
                project_id,
                workspace_id,
            });
        }
        census.meet(self.builder.routes());
        let named = self.builder.without_workspace.drain();
        let by_place = selection.goes_by_place();
        findings.without_workspace = named
            .filter(|((lane, project_id, name), _)| {
                // Only those of rows that are taken up.
                let stand_in = Row::stand_in(name);
                let mut places = census.lanes[lane.0]
                    .places
                    .iter()
                    .map(|place| &place.workspace);
                by_place
                    || places.any(|place| {
                        Some(&place.workspace_id) == stand_in.as_ref()
                            && place.project_id == *project_id
                    })
            })
            .collect();
        findings.with_stray_project = std::mem::take(&mut self.builder.with_stray_project);
        findings.astray = self.builder.astray.take();
        findings.region_left_out = self.builder.by_environment && self.builder.by_name;
        findings.without_project = std::mem::take(&mut self.builder.without_project);
        if by_place {
            let named = findings.without_workspace.keys().map(|(lane, ..)| lane);
            for lane in named.chain(&findings.without_project) {
                census.lanes[lane.0].is_searched = true;
            }
        }
        let is_used = |lane: &LaneId| census.lanes.get(lane.0).is_some_and(|lane| lane.is_used());
        findings.without_project.retain(is_used);
        Ok(Surveyed {
            census,
            targets,
            findings,
            suspects,
        })
    }

    /// Tells the rows among `suspects` that are for one workflow, reading every row again.
    pub fn confirm_duplicates(&mut self, suspects: &Suspects, problems: &mut Problems) {
        let mut duplicates = Duplicates::among(suspects);
        let mut told = Problems::default();
        while let Some(row) = self.next(&mut told) {
            let route = &self.builder.routes()[row.lane.0];
            duplicates.see(&row, self.at, route, || self.place(), problems);
        }
    }
}
