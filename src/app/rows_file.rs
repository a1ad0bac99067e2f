//! The file of a job's rows: written once, and read again and again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::NamedTempFile;

use crate::engine::ports::RowsError;
use crate::error::Error;
use crate::job::census::Counted;
use crate::job::stored_rows::{StoredRow, Target, read_head, read_row, write_head, write_row};
use crate::model::event::KeptFile;
use crate::model::line_window::LineWindow;
use crate::model::row::Row;

use super::folder::{Hashed, RunFolder, State, create};

/// Its name in a run folder.
pub(super) const NAME: &str = "input.jsonl";

/// Rows that are being written.
pub(super) struct RowsWriter {
    out: BufWriter<NamedTempFile>,
}

impl RowsWriter {
    /// None yet, in a file of `state` that goes with it.
    pub(super) fn new(state: &State) -> Result<Self, Error> {
        Ok(Self {
            out: BufWriter::with_capacity(64 << 10, state.temporary()?),
        })
    }

    /// Writes `row`, as it was counted.
    pub(super) fn write(&mut self, row: &Row, counted: &Counted) -> Result<(), Error> {
        let left_out = counted.left_out.as_deref();
        write_row(row, counted.target, left_out, &mut self.out)
            .map_err(|error| Error::file("cannot write", self.out.get_ref().path())(error))
    }

    /// All of them, which go to `targets`.
    pub(super) fn finish(self, targets: Vec<Target>) -> Result<RowsFile, Error> {
        let copy = self.out.into_inner().map_err(|error| error.into_error());
        let copy = copy.map_err(Error::machine("the rows of the job cannot be kept"))?;
        Ok(RowsFile {
            place: Place::Temporary(copy),
            start: 0,
            targets: targets.into(),
        })
    }
}

/// Where the rows are: in a temporary file until a run keeps them.
enum Place {
    Temporary(NamedTempFile),
    Kept(PathBuf),
}

/// The rows of a job, as they were written.
pub(super) struct RowsFile {
    place: Place,
    /// Where the first of them begins, in bytes.
    start: u64,
    targets: Rc<[Target]>,
}

impl RowsFile {
    /// The rows that the run in `folder` has kept.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn open(folder: &RunFolder) -> Result<Self, Error> {
        let path = folder.file(NAME);
        let read = || {
            let mut bytes = BufReader::new(File::open(&path)?);
            let targets = read_head(&mut bytes)?;
            Ok((targets, bytes.stream_position()?))
        };
        let (targets, start) = read().map_err(Error::file("cannot read", &path))?;
        Ok(Self {
            place: Place::Kept(path),
            start,
            targets: targets.into(),
        })
    }

    /// Keeps them in the run's `folder`; gives them, and the file with its hash.
    pub(super) fn keep(self, folder: &RunFolder) -> Result<(Self, KeptFile), Error> {
        let path = folder.file(NAME);
        let copy = || {
            let file = create(&path, folder.readers())?;
            let mut out = Hashed::new(BufWriter::with_capacity(64 << 10, file));
            let mut head = Vec::new();
            write_head(&self.targets, &mut head)?;
            out.write_all(&head)?;
            io::copy(&mut self.file()?, &mut out)?;
            let (sha256, out) = out.into_parts();
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok((sha256, head.len() as u64))
        };
        let (sha256, start) = copy().map_err(Error::file("cannot write", &path))?;
        let kept = Self {
            place: Place::Kept(path),
            start,
            targets: self.targets,
        };
        let path = NAME.to_owned();
        Ok((kept, KeptFile { path, sha256 }))
    }

    /// Where they go.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The same rows, with a target of `targets` in the place of each.
    pub(super) fn going_to(self, targets: Vec<Target>) -> Self {
        Self {
            targets: targets.into(),
            ..self
        }
    }

    fn path(&self) -> &Path {
        match &self.place {
            Place::Temporary(copy) => copy.path(),
            Place::Kept(path) => path,
        }
    }

    /// Their lines, from the first row on.
    pub(super) fn file(&self) -> io::Result<File> {
        let mut file = File::open(self.path())?;
        file.seek(SeekFrom::Start(self.start))?;
        Ok(file)
    }

    /// All of them, in input order.
    pub(super) fn rows(&self) -> Result<Rows, RowsError> {
        Ok(Rows {
            bytes: BufReader::with_capacity(64 << 10, self.file()?),
            targets: Rc::clone(&self.targets),
            line: Vec::new(),
            offset: self.start,
            next: self.start,
        })
    }

    /// They, by the bytes at which they begin.
    pub(super) fn by_offset(&self) -> Result<RowsByOffset, RowsError> {
        Ok(RowsByOffset {
            lines: LineWindow::new(File::open(self.path())?),
            targets: Rc::clone(&self.targets),
        })
    }
}

/// The rows of a job in input order.
pub(super) struct Rows {
    bytes: BufReader<File>,
    targets: Rc<[Target]>,
    line: Vec<u8>,
    /// Where the row that was read last begins, and where the next one does.
    offset: u64,
    next: u64,
}

impl Rows {
    /// Where the row that was read last begins, in bytes.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next row.
    pub(super) fn next_row(&mut self) -> Result<Option<StoredRow>, RowsError> {
        self.line.clear();
        let length = self.bytes.read_until(b'\n', &mut self.line)?;
        self.offset = self.next;
        self.next += length as u64;
        match length {
            0 => Ok(None),
            _ => Ok(Some(read_row(&self.line, &self.targets)?)),
        }
    }

    /// The next row that the user did not take out.
    pub(super) fn next_taken(&mut self) -> Result<Option<Row>, RowsError> {
        while let Some(stored) = self.next_row()? {
            if stored.left_out.is_none() {
                return Ok(Some(stored.row));
            }
        }
        Ok(None)
    }
}

impl Iterator for Rows {
    type Item = Result<StoredRow, RowsError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

/// The rows of a job by the bytes at which they begin.
pub(super) struct RowsByOffset {
    lines: LineWindow<File>,
    targets: Rc<[Target]>,
}

impl RowsByOffset {
    /// The row that begins at byte `offset`.
    pub(super) fn row_at(&mut self, offset: u64) -> Result<Row, RowsError> {
        let line = self.lines.line_at(offset)?;
        let gone = || RowsError(format!("{NAME} has no row at byte {offset} any more").into());
        Ok(read_row(line.ok_or_else(gone)?, &self.targets)?.row)
    }
}
