//! The keys of a job file, each with what it takes and what it means: for the reader, its suggestions, and the schema.

use crate::model::field::Field;
use crate::model::simulation::FaultKind;
use crate::model::update::Sent;

use super::column::Column;
use super::rollout::Order;
use super::stage::When;
use super::table::OtherColumns;

/// A key of a job file.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it means, for people.
    pub what: String,
}

/// What a key takes.
#[derive(Clone, Debug)]
pub enum Takes {
    /// A string.
    Text,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number, from so many to so many.
    Whole(u64, u64),
    /// A number from 0 to 1.
    Share,
    /// A number with a unit: `"30s"`.
    Duration,
    /// `"5/s"`, `"300/m"`, or `"auto"`.
    Rate,
    /// `"5/s"`, `"300/m"`.
    OwnRate,
    /// A time of the day: `"06:00"`.
    Daytime,
    /// A whole number, or a percentage: `3`, `"10%"`.
    Most,
    /// A list of those.
    Mosts,
    /// `"none"`, `"confirm"`, or a number with a unit.
    Pause,
    /// A string, or a list of strings.
    Texts,
    /// One of these strings, or a list of them.
    SomeOf(&'static [&'static str]),
    /// What a cell of a CSV would say; a boolean may stand there as one.
    Cell(Column),
    /// A table with these keys.
    Table(Vec<Key>),
    /// Tables with these keys, as many as there are.
    Tables(Vec<Key>),
    /// A table of strings with keys of the user's own.
    Names(String),
}

/// The names of `keys`.
pub fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

fn key(name: &'static str, takes: Takes, what: &str) -> Key {
    let what = what.to_owned();
    Key { name, takes, what }
}

/// The tables of a job file.
pub fn file() -> Vec<Key> {
    let mut keys = file_without_stages();
    let stages = key(
        "stage",
        Takes::Tables(stage()),
        "An ordered part of the job. Where there is one, all rows stand in stages.",
    );
    // What belongs to the simulator comes last.
    keys.insert(keys.len() - 1, stages);
    keys
}

/// The same without `[[stage]]`, which holds some of them itself.
fn file_without_stages() -> Vec<Key> {
    let schema = "The format of this file. This version reads 1.";
    vec![
        key("schema", Takes::Whole(1, 1), schema),
        key("job", Takes::Table(job()), "What the job is called."),
        key(
            "target",
            Takes::Table(target()),
            "Where rows go that do not say it themselves.",
        ),
        key(
            "auth",
            Takes::Table(auth()),
            "Which credential is looked for.",
        ),
        key("run", Takes::Table(run()), "How the run goes."),
        key(
            "retry",
            Takes::Table(retry()),
            "How requests that fail in passing are tried again.",
        ),
        key(
            "stop",
            Takes::Table(stop()),
            "When a run stops before its end.",
        ),
        key(
            "rollout",
            Takes::Table(rollout()),
            "The rows in waves, each looked at before the next.",
        ),
        key(
            "defaults",
            Takes::Table(cells(&Column::wishes())),
            "Set in every row that leaves the field out. Strings with {{ ... }} are templates, worked out from the workflow as it is.",
        ),
        key("rows", Takes::Table(rows()), "Rows from a CSV."),
        key(
            "update",
            Takes::Tables(cells(&Column::ALL)),
            "A row of the job; those of the CSV come after them.",
        ),
        key(
            "change",
            Takes::Tables(change()),
            "Rows that are chosen from the live state.",
        ),
        key(
            "simulator",
            Takes::Table(simulator()),
            "How the built-in simulator behaves; together with [target] simulator = true.",
        ),
    ]
}

/// `[job]`
pub fn job() -> Vec<Key> {
    vec![
        key(
            "name",
            Takes::Text,
            "For people, and for `last:NAME`. Default: the file's name.",
        ),
        key("description", Takes::Text, "For people."),
        key(
            "time_zone",
            Takes::Text,
            "Where the clock stands that stop_at and the days of a hold list go by: Europe/Berlin. Default: TZ, else this machine's.",
        ),
    ]
}

/// `[target]`
pub fn target() -> Vec<Key> {
    vec![
        key(
            "region",
            Takes::Text,
            "The service's region: ap-southeast-2.",
        ),
        key(
            "endpoint",
            Takes::Text,
            "The service's base URL, instead of a region.",
        ),
        key(
            "simulator",
            Takes::Bool,
            "Whether the job goes to the built-in simulator, and nothing leaves this machine.",
        ),
        key(
            "profile",
            Takes::Text,
            "Whose account: a name of profiles.toml. It may bring region, project and workspace.",
        ),
        key(
            "project_id",
            Takes::Text,
            "The project that owns the workspaces. Default: IAM's project of the region.",
        ),
        key(
            "workspace_id",
            Takes::Text,
            "The workspace of rows that name none.",
        ),
    ]
}

