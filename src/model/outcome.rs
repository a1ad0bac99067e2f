//! How a row ended, and how a run ended.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::field::Field;
use super::id::Id;

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The service confirmed the update.
    Succeeded,
    /// The live state was already as wanted; no PUT was sent.
    Unchanged,
    /// The service, or something before it, refused the update.
    Failed,
    /// A guard did not hold; no PUT was sent.
    Conflict,
    /// Sent, without a usable answer.
    Unknown,
    /// Taken out by the user.
    Skipped,
    /// The run ended first.
    NotAttempted,
}

impl Status {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Unchanged,
        Self::Failed,
        Self::Conflict,
        Self::Unknown,
        Self::Skipped,
        Self::NotAttempted,
    ];

    /// The status as the report writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
            Self::NotAttempted => "not_attempted",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of error ended a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The service refused what the row sends.
    Validation,
    /// The credential was refused.
    Auth,
    /// The credential may not do this.
    Permission,
    /// No such workflow, version or workspace.
    NotFound,
    /// Somebody else changed the workflow.
    Conflict,
    /// The service's limit was reached.
    RateLimited,
    /// The service failed.
    Server,
    /// No answer in time.
    Timeout,
    /// No connection, or an answer by something on the way.
    Network,
    /// The certificate was refused.
    Tls,
    /// An answer that is not the service's.
    Protocol,
    /// The run ended first.
    Canceled,
    /// The update was confirmed, and the service shows another value than was sent.
    Differs,
}

impl ErrorClass {
    /// The class as the report writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Canceled => "canceled",
            Self::Differs => "differs",
        }
    }

    /// Whether the row may succeed another time as it stands: what failed is not what it sends. `resume` sends it again.
    pub fn may_pass(self) -> bool {
        match self {
            Self::Auth
            | Self::Permission
            | Self::RateLimited
            | Self::Server
            | Self::Timeout
            | Self::Network
            | Self::Tls
            | Self::Protocol
            | Self::Canceled => true,
            Self::Validation | Self::NotFound | Self::Conflict | Self::Differs => false,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as the report tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub class: ErrorClass,
    /// The service's or gateway's code, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened.
    pub message: String,
}

impl Failure {
    /// A failure without a code of the service's.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            code: None,
            message: message.into(),
        }
    }
}

/// How one row ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How.
    pub status: Status,
    /// Update requests sent.
    pub attempts: u32,
    /// From the first request's start to the end, in milliseconds; none without a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The workflow's id, where it was looked up by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<Id>,
    /// The workflow's name as the service last told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_name: Option<String>,
    /// What was changed, or was to be; none where the live state was never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// The last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What is to be known although the row succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Fields that were sent and that the service showed with another value afterwards.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<Field, String>,
    /// Whether an update was sent that no response proves not to have been applied, and that was not seen to be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// Whether the row was refused together with its workspace or credential: such rows do not
    /// count as errors of the job.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Whether the plan found it so and was held back as a whole: a resumption judges the row anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_back: bool,
}

impl Outcome {
    /// Whether `resume` sends the row again without `--failed`.
    pub fn is_resumed(&self) -> bool {
        match self.status {
            _ if self.held_back => true,
            Status::Unknown | Status::NotAttempted => true,
            Status::Failed => self.class().is_none_or(ErrorClass::may_pass),
            Status::Succeeded | Status::Unchanged | Status::Conflict | Status::Skipped => false,
        }
    }

    /// Whether its error is one of the row: it was tried, or the plan refuses it. Of others the run ended first.
    pub fn is_wrong(&self) -> bool {
        match self.status {
            Status::Failed | Status::Unknown | Status::Conflict => true,
            Status::NotAttempted => {
                let class = self.class();
                self.attempts > 0 || class.is_some_and(|class| class != ErrorClass::Canceled)
            }
            Status::Succeeded | Status::Unchanged | Status::Skipped => false,
        }
    }

    /// What kind of error it ended with.
    pub fn class(&self) -> Option<ErrorClass> {
        self.failure.as_ref().map(|failure| failure.class)
    }

    /// `status`, of a row for which nothing was sent.
    pub fn without_requests(status: Status) -> Self {
        Self {
            status,
            attempts: 0,
            duration_ms: None,
            http_status: None,
            request_id: None,
            workflow_id: None,
            live_name: None,
            change: None,
            failure: None,
            note: None,
            shown: BTreeMap::new(),
            unproven: false,
            refused: false,
            held_back: false,
        }
    }

    /// Whether the update was confirmed and the service shows something else than was sent.
    pub fn differs(&self) -> bool {
        self.status == Status::Succeeded && !self.shown.is_empty()
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Every row had its turn.
    Completed,
    /// More errors than `max_errors` allows.
    MaxErrors,
    /// More changes than `max_changes` or `max_disables` allow, or a saved plan does not hold any more.
    Ceiling,
    /// What the first change did was not what was wished.
    Gate,
    /// The service confirms updates and does not show them.
    Unconfirmed,
    /// No credential, no permission or no endpoint works.
    Refused,
    /// The next wave waits for somebody's consent.
    Approval,
    /// The deadline was reached.
    Deadline,
    /// Nothing was admitted for `patience`.
    Patience,
    /// The journal could not be written, or the run's own input not be read.
    RecordFailed,
    /// The terminal hung up.
    Hangup,
    /// Interrupted at the keyboard.
    Interrupted,
    /// Terminated from outside.
    Terminated,
}

impl Ended {
    /// The end as `summary.json` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::MaxErrors => "max_errors",
            Self::Ceiling => "ceiling",
            Self::Gate => "gate",
            Self::Unconfirmed => "unconfirmed",
            Self::Refused => "refused",
            Self::Approval => "approval",
            Self::Deadline => "deadline",
            Self::Patience => "patience",
            Self::RecordFailed => "record_failed",
            Self::Hangup => "hangup",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: Status, class: Option<ErrorClass>) -> Outcome {
        Outcome {
            failure: class.map(|class| Failure::new(class, "x")),
            ..Outcome::without_requests(status)
        }
    }

    #[test]
    fn what_may_pass_is_resumed_and_what_the_row_itself_is_wrong_in_is_not() {
        for (status, class, is_resumed) in [
            (Status::Failed, Some(ErrorClass::Server), true),
            (Status::Failed, Some(ErrorClass::Permission), true),
            (Status::Failed, Some(ErrorClass::Validation), false),
            (Status::Failed, Some(ErrorClass::NotFound), false),
            (Status::Conflict, Some(ErrorClass::Conflict), false),
            (Status::Unknown, Some(ErrorClass::Timeout), true),
            (Status::NotAttempted, None, true),
            (Status::Succeeded, None, false),
            (Status::Skipped, None, false),
        ] {
            let outcome = ended(status, class);
            assert_eq!(outcome.is_resumed(), is_resumed, "{status:?} {class:?}");
            let held_back = Outcome {
                held_back: true,
                ..outcome
            };
            assert!(held_back.is_resumed(), "{status:?} {class:?}");
        }
    }

    #[test]
    fn a_row_that_was_not_attempted_is_wrong_only_if_more_than_the_end_of_the_run_is_why() {
        let canceled = ended(Status::NotAttempted, Some(ErrorClass::Canceled));
        assert!(!canceled.is_wrong());
        let tried = Outcome {
            attempts: 1,
            ..canceled
        };
        assert!(tried.is_wrong());
        assert!(ended(Status::NotAttempted, Some(ErrorClass::Permission)).is_wrong());
        assert!(!ended(Status::NotAttempted, None).is_wrong());
    }
}
