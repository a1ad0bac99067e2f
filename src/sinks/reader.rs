//! Reads a journal line by line, and tells damage from an end that was torn.

use std::io::{self, BufRead, Read};

use serde::Deserialize;

use crate::model::event::{FORMAT, Stamped};

use super::line::{self, Flaw};

/// No line is longer, in bytes: a run's start names each lane, at some 300 bytes.
const LONGEST: u64 = 16 << 20;
/// The most bad lines at the end that count as torn. Fewer events than this are ever under way to the
/// disk (`engine::chronicle` stops at 1,024), so more cannot come from a crash.
const MOST_TORN: u64 = 2_048;

/// A journal that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// By the system.
    #[error("the journal cannot be read")]
    Io(#[from] io::Error),
    /// A line is not as it was written, and it is not the torn end.
    #[error("line {line} of the journal, at byte {offset}, is damaged")]
    Damaged {
        /// From 1.
        line: u64,
        /// Of its first byte.
        offset: u64,
        /// What is wrong with it.
        #[source]
        flaw: Flaw,
    },
    /// A line is as it was written, and this version does not know what it says.
    #[error("line {line} of the journal, at byte {offset}, is no event that this version knows")]
    Line {
        /// From 1.
        line: u64,
        /// Of its first byte.
        offset: u64,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// A row's end does not stand where it stood a moment ago.
    #[error("the journal has changed: no row ends at byte {offset}")]
    Moved {
        /// Where it was looked for.
        offset: u64,
    },
    /// By its format.
    #[error("the journal has format {0}, this version reads format {FORMAT}")]
    Format(u32),
    /// It does not begin as a journal does.
    #[error("the journal does not begin with a run's start")]
    Headless,
}

/// The good part of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Good lines.
    pub lines: u64,
    /// Where the last good line ends, in bytes: whoever goes on cuts the file here.
    pub bytes: u64,
    /// Bytes after that: an event that was being written when the machine, the process or the disk's
    /// room ended. It was never reported durable.
    pub torn: u64,
}

/// A good line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// From 1; bad lines count.
    pub number: u64,
    /// Of its first byte in the journal.
    pub offset: u64,
    /// With its LF.
    pub text: &'a [u8],
}

/// An event and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The line, from 1; bad lines count.
    pub line: u64,
    /// Of the line's first byte in the journal.
    pub offset: u64,
    /// The event.
    pub event: Stamped,
}

/// Reads a journal from its first byte.
///
/// Bad lines at the very end are torn, if they end nowhere or hold zeros as after a crash: they are left out, and
/// [`Reader::extent`] tells where the good part ends. Any other bad line is damage: an error, unless the reader salvages.
#[derive(Debug)]
pub struct Reader<R> {
    journal: R,
    salvages: bool,
    text: Vec<u8>,
    line: u64,
    offset: u64,
    extent: Extent,
    /// Bad lines since the last good one, the first of them first.
    bad: Option<Bad>,
    passed_over: u64,
    is_over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Bad {
    line: u64,
    offset: u64,
    flaw: Flaw,
    count: u64,
    /// Whether all of them can come from a crash: it leaves lines without an end and zeros, no other text.
    can_be_torn: bool,
}

impl<R: BufRead> Reader<R> {
    /// A reader that refuses damage.
    pub fn new(journal: R) -> Self {
        Self {
            journal,
            salvages: false,
            text: Vec::new(),
            line: 0,
            offset: 0,
            extent: Extent::default(),
            bad: None,
            passed_over: 0,
            is_over: false,
        }
    }

    /// A reader that passes over damage and counts it.
    pub fn salvaging(journal: R) -> Self {
        Self {
            salvages: true,
            ..Self::new(journal)
        }
    }

    /// The good part read so far; of the whole journal once the end is reached.
    pub fn extent(&self) -> Extent {
        Extent {
            torn: self.offset - self.extent.bytes,
            ..self.extent
        }
    }

