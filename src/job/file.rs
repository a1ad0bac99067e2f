//! The job file as written.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::model::daytime::{self, Daytime};
use crate::model::rate::{self, Wanted};
use crate::model::simulation::{Fault, FaultKind};
use crate::model::update::Sent;
use crate::policy::budget;

use super::change::Change;
use super::column::Column;
use super::draft::Draft;
use super::flags::Snapshot;
use super::keys;
use super::line_starts::LineStarts;
use super::problem::Place;
use super::problems::Problems;
use super::rollout;
use super::stage::StageFile;
use super::table::OtherColumns;
use super::template;
use super::toml::{Located, Reader, Table, What};

/// The largest job file. Beyond it, rows belong in a CSV, which is streamed.
pub const LARGEST: u64 = 16 << 20;

/// A job file as written: nothing is completed or compared yet.
#[derive(Debug, Default)]
pub struct File {
    /// `[job] name`
    pub name: Option<Located<String>>,
    /// `[job] description`
    pub description: Option<Located<String>>,
    /// `[job] time_zone`
    pub time_zone: Option<Located<String>>,
    /// `[run] hold`
    pub hold: Option<Located<String>>,
    /// `[target]`
    pub target: Target,
    /// `[auth] method`
    pub method: Method,
    /// `[run]`, `[retry]`, `[stop]`
    pub limits: Limits,
    /// `[rollout]`
    pub rollout: Option<RolloutFile>,
    /// `[defaults]`
    pub defaults: Option<Written>,
    /// `[rows]`
    pub rows: Option<RowsFile>,
    /// `[[update]]`
    pub updates: Vec<Written>,
    /// `[[change]]`
    pub changes: Vec<Change>,
    /// `[[stage]]`
    pub stages: Vec<StageFile>,
    /// `[simulator]`
    pub simulator: Simulator,
}

/// Which kinds of credential are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Whatever there is.
    #[default]
    Auto,
    /// A token.
    Token,
    /// An access key.
    Keys,
    /// The password of an IAM user.
    Password,
}

/// `[target]` as written.
#[derive(Debug, Default)]
pub struct Target {
    /// `region`
    pub region: Option<Located<String>>,
    /// `endpoint`
    pub endpoint: Option<Located<String>>,
    /// `simulator`
    pub simulator: Option<Located<bool>>,
    /// `profile`
    pub profile: Option<Located<String>>,
    /// `project_id`
    pub project_id: Option<Located<String>>,
    /// `workspace_id`
    pub workspace_id: Option<Located<String>>,
}

/// `[run]`, `[retry]` and `[stop]` as written.
#[derive(Debug, Default)]
pub struct Limits {
    /// `[run] concurrency`
    pub concurrency: Option<Located<u64>>,
    /// `[run] rate`
    pub rate: Option<Located<Wanted>>,
    /// `[run] burst`
    pub burst: Option<Located<u64>>,
    /// `[run] timeout`
    pub timeout: Option<Located<Duration>>,
    /// `[run] deadline`
    pub deadline: Option<Located<Duration>>,
    /// `[run] leave_recent`
    pub leave_recent: Option<Located<Duration>>,
    /// `[run] stop_at`
    pub stop_at: Option<Located<Daytime>>,
    /// `[retry] max_attempts`
    pub max_attempts: Option<Located<u64>>,
    /// `[retry] initial_delay`
    pub initial_delay: Option<Located<Duration>>,
    /// `[retry] max_delay`
    pub max_delay: Option<Located<Duration>>,
    /// `[retry] patience`
    pub patience: Option<Located<Duration>>,
    /// `[stop] max_errors`
    pub max_errors: Option<Located<String>>,
    /// `[stop] min_rows`
    pub min_rows: Option<Located<u64>>,
    /// `[stop] max_changes`
    pub max_changes: Option<Located<String>>,
    /// `[stop] max_disables`
    pub max_disables: Option<Located<String>>,
    /// `[run] snapshot_max_age`
    pub max_age: Option<Located<Duration>>,
    /// `[run] send`
    pub send: Option<Located<Sent>>,
    /// `[run] allow_cleared`
    pub allow_cleared: Vec<Located<String>>,
    /// `[run] confirm_within`
    pub confirm_within: Option<Located<Duration>>,
    /// Whether `max_disables` is one that nobody said.
    pub is_implied: bool,
    /// As an earlier session had it; no key says it.
    pub snapshot: Snapshot,
    /// The same.
    pub strict: bool,
    /// The same.
    pub must_hold: bool,
}

