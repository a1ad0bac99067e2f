//! A job file to begin with.

use std::fmt::Write as _;

use toml::Value;

/// What is known of a job that is begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Its file's name.
    pub file: String,
    /// Its name.
    pub name: String,
    /// The CSV of its rows.
    pub csv: String,
    /// The keys of `[target]` that are known; none means the simulator.
    pub target: Vec<(&'static str, String)>,
}

impl Sketch {
    /// The job file, which says what may stand in it.
    pub fn text(&self) -> String {
        let Self {
            file, name, csv, ..
        } = self;
        let target = self.target();
        let (name, csv) = (quoted(name), quoted(csv));
        // Of the newest run, or the newest that was a simulation.
        let simulated = if self.target.is_empty() {
            " --simulate"
        } else {
            ""
        };
        format!(
            r#"#:schema flowbatch.schema.json
# Nothing is sent by      flowbatch check {file}
# what would change:      flowbatch plan {file}
# carry it out:           flowbatch run {file}
# put it back:            flowbatch undo last{simulated}

schema = 1

[job]
name = {name}
# description = "why, for those who read the record"

[target]
{target}
[run]
# rate = "5/s"              # requests that leave; "auto" finds what the service allows
# concurrency = 8           # requests in flight
# deadline = "2h"           # start nothing new after this time

[stop]
max_errors = "10%"          # or a number: 3 stops on the fourth
# max_changes = "50%"       # of the workflows in the workspace, or a number
# max_disables = 20

# Set in every row that leaves the field out.
# [defaults]
# enabled = true

# One line for each workflow: workflow_id, and what to set (name, description, enabled, version_id, labels).
[rows]
file = {csv}

# Rows may stand here as well.
# [[update]]
# workflow_id = "9b9f1b1e-5a52-4d1b-8a3b-6f6f2c9f4c11"
# name = "Triage, tier 1"

# Or they are chosen from the live state.
# [[change]]
# where = "name~^Triage"
# set.enabled = false
"#
        )
    }

    fn target(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.target {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
        if self.target.is_empty() {
            text += "simulator = true            # nothing leaves this machine\n";
            text += "# region = \"ap-southeast-2\"\n";
        }
        for key in ["project_id", "workspace_id"] {
            if !self.target.iter().any(|(known, _)| *known == key) {
                let _ = writeln!(text, "# {key} = \"\"");
            }
        }
        text
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::file::File;
    use crate::job::problems::Problems;

    #[test]
    fn a_job_file_to_begin_with_is_a_good_one_whatever_it_is_called() {
        let sketch = Sketch {
            file: "it's.toml".to_owned(),
            name: "\"quoted\" \\ and\nbroken".to_owned(),
            csv: "rows.csv".to_owned(),
            target: vec![("region", "cn-north-4".to_owned())],
        };
        let mut problems = Problems::default();
        let file = File::read(&sketch.text(), &|_| None, &mut problems);
        assert!(problems.is_empty(), "{}", problems.render(None, false));
        assert_eq!(file.name.map(|name| name.value), Some(sketch.name));
        assert!(file.target.simulator.is_none());
    }

    #[test]
    fn what_is_commented_out_may_be_put_in() {
        let text = Sketch::default().text();
        let uncommented = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
            Some(_) | None => line,
        });
        let text: Vec<_> = uncommented
            .filter(|line| !line.starts_with("region"))
            .collect();
        let text = text.join("\n").replace("_id = \"\"", "_id = \"a\"");
        let mut problems = Problems::default();
        File::read(&text, &|_| None, &mut problems);
        assert!(problems.is_empty(), "{}", problems.render(None, false));
    }
}
