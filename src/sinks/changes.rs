//! Who changed what: the changes that runs made, by their reports.

use std::fmt::Write as _;
use std::io::{Read, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::formula::{guarded, unguarded};

/// What a run says of all its changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub run_id: String,
    /// The job's name.
    pub job: String,
    /// The user who started it.
    pub operator: String,
    /// The change ticket.
    pub ticket: Option<String>,
}

/// Which changes are asked for.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The workspace's id or name.
    pub workspace: Option<String>,
    /// The workflow's id or name, the one before as well.
    pub workflow: Option<String>,
    /// Not before then.
    pub since: Option<Timestamp>,
}

/// The columns of the CSV.
pub const COLUMNS: [&str; 15] = [
    "finished_at",
    "run_id",
    "job",
    "operator",
    "ticket",
    "project_id",
    "workspace_id",
    "workspace_name",
    "workflow_id",
    "live_name",
    "status",
    "changed_fields",
    "before",
    "after",
    "request_id",
];

/// A change that a run made.
#[derive(Debug, Serialize)]
pub struct ChangeMade {
    /// When it was confirmed; none where it was not.
    pub finished_at: Option<Timestamp>,
    /// By which run.
    pub run_id: String,
    /// Of which job.
    pub job: String,
    /// Who started the run.
    pub operator: String,
    /// The change ticket.
    pub ticket: Option<String>,
    /// Whose workspace it is.
    pub project_id: String,
    /// Where the workflow lives.
    pub workspace_id: String,
    /// What that is called, if anybody knows.
    pub workspace_name: String,
    /// The workflow.
    pub workflow_id: String,
    /// What it was called.
    pub live_name: String,
    /// `succeeded`; or `unknown` and `failed`, where it may have been made all the same.
    pub status: String,
    /// The fields, one after the other.
    pub changed_fields: String,
    /// What was there; none where that was not read.
    pub before: Option<Box<RawValue>>,
    /// What was set.
    pub after: Option<Box<RawValue>>,
    /// Of the service's answer.
    pub request_id: String,
}

/// The cells of a report that count here.
#[derive(Deserialize)]
struct Cells<'a> {
    finished_at: &'a str,
    project_id: &'a str,
    workspace_id: &'a str,
    workspace_name: &'a str,
    workflow_id: &'a str,
    live_name: &'a str,
    status: &'a str,
    changed_fields: &'a str,
    before: &'a str,
    after: &'a str,
    request_id: &'a str,
}

/// Shows `take` the changes that the `report` of `run` tells, as far as they are asked for.
///
/// # Errors
/// It cannot be read, or is no report; or `take` has failed.
pub fn changes(
    run: &Run,
    report: impl Read,
    asked: &Question,
    mut take: impl FnMut(ChangeMade) -> Result<(), csv::Error>,
) -> Result<(), csv::Error> {
    let mut reader = csv::Reader::from_reader(report);
    let header = reader.headers()?.clone();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let cells: Cells<'_> = record.deserialize(Some(&header))?;
        // Without it nothing was sent.
        if cells.after.is_empty() {
            continue;
        }
        let change = cells.of(run);
        if asked.is_met_by(&change) {
            take(change)?;
        }
    }
    Ok(())
}

impl Cells<'_> {
    fn of(&self, run: &Run) -> ChangeMade {
        let free = |cell: &str| unguarded(cell).to_owned();
        let object = |cell: &str| RawValue::from_string(cell.to_owned()).ok();
        let Run {
            run_id,
            job,
            operator,
            ticket,
        } = run.clone();
        ChangeMade {
            finished_at: self.finished_at.parse().ok(),
            run_id,
            job,
            operator,
            ticket,
            project_id: free(self.project_id),
            workspace_id: free(self.workspace_id),
            workspace_name: free(self.workspace_name),
            workflow_id: free(self.workflow_id),
            live_name: free(self.live_name),
            status: self.status.to_owned(),
            changed_fields: self.changed_fields.to_owned(),
            before: object(self.before),
            after: object(self.after),
            request_id: free(self.request_id),
        }
    }
}

impl Question {
    fn is_met_by(&self, change: &ChangeMade) -> bool {
        let is = |asked: &Option<String>, id: &str, name: &str| {
            asked
                .as_ref()
                .is_none_or(|asked| asked.eq_ignore_ascii_case(id) || asked == name)
        };
        let was_called = |asked: &str| change.name_before().is_some_and(|name| name == asked);
        is(
            &self.workspace,
            &change.workspace_id,
            &change.workspace_name,
        ) && (is(&self.workflow, &change.workflow_id, &change.live_name)
            || self.workflow.as_deref().is_some_and(was_called))
            && self.since.is_none_or(|since| {
                // One that was never confirmed may be of any time.
                change.finished_at.is_none_or(|at| at >= since)
            })
    }
}

impl ChangeMade {
    /// What it was called before, if that was changed.
    fn name_before(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            name: Option<String>,
        }
        let before = self.before.as_ref()?;
        serde_json::from_str::<Named>(before.get()).ok()?.name
    }

    /// Its line of the CSV.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, csv: &mut csv::Writer<impl Write>) -> Result<(), csv::Error> {
        let object = |object: &Option<Box<RawValue>>| {
            let text = object.as_ref().map(|object| object.get().to_owned());
            text.unwrap_or_default()
        };
        let free = |text: &str| guarded(text).into_owned();
        let at = self.finished_at.map(|at| at.to_string());
        csv.write_record([
            at.unwrap_or_default(),
            self.run_id.clone(),
            free(&self.job),
            free(&self.operator),
            free(self.ticket.as_deref().unwrap_or_default()),
            free(&self.project_id),
            free(&self.workspace_id),
            free(&self.workspace_name),
            free(&self.workflow_id),
            free(&self.live_name),
            self.status.clone(),
            self.changed_fields.clone(),
            object(&self.before),
            object(&self.after),
            free(&self.request_id),
        ])
    }

    /// For people: two lines, with times of `zone`.
    pub fn text(&self, zone: &TimeZone) -> String {
        let at = match self.finished_at {
            Some(at) => {
                let at = at.to_zoned_datetime(zone.clone());
                at.strftime("%F %T %:z").to_string()
            }
            None => "at an unknown time".to_owned(),
        };
        let mut text = format!("{at}  {}  {}", self.operator, self.run_id);
        let _ = write!(text, "  {}", self.job);
        if let Some(ticket) = &self.ticket {
            let _ = write!(text, "  [{ticket}]");
        }
        if self.status != "succeeded" {
            let _ = write!(text, "  {}", self.status);
        }
        let place = match self.workspace_name.as_str() {
            "" => &self.workspace_id,
            name => name,
        };
        let _ = write!(text, "\n  {place}: {}", self.workflow_id);
        if !self.live_name.is_empty() {
            let _ = write!(text, " {:?}", self.live_name);
        }
        let shown = |object: &Option<Box<RawValue>>| {
            object
                .as_ref()
                .map_or("?".to_owned(), |object| object.get().to_owned())
        };
        let _ = write!(text, "  {} -> {}", shown(&self.before), shown(&self.after));
        text
    }
}
