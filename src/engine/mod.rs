//! The run: one loop asks the pure schedule "what now?", does it, and tells it the answer.

pub mod campaign;
pub mod chronicle;
pub mod health;
pub mod interrupts;
pub mod ports;
pub mod run;
pub mod schedule;
pub mod work;
