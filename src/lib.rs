//! flowbatch changes many Huawei Cloud SecMaster workflows from a job file.
//!
//! Read `ARCHITECTURE.md` for the map of the house.

pub mod app;
pub mod cli;
pub mod engine;
pub mod error;
pub mod exit;
pub mod job;
pub mod model;
pub mod plan;
pub mod policy;
pub mod secmaster;
pub mod simulator;
pub mod sinks;
