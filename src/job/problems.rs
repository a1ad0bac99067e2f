//! All that is wrong with a job, at once.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::picture::Painter;
use super::problem::{Place, Problem, Source};
use crate::model::counted::counted;

/// Lines on which the same problem is told one by one; beyond, it is told once with its count.
const TOLD_ONE_BY_ONE: u64 = 10;

/// Problems that are shown; those that come after them are counted only.
const MOST_PAINTED: usize = 100;

/// All problems of a job, in the order in which they were found. Bounded: a problem on a million
/// lines takes the room of ten.
#[derive(Debug, Default)]
pub struct Problems {
    groups: Vec<Alike>,
    index: HashMap<(String, String, String), usize>,
    count: u64,
}

#[derive(Debug)]
struct Alike {
    told: Vec<Problem>,
    count: u64,
}

impl Problems {
    /// Notes a problem.
    pub fn push(&mut self, problem: Problem) {
        let (file, column) = problem.place.kind();
        let key = (problem.what.clone(), file.to_owned(), column.to_owned());
        // Places in the job file differ by their span: each is a problem of its own.
        let own = matches!(problem.place, Place::Job(_));
        let group = self.index.get(&key).copied().filter(|_| !own);
        let group = group.unwrap_or_else(|| {
            self.groups.push(Alike {
                told: Vec::new(),
                count: 0,
            });
            self.index.insert(key, self.groups.len() - 1);
            self.groups.len() - 1
        });
        let group = &mut self.groups[group];
        group.count += 1;
        self.count += 1;
        if group.count <= TOLD_ONE_BY_ONE {
            group.told.push(problem);
        }
    }

    /// Those that are told one by one, in the order in which they were found.
    pub fn into_all(self) -> impl Iterator<Item = Problem> {
        self.groups.into_iter().flat_map(|group| group.told)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The groups: those of the job file from top to bottom, then the others as they were found.
    fn in_order(&self) -> Vec<&Alike> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|group| match group.told.first().map(|first| &first.place) {
            Some(Place::Job(span)) => span.start,
            Some(Place::Cell { .. } | Place::Line { .. } | Place::File(_) | Place::Flag(_))
            | None => usize::MAX,
        });
        groups
    }

    /// All of them as text for people. `color` for terminals.
    pub fn render(&self, source: Option<Source<'_>>, color: bool) -> String {
        let painter = Painter::new(source, color);
        let mut text = String::new();
        let (mut painted, mut told) = (0, 0);
        for alike in self.in_order() {
            if painted >= MOST_PAINTED {
                break;
            }
            let once = alike.count > TOLD_ONE_BY_ONE;
            let shown = if once { &alike.told[..1] } else { &alike.told };
            painted += shown.len();
            told += alike.count;
            for problem in shown {
                let more = once.then(|| others(alike));
                let _ = writeln!(text, "{}\n", painter.paint(problem, more.as_deref()));
            }
        }
        let count = self.count();
        if count > told {
            let _ = writeln!(text, "and {} more: mend these first\n", count - told);
        }
        let _ = write!(text, "{}; nothing was sent", counted(count, "problem"));
        text
    }
}

/// `and on 12345 more lines: 4, 5, 6, ...`
fn others(group: &Alike) -> String {
    let lines: Vec<_> = group.told[1..4.min(group.told.len())]
        .iter()
        .filter_map(|problem| problem.place.line())
        .map(|line| line.to_string())
        .collect();
    format!(
        "the same on {} more lines: {}, ...",
        group.count - 1,
        lines.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn cell(line: u64, cell: &str) -> Problem {
        let place = Place::Cell {
            file: "triage.csv".into(),
            line,
            column: "enabled".into(),
            cell: cell.into(),
        };
        Problem::new(place, "not a boolean", "write true or false")
    }

    #[test]
    fn a_cell_is_shown_with_its_line_and_column() {
        let mut problems = Problems::default();
        problems.push(cell(14, "ye\ns"));
        expect![[r#"
            error: not a boolean
              --> triage.csv:14:enabled
               |
            14 | ye⏎s
               | ^^^^
               |
               = help: write true or false

            1 problem; nothing was sent"#]]
        .assert_eq(&problems.render(None, false));
    }

    #[test]
    fn the_same_problem_on_many_lines_is_told_once() {
        let mut problems = Problems::default();
        for line in 2..=4_213 {
            problems.push(cell(line, "maybe"));
        }
        expect![[r#"
            error: not a boolean
             --> triage.csv:2:enabled
              |
            2 | maybe
              | ^^^^^
              |
              = note: the same on 4211 more lines: 3, 4, 5, ...
              = help: write true or false

            4212 problems; nothing was sent"#]]
        .assert_eq(&problems.render(None, false));
    }

    #[test]
    fn of_many_problems_in_the_job_file_the_first_are_shown_and_the_others_counted() {
        let text = "k=1\n".repeat(5_000);
        let mut problems = Problems::default();
        for at in 0..5_000 {
            let place = Place::Job(4 * at..4 * at + 1);
            problems.push(Problem::new(place, "unknown key", ""));
        }
        let source = Source {
            path: "job.toml",
            text: &text,
        };
        let told = problems.render(Some(source), false);
        assert_eq!(told.matches("error: ").count(), 100);
        assert!(told.contains("job.toml:100:1"), "{told}");
        assert!(told.contains("\nand 4900 more: mend these first\n\n5000 problems;"));
    }

    #[test]
    fn a_place_in_the_job_file_is_shown_without_secrets() {
        let mut problems = Problems::default();
        let text = "[auth]\ntoken = \"canary\"\n# https://me:canary@host/\n";
        problems.push(Problem::new(
            Place::Job(7..12),
            "a secret in a job file",
            "use the environment",
        ));
        let source = Source {
            path: "job.toml",
            text,
        };
        expect![[r#"
            error: a secret in a job file
             --> job.toml:2:1
              |
            2 | token =*********
              | ^^^^^
              |
              = help: use the environment

            1 problem; nothing was sent"#]]
        .assert_eq(&problems.render(Some(source), false));
    }
}
