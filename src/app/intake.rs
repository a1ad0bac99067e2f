//! Takes a job in: reads its files once, finds every problem, counts the rows.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::cli::JobArgs;
use crate::error::Error;
use crate::job::census::{Census, Counted};
use crate::job::change::Change;
use crate::job::defaults::Defaults;
use crate::job::file::{self, Written};
use crate::job::intent::{Intent, Job, RowSources};
use crate::job::problem::{Place, Problem, Source};
use crate::job::problems::Problems;
use crate::job::rollout::Waves;
use crate::job::rows::{Findings, Part, Reader, Surveyed};
use crate::job::settings::Settings;
use crate::job::source::TableSource;
use crate::job::stored_rows::Target;
use crate::job::table::Table;
use crate::job::template::{self, Template};
use crate::model::counted::counted;
use crate::model::row::Row;
use crate::model::update::Update;

use super::holds;
use super::placing::Placing;
use super::sources::{Csv, FirstTable, Keep, SourceFile};
use super::{environment, profiles, terminal};

/// A job without problems, as far as no service is asked.
pub(super) struct ReadJob {
    pub(super) job: Job,
    /// The job's name for people.
    pub(super) name: String,
    pub(super) census: Census,
    /// What the rows leave open.
    pub(super) findings: Findings,
    /// Where they go.
    pub(super) targets: Vec<Target>,
    /// Rows that are to be chosen from the live state.
    pub(super) changes: Rc<[Change]>,
    /// Where the rows come from: those of each stage, where there are stages.
    pub(super) parts: Vec<PartSource>,
    /// The job file, if there is one.
    pub(super) file: Option<SourceFile>,
    /// Its path and text, for pictures of problems.
    pub(super) text: Option<(String, String)>,
    /// In which waves the rows go, if they do.
    pub(super) waves: Option<Waves>,
}

/// The rows of a stage, or all of them.
pub(super) struct PartSource {
    /// What they are completed by, if not by the same as all.
    pub(super) wishes: Option<(Update, Rc<[Template]>)>,
    pub(super) updates: Rc<[Written]>,
    pub(super) csv: Option<Csv>,
}

/// Reads the job that the command line names, and shows each of its rows to `take`.
///
/// # Errors
/// The job has problems, all of which are told; or that of `take`.
pub(super) fn read(
    args: &JobArgs,
    keep: Keep<'_>,
    mut take: impl FnMut(&Row, &Counted) -> Result<(), Error>,
) -> Result<ReadJob, Error> {
    let (profiles, unreadable) = match profiles::load() {
        Ok(profiles) => (profiles, None),
        Err(error) => (Rc::default(), Some(error)),
    };
    let mut problems = Problems::default();
    let bytes = match read_job(&args.job) {
        Ok(bytes) => bytes,
        Err(problem) => {
            problems.push(problem);
            return Err(Error::Problems(
                problems.render(None, terminal::wants_color()),
            ));
        }
    };
    let job_file = bytes
        .as_ref()
        .map(|bytes| SourceFile::job(&args.job, bytes, keep));
    let job_file = job_file.transpose()?;
    let text = bytes.map(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        text.trim_start_matches('\u{feff}').to_owned()
    });
    let written = match &text {
        Some(text) => file::File::read(text, &environment, &mut problems),
        None => file::File::default(),
    };
    let Intent {
        mut job,
        changes,
        rows,
        wrong_region,
    } = Intent::new(
        written,
        &args.flags(),
        text.is_none(),
        Rc::clone(&profiles),
        &environment,
        &mut problems,
    );
    let (held, expired) = holds::read(&args.job, &job, &mut problems);
    job.selection.held = held;
    job.warnings.extend(expired);
    let changes: Rc<[Change]> = changes.into();
    let has_defaults = !args.set.is_empty()
        || !job.defaults.update.is_empty()
        || !job.defaults.templates.is_empty();
    let (parts, tables) = open_parts(&args.job, rows, has_defaults, &job, keep, &mut problems)?;
    let readable = tables.iter().zip(&parts);
    let readable = readable.map(|(table, part)| table.is_some() || part.csv.is_none());
    let readable: Vec<bool> = readable.collect();
    let parts_of_reader = parts.iter().zip(tables);
    let parts_of_reader = parts_of_reader.map(|(part, table)| Part {
        wishes: part.wishes.clone(),
        updates: Rc::clone(&part.updates),
        table,
    });
    let mut reader = Reader::new(job.defaults.clone(), parts_of_reader.collect());
    let mut placing = Placing::of(&job);
    let before = problems.count();
    let surveyed = reader.survey(&job.selection, &changes, &mut problems, |row, counted| {
        if let Some(placing) = placing.as_mut().filter(|_| counted.left_out.is_none()) {
            placing.place(row);
        }
        take(row, counted)
    });
    // What could not be copied is no problem of the job.
    for part in &parts {
        part.csv.iter().try_for_each(Csv::check_copy)?;
    }
    let Surveyed {
        census,
        targets,
        findings,
        suspects,
    } = surveyed?;
    for (stage, last) in job.stages.iter_mut().zip(&findings.lasts) {
        stage.last = *last;
    }
    let waves = placing.map(|placing| placing.waves(&job));
    let mut read = ReadJob {
        name: job.name.clone().unwrap_or_else(|| stem(&args.job)),
        job,
        census,
        findings,
        targets,
        changes,
        parts,
        file: job_file,
        text: text.map(|text| (args.job.clone(), text)),
        waves,
    };
    if problems.count() == before {
        read.tell_empty_tables(&args.job, &reader, &readable, &mut problems);
    }
    drop(reader);
    if !suspects.is_empty() {
        let mut reader = read.reader().map_err(Error::machine(AGAIN))?;
        reader.confirm_duplicates(&suspects, &mut problems);
    }
    if let Some(error) = unreadable.filter(|_| profiles.were_asked_for()) {
        return Err(error);
    }
    read.settle_destination(&args.job, wrong_region, &mut problems);
    read.refuse_two_kinds_of_waves(&mut problems);
    // Rows that are still to be chosen, or to be told where they go, may be those that are meant.
    if read.changes.is_empty() && read.findings.without_workspace.is_empty() {
        check_selection(&read.census, &read.findings.idle, &mut problems);
    }
    read.warn_of_variables();
    refuse(read.text.as_ref(), &problems)?;
    Ok(read)
}

