//! `report.html`: a run on one page, for the change ticket. It holds all that it needs and asks nobody for anything.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::model::event::{Approval, WaveEnded};
use crate::model::id::Id;
use crate::model::outcome::Status;
use crate::model::printable::printable;
use crate::model::span;

use super::attention::{Attention, Group};
use super::chart::{latency_chart, percentiles, timeline_chart};
use super::digest::{Digest, Session};
use super::report::EndedRow;
use super::summary::{
    FileFacts, UNKNOWN_HINT, hint, request_line, stage_text, time_line, verdict, wave_text,
};
use super::timeline::Timeline;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Rows that are shown besides those that need a person, and of those as many again; the CSV has them all.
pub const MOST_ROWS: usize = 5_000;

/// What the page says that neither the journal nor the report knows.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The run's id.
    pub run_id: &'a str,
    /// The job's name.
    pub job: &'a str,
    /// For people.
    pub description: Option<&'a str>,
    /// Nothing left this machine.
    pub simulated: bool,
    /// Where requests went.
    pub target: &'a str,
    /// The change ticket.
    pub ticket: Option<&'a str>,
    /// Where it ran, if that is known.
    pub host: Option<&'a str>,
    /// On whose behalf, as far as the service has confirmed it.
    pub identity: &'a [String],
    /// The files of the record, with their hashes.
    pub files: &'a [FileFacts],
    /// SHA-256 of `summary.json`, if there is one.
    pub sha256: Option<&'a str>,
    /// The command that goes on with a run that was killed.
    pub next: Option<&'a str>,
    /// The command that puts back what was changed, if anything was.
    pub undo: Option<&'a str>,
    /// The command that compares the record with itself.
    pub verify: &'a str,
    /// For the times.
    pub zone: &'a TimeZone,
}

/// A row of the table.
#[derive(Debug)]
struct PageRow {
    number: u64,
    line: u64,
    workspace: String,
    workflow_id: String,
    name: String,
    status: String,
    changes: Vec<(String, String, String)>,
    attempts: u64,
    duration_ms: Option<u64>,
    message: String,
    request_id: String,
    stage: String,
}

/// The rows that the page shows.
#[derive(Debug, Default)]
pub struct PageRows {
    rows: Vec<PageRow>,
    /// How many of them need a person, and how many do not.
    shown: [usize; 2],
    /// Rows that are not among them.
    unseen: u64,
    /// All that are `unknown`: a run that was killed has no end of some.
    pub unknown: u64,
}

impl PageRows {
    /// Takes `ended` into account: what needs a person is shown, and others, [`MOST_ROWS`] of each at most.
    pub fn see(&mut self, ended: &EndedRow<'_>) {
        let status = ended.outcome.status;
        self.unknown += u64::from(status == Status::Unknown);
        let is_well = matches!(
            status,
            Status::Succeeded | Status::Unchanged | Status::Skipped
        );
        let shown = &mut self.shown[usize::from(is_well)];
        if *shown == MOST_ROWS {
            self.unseen += 1;
            return;
        }
        *shown += 1;
        self.rows.push(PageRow::of(ended));
    }
}

impl PageRow {
    fn of(ended: &EndedRow<'_>) -> Self {
        let (row, outcome) = (&ended.row, &ended.outcome);
        let place = ended.workspace_name;
        Self {
            number: row.number,
            line: row.line,
            workspace: place
                .unwrap_or(row.workspace.workspace_id.as_str())
                .to_owned(),
            workflow_id: ended.workflow_id().map(Id::to_string).unwrap_or_default(),
            name: outcome.live_name.clone().unwrap_or_default(),
            status: outcome.status.as_str().to_owned(),
            changes: changes(ended),
            attempts: outcome.attempts.into(),
            duration_ms: outcome.duration_ms,
            message: ended.message().to_owned(),
            request_id: outcome.request_id.clone().unwrap_or_default(),
            stage: ended.stage.unwrap_or_default().to_owned(),
        }
    }
}

/// Field by field, from what to what.
fn changes(ended: &EndedRow<'_>) -> Vec<(String, String, String)> {
    let (row, outcome) = (&ended.row, &ended.outcome);
    if let Some(change) = &outcome.change {
        let texts = change.after.iter().map(|(field, after)| {
            let before = change.before.get(field).map_or("?", String::as_str);
            (field.to_string(), before.to_owned(), after.clone())
        });
        return texts.collect();
    }
    // The live state was never seen: what was sent stands for what has changed.
    let sent = row.update.fields();
    let sent = sent.filter(|_| outcome.status == Status::Succeeded);
    let texts = sent.map(|field| {
        let after = row.update.value(field).unwrap_or_default();
        (field.to_string(), "?".to_owned(), after.to_owned())
    });
    texts.collect()
}

