//! Values that are worked out from the live state: `PROD {{ name }}` (Jinja).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use regex::Regex;

use crate::model::field::Field;
use crate::model::workflow::Listed;

use super::filter::Subject;
use super::problem::Place;
use super::suggestion::suggestion;

/// A value that is worked out.
#[derive(Clone, Debug)]
pub struct Template {
    /// What it gives.
    pub field: Field,
    /// As written.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// Steps that one value may take, each for about 64 bytes or one operation: enough for any name, and over in a moment
/// where a loop would never be.
const FUEL: u64 = 20_000;

/// Characters that a template may have: its parser calls itself for each operator.
const LONGEST: usize = 2_000;

/// Bytes of a text that `regex_replace` takes or makes. No field of a workflow is as long.
const MOST_REPLACED: usize = 16 * 1024;

/// Patterns that are kept compiled.
const PATTERNS: usize = 64;

/// What templates may speak of, as far as it is there.
const KNOWN: [&str; 17] = [
    "name",
    "description",
    "enabled",
    "labels",
    "version_id",
    "workflow_id",
    "type",
    "creator",
    "modifier",
    "version",
    "create_time",
    "update_time",
    "project_id",
    "workspace_id",
    "workspace",
    "region",
    "row",
];

/// Whether `text` is a template, and not the value itself.
pub fn is_one(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|start| text.contains(start))
}

/// What a template may speak of.
#[derive(Debug)]
pub struct Subjects<'a> {
    /// The workflow as it is.
    pub listed: &'a Listed,
    /// Where it lives: `project_id`, `workspace_id`, `workspace`, `region`, as far as they are known.
    pub place: &'a [(&'static str, &'a str)],
    /// The cells of the row by the names of their columns, if there is a row: `row.x_owner`.
    pub row: Option<BTreeMap<String, String>>,
}

/// Templates that can be rendered.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    /// What is not there to speak of.
    missing: Option<&'static str>,
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        let patterns = Mutex::new(HashMap::new());
        environment.add_filter(
            "regex_replace",
            move |text: &str, pattern: &str, by: &str| replaced(&patterns, text, pattern, by),
        );
        Self {
            environment,
            missing: None,
        }
    }
}

/// The columns of a row that `templates` speak of.
pub fn columns(templates: &[Template]) -> Vec<String> {
    let mut all = Templates::default();
    for template in templates {
        // What is wrong with it was told when it was read.
        let _ = all.add(template.field.to_string(), &template.text);
    }
    all.columns()
        .into_iter()
        .map(|(column, _)| column)
        .collect()
}

/// What is known of the braces in `text`, if it has single ones where a template has two.
pub fn near_miss(text: &str) -> Option<&'static str> {
    let mut known = KNOWN.into_iter();
    let single = |name: &&str| {
        let written = [format!("{{{name}}}"), format!("{{ {name} }}")];
        let doubled = [format!("{{{{{name}"), format!("{{{{ {name}")];
        written.iter().any(|part| text.contains(part))
            && !doubled.iter().any(|part| text.contains(part))
    };
    known.find(single)
}

impl Templates {
    /// None, which are not to speak of `missing`.
    pub fn without(missing: Option<&'static str>) -> Self {
        Self {
            missing,
            ..Self::default()
        }
    }

    /// Takes in `text`, to be rendered as `key`.
    ///
    /// # Errors
    /// It is no template: why.
    pub fn add(&mut self, key: String, text: &str) -> Result<(), Fault> {
        let characters = text.chars().count();
        if characters > LONGEST {
            return Err(Fault {
                what: format!(
                    "the template is {characters} characters long: at most {LONGEST} are taken"
                ),
                hint: "write it shorter, or give long values in a column of a CSV: row.COLUMN",
            });
        }
        let environment = &mut self.environment;
        let added = environment.add_template_owned(key.clone(), text.to_owned());
        added.map_err(|error| said(&error))?;
        match self.strangers(&key).as_slice() {
            [] => self.try_out(&key),
            [stranger, ..] if Some(stranger.as_str()) == self.missing => Err(Fault {
                what: format!("the template speaks of {stranger}, which is not there"),
                hint: "a [[change]] has no row of a CSV: only [defaults] and --set have",
            }),
            [stranger, ..] => {
                let meant = suggestion(stranger, KNOWN);
                let meant = meant.map(|meant| format!(" (did you mean {meant}?)"));
                let meant = meant.unwrap_or_default();
                Err(Fault {
                    what: format!("the template speaks of {stranger}, which is not known{meant}"),
                    hint: KNOWN_HINT,
                })
            }
        }
    }

