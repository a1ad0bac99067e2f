//! Reads the list of workflows that a job leaves alone.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::job::hold::{Held, Holds};
use crate::job::intent::{Job, Named};
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::toml::Located;

use super::{clock, course};

/// The workflows that the job's list holds back, and the holds that have expired, in words.
pub(super) fn read(path: &str, job: &Job, problems: &mut Problems) -> (Held, Vec<String>) {
    let Some(named) = &job.hold else {
        return Default::default();
    };
    let (file, place, hint) = match named {
        Named::Flag(file) => (
            PathBuf::from(file),
            Place::Flag(format!("--hold {file}")),
            "check the path",
        ),
        Named::Job(Located { value, span }) => (
            Path::new(path)
                .parent()
                .unwrap_or(Path::new(""))
                .join(value),
            Place::Job(span.clone()),
            "the path counts from the folder of the job file",
        ),
    };
    let shown = file.display().to_string();
    match File::open(&file) {
        Ok(bytes) => {
            let (now, zone) = (clock::began(), course::zone(job));
            let holds = Holds::read(bytes, &shown.into(), now, &zone, problems);
            (holds.held, holds.expired)
        }
        Err(error) => {
            let what = match error.kind() == ErrorKind::NotFound {
                true => format!("no such file: {shown}"),
                false => format!("{shown} cannot be read: {error}"),
            };
            problems.push(Problem::new(place, what, hint));
            Default::default()
        }
    }
}
