//! The columns of a CSV and the keys of an `[[update]]`: the same words.

use crate::model::export_column::EXPORT_COLUMNS;
use crate::model::field::Field;
use crate::model::id::trim;
use crate::model::report_column::REPORT_COLUMNS;

use super::suggestion::{normal, suggestion};

/// A column that a row is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// `workflow_id`
    WorkflowId,
    /// `workflow_name`: what it is called, instead of its id.
    WorkflowName,
    /// `profile`
    Profile,
    /// `region`
    Region,
    /// `project_id`
    ProjectId,
    /// `workspace_id`
    WorkspaceId,
    /// `workspace`: its name or its id, which is looked up.
    Workspace,
    /// What to set.
    Wish(Field),
    /// `expect_...`: what to find.
    Expect(Field),
    /// `expect_update_time`
    ExpectUpdateTime,
    /// `wave`: where rows go in waves.
    Wave,
}

impl Column {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 19] = [
        Self::WorkflowId,
        Self::WorkflowName,
        Self::Profile,
        Self::Region,
        Self::ProjectId,
        Self::WorkspaceId,
        Self::Workspace,
        Self::Wish(Field::Name),
        Self::Wish(Field::Description),
        Self::Wish(Field::Enabled),
        Self::Wish(Field::VersionId),
        Self::Wish(Field::Labels),
        Self::Expect(Field::Name),
        Self::Expect(Field::Description),
        Self::Expect(Field::Enabled),
        Self::Expect(Field::VersionId),
        Self::Expect(Field::Labels),
        Self::ExpectUpdateTime,
        Self::Wave,
    ];

    /// Those that say what to set.
    pub fn wishes() -> Vec<Self> {
        Field::ALL.map(Self::Wish).to_vec()
    }

    /// The column's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkflowId => "workflow_id",
            Self::WorkflowName => "workflow_name",
            Self::Profile => "profile",
            Self::Region => "region",
            Self::ProjectId => "project_id",
            Self::WorkspaceId => "workspace_id",
            Self::Workspace => "workspace",
            Self::Wish(field) => field.as_str(),
            Self::Expect(Field::Name) => "expect_name",
            Self::Expect(Field::Description) => "expect_description",
            Self::Expect(Field::Enabled) => "expect_enabled",
            Self::Expect(Field::VersionId) => "expect_version_id",
            Self::Expect(Field::Labels) => "expect_labels",
            Self::ExpectUpdateTime => "expect_update_time",
            Self::Wave => "wave",
        }
    }

    /// The column called `name`, without regard to case, blanks, `-` and `_`.
    pub fn from_header(name: &str) -> Option<Self> {
        let name = normal(name);
        if name == "label" {
            return Some(Self::Wish(Field::Labels));
        }
        Self::ALL
            .into_iter()
            .find(|column| normal(column.as_str()) == name)
    }
}

/// What a header stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A column that rows are made of.
    Column(Column),
    /// A column that may stand there and says nothing.
    Ignored,
    /// No column, but close to one.
    NearMiss(&'static str),
    /// No column, but another word for one.
    Synonym(&'static str),
    /// No column.
    Unknown,
}

/// What people call columns: those that other tools and sheets have for them.
const SYNONYMS: [(&str, &[&str]); 13] = [
    (
        "workflow_id",
        &["id", "uuid", "guid", "wf", "wf_id", "workflow_uuid"],
    ),
    (
        "workflow_name",
        &["wf_name", "workflow_title", "current_name"],
    ),
    ("name", &["title", "new_name", "display_name", "new_title"]),
    ("description", &["desc", "descr", "new_description"]),
    (
        "enabled",
        &[
            "active",
            "activated",
            "enable",
            "is_active",
            "is_enabled",
            "on",
            "on_off",
            "state",
            "status",
            "running",
            "switch",
        ],
    ),
    (
        "version_id",
        &["version", "ver", "version_uuid", "workflow_version"],
    ),
    ("labels", &["tag", "tags", "label_type"]),
    ("expect_name", &["old_name", "old_title"]),
    (
        "expect_enabled",
        &["old_enabled", "old_status", "old_state"],
    ),
    ("project_id", &["project", "project_uuid"]),
    ("workspace_id", &["workspace_uuid"]),
    ("profile", &["account", "tenant", "customer"]),
    ("region", &["region_id", "region_name"]),
];

/// The column that `name` is another word for, without regard to case, blanks, `-` and `_`.
pub fn synonym(name: &str) -> Option<&'static str> {
    let name = normal(name);
    let is_meant = |(_, words): &&(&str, &[&str])| words.iter().any(|word| normal(word) == name);
    SYNONYMS.iter().find(is_meant).map(|(column, _)| *column)
}

