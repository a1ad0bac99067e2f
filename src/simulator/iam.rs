//! IAM: tokens by password, whose a token is, and the projects of an account (Keystone v3, as the
//! vendor's SDK asks for them). The exact texts of its errors are not known.

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::account::{Account, Project};
use super::answer::Refusal;
use super::gate::{Caller, Gate};
use super::iam_records::{projects_message, token_message};
use super::message::Message;
use super::password::{PasswordRequest, Scope};
use super::signature::Received;
use super::visits::Door;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IamCall {
    /// `POST /v3/auth/tokens`
    IssueToken {
        /// Whether the answer has a catalog.
        catalog: bool,
    },
    /// `GET /v3/auth/tokens`
    ShowToken {
        /// Whether the answer has a catalog.
        catalog: bool,
    },
    /// `GET /v3/projects`
    ListProjects {
        /// Only those that are called so.
        name: Option<String>,
    },
}

/// Why IAM does not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IamRefusal {
    /// The body does not say what IAM has to know.
    BadRequest(String),
    /// A wrong user or password.
    WrongPassword,
    /// The token is missing, unknown, or has ended.
    Unauthorized,
    /// There is no such thing.
    NotFound(String),
    /// The gateway did not let it through.
    Gateway(Refusal),
}

impl Gate {
    /// Answers like IAM; or like its gateway, which looks at signatures.
    pub(super) fn iam(
        &mut self,
        call: &IamCall,
        request: &Received<'_>,
        now: Timestamp,
    ) -> Result<Message, Refusal> {
        let answered = match call {
            IamCall::IssueToken { catalog } => self.issue_token(request, *catalog, now),
            IamCall::ShowToken { catalog } => self.show_token(request, *catalog, now),
            IamCall::ListProjects { name } => self.list_projects(request, name.as_deref(), now),
        };
        answered.or_else(IamRefusal::message)
    }

    fn issue_token(
        &mut self,
        request: &Received<'_>,
        catalog: bool,
        now: Timestamp,
    ) -> Result<Message, IamRefusal> {
        let wish = PasswordRequest::parse(request.body).map_err(IamRefusal::BadRequest)?;
        let mut accounts = self.accounts.iter().enumerate();
        let found = accounts.find(|(_, account)| {
            let named = account.name == wish.domain() || account.id() == wish.domain();
            named && account.knows(&wish)
        });
        let Some((index, account)) = found else {
            self.visits.count(wish.domain(), Door::Iam, false);
            return Err(IamRefusal::WrongPassword);
        };
        let project = match wish.scope() {
            Scope::Account => None,
            Scope::Project(wanted) => {
                let mut projects = account.projects.iter();
                let project = projects.find(|project| wanted.means(project));
                let missing = || IamRefusal::NotFound(format!("Could not find project: {wanted}."));
                Some(project.ok_or_else(missing)?.clone())
            }
        };
        self.visits.count(&account.name, Door::Iam, true);
        let (text, token) = self.tokens.issue(index, project, now);
        Ok(Message {
            subject_token: Some(text),
            ..token_message(201, &self.accounts[index], &token, catalog)
        })
    }

    fn show_token(
        &mut self,
        request: &Received<'_>,
        catalog: bool,
        now: Timestamp,
    ) -> Result<Message, IamRefusal> {
        self.enter(request, now)?;
        let subject = request.header("x-subject-token").unwrap_or_default();
        let missing = || IamRefusal::NotFound("Could not find token.".into());
        let token = self.tokens.valid(subject, now).map_err(|_| missing())?;
        let account = token.account.and_then(|index| self.accounts.get(index));
        Ok(Message {
            subject_token: Some(subject.to_owned()),
            ..token_message(200, account.ok_or_else(missing)?, token, catalog)
        })
    }

    fn list_projects(
        &mut self,
        request: &Received<'_>,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Message, IamRefusal> {
        let caller = self.enter(request, now)?;
        let theirs = |number: usize| match caller {
            Caller::Anybody => true,
            Caller::Account { index, .. } => index == number,
        };
        let named = |project: &Project| name.is_none_or(|name| name == project.name);
        let accounts = self.accounts.iter().enumerate();
        let projects: Vec<(&Account, &Project)> = accounts
            .filter(|(number, _)| theirs(*number))
            .flat_map(|(_, account)| account.projects.iter().map(move |one| (account, one)))
            .filter(|(_, project)| named(project))
            .collect();
        let host = request.header("host").or(request.authority);
        Ok(projects_message(&projects, host.unwrap_or_default()))
    }

    /// Lets a request to IAM in that shows a credential.
    fn enter(&mut self, request: &Received<'_>, now: Timestamp) -> Result<Caller, IamRefusal> {
        let shown = self.look(request, now);
        let admitted = shown.caller.is_ok();
        self.visits.count(&shown.credential, Door::Iam, admitted);
        let signed = shown.token.is_none() && request.headers.contains_key("authorization");
        shown.caller.map_err(|denial| match signed {
            true => IamRefusal::Gateway(denial.at_iam()),
            false => IamRefusal::Unauthorized,
        })
    }
}

impl Account {
    fn knows(&self, wish: &PasswordRequest) -> bool {
        self.user.as_ref().is_some_and(|user| {
            user.name == wish.user() && user.password.expose_secret() == wish.password()
        })
    }
}

impl IamRefusal {
    /// Keystone's error body, or the gateway's word.
    fn message(self) -> Result<Message, Refusal> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: Inner<'a>,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            code: u16,
            message: &'a str,
            title: &'a str,
        }
        let (code, title, message) = match self {
            Self::BadRequest(message) => (400, "Bad Request", message),
            Self::WrongPassword => {
                let message = "The username or password is wrong.";
                (401, "Unauthorized", message.to_owned())
            }
            Self::Unauthorized => {
                let message = "The request you have made requires authentication.";
                (401, "Unauthorized", message.to_owned())
            }
            Self::NotFound(message) => (404, "Not Found", message),
            Self::Gateway(refusal) => return Err(refusal),
        };
        let error = Inner {
            code,
            message: &message,
            title,
        };
        Ok(Message::json(code, &Body { error }))
    }
}

#[cfg(test)]
mod tests;
