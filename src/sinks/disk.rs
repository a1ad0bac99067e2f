//! Where a journal is kept: as little of a file as a journal needs, so that tests can be a disk.

use std::io;

/// A file that grows at its end. Two threads use it: one appends, the other syncs.
pub trait Disk: Send + Sync + 'static {
    /// Appends all of `bytes`, with one write where the system takes them at once: they survive the end
    /// of this process.
    ///
    /// # Errors
    /// Not all of them could be written; some may have been.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until everything appended before survives the end of this machine.
    ///
    /// # Errors
    /// Some of it may be lost, and asking again would not tell (a failed fsync forgets what failed).
    fn sync(&self) -> io::Result<()>;

    /// Cuts everything off after `length` bytes, room that was reserved included, durably.
    ///
    /// # Errors
    /// It could not be cut, or not durably.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Reserves room for the first `length` bytes of the file; returns how far the room reaches:
    /// `u64::MAX` where the file system cannot reserve any.
    ///
    /// # Errors
    /// There is no such room.
    fn reserve(&self, length: u64) -> io::Result<u64>;
}
