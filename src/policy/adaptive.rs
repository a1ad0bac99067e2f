//! A pace that finds the service's own limit where it is lower than the one that was asked for.
//!
//! Until something is refused, requests leave as fast as was asked for, and the number in flight grows with what is
//! admitted. A refusal shuts the lane for everybody: what was already in flight belongs to the same episode and cuts
//! nothing again. When the lane opens, the limit is known. Its window is, in this order, the one that the gateway names
//! (`limit:600,time:1 minute`), the one that `Retry-After` suggests, or the one after which somebody was admitted again;
//! its count is what was admitted in such a window before the refusal. From then on no more leave in any such window.
//! After a quiet time requests are sent beyond it, one at a time at first; each that is admitted raises the count, and the
//! first that is refused ends the climb. What a climb came to is on trial, and so is what was admitted in a second or so
//! before the first refusal: a bucket that had been saved up, or the end of one window and the start of the next, admit more
//! than a window's worth once, and not again.
//!
//! A rate that somebody named is kept instead: it gives way to a lower limit that the gateway names, is eased once, by 2.5 %, where
//! it is refused without one, and finds nothing else out.
//!
//! Why a count in a window, and no mere rate: a limit that counts in windows admits a whole window's worth after a
//! pause, which even spacing would never make up for. Why not additive increase and multiplicative decrease: each cut starts
//! from a rate that was never the limit. What it comes to stands in BENCHMARKS.md.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::rate::Rate;

use super::pace::{Pace, Permit};
use super::room::Room;

/// Requests in flight to begin with.
const FIRST_SLOTS: usize = 13;
/// One more is let into flight for each so many that were admitted: whatever the limit is, what is in flight when it shows,
/// and is refused, is a small part of what it admits at once.
const ADMITTED_PER_SLOT: u64 = 7;
/// Windows that gateways count in.
const WINDOWS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(3_600),
];
/// When it is tried whether the lane is open again, in seconds after the last request that was admitted; then every
/// minute.
const TRIES: [f64; 11] = [1.0, 2.0, 3.5, 5.0, 7.5, 10.0, 14.0, 20.0, 28.0, 40.0, 60.0];
/// How much faster than the limit requests leave as long as its count is not reached.
const HASTE: f64 = 2.0;
/// The same for windows of some length: how unevenly requests arrive matters less.
const MUCH_HASTE: f64 = 4.0;
/// The same for a count that is not proven yet.
const LITTLE_HASTE: f64 = 1.25;
/// How long nothing may have been refused before more is tried.
const QUIET: Duration = Duration::from_secs(30);
/// The same after climbs in vain, at most.
const LONGEST_QUIET: Duration = Duration::from_secs(60);
/// Of those that are sent beyond the count, so many go alone, then so many by twos, and so on.
const TRIED_ALONE: u32 = 16;
/// But never more at once than this.
const TRIED_AT_ONCE: u32 = 2;
/// From this share of the count on, what was admitted before a refusal shows nothing but the count itself.
const AS_COUNTED: f64 = 0.9;
/// A count that does not hold is cut to this share of it at least ...
const LEAST_CUT: f64 = 0.97;
/// Answers that differ by less than this on average, in seconds, are those of requests that do not overtake each other.
const IN_ORDER: f64 = 0.005;
/// A count is not cut to less than this share of it where nobody knows the limit.
const MOST_CUT: f64 = 0.86;
/// No lower limit is guessed, in requests a second: a service that refuses now and then for other reasons must not
/// bring the pace down to nothing.
const LEAST: f64 = 0.5;
/// The shortest wait after a refusal.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// A pace that was named is eased by this share of it, once, where it is refused although no lower limit is named: requests
/// that are on their way for 5 to 35 ms arrive up to 3 % closer together in some second than they left. (A part of
/// that is the margin which every pace keeps.)
const EASE: f64 = 0.025;
/// And so long nothing leaves then, at most.
const MOST_ROOM: Duration = Duration::from_secs(1);
/// A refusal so soon after the last one is no accident.
const AGAIN: Duration = Duration::from_secs(3);
/// Tries in vain that show that the window is a longer one.
const ENOUGH_TRIES: usize = 4;
/// A count that is cut to less than this share of it is cut by much.
const MUCH: f64 = 0.8;
/// How many windows a count that was cut by much is to hold before more is tried.
const PROBATION: u32 = 3;
/// The shortest time between two tries.
const SHORTEST_TRY: Duration = Duration::from_millis(250);
/// A window is taken to be so much longer than it is: two clocks are never quite the same.
const MARGIN: Duration = Duration::from_millis(5);

