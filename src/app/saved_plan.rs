//! A plan that was saved, as a job of its own: each row is guarded by what was there when it was planned.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, IntoInnerError, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::JobArgs;
use crate::error::Error;
use crate::job::census::{Census, Counting};
use crate::job::defaults::Defaults;
use crate::job::flags::Snapshot;
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::record::{InputRecord, JobRecord, SCHEMA};
use crate::job::selection::Selection;
use crate::job::settings::Settings;
use crate::job::stored_rows::{Target, read_row};
use crate::model::field::Field;
use crate::model::route::Route;
use crate::model::row::{Row, VersionWish};
use crate::model::update::Update;
use crate::plan::assessment::Sending;

use super::folder::{Hashed, Readers, State, write_whole};
use super::plan_file::PlanReader;
use super::report_target;
use super::resolved_job::ResolvedJob;
use super::rows_file::{RowsFile, RowsWriter};
use super::sources::SourceFile;
use super::terminal;

/// The first line of a saved plan: the job that it was made from, and where its rows go.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    saved_plan: u32,
    tool_version: String,
    record: JobRecord,
    targets: Vec<Target>,
}

/// Its last line, which shows that the file is complete and unchanged.
#[derive(Debug, Serialize, Deserialize)]
struct Foot {
    rows: u64,
    /// Of all lines before this one.
    sha256: String,
}

/// Of a saved plan.
const FORMAT: u32 = 3;

/// Saves `rows` for the job of `record` as `path`.
///
/// # Errors
/// They cannot be written.
pub(super) fn save(path: &Path, record: JobRecord, rows: Recounted) -> Result<(), Error> {
    let (census, rows) = rows.finish()?;
    let count = census.rows;
    let head = Head {
        saved_plan: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        targets: rows.targets().to_vec(),
        record: JobRecord {
            census,
            input: None,
            sources: Vec::new(),
            ..record
        },
    };
    let head = serde_json::to_string(&head).map_err(Error::machine("the plan cannot be saved"))?;
    let written = write_whole(path, Readers::Usual, |file| {
        let mut out = Hashed::new(BufWriter::new(file));
        writeln!(out, "{head}")?;
        std::io::copy(&mut rows.file()?, &mut out)?;
        let (sha256, mut out) = out.into_parts();
        let foot = Foot {
            rows: count,
            sha256,
        };
        serde_json::to_writer(&mut out, &foot)?;
        out.write_all(b"\n")?;
        out.flush()
    });
    written.map_err(Error::file("cannot write", path))
}

/// The rows of the plan in the file `rows`: each is guarded by what was there when it was planned.
///
/// # Errors
/// They cannot be read.
pub(super) fn planned_rows(
    rows: &Path,
) -> Result<impl Iterator<Item = Result<Row, Error>> + use<>, Error> {
    let mut plan = PlanReader::open(rows).map_err(Error::file("cannot read", rows))?;
    Ok(std::iter::from_fn(move || {
        let sending = plan.next_sending().transpose()?;
        let sending = sending.map_err(Error::machine("the plan cannot be read"));
        Some(sending.map(guarded))
    }))
}

/// Whether `job` is a saved plan, by its name.
pub(super) fn is_one(job: &str) -> bool {
    Path::new(job)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Refuses to save a plan over anything but a saved plan: a slip of the hand must not cost a job.
pub(super) fn check_target(path: &Path) -> Result<(), Error> {
    report_target::check_folder("the plan", path)?;
    let refuse = |what: &str| {
        Err(Error::Usage {
            what: format!("the plan cannot go to {}: {what}", path.display()),
            hint: "name another file, such as plan.json".to_owned(),
        })
    };
    if !is_one(&path.to_string_lossy()) {
        return refuse("a saved plan is known by the name x.json");
    }
    let Ok(file) = File::open(path) else {
        return Ok(());
    };
    let start = b"{\"saved_plan\":";
    let mut found = Vec::new();
    let read = file.take(start.len() as u64).read_to_end(&mut found);
    match read.is_ok() && (found.is_empty() || found == start) {
        true => Ok(()),
        false => refuse("a file is there that is no saved plan"),
    }
}

/// Takes in the plan that was saved as `path`; it goes as `settings` makes of what it says itself. None of a plan without rows.
pub(super) fn take_in(
    path: &str,
    state: &State,
    settings: impl FnOnce(&JobRecord, &mut Problems) -> Settings,
) -> Result<Option<ResolvedJob>, Error> {
    let wrong = |what: &str| Error::Usage {
        what: format!("{path} is no plan that can be run: {what}"),
        hint: "save one with `flowbatch plan JOB --out plan.json`".to_owned(),
    };
    let file = File::open(path).map_err(|error| Error::Usage {
        what: format!("{path} cannot be read: {error}"),
        hint: "save a plan with `flowbatch plan JOB --out plan.json`".to_owned(),
    })?;
    let mut lines = BufReader::new(file).split(b'\n');
    let mut next = || {
        let line = lines.next().transpose();
        line.map_err(Error::file("cannot read", path))
    };
    let first = next()?.unwrap_or_default();
    let head: Head = serde_json::from_slice(&first)
        .map_err(|_| wrong("its first line is not that of a plan of this version"))?;
    if head.saved_plan != FORMAT || head.record.schema_version != SCHEMA {
        return Err(wrong(&format!(
            "it was made by another version ({})",
            head.tool_version
        )));
    }
    let doing = "the rows of the plan cannot be kept";
    let mut hashed = Hashed::new(BufWriter::new(state.temporary()?));
    let mut recounted = Recounted::new(state, &head.record.defaults.routes)?;
    let mut take = |line: &[u8]| {
        let written = hashed
            .write_all(line)
            .and_then(|()| hashed.write_all(b"\n"));
        written.map_err(Error::machine(doing))
    };
    take(&first)?;
    let mut count = 0;
    let foot = loop {
        let Some(line) = next()? else {
            return Err(wrong("its end is missing"));
        };
        if line.starts_with(b"{\"rows\":") {
            break serde_json::from_slice::<Foot>(&line)
                .map_err(|error| wrong(&format!("line {}: {error}", count + 2)))?;
        }
        take(&line)?;
        count += 1;
        let stored = read_row(&line, &head.targets)
            .map_err(|error| wrong(&format!("line {}: {error}", count + 1)))?;
        recounted.push(stored.row)?;
    };
    if next()?.is_some_and(|line| !line.is_empty()) {
        return Err(wrong("rows stand after its end"));
    }
    let (sha256, copy) = hashed.into_parts();
    if foot.sha256 != sha256 || foot.rows != count {
        return Err(wrong("it was changed after it was saved"));
    }
    if count == 0 {
        return Ok(None);
    }
    let copy = copy.into_inner().map_err(IntoInnerError::into_error);
    let copy = copy.map_err(Error::machine(doing))?;
    let (census, rows) = recounted.finish()?;
    let mut problems = Problems::default();
    let settings = settings(&head.record, &mut problems);
    if !problems.is_empty() {
        return Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        ));
    }
    let record = JobRecord {
        settings,
        census,
        input: Some(InputRecord {
            path: path.to_owned(),
            sha256: sha256.clone(),
        }),
        selection: Selection::default(),
        defaults: Defaults {
            update: Update::default(),
            ..head.record.defaults
        },
        ..head.record
    };
    Ok(Some(ResolvedJob {
        sources: vec![SourceFile::plan(path, sha256, copy)],
        ..ResolvedJob::of_record(record, rows)
    }))
}