/// The page.
pub fn page(
    facts: &Facts<'_>,
    digest: &Digest,
    timeline: &Timeline,
    attention: &Attention,
    rows: &PageRows,
) -> String {
    let verdict = match digest.ended {
        Some(_) => verdict(digest),
        None => "it has not ended: it goes on, or was killed".to_owned(),
    };
    let is_well = verdict == "done";
    let simulated = if facts.simulated { " (simulated)" } else { "" };
    let title = format!("{}{simulated}: {verdict}", facts.job);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.run { "flowbatch run " (facts.run_id) }
                    h1 { bdi { (facts.job) } (simulated) }
                    p.verdict data-well=(is_well) { (verdict) }
                    @if let Some(description) = facts.description { p { bdi { (description) } } }
                    (about(facts, digest))
                }
                main {
                    (outcome(digest))
                    (attention_section(digest, attention))
                    (course(digest, timeline))
                    (table(digest, rows))
                    (evidence(facts, digest))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    printable(&page.into_string()).into_owned()
}

fn about(facts: &Facts<'_>, digest: &Digest) -> Markup {
    let operator = digest.start.as_ref().map(|start| start.operator.as_str());
    html! {
        dl.facts {
            @if let Some(when) = time_line(digest, facts.zone) { dt { "When" } dd { (when) } }
            dt { "Target" } dd { bdi { (facts.target) } }
            @if let Some(ticket) = facts.ticket { dt { "Ticket" } dd { bdi { (ticket) } } }
            @if let Some(operator) = operator {
                dt { "Operator" }
                dd { bdi { (operator) } @if let Some(host) = facts.host { " on " bdi { (host) } } }
            }
            @if !facts.identity.is_empty() { dt { "On behalf of" } dd { bdi { (facts.identity.join(", ")) } } }
            @if let Some(next) = facts.next { dt { "Go on" } dd { code { (next) } } }
            @if let Some(undo) = facts.undo { dt { "Put it back" } dd { code { (undo) } } }
        }
    }
}

fn outcome(digest: &Digest) -> Markup {
    let tally = &digest.tally;
    html! {
        section aria-labelledby="outcome" {
            h2 id="outcome" { "What it came to" }
            ul.counts {
                @for status in Status::ALL {
                    @let count = tally.of(status);
                    @if count > 0 {
                        li data-status=(status) { strong { (count) } " " (status) }
                    }
                }
                @if tally.differs > 0 { li { strong { (tally.differs) } " of those succeeded differ" } }
                li { strong { (tally.rows) } " rows" }
            }
            p { (request_line(digest)) }
            @if !digest.waves.is_empty() {
                ul {
                    @for wave in digest.waves.values() { li { (wave_text(wave)) } }
                    @for stage in &digest.stages_left { li { (stage_text(stage)) } }
                    @for (at, approval) in &digest.approvals {
                        li {
                            (approved_text(digest, approval)) " approved by " bdi { (approval.by) } ", " (at)
                            @if let Some(note) = &approval.note { ": " bdi { (note) } }
                        }
                    }
                }
            }
            @for closed in &digest.closed { p.closed { "Given up: " (closed) } }
        }
    }
}

/// What was approved.
fn approved_text(digest: &Digest, approval: &Approval) -> String {
    let wave = digest.waves.get(&approval.wave);
    wave.map_or(format!("wave {}", approval.wave), WaveEnded::label)
}

fn attention_section(digest: &Digest, attention: &Attention) -> Markup {
    let closed =
        digest.waves.values().any(|wave| wave.closed.is_some()) || !digest.stages_left.is_empty();
    html! {
        section aria-labelledby="attention" {
            h2 id="attention" { "What needs a person" }
            @if attention.groups.is_empty() && !closed { p { "Nothing." } }
            @for wave in digest.waves.values().filter(|wave| !wave.differing.is_empty()) {
                p { (wave_text(wave)) ". " "Look at them in the console: somebody else may have changed them meanwhile." }
            }
            @for group in &attention.groups { (group_part(group)) }
            @if attention.others > 0 { p { (attention.others) " rows with other errors: see the report." } }
        }
    }
}

fn group_part(group: &Group) -> Markup {
    let message = group.rows.first().map_or("", |row| row.message.as_str());
    let plural = if group.count == 1 { "row" } else { "rows" };
    html! {
        details open[group.count <= 5] {
            summary { (group.class) " " (group.code) " – " (group.count) " " (plural) ": " bdi { (message) } }
            p.hint { (hint(group.class, message)) }
            @if group.unknown > 0 { p.hint { (UNKNOWN_HINT) } }
            ul {
                @for row in &group.rows {
                    li {
                        "row " (row.number) " (line " (row.line)
                        @if !row.stage.is_empty() { " of stage " (row.stage) }
                        ") " code { (row.workflow_id) } " "
                        bdi { (row.live_name) }
                        @if row.message != message { " – " bdi { (row.message) } }
                    }
                }
                @if group.count > group.rows.len() as u64 {
                    li { "and " (group.count - group.rows.len() as u64) " more" }
                }
            }
        }
    }
}

