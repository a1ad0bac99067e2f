//! Where requests go and what they show there: services with credentials, or the simulator.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::engine::ports::RowsError;
use crate::engine::schedule::Paces;
use crate::error::Error;
use crate::job::destination::Destination;
use crate::job::settings::Settings;
use crate::model::endpoint::Endpoint;
use crate::model::id::Id;
use crate::model::route::{LaneFacts, Route};
use crate::model::row::Row;
use crate::model::simulation::Simulation;
use crate::model::target::{LaneId, Workspace};
use crate::secmaster::auth::credential::Credential;
use crate::secmaster::auth::gate::Gate;
use crate::secmaster::auth::keeper::Keeper;
use crate::secmaster::auth::token::Token;
use crate::secmaster::client::{Client, Lane};
use crate::secmaster::transport::{Http, Transport};
use crate::simulator::access::Access;
use crate::simulator::server;
use crate::simulator::world::World;

use super::folder::{Readers, make_folder, write_whole};
use super::lanes::{self, Asked, Gates, Opened};
use super::loaded_job::LoadedJob;
use super::resolved_job::ResolvedJob;
use super::{clock, file_limit, profiles, terminal};

/// Where a run goes, and what keeps that place alive.
pub(super) struct Open {
    pub(super) client: Client,
    /// In the order of their numbers.
    pub(super) lanes: Vec<LaneFacts>,
    /// What people should know although it is no problem.
    pub(super) warnings: Vec<String>,
    /// Those on the way, for people.
    pub(super) proxies: Vec<String>,
    /// How fast requests may leave, for all readings and the run of this process together.
    pub(super) paces: Paces,
    is_simulated: bool,
    /// The one that runs in this process.
    simulator: Option<Simulator>,
}

/// The simulator inside this process.
struct Simulator {
    world: Arc<Mutex<World>>,
    kept: PathBuf,
    stop: Option<oneshot::Sender<()>>,
}

impl Open {
    /// The services that the rows of `job` go to, and by lane the projects that had to be looked up: those of the lanes
    /// `without_project`.
    pub(super) async fn services(
        job: &ResolvedJob,
        without_project: &[LaneId],
        asked: Asked<'_>,
    ) -> Result<(Self, BTreeMap<usize, Id>), Error> {
        // A record says where rows go; where a credential is now, the profiles say.
        let profiles = match job.is_recorded {
            true => profiles::load()?,
            false => Rc::clone(&job.job.defaults.profiles),
        };
        let profiles = &profiles;
        let defaults = &job.job.defaults;
        let (mut opened, mut gates) = (BTreeMap::new(), Gates::new());
        for (lane, census) in job.census.lanes.iter().enumerate() {
            if census.is_used() {
                let lane_opened = lanes::open(
                    &census.route,
                    asked,
                    profiles,
                    &defaults.regions,
                    &mut gates,
                )?;
                lane_opened.ensure().await?;
                opened.insert(lane, lane_opened);
            }
        }
        let wanted: Vec<_> = without_project.iter().map(|lane| lane.0).collect();
        for lane in &wanted {
            if let Some(opened) = opened.get_mut(lane) {
                opened.warnings.extend(opened.iam_warning.take());
            }
        }
        let looked_up = lanes::look_up_projects(&mut opened, wanted).await;
        if looked_up.is_err() {
            let warnings = opened.values().flat_map(|opened| &opened.warnings);
            warnings.for_each(|warning| terminal::complain(&format!("warning: {warning}")));
        }
        let projects = looked_up?;
        let mut open = Self::on_record(Vec::new(), false);
        let mut ways = Vec::new();
        for (index, census) in job.census.lanes.iter().enumerate() {
            let Some(opened) = opened.remove(&index) else {
                open.lanes.push(LaneFacts {
                    route: census.route.clone(),
                    credential: None,
                    identity: None,
                });
                ways.push(None);
                continue;
            };
            open.proxies.extend(opened.proxies());
            for warning in opened.warnings {
                if !open.warnings.contains(&warning) {
                    open.warnings.push(warning);
                }
            }
            open.lanes.push(opened.facts);
            ways.push(Some(opened.lane));
        }
        open.client = Client::new(ways);
        Ok((open, projects))
    }

    /// A single lane.
    pub(super) fn one(opened: Opened) -> Self {
        Self {
            client: Client::new(vec![Some(opened.lane)]),
            lanes: vec![opened.facts],
            warnings: opened.warnings,
            ..Self::on_record(Vec::new(), false)
        }
    }