    /// What the template `key` speaks of and nobody knows.
    fn strangers(&self, key: &str) -> Vec<String> {
        let Ok(template) = self.environment.get_template(key) else {
            return Vec::new();
        };
        let is_known = |name: &String| {
            (KNOWN.contains(&name.as_str()) && Some(name.as_str()) != self.missing)
                || self.environment.globals().any(|(known, _)| known == name)
        };
        let mut names: Vec<_> = template.undeclared_variables(false).into_iter().collect();
        names.retain(|name| !is_known(name));
        names.sort();
        names
    }

    /// Whether everything is there that the template `key` uses besides what it speaks of: filters, patterns.
    fn try_out(&self, key: &str) -> Result<(), Fault> {
        let place: Vec<_> = ["project_id", "workspace_id", "workspace", "region"]
            .map(|name| (name, "x"))
            .into();
        let subjects = Subjects {
            listed: &Listed::default(),
            place: &place,
            row: None,
        };
        let template = self.environment.get_template(key);
        let tried = template.and_then(|template| template.render(context(&subjects)));
        match tried {
            Err(error) if is_wrong_whatever_it_speaks_of(&error) => Err(said(&error)),
            // What it makes of a workflow, a workflow shows.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The columns of a row that the templates speak of, each with the template's key.
    pub fn columns(&self) -> Vec<(String, String)> {
        let mut columns = Vec::new();
        for (key, template) in self.environment.templates() {
            let names = template.undeclared_variables(true).into_iter();
            let of_row = names.filter_map(|name| {
                let column = name.strip_prefix("row.")?.split('.').next()?.to_owned();
                Some((column, key.to_owned()))
            });
            columns.extend(of_row);
        }
        columns.sort();
        columns
    }

    /// What the template `key` gives.
    ///
    /// # Errors
    /// It speaks of something that is not there, or comes to no end: why.
    pub fn render(&self, key: &str, subjects: &Subjects<'_>) -> Result<String, Fault> {
        let template = self.environment.get_template(key);
        let rendered = template.and_then(|template| template.render(context(subjects)));
        rendered.map_err(|error| said(&error))
    }

    /// The live fields that the template `key` speaks of.
    pub fn reads(&self, key: &str) -> Vec<Field> {
        let Ok(template) = self.environment.get_template(key) else {
            return Vec::new();
        };
        let names = template.undeclared_variables(false);
        let fields = Field::ALL.into_iter();
        fields
            .filter(|field| names.contains(field.as_str()))
            .collect()
    }
}

fn context(subjects: &Subjects<'_>) -> Value {
    let listed = subjects.listed;
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for (name, subject) in Subject::ALL {
        let value = match subject {
            Subject::Enabled => Value::from(listed.workflow.enabled),
            Subject::Name
            | Subject::Description
            | Subject::Labels
            | Subject::VersionId
            | Subject::WorkflowId
            | Subject::Type
            | Subject::Creator
            | Subject::Modifier => Value::from(subject.of(listed)),
        };
        known.insert(name.to_owned(), value);
    }
    for (name, value) in [
        ("version", &listed.details.version),
        ("create_time", &listed.details.create_time),
        ("update_time", &listed.workflow.update_time),
    ] {
        known.insert(name.to_owned(), Value::from(value));
    }
    for (name, value) in subjects.place {
        known.insert((*name).to_owned(), Value::from(*value));
    }
    if let Some(row) = &subjects.row {
        known.insert("row".to_owned(), Value::from(row.clone()));
    }
    Value::from(known)
}

/// The group that `by` speaks of and `regex` does not have.
fn missing_group(regex: &Regex, by: &str) -> Option<String> {
    // Python's way to write it is taken for a slip, too.
    let reference = Regex::new(r"\$\$|\$\{([^}]*)\}|\$([0-9A-Za-z_]+)|\\([0-9]+)").ok()?;
    let mut references = reference.captures_iter(by);
    references.find_map(|found| {
        if let Some(python) = found.get(3) {
            return Some(format!("\\{}", python.as_str()));
        }
        let name = found.get(1).or_else(|| found.get(2))?.as_str();
        let is_there = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|known| known == name),
        };
        (!is_there).then(|| format!("${name}"))
    })
}

