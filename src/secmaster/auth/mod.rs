//! Credentials.

pub mod token;
