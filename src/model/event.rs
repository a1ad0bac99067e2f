//! What happens in a run. The journal is these events in order; everything else is derived.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::field::FieldSet;
use super::outcome::{Ended, ErrorClass, Failure, Outcome, Status};
use super::rate::Rate;
use super::reading::Kind;
use super::route::LaneFacts;
use super::target::{LaneId, Workspace};

/// The format of the journal: lines that check themselves. Format 0, of unpublished versions, did not.
pub const FORMAT: u32 = 1;

/// An event with the instant at which it was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Wall-clock time, UTC.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run began. Always first, exactly once.
    RunStarted(RunStarted),
    /// Another session of the run began: it goes on with what was left.
    SessionStarted(SessionStarted),
    /// A leg of the run began.
    LegStarted {
        /// Which.
        leg: Leg,
        /// Of which wave, if rows go in waves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wave: Option<u32>,
    },
    /// A wave has ended, and was looked at.
    WaveEnded(WaveEnded),
    /// The rows of a stage are left out in this session.
    StageLeft(StageLeft),
    /// A person was asked, and answered, or the run was to stop: it waited so long in milliseconds.
    Asked {
        /// So long.
        waited_ms: u64,
    },
    /// Somebody lets a run go on that waits for it. Written between two sessions.
    Approved(Approval),
    /// A request is about to leave.
    Attempt {
        /// The row it is for.
        row: u64,
        /// What is asked.
        method: Method,
        /// The how-manieth request for this row, from 1.
        request: u32,
        /// How the row had ended in an earlier session: that counts no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reopens: Option<WasEnded>,
        /// What an update changes, where that is not as planned: the workflow was read again before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<Change>,
    },
    /// A request ended.
    Answer {
        /// The row it was for.
        row: u64,
        /// What was asked.
        method: Method,
        /// The how-manieth request for this row, from 1.
        request: u32,
        /// From leaving to the end of the answer, in milliseconds.
        latency_ms: u64,
        /// The answer's status code, if there was an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        /// What it means for the row.
        meaning: Meaning,
        /// What was wrong, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// Whether an update of the row was sent that no response proves not to have been applied.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unproven: bool,
    },
    /// A row ended. Exactly once for each row that was taken up, in each session that it was taken up in.
    RowEnded {
        /// Which.
        row: u64,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// How it had ended in an earlier session: that counts no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<WasEnded>,
    },
    /// Part of a survey was read, or could not be.
    Read {
        /// By which lane.
        lane: LaneId,
        /// Where.
        workspace: Workspace,
        /// What.
        kind: Kind,
        /// How much was found: workflows or versions.
        found: u64,
        /// Requests that it took.
        requests: u32,
        /// Those of them that were throttled.
        #[serde(default, skip_serializing_if = "is_zero")]
        throttled: u32,
        /// Why it could not be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A canary did what it should and left alone what it did not send: others may leave.
    Proven {
        /// Which row.
        row: u64,
        /// Fields that it did not send, that held something, and that still hold it.
        #[serde(default)]
        fields: FieldSet,
    },
    /// The response to an update shows fields as cleared that it did not send. The update, or a colleague, has cleared them.
    Suspected {
        /// Which row.
        row: u64,
        /// These fields.
        fields: FieldSet,
    },
    /// What people call a workspace that rows go to.
    WorkspaceNamed {
        /// The lane that it was asked by.
        lane: LaneId,
        /// Which.
        workspace: Workspace,
        /// Its name.
        name: String,
    },
    /// The rows were compared with the live states; nothing was sent before.
    Planned(Counts),
    /// Nothing starts on a lane for a while.
    LanePaused {
        /// Which.
        lane: LaneId,
        /// Why.
        why: Pause,
        /// For how long at least, in milliseconds.
        wait_ms: u64,
        /// What the service said, or what went wrong.
        message: String,
    },
    /// The service's own limit was found, or found to be another one.
    RateChanged {
        /// Of which lane.
        lane: LaneId,
        /// Requests that leave from now on, at most.
        rate: Rate,
    },
    /// Requests start again on a lane.
    LaneResumed {
        /// Which.
        lane: LaneId,
    },
    /// A lane is given up; its remaining rows are not attempted.
    LaneClosed {
        /// Which.
        lane: LaneId,
        /// How it ends the lane's part of the run.
        ended: Ended,
        /// Why.
        message: String,
    },
    /// A lane's credential had ended and was renewed; what it had refused goes again.
    CredentialRenewed {
        /// Which.
        lane: LaneId,
        /// The how-manieth renewal.
        renewal: u32,
    },
    /// A workspace refuses this credential; its remaining rows are not attempted.
    WorkspaceClosed {
        /// Whose credential.
        lane: LaneId,
        /// Which.
        workspace: Workspace,
        /// What the service said.
        message: String,
    },
    /// No new request starts any more.
    Stop {
        /// Why.
        ended: Ended,
        /// In words.
        message: String,
    },
    /// This session of the run ended. Always last.
    SessionEnded {
        /// How.
        ended: Ended,
    },
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// How a wave ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveEnded {
    /// Which, from 1.
    pub wave: u32,
    /// How many there are.
    pub of: u32,
    /// Its rows: all that are taken up and stand in it, whatever became of them. The report says the same in its column `wave`.
    pub rows: u64,
    /// Those of them that needed no update: they were as requested, or on hold.
    #[serde(default)]
    pub idle: u64,
    /// Rows of it that failed, or of which nobody knows, in all sessions.
    pub errors: u64,
    /// Rows that were set, and were something else when they were read back.
    #[serde(default)]
    pub differing: Vec<u64>,
    /// Why no other wave begins, if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// Of which stage, and which of its waves, if rows go in stages: `wave` counts through all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageWave>,
}

