//! The counts of a run, as a fold of its events.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::event::{Event, Meaning, Method, WasEnded};
use super::field::FieldSet;
use super::outcome::{Ended, Outcome, Status};

/// The counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All rows of the input.
    pub rows: u64,
    /// Confirmed by the service.
    pub succeeded: u64,
    /// Already as wanted.
    pub unchanged: u64,
    /// Refused.
    pub failed: u64,
    /// Changed by somebody else.
    pub conflict: u64,
    /// Sent, without a usable answer.
    pub unknown: u64,
    /// Taken out by the user.
    pub skipped: u64,
    /// Update requests sent.
    pub attempts: u64,
    /// Requests that the service throttled, readings among them.
    pub throttled: u64,
    /// Rows that wait to go again.
    #[serde(skip)]
    pub retrying: u64,
    /// `failed` and `unknown` rows that were not refused together with their workspace or
    /// credential: what `max_errors` counts.
    #[serde(skip)]
    pub errors: u64,
    /// Requests in flight.
    #[serde(skip)]
    pub in_flight: u64,
    /// Confirmed rows whose values the service shows otherwise than they were sent; among `succeeded`.
    #[serde(default)]
    pub differs: u64,
    /// Whether a canary has shown that an update has effect.
    #[serde(skip)]
    pub is_proven: bool,
    /// Fields that an update was seen to leave alone when it did not send them.
    #[serde(skip)]
    pub proven: FieldSet,
    /// Canaries that had such a field to lose.
    #[serde(skip)]
    pub canaries: u32,
    #[serde(skip)]
    waiting: BTreeSet<u64>,
}

impl Tally {
    /// Takes one event into account.
    pub fn see(&mut self, event: &Event) {
        match event {
            Event::RunStarted(start) => {
                self.rows = start.rows;
                self.skipped = start.skipped;
            }
            Event::Attempt {
                row,
                method,
                reopens,
                ..
            } => {
                self.reopen(reopens.as_ref());
                self.in_flight += 1;
                self.attempts += u64::from(*method == Method::Put);
                self.waiting.remove(row);
            }
            Event::Answer { row, meaning, .. } => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.throttled += u64::from(*meaning == Meaning::Throttled);
                match meaning {
                    Meaning::Again | Meaning::Throttled => {
                        self.waiting.insert(*row);
                    }
                    Meaning::Done | Meaning::Final => {}
                }
            }
            Event::RowEnded {
                row,
                outcome,
                replaces,
            } => {
                self.reopen(replaces.as_ref());
                self.waiting.remove(row);
                self.end(outcome);
            }
            Event::Proven { fields, .. } => {
                self.is_proven = true;
                self.proven = self.proven.union(*fields);
                self.canaries += u32::from(!fields.is_empty());
            }
            // Updates have no effect, or none that shows: the next session begins with a canary.
            Event::Stop {
                ended: Ended::Unconfirmed,
                ..
            } => self.is_proven = false,
            Event::Suspected { fields, .. } => self.proven = self.proven.without(*fields),
            Event::SessionStarted(_) => {
                // Whatever was on its way when the session before this one ended is in doubt.
                self.in_flight = 0;
                self.waiting.clear();
            }
            Event::Read { throttled, .. } => self.throttled += u64::from(*throttled),
            Event::WaveEnded(_)
            | Event::Asked { .. }
            | Event::StageLeft(_)
            | Event::Approved(_)
            | Event::LegStarted { .. }
            | Event::WorkspaceNamed { .. }
            | Event::Planned(_)
            | Event::LanePaused { .. }
            | Event::RateChanged { .. }
            | Event::LaneResumed { .. }
            | Event::LaneClosed { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::Stop { .. }
            | Event::SessionEnded { .. } => {}
        }
        self.retrying = self.waiting.len() as u64;
    }

    /// An end of an earlier session counts no more.
    fn reopen(&mut self, was: Option<&WasEnded>) {
        let Some(was) = was else { return };
        let count = match was.status {
            Status::Succeeded => &mut self.succeeded,
            Status::Unchanged => &mut self.unchanged,
            Status::Failed => &mut self.failed,
            Status::Conflict => &mut self.conflict,
            Status::Unknown => &mut self.unknown,
            Status::Skipped => &mut self.skipped,
            Status::NotAttempted => return,
        };
        *count = count.saturating_sub(1);
        let error = matches!(was.status, Status::Failed | Status::Unknown) && !was.refused;
        self.errors = self.errors.saturating_sub(error.into());
    }

    fn end(&mut self, outcome: &Outcome) {
        match outcome.status {
            Status::Succeeded => self.succeeded += 1,
            Status::Unchanged => self.unchanged += 1,
            Status::Failed => self.failed += 1,
            Status::Conflict => self.conflict += 1,
            Status::Unknown => self.unknown += 1,
            Status::Skipped => self.skipped += 1,
            Status::NotAttempted => {}
        }
        self.differs += u64::from(outcome.differs());
        let error = matches!(outcome.status, Status::Failed | Status::Unknown);
        self.errors += u64::from(error && !outcome.refused);
    }

    /// Rows that ended with a result of their own; the rest was skipped or is still to do.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.unchanged + self.failed + self.conflict + self.unknown
    }

    /// Rows without a result: at the end of a run, those that were not attempted.
    pub fn left(&self) -> u64 {
        self.rows.saturating_sub(self.ended() + self.skipped)
    }

    /// The count of one status.
    pub fn of(&self, status: Status) -> u64 {
        match status {
            Status::Succeeded => self.succeeded,
            Status::Unchanged => self.unchanged,
            Status::Failed => self.failed,
            Status::Conflict => self.conflict,
            Status::Unknown => self.unknown,
            Status::Skipped => self.skipped,
            Status::NotAttempted => self.left(),
        }
    }
}
