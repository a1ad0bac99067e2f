//! What is said before anything leaves: where to, with what, how much, how long.

use serde::Serialize;

use crate::model::span;
use crate::model::update::Update;

use super::destination::Open;
use super::intake::Taken;

/// What is said before anything leaves.
#[derive(Debug, Serialize)]
pub(super) struct Announcement {
    warnings: Vec<String>,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
    workspaces: u64,
    credential: String,
    rows: u64,
    left_out: u64,
    wishes: String,
    defaults: Update,
    rate: String,
    concurrency: usize,
    at_least: String,
}

impl Announcement {
    pub(super) fn new(taken: &Taken, open: &Open) -> Self {
        let (census, settings) = (&taken.census, &taken.job.settings);
        let only = census
            .first_workspace
            .as_ref()
            .filter(|_| census.workspaces == 1);
        let rows = census.rows - census.skipped;
        let gaps = rows.saturating_sub(settings.burst.get().into());
        let gaps = u32::try_from(gaps).unwrap_or(u32::MAX);
        Self {
            warnings: taken.job.warnings.clone(),
            target: open.text(),
            project_id: only.map(|workspace| workspace.project_id.to_string()),
            workspace_id: only.map(|workspace| workspace.workspace_id.to_string()),
            workspaces: census.workspaces,
            credential: open.credential.clone(),
            rows,
            left_out: census.skipped,
            wishes: census.wishes.text(),
            defaults: taken.job.defaults.update.clone(),
            rate: settings.rate.to_string(),
            concurrency: settings.concurrency,
            at_least: span::show(settings.rate.interval().saturating_mul(gaps)),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}"))
            .collect();
        lines.push(format!("target:     {}", self.target));
        match (&self.project_id, &self.workspace_id) {
            (Some(project), Some(workspace)) => {
                lines.push(format!("project:    {project}"));
                lines.push(format!("workspace:  {workspace}"));
            }
            _ => lines.push(format!("workspaces: {}", self.workspaces)),
        }
        lines.push(format!("credential: {}", self.credential));
        let left_out = match self.left_out {
            0 => String::new(),
            left_out => format!(" ({left_out} left out)"),
        };
        lines.push(format!(
            "rows:       {}{left_out}: {}",
            self.rows, self.wishes
        ));
        let defaults: Vec<_> = self
            .defaults
            .fields()
            .map(|field| format!("{field}={}", self.defaults.value(field).unwrap_or_default()))
            .collect();
        if !defaults.is_empty() {
            lines.push(format!(
                "defaults:   {} where a row leaves it out",
                defaults.join(", ")
            ));
        }
        lines.push(format!(
            "pace:       at most {}, {} in flight: at least {}",
            self.rate, self.concurrency, self.at_least
        ));
        lines.join("\n")
    }

    /// For programs, on one line.
    pub(super) fn json(&self) -> String {
        // Texts, numbers and options always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}
