//! Commands for beginners, shells and editors.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `flowbatch init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The job file [default: job.toml]
    pub file: Option<PathBuf>,
    /// The service's region
    #[arg(long)]
    pub region: Option<String>,
    /// Whose account: a name of profiles.toml
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The project that owns the workspaces
    #[arg(long, value_name = "ID")]
    pub project_id: Option<String>,
    /// The workspace where none is named
    #[arg(long, value_name = "ID")]
    pub workspace_id: Option<String>,
    /// Go to the built-in simulator instead of a service
    #[arg(long, conflicts_with_all = ["region", "profile", "project_id", "workspace_id"])]
    pub simulate: bool,
    /// The CSV with its rows [default: the job file's name with .csv]
    #[arg(long, value_name = "FILE")]
    pub csv: Option<String>,
    /// Write a job, a CSV and the commands to try into this folder
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["file", "region", "profile", "project_id", "workspace_id", "simulate", "csv"]
    )]
    pub demo: Option<PathBuf>,
}

/// `flowbatch completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// `flowbatch man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder: flowbatch.1, flowbatch-run.1 ...
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
