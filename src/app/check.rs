//! `flowbatch check`: everything that can be validated without the network.

use tempfile::NamedTempFile;

use crate::cli::CheckArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::model::counted::counted;

use super::{Done, credential, intake, terminal};

/// Validates a job; sends nothing.
pub(super) fn check(args: &CheckArgs) -> Done {
    let temporary = || {
        let folder = std::env::temp_dir();
        NamedTempFile::new().map_err(Error::file("cannot write in", folder))
    };
    let taken = intake::take_in(&args.job, temporary)?;
    credential::check(&args.credential)?;
    for warning in &taken.job.warnings {
        terminal::complain(&format!("warning: {warning}"));
    }
    if !args.quiet {
        let (rows, workspaces) = (taken.census.rows, taken.census.workspaces());
        let skipped = match taken.census.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} of them left out"),
        };
        let looked_up = match taken.census.without_project.is_empty() {
            true => "",
            false => "IAM will be asked for the project; ",
        };
        let wishes = taken.census.wishes.text();
        let mut parts = Vec::new();
        if rows > 0 || taken.changes.is_empty() {
            let places = counted(workspaces, "workspace");
            parts.push(format!(
                "{} in {places}{skipped}: {wishes}",
                counted(rows, "row")
            ));
        }
        // What the live state says about them is not asked here.
        match taken.changes.len() as u64 {
            0 => {}
            1 => parts.push("1 change chooses rows from the live state".to_owned()),
            many => parts.push(format!("{many} changes choose rows from the live state")),
        }
        match taken.census.without_workspace.len() as u64 {
            0 => {}
            named => parts.push(format!("{} to be looked up", counted(named, "workspace"))),
        }
        match taken.all_templates().count() as u64 {
            0 => {}
            many => parts.push(format!(
                "{} to be worked out from the live state",
                counted(many, "default")
            )),
        }
        terminal::print(&format!(
            "{}: {}; {looked_up}no problems, nothing was sent",
            taken.name,
            parts.join("; "),
        ));
        let waves = taken.waves();
        let waves = waves.map_err(Error::machine("the rows cannot be read again"))?;
        for line in waves.iter().flat_map(|waves| taken.course_lines(waves)) {
            terminal::print(&format!("  {line}"));
        }
    }
    Ok(Exit::Done)
}
