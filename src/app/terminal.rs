//! Standard output and standard error. Neither a broken pipe nor a closed terminal ends anything.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::LogFormat;
use crate::error::Error;
use crate::model::printable::{printable, printable_json, printable_painted};
use crate::sinks::bar::Above;

use super::environment;

/// Writes the result of a command, for people.
pub(super) fn print(text: &str) {
    print_bytes(format!("{}\n", printable(text)).as_bytes());
}

/// Writes how a run ended: to standard error too if standard output does not take it, for it says how to go on.
pub(super) fn print_end(text: &str) {
    print(text);
    let is_unwritten = UNWRITTEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_some();
    if is_unwritten {
        complain(text);
    }
}

/// Writes the result of a command, as JSON.
pub(super) fn print_json(json: &str) {
    print_bytes(format!("{}\n", printable_json(json)).as_bytes());
}

/// Writes the result of a command byte for byte.
pub(super) fn print_bytes(bytes: &[u8]) {
    let _ = Out.write_all(bytes).and_then(|()| Out.flush());
}

/// Why standard output could not be written, the first time.
static UNWRITTEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// Standard output, and the only way there. What cannot be written is noted for [`unwritten`], so that no caller has to
/// look; a reader that has gone has had enough, which is no error.
pub(super) struct Out;

impl Out {
    fn note<T>(result: io::Result<T>, otherwise: T) -> T {
        result.unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::BrokenPipe {
                let mut noted = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
                noted.get_or_insert(error);
            }
            otherwise
        })
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stdout().write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            written => Ok(Self::note(written, bytes.len())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::note(io::stdout().flush(), ());
        Ok(())
    }
}

/// That the result of this process did not get through, if it did not.
pub(super) fn unwritten() -> Option<Error> {
    let _ = Out.flush();
    let noted = UNWRITTEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    noted.map(Error::machine(
        "the result could not be written to standard output, and is incomplete there",
    ))
}

/// Tells something beside the result.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(text));
}

/// Tells what is wrong, in the colours that [`wants_color`] gave it.
pub(super) fn complain_painted(text: &str) {
    let _ = match wants_color() {
        true => writeln!(io::stderr().lock(), "{}", printable_painted(text)),
        false => writeln!(io::stderr().lock(), "{}", printable(text)),
    };
}

/// Tells something for programs, as a line of JSON.
pub(super) fn complain_json(json: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable_json(json));
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
    io::stderr().is_terminal() && takes_color()
}

/// Whether standard output is a terminal that wants colours.
pub(super) fn wants_color_in_result() -> bool {
    io::stdout().is_terminal() && takes_color()
}

fn takes_color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && !is_dumb()
}

/// Whether the terminal moves no cursor and knows no colours.
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
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
    let named = environment(LOG).filter(|named| !named.trim().is_empty());
    if let Some(fault) = named.as_deref().and_then(log_fault).filter(|_| !quiet) {
        complain(&format!("warning: {LOG}={fault}"));
    }
    let named = named.and_then(|named| EnvFilter::try_new(named).ok());
    let filter = named.unwrap_or_else(|| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(wants_color())
        .with_writer(Stderr(format));
    // Set up once; whoever comes later has the same flags.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text if io::stderr().is_terminal() => builder.without_time().try_init(),
        LogFormat::Text => builder.try_init(),
    };
}

/// Which messages are logged.
const LOG: &str = "FLOWBATCH_LOG";

/// What is wrong with `filter`, a filter of `tracing`, or not what was meant by it.
fn log_fault(filter: &str) -> Option<String> {
    if let Err(error) = EnvFilter::try_new(filter) {
        return Some(format!("{filter} is not used: {error}"));
    }
    let words = filter.split(',').map(str::trim);
    // A word that is no level names a module, and of others there is nothing to read.
    let is_meant = |word: &&str| {
        word.is_empty()
            || word.contains(['=', ':', '['])
            || word.starts_with("flowbatch")
            || word.parse::<LevelFilter>().is_ok()
    };
    let mut others = words.filter(|word| !is_meant(word));
    others.next().map(|word| {
        format!("{filter}: {word} is no level (off, error, warn, info, debug, trace), and is taken for the name of a module")
    })
}

/// Standard error, above the progress bar if there is one.
#[derive(Clone, Copy)]
struct Stderr(LogFormat);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = match self.0 {
            LogFormat::Json => printable_json(&text),
            // The formatter paints levels and times, and lets no escape of a value through.
            LogFormat::Text if wants_color() => printable_painted(&text).into(),
            LogFormat::Text => printable(&text),
        };
        let write = || {
            let _ = io::stderr().lock().write_all(text.as_bytes());
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
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_logs_that_means_nothing_is_told() {
        for filter in [
            "debug",
            "off",
            "flowbatch=debug,warn",
            "flowbatch::app",
            "hyper=trace",
            "WARN",
            "",
        ] {
            assert_eq!(log_fault(filter), None, "{filter}");
        }
        assert!(
            log_fault("verbose")
                .unwrap()
                .contains("verbose is no level")
        );
        assert!(log_fault("warn,all").unwrap().contains("all is no level"));
        assert!(
            log_fault("flowbatch=loud")
                .unwrap()
                .contains("is not used: ")
        );
    }
}
