//! A run that only reads: it has no record, and nothing of it can be left half done.

use std::sync::Arc;

use futures::stream;
use tokio::sync::Notify;

use crate::cli::OutputArgs;
use crate::engine::ports::{Clock, Record, RecordError, Seq, Watcher};
use crate::engine::run::{Beginning, Broken, Run, Tools};
use crate::error::Error;
use crate::job::settings::Settings;
use crate::model::event::{FORMAT, RunStarted, Stamped};
use crate::model::outcome::Ended;
use crate::model::tally::Tally;
use crate::plan::decision::Terms;
use crate::sinks::digest::Digest;
use crate::sinks::log::Log;

use super::clock::{Seeded, System};
use super::course::course;
use super::destination::Open;
use super::progress::progress;
use super::surveying::AppRun;
use super::{clock, operator, terminal};

/// What a run that only reads came to.
pub(super) struct Came<T> {
    /// What was made of it.
    pub(super) to: T,
    pub(super) ended: Ended,
    pub(super) digest: Digest,
}

/// Where it reads, and how.
pub(super) struct Reading<'a> {
    pub(super) open: &'a Open,
    pub(super) settings: &'a Settings,
    pub(super) output: &'a OutputArgs,
    /// What is said before anything leaves.
    pub(super) announcement: String,
    /// Rows, and those of them that the user left out.
    pub(super) rows: (u64, u64),
}

impl Reading<'_> {
    /// Carries out what `carry_out` reads.
    pub(super) async fn carry_out<T>(
        self,
        carry_out: impl AsyncFnOnce(&mut AppRun<'_, Unrecorded>) -> Result<T, Broken>,
    ) -> Result<Came<T>, Error> {
        // A signal ends this process at once: nothing was sent that could change anything.
        let interrupts = std::pin::pin!(stream::pending());
        let output = self.output;
        let mut progress = progress(output, Tally::default());
        terminal::log(
            output.verbose,
            output.quiet,
            output.log_format,
            progress.above.clone(),
        );
        if !output.quiet {
            if let Some(warning) = self.open.file_limit_text(self.settings) {
                terminal::complain(&format!("warning: {warning}"));
            }
            terminal::complain(&self.announcement);
        }
        let mut digest = Digest::default();
        let mut log = Log::default();
        let mut watchers: Vec<&mut dyn Watcher> = vec![&mut digest, &mut log];
        if let Some(watcher) = &mut progress.watcher {
            watchers.push(&mut **watcher);
        }
        let clock = System;
        let tools = Tools {
            service: &self.open.client,
            record: &mut Unrecorded::default(),
            watchers,
            left_out: Vec::new(),
            paces: &self.open.paces,
            clock: &clock,
            dice: &mut Seeded::new(clock::seed()),
            interrupts,
        };
        let started = RunStarted {
            format: FORMAT,
            run_id: "reading".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            operator: operator(),
            job_sha256: String::new(),
            input_sha256: None,
            copy: None,
            lanes: self.open.lanes.clone(),
            seed: 0,
            rows: self.rows.0,
            skipped: self.rows.1,
        };
        let deadline = self.settings.deadline.map(|left| clock.now() + left);
        let course = course(
            self.settings,
            self.open.lanes_of(self.settings),
            Terms::default(),
            (deadline, None),
        );
        let came = async {
            let mut run = Run::begin(Beginning::Run(started), course, tools)?;
            let to = carry_out(&mut run).await?;
            Ok::<_, Broken>((to, run.finish().await?))
        };
        let came = came.await;
        drop(progress);
        let (to, ended) = came.map_err(Error::machine("the live state could not be read"))?;
        Ok(Came { to, ended, digest })
    }
}

/// A record that keeps nothing.
#[derive(Default)]
pub(super) struct Unrecorded {
    count: Seq,
    moved: Arc<Notify>,
}

impl Record for Unrecorded {
    fn append(&mut self, events: &[Stamped]) -> Result<Seq, RecordError> {
        self.count += events.len() as Seq;
        Ok(self.count)
    }

    fn make_room(&mut self, _: usize) -> Result<(), RecordError> {
        Ok(())
    }

    fn durable(&self) -> Result<Seq, RecordError> {
        Ok(self.count)
    }

    fn moved(&self) -> Arc<Notify> {
        Arc::clone(&self.moved)
    }
}
