//! IAM: tokens by password, whose a token is, and which projects there are.
//!
//! Source: the vendor's IAM v3 pages (`/v3/auth/tokens`, `/v3/projects`).

use std::time::Duration;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use crate::model::endpoint::Endpoint;
use crate::model::reply::{Content, Skew, Unreadable};

use super::super::error::tidy;
use super::super::transport::{Parcel, Received, Transport, wall};
use super::super::wire;
use super::credential::Credential;
use super::password::{Scope, User, password_body};
use super::redaction::blot_out;
use super::supply::{Supplied, SupplyError};
use super::token::Token;

/// The longest message of IAM's that is shown, in characters.
const LONGEST_SAID: usize = 500;
/// How long IAM may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Carries a token that is spoken of, or that is given.
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

/// IAM at one endpoint.
#[derive(Clone, Debug)]
pub struct Iam {
    transport: Transport,
    endpoint: Endpoint,
}

/// Whose a credential is, as IAM says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The IAM user.
    pub user: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// The project that a token is scoped to.
    pub project: Option<Project>,
    /// When a token ends.
    pub ends: Option<Timestamp>,
}

/// A project of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name: that of its region, or one that begins with it.
    pub name: String,
    /// The account's id.
    pub domain_id: Option<String>,
}

impl Project {
    /// The project that `shown` is, if it has an id; whatever else is odd in it is left out.
    fn of(shown: &Value) -> Option<Self> {
        let text = |name| shown.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: text("id")?,
            name: text("name").unwrap_or_default(),
            domain_id: text("domain_id"),
        })
    }

    /// Fit for a terminal, and without secrets.
    fn tidy(self, clean: &dyn Fn(String) -> String) -> Self {
        Self {
            id: tidy(&self.id),
            name: clean(tidy(&self.name)),
            domain_id: self.domain_id.map(|id| clean(tidy(&id))),
        }
    }
}

