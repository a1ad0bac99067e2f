//! The files that the user gave: each is read once, and its bytes are kept as they were read.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use tempfile::NamedTempFile;

use crate::error::Error;
use crate::job::encoding::Decoded;
use crate::job::illegible::illegible;
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::record::{InputRecord, SourceRecord};
use crate::job::source::TableSource;
use crate::job::table::Table;
use crate::job::toml::Located;
use crate::model::row::hex;

use super::folder::{RunFolder, State};
use super::terminal;

/// What is kept of the files that are read.
#[derive(Clone, Copy)]
pub(super) enum Keep<'a> {
    /// Their bytes, until a run keeps them.
    In(&'a State),
    /// Nothing but what can be read once alone.
    Nothing,
}

/// A file that the user gave, read to its end.
pub(super) struct SourceFile {
    /// As given.
    pub(super) path: String,
    /// Of its bytes as they were read.
    pub(super) sha256: String,
    /// Those bytes; without a copy they are still where they were.
    copy: Option<NamedTempFile>,
    extension: &'static str,
}

impl SourceFile {
    /// The job file `path`, which holds `bytes`.
    pub(super) fn job(path: &str, bytes: &[u8], keep: Keep<'_>) -> Result<Self, Error> {
        let copy = match keep {
            Keep::Nothing => None,
            Keep::In(state) => {
                let mut copy = state.temporary()?;
                let written = copy.write_all(bytes);
                written.map_err(Error::file("cannot write", copy.path()))?;
                Some(copy)
            }
        };
        Ok(Self {
            path: path.to_owned(),
            sha256: super::folder::sha256(bytes),
            copy,
            extension: "toml",
        })
    }

    /// The saved plan `path`, whose bytes were copied and hashed.
    pub(super) fn plan(path: &str, sha256: String, copy: NamedTempFile) -> Self {
        Self {
            path: path.to_owned(),
            sha256,
            copy: Some(copy),
            extension: "json",
        }
    }
}

/// Keeps `sources` in the run's `folder`, each under a name of its own.
pub(super) fn keep(
    sources: Vec<SourceFile>,
    folder: &RunFolder,
) -> Result<Vec<SourceRecord>, Error> {
    let mut kept: Vec<SourceRecord> = Vec::new();
    for source in sources {
        let Some(copy) = source.copy else { continue };
        let names = (1..).map(|number: u32| match number {
            1 => format!("input.{}", source.extension),
            number => format!("input-{number}.{}", source.extension),
        });
        let mut names = names.filter(|name| kept.iter().all(|other| other.file != *name));
        let Some(file) = names.next() else { continue };
        let path = folder.file(&file);
        let admitted = match copy.persist(&path) {
            Ok(file) => folder.readers().admit(&file),
            Err(error) => Err(error.error),
        };
        admitted.map_err(Error::file("cannot keep the input as", path))?;
        kept.push(SourceRecord {
            path: source.path,
            sha256: source.sha256,
            file,
        });
    }
    Ok(kept)
}

/// What passes through a [`Copying`].
struct Passed {
    context: Context,
    to: Option<NamedTempFile>,
    failed: Option<io::Error>,
}

/// A reader that hashes and copies what passes through.
pub(super) struct Copying {
    from: Box<dyn Read>,
    passed: Rc<RefCell<Passed>>,
}

impl Read for Copying {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        let mut passed = self.passed.borrow_mut();
        let passed = &mut *passed;
        if let Some(to) = &mut passed.to {
            passed.context.update(&buffer[..length]);
            if let Err(error) = to.write_all(&buffer[..length]) {
                let what = format!("its copy in the state folder: {error}");
                let again = io::Error::new(error.kind(), what);
                passed.failed = Some(error);
                return Err(again);
            }
        }
        Ok(length)
    }
}

/// A CSV whose rows are read, or were.
pub(super) struct Csv {
    pub(super) path: String,
    pub(super) label: Arc<str>,
    source: TableSource,
    passed: Rc<RefCell<Passed>>,
}

/// The table of a CSV that is read for the first time.
pub(super) type FirstTable = Table<Decoded<Copying>>;
/// The table of one that is read again.
pub(super) type NextTable = Table<Decoded<File>>;

