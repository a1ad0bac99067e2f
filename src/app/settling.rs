//! Settles what only the live state can: workspaces that are named, rows that are chosen, values that are worked out.

use std::collections::BTreeSet;

use crate::cli::OutputArgs;
use crate::engine::run::Broken;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::change::Workspaces;
use crate::job::defaults::LookedUpWorkspace;
use crate::job::problem::Problem;
use crate::job::problems::Problems;
use crate::model::id::Id;
use crate::model::outcome::Ended;
use crate::model::target::{LaneId, Workspace};
use crate::plan::directory::Directory;

use super::choosing::{Search, choose};
use super::destination::Open;
use super::folder::{Readers, State};
use super::intake::Taken;
use super::left_rows::LeftRows;
use super::plan::tell_given_up;
use super::reading::{Came, Reading};
use super::surveying::Surveyed;

/// What settling comes to.
pub(super) enum Settled {
    /// A job whose rows say everything themselves.
    Job(Box<Taken>),
    /// The live state could not be read; that is told.
    GivenUp(Exit),
}

/// Reads what the rows of `taken` leave to the live state, and gives the job that says it itself.
///
/// # Errors
/// The job has problems that only the live state shows, all of which are told; or something could not be read.
pub(super) async fn settle(
    mut taken: Taken,
    open: &Open,
    state: &State,
    output: &OutputArgs,
) -> Result<Settled, Error> {
    let has_templates = !taken.job.defaults.templates.is_empty();
    let chooses = has_templates || !taken.changes.is_empty();
    if !chooses && taken.census.without_workspace.is_empty() {
        return Ok(Settled::Job(Box::new(taken)));
    }
    let folder = tempfile::tempdir_in(state.path().join("tmp"));
    let folder = folder.map_err(Error::file("cannot write in", state.path()))?;
    let settings = taken.job.settings;
    let reading = Reading {
        open,
        settings: &settings,
        output,
        announcement: announcement(&taken, open),
        rows: (0, 0),
    };
    let came = reading
        .carry_out(async |run| {
            let mut surveyed =
                Surveyed::kept_at(&folder.path().join("snapshot.jsonl"), Readers::Owner)?;
            surveyed.read_directory(run, projects(&taken)).await?;
            if run.schedule().is_stopping() {
                return Ok(None);
            }
            let searches = match settle_places(&mut taken, &surveyed.directory) {
                Ok(searches) => searches,
                Err(error) => return Ok(Some(Err(error))),
            };
            let whole: BTreeSet<_> = searches
                .iter()
                .map(|search| (search.lane, search.workspace.clone()))
                .collect();
            if let Err(error) = open.adopt(&taken, whole.iter().map(|(_, workspace)| workspace)) {
                return Ok(Some(Err(error)));
            }
            if has_templates {
                let mut left = LeftRows::default();
                surveyed
                    .read_workflows(run, &taken, &mut left, &whole)
                    .await?;
            } else {
                let places = whole.into_iter().map(|place| (place, None));
                surveyed.read_places(run, places).await?;
            }
            Ok::<_, Broken>(Some(Ok((surveyed, searches))))
        })
        .await?;
    let Came { to, ended, digest } = came;
    let read = to.transpose()?;
    if ended != Ended::Completed || !digest.closed.is_empty() {
        tell_given_up(&digest, ended);
        return Ok(Settled::GivenUp(match ended == Ended::Completed {
            true => Exit::Refused,
            false => Exit::of_run(ended, &digest.tally, false),
        }));
    }
    match read {
        Some((surveyed, searches)) if chooses => {
            let chosen = choose(taken, surveyed, &searches, open, state)?;
            Ok(Settled::Job(Box::new(chosen)))
        }
        Some(_) | None => Ok(Settled::Job(Box::new(taken))),
    }
}