/// `text` with each match of `pattern` replaced by `by`, in which `$1` is the first group.
fn replaced(
    patterns: &Mutex<HashMap<String, Regex>>,
    text: &str,
    pattern: &str,
    by: &str,
) -> Result<String, Error> {
    // Whoever panicked with them left them whole.
    let mut patterns = patterns.lock().unwrap_or_else(PoisonError::into_inner);
    let wrong =
        |what: String| Error::new(ErrorKind::InvalidOperation, format!("{PATTERN}: {what}"));
    if !patterns.contains_key(pattern) {
        let regex = Regex::new(pattern)
            .map_err(|error| wrong(format!("no regular expression: {error}")))?;
        if let Some(group) = missing_group(&regex, by) {
            return Err(wrong(format!(
                "{by:?} speaks of the group {group}, and {pattern:?} has no such group: write $1, or ${{1}} where a letter or digit follows"
            )));
        }
        if patterns.len() >= PATTERNS {
            patterns.clear();
        }
        patterns.insert(pattern.to_owned(), regex);
    }
    let too_long = || {
        wrong(format!(
            "it takes and makes texts of {MOST_REPLACED} bytes at most"
        ))
    };
    if text.len() > MOST_REPLACED || by.len() > MOST_REPLACED {
        return Err(too_long());
    }
    let Some(regex) = patterns.get(pattern) else {
        return Ok(text.to_owned());
    };
    let mut made = String::new();
    let mut copied = 0;
    for found in regex.captures_iter(text) {
        let whole = found.get_match();
        made.push_str(&text[copied..whole.start()]);
        found.expand(by, &mut made);
        copied = whole.end();
        if made.len() > MOST_REPLACED {
            return Err(too_long());
        }
    }
    made.push_str(&text[copied..]);
    Ok(made)
}

/// Why a template gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong; the value itself is not in it.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

/// Whether a template is wrong in itself: it uses a filter that there is not, or a pattern that is none.
fn is_wrong_whatever_it_speaks_of(error: &Error) -> bool {
    let is_pattern = error
        .detail()
        .is_some_and(|detail| detail.starts_with(PATTERN));
    let unknown = [
        ErrorKind::UnknownFilter,
        ErrorKind::UnknownTest,
        ErrorKind::UnknownFunction,
    ];
    is_pattern || unknown.contains(&error.kind())
}

/// What is said of a pattern, or of what replaces it, begins so.
const PATTERN: &str = "regex_replace";

/// The error, for people.
fn said(error: &Error) -> Fault {
    let (what, hint) = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => (
            format!("the template comes to no end: a value may take {FUEL} steps"),
            "shorten its loops: a name needs a few steps only",
        ),
        (ErrorKind::UndefinedError, None) => (
            "the template speaks of something that is not there".to_owned(),
            KNOWN_HINT,
        ),
        (ErrorKind::UndefinedError, Some(detail)) => (
            format!("the template speaks of something that is not there: {detail}"),
            KNOWN_HINT,
        ),
        (kind, None) => (
            format!("the template cannot be worked out: {kind}"),
            FORM_HINT,
        ),
        (_, Some(detail)) => (
            format!("the template cannot be worked out: {detail}"),
            FORM_HINT,
        ),
    };
    Fault { what, hint }
}

/// How a template is written, for hints.
const FORM_HINT: &str = "write it as Jinja has it: \"PROD {{ name }}\", \"{{ name | replace('Old', 'New') }}\", \
    \"{{ name | regex_replace('^Old (.*)', 'New $1') }}\", \"{% if enabled %}on{% else %}off{% endif %}\"";

