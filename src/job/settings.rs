//! How a job goes: file and flags put together.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::daytime::{self, Daytime, DaytimeFault};
use crate::model::field::{Field, FieldSet};
use crate::model::rate::{self, Per, Rate, Wanted};
use crate::model::span;
use crate::model::update::Sent;
use crate::policy::budget::{self, Budget, Most};
use crate::policy::ceiling::Ceilings;
use crate::policy::retry::Retry;

use super::desk::Desk;
use super::file::Limits;
use super::flags::{Flags, Snapshot};
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
    /// Whether the service's own limit is found, where it is lower.
    #[serde(default)]
    pub finds_limit: bool,
    /// Requests that may leave at once after a quiet time.
    pub burst: NonZeroU32,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long the run may take.
    pub deadline: Option<Duration>,
    /// How long ago a workflow must have been changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_recent: Option<Duration>,
    /// When it is to stop, by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<Daytime>,
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
    /// What a plan may come to.
    #[serde(default)]
    pub ceilings: Ceilings,
    /// Whether the live state is read first.
    #[serde(default)]
    pub snapshot: Snapshot,
    /// Whether every row must be one that can be carried out.
    #[serde(default)]
    pub strict: bool,
    /// Whether every guard must hold, because a plan was saved.
    #[serde(default)]
    pub must_hold: bool,
    /// How old it may be when an update leaves by it.
    #[serde(default = "ten_minutes")]
    pub max_age: Duration,
    /// Which fields an update holds.
    #[serde(default)]
    pub send: Sent,
    /// Fields that an update may clear by leaving them out.
    #[serde(default)]
    pub allow_cleared: FieldSet,
    /// How long a confirmed update may take to show.
    #[serde(default = "ten_seconds")]
    pub confirm_within: Duration,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

impl Default for Settings {
    /// Gentle, because the service publishes no limits.
    fn default() -> Self {
        const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
        Self {
            concurrency: 8,
            rate: Rate::new(FIVE, Per::Second),
            finds_limit: false,
            burst: NonZeroU32::MIN,
            timeout: Duration::from_secs(30),
            deadline: None,
            leave_recent: None,
            stop_at: None,
            max_attempts: 5,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            patience: Duration::from_secs(600),
            stop: Budget::default(),
            ceilings: Ceilings::default(),
            snapshot: Snapshot::default(),
            strict: false,
            must_hold: false,
            max_age: ten_minutes(),
            send: Sent::default(),
            allow_cleared: FieldSet::default(),
            confirm_within: ten_seconds(),
        }
    }
}

