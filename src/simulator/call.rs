//! What can be asked of the world.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as NoSuchValue;

use crate::model::target::Workspace;
use crate::model::update::Update;

use super::method::Method;
use super::records::VersionStatus;

/// One request, as the service understands it.
///
/// What could not be understood travels along as [`Invalid`]: the service throttles and fails such
/// a request like any other before it looks at it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where.
    pub workspace: Workspace,
    /// What.
    pub operation: Operation,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Operation {
    /// The workspace itself.
    ShowWorkspace,
    /// One page of the workspace's workflows.
    ListWorkflows(Result<ListQuery, Invalid>),
    /// One workflow.
    ShowWorkflow {
        /// Which.
        workflow_id: String,
    },
    /// Changes what the update holds, and nothing else.
    UpdateWorkflow {
        /// Which.
        workflow_id: String,
        /// The change.
        update: Result<Update, Invalid>,
    },
    /// The versions of a workflow.
    ListVersions {
        /// Whose.
        workflow_id: String,
        /// Only those that stand there.
        status: Result<Option<VersionStatus>, Invalid>,
    },
    /// One version.
    ShowVersion {
        /// Which.
        version_id: String,
    },
}

impl Operation {
    /// What kind it is.
    pub fn method(&self) -> Method {
        match self {
            Self::ShowWorkspace => Method::ShowWorkspace,
            Self::ListWorkflows(_) => Method::ListWorkflows,
            Self::ShowWorkflow { .. } => Method::ShowWorkflow,
            Self::UpdateWorkflow { .. } => Method::UpdateWorkflow,
            Self::ListVersions { .. } => Method::ListVersions,
            Self::ShowVersion { .. } => Method::ShowVersion,
        }
    }
}

impl Call {
    /// What the call is about: the id of a workflow or version; for a page of a list the workspace
    /// and the offset, so that pages that are read side by side do not share their luck.
    pub fn subject(&self) -> String {
        match &self.operation {
            Operation::ShowWorkspace => self.workspace.workspace_id.to_string(),
            Operation::ListWorkflows(Ok(query)) => {
                format!("{}?offset={}", self.workspace.workspace_id, query.offset)
            }
            Operation::ListWorkflows(Err(_)) => format!("{}?", self.workspace.workspace_id),
            Operation::ShowWorkflow { workflow_id }
            | Operation::UpdateWorkflow { workflow_id, .. }
            | Operation::ListVersions { workflow_id, .. } => workflow_id.clone(),
            Operation::ShowVersion { version_id } => version_id.clone(),
        }
    }
}

/// Why a request cannot be carried out as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// Which workflows to list, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// How many to leave out from the first.
    pub offset: usize,
    /// How many to answer with at most.
    pub limit: usize,
    /// The newest first.
    pub descending: bool,
    /// By which time.
    pub sort_by: SortBy,
    /// Only those that are enabled, or that are not.
    pub enabled: Option<bool>,
    /// Only those whose name holds this. (The vendor does not say whether the name must equal it.)
    pub name: Option<String>,
    /// Only those whose description holds this.
    pub description: Option<String>,
    /// Only those of this data class.
    pub dataclass_id: Option<String>,
    /// Only those whose data class is called so.
    pub dataclass_name: Option<String>,
    /// Only those of this type.
    pub aop_type: Option<String>,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// `create_time`
    CreateTime,
    /// `update_time`
    UpdateTime,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 10,
            descending: true,
            sort_by: SortBy::CreateTime,
            enabled: None,
            name: None,
            description: None,
            dataclass_id: None,
            dataclass_name: None,
            aop_type: None,
        }
    }
}

impl ListQuery {
    /// The query in `pairs`; parameters without meaning are passed over, as the service does.
    ///
    /// # Errors
    /// Names the first parameter that has no such value.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Invalid> {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name {
                "offset" => query.offset = number(name, value)?,
                "limit" => query.limit = number(name, value)?,
                // Older pages of the vendor's write it in lower case.
                "order" if value.eq_ignore_ascii_case("asc") => query.descending = false,
                "order" if value.eq_ignore_ascii_case("desc") => query.descending = true,
                "sortby" if value == "create_time" => query.sort_by = SortBy::CreateTime,
                "sortby" if value == "update_time" => query.sort_by = SortBy::UpdateTime,
                "enabled" if value == "true" => query.enabled = Some(true),
                "enabled" if value == "false" => query.enabled = Some(false),
                "order" | "sortby" | "enabled" => return Err(bad(name, value)),
                "name" => query.name = Some(value.to_owned()),
                "description" => query.description = Some(value.to_owned()),
                "dataclass_id" => query.dataclass_id = Some(value.to_owned()),
                "dataclass_name" => query.dataclass_name = Some(value.to_owned()),
                "aop_type" => query.aop_type = Some(value.to_owned()),
                _ => {}
            }
        }
        query.check()?;
        Ok(query)
    }

    /// Whether the numbers are within the service's bounds.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.offset > 10_000 {
            return Err(bad("offset", &self.offset.to_string()));
        }
        if !(1..=100).contains(&self.limit) {
            return Err(bad("limit", &self.limit.to_string()));
        }
        Ok(())
    }
}

impl VersionStatus {
    /// The status among the query's `pairs`, if any.
    ///
    /// # Errors
    /// There is no such status.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Self>, Invalid> {
        let mut pairs = pairs.into_iter();
        let Some((name, value)) = pairs.find(|(name, _)| *name == "status") else {
            return Ok(None);
        };
        Self::deserialize(IntoDeserializer::<NoSuchValue>::into_deserializer(value))
            .map(Some)
            .map_err(|_| bad(name, value))
    }
}

pub(super) fn number<T: FromStr>(name: &str, value: &str) -> Result<T, Invalid> {
    value.parse().map_err(|_| bad(name, value))
}

pub(super) fn bad(name: &str, value: &str) -> Invalid {
    Invalid(format!("invalid parameter: {name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_query_without_parameters_has_the_vendors_defaults() {
        let query = ListQuery::parse([]).unwrap();
        assert_eq!(
            (query.offset, query.limit, query.descending, query.sort_by),
            (0, 10, true, SortBy::CreateTime)
        );
    }

    #[test]
    fn a_parameter_outside_its_bounds_is_named() {
        for (name, value) in [
            ("offset", "10001"),
            ("offset", "-1"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "ten"),
            ("order", "up"),
            ("sortby", "category"),
            ("enabled", "1"),
        ] {
            assert_eq!(
                ListQuery::parse([(name, value)]),
                Err(bad(name, value)),
                "{name}={value}"
            );
        }
        for (name, value) in [
            ("offset", "10000"),
            ("limit", "100"),
            ("order", "asc"),
            ("last_version", "maybe"),
        ] {
            assert!(ListQuery::parse([(name, value)]).is_ok(), "{name}={value}");
        }
    }

    #[test]
    fn a_status_is_one_of_the_vendors_seven() {
        assert_eq!(VersionStatus::parse([("limit", "1")]), Ok(None));
        assert_eq!(
            VersionStatus::parse([("status", "not_activated")]),
            Ok(Some(VersionStatus::NotActivated))
        );
        assert!(VersionStatus::parse([("status", "active")]).is_err());
    }
}
