//! From a request line to what it asks.

use percent_encoding::percent_decode_str;

use crate::model::id::Id;
use crate::model::target::Workspace;

use super::call::{Call, Invalid, ListQuery, Operation};
use super::iam::IamCall;
use super::metadata::MetadataCall;
use super::query::pairs;
use super::records::VersionStatus;
use super::workspaces::{WorkspacesCall, WorkspacesQuery};

/// Segments that stand where an id of a workflow stands, and are none.
const RESERVED: [&str; 5] = ["versions", "instances", "export", "import", "validation"];

/// Who is asked for what.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// SecMaster, about a workspace.
    Service(Call),
    /// SecMaster, about the workspaces of a project.
    Workspaces(WorkspacesCall),
    /// IAM.
    Iam(IamCall),
    /// The metadata address.
    Metadata(MetadataCall),
}

/// Who is asked for what; nothing where there is no such call, or none that is simulated. The body
/// of an update is still to come.
pub(super) fn route(method: &str, path: &str, query: &str) -> Option<Asked> {
    match (method, path) {
        ("PUT", "/meta-data/latest/api/token") => Some(Asked::Metadata(MetadataCall::IssueToken)),
        ("GET", "/openstack/latest/securitykey") => Some(Asked::Metadata(MetadataCall::HandOutKey)),
        _ => match iam(method, path, query) {
            Some(call) => Some(Asked::Iam(call)),
            None => service(method, path, query),
        },
    }
}

fn iam(method: &str, path: &str, query: &str) -> Option<IamCall> {
    let pairs = pairs(query);
    let value = |wanted: &str| {
        let mut pairs = pairs.iter();
        let (_, value) = pairs.find(|(name, _)| name == wanted)?;
        Some(value.clone())
    };
    // Whatever its value is, the vendor says.
    let catalog = value("nocatalog").is_none_or(|value| value.is_empty());
    match (method, path) {
        ("POST", "/v3/auth/tokens") => Some(IamCall::IssueToken { catalog }),
        ("GET", "/v3/auth/tokens") => Some(IamCall::ShowToken { catalog }),
        ("GET", "/v3/projects") => Some(IamCall::ListProjects {
            name: value("name"),
        }),
        _ => None,
    }
}

fn service(method: &str, path: &str, query: &str) -> Option<Asked> {
    let segments: Vec<&str> = path.split('/').collect();
    let ["", "v1", project, "workspaces", rest @ ..] = segments.as_slice() else {
        return None;
    };
    let project_id = Id::parse(&decode(project)?).ok()?;
    let pairs = pairs(query);
    let pairs = || {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    };
    let (workspace, operation) = match (method, rest) {
        ("GET", []) => {
            let query = WorkspacesQuery::parse(pairs());
            return Some(Asked::Workspaces(WorkspacesCall { project_id, query }));
        }
        ("GET", [workspace]) => (workspace, Operation::ShowWorkspace),
        (_, [workspace, "soc", "workflows", rest @ ..]) => {
            (workspace, about_workflows(method, rest, pairs)?)
        }
        _ => return None,
    };
    let workspace = Workspace {
        project_id,
        workspace_id: Id::parse(&decode(workspace)?).ok()?,
    };
    Some(Asked::Service(Call {
        workspace,
        operation,
    }))
}

/// What is asked of a workspace's workflows: `rest` is what follows them in the path.
fn about_workflows<'a, P>(
    method: &str,
    rest: &[&str],
    pairs: impl FnOnce() -> P,
) -> Option<Operation>
where
    P: Iterator<Item = (&'a str, &'a str)>,
{
    Some(match (method, rest) {
        ("GET", []) => Operation::ListWorkflows(ListQuery::parse(pairs())),
        ("GET", ["versions", id]) => Operation::ShowVersion {
            version_id: decode(id)?,
        },
        (_, [reserved, ..]) if RESERVED.contains(reserved) => return None,
        ("GET", [id]) => Operation::ShowWorkflow {
            workflow_id: decode(id)?,
        },
        ("PUT", [id]) => Operation::UpdateWorkflow {
            workflow_id: decode(id)?,
            update: Err(Invalid("there is no body".into())),
        },
        ("GET", [id, "versions"]) => Operation::ListVersions {
            workflow_id: decode(id)?,
            status: VersionStatus::parse(pairs()),
        },
        _ => return None,
    })
}

