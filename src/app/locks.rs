//! Locks on workspaces: all of a run's or none, so that no two runs change the same workflows at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::cli::IfLocked;
use crate::error::Error;
use crate::job::partition::Partition;
use crate::model::id::{Id, same_id};
use crate::model::target::{LaneId, Workspace};

use super::folder::{State, sha256};
use super::loaded_job::Search;
use super::resolved_job::ResolvedJob;
use super::{clock, terminal};

/// The locks of a run; they end with it, however it ends.
#[derive(Debug)]
pub(super) struct Locks {
    /// The run that they belong to.
    pub(super) run_id: String,
    files: Vec<File>,
    /// Where they are.
    paths: BTreeSet<PathBuf>,
    /// Workspaces that another run holds and that this one leaves out, and why.
    pub(super) left_out: Vec<(LaneId, Workspace, String)>,
}

/// What is done where another run holds a workspace, and whether it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) if_locked: IfLocked,
    pub(super) quiet: bool,
}

impl Policy {
    fn tell(self, text: &str) {
        if !self.quiet {
            terminal::complain(text);
        }
    }
}

/// Who holds a lock, as its file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) run_id: String,
    pub(super) job: String,
    pub(super) pid: u32,
    pub(super) started_at: Timestamp,
    pub(super) workspace: String,
    /// The part of the job that it is, if it is not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<Partition>,
}

impl Holder {
    /// The run `run_id` of `job`, in this process.
    pub(super) fn of(run_id: &str, job: &ResolvedJob, started_at: Timestamp) -> Self {
        Self {
            run_id: run_id.to_owned(),
            job: job.name.clone(),
            pid: std::process::id(),
            started_at,
            workspace: String::new(),
            partition: job.job.selection.partition,
        }
    }

    /// Its job, and which part of it.
    fn job_text(&self) -> String {
        match self.partition {
            Some(partition) => format!("{}, part {}", self.job, String::from(partition)),
            None => self.job.clone(),
        }
    }

    /// Whether both are parts of the same job.
    fn is_of_the_same(&self, other: &Self) -> bool {
        let of = |holder: &Self| holder.partition.map(Partition::of);
        self.job == other.job && of(self).is_some() && of(self) == of(other)
    }
}

/// Long enough to write a line.
const MOMENT: Duration = Duration::from_millis(20);

/// How often a lock is tried that parts of a job share, a moment apart.
const TRIES: u32 = 25;

/// One workspace that is to be locked.
pub(super) struct Place {
    file: PathBuf,
    /// Those whose rows go there: two accounts may reach one workspace.
    lanes: Vec<LaneId>,
    workspace: Workspace,
    /// Whether several parts of a job may have it at the same time.
    is_shared: bool,
}

/// What comes of trying to lock.
enum Tried {
    Taken(Locks),
    /// A run of the same job goes on.
    SameJob(Holder),
    /// Another run holds this one, and it is to be waited for.
    Busy(File, String),
}

impl Locks {
    /// Locks all of `places`, or none of them; `holder` says at each try
    /// whose they are to be. Whoever waits holds nothing meanwhile. None: a run of the same job still goes
    /// on, and this one is to leave it at that.
    ///
    /// # Errors
    /// Another run holds one of them, and `policy` says that this is the end of it.
    pub(super) fn take(
        state: &State,
        places: &[Place],
        holder: impl Fn() -> Holder,
        policy: Policy,
    ) -> Result<Option<Self>, Error> {
        if let Some(warning) = state.check_ours()? {
            policy.tell(&format!("warning: {warning}"));
        }
        loop {
            match Self::attempt(places, &holder(), policy.if_locked)? {
                Tried::Taken(locks) => return Ok(Some(locks)),
                Tried::SameJob(other) => {
                    policy.tell(&format!(
                        "run {} of the same job still goes on",
                        other.run_id
                    ));
                    return Ok(None);
                }
                Tried::Busy(file, what) => {
                    policy.tell(&format!("waiting: {what}"));
                    file.lock().map_err(Error::machine("cannot lock"))?;
                }
            }
        }
    }

    /// Whether they are those of all of `places`, or of more.
    pub(super) fn cover(&self, places: &[Place]) -> bool {
        places.iter().all(|place| self.paths.contains(&place.file))
    }

