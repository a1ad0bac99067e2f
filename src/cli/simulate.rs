//! `flowbatch simulate`

use std::path::PathBuf;

use clap::{ArgAction, Args};

/// `flowbatch simulate`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The port on 127.0.0.1 (0: a free one)
    #[arg(long, value_name = "N", default_value = "0")]
    pub port: u16,
    /// The project of the workspace
    #[arg(long, value_name = "ID")]
    pub project_id: Option<String>,
    /// The workspace
    #[arg(long, value_name = "ID")]
    pub workspace_id: Option<String>,
    /// Workflows in the workspace
    #[arg(long, value_name = "N", default_value = "50")]
    pub workflows: usize,
    /// So many workspaces, each with as many workflows; those after the first are called after it: ID-2, ID-3
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub workspaces: u32,
    /// Decides about ids, faults and latencies
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
    /// A token that clients may show (default: without any credential, everybody may come in)
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Who may come in",
        env = "FLOWBATCH_SIMULATOR_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// The access key that clients sign with
    #[arg(long, value_name = "ID", help_heading = "Who may come in")]
    pub ak: Option<String>,
    /// The file that holds its secret key
    #[arg(long, value_name = "FILE", help_heading = "Who may come in")]
    pub sk_file: Option<PathBuf>,
    /// The file that holds its security token: the key is a temporary one
    #[arg(long, value_name = "FILE", help_heading = "Who may come in")]
    pub security_token_file: Option<PathBuf>,
    /// The IAM user who gets tokens by password
    #[arg(long, value_name = "NAME", help_heading = "Who may come in")]
    pub user: Option<String>,
    /// The file that holds the user's password
    #[arg(long, value_name = "FILE", help_heading = "Who may come in")]
    pub password_file: Option<PathBuf>,
    /// The account: the user's IAM domain
    #[arg(
        long,
        value_name = "NAME",
        default_value = "simulated",
        help_heading = "Who may come in"
    )]
    pub account: String,
    /// The project's name
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cn-north-4",
        help_heading = "Who may come in"
    )]
    pub region: String,
    /// Hand out temporary keys, as the metadata address of a cloud server does
    #[arg(long, help_heading = "Who may come in")]
    pub metadata: bool,
    /// How long tokens and temporary keys live: 10m, 2h [default: 24h]
    #[arg(long, value_name = "DURATION", help_heading = "Who may come in")]
    pub token_life: Option<String>,
    /// End a token after so many requests
    #[arg(long, value_name = "N", help_heading = "Who may come in")]
    pub token_requests: Option<u64>,
    /// How far the server's clock is ahead: 20m, or -20m
    #[arg(
        long,
        value_name = "DURATION",
        allow_hyphen_values = true,
        help_heading = "Who may come in"
    )]
    pub clock_offset: Option<String>,
    /// The time until an answer: 20ms, or 5ms..40ms
    #[arg(long, value_name = "DURATION")]
    pub latency: Option<String>,
    /// Requests that are admitted: 20/s; may be given again
    #[arg(long, value_name = "N/UNIT", action = ArgAction::Append)]
    pub rate_limit: Vec<String>,
    /// Give throttled clients a Retry-After
    #[arg(long)]
    pub retry_after: bool,
    /// Let an update clear what it does not hold
    #[arg(long)]
    pub clears_unsent: bool,
    /// Something that goes wrong for a share of requests: reset=0.05; may be given again
    #[arg(long, value_name = "KIND=SHARE", action = ArgAction::Append)]
    pub fault: Vec<String>,
}