/// What is done where the files of a job are read a second time.
const AGAIN: &str = "cannot read the input again";

/// Refuses the job with this text for its problems, if there are any.
pub(super) fn refuse(text: Option<&(String, String)>, problems: &Problems) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let source = text.map(|(path, text)| Source { path, text });
    Err(Error::Problems(
        problems.render(source, terminal::wants_color()),
    ))
}

/// A choice of rows that chooses nothing is a typo; a cron job would do nothing for ever. `idle` are the parts of it that no row
/// matched.
pub(super) fn check_selection(census: &Census, idle: &[String], problems: &mut Problems) {
    for part in idle {
        problems.push(Problem::new(
            Place::Flag(format!("--only {part}")),
            "no row is like that",
            format!(
                "the job has {}; row= counts them from 1",
                counted(census.rows, "row")
            ),
        ));
    }
    let none_left = census.rows > 0 && census.skipped == census.rows;
    // A hold list may leave none: that is what it is for.
    if none_left && census.held == 0 && problems.is_empty() {
        problems.push(Problem::new(
            Place::Flag("--only".to_owned()),
            "no row is left",
            "--only of different kinds must all match a row",
        ));
    }
}

/// Opens what the rows come from. Of a CSV that no rows can be read from there is no table; its problems are reported.
fn open_parts(
    job: &str,
    rows: RowSources,
    has_defaults: bool,
    of: &Job,
    keep: Keep<'_>,
    problems: &mut Problems,
) -> Result<(Vec<PartSource>, Vec<Option<FirstTable>>), Error> {
    let mut open = |source: Option<TableSource>,
                    templates: &[Template],
                    (has_wishes, otherwise): (bool, &str)| {
        let Some(source) = source else {
            return Ok((None, None));
        };
        let Some((csv, table)) = Csv::open(job, &source, keep, problems)? else {
            return Ok::<_, Error>((None, None));
        };
        let table = table.filter(|table| {
            let is_idle = !has_wishes && !table.has_wishes();
            if is_idle {
                problems.push(table.nothing_to_change(otherwise));
            }
            check_columns(templates, table, problems);
            !is_idle
        });
        Ok((Some(csv), table))
    };
    let mut parts = Vec::new();
    match rows {
        RowSources::Whole { table, updates } => {
            let own = (has_defaults, "say --set FIELD=VALUE");
            let (csv, table) = open(table, &of.defaults.templates, own)?;
            let part = PartSource {
                wishes: None,
                updates: updates.into(),
                csv,
            };
            parts.push((part, table));
        }
        RowSources::Stages(stages) => {
            for rows in stages {
                let has_wishes = !rows.update.is_empty() || !rows.templates.is_empty();
                let own = (has_wishes, "say it in [stage.defaults]");
                let (csv, table) = open(rows.table, &rows.templates, own)?;
                let part = PartSource {
                    wishes: Some((rows.update, rows.templates.into())),
                    updates: rows.updates.into(),
                    csv,
                };
                parts.push((part, table));
            }
        }
    }
    Ok(parts.into_iter().unzip())
}

