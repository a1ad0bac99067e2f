//! Opens the lanes of a run: a credential for each, a project where none is given, the way there.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::cli::CredentialArgs;
use crate::error::Error;
use crate::job::destination::region_variable;
use crate::job::file::Method;
use crate::job::profiles::{Profile, Profiles};
use crate::job::secret::without_user;
use crate::job::way::Regions;
use crate::model::endpoint::Endpoint;
use crate::model::id::Id;
use crate::model::region::iam_endpoint;
use crate::model::route::{LaneFacts, Route};
use crate::secmaster::auth::by_password::ByPassword;
use crate::secmaster::auth::credential::Credential;
use crate::secmaster::auth::gate::Gate;
use crate::secmaster::auth::iam::{Iam, Project};
use crate::secmaster::auth::keeper::Keeper;
use crate::secmaster::auth::password::{Scope, User};
use crate::secmaster::auth::supply::{Nobody, SupplyError};
use crate::secmaster::client::Lane;
use crate::secmaster::proxy::Proxy;
use crate::secmaster::transport::{Http, SetUp, Transport};

use super::clock::wall;
use super::found::{Found, Kind, none};
use super::profiles::resolve;
use super::{credential, environment, secret_file};

/// What the command line and the job say about credentials.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) token_file: Option<&'a Path>,
    pub(super) ca_file: Option<&'a Path>,
    pub(super) method: Method,
}

impl<'a> Asked<'a> {
    pub(super) fn new(args: &'a CredentialArgs, method: Method) -> Self {
        Self {
            token_file: args.token_file.as_deref(),
            ca_file: args.ca_file.as_deref(),
            method,
        }
    }
}

/// An open lane, and what was found on the way to it.
pub(super) struct Opened {
    pub(super) lane: Lane,
    pub(super) facts: LaneFacts,
    /// Whose credential, if a user has a password.
    pub(super) user: Option<User>,
    pub(super) iam: Option<Rc<Iam>>,
    /// That a variable leads IAM elsewhere, should IAM be asked.
    pub(super) iam_warning: Option<String>,
    /// Whether anybody has the credential is still to be asked.
    in_doubt: bool,
    /// What people should know although it is no problem.
    pub(super) warnings: Vec<String>,
}

/// The gates before credentials that several lanes may show, by what is known of them.
pub(super) type Gates = BTreeMap<String, Gate>;

/// Opens the lane that `route` is; nothing leaves this machine yet.
///
/// # Errors
/// There is no credential, or TLS cannot be set up.
pub(super) fn open(
    route: &Route,
    asked: Asked<'_>,
    profiles: &Profiles,
    regions: &Regions,
    gates: &mut Gates,
) -> Result<Opened, Error> {
    let profile = route
        .profile
        .as_ref()
        .and_then(|name| profiles.get(name).ok());
    let profile = profile.map(Rc::as_ref);
    let found = match profile {
        Some(profile) if asked.token_file.is_some() || asked.method != Method::Auto => {
            return Err(Error::Usage {
                what: format!(
                    "profile {} says where its credential is, and so does --token-file or [auth] method",
                    profile.name
                ),
                hint: "leave out one of them".to_owned(),
            });
        }
        Some(profile) => credential::of_profile(profile).map_err(|error| {
            let hint = error.hint().unwrap_or_default().to_owned();
            Error::Refused {
                what: format!("profile {}: {error}", profile.name),
                hint,
            }
        })?,
        None => credential::find(asked.token_file, asked.method, route.endpoint.is_loopback())?,
    };
    let mut warnings: Vec<_> = found
        .passed_over
        .iter()
        .map(|other| format!("{} is used, not the {other}", found.text))
        .chain(found.warnings.iter().cloned())
        .collect();
    if let Some(region) = &route.region
        && regions.overrides.get(region) == Some(&route.endpoint)
    {
        let variable = region_variable(region);
        warnings.push(format!(
            "{variable} leads region {region} to {}",
            route.endpoint
        ));
    }
    let ca = ca(profile, asked)?;
    let transport = transport(&route.endpoint, ca.as_deref(), profile)?;
    let (iam, iam_warning) = iam(route, profile, &found, ca.as_deref())?;
    let iam = iam.map(Rc::new);
    if matches!(found.kind, Kind::Password(_)) {
        warnings.extend(iam_warning.clone());
    }
    let gate = gates.entry(found.identity.clone()).or_default().clone();
    let text = match profile {
        Some(profile) => format!("profile {}: {}", profile.name, found.text),
        None => found.text.clone(),
    };
    let identity = Some(found.identity.clone()).filter(|_| found.is_an_account());
    let Found { kind, .. } = found;
    let mut user = None;
    let in_doubt = matches!(kind, Kind::Metadata(_));
    let keeper = match kind {
        Kind::Supply(supply) => Keeper::new(supply),
        Kind::Metadata(metadata) => Keeper::new(Box::new(metadata)),
        Kind::Password(found) => {
            let Some(iam) = &iam else {
                return Err(Error::Refused {
                    what: format!("{text}: no IAM endpoint is known for {}", route.endpoint),
                    hint: "name the region, or give HUAWEICLOUD_SDK_IAM_ENDPOINT".to_owned(),
                });
            };
            user = Some(found.clone());
            Keeper::new(Box::new(ByPassword {
                iam: Rc::clone(iam),
                user: found,
                had: Cell::new(false),
            }))
        }
    };
    Ok(Opened {
        lane: Lane::new(route.endpoint.clone(), keeper, gate, transport),
        facts: LaneFacts {
            route: route.clone(),
            credential: Some(text),
            identity,
        },
        user,
        iam,
        iam_warning,
        in_doubt,
        warnings,
    })
}

