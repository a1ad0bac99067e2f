//! How fast a run goes, and when it stops.

use clap::Args;

use crate::job::flags::{Flags, Sent};

use super::word;

/// How fast a run goes, and when it stops.
#[derive(Debug, Args)]
pub struct PaceArgs {
    /// Requests in flight [default: 8]
    #[arg(short = 'j', long, value_name = "N", help_heading = "Pace")]
    pub concurrency: Option<String>,
    /// How fast requests may leave: 10/s, 300/m, or auto, as fast as the service allows [default: 5/s]
    #[arg(long, value_name = "N/UNIT", help_heading = "Pace")]
    pub rate: Option<String>,
    /// Requests that may leave at once after a quiet time [default: 1]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub burst: Option<String>,
    /// How long one request may take: 500ms, 30s [default: 30s]
    #[arg(long, value_name = "DURATION", help_heading = "Pace")]
    pub timeout: Option<String>,
    /// Attempts per row [default: 5]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub max_attempts: Option<String>,
    /// Stop beyond so many errors: 3 or 10% [default: 10% once 20 rows have ended]
    #[arg(long, value_name = "N|N%", help_heading = "Pace")]
    pub max_errors: Option<String>,
    /// Start nothing new after this time: 30m, 2h
    #[arg(long, value_name = "DURATION", help_heading = "Pace")]
    pub deadline: Option<String>,
    /// Start nothing new once a clock shows this time: 06:00 (in the job's time_zone, else in TZ)
    #[arg(long, value_name = "HH:MM", help_heading = "Pace")]
    pub stop_at: Option<String>,
    /// Send nothing if more workflows would change: 50, or 50% of those that live there
    #[arg(long, value_name = "N|N%", help_heading = "Plan")]
    pub max_changes: Option<String>,
    /// Send nothing if more workflows would be disabled: 20, or 10% of those that live there
    #[arg(long, value_name = "N|N%", help_heading = "Plan")]
    pub max_disables: Option<String>,
    /// Leave alone what was changed so short a time ago, by whomever: 24h
    #[arg(long, value_name = "DURATION", help_heading = "Plan")]
    pub leave_recent: Option<String>,
    /// Which fields an update holds: those that change, or all five, read just before
    #[arg(long, value_parser = word::<Sent>(&Sent::NAMES), help_heading = "Plan")]
    pub send: Option<Sent>,
    /// Fields that an update may clear by leaving them out: version_id (repeatable)
    #[arg(long, value_name = "FIELD", help_heading = "Plan")]
    pub allow_cleared: Vec<String>,
    /// How long a confirmed update may take to show when it is read back [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Plan")]
    pub confirm_within: Option<String>,
}

impl PaceArgs {
    /// `flags` with what the command line says about the pace.
    pub fn flags(&self, flags: Flags) -> Flags {
        Flags {
            concurrency: self.concurrency.clone(),
            rate: self.rate.clone(),
            burst: self.burst.clone(),
            timeout: self.timeout.clone(),
            max_attempts: self.max_attempts.clone(),
            max_errors: self.max_errors.clone(),
            deadline: self.deadline.clone(),
            stop_at: self.stop_at.clone(),
            leave_recent: self.leave_recent.clone(),
            max_changes: self.max_changes.clone(),
            max_disables: self.max_disables.clone(),
            send: self.send,
            allow_cleared: self.allow_cleared.clone(),
            confirm_within: self.confirm_within.clone(),
            ..flags
        }
    }
}
