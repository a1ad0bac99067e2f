//! Settles what only the live state can: workspaces that are named, rows that are chosen, values that are worked out.

use std::collections::BTreeSet;

use crate::cli::OutputArgs;
use crate::engine::run::Broken;
use crate::error::Error;
use crate::job::change::{Change, Scope, Workspaces};
use crate::job::defaults::LookedUpWorkspace;
use crate::job::problem::Problem;
use crate::job::problems::Problems;
use crate::job::settings::Settings;
use crate::model::id::Id;
use crate::model::outcome::Ended;
use crate::model::target::{LaneId, Workspace};
use crate::plan::directory::Directory;

use super::choosing::choose_from;
use super::destination::Open;
use super::folder::{Readers, State};
use super::left_rows::LeftRows;
use super::plan::given_up;
use super::reading::{Came, Reading};
use super::surveying::Surveyed;
use super::taken::Taken;

/// Where a change looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Search {
    /// The change, by its place among them.
    pub(super) change: usize,
    pub(super) lane: LaneId,
    pub(super) workspace: Workspace,
}

/// Looks up the workspaces that rows and changes name.
///
/// # Errors
/// There are no such workspaces, or they may not be listed.
pub(super) async fn look_up(
    taken: &mut Taken,
    open: &Open,
    state: &State,
    output: &OutputArgs,
) -> Result<(), Error> {
    let projects = projects(taken);
    let mut directory = Directory::default();
    if !projects.is_empty() {
        let folder = state.temporary_folder()?;
        let path = folder.path().join("snapshot.jsonl");
        let mut whats: Vec<_> = projects
            .iter()
            .map(|(_, project_id)| format!("lists the workspaces of project {project_id}"))
            .collect();
        whats.dedup();
        let settings = taken.job.settings;
        let reading = reading(open, &settings, output, &whats);
        let came = reading
            .carry_out(async |run| {
                let mut surveyed = Surveyed::kept_at(&path, Readers::Owner)?;
                surveyed.read_directory(run, projects.into_iter()).await?;
                Ok::<_, Broken>(surveyed.directory)
            })
            .await?;
        if came.ended != Ended::Completed || !came.digest.closed.is_empty() {
            return Err(given_up(&came.digest, came.ended));
        }
        taken.readings = came.digest.readings;
        directory = came.to;
    }
    settle_places(taken, &directory)
}

/// Chooses the rows of `taken` that its changes leave to the live state, and works out what its templates give.
///
/// # Errors
/// The job has problems that only the live state shows, all of which are told; or something could not be read.
pub(super) async fn choose(
    taken: Taken,
    open: &Open,
    state: &State,
    output: &OutputArgs,
) -> Result<Taken, Error> {
    let whole: BTreeSet<_> = taken
        .searches
        .iter()
        .map(|search| (search.lane, search.workspace.clone()))
        .collect();
    open.adopt(&taken, whole.iter().map(|(_, workspace)| workspace))?;
    let has_changes = !taken.changes.is_empty();
    let has_templates = taken.all_templates().next().is_some();
    if !has_templates && !has_changes {
        if !taken.is_in_parts() {
            return Ok(taken);
        }
        // Nothing is to be asked: the rows of all stages only come together.
        let folder = state.temporary_folder()?;
        let surveyed = Surveyed::kept_at(&folder.path().join("snapshot.jsonl"), Readers::Owner);
        let surveyed = surveyed.map_err(Error::machine("the rows cannot be kept"))?;
        let readings = taken.readings.clone();
        let taken = choose_from(taken, surveyed, open, state)?;
        return Ok(Taken { readings, ..taken });
    }
    // A row that names its workflow may be about one that a change chooses.
    let reads_rows = has_templates || taken.census.named > 0;
    let folder = state.temporary_folder()?;
    let path = folder.path().join("snapshot.jsonl");
    let mut whats: Vec<_> = taken
        .census
        .scopes
        .iter()
        .map(|scope| told(&taken, scope))
        .collect();
    if has_templates && taken.census.rows > 0 {
        whats.push("completes rows by what their workflows are now".to_owned());
    }
    whats.dedup();
    let settings = taken.job.settings;
    let came = reading(open, &settings, output, &whats)
        .carry_out(async |run| {
            let mut surveyed = Surveyed::kept_at(&path, Readers::Owner)?;
            if reads_rows {
                let mut left = LeftRows::default();
                surveyed
                    .read_workflows(run, &taken, &mut left, &whole)
                    .await?;
            } else {
                let places = whole.iter().map(|place| (place.clone(), None));
                surveyed.read_places(run, places).await?;
            }
            if names_workspaces(&taken) {
                let projects = whole.iter();
                let projects = projects.map(|(lane, place)| (*lane, place.project_id.clone()));
                surveyed.read_names(run, projects).await?;
            }
            Ok::<_, Broken>(surveyed)
        })
        .await?;
    let Came { to, ended, digest } = came;
    let surveyed = to;
    if ended != Ended::Completed {
        return Err(given_up(&digest, ended));
    }
    for search in &taken.searches {
        if let Some(why) = surveyed.why_incomplete(search.lane, &search.workspace) {
            return Err(Error::Refused {
                what: format!("workspace {} could not be listed: {why}", search.workspace),
                hint: "let the user list workflows (ListWorkflows), or give the rows by their ids"
                    .to_owned(),
            });
        }
    }
    let mut readings = taken.readings.clone();
    for (lane, count) in digest.readings {
        *readings.entry(lane).or_default() += count;
    }
    let taken = choose_from(taken, surveyed, open, state)?;
    Ok(Taken { readings, ..taken })
}

