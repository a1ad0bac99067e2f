//! The state of a lane: paused, in an outage, closed, and which of its workspaces refuse.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::event::Method;
use crate::model::outcome::Ended;
use crate::model::target::Workspace;
use crate::policy::retry::Retry;

/// Attempts in a row without an answer, or with a 5xx, that make an outage.
const OUTAGE_AFTER: u32 = 10;
/// The same at the start, before anything else was answered.
const OUTAGE_AT_START: u32 = 3;
/// Probes after which an endpoint that never answered is given up.
const PROBES_AT_START: u32 = 5;
/// Refusals in a row that close a workspace which has worked before.
const REFUSALS: u32 = 3;

/// The health of a lane.
#[derive(Debug, Default)]
pub struct Health {
    /// An answer other than 401 has come: the credential works.
    proven: bool,
    /// Any HTTP answer has come.
    answered: bool,
    /// Any answer other than a 5xx has come.
    well_once: bool,
    /// Attempts in a row without an answer or with a 5xx.
    troubles: u32,
    /// Whether one of them was a reading.
    reading_troubled: bool,
    /// Refusals by throttling in a row, one per storm.
    throttles: u32,
    /// Until when nothing leaves.
    pause: Option<Duration>,
    /// When the last storm of refusals began: what left before belongs to it, whenever its answer comes.
    storm: Option<Duration>,
    outage: Option<Outage>,
    /// Since when nothing was admitted.
    starved: Option<Duration>,
    closed: Option<Closed>,
    workspaces: BTreeMap<Workspace, Standing>,
    /// What last went wrong with the lane as a whole.
    last_trouble: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Duration,
    /// Updates alone began it: a reading that is answered says nothing about its end.
    is_of_updates: bool,
    probes: u32,
    next_probe: Duration,
}

/// Why nothing leaves a lane any more.
#[derive(Clone, Debug)]
pub struct Closed {
    /// How it ends the lane's part of the run.
    pub ended: Ended,
    /// In words.
    pub message: String,
}

#[derive(Debug, Default)]
struct Standing {
    succeeded: bool,
    refusals: u32,
    closed: Option<String>,
}

/// Whether something may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Anything.
    Open,
    /// One probe, the how-manieth.
    Probe(u32),
    /// Nothing before this instant.
    Shut(Duration),
}

/// What a trouble means for the attempt and the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An ordinary trouble: the attempt counts.
    Counts,
    /// An outage has begun; the first probe leaves after this wait. The attempt does not count.
    OutageBegins(Duration),
    /// The outage goes on, or the lane is closed: the attempt does not count.
    DoesNotCount,
    /// The endpoint never answered at all: the lane is to be closed.
    NeverAnswered,
}

impl Health {
    /// How many requests may be in flight, of `concurrency`.
    pub fn slots(&self, concurrency: usize) -> usize {
        if self.proven && self.outage.is_none() {
            concurrency
        } else {
            1
        }
    }

    /// Whether something may start at `now`.
    pub fn gate(&self, now: Duration) -> Gate {
        if let Some(until) = self.pause.filter(|until| *until > now) {
            return Gate::Shut(until);
        }
        match self.outage {
            Some(outage) if outage.next_probe > now => Gate::Shut(outage.next_probe),
            Some(outage) => Gate::Probe(outage.probes + 1),
            None => Gate::Open,
        }
    }

    /// When the lane is to be given up if nothing is admitted until then.
    pub fn gives_up_at(&self, patience: Duration) -> Option<Duration> {
        let stuck = self.pause.is_some() || self.outage.is_some();
        self.starved.filter(|_| stuck).map(|since| since + patience)
    }

    /// Ends a pause that is over. Tells whether requests start again.
    pub fn resume(&mut self, now: Duration) -> bool {
        let over = self.pause.take_if(|until| *until <= now).is_some();
        over && self.outage.is_none()
    }

    /// Ends an outage. Tells whether requests start again.
    fn recover(&mut self) -> bool {
        self.outage.take().is_some() && self.pause.is_none()
    }

    /// A row was admitted: nothing is wrong with the lane. Tells whether requests start again.
    pub fn admitted(&mut self) -> bool {
        self.throttles = 0;
        self.starved = None;
        self.answers()
    }

