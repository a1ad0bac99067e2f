//! Where it goes, and on whose behalf.

use std::path::PathBuf;

use clap::Args;

use crate::job::flags::Flags;

use super::output::OutputShape;

/// The target and whose account it is.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The service's base URL
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub endpoint: Option<String>,
    /// The service's region
    #[arg(long, help_heading = "Target")]
    pub region: Option<String>,
    /// The project that owns the workspaces (default: IAM's project of the region)
    #[arg(long, value_name = "ID", help_heading = "Target")]
    pub project_id: Option<String>,
    /// The workspace where none is named
    #[arg(long, value_name = "ID", help_heading = "Target")]
    pub workspace_id: Option<String>,
    /// Whose account: a name of profiles.toml
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    pub profile: Option<String>,
}

impl TargetArgs {
    /// What the command line says about the target, and nothing else.
    pub fn flags(&self) -> Flags {
        Flags {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            project_id: self.project_id.clone(),
            workspace_id: self.workspace_id.clone(),
            ..Flags::default()
        }
    }
}

/// `flowbatch auth`
#[derive(Debug, Args)]
pub struct AuthArgs {
    /// Where it is shown.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The credential.
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// How the findings are written to standard output: for people, or as one JSON object
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub output: OutputShape,
}

/// What the command line says about the credential and whom it is shown to.
#[derive(Debug, Args)]
pub struct CredentialArgs {
    /// A file with an IAM token (default: what `flowbatch auth` finds)
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) that are believed besides the system's
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub ca_file: Option<PathBuf>,
}
