//! Tokens by password, as a supply.

use std::cell::Cell;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use jiff::Timestamp;

use crate::model::id::Id;

use super::iam::Iam;
use super::password::{Scope, User};
use super::supply::{Supplied, Supply, SupplyError};

/// Tokens by password, one for each project.
#[derive(Debug)]
pub struct ByPassword {
    /// Who gives them.
    pub iam: Rc<Iam>,
    /// Whose they are.
    pub user: User,
    /// Whether one was had.
    pub had: Cell<bool>,
}

impl Supply for ByPassword {
    fn supply<'a>(
        &'a self,
        project_id: &'a Id,
        _: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Supplied, SupplyError>> {
        Box::pin(async {
            let scope = Scope::ProjectId(project_id.as_str());
            match self.iam.token(&self.user, scope).await {
                Ok((supplied, _)) => {
                    self.had.set(true);
                    Ok(supplied)
                }
                // The password is right: it is this project that the user has no part in.
                Err(SupplyError::Unauthorized(why)) if self.had.get() => {
                    Err(SupplyError::Forbidden(why))
                }
                Err(error) => Err(error),
            }
        })
    }

    fn is_per_project(&self) -> bool {
        true
    }
}
