//! `flowbatch simulate`: the simulator for any other client.

use std::sync::{Arc, Mutex};

use futures::StreamExt;

use crate::cli::SimulateArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::job::destination::{SIMULATED_PROJECT, SIMULATED_WORKSPACE};
use crate::model::counted::counted;
use crate::model::id::Id;
use crate::model::rate::{self, Rate};
use crate::model::simulation::{Fault, FaultKind, Simulation};
use crate::model::span;
use crate::model::target::Workspace;
use crate::simulator::server;
use crate::simulator::world::World;

use super::admission::admission;
use super::{Done, runtime, signals, terminal};

/// Serves the simulator until it is told to stop.
pub(super) fn simulate(args: &SimulateArgs) -> Done {
    let simulation = simulation(args)?;
    let workspace = Workspace {
        project_id: id(
            "--project-id",
            args.project_id.as_deref(),
            SIMULATED_PROJECT,
        )?,
        workspace_id: id(
            "--workspace-id",
            args.workspace_id.as_deref(),
            SIMULATED_WORKSPACE,
        )?,
    };
    let mut world = World::new(simulation);
    world.populate(&workspace, args.workflows);
    for number in 2..=args.workspaces {
        let text = format!("{}-{number}", workspace.workspace_id);
        let other = Workspace {
            workspace_id: id("--workspace-id", Some(&text), SIMULATED_WORKSPACE)?,
            ..workspace.clone()
        };
        world.populate(&other, args.workflows);
    }
    let admission = admission(args, &workspace.project_id)?;
    runtime()?.block_on(async {
        let world = Arc::new(Mutex::new(world));
        let server = server::bind(args.port, world, admission.access)
            .await
            .map_err(|error| Error::Usage {
                what: format!("port {} cannot be opened: {error}", args.port),
                hint: "name another --port, or 0 for any that is free".to_owned(),
            })?;
        let mut stop = signals::listen();
        terminal::print(&format!("http://{}", server.address()));
        terminal::complain(&format!(
            "simulating project {}, workspace {}{}, {}; stop with Ctrl-C",
            workspace.project_id,
            workspace.workspace_id,
            match args.workspaces.saturating_sub(1) {
                0 => String::new(),
                others => format!(" and {} like it", counted(others.into(), "other")),
            },
            counted(args.workflows as u64, "workflow")
        ));
        terminal::complain(&admission.text);
        server
            .serve(async move {
                let _ = stop.next().await;
            })
            .await;
        Ok(Exit::Done)
    })
}

fn id(flag: &str, given: Option<&str>, otherwise: &str) -> Result<Id, Error> {
    let text = given.unwrap_or(otherwise);
    Id::parse(text).map_err(|fault| Error::flag(flag, text, &fault.to_string(), fault.hint()))
}

fn simulation(args: &SimulateArgs) -> Result<Simulation, Error> {
    let plain = Simulation::default();
    let duration = |text: &str| {
        let wrong =
            |fault: span::SpanFault| Error::flag("--latency", text, &fault.to_string(), span::HINT);
        span::parse(text).map_err(wrong)
    };
    let latency = match args
        .latency
        .as_deref()
        .map(|text| (text, text.split_once("..")))
    {
        None => plain.latency,
        Some((text, None)) => (duration(text)?, duration(text)?),
        Some((text, Some((least, most)))) => {
            let latency = (duration(least)?, duration(most)?);
            if latency.0 > latency.1 {
                let hint = "write the shorter one first: 5ms..40ms";
                return Err(Error::flag("--latency", text, "not a range", hint));
            }
            latency
        }
    };
    let limit = |text: &String| {
        let wrong = |fault: rate::RateFault| {
            Error::flag("--rate-limit", text, &fault.to_string(), rate::HINT)
        };
        text.parse::<Rate>().map_err(wrong)
    };
    let fault = |text: &String| {
        let hint = format!(
            "write KIND=SHARE, such as reset=0.05; kinds: {}",
            FaultKind::ALL.map(FaultKind::as_str).join(", ")
        );
        let wrong = |what: &str| Error::flag("--fault", text, what, &hint);
        let (kind, share) = text
            .split_once('=')
            .ok_or_else(|| wrong("not KIND=SHARE"))?;
        let kind = kind.parse().map_err(|_| wrong("no such fault"))?;
        let share: f64 = share.parse().map_err(|_| wrong("not a share"))?;
        if (0.0..=1.0).contains(&share) {
            Ok(Fault { kind, share })
        } else {
            Err(wrong("not a share from 0 to 1"))
        }
    };
    Ok(Simulation {
        seed: args.seed,
        latency,
        rate_limits: args
            .rate_limit
            .iter()
            .map(limit)
            .collect::<Result<_, _>>()?,
        retry_after: args.retry_after,
        clears_unsent: args.clears_unsent,
        faults: args.fault.iter().map(fault).collect::<Result<_, _>>()?,
    })
}
