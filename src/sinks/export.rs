//! Live workflows as a CSV that `run` takes as it is.

use std::io::Write;

use crate::model::export_column::EXPORT_COLUMNS;
use crate::model::field::Field;
use crate::model::formula::guarded;
use crate::model::route::Route;
use crate::model::target::Workspace;
use crate::model::workflow::Listed;

/// How the file is written.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// As spreadsheets want it: a byte order mark, and CRLF.
    pub for_excel: bool,
}

/// What a file says of each workflow, and how.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Workflows go by their names, wherever they are; else by their ids, with guards.
    pub by_name: bool,
    /// Whether the workspaces differ.
    pub all_workspaces: bool,
    /// How it is written.
    pub dialect: Dialect,
}

/// Writes live workflows.
pub struct Export<'a, W: Write> {
    csv: csv::Writer<W>,
    columns: Vec<Column>,
    route: &'a Route,
    written: u64,
}

/// What sets a field to the empty string, and what an expectation of it is.
const EMPTY: &str = "<empty>";

/// A column of an export.
#[derive(Clone, Copy, Debug)]
enum Column {
    WorkflowId,
    WorkflowName,
    Profile,
    Region,
    ProjectId,
    WorkspaceId,
    /// By its name; by its id if it has none.
    Workspace,
    /// Its name, for people.
    WorkspaceName,
    Wish(Field),
    /// Whatever version is in use where the line is read.
    ActiveVersion,
    Expect(Field),
    /// One of those that say nothing when they are read, by its place.
    ReadOnly(usize),
}

impl Column {
    /// The columns of workflows that are found by `route`, by their ids.
    fn by_id(route: &Route, all_workspaces: bool) -> Vec<Self> {
        let mut columns = vec![Self::WorkflowId];
        columns.extend(route.profile.is_some().then_some(Self::Profile));
        columns.extend(route.region.is_some().then_some(Self::Region));
        columns.extend([Self::ProjectId, Self::WorkspaceId]);
        columns.extend(all_workspaces.then_some(Self::WorkspaceName));
        columns.extend(Field::ALL.map(Self::Wish));
        columns.extend(Field::ALL.map(Self::Expect));
        columns.extend((0..EXPORT_COLUMNS.len()).map(Self::ReadOnly));
        columns
    }

    /// The columns of workflows that are found by their names, wherever that is.
    fn by_name(all_workspaces: bool) -> Vec<Self> {
        let mut columns = vec![Self::WorkflowName];
        columns.extend(all_workspaces.then_some(Self::Workspace));
        columns.extend([
            Self::Wish(Field::Description),
            Self::Wish(Field::Enabled),
            Self::ActiveVersion,
            Self::Wish(Field::Labels),
        ]);
        columns
    }

    fn name(self) -> String {
        match self {
            Self::WorkflowId => "workflow_id".to_owned(),
            Self::WorkflowName => "workflow_name".to_owned(),
            Self::Profile => "profile".to_owned(),
            Self::Region => "region".to_owned(),
            Self::ProjectId => "project_id".to_owned(),
            Self::WorkspaceId => "workspace_id".to_owned(),
            Self::Workspace => "workspace".to_owned(),
            Self::WorkspaceName => "workspace_name".to_owned(),
            Self::Wish(field) => field.as_str().to_owned(),
            Self::ActiveVersion => Field::VersionId.as_str().to_owned(),
            Self::Expect(field) => format!("expect_{field}"),
            Self::ReadOnly(place) => EXPORT_COLUMNS[place].to_owned(),
        }
    }

    fn cell<'a>(
        self,
        route: &'a Route,
        (workspace, name): (&'a Workspace, Option<&'a str>),
        listed: &'a Listed,
    ) -> &'a str {
        let (live, details) = (&listed.workflow, &listed.details);
        match self {
            Self::WorkflowId => &live.id,
            Self::WorkflowName => &live.name,
            Self::Profile => route.profile.as_deref().unwrap_or_default(),
            Self::Region => route.region.as_deref().unwrap_or_default(),
            Self::ProjectId => workspace.project_id.as_str(),
            Self::WorkspaceId => workspace.workspace_id.as_str(),
            Self::Workspace => name.unwrap_or(workspace.workspace_id.as_str()),
            Self::WorkspaceName => name.unwrap_or_default(),
            Self::Wish(field) => live.value(field),
            // A version of one workspace does not exist in another.
            Self::ActiveVersion if live.version_id.is_empty() => "",
            Self::ActiveVersion => "active",
            Self::Expect(field) => match live.value(field) {
                "" => EMPTY,
                value => value,
            },
            Self::ReadOnly(place) => {
                let cells: [&str; EXPORT_COLUMNS.len()] = [
                    &details.version,
                    &details.aop_type,
                    &details.engine_type,
                    &details.dataclass_id,
                    &details.dataclass_name,
                    &details.owner_id,
                    &details.creator_id,
                    &details.creator_name,
                    &details.create_time,
                    &details.modifier_id,
                    &live.modifier_name,
                    &live.update_time,
                    &details.current_approval_version_id,
                ];
                cells[place]
            }
        }
    }
}

impl<'a, W: Write> Export<'a, W> {
    /// Writes the header of workflows that are reached by `route`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(route: &'a Route, shape: Shape, mut out: W) -> Result<Self, csv::Error> {
        let Shape {
            by_name,
            all_workspaces,
            dialect,
        } = shape;
        if dialect.for_excel {
            out.write_all("\u{feff}".as_bytes())?;
        }
        let terminator = match dialect.for_excel {
            true => csv::Terminator::CRLF,
            false => csv::Terminator::Any(b'\n'),
        };
        let mut csv = csv::WriterBuilder::new()
            .delimiter(dialect.delimiter)
            .terminator(terminator)
            .from_writer(out);
        let columns = match by_name {
            true => Column::by_name(all_workspaces),
            false => Column::by_id(route, all_workspaces),
        };
        csv.write_record(columns.iter().map(|column| column.name()))?;
        Ok(Self {
            csv,
            columns,
            route,
            written: 0,
        })
    }

    /// Writes one workflow of `workspace`, which people call `name`. Its guards are what is there, so that an edited
    /// cell overwrites nothing else.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(
        &mut self,
        workspace: &Workspace,
        name: Option<&str>,
        listed: &Listed,
    ) -> Result<(), csv::Error> {
        self.written += 1;
        let cells = self.columns.iter().map(|column| {
            let cell = column.cell(self.route, (workspace, name), listed);
            guarded(cell).into_owned()
        });
        self.csv.write_record(cells)
    }

    /// Writes what is still to be written; gives how many workflows there are.
    ///
    /// # Errors
    /// It cannot be.
    pub fn finish(mut self) -> Result<u64, csv::Error> {
        self.csv.flush()?;
        Ok(self.written)
    }
}
