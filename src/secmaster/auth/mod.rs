//! Credentials: what requests show, where it comes from, and how it is renewed.

pub mod by_password;
pub mod credential;
pub mod gate;
pub mod iam;
pub mod keeper;
pub mod keys;
pub mod metadata;
pub mod password;
pub mod printed;
pub mod signature;
pub mod supply;
pub mod token;

mod redaction;