    /// The lane answered, if only to a reading that an update is to follow: where updates alone
    /// are throttled, nothing is admitted. Tells whether requests start again.
    pub fn answers(&mut self) -> bool {
        self.proven = true;
        self.answered = true;
        self.well_once = true;
        self.troubles = 0;
        self.reading_troubled = false;
        self.recover()
    }

    /// A row was read back after an update whose end is unknown: that says that the lane answers, and nothing about
    /// updates. Tells whether requests start again.
    pub fn answers_reading_back(&mut self) -> bool {
        self.proven = true;
        self.answered = true;
        self.outage.is_some() && !self.is_of_updates() && self.answers()
    }

    /// Whether an outage is under way that updates began.
    fn is_of_updates(&self) -> bool {
        self.outage.is_some_and(|outage| outage.is_of_updates)
    }

    /// A row was read back, and its update had been applied whatever its answer was: updates work, and what they have met so far
    /// is no outage. An outage that has begun does not end by it.
    pub fn was_applied(&mut self) {
        if self.outage.is_none() {
            self.troubles = 0;
            self.starved = None;
        }
    }

    /// The lane answered with a 401.
    pub fn credential_refused(&mut self) {
        self.answered = true;
    }

    /// A request that left at `sent` was throttled. Tells the wait if that begins a pause, and
    /// whether it ended an outage.
    pub fn throttled(
        &mut self,
        now: Duration,
        (method, sent): (Method, Duration),
        asked: Option<Duration>,
        retry: &Retry,
        dice: f64,
    ) -> (Option<Duration>, bool) {
        self.proven = true;
        self.answered = true;
        self.well_once = true;
        self.troubles = 0;
        self.reading_troubled = false;
        if self.closed.is_some() {
            return (None, false);
        }
        let recovered = (method == Method::Put || !self.is_of_updates()) && self.recover();
        self.starved.get_or_insert(now);
        let same_storm = self.storm.is_some_and(|since| sent <= since);
        if !same_storm {
            self.throttles += 1;
            self.storm = Some(now);
        }
        // Who asks to wait for no time at all is not to be hammered.
        let wait = match asked.filter(|asked| !asked.is_zero()) {
            Some(asked) => asked,
            None if same_storm => return (None, recovered),
            None => retry.lane_delay(self.throttles, dice),
        };
        // What a service asks for has no bounds.
        let until = now.saturating_add(wait);
        let longer = self.pause.is_none_or(|paused| until > paused);
        let begins = !same_storm || self.pause.is_none();
        if longer {
            self.pause = Some(until);
        }
        // The refusal that begins a pause is told; what the rest of its storm adds is not.
        ((longer && begins).then_some(wait), recovered)
    }

    /// A request that left at `sent`, an update or a reading, got no answer (`silent`) or a 5xx.
    pub fn troubled(
        &mut self,
        now: Duration,
        sent: Duration,
        (method, silent): (Method, bool),
        retry: &Retry,
        dice: f64,
    ) -> Effect {
        self.answered |= !silent;
        self.proven |= !silent;
        if self.closed.is_some() {
            return Effect::DoesNotCount;
        }
        self.troubles += 1;
        self.reading_troubled |= method == Method::Get;
        self.starved.get_or_insert(now);
        if let Some(outage) = &mut self.outage {
            // Those that left before the outage was seen are no probes.
            if sent >= outage.since {
                outage.probes += 1;
                if !self.answered && outage.probes >= PROBES_AT_START {
                    return Effect::NeverAnswered;
                }
                outage.next_probe = now + retry.lane_delay(outage.probes + 1, dice);
            }
            return Effect::DoesNotCount;
        }
        let enough = if self.well_once {
            OUTAGE_AFTER
        } else {
            OUTAGE_AT_START
        };
        if self.troubles < enough {
            return Effect::Counts;
        }
        let wait = retry.lane_delay(1, dice);
        self.outage = Some(Outage {
            since: now,
            is_of_updates: !self.reading_troubled,
            probes: 0,
            next_probe: now + wait,
        });
        Effect::OutageBegins(wait)
    }

    /// Notes what went wrong, for whoever gives the lane up.
    pub fn note(&mut self, trouble: &str) {
        self.last_trouble = Some(trouble.to_owned());
    }

    /// What last went wrong.
    pub fn last_trouble(&self) -> &str {
        self.last_trouble.as_deref().unwrap_or("nothing was said")
    }

