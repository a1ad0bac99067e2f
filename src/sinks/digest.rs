//! What a run's events say all in all: slowest rows, commonest errors, how long and how fast.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::ports::Watcher;
use crate::model::event::{
    Approval, Counts, Event, Pause, RunStarted, StageLeft, Stamped, WasEnded, WaveEnded,
};
use crate::model::field::FieldSet;
use crate::model::outcome::{Ended, ErrorClass, Failure, Outcome, Status};
use crate::model::rate::Rate;
use crate::model::reading;
use crate::model::tally::Tally;
use crate::model::target::{LaneId, Workspace};
use crate::model::work_time::WorkTime;

/// Slowest rows that are kept.
const SLOWEST: usize = 5;
/// Different errors that are kept apart.
const MOST_ERRORS: usize = 64;

/// A run in figures.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// The counts.
    pub tally: Tally,
    /// How it began.
    pub start: Option<RunStarted>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended, or the last event.
    pub last_at: Option<Timestamp>,
    /// How long it has worked.
    pub time: WorkTime,
    /// Rows by duration, the slowest first.
    pub slowest: Vec<(u64, Duration)>,
    /// Why nothing new started any more.
    pub stopped: Option<(Ended, String)>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// Pauses by throttling that are over, and how long was waited for them.
    throttles: (u64, Duration),
    /// Why lanes pause, since when and for how long at most, as long as they do.
    paused: BTreeMap<LaneId, Paused>,
    /// The service's own limits, as far as they were found, as they were last.
    pub limits: BTreeMap<LaneId, Rate>,
    /// What the last plan came to.
    pub plan: Option<Counts>,
    /// What the plans came to, by session.
    pub plans: BTreeMap<u32, Counts>,
    /// Fields that rows have changed, or may have.
    pub changed: FieldSet,
    /// What people call the workspaces that rows go to, as far as anybody says.
    pub names: BTreeMap<(LaneId, Workspace), String>,
    /// Its sessions, in their order.
    pub sessions: Vec<Session>,
    /// Requests that readings of the snapshot took, by lane.
    pub readings: BTreeMap<LaneId, u64>,
    /// Lanes whose credential the service has taken, as far as readings tell.
    pub confirmed: BTreeSet<LaneId>,
    /// How often a credential that had ended was renewed.
    pub renewals: u64,
    /// Lanes and workspaces that were closed, and why.
    pub closed: Vec<String>,
    /// The waves that have ended, in their order, as they ended last.
    pub waves: BTreeMap<u32, WaveEnded>,
    /// Stages whose rows the last session left out.
    pub stages_left: Vec<StageLeft>,
    /// Who let the run go on after which wave, and when.
    pub approvals: Vec<(Timestamp, Approval)>,
    /// Why the live state could not be read, the first time.
    pub unread: Option<Failure>,
    /// Workspaces that were closed.
    pub refused_workspaces: u64,
    errors: HashMap<(ErrorClass, Option<String>), Kind>,
}

/// A lane that pauses.
#[derive(Clone, Debug)]
struct Paused {
    why: Pause,
    since: Timestamp,
    wait: Duration,
    message: String,
}

impl Paused {
    /// How much of its wait has passed `at` that instant.
    fn waited(&self, at: Timestamp) -> Duration {
        let passed = at.duration_since(self.since);
        Duration::try_from(passed)
            .unwrap_or_default()
            .min(self.wait)
    }
}

/// One session of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The how-manieth, from 1.
    pub session: u32,
    /// The user who started it.
    pub operator: String,
    /// Of flowbatch.
    pub tool_version: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none if it was killed.
    pub finished_at: Option<Timestamp>,
    /// How it ended; none if it was killed.
    pub ended: Option<Ended>,
}

/// An error that rows ended with.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Rows.
    pub count: u64,
    /// The first row.
    pub row: u64,
    /// The first row's message.
    pub message: String,
}

impl Digest {
    /// How often lanes paused because they were throttled, and how long was waited for that.
    pub fn throttled(&self) -> (u64, Duration) {
        let (mut count, mut waited) = self.throttles;
        let now = self
            .paused
            .values()
            .filter(|paused| paused.why == Pause::Throttled);
        for paused in now {
            count += 1;
            waited += self.last_at.map_or(Duration::ZERO, |at| paused.waited(at));
        }
        (count, waited)
    }

