//! What the cells of a row, or the keys of an `[[update]]`, wish and expect.

use crate::model::field::Field;
use crate::model::formula::unguarded;
use crate::model::guard::Guards;
use crate::model::id::{Id, trim};
use crate::model::row::{Row, VersionWish};
use crate::model::update::{LONGEST_TEXT, Label, Update};

use super::cell::{BOOLEAN_HINT, EMPTY, Spoilt, boolean};
use super::column::Column;
use super::defaults::Defaults;
use super::draft::Draft;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::suggestion::suggestion;

/// The labels that the service documents, for hints.
pub const LABEL_HINT: &str = "the service knows IP, ACCOUNT and DOMAIN; <empty> clears the label";

/// One draft and where its problems go.
pub(super) struct Desk<'a, D> {
    pub(super) draft: &'a D,
    pub(super) problems: &'a mut Problems,
    /// Columns whose cell is known to be no value at all: nothing more is said about it.
    void: Vec<Column>,
}

impl<'a, D: Draft> Desk<'a, D> {
    pub(super) fn new(draft: &'a D, problems: &'a mut Problems) -> Self {
        Self {
            draft,
            problems,
            void: Vec::new(),
        }
    }

    pub(super) fn wrong(&mut self, column: Column, what: &str, hint: &str) {
        if self.void.contains(&column) {
            return;
        }
        self.problems
            .push(Problem::new(self.draft.place(column), what, hint));
    }

    /// Tells the cells of a sheet that are spoilt, those of columns that templates speak of by `names` as well.
    /// Whether there are none.
    ///
    /// What stands in a job file or a flag was typed, and is meant. A value and its guard that say
    /// the same change nothing: the workflow has that text by now.
    pub(super) fn is_unspoilt(&mut self, names: &[String]) -> bool {
        for column in Column::ALL {
            let cell = self.draft.cell(column);
            let Some(spoilt) = cell.and_then(Spoilt::find) else {
                continue;
            };
            let twin = match column {
                Column::Wish(field) => self.draft.cell(Column::Expect(field)),
                Column::Expect(field) => self.draft.cell(Column::Wish(field)),
                Column::WorkflowId
                | Column::WorkflowName
                | Column::Profile
                | Column::Region
                | Column::ProjectId
                | Column::WorkspaceId
                | Column::Workspace
                | Column::ExpectUpdateTime
                | Column::Wave => None,
            };
            let place = self.draft.place(column);
            if twin == cell || !matches!(place, Place::Cell { .. }) {
                continue;
            }
            let mut hint = spoilt.hint().to_owned();
            if let Column::Expect(_) = column {
                hint += "; if the workflow has this text now, leave the cell empty";
            }
            self.problems.push(Problem::new(place, spoilt.what(), hint));
            self.void.push(column);
        }
        let mut is_free = self.void.is_empty();
        for name in names {
            if let Some((cell, place)) = self.draft.named(name)
                && let Some(spoilt) = Spoilt::find(cell)
            {
                let hint = format!("a template speaks of this column: {}", spoilt.hint());
                self.problems.push(Problem::new(place, spoilt.what(), hint));
                is_free = false;
            }
        }
        is_free
    }

    /// The cell as people mean it, if it says anything.
    pub(super) fn text(&self, column: Column) -> Option<&str> {
        let cell = unguarded(self.draft.cell(column)?);
        (!cell.is_empty()).then_some(cell)
    }

    /// The cell without blanks around it, if anything is left.
    fn word(&self, column: Column) -> Option<&str> {
        self.text(column).map(trim).filter(|word| !word.is_empty())
    }

    pub(super) fn id(&mut self, column: Column) -> Option<Id> {
        match Id::parse(self.text(column)?) {
            Ok(id) => Some(id),
            Err(fault) => {
                self.wrong(column, &fault.to_string(), fault.hint());
                None
            }
        }
    }

    /// Which workflow the row is about: its id, or what stands for it and what it is called. Without the live
    /// state (`blind`) nobody can be looked up by name.
    /// The wave that the row asks for.
    pub(super) fn wave(&mut self) -> Option<u32> {
        let text = self.word(Column::Wave)?.to_owned();
        let wave = text.parse().ok().filter(|wave| *wave > 0);
        if wave.is_none() {
            let hint = "write a whole number from 1, or leave the cell empty";
            self.wrong(Column::Wave, "not the number of a wave", hint);
        }
        wave
    }

