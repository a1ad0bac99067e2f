//! The state of a run as its events tell it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use flowbatch::model::event::{Event, Pause};
use flowbatch::model::outcome::{Ended, Status};
use flowbatch::model::row::Row;
use flowbatch::model::target::Workspace;

use super::{Played, since_start};

/// The state of a run between two events.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Told to stop.
    pub stop: Option<Ended>,
    /// By lane.
    pub lanes: HashMap<usize, LaneState>,
    /// Those that refuse.
    pub closed_workspaces: HashSet<Workspace>,
    /// Rows that have ended `failed` or `unknown` on their own account.
    pub errors: u64,
    /// Rows that have ended with a result other than `unchanged`.
    pub counted: u64,
}

/// The state of a lane between two events.
#[derive(Debug, Default)]
pub(crate) struct LaneState {
    /// Requests that left and have not been answered.
    pub in_flight: usize,
    /// Why and since when it is paused.
    pub paused: Option<(Pause, Duration)>,
    /// The service asked for nothing before this instant.
    pub not_before: Duration,
    /// In pauses that are over.
    pub time_paused: Duration,
    /// Given up.
    pub closed: Option<Ended>,
}

impl Replay {
    /// Shows each event of `played` to `look`, with when it happened and the state before it.
    pub(crate) fn of(played: &Played, mut look: impl FnMut(Duration, &Event, &Self)) -> Self {
        let mut replay = Self::default();
        for stamped in &played.events {
            let at = since_start(stamped);
            look(at, &stamped.event, &replay);
            replay.see(at, &stamped.event, |row| played.row(row));
        }
        replay
    }

    /// The state of a lane.
    pub(crate) fn lane(&self, lane: usize) -> &LaneState {
        static FRESH: LaneState = LaneState {
            in_flight: 0,
            paused: None,
            not_before: Duration::ZERO,
            time_paused: Duration::ZERO,
            closed: None,
        };
        self.lanes.get(&lane).unwrap_or(&FRESH)
    }

    fn see<'a>(&mut self, at: Duration, event: &Event, row: impl Fn(u64) -> &'a Row) {
        match event {
            Event::Attempt { row: number, .. } => self.entry(row(*number).lane.0).in_flight += 1,
            Event::Answer { row: number, .. } => self.entry(row(*number).lane.0).in_flight -= 1,
            Event::RowEnded { outcome, .. } => {
                let error = matches!(outcome.status, Status::Failed | Status::Unknown);
                self.errors += u64::from(error && !outcome.refused);
                self.counted += u64::from(match outcome.status {
                    Status::Succeeded | Status::Failed | Status::Conflict | Status::Unknown => true,
                    Status::Unchanged | Status::Skipped | Status::NotAttempted => false,
                });
            }
            Event::LanePaused {
                lane, why, wait_ms, ..
            } => {
                let lane = self.entry(lane.0);
                let since = lane.paused.map_or(at, |(_, since)| since);
                lane.paused = Some((*why, since));
                match why {
                    Pause::Throttled => lane.not_before = at + Duration::from_millis(*wait_ms),
                    Pause::Outage => {}
                }
            }
            Event::LaneResumed { lane } => self.entry(lane.0).resume(at),
            Event::LaneClosed { lane, ended, .. } => {
                let lane = self.entry(lane.0);
                lane.closed = Some(*ended);
                lane.resume(at);
            }
            Event::WorkspaceClosed { workspace, .. } => {
                self.closed_workspaces.insert(workspace.clone());
            }
            Event::Stop { ended, .. } => self.stop = Some(*ended),
            Event::RunStarted(_)
            | Event::LegStarted { .. }
            | Event::WaveEnded(_)
            | Event::StageLeft(_)
            | Event::Approved(_)
            | Event::SessionStarted(_)
            | Event::Asked { .. }
            | Event::Read { .. }
            | Event::WorkspaceNamed { .. }
            | Event::RateChanged { .. }
            | Event::Planned(_)
            | Event::Proven { .. }
            | Event::Suspected { .. }
            | Event::CredentialRenewed { .. }
            | Event::SessionEnded { .. } => {}
        }
    }

    fn entry(&mut self, lane: usize) -> &mut LaneState {
        self.lanes.entry(lane).or_default()
    }
}

impl LaneState {
    fn resume(&mut self, at: Duration) {
        if let Some((_, since)) = self.paused.take() {
            self.time_paused += at - since;
        }
    }
}
