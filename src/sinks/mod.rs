//! Consumers of the events: the record, and the watchers that tell people and files.

pub mod attention;
pub mod bar;
pub mod changes;
pub mod chart;
pub mod digest;
pub mod disk;
pub mod ends;
pub mod export;
pub mod history;
pub mod html;
pub mod journal;
pub mod left;
pub mod line;
pub mod lines;
pub mod listing;
pub mod log;
pub mod mail;
pub mod merge;
pub mod metrics;
pub mod progress;
pub mod reader;
pub mod report;
pub mod rerun;
pub mod summary;
pub mod timeline;
