//! `flowbatch approve`: lets a run go on that waits between two waves.

use std::fs::File;

use crate::cli::ApproveArgs;
use crate::engine::ports::Record;
use crate::error::Error;
use crate::exit::Exit;
use crate::model::event::{Approval, Event, Stamped, WaveEnded};
use crate::model::outcome::Ended;
use crate::sinks::journal::Journal;

use super::closing::command;
use super::folder::State;
use super::journal_file;
use super::report::digest;
use super::resume::undone_by;
use super::{Done, clock, operator, terminal};

/// Puts on record who lets the run go on.
pub(super) fn approve(args: &ApproveArgs) -> Done {
    let state = State::open(args.state_dir.as_deref())?;
    let folder = state.find_run(&args.run, args.simulate)?;
    if let Some(undo) = undone_by(&folder.state().unwrap_or(state), &folder)? {
        return Err(Error::Usage {
            what: format!(
                "run {} has put back what run {} changed",
                undo.id, folder.id
            ),
            hint: "run the job anew: what it goes on from is not there any more".to_owned(),
        });
    }
    let path = folder.file("journal.jsonl");
    let disk = journal_file::take_over(&folder)?;
    let digest = digest(&path, false)?;
    let wave = digest.waves.keys().next_back().copied();
    let (Some(Ended::Approval), Some(wave)) = (digest.ended, wave) else {
        return Err(Error::Usage {
            what: format!("run {} does not wait for approval", folder.id),
            hint: "`flowbatch runs` shows how it stands".to_owned(),
        });
    };
    let resume = command("resume", &folder, Vec::new());
    let mut given = digest.approvals.iter();
    if let Some((at, earlier)) = given.find(|(_, approval)| approval.wave == wave) {
        terminal::print(&format!(
            "{} approved it on {at} already; to go on:\n  {resume}",
            earlier.by
        ));
        return Ok(Exit::Done);
    }
    let (_, extent) = journal_file::history(&path, false)?;
    let cannot = |error| Error::file("cannot write", &path)(error);
    let mut journal = Journal::resume(disk, extent).map_err(cannot)?;
    let approval = Approval {
        wave,
        by: operator(),
        note: args.note.clone(),
    };
    let event = Stamped {
        at: clock::wall_ms(),
        event: Event::Approved(approval),
    };
    let doing = "the approval could not be written";
    journal.append(&[event]).map_err(Error::machine(doing))?;
    drop(journal);
    let synced = File::open(&path).and_then(|journal| journal.sync_all());
    synced.map_err(cannot)?;
    let ended = digest.waves.get(&wave);
    let label = ended.map_or(format!("wave {wave}"), WaveEnded::label);
    terminal::print(&format!("{label} is approved; to go on:\n  {resume}"));
    Ok(Exit::Done)
}
