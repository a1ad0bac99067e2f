//! The world: workspaces with workflows, a gateway that throttles, and seeded misfortune.
//!
//! No clock and no I/O: `now` comes in, and what is to be sent goes out.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::row::hex;
use crate::model::simulation::{CUT_AFTER, FaultKind, Simulation};
use crate::model::target::Workspace;
use crate::model::update::{Label, Update};

use super::answer::{Answered, Delivery, Handled, Refusal};
use super::calendar::Calendar;
use super::call::{Call, Operation};
use super::creation::Maker;
use super::estate::Estate;
use super::faults;
use super::ledger::{Entry, What};
use super::method::Method;
use super::records::{VersionRecord, VersionStatus, WorkflowRecord, WorkspaceRecord};
use super::throttle::Throttle;
use super::workspaces::WorkspacesCall;

/// A SecMaster with all its workspaces.
#[derive(Debug)]
pub struct World {
    pub(super) simulation: Simulation,
    pub(super) estates: BTreeMap<Workspace, Estate>,
    pub(super) calendar: Calendar,
    /// What goes wrong with the update that is being carried out.
    mishap: Option<FaultKind>,
    /// How many requests of a kind about a subject were admitted.
    pub(super) counts: HashMap<(Method, String), u64>,
    /// How many request ids were given out.
    pub(super) requests: u64,
    throttle: Throttle,
    ledger: Option<Vec<Entry>>,
}

