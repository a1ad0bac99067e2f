//! The live states of workflows as they were read, on disk: sixteen bytes each are held in memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use crate::model::line_window::LineWindow;
use crate::model::target::{LaneId, Workspace};
use crate::model::version::Version;
use crate::model::workflow::{Details, Listed, Workflow};

use super::decision::Live;

/// What was read, one JSON object a line: a workspace, before all that lives in it; a workflow; or versions of one.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Workspace {
        place: usize,
        lane: LaneId,
        workspace: &'a Workspace,
    },
    Workflow {
        place: usize,
        workflow: &'a Workflow,
        details: &'a Details,
    },
    Versions {
        place: usize,
        versions_of: &'a str,
        versions: &'a [Version],
    },
}

/// The same, as it is read.
#[derive(Deserialize)]
struct ReadLine {
    place: usize,
    lane: Option<LaneId>,
    workspace: Option<Workspace>,
    workflow: Option<Workflow>,
    #[serde(default)]
    details: Details,
    versions_of: Option<String>,
    #[serde(default)]
    versions: Vec<Version>,
}

/// A line of a workflow, as far as it is compared.
#[derive(Deserialize)]
struct Seen {
    place: usize,
    workflow: Option<Workflow>,
}

/// What a line is about.
#[derive(Clone, Copy, Hash)]
enum About {
    Workflow,
    Name,
    Versions,
}

/// The live states of workflows.
#[derive(Debug)]
pub struct Snapshot<F> {
    lines: LineWindow<F>,
    /// Whether workflows are found by their names as well.
    has_names: bool,
    /// Whether versions were kept.
    has_versions: bool,
    /// What is not written yet.
    buffer: Vec<u8>,
    end: u64,
    /// Hash and offset, sorted up to the last [`Snapshot::settle`].
    index: Vec<(u64, u64)>,
    /// The workspaces, in the order in which they were met, and how many workflows were seen in each.
    places: Vec<(LaneId, Workspace, u64)>,
    by_place: HashMap<(LaneId, Workspace), usize>,
    /// Where the last one was found: the next is mostly the same.
    last: usize,
}

impl<F: Read + Write + Seek> Snapshot<F> {
    /// An empty one, kept in `file`. With `has_names` workflows are found by their names as well, which takes 16 bytes more for
    /// each.
    pub fn new(file: F, has_names: bool) -> Self {
        Self {
            lines: LineWindow::new(file),
            has_names,
            has_versions: false,
            buffer: Vec::new(),
            end: 0,
            index: Vec::new(),
            places: Vec::new(),
            by_place: HashMap::new(),
            last: 0,
        }
    }

