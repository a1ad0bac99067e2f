//! Keeps a credential, and renews it: before it ends, and once for everybody when it is refused.

use std::collections::HashMap;
use std::fmt;

use futures::lock::Mutex;
use jiff::{SignedDuration, Timestamp};

use crate::model::id::Id;

use super::credential::Credential;
use super::supply::{Fixed, Supplied, Supply, SupplyError};

/// How long before its end a credential is renewed at most: the threshold of the vendor's SDK.
const MARGIN: SignedDuration = SignedDuration::from_mins(40);
/// How long a renewal that failed is not tried again while the credential still holds.
const REST: SignedDuration = SignedDuration::from_secs(30);

/// Keeps the credential of a lane.
///
/// Whoever asks while it is being renewed waits for that one renewal.
pub struct Keeper {
    supply: Box<dyn Supply>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By project, where each needs its own; else under `None`.
    held: HashMap<Option<Id>, Held>,
    renewals: u32,
}

struct Held {
    credential: Credential,
    ends: Option<Timestamp>,
    /// When it is time to renew it.
    renew_at: Option<Timestamp>,
    /// The how-manieth renewal brought it; 0 for the first credential.
    renewal: u32,
    /// It was accepted at least once.
    proven: bool,
    /// It was refused, and another one could not be had at once: it is not shown again.
    spent: bool,
}

/// A credential, as it was when a request left.
#[derive(Clone, Debug)]
pub struct Shown {
    /// It.
    pub credential: Credential,
    renewal: u32,
}

/// What became of a credential that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// There is another one by now, brought by this renewal: the request may go again.
    Renewed(u32),
    /// There is no other.
    Same,
}

impl Keeper {
    /// Keeps what `supply` gives.
    pub fn new(supply: Box<dyn Supply>) -> Self {
        Self {
            supply,
            state: Mutex::default(),
        }
    }

    /// Keeps `credential`, which nothing renews.
    pub fn fixed(credential: Credential) -> Self {
        Self::new(Box::new(Fixed(credential)))
    }

    /// The credential for something in `project_id`; at first, and when it ends or its source has
    /// changed, a new one.
    ///
    /// # Errors
    /// None can be had, and the one that was there has ended.
    pub async fn show(&self, project_id: &Id, now: Timestamp) -> Result<Shown, SupplyError> {
        let key = self.supply.is_per_project().then(|| project_id.clone());
        let mut state = self.state.lock().await;
        let due = match state.held.get(&key) {
            None => true,
            Some(held) => {
                held.spent || self.supply.has_changed() || held.renew_at.is_some_and(|at| at <= now)
            }
        };
        if due {
            let supplied = self.supply.supply(project_id, now).await;
            match (supplied, state.held.get_mut(&key)) {
                (Ok(supplied), Some(held))
                    if held.spent && held.credential == supplied.credential =>
                {
                    let why = "it was refused, and there is no other";
                    return Err(SupplyError::Unauthorized(why.to_owned()));
                }
                (Ok(supplied), _) => state.take(key.clone(), supplied, now),
                // What is still good is used while it lasts.
                (Err(_), Some(held)) if held.lasts(now) => {
                    held.renew_at = now.checked_add(REST).ok();
                }
                (Err(error), _) => return Err(error),
            }
        }
        match state.held.get(&key) {
            Some(held) => Ok(Shown {
                credential: held.credential.clone(),
                renewal: held.renewal,
            }),
            // It was taken a moment ago.
            None => Err(SupplyError::Unavailable("no credential".to_owned())),
        }
    }

    /// `shown` was accepted.
    pub async fn accepted(&self, project_id: &Id, shown: &Shown) {
        let key = self.supply.is_per_project().then(|| project_id.clone());
        let mut state = self.state.lock().await;
        if let Some(held) = state.held.get_mut(&key)
            && held.renewal == shown.renewal
        {
            held.proven = true;
        }
    }

