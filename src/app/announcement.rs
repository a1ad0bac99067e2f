//! What is said before anything leaves: where to, with what, how much, how long.

use serde::Serialize;

use crate::error::Error;
use crate::job::flags::Snapshot;
use crate::job::rollout::Waves;
use crate::model::counted::counted;
use crate::model::reading::PAGE;
use crate::model::span;
use crate::model::target::LaneId;
use crate::model::update::Update;
use crate::plan::estimate::{Estimate, Requests};

use super::destination::Open;
use super::resolved_job::ResolvedJob;

/// Lanes that are told one by one.
const MOST_LANES: usize = 20;

/// What is said before anything leaves.
#[derive(Debug, Serialize)]
pub(super) struct Announcement {
    warnings: Vec<String>,
    target: String,
    lanes: Vec<LaneText>,
    rows: u64,
    left_out: u64,
    wishes: String,
    defaults: Update,
    rate: String,
    concurrency: usize,
    /// Where every row is sent, as far as it is known beforehand.
    requests: Requests,
    at_least: String,
    /// When nothing new starts any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_start: Option<String>,
    /// What chose the rows, if something did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chosen: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<Resumed>,
    /// Stages and waves, if the rows go in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    course: Vec<String>,
    /// Which part of the job it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<String>,
}

/// What is left of a run that goes on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Resumed {
    pub(super) run_id: String,
    pub(super) left: u64,
    /// Those of them that are read back first.
    pub(super) in_doubt: u64,
}

impl Resumed {
    fn line(&self) -> String {
        let left = match self.left {
            0 => "no rows are left; the report is made up for".to_owned(),
            1 => "1 row is left".to_owned(),
            left => format!("{} are left", counted(left, "row")),
        };
        let doubt = match self.in_doubt {
            0 => String::new(),
            1 => ", 1 of them in doubt, which is read back first".to_owned(),
            rows => format!(", {rows} of them in doubt, which are read back first"),
        };
        format!("goes on:    run {}, {left}{doubt}", self.run_id)
    }
}

/// What is said of one lane.
#[derive(Debug, Serialize)]
struct LaneText {
    target: String,
    credential: String,
    rows: u64,
    workspaces: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    /// The variable that names the project, if nothing else does.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_variable: Option<&'static str>,
    /// Whether IAM named the project.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    looked_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
}

