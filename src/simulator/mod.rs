//! A SecMaster of one's own: a pure world, and two thin shells around it, one in memory for tests in
//! virtual time and one behind real HTTP on loopback. What it imitates stands in the vendor's SDK
//! and pages; the rules that those leave open are told where they are decided.

pub mod access;
pub mod account;
pub mod answer;
pub mod call;
pub mod faults;
pub mod ledger;
pub mod memory;
pub mod method;
pub mod records;
pub mod server;
pub mod signature;
pub mod visits;
pub mod workspaces;
pub mod world;

mod calendar;
mod clock;
mod creation;
mod denial;
mod estate;
mod gate;
mod iam;
mod iam_records;
mod kept;
mod message;
mod metadata;
mod mint;
mod password;
mod query;
mod response;
mod route;
mod strikes;
mod throttle;
mod tokens;
mod wire;
