//! Jobs: what the user wrote, every problem of it, and what it means.
//!
//! Pure: bytes come in as readers, variables of the environment as a function.

pub mod cell;
pub mod column;
pub mod encoding;
pub mod file;
pub mod flags;
pub mod intent;
pub mod problem;
pub mod rows;
pub mod selection;
pub mod table;
pub mod template;
pub mod toml;
pub mod wish;
