//! Where requests go and what they show there: a service with a token, or the simulator.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::engine::ports::Rows;
use crate::error::Error;
use crate::job::destination::Destination;
use crate::model::endpoint::Endpoint;
use crate::model::target::LaneId;
use crate::secmaster::auth::token::Token;
use crate::secmaster::client::Lane;
use crate::simulator::access::Access;
use crate::simulator::server;
use crate::simulator::world::World;

use super::folder::{Readers, make_folder, write_whole};
use super::intake::Taken;
use super::{clock, environment};

/// Where a run goes, and what keeps that place alive.
pub(super) struct Open {
    pub(super) lane: Lane,
    pub(super) region: Option<String>,
    /// Where the credential came from, for people.
    pub(super) credential: String,
    simulator: Option<Simulator>,
}

/// The simulator inside this process.
struct Simulator {
    world: Arc<Mutex<World>>,
    kept: PathBuf,
    stop: Option<oneshot::Sender<()>>,
}

/// The credential for a service. Looked for before a run exists.
pub(super) fn find_token(file: Option<&Path>) -> Result<(Token, String), Error> {
    let hint = "give the IAM token by the variable HW_AUTH_TOKEN or by --token-file FILE; \
                to try a job without an account, say --simulate";
    let (text, source) = match file {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| Error::Refused {
                what: format!("the token file {} cannot be read: {error}", path.display()),
                hint: hint.to_owned(),
            })?;
            (text, format!("token from {}", path.display()))
        }
        None => match environment("HW_AUTH_TOKEN") {
            Some(text) => (text, "token from HW_AUTH_TOKEN".to_owned()),
            None => {
                return Err(Error::Refused {
                    what: "no credential".to_owned(),
                    hint: hint.to_owned(),
                });
            }
        },
    };
    match Token::parse(&text) {
        Ok(token) => Ok((token, source)),
        Err(fault) => Err(Error::Refused {
            what: format!("{source}: {fault}"),
            hint: hint.to_owned(),
        }),
    }
}

impl Open {
    /// The service that `destination` names.
    pub(super) fn service(
        endpoint: Endpoint,
        region: Option<String>,
        token: (Token, String),
    ) -> Self {
        let (token, credential) = token;
        Self {
            lane: Lane { endpoint, token },
            region,
            credential,
            simulator: None,
        }
    }

    /// Starts the simulator, with the world kept at `kept` and everything that the job names.
    pub(super) async fn simulator(
        taken: &Taken,
        kept: PathBuf,
        fresh: bool,
    ) -> Result<Self, Error> {
        let mut world = World::new(taken.job.simulation.clone());
        if !fresh && kept.exists() {
            let text = fs::read_to_string(&kept).map_err(Error::file("cannot read", &kept))?;
            let doing = "the simulated world cannot be read (begin a new one with --fresh)";
            world.merge_json(&text).map_err(Error::machine(doing))?;
        }
        let doing = "cannot set up the simulated world";
        let mut rows = taken.rows().map_err(Error::machine(doing))?;
        while let Some(row) = Rows::next(&mut rows, LaneId(0)).map_err(Error::machine(doing))? {
            let version = row.update.version_id.as_deref();
            world.adopt(&row.workspace, row.workflow_id.as_str(), version);
        }
        let world = Arc::new(Mutex::new(world));
        let secret = format!("simulated-{:016x}", clock::seed());
        let doing = "cannot start the simulator";
        let token = Token::parse(&secret).map_err(Error::machine(doing))?;
        let server = server::bind(0, Arc::clone(&world), Access::by_token(&secret))
            .await
            .map_err(Error::machine(doing))?;
        let url = format!("http://{}", server.address());
        let endpoint = Endpoint::parse(&url).map_err(Error::machine(doing))?;
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(async {
            let _ = stopped.await;
        }));
        Ok(Self {
            lane: Lane { endpoint, token },
            region: None,
            credential: "its own token".to_owned(),
            simulator: Some(Simulator {
                world,
                kept,
                stop: Some(stop),
            }),
        })
    }

    /// Where requests go, for people.
    pub(super) fn text(&self) -> String {
        match (&self.simulator, &self.region) {
            (Some(_), _) => "simulator (nothing leaves this machine)".to_owned(),
            (None, Some(region)) => format!("region {region} ({})", self.lane.endpoint),
            (None, None) => self.lane.endpoint.to_string(),
        }
    }

    pub(super) fn is_simulated(&self) -> bool {
        self.simulator.is_some()
    }

    /// Ends the simulator, if there is one, and keeps its world.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        let Some(simulator) = &mut self.simulator else {
            return Ok(());
        };
        if let Some(stop) = simulator.stop.take() {
            let _ = stop.send(());
        }
        let json = lock(&simulator.world)
            .to_json()
            .map_err(Error::machine("the simulated world cannot be kept"))?;
        if let Some(folder) = simulator.kept.parent() {
            make_folder(folder)?;
        }
        write_whole(&simulator.kept, Readers::Owner, |file| {
            std::io::Write::write_all(file, json.as_bytes())
        })
        .map_err(Error::file("cannot write", &simulator.kept))
    }
}

/// Whether `destination` is the simulator.
pub(super) fn is_simulator(destination: &Destination) -> bool {
    match destination {
        Destination::Simulator => true,
        Destination::Service { .. } | Destination::Open { .. } | Destination::Wrong => false,
    }
}

/// The world is plain data: whoever held it while panicking left nothing half done that matters.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
