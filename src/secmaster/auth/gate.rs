//! Keeps a credential that may be wrong from being shown by several at once: five wrong signatures in a
//! row lock an access key, and wrong passwords a user.

use std::sync::Arc;

use futures::lock::{Mutex, OwnedMutexGuard};

/// Before a credential, whichever lanes show it: until it was accepted once, one request at a time gets
/// through, and none any more once it was refused.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<Standing>>);

#[derive(Debug, Default)]
enum Standing {
    /// It was neither accepted nor refused yet.
    #[default]
    Unproven,
    /// It was accepted.
    Proven,
    /// It was refused, and there is no other; in whose words.
    Refused(String),
}

/// The right to send one request.
#[derive(Debug)]
pub struct Pass {
    /// Nobody else gets through while this is held.
    alone: Option<OwnedMutexGuard<Standing>>,
}

impl Gate {
    /// Waits for whoever tries the credential, if it is not known to be good.
    ///
    /// # Errors
    /// It was refused; in whose words.
    pub async fn enter(&self) -> Result<Pass, String> {
        let standing = Arc::clone(&self.0).lock_owned().await;
        let alone = match &*standing {
            Standing::Unproven => Some(standing),
            Standing::Proven => None,
            Standing::Refused(why) => return Err(why.clone()),
        };
        Ok(Pass { alone })
    }
}

impl Pass {
    /// The credential was accepted.
    pub fn accepted(&mut self) {
        if let Some(mut standing) = self.alone.take() {
            *standing = Standing::Proven;
        }
    }

    /// The credential was refused, and there is no other. One that was accepted before is a matter of
    /// whoever refuses it now: a token is no good in another region.
    pub fn refused(&mut self, why: &str) {
        if let Some(mut standing) = self.alone.take() {
            *standing = Standing::Refused(why.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn one_at_a_time_gets_through_until_it_is_accepted() {
        let gate = Gate::default();
        let mut first = gate.enter().now_or_never().unwrap().unwrap();
        assert!(gate.enter().now_or_never().is_none());
        first.accepted();
        let passes: Vec<_> = (0..3).map(|_| gate.enter().now_or_never()).collect();
        assert!(passes.iter().all(|pass| matches!(pass, Some(Ok(_)))));
    }

    #[test]
    fn who_gives_up_lets_the_next_try() {
        let gate = Gate::default();
        drop(gate.enter().now_or_never().unwrap().unwrap());
        assert!(gate.enter().now_or_never().is_some());
    }

    #[test]
    fn none_gets_through_once_it_is_refused() {
        let gate = Gate::default();
        let mut pass = gate.enter().now_or_never().unwrap().unwrap();
        pass.refused("wrong");
        let why = gate.enter().now_or_never().unwrap().unwrap_err();
        assert_eq!(why, "wrong");
    }

    #[test]
    fn one_that_was_accepted_is_not_lost_by_a_refusal_elsewhere() {
        let gate = Gate::default();
        let mut pass = gate.enter().now_or_never().unwrap().unwrap();
        pass.accepted();
        pass.refused("not here");
        assert!(gate.enter().now_or_never().unwrap().is_ok());
    }
}
