//! Where a credential comes from, the first time and whenever it is renewed.

use futures::future::{LocalBoxFuture, ready};
use jiff::Timestamp;

use crate::model::id::Id;

use super::credential::Credential;

/// Where a credential comes from.
pub trait Supply {
    /// The credential for something in `project_id`, as new as it can be had.
    fn supply<'a>(
        &'a self,
        project_id: &'a Id,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Supplied, SupplyError>>;

    /// Whether there is a newer one, as far as that can be told at once.
    fn has_changed(&self) -> bool {
        false
    }

    /// Whether each project needs a credential of its own.
    fn is_per_project(&self) -> bool {
        false
    }
}

/// A credential as it was supplied.
#[derive(Clone, Debug, PartialEq)]
pub struct Supplied {
    /// It.
    pub credential: Credential,
    /// When it ends, if that is known.
    pub ends: Option<Timestamp>,
}

/// Why no credential can be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SupplyError {
    /// Whoever was asked refuses the credential itself: showing it elsewhere does no better.
    #[error("{0}")]
    Unauthorized(String),
    /// The credential is good, but not for this project.
    #[error("{0}")]
    Forbidden(String),
    /// Whoever was asked says no, or there is none: asking again gives the same.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered, or not as they should: another time it may be had.
    #[error("{0}")]
    Unavailable(String),
}

/// A credential that stays what it is.
#[derive(Debug)]
pub struct Fixed(pub Credential);

impl Supply for Fixed {
    fn supply<'a>(
        &'a self,
        _: &'a Id,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Supplied, SupplyError>> {
        Box::pin(ready(Ok(Supplied {
            credential: self.0.clone(),
            ends: None,
        })))
    }
}

/// Whoever has nothing, and says why.
#[derive(Debug)]
pub struct Nobody(pub String);

impl Supply for Nobody {
    fn supply<'a>(
        &'a self,
        _: &'a Id,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Supplied, SupplyError>> {
        Box::pin(ready(Err(SupplyError::Refused(self.0.clone()))))
    }
}