    pub(super) fn workflow(&mut self, blind: bool) -> (Option<Id>, Option<String>) {
        let id = self.id(Column::WorkflowId);
        let has_id = self.text(Column::WorkflowId).is_some();
        let name = self.text(Column::WorkflowName).map(str::to_owned);
        match name {
            None if !has_id => {
                let hint = "give the id as the console or an export shows it, or its workflow_name";
                self.wrong(Column::WorkflowId, "the row has no workflow_id", hint);
                (None, None)
            }
            None => (id, None),
            Some(_) if has_id => {
                let hint = "leave one of the cells empty";
                self.wrong(
                    Column::WorkflowName,
                    "the row gives a workflow_id and a workflow_name",
                    hint,
                );
                (None, None)
            }
            Some(_) if blind => {
                let hint = "give its workflow_id, or leave --snapshot off out";
                self.wrong(
                    Column::WorkflowName,
                    "a workflow_name is looked up in the live state, which --snapshot off does not read",
                    hint,
                );
                (None, None)
            }
            Some(name) => (Row::stand_in(&name), Some(name)),
        }
    }

    /// The value of a cell, written as an export writes it: `Ok(None)` says nothing, `Err` is a
    /// problem that has been told.
    fn value(&mut self, column: Column, field: Field) -> Result<Option<String>, ()> {
        match field {
            Field::Name | Field::Description => self.free_text(column),
            Field::Enabled => match self.word(column).map(boolean) {
                None => Ok(None),
                Some(Some(on)) => Ok(Some(on.to_string())),
                Some(None) => {
                    self.wrong(column, "not a boolean", BOOLEAN_HINT);
                    Err(())
                }
            },
            Field::VersionId => self.version(column),
            Field::Labels => match self.word(column) {
                None => Ok(None),
                Some(word) if word.eq_ignore_ascii_case(EMPTY) => Ok(Some(String::new())),
                Some(word) => match Label::parse(word) {
                    Some(label) => Ok(Some(label.as_str().to_owned())),
                    None => {
                        self.wrong(column, "no such label", LABEL_HINT);
                        Err(())
                    }
                },
            },
        }
    }

    /// What a cell says that is as its own `expect_` cell has it.
    fn kept(&self, field: Field) -> Option<String> {
        let wish = self.draft.cell(Column::Wish(field))?;
        let expected = self.draft.cell(Column::Expect(field))?;
        (!wish.is_empty() && wish == expected).then(|| match unguarded(expected) {
            text if text.eq_ignore_ascii_case(EMPTY) => String::new(),
            text => text.to_owned(),
        })
    }

    /// What is expected to be there: any text that the service may tell.
    fn expected(&mut self, field: Field) -> Result<Option<String>, ()> {
        let column = Column::Expect(field);
        match field {
            Field::Enabled | Field::VersionId => self.value(column, field),
            Field::Name | Field::Description | Field::Labels => {
                Ok(self
                    .text(column)
                    .map(|text| match Label::parse(trim(text)) {
                        Some(label) if field == Field::Labels => label.as_str().to_owned(),
                        Some(_) | None if text.eq_ignore_ascii_case(EMPTY) => String::new(),
                        Some(_) | None => text.to_owned(),
                    }))
            }
        }
    }

    fn free_text(&mut self, column: Column) -> Result<Option<String>, ()> {
        let Some(text) = self.text(column) else {
            return Ok(None);
        };
        let (blank, length) = (trim(text).is_empty(), text.chars().count());
        let clears = text.eq_ignore_ascii_case(EMPTY);
        if clears && column == Column::Wish(Field::Name) {
            let hint = "leave the cell empty to keep the name";
            self.wrong(column, "a workflow cannot be without a name", hint);
            Err(())
        } else if clears {
            Ok(Some(String::new()))
        } else if blank && !self.is_of_record(column) {
            let hint = "leave the cell empty to keep the field, or write <empty> to clear it";
            self.wrong(column, "the text is nothing but blanks", hint);
            Err(())
        } else if length > LONGEST_TEXT {
            let what = format!("the text is longer than {LONGEST_TEXT} characters");
            self.wrong(column, &what, "the service shows no more");
            Err(())
        } else {
            Ok(Some(text.to_owned()))
        }
    }

    /// Whether the cell is one that a program wrote, which says what is to be found there, too.
    fn is_of_record(&self, column: Column) -> bool {
        let Column::Wish(field) = column else {
            return false;
        };
        self.text(Column::Expect(field)).is_some()
    }

    fn version(&mut self, column: Column) -> Result<Option<String>, ()> {
        match self.word(column) {
            None => Ok(None),
            Some(word) if word.eq_ignore_ascii_case(EMPTY) => Ok(Some(String::new())),
            Some(word)
                if VersionWish::parse(word).is_some()
                    && column == Column::Expect(Field::VersionId) =>
            {
                let hint = "give the version's id, as an export writes it";
                self.wrong(column, "not a version id", hint);
                Err(())
            }
            Some(word) if let Some(meant) = near_wish(word) => {
                let hint = format!("did you mean {meant}?");
                self.wrong(column, "neither a version id nor active nor latest", &hint);
                Err(())
            }
            Some(word) => match Id::parse(word) {
                Ok(id) => Ok(Some(id.into())),
                Err(fault) => {
                    self.wrong(column, &fault.to_string(), fault.hint());
                    Err(())
                }
            },
        }
    }