/// One segment of a path. None is empty.
fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/v1/p/workspaces/ws/soc/workflows";

    fn asks(method: &str, path: &str) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match route(method, &format!("{BASE}{path}"), query) {
            None => "nothing".into(),
            Some(Asked::Service(call)) => {
                format!("{} {}", call.operation.method().as_str(), call.subject())
            }
            Some(asked) => format!("{asked:?}"),
        }
    }

    #[test]
    fn a_request_line_names_a_call_or_nothing() {
        for (method, path, expected) in [
            ("GET", "", "list_workflows ws?offset=0"),
            ("GET", "?limit=5&offset=20", "list_workflows ws?offset=20"),
            ("GET", "?limit=x", "list_workflows ws?"),
            ("GET", "/w", "show_workflow w"),
            ("GET", "/w%2F1", "show_workflow w/1"),
            ("PUT", "/%C3%A4", "update_workflow ä"),
            ("GET", "/w/versions", "list_versions w"),
            ("GET", "/versions/v", "show_version v"),
            ("GET", "/versions", "nothing"),
            ("PUT", "/versions/v", "nothing"),
            ("GET", "/versions/versions", "show_version versions"),
            ("GET", "/instances", "nothing"),
            ("GET", "/instances/versions", "nothing"),
            ("POST", "/export", "nothing"),
            ("PUT", "/import", "nothing"),
            ("PUT", "/validation", "nothing"),
            ("POST", "", "nothing"),
            ("DELETE", "/w", "nothing"),
            ("GET", "/", "nothing"),
            ("GET", "/w/", "nothing"),
            ("GET", "/%FF", "nothing"),
        ] {
            assert_eq!(asks(method, path), expected, "{method} {path}");
        }
        for path in [
            "/",
            "/v1/p",
            "/v1/p/workspaces/",
            "/v1/p/workspaces/ws/soc",
            "/v2/p/workspaces/ws/soc/workflows",
        ] {
            assert!(route("GET", path, "").is_none(), "{path}");
        }
        assert!(route("POST", "/v1/p/workspaces", "").is_none());
    }

    #[test]
    fn workspaces_are_listed_by_project_and_shown_by_id() {
        let asked = route("GET", "/v1/p/workspaces", "offset=10&limit=5");
        let Some(Asked::Workspaces(call)) = asked else {
            panic!("{asked:?}")
        };
        assert_eq!(call.subject(), "p?offset=10");
        let asked = route("GET", "/v1/p/workspaces/ws", "");
        let Some(Asked::Service(call)) = asked else {
            panic!("{asked:?}")
        };
        assert_eq!(call.operation.method().as_str(), "show_workspace");
        assert_eq!(call.subject(), "ws");
    }

    #[test]
    fn a_query_is_decoded() {
        let call = route("GET", BASE, "name=Isolate+host%201&&enabled=true&x");
        let Some(Asked::Service(Call {
            operation: Operation::ListWorkflows(Ok(query)),
            ..
        })) = call
        else {
            panic!("{call:?}")
        };
        assert_eq!(query.name.as_deref(), Some("Isolate host 1"));
        assert_eq!(query.enabled, Some(true));
    }

    #[test]
    fn iam_and_the_metadata_address_live_next_door() {
        let asks = |method, path, query| match route(method, path, query) {
            Some(asked) => format!("{asked:?}"),
            None => "nothing".into(),
        };
        for (method, path, query, expected) in [
            (
                "POST",
                "/v3/auth/tokens",
                "",
                "Iam(IssueToken { catalog: true })",
            ),
            (
                "POST",
                "/v3/auth/tokens",
                "nocatalog=",
                "Iam(IssueToken { catalog: true })",
            ),
            (
                "POST",
                "/v3/auth/tokens",
                "nocatalog=1",
                "Iam(IssueToken { catalog: false })",
            ),
            (
                "GET",
                "/v3/auth/tokens",
                "nocatalog=1",
                "Iam(ShowToken { catalog: false })",
            ),
            (
                "GET",
                "/v3/projects",
                "",
                "Iam(ListProjects { name: None })",
            ),
            (
                "GET",
                "/v3/projects",
                "name=a%20b",
                "Iam(ListProjects { name: Some(\"a b\") })",
            ),
            ("PUT", "/v3/projects", "", "nothing"),
            ("GET", "/v3/users", "", "nothing"),
            (
                "PUT",
                "/meta-data/latest/api/token",
                "",
                "Metadata(IssueToken)",
            ),
            (
                "GET",
                "/openstack/latest/securitykey",
                "",
                "Metadata(HandOutKey)",
            ),
            ("GET", "/meta-data/latest/api/token", "", "nothing"),
        ] {
            assert_eq!(
                asks(method, path, query),
                expected,
                "{method} {path}?{query}"
            );
        }
    }
}
