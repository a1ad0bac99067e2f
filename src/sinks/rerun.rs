//! `rerun.csv`: the rows that are left, each with everything that it needs, so that the file is a job by
//! itself.

use std::collections::BTreeSet;
use std::io::Write;

use crate::model::field::{Field, FieldSet};
use crate::model::formula::guarded;
use crate::model::id::Id;
use crate::model::route::Route;
use crate::model::row::{Row, Said};
use crate::model::update::{LONGEST_TEXT, Label};

/// What sets a field to the empty string.
const EMPTY: &str = "<empty>";

/// A column of the file, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// `x_row`: the number that the row had; ignored when it is read.
    Number,
    /// `workflow_id`
    WorkflowId,
    /// `workflow_name`
    WorkflowName,
    /// `profile`
    Profile,
    /// `region`
    Region,
    /// `project_id`
    ProjectId,
    /// `workspace_id`
    WorkspaceId,
    /// `wave`
    Wave,
    /// What to set.
    Wish(Field),
    /// What to find.
    Expect(Field),
    /// `expect_update_time`
    ExpectUpdateTime,
}

impl Column {
    fn name(self) -> String {
        match self {
            Self::Number => "x_row".to_owned(),
            Self::WorkflowId => "workflow_id".to_owned(),
            Self::WorkflowName => "workflow_name".to_owned(),
            Self::Profile => "profile".to_owned(),
            Self::Region => "region".to_owned(),
            Self::ProjectId => "project_id".to_owned(),
            Self::WorkspaceId => "workspace_id".to_owned(),
            Self::Wave => "wave".to_owned(),
            Self::Wish(field) => field.as_str().to_owned(),
            Self::Expect(field) => format!("expect_{field}"),
            Self::ExpectUpdateTime => "expect_update_time".to_owned(),
        }
    }

    /// The cell of `row`, as a job reads it; empty if the row says nothing there.
    fn cell(self, row: &Row, route: Option<&Route>) -> String {
        let said = |text: Option<&str>| match text {
            None => String::new(),
            Some("") => EMPTY.to_owned(),
            Some(text) => guarded(text).into_owned(),
        };
        let named = |name: Option<&String>| said(name.map(String::as_str));
        match self {
            Self::Number => row.number.to_string(),
            Self::WorkflowId if row.called.is_some() => String::new(),
            Self::WorkflowId => row.workflow_id.to_string(),
            Self::WorkflowName => said(row.called.as_deref()),
            Self::Profile => named(route.and_then(|route| route.profile.as_ref())),
            Self::Region => named(route.and_then(|route| route.region.as_ref())),
            Self::ProjectId => row.workspace.project_id.to_string(),
            Self::WorkspaceId => row.workspace.workspace_id.to_string(),
            Self::Wave => row.wave.map_or_else(String::new, |wave| wave.to_string()),
            Self::Wish(Field::VersionId) => match row.version {
                Some(version) => version.as_str().to_owned(),
                None => said(row.update.value(Field::VersionId)),
            },
            Self::Wish(field) => said(row.update.value(field)),
            Self::Expect(field) => said(row.guards.value(field)),
            Self::ExpectUpdateTime => said(row.guards.update_time.as_deref()),
        }
    }
}

/// The columns that rows say something in.
#[derive(Clone, Debug, Default)]
pub struct Columns(BTreeSet<Column>);

impl Columns {
    /// Those that rows need of which some say `said`, and which go by these `routes`.
    pub fn of_rows<'a>(said: &Said, routes: impl Iterator<Item = &'a Route>) -> Self {
        let mut columns = Self::common(routes);
        columns.0.extend(said.sets.iter().map(Column::Wish));
        columns.0.extend(said.expects.iter().map(Column::Expect));
        for (is_said, column) in [
            (said.names, Column::WorkflowName),
            (said.waves, Column::Wave),
            (said.update_times, Column::ExpectUpdateTime),
        ] {
            columns.0.extend(is_said.then_some(column));
        }
        columns
    }

    /// Those that rows need which put back these `fields`, and go by these `routes`.
    pub fn of_undo<'a>(fields: FieldSet, routes: impl Iterator<Item = &'a Route>) -> Self {
        let mut columns = Self::common(routes);
        let both = |field| [Column::Wish(field), Column::Expect(field)];
        columns.0.extend(fields.iter().flat_map(both));
        columns
    }

    fn common<'a>(routes: impl Iterator<Item = &'a Route>) -> Self {
        use Column::{Number, Profile, ProjectId, Region, WorkflowId, WorkspaceId};
        let mut columns = BTreeSet::from([Number, WorkflowId, ProjectId, WorkspaceId]);
        for route in routes {
            columns.extend(route.profile.as_ref().map(|_| Profile));
            columns.extend(route.region.as_ref().map(|_| Region));
        }
        Self(columns)
    }
}

/// Whether cells can say what `row` sets and expects: a job reads them as they were meant.
pub fn cells_hold(row: &Row) -> bool {
    let is_marker = |text: &str| text.eq_ignore_ascii_case(EMPTY);
    let fits = |text: &str| text.chars().count() <= LONGEST_TEXT && !text.contains('\0');
    let sets = Field::ALL.into_iter().all(|field| {
        let Some(text) = row.update.value(field) else {
            return true;
        };
        match field {
            Field::Name => !text.is_empty() && !is_marker(text) && fits(text),
            Field::Description => !is_marker(text) && fits(text),
            Field::Enabled => true,
            Field::VersionId => text.is_empty() || Id::parse(text).is_ok(),
            Field::Labels => !matches!(Label::held(text), Label::Raw(_)),
        }
    });
    let expects = row.guards.fields.iter().all(|(field, text)| {
        let is_as_read = match field {
            Field::Labels => Label::parse(text).is_none_or(|label| label.as_str() == text),
            Field::VersionId => text.is_empty() || Id::parse(text).is_ok(),
            Field::Name | Field::Description | Field::Enabled => true,
        };
        is_as_read && !is_marker(text) && !text.contains('\0')
    });
    sets && expects
}

/// Writes rows with the columns that they need.
pub struct Rerun<W: Write> {
    csv: csv::Writer<W>,
    columns: Vec<Column>,
}

impl<W: Write> Rerun<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(columns: &Columns, out: W) -> Result<Self, csv::Error> {
        let columns: Vec<_> = columns.0.iter().copied().collect();
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(columns.iter().map(|column| column.name()))?;
        Ok(Self { csv, columns })
    }

    /// Writes `row`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, row: &Row, route: Option<&Route>) -> Result<(), csv::Error> {
        let cells = self.columns.iter().map(|column| column.cell(row, route));
        self.csv.write_record(cells)
    }

    /// Writes what is still to be written.
    ///
    /// # Errors
    /// It cannot be.
    pub fn finish(self) -> Result<W, csv::Error> {
        self.csv
            .into_inner()
            .map_err(|error| error.into_error().into())
    }
}
