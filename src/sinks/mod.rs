//! Consumers of the events: the record, and the watchers that tell people and files.

pub mod bar;
pub mod digest;
pub mod journal;
pub mod lines;
pub mod log;
pub mod progress;
pub mod report;
pub mod summary;
