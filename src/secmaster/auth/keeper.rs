//! Keeps a credential, and renews it: before it ends, and once for everybody when it is refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use futures::lock::Mutex;
use jiff::{SignedDuration, Timestamp};

use crate::model::id::Id;
use crate::model::reply::Renewal;

use super::credential::Credential;
use super::supply::{Fixed, Supplied, Supply, SupplyError};

/// How long before its end a credential is renewed at most: the threshold of the vendor's SDK.
const MARGIN: SignedDuration = SignedDuration::from_mins(40);
/// How long a renewal that failed is not tried again while the credential still holds.
const REST: SignedDuration = SignedDuration::from_secs(60);

/// Keeps the credential of a lane.
///
/// Whoever needs one while it is being renewed waits for that one renewal, or goes on with the old one
/// while that lasts.
pub struct Keeper {
    supply: Box<dyn Supply>,
    /// By project, where each needs its own; else under `None`.
    slots: RefCell<BTreeMap<Option<Id>, Rc<Slot>>>,
    renewals: Cell<u32>,
}

/// The place of one credential.
#[derive(Default)]
struct Slot {
    held: RefCell<Option<Held>>,
    /// Whoever gets a new one holds this.
    renewing: Mutex<()>,
}

struct Held {
    credential: Rc<Credential>,
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
    pub credential: Rc<Credential>,
    renewal: u32,
}

