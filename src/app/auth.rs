//! `flowbatch auth`: which credential is found where, for whom, and whether it works.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::{AuthArgs, OutputShape};
use crate::error::Error;
use crate::exit::Exit;
use crate::job::builder::Builder;
use crate::job::draft::Silent;
use crate::job::file::{File, Method};
use crate::job::intent::Intent;
use crate::job::problem::Problem;
use crate::job::problems::Problems;
use crate::model::id::Id;
use crate::model::outcome::ErrorClass;
use crate::model::reply::{Reply, Skew, in_minutes};
use crate::model::span;
use crate::policy::classify::{Verdict, classify};
use crate::secmaster::auth::credential::Credential;
use crate::secmaster::auth::iam::{Owner, Project};
use crate::secmaster::auth::password::Scope;
use crate::secmaster::auth::supply::SupplyError;
use crate::secmaster::look::Look;

use crate::sinks::summary::hint;

use super::lanes::{self, Asked, Gates, Opened};
use super::{Done, environment, profiles, runtime, terminal};

/// How long the reading may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What was found out; nothing secret.
#[derive(Debug, Default, Serialize)]
struct Findings {
    credential: String,
    warnings: Vec<String>,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
    /// What `run` needs to know of it.
    #[serde(skip)]
    project_note: &'static str,
    /// When the token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Timestamp>,
    /// What IAM could not tell, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// How far this machine's clock is ahead of the service's.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_ahead_seconds: Option<i64>,
    works: bool,
    /// What the reading gave.
    read: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// Tells which credential is found where, for whom, and whether it works.
pub(super) fn auth(args: &AuthArgs) -> Done {
    let profiles = profiles::load()?;
    let mut problems = Problems::default();
    let flags = args.target.flags();
    let file = File::default();
    let Intent {
        job, wrong_region, ..
    } = Intent::new(file, &flags, false, profiles, &environment, &mut problems);
    let mut builder = Builder::new(job.defaults.clone());
    let bound = builder.bound_for(&Silent, &mut problems);
    problems_out(wrong_region.filter(|_| bound.is_none()), problems)?;
    let Some((route, project_id, workspace_id)) = bound else {
        return Err(Error::Usage {
            what: "there is no target".to_owned(),
            hint: "say --region, --endpoint or --profile, or set HW_REGION_NAME".to_owned(),
        });
    };
    let asked = Asked::new(&args.credential, Method::Auto);
    let opened = lanes::open(
        &route,
        asked,
        &job.defaults.profiles,
        &job.defaults.regions,
        &mut Gates::new(),
    )?;
    let mut findings = Findings {
        credential: opened.facts.credential.clone().unwrap_or_default(),
        warnings: job
            .warnings
            .iter()
            .chain(&opened.warnings)
            .cloned()
            .collect(),
        target: route.text(),
        proxy: opened.lane.transport().via().map(str::to_owned),
        workspace_id: workspace_id.as_ref().map(Id::to_string),
        ..Findings::default()
    };
    runtime()?.block_on(async {
        opened.ensure().await?;
        findings.find_out(&opened, project_id, workspace_id).await;
        Ok::<_, Error>(())
    })?;
    match args.output {
        OutputShape::Text => terminal::print(&findings.text(&TimeZone::system())),
        OutputShape::Json => {
            let json = serde_json::to_string_pretty(&findings);
            terminal::print_json(&json.map_err(Error::machine("the findings cannot be written"))?);
        }
    }
    Ok(if findings.works {
        Exit::Done
    } else {
        Exit::Refused
    })
}

/// Ends with the problems that there are.
fn problems_out(further: Option<Problem>, mut problems: Problems) -> Result<(), Error> {
    further
        .into_iter()
        .for_each(|problem| problems.push(problem));
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        )),
    }
}