impl Settings {
    /// How fast requests are to leave, as somebody wrote it.
    pub fn wanted(&self) -> Wanted {
        match self.finds_limit {
            true => Wanted::Auto,
            false => Wanted::At(self.rate),
        }
    }

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
            rate: at(settings.wanted()),
            burst: at(settings.burst.get().into()),
            timeout: at(settings.timeout),
            deadline: settings.deadline.and_then(at),
            leave_recent: settings.leave_recent.and_then(at),
            stop_at: settings.stop_at.and_then(at),
            max_attempts: at(settings.max_attempts.into()),
            initial_delay: at(settings.initial_delay),
            max_delay: at(settings.max_delay),
            patience: at(settings.patience),
            max_errors: at(settings.stop.max_errors.to_string()),
            min_rows: at(settings.stop.min_rows),
            max_changes: settings
                .ceilings
                .max_changes
                .map(|most| most.to_string())
                .and_then(at),
            max_disables: settings
                .ceilings
                .max_disables
                .map(|most| most.to_string())
                .and_then(at),
            max_age: at(settings.max_age),
            send: at(settings.send),
            allow_cleared: settings
                .allow_cleared
                .iter()
                .filter_map(|field| at(field.to_string()))
                .collect(),
            confirm_within: at(settings.confirm_within),
            is_implied: settings.ceilings.is_implied,
            snapshot: settings.snapshot,
            strict: settings.strict,
            must_hold: settings.must_hold,
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
                text.parse::<Wanted>().map_err(|fault| fault.to_string())
            })
            .or(limits.rate.as_ref().map(|rate| rate.value));
        let (rate, finds_limit) = rate.unwrap_or(Wanted::At(plain.rate)).settled();
        let max_attempts = self
            .flag_number("--max-attempts", flags.max_attempts.as_deref(), 1)
            .or(number(&limits.max_attempts))
            .map_or(plain.max_attempts, |number| {
                u32::try_from(number).unwrap_or(u32::MAX)
            });
        let max_errors = self.most("max-errors", &flags.max_errors, &limits.max_errors);
        let ceilings = Ceilings {
            max_changes: self.most("max-changes", &flags.max_changes, &limits.max_changes),
            max_disables: self.most("max-disables", &flags.max_disables, &limits.max_disables),
            is_implied: limits.is_implied && flags.max_disables.is_none(),
        };
        let snapshot = flags.snapshot.unwrap_or(limits.snapshot);
        let send = flags.send.or(limits.send.as_ref().map(|send| send.value));
        let leave_recent = self
            .flag_span("--leave-recent", flags.leave_recent.as_deref())
            .or(duration(&limits.leave_recent));
        if snapshot == Snapshot::Off {
            self.refuse_blind(limits, ceilings, send);
            if leave_recent.is_some() {
                let place = limits.leave_recent.as_ref().map(Located::place);
                self.wrong(
                    place.unwrap_or_else(|| Place::Flag("--snapshot off".to_owned())),
                    "leave_recent needs the live state, which --snapshot off does not read",
                    "leave --snapshot off out, or the other",
                );
            }
        }
        let allow_cleared = self.allow_cleared(limits);
        let confirm_within = self
            .flag_span("--confirm-within", flags.confirm_within.as_deref())
            .or(duration(&limits.confirm_within));
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
            rate,
            finds_limit,
            burst,
            timeout,
            deadline: self
                .flag_span("--deadline", flags.deadline.as_deref())
                .or(duration(&limits.deadline)),
            leave_recent,
            stop_at: self
                .flag(
                    "--stop-at",
                    flags.stop_at.as_deref(),
                    daytime::HINT,
                    |text| {
                        text.parse()
                            .map_err(|fault: DaytimeFault| fault.to_string())
                    },
                )
                .or(limits.stop_at.as_ref().map(|at| at.value)),
            max_attempts,
            initial_delay,
            max_delay,
            patience: duration(&limits.patience).unwrap_or(plain.patience),
            stop: Budget {
                max_errors: max_errors.unwrap_or(plain.stop.max_errors),
                min_rows: number(&limits.min_rows).unwrap_or(plain.stop.min_rows),
            },
            ceilings,
            snapshot,
            strict: flags.strict || limits.strict,
            must_hold: limits.must_hold && !flags.allow_drift,
            max_age: duration(&limits.max_age).unwrap_or(plain.max_age),
            send: send.unwrap_or(plain.send),
            allow_cleared,
            confirm_within: confirm_within.unwrap_or(plain.confirm_within),
        }
    }

    /// Fields that an update may clear: those of the flags, or else as written.
    fn allow_cleared(&mut self, limits: &Limits) -> FieldSet {
        let of_flags = self.flags.allow_cleared.iter().flat_map(|text| {
            let place = Place::Flag(format!("--allow-cleared {text}"));
            text.split(',')
                .map(move |name| (place.clone(), name.trim().to_owned()))
        });
        let mut told: Vec<_> = of_flags.collect();
        if told.is_empty() {
            let written = limits.allow_cleared.iter();
            told.extend(written.map(|name| (name.place(), name.value.trim().to_owned())));
        }
        let mut fields = FieldSet::default();
        for (place, name) in told {
            match Field::from_name(&name) {
                Some(field) => fields.insert(field),
                None => {
                    let hint =
                        format!("write some of {}", Field::ALL.map(Field::as_str).join(", "));
                    self.wrong(place, format!("no field is called {name:?}"), hint);
                }
            }
        }
        fields
    }

    /// Refuses a number that no service would bear.
    pub(super) fn ceiling(
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

    /// A ceiling without a plan would hold nothing back.
    fn refuse_blind(&mut self, limits: &Limits, ceilings: Ceilings, send: Option<Sent>) {
        let hint = "leave --snapshot off out, or the other";
        let flag = || Place::Flag("--snapshot off".to_owned());
        if ceilings.is_set() {
            let place = limits.max_changes.as_ref().or(limits.max_disables.as_ref());
            self.wrong(
                place.map_or_else(flag, Located::place),
                "max_changes and max_disables need the live state, which --snapshot off does not read",
                hint,
            );
        }
        if send == Some(Sent::Full) {
            let place = limits.send.as_ref().map(Located::place);
            self.wrong(
                place.unwrap_or_else(flag),
                "send = \"full\" needs the live state, which --snapshot off does not read",
                hint,
            );
        }
    }

    /// A number or a percentage, by the flag `name` or as written.
    fn most(
        &mut self,
        name: &str,
        flag: &Option<String>,
        written: &Option<Located<String>>,
    ) -> Option<Most> {
        let (place, text) = match (flag, written) {
            (Some(text), _) => (Place::Flag(format!("--{name} {text}")), text),
            (None, Some(located)) => (located.place(), &located.value),
            (None, None) => return None,
        };
        let what = match name {
            "max-errors" => "errors",
            "max-changes" => "changes",
            _ => "disables",
        };
        let text = text.trim();
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Most::Percent),
            None => text.parse().ok().map(Most::Count),
        };
        if parsed.is_none() {
            self.wrong(
                place,
                format!("neither a number nor a percentage of {what}"),
                budget::HINT,
            );
        }
        parsed
    }
}