/// A limit of the service's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Requests.
    pub count: u32,
    /// In so long a time.
    pub window: Duration,
}

impl Limit {
    /// The same, but not so low that the refusals more likely had another reason than a limit.
    fn at_least(self, per_second: f64) -> Self {
        let least = (per_second * self.window.as_secs_f64()).ceil();
        Self {
            count: self.count.max(least as u32),
            ..self
        }
    }

    fn per_second(self) -> f64 {
        f64::from(self.count) / self.window.as_secs_f64()
    }
}

/// The pace of a lane, and how many requests it lets into flight.
#[derive(Debug)]
pub struct Adaptive {
    asked: Rate,
    burst: NonZeroU32,
    concurrency: usize,
    pace: Pace,
    /// When requests left, of the window that is counted.
    left: VecDeque<Duration>,
    phase: Phase,
    /// When requests left that were admitted, of the last windows.
    admitted: VecDeque<Duration>,
    /// How many were admitted in all.
    total: u64,
    /// When the first request left.
    began: Option<Duration>,
    /// When the request left that last showed the lane to be open again.
    opened: Option<Duration>,
    /// How many were admitted since.
    since_opened: u64,
    /// When its answer came.
    shown_open: Option<Duration>,
    /// Requests without an answer.
    in_flight: usize,
    latency: Latency,
    room: Room,
    /// Whether nobody has said what the service admits: until something is refused, no more are let into flight than
    /// have shown to be admitted, and every refusal is learnt from. Otherwise only a limit that the gateway names is.
    finds_limit: bool,
    /// When the pace that was named was refused and has been eased.
    eased: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing was refused yet.
    Unlimited,
    /// Something was refused, and nothing was admitted that left later.
    Shut(Episode),
    /// A limit is known.
    Known(Known),
}

#[derive(Clone, Copy, Debug)]
struct Episode {
    /// When the first request that was refused had left.
    first_refused: Duration,
    /// When the last request had left of those that were in flight then and refused.
    last_refused: Duration,
    /// When the last refusal came that belongs to it; what left before does as well.
    since: Duration,
    /// When the last request had left that was admitted before.
    last_admitted: Duration,
    /// How many were refused.
    refusals: u32,
    /// How often it was tried in vain whether the lane is open.
    tries: usize,
    /// How long after the last that was admitted another one was still refused.
    in_vain: Duration,
    told: Option<Limit>,
    retry_after: Option<Duration>,
    /// What was known before.
    before: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    limit: Limit,
    /// How long it is to be quiet before more is tried.
    quiet: Duration,
    /// When it is.
    climbs_at: Duration,
    /// How many were admitted beyond the count since it is tried.
    tried: u32,
    /// The count before that.
    foot: u32,
    /// The count by which the pace was set.
    paced: u32,
    /// Whether it is one that a climb came to, or the first, and no two windows have shown yet.
    trial: bool,
    /// Whether it was cut by much, and is soon tried again.
    on_probation: bool,
    /// Whether what a climb came to was not admitted again: it had been saved up.
    saved_up: bool,
}

impl Known {
    /// Whether it is on trial because a climb came to it.
    fn climbed(self) -> bool {
        self.trial && self.foot < self.limit.count
    }
}