    /// Bad lines that were passed over; torn ones at the end do not count.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The next good line; none at the end, nor after an error.
    ///
    /// # Errors
    /// The journal is damaged, is of another format, or cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, Unreadable> {
        // Only a good line takes this back.
        let was_over = std::mem::replace(&mut self.is_over, true);
        if was_over {
            return Ok(None);
        }
        loop {
            let (number, offset) = (self.line + 1, self.offset);
            let length = self.take_line()?;
            if length == 0 {
                let torn = self
                    .bad
                    .is_none_or(|bad| bad.can_be_torn && bad.count <= MOST_TORN);
                if !torn {
                    self.pass_over()?;
                }
                return Ok(None);
            }
            (self.line, self.offset) = (number, offset + length);
            let checked = if length > LONGEST {
                Err(Flaw::Long)
            } else {
                line::check(&self.text)
            };
            if number == 1 {
                self.check_head(checked.err())?;
            }
            match checked {
                Ok(()) => break,
                Err(flaw) => {
                    let first = self.bad.get_or_insert(Bad {
                        line: number,
                        offset,
                        flaw,
                        count: 0,
                        can_be_torn: true,
                    });
                    first.count += 1;
                    first.can_be_torn &= can_be_torn(&self.text);
                }
            }
        }
        self.pass_over()?;
        let length = self.text.len() as u64;
        self.extent.lines += 1;
        self.extent.bytes = self.offset;
        self.is_over = false;
        Ok(Some(Line {
            number: self.line,
            offset: self.offset - length,
            text: &self.text,
        }))
    }

    /// Takes the next line, with its LF; returns its length, of which no more than a line can have
    /// is kept.
    fn take_line(&mut self) -> io::Result<u64> {
        self.text.clear();
        let mut part = self.journal.by_ref().take(LONGEST);
        let mut length = part.read_until(b'\n', &mut self.text)? as u64;
        if length == LONGEST && self.text.last() != Some(&b'\n') {
            length += self.journal.skip_until(b'\n')? as u64;
        }
        Ok(length)
    }

    /// The first line tells the format. One of another format need not check itself as ours do.
    fn check_head(&self, flaw: Option<Flaw>) -> Result<(), Unreadable> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<u32>,
        }
        match flaw {
            None | Some(Flaw::Unsealed) => {}
            Some(Flaw::Cut | Flaw::Sum | Flaw::Long) => return Ok(()),
        }
        match serde_json::from_slice(&self.text) {
            Ok(Head {
                format: Some(FORMAT),
            }) => Ok(()),
            Ok(Head {
                format: Some(other),
            }) => Err(Unreadable::Format(other)),
            Ok(Head { format: None }) | Err(_) if flaw.is_none() => Err(Unreadable::Headless),
            Ok(Head { format: None }) | Err(_) => Ok(()),
        }
    }

    /// The bad lines so far are not the end.
    fn pass_over(&mut self) -> Result<(), Unreadable> {
        match self.bad.take() {
            Some(bad) if !self.salvages => Err(Unreadable::Damaged {
                line: bad.line,
                offset: bad.offset,
                flaw: bad.flaw,
            }),
            Some(bad) => {
                self.passed_over += bad.count;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Whether a crash can have made a line of what was written: by its end, which is missing, or by zeros.
fn can_be_torn(line: &[u8]) -> bool {
    line.last() != Some(&b'\n') || line.contains(&0)
}

/// The events of a journal. One that this version does not know is an error, and the last entry.
impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.next_line() {
            Ok(line) => line?,
            Err(error) => return Some(Err(error)),
        };
        let (line, offset) = (line.number, line.offset);
        let event = match serde_json::from_slice(&self.text) {
            Ok(event) => event,
            Err(cause) => {
                self.is_over = true;
                return Some(Err(Unreadable::Line {
                    line,
                    offset,
                    cause,
                }));
            }
        };
        Some(Ok(Entry {
            line,
            offset,
            event,
        }))
    }
}

#[cfg(test)]
mod tests;
