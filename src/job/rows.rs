//! The rows of a job: read once to find every problem, and again to be sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read;
use std::rc::Rc;

use crate::model::formula::unguarded;
use crate::model::id::{Id, same_id};
use crate::model::route::Route;
use crate::model::row::Row;
use crate::model::target::{LaneId, Workspace};
use crate::model::update::Update;

use super::builder::Builder;
use super::change::{Change, Scope, Workspaces};
use super::column::Column;
use super::defaults::Defaults;
use super::draft::Draft;
use super::file::Written;
use super::index::Entry;
use super::problem::{Place, Problem};
use super::problems::Problems;
use super::selection::Selection;
use super::settled::{self, Settled};
use super::table::Table;
use super::template::Template;

/// Reads the rows of a job in input order: part by part, of each `[[update]]` first, then the table.
pub struct Reader<R> {
    builder: Builder,
    parts: Vec<Part<R>>,
    /// The part that is read, by its place.
    at: usize,
    /// The last rows of stages whose rows have come together in one part.
    borders: Vec<u64>,
    next_update: usize,
    /// Whether the row that was read last is one of the rest.
    is_in_rest: bool,
}

/// A part of a job's rows: a stage, or all of them.
pub struct Part<R> {
    /// What its rows are completed by, if not by the same as all.
    pub wishes: Option<(Update, Rc<[Template]>)>,
    /// Rows of the job file.
    pub updates: Rc<[Written]>,
    /// Rows besides those.
    pub rest: Rest<R>,
    /// The number of its last row, once that is known.
    pub last: u64,
}

/// Rows besides those of the job file.
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Rest<R> {
    /// There are none.
    None,
    /// Those of a CSV.
    Table(Table<R>),
    /// Those that leave nothing open.
    Settled(Settled<R>),
}

/// What a job's rows are, all in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rows.
    pub rows: u64,
    /// Rows that the user took out.
    pub skipped: u64,
    /// Those of them that a hold list names.
    pub held: u64,
    /// Their workflows, by [`same_id`].
    pub held_ids: BTreeSet<String>,
    /// Where they go, in the order of the lanes' numbers.
    pub lanes: Vec<LaneCensus>,
    /// A row that has no region and no endpoint.
    pub astray: Option<Place>,
    /// Whether some rows go where something names, and others to the environment's region for want
    /// of that.
    pub region_left_out: bool,
    /// Lanes with a project that is to be looked up.
    pub without_project: Vec<LaneId>,
    /// Rows that name their workflow.
    pub named: u64,
    /// Workspaces that are to be looked up, and where they are named first: lane, project, name.
    pub without_workspace: BTreeMap<(LaneId, Id, String), Place>,
    /// Where changes look for rows.
    pub scopes: Vec<Scope>,
    /// Regions whose rows take a project from a place that names no region.
    pub with_stray_project: Vec<String>,
    /// What the rows that are taken up wish.
    pub wishes: Wishes,
    /// The first row of each stage that asks for a wave, and its stage.
    pub waved: Vec<(usize, Place)>,
    /// The parts of `--only` that no row matched.
    pub idle: Vec<String>,
}

/// The rows that go one way, on behalf of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneCensus {
    /// Which.
    pub route: Route,
    /// Rows that are taken up.
    pub rows: u64,
    /// Workspaces that those rows go to.
    pub workspaces: u64,
    /// That of the first of them.
    pub first_workspace: Option<Workspace>,
    /// All of them.
    pub places: Vec<Workspace>,
    /// Whether a change looks for rows there.
    pub is_searched: bool,
}

impl LaneCensus {
    /// Whether anything leaves by it.
    pub fn is_used(&self) -> bool {
        self.rows > 0 || self.is_searched
    }
}

impl Census {
    /// Has a lane for each of `routes`.
    fn meet(&mut self, routes: &[Route]) {
        for route in routes.iter().skip(self.lanes.len()) {
            self.lanes.push(LaneCensus {
                route: route.clone(),
                rows: 0,
                workspaces: 0,
                first_workspace: None,
                places: Vec::new(),
                is_searched: false,
            });
        }
    }