    /// `shown` was refused: gets another one, unless somebody has already. A credential that was
    /// renewed and never accepted since is not renewed again.
    ///
    /// # Errors
    /// None can be had.
    pub async fn refused(
        &self,
        project_id: &Id,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<Renewal, SupplyError> {
        let key = self.supply.is_per_project().then(|| project_id.clone());
        let mut state = self.state.lock().await;
        let held = state.held.get(&key);
        match held.map(|held| (held.renewal, held.proven)) {
            Some((renewal, _)) if renewal != shown.renewal => {
                return Ok(Renewal::Renewed(renewal));
            }
            Some((renewal, false)) if renewal > 0 => return Ok(Renewal::Same),
            Some(_) | None => {}
        }
        if let Some(held) = state.held.get_mut(&key) {
            held.spent = true;
        }
        let supplied = self.supply.supply(project_id, now).await?;
        if supplied.credential == shown.credential {
            return Ok(Renewal::Same);
        }
        state.take(key, supplied, now);
        Ok(Renewal::Renewed(state.renewals))
    }
}

impl Held {
    /// Whether it can be shown a while longer, although a newer one cannot be had.
    fn lasts(&self, now: Timestamp) -> bool {
        !self.spent && self.ends.is_none_or(|ends| ends > now)
    }
}

impl State {
    fn take(&mut self, key: Option<Id>, supplied: Supplied, now: Timestamp) {
        let renew_at = renew_at(supplied.ends, now);
        match self.held.get_mut(&key) {
            Some(held) if held.credential == supplied.credential => {
                held.renew_at = renew_at;
                held.ends = supplied.ends;
            }
            known => {
                let renewal = match known {
                    Some(_) => {
                        self.renewals += 1;
                        self.renewals
                    }
                    None => 0,
                };
                self.held.insert(
                    key,
                    Held {
                        credential: supplied.credential,
                        ends: supplied.ends,
                        renew_at,
                        renewal,
                        proven: false,
                        spent: false,
                    },
                );
            }
        }
    }
}

/// When a credential that ends at `ends` is to be renewed: 40 minutes before, but not before three
/// quarters of the time that is left have passed. One that seems to have ended already is used until
/// it is refused: it may be this machine's clock that is wrong.
fn renew_at(ends: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let left = ends?.duration_since(now);
    if !left.is_positive() {
        return None;
    }
    ends?.checked_sub(MARGIN.min(left / 4)).ok()
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use futures::FutureExt;
    use futures::future::{LocalBoxFuture, join_all, ready};

    use super::super::token::Token;
    use super::*;

    type Answer = Result<Supplied, SupplyError>;

    /// Gives what its script says, one after another, and counts.
    #[derive(Clone, Default)]
    struct Script(Rc<RefCell<(Vec<Answer>, usize)>>);

    impl Script {
        fn of(script: Vec<Answer>) -> Self {
            Self(Rc::new(RefCell::new((script, 0))))
        }
        fn asked(&self) -> usize {
            self.0.borrow().1
        }
    }

    impl Supply for Script {
        fn supply<'a>(&'a self, _: &'a Id, _: Timestamp) -> LocalBoxFuture<'a, Answer> {
            let mut script = self.0.borrow_mut();
            script.1 += 1;
            Box::pin(ready(script.0.remove(0)))
        }
    }

    fn token(text: &str, ends: Option<&str>) -> Answer {
        Ok(Supplied {
            credential: Credential::Token(Token::parse(text).unwrap()),
            ends: ends.map(at),
        })
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-11-24T{time}Z").parse().unwrap()
    }

    fn project() -> Id {
        Id::parse("p1").unwrap()
    }

    /// Nothing in these tests waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().unwrap()
    }

    #[test]
    fn a_refused_credential_is_renewed_once_for_everybody() {
        let script = Script::of(vec![token("one", None), token("two", None)]);
        let keeper = Keeper::new(Box::new(script.clone()));
        let shown = now(keeper.show(&project(), at("08:00:00"))).unwrap();
        now(keeper.accepted(&project(), &shown));
        let project = project();
        let all = (0..8).map(|_| keeper.refused(&project, &shown, at("08:01:00")));
        let renewals = now(join_all(all));
        assert!(
            renewals
                .iter()
                .all(|renewal| *renewal == Ok(Renewal::Renewed(1)))
        );
        assert_eq!(script.asked(), 2);
    }

