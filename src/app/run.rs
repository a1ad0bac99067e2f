//! `flowbatch run`: from a job to a report.

use crate::cli::RunArgs;
use crate::engine::run::Beginning;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::destination::Destination;
use crate::model::event::{FORMAT, RunStarted};
use crate::model::route::LaneFacts;
use crate::sinks::digest::Digest;
use crate::sinks::journal::Journal;

use super::clock;
use super::destination::{Open, is_simulator};
use super::folder::{RunFolder, State, sha256};
use super::intake::{self, Taken};
use super::journal_file::JournalFile;
use super::lanes;
use super::locks::{Holder, Locks, Policy};
use super::session::Session;
use super::{Done, operator, report_target, runtime};

/// Carries a job out.
pub(super) fn run(args: &RunArgs) -> Done {
    let state = State::open(args.record.state_dir.as_deref())?;
    let taken = intake::take_in(&args.job, || state.temporary())?;
    if let Some(path) = &args.record.report {
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
    let policy = Policy {
        if_locked: args.record.if_locked,
        quiet: args.output.quiet,
    };
    let lock = |taken: &Taken| {
        let holder = || {
            let now = clock::wall();
            Holder::of(&State::run_id(now), taken, now)
        };
        Locks::take(state, taken, holder, policy)
    };
    // The simulator's world is read under its lock; where services lead, only IAM may know.
    let (open, locks) = match taken.job.destination {
        Destination::Simulator => {
            let Some(locks) = lock(&taken)? else {
                return Ok(Exit::Done);
            };
            let open = Open::simulator(&taken, state.world(), args.fresh).await?;
            (open, locks)
        }
        Destination::Services => {
            let asked = lanes::Asked::new(&args.credential, taken.job.method);
            let open = Open::services(&mut taken, asked).await?;
            let Some(locks) = lock(&taken)? else {
                return Ok(Exit::Done);
            };
            (open, locks)
        }
    };
    let seed = clock::seed();
    let folder = state.new_run(&locks.run_id)?;
    taken.keep_input(folder.file("input.csv"), folder.readers())?;
    let job_json = serde_json::to_string_pretty(&taken.record(&open.lanes));
    let job_json = job_json.map_err(Error::machine("cannot record the job"))?;
    folder.write("job.json", job_json.as_bytes())?;
    let start = run_started(
        &folder,
        &taken,
        sha256(job_json.as_bytes()),
        &open.lanes,
        seed,
    );
    let journal = new_journal(&folder)?;
    let rows = taken
        .rows_by_lane()
        .map_err(Error::machine("cannot read the input again"))?;
    let session = Session {
        record: &args.record,
        output: &args.output,
        taken,
        open,
        folder,
        beginning: Beginning::Run(start),
        rows,
        journal,
        locks,
        digest: Digest::default(),
        salvage: false,
        resumed: None,
        seed,
    };
    session.carry_out().await
}

/// How the run in `folder` begins.
pub(super) fn run_started(
    folder: &RunFolder,
    taken: &Taken,
    job_sha256: String,
    lanes: &[LaneFacts],
    seed: u64,
) -> RunStarted {
    RunStarted {
        format: FORMAT,
        run_id: folder.id.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        operator: operator(),
        job_sha256,
        input_sha256: taken.input.as_ref().map(|input| input.sha256.clone()),
        lanes: lanes.to_vec(),
        seed,
        rows: taken.census.rows,
        skipped: taken.census.skipped,
    }
}

fn new_journal(folder: &RunFolder) -> Result<Journal, Error> {
    let path = folder.file("journal.jsonl");
    let journal = JournalFile::create(&path, folder.readers()).and_then(Journal::start);
    journal.map_err(Error::file("cannot write", path))
}
