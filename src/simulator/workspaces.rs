//! The workspaces of a project (`ListWorkspaces`).

use crate::model::id::Id;

use super::answer::Page;
use super::call::{Invalid, bad, number};
use super::records::WorkspaceRecord;

/// A request for some of a project's workspaces.
#[derive(Clone, Debug)]
pub struct WorkspacesCall {
    /// The project.
    pub project_id: Id,
    /// Which.
    pub query: Result<WorkspacesQuery, Invalid>,
}

impl WorkspacesCall {
    /// What the call is about: the project and the offset, as for any other list.
    pub fn subject(&self) -> String {
        match &self.query {
            Ok(query) => format!("{}?offset={}", self.project_id, query.offset),
            Err(_) => format!("{}?", self.project_id),
        }
    }
}

/// Which workspaces to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspacesQuery {
    /// How many to leave out from the first.
    pub offset: usize,
    /// How many to answer with at most.
    pub limit: usize,
    /// Only those whose name holds this. (The vendor does not say whether the name must equal it.)
    pub name: Option<String>,
    /// Only these.
    pub ids: Option<Vec<String>>,
}

impl Default for WorkspacesQuery {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: 10,
            name: None,
            ids: None,
        }
    }
}

impl WorkspacesQuery {
    /// The query in `pairs`; parameters that no workspace here could differ by are passed over.
    ///
    /// # Errors
    /// Names the first parameter that has no such value.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Invalid> {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name {
                "offset" => query.offset = number(name, value)?,
                "limit" => query.limit = number(name, value)?,
                "name" => query.name = Some(value.to_owned()),
                "ids" => query.ids = Some(value.split(',').map(str::to_owned).collect()),
                _ => {}
            }
        }
        if query.offset > 999 {
            return Err(bad("offset", &query.offset.to_string()));
        }
        if !(1..=100).contains(&query.limit) {
            return Err(bad("limit", &query.limit.to_string()));
        }
        Ok(query)
    }

    /// The page of `all` that is asked for.
    pub(super) fn page(&self, all: impl Iterator<Item = WorkspaceRecord>) -> Page<WorkspaceRecord> {
        let wanted = |workspace: &WorkspaceRecord| {
            let name = self.name.as_ref();
            let ids = self.ids.as_ref();
            name.is_none_or(|name| workspace.name.contains(name))
                && ids.is_none_or(|ids| ids.contains(&workspace.id))
        };
        let all: Vec<WorkspaceRecord> = all.filter(wanted).collect();
        let total = all.len();
        Page {
            data: all.into_iter().skip(self.offset).take(self.limit).collect(),
            total,
            offset: self.offset,
            limit: self.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(id: &str) -> WorkspaceRecord {
        WorkspaceRecord {
            id: id.into(),
            name: format!("SOC {id}"),
            ..WorkspaceRecord::default()
        }
    }

    fn seen(query: &[(&str, &str)]) -> (usize, Vec<String>) {
        let query = WorkspacesQuery::parse(query.iter().copied()).unwrap();
        let page = query.page(["a", "b", "ab", "c"].map(workspace).into_iter());
        let ids = page.data.into_iter().map(|workspace| workspace.id);
        (page.total, ids.collect())
    }

    #[test]
    fn a_page_is_some_of_those_that_are_asked_for() {
        for (query, total, expected) in [
            (vec![], 4, vec!["a", "b", "ab", "c"]),
            (vec![("offset", "1"), ("limit", "2")], 4, vec!["b", "ab"]),
            (vec![("offset", "4")], 4, vec![]),
            (vec![("name", "b")], 2, vec!["b", "ab"]),
            (vec![("ids", "c,a,x")], 2, vec!["a", "c"]),
            (vec![("is_view", "false")], 4, vec!["a", "b", "ab", "c"]),
        ] {
            let expected = expected.iter().map(|id| (*id).to_owned()).collect();
            assert_eq!(seen(&query), (total, expected), "{query:?}");
        }
    }

    #[test]
    fn a_parameter_outside_its_bounds_is_named() {
        for (name, value) in [
            ("offset", "1000"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "x"),
        ] {
            let parsed = WorkspacesQuery::parse([(name, value)]);
            assert_eq!(parsed, Err(bad(name, value)));
        }
    }
}
