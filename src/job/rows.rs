//! The rows of a job: read once to find every problem, and again to be sent.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::rc::Rc;

use crate::model::id::Id;
use crate::model::row::Row;
use crate::model::target::Workspace;

use super::builder::{Builder, Defaults};
use super::column::Column;
use super::draft::Draft;
use super::file::Written;
use super::problem::{Place, Problem, Problems};
use super::selection::Selection;
use super::table::Table;

/// Reads the rows of a job in input order: `[[update]]` first, then the table.
pub struct Reader<R> {
    builder: Builder,
    updates: Rc<[Written]>,
    next_update: usize,
    table: Option<Table<R>>,
}

/// What a job's rows are, all in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rows.
    pub rows: u64,
    /// Rows that the user took out.
    pub skipped: u64,
    /// The region that the rows name.
    pub region: Option<String>,
    /// Whether a row names none.
    pub region_left_out: bool,
    /// Workspaces that the rows go to.
    pub workspaces: u64,
    /// That of the first row.
    pub first_workspace: Option<Workspace>,
    /// Whether a row is read before it is changed.
    pub guarded: bool,
}

impl<R: Read> Reader<R> {
    /// Reads `updates`, then `table`.
    pub fn new(defaults: Defaults, updates: Rc<[Written]>, table: Option<Table<R>>) -> Self {
        Self {
            builder: Builder::new(defaults),
            updates,
            next_update: 0,
            table,
        }
    }

    /// The next row, or `None` after the last. Rows with problems are told and passed over.
    pub fn next(&mut self, problems: &mut Problems) -> Option<Row> {
        while let Some(update) = self.updates.get(self.next_update) {
            self.next_update += 1;
            if update.broken {
                continue;
            }
            if let Some(row) = self.builder.build(update, problems) {
                return Some(row);
            }
        }
        let table = self.table.as_mut()?;
        while table.advance(problems) {
            if let Some(row) = self.builder.build(table, problems) {
                return Some(row);
            }
        }
        None
    }

    /// Where the row that was read last stands, for problems with it as a whole.
    fn place(&self) -> Place {
        match &self.table {
            Some(table) if self.next_update == self.updates.len() && table.line() > 0 => {
                table.place(Column::WorkflowId)
            }
            Some(_) | None => match self.updates.get(self.next_update.saturating_sub(1)) {
                Some(update) => update.place(Column::WorkflowId),
                None => Place::Job(0..0),
            },
        }
    }

    /// Reads every row, tells every problem, and counts.
    ///
    /// Memory grows by 8 bytes a row, and with the rows that seem to be there twice: those are
    /// suspects until [`Reader::confirm_duplicates`] has read them again.
    pub fn census(&mut self, selection: &Selection, problems: &mut Problems) -> (Census, Suspects) {
        let mut selector = selection.selector();
        let mut census = Census::default();
        let mut hashes: Vec<u64> = Vec::new();
        let mut workspaces: HashSet<Workspace> = HashSet::new();
        while let Some(row) = self.next(problems) {
            census.skipped += u64::from(!selector.takes(&row));
            census.guarded |= !row.guards.is_empty();
            hashes.push(hash(&row));
            if !workspaces.contains(&row.workspace) {
                census
                    .first_workspace
                    .get_or_insert_with(|| row.workspace.clone());
                workspaces.insert(row.workspace);
            }
        }
        census.rows = self.builder.count();
        census.workspaces = workspaces.len() as u64;
        census.region.clone_from(&self.builder.region);
        census.region_left_out = self.builder.region_left_out;
        hashes.sort_unstable();
        let twice = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        (census, Suspects(twice.map(|pair| pair[0]).collect()))
    }

    /// Tells the rows among `suspects` that are for one workflow, reading every row again.
    pub fn confirm_duplicates(&mut self, suspects: &Suspects, problems: &mut Problems) {
        let mut first: HashMap<(Workspace, Id), u64> = HashMap::new();
        let mut told = Problems::default();
        while let Some(row) = self.next(&mut told) {
            if !suspects.0.contains(&hash(&row)) {
                continue;
            }
            let key = (row.workspace, row.workflow_id);
            match first.get(&key) {
                Some(line) => problems.push(Problem::new(
                    self.place(),
                    "a second row for the same workflow",
                    format!("the first is on line {line}; make one row of them"),
                )),
                None => {
                    first.insert(key, row.line);
                }
            }
        }
    }
}

/// Hashes that more than one row has.
#[derive(Debug, Default)]
pub struct Suspects(HashSet<u64>);

impl Suspects {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn hash(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.workspace.hash(&mut hasher);
    row.workflow_id.hash(&mut hasher);
    hasher.finish()
}
