//! The client of the real service: what goes over the wire, and what comes back.

pub mod auth;
pub mod client;
pub mod error;
pub mod look;
mod proxy;
mod tls;
pub mod transport;
pub mod wire;