    /// Starts the simulator, with the world kept at `kept` and everything that `loaded` names.
    pub(super) async fn simulator(
        loaded: &LoadedJob,
        kept: PathBuf,
        fresh: bool,
    ) -> Result<Self, Error> {
        let findings = &loaded.findings;
        let simulation = loaded.so_far.job.simulation.clone();
        Self::world(simulation, kept, fresh, |world| {
            let changes = findings.scopes.iter();
            let of_changes = changes.flat_map(|scope| {
                let names = loaded.changes[scope.change].workspaces.names();
                names.map(|name| (&scope.project_id, name))
            });
            let of_rows = findings.without_workspace.keys();
            let of_rows = of_rows.map(|(_, project_id, name)| (project_id, name.as_str()));
            let named: Vec<_> = of_rows.chain(of_changes).collect();
            for (project_id, name) in &named {
                if let Some(workspace_id) = Row::stand_in(name) {
                    let project_id = (*project_id).clone();
                    let stand_in = Workspace {
                        project_id,
                        workspace_id,
                    };
                    world.call(&stand_in, name);
                }
            }
            // Where names are looked up, rows show later where they go.
            match findings.without_workspace.is_empty() {
                true => adopt_rows(world, &loaded.so_far),
                false => Ok(()),
            }
        })
        .await
    }

    /// What the service's clock says: the simulator has one of its own.
    pub(super) fn service_time(&self) -> Timestamp {
        match &self.simulator {
            Some(simulator) => lock(&simulator.world).clock(Duration::ZERO),
            None => clock::wall(),
        }
    }

