//! Every figure of a run, in all the places that show it: they say the same, and what the report's rows say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flowbatch::model::span;
use serde_json::Value;

use crate::cloud::Cloud;
use crate::language::{Desk, Said, csv_rows};
use crate::plant::{asked, kill_before_last_end, reviewed, seen, start, target};
use crate::question::at_a_terminal;

const STATUSES: [&str; 7] = [
    "succeeded",
    "unchanged",
    "failed",
    "conflict",
    "unknown",
    "skipped",
    "not_attempted",
];

/// Rows by how they ended; statuses without rows are left out.
type Counts = BTreeMap<String, u64>;

/// What the rows of a report say, counted by the `csv` crate alone.
#[derive(Debug, PartialEq)]
struct Counted {
    rows: u64,
    counts: Counts,
    attempts: u64,
    differing: u64,
    /// Rows by stage and wave, in the order in which they come first.
    waves: BTreeMap<(String, u32), u64>,
}

impl Counted {
    fn of(run: &Path) -> Self {
        let mut counted = Self {
            rows: 0,
            counts: Counts::new(),
            attempts: 0,
            differing: 0,
            waves: BTreeMap::new(),
        };
        for row in csv_rows(&run.join("report.csv")) {
            counted.rows += 1;
            *counted.counts.entry(row["status"].clone()).or_default() += 1;
            counted.attempts += row["attempts"].parse::<u64>().unwrap();
            counted.differing +=
                u64::from(row["status"] == "succeeded" && row["error_class"] == "differs");
            if let Ok(wave) = row["wave"].parse() {
                *counted
                    .waves
                    .entry((row["stage"].clone(), wave))
                    .or_default() += 1;
            }
        }
        counted
    }

    fn count(&self, status: &str) -> u64 {
        self.counts.get(status).copied().unwrap_or_default()
    }
}

/// What the summary says besides the counts.
#[derive(Debug, PartialEq)]
struct Figures {
    counts: Counts,
    rows: u64,
    attempts: u64,
    throttled: u64,
    differing: u64,
    pauses: u64,
    paused: Duration,
    took: Duration,
    asked: Duration,
    sessions: usize,
    waves: Vec<String>,
}

/// `12` of `12 rows`, or of `1 row`.
fn number(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number: {text}"))
}

/// What stands between `start` and `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

fn without_zeros(counts: impl Iterator<Item = (String, u64)>) -> Counts {
    counts.filter(|(_, count)| *count > 0).collect()
}

impl Figures {
    fn of_summary(summary: &Value) -> Self {
        let counts = &summary["counts"];
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{summary}"));
        let time = |name: &str| Duration::from_millis(number(&summary[name]));
        let by_status = STATUSES.map(|status| (status.to_owned(), number(&counts[status])));
        let waves = summary["waves"].as_array();
        Self {
            counts: without_zeros(by_status.into_iter()),
            rows: number(&counts["rows"]),
            attempts: number(&counts["attempts"]),
            throttled: number(&counts["throttled"]),
            differing: number(&counts["differs"]),
            pauses: number(&summary["pauses"]),
            paused: time("paused_ms"),
            took: time("took_ms"),
            asked: time("asked_ms"),
            sessions: summary["sessions"].as_array().unwrap().len(),
            waves: waves.into_iter().flatten().map(wave_line).collect(),
        }
    }

    /// `2026-11-24 08:31:00 +00:00, took 4.2s, in 2 sessions, 24.9 rows/s`, without the beginning.
    fn took_text(&self) -> String {
        let mut text = format!("took {}", span::show(self.took));
        if !self.asked.is_zero() {
            text += &format!(", without {} at questions", span::show(self.asked));
        }
        if self.sessions > 1 {
            text += &format!(", in {} sessions", self.sessions);
        }
        let ended = ["succeeded", "unchanged", "failed", "conflict", "unknown"];
        let ended = ended.iter().filter_map(|status| self.counts.get(*status));
        let ended = ended.sum::<u64>();
        if ended > 0 && !self.took.is_zero() {
            let rate = ended as f64 / self.took.as_secs_f64();
            text += &format!(", {rate:.1} rows/s");
        }
        text
    }