/// `[auth]`
pub fn auth() -> Vec<Key> {
    let method = "The kind of credential. Default: auto, whichever is found first.";
    vec![key(
        "method",
        Takes::OneOf(&["auto", "token", "aksk", "password"]),
        method,
    )]
}

/// `[run]`
pub fn run() -> Vec<Key> {
    vec![
        key(
            "concurrency",
            Takes::Whole(1, 1_024),
            "Requests in flight, for each target. Default: 8.",
        ),
        key(
            "rate",
            Takes::Rate,
            "Requests that leave, for each target; retries and reads count. auto finds what the service allows. Default: 5/s.",
        ),
        key(
            "burst",
            Takes::Whole(1, 1_000),
            "Requests that may leave at once after a quiet time. Default: 1.",
        ),
        key(
            "timeout",
            Takes::Duration,
            "How long one request may take. Default: 30s.",
        ),
        key(
            "deadline",
            Takes::Duration,
            "Nothing new starts after this time. Default: none.",
        ),
        key(
            "stop_at",
            Takes::Daytime,
            "Nothing new starts once the clock shows this time. Default: none.",
        ),
        key(
            "hold",
            Takes::Text,
            "A CSV of workflow_id, until and reason: workflows that are left alone. The path counts from this file.",
        ),
        key(
            "leave_recent",
            Takes::Duration,
            "Workflows that were changed so short a time ago, by whomever, are left alone. Default: none.",
        ),
        key(
            "send",
            Takes::OneOf(&Sent::NAMES),
            "What an update holds: the fields that change, or all five, read just before. Default: changed.",
        ),
        key(
            "allow_cleared",
            Takes::SomeOf(&FIELDS),
            "Fields that an update may clear by leaving them out; an undo puts them back. Default: none.",
        ),
        key(
            "confirm_within",
            Takes::Duration,
            "How long a confirmed update may take to show when it is read back. Default: 10s.",
        ),
        key(
            "snapshot_max_age",
            Takes::Duration,
            "A row whose live state was read longer ago is read again before its update. Default: 10m.",
        ),
    ]
}

/// The fields that an update can change.
const FIELDS: [&str; 5] = ["name", "description", "enabled", "version_id", "labels"];

/// `[retry]`
pub fn retry() -> Vec<Key> {
    vec![
        key(
            "max_attempts",
            Takes::Whole(1, 1_024),
            "Attempts for each row; throttled ones do not count. Default: 5.",
        ),
        key(
            "initial_delay",
            Takes::Duration,
            "The longest wait before the second attempt. Default: 500ms.",
        ),
        key(
            "max_delay",
            Takes::Duration,
            "The longest wait of all. Default: 60s.",
        ),
        key(
            "patience",
            Takes::Duration,
            "How long nothing may be admitted before the run gives up. Default: 10m.",
        ),
    ]
}

/// `[stop]`
pub fn stop() -> Vec<Key> {
    vec![
        key(
            "max_errors",
            Takes::Most,
            "So many rows may fail, in all or of those that have ended. Default: 10%.",
        ),
        key(
            "min_rows",
            Takes::Whole(0, u64::MAX),
            "A percentage counts once so many rows have ended; for a plan at once. Default: 20.",
        ),
        key(
            "max_changes",
            Takes::Most,
            "So many workflows may be changed, in all or of those that live there. Default: any.",
        ),
        key(
            "max_disables",
            Takes::Most,
            "So many workflows may be disabled, in all or of those that live there. Default: any; with [[change]] 10%.",
        ),
    ]
}

/// `[rollout]`
pub fn rollout() -> Vec<Key> {
    vec![
        key(
            "waves",
            Takes::Mosts,
            "Where each wave ends: so many rows, or such a share of those that are taken up, from the first one on. Default: as the rows say (column wave), else [1, \"10%\", \"100%\"].",
        ),
        key(
            "verify",
            Takes::Bool,
            "Whether what a wave has set is read back before the next. Default: true.",
        ),
        key(
            "pause",
            Takes::Pause,
            "What happens between two waves: none, confirm (somebody is asked, or approves the run), or how long to wait: 10m. Default: none.",
        ),
        key(
            "max_errors",
            Takes::Most,
            "So many rows of a wave may fail before no other wave begins. Default: 0.",
        ),
        key(
            "order",
            Takes::OneOf(&Order::NAMES),
            "In which order rows come into waves: input, or by-workspace (all rows of one workspace, then those of the next). Default: input.",
        ),
    ]
}

/// `[[stage]]`
pub fn stage() -> Vec<Key> {
    let mut keys = vec![
        key(
            "name",
            Takes::Text,
            "What it is called: each stage has its own name.",
        ),
        key(
            "needs",
            Takes::Texts,
            "The stages before it whose end it looks at; none: []. Default: the stage before it.",
        ),
        key(
            "when",
            Takes::OneOf(&When::NAMES),
            "How those it needs are to have ended: succeeded (each within its max_errors), failed (one of them was not), or always. Default: succeeded.",
        ),
        key(
            "max_errors",
            Takes::Most,
            "So many of its rows may end without what they wished (failed, unknown or conflict) before it has failed. Default: 0.",
        ),
    ];
    keys.extend([
        key(
            "rate",
            Takes::OwnRate,
            "Requests of this stage that leave in a second, minute or hour, within the job's rate. Default: that.",
        ),
        key(
            "concurrency",
            Takes::Whole(1, u64::MAX),
            "Requests of this stage in flight, within the job's. Default: those.",
        ),
    ]);
    let shared = ["rollout", "defaults", "rows", "update", "change"];
    let of_the_file = file_without_stages().into_iter();
    keys.extend(of_the_file.filter(|key| shared.contains(&key.name)));
    keys
}

