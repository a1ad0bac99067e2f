//! What the program says of itself: schema, completions, man pages.

use std::fs;

use crate::cli::pages::{completions, man_page, write_man_pages};
use crate::cli::{Answer, CompletionsArgs, ManArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::job::schema::schema;

use super::Done;
use super::terminal;

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
    terminal::print_bytes(&script);
    Ok(Exit::Done)
}

/// Prints what the command line itself answers: `--help`, `--version`, or what is wrong with it.
pub(super) fn tell_answer(answer: &Answer) -> Exit {
    if answer.is_error {
        let painted = terminal::wants_color();
        let text = if painted {
            &answer.painted
        } else {
            &answer.text
        };
        terminal::complain_painted(text.trim_end());
        return Exit::Usage;
    }
    match terminal::wants_color_in_result() {
        true => terminal::print_bytes(answer.painted.as_bytes()),
        false => terminal::print(answer.text.trim_end()),
    }
    Exit::Done
}

/// Prints the man page, or writes those of all commands.
pub(super) fn man(args: &ManArgs) -> Done {
    match &args.out {
        None => {
            let page = man_page().map_err(Error::machine("no man page"))?;
            terminal::print_bytes(&page);
        }
        Some(folder) => fs::create_dir_all(folder)
            .and_then(|()| write_man_pages(folder))
            .map_err(Error::file("cannot write man pages into", folder))?,
    }
    Ok(Exit::Done)
}
