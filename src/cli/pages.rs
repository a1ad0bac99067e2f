//! What is made from the command line itself: completions and man pages.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::{Shell as Program, generate};
use clap_mangen::Man;

use super::{Cli, Shell};

/// The completions of all commands, for `shell`.
pub fn completions(shell: Shell) -> Vec<u8> {
    let program = match shell {
        Shell::Bash => Program::Bash,
        Shell::Zsh => Program::Zsh,
        Shell::Fish => Program::Fish,
    };
    let mut script = Vec::new();
    generate(program, &mut Cli::command(), "flowbatch", &mut script);
    script
}

/// The man page of the program.
///
/// # Errors
/// None: memory takes what is written.
pub fn man_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

/// Writes the man pages of the program and of each command into `folder`: `flowbatch.1`, `flowbatch-run.1` ...
///
/// # Errors
/// They cannot be written there.
pub fn write_man_pages(folder: &Path) -> io::Result<()> {
    clap_mangen::generate_to(Cli::command(), folder)
}
