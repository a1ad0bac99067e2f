//! The CSV that a job's rows come from, and the copy of it that a run works with.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::engine::ports::RowsError;
use crate::error::Error;
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::record::{Form, Original};
use crate::job::rows::Rest;
use crate::job::settled::Settled;
use crate::job::source::TableSource;
use crate::job::table::{Options, Table};
use crate::job::toml::Located;
use crate::model::event::KeptFile;

use super::folder::{Readers, sha256_of};
use super::terminal;

/// The CSV that a job's rows come from.
pub(super) struct Input {
    /// As given.
    pub(super) path: String,
    /// Of the original bytes.
    pub(super) sha256: String,
    /// Its text in UTF-8: a temporary file, until a run keeps it.
    pub(super) copy: Copy,
    /// Of the copy, where that is known.
    pub(super) copy_sha256: Option<String>,
    pub(super) label: Arc<str>,
    pub(super) options: Options,
    pub(super) form: Form,
    /// What it was made from, if it is no CSV itself.
    pub(super) originals: Vec<Original>,
}

/// The copy of an input.
pub(super) enum Copy {
    Temporary(NamedTempFile),
    Kept(PathBuf),
}

impl Input {
    /// Keeps the copy as `path`.
    pub(super) fn keep(&mut self, path: PathBuf, readers: Readers) -> Result<(), Error> {
        match std::mem::replace(&mut self.copy, Copy::Kept(path.clone())) {
            Copy::Kept(_) => Ok(()),
            Copy::Temporary(copy) => {
                let kept = copy.persist(&path).map_err(|error| error.error);
                kept.and_then(|file| readers.admit(&file))
                    .map_err(Error::file("cannot keep the input as", path))
            }
        }
    }

    /// The copy in the run folder, if it is there and its hash is known.
    pub(super) fn kept_file(&self) -> Option<KeptFile> {
        let sha256 = self.copy_sha256.clone()?;
        let path = self.form.file_name().to_owned();
        Some(KeptFile { path, sha256 })
    }

    /// Where the copy is.
    fn path(&self) -> &Path {
        match &self.copy {
            Copy::Temporary(copy) => copy.path(),
            Copy::Kept(path) => path,
        }
    }

    /// The copy in the run folder as it is now, for a run that was killed before it put the hash on record.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn hashed(&self) -> Result<KeptFile, Error> {
        let path = self.path();
        let sha256 = sha256_of(path).map_err(Error::file("cannot read", path))?;
        let path = self.form.file_name().to_owned();
        Ok(KeptFile { path, sha256 })
    }

    /// The copy, from its beginning.
    pub(super) fn file(&self) -> Result<File, RowsError> {
        let path = self.path();
        File::open(path).map_err(|error| RowsError(error.into()))
    }

    /// Its rows, from the first on.
    pub(super) fn reopen(&self) -> Result<Rest<File>, RowsError> {
        let file = self.file()?;
        if self.form == Form::Settled {
            return Ok(Rest::Settled(Settled::new(file)));
        }
        let mut problems = Problems::default();
        Table::open(file, &self.label, &self.options, &mut problems)
            .map(Rest::Table)
            .ok_or_else(|| changed(&problems))
    }
}

/// The copy reads otherwise than the first time.
pub(super) fn changed(problems: &Problems) -> RowsError {
    RowsError(problems.render(None, false).into())
}

pub(super) fn open_table(
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
        Ok(file) => Some((Box::new(BufReader::new(file)), shown)),
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

/// A writer that keeps its first error: the caller sees it as an error of reading.
pub(super) struct Watched<W> {
    to: W,
    failed: Rc<Cell<Option<io::Error>>>,
}

impl<W> Watched<W> {
    /// It, and where its first error will be.
    pub(super) fn new(to: W) -> (Self, Rc<Cell<Option<io::Error>>>) {
        let failed = Rc::new(Cell::new(None));
        let watched = Self {
            to,
            failed: Rc::clone(&failed),
        };
        (watched, failed)
    }

    fn keep<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| {
            let again = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            self.failed.set(Some(again));
        })
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.to.write(bytes);
        self.keep(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.to.flush();
        self.keep(done)
    }
}

/// A reader that copies what passes through.
pub(super) struct Tee<R, W> {
    pub(super) from: R,
    pub(super) to: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.to.write_all(&buffer[..length]).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("its copy in the state folder: {error}"),
            )
        })?;
        if length == 0 {
            self.to.flush()?;
        }
        Ok(length)
    }
}