pub(super) fn stem(job: &str) -> String {
    match Path::new(job).file_stem() {
        _ if job == "-" => "standard input".to_owned(),
        Some(stem) => stem.to_string_lossy().into_owned(),
        None => job.to_owned(),
    }
}

/// The bytes of a job file; none of a job that is a CSV alone.
fn read_job(job: &str) -> Result<Option<Vec<u8>>, Problem> {
    let wrong = |what: &str, hint: &str| Problem::new(Place::File(job.into()), what, hint);
    let path = Path::new(job);
    if job == "-" {
        return Ok(None);
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
        Some("csv" | "tsv" | "txt") => return Ok(None),
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
    match str::from_utf8(&bytes) {
        Ok(_) => Ok(Some(bytes)),
        Err(_) => Err(wrong("the job file is not UTF-8", "save it as UTF-8")),
    }
}

impl ReadJob {
    /// Its rows as written once more.
    pub(super) fn reader(&self) -> io::Result<NextReader> {
        reader_of(self.job.defaults.clone(), &self.parts)
    }

    /// The same job, of which with `strict` no row may be beyond carrying out.
    pub(super) fn strict(self, strict: bool) -> Self {
        let settings = Settings {
            strict: self.job.settings.strict | strict,
            ..self.job.settings
        };
        Self {
            job: Job {
                settings,
                ..self.job
            },
            ..self
        }
    }

    /// How many fields of its rows are worked out by the live state.
    pub(super) fn templates(&self) -> usize {
        let parts = 0..self.parts.len();
        parts
            .map(|part| templates(&self.job, &self.parts, part).len())
            .sum()
    }

    /// Tells CSV files without rows, and a job without any.
    fn tell_empty_tables<R: Read>(
        &self,
        job: &str,
        reader: &Reader<R>,
        readable: &[bool],
        problems: &mut Problems,
    ) {
        let is_whole = self.job.stages.is_empty();
        let hint = "add a line for each workflow";
        let what = "the file has a header but no rows";
        for (part, (has_rows, is_readable)) in
            self.parts.iter().zip(reader.have_rows().zip(readable))
        {
            let is_empty = match is_whole {
                true => self.census.rows == 0,
                false => !has_rows,
            };
            if let Some(csv) = part.csv.as_ref().filter(|_| is_empty && *is_readable) {
                let place = Place::File(Arc::clone(&csv.label));
                problems.push(Problem::new(place, what, hint));
            }
        }
        let part = self.parts.first().filter(|_| is_whole);
        let is_empty = part.is_some_and(|part| part.csv.is_none() && part.updates.is_empty());
        if is_empty && self.changes.is_empty() && problems.is_empty() {
            problems.push(Problem::new(
                Place::File(job.into()),
                "the job has no rows",
                "add [[update]] or [[change]] tables, or [rows] file = \"rows.csv\"",
            ));
        }
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
            .filter_map(|lane| Some(lane.places.first()?.workspace.project_id.to_string()))
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
        for (stage, place) in &self.findings.waved {
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
    fn settle_destination(
        &mut self,
        job: &str,
        wrong_region: Option<Problem>,
        problems: &mut Problems,
    ) {
        if self.findings.region_left_out {
            problems.push(Problem::new(
                Place::File(job.into()),
                "some rows name a region, the others would take another one from HW_REGION_NAME",
                "name the region in every row, or by --region",
            ));
        }
        if let [one, other, ..] = self.findings.with_stray_project.as_slice() {
            problems.push(Problem::new(
                Place::File(job.into()),
                format!("rows of several regions ({one}, {other} ...) would take the same project"),
                "a project belongs to one region: name it in a column, or leave it out to have it looked up",
            ));
        }
        let Some(astray) = self.findings.astray.take() else {
            return;
        };
        if let Some(problem) = wrong_region {
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

/// Rows as written, read a second time.
pub(super) type NextReader = Reader<crate::job::encoding::Decoded<File>>;

/// The rows of `parts` as written once more.
pub(super) fn reader_of(defaults: Defaults, parts: &[PartSource]) -> io::Result<NextReader> {
    let parts = parts.iter().map(|part| {
        let table = part.csv.as_ref().map(Csv::again).transpose()?;
        Ok(Part {
            wishes: part.wishes.clone(),
            updates: Rc::clone(&part.updates),
            table: table.flatten(),
        })
    });
    Ok(Reader::new(defaults, parts.collect::<io::Result<_>>()?))
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

/// What the live state is to work out for rows of the stage at `stage` of `job`, or for all rows.
pub(super) fn templates<'a>(job: &'a Job, parts: &'a [PartSource], stage: usize) -> &'a [Template] {
    match parts.get(stage).and_then(|part| part.wishes.as_ref()) {
        Some((_, templates)) => templates,
        None => &job.defaults.templates,
    }
}
