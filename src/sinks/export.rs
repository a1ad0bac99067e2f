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
    /// The columns of workflows that are found by their ids.
    fn by_id(has_profile: bool, has_region: bool, all_workspaces: bool) -> Vec<Self> {
        let mut columns = vec![Self::WorkflowId];
        columns.extend(has_profile.then_some(Self::Profile));
        columns.extend(has_region.then_some(Self::Region));
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

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| column.name()).collect()
}

/// Why a file is not an export that can be written anew without loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUntouched {
    /// Its columns are not those of an export by ids.
    #[error("it is not an export by workflow_id")]
    Other,
    /// A cell was edited.
    #[error("the {column} of workflow {workflow_id} was edited")]
    Edited {
        /// Whose row.
        workflow_id: String,
        /// The name of its column.
        column: String,
    },
}

/// Whether `file` is an export that holds no work of a person: each cell that a run would send equals its guard.
///
/// # Errors
/// The first thing that says otherwise.
pub fn check_untouched(file: &[u8]) -> Result<(), NotUntouched> {
    let text = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
    let untouched = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .from_reader(text);
        let mut records = reader.records();
        let header = records.next().and_then(Result::ok);
        let header: Vec<_> = header.iter().flatten().map(str::to_owned).collect();
        let both = [false, true];
        let shapes = both.iter().flat_map(|profile| {
            both.map(|region| both.map(|all| Column::by_id(*profile, region, all)))
        });
        let columns = shapes.flatten().find(|columns| names(columns) == header);
        let columns = columns.ok_or(NotUntouched::Other)?;
        let place = |wanted: &str| header.iter().position(|name| name == wanted);
        let pairs: Vec<_> = columns
            .iter()
            .filter_map(|column| match column {
                Column::Expect(field) => Some((place(field.as_str())?, place(&column.name())?)),
                Column::WorkflowId
                | Column::WorkflowName
                | Column::Profile
                | Column::Region
                | Column::ProjectId
                | Column::WorkspaceId
                | Column::Workspace
                | Column::WorkspaceName
                | Column::Wish(_)
                | Column::ActiveVersion
                | Column::ReadOnly(_) => None,
            })
            .collect();
        for record in records {
            let record = record.map_err(|_| NotUntouched::Other)?;
            for (cell, guard) in &pairs {
                let is_same = match record.get(*guard) {
                    Some(EMPTY) => record.get(*cell) == Some(""),
                    guard => record.get(*cell) == guard,
                };
                if !is_same {
                    return Err(NotUntouched::Edited {
                        workflow_id: record.get(0).unwrap_or_default().to_owned(),
                        column: header[*cell].clone(),
                    });
                }
            }
        }
        Ok(())
    };
    let mut tried = [b',', b';', b'\t'].map(untouched).into_iter();
    // By the other delimiters it has one column.
    tried
        .find(|tried| *tried != Err(NotUntouched::Other))
        .unwrap_or(Err(NotUntouched::Other))
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
            false => Column::by_id(
                route.profile.is_some(),
                route.region.is_some(),
                all_workspaces,
            ),
        };
        csv.write_record(names(&columns))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::endpoint::Endpoint;
    use crate::model::id::Id;

    fn exported(delimiter: u8, for_excel: bool, by_name: bool) -> String {
        let route = Route {
            endpoint: Endpoint::parse("https://host").unwrap(),
            region: Some("cn-north-4".into()),
            profile: None,
        };
        let shape = Shape {
            by_name,
            all_workspaces: false,
            dialect: Dialect {
                delimiter,
                for_excel,
            },
        };
        let workspace = Workspace {
            project_id: Id::parse("p").unwrap(),
            workspace_id: Id::parse("s").unwrap(),
        };
        let mut out = Vec::new();
        let mut export = Export::new(&route, shape, &mut out).unwrap();
        for name in ["=a", "b;,\"\n"] {
            let mut listed = Listed::default();
            listed.workflow.id = "w".into();
            listed.workflow.name = name.into();
            export.write(&workspace, None, &listed).unwrap();
        }
        export.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_export_that_nobody_touched_may_be_written_anew() {
        for (delimiter, for_excel) in [(b',', false), (b';', true), (b'\t', false)] {
            let text = exported(delimiter, for_excel, false);
            assert_eq!(check_untouched(text.as_bytes()), Ok(()), "{text}");
            let renamed = text.replacen("'=a", "renamed", 1);
            let edited = NotUntouched::Edited {
                workflow_id: "w".into(),
                column: "name".into(),
            };
            assert_eq!(check_untouched(renamed.as_bytes()), Err(edited), "{text}");
            let noted = text.replacen("workflow_id", "x_note", 1);
            assert_eq!(check_untouched(noted.as_bytes()), Err(NotUntouched::Other));
        }
        for other in [
            exported(b',', false, true),
            "secret".to_owned(),
            "\u{0}".to_owned(),
        ] {
            assert_eq!(check_untouched(other.as_bytes()), Err(NotUntouched::Other));
        }
    }
}
