//! What the rows of a job are, all in all, and which of them are for one workflow.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::model::id::{Id, same_id};
use crate::model::route::Route;
use crate::model::row::{Row, Said};
use crate::model::target::{LaneId, Workspace};

use super::problem::{Place, Problem};
use super::problems::Problems;
use super::selection::{Selection, Selector};
use super::stored_rows::{Target, Targets};

/// What a job's rows are, all in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Rows that name their workflow.
    pub named: u64,
    /// What the rows that are taken up wish.
    pub wishes: Wishes,
    /// What all rows say, taken together.
    pub said: Said,
}

/// The rows that go one way, on behalf of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneCensus {
    /// Which.
    pub route: Route,
    /// Rows that are taken up.
    pub rows: u64,
    /// Where they go, in the order in which rows first go there.
    pub places: Vec<PlaceCensus>,
    /// Whether a change looks for rows there.
    pub is_searched: bool,
}

/// The rows that go to one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceCensus {
    /// Which.
    pub workspace: Workspace,
    /// Rows that are taken up.
    pub rows: u64,
}

impl LaneCensus {
    /// Whether anything leaves by it.
    pub fn is_used(&self) -> bool {
        self.rows > 0 || self.is_searched
    }
}

impl Census {
    /// Has a lane for each of `routes`.
    pub fn meet(&mut self, routes: &[Route]) {
        for route in routes.iter().skip(self.lanes.len()) {
            self.lanes.push(LaneCensus {
                route: route.clone(),
                rows: 0,
                places: Vec::new(),
                is_searched: false,
            });
        }
    }

    /// How many workspaces the rows go to.
    pub fn workspaces(&self) -> u64 {
        let lanes = self.lanes.iter();
        lanes.map(|lane| lane.places.len() as u64).sum()
    }
}

/// How many rows wish what. A row that enables and renames counts for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Counts rows, one after the other, and takes out those that the user did not choose.
///
/// Memory grows by 8 bytes a row, and with the rows that seem to be there twice.
pub struct Counting<'a> {
    selection: &'a Selection,
    selector: Selector,
    census: Census,
    targets: Targets,
    /// Of each target: its hash, and the place of its workspace in the census, once a row that goes there was taken up.
    met: Vec<(u64, Option<usize>)>,
    /// The places of those workspaces; two spellings of one are the same.
    places: HashMap<(LaneId, Workspace), usize>,
    hashes: Vec<u64>,
}

/// A row that was counted.
pub struct Counted {
    /// The place of its target.
    pub target: usize,
    /// Why the user took it out, if they did; the reason may be empty.
    pub left_out: Option<String>,
}

impl<'a> Counting<'a> {
    /// No row was counted yet.
    pub fn new(selection: &'a Selection) -> Self {
        Self {
            selection,
            selector: selection.selector(),
            census: Census::default(),
            targets: Targets::default(),
            met: Vec::new(),
            places: HashMap::new(),
            hashes: Vec::new(),
        }
    }

    /// Whether the user chose `row`, the next one, as it is written.
    pub fn chooses(&mut self, row: &Row) -> bool {
        self.selector.takes(row)
    }

    /// Counts `row` of the stage at `stage`; its lane is one of `routes`.
    pub fn count(&mut self, row: &Row, stage: usize, routes: &[Route]) -> Counted {
        let is_chosen = self.chooses(row);
        self.count_completed(row, is_chosen, stage, routes)
    }

