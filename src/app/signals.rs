//! Signals as a stream: each asks the run to stop.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::stream::{self, Stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::terminal::Unechoed;
use crate::error::Error;
use crate::model::outcome::Ended;

/// "File size limit exceeded": the same number on Linux and macOS.
const SIGXFSZ: i32 = 25;

/// SIGINT, SIGTERM and SIGHUP from now on. The third leaves at once: everything known is on
/// record, because the record is written before anything else.
pub(super) fn listen() -> Result<impl Stream<Item = Ended> + use<>, Error> {
    // A file-size limit must be an error to be told, not the end of the process. Once listened to, the
    // signal never kills again.
    let size_limit = signal(SignalKind::from_raw(SIGXFSZ));
    drop(size_limit.map_err(Error::machine("cannot listen to signals"))?);
    let (tell, told) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicU32::new(0));
    for (kind, ended, code) in [
        (SignalKind::interrupt(), Ended::Interrupted, 130),
        (SignalKind::terminate(), Ended::Terminated, 143),
        (SignalKind::hangup(), Ended::Hangup, 129),
    ] {
        // As nohup leaves it. An interrupt is heard all the same: a shell's script ignores it for
        // whatever it starts in the background.
        if ended == Ended::Hangup && is_ignored(kind) {
            continue;
        }
        let mut signals = signal(kind).map_err(Error::machine("cannot listen to signals"))?;
        let (tell, count) = (tell.clone(), Arc::clone(&count));
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                // Whatever kinds they are.
                if count.fetch_add(1, Ordering::Relaxed) >= 2 {
                    leave(code);
                }
                let _ = tell.send(ended);
            }
        });
    }
    Ok(stream::unfold(told, |mut told| async {
        told.recv().await.map(|ended| (ended, told))
    }))
}

/// Whether this process was started with the signal ignored. Known on Linux, from the kernel's own
/// list; elsewhere no.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or(u32::MAX);
    ignored.is_some_and(|mask| mask.checked_shr(bit).is_some_and(|mask| mask & 1 == 1))
}

#[expect(clippy::disallowed_methods, reason = "the third signal means now")]
fn leave(code: i32) {
    Unechoed::end();
    std::process::exit(code);
}
