//! Signals as a stream: each asks the run to stop.

use futures::stream::{self, Stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

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
    for (kind, ended, code) in [
        (SignalKind::interrupt(), Ended::Interrupted, 130),
        (SignalKind::terminate(), Ended::Terminated, 143),
        (SignalKind::hangup(), Ended::Hangup, 129),
    ] {
        let mut signals = signal(kind).map_err(Error::machine("cannot listen to signals"))?;
        let tell = tell.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while signals.recv().await.is_some() {
                count += 1;
                if count >= 3 {
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

#[expect(clippy::disallowed_methods, reason = "the third signal means now")]
fn leave(code: i32) {
    std::process::exit(code);
}