    /// `312 attempts, 12 requests throttled in 2 pauses of 4s in all`, without what follows.
    fn attempts_text(&self) -> String {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        let mut text = format!("{} attempt{}", self.attempts, s(self.attempts));
        if self.throttled > 0 || self.pauses > 0 {
            text += &format!(
                ", {} request{} throttled in {} pause{} of {} in all",
                self.throttled,
                s(self.throttled),
                self.pauses,
                s(self.pauses),
                span::show(self.paused)
            );
        }
        text
    }
}

/// A wave as people read it.
fn wave_line(wave: &Value) -> String {
    let stage = &wave["stage"];
    let label = match (stage.is_null(), &stage["of"] == 1) {
        (true, _) => format!("wave {} of {}", wave["wave"], wave["of"]),
        (false, true) => format!("stage {}", stage["name"]),
        (false, false) => format!(
            "stage {}, wave {} of {}",
            stage["name"], stage["wave"], stage["of"]
        ),
    };
    let rows = wave["rows"].as_u64().unwrap();
    let plural = if rows == 1 { "row" } else { "rows" };
    let idle = wave["idle"].as_u64().unwrap();
    let idle = match idle {
        0 => String::new(),
        idle => format!(", {idle} without an update"),
    };
    format!("{label}: {rows} {plural}{idle}")
}

/// What is shown in full, for a message.
fn holds(text: &str, part: &str, place: &str) {
    assert!(text.contains(part), "{place}: no {part:?} in\n{text}");
}

/// Whether all that the run in `run` shows agrees; gives its figures.
fn agree(desk: &Desk, run: &Path) -> (Counted, Figures) {
    let counted = Counted::of(run);
    let summary = fs::read_to_string(run.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let figures = Figures::of_summary(&summary);
    assert_eq!(figures.rows, counted.rows, "{summary}");
    assert_eq!(figures.counts, counted.counts, "{summary}");
    assert_eq!(figures.attempts, counted.attempts, "{summary}");
    assert_eq!(figures.differing, counted.differing, "{summary}");
    // Waves are what the report's rows say that they are.
    for wave in summary["waves"].as_array().into_iter().flatten() {
        let stage = &wave["stage"];
        let number = if stage.is_null() {
            &wave["wave"]
        } else {
            &stage["wave"]
        };
        let stage = stage["name"].as_str().unwrap_or_default().to_owned();
        let number = u32::try_from(number.as_u64().unwrap()).unwrap();
        let rows = counted.waves.get(&(stage, number)).copied();
        assert_eq!(wave["rows"].as_u64(), rows, "{wave}");
    }
    let id = run.file_name().unwrap().to_str().unwrap();
    page_agrees(desk, id, &figures);
    listing_agrees(desk, id, &figures, &summary);
    (counted, figures)
}

/// The page that is made of the record.
fn page_agrees(desk: &Desk, id: &str, figures: &Figures) {
    let said = desk.flowbatch(&format!("report {id} --html -"));
    assert_eq!(said.code, 0, "{}", said.stderr);
    let page = said.stdout.replace("&quot;", "\"");
    let counts = STATUSES.map(|status| {
        let count = between(
            &page,
            &format!("<li data-status=\"{status}\"><strong>"),
            "<",
        );
        (status.to_owned(), count.map_or(0, number))
    });
    assert_eq!(without_zeros(counts.into_iter()), figures.counts, "page");
    holds(
        &page,
        &format!("<li><strong>{}</strong> rows</li>", figures.rows),
        "page",
    );
    if figures.differing > 0 {
        let text = format!(
            "<strong>{}</strong> of those succeeded differ",
            figures.differing
        );
        holds(&page, &text, "page");
    }
    holds(&page, &figures.took_text(), "page");
    holds(&page, &format!("<p>{}", figures.attempts_text()), "page");
    for wave in &figures.waves {
        holds(&page, &format!("<li>{wave}"), "page");
    }
    // The rows of the table, by how they ended.
    for (status, count) in &figures.counts {
        let rows = page
            .matches(&format!("<tr data-status=\"{status}\">"))
            .count();
        assert_eq!(rows as u64, *count, "page, rows that are {status}");
    }
    // The chart is as long as the head says, and has as many throttled requests.
    let Some(axis) = between(&page, "<p class=\"axis\">", "</p>") else {
        assert_eq!(figures.attempts, 0, "page: no chart");
        return;
    };
    let length = format!("<span>{}</span>", span::show(figures.took));
    assert!(axis.ends_with(&length), "{axis}, not {length}");
    let table = between(&page, "aria-label=\"Answers over time\"", "</table>").unwrap();
    let throttled = table.split("<tr>").filter_map(|row| {
        let mut cells = row.split("<td>").skip(1);
        cells.nth(1).map(number)
    });
    assert_eq!(throttled.sum::<u64>(), figures.throttled, "page, chart");
}

/// `flowbatch runs`, as text and as JSON.
fn listing_agrees(desk: &Desk, id: &str, figures: &Figures, summary: &Value) {
    let count = |status: &str| figures.counts.get(status).copied().unwrap_or_default();
    let said = desk.flowbatch("runs");
    let lines: Vec<Vec<&str>> = said
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let line = lines.iter().find(|line| line[0] == id).unwrap();
    let cell = |name: &str| {
        let at = lines[0].iter().position(|head| *head == name);
        line[at.unwrap_or_else(|| panic!("no {name} in {}", said.stdout))]
    };
    let done = format!(
        "{}/{}",
        count("succeeded") + count("unchanged"),
        figures.rows - count("skipped")
    );
    assert_eq!(cell("DONE"), done, "{}", said.stdout);
    for status in ["failed", "conflict", "unknown"] {
        let head = status.to_uppercase();
        assert_eq!(
            cell(&head),
            count(status).to_string(),
            "{head}: {}",
            said.stdout
        );
    }
    let said = desk.flowbatch("runs --output json");
    let runs: Value = serde_json::from_str(&said.stdout).unwrap();
    let listed = runs.as_array().unwrap().iter();
    let mut listed = listed.filter(|run| run["run_id"] == id);
    assert_eq!(listed.next().unwrap()["counts"], summary["counts"], "runs");
}

/// The closing text at the terminal.
fn closing_agrees(text: &str, figures: &Figures) {
    let counts = STATUSES.map(|status| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
        let mut words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = words.find(|words| words.len() == 2 && words[0] == status);
        (status.to_owned(), line.map_or(0, |words| number(words[1])))
    });
    assert_eq!(without_zeros(counts.into_iter()), figures.counts, "{text}");
    holds(
        text,
        &format!("\n  {:<14}{:>9}\n", "rows", figures.rows),
        "text",
    );
    holds(text, &format!(", {}\n", figures.took_text()), "text");
    holds(text, &format!("\n  {}", figures.attempts_text()), "text");
    if figures.differing > 0 {
        let differs = format!("\n  {:<14}{:>9}", "differs", figures.differing);
        holds(text, &differs, "text");
    }
    for wave in &figures.waves {
        holds(text, &format!("\n  {wave}"), "text");
    }
}

