//! The binary, run as a user runs it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod admission;
mod jobs;
mod language;
mod problems_csv;
mod problems_job;
mod readme;
mod service;
mod stories;