impl Announcement {
    pub(super) fn new(
        resolved: &ResolvedJob,
        open: &Open,
        resumed: Option<Resumed>,
        last_start: Option<String>,
    ) -> Result<Self, Error> {
        let (census, settings) = (&resolved.census, &resolved.job.settings);
        let lanes = open.lanes.iter().zip(&census.lanes);
        let used = lanes.filter(|(facts, _)| facts.credential.is_some());
        let lanes: Vec<_> = used
            .map(|(facts, census)| {
                let workspaces = census.places.len() as u64;
                let first = census.places.first().map(|place| &place.workspace);
                let only = first.filter(|_| workspaces == 1);
                LaneText {
                    target: match open.is_simulated() {
                        true => open.text(),
                        false => facts.route.text(),
                    },
                    credential: facts.credential.clone().unwrap_or_default(),
                    rows: census.rows,
                    workspaces,
                    project_id: only.map(|workspace| workspace.project_id.to_string()),
                    from_variable: only.and_then(|workspace| {
                        resolved.job.defaults.variable_of(&workspace.project_id)
                    }),
                    looked_up: resolved.job.defaults.looked_up(&facts.route).is_some(),
                    workspace_id: only.map(|workspace| workspace.workspace_id.to_string()),
                }
            })
            .collect();
        let doing = "the rows cannot be read again";
        let waves = resolved.waves().map_err(Error::machine(doing))?;
        let estimate = estimate(resolved, &lanes, waves.as_ref(), resumed.as_ref());
        let warnings = resolved.job.warnings.iter().chain(&open.warnings).cloned();
        let warnings = warnings.chain(open.file_limit_text(settings));
        Ok(Self {
            warnings: warnings.collect(),
            target: open.text(),
            lanes,
            rows: census.rows - census.skipped,
            left_out: census.skipped,
            wishes: match census.rows {
                0 => "no workflow is selected".to_owned(),
                _ => census.wishes.text(),
            },
            defaults: resolved.job.defaults.update.clone(),
            rate: match settings.finds_limit {
                true => format!("{}, or what the service allows", settings.rate),
                false => settings.rate.to_string(),
            },
            concurrency: open.lanes_of(settings).1,
            requests: estimate.total(),
            at_least: span::show(estimate.at_least(settings.rate, settings.burst)),
            last_start,
            chosen: resolved.notes.clone(),
            resumed,
            course: waves.map_or(Vec::new(), |waves| resolved.course_lines(&waves)),
            partition: resolved.job.selection.partition.map(String::from),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}"))
            .collect();
        match self.lanes.as_slice() {
            [lane] => lines.extend(lane.lines()),
            lanes => {
                lines.push(format!("targets:    {}", lanes.len()));
                lines.extend(lanes.iter().take(MOST_LANES).map(LaneText::line));
                if lanes.len() > MOST_LANES {
                    lines.push(format!("  and {} more", lanes.len() - MOST_LANES));
                }
            }
        }
        lines.extend(self.resumed.iter().map(Resumed::line));
        let partition = self.partition.iter();
        lines.extend(
            partition
                .map(|part| format!("part:       {part} of the job, with its share of the rate")),
        );
        lines.extend(self.chosen.iter().map(|note| format!("chosen:     {note}")));
        let left_out = match self.left_out {
            0 => String::new(),
            left_out => format!(" ({left_out} left out)"),
        };
        lines.push(format!(
            "rows:       {}{left_out}: {}",
            self.rows, self.wishes
        ));
        lines.extend(self.course.iter().cloned());
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
        let each = if self.lanes.len() > 1 {
            " for each target"
        } else {
            ""
        };
        lines.push(format!(
            "pace:       at most {}, {} in flight{each}: {} if every row is sent, at least {}",
            self.rate,
            self.concurrency,
            counted(self.requests.all(), "request"),
            self.at_least
        ));
        let last_start = self.last_start.iter();
        lines.extend(last_start.map(|at| format!("stops:      {at}")));
        lines.join("\n")
    }

    /// For programs, on one line.
    pub(super) fn json(&self) -> String {
        // Texts, numbers and options always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a session sends that takes up all rows of `lanes`, or what is left of them, if each of them is sent.
fn estimate(
    resolved: &ResolvedJob,
    lanes: &[LaneText],
    waves: Option<&Waves>,
    resumed: Option<&Resumed>,
) -> Estimate {
    let (census, settings) = (&resolved.census, &resolved.job.settings);
    let reads = settings.snapshot == Snapshot::Required;
    let mut estimate = Estimate::default();
    for (index, lane) in lanes.iter().enumerate() {
        let updates = resumed.map_or(lane.rows, |resumed| resumed.left.min(lane.rows));
        let is_whole = lanes.len() == 1 && resumed.is_none();
        let mut readings = 0;
        if reads && updates > 0 {
            // A workflow may have a row in each stage.
            let pages = match resolved.job.stages.is_empty() {
                true => updates.div_ceil(PAGE),
                false => 1,
            };
            // The names of the workspaces, and at least a page of each that has rows left.
            readings += 1 + pages.max(match resumed {
                None => lane.workspaces,
                Some(_) => 1,
            });
        }
        if reads && updates > 0 && resumed.is_none() && index == 0 {
            // The canary is read before its update, unless its row is anyway, and after it.
            readings += 1 + u64::from(census.wishes.guarded == 0);
        }
        if is_whole {
            readings += census.wishes.guarded;
            readings += waves.map_or(0, |waves| resolved.verified_rows(waves));
        }
        let requests = Requests { updates, readings };
        estimate.add(LaneId(index), requests);
    }
    estimate
}

impl LaneText {
    /// Where the project comes from, if not from the job or the command line.
    fn whence(&self) -> String {
        match self.from_variable {
            Some(variable) => format!(" (from {variable})"),
            None if self.looked_up => " (looked up in IAM)".to_owned(),
            None => String::new(),
        }
    }

    /// The only lane.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("target:     {}", self.target)];
        match (&self.project_id, &self.workspace_id) {
            (Some(project), Some(workspace)) => {
                lines.push(format!("project:    {project}{}", self.whence()));
                lines.push(format!("workspace:  {workspace}"));
            }
            _ => lines.push(format!("workspaces: {}", self.workspaces)),
        }
        lines.push(format!("credential: {}", self.credential));
        lines
    }

    /// One of several lanes.
    fn line(&self) -> String {
        let looked_up = self.whence();
        let place = match (&self.workspace_id, &self.project_id) {
            (Some(workspace), Some(project)) => {
                format!("workspace {workspace} of project {project}{looked_up}")
            }
            _ => format!("{}{looked_up}", counted(self.workspaces, "workspace")),
        };
        format!(
            "  {}: {} in {place}, {}",
            self.target,
            counted(self.rows, "row"),
            self.credential
        )
    }
}