impl Iam {
    /// IAM at `endpoint`, by the way `transport`.
    pub fn new(endpoint: Endpoint, transport: Transport) -> Self {
        Self {
            transport,
            endpoint,
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The proxy on the way, if there is one: host and port.
    pub fn via(&self) -> Option<&str> {
        self.transport.via()
    }

    /// A token for `user`, scoped to the project, and whose it is.
    ///
    /// # Errors
    /// IAM refuses, or does not answer as it should.
    pub async fn token(
        &self,
        user: &User,
        scope: Scope<'_>,
    ) -> Result<(Supplied, Owner), SupplyError> {
        let parcel = Parcel {
            method: Method::POST,
            // Without it the answer and the token grow by the list of all services.
            url: self.url("/v3/auth/tokens", Some(("nocatalog", "true")))?,
            headers: HeaderMap::from_iter([(
                CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )]),
            body: password_body(user, scope)?,
        };
        let clean = |text| blot_out(user.password.expose_secret(), "password", text);
        let received = self.ask(parcel, "a token", &clean).await?;
        let token = received.headers.get(SUBJECT);
        let token = token.and_then(|token| token.to_str().ok());
        let token = token.and_then(|token| Token::parse(token).ok());
        let Some(token) = token else {
            return Err(self.unavailable("answered without X-Subject-Token"));
        };
        let token = token.had_for(&user.password);
        let owner = owner(received.body.as_deref().unwrap_or_default(), &clean);
        let supplied = Supplied {
            credential: Credential::Token(token),
            ends: owner.ends,
        };
        Ok((supplied, owner))
    }

    /// Whose `token` is.
    ///
    /// # Errors
    /// IAM refuses it, or does not answer as it should.
    pub async fn whose(&self, token: &Token) -> Result<Owner, SupplyError> {
        let mut parcel = Parcel {
            method: Method::GET,
            url: self.url("/v3/auth/tokens", Some(("nocatalog", "true")))?,
            headers: HeaderMap::from_iter([(SUBJECT, token.header())]),
            body: Vec::new(),
        };
        let credential = Credential::Token(token.clone());
        credential.put_on(&mut parcel, None, wall());
        let clean = |text| credential.blot_out(text);
        let received = self.ask(parcel, "whose the token is", &clean).await?;
        Ok(owner(received.body.as_deref().unwrap_or_default(), &clean))
    }

    /// The account's projects, or those of them called `name`.
    ///
    /// # Errors
    /// IAM refuses the credential, or does not answer as it should.
    pub async fn projects(
        &self,
        name: Option<&str>,
        credential: &Credential,
    ) -> Result<Vec<Project>, SupplyError> {
        let mut parcel = Parcel {
            method: Method::GET,
            url: self.url("/v3/projects", name.map(|name| ("name", name)))?,
            headers: HeaderMap::new(),
            body: Vec::new(),
        };
        credential.put_on(&mut parcel, None, wall());
        let clean = |text| credential.blot_out(text);
        let received = self.ask(parcel, "the projects", &clean).await?;
        let body = received.body.unwrap_or_default();
        let body: Value = serde_json::from_slice(wire::bare(&body)).unwrap_or_default();
        match body.get("projects").and_then(Value::as_array) {
            Some(projects) => {
                let projects = projects.iter().filter_map(Project::of);
                Ok(projects.map(|project| project.tidy(&clean)).collect())
            }
            None => Err(self.unavailable("answered without a list of projects")),
        }
    }

    /// The one project of the region `region`.
    ///
    /// # Errors
    /// There is none, or more than one; IAM refuses, or does not answer as it should.
    pub async fn project_of(
        &self,
        region: &str,
        credential: &Credential,
    ) -> Result<Project, SupplyError> {
        let mut projects = self.projects(Some(region), credential).await?;
        match (projects.pop(), projects.is_empty()) {
            (Some(project), true) => Ok(project),
            (None, _) => Err(SupplyError::Refused(format!(
                "the account has no project called {region}"
            ))),
            (Some(last), false) => {
                projects.push(last);
                let ids: Vec<_> = projects.iter().map(|project| tidy(&project.id)).collect();
                Err(SupplyError::Refused(format!(
                    "the account has several projects called {region}: {}",
                    ids.join(", ")
                )))
            }
        }
    }

    fn url(&self, path: &str, query: Option<(&str, &str)>) -> Result<Url, SupplyError> {
        // Some write the version with it.
        let base = self.endpoint.as_str().trim_end_matches("/v3");
        let url = Url::parse(&format!("{base}{path}"));
        let mut url = url.map_err(|error| self.unavailable(&error.to_string()))?;
        if let Some((name, value)) = query {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url)
    }

    fn unavailable(&self, what: &str) -> SupplyError {
        SupplyError::Unavailable(format!("IAM ({}) {what}", self.endpoint))
    }

    async fn ask(
        &self,
        parcel: Parcel,
        wanted: &str,
        clean: &dyn Fn(String) -> String,
    ) -> Result<Received, SupplyError> {
        let signed = parcel.headers.contains_key(AUTHORIZATION);
        let received = match self.transport.send(parcel, TIMEOUT).await {
            Ok(received) => received,
            Err(silence) => {
                let detail = clean(silence.detail);
                return Err(self.unavailable(&format!("did not answer: {detail}")));
            }
        };
        let status = received.status;
        if (200..300).contains(&status) {
            return Ok(received);
        }
        let body = received.body.as_deref().unwrap_or_default();
        let (said, page) = match wire::read(body, wire::Wanted::Nothing).0 {
            Content::Envelope(envelope) => (envelope.message.unwrap_or_default(), false),
            Content::Unreadable { how, excerpt } => (excerpt, how == Unreadable::Html),
        };
        let said: String = clean(said).chars().take(LONGEST_SAID).collect();
        let via = match self.transport.via() {
            Some(via) => format!(" through the proxy {via}"),
            None => String::new(),
        };
        let text = format!(
            "IAM ({}{via}) refuses {wanted}: HTTP {status} {said}",
            self.endpoint
        );
        let skew = received
            .served_at()
            .and_then(|there| Skew::beyond(wall(), there));
        let text = match skew.filter(|_| status == 401 && signed) {
            Some(skew) => format!("{text}; {skew}"),
            None => text,
        };
        match status {
            // A web page, or a proxy that wants a password: not IAM's.
            _ if page || status == 407 => Err(SupplyError::Unavailable(text)),
            401 => Err(SupplyError::Unauthorized(text)),
            403 | 404 => Err(SupplyError::Forbidden(text)),
            400 | 409 => Err(SupplyError::Refused(text)),
            _ => Err(SupplyError::Unavailable(text)),
        }
    }
}

/// Whose a token is, by what IAM says of it.
fn owner(body: &[u8], clean: &dyn Fn(String) -> String) -> Owner {
    let body = wire::bare(body);
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    // Piece by piece: what is odd or missing hides nothing else.
    let text = |at| body.pointer(at).and_then(Value::as_str);
    Owner {
        user: text("/token/user/name").map(|name| clean(tidy(name))),
        account: text("/token/user/domain/name").map(|name| clean(tidy(name))),
        project: body
            .pointer("/token/project")
            .and_then(Project::of)
            .map(|project| project.tidy(clean)),
        ends: text("/token/expires_at").and_then(|ends| ends.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_in_a_token_hides_nothing_else() {
        let owner = |body: &str| super::owner(body.as_bytes(), &|text| text);
        let whole = owner(
            r#"{"token": {"expires_at": "2026-11-29T02:15:00Z", "project": {"id": "p1", "name": 7},
                "user": {"name": ["ana"], "domain": {"name": "acme"}}, "roles": "none"}}"#,
        );
        assert_eq!(whole.user, None);
        assert_eq!(whole.account.as_deref(), Some("acme"));
        let project = Project {
            id: "p1".to_owned(),
            name: String::new(),
            domain_id: None,
        };
        assert_eq!(whole.project, Some(project));
        assert!(whole.ends.is_some());
        let odd = owner(r#"{"token": {"project": 5, "user": {"name": "ana"}}}"#);
        assert_eq!((odd.user.as_deref(), odd.project), (Some("ana"), None));
        assert_eq!(owner("<html>").user, None);
    }
}
