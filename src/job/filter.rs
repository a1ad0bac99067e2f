//! Which live workflows are meant: `name~^Triage`, `enabled=true`, `unchanged>90d`.

use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;

use crate::model::field::Field;
use crate::model::service_time;
use crate::model::span;
use crate::model::update::Label;
use crate::model::workflow::Listed;

use super::cell::boolean;
use super::wish::LABEL_HINT;
use crate::model::id::same_spelling;

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<(String, Condition)>);

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

impl Fault {
    fn new(what: impl Into<String>, hint: &'static str) -> Self {
        Self {
            what: what.into(),
            hint,
        }
    }
}

/// How a condition is written, for hints.
const HINT: &str = "write FIELD=VALUE, FIELD!=VALUE, FIELD~REGEX or FIELD!~REGEX, where FIELD is one of name, \
    description, enabled, labels, version_id, workflow_id, type, creator, modifier; or age>90d (since it was made), \
    unchanged<1h (since its last change); several conditions are a list";

#[derive(Clone, Debug)]
enum Condition {
    Text {
        subject: Subject,
        holds: bool,
        test: Test,
    },
    Span {
        since: Since,
        longer: bool,
        span: Duration,
    },
}

#[derive(Clone, Debug)]
enum Test {
    Is(String),
    Matches(Regex),
}

/// What of a live workflow is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `name`
    Name,
    /// `description`
    Description,
    /// `enabled`
    Enabled,
    /// `labels`
    Labels,
    /// `version_id`
    VersionId,
    /// `workflow_id`
    WorkflowId,
    /// `type`
    Type,
    /// `creator`
    Creator,
    /// `modifier`
    Modifier,
}

impl Subject {
    /// All of them, by the names that conditions and templates know them by.
    pub const ALL: [(&'static str, Self); 9] = [
        ("name", Self::Name),
        ("description", Self::Description),
        ("enabled", Self::Enabled),
        ("labels", Self::Labels),
        ("version_id", Self::VersionId),
        ("workflow_id", Self::WorkflowId),
        ("type", Self::Type),
        ("creator", Self::Creator),
        ("modifier", Self::Modifier),
    ];

    fn is_id(self) -> bool {
        matches!(self, Self::WorkflowId | Self::VersionId)
    }

    /// The field that it is, if an update can change it.
    fn field(self) -> Option<Field> {
        match self {
            Self::Name => Some(Field::Name),
            Self::Description => Some(Field::Description),
            Self::Enabled => Some(Field::Enabled),
            Self::Labels => Some(Field::Labels),
            Self::VersionId => Some(Field::VersionId),
            Self::WorkflowId | Self::Type | Self::Creator | Self::Modifier => None,
        }
    }

    /// What `listed` has there.
    pub fn of(self, listed: &Listed) -> &str {
        let (live, details) = (&listed.workflow, &listed.details);
        match self {
            Self::Name => &live.name,
            Self::Description => &live.description,
            Self::Enabled if live.enabled => "true",
            Self::Enabled => "false",
            Self::Labels => &live.labels,
            Self::VersionId => &live.version_id,
            Self::WorkflowId => &live.id,
            Self::Type => &details.aop_type,
            Self::Creator => &details.creator_name,
            Self::Modifier => &live.modifier_name,
        }
    }
}

/// From when on time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// `age`: since it was made.
    Made,
    /// `unchanged`: since its last change.
    Changed,
}

impl Since {
    fn of(self, listed: &Listed) -> &str {
        match self {
            Self::Made => &listed.details.create_time,
            Self::Changed => &listed.workflow.update_time,
        }
    }
}

