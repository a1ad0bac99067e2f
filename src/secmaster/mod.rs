//! The client of the real service: what goes over the wire, and what comes back.

pub mod auth;
pub mod client;
pub mod error;
pub mod look;
pub mod proxy;
pub mod transport;
pub mod wire;