impl Opened {
    /// The proxies on the way to the service and to IAM.
    pub(super) fn proxies(&self) -> Vec<String> {
        let service = (self.lane.transport().via(), self.lane.endpoint());
        let iam = self.iam.as_ref().map(|iam| (iam.via(), iam.endpoint()));
        let ways = [Some(service), iam].into_iter().flatten();
        ways.filter_map(|(proxy, endpoint)| Some(format!("{} on the way to {endpoint}", proxy?)))
            .collect()
    }

    /// Asks for the credential, should it be in doubt whether anybody has it.
    ///
    /// # Errors
    /// Nobody has.
    pub(super) async fn ensure(&self) -> Result<(), Error> {
        if !self.in_doubt {
            return Ok(());
        }
        // Whoever supplies it does so whatever the project.
        let any = Id::parse("any").map_err(Error::machine("no project"))?;
        match self.credential(&any).await {
            Ok(_) => Ok(()),
            Err(error) => Err(none(format!("no credential: {error}"))),
        }
    }

    /// The credential for something in `project_id`, now.
    pub(super) async fn credential(&self, project_id: &Id) -> Result<Credential, SupplyError> {
        let shown = self.lane.keeper().show(project_id, wall()).await?;
        Ok(Credential::clone(&shown.credential))
    }

    /// The project that IAM knows by the name of the lane's region.
    ///
    /// # Errors
    /// IAM knows none or several, refuses the credential, or does not answer.
    pub(super) async fn look_up_project(&self) -> Result<Id, Error> {
        let region = self.facts.route.region.as_deref().unwrap_or_default();
        let mut tries = 0;
        let looked_up = loop {
            match self.project_called(region).await {
                Err(SupplyError::Unavailable(why)) if tries < LOOK_UPS => {
                    tries += 1;
                    tracing::info!("IAM did not help, asking again: {why}");
                    pause(LOOK_UP_PAUSE * tries).await;
                }
                done => break done,
            }
        };
        let credential = self.facts.credential.as_deref().unwrap_or_default();
        let project = looked_up.map_err(|error| {
            let what = format!(
                "{} ({credential}): the project of region {region} cannot be looked up: {error}",
                self.facts.route.name()
            );
            match error {
                SupplyError::Unavailable(_) => Error::Late {
                    what,
                    hint: "try again later, or give project_id so that IAM need not be asked"
                        .to_owned(),
                },
                SupplyError::Unauthorized(_) => Error::Refused {
                    what,
                    hint: "correct the credential; `flowbatch auth` shows where it was found"
                        .to_owned(),
                },
                SupplyError::Forbidden(_) | SupplyError::Refused(_) => Error::Refused {
                    what,
                    hint: "give project_id, by a column, [target], a profile or --project-id"
                        .to_owned(),
                },
            }
        })?;
        Id::parse(&project.id).map_err(Error::machine("IAM gave no usable project id"))
    }

    async fn project_called(&self, region: &str) -> Result<Project, SupplyError> {
        let Some(iam) = &self.iam else {
            return Err(SupplyError::Refused(format!(
                "no IAM endpoint is known for {}",
                self.facts.route.endpoint
            )));
        };
        if let Some(user) = &self.user {
            let (_, owner) = iam.token(user, Scope::ProjectName(region)).await?;
            return owner
                .project
                .ok_or_else(|| SupplyError::Refused(format!("IAM names no project for {region}")));
        }
        // Whoever supplies it does so whatever the project.
        let stand_in =
            Id::parse(region).map_err(|error| SupplyError::Refused(error.to_string()))?;
        let credential = self.credential(&stand_in).await?;
        iam.project_of(region, &credential).await
    }
}