impl Keeper {
    /// Keeps what `supply` gives.
    pub fn new(supply: Box<dyn Supply>) -> Self {
        Self {
            supply,
            slots: RefCell::default(),
            renewals: Cell::new(0),
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
    /// None can be had, and the one that was there has ended or was refused.
    pub async fn show(&self, project_id: &Id, now: Timestamp) -> Result<Shown, SupplyError> {
        let slot = self.slot(project_id);
        let (usable, due) = slot.standing(now, self.supply.has_changed());
        if let Some(usable) = usable.filter(|_| !due) {
            return Ok(usable);
        }
        let renewing = slot.renewing.try_lock();
        let renewing = match (renewing, slot.standing(now, false).0) {
            (Some(renewing), _) => renewing,
            // Somebody is at it; what there is still does.
            (None, Some(usable)) => return Ok(usable),
            (None, None) => {
                let renewing = slot.renewing.lock().await;
                if let (Some(usable), false) = slot.standing(now, false) {
                    return Ok(usable);
                }
                renewing
            }
        };
        let supplied = self.supply.supply(project_id, now).await;
        drop(renewing);
        match supplied {
            Ok(supplied) if slot.is_spent(&supplied.credential) => {
                let why = "it was refused, and there is no other";
                Err(SupplyError::Unauthorized(why.to_owned()))
            }
            Ok(supplied) => Ok(self.take(&slot, supplied, now)),
            // What is still good is used while it lasts.
            Err(error) => match slot.standing(now, false).0 {
                Some(usable) => {
                    slot.rest_until(now.checked_add(REST).ok());
                    Ok(usable)
                }
                None => Err(error),
            },
        }
    }

    /// `shown` was accepted.
    pub fn accepted(&self, project_id: &Id, shown: &Shown) {
        let slot = self.slot(project_id);
        if let Some(held) = slot.held.borrow_mut().as_mut()
            && held.renewal == shown.renewal
        {
            held.proven = true;
        }
    }

    /// `shown` was refused: gets another one, unless somebody has already. A credential that was
    /// renewed and never accepted since is not renewed again.
    pub async fn refused(&self, project_id: &Id, shown: &Shown, now: Timestamp) -> Renewal {
        let slot = self.slot(project_id);
        let _renewing = slot.renewing.lock().await;
        if let Some(held) = slot.held.borrow_mut().as_mut() {
            if held.renewal != shown.renewal {
                return Renewal::Renewed(held.renewal);
            }
            held.spent = true;
            if held.renewal > 0 && !held.proven {
                return Renewal::Same;
            }
        }
        match self.supply.supply(project_id, now).await {
            Ok(supplied) if supplied.credential == *shown.credential => Renewal::Same,
            Ok(supplied) => Renewal::Renewed(self.take(&slot, supplied, now).renewal),
            Err(SupplyError::Unavailable(why)) => Renewal::Late(why),
            Err(
                SupplyError::Unauthorized(why)
                | SupplyError::Forbidden(why)
                | SupplyError::Refused(why),
            ) => Renewal::Lost(why),
        }
    }

    fn slot(&self, project_id: &Id) -> Rc<Slot> {
        let key = self.supply.is_per_project().then(|| project_id.clone());
        Rc::clone(self.slots.borrow_mut().entry(key).or_default())
    }

    fn take(&self, slot: &Slot, supplied: Supplied, now: Timestamp) -> Shown {
        let mut held = slot.held.borrow_mut();
        let renew_at = renew_at(supplied.ends, now);
        let renewal = match held.as_mut() {
            Some(held) if *held.credential == supplied.credential => {
                held.renew_at = renew_at;
                held.ends = supplied.ends;
                return held.shown();
            }
            Some(_) => {
                self.renewals.set(self.renewals.get() + 1);
                self.renewals.get()
            }
            None => 0,
        };
        let new = Held {
            credential: Rc::new(supplied.credential),
            ends: supplied.ends,
            renew_at,
            renewal,
            proven: false,
            spent: false,
        };
        let shown = new.shown();
        *held = Some(new);
        shown
    }
}

impl Slot {
    /// What can be shown at `now`, and whether a new one is due.
    fn standing(&self, now: Timestamp, changed: bool) -> (Option<Shown>, bool) {
        match self.held.borrow().as_ref() {
            None => (None, true),
            Some(held) => {
                let due = changed || held.spent || held.renew_at.is_some_and(|at| at <= now);
                (held.lasts(now).then(|| held.shown()), due)
            }
        }
    }

    /// Whether `credential` is the one that was refused.
    fn is_spent(&self, credential: &Credential) -> bool {
        let held = self.held.borrow();
        held.as_ref()
            .is_some_and(|held| held.spent && *held.credential == *credential)
    }

    fn rest_until(&self, at: Option<Timestamp>) {
        if let Some(held) = self.held.borrow_mut().as_mut() {
            held.renew_at = at;
        }
    }
}

impl Held {
    /// Whether it can be shown a while longer.
    fn lasts(&self, now: Timestamp) -> bool {
        !self.spent
            && self
                .ends
                .is_none_or(|ends| ends > now || self.renew_at.is_none())
    }

    fn shown(&self) -> Shown {
        Shown {
            credential: Rc::clone(&self.credential),
            renewal: self.renewal,
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
        keeper.accepted(&project(), &shown);
        let project = project();
        let all = (0..8).map(|_| keeper.refused(&project, &shown, at("08:01:00")));
        let renewals = now(join_all(all));
        assert!(
            renewals
                .iter()
                .all(|renewal| *renewal == Renewal::Renewed(1))
        );
        assert_eq!(script.asked(), 2);
    }

    #[test]
    fn a_renewal_that_does_not_cure_is_the_last() {
        let script = Script::of(vec![token("one", None), token("two", None)]);
        let keeper = Keeper::new(Box::new(script.clone()));
        let first = now(keeper.show(&project(), at("08:00:00"))).unwrap();
        let renewal = now(keeper.refused(&project(), &first, at("08:00:01")));
        assert_eq!(renewal, Renewal::Renewed(1));
        let second = now(keeper.show(&project(), at("08:00:01"))).unwrap();
        let renewal = now(keeper.refused(&project(), &second, at("08:00:02")));
        assert_eq!(renewal, Renewal::Same);
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
        let renewal = now(keeper.refused(&project(), &first, at("08:00:01")));
        assert_eq!(renewal, Renewal::Late("IAM is away".into()));
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
        assert_eq!(renewal, Renewal::Same);
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
        assert_eq!(show("09:30:59").unwrap().credential, first.credential);
        assert_eq!(script.asked(), 2, "and is left alone for a while");
        assert_eq!(show("09:31:00").unwrap().renewal, 1);
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

    #[test]
    fn nobody_waits_for_a_renewal_ahead_of_time() {
        let script = Script::of(vec![token("one", Some("10:00:00")), token("two", None)]);
        let keeper = Keeper::new(Box::new(script));
        let project = project();
        let first = now(keeper.show(&project, at("08:00:00"))).unwrap();
        let slot = keeper.slot(&project);
        let renewing = slot.renewing.try_lock().unwrap();
        let meanwhile = now(keeper.show(&project, at("09:40:00"))).unwrap();
        assert_eq!(meanwhile.credential, first.credential);
        drop(renewing);
        let after = now(keeper.show(&project, at("09:40:01"))).unwrap();
        assert_eq!(after.renewal, 1);
    }
}
