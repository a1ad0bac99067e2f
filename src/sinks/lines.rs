//! Progress without a terminal: a plain line now and then, or JSON lines.

use std::io::Write;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::engine::ports::Watcher;
use crate::model::event::{Event, Stamped};
use crate::model::printable::{printable, printable_json};

use super::progress::{Glance, Progress};

/// Progress as lines.
pub struct Lines<W> {
    progress: Progress,
    out: W,
    shape: Shape,
    last: Option<Timestamp>,
}

/// How the lines look.
#[derive(Clone, Debug)]
pub enum Shape {
    /// For people who read a log: every thirty seconds, times in this zone.
    Plain(TimeZone),
    /// For programs: every second.
    Json,
}

impl<W: Write> Lines<W> {
    /// Writes lines of `shape` to `out`, of a run that stands at `progress`. That they cannot be written never ends a run.
    pub fn new(progress: Progress, out: W, shape: Shape) -> Self {
        Self {
            progress,
            out,
            shape,
            last: None,
        }
    }

    fn line(&self, at: Timestamp) -> String {
        let glance = self.progress.glance();
        match &self.shape {
            Shape::Plain(zone) => printable(&glance.plain_text(zone)).into_owned(),
            Shape::Json => printable_json(&json(at, &glance)).into_owned(),
        }
    }
}

fn json(at: Timestamp, glance: &Glance) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        at: Timestamp,
        #[serde(flatten)]
        glance: &'a Glance,
    }
    // Numbers, times and booleans always serialize.
    serde_json::to_string(&Line { at, glance }).unwrap_or_default()
}

impl<W: Write> Watcher for Lines<W> {
    fn see(&mut self, stamped: &Stamped) {
        self.progress.see(stamped);
        self.last.get_or_insert(stamped.at);
        if let (Shape::Json, Event::SessionEnded { .. }) = (&self.shape, &stamped.event) {
            let _ = writeln!(self.out, "{}", self.line(stamped.at));
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.progress.tick(now);
        let every = match self.shape {
            Shape::Plain(_) => SignedDuration::from_secs(30),
            Shape::Json => SignedDuration::from_secs(1),
        };
        if self
            .last
            .is_none_or(|last| now.duration_since(last) >= every)
        {
            self.last = Some(now);
            let line = self.line(now);
            let _ = writeln!(self.out, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::RunStarted;

    fn watch(shape: Shape, seconds: i64) -> String {
        let start: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        let mut lines = Lines::new(Progress::default(), Vec::new(), shape);
        lines.see(&Stamped {
            at: start,
            event: Event::RunStarted(RunStarted {
                format: 0,
                run_id: "r".into(),
                tool_version: "v".into(),
                operator: "o".into(),
                job_sha256: String::new(),
                input_sha256: None,
                copy: None,
                lanes: vec![],
                seed: 0,
                rows: 4,
                skipped: 1,
            }),
        });
        for tenth in 1..=seconds * 10 {
            lines.tick(start + SignedDuration::from_millis(tenth * 100));
        }
        String::from_utf8(lines.out).unwrap()
    }

    #[test]
    fn a_plain_line_comes_every_thirty_seconds() {
        let text = watch(Shape::Plain(TimeZone::UTC), 65);
        assert_eq!(text, "progress: 0%  0/3  0.0/s  ok 0\n".repeat(2));
    }

    #[test]
    fn json_lines_come_every_second() {
        let text = watch(Shape::Json, 3);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["total"], 3);
        assert_eq!(lines[0]["at"], "2026-11-24T08:00:01Z");
    }
}
