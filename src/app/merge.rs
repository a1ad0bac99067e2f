//! `flowbatch report --merge`: one record of the parts that a job was carried out in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufReader, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cli::ReportArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::record::JobRecord;
use crate::model::counted::counted;
use crate::model::outcome::Ended;
use crate::model::row::Row;
use crate::sinks::merge::{Merged, merge_reports, merge_undo};
use crate::sinks::summary::FileFacts;

use super::closing::shell;
use super::folder::{Readers, RunFolder, State, sha256_of, write_whole};
use super::journal_file::is_written;
use super::run_on_record::RunOnRecord;
use super::saved_plan::Recounted;
use super::undo::undo_record;
use super::{Done, saved_plan, terminal};

/// The merged record, as its `summary.json` has it.
#[derive(Debug, Serialize)]
struct MergedSummary {
    /// Of this file.
    schema_version: u32,
    job: String,
    /// How many parts the job has.
    partitions: u32,
    parts: Vec<PartFacts>,
    /// Parts that are not there.
    missing: Vec<u32>,
    rows: u64,
    counts: BTreeMap<String, u64>,
    attempts: u64,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    exit_code: u8,
    files: Vec<FileFacts>,
}

/// A part of it.
#[derive(Debug, Serialize)]
struct PartFacts {
    part: u32,
    run_id: String,
    ended: Ended,
    exit_code: u8,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// SHA-256 of its `summary.json`.
    sha256: String,
}

/// A part that was read.
struct Part {
    folder: RunFolder,
    job: String,
    of: u32,
    /// The input that its rows came from.
    input: Option<String>,
    facts: PartFacts,
}

/// Merges the records of the parts that the command line names.
pub(super) fn merge(args: &ReportArgs, state: &State) -> Done {
    let Some(out) = &args.out else {
        return Err(Error::Usage {
            what: "--merge writes several files".to_owned(),
            hint: "say where: --out DIR".to_owned(),
        });
    };
    let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
    for name in &args.merge {
        let part = Part::read(state, name)?;
        let number = part.facts.part;
        if let Some(first) = parts.values().next()
            && (&first.job, first.of, &first.input) != (&part.job, part.of, &part.input)
        {
            return Err(Error::Usage {
                what: format!(
                    "run {} (part {number} of {}, of {}) is not of the same job and input as run {} (part {} of {}, of {})",
                    part.folder.id,
                    part.of,
                    part.job,
                    first.folder.id,
                    first.facts.part,
                    first.of,
                    first.job
                ),
                hint: "name the parts of one job".to_owned(),
            });
        }
        if let Some(other) = parts.insert(number, part) {
            return Err(Error::Usage {
                what: format!(
                    "part {number} is there twice, once as run {}",
                    other.folder.id
                ),
                hint: "name one run for each part".to_owned(),
            });
        }
    }
    let Some(first) = parts.values().next() else {
        return Err(Error::Usage {
            what: "there is nothing to merge".to_owned(),
            hint: "name the run folders of the parts".to_owned(),
        });
    };
    let (job, of) = (first.job.clone(), first.of);
    refuse_others(out)?;
    fs::create_dir_all(out).map_err(Error::file("cannot make the folder", out))?;
    let merged = write_report(&parts, of, &out.join("report.csv"))?;
    let has_undo = write_undo(&parts, state, out)?;
    let missing: Vec<u32> = (1..=of).filter(|part| !parts.contains_key(part)).collect();
    let exit = exit_of(&parts, !missing.is_empty());
    let facts: Vec<_> = parts.into_values().map(|part| part.facts).collect();
    let files = ["report.csv", "undo.csv", "undo.json"].into_iter();
    let files = files.filter(|name| has_undo || *name == "report.csv");
    let files = files.filter_map(|name| {
        Some(FileFacts {
            path: name.to_owned(),
            sha256: sha256_of(&out.join(name)).ok()?,
            rows: (name == "report.csv").then_some(merged.rows),
        })
    });
    let summary = MergedSummary {
        schema_version: 1,
        job,
        partitions: of,
        missing,
        rows: merged.rows,
        counts: merged.statuses,
        attempts: merged.attempts,
        started_at: facts.iter().filter_map(|part| part.started_at).min(),
        finished_at: facts.iter().filter_map(|part| part.finished_at).max(),
        exit_code: exit,
        files: files.collect(),
        parts: facts,
    };
    let json = serde_json::to_string_pretty(&summary).map_err(Error::machine("no summary"))?;
    let path = out.join("summary.json");
    write_whole(&path, Readers::Usual, |file| {
        file.write_all(format!("{json}\n").as_bytes())
    })
    .map_err(Error::file("cannot write", path))?;
    terminal::print(&summary.text(out, has_undo));
    Ok(match exit {
        0 => Exit::Done,
        _ => Exit::Attention,
    })
}