    /// Why the service admitted nothing in the end, if that is so: an outage, or throttling for most of the time.
    pub fn trouble(&self) -> Option<(Pause, &str)> {
        let most = self.time.total() / 2;
        let counts = |paused: &&Paused| match paused.why {
            Pause::Outage => true,
            Pause::Throttled => self.throttled().1 >= most,
        };
        let paused = self.paused.values().find(counts)?;
        Some((paused.why, paused.message.as_str()))
    }

    /// The lane pauses no more.
    fn resumed(&mut self, lane: LaneId, at: Timestamp) {
        if let Some(paused) = self.paused.remove(&lane)
            && paused.why == Pause::Throttled
        {
            self.throttles.0 += 1;
            self.throttles.1 += paused.waited(at);
        }
    }

    /// Whether somebody has let it go on after the wave that ended last.
    pub fn is_approved(&self) -> bool {
        let last = self.waves.keys().next_back();
        let mut approvals = self.approvals.iter();
        approvals.any(|(_, approval)| Some(&approval.wave) == last)
    }

    /// The errors, commonest first.
    pub fn errors(&self) -> Vec<(ErrorClass, Option<&str>, &Kind)> {
        let mut errors: Vec<_> = self
            .errors
            .iter()
            .map(|((class, code), kind)| (*class, code.as_deref(), kind))
            .collect();
        errors.sort_by_key(|(_, _, kind)| (u64::MAX - kind.count, kind.row));
        errors
    }

    /// Sessions after the first.
    pub fn later_sessions(&self) -> u32 {
        self.sessions
            .last()
            .map_or(0, |last| last.session.saturating_sub(1))
    }

    /// `lane` in a few words with a colon after it; nothing where there is but one.
    pub(super) fn prefix(&self, lane: LaneId) -> String {
        let start = self.start.as_ref();
        start.map(|start| start.prefix(lane)).unwrap_or_default()
    }

    /// The error that the row had ended with is none any more.
    fn reopened(&mut self, was: Option<&WasEnded>) {
        // A row that was never tried had none that counted.
        let counted = |was: &&WasEnded| {
            let canceled = was.error_class == Some(ErrorClass::Canceled);
            was.status != Status::NotAttempted || was.tried || !canceled
        };
        let was = was.filter(counted);
        let Some((was, class)) = was.and_then(|was| Some((was, was.error_class?))) else {
            return;
        };
        let key = (class, was.error_code.clone());
        if let Some(kind) = self.errors.get_mut(&key) {
            kind.count = kind.count.saturating_sub(1);
            if kind.count == 0 {
                self.errors.remove(&key);
            }
        }
    }

    fn begin(&mut self, session: u32, operator: &str, tool_version: &str, at: Timestamp) {
        self.sessions.push(Session {
            session,
            operator: operator.to_owned(),
            tool_version: tool_version.to_owned(),
            started_at: at,
            finished_at: None,
            ended: None,
        });
    }

    fn row_ended(&mut self, row: u64, outcome: &Outcome) {
        if let Some(ms) = outcome.duration_ms {
            let duration = Duration::from_millis(ms);
            let place = self.slowest.partition_point(|(_, slow)| *slow >= duration);
            if place < SLOWEST {
                self.slowest.insert(place, (row, duration));
                self.slowest.truncate(SLOWEST);
            }
        }
        let Some(failure) = outcome.failure.as_ref().filter(|_| outcome.is_wrong()) else {
            return;
        };
        let key = (failure.class, failure.code.clone());
        if self.errors.len() >= MOST_ERRORS && !self.errors.contains_key(&key) {
            return;
        }
        let kind = self.errors.entry(key).or_insert_with(|| Kind {
            count: 0,
            row,
            message: failure.message.clone(),
        });
        kind.count += 1;
        if row < kind.row {
            kind.row = row;
            kind.message.clone_from(&failure.message);
        }
    }
}