    /// Nothing leaves any more.
    pub fn close(&mut self, ended: Ended, message: String) {
        self.closed.get_or_insert(Closed { ended, message });
        self.pause = None;
        self.outage = None;
    }

    /// Why nothing leaves any more.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// A row of `workspace` was carried out or read.
    pub fn workspace_works(&mut self, workspace: &Workspace) {
        let standing = self.standing(workspace);
        standing.succeeded = true;
        standing.refusals = 0;
    }

    /// A row of `workspace` was refused for want of permission. Tells whether that closes it:
    /// because the answer names the workspace (`whole`), before anything worked there, or the
    /// third time in a row.
    pub fn workspace_refuses(&mut self, workspace: &Workspace, whole: bool, why: &str) -> bool {
        let standing = self.standing(workspace);
        standing.refusals += 1;
        let closes = whole || !standing.succeeded || standing.refusals >= REFUSALS;
        if closes && standing.closed.is_none() {
            standing.closed = Some(why.to_owned());
            return true;
        }
        false
    }

    /// Why `workspace` is closed, if it is.
    pub fn workspace_closed(&self, workspace: &Workspace) -> Option<&str> {
        self.workspaces.get(workspace)?.closed.as_deref()
    }

    /// Notes that the run has rows in `workspace`.
    pub fn workspace_met(&mut self, workspace: &Workspace) {
        self.standing(workspace);
    }

    /// Whether the run has rows here at all.
    pub fn is_used(&self) -> bool {
        !self.workspaces.is_empty()
    }

    /// Whether nothing works here: the lane is refused, or every workspace met is.
    pub fn refused(&self) -> bool {
        let lane = self.closed.as_ref().map(|closed| closed.ended);
        let mut standings = self.workspaces.values();
        lane == Some(Ended::Refused)
            || (self.is_used() && standings.all(|standing| standing.closed.is_some()))
    }

