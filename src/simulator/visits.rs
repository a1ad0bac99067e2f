//! How often each credential came, for tests to read.

use std::collections::HashMap;

/// Requests that came with a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// To the service, admitted or refused.
    pub service: u64,
    /// To IAM, admitted or refused.
    pub iam: u64,
    /// Those among them that were refused for the credential or for what it may not do.
    pub refused: u64,
}

/// What is behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Service,
    Iam,
}

/// The requests of each credential.
#[derive(Debug, Default)]
pub(super) struct Visits {
    of: HashMap<String, Requests>,
}

impl Visits {
    pub(super) fn count(&mut self, credential: &str, door: Door, admitted: bool) {
        let requests = self.of.entry(credential.to_owned()).or_default();
        match door {
            Door::Service => requests.service += 1,
            Door::Iam => requests.iam += 1,
        }
        requests.refused += u64::from(!admitted);
    }

    pub(super) fn of(&self, credential: &str) -> Requests {
        self.of.get(credential).copied().unwrap_or_default()
    }
}
