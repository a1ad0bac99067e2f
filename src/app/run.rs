//! `flowbatch run`: from a job to a report.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::{ProgressShape, RunArgs};
use crate::engine::ports::Watcher;
use crate::engine::run::{Course, Tools, carry_out};
use crate::engine::schedule::Rules;
use crate::error::Error;
use crate::job::destination::Destination;
use crate::job::selection::Selection;
use crate::job::settings::Settings;
use crate::model::event::{FORMAT, RunStarted};
use crate::model::route::LaneFacts;
use crate::model::simulation::Simulation;
use crate::model::update::Update;
use crate::sinks::bar::{Above, Bar};
use crate::sinks::digest::Digest;
use crate::sinks::journal::Journal;
use crate::sinks::lines::{Lines, Shape};
use crate::sinks::log::Log;

use super::announcement::Announcement;
use super::clock::{self, Seeded, System};
use super::closing::{Closed, close};
use super::destination::{Open, is_simulator};
use super::folder::{RunFolder, State, sha256};
use super::intake::{self, Taken};
use super::lanes::Asked;
use super::{Done, report_target, runtime, signals, terminal};

/// Carries a job out.
pub(super) fn run(args: &RunArgs) -> Done {
    let state = State::open(args.state_dir.as_deref())?;
    let taken = intake::take_in(&args.job, || state.temporary())?;
    if let Some(path) = &args.report {
        report_target::check(path, &args.job.job, taken.input.as_ref())?;
    }
    if args.fresh && !is_simulator(taken.job.destination) {
        return Err(Error::Usage {
            what: "--fresh is for the simulator, and the target is a service".to_owned(),
            hint: "leave it out, or say --simulate".to_owned(),
        });
    }
    runtime()?.block_on(run_taken(args, &state, taken))
}

async fn run_taken(args: &RunArgs, state: &State, mut taken: Taken) -> Done {
    let open = open(args, state, &mut taken).await?;
    let interrupts = std::pin::pin!(signals::listen()?);
    let seed = clock::seed();
    let folder = state.new_run(clock::wall(), seed)?;
    taken.keep_input(folder.file("input.csv"))?;
    let job_json = job_json(&taken, &open)?;
    folder.write("job.json", job_json.as_bytes())?;
    let start = RunStarted {
        format: FORMAT,
        run_id: folder.id.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        job_sha256: sha256(job_json.as_bytes()),
        input_sha256: taken.input.as_ref().map(|input| input.sha256.clone()),
        lanes: open.lanes.clone(),
        seed,
        rows: taken.census.rows,
        skipped: taken.census.skipped,
    };
    let mut journal = Journal::new(new_journal(&folder)?);
    let mut digest = Digest::default();
    let mut rows = taken
        .rows_by_lane()
        .map_err(Error::machine("cannot read the input again"))?;
    let mut progress = progress(args);
    terminal::log(
        args.verbose,
        args.quiet,
        args.log_format,
        progress.above.clone(),
    );
    let announcement = Announcement::new(&taken, &open);
    match args.progress {
        _ if args.quiet => {}
        ProgressShape::Json => terminal::complain(&announcement.json()),
        ProgressShape::Auto | ProgressShape::Bar | ProgressShape::Plain | ProgressShape::None => {
            terminal::complain(&announcement.text());
        }
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
        start,
        course(&taken.job.settings, open.lanes.len()),
        Tools {
            service: &open.client,
            record: &mut journal,
            watchers,
            rows: &mut *rows,
            clock: &System::start(),
            dice: &mut Seeded::new(seed),
            interrupts,
        },
    )
    .await;
    drop(progress);
    close(Closed {
        args,
        taken,
        folder,
        open,
        digest,
        ran,
    })
}

async fn open(args: &RunArgs, state: &State, taken: &mut Taken) -> Result<Open, Error> {
    match taken.job.destination {
        Destination::Simulator => Open::simulator(taken, state.world(), args.fresh).await,
        Destination::Services => {
            let asked = Asked {
                token_file: args.credential.token_file.as_deref(),
                ca_file: args.credential.ca_file.as_deref(),
                method: taken.job.method,
            };
            Open::services(taken, asked).await
        }
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

fn new_journal(folder: &RunFolder) -> Result<File, Error> {
    let path = folder.file("journal.jsonl");
    let mut options = File::options();
    options.append(true).create_new(true).mode(0o600);
    options
        .open(&path)
        .map_err(Error::file("cannot write", path))
}

/// The job as understood, for the record.
fn job_json(taken: &Taken, open: &Open) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Record<'a> {
        schema_version: u32,
        name: &'a str,
        description: Option<&'a str>,
        simulated: bool,
        lanes: &'a [LaneFacts],
        input: Option<&'a str>,
        settings: &'a Settings,
        defaults: &'a Update,
        selection: &'a Selection,
        #[serde(skip_serializing_if = "Option::is_none")]
        simulation: Option<&'a Simulation>,
    }
    let simulated = open.is_simulated();
    let record = Record {
        schema_version: 1,
        name: &taken.name,
        description: taken.job.description.as_deref(),
        simulated,
        lanes: &open.lanes,
        input: taken.input.as_ref().map(|input| input.path.as_str()),
        settings: &taken.job.settings,
        defaults: &taken.job.defaults.update,
        selection: &taken.job.selection,
        simulation: simulated.then_some(&taken.job.simulation),
    };
    serde_json::to_string_pretty(&record).map_err(Error::machine("cannot record the job"))
}

/// How progress is shown: who is told, and the bar above which others write.
#[derive(Default)]
struct Progress {
    watcher: Option<Box<dyn Watcher>>,
    above: Option<Above>,
}

fn progress(args: &RunArgs) -> Progress {
    let zone = TimeZone::system();
    let lines = |shape| Progress {
        watcher: Some(Box::new(Lines::new(io::stderr(), shape))),
        above: None,
    };
    let on_terminal = io::stderr().is_terminal();
    match args.progress {
        _ if args.quiet => Progress::default(),
        ProgressShape::None => Progress::default(),
        ProgressShape::Json => lines(Shape::Json),
        ProgressShape::Plain => lines(Shape::Plain(zone)),
        ProgressShape::Auto if !on_terminal => lines(Shape::Plain(zone)),
        ProgressShape::Auto | ProgressShape::Bar => {
            let bar = Bar::new(zone);
            Progress {
                above: Some(bar.above()),
                watcher: Some(Box::new(bar)),
            }
        }
    }
}
