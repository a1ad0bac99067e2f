//! Texts that stand for something, and were never given out before.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use crate::model::row::hex;

/// Makes tokens and keys. Not unguessable, which nobody asks of a simulator; but another server,
/// or the same one later, gives out others.
#[derive(Debug, Default)]
pub(super) struct Mint {
    made: u64,
}

impl Mint {
    /// 64 hexadecimal digits.
    pub(super) fn make(&mut self, kind: &str, now: Timestamp) -> String {
        self.made += 1;
        let text = format!("{kind} {} {}", self.made, now.as_nanosecond());
        hex(digest(&SHA256, text.as_bytes()).as_ref())
    }
}