impl Part {
    fn read(state: &State, name: &str) -> Result<Self, Error> {
        let folder = state.find_run(name, false)?;
        if is_written(&folder.file("journal.jsonl")) {
            return Err(Error::Usage {
                what: format!("run {} goes on", folder.id),
                hint: "merge the parts when all of them have ended".to_owned(),
            });
        }
        let record = folder.job()?;
        let Some(partition) = record.selection.partition else {
            return Err(Error::Usage {
                what: format!("run {} is a whole job, not a part of one", folder.id),
                hint: "name runs that were started with --partition".to_owned(),
            });
        };
        let Some(summary) = folder.summary() else {
            return Err(Error::Usage {
                what: format!("run {} has no summary: it was killed", folder.id),
                hint: format!("go on with it first: flowbatch resume {}", folder.id),
            });
        };
        let path = folder.file("summary.json");
        let sha256 = sha256_of(&path).map_err(Error::file("cannot read", path))?;
        Ok(Self {
            job: record.name,
            of: partition.of(),
            input: record.input.map(|input| input.sha256),
            facts: PartFacts {
                part: partition.part(),
                run_id: folder.id.clone(),
                ended: summary.ended,
                exit_code: summary.exit_code,
                started_at: summary.started_at,
                finished_at: summary.finished_at,
                sha256,
            },
            folder,
        })
    }

    fn open(&self, name: &str) -> Result<BufReader<File>, Error> {
        let path = self.folder.file(name);
        let file = File::open(&path).map_err(Error::file("cannot read", path))?;
        Ok(BufReader::new(file))
    }
}

fn write_report(parts: &BTreeMap<u32, Part>, of: u32, path: &Path) -> Result<Merged, Error> {
    let reports = parts
        .iter()
        .map(|(number, part)| Ok((*number, part.open("report.csv")?)));
    let reports = reports.collect::<Result<Vec<_>, Error>>()?;
    let mut merged = Ok(Merged::default());
    let written = write_whole(path, Readers::Usual, |file| {
        merged = merge_reports(reports, of, file);
        match &merged {
            Ok(_) => Ok(()),
            // Half a report is none.
            Err(_) => Err(std::io::Error::other("the report is incomplete")),
        }
    });
    let merged = merged.map_err(Error::machine(DOING))?;
    written.map_err(Error::file("cannot write", path))?;
    Ok(merged)
}

/// A merged record replaces an earlier one, and nothing else.
fn refuse_others(out: &Path) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "partitions")]
        _partitions: u32,
    }
    let is_empty = fs::read_dir(out).map_or(true, |mut entries| entries.next().is_none());
    let summary = fs::read(out.join("summary.json")).unwrap_or_default();
    if is_empty || serde_json::from_slice::<Head>(&summary).is_ok() {
        return Ok(());
    }
    Err(Error::Usage {
        what: format!("there is something else in {} already", out.display()),
        hint: "name a new folder".to_owned(),
    })
}

