//! The binary, run as a user runs it.

mod language;
mod problems_csv;
mod problems_job;