/// The mail of `-q`; none of a run that ended well.
fn mail_agrees(text: &str, figures: &Figures) {
    let rows = between(text, "\nrows:   ", "\n").unwrap();
    let (counts, all) = rows.rsplit_once(" of ").unwrap();
    assert_eq!(number(all), figures.rows, "{text}");
    let counts = counts.split(", ").map(|part| {
        let (count, status) = part.split_once(' ').unwrap();
        let status = status.split(' ').next().unwrap();
        (status.to_owned(), number(count))
    });
    assert_eq!(counts.collect::<Counts>(), figures.counts, "{text}");
    holds(text, &format!(", {}\n", figures.took_text()), "mail");
    let sent = format!("\nsent:   {}", figures.attempts_text());
    holds(text, &sent, "mail");
}

/// The figures for Prometheus.
fn metrics_agree(text: &str, figures: &Figures) {
    let value = |name: &str, labels: &str| {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{') && rest.contains(labels))
        });
        let line = line.unwrap_or_else(|| panic!("no {name} {labels} in\n{text}"));
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    let counts = STATUSES.map(|status| {
        let count = value("flowbatch_run_rows", &format!("status=\"{status}\""));
        (status.to_owned(), number(&count))
    });
    assert_eq!(without_zeros(counts.into_iter()), figures.counts, "metrics");
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
    for (name, figure) in [
        ("rows_differing", figures.differing.to_string()),
        ("attempts", figures.attempts.to_string()),
        ("throttled_requests", figures.throttled.to_string()),
        ("throttled_seconds", seconds(figures.paused)),
        ("duration_seconds", seconds(figures.took)),
    ] {
        assert_eq!(
            value(&format!("flowbatch_run_{name}"), ""),
            figure,
            "{name}"
        );
    }
}

