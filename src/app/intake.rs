//! Takes a job in: reads the file, copies its CSV, finds every problem, counts the rows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::cli::JobArgs;
use crate::error::Error;
use crate::job::change::Change;
use crate::job::encoding::Decoded;
use crate::job::file::{self, Written};
use crate::job::illegible::illegible;
use crate::job::intent::Job;
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::record::Form;
use crate::job::rows::{Census, Rest, Suspects};
use crate::job::source::TableSource;
use crate::job::stage::StageRows;
use crate::job::table::Table;
use crate::job::template::{self, Template};

use super::folder::Hashed;
use super::holds;
use super::input::{Copy, Input, Tee, Watched, open_table};
use super::taken::{StagePart, Taken};
use super::{environment, profiles, terminal};

/// Takes in the job that the command line names; `temporary` makes the file for the copy.
///
/// # Errors
/// The job has problems, all of which are told; or the copy could not be made.
pub(super) fn take_in(
    args: &JobArgs,
    temporary: impl Fn() -> Result<NamedTempFile, Error>,
) -> Result<Taken, Error> {
    let (profiles, unreadable) = match profiles::load() {
        Ok(profiles) => (profiles, None),
        Err(error) => (Rc::default(), Some(error)),
    };
    let mut problems = Problems::default();
    let (text, table_alone) = match read_job(&args.job) {
        Ok(read) => read,
        Err(problem) => {
            problems.push(problem);
            return Err(Error::Problems(
                problems.render(None, terminal::wants_color()),
            ));
        }
    };
    let written = match &text {
        Some(text) => file::File::read(text, &environment, &mut problems),
        None => file::File::default(),
    };
    let mut job = Job::new(
        written,
        &args.flags(),
        table_alone,
        Rc::clone(&profiles),
        &environment,
        &mut problems,
    );
    let (held, expired) = holds::read(&args.job, &job, &mut problems);
    job.selection.held = held;
    job.warnings.extend(expired);
    let updates: Rc<[Written]> = std::mem::take(&mut job.updates).into();
    let changes: Rc<[Change]> = std::mem::take(&mut job.changes).into();
    let defaults = &job.defaults;
    let has_defaults =
        !args.set.is_empty() || !defaults.update.is_empty() || !defaults.templates.is_empty();
    let mut taken = Taken {
        has_defaults,
        is_recorded: false,
        name: job.name.clone().unwrap_or_else(|| stem(&args.job)),
        job,
        census: Census::default(),
        input: None,
        updates,
        parts: Vec::new(),
        changes,
        searches: Vec::new(),
        readings: BTreeMap::new(),
        notes: Vec::new(),
        source: text.map(|text| (args.job.clone(), text)),
    };
    taken.first_pass(&args.job, temporary, &mut problems)?;
    if let Some(error) = unreadable.filter(|_| profiles.were_asked_for()) {
        return Err(error);
    }
    taken.settle_destination(&args.job, &mut problems);
    taken.refuse_two_kinds_of_waves(&mut problems);
    // Rows that are still to be chosen, or to be told where they go, may be those that are meant.
    if taken.changes.is_empty() && taken.census.without_workspace.is_empty() {
        taken.check_selection(&mut problems);
    }
    taken.warn_of_variables();
    taken.refuse(&problems)?;
    Ok(taken)
}

pub(super) fn stem(job: &str) -> String {
    match Path::new(job).file_stem() {
        _ if job == "-" => "standard input".to_owned(),
        Some(stem) => stem.to_string_lossy().into_owned(),
        None => job.to_owned(),
    }
}

