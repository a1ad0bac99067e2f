//! `flowbatch check`: everything that can be validated without the network.

use crate::cli::CheckArgs;
use crate::exit::Exit;
use crate::model::counted::counted;

use super::resolved_job::course_lines;
use super::sources::Keep;
use super::{Done, credential, intake, terminal};

/// Validates a job; sends nothing.
pub(super) fn check(args: &CheckArgs) -> Done {
    let read = intake::read(&args.job, Keep::Nothing, |_, _| Ok(()))?;
    credential::check(&args.credential)?;
    for warning in &read.job.warnings {
        terminal::complain(&format!("warning: {warning}"));
    }
    if !args.quiet {
        let (rows, workspaces) = (read.census.rows, read.census.workspaces());
        let skipped = match read.census.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} of them left out"),
        };
        let looked_up = match read.findings.without_project.is_empty() {
            true => "",
            false => "IAM will be asked for the project; ",
        };
        let wishes = read.census.wishes.text();
        let mut parts = Vec::new();
        if rows > 0 || read.changes.is_empty() {
            let places = counted(workspaces, "workspace");
            parts.push(format!(
                "{} in {places}{skipped}: {wishes}",
                counted(rows, "row")
            ));
        }
        // What the live state says about them is not asked here.
        match read.changes.len() as u64 {
            0 => {}
            1 => parts.push("1 change chooses rows from the live state".to_owned()),
            many => parts.push(format!("{many} changes choose rows from the live state")),
        }
        match read.findings.without_workspace.len() as u64 {
            0 => {}
            named => parts.push(format!("{} to be looked up", counted(named, "workspace"))),
        }
        match read.templates() as u64 {
            0 => {}
            many => parts.push(format!(
                "{} to be worked out from the live state",
                counted(many, "default")
            )),
        }
        terminal::print(&format!(
            "{}: {}; {looked_up}no problems, nothing was sent",
            read.name,
            parts.join("; "),
        ));
        let chooses = |stage| read.changes.iter().any(|change| change.stage == stage);
        let waves = read.waves.iter();
        for line in waves.flat_map(|waves| course_lines(&read.job, waves, chooses)) {
            terminal::print(&format!("  {line}"));
        }
    }
    Ok(Exit::Done)
}
