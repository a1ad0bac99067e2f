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
use crate::job::settled;
use crate::job::table::Options;
use crate::model::row::Row;
use crate::model::update::Update;
use crate::plan::preview::PlannedRow;

use super::folder::{Hashed, Readers, State, sha256_of, write_whole};
use super::input::Copy;
use super::report_target;
use super::taken::Taken;

/// The first line of a saved plan: the job that it was made from.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    saved_plan: u32,
    tool_version: String,
    record: JobRecord,
}

/// Its last line, which shows that the file is complete and unchanged.
#[derive(Debug, Serialize, Deserialize)]
struct Foot {
    rows: u64,
    /// Of all lines before this one.
    sha256: String,
}

/// Of a saved plan.
const FORMAT: u32 = 2;

/// Saves `rows` for the job of `record` as `path`. They are numbered as they come.
///
/// # Errors
/// They cannot be had or written.
pub(super) fn save(
    path: &Path,
    record: JobRecord,
    rows: impl Iterator<Item = Result<Row, Error>>,
) -> Result<(), Error> {
    const DOING: &str = "the plan cannot be saved";
    let head = Head {
        saved_plan: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        record,
    };
    let head = serde_json::to_string(&head).map_err(Error::machine(DOING))?;
    let mut failed = Ok(());
    let written = write_whole(path, Readers::Usual, |file| {
        let mut out = Hashed::new(BufWriter::new(file));
        writeln!(out, "{head}")?;
        let mut count = 0;
        for row in rows {
            match row {
                Ok(row) => {
                    count += 1;
                    let number = count;
                    settled::write(&Row { number, ..row }, &mut out)?;
                }
                Err(error) => {
                    failed = Err(error);
                    return Err(std::io::Error::other("the plan is incomplete"));
                }
            }
        }
        let (sha256, mut out) = out.into_parts();
        let foot = Foot {
            rows: count,
            sha256,
        };
        serde_json::to_writer(&mut out, &foot)?;
        out.write_all(b"\n")?;
        out.flush()
    });
    failed?;
    written.map_err(Error::file("cannot write", path))
}

/// The rows of the plan in the file `rows`: each is guarded by what was there when it was planned.
///
/// # Errors
/// They cannot be read.
pub(super) fn planned_rows(
    rows: &Path,
) -> Result<impl Iterator<Item = Result<Row, Error>> + use<>, Error> {
    const DOING: &str = "the plan cannot be read";
    let file = File::open(rows).map_err(Error::file("cannot read", rows))?;
    let lines = BufReader::new(file).lines();
    let rows = lines.map(|line| -> Result<_, Error> {
        let line = line.map_err(Error::machine(DOING))?;
        // Neither its first line nor its last is a row.
        Ok(serde_json::from_str::<PlannedRow>(&line).ok().map(guarded))
    });
    Ok(rows.filter_map(Result::transpose))
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
pub(super) fn take_in(path: &str, state: &State) -> Result<Option<Taken>, Error> {
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
    let mut copy = state.temporary()?;
    let mut out = BufWriter::new(copy.as_file_mut());
    let mut hashed = Hashed::new(std::io::sink());
    let mut take = |line: &[u8]| {
        hashed
            .write_all(line)
            .and_then(|()| hashed.write_all(b"\n"))
    };
    take(&first).map_err(Error::machine(doing))?;
    let mut count = 0;
    let foot = loop {
        let Some(line) = next()? else {
            return Err(wrong("its end is missing"));
        };
        if line.starts_with(b"{\"rows\":") {
            break serde_json::from_slice::<Foot>(&line)
                .map_err(|error| wrong(&format!("line {}: {error}", count + 2)))?;
        }
        take(&line).map_err(Error::machine(doing))?;
        count += 1;
        serde_json::from_slice::<Row>(&line)
            .map_err(|error| wrong(&format!("line {}: {error}", count + 1)))?;
        out.write_all(&line)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(Error::machine(doing))?;
    };
    if next()?.is_some_and(|line| !line.is_empty()) {
        return Err(wrong("rows stand after its end"));
    }
    if foot.sha256 != hashed.finish() || foot.rows != count {
        return Err(wrong("it was changed after it was saved"));
    }
    if count == 0 {
        return Ok(None);
    }
    out.flush().map_err(Error::machine(doing))?;
    drop(out);
    let sha256 = sha256_of(copy.path()).map_err(Error::machine(doing))?;
    let mut record = head.record;
    record.input = Some(InputRecord {
        path: path.to_owned(),
        sha256,
        options: Options::default(),
        form: Form::Settled,
        originals: Vec::new(),
    });
    record.updates = Vec::new();
    record.defaults.update = Update::default();
    record.selection = Selection::default();
    Taken::again(record, Copy::Temporary(copy)).map(Some)
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
        wave: planned.wave,
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