/// The last line of `--progress json`.
fn progress_agrees(stderr: &str, figures: &Figures) {
    let mut lines = stderr.lines().rev();
    let last = lines.find(|line| line.starts_with("{\"at\"")).unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    let count = |status: &str| figures.counts.get(status).copied().unwrap_or_default();
    let ended = ["succeeded", "unchanged", "failed", "conflict", "unknown"];
    for (name, figure) in [
        ("done", ended.map(count).iter().sum()),
        ("total", figures.rows - count("skipped")),
        ("ok", count("succeeded") + count("unchanged")),
        ("failed", count("failed")),
        ("conflict", count("conflict")),
        ("unknown", count("unknown")),
    ] {
        assert_eq!(last[name], figure, "{name} in {last}");
    }
}

/// Waves as they are announced, from the first: `in waves of 1, 3, 36`.
fn announced(stderr: &str) -> Vec<u64> {
    let announced = between(stderr, " in waves of ", "\n").unwrap_or_default();
    let sizes = announced.split(", ").filter(|size| !size.is_empty());
    sizes.map(number).collect()
}

/// Which output a command is to give.
const TEXT: &str = "--progress json";
const MAIL: &str = "-q";
const JSON: &str = "--output json";

/// A run that was compared.
struct Compared {
    desk: Desk,
    said: Said,
    run: PathBuf,
    counted: Counted,
    figures: Figures,
}

/// Runs `command` with one of the outputs, and compares all that it shows.
fn run_agrees(desk: Desk, command: &str, shape: &str) -> Compared {
    let command = format!("{command} {shape} --metrics-file figures.prom");
    let (said, run) = run_of(&desk, &command);
    let (counted, figures) = agree(&desk, &run);
    metrics_agree(&desk.read("figures.prom"), &figures);
    match shape {
        MAIL if said.code == 0 => assert_eq!(said.stdout, ""),
        MAIL => mail_agrees(&said.stdout, &figures),
        JSON => assert_eq!(
            said.stdout,
            fs::read_to_string(run.join("summary.json")).unwrap()
        ),
        _ => {
            closing_agrees(&said.stdout, &figures);
            progress_agrees(&said.stderr, &figures);
        }
    }
    Compared {
        desk,
        said,
        run,
        counted,
        figures,
    }
}

/// The same as a mail and at the terminal, each on a desk of its own that `begin` has made; gives the latter.
fn runs_agree(begin: impl Fn() -> Desk, command: &str) -> Compared {
    run_agrees(begin(), command, MAIL);
    run_agrees(begin(), command, TEXT)
}

/// The folders of all runs.
fn runs(desk: &Desk) -> Vec<PathBuf> {
    let runs = fs::read_dir(desk.path(".local/state/flowbatch/runs"));
    let runs = runs.into_iter().flatten();
    runs.map(|run| run.unwrap().path()).collect()
}

/// Runs `command`; gives what it said and the run that it began, or that it went on with where there is but one.
fn run_of(desk: &Desk, command: &str) -> (Said, PathBuf) {
    let before = runs(desk);
    let said = desk.flowbatch(command);
    let after = runs(desk);
    let new = after.iter().find(|run| !before.contains(run));
    let run = new.or(after.first()).cloned();
    let run = run.unwrap_or_else(|| panic!("{command}: {said:?}"));
    (said, run)
}

/// A desk with a copy of `jobs/`.
fn jobs() -> Desk {
    let mut desk = Desk::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("jobs/{}", path.file_name().unwrap().to_str().unwrap());
        desk = desk.file(&name, fs::read(path).unwrap());
    }
    desk
}

const FAST: &str = "--rate 1000/s --burst 50";

#[test]
fn the_figures_of_the_example_jobs_agree() {
    for job in [
        "enable",
        "rename",
        "prefix",
        "disable",
        "many-workspaces",
        "rollout",
    ] {
        run_agrees(jobs(), &format!("run jobs/{job}.toml {FAST}"), TEXT);
    }
    let migration = format!("run jobs/migration.toml {FAST}");
    runs_agree(jobs, &migration);
    run_agrees(jobs(), &migration, JSON);
}

#[test]
fn the_figures_of_jobs_that_meet_faults_and_throttling_agree() {
    for (job, flags) in [
        ("demo", "--limit 60"),
        ("flaky", "--limit 30 --timeout 200ms"),
        ("throttled", "--limit 35"),
    ] {
        let command = format!("run jobs/{job}.toml {FAST} {flags}");
        run_agrees(jobs(), &command, TEXT);
    }
}