/// `[rollout]` as written.
#[derive(Debug)]
pub struct RolloutFile {
    /// `waves`
    pub waves: Vec<Located<String>>,
    /// `verify`
    pub verify: Option<Located<bool>>,
    /// `pause`
    pub pause: Option<Located<String>>,
    /// `max_errors`
    pub max_errors: Option<Located<String>>,
    /// `order`
    pub order: Option<Located<String>>,
    /// Where the table stands.
    pub span: Range<usize>,
}

/// `[rows]` as written.
#[derive(Debug)]
pub struct RowsFile {
    /// `file`
    pub file: Option<Located<String>>,
    /// `encoding`
    pub encoding: Option<Located<String>>,
    /// `other_columns`
    pub other_columns: Option<Located<OtherColumns>>,
    /// `[rows.columns]`
    pub columns: Vec<(String, Located<String>)>,
    /// Where the table stands.
    pub span: Range<usize>,
}

/// `[simulator]` as written.
#[derive(Debug, Default)]
pub struct Simulator {
    /// `seed`
    pub seed: Option<Located<u64>>,
    /// `latency`, one duration or the shortest and the longest
    pub latency: Vec<Located<String>>,
    /// `rate_limit`, one or more
    pub rate_limits: Vec<Located<String>>,
    /// `retry_after`
    pub retry_after: Option<Located<bool>>,
    /// `clears_unsent`
    pub clears_unsent: Option<Located<bool>>,
    /// `[simulator.faults]`
    pub faults: Vec<Fault>,
    /// Where the table stands, if it does.
    pub span: Option<Range<usize>>,
}

/// An `[[update]]`, or `[defaults]`: cells by column.
#[derive(Debug)]
pub struct Written {
    cells: Vec<(Column, Located<String>)>,
    span: Range<usize>,
    line: u64,
    /// A key of it could not be read, which has been told.
    pub broken: bool,
}

impl File {
    /// Reads a job file. Whatever is wrong is a problem; the rest is read all the same.
    pub fn read(text: &str, env: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Self {
        let lines = LineStarts::of(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            problems,
            env,
            what: What::Job,
        };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            reader.wrong(span, format!("not TOML: {}", error.message()), "");
        }
        let root = Table::root(root.get_ref());
        reader.only(root, &keys::names(&keys::file()));
        if let Some(schema) = reader.number(root, "schema", 1)
            && schema.value != 1
        {
            let what = format!("schema {} is not known", schema.value);
            reader.wrong(schema.span, what, "this version reads schema = 1");
        }
        let [name, description, time_zone] = reader.read_job(root);
        Self {
            name,
            description,
            time_zone,
            hold: reader.read_hold(root),
            target: reader.read_target(root),
            method: reader.read_auth(root),
            limits: reader.read_limits(root),
            rollout: reader.read_rollout(root),
            defaults: reader.read_defaults(root, &lines),
            rows: reader.read_rows(root),
            updates: reader.read_updates(root, &lines),
            changes: reader.read_changes(root, &lines),
            stages: reader.read_stages(root, &lines),
            simulator: reader.read_simulator(root),
        }
    }
}