    /// Workspaces that the rows go to.
    pub fn workspaces(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.workspaces).sum()
    }
}

/// How many rows wish what. A row that enables and renames counts for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// To run.
    pub enabled: u64,
    /// Not to run.
    pub disabled: u64,
    /// Another name.
    pub renamed: u64,
    /// Another description, label or version.
    pub otherwise: u64,
    /// Those that are read first.
    pub guarded: u64,
}

impl Wishes {
    fn count(&mut self, row: &Row) {
        let update = &row.update;
        self.enabled += u64::from(update.enabled == Some(true));
        self.disabled += u64::from(update.enabled == Some(false));
        self.renamed += u64::from(update.name.is_some());
        let version = update.version_id.is_some() || row.version.is_some();
        let version = version && update.enabled != Some(true);
        let otherwise = update.description.is_some() || update.labels.is_some() || version;
        self.otherwise += u64::from(otherwise);
        self.guarded += u64::from(!row.guards.is_empty());
    }

    /// `2 to be enabled, 1 to be renamed`, or what there is.
    pub fn text(&self) -> String {
        let parts = [
            (self.enabled, "to be enabled"),
            (self.disabled, "to be disabled"),
            (self.renamed, "to be renamed"),
            (self.otherwise, "to be changed otherwise"),
            (self.guarded, "guarded"),
        ];
        let told = parts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = told
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if told.is_empty() {
            "none asks for anything".to_owned()
        } else {
            told.join(", ")
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads `updates`, then `rest`.
    pub fn new(defaults: Defaults, updates: Rc<[Written]>, rest: Rest<R>) -> Self {
        let part = Part {
            wishes: None,
            updates,
            rest,
            last: 0,
        };
        Self::over(defaults, vec![part])
    }

    /// Reads `parts`, one after the other.
    pub fn over(defaults: Defaults, parts: Vec<Part<R>>) -> Self {
        let mut reader = Self {
            builder: Builder::new(defaults),
            parts,
            at: 0,
            borders: Vec::new(),
            next_update: 0,
            is_in_rest: false,
        };
        reader.turn_to(0);
        reader
    }

    /// The same rows, of stages which end with the rows of these numbers.
    pub fn bordered_by(self, borders: Vec<u64>) -> Self {
        Self { borders, ..self }
    }

    /// The stage of `row`, in which a workflow may have one row.
    fn stage(&self, row: &Row) -> usize {
        self.at + self.borders.partition_point(|last| *last < row.number)
    }

    /// The next row, or `None` after the last. Rows with problems are told and passed over.
    pub fn next(&mut self, problems: &mut Problems) -> Option<Row> {
        loop {
            if let Some(row) = self.next_of_part(problems) {
                return Some(row);
            }
            if !self.next_part() {
                return None;
            }
        }
    }

    /// Turns to the next part, if there is one.
    pub fn next_part(&mut self) -> bool {
        if let Some(part) = self.parts.get_mut(self.at) {
            part.last = self.builder.count();
        }
        let is_there = self.at + 1 < self.parts.len();
        if is_there {
            self.turn_to(self.at + 1);
            (self.next_update, self.is_in_rest) = (0, false);
        }
        is_there
    }

    /// The numbers of the last rows of the parts that were read.
    pub fn lasts(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().map(|part| part.last)
    }

    fn turn_to(&mut self, at: usize) {
        self.at = at;
        if let Some((update, templates)) = self.parts.get(at).and_then(|part| part.wishes.as_ref())
        {
            self.builder.complete_by(update, templates);
        }
    }

    /// The next row of this part, or `None` after its last.
    pub fn next_of_part(&mut self, problems: &mut Problems) -> Option<Row> {
        let part = self.parts.get_mut(self.at)?;
        while let Some(update) = part.updates.get(self.next_update) {
            self.next_update += 1;
            if update.broken {
                continue;
            }
            self.is_in_rest = false;
            if let Some(row) = self.builder.build(update, problems) {
                return Some(row);
            }
        }
        self.is_in_rest = true;
        match &mut part.rest {
            Rest::None => None,
            Rest::Table(table) => {
                while table.advance(problems) {
                    if let Some(row) = self.builder.build(table, problems) {
                        return Some(row);
                    }
                }
                None
            }
            Rest::Settled(rows) => match rows.next_row() {
                Ok(Some(row)) if self.builder.routes().get(row.lane.0).is_none() => {
                    let what = format!("row {} goes nowhere", row.number);
                    problems.push(unreadable(&std::io::Error::other(what)));
                    None
                }
                Ok(row) => {
                    if let Some(row) = &row {
                        self.builder.met(row.number);
                    }
                    row
                }
                Err(error) => {
                    problems.push(unreadable(&error));
                    None
                }
            },
        }
    }

    /// The rest of the part that is read.
    fn rest(&self) -> &Rest<R> {
        self.parts
            .get(self.at)
            .map_or(&Rest::None, |part| &part.rest)
    }

    /// The row of the job file that was read last.
    fn update(&self) -> Option<&Written> {
        let part = self.parts.get(self.at)?;
        part.updates.get(self.next_update.checked_sub(1)?)
    }

    /// The row that was read last, completed by `further` as well.
    pub fn complete(&mut self, further: &Update, problems: &mut Problems) -> Option<Row> {
        let part = self.parts.get(self.at)?;
        match &part.rest {
            Rest::Table(table) if self.is_in_rest => {
                self.builder.complete(table, further, problems)
            }
            Rest::Table(_) | Rest::Settled(_) | Rest::None => {
                let update = part.updates.get(self.next_update.checked_sub(1)?)?;
                self.builder.complete(update, further, problems)
            }
        }
    }

    /// The cells of the row that was read last, by the names of their columns.
    pub fn cells(&self) -> BTreeMap<String, String> {
        let owned = |(name, cell): (&str, &str)| (name.to_owned(), unguarded(cell).to_owned());
        match self.rest() {
            Rest::Table(table) if self.is_in_rest => table.cells().map(owned).collect(),
            Rest::Table(_) | Rest::Settled(_) | Rest::None => {
                let cells = self.update().into_iter().flat_map(Written::cells);
                cells
                    .map(|(column, cell)| owned((column.as_str(), &cell.value)))
                    .collect()
            }
        }
    }

    /// Builds rows that stand in no file, numbered after those that were read.
    pub fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }

    /// Where in the table the row that was read last begins, in bytes; 0 for rows of the job file.
    pub fn offset(&self) -> u64 {
        match self.rest() {
            Rest::Table(table) if self.is_in_rest => table.offset(),
            Rest::Settled(rows) if self.is_in_rest => rows.offset(),
            Rest::Table(_) | Rest::Settled(_) | Rest::None => 0,
        }
    }

    /// The part that holds row `number`, by its place.
    pub fn part_of(&self, number: u64) -> usize {
        let before = self.parts.partition_point(|part| part.last < number);
        before.min(self.parts.len().saturating_sub(1))
    }

    /// The row at `entry`, which has been read before; `bytes` are those of its part's table from there on.
    pub fn row_at(
        &mut self,
        entry: Entry,
        bytes: impl Read,
        problems: &mut Problems,
    ) -> Option<Row> {
        let number = u64::from(entry.number);
        let at = self.part_of(number);
        if at != self.at {
            self.turn_to(at);
        }
        let before = at.checked_sub(1).and_then(|at| self.parts.get(at));
        let before = before.map_or(0, |part| part.last);
        let part = self.parts.get_mut(at)?;
        let update = number
            .checked_sub(before + 1)
            .and_then(|index| part.updates.get(usize::try_from(index).ok()?));
        if let Some(update) = update {
            return self.builder.build_as(number, update, problems);
        }
        match &mut part.rest {
            Rest::None => None,
            Rest::Table(table) => {
                if !table.seat(bytes, entry.line.into()) {
                    return None;
                }
                self.builder.build_as(number, table, problems)
            }
            Rest::Settled(_) => match settled::row_at(bytes) {
                Ok(row) => row.filter(|row| row.number == number),
                Err(error) => {
                    problems.push(unreadable(&error));
                    None
                }
            },
        }
    }

    /// Where the row that was read last stands, for problems with it as a whole.
    pub fn place(&self) -> Place {
        match self.rest() {
            Rest::Table(table) if self.is_in_rest => table.place(Column::WorkflowId),
            Rest::Settled(_) if self.is_in_rest => Place::File("the rows on record".into()),
            Rest::Table(_) | Rest::Settled(_) | Rest::None => match self.update() {
                Some(update) => update.place(Column::WorkflowId),
                None => Place::Job(0..0),
            },
        }
    }

    /// Reads every row, and where `changes` look for more; tells every problem, and counts.
    ///
    /// Memory grows by 8 bytes a row, and with the rows that seem to be there twice: those are
    /// suspects until [`Reader::confirm_duplicates`] has read them again.
    pub fn census(
        &mut self,
        selection: &Selection,
        changes: &[Change],
        problems: &mut Problems,
    ) -> (Census, Suspects) {
        let mut selector = selection.selector();
        let mut census = Census::default();
        let mut hashes: Vec<u64> = Vec::new();
        let mut last = None;
        let mut workspaces: Vec<BTreeSet<Workspace>> = Vec::new();
        while let Some(row) = self.next(problems) {
            let lane = row.lane.0;
            census.meet(self.builder.routes());
            workspaces.resize_with(census.lanes.len(), BTreeSet::new);
            hashes.push(self.hash(&row, &mut last));
            if row.wave.is_some() {
                let stage = self.stage(&row);
                if census.waved.last().is_none_or(|(last, _)| *last != stage) {
                    census.waved.push((stage, self.place()));
                }
            }
            if !selector.takes(&row) {
                census.skipped += 1;
                if selection.held(&row.workflow_id).is_some() {
                    census.held += 1;
                    census.held_ids.insert(same_id(&row.workflow_id));
                }
                continue;
            }
            census.wishes.count(&row);
            census.named += u64::from(row.called.is_some());
            let lane_census = &mut census.lanes[lane];
            lane_census.rows += 1;
            if !workspaces[lane].contains(&row.workspace) {
                lane_census.workspaces += 1;
                lane_census
                    .first_workspace
                    .get_or_insert_with(|| row.workspace.clone());
                workspaces[lane].insert(row.workspace);
            }
        }
        for (lane, workspaces) in census.lanes.iter_mut().zip(workspaces) {
            lane.places.extend(workspaces);
        }
        census.rows = self.builder.count();
        for (index, change) in changes.iter().enumerate() {
            let Some((lane, project_id, workspace_id)) = self.builder.scope(change, problems)
            else {
                continue;
            };
            if workspace_id.is_none() && matches!(change.workspaces, Workspaces::OfTheJob) {
                problems.push(Problem::new(
                    change.whole(),
                    "the change has no workspace to look in",
                    "name them (workspaces = [\"SOC Berlin\"]), write workspaces = \"all\", or set [target] workspace_id",
                ));
            }
            census.meet(self.builder.routes());
            census.lanes[lane.0].is_searched = true;
            census.scopes.push(Scope {
                change: index,
                lane,
                project_id,
                workspace_id,
            });
        }
        census.meet(self.builder.routes());
        let named = self.builder.without_workspace.drain();
        census.without_workspace = named
            .filter(|((lane, project_id, name), _)| {
                // Only those of rows that are taken up.
                let stand_in = Row::stand_in(name).map(|workspace_id| Workspace {
                    project_id: project_id.clone(),
                    workspace_id,
                });
                let places = &census.lanes[lane.0].places;
                stand_in.is_some_and(|stand_in| places.contains(&stand_in))
            })
            .collect();
        census.idle = selector.idle();
        census.with_stray_project = std::mem::take(&mut self.builder.with_stray_project);
        census.astray = self.builder.astray.take();
        census.region_left_out = self.builder.by_environment && self.builder.by_name;
        census.without_project = std::mem::take(&mut self.builder.without_project);
        census
            .without_project
            .retain(|lane| census.lanes.get(lane.0).is_some_and(LaneCensus::is_used));
        hashes.sort_unstable();
        let twice = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        (census, Suspects(twice.map(|pair| pair[0]).collect()))
    }

    /// What two rows for one workflow have in common.
    fn identity(&self, row: &Row) -> [String; 4] {
        let Workspace {
            project_id,
            workspace_id,
        } = &row.workspace;
        let endpoint = &self.builder.routes()[row.lane.0].endpoint;
        let [project, workspace, workflow] =
            [project_id, workspace_id, &row.workflow_id].map(same_id);
        [endpoint.to_string(), project, workspace, workflow]
    }

    /// The same for rows with the same identity; for others hardly ever. Whoever makes two that are the same gains
    /// nothing: they are compared in full. `last` is where the row before it went.
    fn hash(&self, row: &Row, last: &mut Option<HashedPlace>) -> u64 {
        let place = match last {
            Some(last) if last.lane == row.lane && last.workspace == row.workspace => last.hash,
            Some(_) | None => {
                let endpoint = &self.builder.routes()[row.lane.0].endpoint;
                let hash = endpoint.as_str().bytes().fold(0, spread);
                let hash = spread_id(hash, &row.workspace.project_id);
                let place = HashedPlace {
                    lane: row.lane,
                    workspace: row.workspace.clone(),
                    hash: spread_id(hash, &row.workspace.workspace_id),
                };
                last.insert(place).hash
            }
        };
        spread_id(place, &row.workflow_id) ^ self.stage(row) as u64
    }

    /// Where the lanes lead that rows have taken so far, in the order of their numbers.
    pub fn routes(&self) -> &[Route] {
        self.builder.routes()
    }

    /// Tells the rows among `suspects` that are for one workflow, reading every row again.
    pub fn confirm_duplicates(&mut self, suspects: &Suspects, problems: &mut Problems) {
        let mut first: HashMap<(usize, [String; 4]), (u64, u64)> = HashMap::new();
        let (mut told, mut last) = (Problems::default(), None);
        while let Some(row) = self.next(&mut told) {
            if !suspects.0.contains(&self.hash(&row, &mut last)) {
                continue;
            }
            let key = (self.stage(&row), self.identity(&row));
            match first.get(&key) {
                Some((number, line)) => problems.push(Problem::new(
                    self.place(),
                    "a second row for the same workflow",
                    format!("the first is row {number}, on line {line}; make one row of them"),
                )),
                None => {
                    first.insert(key, (row.number, row.line));
                }
            }
        }
    }
}

/// Where a row goes, hashed: most go where the one before them went.
struct HashedPlace {
    lane: LaneId,
    workspace: Workspace,
    hash: u64,
}

/// `hash` with `byte` in it, whatever its case.
fn spread(hash: u64, byte: u8) -> u64 {
    // Of FxHash (Firefox, rustc): one multiplication spreads what was added.
    const SPREAD: u64 = 0x517c_c1b7_2722_0a95;
    (hash.rotate_left(5) ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(SPREAD)
}

/// `hash` with `id` in it: two spellings of one UUID may differ in dashes and case.
fn spread_id(hash: u64, id: &Id) -> u64 {
    let plain = id.as_str().bytes().filter(|byte| *byte != b'-');
    spread(plain.fold(hash, spread), b'/')
}

/// Rows that were written by this program cannot be read any more.
fn unreadable(error: &std::io::Error) -> Problem {
    Problem::new(
        Place::File("the rows on record".into()),
        format!("they cannot be read: {error}"),
        "run the job again",
    )
}

/// Hashes that more than one row has.
#[derive(Debug, Default)]
pub struct Suspects(HashSet<u64>);

impl Suspects {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
