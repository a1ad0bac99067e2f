//! Decisions about requests: what an answer means, when to try again, how fast, when to stop.
//!
//! Pure: `now` and the dice come in as arguments.

pub mod adaptive;
pub mod budget;
pub mod ceiling;
pub mod classify;
pub mod pace;
pub mod retry;
pub mod room;
