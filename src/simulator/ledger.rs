//! What reached the world, for tests to read.

use std::time::Duration;

use crate::model::simulation::FaultKind;

use super::method::Method;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it arrived.
    pub at: Duration,
    /// What kind it was.
    pub method: Method,
    /// The workflow (or version, or page) that it was about.
    pub subject: String,
    /// What became of it.
    pub what: What,
    /// Whether it changed a workflow.
    pub applied: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was one too many.
    Throttled,
    /// It was admitted, and answered, with whatever answer.
    Admitted,
    /// It was admitted, and went wrong.
    Failed(FaultKind),
}