/// The text of a job file; `None` and true for a CSV alone.
fn read_job(job: &str) -> Result<(Option<String>, bool), Problem> {
    let wrong = |what: &str, hint: &str| Problem::new(Place::File(job.into()), what, hint);
    let path = Path::new(job);
    if job == "-" {
        return Ok((None, true));
    }
    if path.is_dir() {
        return Err(wrong(
            "a directory is no job",
            "name a .toml or .csv file in it",
        ));
    }
    let extension = path
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("toml") => {}
        Some("csv" | "tsv" | "txt") => return Ok((None, true)),
        Some(_) | None if !path.exists() => {
            return Err(wrong(
                "no such file",
                "name a .toml or .csv file, or - for standard input",
            ));
        }
        Some(_) | None => {
            let hint =
                "name it .toml or .csv, or give a CSV on standard input: flowbatch run - < FILE";
            return Err(wrong("neither a job file nor a CSV by its name", hint));
        }
    }
    let cannot = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            wrong("no such file", "check the path")
        } else {
            wrong(&format!("the file cannot be read: {error}"), "")
        }
    };
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(file::LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > file::LARGEST {
        return Err(wrong(
            "the job file is larger than 16 MiB",
            "put the rows into a CSV, which is streamed: [rows] file = \"rows.csv\"",
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((Some(text.trim_start_matches('\u{feff}').to_owned()), false)),
        Err(_) => Err(wrong("the job file is not UTF-8", "save it as UTF-8")),
    }
}

impl Taken {
    /// Reads every row once: copies the input, tells every problem, counts.
    fn first_pass(
        &mut self,
        job: &str,
        temporary: impl Fn() -> Result<NamedTempFile, Error>,
        problems: &mut Problems,
    ) -> Result<(), Error> {
        if !self.job.stages.is_empty() {
            return self.first_pass_of_stages(job, temporary, problems);
        }
        let Some(source) = self.job.table.clone() else {
            let suspects = self.count(Rest::<io::Empty>::None, problems);
            self.confirm(&suspects, problems);
            if self.updates.is_empty() && self.changes.is_empty() && problems.is_empty() {
                problems.push(Problem::new(
                    Place::File(job.into()),
                    "the job has no rows",
                    "add [[update]] or [[change]] tables, or [rows] file = \"rows.csv\"",
                ));
            }
            return Ok(());
        };
        let Some((mut bytes, path)) = open_table(job, &source, problems) else {
            self.count(Rest::<io::Empty>::None, problems);
            return Ok(());
        };
        let label: Arc<str> = path.as_str().into();
        let copy = temporary()?;
        let mut hashed = Hashed::new(&mut bytes);
        let before = problems.count();
        let mut suspects = Suspects::default();
        let mut is_plain = false;
        {
            let (file, failed) = Watched::new(copy.as_file());
            let writer = BufWriter::new(file);
            let table = Decoded::new(&mut hashed, source.encoding).map(|decoded| {
                is_plain = decoded.is_plain();
                let tee = Tee {
                    from: decoded,
                    to: writer,
                };
                Table::open(tee, &label, &source.options, problems)
            });
            match table {
                Err(error) => problems.push(illegible(&label, &error, b',')),
                Ok(None) => {}
                Ok(Some(table)) if !table.has_wishes() && !self.has_defaults => {
                    problems.push(table.nothing_to_change("say --set FIELD=VALUE"));
                }
                Ok(Some(table)) => {
                    check_columns(&self.job.defaults.templates, &table, problems);
                    suspects = self.count(Rest::Table(table), problems);
                }
            }
            // What could not be copied is no problem of the job.
            if let Some(error) = failed.take() {
                return Err(Error::file("cannot write", copy.path())(error));
            }
        }
        if self.census.rows == 0 && problems.count() == before {
            problems.push(Problem::new(
                Place::File(Arc::clone(&label)),
                "the file has a header but no rows",
                "add a line for each workflow",
            ));
        }
        let sha256 = hashed.finish();
        self.input = Some(Input {
            path,
            copy_sha256: is_plain.then(|| sha256.clone()),
            sha256,
            copy: Copy::Temporary(copy),
            label,
            options: source.options,
            form: Form::Csv,
            originals: Vec::new(),
        });
        self.confirm(&suspects, problems);
        Ok(())
    }

    /// The same for the rows of stages: each copies its CSV, and then all of them are read.
    fn first_pass_of_stages(
        &mut self,
        job: &str,
        temporary: impl Fn() -> Result<NamedTempFile, Error>,
        problems: &mut Problems,
    ) -> Result<(), Error> {
        for rows in std::mem::take(&mut self.job.stage_rows) {
            let before = problems.count();
            let input = match &rows.table {
                Some(source) => copy_table(job, source, &temporary, problems)?,
                None => None,
            };
            if let Some(input) = &input {
                check_table(input, &rows, problems);
            }
            if problems.count() > before {
                // What is wrong with it is told; rows of it would only repeat that.
                continue;
            }
            self.parts.push(StagePart {
                wishes: (rows.update, rows.templates.into()),
                updates: rows.updates.into(),
                input,
                last: 0,
            });
        }
        // Where one of them cannot be read, what is wrong with the others is told all the same.
        if !self.parts.is_empty() {
            let doing = "cannot read the input again";
            let mut reader = self.reader().map_err(Error::machine(doing))?;
            let selection = &self.job.selection;
            let (census, suspects) = reader.census(selection, &self.changes, problems);
            self.census = census;
            self.number_parts(&reader);
            self.confirm(&suspects, problems);
        }
        Ok(())
    }

    /// Warns of variables that name another target than all the rows do; against flags and the job file
    /// they have been compared.
    fn warn_of_variables(&mut self) {
        let defaults = &self.job.defaults;
        if defaults.simulator.is_some() {
            return;
        }
        let used = self.census.lanes.iter().filter(|lane| lane.rows > 0);
        let regions: Vec<_> = used
            .clone()
            .filter_map(|lane| lane.route.region.clone())
            .collect();
        let projects: Vec<_> = used
            .filter_map(|lane| Some(lane.first_workspace.as_ref()?.project_id.to_string()))
            .collect();
        for (variable, rows, told) in [
            ("HW_REGION_NAME", regions, defaults.names_way()),
            (
                "HUAWEICLOUD_SDK_PROJECT_ID",
                projects.clone(),
                defaults.names_project(),
            ),
            ("HW_PROJECT_ID", projects, defaults.names_project()),
        ] {
            let Some(value) = environment(variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            if !told && !rows.is_empty() && !rows.contains(&value) {
                let named = &rows[0];
                self.job.warnings.push(format!(
                    "{variable} is {value}, but the rows go elsewhere ({named} ...): the rows' own is used"
                ));
            }
        }
    }

    /// Tells rows that ask for waves where the job says itself where they end.
    fn refuse_two_kinds_of_waves(&self, problems: &mut Problems) {
        for (stage, place) in &self.census.waved {
            let of_stage = self.job.stages.get(*stage).map(|stage| &stage.rollout);
            let rollout = self.job.rollout.as_ref().or(of_stage);
            if rollout.is_some_and(|rollout| rollout.says_waves) {
                problems.push(Problem::new(
                    place.clone(),
                    "the rows ask for waves (column wave), and the job says where waves end",
                    "leave out one of them: the column, or waves in [rollout]",
                ));
            }
        }
    }

    /// Whether every row goes somewhere, now that the rows have said what they say.
    fn settle_destination(&mut self, job: &str, problems: &mut Problems) {
        if self.census.region_left_out {
            problems.push(Problem::new(
                Place::File(job.into()),
                "some rows name a region, the others would take another one from HW_REGION_NAME",
                "name the region in every row, or by --region",
            ));
        }
        if let [one, other, ..] = self.census.with_stray_project.as_slice() {
            problems.push(Problem::new(
                Place::File(job.into()),
                format!("rows of several regions ({one}, {other} ...) would take the same project"),
                "a project belongs to one region: name it in a column, or leave it out to have it looked up",
            ));
        }
        let Some(astray) = self.census.astray.take() else {
            return;
        };
        if let Some(problem) = self.job.wrong_region.take() {
            problems.push(problem);
            return;
        }
        let hint = "say --region, --endpoint or --profile, set region in [target], or try it with --simulate";
        problems.push(match self.census.lanes.is_empty() {
            true => Problem::new(Place::File(job.into()), "the job has no target", hint),
            false => Problem::new(
                astray,
                "the row names no region and no profile, and neither does the job",
                "fill in its profile or its region",
            ),
        });
    }
}

/// Copies a CSV. None of one that cannot be read, which is told.
fn copy_table(
    job: &str,
    source: &TableSource,
    temporary: impl Fn() -> Result<NamedTempFile, Error>,
    problems: &mut Problems,
) -> Result<Option<Input>, Error> {
    let Some((mut bytes, path)) = open_table(job, source, problems) else {
        return Ok(None);
    };
    let label: Arc<str> = path.as_str().into();
    let mut copy = temporary()?;
    let mut hashed = Hashed::new(&mut bytes);
    let (mut file, failed) = Watched::new(copy.as_file_mut());
    let copied = Decoded::new(&mut hashed, source.encoding)
        .and_then(|mut decoded| io::copy(&mut decoded, &mut file));
    if let Some(error) = failed.take() {
        return Err(Error::file("cannot write", copy.path())(error));
    }
    if let Err(error) = copied {
        problems.push(illegible(&label, &error, b','));
        return Ok(None);
    }
    Ok(Some(Input {
        path,
        sha256: hashed.finish(),
        copy_sha256: None,
        copy: Copy::Temporary(copy),
        label,
        options: source.options.clone(),
        form: Form::Csv,
        originals: Vec::new(),
    }))
}

/// Tells what is wrong with the header of a stage's CSV, and with one that has no rows.
fn check_table(input: &Input, rows: &StageRows, problems: &mut Problems) {
    let Ok(file) = input.file() else { return };
    let Some(mut table) = Table::open(file, &input.label, &input.options, problems) else {
        return;
    };
    if !table.has_wishes() && rows.update.is_empty() && rows.templates.is_empty() {
        problems.push(table.nothing_to_change("say it in [stage.defaults]"));
    }
    check_columns(&rows.templates, &table, problems);
    let mut told = Problems::default();
    if !table.advance(&mut told) && told.is_empty() {
        problems.push(Problem::new(
            Place::File(Arc::clone(&input.label)),
            "the file has a header but no rows",
            "add a line for each workflow",
        ));
    }
}

/// Tells templates that speak of columns which `table` does not have.
fn check_columns<R: Read>(all: &[Template], table: &Table<R>, problems: &mut Problems) {
    for template in all {
        for column in template::columns(std::slice::from_ref(template)) {
            let names: Vec<_> = table.columns().collect();
            if !names.contains(&column.as_str()) {
                problems.push(Problem::new(
                    template.place.clone(),
                    format!(
                        "the template speaks of the column {column}, which the file does not have"
                    ),
                    format!("its columns: {}", names.join(", ")),
                ));
            }
        }
    }
}