impl Filter {
    /// Adds the condition that `text` is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, text: &str) -> Result<(), Fault> {
        let at = text.find(['=', '~', '!', '<', '>']);
        let at = at.ok_or_else(|| Fault::new("no condition", HINT))?;
        let (name, rest) = text.split_at(at);
        let name = name.trim();
        let since = match name {
            "age" => Some(Since::Made),
            "unchanged" => Some(Since::Changed),
            _ => None,
        };
        let condition = match since {
            Some(since) => of_span(since, rest)?,
            None => of_text(name, rest)?,
        };
        self.0.push((text.to_owned(), condition));
        Ok(())
    }

    /// The fields that it looks at.
    pub fn reads(&self) -> impl Iterator<Item = Field> {
        self.0.iter().filter_map(|(_, condition)| match condition {
            Condition::Text { subject, .. } => subject.field(),
            Condition::Span { .. } => None,
        })
    }

    /// Whether any change of a workflow may change what it says of it.
    pub fn minds_any_change(&self) -> bool {
        self.0.iter().any(|(_, condition)| match condition {
            Condition::Text { subject, .. } => *subject == Subject::Modifier,
            Condition::Span { since, .. } => *since == Since::Changed,
        })
    }

    /// The conditions as written.
    pub fn text(&self) -> String {
        let texts: Vec<_> = self.0.iter().map(|(text, _)| format!("{text:?}")).collect();
        match texts.is_empty() {
            true => "all".to_owned(),
            false => texts.join(" and "),
        }
    }

    /// Whether `listed` is meant at `now`.
    ///
    /// # Errors
    /// The service gives no time to count from: what is wrong with it.
    pub fn takes(&self, listed: &Listed, now: Timestamp) -> Result<bool, String> {
        for (_, condition) in &self.0 {
            if !condition.holds_for(listed, now)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Condition {
    fn holds_for(&self, listed: &Listed, now: Timestamp) -> Result<bool, String> {
        match self {
            Self::Text {
                subject,
                holds,
                test,
            } => {
                let value = subject.of(listed);
                let is = match test {
                    // One id may be spelt in several ways.
                    Test::Is(wanted) if subject.is_id() => {
                        same_spelling(wanted) == same_spelling(value)
                    }
                    Test::Is(wanted) => wanted == value,
                    Test::Matches(regex) => regex.is_match(value),
                };
                Ok(is == *holds)
            }
            Self::Span {
                since,
                longer,
                span,
            } => {
                let text = since.of(listed);
                let then = service_time::parse(text)
                    .ok_or_else(|| format!("its time is {text:?}, which nobody can count from"))?;
                // What is made in the future has no age yet.
                let passed = now.duration_since(then).try_into().unwrap_or_default();
                Ok(match longer {
                    true => Duration::gt(&passed, span),
                    false => Duration::lt(&passed, span),
                })
            }
        }
    }
}

fn of_span(since: Since, rest: &str) -> Result<Condition, Fault> {
    let (longer, span) = match (rest.strip_prefix('>'), rest.strip_prefix('<')) {
        (Some(span), _) => (true, span),
        (None, Some(span)) => (false, span),
        (None, None) => {
            let hint = "write age>90d, or unchanged<1h";
            return Err(Fault::new("a time is compared by > or <", hint));
        }
    };
    let span = span::parse(span).map_err(|fault| {
        let hint = "write a number with a unit: 90d, 12h, 30m";
        Fault::new(format!("{fault}: {span:?}"), hint)
    })?;
    Ok(Condition::Span {
        since,
        longer,
        span,
    })
}

fn of_text(name: &str, rest: &str) -> Result<Condition, Fault> {
    let (holds, rest) = match rest.strip_prefix('!') {
        Some(rest) => (false, rest),
        None => (true, rest),
    };
    let known = Subject::ALL.iter().find(|(known, _)| *known == name);
    let (_, subject) = known.ok_or_else(|| Fault::new(format!("no such field: {name:?}"), HINT))?;
    // Blanks that only set the operator off; one that is meant can be written in a pattern.
    let twice = |rest: &str| {
        rest.get(1..)
            .is_some_and(|rest| rest.starts_with(['=', '~']))
    };
    if twice(rest) {
        return Err(Fault::new("two operators in a row", HINT));
    }
    let test = match (rest.strip_prefix('='), rest.strip_prefix('~')) {
        (None, Some(pattern)) if pattern.trim_start().is_empty() => {
            let hint = "write a pattern, or name= for the empty text";
            return Err(Fault::new(
                "the pattern is empty, so every workflow would match",
                hint,
            ));
        }
        (Some(value), _) => Test::Is(value.trim_start().to_owned()),
        (None, Some(pattern)) => {
            let regex = Regex::new(pattern.trim_start());
            Test::Matches(regex.map_err(|error| {
                let hint =
                    "write one as the Rust crate regex has it, or name=VALUE for the text itself";
                Fault::new(format!("no regular expression: {error}"), hint)
            })?)
        }
        (None, None) => return Err(Fault::new("no condition", HINT)),
    };
    let test = match (subject, test) {
        (Subject::Enabled, Test::Is(value)) if let Some(on) = boolean(&value) => {
            Test::Is(on.to_string())
        }
        (Subject::Enabled, Test::Is(_) | Test::Matches(_)) => {
            let hint = "write enabled=true or enabled=false";
            return Err(Fault::new("enabled is true or false", hint));
        }
        (Subject::Labels, Test::Is(value)) if !value.is_empty() => match Label::parse(&value) {
            Some(label) => Test::Is(label.as_str().to_owned()),
            None => return Err(Fault::new(format!("no such label: {value:?}"), LABEL_HINT)),
        },
        (_, test) => test,
    };
    Ok(Condition::Text {
        subject: *subject,
        holds,
        test,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workflow::{Details, Workflow};

    fn takes(conditions: &[&str]) -> bool {
        let mut filter = Filter::default();
        for condition in conditions {
            filter.add(condition).unwrap();
        }
        let listed = Listed {
            workflow: Workflow {
                id: "w-1".into(),
                name: "Triage, tier 1".into(),
                enabled: true,
                update_time: "2026-01-02T08:00:00Z+0800".into(),
                ..Workflow::default()
            },
            details: Details {
                create_time: "2025-01-02T08:00:00Z+0800".into(),
                ..Details::default()
            },
        };
        let now = "2026-01-02T01:00:00Z".parse().unwrap();
        filter.takes(&listed, now).unwrap()
    }

    #[test]
    fn all_conditions_must_hold() {
        assert!(takes(&[]));
        assert!(takes(&["name~^Triage", "enabled=true"]));
        assert!(!takes(&["name~^Triage", "enabled=false"]));
        assert!(takes(&["name!=Triage", "labels=", "workflow_id=w-1"]));
        assert!(!takes(&["name!~tier [12]"]));
    }

    #[test]
    fn blanks_around_an_operator_mean_nothing() {
        assert!(takes(&[
            "name ~ ^Triage",
            "enabled = yes",
            "unchanged > 30 m"
        ]));
        assert!(!takes(&["name != Triage, tier 1"]) && !takes(&["name !~ ^Triage"]));
    }

    #[test]
    fn time_is_counted_from_the_making_or_the_last_change() {
        assert!(takes(&["age>364d", "unchanged<2h"]));
        assert!(!takes(&["age<364d"]) && !takes(&["age>366d"]));
        assert!(!takes(&["unchanged>1h"]) && !takes(&["unchanged<1h"]));
    }

    #[test]
    fn a_time_that_nobody_can_read_is_told_rather_than_guessed() {
        let mut filter = Filter::default();
        filter.add("age>1d").unwrap();
        let error = filter.takes(&Listed::default(), Timestamp::UNIX_EPOCH);
        assert!(error.unwrap_err().contains("nobody can count from"));
    }

    #[test]
    fn what_is_no_condition_is_told() {
        let mut filter = Filter::default();
        for (text, part) in [
            ("name", "no condition"),
            ("nmae=x", "no such field"),
            ("name~(", "no regular expression"),
            ("enabled=perhaps", "true or false"),
            ("enabled~t", "true or false"),
            ("name!x", "no condition"),
            ("name>x", "no condition"),
            ("name==x", "two operators"),
            ("name=~x", "two operators"),
            ("name!~", "pattern is empty"),
            ("labels=ipp", "no such label"),
            ("age=3d", "by > or <"),
            ("age>3", "no unit"),
        ] {
            let error = filter.add(text).unwrap_err();
            assert!(error.what.contains(part), "{text}: {error:?}");
        }
    }
}