/// What the header `name` stands for, without regard to case, blanks, `-` and `_`.
pub fn meaning(name: &str) -> Meaning {
    if let Some(column) = Column::from_header(name) {
        return Meaning::Column(column);
    }
    let plain = normal(name);
    let mut read_only = REPORT_COLUMNS.iter().chain(&EXPORT_COLUMNS);
    if read_only.any(|known| normal(known) == plain) {
        return Meaning::Ignored;
    }
    if trim(name).to_lowercase().starts_with("x_") {
        return Meaning::Ignored;
    }
    if let Some(column) = synonym(name) {
        return Meaning::Synonym(column);
    }
    let known = Column::ALL.into_iter().map(Column::as_str);
    match suggestion(&plain, known) {
        Some(column) => Meaning::NearMiss(column),
        None => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_match_however_they_are_spelt() {
        for name in [
            "workflow_id",
            "Workflow ID",
            "WORKFLOW-ID",
            "\u{feff}workflowId ",
            "Workflow_Id",
        ] {
            assert_eq!(meaning(name), Meaning::Column(Column::WorkflowId), "{name}");
        }
        assert_eq!(
            meaning("Label"),
            Meaning::Column(Column::Wish(Field::Labels))
        );
        assert_eq!(
            meaning("Expect-Name"),
            Meaning::Column(Column::Expect(Field::Name))
        );
    }

    #[test]
    fn what_the_report_writes_and_what_begins_with_x_is_ignored() {
        for name in ["status", "Row Hash", "x_owner", "X_Anything", "update_time"] {
            assert_eq!(meaning(name), Meaning::Ignored, "{name}");
        }
    }

    #[test]
    fn another_word_for_a_column_is_told_from_a_misspelt_one() {
        for (name, column) in [
            ("ID", "workflow_id"),
            ("Title", "name"),
            ("desc", "description"),
            ("Active", "enabled"),
            ("state", "enabled"),
            ("on", "enabled"),
            ("is active", "enabled"),
            ("Tags", "labels"),
            ("old_name", "expect_name"),
        ] {
            assert_eq!(meaning(name), Meaning::Synonym(column), "{name}");
        }
        // The report and the export have columns of these names.
        assert_eq!(meaning("status"), Meaning::Ignored);
        assert_eq!(synonym("status"), Some("enabled"));
        assert_eq!(synonym("version"), Some("version_id"));
        let columns = Column::ALL.map(Column::as_str);
        for (column, words) in SYNONYMS {
            assert!(columns.contains(&column), "{column}");
            assert!(words.iter().all(|word| Column::from_header(word).is_none()));
        }
    }

    #[test]
    fn a_near_miss_is_told_apart_from_a_stranger() {
        assert_eq!(meaning("enabeld"), Meaning::NearMiss("enabled"));
        assert_eq!(meaning("workflow"), Meaning::NearMiss("workflow_id"));
        assert_eq!(meaning("descripton"), Meaning::NearMiss("description"));
        for name in ["owner", "comment", "Abteilung", ""] {
            assert_eq!(meaning(name), Meaning::Unknown, "{name}");
        }
    }
}