    /// What an earlier session has kept in `file`, as far as it is whole.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(file: F) -> io::Result<Self> {
        let mut snapshot = Self::new(file, false);
        let file = snapshot.lines.file_mut();
        file.seek(SeekFrom::Start(0))?;
        let (mut index, mut places) = (Vec::new(), Vec::new());
        let (mut end, mut has_versions) = (0, false);
        for bytes in BufReader::new(file).split(b'\n') {
            let bytes = bytes?;
            let Ok(line) = serde_json::from_slice::<ReadLine>(&bytes) else {
                break;
            };
            if let (Some(lane), Some(workspace)) = (line.lane, line.workspace) {
                places.push((lane, workspace));
            }
            let Some((lane, workspace)) = places.get(line.place) else {
                break;
            };
            if let Some(workflow) = &line.workflow {
                let key = key_of(About::Workflow, *lane, workspace, &workflow.id);
                index.push((key, end));
            }
            if let Some(of) = &line.versions_of {
                index.push((key_of(About::Versions, *lane, workspace, of), end));
                has_versions = true;
            }
            end += bytes.len() as u64 + 1;
        }
        (snapshot.index, snapshot.end) = (index, end);
        snapshot.has_versions = has_versions;
        for (at, (lane, workspace)) in places.into_iter().enumerate() {
            snapshot.by_place.insert((lane, workspace.clone()), at);
            snapshot.places.push((lane, workspace, 0));
        }
        snapshot.settle()?;
        Ok(snapshot)
    }

    /// The place of a workspace, if it was met.
    fn place_of(&self, lane: LaneId, workspace: &Workspace) -> Option<usize> {
        match self.places.get(self.last) {
            Some((known, there, _)) if *known == lane && there == workspace => Some(self.last),
            Some(_) | None => self.by_place.get(&(lane, workspace.clone())).copied(),
        }
    }

    /// The same; it is met by now.
    fn meet(&mut self, lane: LaneId, workspace: &Workspace) -> io::Result<usize> {
        let place = match self.place_of(lane, workspace) {
            Some(place) => place,
            None => {
                let place = self.places.len();
                self.by_place.insert((lane, workspace.clone()), place);
                self.places.push((lane, workspace.clone(), 0));
                let line = Line::Workspace {
                    place,
                    lane,
                    workspace,
                };
                write(&mut self.buffer, &line)?;
                place
            }
        };
        self.last = place;
        Ok(place)
    }

    /// Keeps the state of a workflow; what was known of it before counts no more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, lane: LaneId, workspace: &Workspace, listed: &Listed) -> io::Result<()> {
        let Listed { workflow, details } = listed;
        let place = self.meet(lane, workspace)?;
        self.places[place].2 += 1;
        let offset = self.next_offset();
        if self.has_names {
            let name = key_of(About::Name, lane, workspace, &workflow.name);
            self.index.push((name, offset));
        }
        let key = key_of(About::Workflow, lane, workspace, &workflow.id);
        self.index.push((key, offset));
        let line = Line::Workflow {
            place,
            workflow,
            details,
        };
        write(&mut self.buffer, &line)?;
        self.flush_much()
    }

    /// Keeps the versions of a workflow.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep_versions(
        &mut self,
        lane: LaneId,
        workspace: &Workspace,
        workflow_id: &str,
        versions: &[Version],
    ) -> io::Result<()> {
        self.has_versions = true;
        let place = self.meet(lane, workspace)?;
        let key = key_of(About::Versions, lane, workspace, workflow_id);
        self.index.push((key, self.next_offset()));
        let line = Line::Versions {
            place,
            versions_of: workflow_id,
            versions,
        };
        write(&mut self.buffer, &line)?;
        self.flush_much()
    }

    /// Writes what is not written yet, if it is much.
    fn flush_much(&mut self) -> io::Result<()> {
        match self.buffer.len() {
            0..65_536 => Ok(()),
            _ => self.flush(),
        }
    }

    /// Where the next line will stand.
    fn next_offset(&self) -> u64 {
        self.end + self.buffer.len() as u64
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = self.lines.file_mut();
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(&self.buffer)?;
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes everything that was kept findable.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn settle(&mut self) -> io::Result<()> {
        self.flush()?;
        self.index.sort_unstable();
        Ok(())
    }

    /// Whether anything is known of a workflow.
    pub fn knows(&self, lane: LaneId, workspace: &Workspace, workflow_id: &str) -> bool {
        let key = key_of(About::Workflow, lane, workspace, workflow_id);
        let from = self.index.partition_point(|(known, _)| *known < key);
        self.index.get(from).is_some_and(|(known, _)| *known == key)
    }

    /// What is known of a workflow.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn live(
        &mut self,
        lane: LaneId,
        workspace: &Workspace,
        workflow_id: &str,
    ) -> io::Result<Option<Live>> {
        let Some(place) = self.place_of(lane, workspace) else {
            return Ok(None);
        };
        let key = key_of(About::Workflow, lane, workspace, workflow_id);
        let found = self.each_of(key, |line| {
            let seen: Seen = serde_json::from_slice(line)?;
            let workflow = seen.workflow.filter(|_| seen.place == place);
            Ok(workflow.filter(|workflow| workflow.id == workflow_id))
        })?;
        let Some(workflow) = found else {
            return Ok(None);
        };
        let versions = match self.has_versions {
            false => None,
            true => self.versions(lane, workspace, workflow_id)?,
        };
        Ok(Some(Live { workflow, versions }))
    }

    fn versions(
        &mut self,
        lane: LaneId,
        workspace: &Workspace,
        workflow_id: &str,
    ) -> io::Result<Option<Vec<Version>>> {
        let place = self.place_of(lane, workspace);
        let key = key_of(About::Versions, lane, workspace, workflow_id);
        self.find_line(key, |line| {
            let is_meant = Some(line.place) == place;
            let of = line.versions_of.filter(|of| is_meant && of == workflow_id);
            of.map(|_| line.versions)
        })
    }

    /// All that is known of a workflow but its versions.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn listed(
        &mut self,
        lane: LaneId,
        workspace: &Workspace,
        workflow_id: &str,
    ) -> io::Result<Option<Listed>> {
        let place = self.place_of(lane, workspace);
        let key = key_of(About::Workflow, lane, workspace, workflow_id);
        self.find_line(key, |line| {
            let is_meant = Some(line.place) == place;
            let (details, workflow) = (line.details, line.workflow);
            let workflow = workflow.filter(|workflow| is_meant && workflow.id == workflow_id)?;
            Some(Listed { workflow, details })
        })
    }

    /// Another workflow than `workflow_id` that is called `name`, among those that `counts` counts.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn namesake(
        &mut self,
        lane: LaneId,
        workspace: &Workspace,
        name: &str,
        workflow_id: &str,
        counts: impl Fn(&str) -> bool,
    ) -> io::Result<Option<String>> {
        let place = self.place_of(lane, workspace);
        let key = key_of(About::Name, lane, workspace, name);
        self.find_line(key, |line| {
            let is_meant = Some(line.place) == place;
            let found = line
                .workflow
                .filter(|found| is_meant && found.name == name)?;
            (found.id != workflow_id && counts(&found.id)).then_some(found.id)
        })
    }

    /// The workflows that are called `name`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn called(
        &mut self,
        lane: LaneId,
        workspace: &Workspace,
        name: &str,
    ) -> io::Result<Vec<String>> {
        let place = self.place_of(lane, workspace);
        let key = key_of(About::Name, lane, workspace, name);
        let mut found = Vec::new();
        self.each_of(key, |line| {
            let seen: Seen = serde_json::from_slice(line)?;
            if let Some(workflow) = seen.workflow
                && Some(seen.place) == place
                && workflow.name == name
                && !found.contains(&workflow.id)
            {
                found.push(workflow.id);
            }
            Ok(None::<()>)
        })?;
        // The first that was read stands first.
        found.reverse();
        Ok(found)
    }

    /// What the workflows of `workspace` are called.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&mut self, lane: LaneId, workspace: &Workspace) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.each(|found_lane, found, listed| {
            if found_lane == lane && found == workspace {
                names.push(listed.workflow.name.clone());
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// What `take` takes of the newest line with this hash that it takes anything of.
    fn find_line<T>(
        &mut self,
        key: u64,
        mut take: impl FnMut(ReadLine) -> Option<T>,
    ) -> io::Result<Option<T>> {
        self.each_of(key, |line| Ok(take(serde_json::from_slice(line)?)))
    }

    /// Shows `take` the lines with this hash, the newest first, until it takes something.
    fn each_of<T>(
        &mut self,
        key: u64,
        mut take: impl FnMut(&[u8]) -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let from = self.index.partition_point(|(known, _)| *known < key);
        let same = self.index[from..]
            .iter()
            .take_while(|(known, _)| *known == key);
        for at in (from..from + same.count()).rev() {
            let line = self.lines.line_at(self.index[at].1)?;
            if let Some(found) = take(line.unwrap_or_default())? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Every workflow, in the order in which they were first read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn each(
        &mut self,
        mut take: impl FnMut(LaneId, &Workspace, &Listed) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut offset = 0;
        let mut line = Vec::new();
        loop {
            let file = self.lines.file_mut();
            file.seek(SeekFrom::Start(offset))?;
            let mut reader = BufReader::with_capacity(65_536, file);
            // Some lines at a time: what `take` does may move the file.
            for _ in 0..1_000 {
                line.clear();
                if reader.read_until(b'\n', &mut line)? == 0 {
                    return Ok(());
                }
                let here = offset;
                offset += line.len() as u64;
                let line: ReadLine = serde_json::from_slice(&line)?;
                let Some(workflow) = line.workflow else {
                    continue;
                };
                let Some((lane, workspace, _)) = self.places.get(line.place) else {
                    continue;
                };
                let details = line.details;
                let listed = Listed { workflow, details };
                let key = key_of(About::Workflow, *lane, workspace, &listed.workflow.id);
                let from = self.index.partition_point(|(known, _)| *known < key);
                // A workflow that was on two pages, because others came or went, counts once.
                if self
                    .index
                    .get(from)
                    .is_some_and(|first| *first == (key, here))
                {
                    take(*lane, workspace, &listed)?;
                }
            }
        }
    }

    /// How many workflows were seen in `workspace`.
    pub fn living(&self, lane: LaneId, workspace: &Workspace) -> u64 {
        let place = self.place_of(lane, workspace);
        let place = place.and_then(|place| self.places.get(place));
        place.map_or(0, |(_, _, living)| *living)
    }

    /// The file that it is kept in; all of it is there since the last [`Snapshot::settle`].
    pub fn file_mut(&mut self) -> &mut F {
        self.lines.file_mut()
    }

    /// The same.
    pub fn into_file(self) -> F {
        self.lines.into_file()
    }
}

/// The names that are nearly `name`, the nearest first, three at most.
pub fn nearest(name: &str, names: &[String]) -> Vec<String> {
    let wanted = name.to_lowercase();
    let likeness = |known: &String| strsim::jaro_winkler(&wanted, &known.to_lowercase());
    let mut near: Vec<_> = names.iter().map(|known| (likeness(known), known)).collect();
    near.retain(|(likeness, _)| *likeness > 0.85);
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    near.into_iter()
        .take(3)
        .map(|(_, known)| known.clone())
        .collect()
}

fn write(buffer: &mut Vec<u8>, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *buffer, line)?;
    buffer.push(b'\n');
    Ok(())
}

fn key_of(about: About, lane: LaneId, workspace: &Workspace, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (about, lane, workspace, id).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::model::id::Id;
    use crate::model::workflow::Workflow;

    fn workspace(id: &str) -> Workspace {
        Workspace {
            project_id: Id::parse("p").unwrap(),
            workspace_id: Id::parse(id).unwrap(),
        }
    }

    fn listed(id: &str, name: &str) -> Listed {
        Listed {
            workflow: Workflow {
                id: id.into(),
                name: name.into(),
                ..Workflow::default()
            },
            ..Listed::default()
        }
    }

    #[test]
    fn what_was_read_last_counts_and_each_workflow_once() {
        let mut snapshot = Snapshot::new(Cursor::new(Vec::new()), true);
        let (here, there) = (workspace("s1"), workspace("s2"));
        for number in 0..2_500 {
            snapshot
                .keep(LaneId(0), &here, &listed(&format!("w{number}"), "old"))
                .unwrap();
        }
        snapshot
            .keep(LaneId(0), &there, &listed("w7", "elsewhere"))
            .unwrap();
        snapshot.settle().unwrap();
        snapshot
            .keep(LaneId(0), &here, &listed("w7", "new"))
            .unwrap();
        snapshot
            .keep_versions(LaneId(0), &here, "w7", &[Version::default()])
            .unwrap();
        snapshot.settle().unwrap();
        let live = snapshot.live(LaneId(0), &here, "w7").unwrap().unwrap();
        assert_eq!(
            (live.workflow.name.as_str(), live.versions.clone()),
            ("new", Some(vec![Version::default()]))
        );
        let other = snapshot.live(LaneId(0), &there, "w7").unwrap().unwrap();
        assert_eq!(
            (other.workflow.name.as_str(), other.versions),
            ("elsewhere", None)
        );
        assert_eq!(snapshot.live(LaneId(0), &there, "w8").unwrap(), None);
        let namesake = |snapshot: &mut Snapshot<_>, id| {
            snapshot
                .namesake(LaneId(0), &here, "new", id, |_| true)
                .unwrap()
        };
        assert_eq!(namesake(&mut snapshot, "w7"), None);
        assert_eq!(namesake(&mut snapshot, "w8").as_deref(), Some("w7"));
        let mut again = Snapshot::open(snapshot.into_file()).unwrap();
        assert_eq!(
            again.live(LaneId(0), &here, "w7").unwrap(),
            Some(live.clone())
        );
        let mut snapshot = again;
        let mut seen = 0;
        snapshot
            .each(|_, _, _| {
                seen += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, 2_501);
    }
}
