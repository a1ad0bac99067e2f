//! `[[change]]`: rows that the live state gives, by a condition.

use std::ops::Range;

use crate::model::field::Field;
use crate::model::formula::{guarded, unguarded};
use crate::model::id::Id;
use crate::model::target::{LaneId, Workspace};

use super::cell::EMPTY;
use super::column::Column;
use super::draft::Draft;
use super::file::Written;
use super::filter::Filter;
use super::keys;
use super::line_starts::LineStarts;
use super::problem::Place;
use super::template;
use super::toml::{Located, Reader, Table};

/// A `[[change]]` as written.
#[derive(Debug)]
pub struct Change {
    /// Where it goes, as far as it says so itself: profile, region, project.
    target: Written,
    /// In which workspaces it looks.
    pub workspaces: Workspaces,
    /// Who is meant.
    pub filter: Filter,
    /// Who is not, by any of these.
    pub exclude: Vec<Filter>,
    /// What is set, templates among it.
    pub set: Written,
    /// Whether it may select nothing.
    pub allow_empty: bool,
    /// The stage it belongs to, by its place; 0 where there is none.
    pub stage: usize,
}

/// In which workspaces a change looks.
#[derive(Debug)]
pub enum Workspaces {
    /// That of the job.
    OfTheJob,
    /// All of the project.
    All,
    /// Those of these names or ids.
    These(Vec<Located<String>>),
}

impl Workspaces {
    /// Those that are named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let these = match self {
            Self::OfTheJob | Self::All => [].iter(),
            Self::These(these) => these.iter(),
        };
        these.map(|name| name.value.as_str())
    }
}

/// Where a change looks, as far as it is known before anybody is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The change, by its place among them.
    pub change: usize,
    /// The way there.
    pub lane: LaneId,
    /// The project.
    pub project_id: Id,
    /// The workspace of the job, if it is that one.
    pub workspace_id: Option<Id>,
}

/// Where a change goes, as far as it says so itself.
pub(super) const TARGET: [Column; 3] = [Column::Profile, Column::Region, Column::ProjectId];

impl Reader<'_> {
    /// The `[[change]]` tables of a job file with these lines.
    pub fn read_changes(&mut self, root: Table<'_>, lines: &LineStarts) -> Vec<Change> {
        let tables = self.tables(root, "change");
        tables
            .into_iter()
            .map(|(table, span)| self.read_change(table, span, lines))
            .collect()
    }

    fn read_change(&mut self, table: Table<'_>, span: Range<usize>, lines: &LineStarts) -> Change {
        self.only(table, &keys::names(&keys::change()));
        let cells = TARGET
            .iter()
            .filter_map(|column| Some((*column, self.cell(table, column.as_str())?)));
        let target = Written::at(cells.collect(), span.clone(), lines);
        let set = match self.table(table, "set") {
            Some(set) => self.written(set, &Column::wishes(), span.clone(), lines),
            None => Written::at(Vec::new(), span.clone(), lines),
        };
        self.read_templates(&set, Some("row"));
        let allow_empty = self.boolean(table, "allow_empty");
        Change {
            workspaces: self.read_workspaces(table),
            target,
            filter: self.read_where(table, &span),
            exclude: self.read_exclude(table),
            set,
            allow_empty: allow_empty.is_some_and(|allowed| allowed.value),
            stage: 0,
        }
    }

    fn read_where(&mut self, table: Table<'_>, span: &Range<usize>) -> Filter {
        let mut filter = Filter::default();
        let conditions = self.strings(table, "where");
        if conditions.is_empty() {
            if !table.keys().any(|(key, _)| key == "where") || self.is_empty_list(table, "where") {
                let hint =
                    "write where = \"name~^Triage\", or where = \"all\" if every workflow is meant";
                self.wrong(
                    span.clone(),
                    "the change does not say which workflows are meant",
                    hint,
                );
            }
            return filter;
        }
        if let [only] = conditions.as_slice()
            && only.value == "all"
        {
            return filter;
        }
        for condition in conditions {
            self.read_condition(&mut filter, &condition);
        }
        filter
    }

    fn read_exclude(&mut self, table: Table<'_>) -> Vec<Filter> {
        let conditions = self.strings(table, "exclude").into_iter();
        let filters = conditions.map(|condition| {
            let mut filter = Filter::default();
            self.read_condition(&mut filter, &condition);
            filter
        });
        filters.collect()
    }

    fn read_condition(&mut self, filter: &mut Filter, condition: &Located<String>) {
        if let Err(fault) = filter.add(&condition.value) {
            let hint = match fault.what.as_str() {
                "no condition" => {
                    "for every workflow write where = \"all\"; else name=VALUE, name~REGEX, enabled=true, unchanged>90d ..."
                }
                _ => fault.hint,
            };
            self.wrong(condition.span.clone(), fault.what, hint);
        }
    }

    fn read_workspaces(&mut self, table: Table<'_>) -> Workspaces {
        if !table.keys().any(|(key, _)| key == "workspaces") {
            return Workspaces::OfTheJob;
        }
        let these = self.strings(table, "workspaces");
        match these.as_slice() {
            [one] if one.value == "all" => Workspaces::All,
            [] if self.is_empty_list(table, "workspaces") => {
                let span = table.span_of("workspaces");
                let hint =
                    "name one, write workspaces = \"all\", or leave it out for that of the job";
                self.wrong(span, "the list of workspaces is empty", hint);
                Workspaces::OfTheJob
            }
            _ => Workspaces::These(these),
        }
    }

    /// Tells the templates among `cells` that are none; they are not to speak of `missing`.
    pub fn read_templates(&mut self, cells: &Written, missing: Option<&'static str>) {
        let mut templates = template::Templates::without(missing);
        for (column, cell) in cells.cells() {
            let text = unguarded(&cell.value);
            if let Some(known) = template::near_miss(text) {
                let what = format!("single braces around {known} are no template");
                self.wrong(cell.span.clone(), what, format!("write {{{{ {known} }}}}"));
            } else if template::is_one(text)
                && let Err(fault) = templates.add(column.as_str().to_owned(), text)
            {
                self.wrong(cell.span.clone(), fault.what, fault.hint);
            }
        }
    }
}

