//! What a row comes to against the live state of its workflow.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::change::Change;
use crate::model::field::{Field, FieldSet};
use crate::model::guard::Finding;
use crate::model::outcome::{ErrorClass, Failure};
use crate::model::row::{Row, VersionWish};
use crate::model::service_time;
use crate::model::update::{Label, Sent, Update};
use crate::model::version::Version;
use crate::model::workflow::Workflow;

/// What a row comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The live state is already as wished.
    Unchanged,
    /// This is to be changed, by sending that.
    Change(Change, Update),
    /// A guard does not hold: what was expected, what is there, and by whom.
    Conflict(String),
    /// The service cannot carry it out as things stand.
    Hopeless(Failure),
}

/// What is known of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its state.
    pub workflow: Workflow,
    /// Its versions, where they were asked for.
    pub versions: Option<Vec<Version>>,
}

/// By what terms rows are compared with the live state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Which fields an update holds.
    pub sent: Sent,
    /// Workflows that were changed after this, by whomever, are left alone; by the service's clock.
    pub untouched_since: Option<Timestamp>,
}

impl Terms {
    /// For a workflow that the run itself has changed, if it `is_touched`.
    pub fn of_touched(self, is_touched: bool) -> Self {
        let untouched_since = self.untouched_since.filter(|_| !is_touched);
        Self {
            untouched_since,
            ..self
        }
    }
}

/// Compares what `row` wishes and expects with what is there, by these `terms`.
pub fn decide(row: &Row, live: &Live, terms: Terms) -> Decision {
    let wish = match wish(row, live) {
        Ok(wish) => wish,
        Err(failure) => return Decision::Hopeless(failure),
    };
    let there = &live.workflow;
    match row.guards.check(&wish, there) {
        Finding::Conflict(what) => return Decision::Conflict(format!("{what}{}", by_whom(there))),
        Finding::AsWished => return Decision::Unchanged,
        Finding::Differs => {}
    }
    let no_name = no_name(row, there);
    let wish = match no_name {
        None => wish,
        Some(_) => Update { name: None, ..wish },
    };
    let mut change = Change::default();
    for field in wish.fields() {
        let (before, after) = (there.value(field), wish.value(field).unwrap_or_default());
        if before != after {
            change.note(field, before, after);
        }
    }
    if let Some(since) = terms.untouched_since
        && let Some(what) = touched(there, since)
    {
        return Decision::Conflict(what);
    }
    if let Some(failure) = no_name.filter(|_| change.is_empty()) {
        return Decision::Hopeless(failure);
    }
    let version = wish.version_id.as_deref().unwrap_or(&there.version_id);
    if change.after.contains_key(&Field::Enabled)
        && wish.enabled == Some(true)
        && version.is_empty()
    {
        return Decision::Hopeless(Failure::new(
            ErrorClass::Validation,
            "it has no version in use, and the service wants one whenever a workflow is enabled: give its version_id",
        ));
    }
    let send = match terms.sent {
        Sent::Changed => changed(&change, &wish, there),
        Sent::Full => full(&wish, there),
    };
    Decision::Change(change, send)
}

/// Whether the workflow of `row` is read just before its update, which holds `send`: where the row says what
/// is to be there, where an update holds all fields, and where it holds a version that nobody named.
pub fn reads_first(row: &Row, send: &Update, sent: Sent) -> bool {
    let names_version = row.update.version_id.is_some() || row.version == Some(VersionWish::Latest);
    !row.guards.is_empty() || sent == Sent::Full || (send.version_id.is_some() && !names_version)
}

/// Whether the versions that `row` wishes for may be to be looked at, whatever is there.
pub fn may_want_versions(row: &Row) -> bool {
    match (row.version, &row.update.version_id) {
        (Some(VersionWish::Latest), _) => true,
        (Some(VersionWish::Active), _) | (None, None) => false,
        (None, Some(wished)) => !wished.is_empty(),
    }
}

/// The versions that `row` wishes for are to be looked at: another than the one in use.
pub fn wants_versions(row: &Row, live: &Workflow) -> bool {
    match (row.version, &row.update.version_id) {
        (Some(VersionWish::Latest), _) => true,
        (Some(VersionWish::Active), _) | (None, None) => false,
        (None, Some(wished)) => !wished.is_empty() && *wished != live.version_id,
    }
}