impl Csv {
    /// Opens the CSV of `job` that `source` is. None of one that cannot be opened, which is reported; no table where its header is
    /// none.
    ///
    /// # Errors
    /// Its bytes cannot be kept.
    pub(super) fn open(
        job: &str,
        source: &TableSource,
        keep: Keep<'_>,
        problems: &mut Problems,
    ) -> Result<Option<(Self, Option<FirstTable>)>, Error> {
        let Some((from, path)) = open(job, source, problems) else {
            return Ok(None);
        };
        let is_read_once = source.file.is_none() && job == "-";
        let to = match keep {
            Keep::In(state) => Some(state.temporary()?),
            Keep::Nothing if is_read_once => {
                let folder = std::env::temp_dir();
                let copy = NamedTempFile::new();
                Some(copy.map_err(Error::file("cannot write in", folder))?)
            }
            Keep::Nothing => None,
        };
        let passed = Rc::new(RefCell::new(Passed {
            context: Context::new(&SHA256),
            to,
            failed: None,
        }));
        let csv = Self {
            label: path.as_str().into(),
            path,
            source: source.clone(),
            passed: Rc::clone(&passed),
        };
        let table = csv.table(Copying { from, passed }, problems);
        csv.check_copy()?;
        Ok(Some((csv, table)))
    }

    fn table<R: Read>(&self, bytes: R, problems: &mut Problems) -> Option<Table<Decoded<R>>> {
        match Decoded::new(bytes, self.source.encoding) {
            Ok(decoded) => Table::open(decoded, &self.label, &self.source.options, problems),
            Err(error) => {
                problems.push(illegible(&self.label, &error, b','));
                None
            }
        }
    }

    /// That its bytes could be kept so far: what could not be is no problem of the job.
    pub(super) fn check_copy(&self) -> Result<(), Error> {
        let mut passed = self.passed.borrow_mut();
        let Passed { to, failed, .. } = &mut *passed;
        let path = to.as_ref().map_or(Path::new(&self.path), |to| to.path());
        match failed.take() {
            Some(error) => Err(Error::file("cannot write", path)(error)),
            None => Ok(()),
        }
    }

    /// Its table once more. What is wrong with it was told.
    pub(super) fn again(&self) -> io::Result<Option<NextTable>> {
        let passed = self.passed.borrow();
        let file = match &passed.to {
            Some(copy) => File::open(copy.path()),
            None => File::open(&self.path),
        };
        Ok(self.table(file?, &mut Problems::default()))
    }

    /// The file, once it has been read to its end.
    pub(super) fn record(&self) -> InputRecord {
        InputRecord {
            path: self.path.clone(),
            sha256: hex(self.passed.borrow().context.clone().finish().as_ref()),
        }
    }

    /// The same, and its bytes.
    pub(super) fn into_source(self) -> SourceFile {
        let InputRecord { path, sha256 } = self.record();
        SourceFile {
            path,
            sha256,
            copy: self.passed.borrow_mut().to.take(),
            extension: "csv",
        }
    }
}

fn open(
    job: &str,
    source: &TableSource,
    problems: &mut Problems,
) -> Option<(Box<dyn Read>, String)> {
    let (path, place): (PathBuf, Place) = match &source.file {
        None if job == "-" => {
            if io::stdin().is_terminal() {
                terminal::complain("reading a CSV from the terminal; end it with Ctrl-D");
            }
            return Some((Box::new(io::stdin()), "standard input".to_owned()));
        }
        None => (job.into(), Place::File(job.into())),
        Some(Located { value, span }) => {
            let folder = Path::new(job).parent().unwrap_or(Path::new(""));
            (folder.join(value), Place::Job(span.clone()))
        }
    };
    let shown = path.display().to_string();
    let mut wrong = |what: String, hint: &str| {
        problems.push(Problem::new(place.clone(), what, hint));
        None
    };
    if path.is_dir() {
        return wrong(format!("{shown} is a directory"), "name a .csv file in it");
    }
    match File::open(&path) {
        Ok(file) => {
            let file = BufReader::with_capacity(64 << 10, file);
            Some((Box::new(file), shown))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => match &source.file {
            None => wrong("no such file".to_owned(), "check the path"),
            Some(_) => wrong(
                format!("no such file: {shown}"),
                "the path counts from the folder of the job file",
            ),
        },
        Err(error) => wrong(format!("{shown} cannot be read: {error}"), ""),
    }
}
