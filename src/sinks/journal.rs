//! The journal: the events of a run as JSON lines that check themselves. Everything else is derived
//! from it.
//!
//! An event is in the kernel when `append` returns; a thread of its own makes it durable soon after.
//! Nothing that failed is tried again: a disk that lost something once cannot be trusted about it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::engine::ports::{Record, RecordError, Seq};
use crate::model::event::Stamped;

use super::disk::Disk;
use super::ends::Ends;
use super::line;
use super::reader::Extent;

/// So many events are made durable at once, whatever the time: half of what stops the run from starting more.
const MOST_TOGETHER: Seq = 512;
/// How long an event waits for others at most.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// Room, in bytes, for what one request in flight may still lead to: its attempt, its answer and its
/// row's end. The service's texts are cut long before.
const ROOM_A_REQUEST: u64 = 2 << 10;
/// Room, in bytes, for what the end of a run leads to.
const ROOM_TO_END: u64 = 8 << 10;

/// The journal of a running run.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    lines: Vec<u8>,
    /// Where the file ends, in bytes.
    length: u64,
    /// How far the room reaches that is reserved.
    reserved: u64,
    /// How the rows stand; none where what stands before was not read here.
    ends: Option<Ends>,
}

/// Why a journal takes no more.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Write(io::Error),
    #[error("the disk did not store what it had taken")]
    Sync(#[source] io::Error),
    #[error(transparent)]
    Text(serde_json::Error),
}

impl From<&Arc<Failure>> for RecordError {
    fn from(failure: &Arc<Failure>) -> Self {
        Self(Box::new(Arc::clone(failure)))
    }
}

/// What the run's thread and the syncing thread share.
struct Shared {
    disk: Box<dyn Disk>,
    progress: Mutex<Progress>,
    /// Wakes the syncing thread.
    work: Condvar,
    /// Wakes the run.
    moved: Arc<Notify>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Progress {
    written: Seq,
    durable: Seq,
    /// When the first event was written that no sync has begun for.
    waiting_since: Option<Instant>,
    failure: Option<Arc<Failure>>,
    /// Nothing more will be written.
    is_closed: bool,
}

impl Journal {
    /// The journal of a new run, on an empty disk.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(disk: impl Disk) -> io::Result<Self> {
        let mut journal = Self::go_on(Box::new(disk), Extent::default())?;
        journal.ends = Some(Ends::default());
        Ok(journal)
    }

    /// How the rows of the run stand by it, if it was written from its beginning to its end here: what reading it
    /// once more would find.
    pub fn take_ends(&mut self) -> Option<Ends> {
        let is_sound = self.shared.progress().failure.is_none();
        self.ends.take().filter(|_| is_sound)
    }

    /// The journal of a run that goes on: what stands on the disk after its `good` part is cut off, and
    /// all of that part is durable from here on, whoever wrote it. The next event's number is one
    /// more than the good part has lines.
    ///
    /// # Errors
    /// The disk cannot cut its end off or store the rest, or the system has no thread.
    pub fn resume(disk: impl Disk, good: Extent) -> io::Result<Self> {
        disk.cut(good.bytes)?;
        Self::go_on(Box::new(disk), good)
    }

    fn go_on(disk: Box<dyn Disk>, good: Extent) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            disk,
            progress: Mutex::new(Progress {
                written: good.lines,
                durable: good.lines,
                waiting_since: None,
                failure: None,
                is_closed: false,
            }),
            work: Condvar::new(),
            moved: Arc::default(),
        });
        let syncing = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || syncing.keep_syncing())?;
        Ok(Self {
            shared,
            lines: Vec::new(),
            length: good.bytes,
            reserved: good.bytes,
            ends: None,
        })
    }
}

