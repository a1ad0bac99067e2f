//! How an IAM user with a password asks for a token.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::supply::SupplyError;

/// An IAM user with a password.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// The account that it belongs to (IAM's "domain").
    pub account: String,
    /// Redacted in `Debug`, wiped from memory when dropped.
    pub password: SecretString,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The project with this id.
    ProjectId(&'a str),
    /// The project with this name: a region's.
    ProjectName(&'a str),
}

/// The body that asks IAM for a token.
pub(super) fn password_body(user: &User, scope: Scope<'_>) -> Result<Vec<u8>, SupplyError> {
    #[derive(Serialize)]
    struct Name<'a> {
        name: &'a str,
    }
    #[derive(Serialize)]
    struct Id<'a> {
        id: &'a str,
    }
    #[derive(Serialize)]
    struct Who<'a> {
        name: &'a str,
        password: &'a str,
        domain: Name<'a>,
    }
    #[derive(Serialize)]
    struct Password<'a> {
        user: Who<'a>,
    }
    #[derive(Serialize)]
    struct Identity<'a> {
        methods: [&'a str; 1],
        password: Password<'a>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Project<'a> {
        Id(Id<'a>),
        Name(Name<'a>),
    }
    #[derive(Serialize)]
    struct Within<'a> {
        project: Project<'a>,
    }
    #[derive(Serialize)]
    struct Auth<'a> {
        identity: Identity<'a>,
        scope: Within<'a>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        auth: Auth<'a>,
    }
    let body = Body {
        auth: Auth {
            identity: Identity {
                methods: ["password"],
                password: Password {
                    user: Who {
                        name: &user.name,
                        password: user.password.expose_secret(),
                        domain: Name {
                            name: &user.account,
                        },
                    },
                },
            },
            scope: Within {
                project: match scope {
                    Scope::ProjectId(id) => Project::Id(Id { id }),
                    Scope::ProjectName(name) => Project::Name(Name { name }),
                },
            },
        },
    };
    serde_json::to_vec(&body).map_err(|error| SupplyError::Unavailable(error.to_string()))
}
