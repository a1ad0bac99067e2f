//! How a run goes, by its settings.

use crate::engine::run::Course;
use crate::engine::schedule::Rules;
use crate::job::flags::Snapshot;
use crate::job::settings::Settings;

/// How a run with `settings` goes by so many lanes.
pub(super) fn course(settings: &Settings, lanes: usize) -> Course {
    Course {
        rules: Rules {
            concurrency: settings.concurrency,
            rate: settings.rate,
            finds_limit: settings.finds_limit,
            burst: settings.burst,
            retry: settings.retry(),
            budget: settings.stop,
            patience: settings.patience,
            deadline: settings.deadline,
            sent: settings.send,
            max_age: settings.max_age,
            trial: settings.snapshot == Snapshot::Required,
        },
        lanes,
        timeout: settings.timeout,
    }
}