/// Writes what puts all parts back: for the program, and as a CSV for people. Gives whether there is anything to put back.
fn write_undo(parts: &BTreeMap<u32, Part>, state: &State, out: &Path) -> Result<bool, Error> {
    let (csv, json) = (out.join("undo.csv"), out.join("undo.json"));
    let Some((record, rows)) = gather_undo(parts, state)? else {
        for path in [csv, json] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(Error::file("cannot remove", path)(error));
            }
        }
        return Ok(false);
    };
    saved_plan::save(&json, record, rows)?;
    let undos = parts
        .values()
        .filter(|part| part.folder.file("undo.csv").exists())
        .map(|part| part.open("undo.csv"));
    let undos = undos.collect::<Result<Vec<_>, Error>>()?;
    let mut merged = Ok(0);
    let written = write_whole(&csv, Readers::Usual, |file| {
        merged = merge_undo(undos, file);
        match &merged {
            Ok(_) => Ok(()),
            Err(_) => Err(std::io::Error::other("undo.csv is incomplete")),
        }
    });
    merged.map_err(Error::machine(DOING))?;
    written.map_err(Error::file("cannot write", csv))?;
    Ok(true)
}

const DOING: &str = "the parts cannot be merged";

/// The rows that put back what the parts have changed, and the job that they are rows of, if there are any.
fn gather_undo(
    parts: &BTreeMap<u32, Part>,
    state: &State,
) -> Result<Option<(JobRecord, Recounted)>, Error> {
    let (mut record, mut rows): (Option<JobRecord>, Option<Recounted>) = (None, None);
    for part in parts.values() {
        let run = RunOnRecord::open(&part.folder, false)?;
        let reporting = run.reporting();
        let own = undo_record(&reporting)?;
        let rows = match &mut rows {
            Some(rows) => rows,
            None => rows.insert(Recounted::new(state, &own.defaults.routes)?),
        };
        let written = reporting.each_undo(true, |undo| {
            rows.push(Row {
                line: undo.row.number,
                ..undo.row
            })
        })?;
        if written.changed.count() == 0 {
            continue;
        }
        match &mut record {
            None => record = Some(own),
            Some(record) => {
                record.undoes.extend(own.undoes);
                // A part has credentials for the lanes alone that its own rows leave by.
                for (known, own) in record.lanes.iter_mut().zip(own.lanes) {
                    if known.credential.is_none() {
                        *known = own;
                    }
                }
            }
        }
    }
    let description = Some("puts back what the parts of a job changed".to_owned());
    Ok(record.zip(rows).map(|(record, rows)| {
        let record = JobRecord {
            description,
            ..record
        };
        (record, rows)
    }))
}

/// The first that any part has of the codes that go before others; a missing part wants a person.
fn exit_of(parts: &BTreeMap<u32, Part>, is_incomplete: bool) -> u8 {
    const FIRST: [u8; 10] = [7, 4, 143, 130, 129, 3, 8, 5, 1, 2];
    let codes: Vec<u8> = parts.values().map(|part| part.facts.exit_code).collect();
    let worst = FIRST.into_iter().find(|code| codes.contains(code));
    worst.unwrap_or(u8::from(is_incomplete))
}

impl MergedSummary {
    /// For people.
    fn text(&self, out: &Path, has_undo: bool) -> String {
        let mut text = format!(
            "merged {} of {} of {}\n\n",
            self.parts.len(),
            counted(self.partitions.into(), "part"),
            self.job
        );
        for (status, count) in &self.counts {
            let _ = writeln!(text, "  {status:<14}{count:>9}");
        }
        let _ = writeln!(text, "  {:<14}{:>9}\n", "rows", self.rows);
        for part in self.parts.iter().filter(|part| part.exit_code != 0) {
            let _ = writeln!(
                text,
                "  part {}: {} (exit code {}), run {}",
                part.part, part.ended, part.exit_code, part.run_id
            );
        }
        for part in &self.missing {
            let _ = writeln!(text, "  part {part} is missing");
        }
        let _ = writeln!(text, "  report: {}", out.join("report.csv").display());
        if has_undo {
            let _ = writeln!(
                text,
                "  undo:   {}",
                shell(
                    ["flowbatch", "run"]
                        .map(str::to_owned)
                        .into_iter()
                        .chain([out.join("undo.json").display().to_string()])
                )
            );
        }
        text.trim_end().to_owned()
    }
}