impl Findings {
    async fn find_out(
        &mut self,
        opened: &Opened,
        project_id: Option<Id>,
        workspace_id: Option<Id>,
    ) {
        let region = opened.facts.route.region.clone();
        let (credential, owner) = match who(opened, region.as_deref(), project_id.as_ref()).await {
            Ok(found) => found,
            Err(error) => {
                self.read = format!("no credential can be had: {error}");
                self.hint = Some(hint(ErrorClass::Auth, &self.read));
                return;
            }
        };
        match owner {
            Ok(owner) => self.take(owner),
            Err(SupplyError::Unauthorized(error)) => {
                // Five wrong signatures lock a key: one is enough.
                self.project_id = project_id.as_ref().map(Id::to_string);
                self.read = format!("not tried: {error}");
                self.hint = Some(hint(ErrorClass::Auth, &self.read));
                return;
            }
            Err(
                SupplyError::Forbidden(error)
                | SupplyError::Refused(error)
                | SupplyError::Unavailable(error),
            ) => {
                self.unknown = Some(error);
            }
        }
        if project_id.is_none() && region.is_none() && self.project_id.is_some() {
            self.project_note = ": its only one; without a region a run needs --project-id";
        }
        let named = self.project_id.as_deref().and_then(|id| Id::parse(id).ok());
        let mut project_id = project_id.or(named);
        if project_id.is_none() && region.is_some() {
            match opened.look_up_project().await {
                Ok(id) => project_id = Some(id),
                Err(error) => self.unknown = Some(error.to_string()),
            }
        }
        let Some(project_id) = project_id else {
            self.read = "not tried: no project is known; give --project-id".to_owned();
            return;
        };
        self.project_id = Some(project_id.to_string());
        let lane = &opened.lane;
        let look = lane.look(&credential, &project_id, workspace_id.as_ref(), TIMEOUT);
        match look.await {
            Ok(look) => self.judge(look, workspace_id.is_some()),
            Err(silence) => self.refused(&Reply::Silence(silence)),
        }
    }

    fn take(&mut self, owner: Owner) {
        self.account = owner.account;
        self.user = owner.user;
        self.ends = owner.ends;
        if let Some(project) = owner.project {
            self.project_name = Some(project.name).filter(|name| !name.is_empty());
            self.account_id = project.domain_id;
            self.project_id = Some(project.id);
        }
    }

    fn judge(&mut self, look: Look, in_workspace: bool) {
        self.clock_ahead_seconds = look.clock_ahead.map(|ahead| ahead.as_secs());
        let what = match (in_workspace, look.total) {
            (true, Some(1)) => "workflow",
            (true, _) => "workflows",
            (false, Some(1)) => "workspace",
            (false, _) => "workspaces",
        };
        let reply = Reply::Answer(look.answer);
        match classify(&reply) {
            Verdict::Done => {
                self.works = true;
                let count = look
                    .total
                    .map_or(String::new(), |total| format!("{total} "));
                self.read = format!("works: {count}{what} in {}", span::show(look.took));
            }
            Verdict::Throttled { .. }
            | Verdict::Passing { .. }
            | Verdict::CredentialRefused { .. }
            | Verdict::PermissionRefused { .. }
            | Verdict::Echo(_)
            | Verdict::TlsRefused(_)
            | Verdict::Final(_) => self.refused(&reply),
        }
    }

    fn refused(&mut self, reply: &Reply) {
        let (read, class) = refusal(reply);
        self.hint = Some(hint(class, &read));
        self.read = read;
    }

