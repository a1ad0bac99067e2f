//! `plan.jsonl`: what becomes of each row of a session, decided once, and read again to be carried out.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use crate::engine::ports::RowsError;
use crate::job::index::Index;
use crate::job::stored_rows::{Target, Targets};
use crate::model::event::Counts;
use crate::model::line_window::LineWindow;
use crate::model::target::LaneId;
use crate::plan::assessment::{Assessment, Ending, Sending, read_head, write_foot, write_head};

use super::folder::{Hashed, Readers, create};

/// A plan that is being written.
pub(super) struct PlanWriter {
    out: BufWriter<Hashed<File>>,
    targets: Targets,
    line: Vec<u8>,
    offset: u64,
}

impl PlanWriter {
    /// Begins the plan of the job called `job`, whose rows go to `targets`, as `path`.
    pub(super) fn create(
        path: &Path,
        readers: Readers,
        job: &str,
        targets: &[Target],
    ) -> std::io::Result<Self> {
        let mut writer = Self {
            out: BufWriter::with_capacity(64 << 10, Hashed::new(create(path, readers)?)),
            targets: Targets::of(targets),
            line: Vec::new(),
            offset: 0,
        };
        write_head(job, targets, env!("CARGO_PKG_VERSION"), &mut writer.line)?;
        writer.write()?;
        Ok(writer)
    }

    fn write(&mut self) -> std::io::Result<()> {
        self.out.write_all(&self.line)?;
        self.offset += self.line.len() as u64;
        self.line.clear();
        Ok(())
    }

    /// Adds what becomes of a row. Gives the byte at which its line begins.
    pub(super) fn push(&mut self, assessment: &Assessment) -> std::io::Result<u64> {
        let offset = self.offset;
        let target = self.targets.place_of(assessment.row());
        assessment.write(target, &mut self.line)?;
        self.write()?;
        Ok(offset)
    }

    /// Ends the plan, which comes to `counts`. Gives its SHA-256; that it is there is durable.
    pub(super) fn finish(mut self, counts: &Counts) -> std::io::Result<String> {
        write_foot(counts, &mut self.line)?;
        self.write()?;
        let hashed = self
            .out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        let (sha256, file) = hashed.into_parts();
        file.sync_all()?;
        Ok(sha256)
    }
}

/// The rows of a plan in input order.
pub(super) struct PlanReader {
    bytes: BufReader<File>,
    targets: Rc<[Target]>,
    line: Vec<u8>,
}

impl PlanReader {
    /// Those of the plan in the file `path`.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let mut bytes = BufReader::with_capacity(64 << 10, File::open(path)?);
        let targets = read_head(&mut bytes)?.into();
        Ok(Self {
            bytes,
            targets,
            line: Vec::new(),
        })
    }

    /// The next line of which `is_wanted` says that it is wanted.
    fn next(&mut self, is_wanted: impl Fn(&[u8]) -> bool) -> std::io::Result<Option<Assessment>> {
        loop {
            self.line.clear();
            if self.bytes.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            // The last line is that of no row; a torn one was never acted upon.
            if self.line.ends_with(b"\n")
                && is_wanted(&self.line)
                && let Some(assessment) = Assessment::read(&self.line, &self.targets)?
            {
                return Ok(Some(assessment));
            }
        }
    }

    /// The next row that is carried out.
    pub(super) fn next_sending(&mut self) -> std::io::Result<Option<Sending>> {
        Ok(match self.next(Assessment::is_sent)? {
            Some(Assessment::Send(sending)) => Some(*sending),
            Some(Assessment::End(_)) | None => None,
        })
    }

    /// The next row that ends without a request.
    pub(super) fn next_ending(&mut self) -> std::io::Result<Option<Ending>> {
        Ok(match self.next(|line| !Assessment::is_sent(line))? {
            Some(Assessment::End(ending)) => Some(*ending),
            Some(Assessment::Send(_)) | None => None,
        })
    }
}

/// The rows of a plan that are carried out, by the lanes that they leave by.
pub(super) enum PlannedRows {
    /// All of them, by the only lane there is.
    InOrder(PlanReader),
    /// Those that an index names.
    ByIndex {
        lines: LineWindow<File>,
        targets: Rc<[Target]>,
        index: Index,
    },
}

impl PlannedRows {
    /// All rows of the plan in the file `path`, which leave by one lane.
    pub(super) fn in_order(path: &Path) -> Result<Self, RowsError> {
        Ok(Self::InOrder(PlanReader::open(path)?))
    }

    /// Those of the plan in the file `path` that `index` names.
    pub(super) fn by_index(path: &Path, index: Index) -> Result<Self, RowsError> {
        let targets = read_head(&mut BufReader::new(File::open(path)?))?;
        Ok(Self::ByIndex {
            lines: LineWindow::new(File::open(path)?),
            targets: targets.into(),
            index,
        })
    }

    /// The next row that leaves by `lane`.
    pub(super) fn next(&mut self, lane: LaneId) -> Result<Option<Sending>, RowsError> {
        match self {
            Self::InOrder(plan) => Ok(plan.next_sending()?),
            Self::ByIndex {
                lines,
                targets,
                index,
            } => {
                let Some(entry) = index.next(lane) else {
                    return Ok(None);
                };
                let line = lines.line_at(entry.offset)?.unwrap_or_default();
                match Assessment::read(line, targets)? {
                    Some(Assessment::Send(sending)) => Ok(Some(*sending)),
                    Some(Assessment::End(_)) | None => {
                        let what = format!("the plan has no row at byte {} any more", entry.offset);
                        Err(RowsError(what.into()))
                    }
                }
            }
        }
    }
}
