//! The nouns: what the rest of the house talks about. Pure data, no clock, no dice, no I/O.

pub mod change;
pub mod daytime;
pub mod endpoint;
pub mod event;
pub mod export_column;
pub mod field;
pub mod formula;
pub mod guard;
pub mod id;
pub mod outcome;
pub mod printable;
pub mod rate;
pub mod reading;
pub mod region;
pub mod reply;
pub mod report_column;
pub mod route;
pub mod row;
pub mod service_time;
pub mod simulation;
pub mod span;
pub mod tally;
pub mod target;
pub mod update;
pub mod version;
pub mod workflow;
