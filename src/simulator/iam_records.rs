//! IAM's bodies, by the exact names of their members.

use serde::Serialize;

use super::account::{Account, Project};
use super::clock::iam_time;
use super::message::Message;
use super::tokens::Token;

/// What `token` is.
pub(super) fn token_message(
    status: u16,
    account: &Account,
    token: &Token,
    catalog: bool,
) -> Message {
    let domain = || Named {
        id: account.id(),
        name: account.name.clone(),
    };
    let user = account.user.as_ref().map(|user| user.name.clone());
    let project = token.project.as_ref().map(|project| Inside {
        id: project.id.to_string(),
        name: project.name.clone(),
        domain: domain(),
    });
    let body = TokenBody {
        token: TokenRecord {
            methods: ["password"],
            issued_at: iam_time(token.issued),
            expires_at: iam_time(token.ends),
            domain: project.is_none().then(domain),
            project,
            user: UserRecord {
                id: account.user_id().unwrap_or_default(),
                name: user.unwrap_or_default(),
                password_expires_at: "",
                domain: domain(),
            },
            roles: [],
            catalog: catalog.then_some([]),
        },
    };
    Message::json(status, &body)
}

#[derive(Serialize)]
struct TokenBody {
    token: TokenRecord,
}

#[derive(Serialize)]
struct TokenRecord {
    methods: [&'static str; 1],
    issued_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Inside>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Named>,
    user: UserRecord,
    roles: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<[(); 0]>,
}

#[derive(Serialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct UserRecord {
    id: String,
    name: String,
    /// Never.
    password_expires_at: &'static str,
    domain: Named,
}

/// Something of a domain.
#[derive(Serialize)]
struct Inside {
    id: String,
    name: String,
    domain: Named,
}

/// Some projects, each with its account; `host` is where they were asked for.
pub(super) fn projects_message(projects: &[(&Account, &Project)], host: &str) -> Message {
    let own = format!("http://{host}/v3/projects");
    let projects = projects.iter().map(|(account, project)| ProjectRecord {
        id: project.id.to_string(),
        name: project.name.clone(),
        domain_id: account.id(),
        parent_id: account.id(),
        enabled: true,
        is_domain: false,
        description: String::new(),
        links: Links {
            own: format!("{own}/{}", project.id),
        },
    });
    let body = Projects {
        projects: projects.collect(),
        links: ListLinks {
            next: None,
            previous: None,
            own,
        },
    };
    Message::json(200, &body)
}

#[derive(Serialize)]
struct Projects {
    links: ListLinks,
    projects: Vec<ProjectRecord>,
}

#[derive(Serialize)]
struct ListLinks {
    next: Option<String>,
    previous: Option<String>,
    #[serde(rename = "self")]
    own: String,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    own: String,
}

#[derive(Serialize)]
struct ProjectRecord {
    id: String,
    name: String,
    domain_id: String,
    parent_id: String,
    enabled: bool,
    is_domain: bool,
    description: String,
    links: Links,
}
