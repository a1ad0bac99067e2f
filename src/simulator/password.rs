//! What somebody asks who wants a token for a password.

use std::fmt;

use serde::Deserialize;

use super::account::Project;

/// The body of `POST /v3/auth/tokens`, by the vendor's names; members without meaning here are
/// passed over.
#[derive(Deserialize)]
pub(super) struct PasswordRequest {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Identity,
    scope: Option<ScopeWish>,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Password,
}

#[derive(Deserialize)]
struct Password {
    user: UserWish,
}

#[derive(Deserialize)]
struct UserWish {
    name: String,
    password: String,
    domain: Named,
}

#[derive(Deserialize)]
struct ScopeWish {
    project: Option<Named>,
    domain: Option<Named>,
}

/// Something by its name or its id.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Named {
    id: Option<String>,
    name: Option<String>,
}

/// What a token is to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// Whatever the account may do.
    Account,
    /// One project.
    Project(&'a Named),
}

impl PasswordRequest {
    /// The wish in `body`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let wish: Self = serde_json::from_slice(body)
            .map_err(|error| format!("Request body is invalid: {error}."))?;
        let auth = &wish.auth;
        let scope = auth.scope.as_ref();
        if auth.identity.methods != ["password"] {
            Err("Request body is invalid: the method is not password.".into())
        } else if auth.identity.password.user.domain.text().is_none() {
            Err("Request body is invalid: the user's domain has no name.".into())
        } else if scope.is_some_and(|scope| scope.project.is_none() && scope.domain.is_none()) {
            Err("Request body is invalid: the scope is empty.".into())
        } else {
            Ok(wish)
        }
    }

    /// The name of the account, or its id.
    pub(super) fn domain(&self) -> &str {
        self.auth
            .identity
            .password
            .user
            .domain
            .text()
            .unwrap_or_default()
    }

    pub(super) fn user(&self) -> &str {
        &self.auth.identity.password.user.name
    }

    pub(super) fn password(&self) -> &str {
        &self.auth.identity.password.user.password
    }

    /// What the token is to be good for; without a scope, that is the account.
    pub(super) fn scope(&self) -> Scope<'_> {
        let scope = self.auth.scope.as_ref();
        let project = scope.and_then(|scope| scope.project.as_ref());
        project.map_or(Scope::Account, Scope::Project)
    }
}

impl Named {
    fn text(&self) -> Option<&str> {
        self.name.as_deref().or(self.id.as_deref())
    }

    /// Whether it is this project.
    pub(super) fn means(&self, project: &Project) -> bool {
        let id = self.id.as_deref();
        let name = self.name.as_deref();
        self.text().is_some()
            && id.is_none_or(|id| id == project.id.as_str())
            && name.is_none_or(|name| name == project.name)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = r#""identity":{"methods":["password"],"password":{"user":{"name":"u","password":"p","domain":{"name":"d"}}}}"#;

    #[test]
    fn a_wish_names_its_user_and_its_scope() {
        let body = format!(r#"{{"auth":{{{USER},"scope":{{"project":{{"name":"r"}}}}}}}}"#);
        let wish = PasswordRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(
            (wish.domain(), wish.user(), wish.password()),
            ("d", "u", "p")
        );
        let project = |id: &str, name: &str| Project {
            id: crate::model::id::Id::parse(id).unwrap(),
            name: name.to_owned(),
        };
        let Scope::Project(named) = wish.scope() else {
            panic!("no project")
        };
        assert!(named.means(&project("p", "r")));
        assert!(!named.means(&project("r", "other")));
        for scope in [r#","scope":{"domain":{"name":"d"}}"#, ""] {
            let body = format!(r#"{{"auth":{{{USER}{scope}}}}}"#);
            let wish = PasswordRequest::parse(body.as_bytes()).unwrap();
            assert_eq!(wish.scope(), Scope::Account);
        }
    }

    #[test]
    fn a_body_that_lacks_something_is_no_wish() {
        for body in [
            String::new(),
            "{}".into(),
            format!(
                "{{\"auth\":{{{}}}}}",
                USER.replace("\"methods\":[\"password\"]", "\"methods\":[\"token\"]")
            ),
            format!("{{\"auth\":{{{}}}}}", USER.replace("\"name\":\"d\"", "")),
            format!(
                "{{\"auth\":{{{}}}}}",
                USER.replace("\"password\":\"p\",", "")
            ),
            format!("{{\"auth\":{{{USER},\"scope\":{{}}}}}}"),
        ] {
            assert!(PasswordRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
