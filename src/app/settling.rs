//! Settles what only the live state can: workspaces that are named, rows that are chosen, values that are worked out.

use std::collections::{BTreeMap, BTreeSet};

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
use super::loaded_job::{LoadedJob, Search};
use super::plan::given_up;
use super::reading::{Came, Reading};
use super::resolved_job::ResolvedJob;
use super::surveying::Surveyed;

/// `loaded` with the workspaces that its rows and changes name.
///
/// # Errors
/// There are no such workspaces, or they may not be listed.
pub(super) async fn look_up(
    loaded: LoadedJob,
    open: &Open,
    state: &State,
    output: &OutputArgs,
) -> Result<LoadedJob, Error> {
    let projects = projects(&loaded);
    let (mut directory, mut readings) = (Directory::default(), BTreeMap::new());
    if !projects.is_empty() {
        let folder = state.temporary_folder()?;
        let path = folder.path().join("snapshot.jsonl");
        let mut whats: Vec<_> = projects
            .iter()
            .map(|(_, project_id)| format!("lists the workspaces of project {project_id}"))
            .collect();
        whats.dedup();
        let settings = loaded.so_far.job.settings;
        let reading = reading(open, &settings, output, &whats);
        let came = reading
            .carry_out(async |run| {
                let mut surveyed = Surveyed::kept_at(&path, Readers::Owner, false)?;
                surveyed.read_directory(run, projects.into_iter()).await?;
                Ok::<_, Broken>(surveyed.directory)
            })
            .await?;
        if came.ended != Ended::Completed || !came.digest.closed.is_empty() {
            return Err(given_up(&came.digest, came.ended));
        }
        readings = came.digest.readings;
        directory = came.to;
    }
    let loaded = settle_places(loaded, &directory, state)?;
    Ok(match readings.is_empty() {
        true => loaded,
        false => loaded.that_took(readings),
    })
}

/// The job whose rows are those of `loaded`, what its templates give worked out, and those that its changes choose from the live
/// state.
///
/// # Errors
/// The job has problems that only the live state shows, all of which are told; or something could not be read.
pub(super) async fn choose(
    loaded: LoadedJob,
    open: &Open,
    state: &State,
    output: &OutputArgs,
) -> Result<ResolvedJob, Error> {
    let whole: BTreeSet<_> = loaded
        .searches
        .iter()
        .map(|search| (search.lane, search.workspace.clone()))
        .collect();
    open.adopt(&loaded.so_far, whole.iter().map(|(_, workspace)| workspace))?;
    let has_changes = !loaded.changes.is_empty();
    let has_templates = loaded.all_templates().next().is_some();
    if !has_templates && !has_changes {
        return Ok(loaded.resolved());
    }
    // A row that names its workflow may be about one that a change chooses.
    let reads_rows = has_templates || loaded.so_far.census.named > 0;
    let folder = state.temporary_folder()?;
    let path = folder.path().join("snapshot.jsonl");
    let mut whats: Vec<_> = loaded
        .findings
        .scopes
        .iter()
        .map(|scope| told(&loaded, scope))
        .collect();
    if has_templates && loaded.so_far.census.rows > 0 {
        whats.push("completes rows by what their workflows are now".to_owned());
    }
    whats.dedup();
    let settings = loaded.so_far.job.settings;
    let came = reading(open, &settings, output, &whats)
        .carry_out(async |run| {
            let has_names = loaded.so_far.census.named > 0;
            let mut surveyed = Surveyed::kept_at(&path, Readers::Owner, has_names)?;
            if reads_rows {
                let mut left = LeftRows::default();
                surveyed
                    .read_workflows(run, &loaded.so_far, &mut left, &whole)
                    .await?;
            } else {
                let places = whole.iter().map(|place| (place.clone(), None));
                surveyed.read_places(run, places).await?;
            }
            if names_workspaces(&loaded) {
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
    for search in &loaded.searches {
        if let Some(why) = surveyed.why_incomplete(search.lane, &search.workspace) {
            return Err(Error::Refused {
                what: format!("workspace {} could not be listed: {why}", search.workspace),
                hint: "let the user list workflows (ListWorkflows), or give the rows by their ids"
                    .to_owned(),
            });
        }
    }
    let mut readings = loaded.so_far.readings.clone();
    for (lane, count) in digest.readings {
        *readings.entry(lane).or_default() += count;
    }
    let job = choose_from(loaded, surveyed, open, state)?;
    Ok(ResolvedJob { readings, ..job })
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
fn names_workspaces(loaded: &LoadedJob) -> bool {
    let defaults = loaded.all_templates();
    let defaults = defaults.map(|template| template.text.as_str());
    let changes = loaded.changes.iter().flat_map(Change::templates);
    let mut texts = defaults.chain(changes.map(|(_, text, _)| text));
    texts.any(|text| text.contains("workspace"))
}

/// Where a change looks, for people.
fn told(loaded: &LoadedJob, scope: &Scope) -> String {
    let places = match &loaded.changes[scope.change].workspaces {
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
fn projects(loaded: &LoadedJob) -> BTreeSet<(LaneId, Id)> {
    let named = loaded.findings.without_workspace.keys();
    let named = named.map(|(lane, project_id, _)| (*lane, project_id.clone()));
    let searched = loaded.findings.scopes.iter().filter_map(|scope| {
        let place = (scope.lane, scope.project_id.clone());
        match loaded.changes[scope.change].workspaces {
            Workspaces::OfTheJob => None,
            Workspaces::All | Workspaces::These(_) => Some(place),
        }
    });
    named.chain(searched).collect()
}

/// Puts the ids of workspaces in the places of their names.
fn settle_places(
    loaded: LoadedJob,
    directory: &Directory,
    state: &State,
) -> Result<LoadedJob, Error> {
    for (lane, project_id) in projects(&loaded) {
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
    for ((lane, project_id, name), place) in &loaded.findings.without_workspace {
        match directory.look_up(*lane, project_id, name) {
            Ok(workspace_id) => found.push(LookedUpWorkspace {
                route: loaded.so_far.census.lanes[lane.0].route.clone(),
                project_id: project_id.clone(),
                name: name.clone(),
                workspace_id,
            }),
            Err(none) => problems.push(Problem::new(place.clone(), none.what, none.hint)),
        }
    }
    let mut searches = BTreeSet::new();
    for scope in &loaded.findings.scopes {
        let ids = match &loaded.changes[scope.change].workspaces {
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
    loaded.refuse(&problems)?;
    let loaded = loaded.that_searches(searches.into_iter().collect());
    match found.is_empty() {
        true => Ok(loaded),
        false => loaded.with_workspaces(found, state),
    }
}
