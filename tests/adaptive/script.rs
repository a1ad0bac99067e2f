//! A service as a file says it.

use std::time::Duration;

use flowbatch::model::rate::Rate;
use serde::Deserialize;

use crate::play::Played;

/// A service, what is asked of it, and what is to be seen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// What is to be seen, and why.
    #[expect(dead_code, reason = "for whoever reads the file")]
    pub about: String,
    /// Rows to be carried out.
    pub rows: u64,
    /// The pace that the run was told.
    pub asked: Rate,
    /// Whether that is the most only.
    #[serde(default = "yes")]
    pub finds_limit: bool,
    /// The limit.
    pub limit: Shape,
    /// Limits that hold from later on.
    #[serde(default)]
    pub later: Vec<Later>,
    /// Somebody else, who takes a part of the limit.
    #[serde(default)]
    pub other: Option<Other>,
    /// Whether a refusal says in words what the limit is.
    #[serde(default)]
    pub told: bool,
    /// Whether a refusal carries `Retry-After`.
    #[serde(default)]
    pub retry_after: bool,
    /// How long a request is on its way to the limit, at least and at most, in milliseconds.
    #[serde(default)]
    pub way: (u64, u64),
    /// How long an answer takes after that, in milliseconds.
    pub answer: (u64, u64),
    /// Answers take longer the more are in flight: so many are worked on at a time.
    #[serde(default)]
    pub workers: Option<usize>,
    /// When the service fails, in seconds.
    #[serde(default)]
    pub outages: Vec<Outage>,
    /// The most that it may take, as a share of the ideal time.
    #[serde(default)]
    pub ratio: Option<f64>,
    /// The largest share of all requests that may be refused, if that is more than 16 requests.
    #[serde(default)]
    pub share: Option<f64>,
    /// Rows that may fail, because the service failed them five times.
    #[serde(default)]
    pub failed: u64,
    /// Requests that leave besides those that are refused by the limit, at most, as a share of the rows.
    #[serde(default)]
    pub sent: Option<f64>,
    /// The most requests in flight once it has settled.
    #[serde(default)]
    pub in_flight: Option<usize>,
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Shape {
    None,
    Sliding(Rate),
    Fixed(Rate),
    Bucket(Rate),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Later {
    /// Seconds.
    pub at: u64,
    pub limit: Shape,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Other {
    pub rate: Rate,
    /// Seconds.
    pub from: u64,
    pub until: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outage {
    /// Seconds.
    pub from: u64,
    pub until: u64,
    /// The status, or 0 for no answer at all.
    pub status: u16,
    /// The share of requests that it hits.
    pub share: f64,
}

impl Script {
    pub(crate) fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    pub(crate) fn most_refused(&self) -> u64 {
        let share = self.share.unwrap_or(0.005) * self.rows as f64;
        (share as u64).max(16)
    }

    /// Whether what was seen is what is to be seen.
    pub(crate) fn judge(&self, played: &Played) -> Result<(), String> {
        let ratio = played.took.as_secs_f64() / played.ideal.as_secs_f64();
        let most = self.ratio.unwrap_or(1.08);
        if ratio > most {
            return Err(format!("took {ratio:.3} of the ideal time, at most {most}"));
        }
        if played.refused > self.most_refused() {
            return Err(format!(
                "{} refused, at most {}",
                played.refused,
                self.most_refused()
            ));
        }
        if played.failed > self.failed {
            return Err(format!(
                "{} rows failed, at most {}",
                played.failed, self.failed
            ));
        }
        let sent = played.sent - played.refused;
        if sent as f64 > self.sent.unwrap_or(1.01) * self.rows as f64 {
            return Err(format!("{sent} requests for {} rows", self.rows));
        }
        if let Some(most) = self.in_flight
            && played.settled_in_flight > most
        {
            return Err(format!(
                "{} in flight at the end, at most {most}",
                played.settled_in_flight
            ));
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
