//! How a job goes: file and flags put together.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::rate::{self, Per, Rate};
use crate::model::span;
use crate::policy::budget::{self, Budget, MaxErrors};
use crate::policy::retry::Retry;

use super::desk::Desk;
use super::file::Limits;
use super::flags::Flags;
use super::problem::Place;
use super::problems::Problems;
use super::toml::Located;

/// How a job goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Requests in flight.
    pub concurrency: usize,
    /// How fast requests may leave.
    pub rate: Rate,
    /// Requests that may leave at once after a quiet time.
    pub burst: NonZeroU32,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long the run may take.
    pub deadline: Option<Duration>,
    /// Attempts per row.
    pub max_attempts: u32,
    /// The first delay.
    pub initial_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// How long nothing may be admitted.
    pub patience: Duration,
    /// How many errors there may be.
    pub stop: Budget,
}

impl Default for Settings {
    /// Gentle, because the service publishes no limits.
    fn default() -> Self {
        const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
        Self {
            concurrency: 8,
            rate: Rate::new(FIVE, Per::Second),
            burst: NonZeroU32::MIN,
            timeout: Duration::from_secs(30),
            deadline: None,
            max_attempts: 5,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            patience: Duration::from_secs(600),
            stop: Budget::default(),
        }
    }
}

impl Settings {
    /// How rows are tried again.
    pub fn retry(&self) -> Retry {
        Retry {
            max_attempts: self.max_attempts,
            initial_delay: self.initial_delay,
            max_delay: self.max_delay,
        }
    }
}

impl Settings {
    /// The settings of a run that goes on, with what `flags` say anew; what is wrong with them is a
    /// problem. A deadline counts from now.
    pub fn again(&self, flags: &Flags, problems: &mut Problems) -> Self {
        let mut desk = Desk {
            flags,
            env: &|_| None,
            problems,
            warnings: Vec::new(),
        };
        desk.settings(&Limits::from(self))
    }
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        fn at<T>(value: T) -> Option<Located<T>> {
            Some(Located { value, span: 0..0 })
        }
        Self {
            concurrency: at(settings.concurrency as u64),
            rate: at(settings.rate),
            burst: at(settings.burst.get().into()),
            timeout: at(settings.timeout),
            deadline: settings.deadline.and_then(at),
            max_attempts: at(settings.max_attempts.into()),
            initial_delay: at(settings.initial_delay),
            max_delay: at(settings.max_delay),
            patience: at(settings.patience),
            max_errors: at(settings.stop.max_errors.to_string()),
            min_rows: at(settings.stop.min_rows),
        }
    }
}

impl Desk<'_> {
    pub(super) fn settings(&mut self, limits: &Limits) -> Settings {
        let flags = self.flags;
        let plain = Settings::default();
        let number = |located: &Option<Located<u64>>| located.as_ref().map(|number| number.value);
        let duration =
            |located: &Option<Located<Duration>>| located.as_ref().map(|span| span.value);
        self.ceiling(
            "concurrency",
            flags.concurrency.as_deref(),
            &limits.concurrency,
            1_024,
        );
        self.ceiling("burst", flags.burst.as_deref(), &limits.burst, 1_000);
        let concurrency = self
            .flag_number("--concurrency", flags.concurrency.as_deref(), 1)
            .or(number(&limits.concurrency))
            .map_or(plain.concurrency, |number| {
                usize::try_from(number).unwrap_or(usize::MAX)
            });
        let burst = self
            .flag_number("--burst", flags.burst.as_deref(), 1)
            .or(number(&limits.burst))
            .map_or(plain.burst, |number| {
                NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(plain.burst)
            });
        let rate = self
            .flag("--rate", flags.rate.as_deref(), rate::HINT, |text| {
                text.parse::<Rate>().map_err(|fault| fault.to_string())
            })
            .or(limits.rate.as_ref().map(|rate| rate.value));
        let max_attempts = self
            .flag_number("--max-attempts", flags.max_attempts.as_deref(), 1)
            .or(number(&limits.max_attempts))
            .map_or(plain.max_attempts, |number| {
                u32::try_from(number).unwrap_or(u32::MAX)
            });
        let max_errors = match (&flags.max_errors, &limits.max_errors) {
            (Some(text), _) => {
                let place = Place::Flag(format!("--max-errors {text}"));
                self.max_errors(place, text)
            }
            (None, Some(located)) => self.max_errors(located.place(), &located.value),
            (None, None) => None,
        };
        let max_delay = duration(&limits.max_delay).unwrap_or(plain.max_delay);
        let initial_delay = duration(&limits.initial_delay).unwrap_or(plain.initial_delay);
        if let Some(located) = limits
            .initial_delay
            .as_ref()
            .filter(|_| initial_delay > max_delay)
        {
            let hint = format!("max_delay is {}", span::show(max_delay));
            self.wrong(
                located.place(),
                "initial_delay is longer than max_delay",
                hint,
            );
        }
        let timeout = self
            .flag_span("--timeout", flags.timeout.as_deref())
            .or(duration(&limits.timeout))
            .unwrap_or(plain.timeout);
        if timeout.is_zero() {
            let place = limits.timeout.as_ref().map(Located::place);
            let place = place.unwrap_or_else(|| Place::Flag("--timeout".to_owned()));
            self.wrong(
                place,
                "the timeout is zero, so no answer would be in time",
                span::HINT,
            );
        }
        Settings {
            concurrency,
            rate: rate.unwrap_or(plain.rate),
            burst,
            timeout,
            deadline: self
                .flag_span("--deadline", flags.deadline.as_deref())
                .or(duration(&limits.deadline)),
            max_attempts,
            initial_delay,
            max_delay,
            patience: duration(&limits.patience).unwrap_or(plain.patience),
            stop: Budget {
                max_errors: max_errors.unwrap_or(plain.stop.max_errors),
                min_rows: number(&limits.min_rows).unwrap_or(plain.stop.min_rows),
            },
        }
    }

    /// Refuses a number that no service would bear.
    fn ceiling(
        &mut self,
        name: &str,
        flag: Option<&str>,
        written: &Option<Located<u64>>,
        most: u64,
    ) {
        let (place, number) = match (flag, written) {
            (Some(text), _) => (
                Place::Flag(format!("--{name} {text}")),
                text.trim().parse().ok(),
            ),
            (None, Some(located)) => (located.place(), Some(located.value)),
            (None, None) => return,
        };
        if number.is_some_and(|number: u64| number > most) {
            let what = format!("{name} is more than {most}");
            self.wrong(
                place,
                what,
                format!("write a whole number from 1 to {most}"),
            );
        }
    }

    pub(super) fn max_errors(&mut self, place: Place, text: &str) -> Option<MaxErrors> {
        let text = text.trim();
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(MaxErrors::Percent),
            None => text.parse().ok().map(MaxErrors::Count),
        };
        if parsed.is_none() {
            self.wrong(
                place,
                "neither a number nor a percentage of errors",
                budget::HINT,
            );
        }
        parsed
    }
}
