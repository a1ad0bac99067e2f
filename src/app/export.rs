//! `flowbatch export`: live workflows as a CSV that `run` takes as it is.

use std::io::{BufWriter, Write};

use crate::cli::{By, Delimiter, ExportArgs, For};
use crate::error::Error;
use crate::exit::Exit;
use crate::job::builder::Builder;
use crate::job::destination::Destination;
use crate::job::draft::Silent;
use crate::job::file::{File, Method};
use crate::job::filter::Filter;
use crate::job::intent::{Intent, Job};
use crate::job::problems::Problems;
use crate::model::counted::counted;
use crate::model::id::Id;
use crate::model::outcome::Ended;
use crate::model::route::Route;
use crate::model::target::{LaneId, Workspace};
use crate::simulator::world::World;
use crate::sinks::export::{Dialect, Export, Shape};

use super::destination::{Open, SIMULATED};
use super::folder::{Readers, State, write_whole};
use super::lanes::{self, Gates};
use super::plan::given_up;
use super::reading::{Came, Reading};
use super::surveying::Surveyed;
use super::{Done, environment, profiles, report_target, runtime, terminal};

/// Writes live workflows as a CSV.
pub(super) fn export(args: &ExportArgs) -> Done {
    let mut filter = Filter::default();
    for condition in &args.filter {
        filter
            .add(condition)
            .map_err(|fault| Error::flag("--where", condition, &fault.what, fault.hint))?;
    }
    let state = State::open(args.state_dir.as_deref())?;
    if let Some(path) = args.out.as_ref().filter(|path| path.as_os_str() != "-") {
        report_target::check_export(path, args.force)?;
    }
    let mut problems = Problems::default();
    let profiles = profiles::load()?;
    let flags = args.pace_flags();
    let file = File::default();
    let Intent {
        job, wrong_region, ..
    } = Intent::new(file, &flags, false, profiles, &environment, &mut problems);
    let mut builder = Builder::new(job.defaults.clone());
    let bound = builder.bound_for(&Silent, &mut problems);
    if let Some(problem) = wrong_region.filter(|_| bound.is_none()) {
        problems.push(problem);
    }
    if !problems.is_empty() {
        return Err(Error::Problems(
            problems.render(None, terminal::wants_color()),
        ));
    }
    let Some((route, project_id, workspace_id)) = bound else {
        return Err(Error::Usage {
            what: "there is no target".to_owned(),
            hint: "say --region, --endpoint or --profile, set HW_REGION_NAME, or try it with --simulate"
                .to_owned(),
        });
    };
    let workspace_id = workspace_id.filter(|_| !args.all_workspaces);
    if workspace_id.is_none() && !args.all_workspaces {
        return Err(Error::Usage {
            what: "there is no workspace to export".to_owned(),
            hint: "say --workspace-id ID or --all-workspaces, or set FLOWBATCH_WORKSPACE_ID"
                .to_owned(),
        });
    }
    let wanted = Wanted {
        route,
        project_id,
        workspace_id,
    };
    runtime()?.block_on(export_wanted(args, &state, &job, wanted, &filter))
}

/// What is exported.
struct Wanted {
    route: Route,
    project_id: Option<Id>,
    /// None: all of them.
    workspace_id: Option<Id>,
}