/// A job of forty workflows in three waves of which some rows need no update, and its `rows`.
fn waves(more: &str, rows: impl Fn(u32) -> String) -> Desk {
    let job = format!(
        "[job]\nname = \"waves\"\n[target]\nsimulator = true\n[run]\nrate = \"1000/s\"\nburst = 50\n\
         [rollout]\nwaves = [2, \"40%\", \"100%\"]\n{more}\n[rows]\nfile = \"rows.csv\"\n[simulator]\nlatency = \"1ms\"\n"
    );
    let rows: String = (1..=40).map(rows).collect();
    Desk::with("job.toml", job).file(
        "rows.csv",
        format!("workflow_id,workflow_name,name\n{rows}"),
    )
}

/// Some rows are as requested already, some cannot be applied.
fn mixed(row: u32) -> String {
    match row {
        1 | 5 | 30 => format!("w{row:02},,Workflow w{row:02}\n"),
        35 => ",No such workflow,Tier 35\n".to_owned(),
        row => format!("w{row:02},,Tier {row}\n"),
    }
}

#[test]
fn the_figures_of_waves_agree_with_what_was_announced() {
    let begin = || waves("max_errors = 3", mixed);
    let Compared {
        desk,
        said,
        counted,
        figures,
        ..
    } = runs_agree(begin, "run job.toml --max-errors 100%");
    let rows: Vec<_> = counted.waves.values().copied().collect();
    assert_eq!(rows, [2, 14, 24]);
    assert_eq!(announced(&said.stderr), rows, "{}", said.stderr);
    assert_eq!(
        figures.waves,
        [
            "wave 1 of 3: 2 rows, 1 without an update",
            "wave 2 of 3: 14 rows, 1 without an update",
            "wave 3 of 3: 24 rows, 1 without an update",
        ]
    );
    let checked = desk.flowbatch("check job.toml");
    let checked = format!("{}{}", checked.stdout, checked.stderr);
    assert_eq!(announced(&checked), rows, "{checked}");
}

#[test]
fn rows_on_hold_are_in_no_wave_unless_only_a_reading_shows_that_they_are() {
    let begin = || {
        let rows = |row: u32| match row {
            8 => ",Workflow w08,Tier 8\n".to_owned(),
            row => mixed(row),
        };
        let desk = waves("max_errors = 3", rows)
            .file("hold.csv", "workflow_id,until\nw07,\nw08,\n")
            .file("there.csv", "workflow_id,description\nw08,There\n");
        assert_eq!(desk.flowbatch("run there.csv --simulate").code, 0);
        desk
    };
    let command = "run job.toml --max-errors 100% --hold hold.csv";
    let Compared {
        said,
        counted,
        figures,
        ..
    } = run_agrees(begin(), command, TEXT);
    assert_eq!(counted.count("skipped"), 2, "{counted:?}");
    let rows: Vec<_> = counted.waves.values().copied().collect();
    assert_eq!((announced(&said.stderr), rows.iter().sum()), (rows, 39));
    assert_eq!(
        figures.waves[1],
        "wave 2 of 3: 14 rows, 2 without an update"
    );
}