    #[test]
    fn a_renewal_that_does_not_cure_is_the_last() {
        let script = Script::of(vec![token("one", None), token("two", None)]);
        let keeper = Keeper::new(Box::new(script.clone()));
        let first = now(keeper.show(&project(), at("08:00:00"))).unwrap();
        let renewal = now(keeper.refused(&project(), &first, at("08:00:01")));
        assert_eq!(renewal, Ok(Renewal::Renewed(1)));
        let second = now(keeper.show(&project(), at("08:00:01"))).unwrap();
        let renewal = now(keeper.refused(&project(), &second, at("08:00:02")));
        assert_eq!(renewal, Ok(Renewal::Same));
        assert_eq!(script.asked(), 2);
    }

    #[test]
    fn one_that_was_refused_is_not_shown_again_while_another_cannot_be_had() {
        let away = || Err(SupplyError::Unavailable("IAM is away".into()));
        let script = Script::of(vec![
            token("one", None),
            away(),
            away(),
            token("one", None),
            token("two", None),
        ]);
        let keeper = Keeper::new(Box::new(script));
        let show = |time| now(keeper.show(&project(), at(time)));
        let first = show("08:00:00").unwrap();
        assert!(now(keeper.refused(&project(), &first, at("08:00:01"))).is_err());
        assert!(matches!(show("08:00:02"), Err(SupplyError::Unavailable(_))));
        assert!(matches!(
            show("08:00:03"),
            Err(SupplyError::Unauthorized(_))
        ));
        assert_eq!(show("08:00:04").unwrap().renewal, 1);
    }

    #[test]
    fn one_that_comes_back_the_same_is_no_other() {
        let script = Script::of(vec![token("one", None), token("one", None)]);
        let keeper = Keeper::new(Box::new(script));
        let shown = now(keeper.show(&project(), at("08:00:00"))).unwrap();
        let renewal = now(keeper.refused(&project(), &shown, at("08:00:01")));
        assert_eq!(renewal, Ok(Renewal::Same));
    }

    #[test]
    fn one_that_ends_is_renewed_before_and_used_while_it_lasts() {
        let script = Script::of(vec![
            token("one", Some("10:00:00")),
            Err(SupplyError::Unavailable("IAM is away".into())),
            token("two", None),
        ]);
        let keeper = Keeper::new(Box::new(script.clone()));
        let show = |time| now(keeper.show(&project(), at(time)));
        let first = show("08:00:00").unwrap();
        assert_eq!(show("09:29:59").unwrap().renewal, 0);
        assert_eq!(
            script.asked(),
            1,
            "a quarter of what is left is not yet due"
        );
        assert_eq!(show("09:30:00").unwrap().renewal, 0, "IAM is away");
        assert_eq!(show("09:30:29").unwrap().credential, first.credential);
        assert_eq!(script.asked(), 2, "and is left alone for a while");
        assert_eq!(show("09:30:30").unwrap().renewal, 1);
    }

    #[test]
    fn one_that_has_ended_and_cannot_be_had_is_an_error() {
        let away = SupplyError::Unavailable("IAM is away".into());
        let script = Script::of(vec![token("one", Some("08:10:00")), Err(away.clone())]);
        let keeper = Keeper::new(Box::new(script));
        now(keeper.show(&project(), at("08:00:00"))).unwrap();
        assert_eq!(
            now(keeper.show(&project(), at("08:10:00"))).unwrap_err(),
            away
        );
    }

    #[test]
    fn renewal_is_due_forty_minutes_before_the_end_of_a_long_one() {
        let due = |ends| renew_at(Some(at(ends)), at("08:00:00"));
        assert_eq!(due("20:00:00"), Some(at("19:20:00")));
        assert_eq!(due("09:00:00"), Some(at("08:45:00")));
        assert_eq!(due("07:00:00"), None, "the clocks differ");
    }
}