impl Journal {
    /// Writes the lines of `events` into memory.
    fn write(&mut self, events: &[Stamped]) -> Result<(), Failure> {
        let (length, ends) = (self.length, &mut self.ends);
        let written = line::write(&mut self.lines, events, |event, begin| {
            if let Some(ends) = ends {
                ends.see(event, length + begin as u64);
            }
        });
        written.map_err(Failure::Text)
    }
}

impl Record for Journal {
    fn append(&mut self, events: &[Stamped]) -> Result<Seq, RecordError> {
        if let Some(failure) = &self.shared.progress().failure {
            return Err(failure.into());
        }
        self.lines.clear();
        let done = self.write(events).and_then(|()| {
            let appended = self.shared.disk.append(&self.lines);
            appended.map_err(Failure::Write)
        });
        match done {
            Ok(()) => {
                self.length += self.lines.len() as u64;
                Ok(self.shared.wrote(events.len() as Seq))
            }
            Err(failure) => Err((&self.shared.fail(failure)).into()),
        }
    }

    fn make_room(&mut self, requests: usize) -> Result<(), RecordError> {
        let ahead = ROOM_TO_END + ROOM_A_REQUEST * requests as u64;
        let needed = self.length + ahead;
        if needed <= self.reserved {
            return Ok(());
        }
        let disk = &self.shared.disk;
        // Twice as much saves calls; a disk that is nearly full may still have enough.
        let reserved = disk.reserve(needed + ahead);
        let reserved = reserved.or_else(|_| disk.reserve(needed));
        self.reserved = reserved.map_err(|error| RecordError(Box::new(error)))?;
        Ok(())
    }

    fn durable(&self) -> Result<Seq, RecordError> {
        let progress = self.shared.progress();
        match &progress.failure {
            Some(failure) => Err(failure.into()),
            None => Ok(progress.durable),
        }
    }

    fn moved(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.moved)
    }
}

/// Nobody waits for the disk here: whoever wanted to has.
impl Drop for Journal {
    fn drop(&mut self) {
        let mut progress = self.shared.progress();
        progress.is_closed = true;
        let is_idle = progress.failure.is_none() && progress.durable == progress.written;
        drop(progress);
        self.shared.work.notify_one();
        if is_idle && self.reserved > self.length && self.reserved < u64::MAX {
            // Room that is not given back is a nuisance and no more.
            let _ = self.shared.disk.cut(self.length);
        }
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many more events are written; gives the last one's number.
    fn wrote(&self, count: Seq) -> Seq {
        let mut progress = self.progress();
        progress.written += count;
        let is_first = progress.waiting_since.is_none();
        if is_first {
            progress.waiting_since = Some(now());
        }
        if is_first || progress.is_full() {
            self.work.notify_one();
        }
        progress.written
    }

    /// The first failure is the one that is told.
    fn fail(&self, failure: Failure) -> Arc<Failure> {
        let mut progress = self.progress();
        Arc::clone(progress.failure.get_or_insert_with(|| Arc::new(failure)))
    }

    /// Makes events durable until nothing more will be written, or the disk fails.
    fn keep_syncing(&self) {
        let mut progress = self.progress();
        loop {
            let Some(since) = progress.waiting_since else {
                if progress.is_closed {
                    return;
                }
                let woken = self.work.wait(progress);
                progress = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = (since + LONGEST_WAIT).saturating_duration_since(now());
            if !(progress.is_closed || progress.is_full() || left.is_zero()) {
                let woken = self.work.wait_timeout(progress, left);
                progress = woken.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            progress.waiting_since = None;
            let written = progress.written;
            drop(progress);
            let synced = self.disk.sync();
            if let Err(error) = synced {
                self.fail(Failure::Sync(error));
                self.moved.notify_one();
                return;
            }
            progress = self.progress();
            progress.durable = written;
            self.moved.notify_one();
        }
    }
}

impl Progress {
    fn is_full(&self) -> bool {
        self.written - self.durable >= MOST_TOGETHER
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long an event waits for the disk is no matter of the run's time"
)]
fn now() -> Instant {
    Instant::now()
}