    /// For people.
    fn text(&self, zone: &TimeZone) -> String {
        let mut lines: Vec<String> = self
            .warnings
            .iter()
            .map(|warning| format!("warning:    {warning}"))
            .collect();
        let mut line = |name: &str, text: Option<String>| {
            lines.extend(text.map(|text| format!("{name:<12}{text}")));
        };
        line("credential:", Some(self.credential.clone()));
        line("target:", Some(self.target.clone()));
        line("proxy:", self.proxy.clone());
        let account = match (&self.account, &self.account_id) {
            (Some(name), Some(id)) => Some(format!("{name} ({id})")),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        line("account:", account);
        line("user:", self.user.clone());
        line(
            "project:",
            self.project_id.as_ref().map(|id| match &self.project_name {
                Some(name) => format!("{id} ({name}){}", self.project_note),
                None => format!("{id}{}", self.project_note),
            }),
        );
        line("workspace:", self.workspace_id.clone());
        line(
            "ends:",
            self.ends.map(|ends| {
                let local = ends.to_zoned_datetime(zone.clone());
                local.strftime("%F %T %:z").to_string()
            }),
        );
        line("unknown:", self.unknown.clone());
        line("clock:", self.clock_ahead_seconds.map(clock_text));
        line("read:", Some(self.read.clone()));
        line("to do:", self.hint.map(str::to_owned));
        lines.join("\n")
    }
}

/// The credential, and whose it is as far as IAM says.
async fn who(
    opened: &Opened,
    region: Option<&str>,
    project_id: Option<&Id>,
) -> Result<(Credential, Result<Owner, SupplyError>), SupplyError> {
    let no_iam = || SupplyError::Unavailable("no IAM endpoint is known".to_owned());
    if let Some(user) = &opened.user {
        let iam = opened.iam.as_ref().ok_or_else(no_iam)?;
        let scope = match (project_id, region) {
            (Some(id), _) => Scope::ProjectId(id.as_str()),
            (None, Some(region)) => Scope::ProjectName(region),
            (None, None) => {
                let text = "a token is for one project; give --project-id or --region";
                return Err(SupplyError::Refused(text.to_owned()));
            }
        };
        let (supplied, owner) = iam.token(user, scope).await?;
        return Ok((supplied.credential, Ok(owner)));
    }
    // Whoever supplies it does so whatever the project.
    let any = Id::parse("any").map_err(|error| SupplyError::Refused(error.to_string()))?;
    let credential = opened.credential(project_id.unwrap_or(&any)).await?;
    let Some(iam) = &opened.iam else {
        return Ok((credential, Err(no_iam())));
    };
    let owner = match &credential {
        Credential::Token(token) => iam.whose(token).await,
        Credential::Keys(_) => {
            let projects = iam.projects(region, &credential).await;
            projects.and_then(|projects| of_project(projects, project_id))
        }
    };
    Ok((credential, owner))
}

/// The owner as far as a project tells it: the one that is asked for, or the only one.
fn of_project(projects: Vec<Project>, wanted: Option<&Id>) -> Result<Owner, SupplyError> {
    let project = match (wanted, projects.as_slice()) {
        (Some(wanted), all) => all.iter().find(|project| project.id == wanted.as_str()),
        (None, [] | [_]) => projects.first(),
        (None, several) => {
            let names: Vec<_> = several
                .iter()
                .map(|project| format!("{} ({})", project.id, project.name))
                .collect();
            return Err(SupplyError::Refused(format!(
                "the account has several projects, give one by --project-id or --region: {}",
                names.join(", ")
            )));
        }
    };
    Ok(Owner {
        project: project.cloned(),
        ..Owner::default()
    })
}

/// What is wrong with an answer that is no success, and what kind of error it is.
fn refusal(reply: &Reply) -> (String, ErrorClass) {
    match classify(reply) {
        Verdict::Done => (String::new(), ErrorClass::Protocol),
        Verdict::Throttled { message, .. } => (
            format!("throttled just now: {message}"),
            ErrorClass::RateLimited,
        ),
        Verdict::CredentialRefused { failure, .. } => (
            format!("the credential is refused: {}", failure.message),
            failure.class,
        ),
        Verdict::PermissionRefused { failure, .. } => (
            format!(
                "the credential is good, but not for this: {}",
                failure.message
            ),
            failure.class,
        ),
        Verdict::Passing { failure, .. }
        | Verdict::Echo(failure)
        | Verdict::TlsRefused(failure)
        | Verdict::Final(failure) => (failure.message, failure.class),
    }
}

/// `in step with the service's`, `2m ahead of the service's`
fn clock_text(ahead: i64) -> String {
    let gap = match Duration::from_secs(ahead.unsigned_abs()) {
        short if short < Duration::from_secs(120) => short,
        long => in_minutes(long),
    };
    let way = match ahead {
        -1..=1 => return "in step with the service's".to_owned(),
        ..=-2 => "behind",
        _ => "ahead of",
    };
    let beyond = if gap > Skew::MOST {
        format!(
            ": signatures hold for {}, set the clock",
            span::show(Skew::MOST)
        )
    } else {
        String::new()
    };
    format!("{} {way} the service's{beyond}", span::show(gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_with_what_to_do() {
        assert_eq!(clock_text(-1), "in step with the service's");
        assert_eq!(clock_text(30), "30s ahead of the service's");
        assert_eq!(
            clock_text(-1_200),
            "20m behind the service's: signatures hold for 15m, set the clock"
        );
    }
}
