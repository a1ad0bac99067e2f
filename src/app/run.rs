//! `flowbatch run`: from a job to a report.

use crate::cli::{CredentialArgs, OutputArgs, RecordArgs, RunArgs};
use crate::engine::run::Beginning;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::destination::Destination;
use crate::job::flags::Flags;
use crate::job::problems::Problems;
use crate::job::record::JobRecord;
use crate::model::event::{FORMAT, RunStarted};
use crate::model::route::LaneFacts;
use crate::sinks::digest::Digest;
use crate::sinks::journal::Journal;

use super::clock;
use super::course::check_zone;
use super::destination::{Open, is_simulator, refuse_others};
use super::folder::{RunFolder, State, sha256};
use super::input::Input;
use super::intake;
use super::journal_file::JournalFile;
use super::left_rows::LeftRows;
use super::locks::{Holder, Locks, Policy};
use super::question::Asked;
use super::session::Session;
use super::settling::{choose, look_up};
use super::taken::Taken;
use super::{Done, operator, report_target, runtime};
use super::{lanes, plan, saved_plan, signals, terminal};

/// Carries a job out.
pub(super) fn run(args: &RunArgs) -> Done {
    if args.dry_run {
        let asked = plan::Asked {
            credential: &args.credential,
            output: &args.output,
            out: None,
            full: false,
            detailed_exitcode: false,
            fresh: args.fresh,
        };
        let state_dir = args.record.state_dir.as_deref();
        return plan::of_job(&asked, &args.job, state_dir, args.caution.strict);
    }
    let state = State::open(args.record.state_dir.as_deref())?;
    let is_saved = saved_plan::is_one(&args.job.job);
    if args.caution.allow_drift && !is_saved {
        return Err(Error::Usage {
            what: "--allow-drift is for a saved plan".to_owned(),
            hint: "leave it out".to_owned(),
        });
    }
    let mut taken = match is_saved {
        true => match take_in_plan(args, &state)? {
            Some(taken) => taken,
            None => {
                if !args.output.quiet {
                    terminal::complain(&format!(
                        "the plan {} changes nothing: there is nothing to run",
                        args.job.job
                    ));
                }
                super::unbegun::write_success(&args.record, &args.job.job)?;
                return Ok(Exit::Done);
            }
        },
        false => intake::take_in(&args.job, || state.temporary())?,
    };
    taken.job.settings.strict |= args.caution.strict;
    report_target::check(&args.record, &args.job.job, taken.input.as_ref())?;
    if args.fresh && !is_simulator(taken.job.destination) {
        return Err(Error::Usage {
            what: "--fresh is for the simulator, and the target is a service".to_owned(),
            hint: "leave it out, or say --simulate".to_owned(),
        });
    }
    let simulated = is_simulator(taken.job.destination);
    let asked = Asked::find(args.caution.yes || simulated)?;
    let wanted = Wanted {
        credential: &args.credential,
        record: &args.record,
        output: &args.output,
        fresh: args.fresh,
        began: None,
    };
    runtime()?.block_on(run_taken(&wanted, &state, taken, asked, None))
}

/// Takes in a saved plan, if it changes anything, which goes as the command line says and changes what it says itself.
fn take_in_plan(args: &RunArgs, state: &State) -> Result<Option<Taken>, Error> {
    let mut problems = Problems::default();
    let Some(mut taken) = saved_plan::take_in(&args.job.job, state)? else {
        return Ok(None);
    };
    let simulated = is_simulator(taken.job.destination);
    saved_plan::check_flags(&args.job, simulated, &mut problems);
    let flags = args.caution.flags(args.job.pace.flags(Flags::default()));
    taken.job.settings = taken.job.settings.again(&flags, &mut problems);
    match problems.is_empty() {
        true => Ok(Some(taken)),
        false => Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        )),
    }
}

/// What the command line wants of a run, whatever it carries out.
pub(super) struct Wanted<'a> {
    pub(super) credential: &'a CredentialArgs,
    pub(super) record: &'a RecordArgs,
    pub(super) output: &'a OutputArgs,
    /// A new simulated world.
    pub(super) fresh: bool,
    /// Where an earlier run went that this one follows: it is not for another account.
    pub(super) began: Option<&'a [LaneFacts]>,
}

/// Carries out what was taken in, under `locks` if they are held already.
pub(super) async fn run_taken(
    wanted: &Wanted<'_>,
    state: &State,
    mut taken: Taken,
    asked: Asked,
    locks: Option<Locks>,
) -> Done {
    check_zone(&taken.job)?;
    let policy = Policy {
        if_locked: wanted.record.if_locked,
        quiet: wanted.output.quiet,
    };
    let lock = |taken: &Taken, held: Option<Locks>| {
        if held.is_some() {
            return Ok(held);
        }
        let holder = || {
            let now = clock::wall();
            Holder::of(&State::run_id(now), taken, now)
        };
        Locks::take(state, taken, holder, policy)
    };
    // The simulator's world is read under its lock; where services lead, only IAM may know.
    let (open, locks) = match taken.job.destination {
        Destination::Simulator => {
            let Some(locks) = lock(&taken, locks)? else {
                return Ok(Exit::Done);
            };
            let open = Open::simulator(&taken, state.world(), wanted.fresh).await?;
            look_up(&mut taken, &open, state, wanted.output).await?;
            (open, locks)
        }
        Destination::Services => {
            let asked = lanes::Asked::new(wanted.credential, taken.job.method);
            let open = Open::services(&mut taken, asked).await?;
            if let Some(began) = wanted.began {
                refuse_others(began, &open.lanes)?;
            }
            look_up(&mut taken, &open, state, wanted.output).await?;
            let Some(locks) = lock(&taken, locks)? else {
                return Ok(Exit::Done);
            };
            (open, locks)
        }
    };
    // Under the locks: whoever is waited for may change who is meant.
    taken = choose(taken, &open, state, wanted.output).await?;
    let seed = clock::seed();
    // From here on a signal stops what has begun; before, it ends the process.
    let interrupts = signals::listen();
    let folder = state.new_run(&locks.run_id)?;
    taken.keep_input(&folder)?;
    let record = JobRecord {
        ticket: wanted.record.ticket.clone(),
        ..taken.record(&open.lanes)
    };
    let job_json = serde_json::to_string_pretty(&record);
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
    let session = Session {
        record: wanted.record,
        output: wanted.output,
        asked,
        taken,
        open,
        folder,
        beginning: Beginning::Run(start),
        left: LeftRows::default(),
        journal,
        locks,
        interrupts,
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
        copy: taken.input.as_ref().and_then(Input::kept_file),
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
