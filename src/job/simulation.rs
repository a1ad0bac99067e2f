//! How the simulator behaves, as `[simulator]` says.

use crate::model::rate::{self, Rate};
use crate::model::simulation::Simulation;
use crate::model::span;

use super::desk::Desk;
use super::file::Simulator;
use super::problem::Place;
use super::toml::Located;

impl Desk<'_> {
    pub(super) fn simulation(&mut self, written: &Simulator, simulated: bool) -> Simulation {
        let plain = Simulation::default();
        if let Some(span) = written.span.clone().filter(|_| !simulated) {
            self.wrong(
                Place::Job(span),
                "[simulator] in a job for a service",
                "take it out, or set simulator = true in [target]",
            );
        }
        let mut rate_limits = Vec::new();
        for limit in &written.rate_limits {
            match limit.value.parse::<Rate>() {
                Ok(rate) => rate_limits.push(rate),
                Err(fault) => self.wrong(limit.place(), fault.to_string(), rate::HINT),
            }
        }
        let mut spans = Vec::new();
        for latency in &written.latency {
            match span::parse(&latency.value) {
                Ok(span) => spans.push(span),
                Err(fault) => self.wrong(latency.place(), fault.to_string(), span::HINT),
            }
        }
        let latency = match (&spans[..], written.latency.first()) {
            ([], _) => plain.latency,
            ([one], _) => (*one, *one),
            ([least, most], _) if least <= most => (*least, *most),
            (_, first) => {
                let place = first.map_or(Place::Job(0..0), Located::place);
                let hint =
                    "write one duration, or the shortest and the longest: [\"5ms\", \"40ms\"]";
                self.wrong(place, "not a latency", hint);
                plain.latency
            }
        };
        Simulation {
            seed: written.seed.as_ref().map_or(plain.seed, |seed| seed.value),
            latency,
            rate_limits,
            clears_unsent: written
                .clears_unsent
                .as_ref()
                .map_or(plain.clears_unsent, |on| on.value),
            retry_after: written
                .retry_after
                .as_ref()
                .map_or(plain.retry_after, |on| on.value),
            faults: written.faults.clone(),
        }
    }
}
