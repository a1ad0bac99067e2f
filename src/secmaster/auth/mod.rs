//! Credentials.

pub mod keys;
pub mod signature;
pub mod token;