    /// The same where [`Counting::chooses`] has told of the row as it was written before it was completed: a choice by what it says,
    /// and the part that it is in, must not change with its workflow's id. Only a hold may be for that.
    pub fn count_completed(
        &mut self,
        row: &Row,
        is_chosen: bool,
        stage: usize,
        routes: &[Route],
    ) -> Counted {
        self.census.meet(routes);
        self.census.rows += 1;
        self.census.said.see(row);
        let target = self.targets.place_of(row);
        if self.met.len() <= target {
            let hash = routes.get(row.lane.0).map_or(0, |route| hash(row, route));
            self.met.push((hash, None));
        }
        let (hash, place) = &mut self.met[target];
        self.hashes
            .push(spread_id(*hash, &row.workflow_id) ^ stage as u64);
        let hold = self.selection.held(&row.workflow_id);
        if !is_chosen || hold.is_some() {
            self.census.skipped += 1;
            if hold.is_some() {
                self.census.held += 1;
                self.census.held_ids.insert(same_id(&row.workflow_id));
            }
            let why = match is_chosen {
                true => hold.map(str::to_owned),
                false => self.selection.why_left_out(row),
            };
            return Counted {
                target,
                left_out: Some(why.unwrap_or_default()),
            };
        }
        self.census.wishes.count(row);
        self.census.named += u64::from(row.called.is_some());
        let lane = &mut self.census.lanes[row.lane.0];
        lane.rows += 1;
        let place = *place.get_or_insert_with(|| {
            let key = (row.lane, row.workspace.clone());
            *self.places.entry(key).or_insert_with(|| {
                lane.places.push(PlaceCensus {
                    workspace: row.workspace.clone(),
                    rows: 0,
                });
                lane.places.len() - 1
            })
        });
        lane.places[place].rows += 1;
        Counted {
            target,
            left_out: None,
        }
    }

    /// What they are, where they go, which parts of `--only` no row matched, and which rows may be for one workflow.
    pub fn finish(self) -> (Census, Vec<Target>, Vec<String>, Suspects) {
        let mut hashes = self.hashes;
        hashes.sort_unstable();
        let twice = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        let suspects = Suspects(twice.map(|pair| pair[0]).collect());
        (
            self.census,
            self.targets.into_all(),
            self.selector.idle(),
            suspects,
        )
    }
}

/// The same for targets that are one; for others hardly ever. Two that are made the same on purpose gain nothing: rows are
/// compared in full.
fn hash(row: &Row, route: &Route) -> u64 {
    let hash = route.endpoint.as_str().bytes().fold(0, spread);
    let hash = spread_id(hash, &row.workspace.project_id);
    spread_id(hash, &row.workspace.workspace_id)
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

/// Hashes that more than one row has.
#[derive(Debug, Default)]
pub struct Suspects(HashSet<u64>);

impl Suspects {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The rows among suspects that are for one workflow, as all rows are shown once more.
pub struct Duplicates<'a> {
    suspects: &'a Suspects,
    first: HashMap<(usize, [String; 4]), (u64, u64)>,
}

impl<'a> Duplicates<'a> {
    /// Those among `suspects`.
    pub fn among(suspects: &'a Suspects) -> Self {
        Self {
            suspects,
            first: HashMap::new(),
        }
    }

    /// Tells `row` of the stage at `stage`, which leaves by `route` and stands at `place`, if an earlier row of the stage is for
    /// its workflow.
    pub fn see(
        &mut self,
        row: &Row,
        stage: usize,
        route: &Route,
        place: impl FnOnce() -> Place,
        problems: &mut Problems,
    ) {
        let own = spread_id(hash(row, route), &row.workflow_id) ^ stage as u64;
        if !self.suspects.0.contains(&own) {
            return;
        }
        let Workspace {
            project_id,
            workspace_id,
        } = &row.workspace;
        let [project, workspace, workflow] =
            [project_id, workspace_id, &row.workflow_id].map(same_id);
        let key = (
            stage,
            [route.endpoint.to_string(), project, workspace, workflow],
        );
        match self.first.get(&key) {
            Some((number, line)) => problems.push(Problem::new(
                place(),
                "a second row for the same workflow",
                format!("the first is row {number}, on line {line}; make one row of them"),
            )),
            None => {
                self.first.insert(key, (row.number, row.line));
            }
        }
    }
}
