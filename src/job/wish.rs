//! From the cells of a row, or the keys of an `[[update]]`, to a [`Row`].

use crate::model::formula::unguarded;
use crate::model::guard::Guards;
use crate::model::id::{Id, trim};
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::{Field, Label, Update};

use super::cell::{BOOLEAN_HINT, EMPTY, boolean};
use super::column::Column;
use super::problem::{Place, Problem, Problems};

/// The longest name or description: the limit of the service's own answers. What the service
/// takes is not confirmed.
const LONGEST_TEXT: usize = 1_024;

/// The labels that the service documents, for hints.
pub const LABEL_HINT: &str = "the service knows IP, ACCOUNT and DOMAIN; <empty> clears the label";

/// A row as written: cells by column, and where they stand.
pub trait Draft {
    /// The cell, if the row has one; an empty cell says nothing.
    fn cell(&self, column: Column) -> Option<&str>;
    /// Where the cell stands, for problems.
    fn place(&self, column: Column) -> Place;
    /// Where the row stands, for problems.
    fn whole(&self) -> Place;
    /// The line it begins on.
    fn line(&self) -> u64;
}

/// What completes a row that leaves something out.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Project and workspace of the command line; a row must not name others.
    pub flags: Target,
    /// Project and workspace of the job file.
    pub job: Target,
    /// Project and workspace of the environment (or of the simulator), where all else is silent.
    pub environment: Target,
    /// The region of the command line or the job file, and who says so.
    pub region: Region,
    /// For the fields that a row leaves out.
    pub update: Update,
}

/// A project and a workspace, as far as they are given.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The project.
    pub project_id: Option<Id>,
    /// The workspace.
    pub workspace_id: Option<Id>,
}

/// What is said about the region outside the rows.
#[derive(Clone, Debug, Default)]
pub enum Region {
    /// Nothing: the rows may name one.
    #[default]
    Open,
    /// The region and the words for who names it.
    Named(String, &'static str),
    /// An endpoint is given, so that a row's region would contradict it.
    Endpoint,
    /// The simulator, which is in every region.
    Anywhere,
}

/// Builds rows and remembers what they say about the region.
#[derive(Clone, Debug)]
pub struct Builder {
    defaults: Defaults,
    number: u64,
    /// The region that the first row with one names.
    pub region: Option<String>,
    /// Whether a row names none.
    pub region_left_out: bool,
}

impl Builder {
    /// A builder of rows from number 1.
    pub fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            number: 0,
            region: None,
            region_left_out: false,
        }
    }

    /// How many rows there were so far.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// The row that `draft` means, or `None` and its problems.
    pub fn build(&mut self, draft: &impl Draft, problems: &mut Problems) -> Option<Row> {
        self.number += 1;
        let mut desk = Desk { draft, problems };
        let workflow_id = desk.id(Column::WorkflowId);
        if workflow_id.is_none() && desk.text(Column::WorkflowId).is_none() {
            desk.wrong(
                Column::WorkflowId,
                "the row has no workflow_id",
                "give the id as the console or an export shows it",
            );
        }
        self.check_region(&mut desk);
        if desk.text(Column::Profile).is_some() {
            desk.wrong(
                Column::Profile,
                "profiles are not available yet",
                "give region, project_id and workspace_id instead",
            );
        }
        let variable = "HW_PROJECT_ID";
        let project_id = self.target(&mut desk, Column::ProjectId, variable, |target| {
            &target.project_id
        });
        let variable = "FLOWBATCH_WORKSPACE_ID";
        let workspace_id = self.target(&mut desk, Column::WorkspaceId, variable, |target| {
            &target.workspace_id
        });
        let (update, guards) = desk.wishes(&self.defaults.update)?;
        Some(Row {
            number: self.number,
            line: draft.line(),
            lane: LaneId(0),
            workspace: Workspace {
                project_id: project_id?,
                workspace_id: workspace_id?,
            },
            workflow_id: workflow_id?,
            update,
            guards,
        })
    }

    /// The row's own, else the flag's, else the job's, else the environment's.
    fn target<D: Draft>(
        &self,
        desk: &mut Desk<'_, D>,
        column: Column,
        variable: &str,
        pick: impl Fn(&Target) -> &Option<Id>,
    ) -> Option<Id> {
        let name = column.as_str();
        let flag = pick(&self.defaults.flags);
        if desk.text(column).is_some() {
            let own = desk.id(column)?;
            if let Some(flag) = flag.as_ref().filter(|flag| **flag != own) {
                let option = name.replace('_', "-");
                desk.wrong(
                    column,
                    &format!("the row's {name} is not that of --{option}"),
                    &format!("--{option} says {flag}; leave out the flag, or the rows of elsewhere with --only"),
                );
                return None;
            }
            return Some(own);
        }
        let found = [
            flag,
            pick(&self.defaults.job),
            pick(&self.defaults.environment),
        ]
        .into_iter()
        .find_map(Clone::clone);
        if found.is_none() {
            let option = name.replace('_', "-");
            desk.problems.push(Problem::new(
                desk.draft.whole(),
                format!("the row has no {name}"),
                format!("add a column {name}, [target] {name}, --{option} or {variable}"),
            ));
        }
        found
    }

    /// A run reaches one region; a row may name it, but no other.
    fn check_region<D: Draft>(&mut self, desk: &mut Desk<'_, D>) {
        let Some(own) = desk.text(Column::Region) else {
            self.region_left_out = true;
            return;
        };
        let own = trim(own).to_owned();
        let split = "one run reaches one region: split the file by region";
        match (&self.defaults.region, &self.region) {
            (Region::Anywhere, _) => {}
            (Region::Endpoint, _) => desk.wrong(
                Column::Region,
                "the row names a region, the job an endpoint",
                "leave out one of them",
            ),
            (Region::Named(region, _), _) if *region == own => {}
            (Region::Named(region, who), _) => desk.wrong(
                Column::Region,
                &format!("the row's region is not that of {who}"),
                &format!("{who} says {region}; {split}"),
            ),
            (Region::Open, Some(first)) if *first == own => {}
            (Region::Open, Some(first)) => desk.wrong(
                Column::Region,
                "the row's region is not that of the rows before it",
                &format!("they name {first}; {split}"),
            ),
            (Region::Open, None) => match super::intent::region_endpoint(&own) {
                Ok(_) => self.region = Some(own),
                Err(hint) => desk.wrong(Column::Region, "no such region", &hint),
            },
        }
    }
}

