//! How the simulator is to behave.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rate::Rate;

/// How the simulator is to behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// Of faults and latencies.
    pub seed: u64,
    /// The shortest and the longest time until an answer.
    pub latency: (Duration, Duration),
    /// Limits on admitted requests, all of which hold; the gateway answers 429 beyond them.
    pub rate_limits: Vec<Rate>,
    /// Whether a 429 carries a `Retry-After` (the vendor documents none).
    pub retry_after: bool,
    /// Whether an update clears what it does not hold (nobody has confirmed that the service does not).
    #[serde(default)]
    pub clears_unsent: bool,
    /// What goes wrong, and how often.
    pub faults: Vec<Fault>,
}

impl Default for Simulation {
    fn default() -> Self {
        Self {
            seed: 1,
            latency: (Duration::from_millis(5), Duration::from_millis(25)),
            rate_limits: Vec::new(),
            retry_after: false,
            clears_unsent: false,
            faults: Vec::new(),
        }
    }
}

/// Something that goes wrong for a share of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// How often, in `0..=1`.
    pub share: f64,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The connection ends before the request is carried out.
    Reset,
    /// The connection ends after the request was carried out.
    ResetAfter,
    /// The answer's body ends in the middle; the request was carried out.
    Truncated,
    /// A proxy's web page instead of an answer; nothing is carried out.
    Html,
    /// No answer, ever; nothing is carried out.
    Hang,
    /// A 500 of the service's; nothing is carried out.
    #[serde(rename = "500")]
    InternalError,
    /// A 503 of the gateway's, without `Retry-After`; nothing is carried out.
    #[serde(rename = "503")]
    Unavailable,
    /// The answer takes ten times as long as the longest latency.
    Slow,
    /// An update is acknowledged and forgotten.
    Lost,
    /// A 500 of the service's, after the request was carried out.
    #[serde(rename = "500-after")]
    InternalErrorAfter,
    /// A 503 of the gateway's, after the request was carried out.
    #[serde(rename = "503-after")]
    UnavailableAfter,
    /// The answer is about another workflow; the request was carried out.
    Other,
    /// The answer to an update shows the workflow as it was; the update was carried out.
    Stale,
    /// An update clears what it does not hold.
    Clears,
    /// An update's texts are trimmed, and cut after [`CUT_AFTER`] characters.
    Trims,
}

/// Characters that [`FaultKind::Trims`] leaves of a text.
pub const CUT_AFTER: usize = 64;

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Reset,
        Self::ResetAfter,
        Self::Truncated,
        Self::Html,
        Self::Hang,
        Self::InternalError,
        Self::Unavailable,
        Self::Slow,
        Self::Lost,
        Self::InternalErrorAfter,
        Self::UnavailableAfter,
        Self::Other,
        Self::Stale,
        Self::Clears,
        Self::Trims,
    ];

    /// What it is, in a sentence.
    pub fn what(self) -> &'static str {
        match self {
            Self::Reset => "The connection ends before the request is carried out.",
            Self::ResetAfter => "The connection ends after the request was carried out.",
            Self::Truncated => "The answer ends in the middle; the request was carried out.",
            Self::Html => "A web page of a proxy instead of an answer; nothing is carried out.",
            Self::Hang => "No answer, ever; nothing is carried out.",
            Self::InternalError => "A 500 of the service; nothing is carried out.",
            Self::Unavailable => "A 503 of the gateway; nothing is carried out.",
            Self::Lost => "An update is acknowledged and forgotten.",
            Self::InternalErrorAfter => "A 500 of the service; the request was carried out.",
            Self::UnavailableAfter => "A 503 of the gateway; the request was carried out.",
            Self::Other => "The answer is about another workflow; the request was carried out.",
            Self::Stale => "The answer to an update shows the workflow as it was before.",
            Self::Clears => "An update clears what it does not hold.",
            Self::Trims => "The texts of an update are trimmed, and cut after 64 characters.",
            Self::Slow => "The answer takes ten times as long as the longest latency.",
        }
    }

    /// The kind as job files and flags write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::ResetAfter => "reset-after",
            Self::Truncated => "truncated",
            Self::Html => "html",
            Self::Hang => "hang",
            Self::InternalError => "500",
            Self::Unavailable => "503",
            Self::Slow => "slow",
            Self::Lost => "lost",
            Self::InternalErrorAfter => "500-after",
            Self::UnavailableAfter => "503-after",
            Self::Other => "other",
            Self::Stale => "stale",
            Self::Clears => "clears",
            Self::Trims => "trims",
        }
    }
}

/// A text that names no [`FaultKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such fault; there are {}", FaultKind::ALL.map(FaultKind::as_str).join(", "))]
pub struct NoSuchFault;

impl FromStr for FaultKind {
    type Err = NoSuchFault;
    fn from_str(text: &str) -> Result<Self, NoSuchFault> {
        let mut kinds = Self::ALL.into_iter();
        kinds.find(|kind| kind.as_str() == text).ok_or(NoSuchFault)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