/// How long answers take, of late, in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Latency {
    mean: f64,
    /// How far they lie from it on average.
    deviation: f64,
    seen: u32,
}

impl Latency {
    fn see(&mut self, latency: Duration) {
        let latency = latency.as_secs_f64();
        self.seen = self.seen.saturating_add(1);
        // The first ones count fully, as in any mean.
        let share = (1.0 / f64::from(self.seen)).max(1.0 / 64.0);
        self.mean += share * (latency - self.mean);
        self.deviation += share * ((latency - self.mean).abs() - self.deviation);
    }

    /// How much earlier than others a request may arrive; a small part of `window` at most.
    fn jitter(self, window: Duration) -> Duration {
        let seconds = (4.0 * self.deviation - 0.01).clamp(0.0, window.as_secs_f64() / 20.0);
        Duration::from_secs_f64(seconds)
    }
}

impl Adaptive {
    /// A pace of `asked` at most, with `burst` at once after a quiet time and `concurrency` in flight at most; all of
    /// them from the beginning, unless it `finds_limit`.
    pub fn new(asked: Rate, burst: NonZeroU32, concurrency: usize, finds_limit: bool) -> Self {
        Self {
            asked,
            burst,
            concurrency,
            pace: Pace::new(asked, burst),
            left: VecDeque::new(),
            phase: Phase::Unlimited,
            admitted: VecDeque::new(),
            total: 0,
            began: None,
            opened: None,
            since_opened: 0,
            shown_open: None,
            in_flight: 0,
            latency: Latency::default(),
            room: Room::new(concurrency),
            finds_limit,
            eased: None,
        }
    }

    /// Takes a permit at `now`, for work that is waiting.
    pub fn take(&mut self, now: Duration) -> Permit {
        if let Some(at) = self.counted(now) {
            return Permit::NotBefore(at);
        }
        let permit = self.pace.take(now);
        if permit == Permit::Granted {
            self.began.get_or_insert(now);
            self.in_flight += 1;
            if let Phase::Known(_) = self.phase {
                self.left.push_back(now);
            }
        }
        permit
    }

    /// Nothing is waiting.
    pub fn idle(&mut self) {
        self.pace.idle();
    }

    /// Requests a second, on average, at present.
    pub fn per_second(&self) -> f64 {
        let asked = self.asked.per_second();
        match self.phase {
            Phase::Known(known) => known.limit.per_second().min(asked),
            Phase::Unlimited | Phase::Shut(_) => asked,
        }
    }