impl Reader<'_> {
    fn read_job(&mut self, root: Table<'_>) -> [Option<Located<String>>; 3] {
        let Some(job) = self.table(root, "job") else {
            return [None, None, None];
        };
        self.only(job, &keys::names(&keys::job()));
        ["name", "description", "time_zone"].map(|key| self.string(job, key))
    }

    fn read_auth(&mut self, root: Table<'_>) -> Method {
        let Some(auth) = self.table(root, "auth") else {
            return Method::Auto;
        };
        self.only(auth, &keys::names(&keys::auth()));
        let Some(method) = self.string(auth, "method") else {
            return Method::Auto;
        };
        match method.value.as_str() {
            "auto" => Method::Auto,
            "token" => Method::Token,
            "aksk" => Method::Keys,
            "password" => Method::Password,
            other => {
                let what = format!("no such method: {other:?}");
                self.wrong(
                    method.span,
                    what,
                    "there are auto, token, aksk and password",
                );
                Method::Auto
            }
        }
    }

    fn read_target(&mut self, root: Table<'_>) -> Target {
        let Some(target) = self.table(root, "target") else {
            return Target::default();
        };
        self.only(target, &keys::names(&keys::target()));
        Target {
            region: self.string(target, "region"),
            endpoint: self.string(target, "endpoint"),
            simulator: self.boolean(target, "simulator"),
            profile: self.string(target, "profile"),
            project_id: self.string(target, "project_id"),
            workspace_id: self.string(target, "workspace_id"),
        }
    }

    /// The rest of `[run]` is read by [`Self::read_limits`].
    fn read_hold(&mut self, root: Table<'_>) -> Option<Located<String>> {
        let run = self.table(root, "run")?;
        self.string(run, "hold")
    }

    fn read_limits(&mut self, root: Table<'_>) -> Limits {
        let mut limits = Limits::default();
        if let Some(run) = self.table(root, "run") {
            self.only(run, &keys::names(&keys::run()));
            limits.concurrency = self.number(run, "concurrency", 1);
            limits.rate = self.parsed(run, "rate", rate::HINT);
            limits.burst = self.number(run, "burst", 1);
            limits.timeout = self.duration(run, "timeout");
            limits.deadline = self.duration(run, "deadline");
            limits.leave_recent = self.duration(run, "leave_recent");
            limits.stop_at = self.parsed(run, "stop_at", daytime::HINT);
            limits.max_age = self.duration(run, "snapshot_max_age");
            limits.send = self.parsed(run, "send", "write \"changed\" or \"full\"");
            limits.allow_cleared = self.strings(run, "allow_cleared");
            limits.confirm_within = self.duration(run, "confirm_within");
        }
        if let Some(retry) = self.table(root, "retry") {
            self.only(retry, &keys::names(&keys::retry()));
            limits.max_attempts = self.number(retry, "max_attempts", 1);
            limits.initial_delay = self.duration(retry, "initial_delay");
            limits.max_delay = self.duration(retry, "max_delay");
            limits.patience = self.duration(retry, "patience");
        }
        if let Some(stop) = self.table(root, "stop") {
            self.only(stop, &keys::names(&keys::stop()));
            limits.max_errors = self.text_or_number(stop, "max_errors", budget::HINT);
            limits.min_rows = self.number(stop, "min_rows", 0);
            limits.max_changes = self.text_or_number(stop, "max_changes", budget::HINT);
            limits.max_disables = self.text_or_number(stop, "max_disables", budget::HINT);
        }
        limits
    }

    pub(super) fn read_rollout(&mut self, root: Table<'_>) -> Option<RolloutFile> {
        let table = self.table(root, "rollout")?;
        self.only(table, &keys::names(&keys::rollout()));
        Some(RolloutFile {
            waves: self.texts_or_numbers(table, "waves", rollout::HINT),
            verify: self.boolean(table, "verify"),
            pause: self.string(table, "pause"),
            order: self.string(table, "order"),
            max_errors: self.text_or_number(table, "max_errors", budget::HINT),
            span: root.span_of("rollout"),
        })
    }

    pub(super) fn read_defaults(&mut self, root: Table<'_>, lines: &LineStarts) -> Option<Written> {
        let defaults = self.table(root, "defaults")?;
        let span = root
            .keys()
            .find(|(key, _)| *key == "defaults")
            .map_or(0..0, |(_, span)| span);
        let written = self.written(defaults, &Column::wishes(), span, lines);
        self.read_templates(&written, None);
        Some(written)
    }

    pub(super) fn read_updates(&mut self, root: Table<'_>, lines: &LineStarts) -> Vec<Written> {
        let tables = self.tables(root, "update");
        let mut updates = Vec::new();
        for (table, span) in tables {
            let update = self.written(table, &Column::ALL, span, lines);
            for (_, cell) in update.cells() {
                if template::is_one(&cell.value) {
                    let hint = "put it into set of a [[change]] (where = \"workflow_id=...\"), or into [defaults]; a CSV may hold the text itself";
                    self.wrong(cell.span.clone(), "an [[update]] holds no templates", hint);
                }
            }
            updates.push(update);
        }
        updates
    }

    pub(super) fn written(
        &mut self,
        table: Table<'_>,
        known: &[Column],
        span: Range<usize>,
        lines: &LineStarts,
    ) -> Written {
        let problems = self.problems.count();
        self.only(table, &keys::names(&keys::cells(known)));
        let cells = known
            .iter()
            .filter_map(|column| Some((*column, self.cell(table, column.as_str())?)))
            .collect();
        Written {
            broken: self.problems.count() > problems,
            ..Written::at(cells, span, lines)
        }
    }

    pub(super) fn read_rows(&mut self, root: Table<'_>) -> Option<RowsFile> {
        let rows = self.table(root, "rows")?;
        self.only(rows, &keys::names(&keys::rows()));
        let span = root
            .keys()
            .find(|(key, _)| *key == "rows")
            .map_or(0..0, |(_, span)| span);
        let file = self.string(rows, "file");
        if file.is_none() && !rows.keys().any(|(key, _)| key == "file") {
            self.wrong(
                span.clone(),
                "[rows] names no file",
                "add file = \"rows.csv\"",
            );
        }
        let mut columns = Vec::new();
        if let Some(table) = self.table(rows, "columns") {
            let headers: Vec<_> = table.keys().map(|(key, _)| key.to_owned()).collect();
            for header in headers {
                if let Some(column) = self.string(table, &header) {
                    columns.push((header, column));
                }
            }
        }
        let found = RowsFile {
            file,
            encoding: self.string(rows, "encoding"),
            other_columns: self.parsed(rows, "other_columns", "write \"refuse\" or \"ignore\""),
            columns,
            span,
        };
        // Without a file the job itself would be read as one.
        found.file.is_some().then_some(found)
    }

    fn read_simulator(&mut self, root: Table<'_>) -> Simulator {
        let Some(table) = self.table(root, "simulator") else {
            return Simulator::default();
        };
        self.only(table, &keys::names(&keys::simulator()));
        let mut faults = Vec::new();
        if let Some(shares) = self.table(table, "faults") {
            self.only(shares, &keys::names(&keys::faults()));
            for kind in FaultKind::ALL {
                if let Some(share) = self.share(shares, kind.as_str()) {
                    faults.push(Fault {
                        kind,
                        share: share.value,
                    });
                }
            }
        }
        Simulator {
            seed: self.number(table, "seed", 0),
            latency: self.strings(table, "latency"),
            rate_limits: self.strings(table, "rate_limit"),
            retry_after: self.boolean(table, "retry_after"),
            clears_unsent: self.boolean(table, "clears_unsent"),
            faults,
            span: root
                .keys()
                .find(|(key, _)| *key == "simulator")
                .map(|(_, span)| span),
        }
    }
}

impl Written {
    /// `cells` that stand at `span` of the file with these lines.
    pub(super) fn at(
        cells: Vec<(Column, Located<String>)>,
        span: Range<usize>,
        lines: &LineStarts,
    ) -> Self {
        Self {
            cells,
            line: lines.line_of(span.start),
            span,
            broken: false,
        }
    }

    /// What it says.
    pub(super) fn cells(&self) -> impl Iterator<Item = &(Column, Located<String>)> {
        self.cells.iter()
    }
}

impl Draft for Written {
    fn cell(&self, column: Column) -> Option<&str> {
        let (_, cell) = self.cells.iter().find(|(known, _)| *known == column)?;
        Some(&cell.value)
    }

    fn place(&self, column: Column) -> Place {
        match self.cells.iter().find(|(known, _)| *known == column) {
            Some((_, cell)) => cell.place(),
            None => self.whole(),
        }
    }

    fn whole(&self) -> Place {
        Place::Job(self.span.clone())
    }

    fn line(&self) -> u64 {
        self.line
    }
}

/// What the job file `text` calls its job, however wrong the rest may be; nothing if it is no TOML or says none.
pub fn name_in(text: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(text).ok()?;
    Some(table.get("job")?.get("name")?.as_str()?.to_owned())
}