/// A wave of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageWave {
    /// What the stage is called.
    pub name: String,
    /// Which of its waves, from 1.
    pub wave: u32,
    /// How many it has.
    pub of: u32,
}

/// A stage whose rows are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageLeft {
    /// What it is called.
    pub name: String,
    /// What becomes of its rows: `skipped` or `not_attempted`.
    pub status: Status,
    /// Why.
    pub why: String,
}

impl StageLeft {
    /// Why the run does not end well, if it is left for that.
    pub fn closes(&self) -> Option<String> {
        let is_left = self.status == Status::NotAttempted;
        is_left.then(|| format!("stage {:?}: {}", self.name, self.why))
    }
}

impl WaveEnded {
    /// `wave 2 of 3`, or the same with its stage; of a stage with one wave, the stage alone.
    pub fn label(&self) -> String {
        match &self.stage {
            None => format!("wave {} of {}", self.wave, self.of),
            Some(StageWave { name, of: 1, .. }) => format!("stage {name:?}"),
            Some(StageWave { name, wave, of }) => format!("stage {name:?}, wave {wave} of {of}"),
        }
    }
}

/// Somebody's consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The wave that it is about: the next one may begin.
    pub wave: u32,
    /// Who gave it.
    pub by: String,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a plan comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Rows that are to be sent.
    pub changes: u64,
    /// Of these, rows that are read just before.
    pub reads: u64,
    /// Of these, workflows that are to be enabled.
    pub enables: u64,
    /// Of these, workflows that are to be disabled.
    pub disables: u64,
    /// Of these, workflows that are to be renamed.
    pub renames: u64,
    /// Of these, workflows whose description, version or label is to change.
    pub otherwise: u64,
    /// Rows that are as wished already.
    pub unchanged: u64,
    /// Rows whose guards do not hold.
    pub conflicts: u64,
    /// Rows that cannot be carried out as things stand.
    pub hopeless: u64,
    /// Workflows that live in the workspaces which the rows touch, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub living: Option<u64>,
    /// SHA-256 of `plan.jsonl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-256 of `snapshot.jsonl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_sha256: Option<String>,
}

/// How a run begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Of the journal.
    pub format: u32,
    /// Sorts by time.
    pub run_id: String,
    /// Of flowbatch.
    pub tool_version: String,
    /// The user who started it.
    #[serde(default)]
    pub operator: String,
    /// SHA-256 of the job as understood.
    pub job_sha256: String,
    /// SHA-256 of the input's original bytes, if the rows came from a CSV.
    pub input_sha256: Option<String>,
    /// The copy of the input in the run folder, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<KeptFile>,
    /// Where the lanes lead, and on whose behalf, in their order.
    pub lanes: Vec<LaneFacts>,
    /// Of the dice.
    pub seed: u64,
    /// All rows of the input.
    pub rows: u64,
    /// Those of them that the user took out.
    pub skipped: u64,
}

/// A file in the run folder that never changes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Its name.
    pub path: String,
    /// Of its bytes.
    pub sha256: String,
}

/// How a row had ended that goes out again, as far as counts need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasEnded {
    /// How.
    pub status: Status,
    /// Whether it was refused together with its workspace or credential.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Whether it had been sent at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tried: bool,
    /// The kind of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_class: Option<ErrorClass>,
    /// The code of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

impl From<&Outcome> for WasEnded {
    fn from(outcome: &Outcome) -> Self {
        let failure = outcome.failure.as_ref();
        Self {
            status: outcome.status,
            refused: outcome.refused,
            tried: outcome.attempts > 0,
            error_class: failure.map(|failure| failure.class),
            error_code: failure.and_then(|failure| failure.code.clone()),
        }
    }
}

/// How another session of a run begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// The how-manieth session, from 2.
    pub session: u32,
    /// The user who started it.
    #[serde(default)]
    pub operator: String,
    /// Of flowbatch.
    pub tool_version: String,
    /// Where the lanes lead, and on whose behalf now.
    pub lanes: Vec<LaneFacts>,
    /// Of the dice.
    pub seed: u64,
    /// Rows that go out in it.
    pub rows: u64,
}

impl RunStarted {
    /// `lane` in a few words with a colon after it; nothing where there is but one.
    pub fn prefix(&self, lane: LaneId) -> String {
        match self.lanes.get(lane.0) {
            Some(facts) if self.lanes.len() > 1 => format!("{}: ", facts.route.name()),
            Some(_) | None => String::new(),
        }
    }
}

/// A leg of a run: one call of the loop over one source of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// What lives in the workspaces is read.
    Survey,
    /// The rows themselves.
    Rows,
    /// What the rows of a wave have set is read back.
    Verification,
}

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Reads the row's workflow.
    Get,
    /// Updates the row's workflow.
    Put,
}

/// What an answer means for its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The request did what it should.
    Done,
    /// The row goes again later.
    Again,
    /// The lane is throttled; the row goes again.
    Throttled,
    /// The row ends with this answer.
    Final,
}

/// Why a lane is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// The service asked for it (429, or 503 with `Retry-After`).
    Throttled,
    /// The service does not answer or fails all the time; only probes leave.
    Outage,
}
