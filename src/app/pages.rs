//! What the program says of itself: schema, completions, man pages.

use std::fs;
use std::io::Write;

use crate::cli::pages::{completions, man_page, write_man_pages};
use crate::cli::{CompletionsArgs, ManArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::job::schema::schema;

use super::Done;
use super::terminal::{self, Out};

/// The JSON Schema of a job file.
pub(super) fn schema_text() -> String {
    // A value that was made from strings and numbers always serializes.
    format!("{:#}", schema())
}

/// Prints the JSON Schema of a job file.
pub(super) fn print_schema() -> Done {
    terminal::print(&schema_text());
    Ok(Exit::Done)
}

/// Prints the completions for a shell.
pub(super) fn print_completions(args: &CompletionsArgs) -> Done {
    let script = completions(args.shell);
    let written = Out.write_all(&script).and_then(|()| Out.flush());
    written.map_err(Error::machine("standard output cannot be written"))?;
    Ok(Exit::Done)
}

/// Prints the man page, or writes those of all commands.
pub(super) fn man(args: &ManArgs) -> Done {
    match &args.out {
        None => {
            let page = man_page().map_err(Error::machine("no man page"))?;
            let written = Out.write_all(&page).and_then(|()| Out.flush());
            written.map_err(Error::machine("standard output cannot be written"))?;
        }
        Some(folder) => fs::create_dir_all(folder)
            .and_then(|()| write_man_pages(folder))
            .map_err(Error::file("cannot write man pages into", folder))?,
    }
    Ok(Exit::Done)
}