/// What `row` wishes for, its version found out.
fn wish(row: &Row, live: &Live) -> Result<Update, Failure> {
    let there = &live.workflow;
    let versions = live.versions.as_deref().unwrap_or_default();
    let version_id = match (row.version, &row.update.version_id) {
        (None, None) => None,
        (Some(VersionWish::Active), _) if there.version_id.is_empty() => {
            return Err(Failure::new(
                ErrorClass::Validation,
                "version_id is to be the active one, and the workflow has none",
            ));
        }
        (Some(VersionWish::Active), _) => Some(there.version_id.clone()),
        (Some(VersionWish::Latest), _) => {
            let published = versions.iter().filter(|version| version.is_published());
            let latest = published.max_by(|a, b| a.create_time.cmp(&b.create_time));
            match latest {
                Some(latest) => Some(latest.id.clone()),
                None => {
                    return Err(Failure::new(
                        ErrorClass::Validation,
                        "version_id is to be the latest published one, and the workflow has none",
                    ));
                }
            }
        }
        (None, Some(wished)) => {
            if live.versions.is_some() && !wished.is_empty() && *wished != there.version_id {
                check_version(wished, versions)?;
            }
            Some(wished.clone())
        }
    };
    Ok(Update {
        version_id,
        ..row.update.clone()
    })
}

fn check_version(wished: &str, versions: &[Version]) -> Result<(), Failure> {
    let Some(found) = versions.iter().find(|version| version.id == wished) else {
        let known: Vec<_> = versions
            .iter()
            .filter(|version| version.is_published())
            .map(|version| version.id.as_str())
            .take(3)
            .collect();
        let known = match known.as_slice() {
            [] => "it has no published one".to_owned(),
            known => format!("published: {}", known.join(", ")),
        };
        return Err(Failure::new(
            ErrorClass::NotFound,
            format!("version_id {wished:?} is no version of this workflow; {known}"),
        ));
    };
    match found.is_published() {
        true => Ok(()),
        false => Err(Failure::new(
            ErrorClass::Validation,
            format!(
                "version_id {wished:?} is not published: it is {}",
                found.status
            ),
        )),
    }
}

/// What an update did, by what is there after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Fields that were sent and are not as sent.
    pub missing: Vec<Missing>,
    /// Fields that were not sent and have become empty or false, with what was there.
    pub cleared: Vec<(Field, String)>,
    /// Fields that were not sent and have become something else, in words.
    pub others: Vec<String>,
}

/// A field that was sent and is not as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub field: Field,
    /// What was sent.
    pub sent: String,
    /// What is there.
    pub shown: String,
    /// Whether that is what was there before, and not what the service makes of what was sent.
    pub is_former: bool,
}

/// A text that is cut is at least as long as this, in characters: no shorter limit of names is known.
const SHORTEST_CUT: usize = 64;

/// Whether `shown` is `sent` as a service writes it that trims and cuts texts. Then it says nothing that it was there before.
fn is_normalized(sent: &str, shown: &str) -> bool {
    let (sent, shown) = (sent.trim(), shown.trim());
    let is_cut = shown.chars().count() >= SHORTEST_CUT && sent.starts_with(shown);
    !shown.is_empty() && (sent == shown || is_cut)
}

impl Effect {
    /// Of an update that held `send`, between `before`, if that is known, and `after`.
    pub fn of(send: &Update, before: Option<&Workflow>, after: &Workflow) -> Self {
        let mut effect = Self::default();
        for field in Field::ALL {
            let was = before.map(|before| before.value(field));
            let is = after.value(field);
            match (send.value(field), was) {
                (Some(sent), _) if sent == is => {}
                (Some(sent), was) => effect.missing.push(Missing {
                    field,
                    sent: sent.to_owned(),
                    shown: is.to_owned(),
                    is_former: was == Some(is),
                }),
                (None, None) => {}
                (None, Some(was)) if was == is => {}
                (None, Some(was)) if matches!(is, "" | "false") => {
                    effect.cleared.push((field, was.to_owned()));
                }
                (None, Some(was)) => effect.others.push(format!(
                    "{field}, which was not sent, went from {was:?} to {is:?}"
                )),
            }
        }
        effect
    }

    /// Whether a field that was sent still has its former value.
    pub fn shows_former(&self) -> bool {
        self.missing.iter().any(|missing| missing.is_former)
    }

    /// A former value that is what the service makes of what was sent counts as that.
    pub fn accept_normalized(&mut self) {
        for missing in &mut self.missing {
            missing.is_former &= !is_normalized(&missing.sent, &missing.shown);
        }
    }