fn reading<'a>(
    open: &'a Open,
    settings: &'a Settings,
    output: &'a OutputArgs,
    whats: &[String],
) -> Reading<'a> {
    let lanes = open.used().map(|lane| {
        let target = match open.is_simulated() {
            true => open.text(),
            false => lane.route.text(),
        };
        let credential = lane.credential.clone().unwrap_or_default();
        format!("target:     {target}, with {credential}")
    });
    let whats = whats.iter().map(|what| format!("first:      {what}"));
    let lines: Vec<_> = lanes.chain(whats).collect();
    Reading {
        open,
        settings,
        output,
        announcement: lines.join("\n"),
        rows: (0, 0),
    }
}

/// Whether a template may speak of a workspace by its name.
fn names_workspaces(taken: &Taken) -> bool {
    let defaults = taken.all_templates();
    let defaults = defaults.map(|template| template.text.as_str());
    let changes = taken.changes.iter().flat_map(Change::templates);
    let mut texts = defaults.chain(changes.map(|(_, text, _)| text));
    texts.any(|text| text.contains("workspace"))
}

/// Where a change looks, for people.
fn told(taken: &Taken, scope: &Scope) -> String {
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
    format!("chooses rows from {places} of project {}", scope.project_id)
}

/// The projects whose workspaces are to be listed.
fn projects(taken: &Taken) -> BTreeSet<(LaneId, Id)> {
    let named = taken.census.without_workspace.keys();
    let named = named.map(|(lane, project_id, _)| (*lane, project_id.clone()));
    let searched = taken.census.scopes.iter().filter_map(|scope| {
        let place = (scope.lane, scope.project_id.clone());
        match taken.changes[scope.change].workspaces {
            Workspaces::OfTheJob => None,
            Workspaces::All | Workspaces::These(_) => Some(place),
        }
    });
    named.chain(searched).collect()
}

/// Puts the ids of workspaces in the places of their names.
fn settle_places(taken: &mut Taken, directory: &Directory) -> Result<(), Error> {
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
    let mut searches = BTreeSet::new();
    for scope in &taken.census.scopes {
        let ids = match &taken.changes[scope.change].workspaces {
            // Without one, that has been told.
            Workspaces::OfTheJob => scope.workspace_id.iter().cloned().collect(),
            Workspaces::All => directory
                .all(scope.lane, &scope.project_id)
                .unwrap_or_default(),
            Workspaces::These(these) => {
                let mut ids = Vec::new();
                for name in these {
                    match directory.look_up(scope.lane, &scope.project_id, &name.value) {
                        Ok(id) => ids.push(id),
                        Err(none) => {
                            problems.push(Problem::new(name.place(), none.what, none.hint));
                        }
                    }
                }
                ids
            }
        };
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
    taken.searches = searches.into_iter().collect();
    if !found.is_empty() {
        taken.settle_workspaces(found)?;
        if taken.changes.is_empty() {
            taken.check_selection(&mut problems);
            taken.refuse(&problems)?;
        }
    }
    Ok(())
}
