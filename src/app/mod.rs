//! The commands, and the only place that opens files, builds the client and listens to signals.

mod admission;
mod announcement;
mod approve;
mod auth;
mod changed;
mod check;
mod choosing;
mod clock;
mod closing;
mod course;
mod credential;
mod credentials_file;
mod destination;
mod export;
mod file_limit;
mod folder;
mod found;
mod holds;
mod init;
mod intake;
mod journal_file;
mod judge;
mod lane_rows;
mod lanes;
mod left_rows;
mod loaded_job;
mod locks;
mod merge;
mod metadata;
mod overlay;
mod page;
mod pages;
mod placing;
mod plan;
mod plan_file;
mod planning;
mod profiles;
mod progress;
mod question;
mod readback;
mod reading;
mod record_check;
mod report;
mod report_target;
mod reporting;
mod resolved_job;
mod resume;
mod rows_file;
mod run;
mod run_on_record;
mod runs;
mod saved_plan;
mod secret_file;
mod sent_rows;
mod session;
mod settling;
mod shelter;
mod signals;
mod simulate;
mod sources;
mod supply;
mod surveying;
mod terminal;
mod unbegun;
mod undo;
mod variables;
mod verify;
mod wave_legs;
mod waves;

use crate::cli::{Cli, Command};
use crate::error::Error;
use crate::exit::Exit;
use crate::sinks::mail::MOST_LINES;

use unbegun::Unbegun;

/// Does what the command line says; returns the exit code.
pub fn main() -> u8 {
    let listening = signals::take();
    shelter::take();
    file_limit::raise();
    clock::begin();
    if let Err(error) = listening {
        terminal::complain(&error.text());
        return error.exit().code();
    }
    let (is_quiet, unbegun, done) = match Cli::read() {
        Ok(cli) => (cli.is_quiet(), Unbegun::of(&cli.command), done(cli.command)),
        Err(answer) => (false, None, Ok(pages::tell_answer(&answer))),
    };
    let tell = |error: Error| {
        let mail = unbegun.as_ref().map(|unbegun| unbegun.tell(&error));
        let text = match (mail, is_quiet) {
            (Some(mail), true) => mail,
            (None, true) => error.brief(MOST_LINES),
            (_, false) => error.text(),
        };
        match error {
            Error::Problems(_) => terminal::complain_painted(&text),
            Error::GivenUp { .. }
            | Error::Usage { .. }
            | Error::Refused { .. }
            | Error::Late { .. }
            | Error::Locked { .. }
            | Error::Damaged { .. }
            | Error::File { .. }
            | Error::Machine { .. } => terminal::complain(&text),
        }
        error.exit()
    };
    let exit = done.unwrap_or_else(tell);
    let unwritten = terminal::unwritten().map(|error| {
        terminal::complain(&error.text());
        error.exit()
    });
    unwritten.unwrap_or(exit).code()
}

/// Does what `command` says.
fn done(command: Command) -> Done {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::Export(args) => export::export(&args),
        Command::Undo(args) => undo::undo(&args),
        Command::Report(args) => report::report(&args),
        Command::Approve(args) => approve::approve(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Check(args) => check::check(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Auth(args) => auth::auth(&args),
        Command::Init(args) => init::init(&args),
        Command::Schema => pages::print_schema(),
        Command::Completions(args) => pages::print_completions(&args),
        Command::Man(args) => pages::man(&args),
        Command::Simulate(args) => simulate::simulate(&args),
    }
}

/// A runtime of one thread: a run waits more than it computes.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::machine("cannot start the runtime"))
}

/// The environment, without variables that are no text.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The user who runs this.
fn operator() -> String {
    let variables = ["USER", "LOGNAME"].into_iter().filter_map(environment);
    let named = variables.into_iter().find(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| {
        // Cron and containers set none.
        let uid = nix::unistd::geteuid();
        let known = nix::unistd::User::from_uid(uid).ok().flatten();
        known.map_or_else(|| format!("uid {uid}"), |user| user.name)
    })
}

/// This machine's name.
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// What a command returns.
type Done = Result<Exit, Error>;