    /// Sees to it that the simulator, if there is one, holds what rows name, and workflows in `places`, where
    /// somebody looks for some.
    pub(super) fn adopt<'a>(
        &self,
        job: &ResolvedJob,
        places: impl Iterator<Item = &'a Workspace>,
    ) -> Result<(), Error> {
        let Some(simulator) = &self.simulator else {
            return Ok(());
        };
        let mut world = lock(&simulator.world);
        for workspace in places {
            world.populate_if_empty(workspace, SIMULATED);
        }
        let doing = "cannot set up the simulated world";
        adopt_rows(&mut world, job).map_err(Error::machine(doing))
    }

    /// Starts the simulator, with the world kept at `kept` and what `settle` adds to it.
    pub(super) async fn world(
        simulation: Simulation,
        kept: PathBuf,
        fresh: bool,
        settle: impl FnOnce(&mut World) -> Result<(), RowsError>,
    ) -> Result<Self, Error> {
        let mut world = World::new(simulation);
        if !fresh && kept.exists() {
            let text = fs::read_to_string(&kept).map_err(Error::file("cannot read", &kept))?;
            let doing = "the simulated world cannot be read (begin a new one with --fresh)";
            world.merge_json(&text).map_err(Error::machine(doing))?;
        }
        let doing = "cannot set up the simulated world";
        settle(&mut world).map_err(Error::machine(doing))?;
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
        let set_up = Transport::new(&endpoint, None, None, Http::Negotiated);
        let transport = set_up.map_err(Error::machine(doing))?;
        let keeper = Keeper::fixed(Credential::Token(token));
        let lane = Lane::new(endpoint.clone(), keeper, Gate::default(), transport);
        Ok(Self {
            client: Client::new(vec![Some(lane)]),
            lanes: vec![LaneFacts {
                route: Route {
                    endpoint,
                    region: None,
                    profile: None,
                },
                credential: Some("its own token".to_owned()),
                identity: None,
            }],
            warnings: Vec::new(),
            proxies: Vec::new(),
            paces: Paces::default(),
            is_simulated: true,
            simulator: Some(Simulator {
                world,
                kept,
                stop: Some(stop),
            }),
        })
    }

    /// Where a run went by its record: nothing more is to be sent there.
    pub(super) fn on_record(lanes: Vec<LaneFacts>, is_simulated: bool) -> Self {
        Self {
            client: Client::new(Vec::new()),
            lanes,
            warnings: Vec::new(),
            proxies: Vec::new(),
            paces: Paces::default(),
            is_simulated,
            simulator: None,
        }
    }

    /// The lanes that rows leave by.
    pub(super) fn used(&self) -> impl Iterator<Item = &LaneFacts> {
        self.lanes.iter().filter(|lane| lane.credential.is_some())
    }

    /// Where requests go, for people.
    pub(super) fn text(&self) -> String {
        if self.is_simulated() {
            return "simulator (nothing leaves this machine)".to_owned();
        }
        let mut names: Vec<_> = self.used().map(|lane| lane.route.text()).collect();
        names.dedup();
        match names.as_slice() {
            [one] => one.clone(),
            _ => {
                let names: Vec<_> = self.used().map(|lane| lane.route.name()).collect();
                names.join(", ")
            }
        }
    }

    pub(super) fn is_simulated(&self) -> bool {
        self.is_simulated
    }

    /// How many lanes there are, and how many requests there may be in parallel by each.
    pub(super) fn lanes_of(&self, settings: &Settings) -> (usize, usize) {
        let lanes = self.lanes.len();
        // Of a connection to the simulator, both ends are in this process.
        let files = if self.is_simulated { 2 } else { 1 };
        (
            lanes,
            file_limit::fitting(settings.concurrency, lanes, files),
        )
    }

    /// That fewer requests than the job says can be in parallel, if that is so.
    pub(super) fn file_limit_text(&self, settings: &Settings) -> Option<String> {
        file_limit::text(settings.concurrency, self.lanes_of(settings).1)
    }

    /// Ends all connections: what is still to be written needs their files.
    pub(super) async fn disconnect(&mut self) {
        self.client = Client::new(Vec::new());
        // Each ends when its task has had its turn.
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
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

/// Turns that the task of a connection needs to end: to see that no request comes any more, and to let go.
const TURNS: u32 = 4;

/// Workflows in a simulated workspace that nobody has used yet.
pub(super) const SIMULATED: usize = 25;

/// Adds what rows name, so that any file can be tried: workflows by their ids; and by their names in workspaces whose rows all go by
/// names of which none is there yet. Where one is, a name that is not there is missing, as it would be at a service.
fn adopt_rows(world: &mut World, job: &ResolvedJob) -> Result<(), RowsError> {
    let mut by_names: HashMap<Workspace, bool> = HashMap::new();
    let mut rows = job.rows()?;
    while let Some(row) = rows.next_taken()? {
        let is_new = by_names.entry(row.workspace.clone()).or_insert(true);
        match row.called.as_deref() {
            Some(name) => *is_new &= !world.nearly_knows(&row.workspace, name),
            None => {
                *is_new = false;
                let version = row.update.version_id.as_deref();
                world.adopt(&row.workspace, row.workflow_id.as_str(), version);
            }
        }
    }
    if !by_names.values().any(|by_names| *by_names) {
        return Ok(());
    }
    // What an earlier row gives as a name is there by then, and what was given by an earlier run is there by now.
    let mut given: HashSet<(Workspace, String)> = HashSet::new();
    let mut rows = job.rows()?;
    while let Some(row) = rows.next_taken()? {
        let place = &row.workspace;
        let new = row
            .update
            .name
            .clone()
            .filter(|new| row.called.as_ref() != Some(new));
        if let Some(name) = row.called
            && by_names.get(place).is_some_and(|by_names| *by_names)
            && !given.contains(&(place.clone(), name.clone()))
            && !world.knows(place, &name)
            && !new.as_ref().is_some_and(|new| world.knows(place, new))
        {
            world.adopt_called(place, &name);
        }
        given.extend(new.map(|new| (place.clone(), new)));
    }
    Ok(())
}

/// A run that began for one account does not go on for another.
pub(super) fn refuse_others(began: &[LaneFacts], now: &[LaneFacts]) -> Result<(), Error> {
    for now in now {
        let same = began.iter().find(|began| began.route == now.route);
        let Some(began) = same else { continue };
        if let Some(theirs) = &began.identity
            && began.identity != now.identity
            && now.credential.is_some()
        {
            let ours = now
                .identity
                .as_deref()
                .unwrap_or("token of nobody knows whom");
            return Err(Error::Refused {
                what: format!("{}: the run had the {theirs}, now there is the {ours}", now.route.name()),
                hint: "give the run's own credential, or say --other-credential if the account is the same"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether `destination` is the simulator.
pub(super) fn is_simulator(destination: Destination) -> bool {
    match destination {
        Destination::Simulator => true,
        Destination::Services => false,
    }
}

/// The world is plain data: whoever held it while panicking left nothing half done that matters.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