impl Change {
    /// What it says, for the record.
    pub fn text(&self) -> String {
        let mut parts = vec![format!("where {}", self.filter.text())];
        for filter in &self.exclude {
            parts.push(format!("exclude {}", filter.text()));
        }
        parts.push(match &self.workspaces {
            Workspaces::OfTheJob => "in the workspace of the job".to_owned(),
            Workspaces::All => "in all workspaces".to_owned(),
            Workspaces::These(_) => {
                let names: Vec<_> = self.workspaces.names().collect();
                format!("in {names:?}")
            }
        });
        for (column, cell) in self.set.cells() {
            parts.push(format!(
                "set {} = {:?}",
                column.as_str(),
                unguarded(&cell.value)
            ));
        }
        parts.join("; ")
    }

    /// Whether it sets anything by itself.
    pub fn sets_anything(&self) -> bool {
        self.set.cells().next().is_some()
    }

    /// The fields by which it chooses.
    pub fn chooses_by(&self) -> impl Iterator<Item = Field> {
        let filters = std::iter::once(&self.filter).chain(&self.exclude);
        filters.flat_map(Filter::reads)
    }

    /// Whether any change of a workflow may change whether it is chosen.
    pub fn minds_any_change(&self) -> bool {
        let mut filters = std::iter::once(&self.filter).chain(&self.exclude);
        filters.any(Filter::minds_any_change)
    }

    /// What it sets by templates: the field, the template, and where it stands.
    pub fn templates(&self) -> impl Iterator<Item = (Field, &str, Place)> {
        self.set.cells().filter_map(|(column, cell)| {
            let Column::Wish(field) = *column else {
                return None;
            };
            let text = unguarded(&cell.value);
            template::is_one(text).then(|| (field, text, cell.place()))
        })
    }
}

impl Draft for Change {
    fn cell(&self, column: Column) -> Option<&str> {
        self.target.cell(column)
    }
    fn place(&self, column: Column) -> Place {
        self.target.place(column)
    }
    fn whole(&self) -> Place {
        self.target.whole()
    }
    fn line(&self) -> u64 {
        self.target.line()
    }
}

/// The row that a change makes of one workflow.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// The change.
    pub change: &'a Change,
    /// Where the workflow lives.
    pub workspace: &'a Workspace,
    /// Which it is.
    pub workflow_id: &'a str,
    /// What its templates gave.
    pub worked_out: &'a [(Field, String)],
}

impl Draft for Chosen<'_> {
    fn cell(&self, column: Column) -> Option<&str> {
        match column {
            Column::WorkflowId => Some(self.workflow_id),
            Column::ProjectId => Some(self.workspace.project_id.as_str()),
            Column::WorkspaceId => Some(self.workspace.workspace_id.as_str()),
            Column::Wish(field) => {
                let mut worked_out = self.worked_out.iter();
                match worked_out.find(|(known, _)| *known == field) {
                    Some((_, value)) => Some(value),
                    None => self.change.set.cell(column),
                }
            }
            Column::Profile | Column::Region => self.change.target.cell(column),
            Column::WorkflowName
            | Column::Workspace
            | Column::Expect(_)
            | Column::ExpectUpdateTime
            | Column::Wave => None,
        }
    }
    fn place(&self, column: Column) -> Place {
        if let Column::Wish(_) = column {
            self.change.set.place(column)
        } else {
            self.change.target.place(column)
        }
    }
    fn whole(&self) -> Place {
        self.change.whole()
    }
    fn line(&self) -> u64 {
        self.change.line()
    }
}

/// What a template gave, as a cell says it.
pub fn as_cell(value: &str) -> String {
    match value {
        "" => EMPTY.to_owned(),
        value => guarded(value).into_owned(),
    }
}