fn course(digest: &Digest, timeline: &Timeline) -> Markup {
    html! {
        section aria-labelledby="course" {
            h2 id="course" { "How it went" }
            @if timeline.buckets.is_empty() { p { "No request was answered." } }
            @else {
                figure {
                    figcaption {
                        "Answers a second, to readings as well, over the time that the run worked: "
                        span.key data-kind="good" { "good" } " "
                        span.key data-kind="throttled" { "throttled" } " "
                        span.key data-kind="failed" { "failed" }
                        @if !timeline.sessions.is_empty() { "; a dashed line where another session began" }
                        @if !timeline.limits.is_empty() { "; a dotted line where the service's limit was found" }
                    }
                    (timeline_chart(timeline))
                    (timeline_table(timeline))
                }
                @if timeline.percentile(1.0).is_some() {
                    figure {
                        figcaption { "How long answers for rows took: " (percentiles(timeline)) }
                        (latency_chart(timeline))
                    }
                }
            }
            @if let Some((row, slowest)) = digest.slowest.first() {
                p { "Slowest: row " (row) " with " (span::show(*slowest)) "." }
            }
        }
    }
}

/// The same figures for those who do not see the chart.
fn timeline_table(timeline: &Timeline) -> Markup {
    html! {
        details {
            summary { "The figures" }
            div.scroll tabindex="0" role="region" aria-label="Answers over time" {
                table {
                    thead { tr { th scope="col" { "from" } th scope="col" { "good" } th scope="col" { "throttled" } th scope="col" { "failed" } } }
                    tbody {
                        @for (index, bucket) in timeline.buckets.iter().enumerate() {
                            tr {
                                th scope="row" { (span::show(timeline.width * u32::try_from(index).unwrap_or(u32::MAX))) }
                                td { (bucket.good) } td { (bucket.throttled) } td { (bucket.failed) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table(digest: &Digest, rows: &PageRows) -> Markup {
    // Name, and how it is sorted.
    let columns = [
        ("row", true),
        ("workflow", false),
        ("status", false),
        ("change", false),
        ("attempts", true),
        ("ms", true),
        ("message", false),
    ];
    html! {
        section aria-labelledby="rows" {
            h2 id="rows" { "Rows" }
            div.controls {
                label for="search" { "Search" }
                input id="search" type="search" autocomplete="off";
                label for="status" { "Status" }
                select id="status" {
                    option value="" { "all" }
                    @for status in Status::ALL {
                        @if digest.tally.of(status) > 0 { option value=(status) { (status) } }
                    }
                }
                p id="shown" role="status" { (rows.rows.len()) " rows" }
            }
            @if rows.unseen > 0 {
                p { (rows.unseen) " more rows are in report.csv beside this page." }
            }
            div.scroll tabindex="0" role="region" aria-label="All rows shown" {
                table id="table" {
                    thead {
                        tr {
                            @for (name, is_number) in columns {
                                th scope="col" aria-sort=(if name == "row" { "ascending" } else { "none" }) {
                                    button type="button" data-number=(is_number) { (name) }
                                }
                            }
                        }
                    }
                    tbody { @for row in &rows.rows { (row_part(row)) } }
                }
            }
        }
    }
}

fn row_part(row: &PageRow) -> Markup {
    html! {
        tr data-status=(row.status) {
            td {
                (row.number)
                @if row.line > 0 { span.minor { " line " (row.line) } }
                @if !row.stage.is_empty() { span.minor { " of " (row.stage) } }
            }
            th scope="row" {
                @if !row.name.is_empty() { bdi { (row.name) } " " }
                code { (row.workflow_id) }
                @if !row.workspace.is_empty() { span.minor { " in " bdi { (row.workspace) } } }
            }
            td.status { (row.status) }
            td {
                @for (field, before, after) in &row.changes {
                    div { (field) ": " del { bdi { (before) } } " → " ins { bdi { (after) } } }
                }
            }
            td { (row.attempts) }
            td { @if let Some(ms) = row.duration_ms { (ms) } }
            td {
                bdi { (row.message) }
                @if !row.request_id.is_empty() { span.minor { " request " (row.request_id) } }
            }
        }
    }
}

fn evidence(facts: &Facts<'_>, digest: &Digest) -> Markup {
    let time = |at: Timestamp| {
        let at = at.to_zoned_datetime(facts.zone.clone());
        at.strftime("%F %T %:z").to_string()
    };
    html! {
        section aria-labelledby="evidence" {
            h2 id="evidence" { "Evidence" }
            p { "The record says the same everywhere where this ends with 0: " code { (facts.verify) } }
            ul {
                @for session in &digest.sessions {
                    @let Session { session, operator, tool_version, started_at, finished_at, ended } = session;
                    li {
                        "session " (session) " by " bdi { (operator) } " with flowbatch " (tool_version) ", "
                        (time(*started_at)) " to "
                        @match (finished_at, ended) {
                            (Some(at), Some(ended)) => { (time(*at)) ": " (ended) }
                            _ => "an end that is not on record",
                        }
                    }
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Hashes" {
                table.hashes {
                    thead { tr { th scope="col" { "file" } th scope="col" { "SHA-256" } } }
                    tbody {
                        @for file in facts.files {
                            tr { th scope="row" { (file.path) } td { code { (file.sha256) } } }
                        }
                        @if let Some(sha256) = facts.sha256 {
                            tr { th scope="row" { "summary.json" } td { code { (sha256) } } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