    /// Fields that were sent and have neither their former value nor the one that was sent: the service trims or cuts.
    pub fn shown(&self) -> BTreeMap<Field, String> {
        let others = self.missing.iter().filter(|missing| !missing.is_former);
        others
            .map(|missing| (missing.field, missing.shown.clone()))
            .collect()
    }

    /// Those of them that the service has made of what was sent, for sure: a reading may show what a colleague has set meanwhile.
    pub fn normalized(&self) -> BTreeMap<Field, String> {
        let mut shown = self.shown();
        for Missing { field, sent, .. } in &self.missing {
            shown.retain(|other, shown| other != field || is_normalized(sent, shown));
        }
        shown
    }

    /// Takes out those of the cleared fields that may be cleared.
    pub fn take_allowed(&mut self, allowed: FieldSet) -> Vec<(Field, String)> {
        let cleared = std::mem::take(&mut self.cleared).into_iter();
        let (taken, left) = cleared.partition(|(field, _)| allowed.contains(*field));
        self.cleared = left;
        taken
    }

    /// Everything that was not to be expected, in words; none if nothing was.
    pub fn note(&self) -> Option<String> {
        let missing = self.missing.iter().map(|missing| {
            let Missing {
                field, sent, shown, ..
            } = missing;
            format!("{field} is {shown:?} after {sent:?} was sent")
        });
        let cleared = self
            .cleared
            .iter()
            .map(|(field, was)| cleared_text(*field, was));
        let texts: Vec<_> = missing
            .chain(self.others.iter().cloned())
            .chain(cleared)
            .collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// What is said of a field that was not sent and is cleared.
pub fn cleared_text(field: Field, was: &str) -> String {
    format!("{field}, which was not sent, was {was:?} and is cleared")
}

/// Fields that an update which holds `send` could clear by leaving them out.
pub fn at_stake(send: &Update, before: &Workflow) -> FieldSet {
    let is_unsent = |field: &Field| send.value(*field).is_none();
    let holds = |field: &Field| !matches!(before.value(*field), "" | "false");
    Field::ALL
        .into_iter()
        .filter(|field| is_unsent(field) && holds(field))
        .collect()
}

/// Why a workflow cannot get the empty name back that it had, if `row` asks for that.
pub fn no_name(row: &Row, there: &Workflow) -> Option<Failure> {
    let asks = row.update.name.as_deref() == Some("") && !there.name.is_empty();
    asks.then(|| {
        Failure::new(
            ErrorClass::Validation,
            "the workflow had no name, and the service takes no empty one: its name stays as it is",
        )
    })
}

/// The fields that change; whoever enables names the version (the vendor's page: mandatory then).
fn changed(change: &Change, wish: &Update, there: &Workflow) -> Update {
    let changes = |field| change.after.contains_key(&field);
    let mut send = Update {
        name: wish.name.clone().filter(|_| changes(Field::Name)),
        description: wish
            .description
            .clone()
            .filter(|_| changes(Field::Description)),
        enabled: wish.enabled.filter(|_| changes(Field::Enabled)),
        version_id: wish
            .version_id
            .clone()
            .filter(|_| changes(Field::VersionId)),
        labels: wish.labels.clone().filter(|_| changes(Field::Labels)),
    };
    if send.enabled == Some(true) {
        let version = wish.version_id.clone();
        send.version_id = Some(version.unwrap_or_else(|| there.version_id.clone()));
    }
    send
}

/// All fields. Those that are empty and are not wished to be are left out, as the vendor's Terraform
/// provider does with version and labels.
fn full(wish: &Update, there: &Workflow) -> Update {
    let version_id = Some(there.version_id.clone()).filter(|id| !id.is_empty());
    wish.clone().or(&Update {
        name: Some(there.name.clone()),
        description: Some(there.description.clone()),
        enabled: Some(there.enabled),
        version_id,
        labels: Some(Label::held(&there.labels)).filter(|_| !there.labels.is_empty()),
    })
}

/// Why a workflow that may have been changed after `since` is left alone, if it is.
fn touched(there: &Workflow, since: Timestamp) -> Option<String> {
    match service_time::parse(&there.update_time) {
        Some(at) if at <= since => None,
        Some(_) => Some(format!(
            "it was changed a short time ago, which leave_recent forbids{}",
            by_whom(there)
        )),
        // Whoever wants it left alone is not served by a guess.
        None => Some(format!(
            "nobody can tell when it was changed last, as leave_recent asks: its update_time is {:?}",
            there.update_time
        )),
    }
}

/// Who changed it last, and when, as far as the service says it.
fn by_whom(there: &Workflow) -> String {
    match (there.modifier_name.as_str(), there.update_time.as_str()) {
        ("", "") => String::new(),
        ("", at) => format!(" (changed {at})"),
        (who, "") => format!(" (changed by {who})"),
        (who, at) => format!(" (changed by {who}, {at})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Id;
    use crate::model::target::{LaneId, Workspace};

    fn row(update: Update, version: Option<VersionWish>) -> Row {
        let id = |text: &str| Id::parse(text).unwrap();
        Row {
            update,
            version,
            ..Row::new(
                1,
                LaneId(0),
                Workspace {
                    project_id: id("p"),
                    workspace_id: id("s"),
                },
                id("w"),
            )
        }
    }

    fn live() -> Live {
        Live {
            workflow: Workflow {
                id: "w".into(),
                name: "Old".into(),
                description: "as it was".into(),
                enabled: false,
                version_id: "v1".into(),
                labels: "IP".into(),
                update_time: "2026-01-01T00:00:00Z+0800".into(),
                modifier_name: "ana".into(),
            },
            versions: None,
        }
    }

    fn terms(sent: Sent) -> Terms {
        Terms {
            sent,
            ..Terms::default()
        }
    }

    fn enable() -> Update {
        Update {
            enabled: Some(true),
            ..Update::default()
        }
    }

    /// What is sent, and the fields that change.
    fn sent(row: &Row, live: &Live, sent: Sent) -> (Update, Vec<Field>) {
        let decision = decide(row, live, terms(sent));
        let Decision::Change(change, send) = decision else {
            panic!("{decision:?}");
        };
        (send, change.fields().map(|(field, ..)| field).collect())
    }

    fn hopeless(row: &Row, live: &Live) -> String {
        let decision = decide(row, live, Terms::default());
        let Decision::Hopeless(failure) = decision else {
            panic!("{decision:?}");
        };
        failure.message
    }

    #[test]
    fn only_what_differs_is_sent_and_who_enables_names_the_version_in_use() {
        let wish = Update {
            name: Some("New".into()),
            description: Some("as it was".into()),
            enabled: Some(true),
            ..Update::default()
        };
        let (send, fields) = sent(&row(wish, None), &live(), Sent::Changed);
        assert_eq!(
            send,
            Update {
                name: Some("New".into()),
                enabled: Some(true),
                version_id: Some("v1".into()),
                ..Update::default()
            }
        );
        assert_eq!(fields, [Field::Name, Field::Enabled]);
    }

    #[test]
    fn a_full_update_holds_what_is_there_but_for_what_is_wished() {
        let wish = Update {
            description: Some(String::new()),
            ..Update::default()
        };
        let (send, fields) = sent(&row(wish, None), &live(), Sent::Full);
        assert_eq!(
            send,
            Update {
                name: Some("Old".into()),
                description: Some(String::new()),
                enabled: Some(false),
                version_id: Some("v1".into()),
                labels: Some(Label::Ip),
            }
        );
        assert_eq!(fields, [Field::Description]);
    }

    #[test]
    fn what_is_as_wished_is_not_sent() {
        let wish = Update {
            name: Some("Old".into()),
            enabled: Some(false),
            ..Update::default()
        };
        assert_eq!(
            decide(&row(wish, None), &live(), terms(Sent::Full)),
            Decision::Unchanged
        );
        let active = row(Update::default(), Some(VersionWish::Active));
        assert_eq!(
            decide(&active, &live(), Terms::default()),
            Decision::Unchanged
        );
    }

    #[test]
    fn a_version_is_looked_up_or_told_why_not() {
        let version = |id: &str, status: &str, at: &str| Version {
            id: id.into(),
            status: status.into(),
            create_time: at.into(),
            ..Version::default()
        };
        let with = |versions: Vec<Version>| Live {
            versions: Some(versions),
            ..live()
        };
        let latest = row(enable(), Some(VersionWish::Latest));
        let known = with(vec![
            version("v1", "activated", "2026-01-01"),
            version("v3", "pending_approval", "2026-03-01"),
            version("v2", "not_activated", "2026-02-01"),
        ]);
        let (send, fields) = sent(&latest, &known, Sent::Changed);
        assert_eq!(send.version_id.as_deref(), Some("v2"));
        assert_eq!(fields, [Field::Enabled, Field::VersionId]);
        assert!(hopeless(&latest, &with(vec![])).contains("the latest published one"));
        let named = |id: &str| {
            let update = Update {
                version_id: Some(id.into()),
                ..Update::default()
            };
            row(update, None)
        };
        assert!(hopeless(&named("v3"), &known).contains("not published: it is pending_approval"));
        assert!(
            hopeless(&named("v9"), &known)
                .contains("no version of this workflow; published: v1, v2")
        );
        let mut without = live();
        without.workflow.version_id = String::new();
        assert!(hopeless(&row(enable(), None), &without).contains("no version in use"));
        let active = row(enable(), Some(VersionWish::Active));
        assert!(hopeless(&active, &without).contains("the workflow has none"));
    }

    #[test]
    fn a_conflict_names_who_and_when() {
        let mut guarded = row(enable(), None);
        guarded.guards.fields = vec![(Field::Name, "Other".into())];
        let Decision::Conflict(what) = decide(&guarded, &live(), Terms::default()) else {
            panic!("the guard does not hold");
        };
        assert_eq!(
            what,
            "name is \"Old\", expected \"Other\" (changed by ana, 2026-01-01T00:00:00Z+0800)"
        );
    }

    #[test]
    fn a_row_is_read_first_where_it_expects_or_sends_what_nobody_named() {
        let named = Update {
            version_id: Some("v1".into()),
            ..enable()
        };
        let name = Update {
            name: Some("New".into()),
            ..Update::default()
        };
        for (update, mode, reads) in [
            (enable(), Sent::Changed, true),
            (named, Sent::Changed, false),
            (name.clone(), Sent::Changed, false),
            (name, Sent::Full, true),
        ] {
            let row = row(update, None);
            let (send, _) = sent(&row, &live(), mode);
            assert_eq!(reads_first(&row, &send, mode), reads, "{row:?}");
        }
    }

    #[test]
    fn an_update_is_judged_by_what_was_there_before() {
        let send = Update {
            name: Some("New".into()),
            ..Update::default()
        };
        let before = live().workflow;
        let after = |change: fn(&mut Workflow)| {
            let mut after = Workflow {
                name: "New".into(),
                ..before.clone()
            };
            change(&mut after);
            Effect::of(&send, Some(&before), &after)
        };
        assert_eq!(after(|_| {}), Effect::default());
        let missing = after(|live| live.name = "Old".into());
        assert_eq!(
            missing.note().as_deref(),
            Some("name is \"Old\" after \"New\" was sent")
        );
        assert!(missing.shows_former());
        // Run a second time, a text that the service trims is there already.
        let trimmed = Update {
            name: Some("Old ".into()),
            ..Update::default()
        };
        let mut again = Effect::of(&trimmed, Some(&before), &before);
        assert!(again.shows_former());
        again.accept_normalized();
        assert!(!again.shows_former());
        assert_eq!(again.shown()[&Field::Name], "Old");
        let cleared = after(|live| live.description = String::new());
        assert_eq!(
            cleared.cleared,
            [(Field::Description, "as it was".to_owned())]
        );
        let other = after(|live| live.labels = "DOMAIN".into());
        assert!(other.cleared.is_empty() && other.note().unwrap().contains("labels"));
        // Nobody knows what was there: only what was sent can be missing.
        let unknown = Effect::of(&send, None, &before);
        assert_eq!(unknown.missing.len(), 1);
        assert!(!unknown.shows_former() && unknown.cleared.is_empty());
    }

    #[test]
    fn what_somebody_changed_a_short_time_ago_is_left_alone_unless_it_is_as_wished() {
        // It was changed at midnight of China, eight hours before that of Greenwich.
        let since = |text: &str| Terms {
            untouched_since: Some(text.parse().unwrap()),
            ..Terms::default()
        };
        let (before, at) = ("2025-12-31T15:59:59Z", "2025-12-31T16:00:00Z");
        let wish = row(enable(), None);
        let decision = decide(&wish, &live(), since(before));
        let Decision::Conflict(what) = decision else {
            panic!("{decision:?}");
        };
        assert_eq!(
            what,
            "it was changed a short time ago, which leave_recent forbids (changed by ana, 2026-01-01T00:00:00Z+0800)"
        );
        assert!(matches!(
            decide(&wish, &live(), since(at)),
            Decision::Change(..)
        ));
        let as_it_is = Update {
            enabled: Some(false),
            ..Update::default()
        };
        assert_eq!(
            decide(&row(as_it_is, None), &live(), since(before)),
            Decision::Unchanged
        );
        let mut nameless = live();
        nameless.workflow.update_time.clear();
        assert!(matches!(
            decide(&wish, &nameless, since(at)),
            Decision::Conflict(_)
        ));
    }
}
