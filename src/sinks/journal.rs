//! The journal: the events of a run as JSON lines. Everything else is derived from it.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Notify;

use crate::engine::ports::{Record, RecordError, Seq};
use crate::model::event::{FORMAT, Stamped};

/// The journal of a running run.
///
/// In this format (0) an event is durable as soon as it is in the kernel: it survives the end of
/// the process, not of the machine.
#[derive(Debug)]
pub struct Journal {
    file: File,
    line: Vec<u8>,
    written: Seq,
    moved: Arc<Notify>,
}

impl Journal {
    /// A journal that is written to the end of `file`.
    pub fn new(file: File) -> Self {
        Self {
            file,
            line: Vec::new(),
            written: 0,
            moved: Arc::new(Notify::new()),
        }
    }
}

impl Record for Journal {
    fn append(&mut self, event: &Stamped) -> Result<Seq, RecordError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)
            .map_err(|error| RecordError(Box::new(error)))?;
        self.line.push(b'\n');
        self.file
            .write_all(&self.line)
            .map_err(|error| RecordError(Box::new(error)))?;
        self.written += 1;
        Ok(self.written)
    }

    fn durable(&self) -> Seq {
        self.written
    }

    fn moved(&self) -> Arc<Notify> {
        Arc::clone(&self.moved)
    }
}

/// A journal that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// By the system.
    #[error("the journal cannot be read")]
    Io(#[from] io::Error),
    /// By its content.
    #[error("line {line} of the journal is no event")]
    Line {
        /// From 1.
        line: u64,
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
    /// The same, and what stands there is no event.
    #[error("the journal has changed: no event stands at byte {offset}")]
    End {
        /// Where it was looked for.
        offset: u64,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// By its format.
    #[error("the journal has format {0}, this version reads format {FORMAT}")]
    Format(u32),
}

/// Where in a journal each row's end stands: 8 bytes a row.
#[derive(Debug)]
pub struct Ends(Vec<u64>);

/// What a journal says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// It was never sent.
    None,
    /// So many updates were sent, and no end is on record.
    Sent(u32),
    /// Its end stands at this byte.
    Ended(u64),
}

/// Marks an entry that counts updates instead of naming a byte.
const SENT: u64 = 1 << 63;

impl Ends {
    /// What the journal says of row `number`.
    pub fn of(&self, number: u64) -> Trace {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        match index.and_then(|index| self.0.get(index)).copied() {
            // Offset 0 is the run's start, never a row's end.
            None | Some(0) => Trace::None,
            Some(sent) if sent & SENT != 0 => {
                Trace::Sent(u32::try_from(sent & !SENT).unwrap_or(u32::MAX))
            }
            Some(offset) => Trace::Ended(offset),
        }
    }
}

/// Reads a journal once and notes where rows end.
///
/// # Errors
/// The journal cannot be read, or a line of it is no event.
pub fn find_ends(journal: impl BufRead) -> Result<Ends, Unreadable> {
    #[derive(Deserialize)]
    struct Head<'a> {
        event: &'a str,
        row: Option<u64>,
        method: Option<&'a str>,
        format: Option<u32>,
    }
    let mut journal = journal;
    let mut ends = Vec::new();
    let mut text = Vec::new();
    let mut offset = 0;
    for line in 1.. {
        text.clear();
        let length = journal.read_until(b'\n', &mut text)?;
        // A last line that is cut was being written when the disk was full or the process ended.
        if text.last() != Some(&b'\n') {
            break;
        }
        let head: Head<'_> =
            serde_json::from_slice(&text).map_err(|cause| Unreadable::Line { line, cause })?;
        if let Some(format) = head.format.filter(|format| *format != FORMAT) {
            return Err(Unreadable::Format(format));
        }
        let ended = head.event == "row_ended";
        let sent = head.event == "attempt" && head.method == Some("put");
        if let Some(row) = head.row.filter(|row| *row > 0 && (ended || sent)) {
            let row = usize::try_from(row).unwrap_or(usize::MAX);
            if ends.len() < row {
                ends.resize(row, 0);
            }
            let entry = &mut ends[row - 1];
            *entry = if ended { offset } else { (*entry | SENT) + 1 };
        }
        offset += length as u64;
    }
    Ok(Ends(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = r#"{"at":"2026-11-24T08:00:00Z","event":"run_started","format":0}
{"at":"2026-11-24T08:00:00Z","event":"attempt","row":1,"method":"put","request":1}
{"at":"2026-11-24T08:00:00Z","event":"attempt","row":3,"method":"get","request":1}
{"at":"2026-11-24T08:00:01Z","event":"attempt","row":4,"method":"put","request":1}
{"at":"2026-11-24T08:00:01Z","event":"row_ended","row":1,"status":"succeeded"}
{"at":"2026-11-24T08:00:02Z","event":"attempt","row":4,"method":"put","request":2}
"#;

    #[test]
    fn a_row_that_was_sent_without_an_end_is_told_apart_from_one_that_never_was() {
        let ends = find_ends(JOURNAL.as_bytes()).unwrap();
        let end = JOURNAL
            .find("{\"at\":\"2026-11-24T08:00:01Z\",\"event\":\"row_ended\"")
            .unwrap();
        assert_eq!(ends.of(1), Trace::Ended(end as u64));
        assert_eq!(ends.of(4), Trace::Sent(2));
        for never in [0, 2, 3, 5, u64::MAX] {
            assert_eq!(ends.of(never), Trace::None, "row {never}");
        }
    }

    #[test]
    fn a_last_line_that_is_cut_is_no_event_and_no_error() {
        let cut = &JOURNAL[..JOURNAL.len() - 20];
        assert_eq!(find_ends(cut.as_bytes()).unwrap().of(4), Trace::Sent(1));
        let broken = JOURNAL.replacen("attempt", "att\"empt", 1);
        assert!(matches!(
            find_ends(broken.as_bytes()),
            Err(Unreadable::Line { line: 2, .. })
        ));
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let other = JOURNAL.replace("\"format\":0", "\"format\":7");
        let error = find_ends(other.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the journal has format 7, this version reads format 0"
        );
    }
}
