//! How a run goes, by its settings.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::engine::run::Course;
use crate::engine::schedule::Rules;
use crate::error::Error;
use crate::job::flags::Snapshot;
use crate::job::intent::Job;
use crate::job::settings::Settings;
use crate::model::span;
use crate::plan::decision::Terms;

use super::environment;

/// How a run with `settings` goes by so many lanes, with at most so many requests in parallel by each, on these `terms`, until its `deadline`, or until the clock shows `stop_at`.
pub(super) fn course(
    settings: &Settings,
    (lanes, concurrency): (usize, usize),
    terms: Terms,
    (deadline, stop_at): (Option<Duration>, Option<Timestamp>),
) -> Course {
    Course {
        rules: Rules {
            concurrency,
            rate: settings.rate,
            finds_limit: settings.finds_limit,
            burst: settings.burst,
            retry: settings.retry(),
            budget: settings.stop,
            patience: settings.patience,
            deadline,
            terms,
            max_age: settings.max_age,
            canaries: settings.snapshot == Snapshot::Required,
            confirm_within: settings.confirm_within,
            allow_cleared: settings.allow_cleared,
        },
        lanes,
        timeout: settings.timeout,
        stop_at,
    }
}

/// By what terms rows are compared with the live state, where the service's clock shows `service_time`.
pub(super) fn terms(settings: &Settings, service_time: Timestamp) -> Terms {
    let since = |recent| {
        let recent = SignedDuration::try_from(recent).ok()?;
        service_time.checked_sub(recent).ok()
    };
    Terms {
        sent: settings.send,
        // A time before all times leaves nothing alone that could be told from the rest.
        untouched_since: settings
            .leave_recent
            .map(|recent| since(recent).unwrap_or(Timestamp::MIN)),
    }
}

/// After how long from `now` a session starts nothing new any more, in a process that `began` a while ago: by the deadline or by
/// a clock of `zone`, whichever comes first.
pub(super) fn deadline(
    settings: &Settings,
    zone: &TimeZone,
    began: Timestamp,
    now: Timestamp,
) -> Option<Duration> {
    let by_clock =
        stop_at(settings, zone, began).map(|at| Duration::try_from(at.duration_since(now)));
    // Whoever waited beyond it has no time left.
    let by_clock = by_clock.map(Result::unwrap_or_default);
    [settings.deadline, by_clock].into_iter().flatten().min()
}

/// When a process that `began` then starts nothing new any more, by a clock of `zone`.
pub(super) fn stop_at(settings: &Settings, zone: &TimeZone, began: Timestamp) -> Option<Timestamp> {
    settings.stop_at.and_then(|at| at.next(began, zone))
}

/// For people: when a session that has so much time `left` starts nothing new any more.
pub(super) fn last_start(zone: &TimeZone, now: Timestamp, left: Duration) -> String {
    let in_words = format!("in {}", span::show(left));
    let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::MAX);
    match now.checked_add(left) {
        Ok(at) => {
            let at = at.to_zoned_datetime(zone.clone());
            format!("at {}, {in_words}", at.strftime("%F %T %:z"))
        }
        Err(_) => in_words,
    }
}

/// Where the clock of this machine stands, for what a command goes by.
///
/// # Errors
/// `TZ` names no zone: it would count as UTC.
pub(super) fn local_zone() -> Result<TimeZone, Error> {
    match (TimeZone::try_system(), environment("TZ")) {
        (Ok(zone), _) => Ok(zone),
        (Err(_), Some(name)) => Err(Error::Usage {
            what: format!("environment variable TZ: no time zone is called {name:?} here"),
            hint: "write a name such as TZ=Europe/Berlin, or install tzdata".to_owned(),
        }),
        // A machine without a zone of its own is at UTC.
        (Err(_), None) => Ok(TimeZone::UTC),
    }
}

/// Refuses a job that goes by a clock of this machine whose zone is not known.
///
/// # Errors
/// `TZ` names no zone.
pub(super) fn check_zone(job: &Job) -> Result<(), Error> {
    match job.settings.stop_at.is_some() && job.time_zone.is_none() {
        true => local_zone().map(|_| ()),
        false => Ok(()),
    }
}

/// Where the clock stands that `job` goes by.
pub(super) fn zone(job: &Job) -> TimeZone {
    let named = job.time_zone.as_deref().map(TimeZone::get);
    // A name that is none here is a problem of the job.
    named.and_then(Result::ok).unwrap_or_else(TimeZone::system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_deadline_and_clock_holds() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
        let left = |stop_at: Option<&str>, after: Option<Duration>, now: &str| {
            let settings = Settings {
                deadline: after,
                stop_at: stop_at.map(|at| at.parse().unwrap()),
                ..Settings::default()
            };
            let began = "2026-11-24T02:00:00Z".parse().unwrap();
            deadline(&settings, &berlin, began, now.parse().unwrap())
        };
        let now = "2026-11-24T02:00:00Z";
        assert_eq!(left(None, None, now), None);
        assert_eq!(left(Some("06:00"), None, now), hours(3));
        assert_eq!(left(Some("06:00"), hours(2), now), hours(2));
        assert_eq!(left(Some("06:00"), hours(4), now), hours(3));
        // Who waited for another run until then does not go on until the next morning.
        let late = left(Some("06:00"), hours(4), "2026-11-24T05:00:01Z");
        assert_eq!(late, Some(Duration::ZERO));
    }
}
