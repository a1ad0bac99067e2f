//! Where files for people may be written.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use rustix::fs::Access;

use crate::cli::RecordArgs;
use crate::error::Error;
use crate::model::report_column::REPORT_COLUMNS;
use crate::sinks::export::check_untouched;

use super::page;

/// The longest file that is looked through before an export takes its place.
const LARGEST_EXPORT: u64 = 256 << 20;

/// How a file of metrics begins.
const FIRST_METRIC: &str = "# HELP flowbatch_";

/// Refuses files of a run that cannot go where the command line wants them, before anything is sent.
pub(super) fn check(record: &RecordArgs, inputs: &[String]) -> Result<(), Error> {
    if let Some(path) = &record.report {
        check_report(path, inputs)?;
    }
    if let Some(path) = &record.html {
        page::check_target(path)?;
    }
    match &record.metrics_file {
        Some(path) => check_metrics(path),
        None => Ok(()),
    }
}

/// Refuses a path that the textfile collector would not read, or where something else is.
pub(super) fn check_metrics(path: &Path) -> Result<(), Error> {
    let refuse = |what: &str, hint: &str| {
        Err(Error::Usage {
            what: format!("the metrics cannot go to {}: {what}", path.display()),
            hint: hint.to_owned(),
        })
    };
    if path.extension().is_none_or(|extension| extension != "prom") {
        return refuse(
            "the textfile collector reads files whose name ends in .prom only",
            "name it so",
        );
    }
    check_folder("the metrics", path)?;
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(text) if text.is_empty() || text.starts_with(FIRST_METRIC) => Ok(()),
        Ok(_) => refuse(
            "a file is there that flowbatch has not written",
            "name another file",
        ),
        Err(error) => refuse(
            &format!("what is there cannot be read: {error}"),
            "name another file",
        ),
    }
}

/// Refuses a path that is one of the job's own `inputs`, or any other file that is no report: a slip of
/// the hand must not cost the input.
pub(super) fn check_report(path: &Path, inputs: &[String]) -> Result<(), Error> {
    let refuse = |what: String| {
        Err(Error::Usage {
            what: format!("the report cannot go to {}: {what}", path.display()),
            hint: "name another file".to_owned(),
        })
    };
    let Ok(real) = fs::canonicalize(path) else {
        return check_folder("the report", path);
    };
    let is = |other: &str| fs::canonicalize(other).is_ok_and(|other| other == real);
    if inputs.iter().any(|input| is(input)) {
        return refuse("that is the job's own input".to_owned());
    }
    if real.is_dir() {
        return refuse("that is a directory".to_owned());
    }
    match is_replaceable(&real) {
        Ok(true) => check_folder("the report", &real),
        Ok(false) => refuse("a file is there that is no report".to_owned()),
        Err(error) => refuse(format!("what is there cannot be read: {error}")),
    }
}

/// Refuses a path where an export would destroy a person's work: anything but nothing, an empty file, what is no regular file,
/// and an export that was not edited. `force`: whatever is there.
pub(super) fn check_export(path: &Path, force: bool) -> Result<(), Error> {
    check_folder("the export", path)?;
    let refuse = |what: String| {
        Err(Error::Usage {
            what: format!("the export cannot go to {}: {what}", path.display()),
            hint: "name another file, or say --force to lose what is there".to_owned(),
        })
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(found) if found.is_dir() => return refuse("that is a folder".to_owned()),
        Ok(_) if force => return Ok(()),
        Ok(found) if !found.is_file() || found.len() == 0 => return Ok(()),
        Ok(_) | Err(_) => {}
    }
    let found = fs::metadata(path).map_or(0, |found| found.len());
    if found > LARGEST_EXPORT {
        return refuse("a file is there that is no export: it is longer than any".to_owned());
    }
    match fs::read(path) {
        Ok(bytes) => match check_untouched(&bytes) {
            Ok(()) => Ok(()),
            Err(fault) => refuse(format!("a file is there: {fault}")),
        },
        Err(error) => refuse(format!("what is there cannot be read: {error}")),
    }
}

/// Refuses a path for `what` that cannot be written, before anything is done for it.
pub(super) fn check_folder(what: &str, path: &Path) -> Result<(), Error> {
    let refuse = |why: String| {
        Err(Error::Usage {
            what: format!("{what} cannot go to {}: {why}", path.display()),
            hint: "name another file".to_owned(),
        })
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    if !folder.is_dir() {
        return refuse(format!("there is no folder {}", folder.display()));
    }
    match fs::metadata(path) {
        // A pipe that is opened to look has been opened.
        Ok(found) if !found.is_file() => return Ok(()),
        // What is there may be written in place.
        Ok(_) if File::options().write(true).open(path).is_ok() => return Ok(()),
        Ok(_) | Err(_) => {}
    }
    match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(error) => refuse(format!(
            "nothing can be written in {}: {}",
            folder.display(),
            io::Error::from(error)
        )),
    }
}

/// Whether `path` is empty, no regular file, or begins as a report does.
fn is_replaceable(path: &Path) -> io::Result<bool> {
    let found = fs::metadata(path)?;
    if !found.is_file() || found.len() == 0 {
        return Ok(true);
    }
    let mut line = String::new();
    let most = REPORT_COLUMNS.join(",").len() as u64 + 2;
    let read = BufReader::new(File::open(path)?.take(most)).read_line(&mut line);
    Ok(read.is_ok() && line.trim_end() == REPORT_COLUMNS.join(","))
}
