//! `flowbatch run`: from a job to a report.

use crate::cli::{CredentialArgs, OutputArgs, RecordArgs, RunArgs};
use crate::engine::run::Beginning;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::destination::Destination;
use crate::job::flags::Flags;
use crate::job::record::JobRecord;
use crate::job::settings::Settings;
use crate::model::event::{FORMAT, KeptFile, RunStarted};
use crate::model::route::LaneFacts;
use crate::sinks::digest::Digest;
use crate::sinks::journal::Journal;

use super::clock;
use super::course::check_zone;
use super::destination::{Open, is_simulator, refuse_others};
use super::folder::{RunFolder, State, sha256};
use super::journal_file::JournalFile;
use super::left_rows::LeftRows;
use super::loaded_job::LoadedJob;
use super::locks::{Holder, Locks, Policy, places};
use super::question::Asked;
use super::resolved_job::ResolvedJob;
use super::session::Session;
use super::settling::{choose, look_up};
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
    let strict = args.caution.strict;
    let loaded = match is_saved {
        true => match take_in_plan(args, &state)? {
            Some(resolved) => resolved.into(),
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
        false => LoadedJob::take_in(&args.job, strict, &state)?,
    };
    let destination = loaded.so_far.job.destination;
    report_target::check(&args.record, &loaded.inputs())?;
    if args.fresh && !is_simulator(destination) {
        return Err(Error::Usage {
            what: "--fresh is for the simulator, and the target is a service".to_owned(),
            hint: "leave it out, or say --simulate".to_owned(),
        });
    }
    let simulated = is_simulator(destination);
    let asked = Asked::find(args.caution.yes || simulated)?;
    let wanted = Wanted {
        credential: &args.credential,
        record: &args.record,
        output: &args.output,
        fresh: args.fresh,
        began: None,
    };
    runtime()?.block_on(run_loaded(&wanted, &state, loaded, asked, None))
}

/// Takes in a saved plan, if it changes anything, which goes as the command line says and changes what it says itself.
fn take_in_plan(args: &RunArgs, state: &State) -> Result<Option<ResolvedJob>, Error> {
    let flags = args.caution.flags(args.job.pace.flags(Flags::default()));
    saved_plan::take_in(&args.job.job, state, |record, problems| {
        saved_plan::check_flags(&args.job, record.simulated, problems);
        let settings = record.settings.again(&flags, problems);
        Settings {
            strict: settings.strict | args.caution.strict,
            ..settings
        }
    })
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

/// Carries out what was `loaded`, under `locks` if they are held already.
pub(super) async fn run_loaded(
    wanted: &Wanted<'_>,
    state: &State,
    loaded: LoadedJob,
    asked: Asked,
    locks: Option<Locks>,
) -> Done {
    check_zone(&loaded.so_far.job)?;
    let policy = Policy {
        if_locked: wanted.record.if_locked,
        quiet: wanted.output.quiet,
    };
    let lock = |loaded: &LoadedJob, held: Option<Locks>| {
        if held.is_some() {
            return Ok(held);
        }
        let holder = || {
            let now = clock::wall();
            Holder::of(&State::run_id(now), &loaded.so_far, now)
        };
        let places = places(state, &loaded.so_far, &loaded.searches);
        Locks::take(state, &places, holder, policy)
    };
    // The simulator's world is read under its lock; where services lead, only IAM may know.
    let (loaded, open, locks) = match loaded.so_far.job.destination {
        Destination::Simulator => {
            let Some(locks) = lock(&loaded, locks)? else {
                return Ok(Exit::Done);
            };
            let open = Open::simulator(&loaded, state.world(), wanted.fresh).await?;
            let loaded = look_up(loaded, &open, state, wanted.output).await?;
            (loaded, open, locks)
        }
        Destination::Services => {
            let asked = lanes::Asked::new(wanted.credential, loaded.so_far.job.method);
            let without_project = &loaded.findings.without_project;
            let (open, projects) = Open::services(&loaded.so_far, without_project, asked).await?;
            let loaded = loaded.with_projects(&projects, state)?;
            if let Some(began) = wanted.began {
                refuse_others(began, &open.lanes)?;
            }
            let loaded = look_up(loaded, &open, state, wanted.output).await?;
            let Some(locks) = lock(&loaded, locks)? else {
                return Ok(Exit::Done);
            };
            (loaded, open, locks)
        }
    };
    // Under the locks: whoever is waited for may change who is meant.
    let resolved = choose(loaded, &open, state, wanted.output).await?;
    let seed = clock::seed();
    // From here on a signal stops what has begun; before, it ends the process.
    let interrupts = signals::listen();
    let folder = state.new_run(&locks.run_id)?;
    let (resolved, input) = resolved.kept_in(&folder)?;
    let record = JobRecord {
        ticket: wanted.record.ticket.clone(),
        ..resolved.record(&open.lanes)
    };
    let job_json = serde_json::to_string_pretty(&record);
    let job_json = job_json.map_err(Error::machine("cannot record the job"))?;
    folder.write("job.json", job_json.as_bytes())?;
    let start = run_started(
        &folder,
        &resolved,
        (sha256(job_json.as_bytes()), input),
        &open.lanes,
        seed,
    );
    let journal = new_journal(&folder)?;
    let session = Session {
        record: wanted.record,
        output: wanted.output,
        asked,
        resolved,
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
    resolved: &ResolvedJob,
    (job_sha256, input): (String, KeptFile),
    lanes: &[LaneFacts],
    seed: u64,
) -> RunStarted {
    RunStarted {
        format: FORMAT,
        run_id: folder.id.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        operator: operator(),
        job_sha256,
        input_sha256: resolved.input.as_ref().map(|input| input.sha256.clone()),
        copy: Some(input),
        lanes: lanes.to_vec(),
        seed,
        rows: resolved.census.rows,
        skipped: resolved.census.skipped,
    }
}

fn new_journal(folder: &RunFolder) -> Result<Journal, Error> {
    let path = folder.file("journal.jsonl");
    let journal = JournalFile::create(&path, folder.readers()).and_then(Journal::start);
    journal.map_err(Error::file("cannot write", path))
}
