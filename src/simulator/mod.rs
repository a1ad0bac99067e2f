//! A SecMaster of one's own: a pure world, and two thin shells around it, one in memory for tests in
//! virtual time and one behind real HTTP on loopback. What it imitates stands in the vendor's SDK
//! and pages; the rules that those leave open are told where they are decided.

pub mod access;
pub mod answer;
pub mod call;
pub mod faults;
pub mod ledger;
pub mod memory;
pub mod records;
pub mod server;
pub mod world;

mod calendar;
mod creation;
mod estate;
mod kept;
mod route;
mod throttle;
mod wire;