    /// The time between two requests, on average, at present.
    pub fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second())
    }

    /// How many requests may be in flight at present.
    pub fn slots(&self) -> usize {
        let slots = match self.phase {
            Phase::Unlimited if !self.finds_limit => return self.concurrency,
            Phase::Unlimited => {
                let shown = self.total / ADMITTED_PER_SLOT;
                FIRST_SLOTS.max(usize::try_from(shown).unwrap_or(usize::MAX))
            }
            // Whether the lane is open one request shows as well as many.
            Phase::Shut(_) => 1,
            // Little's law, with room for answers that take longer than others.
            Phase::Known(_) => {
                let span = self.latency.mean + 2.0 * self.latency.deviation;
                (self.per_second() * HASTE * span) as usize + 2
            }
        };
        slots.min(self.room.most()).clamp(1, self.concurrency)
    }

    /// A request was answered by nobody who counts, or not at all.
    pub fn unanswered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request that left at `sent` was admitted. Gives the rate if that shows another one.
    pub fn admitted(&mut self, now: Duration, sent: Duration) -> Option<f64> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let latency = now.saturating_sub(sent);
        self.latency.see(latency);
        self.room.see(now, latency);
        self.total += 1;
        if !self.finds_limit && matches!(self.phase, Phase::Unlimited) {
            // Nothing will be learnt from it: a lower limit would be named.
            return None;
        }
        self.admitted.push_back(sent);
        self.forget(now);
        self.since_opened += 1;
        match self.phase {
            Phase::Shut(episode) if sent > episode.since => {
                self.open(now, sent, episode);
                matches!(self.phase, Phase::Known(_)).then(|| self.per_second())
            }
            Phase::Shut(_) | Phase::Unlimited | Phase::Known(_) => None,
        }
    }

    /// A request that left at `sent` was refused, with what the answer says about the limit. Gives how long nothing is
    /// to leave, if it has an opinion.
    pub fn refused(
        &mut self,
        now: Duration,
        sent: Duration,
        told: Option<Limit>,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let retry_after = retry_after.filter(|asked| !asked.is_zero());
        let mut episode = match self.phase {
            // Whoever named a pace is believed until the gateway names a lower limit: a guess could be far too low.
            Phase::Unlimited
                if !self.finds_limit && told.is_none_or(|told| self.is_named(told)) =>
            {
                let room = self.ease(now, sent, told);
                return room.filter(|_| retry_after.is_none());
            }
            Phase::Shut(episode) if sent <= episode.since => episode,
            Phase::Shut(episode) => Episode {
                tries: episode.tries + 1,
                in_vain: sent.saturating_sub(episode.last_admitted),
                ..episode
            },
            Phase::Unlimited | Phase::Known(_) => Episode {
                first_refused: sent,
                last_refused: sent,
                since: now,
                last_admitted: self.admitted.iter().copied().max().unwrap_or(sent),
                refusals: 0,
                tries: 0,
                in_vain: Duration::ZERO,
                told: None,
                retry_after: None,
                before: match self.phase {
                    Phase::Known(known) => Some(known),
                    Phase::Unlimited | Phase::Shut(_) => None,
                },
            },
        };
        episode.since = now;
        episode.refusals += 1;
        episode.told = told.or(episode.told);
        episode.retry_after = retry_after.or(episode.retry_after);
        episode.first_refused = episode.first_refused.min(sent);
        if episode.tries == 0 {
            episode.last_refused = episode.last_refused.max(sent);
        }
        self.phase = Phase::Shut(episode);
        Some(retry_after.unwrap_or_else(|| self.wait(now, episode)))
    }

    /// Whether `limit` is the pace that was named, or more.
    fn is_named(&self, limit: Limit) -> bool {
        limit.per_second() > self.asked.per_second() * (1.0 - EASE)
    }

    /// Lets requests leave a little slower from now on, once. Gives how long nothing is to leave, so that the window of now
    /// gets the room that later ones will have: nothing more for those that had left by then, no opinion on later ones.
    fn ease(&mut self, now: Duration, sent: Duration, told: Option<Limit>) -> Option<Duration> {
        if let Some(eased) = self.eased {
            return (sent <= eased).then_some(Duration::ZERO);
        }
        self.eased = Some(now);
        self.pace = Pace::at(self.asked.per_second() * (1.0 - EASE), self.burst);
        self.pace.charge(now, self.burst);
        let window = told.map_or(self.asked.window(), |told| told.window);
        Some(window.mul_f64(EASE).min(MOST_ROOM))
    }

    /// How long to wait where nobody says.
    fn wait(&self, now: Duration, episode: Episode) -> Duration {
        let window = match (episode.told, episode.before) {
            (Some(told), _) => told.window,
            (None, Some(known)) => known.limit.window,
            (None, None) => WINDOWS[0],
        };
        let long = episode.told.is_some() && window > WINDOWS[1];
        // Who was refused again at once had opened the lane too soon.
        let too_soon = episode.before.is_some_and(|known| {
            episode.told.is_none() && self.since_opened * 4 < u64::from(known.limit.count)
        });
        let at = match episode.tries {
            _ if too_soon => now + window,
            // Where in a long window it is, nobody says: it may end soon.
            tries if long && episode.before.is_none() => {
                episode.last_admitted + window / 4 * (tries as u32 + 1)
            }
            // A window is free again when the first that counts in it has left it.
            0 => {
                let until = episode.first_refused;
                let mut counted = self.admitted.iter().filter(|at| **at + window > until);
                let oldest = counted.next().copied().unwrap_or(until);
                oldest + window + MARGIN
            }
            // Windows may stand where they are, and somebody else may have filled this one.
            tries if episode.told.is_some() || episode.before.is_some() => {
                now + (window / 8 * tries as u32).max(SHORTEST_TRY)
            }
            tries => {
                let seconds = match TRIES.get(tries - 1) {
                    Some(seconds) => *seconds,
                    None => 60.0 * (tries + 1 - TRIES.len()) as f64,
                };
                episode.last_admitted + Duration::from_secs_f64(seconds)
            }
        };
        at.saturating_sub(now).max(SHORTEST_WAIT)
    }

    /// Somebody was admitted again, whose request left at `sent`: now the limit can be told.
    fn open(&mut self, now: Duration, sent: Duration, episode: Episode) {
        self.opened = Some(sent);
        let is_new = episode.before.is_none() && episode.told.is_none();
        let last = self.shown_open.replace(now);
        let is_again = last.is_some_and(|last| now.saturating_sub(last) < AGAIN);
        if is_new && episode.refusals == 1 && !is_again {
            // One alone may have been refused for whatever reason: a limit shows again at once.
            self.phase = Phase::Unlimited;
            return;
        }
        let limit = self.learn(sent, episode);
        let limit = match episode.told {
            Some(_) => limit,
            None => limit.at_least(LEAST),
        };
        // A climb that gained nothing is not tried again so soon.
        let quiet = match episode.before {
            Some(known) if known.on_probation || now < known.climbs_at => known.quiet,
            Some(known) if limit.count <= known.foot + known.foot / 10 => {
                (known.quiet * 2).min(LONGEST_QUIET)
            }
            Some(_) | None => QUIET,
        };
        let was_cut = episode.before.is_some_and(|known| {
            f64::from(limit.count) < MUCH * f64::from(known.limit.count)
                // A trial that fails was no limit, unless next to nothing was admitted.
                && (!known.trial || limit.count <= known.limit.count / 2)
                && episode.first_refused < known.climbs_at
        });
        let trial = match episode.before {
            Some(known) => known.tried > 0 && limit.count > known.foot,
            None => episode.told.is_none() && limit.window < WINDOWS[1],
        };
        self.phase = Phase::Known(Known {
            limit,
            quiet,
            climbs_at: now
                + match was_cut {
                    // What was refused for another reason comes back soon.
                    true => limit.window * PROBATION,
                    // To try in vain may cost a whole window.
                    false => quiet.max(limit.window * 10),
                },
            tried: 0,
            foot: match trial {
                true => episode.before.map_or(limit.count, |known| known.foot),
                false => limit.count,
            },
            paced: limit.count,
            trial,
            on_probation: was_cut,
            saved_up: episode.before.is_some_and(|known| {
                known.saved_up || (known.climbed() && limit.count <= known.foot)
            }),
        });
        self.hurry(now, limit, trial);
        let counts = |at: &&Duration| **at + limit.window > now;
        let mut left: Vec<_> = self.admitted.iter().filter(counts).copied().collect();
        left.sort_unstable();
        // Who is admitted although as many have left in a window as it admits is in a new one: windows stand where they
        // are, and do not slide.
        let stands = limit.window >= WINDOWS[1] && left.len() >= limit.count as usize;
        self.left = match stands {
            true => VecDeque::from([sent]),
            false => left.into(),
        };
        self.since_opened = 1;
    }

    /// What the limit is, by what was admitted before `episode` and when somebody was again, at `sent`.
    fn learn(&self, sent: Duration, episode: Episode) -> Limit {
        let standard = |span: Duration| {
            let mut windows = WINDOWS.into_iter();
            // A moment more is the way there and back.
            let fits = |window: &Duration| window.mul_f64(1.1) + Duration::from_millis(150) >= span;
            windows.find(fits).unwrap_or(WINDOWS[4])
        };
        // Who was refused so long after all others left counts in a longer window; nobody waits an hour on a guess.
        let mut windows = WINDOWS.into_iter();
        let in_vain = match episode.tries >= ENOUGH_TRIES {
            true => episode.in_vain,
            false => Duration::ZERO,
        };
        let longer = windows.find(|window| *window > in_vain.mul_f64(1.1));
        let longer = longer.unwrap_or(WINDOWS[3]).min(WINDOWS[3]);
        let seems = match episode.retry_after {
            Some(asked) if episode.tries == 0 => standard(asked),
            Some(asked) => standard(asked).max(longer),
            None => longer,
        };
        let before = episode.before.map(|known| known.limit);
        let window = match (episode.told, before) {
            (Some(told), _) => told.window,
            (None, Some(before)) => before.window.max(seems),
            (None, None) => seems,
        };
        let until = episode.first_refused;
        let counts = |at: &&Duration| **at + window > until && **at <= until;
        let seen = self.admitted.iter().filter(counts).count();
        let seen = u32::try_from(seen).unwrap_or(u32::MAX).max(1);
        // Its own words, unless they are known and do not hold: then somebody else takes a part.
        if let Some(told) = episode.told
            && before.is_none_or(|before| before.per_second() > told.per_second() * 1.02)
        {
            return told;
        }
        // A window that had just begun and admits less than a window's worth is none: a bucket is filled all the time.
        let again = episode.told.filter(|told| before == Some(*told));
        if let Some(told) = again
            && told.window >= WINDOWS[1]
            && self.since_opened < u64::from(told.count) * 9 / 10
        {
            let count = told.per_second() as u32;
            return match count {
                0 => Limit {
                    count: 1,
                    window: told.window / told.count.max(1),
                },
                count => Limit {
                    count,
                    window: WINDOWS[0],
                },
            };
        }
        let Some(known) = episode.before.filter(|known| known.limit.window == window) else {
            // Where some are still admitted among those that are refused, a bucket is filled all the time: what it was
            // filled by meanwhile is not part of its count. (Where all that leave later are admitted, a window begins.)
            let in_order = self.latency.deviation < IN_ORDER;
            let among = |at: &Duration| *at > until && *at < episode.last_refused;
            let late = in_order && self.admitted.iter().any(among);
            let first = self.admitted.iter().filter(counts).min();
            let span = until.saturating_sub(first.copied().unwrap_or(until));
            let filled = match late {
                true => 1.0 + span.as_secs_f64() / window.as_secs_f64(),
                false => 1.0,
            };
            let count = (f64::from(seen) / filled).max(1.0) as u32;
            return Limit { count, window };
        };
        let held = known.limit.count;
        let as_counted = f64::from(seen) >= AS_COUNTED * f64::from(held);
        let climbed = episode.first_refused >= known.climbs_at;
        let count = match (as_counted, climbed) {
            // What was admitted once was not admitted again: it had been saved up.
            (_, false) if known.climbed() => known.foot.min(seen),
            // It may have been an accident.
            (false, _) => seen.max(held / 2),
            // What was admitted beyond the count may have been saved up: it was before.
            (true, true) if known.saved_up && known.quiet < LONGEST_QUIET => known.foot,
            (true, true) => held,
            (true, false) => {
                let measured = self.measured(sent, known.limit) * window.as_secs_f64();
                let least = MOST_CUT * f64::from(held);
                let most = (LEAST_CUT * f64::from(held)).min(f64::from(held) - 1.0);
                measured.clamp(least, most.max(least)).round().max(1.0) as u32
            }
        };
        Limit { count, window }
    }

    /// What was admitted from the first request on, a second, without the window's worth that every limit admits at
    /// once.
    fn measured(&self, sent: Duration, limit: Limit) -> f64 {
        let span = sent
            .saturating_sub(self.began.unwrap_or_default())
            .as_secs_f64();
        let later = self.total.saturating_sub(limit.count.into());
        later as f64 / span.max(limit.window.as_secs_f64())
    }

    /// Lets requests leave faster than `limit`, which is kept by counting.
    fn hurry(&mut self, now: Duration, limit: Limit, trial: bool) {
        let haste = match (trial, limit.window >= WINDOWS[1]) {
            (true, _) => LITTLE_HASTE,
            (false, true) => MUCH_HASTE,
            (false, false) => HASTE,
        };
        let per_second = (limit.per_second() * haste).min(self.asked.per_second());
        self.pace = Pace::at(per_second, self.burst);
        self.pace.charge(now, self.burst);
    }

    /// When the next request may leave by the count of the window, if not at `now`.
    fn counted(&mut self, now: Duration) -> Option<Duration> {
        let Phase::Known(mut known) = self.phase else {
            return None;
        };
        let opened = self.opened.unwrap_or_default();
        if known.trial && now > opened + known.limit.window * 2 {
            known.trial = false;
            known.foot = known.limit.count;
            self.phase = Phase::Known(known);
            self.hurry(now, known.limit, false);
        }
        let window = known.limit.window + MARGIN + self.latency.jitter(known.limit.window);
        while self.left.front().is_some_and(|at| *at + window <= now) {
            self.left.pop_front();
        }
        let left = self.left.len();
        if left < known.limit.count as usize {
            return None;
        }
        let free = |left: &VecDeque<Duration>, count: u32| {
            let first = left.len().checked_sub(count as usize)?;
            left.get(first).map(|at| *at + window)
        };
        let may_climb = known.limit.per_second() < self.asked.per_second();
        if now < known.climbs_at || !may_climb {
            return free(&self.left, known.limit.count);
        }
        self.climb(now, known);
        let Phase::Known(known) = self.phase else {
            return None;
        };
        // The first goes alone; then so many as the rate itself has in flight, and a few more.
        let needed = known.limit.per_second() * self.latency.mean;
        let at_once = match known.tried {
            0 => 1,
            tried => needed as usize + 1 + (tried / TRIED_ALONE).min(TRIED_AT_ONCE) as usize,
        };
        match self.in_flight < at_once {
            true => None,
            false => free(&self.left, known.limit.count),
        }
    }

    /// Counts as admitted what left beyond the count and was answered: nothing was refused meanwhile.
    fn climb(&mut self, now: Duration, mut known: Known) {
        let proven = self.left.len().saturating_sub(self.in_flight);
        let proven = u32::try_from(proven).unwrap_or(u32::MAX);
        if proven <= known.limit.count {
            return;
        }
        known.tried += proven - known.limit.count;
        known.limit.count = proven;
        if f64::from(proven) > f64::from(known.paced) * 1.05 {
            known.paced = proven;
            self.hurry(now, known.limit, false);
        }
        self.phase = Phase::Known(known);
    }

    /// Forgets what no window counts any more.
    fn forget(&mut self, now: Duration) {
        const MOST: usize = 65_536;
        let longest = match self.phase {
            Phase::Known(known) => known.limit.window.max(WINDOWS[3]),
            Phase::Unlimited | Phase::Shut(_) => WINDOWS[3],
        };
        if let Phase::Shut(_) = self.phase {
            // What is to be learnt from is still needed.
            self.admitted
                .drain(..self.admitted.len().saturating_sub(MOST));
            return;
        }
        while self.admitted.len() > MOST
            || self
                .admitted
                .front()
                .is_some_and(|at| *at + longest * 2 < now)
        {
            self.admitted.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pace(finds_limit: bool) -> Adaptive {
        let asked = "1000/s".parse().unwrap();
        Adaptive::new(asked, NonZeroU32::MIN, 64, finds_limit)
    }

    /// Sends and has admitted one request each ten milliseconds, from `from` on.
    fn admit(pace: &mut Adaptive, from: u64, count: u64) {
        for index in 0..count {
            let at = ms(from + index * 10);
            assert_eq!(pace.take(at), Permit::Granted, "{index}");
            pace.admitted(at + ms(5), at);
        }
    }

    /// Three requests that left together after half a second are refused.
    fn storm(pace: &mut Adaptive) {
        for sent in [500, 501, 502] {
            pace.refused(ms(sent + 5), ms(sent), None, Some(ms(1_000)));
        }
    }

    #[test]
    fn a_pace_that_was_named_is_eased_a_little_and_gives_way_to_a_lower_limit_that_is_named() {
        let mut pace = pace(false);
        admit(&mut pace, 0, 50);
        // All of one storm, and the gateway's own words for the same limit, ease it once. Who asks for a wait gets it.
        let same = Limit {
            count: 1_000,
            window: Duration::from_secs(1),
        };
        let a_second = Some(ms(1_000));
        for (sent, told, asked, wait) in [
            (500, None, None, Some(ms(25))),
            (501, None, a_second, None),
            (502, Some(same), None, Some(ms(0))),
            (506, None, None, None),
        ] {
            assert_eq!(pace.refused(ms(505), ms(sent), told, asked), wait, "{sent}");
        }
        assert!(pace.slots() == 64 && pace.eased == Some(ms(505)));
        let told = Limit {
            count: 600,
            window: Duration::from_secs(60),
        };
        assert!(pace.refused(ms(605), ms(600), Some(told), None).is_some());
        assert_eq!(pace.slots(), 1);
        assert_eq!(pace.admitted(ms(60_000), ms(59_990)), Some(10.0));
    }

    #[test]
    fn one_refusal_alone_is_no_limit() {
        let mut pace = pace(true);
        admit(&mut pace, 0, 50);
        assert!(pace.refused(ms(505), ms(500), None, None).is_some());
        assert_eq!(
            pace.slots(),
            1,
            "one request shows whether it is open again"
        );
        assert_eq!(pace.admitted(ms(1_200), ms(1_100)), None);
        assert_eq!(pace.per_second(), 1_000.0);
    }

    #[test]
    fn what_was_admitted_in_a_second_before_a_storm_is_the_limit() {
        let mut pace = pace(true);
        admit(&mut pace, 0, 50);
        storm(&mut pace);
        let rate = pace.admitted(ms(1_520), ms(1_510));
        assert_eq!(rate, Some(50.0));
        // And no more than that leave in any second from now on.
        let granted = (1_520..2_500).filter(|at| pace.take(ms(*at)) == Permit::Granted);
        assert!(granted.count() <= 50);
    }

    #[test]
    fn what_a_new_window_admits_after_a_storm_is_no_bucket_that_was_filled_meanwhile() {
        let mut pace = pace(true);
        admit(&mut pace, 0, 50);
        for sent in [500, 501, 502, 503] {
            pace.take(ms(sent));
        }
        storm(&mut pace);
        assert_eq!(pace.admitted(ms(508), ms(503)), None);
        assert_eq!(pace.admitted(ms(1_520), ms(1_510)), Some(50.0));
    }

    #[test]
    fn one_refusal_after_the_first_limit_was_found_brings_it_down_by_half_at_most() {
        let mut pace = pace(true);
        admit(&mut pace, 0, 50);
        storm(&mut pace);
        assert_eq!(pace.admitted(ms(1_520), ms(1_510)), Some(50.0));
        pace.refused(ms(1_530), ms(1_525), None, Some(ms(1_000)));
        assert_eq!(pace.admitted(ms(2_545), ms(2_535)), Some(25.0));
    }

    #[test]
    fn the_gateways_own_words_are_believed() {
        let mut pace = pace(true);
        admit(&mut pace, 0, 20);
        let told = Limit {
            count: 600,
            window: Duration::from_secs(60),
        };
        pace.refused(ms(205), ms(200), Some(told), None);
        assert_eq!(pace.admitted(ms(20_000), ms(19_990)), Some(10.0));
    }
}
