//! The progress bar on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::ports::Watcher;
use crate::model::event::{Event, Stamped};
use crate::model::printable::printable;

use super::progress::Progress;

/// The progress bar: redrawn at most ten times a second.
pub struct Bar {
    progress: Progress,
    bar: ProgressBar,
    zone: TimeZone,
}

impl Bar {
    /// A bar on standard error of a run that stands at `progress`. `zone` is for the times in it.
    pub fn new(progress: Progress, zone: TimeZone) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        // The template is a constant; a test renders it.
        if let Ok(style) = ProgressStyle::with_template("{bar:10.green/dim} {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self {
            progress,
            bar,
            zone,
        }
    }

    /// The place above the bar, for others who write to the same terminal.
    pub fn above(&self) -> Above {
        Above(self.bar.clone())
    }
}

/// The place above a bar.
#[derive(Clone, Debug)]
pub struct Above(ProgressBar);

impl Above {
    /// Takes the bar away, until [`Above::show`].
    pub fn hide(&self) {
        self.0.finish_and_clear();
    }

    /// Lets the bar be drawn again.
    pub fn show(&self) {
        self.0.reset();
    }

    /// Takes the bar away while `write` writes.
    pub fn write(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }
}

impl Watcher for Bar {
    fn see(&mut self, stamped: &Stamped) {
        self.progress.see(stamped);
        if let Event::SessionEnded { .. } = stamped.event {
            self.bar.finish_and_clear();
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.progress.tick(now);
        let glance = self.progress.glance();
        self.bar.set_length(glance.total);
        self.bar.set_position(glance.done);
        let text = glance.bar_text(&self.zone);
        self.bar.set_message(printable(&text).into_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