/// What a template may speak of, for hints.
const KNOWN_HINT: &str = "templates know name, description, enabled, labels, version_id, workflow_id, type, creator, \
    modifier, version, create_time, update_time, project_id, workspace_id, workspace (if its name is known), region \
    (if there is one), and, where a CSV has rows, row.COLUMN";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workflow::Workflow;

    fn rendered(text: &str) -> Result<String, Fault> {
        let mut templates = Templates::default();
        templates.add("t".to_owned(), text)?;
        let listed = Listed {
            workflow: Workflow {
                name: "Old {{ name }} triage".into(),
                labels: "IP".into(),
                ..Workflow::default()
            },
            ..Listed::default()
        };
        let row = BTreeMap::from([("x_owner".to_owned(), "SOC".to_owned())]);
        templates.render(
            "t",
            &Subjects {
                listed: &listed,
                place: &[("workspace", "Berlin")],
                row: Some(row),
            },
        )
    }

    #[test]
    fn a_template_speaks_of_the_live_state_and_of_the_row() {
        for (text, value) in [
            ("PROD {{ name }}", "PROD Old {{ name }} triage"),
            (
                "{{ name | regex_replace('^Old (.*)$', 'New $1') }}",
                "New {{ name }} triage",
            ),
            (
                "{{ name | replace('Old ', '') | upper }}",
                "{{ NAME }} TRIAGE",
            ),
            (
                "{% if enabled %}on{% else %}off{% endif %} {{ labels }}",
                "off IP",
            ),
            ("{{ workspace }}: {{ row.x_owner }}", "Berlin: SOC"),
            ("{{ description }}", ""),
        ] {
            assert_eq!(rendered(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_worked_out_says_why() {
        for (text, part) in [
            (
                "{{ nmae }}",
                "nmae, which is not known (did you mean name?)",
            ),
            ("{{ region }}", "not there"),
            ("{{ row.owner }}", "not there"),
            ("{{ name", "unexpected end"),
            ("{{ name | shout }}", "shout"),
            (
                "{{ name | regex_replace('(', '') }}",
                "no regular expression",
            ),
            (
                "{{ name | regex_replace('(.*)', '$1_x') }}",
                "the group $1_x",
            ),
            (
                "{{ name | regex_replace('(.*)', '\\\\1') }}",
                "the group \\1",
            ),
            ("{{ name | regex_replace('(.*)', '$2') }}", "the group $2"),
            (
                "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
                "no end",
            ),
            ("{{ name * 100000000 }}", "no end"),
            (
                "{{ name | regex_replace('', 'y' * 16000) }}",
                "16384 bytes at most",
            ),
            ("{% include 'other' %}", ""),
        ] {
            let error = rendered(text).unwrap_err();
            assert!(error.what.contains(part), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_template_is_as_long_as_its_parser_can_stand() {
        let longest = |part: &str, end: &str| {
            let times = (LONGEST - "{{  }}".len() - end.len()) / part.len();
            format!("{{{{ {}{end} }}}}", part.repeat(times))
        };
        for text in [
            longest("not ", "1"),
            longest("1+", "1"),
            longest("(", ""),
            longest("-", "1"),
            longest("[", ""),
            longest("name|", "e"),
            "{% if 1 %}".repeat(LONGEST / 10),
        ] {
            // Whatever it comes to, it comes back.
            let _ = rendered(&text);
            let error = rendered(&format!("{text}{}", " ".repeat(LONGEST))).unwrap_err();
            assert!(error.what.contains("at most 2000"), "{error:?}");
        }
    }

    #[test]
    fn single_braces_around_what_is_known_are_a_slip() {
        assert_eq!(near_miss("PROD { name }"), Some("name"));
        assert_eq!(near_miss("{description} (off)"), Some("description"));
        for text in ["PROD {{ name }}", "{{name}}", "{ \"name\": 1 }", "{x}"] {
            assert_eq!(near_miss(text), None, "{text}");
        }
    }

    #[test]
    fn the_fields_that_a_template_speaks_of_are_known() {
        let mut templates = Templates::default();
        templates
            .add(
                "t".to_owned(),
                "{{ row.name }} {{ labels ~ enabled }} {{ type }}",
            )
            .unwrap();
        assert_eq!(templates.reads("t"), [Field::Enabled, Field::Labels]);
    }
}
