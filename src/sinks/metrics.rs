//! A run's figures for Prometheus: a file for the node exporter's textfile collector.
//!
//! Source: the [text exposition format](https://prometheus.io/docs/instrumenting/exposition_formats/), which the
//! collector reads without time stamps.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::outcome::Status;

use super::summary::Summary;

/// What a metric tells, and how it is called.
const LAST_SUCCESS: (&str, &str) = (
    "flowbatch_last_success_timestamp_seconds",
    "When a run of the job, not simulated, last ended with exit code 0.",
);

const FINISHED: (&str, &str) = (
    "flowbatch_run_finished_timestamp_seconds",
    "When the job's last run ended.",
);
const EXIT_CODE: (&str, &str) = (
    "flowbatch_run_exit_code",
    "What the job's last run returned; 0 is a success.",
);

/// The figures of the run that `summary` sums up. What `earlier`, the file of an
/// earlier run, says of the job's last success is kept unless this is one.
pub fn metrics_text(summary: &Summary, earlier: &str) -> String {
    let job = label(&summary.job.name);
    let mut text = String::new();
    let mut gauge = |(name, help): (&str, &str), values: &[(String, String)]| {
        if values.is_empty() {
            return;
        }
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{{job=\"{job}\"{labels}}} {value}");
        }
    };
    let one = |value: String| vec![(String::new(), value)];
    let success = match summary.exit_code {
        0 if !summary.simulated => summary.finished_at.map(seconds),
        _ => last_success(&job, earlier).map(str::to_owned),
    };
    gauge(LAST_SUCCESS, &success.map(one).unwrap_or_default());
    let finished = summary.finished_at.map(seconds).map(one);
    gauge(FINISHED, &finished.unwrap_or_default());
    let span = |ms| format!("{:.3}", Duration::from_millis(ms).as_secs_f64());
    gauge(
        (
            "flowbatch_run_duration_seconds",
            "How long the job's last run worked: all its sessions, without the time between them and at questions.",
        ),
        &one(span(summary.took_ms)),
    );
    gauge(EXIT_CODE, &one(summary.exit_code.to_string()));
    gauge(
        (
            "flowbatch_run_simulated",
            "1 where nothing left this machine.",
        ),
        &one(u8::from(summary.simulated).to_string()),
    );
    let counts = &summary.counts;
    let rows = Status::ALL.map(|status| {
        let labels = format!(",status=\"{status}\"");
        (labels, counts.tally.of(status).to_string())
    });
    gauge(
        (
            "flowbatch_run_rows",
            "Rows of the job's last run, by how they ended.",
        ),
        &rows,
    );
    gauge(
        (
            "flowbatch_run_rows_differing",
            "Rows of the job's last run that succeeded and that the service shows with other values than were sent.",
        ),
        &one(counts.tally.differs.to_string()),
    );
    gauge(
        (
            "flowbatch_run_attempts",
            "Updates that the job's last run sent.",
        ),
        &one(counts.tally.attempts.to_string()),
    );
    gauge(
        (
            "flowbatch_run_throttled_requests",
            "Requests of the job's last run that the service throttled, readings among them.",
        ),
        &one(counts.tally.throttled.to_string()),
    );
    gauge(
        (
            "flowbatch_run_throttled_seconds",
            "How long the job's last run waited because it was throttled.",
        ),
        &one(span(summary.paused_ms)),
    );
    text
}

/// The figures of a run of `job` that ended `at` with `exit_code` before there was anything to record.
pub fn unbegun_metrics(job: &str, exit_code: u8, at: Timestamp, earlier: &str) -> String {
    let job = label(job);
    let mut text = String::new();
    let mut gauge = |(name, help): (&str, &str), value: &str| {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{job=\"{job}\"}} {value}"
        );
    };
    let now = seconds(at);
    let success = match exit_code {
        0 => Some(now.as_str()),
        _ => last_success(&job, earlier),
    };
    if let Some(success) = success {
        gauge(LAST_SUCCESS, success);
    }
    gauge(FINISHED, &now);
    gauge(EXIT_CODE, &exit_code.to_string());
    text
}

/// Which job the metrics `earlier` are about.
pub fn earlier_job(earlier: &str) -> Option<String> {
    let labels = earlier
        .lines()
        .find_map(|line| line.strip_prefix(EXIT_CODE.0));
    let mut label = labels?.strip_prefix("{job=\"")?.chars();
    let mut job = String::new();
    loop {
        match label.next()? {
            '"' => return Some(job),
            '\\' => match label.next()? {
                'n' => job.push('\n'),
                other => job.push(other),
            },
            other => job.push(other),
        }
    }
}

/// A label's value.
fn label(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars() {
        match c {
            '\\' => label.push_str("\\\\"),
            '"' => label.push_str("\\\""),
            '\n' => label.push_str("\\n"),
            c => label.push(c),
        }
    }
    label
}

fn seconds(at: Timestamp) -> String {
    let milliseconds = at.as_millisecond();
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

/// When the job last succeeded, by an earlier file.
fn last_success<'a>(job: &str, earlier: &'a str) -> Option<&'a str> {
    let start = format!("{}{{job=\"{job}\"}} ", LAST_SUCCESS.0);
    let mut found = earlier.lines().filter_map(|line| line.strip_prefix(&start));
    found.next().filter(|value| value.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests;