    fn standing(&mut self, workspace: &Workspace) -> &mut Standing {
        self.workspaces.entry(workspace.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        max_attempts: 5,
        initial_delay: Duration::from_millis(500),
        max_delay: Duration::from_secs(60),
    };

    /// An update without an answer, and a reading.
    const PUT: (Method, bool) = (Method::Put, true);
    const GET: (Method, bool) = (Method::Get, true);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn reading_back_ends_no_outage_that_updates_began_and_hides_none() {
        for (last, ends) in [(PUT, false), (GET, true)] {
            let mut health = Health::default();
            health.admitted();
            for _ in 1..OUTAGE_AFTER {
                let effect = health.troubled(ms(20), ms(2), PUT, &RETRY, 0.0);
                assert_eq!(effect, Effect::Counts);
                assert!(!health.answers_reading_back());
            }
            let effect = health.troubled(ms(20), ms(2), last, &RETRY, 0.0);
            assert_eq!(effect, Effect::OutageBegins(ms(500)));
            assert_eq!(health.answers_reading_back(), ends);
            assert_eq!(health.gate(ms(600)) == Gate::Open, ends);
        }
    }

    #[test]
    fn a_throttled_lane_waits_as_long_as_it_is_asked_to() {
        for asked in [Duration::from_secs(3), Duration::MAX] {
            let mut health = Health::default();
            let told = health.throttled(ms(9), (Method::Put, ms(1)), Some(asked), &RETRY, 0.5);
            assert_eq!(told, (Some(asked), false));
            assert_eq!(health.gate(ms(10)), Gate::Shut(ms(9).saturating_add(asked)));
        }
    }

    #[test]
    fn a_throttled_lane_that_is_asked_to_wait_for_nothing_backs_off_all_the_same() {
        for asked in [None, Some(Duration::ZERO)] {
            let mut health = Health::default();
            let told = health.throttled(ms(9), (Method::Put, ms(1)), asked, &RETRY, 0.0);
            assert_eq!(told, (Some(ms(500)), false));
            assert!(health.resume(ms(509)));
            let told = health.throttled(ms(600), (Method::Put, ms(550)), asked, &RETRY, 0.0);
            assert_eq!(told, (Some(ms(1_000)), false), "the second time for longer");
        }
    }

    #[test]
    fn what_was_in_flight_when_a_pause_began_belongs_to_the_same_storm() {
        let mut health = Health::default();
        assert_eq!(
            health
                .throttled(ms(10), (Method::Put, ms(1)), None, &RETRY, 0.0)
                .0,
            Some(ms(500))
        );
        assert_eq!(
            health
                .throttled(ms(20), (Method::Put, ms(2)), None, &RETRY, 0.0)
                .0,
            None
        );
        assert_eq!(health.gate(ms(20)), Gate::Shut(ms(510)));
        let asked = Some(ms(2_000));
        assert_eq!(
            health
                .throttled(ms(30), (Method::Put, ms(3)), asked, &RETRY, 0.0)
                .0,
            None
        );
        assert_eq!(
            health.gate(ms(30)),
            Gate::Shut(ms(2_030)),
            "but may lengthen it"
        );
    }

    #[test]
    fn a_straggler_of_a_storm_whose_pause_is_over_begins_no_other_and_hides_none() {
        let mut health = Health::default();
        let a_moment = Some(ms(25));
        assert_eq!(
            health
                .throttled(ms(10), (Method::Put, ms(5)), a_moment, &RETRY, 0.0)
                .0,
            a_moment
        );
        assert!(health.resume(ms(35)));
        assert_eq!(
            health
                .throttled(ms(70), (Method::Put, ms(4)), None, &RETRY, 0.0)
                .0,
            None
        );
        assert_eq!(health.gate(ms(70)), Gate::Open);
        // What left after the pause and is refused as well backs off, by the second storm and no later one.
        assert_eq!(
            health
                .throttled(ms(72), (Method::Put, ms(50)), None, &RETRY, 0.0)
                .0,
            Some(ms(1_000))
        );
    }

    #[test]
    fn updates_that_were_applied_whatever_their_answers_make_no_outage() {
        let mut health = Health::default();
        health.admitted();
        for _ in 0..3 * OUTAGE_AFTER {
            let effect = health.troubled(ms(20), ms(2), PUT, &RETRY, 0.0);
            assert_eq!(effect, Effect::Counts);
            health.was_applied();
        }
    }

    #[test]
    fn a_lane_goes_on_only_when_both_its_pause_and_its_outage_are_over() {
        let paused_and_out = || {
            let mut health = Health::default();
            health.admitted();
            health.throttled(ms(10), (Method::Put, ms(1)), Some(ms(1_000)), &RETRY, 0.0);
            for _ in 1..OUTAGE_AFTER {
                let effect = health.troubled(ms(20), ms(2), PUT, &RETRY, 0.0);
                assert_eq!(effect, Effect::Counts);
            }
            let effect = health.troubled(ms(20), ms(2), PUT, &RETRY, 0.0);
            assert_eq!(effect, Effect::OutageBegins(ms(500)));
            health
        };
        let mut health = paused_and_out();
        assert!(!health.resume(ms(1_010)), "the outage goes on");
        assert_eq!(health.gate(ms(1_010)), Gate::Probe(1));
        assert!(health.admitted());

        let mut health = paused_and_out();
        assert!(!health.admitted(), "the pause goes on");
        assert_eq!(health.gate(ms(30)), Gate::Shut(ms(1_010)));
        assert!(health.resume(ms(1_010)));
    }

    #[test]
    fn a_throttled_reading_ends_no_outage_that_updates_began() {
        for (method, ends) in [(Method::Get, false), (Method::Put, true)] {
            let mut health = Health::default();
            health.admitted();
            for _ in 0..OUTAGE_AFTER {
                health.troubled(ms(20), ms(2), PUT, &RETRY, 0.0);
            }
            health.throttled(ms(30), (method, ms(25)), None, &RETRY, 0.0);
            assert_eq!(health.outage.is_none(), ends);
        }
    }

    #[test]
    fn a_closed_lane_is_neither_paused_nor_in_an_outage_any_more() {
        let mut health = Health::default();
        health.close(Ended::Refused, "no".into());
        let told = health.throttled(ms(10), (Method::Put, ms(1)), Some(ms(1_000)), &RETRY, 0.0);
        assert_eq!(told, (None, false));
        for _ in 0..2 * OUTAGE_AFTER {
            let effect = health.troubled(ms(20), ms(2), PUT, &RETRY, 0.0);
            assert_eq!(effect, Effect::DoesNotCount);
        }
        assert!(!health.resume(ms(5_000)));
        assert!(!health.admitted());
    }
}
