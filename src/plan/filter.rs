//! Which live workflows are meant: `name~^Triage`, `enabled=true`.

use regex::Regex;

use crate::model::workflow::Listed;

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<Condition>);

/// How a condition is written, for hints.
pub const HINT: &str = "write FIELD=VALUE, FIELD!=VALUE, FIELD~REGEX or FIELD!~REGEX, where FIELD is one of name, \
    description, enabled, labels, version_id, type, creator, modifier";

#[derive(Clone, Debug)]
struct Condition {
    subject: Subject,
    holds: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Is(String),
    Matches(Regex),
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Name,
    Description,
    Enabled,
    Labels,
    VersionId,
    Type,
    Creator,
    Modifier,
}

impl Subject {
    const ALL: [(&'static str, Self); 8] = [
        ("name", Self::Name),
        ("description", Self::Description),
        ("enabled", Self::Enabled),
        ("labels", Self::Labels),
        ("version_id", Self::VersionId),
        ("type", Self::Type),
        ("creator", Self::Creator),
        ("modifier", Self::Modifier),
    ];

    fn of(self, listed: &Listed) -> &str {
        let (live, details) = (&listed.workflow, &listed.details);
        match self {
            Self::Name => &live.name,
            Self::Description => &live.description,
            Self::Enabled if live.enabled => "true",
            Self::Enabled => "false",
            Self::Labels => &live.labels,
            Self::VersionId => &live.version_id,
            Self::Type => &details.aop_type,
            Self::Creator => &details.creator_name,
            Self::Modifier => &live.modifier_name,
        }
    }
}

impl Filter {
    /// Adds the condition that `text` is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let at = text.find(['=', '~', '!']).ok_or("no condition")?;
        let (name, rest) = text.split_at(at);
        let (holds, rest) = match rest.strip_prefix('!') {
            Some(rest) => (false, rest),
            None => (true, rest),
        };
        let name = name.trim();
        let known = Subject::ALL.iter().find(|(known, _)| *known == name);
        let (_, subject) = known.ok_or_else(|| format!("no such field: {name:?}"))?;
        let test = match (rest.strip_prefix('='), rest.strip_prefix('~')) {
            (Some(value), _) => Test::Is(value.to_owned()),
            (None, Some(pattern)) => {
                let regex = Regex::new(pattern);
                Test::Matches(regex.map_err(|error| format!("no regular expression: {error}"))?)
            }
            (None, None) => return Err("no condition".to_owned()),
        };
        if *subject == Subject::Enabled
            && !matches!(&test, Test::Is(value) if value == "true" || value == "false")
        {
            return Err("enabled is true or false".to_owned());
        }
        self.0.push(Condition {
            subject: *subject,
            holds,
            test,
        });
        Ok(())
    }

    /// Whether `listed` is meant.
    pub fn takes(&self, listed: &Listed) -> bool {
        self.0.iter().all(|condition| {
            let value = condition.subject.of(listed);
            let holds = match &condition.test {
                Test::Is(wanted) => wanted == value,
                Test::Matches(regex) => regex.is_match(value),
            };
            holds == condition.holds
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workflow::Workflow;

    fn takes(conditions: &[&str]) -> bool {
        let mut filter = Filter::default();
        for condition in conditions {
            filter.add(condition).unwrap();
        }
        filter.takes(&Listed {
            workflow: Workflow {
                name: "Triage, tier 1".into(),
                enabled: true,
                ..Workflow::default()
            },
            ..Listed::default()
        })
    }

    #[test]
    fn all_conditions_must_hold() {
        assert!(takes(&[]));
        assert!(takes(&["name~^Triage", "enabled=true"]));
        assert!(!takes(&["name~^Triage", "enabled=false"]));
        assert!(takes(&["name!=Triage", "labels="]));
        assert!(!takes(&["name!~tier [12]"]));
    }

    #[test]
    fn what_is_no_condition_is_told() {
        let mut filter = Filter::default();
        for (text, part) in [
            ("name", "no condition"),
            ("nmae=x", "no such field"),
            ("name~(", "no regular expression"),
            ("enabled=yes", "true or false"),
            ("name!x", "no condition"),
        ] {
            let error = filter.add(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