    /// What the row sets and what it expects, completed by `defaults`. Without the live state nothing can be looked
    /// up.
    pub(super) fn wishes(
        &mut self,
        all: &Defaults,
        defaults: &Update,
    ) -> Option<(Update, Option<VersionWish>, Guards)> {
        let blind = all.is_blind;
        let mut own = Update::default();
        let mut guards = Guards::default();
        let mut kept_version = None;
        let mut keeps = false;
        let mut sound = true;
        for field in Field::ALL {
            let columns = [Column::Wish(field), Column::Expect(field)];
            if columns
                .iter()
                .all(|column| self.draft.cell(*column).is_none())
            {
                continue;
            }
            if let Some(kept) = self.kept(field) {
                // As it was exported, whatever it is.
                keeps = true;
                if field == Field::VersionId {
                    kept_version = Some(kept.clone());
                }
                if defaults.value(field).is_some() {
                    guards.fields.push((field, kept));
                }
                continue;
            }
            let wish = self.value(Column::Wish(field), field);
            let expected = self.expected(field);
            let (Ok(wish), Ok(expected)) = (wish, expected) else {
                sound = false;
                continue;
            };
            let (has_wish, edited) = (wish.is_some(), wish.is_some() && wish != expected);
            match wish {
                Some(value) if edited => {
                    own.set(field, value);
                }
                Some(value) => {
                    keeps = true;
                    if field == Field::VersionId {
                        kept_version = Some(value);
                    }
                }
                None => {}
            }
            // An empty cell of a field that is empty was not edited either.
            let is_kept_empty = !has_wish
                && expected.as_deref() == Some("")
                && self.draft.cell(Column::Wish(field)).is_some();
            keeps |= is_kept_empty;
            // An unedited cell asks for nothing, unless a default is to change its field.
            if let Some(expected) = expected
                && ((!has_wish && !is_kept_empty) || edited || defaults.value(field).is_some())
            {
                guards.fields.push((field, expected));
            }
        }
        match self.word(Column::ExpectUpdateTime).map(str::to_owned) {
            Some(time) if !is_a_time(&time) => {
                let hint = "copy it from an export: 2025-07-18T14:47:16.939Z+0800";
                self.wrong(
                    Column::ExpectUpdateTime,
                    "not a time of the service's",
                    hint,
                );
                sound = false;
            }
            time => guards.update_time = time,
        }
        let mut update = own.or(defaults);
        if update.enabled == Some(true) {
            update.version_id = update.version_id.or(kept_version);
            if blind && update.version_id.as_deref().is_none_or(str::is_empty) && sound {
                self.wrong(
                    Column::Wish(Field::Enabled),
                    "enabled is true, but there is no version_id",
                    "the service wants the id of the version to activate: add a column version_id, or leave --snapshot off out",
                );
                return None;
            }
        }
        let asks = !update.is_empty() || !guards.is_empty() || !all.templates.is_empty();
        if sound && !asks && !keeps {
            self.problems.push(Problem::new(
                self.draft.whole(),
                "the row changes nothing",
                "fill in name, description, enabled, version_id or labels, or use --set FIELD=VALUE",
            ));
            return None;
        }
        if update.is_empty() && keeps {
            // A row in which nothing was edited need not know when it was last changed.
            guards.update_time = None;
        }
        let version = update.version_id.as_deref().and_then(VersionWish::parse);
        if let Some(version) = version {
            if blind && sound {
                let what = format!(
                    "version_id is to be the {} one, which nobody looks up",
                    version.as_str()
                );
                let hint = "give the version's id, or leave --snapshot off out";
                self.wrong(Column::Wish(Field::VersionId), &what, hint);
                return None;
            }
            update.version_id = None;
        }
        sound.then_some((update, version, guards))
    }
}

/// The version that `word` nearly wishes for.
fn near_wish(word: &str) -> Option<&'static str> {
    let wishes = [VersionWish::Active, VersionWish::Latest].map(VersionWish::as_str);
    // An id is longer.
    let is_short = word.len() <= "latest".len() + 2;
    suggestion(word, wishes).filter(|_| is_short && VersionWish::parse(word).is_none())
}

/// Whether `text` begins as the service's times do: a date, `T`, hours and minutes. The rest of
/// their notation varies, and is compared as it stands.
fn is_a_time(text: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd";
    text.len() >= shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                wanted => byte == wanted,
            })
}

/// Reads an update alone, as `[defaults]` and `--set` give it.
pub fn read_update(draft: &impl Draft, problems: &mut Problems) -> Update {
    let mut update = Update::default();
    let mut desk = Desk::new(draft, problems);
    for field in Field::ALL {
        if let Ok(Some(value)) = desk.value(Column::Wish(field), field) {
            update.set(field, value);
        }
    }
    update
}
