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
    /// By its format.
    #[error("the journal has format {0}, this version reads format {FORMAT}")]
    Format(u32),
}

/// Where in a journal each row's end stands: its byte offset, 8 bytes a row.
#[derive(Debug)]
pub struct Ends(Vec<u64>);

impl Ends {
    /// Where the end of row `number` stands, if it has one.
    pub fn offset(&self, number: u64) -> Option<u64> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        // Offset 0 is the run's start, never a row's end.
        self.0.get(index).copied().filter(|offset| *offset > 0)
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
        if let Some(row) = head.row.filter(|_| head.event == "row_ended") {
            let row = usize::try_from(row).unwrap_or(usize::MAX);
            if ends.len() < row {
                ends.resize(row, 0);
            }
            ends[row - 1] = offset;
        }
        offset += length as u64;
    }
    Ok(Ends(ends))
}
