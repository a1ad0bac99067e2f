//! A disk in memory, which writes down what is done to it, and fails when it is told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use flowbatch::sinks::disk::Disk;

/// Something that happened, and how long the file was then, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// A write ended.
    Wrote(usize),
    /// A sync ended that began with so much.
    Synced(usize),
    /// So many events were reported durable.
    Reported(u64),
}

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    turns: Vec<Turn>,
    synced: usize,
    syncs: usize,
    reserved: u64,
    limit: Option<usize>,
    fails_next_sync: bool,
    cannot_reserve: bool,
}

impl Platter {
    /// An empty disk without bounds.
    pub(crate) fn sound() -> Self {
        Self::default()
    }

    /// A disk that holds `bytes`, none of them durable.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let platter = Self::default();
        platter.state().bytes = bytes;
        platter
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What a process sees.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// How many bytes are durable.
    pub(crate) fn synced(&self) -> u64 {
        self.state().synced as u64
    }

    /// How often it was asked to sync.
    pub(crate) fn syncs(&self) -> usize {
        self.state().syncs
    }

    /// How far the reserved room reaches.
    pub(crate) fn reserved(&self) -> u64 {
        self.state().reserved
    }

    /// Everything that happened, in order.
    pub(crate) fn turns(&self) -> Vec<Turn> {
        self.state().turns.clone()
    }

    /// So many events were reported durable.
    pub(crate) fn report(&self, durable: u64) {
        self.state().turns.push(Turn::Reported(durable));
    }

    /// How many bytes fit.
    pub(crate) fn limit(&self, limit: Option<usize>) {
        self.state().limit = limit;
    }

    /// The next sync fails; those after it would not.
    pub(crate) fn fail_next_sync(&self) {
        self.state().fails_next_sync = true;
    }

    /// As a file system without that call.
    pub(crate) fn cannot_reserve(&self) {
        self.state().cannot_reserve = true;
    }
}

impl Disk for Platter {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let room = state
            .limit
            .map_or(usize::MAX, |limit| limit - state.bytes.len());
        let fits = bytes.len().min(room);
        state.bytes.extend_from_slice(&bytes[..fits]);
        let length = state.bytes.len();
        state.turns.push(Turn::Wrote(length));
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let began_with = {
            let mut state = self.state();
            state.syncs += 1;
            if std::mem::take(&mut state.fails_next_sync) {
                return Err(io::Error::other("input/output error"));
            }
            state.bytes.len()
        };
        // Others write meanwhile.
        std::thread::yield_now();
        let mut state = self.state();
        state.synced = began_with;
        state.turns.push(Turn::Synced(began_with));
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let length = usize::try_from(length).unwrap();
        state.bytes.truncate(length);
        state.reserved = length as u64;
        state.synced = length;
        Ok(())
    }

    fn reserve(&self, length: u64) -> io::Result<u64> {
        let mut state = self.state();
        if state.cannot_reserve {
            return Ok(u64::MAX);
        }
        if state.limit.is_some_and(|limit| (limit as u64) < length) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.reserved = length;
        Ok(length)
    }
}