async fn export_wanted(
    args: &ExportArgs,
    state: &State,
    job: &Job,
    wanted: Wanted,
    filter: &Filter,
) -> Done {
    let (mut open, project_id) = match job.destination {
        Destination::Simulator => {
            let project_id = wanted.project_id.clone();
            let project_id = project_id.ok_or_else(|| Error::Usage {
                what: "there is no project".to_owned(),
                hint: "say --project-id ID".to_owned(),
            })?;
            // A newcomer's world is empty: there is something to see.
            let settle = |world: &mut World| {
                if let Some(workspace_id) = wanted.workspace_id.clone() {
                    let project_id = project_id.clone();
                    let workspace = Workspace {
                        project_id,
                        workspace_id,
                    };
                    world.populate_if_empty(&workspace, SIMULATED);
                }
                Ok(())
            };
            let open = Open::world(job.simulation.clone(), state.world(), false, settle).await?;
            (open, project_id)
        }
        Destination::Services => {
            let asked = lanes::Asked::new(&args.credential, Method::Auto);
            let opened = lanes::open(
                &wanted.route,
                asked,
                &job.defaults.profiles,
                &job.defaults.regions,
                &mut Gates::new(),
            )?;
            opened.ensure().await?;
            let project_id = match wanted.project_id.clone() {
                Some(project_id) => project_id,
                None => opened.look_up_project().await?,
            };
            (Open::one(opened), project_id)
        }
    };
    let place = wanted.workspace_id.as_ref().map(|workspace_id| Workspace {
        project_id: project_id.clone(),
        workspace_id: workspace_id.clone(),
    });
    let credential = open.lanes[0].credential.clone().unwrap_or_default();
    let mut announcement: Vec<_> = job
        .warnings
        .iter()
        .chain(&open.warnings)
        .map(|warning| format!("warning: {warning}"))
        .collect();
    announcement.extend([
        format!("target:     {}", open.text()),
        match &place {
            Some(workspace) => format!("workspace:  {workspace}"),
            None => format!("workspaces: all of project {project_id}"),
        },
        format!("credential: {credential}"),
    ]);
    let folder = state.temporary_folder()?;
    let reading = Reading {
        open: &open,
        settings: &job.settings,
        output: &args.output,
        announcement: announcement.join("\n"),
        rows: (0, 0),
    };
    let came = reading
        .carry_out(async |run| {
            let mut surveyed =
                Surveyed::kept_at(&folder.path().join("snapshot.jsonl"), Readers::Owner, false)?;
            let places: Vec<_> = match &place {
                Some(workspace) => vec![workspace.clone()],
                None => {
                    let project = (LANE, project_id.clone());
                    surveyed
                        .read_directory(run, std::iter::once(project))
                        .await?;
                    let all = surveyed.directory.all(LANE, &project_id);
                    let ids = all.unwrap_or_default().into_iter();
                    ids.map(|workspace_id| Workspace {
                        project_id: project_id.clone(),
                        workspace_id,
                    })
                    .collect()
                }
            };
            let whole = places.iter().map(|place| ((LANE, place.clone()), None));
            surveyed.read_places(run, whole).await?;
            Ok((surveyed, places))
        })
        .await?;
    let Came { to, ended, digest } = came;
    let (mut surveyed, places) = to;
    if ended != Ended::Completed || !digest.closed.is_empty() {
        return Err(given_up(&digest, ended));
    }
    if wanted.workspace_id.is_none()
        && let Err(why) = surveyed.directory.all(LANE, &project_id)
    {
        return Err(Error::Refused {
            what: format!("the workspaces of project {project_id} could not be listed: {why}"),
            hint: "let the user list workspaces (ListWorkspaces), or say --workspace-id ID"
                .to_owned(),
        });
    }
    for workspace in &places {
        if let Some(why) = surveyed.why_incomplete(LANE, workspace) {
            return Err(Error::Refused {
                what: format!("workspace {workspace} could not be listed: {why}"),
                hint: "let the user list workflows (ListWorkflows)".to_owned(),
            });
        }
    }
    let now = open.service_time();
    let mut found = Vec::new();
    let mut untimed = None;
    let mut looked_at = 0_u64;
    let kept = surveyed.snapshot.each(|_, workspace, listed| {
        looked_at += 1;
        match filter.takes(listed, now) {
            Ok(true) => found.push((workspace.clone(), listed.clone())),
            Ok(false) => {}
            Err(why) => untimed = Some(format!("workflow {}: {why}", listed.workflow.id)),
        }
        Ok(())
    });
    kept.map_err(Error::machine("what was read cannot be read again"))?;
    if let Some(what) = untimed {
        return Err(Error::Usage {
            what,
            hint: "choose by something else than age or unchanged".to_owned(),
        });
    }
    // Workspaces are read side by side.
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let exporting = |out: &mut dyn Write| {
        let other = std::io::Error::other::<csv::Error>;
        let shape = Shape {
            by_name: args.by == By::Name,
            all_workspaces: args.all_workspaces,
            dialect: args.dialect(),
        };
        let mut export = Export::new(&wanted.route, shape, out).map_err(other)?;
        for (workspace, listed) in &found {
            let name = surveyed.directory.name(LANE, workspace);
            export.write(workspace, name, listed).map_err(other)?;
        }
        export.finish().map_err(other)
    };
    let written = write_out(args, exporting)?;
    open.close()?;
    let odd: Vec<_> = surveyed.odd_texts().collect();
    for text in &odd {
        terminal::complain(&format!("warning: {text}"));
    }
    if let (0, [_, ..], false) = (written, args.filter.as_slice(), args.output.quiet) {
        let conditions: Vec<_> = args
            .filter
            .iter()
            .map(|text| format!("--where {text}"))
            .collect();
        terminal::complain(&format!(
            "warning: no workflow matches {} ({looked_at} checked)",
            conditions.join(" ")
        ));
    }
    if !args.output.quiet {
        let workflows = counted(written, "workflow");
        let simulated = if open.is_simulated() {
            " (simulated)"
        } else {
            ""
        };
        let of_all = match (&wanted.workspace_id, places.len()) {
            (Some(_), _) => String::new(),
            (None, many) => format!(" of {}", counted(many as u64, "workspace")),
        };
        let to = args
            .out
            .as_ref()
            .map(|path| format!(" to {}", path.display()));
        terminal::complain(&format!(
            "exported {workflows}{of_all}{}{simulated}",
            to.unwrap_or_default()
        ));
    }
    Ok(match odd.is_empty() {
        true => Exit::Done,
        false => Exit::Attention,
    })
}

/// The one way there.
const LANE: LaneId = LaneId(0);

fn write_out(
    args: &ExportArgs,
    export: impl FnOnce(&mut dyn Write) -> std::io::Result<u64>,
) -> Result<u64, Error> {
    let doing = "the export could not be written";
    let Some(path) = args.out.as_ref().filter(|path| path.as_os_str() != "-") else {
        let mut out = BufWriter::new(terminal::Out);
        let written = export(&mut out).map_err(Error::machine(doing))?;
        out.flush().map_err(Error::machine(doing))?;
        return Ok(written);
    };
    // It may have been edited while the service was read.
    report_target::check_export(path, args.force)?;
    let mut written = 0;
    let whole = write_whole(path, Readers::Usual, |file| {
        let mut out = BufWriter::new(file);
        written = export(&mut out)?;
        out.flush()
    });
    whole.map_err(Error::file("cannot write", path))?;
    Ok(written)
}

impl ExportArgs {
    /// How the file is written.
    fn dialect(&self) -> Dialect {
        let for_excel = self.target_program == Some(For::Excel);
        let delimiter = self.delimiter.unwrap_or(match for_excel {
            true => Delimiter::Semicolon,
            false => Delimiter::Comma,
        });
        Dialect {
            delimiter: match delimiter {
                Delimiter::Comma => b',',
                Delimiter::Semicolon => b';',
                Delimiter::Tab => b'\t',
            },
            for_excel,
        }
    }
}
