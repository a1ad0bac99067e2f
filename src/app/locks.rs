//! Locks on workspaces: all of a run's or none, so that no two runs change the same workflows at once.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cli::IfLocked;
use crate::error::Error;
use crate::model::target::{LaneId, Workspace};

use super::folder::{make_folder, sha256};
use super::intake::Taken;
use super::{clock, terminal};

/// The locks of a run; they end with it, however it ends.
#[derive(Debug, Default)]
pub(super) struct Locks {
    files: Vec<File>,
    /// Workspaces that another run holds and that this one leaves out, and why.
    pub(super) left_out: Vec<(LaneId, Workspace, String)>,
}

/// Who holds a lock, as its file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) run_id: String,
    pub(super) job: String,
    pub(super) pid: u32,
    pub(super) started_at: Timestamp,
    pub(super) workspace: String,
}

/// What comes of asking for locks.
pub(super) enum Asked {
    /// They are ours.
    Taken(Locks),
    /// A run of the same job still goes on, and this one is to leave it at that.
    SameJob(Holder),
}

/// Long enough to write a line.
const MOMENT: Duration = Duration::from_millis(20);

/// One workspace that is to be locked.
struct Place {
    file: PathBuf,
    lane: LaneId,
    workspace: Workspace,
}

impl Locks {
    /// Locks every workspace that rows of `taken` go to, in the one order that all runs use; `holder`
    /// says whose they are.
    ///
    /// # Errors
    /// Another run holds one of them, and `policy` says that this is the end of it.
    pub(super) fn take(
        state: &Path,
        taken: &Taken,
        holder: &Holder,
        policy: IfLocked,
    ) -> Result<Asked, Error> {
        let folder = state.join("locks");
        make_folder(&folder)?;
        let mut locks = Self::default();
        for place in places(&folder, taken) {
            let mut file = open(&place.file)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(Error::file("cannot lock", &place.file)(error));
                }
                Err(TryLockError::WouldBlock) => {
                    // Whoever has just got it writes its name at once.
                    clock::pause(MOMENT);
                    let other = read(&mut file);
                    match policy {
                        IfLocked::Fail => return Err(held(&place.workspace, other.as_ref())),
                        IfLocked::Wait => {
                            terminal::complain(&format!(
                                "waiting for {} to end, which holds workspace {}",
                                who(other.as_ref()),
                                place.workspace
                            ));
                            file.lock()
                                .map_err(Error::file("cannot lock", &place.file))?;
                        }
                        IfLocked::Skip => {
                            if let Some(other) =
                                other.as_ref().filter(|other| other.job == holder.job)
                            {
                                return Ok(Asked::SameJob(other.clone()));
                            }
                            let why = format!("{} holds it", who(other.as_ref()));
                            locks.left_out.push((place.lane, place.workspace, why));
                            continue;
                        }
                    }
                }
            }
            let holder = Holder {
                workspace: place.workspace.to_string(),
                ..holder.clone()
            };
            write(&mut file, &holder).map_err(Error::file("cannot write", &place.file))?;
            locks.files.push(file);
        }
        if locks.files.is_empty() && !locks.left_out.is_empty() {
            let (_, workspace, _) = &locks.left_out[0];
            return Err(held(workspace, None));
        }
        Ok(Asked::Taken(locks))
    }
}

/// The workspaces that rows go to, sorted by the names of their locks.
fn places(folder: &Path, taken: &Taken) -> Vec<Place> {
    let simulated = taken.job.defaults.simulator.is_some();
    let mut places = Vec::new();
    for (lane, census) in taken.census.lanes.iter().enumerate() {
        // The simulator has another port each time, and one world.
        let endpoint = match simulated {
            true => "simulator",
            false => census.route.endpoint.as_str(),
        };
        for workspace in &census.places {
            let Workspace {
                project_id,
                workspace_id,
            } = workspace;
            let name = sha256(format!("{endpoint}\n{project_id}\n{workspace_id}").as_bytes());
            places.push(Place {
                file: folder.join(format!("{}.lock", &name[..32])),
                lane: LaneId(lane),
                workspace: workspace.clone(),
            });
        }
    }
    places.sort_by(|a, b| a.file.cmp(&b.file));
    // Two accounts may reach one workspace: it is locked once.
    places.dedup_by(|a, b| a.file == b.file);
    places
}

fn open(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map_err(Error::file("cannot open", path))
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    serde_json::to_writer(&mut *file, holder)?;
    file.flush()
}

fn held(workspace: &Workspace, other: Option<&Holder>) -> Error {
    Error::Locked {
        what: format!("{} holds workspace {workspace}", who(other)),
        hint: "wait until it has ended (--if-locked wait), or leave such workspaces out (--if-locked skip)"
            .to_owned(),
    }
}

/// The other run, for people.
fn who(other: Option<&Holder>) -> String {
    match other {
        Some(other) => format!(
            "run {} of {:?} (process {}, since {:.0})",
            other.run_id, other.job, other.pid, other.started_at
        ),
        None => "another run".to_owned(),
    }
}