/// Rows that leave nothing open, counted and numbered as they come.
pub(super) struct Recounted {
    writer: RowsWriter,
    counting: Counting<'static>,
    routes: Vec<Route>,
    count: u64,
}

/// All rows are taken up.
static ALL: Selection = Selection::all();

impl Recounted {
    /// No row yet, of those that leave by these routes.
    pub(super) fn new(state: &State, routes: &[Route]) -> Result<Self, Error> {
        Ok(Self {
            routes: routes.to_vec(),
            writer: RowsWriter::new(state)?,
            counting: Counting::new(&ALL),
            count: 0,
        })
    }

    /// Adds `row`.
    pub(super) fn push(&mut self, row: Row) -> Result<(), Error> {
        self.count += 1;
        let number = self.count;
        let row = Row { number, ..row };
        let counted = self.counting.count(&row, 0, &self.routes);
        self.writer.write(&row, &counted)
    }

    /// What they are, and they themselves.
    pub(super) fn finish(self) -> Result<(Census, RowsFile), Error> {
        let (mut census, targets, _, _) = self.counting.finish();
        census.meet(&self.routes);
        Ok((census, self.writer.finish(targets)?))
    }
}

/// The row that carries out what was planned if what it changes is as it was then.
fn guarded(planned: Sending) -> Row {
    let row = planned.row;
    let mut update = Update::default();
    let mut guards = row.guards;
    let mut set = |field, before: &str, after: &str| {
        update.set(field, after);
        if guards.value(field).is_none() {
            guards.fields.push((field, before.to_owned()));
        }
    };
    for (field, before, after) in planned.change.fields() {
        set(field, before, after);
    }
    // A requested value that was the current one then is expected to be so still.
    let mut wished: Vec<Field> = row.update.fields().collect();
    if row.version == Some(VersionWish::Latest) {
        wished.push(Field::VersionId);
    }
    for field in wished {
        let live = planned.live.as_ref();
        let there = live.map(|live| live.workflow.value(field));
        if let Some(there) = there.filter(|_| !planned.change.after.contains_key(&field)) {
            set(field, there, there);
        }
    }
    Row {
        called: None,
        update,
        version: None,
        guards,
        ..row
    }
}

/// What else may be said of a saved plan: nothing that changes its rows or where they go.
pub(super) fn check_flags(args: &JobArgs, is_simulated: bool, problems: &mut Problems) {
    let target = &args.target;
    let said = [
        ("--endpoint", target.endpoint.is_some()),
        ("--region", target.region.is_some()),
        ("--project-id", target.project_id.is_some()),
        ("--workspace-id", target.workspace_id.is_some()),
        ("--profile", target.profile.is_some()),
        ("--set", !args.set.is_empty()),
        ("--column", !args.column.is_empty()),
        ("--other-columns", args.other_columns.is_some()),
        ("--only", !args.only.is_empty()),
        ("--hold", args.hold.is_some()),
        ("--partition", args.partition.is_some()),
        ("--limit", args.limit.is_some()),
        ("--encoding", args.encoding.is_some()),
        ("--simulate", args.simulate && !is_simulated),
        ("--snapshot off", args.snapshot == Snapshot::Off),
    ];
    for (flag, _) in said.into_iter().filter(|(_, said)| *said) {
        problems.push(Problem::new(
            Place::Flag(flag.to_owned()),
            "a saved plan says which rows change where",
            "leave it out, or make another plan with it",
        ));
    }
}
