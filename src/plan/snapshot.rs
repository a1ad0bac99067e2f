//! The live states of workflows as they were read, on disk: sixteen bytes each are held in memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use crate::model::target::{LaneId, Workspace};
use crate::model::version::Version;
use crate::model::workflow::Listed;

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
    file: F,
    /// What is not written yet.
    buffer: Vec<u8>,
    end: u64,
    /// Hash and offset, sorted up to the last [`Snapshot::settle`].
    index: Vec<(u64, u64)>,
    living: HashMap<(LaneId, Workspace), u64>,
}

impl<F: Read + Write + Seek> Snapshot<F> {
    /// An empty one, kept in `file`.
    pub fn new(file: F) -> Self {
        Self {
            file,
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
        let mut snapshot = Self::new(file);
        snapshot.file.seek(SeekFrom::Start(0))?;
        let mut index = Vec::new();
        let mut end = 0;
        for bytes in BufReader::new(&mut snapshot.file).split(b'\n') {
            let bytes = bytes?;
            let Ok(line) = serde_json::from_slice::<Line>(&bytes) else {
                break;
            };
            let (lane, workspace) = (line.lane, &line.workspace);
            if let Some(listed) = &line.listed {
                let workflow = &listed.workflow;
                index.push((key_of(About::Name, lane, workspace, &workflow.name), end));
                index.push((key_of(About::Workflow, lane, workspace, &workflow.id), end));
            }
            if let Some(of) = &line.versions_of {
                index.push((key_of(About::Versions, lane, workspace, of), end));
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
        let name = key_of(About::Name, lane, workspace, &listed.workflow.name);
        self.index.push((name, self.next_offset()));
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
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&self.buffer)?;
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
        let Some(listed) = self.listed(lane, workspace, workflow_id)? else {
            return Ok(None);
        };
        let versions = self.find(
            key_of(About::Versions, lane, workspace, workflow_id),
            |line| match line.versions_of {
                Some(of)
                    if of == workflow_id && line.lane == lane && line.workspace == *workspace =>
                {
                    Some(line.versions)
                }
                Some(_) | None => None,
            },
        )?;
        Ok(Some(Live {
            workflow: listed.workflow,
            versions,
        }))
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
        self.find(
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
        self.find(key_of(About::Name, lane, workspace, name), |line| {
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
        let from = self.index.partition_point(|(known, _)| *known < key);
        let same = self.index[from..]
            .iter()
            .take_while(|(known, _)| *known == key);
        let offsets: Vec<_> = same.map(|(_, offset)| *offset).collect();
        let mut found = Vec::new();
        for offset in offsets {
            let line = self.line(offset)?;
            let Some(listed) = line.listed.filter(|listed| listed.workflow.name == name) else {
                continue;
            };
            let id = listed.workflow.id;
            if line.lane == lane && line.workspace == *workspace && !found.contains(&id) {
                found.push(id);
            }
        }
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

    /// The newest line with this hash that `take` takes.
    fn find<T>(&mut self, key: u64, take: impl Fn(Line) -> Option<T>) -> io::Result<Option<T>> {
        let from = self.index.partition_point(|(known, _)| *known < key);
        let same = self.index[from..]
            .iter()
            .take_while(|(known, _)| *known == key);
        let offsets: Vec<_> = same.map(|(_, offset)| *offset).collect();
        for offset in offsets.into_iter().rev() {
            if let Some(found) = take(self.line(offset)?) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn line(&mut self, offset: u64) -> io::Result<Line> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(1_024);
        BufReader::with_capacity(1_024, &mut self.file).read_until(b'\n', &mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Every workflow, in the order in which they were first read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn each(
        &mut self,
        mut take: impl FnMut(LaneId, &Workspace, &Listed) -> io::Result<()>,
    ) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut offset = 0;
        let mut line = Vec::new();
        loop {
            self.file.seek(SeekFrom::Start(offset))?;
            let mut reader = BufReader::with_capacity(65_536, &mut self.file);
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

    /// The file that it is kept in.
    pub fn into_file(self) -> F {
        self.file
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
        let mut snapshot = Snapshot::new(Cursor::new(Vec::new()));
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