#[test]
fn readings_that_are_throttled_are_counted() {
    let rows: String = (1..=60)
        .map(|row| format!("s{row},w{row},Reviewed\n"))
        .collect();
    let desk =
        Desk::with("rows.csv", format!("workspace_id,workflow_id,description\n{rows}")).file(
            "job.toml",
            "[target]\nsimulator = true\nproject_id = \"p1\"\n[run]\nconcurrency = 64\n[rows]\nfile = \"rows.csv\"\n\
             [simulator]\nrate_limit = \"50/s\"\nlatency = \"1ms\"\nretry_after = true\n",
        );
    let command = "run job.toml --rate 2000/s --burst 100";
    let compared = run_agrees(desk, command, TEXT);
    let journal = fs::read_to_string(compared.run.join("journal.jsonl")).unwrap();
    let figures = compared.figures;
    let readings = journal
        .lines()
        .filter(|line| line.contains(r#""event":"read""#));
    let readings = readings
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["throttled"].as_u64());
    let readings = readings.sum::<u64>();
    assert!(readings > 0 && figures.throttled >= readings, "{figures:?}");
}

#[test]
fn rows_that_differ_are_counted_alike() {
    let begin = || {
        let desk = waves("", |row| format!("w{row:02},,\" Tier {row} \"\n"));
        let job = desk.read("job.toml") + "seed = 3\nfaults.trims = 0.3\n";
        fs::write(desk.path("job.toml"), job).unwrap();
        desk
    };
    let Compared { counted, .. } = runs_agree(begin, "run job.toml");
    assert!(counted.differing > 0, "{counted:?}");
}

#[test]
fn the_figures_of_a_run_in_two_sessions_agree() {
    let begin = || {
        let desk = waves("max_errors = 3\npause = \"confirm\"", mixed);
        assert_eq!(desk.flowbatch("run job.toml --max-errors 100%").code, 8);
        agree(&desk, &desk.only_run());
        assert_eq!(desk.flowbatch("approve last --simulate").code, 0);
        desk
    };
    run_agrees(begin(), "resume last --simulate", JSON);
    runs_agree(begin, "resume last --simulate");
    // What failed is taken up again.
    let begin = || {
        let desk = waves("max_errors = 3", mixed);
        assert_eq!(desk.flowbatch("run job.toml --max-errors 100%").code, 1);
        desk
    };
    run_agrees(begin(), "resume last --simulate --failed", TEXT);
}

#[test]
fn the_time_at_a_question_is_in_no_figure() {
    let (cloud, desk, ids) = start(20);
    let desk = reviewed(desk, &ids).file(
        "job.toml",
        "[job]\nname = \"waves\"\n[rollout]\nwaves = [2, \"100%\"]\npause = \"confirm\"\n[rows]\nfile = \"rows.csv\"\n",
    );
    let run = format!("run job.toml {}", target(&cloud));
    let (code, text) = at_a_terminal(&desk, &run, "y\n");
    assert_eq!((code, text.matches("[y/N]").count()), (0, 2), "{text}");
    let run = desk.only_run();
    let (_, figures) = agree(&desk, &run);
    closing_agrees(&text.replace('\r', ""), &figures);
    let summary = fs::read_to_string(run.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let at = |name: &str| -> jiff::Timestamp { summary[name].as_str().unwrap().parse().unwrap() };
    let all = at("finished_at").duration_since(at("started_at"));
    let all = Duration::try_from(all).unwrap();
    let sum = figures.took + figures.asked;
    assert!(
        figures.asked > Duration::ZERO && all.abs_diff(sum) < Duration::from_millis(3),
        "{figures:?}"
    );
}

#[test]
fn what_the_plan_found_is_told_although_a_ceiling_stops_the_run() {
    let rows = |row: u32| match row {
        35 => ",No such workflow,Tier 35\n".to_owned(),
        row => format!("w{row:02},,Tier {row}\n"),
    };
    for flags in ["--max-changes 10", "--max-errors 0", "--strict"] {
        let command = format!("run job.toml {flags}");
        run_agrees(waves("", rows), &command, MAIL);
        let Compared {
            desk,
            said,
            run,
            counted,
            figures,
        } = run_agrees(waves("", rows), &command, TEXT);
        assert_eq!(said.code, 3, "{flags}");
        assert_eq!(
            (counted.count("failed"), figures.attempts),
            (1, 0),
            "{flags}"
        );
        assert_eq!(counted.count("not_attempted"), 39, "{flags}");
        // A resumption judges it anew, and is held back again.
        assert_eq!(desk.flowbatch("resume last --simulate").code, 3, "{flags}");
        assert_eq!(Counted::of(&run), counted, "{flags}");
    }
}

#[test]
fn the_figures_of_a_run_that_was_killed_agree() {
    let desk = waves("", |row| format!("w{row:02},,Tier {row}\n"));
    assert_eq!(desk.flowbatch("run job.toml").code, 0);
    let run = desk.only_run();
    kill_before_last_end(&run);
    fs::remove_file(run.join("summary.json")).unwrap();
    assert_eq!(desk.flowbatch("report last --simulate").code, 0);
    let counted = Counted::of(&run);
    assert_eq!(counted.count("unknown"), 1, "{counted:?}");
    let said = desk.flowbatch("runs --output json");
    let runs: Value = serde_json::from_str(&said.stdout).unwrap();
    let counts = STATUSES.map(|status| {
        let count = runs[0]["counts"][status].as_u64().unwrap();
        (status.to_owned(), count)
    });
    assert_eq!(without_zeros(counts.into_iter()), counted.counts);
    let page = desk.flowbatch("report last --simulate --html -").stdout;
    for (status, count) in &counted.counts {
        let text = format!("<li data-status=\"{status}\"><strong>{count}</strong>");
        holds(&page, &text, "page");
    }
}

#[test]
fn rows_in_conflict_are_not_counted_as_failed() {
    let begin = || {
        let desk = waves("", |row| format!("w{row:02},,Tier {row}\n"));
        let rows = desk
            .read("rows.csv")
            .replace(",name\n", ",name,expect_name\n");
        let rows = rows.lines().enumerate().map(|(line, row)| match line {
            0 => row.to_owned(),
            40 => format!("{row},Another"),
            _ => format!("{row},"),
        });
        fs::write(
            desk.path("rows.csv"),
            rows.collect::<Vec<_>>().join("\n") + "\n",
        )
        .unwrap();
        desk
    };
    runs_agree(begin, "run job.toml");
}

/// The updates and the readings of `9 requests (3 updates, 6 readings)`.
fn planned(text: &str) -> (usize, usize) {
    let (_, counts) = text.split_once(" (").unwrap();
    let (updates, readings) = counts.split_once(", ").unwrap();
    let count = |text: &str| usize::try_from(number(text)).unwrap();
    (count(updates), count(readings))
}

#[test]
fn a_plan_counts_the_requests_that_its_run_sends() {
    let simple = |id: &String| format!("{id},Reviewed,,\n");
    let guarded = |id: &String| format!("{id},Guarded,,Reviewed\n");
    let labelled = |id: &String| format!("{id},,IP,\n");
    let described = |id: &String| format!("{id},Again,,\n");
    let waves = "[rollout]\nwaves = [2, \"100%\"]\n";
    let unread = "[rollout]\nwaves = [2, \"100%\"]\nverify = false\n";
    let (cloud, desk, ids) = start(230);
    type Line<'a> = &'a dyn Fn(&String) -> String;
    let cases: [(&str, usize, Line<'_>); 7] = [
        // The lists, and the first row before and after its update.
        ("", 200, &simple),
        // What a wave has set is read back; most rows are as requested.
        (waves, 230, &simple),
        (unread, 1, &guarded),
        (waves, 20, &guarded),
        ("", 30, &labelled),
        // Some have a label to lose that is not sent.
        ("", 40, &described),
        ("[run]\nsend = \"full\"\n", 12, &simple),
    ];
    for (more, wanted, line) in cases {
        let rows: String = ids.iter().rev().take(wanted).map(line).collect();
        let csv = format!("workflow_id,description,labels,expect_description\n{rows}");
        fs::write(desk.path("rows.csv"), csv).unwrap();
        let job = format!("[job]\nname = \"requests\"\n{more}[rows]\nfile = \"rows.csv\"\n");
        requests_agree(&cloud, &desk, &job, wanted);
    }
    // Where rows are chosen by the live state, that is read first.
    let job =
        "[[change]]\nwhere = \"all\"\nworkspaces = [\"SOC s1\"]\nset.name = \"{{ name }} (old)\"\n";
    requests_agree(&cloud, &desk, job, ids.len());
}

/// Whether the run of `job` sends the requests that its plan counts, where `wanted` rows may be sent.
fn requests_agree(cloud: &Cloud, desk: &Desk, job: &str, wanted: usize) {
    fs::write(desk.path("job.toml"), job).unwrap();
    let target = match job.contains("workspaces = ") {
        true => target(cloud).replace("--workspace-id s1", ""),
        false => target(cloud),
    };
    let command = |name: &str| format!("{name} job.toml {target}");
    let plan = desk.flowbatch(&command("plan"));
    assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
    let line = plan.stdout.lines().last().unwrap();
    let before = seen(cloud);
    let said = desk.flowbatch(&command("run"));
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let sent = asked(cloud, before);
    let count = |method: &str| sent.get(method).copied().unwrap_or_default();
    let readings = sent.values().sum::<usize>() - count("update_workflow");
    assert_eq!(
        planned(line),
        (count("update_workflow"), readings),
        "{line} {sent:?} {job}"
    );
    // What is announced before anything is read is no more than that, where every row is sent.
    let announced = between(&said.stderr, " in flight: ", " if every row").unwrap();
    let announced = usize::try_from(number(announced)).unwrap();
    let all = count("update_workflow") + readings;
    assert!(
        count("update_workflow") < wanted || (announced <= all && announced > wanted),
        "{}",
        said.stderr
    );
}
