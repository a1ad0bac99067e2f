//! Events as log lines.

use jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::engine::ports::Watcher;
use crate::model::event::{Event, Meaning, Pause, RunStarted, Stamped};
use crate::model::outcome::Status;
use crate::model::span;
use crate::model::target::LaneId;

/// Tells events to `tracing`: what a person should know as warnings, each row's end as info, each
/// request as debug.
#[derive(Debug, Default)]
pub struct Log {
    start: Option<RunStarted>,
    /// A throttle has been told: the next ones say nothing new.
    throttled: bool,
    /// Whether nobody named a rate: a throttle is how the service's limit is found.
    finds_limit: bool,
}

impl Log {
    /// The log of a run; with `finds_limit` of one whose rate nobody named.
    pub fn new(finds_limit: bool) -> Self {
        Self {
            finds_limit,
            ..Self::default()
        }
    }

    fn prefix(&self, lane: LaneId) -> String {
        let start = self.start.as_ref();
        start.map(|start| start.prefix(lane)).unwrap_or_default()
    }
}

impl Watcher for Log {
    fn see(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::RunStarted(start) => {
                self.start = Some(start.clone());
                info!(
                    run_id = start.run_id,
                    rows = start.rows,
                    skipped = start.skipped,
                    "run started"
                );
            }
            Event::SessionStarted(session) => {
                if let Some(start) = &mut self.start {
                    start.lanes.clone_from(&session.lanes);
                }
                info!(
                    session = session.session,
                    rows = session.rows,
                    "run goes on"
                );
            }
            Event::LegStarted { leg, wave } => debug!(?leg, wave, "leg started"),
            Event::WaveEnded(wave) => match &wave.closed {
                None => info!("{} is done: {} rows", wave.label(), wave.rows),
                Some(why) => warn!("{}: no other wave follows: {why}", wave.label()),
            },
            Event::StageLeft(stage) => {
                info!("stage {:?} is {}: {}", stage.name, stage.status, stage.why)
            }
            Event::Asked { waited_ms } => debug!(waited_ms, "a person was asked"),
            Event::Approved(approval) => {
                info!("wave {} is approved by {}", approval.wave, approval.by)
            }
            Event::Attempt {
                row,
                method,
                request,
                ..
            } => debug!(row, ?method, request, "request leaves"),
            Event::Answer {
                row,
                method,
                request,
                latency_ms,
                http_status,
                meaning,
                failure,
                ..
            } => {
                let error = failure.as_ref().map(|failure| failure.message.as_str());
                match meaning {
                    Meaning::Done | Meaning::Final => {
                        debug!(
                            row,
                            ?method,
                            request,
                            latency_ms,
                            http_status,
                            error,
                            "answer"
                        );
                    }
                    Meaning::Again | Meaning::Throttled => {
                        info!(
                            row,
                            ?method,
                            request,
                            latency_ms,
                            http_status,
                            error,
                            "row goes again"
                        );
                    }
                }
            }
            Event::RowEnded { row, outcome, .. } => {
                let error = outcome
                    .failure
                    .as_ref()
                    .map(|failure| failure.message.as_str());
                let status = outcome.status.as_str();
                match outcome.status {
                    Status::Succeeded | Status::Unchanged | Status::Skipped => {
                        debug!(row, status, "row ended");
                    }
                    Status::Failed | Status::Conflict | Status::Unknown | Status::NotAttempted => {
                        info!(row, status, error, "row ended");
                    }
                }
            }
            Event::Read {
                workspace,
                kind,
                found,
                requests,
                throttled,
                failure,
                ..
            } => match failure {
                None => debug!(%workspace, %kind, found, requests, throttled, "read"),
                Some(failure) => {
                    let error = failure.message.as_str();
                    info!(%workspace, %kind, requests, throttled, error, "not read");
                }
            },
            Event::Proven { row, fields } => {
                debug!(row, %fields, "a canary did what it should and left alone what it did not send");
            }
            Event::Suspected { row, fields } => {
                info!(
                    "row {row}: not sent and cleared: {fields}; the next row with such a field goes alone"
                );
            }
            Event::WorkspaceNamed {
                workspace, name, ..
            } => debug!(%workspace, name, "its name"),
            Event::Planned(counts) => info!("plan: {}", counts.text()),
            Event::LanePaused {
                lane,
                why,
                wait_ms,
                message,
            } => {
                let prefix = self.prefix(*lane);
                let wait = span::show(std::time::Duration::from_millis(*wait_ms));
                match why {
                    Pause::Throttled if self.throttled => {
                        info!("{prefix}throttled, waiting {wait}: {message}");
                    }
                    Pause::Throttled => {
                        self.throttled = true;
                        let advice = match self.finds_limit {
                            true => "to find the service's limit",
                            false => "(a lower --rate avoids this)",
                        };
                        warn!("{prefix}throttled, waiting {wait} {advice}: {message}");
                    }
                    Pause::Outage => {
                        warn!("{prefix}no usable answer, probing in {wait}: {message}");
                    }
                }
            }
            Event::RateChanged { lane, rate } => {
                info!(
                    "{}the service's limit is found: at most {rate} from now on",
                    self.prefix(*lane)
                );
            }
            Event::LaneResumed { lane } => {
                info!("{}requests leave again", self.prefix(*lane));
            }
            Event::LaneClosed { lane, message, .. } => {
                warn!("{}giving up the target: {message}", self.prefix(*lane));
            }
            Event::CredentialRenewed { lane, renewal } => {
                info!(
                    renewal,
                    "{}the credential had ended and was renewed",
                    self.prefix(*lane)
                );
            }
            Event::WorkspaceClosed {
                lane,
                workspace,
                message,
            } => {
                let prefix = self.prefix(*lane);
                warn!("{prefix}leaving out workspace {workspace}: {message}");
            }
            Event::Stop { ended, message } => warn!("stopping ({ended}): {message}"),
            Event::SessionEnded { ended } => info!(%ended, "run ended"),
        }
    }

    fn tick(&mut self, _: Timestamp) {}
}