/// `[rows]`
pub fn rows() -> Vec<Key> {
    vec![
        key(
            "file",
            Takes::Text,
            "The CSV. The path counts from this file.",
        ),
        key(
            "encoding",
            Takes::Text,
            "Its encoding, where it is neither UTF-8 nor marked: gb18030, windows-1252.",
        ),
        key(
            "other_columns",
            Takes::OneOf(&OtherColumns::NAMES),
            "What becomes of columns that are not known. Default: refuse.",
        ),
        key(
            "columns",
            Takes::Names("The column that this header stands for.".to_owned()),
            "Header names that stand for columns: \"Workflow-Kennung\" = \"workflow_id\".",
        ),
    ]
}

/// `[[change]]`
pub fn change() -> Vec<Key> {
    let mut keys = vec![
        key(
            "where",
            Takes::Texts,
            "Which workflows are meant: one condition, or a list of which all must hold: name~^Triage, enabled=true, unchanged>90d. all means every one.",
        ),
        key(
            "exclude",
            Takes::Texts,
            "Which of them are not; whoever meets any of these is left out.",
        ),
        key(
            "workspaces",
            Takes::Texts,
            "In which workspaces to look, by name or id; all means all of the project. Default: that of the job.",
        ),
        key(
            "set",
            Takes::Table(cells(&Column::wishes())),
            "What is set. Strings with {{ ... }} are templates, worked out from the workflow as it is.",
        ),
        key(
            "allow_empty",
            Takes::Bool,
            "Whether it may be that nothing is meant. Default: false.",
        ),
    ];
    keys.extend(cells(&super::change::TARGET));
    keys
}

/// `[simulator]`
pub fn simulator() -> Vec<Key> {
    vec![
        key(
            "seed",
            Takes::Whole(0, u64::MAX),
            "Decides about ids, faults and latencies. Default: 1.",
        ),
        key(
            "latency",
            Takes::Texts,
            "The time until an answer, or the shortest and the longest: [\"5ms\", \"25ms\"].",
        ),
        key(
            "rate_limit",
            Takes::Texts,
            "Requests that are admitted: \"20/s\", or several that all hold.",
        ),
        key(
            "retry_after",
            Takes::Bool,
            "Whether throttled clients are given a Retry-After.",
        ),
        key(
            "clears_unsent",
            Takes::Bool,
            "Whether an update clears what it does not hold.",
        ),
        key(
            "faults",
            Takes::Table(faults()),
            "What goes wrong, for which share of the requests.",
        ),
    ]
}

/// `[simulator.faults]`
pub fn faults() -> Vec<Key> {
    let fault = |kind: FaultKind| key(kind.as_str(), Takes::Share, kind.what());
    FaultKind::ALL.map(fault).to_vec()
}

/// A row's `columns`.
pub fn cells(columns: &[Column]) -> Vec<Key> {
    let cell = |column: &Column| Key {
        name: column.as_str(),
        takes: Takes::Cell(*column),
        what: meaning(*column),
    };
    columns.iter().map(cell).collect()
}

/// What a cell of a row means.
fn meaning(column: Column) -> String {
    let what = match column {
        Column::WorkflowId => "The workflow.",
        Column::WorkflowName => "What the workflow is called, exactly, instead of its id.",
        Column::Profile => "Whose account: a name of profiles.toml.",
        Column::Region => "The service's region.",
        Column::ProjectId => "The project that owns the workspace.",
        Column::WorkspaceId => "The workspace.",
        Column::Workspace => "The workspace's exact name, or its id.",
        Column::Wish(Field::Name) => "Its new name.",
        Column::Wish(Field::Description) => "Its new description; the empty string clears it.",
        Column::Wish(Field::Enabled) => "Whether it is to run.",
        Column::Wish(Field::VersionId) => {
            "The version to put into use: an id, active (the one in use) or latest (the newest that is published)."
        }
        Column::Wish(Field::Labels) => "Its label: IP, ACCOUNT or DOMAIN.",
        Column::Expect(field) => {
            return format!(
                "What {field} must be before anything is set; else the row is a conflict."
            );
        }
        Column::Wave => {
            "Its wave, from 1, where [rollout] says no waves itself; rows without one come last."
        }
        Column::ExpectUpdateTime => {
            "When it must have been changed last, as the service writes it; else the row is a conflict."
        }
    };
    what.to_owned()
}