/// What is said before anything leaves.
fn announcement(taken: &Taken, open: &Open) -> String {
    let mut lines: Vec<_> = open
        .used()
        .map(|lane| {
            let target = match open.is_simulated() {
                true => open.text(),
                false => lane.route.text(),
            };
            let credential = lane.credential.clone().unwrap_or_default();
            format!("target:     {target}, with {credential}")
        })
        .collect();
    let mut whats = Vec::new();
    match taken.census.without_workspace.len() {
        0 => {}
        1 => whats.push("looks a workspace up by its name".to_owned()),
        many => whats.push(format!("looks {many} workspaces up by their names")),
    }
    for scope in &taken.census.scopes {
        let places = match &taken.changes[scope.change].workspaces {
            Workspaces::OfTheJob => match &scope.workspace_id {
                Some(id) => format!("workspace {id}"),
                None => "a workspace".to_owned(),
            },
            Workspaces::All => "all workspaces".to_owned(),
            named @ Workspaces::These(_) => {
                let names: Vec<_> = named.names().collect();
                format!("workspaces {}", names.join(", "))
            }
        };
        whats.push(format!(
            "chooses rows from {places} of project {}",
            scope.project_id
        ));
    }
    if !taken.job.defaults.templates.is_empty() && taken.census.rows > 0 {
        whats.push(format!(
            "completes {} rows by what their workflows are now",
            taken.census.rows
        ));
    }
    whats.dedup();
    lines.extend(whats.into_iter().map(|what| format!("first:      {what}")));
    lines.join("\n")
}

/// The projects whose workspaces are to be listed.
fn projects(taken: &Taken) -> impl Iterator<Item = (LaneId, Id)> {
    let named = taken.census.without_workspace.keys();
    let named = named.map(|(lane, project_id, _)| (*lane, project_id.clone()));
    let searched = taken.census.scopes.iter().filter_map(|scope| {
        let place = (scope.lane, scope.project_id.clone());
        match taken.changes[scope.change].workspaces {
            Workspaces::OfTheJob => None,
            Workspaces::All | Workspaces::These(_) => Some(place),
        }
    });
    named.chain(searched).collect::<Vec<_>>().into_iter()
}

/// Looks up the workspaces that rows and changes name; gives where each change looks.
fn settle_places(taken: &mut Taken, directory: &Directory) -> Result<Vec<Search>, Error> {
    for (lane, project_id) in projects(taken) {
        if let Err(why) = directory.all(lane, &project_id) {
            return Err(Error::Refused {
                what: format!("the workspaces of project {project_id} could not be listed: {why}"),
                hint: "let the user list workspaces (ListWorkspaces), or give workspace_id"
                    .to_owned(),
            });
        }
    }
    let mut problems = Problems::default();
    let mut found = Vec::new();
    for ((lane, project_id, name), place) in &taken.census.without_workspace {
        match directory.look_up(*lane, project_id, name) {
            Ok(workspace_id) => found.push(LookedUpWorkspace {
                route: taken.census.lanes[lane.0].route.clone(),
                project_id: project_id.clone(),
                name: name.clone(),
                workspace_id,
            }),
            Err(none) => problems.push(Problem::new(place.clone(), none.what, none.hint)),
        }
    }
    let mut searches = Vec::new();
    for scope in &taken.census.scopes {
        let change = &taken.changes[scope.change];
        let mut ids = Vec::new();
        match &change.workspaces {
            // Without one, that has been told.
            Workspaces::OfTheJob => ids.extend(scope.workspace_id.clone()),
            Workspaces::All => {
                ids = directory
                    .all(scope.lane, &scope.project_id)
                    .unwrap_or_default();
            }
            Workspaces::These(these) => {
                for name in these {
                    match directory.look_up(scope.lane, &scope.project_id, &name.value) {
                        Ok(id) => ids.push(id),
                        Err(none) => {
                            problems.push(Problem::new(name.place(), none.what, none.hint));
                        }
                    }
                }
            }
        }
        searches.extend(ids.into_iter().map(|workspace_id| Search {
            change: scope.change,
            lane: scope.lane,
            workspace: Workspace {
                project_id: scope.project_id.clone(),
                workspace_id,
            },
        }));
    }
    taken.refuse(&problems)?;
    taken.settle_workspaces(found)?;
    Ok(searches)
}