/// Whether two names differ by case, or by two letters at most; by other digits they are two names.
fn is_nearly(known: &str, name: &str) -> bool {
    let (known, name) = (known.to_lowercase(), name.to_lowercase());
    let digits = |name: &str| {
        name.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let long = name.chars().count() >= 8;
    known == name
        || (long
            && digits(&known) == digits(&name)
            && strsim::damerau_levenshtein(&known, &name) <= 2)
}

impl World {
    /// An empty world that behaves as told.
    pub fn new(simulation: Simulation) -> Self {
        Self {
            throttle: Throttle::new(&simulation.rate_limits),
            simulation,
            estates: BTreeMap::new(),
            calendar: Calendar::default(),
            mishap: None,
            counts: HashMap::new(),
            requests: 0,
            ledger: None,
        }
    }

    /// How it behaves.
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// From now on it behaves like this; limits on requests stay as they were.
    pub fn behave(&mut self, simulation: Simulation) {
        self.simulation = simulation;
    }

    /// Sees to it that the workspace's first `count` workflows exist, each with one version in
    /// use; one in five is enabled. They are the same for the same seed and workspace.
    pub fn populate(&mut self, workspace: &Workspace, count: usize) {
        let seed = self.simulation.seed;
        let maker = Maker { seed, workspace };
        let estate = self.estates.entry(workspace.clone()).or_default();
        for index in 0..count {
            if estate.resident(&maker.workflow_id(index)).is_none() {
                estate.settle(maker.workflow(index, self.calendar.time_of_making()));
            }
        }
    }

    /// Sees to it that a workspace of the project has the id `text` or is called so; `stand_in` becomes one if none
    /// does, and none is called nearly so.
    pub fn call(&mut self, stand_in: &Workspace, text: &str) {
        let of_project = |known: &&Workspace| known.project_id == stand_in.project_id;
        let mut known = self.estates.keys().filter(of_project);
        // What is spelt nearly so is the same, misspelt.
        let is_known = known.any(|known| {
            known.workspace_id.as_str() == text || is_nearly(&self.workspace(known).name, text)
        });
        if !is_known {
            let estate = self.estates.entry(stand_in.clone()).or_default();
            estate.name = Some(text.to_owned());
        }
    }

    fn workspace(&self, workspace: &Workspace) -> WorkspaceRecord {
        let seed = self.simulation.seed;
        let record = Maker { seed, workspace }.workspace();
        let estate = self.estates.get(workspace);
        match estate.and_then(|estate| estate.name.clone()) {
            Some(name) => WorkspaceRecord { name, ..record },
            None => record,
        }
    }

    /// The same, where nothing lives yet: a newcomer's world has something to see.
    pub fn populate_if_empty(&mut self, workspace: &Workspace, count: usize) {
        if self.workflows(workspace).next().is_none() {
            self.populate(workspace, count);
        }
    }

    /// Adds what is not known yet: the workspace, the workflow (disabled, with one version in
    /// use), and the version, published. A version that another workflow has stays there.
    pub fn adopt(&mut self, workspace: &Workspace, workflow_id: &str, version_id: Option<&str>) {
        let seed = self.simulation.seed;
        let maker = Maker { seed, workspace };
        let estate = self.estates.entry(workspace.clone()).or_default();
        let version_id = version_id.filter(|id| !id.is_empty() && !estate.knows_version(id));
        match (estate.resident(workflow_id), version_id) {
            (None, _) => {
                let at = self.calendar.time_of_making();
                estate.settle(maker.named(workflow_id, version_id, at));
            }
            (Some(resident), Some(version_id)) => {
                let nth = resident.versions.len() + 1;
                estate.publish(maker.version(&resident.workflow, version_id, nth));
            }
            (Some(_), None) => {}
        }
    }

    /// Whether a workflow of the workspace is called `name`.
    pub fn knows(&self, workspace: &Workspace, name: &str) -> bool {
        let mut workflows = self.workflows(workspace);
        workflows.any(|workflow| workflow.name == name)
    }

    /// Whether one is called nearly so: it is the same, misspelt.
    pub fn nearly_knows(&self, workspace: &Workspace, name: &str) -> bool {
        let mut workflows = self.workflows(workspace);
        workflows.any(|workflow| is_nearly(&workflow.name, name))
    }

    /// Adds a workflow that is called `name`.
    pub fn adopt_called(&mut self, workspace: &Workspace, name: &str) {
        let seed = self.simulation.seed;
        let maker = Maker { seed, workspace };
        let at = self.calendar.time_of_making();
        let estate = self.estates.entry(workspace.clone()).or_default();
        estate.settle(maker.called(name, at));
    }

    /// Adds a version that stands at `status`; for drafts and the like, which nobody adopts.
    pub fn draft(
        &mut self,
        workspace: &Workspace,
        workflow_id: &str,
        version_id: &str,
        status: VersionStatus,
    ) {
        let seed = self.simulation.seed;
        let maker = Maker { seed, workspace };
        let estate = self.estates.entry(workspace.clone()).or_default();
        if let Some(resident) = estate.resident(workflow_id) {
            let nth = resident.versions.len() + 1;
            estate.publish(VersionRecord {
                status,
                ..maker.version(&resident.workflow, version_id, nth)
            });
        }
    }

    /// The workflow as it is now.
    pub fn workflow(&self, workspace: &Workspace, workflow_id: &str) -> Option<&WorkflowRecord> {
        let resident = self.estates.get(workspace)?.resident(workflow_id)?;
        Some(&resident.workflow)
    }

    /// All workflows of the workspace, in the order of their making.
    pub fn workflows(&self, workspace: &Workspace) -> impl Iterator<Item = &WorkflowRecord> {
        let estate = self.estates.get(workspace).into_iter();
        let residents = estate.flat_map(|estate| estate.residents());
        residents.map(|resident| &resident.workflow)
    }

    /// What the service's clock says, `now` after the session began: its times are not those of this machine.
    pub fn clock(&self, now: Duration) -> Timestamp {
        self.calendar.now(now)
    }

    /// Writes down every request from now on. The ledger grows without bounds: for tests.
    pub fn keep_ledger(&mut self) {
        self.ledger.get_or_insert_default();
    }

    /// What was written down.
    pub fn ledger(&self) -> &[Entry] {
        self.ledger.as_deref().unwrap_or_default()
    }

    /// An id for one more request.
    pub fn next_request_id(&mut self) -> String {
        self.requests += 1;
        let words = [b"request".as_slice(), &self.requests.to_le_bytes()];
        hex(&faults::dice(self.simulation.seed, &words)
            .u128(..)
            .to_be_bytes())
    }

    /// Carries out what `call` asks, or lets it go wrong.
    pub fn handle(&mut self, call: &Call, now: Duration) -> Handled {
        let method = call.operation.method();
        self.face(method, call.subject(), now, |world| {
            world.carry_out(call, now)
        })
    }

    /// Lists workspaces, or lets it go wrong.
    pub fn list_workspaces(&mut self, call: &WorkspacesCall, now: Duration) -> Handled {
        let subject = call.subject();
        self.face(Method::ListWorkspaces, subject, now, |world| {
            let query = call.query.as_ref().map_err(Clone::clone)?;
            let all = world.estates.keys();
            let all = all.filter(|workspace| workspace.project_id == call.project_id);
            let records = all.map(|workspace| world.workspace(workspace));
            Ok(Answered::Workspaces(query.page(records)))
        })
    }

    /// Throttles a request, lets it go wrong, or carries it out.
    fn face(
        &mut self,
        method: Method,
        subject: String,
        now: Duration,
        carry_out: impl FnOnce(&mut Self) -> Result<Answered, Refusal>,
    ) -> Handled {
        let request_id = self.next_request_id();
        if let Err(throttled) = self.throttle.admit(now) {
            let wait = self
                .simulation
                .retry_after
                .then(|| whole_seconds(throttled.wait));
            self.enter(now, method, subject, What::Throttled, false);
            return Handled {
                after: self.simulation.latency.0,
                request_id,
                delivery: Delivery::Whole(Answered::Refused(Refusal::throttled(
                    throttled.rate,
                    wait,
                ))),
            };
        }
        let count = self.counts.entry((method, subject.clone())).or_default();
        *count += 1;
        let lot = faults::draw(&self.simulation, method, &subject, *count);
        let refused = |refusal: Refusal| Answered::Refused(refusal.of(method));
        let mut applied = false;
        let carry_out = |world: &mut Self| {
            let answered = carry_out(world).unwrap_or_else(refused);
            let refused = matches!(answered, Answered::Refused(_));
            applied = method == Method::UpdateWorkflow && !refused;
            answered
        };
        let delivery = match lot.fault {
            None | Some(FaultKind::Slow) => Delivery::Whole(carry_out(self)),
            Some(
                mishap
                @ (FaultKind::Lost | FaultKind::Stale | FaultKind::Clears | FaultKind::Trims),
            ) => {
                self.mishap = Some(mishap);
                let answered = carry_out(self);
                self.mishap = None;
                applied &= mishap != FaultKind::Lost;
                Delivery::Whole(answered)
            }
            Some(FaultKind::Other) => {
                let mut answered = carry_out(self);
                if let Answered::Workflow(workflow) = &mut answered {
                    workflow.id = format!("not-{}", workflow.id);
                }
                Delivery::Whole(answered)
            }
            Some(FaultKind::Truncated) => Delivery::Cut(carry_out(self)),
            Some(FaultKind::ResetAfter) => {
                carry_out(self);
                Delivery::Closed
            }
            Some(FaultKind::Reset) => Delivery::Closed,
            Some(FaultKind::Html) => Delivery::WebPage,
            Some(FaultKind::Hang) => Delivery::Never,
            Some(FaultKind::InternalErrorAfter) => {
                carry_out(self);
                Delivery::Whole(refused(Refusal::internal_error()))
            }
            Some(FaultKind::UnavailableAfter) => {
                carry_out(self);
                Delivery::Whole(refused(Refusal::unavailable()))
            }
            Some(FaultKind::InternalError) => Delivery::Whole(refused(Refusal::internal_error())),
            Some(FaultKind::Unavailable) => Delivery::Whole(refused(Refusal::unavailable())),
        };
        let what = lot.fault.map_or(What::Admitted, What::Failed);
        self.enter(now, method, subject, what, applied);
        Handled {
            after: lot.after,
            request_id,
            delivery,
        }
    }

    fn carry_out(&mut self, call: &Call, now: Duration) -> Result<Answered, Refusal> {
        let estate = self.estates.get_mut(&call.workspace);
        let missing = match call.operation.method() {
            Method::ShowWorkspace => Refusal::no_workspace_to_show(),
            Method::ListWorkspaces
            | Method::ListWorkflows
            | Method::ShowWorkflow
            | Method::UpdateWorkflow
            | Method::ListVersions
            | Method::ShowVersion => Refusal::no_such_workspace(),
        };
        let estate = estate.ok_or(missing)?;
        match &call.operation {
            Operation::ShowWorkspace => {
                let record = self.workspace(&call.workspace);
                Ok(Answered::Workspace(Box::new(record)))
            }
            Operation::ListWorkflows(query) => {
                let query = query.as_ref().map_err(Clone::clone)?;
                estate.list(query).map(Answered::Workflows)
            }
            Operation::ShowWorkflow { workflow_id } => {
                let workflow = estate.show(workflow_id)?;
                Ok(Answered::Workflow(Box::new(workflow.clone())))
            }
            Operation::UpdateWorkflow {
                workflow_id,
                update,
            } => {
                let update = update.as_ref().map_err(Clone::clone)?;
                let calendar = &mut self.calendar;
                let clears = self.mishap == Some(FaultKind::Clears);
                let update = match (clears || self.simulation.clears_unsent, self.mishap) {
                    (true, _) => update.clone().or(&cleared()),
                    (false, Some(FaultKind::Trims)) => trimmed(update),
                    (false, _) => update.clone(),
                };
                let before = estate.resident(workflow_id).cloned();
                let workflow =
                    estate.update(workflow_id, &update, || calendar.time_of_change(now))?;
                let workflow = workflow.clone();
                match (before, self.mishap) {
                    (Some(before), Some(FaultKind::Lost)) => estate.put_back(before),
                    (Some(before), Some(FaultKind::Stale)) => {
                        return Ok(Answered::Workflow(Box::new(before.workflow)));
                    }
                    _ => {}
                }
                Ok(Answered::Workflow(Box::new(workflow)))
            }
            Operation::ListVersions {
                workflow_id,
                status,
            } => {
                let status = status.as_ref().map_err(Clone::clone)?;
                estate
                    .versions(workflow_id, *status)
                    .map(Answered::Versions)
            }
            Operation::ShowVersion { version_id } => {
                let version = estate.version(version_id)?;
                Ok(Answered::Version(Box::new(version.clone())))
            }
        }
    }

    fn enter(&mut self, at: Duration, method: Method, subject: String, what: What, applied: bool) {
        if let Some(ledger) = &mut self.ledger {
            ledger.push(Entry {
                at,
                method,
                subject,
                what,
                applied,
            });
        }
    }
}

/// What a service that takes an update for the whole workflow makes of fields that are not sent.
fn cleared() -> Update {
    Update {
        name: Some(String::new()),
        description: Some(String::new()),
        enabled: Some(false),
        version_id: Some(String::new()),
        labels: Some(Label::Cleared),
    }
}

/// What a service that trims and cuts texts makes of an update.
fn trimmed(update: &Update) -> Update {
    let trim = |text: &String| -> String { text.trim().chars().take(CUT_AFTER).collect() };
    Update {
        name: update.name.as_ref().map(trim),
        description: update.description.as_ref().map(trim),
        ..update.clone()
    }
}

/// `wait` in the unit of `Retry-After`, never too short.
fn whole_seconds(wait: Duration) -> Duration {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs(seconds.max(1))
}

#[cfg(test)]
mod tests;
