//! `rerun.csv`: the rows that are left, each with everything that it needs, so that the file is a job by
//! itself.

use std::collections::BTreeSet;
use std::io::Write;

use crate::model::change::Change;
use crate::model::field::Field;
use crate::model::formula::guarded;
use crate::model::id::Id;
use crate::model::route::Route;
use crate::model::row::Row;
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
    /// Takes `row` into account.
    pub fn see(&mut self, row: &Row, route: Option<&Route>) {
        use Column::{
            ExpectUpdateTime, Number, Profile, ProjectId, Region, Wave, WorkflowId, WorkflowName,
            WorkspaceId,
        };
        self.0.extend([Number, WorkflowId, ProjectId, WorkspaceId]);
        let fields = Field::ALL.into_iter();
        let others = fields
            .flat_map(|field| [Column::Wish(field), Column::Expect(field)])
            .chain([WorkflowName, Profile, Region, Wave, ExpectUpdateTime]);
        for column in others {
            if !self.0.contains(&column) && !column.cell(row, route).is_empty() {
                self.0.insert(column);
            }
        }
    }

    /// Takes into account that a row is to put back `change`.
    pub fn see_change(&mut self, change: &Change, route: Option<&Route>) {
        use Column::{Number, Profile, ProjectId, Region, WorkflowId, WorkspaceId};
        self.0.extend([Number, WorkflowId, ProjectId, WorkspaceId]);
        for field in change.after.keys() {
            self.0
                .extend([Column::Wish(*field), Column::Expect(*field)]);
        }
        let has = |name: Option<&String>| name.is_some_and(|name| !name.is_empty());
        let profile = has(route.and_then(|route| route.profile.as_ref())).then_some(Profile);
        let region = has(route.and_then(|route| route.region.as_ref())).then_some(Region);
        self.0.extend(profile.into_iter().chain(region));
    }

    /// Whether no row was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    pub fn finish(mut self) -> Result<(), csv::Error> {
        self.csv.flush()?;
        Ok(())
    }
}