impl Watcher for Digest {
    fn see(&mut self, stamped: &Stamped) {
        self.tally.see(&stamped.event);
        self.time.see(stamped);
        let last = self.last_at.replace(stamped.at);
        match &stamped.event {
            Event::RunStarted(start) => {
                self.start = Some(start.clone());
                self.started_at = Some(stamped.at);
                self.begin(1, &start.operator, &start.tool_version, stamped.at);
            }
            Event::RowEnded {
                row,
                outcome,
                replaces,
            } => {
                self.reopened(replaces.as_ref());
                for field in outcome.change.iter().flat_map(|change| change.after.keys()) {
                    self.changed.insert(*field);
                }
                self.row_ended(*row, outcome);
            }
            Event::Attempt { reopens, .. } => self.reopened(reopens.as_ref()),
            Event::LanePaused {
                lane,
                why,
                wait_ms,
                message,
            } => {
                self.resumed(*lane, stamped.at);
                let paused = Paused {
                    why: *why,
                    since: stamped.at,
                    wait: Duration::from_millis(*wait_ms),
                    message: message.clone(),
                };
                self.paused.insert(*lane, paused);
            }
            Event::LaneResumed { lane } => self.resumed(*lane, stamped.at),
            Event::LaneClosed { lane, message, .. } => {
                self.resumed(*lane, stamped.at);
                let prefix = self.prefix(*lane);
                self.closed.push(format!("{prefix}{message}"));
            }
            Event::WorkspaceClosed {
                lane,
                workspace,
                message,
            } => {
                let prefix = self.prefix(*lane);
                self.refused_workspaces += 1;
                self.closed
                    .push(format!("{prefix}workspace {workspace}: {message}"));
            }
            Event::CredentialRenewed { .. } => self.renewals += 1,
            Event::RateChanged { lane, rate } => {
                self.limits.insert(*lane, *rate);
            }
            Event::SessionStarted(started) => {
                let before = self.sessions.last().and_then(|session| session.finished_at);
                let before = before.or(last).unwrap_or(stamped.at);
                let lanes: Vec<_> = self.paused.keys().copied().collect();
                for lane in lanes {
                    self.resumed(lane, before);
                }
                // What stopped the session before this one stops this one no more.
                self.stopped = None;
                self.ended = None;
                self.closed.clear();
                self.stages_left.clear();
                self.refused_workspaces = 0;
                self.unread = None;
                let operator = &started.operator;
                self.begin(started.session, operator, &started.tool_version, stamped.at);
            }
            Event::Stop { ended, message } => self.stopped = Some((*ended, message.clone())),
            Event::SessionEnded { ended } => {
                self.ended = Some(*ended);
                if let Some(session) = self.sessions.last_mut() {
                    session.finished_at = Some(stamped.at);
                    session.ended = Some(*ended);
                }
            }
            Event::WorkspaceNamed {
                lane,
                workspace,
                name,
            } => {
                let place = (*lane, workspace.clone());
                self.names.insert(place, name.clone());
            }
            Event::Planned(counts) => {
                self.plans.insert(self.later_sessions() + 1, counts.clone());
                self.plan = Some(counts.clone());
            }
            Event::Read {
                lane,
                failure,
                kind,
                requests,
                ..
            } => {
                *self.readings.entry(*lane).or_default() += u64::from(*requests);
                if failure.is_none() {
                    self.confirmed.insert(*lane);
                }
                let failure = failure.as_ref().filter(|failure| match kind {
                    // Most runs can do without their names; whoever cannot tells it.
                    reading::Kind::Workspaces => failure.class == ErrorClass::Auth,
                    reading::Kind::List | reading::Kind::Get | reading::Kind::Versions => {
                        failure.class != ErrorClass::Canceled
                    }
                });
                self.unread = self.unread.take().or_else(|| failure.cloned());
            }
            Event::WaveEnded(wave) => {
                self.waves.insert(wave.wave, wave.clone());
            }
            Event::StageLeft(stage) => self.stages_left.push(stage.clone()),
            Event::Approved(approval) => self.approvals.push((stamped.at, approval.clone())),
            Event::LegStarted { .. }
            | Event::Asked { .. }
            | Event::Proven { .. }
            | Event::Suspected { .. }
            | Event::Answer { .. } => {}
        }
    }

    fn tick(&mut self, _: Timestamp) {}
}