    fn attempt(places: &[Place], holder: &Holder, if_locked: IfLocked) -> Result<Tried, Error> {
        let mut locks = Self {
            run_id: holder.run_id.clone(),
            files: Vec::new(),
            paths: places.iter().map(|place| place.file.clone()).collect(),
            left_out: Vec::new(),
        };
        for place in places {
            let holder = Holder {
                workspace: place.workspace.to_string(),
                ..holder.clone()
            };
            let mut file = open(&place.file)?;
            match holder.partition.filter(|_| place.is_shared) {
                None => {
                    if try_lock(&file, &place.file)? {
                        write(&mut file, &holder)
                            .map_err(Error::file("cannot write", &place.file))?;
                        locks.files.push(file);
                        continue;
                    }
                }
                Some(partition) => {
                    if share(&mut file, &place.file, &holder)? {
                        let part = format!("{}-{}", partition.part(), partition.of());
                        let own = place.file.with_extension(part);
                        let mut of_part = open(&own)?;
                        if try_lock(&of_part, &own)? {
                            write(&mut of_part, &holder)
                                .map_err(Error::file("cannot write", &own))?;
                            locks.files.extend([file, of_part]);
                            continue;
                        }
                        file = of_part;
                    }
                }
            }
            // Whoever has just got it writes its name at once.
            clock::pause(MOMENT);
            let other = read(&mut file);
            let what = format!(
                "{} holds workspace {}",
                who(other.as_ref()),
                place.workspace
            );
            match if_locked {
                IfLocked::Fail => {
                    return Err(Error::Locked {
                        what,
                        hint: "wait until it has ended (--if-locked wait), or leave such workspaces out (--if-locked skip)"
                            .to_owned(),
                    });
                }
                IfLocked::Wait => return Ok(Tried::Busy(file, what)),
                IfLocked::Skip => {}
            }
            if let Some(other) = other.filter(|other| other.job == holder.job) {
                return Ok(Tried::SameJob(other));
            }
            for lane in &place.lanes {
                let left_out = (*lane, place.workspace.clone(), what.clone());
                locks.left_out.push(left_out);
            }
        }
        match locks.left_out.first() {
            Some((_, _, what)) if locks.files.is_empty() => Err(Error::Locked {
                what: format!("{what}, and nothing is left without it"),
                hint: "wait until it has ended (--if-locked wait)".to_owned(),
            }),
            Some(_) | None => Ok(Tried::Taken(locks)),
        }
    }
}

/// The workspaces in `state` that rows of `job` go to, or that are `searched` for some, sorted by the names of their locks.
pub(super) fn places(state: &State, job: &ResolvedJob, searches: &[Search]) -> Vec<Place> {
    let folder = state.path().join("locks");
    let simulated = job.job.defaults.simulator.is_some();
    let mut places: BTreeMap<PathBuf, Place> = BTreeMap::new();
    for (lane, census) in job.census.lanes.iter().enumerate() {
        let searched = searches.iter().filter(|search| search.lane.0 == lane);
        let searched = searched.map(|search| &search.workspace);
        for workspace in census
            .places
            .iter()
            .map(|place| &place.workspace)
            .chain(searched)
        {
            let Workspace {
                project_id,
                workspace_id,
            } = workspace;
            let file = match simulated {
                // Its one world is read before a run and written after it.
                true => folder.join("simulator.lock"),
                false => {
                    let endpoint = census.route.endpoint.as_str();
                    // However they are spelt.
                    let [project, workspace] = [project_id, workspace_id].map(same_id);
                    let text = format!("{endpoint}\n{project}\n{workspace}");
                    folder.join(format!("{}.lock", &sha256(text.as_bytes())[..32]))
                }
            };
            let place = places.entry(file.clone()).or_insert_with(|| Place {
                file,
                lanes: Vec::new(),
                workspace: workspace.clone(),
                is_shared: !simulated,
            });
            if !place.lanes.contains(&LaneId(lane)) {
                place.lanes.push(LaneId(lane));
            }
        }
    }
    if simulated && places.is_empty() {
        // Nobody knows yet what rows there will be.
        let file = folder.join("simulator.lock");
        places.insert(
            file.clone(),
            Place {
                file,
                lanes: Vec::new(),
                workspace: Workspace::any_of(&Id::any()),
                is_shared: false,
            },
        );
    }
    places.into_values().collect()
}

/// Whether the lock is shared now with other parts of the same job, and with nobody else.
fn share(file: &mut File, path: &Path, holder: &Holder) -> Result<bool, Error> {
    // They begin at the same time: one of them writes whose it is, while the others look.
    for _ in 0..TRIES {
        if try_lock(file, path)? {
            write(file, holder).map_err(Error::file("cannot write", path))?;
        }
        let is_shared = match file.try_lock_shared() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(Error::file("cannot lock", path)(error)),
        };
        if is_shared {
            if read(file).is_some_and(|other| other.is_of_the_same(holder)) {
                return Ok(true);
            }
            file.unlock().map_err(Error::file("cannot unlock", path))?;
        }
        clock::pause(MOMENT);
    }
    Ok(false)
}

/// Whether the lock is ours now.
fn try_lock(file: &File, path: &Path) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::file("cannot lock", path)(error)),
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map_err(|error| {
        match Errno::from_io_error(&error) == Some(Errno::MFILE) {
            true => Error::Damaged {
                what: format!("cannot open {}: {error}", path.display()),
                hint: "each workspace is a lock: raise the hard limit on open files (ulimit -Hn, LimitNOFILE=)".to_owned(),
            },
            false => Error::file("cannot open", path)(error),
        }
    })
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

/// The other run, for people.
fn who(other: Option<&Holder>) -> String {
    match other {
        Some(other) => format!(
            "run {} of {:?} (process {}, since {:.0})",
            other.run_id,
            other.job_text(),
            other.pid,
            other.started_at
        ),
        None => "another run".to_owned(),
    }
}
