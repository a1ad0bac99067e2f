//! Signals: before a run begins one ends the process at once, from then on each asks the run to stop.

use std::fs;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use futures::stream::{self, Stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::terminal;
use crate::error::Error;
use crate::exit::Exit;
use crate::model::outcome::Ended;
use crate::model::tally::Tally;

/// "File size limit exceeded": the same number on Linux and macOS.
const SIGXFSZ: i32 = 25;

/// A hang-up this soon after a hang-up or a termination is the same one: a terminal that closes sends two, and systemd sends
/// SIGTERM and SIGHUP.
const SAME: Duration = Duration::from_secs(2);

/// What signals have come, and where they are sent.
struct Heard {
    /// Where the run receives them; none before it begins.
    told: Option<mpsc::UnboundedSender<Ended>>,
    last: Option<(Ended, Instant)>,
    /// Those that counted since there is a run.
    count: u32,
}

static HEARD: Mutex<Heard> = Mutex::new(Heard {
    told: None,
    last: None,
    count: 0,
});

/// A thread that panicked with it left it whole.
fn heard() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens to SIGINT, SIGTERM and SIGHUP from now on, on a thread of its own, so that one is heard whatever this process waits
/// for, also as the first process of a container. A file-size limit is from now on an error to be told, not the end of the
/// process.
///
/// # Errors
/// The system does not allow it.
pub(super) fn take() -> Result<(), Error> {
    const DOING: &str = "cannot listen to signals";
    let (tell, told) = std_mpsc::channel();
    let thread = std::thread::Builder::new().name("signals".to_owned());
    let spawned = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(listen_for_ever(&tell)),
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    });
    spawned.map_err(Error::machine(DOING))?;
    let ready = told.recv().map_err(Error::machine(DOING))?;
    ready.map_err(Error::machine(DOING))
}

async fn listen_for_ever(ready: &std_mpsc::Sender<std::io::Result<()>>) {
    // Once listened to, a signal never kills again.
    let listening = || {
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
        // As nohup leaves it. An interrupt is heard all the same: a shell's script ignores it for whatever it starts in the
        // background.
        let hangup = match is_ignored(SignalKind::hangup()) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        let interrupt = signal(SignalKind::interrupt())?;
        Ok((interrupt, signal(SignalKind::terminate())?, hangup))
    };
    let (mut interrupt, mut terminate, mut hangup) = match listening() {
        Ok(signals) => {
            let _ = ready.send(Ok(()));
            signals
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    loop {
        let ended = tokio::select! {
            // Of those that came together, the first here is the first.
            biased;
            Some(()) = interrupt.recv() => Ended::Interrupted,
            Some(()) = terminate.recv() => Ended::Terminated,
            Some(()) = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            } => Ended::Hangup,
            else => return,
        };
        hear(ended, now());
    }
}

fn hear(ended: Ended, now: Instant) {
    let mut heard = heard();
    let last = heard.last.replace((ended, now));
    let last = last.map(|(last, at)| (last, now.saturating_duration_since(at)));
    if !counts(ended, last) {
        return;
    }
    match &heard.told {
        None => leave(ended, "nothing was sent"),
        Some(told) => {
            let _ = told.send(ended);
        }
    }
    heard.count += 1;
    // Everything known is on record, because the record is written before anything else.
    if heard.count >= 3 {
        leave(ended, "left at once");
    }
}

/// Whether a signal is one more, after the last one, which came so long ago. Who closes a terminal or stops a unit sends a hang-up
/// beside another hang-up or TERM, in any order.
fn counts(ended: Ended, last: Option<(Ended, Duration)>) -> bool {
    let Some((last, _)) = last.filter(|(_, ago)| *ago < SAME) else {
        return true;
    };
    !matches!(
        (last, ended),
        (Ended::Hangup | Ended::Terminated, Ended::Hangup) | (Ended::Hangup, Ended::Terminated)
    )
}

/// From now on the run receives the signals: the first lets what has begun end, the third ends the process at once.
pub(super) fn listen() -> Signals {
    let (tell, told) = mpsc::unbounded_channel();
    heard().told = Some(tell);
    Box::pin(stream::unfold(told, |mut told| async {
        told.recv().await.map(|ended| (ended, told))
    }))
}

/// The signals that a run receives.
pub(super) type Signals = Pin<Box<dyn Stream<Item = Ended>>>;

/// Whether this process was started with the signal ignored. Known on Linux, from the kernel's own
/// list; elsewhere no.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or(u32::MAX);
    ignored.is_some_and(|mask| mask.checked_shr(bit).is_some_and(|mask| mask & 1 == 1))
}

#[expect(
    clippy::disallowed_methods,
    reason = "signals are told apart by when they come"
)]
fn now() -> Instant {
    Instant::now()
}

/// Ends the process, whose locks the system frees.
#[expect(clippy::disallowed_methods, reason = "the signal means now")]
fn leave(ended: Ended, what: &'static str) {
    let exit = Exit::of_run(ended, &Tally::default(), false);
    terminal::say_at_last(format!("{ended}; {what}"));
    std::process::exit(exit.code().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_right_after_a_hang_up_or_a_termination_is_no_second_signal() {
        use Ended::{Hangup, Interrupted, Terminated};
        let soon = Duration::from_millis(1_999);
        for (ended, last, expected) in [
            (Hangup, None, true),
            (Hangup, Some((Hangup, soon)), false),
            (Hangup, Some((Terminated, soon)), false),
            (Hangup, Some((Hangup, SAME)), true),
            (Hangup, Some((Interrupted, soon)), true),
            (Terminated, Some((Hangup, soon)), false),
            (Terminated, Some((Hangup, SAME)), true),
            (Terminated, Some((Terminated, soon)), true),
            (Interrupted, Some((Interrupted, Duration::ZERO)), true),
        ] {
            assert_eq!(counts(ended, last), expected, "{ended} after {last:?}");
        }
    }
}
