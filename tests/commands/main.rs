//! The binary, run as a user runs it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod accounts;
mod admission;
mod auth;
mod changes;
mod cloud;
mod cron;
mod disk;
mod evidence;
mod examples;
mod export;
mod figures_agree;
mod foreign;
mod init;
mod jobs;
mod language;
mod names;
mod odd;
mod pace;
mod pages;
mod partition;
mod plan;
mod plant;
mod problems_credential;
mod problems_csv;
mod problems_job;
mod proof;
mod question;
mod readme;
mod record;
mod resume;
mod rollout;
mod service;
mod sheet;
mod signals;
mod stages;
mod stories;
mod trust;
mod undo;
mod users;