/// IAM for the lane. Where its endpoint is this machine, only if somebody says where: no password goes
/// to the real one for a test.
fn iam(
    route: &Route,
    profile: Option<&Profile>,
    found: &Found,
    ca: Option<&[u8]>,
) -> Result<(Option<Iam>, Option<String>), Error> {
    let variable = "HUAWEICLOUD_SDK_IAM_ENDPOINT";
    let mut warning = None;
    let parse = |text: &str| {
        Endpoint::parse(text).map_err(|fault| Error::Usage {
            what: format!("IAM's endpoint {:?}: {fault}", without_user(text)),
            hint: format!("write https://iam.REGION.myhuaweicloud.com into {variable}"),
        })
    };
    let told = match (&found.iam_endpoint, profile) {
        (Some(endpoint), _) => Some(endpoint.clone()),
        // Variables may be another customer's.
        (None, Some(_)) => None,
        (None, None) => {
            let set = environment(variable).filter(|text| !text.trim().is_empty());
            warning = set
                .as_ref()
                .map(|text| format!("{variable} leads IAM to {}", text.trim()));
            set.map(|text| parse(text.trim())).transpose()?
        }
    };
    let endpoint = match told {
        Some(endpoint) => endpoint,
        None if route.endpoint.is_loopback() => return Ok((None, None)),
        None => parse(&iam_endpoint(route.region.as_deref().unwrap_or_default()))?,
    };
    let transport = transport(&endpoint, ca, profile)?;
    Ok((Some(Iam::new(endpoint, transport)), warning))
}

/// The way to `endpoint`, through the proxy of the profile or the environment.
fn transport(
    endpoint: &Endpoint,
    ca: Option<&[u8]>,
    profile: Option<&Profile>,
) -> Result<Transport, Error> {
    let named = profile.and_then(|profile| profile.proxy.as_ref());
    let proxy = Proxy::for_endpoint(endpoint, named, |name| std::env::var_os(name));
    let proxy = proxy.map_err(|fault| Error::Usage {
        what: format!("the proxy on the way to {endpoint}: {fault}"),
        hint: "correct it, or take it away".to_owned(),
    })?;
    Transport::new(endpoint, ca, proxy.as_ref(), Http::Negotiated).map_err(set_up)
}

/// The certificates that are believed besides the system's.
fn ca(profile: Option<&Profile>, asked: Asked<'_>) -> Result<Option<Vec<u8>>, Error> {
    let in_profile = profile.and_then(|profile| profile.ca_file.as_deref().map(resolve));
    let file: Option<PathBuf> = asked.ca_file.map(Path::to_owned).or(in_profile);
    file.map(|path| read_ca(&path)).transpose()
}

pub(super) fn read_ca(path: &Path) -> Result<Vec<u8>, Error> {
    let wrong = |what: String| Error::Refused {
        what: format!("the CA file {} {what}", path.display()),
        hint: "give PEM certificates: -----BEGIN CERTIFICATE-----".to_owned(),
    };
    let cannot = |error| wrong(format!("cannot be read: {error}"));
    let pem = File::open(path)
        .and_then(secret_file::read_bounded)
        .map_err(cannot)?;
    let pem = pem.ok_or_else(|| wrong("is longer than 4 MiB".to_owned()))?;
    match Transport::certificates(&pem) {
        Ok(0) => Err(wrong("holds no certificate".to_owned())),
        Ok(_) => Ok(pem),
        Err(error) => Err(wrong(format!("cannot be used: {}", error.why()))),
    }
}

fn set_up(error: SetUp) -> Error {
    Error::Refused {
        what: error.to_string(),
        hint: "if it is the root certificates that are missing, install ca-certificates, or give \
               them by --ca-file"
            .to_owned(),
    }
}

/// How often IAM is asked again for a project before the run is given up.
const LOOK_UPS: u32 = 3;
/// The first pause before that; the next ones are two and three times as long.
const LOOK_UP_PAUSE: Duration = Duration::from_secs(1);

#[expect(
    clippy::disallowed_methods,
    reason = "before a run there is no schedule that could wait"
)]
async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Looks up the projects of the lanes in `wanted`.
pub(super) async fn look_up_projects(
    opened: &mut BTreeMap<usize, Opened>,
    wanted: impl IntoIterator<Item = usize>,
) -> Result<BTreeMap<usize, Id>, Error> {
    let mut projects = BTreeMap::new();
    for lane in wanted {
        let others = opened.len() > 1;
        let Some(opened) = opened.get_mut(&lane) else {
            continue;
        };
        match opened.look_up_project().await {
            Ok(project) => {
                projects.insert(lane, project);
            }
            // Its rows end with the reason; those of the others go on.
            Err(error) if others => {
                opened.warnings.push(error.to_string());
                opened
                    .lane
                    .give_up(Keeper::new(Box::new(Nobody(error.to_string()))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(projects)
}
