//! Who may come in. The gateway looks at it before the service gets to see anything.

use hyper::HeaderMap;

use super::answer::Refusal;

/// Who may come in.
#[derive(Clone)]
pub struct Access {
    token: Option<String>,
}

impl Access {
    /// Everybody, whatever credential they bring.
    pub fn open() -> Self {
        Self { token: None }
    }

    /// Those who bring `token` as their `X-Auth-Token`.
    pub fn by_token(token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
        }
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        match headers.get("x-auth-token") {
            None => Err(Refusal::unauthorized("x-auth-token not found")),
            Some(brought) if brought.as_bytes() == token.as_bytes() => Ok(()),
            Some(_) => Err(Refusal::unauthorized("decrypt token fail")),
        }
    }
}
