//! One session of a run: from the announcement to the report.

use std::io::{self, IsTerminal};

use jiff::tz::TimeZone;

use crate::cli::{OutputArgs, ProgressShape, RecordArgs};
use crate::engine::ports::{Rows, Watcher};
use crate::engine::run::{Beginning, Course, Tools, carry_out};
use crate::engine::schedule::Rules;
use crate::job::settings::Settings;
use crate::sinks::bar::{Above, Bar};
use crate::sinks::digest::Digest;
use crate::sinks::journal::Journal;
use crate::sinks::lines::{Lines, Shape};
use crate::sinks::log::Log;

use super::announcement::{Announcement, Resumed};
use super::clock::{Seeded, System};
use super::closing::{Closed, close};
use super::destination::Open;
use super::folder::RunFolder;
use super::intake::Taken;
use super::locks::Locks;
use super::terminal::Unechoed;
use super::{Done, signals, terminal};

/// Everything that a session needs.
pub(super) struct Session<'a> {
    pub(super) record: &'a RecordArgs,
    pub(super) output: &'a OutputArgs,
    pub(super) taken: Taken,
    pub(super) open: Open,
    pub(super) folder: RunFolder,
    pub(super) beginning: Beginning,
    pub(super) rows: Box<dyn Rows>,
    pub(super) journal: Journal,
    pub(super) locks: Locks,
    /// What earlier sessions came to.
    pub(super) digest: Digest,
    /// Whether damaged lines of the journal are passed over.
    pub(super) salvage: bool,
    /// What is left, if this is not the first session.
    pub(super) resumed: Option<Resumed>,
    pub(super) seed: u64,
}

impl Session<'_> {
    /// Carries it out.
    pub(super) async fn carry_out(self) -> Done {
        let Self {
            record,
            output,
            taken,
            open,
            folder,
            beginning,
            mut rows,
            mut journal,
            locks,
            mut digest,
            salvage,
            resumed,
            seed,
        } = self;
        let interrupts = std::pin::pin!(signals::listen()?);
        let mut progress = progress(output);
        terminal::log(
            output.verbose,
            output.quiet,
            output.log_format,
            progress.above.clone(),
        );
        let announcement = Announcement::new(&taken, &open, resumed);
        match output.progress {
            _ if output.quiet => {}
            ProgressShape::Json => terminal::complain(&announcement.json()),
            ProgressShape::Auto
            | ProgressShape::Bar
            | ProgressShape::Plain
            | ProgressShape::None => terminal::complain(&announcement.text()),
        }
        for proxy in &open.proxies {
            tracing::info!("proxy {proxy}");
        }
        let mut log = Log::default();
        let mut watchers: Vec<&mut dyn Watcher> = vec![&mut digest, &mut log];
        if let Some(watcher) = &mut progress.watcher {
            watchers.push(&mut **watcher);
        }
        let ran = carry_out(
            beginning,
            course(&taken.job.settings, open.lanes.len()),
            Tools {
                service: &open.client,
                record: &mut journal,
                watchers,
                rows: &mut *rows,
                left_out: locks.left_out.clone(),
                clock: &System::start(),
                dice: &mut Seeded::new(seed),
                interrupts,
            },
        )
        .await;
        drop(progress);
        drop(journal);
        let done = close(Closed {
            record,
            output,
            taken,
            folder,
            open,
            digest,
            salvage,
            ran,
        });
        drop(locks);
        done
    }
}

fn course(settings: &Settings, lanes: usize) -> Course {
    Course {
        rules: Rules {
            concurrency: settings.concurrency,
            rate: settings.rate,
            burst: settings.burst,
            retry: settings.retry(),
            budget: settings.stop,
            patience: settings.patience,
            deadline: settings.deadline,
        },
        lanes,
        timeout: settings.timeout,
    }
}

/// How progress is shown: who is told, and the bar above which others write.
#[derive(Default)]
struct Progress {
    watcher: Option<Box<dyn Watcher>>,
    above: Option<Above>,
    /// Ends after the bar.
    _unechoed: Option<Unechoed>,
}

fn progress(output: &OutputArgs) -> Progress {
    let zone = TimeZone::system();
    let lines = |shape| Progress {
        watcher: Some(Box::new(Lines::new(io::stderr(), shape))),
        ..Progress::default()
    };
    let on_terminal = io::stderr().is_terminal();
    match output.progress {
        _ if output.quiet => Progress::default(),
        ProgressShape::None => Progress::default(),
        ProgressShape::Json => lines(Shape::Json),
        ProgressShape::Plain => lines(Shape::Plain(zone)),
        ProgressShape::Auto if !on_terminal => lines(Shape::Plain(zone)),
        ProgressShape::Auto | ProgressShape::Bar => {
            let bar = Bar::new(zone);
            Progress {
                above: Some(bar.above()),
                watcher: Some(Box::new(bar)),
                _unechoed: Some(Unechoed::begin()),
            }
        }
    }
}
