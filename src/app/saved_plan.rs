//! A plan that was saved, as a job of its own: each row is guarded by what was there when it was planned.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::{JobArgs, SnapshotUse};
use crate::error::Error;
use crate::job::problem::{Place, Problem};
use crate::job::problems::Problems;
use crate::job::record::{Form, InputRecord, JobRecord, SCHEMA};
use crate::job::selection::Selection;
use crate::job::table::Options;
use crate::model::row::Row;
use crate::model::update::Update;
use crate::plan::preview::PlannedRow;
use crate::sinks::rerun::{Columns, Rerun};

use super::folder::{Readers, State, sha256_of, write_whole};
use super::input::Copy;
use super::planning::FORMAT;
use super::report_target;
use super::taken::Taken;

/// The first line of a saved plan: the job that it was made from.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    saved_plan: u32,
    tool_version: String,
    record: JobRecord,
}

/// Saves the plan of the file `rows` for the job of `record` as `path`.
pub(super) fn save(path: &Path, record: JobRecord, rows: &Path) -> Result<(), Error> {
    let head = Head {
        saved_plan: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        record,
    };
    let head = serde_json::to_string(&head).map_err(Error::machine("the plan cannot be saved"))?;
    let written = write_whole(path, Readers::Usual, |file| {
        let mut out = BufWriter::new(file);
        writeln!(out, "{head}")?;
        // Its own first line says less than this one.
        for line in BufReader::new(File::open(rows)?).lines().skip(1) {
            writeln!(out, "{}", line?)?;
        }
        out.flush()
    });
    written.map_err(Error::file("cannot write", path))
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

/// Takes in the plan that was saved as `path`.
pub(super) fn take_in(path: &str, state: &State) -> Result<Taken, Error> {
    let wrong = |what: &str| Error::Usage {
        what: format!("{path} is no plan that can be run: {what}"),
        hint: "save one with `flowbatch plan JOB --out plan.json`".to_owned(),
    };
    let file = File::open(path).map_err(|error| Error::Usage {
        what: format!("{path} cannot be read: {error}"),
        hint: "save a plan with `flowbatch plan JOB --out plan.json`".to_owned(),
    })?;
    let mut lines = BufReader::new(file).lines();
    let first = lines.next().transpose();
    let first = first.map_err(Error::file("cannot read", path))?;
    let head: Head = first
        .and_then(|line| serde_json::from_str(&line).ok())
        .ok_or_else(|| wrong("its first line is not that of a plan"))?;
    if head.saved_plan != FORMAT || head.record.schema_version != SCHEMA {
        return Err(wrong(&format!(
            "it was made by another version ({})",
            head.tool_version
        )));
    }
    let mut record = head.record;
    let mut rows = Vec::new();
    let mut is_whole = false;
    for line in lines {
        let line = line.map_err(Error::file("cannot read", path))?;
        match serde_json::from_str::<PlannedRow>(&line) {
            Ok(planned) if !is_whole => rows.push(guarded(planned)),
            Ok(_) => return Err(wrong("rows stand after its end")),
            Err(_) if line.starts_with("{\"counts\":") => is_whole = true,
            Err(error) => return Err(wrong(&format!("line {}: {error}", rows.len() + 2))),
        }
    }
    if !is_whole {
        return Err(wrong("its end is missing"));
    }
    if rows.is_empty() {
        return Err(Error::Usage {
            what: format!("the plan {path} changes nothing"),
            hint: "there is nothing to run".to_owned(),
        });
    }
    let mut columns = Columns::default();
    let route = |row: &Row| record.lanes.get(row.lane.0).map(|lane| &lane.route);
    for row in &rows {
        columns.see(row, route(row));
    }
    let mut copy = state.temporary()?;
    let doing = "the rows of the plan cannot be kept";
    let out = BufWriter::new(copy.as_file_mut());
    let mut csv = Rerun::new(&columns, out).map_err(Error::machine(doing))?;
    for row in &rows {
        csv.write(row, route(row)).map_err(Error::machine(doing))?;
    }
    csv.finish().map_err(Error::machine(doing))?;
    let sha256 = sha256_of(copy.path()).map_err(Error::machine(doing))?;
    record.input = Some(InputRecord {
        path: path.to_owned(),
        sha256,
        options: Options::default(),
        form: Form::Csv,
        originals: Vec::new(),
    });
    record.updates = Vec::new();
    record.defaults.update = Update::default();
    record.selection = Selection::default();
    Taken::again(record, Copy::Temporary(copy))
}

/// The row that carries out `planned` if nobody has changed what it changes.
fn guarded(planned: PlannedRow) -> Row {
    let mut update = Update::default();
    let mut guards = planned.guards;
    for (field, before, after) in planned.change.fields() {
        update.set(field, after);
        if guards.value(field).is_none() {
            guards.fields.push((field, before.to_owned()));
        }
    }
    Row {
        number: planned.row,
        line: planned.line,
        lane: planned.lane,
        workspace: planned.workspace,
        workflow_id: planned.workflow_id,
        called: None,
        wave: None,
        update,
        version: None,
        guards,
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
        ("--only", !args.only.is_empty()),
        ("--limit", args.limit.is_some()),
        ("--encoding", args.encoding.is_some()),
        ("--simulate", args.simulate && !is_simulated),
        ("--snapshot off", args.snapshot == SnapshotUse::Off),
    ];
    for (flag, _) in said.into_iter().filter(|(_, said)| *said) {
        problems.push(Problem::new(
            Place::Flag(flag.to_owned()),
            "a saved plan says which rows change where",
            "leave it out, or make another plan with it",
        ));
    }
}
