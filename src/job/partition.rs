//! `--partition I/N`: one of several parts of a job, each carried out by a process of its own.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::model::row::Row;
use crate::policy::budget::Most;
use crate::policy::ceiling::Ceilings;

use crate::model::id::same_id;

/// How one is written, for hints.
pub const HINT: &str = "write which part of how many: 3/8; or auto, in a Kubernetes Indexed Job";

/// The most parts: a process of this program is good for more rows a second than a service admits.
const MOST: u32 = 1_000;

/// One of several parts of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Partition {
    /// From 1.
    part: u32,
    of: u32,
}

/// A text that is no part of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a part")]
pub struct PartitionFault;

impl Partition {
    /// Part `part` of `of`, from 1.
    ///
    /// # Errors
    /// There is no such part.
    pub fn new(part: u32, of: u32) -> Result<Self, PartitionFault> {
        let there_is = (1..=of).contains(&part) && of <= MOST;
        there_is.then_some(Self { part, of }).ok_or(PartitionFault)
    }

    /// How many parts there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Which one this is, from 1.
    pub fn part(self) -> u32 {
        self.part
    }

    /// The part that `row` is in, from 1. It goes by what the row is about, never by its place.
    pub fn part_of(self, row: &Row) -> u32 {
        let workflow = match &row.called {
            Some(name) => format!("called {name}"),
            None => same_id(&row.workflow_id),
        };
        let place = [&row.workspace.project_id, &row.workspace.workspace_id].map(same_id);
        let text = format!("{}\n{}\n{workflow}", place[0], place[1]);
        let hash = digest(&SHA256, text.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_ref()[..8]);
        let part = u64::from_be_bytes(first) % u64::from(self.of);
        u32::try_from(part).unwrap_or_default() + 1
    }

    /// What this part may change of what all of them may. A percentage is of all that live there, whoever changes it.
    pub fn share(self, ceilings: Ceilings) -> Ceilings {
        let share = |most: Most| match most {
            Most::Count(count) => Most::Count(count / u64::from(self.of)),
            Most::Percent(percent) => Most::Percent(percent / f64::from(self.of)),
        };
        Ceilings {
            max_changes: ceilings.max_changes.map(share),
            max_disables: ceilings.max_disables.map(share),
            ..ceilings
        }
    }
}

impl FromStr for Partition {
    type Err = PartitionFault;

    fn from_str(text: &str) -> Result<Self, PartitionFault> {
        let (part, of) = text.trim().split_once('/').ok_or(PartitionFault)?;
        let number = |text: &str| text.trim().parse().map_err(|_| PartitionFault);
        Self::new(number(part)?, number(of)?)
    }
}

impl TryFrom<String> for Partition {
    type Error = PartitionFault;

    fn try_from(text: String) -> Result<Self, PartitionFault> {
        text.parse()
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> Self {
        partition.to_string()
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Id;
    use crate::model::target::{LaneId, Workspace};

    fn row(number: u64) -> Row {
        let id = |text: &str| Id::parse(text).unwrap();
        Row::new(
            number,
            LaneId(0),
            Workspace {
                project_id: id("p"),
                workspace_id: id("s"),
            },
            id(&format!("w{number}")),
        )
    }

    #[test]
    fn parts_are_much_of_a_size_and_stay_the_same_for_ever() {
        let partition: Partition = "1/8".parse().unwrap();
        let mut sizes = [0_u32; 8];
        for number in 0..8_000 {
            let part = partition.part_of(&row(number));
            sizes[part as usize - 1] += 1;
        }
        assert!(
            sizes.iter().all(|size| (850..1_150).contains(size)),
            "{sizes:?}"
        );
        // Records of earlier versions must still fit together.
        let parts = [1, 2, 3, 4].map(|number| partition.part_of(&row(number)));
        assert_eq!(parts, [2, 8, 8, 3]);
    }

    #[test]
    fn only_a_part_that_there_is_is_one() {
        for text in ["", "3", "0/8", "9/8", "1/0", "1/1001", "a/b", "-1/8"] {
            assert_eq!(text.parse::<Partition>(), Err(PartitionFault), "{text}");
        }
        assert_eq!("8/8".parse::<Partition>().unwrap().to_string(), "8/8");
    }
}
