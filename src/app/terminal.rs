//! Standard output and standard error. Neither a broken pipe nor a closed terminal ends anything.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::LogFormat;
use crate::sinks::bar::Above;

/// Writes the result of a command.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Standard output for a longer result; whoever reads no more has had enough.
pub(super) struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stdout().write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match io::stdout().flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// Tells something beside the result.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// How long the last words of a process may take: the reader may not read, or this process itself may hold what they need.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Tells something right before the process ends, whatever state it is in, and puts the terminal back as it was.
pub(super) fn say_at_last(text: String) {
    let (tell, told) = mpsc::channel();
    let spawned = std::thread::Builder::new().spawn(move || {
        if let Some(above) = &*above() {
            above.hide();
        }
        complain(&text);
        Unechoed::end();
        let _ = tell.send(());
    });
    if spawned.is_ok() {
        let _ = told.recv_timeout(LAST_WORDS);
    }
}

/// Whether standard error is a terminal that wants colours.
pub(super) fn wants_color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !refused && !dumb
}

/// The terminal as it was before [`Unechoed`].
static AS_IT_WAS: Mutex<Option<Termios>> = Mutex::new(None);

/// While this lives, the terminal does not show `^C` for a key: it would stand in the bar's line, and
/// the bar would go to the next one.
pub(super) struct Unechoed(());

impl Unechoed {
    /// Where standard error is a terminal that is ours now.
    pub(super) fn begin() -> Self {
        let stderr = io::stderr();
        // Whoever sets a terminal from its background is stopped for it.
        let is_ours = tcgetpgrp(&stderr).is_ok_and(|group| group == rustix::process::getpgrp());
        if let Ok(found) = tcgetattr(&stderr)
            && is_ours
        {
            let mut wanted = found.clone();
            wanted.local_modes.remove(LocalModes::ECHOCTL);
            if tcsetattr(&stderr, OptionalActions::Now, &wanted).is_ok() {
                let mut before = AS_IT_WAS.lock().unwrap_or_else(PoisonError::into_inner);
                *before = Some(found);
            }
        }
        Self(())
    }

    /// Puts the terminal back as it was, if it is not yet.
    pub(super) fn end() {
        let mut before = AS_IT_WAS.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr = io::stderr();
        if let Some(before) = before.take()
            && tcgetpgrp(&stderr).is_ok_and(|group| group == rustix::process::getpgrp())
        {
            let _ = tcsetattr(&stderr, OptionalActions::Now, &before);
        }
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        Self::end();
    }
}

/// The progress bar that logs stand above. A command may show several, one after the other.
static ABOVE: Mutex<Option<Above>> = Mutex::new(None);

/// A thread that panicked with it left it whole.
fn above() -> MutexGuard<'static, Option<Above>> {
    ABOVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends logs to standard error, above the progress bar if there is one.
///
/// `FLOWBATCH_LOG` takes `tracing`'s own filter, where `-v` is not enough.
pub(super) fn log(verbose: u8, quiet: bool, format: LogFormat, bar: Option<Above>) {
    *above() = bar;
    let level = match (quiet, verbose) {
        (true, _) => "off",
        (false, 0) => "warn",
        (false, 1) => "flowbatch=info,warn",
        (false, _) => "flowbatch=debug,warn",
    };
    let filter = EnvFilter::try_from_env("FLOWBATCH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(wants_color())
        .with_writer(Stderr);
    // Set up once; whoever comes later has the same flags.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text if io::stderr().is_terminal() => builder.without_time().try_init(),
        LogFormat::Text => builder.try_init(),
    };
}

/// Standard error, above the progress bar if there is one.
#[derive(Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || {
            let _ = io::stderr().lock().write_all(bytes);
        };
        match &*above() {
            Some(above) => above.write(write),
            None => write(),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        Self
    }
}
