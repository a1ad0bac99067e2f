//! Whoever the simulated cloud knows.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::model::id::Id;
use crate::model::row::hex;

/// An account: an IAM domain with at most one IAM user, its credentials, and its projects.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name, which is the IAM domain's.
    pub name: String,
    /// The IAM user who may ask for tokens by password.
    pub user: Option<User>,
    /// Its access keys.
    pub keys: Vec<Key>,
    /// Tokens that are known beforehand. They do not end by time.
    pub tokens: Vec<SecretString>,
    /// The projects that it may act on.
    pub projects: Vec<Project>,
}

/// An IAM user.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: SecretString,
}

/// An access key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id, which is no secret.
    pub ak: String,
    /// Its secret.
    pub sk: SecretString,
    /// What has to come along as `X-Security-Token`, if the key is a temporary one.
    pub security_token: Option<SecretString>,
    /// When it ends, by the server's clock.
    pub ends: Option<Timestamp>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: Id,
    /// Its name: that of its region.
    pub name: String,
}

impl Account {
    /// An account with nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            user: None,
            keys: Vec::new(),
            tokens: Vec::new(),
            projects: Vec::new(),
        }
    }

    /// With this IAM user.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some(User {
            name: name.into(),
            password: SecretString::from(password.into()),
        });
        self
    }

    /// With one more access key.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// With one more token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.tokens.push(SecretString::from(token.into()));
        self
    }

    /// With one more project, called after its region.
    #[must_use]
    pub fn project(mut self, id: Id, name: impl Into<String>) -> Self {
        let name = name.into();
        self.projects.push(Project { id, name });
        self
    }

    /// The IAM domain's id: the same for the same name.
    pub fn id(&self) -> String {
        id_of("domain", &self.name)
    }

    /// The id of the IAM user, if there is one.
    pub fn user_id(&self) -> Option<String> {
        let user = self.user.as_ref()?;
        Some(id_of("user", &format!("{}/{}", self.name, user.name)))
    }

    /// Whether the project is one of the account's.
    pub fn owns(&self, project_id: &Id) -> bool {
        self.projects
            .iter()
            .any(|project| project.id == *project_id)
    }
}

impl Key {
    /// A permanent key.
    pub fn new(ak: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            ak: ak.into(),
            sk: SecretString::from(sk.into()),
            security_token: None,
            ends: None,
        }
    }

    /// As a temporary key, which only counts together with this `X-Security-Token`.
    #[must_use]
    pub fn with_security_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(SecretString::from(token.into()));
        self
    }

    /// With an end, by the server's clock.
    #[must_use]
    pub fn until(mut self, ends: Timestamp) -> Self {
        self.ends = Some(ends);
        self
    }
}

/// 32 hexadecimal digits, as IAM's ids have them.
fn id_of(kind: &str, name: &str) -> String {
    let text = format!("{kind} {name}");
    hex(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
}
