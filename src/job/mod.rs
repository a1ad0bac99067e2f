//! Jobs: what the user wrote, every problem of it, and what it means.
//!
//! Pure: bytes come in as readers, variables of the environment as a function.

pub mod bearing;
pub mod builder;
pub mod cell;
pub mod change;
pub mod column;
pub mod defaults;
pub mod desk;
pub mod destination;
pub mod dialect;
pub mod draft;
pub mod encoding;
pub mod expansion;
pub mod file;
pub mod filter;
pub mod flags;
pub mod hold;
pub mod illegible;
pub mod index;
pub mod intent;
pub mod keys;
pub mod line_ends;
mod line_starts;
pub mod partition;
pub mod picture;
pub mod problem;
pub mod problems;
pub mod profiles;
pub mod record;
pub mod rollout;
pub mod rows;
pub mod schema;
pub mod secret;
pub mod selection;
pub mod settings;
pub mod settled;
pub mod simulation;
pub mod sketch;
pub mod source;
pub mod stage;
pub mod suggestion;
pub mod table;
pub mod template;
pub mod toml;
pub mod way;
pub mod wish;
