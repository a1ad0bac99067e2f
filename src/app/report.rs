//! `flowbatch report`: the report of a run, written again from its journal.

use std::io::{BufWriter, Write};
use std::path::Path;

use crate::cli::ReportArgs;
use crate::engine::ports::Watcher;
use crate::error::Error;
use crate::exit::Exit;
use crate::sinks::digest::Digest;

use super::folder::{Readers, State};
use super::journal_file::is_written;
use super::merge::merge;
use super::page::{self, Page};
use super::record_check::check_known;
use super::reporting::Reporting;
use super::resolved_job::ResolvedJob;
use super::{Done, journal_file, report_target, terminal};

/// Writes the report of a run again: the same journal gives the same bytes.
pub(super) fn report(args: &ReportArgs) -> Done {
    let state = State::open(args.state_dir.as_deref())?;
    let Some(run) = &args.run else {
        return merge(args, &state);
    };
    let folder = state.find_run(run, args.simulate)?;
    let journal = folder.file("journal.jsonl");
    let goes_on = is_written(&journal);
    let digest = digest(&journal, args.salvage)?;
    // Before anything is read that may be wrong by now.
    check_known(&folder, &digest)?;
    let record = folder.job()?;
    let lanes = record.lanes.clone();
    let resolved = ResolvedJob::on_record(record, &folder)?;
    if goes_on {
        if args.csv.is_none() && args.html.is_none() {
            return Err(Error::Usage {
                what: format!("run {} goes on, and writes its report itself", folder.id),
                hint: "--csv - or --html - (or a file) writes it as it stands now".to_owned(),
            });
        }
        terminal::complain(&format!(
            "warning: run {} goes on; this is how it stands now",
            folder.id
        ));
    }
    let reporting = Reporting {
        resolved: &resolved,
        lanes: &lanes,
        digest: &digest,
        folder: &folder,
        salvage: args.salvage,
        ends: None,
    };
    if let Some(path) = &args.html {
        let page = Page {
            folder: &folder,
            resolved: &resolved,
            lanes: &lanes,
            rows: &reporting.for_page()?,
            salvage: args.salvage,
        };
        if path.as_os_str() == "-" {
            terminal::print_bytes(page.text()?.as_bytes());
        } else {
            page::check_target(path)?;
            page.write_to(path, Readers::Usual)?;
        }
        return Ok(Exit::Done);
    }
    match &args.csv {
        Some(path) if path.as_os_str() == "-" => {
            let mut out = BufWriter::new(terminal::Out);
            reporting.write(&mut out)?;
            out.flush()
                .map_err(Error::machine("the report could not be written"))?;
        }
        Some(path) => {
            report_target::check_report(path, &resolved.inputs())?;
            reporting.write_to(path, Readers::Usual)?;
        }
        None => {
            let path = folder.file("report.csv");
            // What a full disk kept from being written is made again as well.
            let derived = reporting.write_all(false)?;
            if let Some(error) = derived.trouble.into_iter().next() {
                return Err(error);
            }
            let left_out = derived.left_out;
            terminal::print(&path.display().to_string());
            left_out
                .text()
                .iter()
                .for_each(|text| terminal::complain(text));
        }
    }
    Ok(Exit::Done)
}

/// What the journal at `path` comes to; lines that are passed over are shown.
pub(super) fn digest(path: &Path, salvage: bool) -> Result<Digest, Error> {
    let (digest, passed_over) = digest_of(path, salvage)?;
    if passed_over > 0 {
        terminal::complain(&format!(
            "warning: {passed_over} damaged lines of the journal were passed over"
        ));
    }
    Ok(digest)
}

/// What the journal at `path` comes to, and how many lines were passed over.
pub(super) fn digest_of(path: &Path, salvage: bool) -> Result<(Digest, u64), Error> {
    let mut digest = Digest::default();
    let mut reader = journal_file::read(path, salvage)?;
    for entry in &mut reader {
        let entry = entry.map_err(Error::machine(
            "the journal cannot be read (--salvage passes over what is damaged)",
        ))?;
        digest.see(&entry.event);
    }
    Ok((digest, reader.passed_over()))
}