/// One draft and where its problems go.
struct Desk<'a, D> {
    draft: &'a D,
    problems: &'a mut Problems,
}

impl<D: Draft> Desk<'_, D> {
    fn wrong(&mut self, column: Column, what: &str, hint: &str) {
        self.problems
            .push(Problem::new(self.draft.place(column), what, hint));
    }

    /// The cell as people mean it, if it says anything.
    fn text(&self, column: Column) -> Option<&str> {
        let cell = unguarded(self.draft.cell(column)?);
        (!cell.is_empty()).then_some(cell)
    }

    /// The cell without blanks around it, if anything is left.
    fn word(&self, column: Column) -> Option<&str> {
        self.text(column).map(trim).filter(|word| !word.is_empty())
    }

    fn id(&mut self, column: Column) -> Option<Id> {
        match Id::parse(self.text(column)?) {
            Ok(id) => Some(id),
            Err(fault) => {
                self.wrong(column, &fault.to_string(), fault.hint());
                None
            }
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
                Some(EMPTY) => Ok(Some(String::new())),
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

    fn free_text(&mut self, column: Column) -> Result<Option<String>, ()> {
        let Some(text) = self.text(column) else {
            return Ok(None);
        };
        let (blank, length) = (trim(text).is_empty(), text.chars().count());
        if text == EMPTY {
            Ok(Some(String::new()))
        } else if blank {
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

    fn version(&mut self, column: Column) -> Result<Option<String>, ()> {
        match self.word(column) {
            None => Ok(None),
            Some(EMPTY) => Ok(Some(String::new())),
            Some("active" | "latest") => {
                let hint = "give the version's id; looking it up is not available yet";
                self.wrong(column, "not a version id", hint);
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

    /// What the row sets and what it expects.
    fn wishes(&mut self, defaults: &Update) -> Option<(Update, Guards)> {
        let mut own = Update::default();
        let mut guards = Guards::default();
        let mut kept_version = None;
        let mut keeps = false;
        let mut sound = true;
        for field in Field::ALL {
            let wish = self.value(Column::Wish(field), field);
            let expected = self.value(Column::Expect(field), field);
            let (Ok(wish), Ok(expected)) = (wish, expected) else {
                sound = false;
                continue;
            };
            let edited = wish.is_some() && wish != expected;
            if let Some(value) = wish.clone().filter(|_| edited) {
                set(&mut own, field, value);
            } else if wish.is_some() {
                keeps = true;
                if field == Field::VersionId {
                    kept_version.clone_from(&wish);
                }
            }
            // An unedited cell asks for nothing, unless a default is to change its field.
            if let Some(expected) = expected
                && (wish.is_none() || edited || defaults.value(field).is_some())
            {
                guards.fields.push((field, expected));
            }
        }
        guards.update_time = self.word(Column::ExpectUpdateTime).map(str::to_owned);
        let mut update = own.or(defaults);
        if update.enabled == Some(true) {
            update.version_id = update.version_id.or(kept_version);
            if update.version_id.as_deref().is_none_or(str::is_empty) && sound {
                self.wrong(
                    Column::Wish(Field::Enabled),
                    "enabled is true, but there is no version_id",
                    "the service wants the id of the version to activate: add a column version_id",
                );
                return None;
            }
        }
        if sound && update.is_empty() && guards.is_empty() && !keeps {
            self.problems.push(Problem::new(
                self.draft.whole(),
                "the row changes nothing",
                "fill in name, description, enabled, version_id or labels, or use --set FIELD=VALUE",
            ));
            return None;
        }
        if update.is_empty() {
            // Only a row that would change something needs to know when it was last changed.
            guards.update_time = None;
        }
        sound.then_some((update, guards))
    }
}

/// Sets `field` to a value that [`Desk::value`] has read.
fn set(update: &mut Update, field: Field, value: String) {
    match field {
        Field::Name => update.name = Some(value),
        Field::Description => update.description = Some(value),
        Field::Enabled => update.enabled = Some(value == "true"),
        Field::VersionId => update.version_id = Some(value),
        Field::Labels => update.labels = Some(Label::parse(&value).unwrap_or(Label::Cleared)),
    }
}

/// Reads an update alone, as `[defaults]` and `--set` give it.
pub fn read_update(draft: &impl Draft, problems: &mut Problems) -> Update {
    let mut update = Update::default();
    let mut desk = Desk { draft, problems };
    for field in Field::ALL {
        if let Ok(Some(value)) = desk.value(Column::Wish(field), field) {
            set(&mut update, field, value);
        }
    }
    update
}
