//! The live states of workflows as they were read, on disk: sixteen bytes each are held in memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use crate::model::id::is_same_text;
use crate::model::line_window::LineWindow;
use crate::model::target::{LaneId, Workspace};
use crate::model::version::Version;
use crate::model::workflow::{Listed, Workflow};

use super::decision::Live;

/// What was read, one JSON object a line.
#[derive(Serialize, Deserialize)]
struct Line {
    lane: LaneId,
    workspace: Workspace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed: Option<Listed>,
    /// Whose versions they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    versions_of: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versions: Vec<Version>,
}

/// A line of a workflow, as far as it is compared.
#[derive(Deserialize)]
struct Seen<'a> {
    lane: LaneId,
    #[serde(borrow)]
    workspace: SeenWorkspace<'a>,
    listed: Option<SeenListed>,
}

#[derive(Deserialize)]
struct SeenWorkspace<'a> {
    project_id: &'a str,
    workspace_id: &'a str,
}

#[derive(Deserialize)]
struct SeenListed {
    workflow: Workflow,
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
    living: HashMap<(LaneId, Workspace), u64>,
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
            living: HashMap::new(),
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
        let mut index = Vec::new();
        let mut end = 0;
        for bytes in BufReader::new(file).split(b'\n') {
            let bytes = bytes?;
            let Ok(line) = serde_json::from_slice::<Line>(&bytes) else {
                break;
            };
            let (lane, workspace) = (line.lane, &line.workspace);
            if let Some(listed) = &line.listed {
                let workflow = &listed.workflow;
                index.push((key_of(About::Workflow, lane, workspace, &workflow.id), end));
            }
            if let Some(of) = &line.versions_of {
                index.push((key_of(About::Versions, lane, workspace, of), end));
                snapshot.has_versions = true;
            }
            end += bytes.len() as u64 + 1;
        }
        (snapshot.index, snapshot.end) = (index, end);
        snapshot.settle()?;
        Ok(snapshot)
    }

    /// Keeps the state of a workflow; what was known of it before counts no more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, lane: LaneId, workspace: &Workspace, listed: &Listed) -> io::Result<()> {
        let key = key_of(About::Workflow, lane, workspace, &listed.workflow.id);
        *self.living.entry((lane, workspace.clone())).or_default() += 1;
        if self.has_names {
            let name = key_of(About::Name, lane, workspace, &listed.workflow.name);
            self.index.push((name, self.next_offset()));
        }
        self.write(
            key,
            &Line {
                lane,
                workspace: workspace.clone(),
                listed: Some(listed.clone()),
                versions_of: None,
                versions: Vec::new(),
            },
        )
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
        versions: Vec<Version>,
    ) -> io::Result<()> {
        self.has_versions = true;
        self.write(
            key_of(About::Versions, lane, workspace, workflow_id),
            &Line {
                lane,
                workspace: workspace.clone(),
                listed: None,
                versions_of: Some(workflow_id.to_owned()),
                versions,
            },
        )
    }

    fn write(&mut self, key: u64, line: &Line) -> io::Result<()> {
        self.index.push((key, self.next_offset()));
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
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
        let key = key_of(About::Workflow, lane, workspace, workflow_id);
        let found = self.each_of(key, |line| {
            let seen: Seen<'_> = serde_json::from_slice(line)?;
            let SeenWorkspace {
                project_id,
                workspace_id,
            } = seen.workspace;
            let is_there = seen.lane == lane
                && is_same_text(workspace_id, workspace.workspace_id.as_str())
                && is_same_text(project_id, workspace.project_id.as_str());
            let found = seen.listed.map(|listed| listed.workflow);
            Ok(found.filter(|workflow| is_there && workflow.id == workflow_id))
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
        let key = key_of(About::Versions, lane, workspace, workflow_id);
        self.find_line(key, |line| match line.versions_of {
            Some(of) if of == workflow_id && line.lane == lane && line.workspace == *workspace => {
                Some(line.versions)
            }
            Some(_) | None => None,
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
        self.find_line(
            key_of(About::Workflow, lane, workspace, workflow_id),
            |line| {
                line.listed.filter(|listed| {
                    listed.workflow.id == workflow_id
                        && line.lane == lane
                        && line.workspace == *workspace
                })
            },
        )
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
        self.find_line(key_of(About::Name, lane, workspace, name), |line| {
            let found = line.listed?.workflow;
            let is_other =
                found.id != workflow_id && line.lane == lane && line.workspace == *workspace;
            (is_other && found.name == name && counts(&found.id)).then_some(found.id)
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
        let key = key_of(About::Name, lane, workspace, name);
        let mut found = Vec::new();
        self.each_of(key, |line| {
            let line: Line = serde_json::from_slice(line)?;
            if let Some(listed) = line.listed
                && listed.workflow.name == name
                && line.lane == lane
                && line.workspace == *workspace
                && !found.contains(&listed.workflow.id)
            {
                found.push(listed.workflow.id);
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
        mut take: impl FnMut(Line) -> Option<T>,
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
                let line: Line = serde_json::from_slice(&line)?;
                let Some(listed) = &line.listed else { continue };
                let key = key_of(
                    About::Workflow,
                    line.lane,
                    &line.workspace,
                    &listed.workflow.id,
                );
                let from = self.index.partition_point(|(known, _)| *known < key);
                // A workflow that was on two pages, because others came or went, counts once.
                if self
                    .index
                    .get(from)
                    .is_some_and(|first| *first == (key, here))
                {
                    take(line.lane, &line.workspace, listed)?;
                }
            }
        }
    }

    /// How many workflows were seen in `workspace`.
    pub fn living(&self, lane: LaneId, workspace: &Workspace) -> u64 {
        self.living
            .get(&(lane, workspace.clone()))
            .copied()
            .unwrap_or_default()
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
            .keep_versions(LaneId(0), &here, "w7", vec![Version::default()])
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
