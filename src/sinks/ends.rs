//! How each row stands by a journal, in 8 bytes a row.

use std::io::BufRead;

use serde::Deserialize;

use crate::model::event::{Event, Meaning, Method};

use super::reader::{Reader, Unreadable};

/// How each row stands.
#[derive(Clone, Debug, Default)]
pub struct Ends(Vec<Entry>);

/// What a journal says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// It was never sent, and has no end.
    None,
    /// Updates were sent, and none of its ends, if any, stands after the last of them.
    Sent {
        /// So many, in all sessions, [`MOST_COUNTED`] at most.
        attempts: u32,
        /// Whether one of them may have been carried out without a word.
        unproven: bool,
    },
    /// It ended.
    Ended {
        /// Where its last end stands, in bytes.
        offset: u64,
        /// Updates sent for it in all sessions, [`MOST_COUNTED`] at most.
        attempts: u32,
    },
}

/// More updates of one row than this are counted as this many.
pub const MOST_COUNTED: u32 = (1 << 14) - 1;

/// The count of updates in the upper 14 bits, below them whether one is on its way, whether one is in
/// unproven, and the byte at which the end stands. 0 is no end: there stands the run's start.
#[derive(Clone, Copy, Debug, Default)]
struct Entry(u64);

const OFFSET_BITS: u32 = 48;
const OFFSET: u64 = (1 << OFFSET_BITS) - 1;
const UNPROVEN: u64 = 1 << OFFSET_BITS;
const ON_ITS_WAY: u64 = 1 << (OFFSET_BITS + 1);
const COUNT_SHIFT: u32 = OFFSET_BITS + 2;

impl Entry {
    fn sent(self) -> Self {
        let attempts = (self.attempts() + 1).min(MOST_COUNTED);
        Self(u64::from(attempts) << COUNT_SHIFT | self.0 & UNPROVEN | ON_ITS_WAY)
    }

    /// What was on its way was answered; an answer that ends the row leaves it in doubt until the end
    /// itself is on record.
    fn answered(self, meaning: Meaning, unproven: bool) -> Self {
        let ends = matches!(meaning, Meaning::Done | Meaning::Final);
        let unproven = if unproven || ends { UNPROVEN } else { 0 };
        Self(self.0 & !(ON_ITS_WAY | UNPROVEN) | unproven)
    }

    fn ended(self, offset: u64) -> Self {
        Self(self.0 & !(OFFSET | UNPROVEN | ON_ITS_WAY) | offset & OFFSET)
    }

    fn attempts(self) -> u32 {
        (self.0 >> COUNT_SHIFT) as u32
    }

    fn trace(self) -> Trace {
        match (self.0 & OFFSET, self.attempts()) {
            (0, 0) => Trace::None,
            (0, attempts) => Trace::Sent {
                attempts,
                unproven: self.0 & (UNPROVEN | ON_ITS_WAY) != 0,
            },
            (offset, attempts) => Trace::Ended { offset, attempts },
        }
    }
}

impl Ends {
    /// What the journal says of row `number`.
    pub fn of(&self, number: u64) -> Trace {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let entry = index.and_then(|index| self.0.get(index));
        entry.copied().unwrap_or_default().trace()
    }
}

impl Ends {
    /// Whether any row was sent without an end.
    pub fn has_sent(&self) -> bool {
        let is_sent = |entry: &Entry| matches!(entry.trace(), Trace::Sent { .. });
        self.0.iter().any(is_sent)
    }

    /// How many rows were sent and may have been changed without an end that says so: a report calls them `unknown`.
    pub fn in_doubt(&self) -> u64 {
        let is_in_doubt = |entry: &&Entry| {
            let trace = entry.trace();
            matches!(trace, Trace::Sent { unproven: true, .. })
        };
        self.0.iter().filter(is_in_doubt).count() as u64
    }

    /// Takes `event` into account, whose line begins at byte `offset`: what [`find_ends`] would read there.
    pub fn see(&mut self, event: &Event, offset: u64) {
        match event {
            Event::Attempt {
                row,
                method: Method::Put,
                ..
            } => self.change(*row, Entry::sent),
            Event::Answer {
                row,
                method: Method::Put,
                meaning,
                unproven,
                ..
            } => self.change(*row, |entry| entry.answered(*meaning, *unproven)),
            Event::RowEnded { row, .. } => self.change(*row, |entry| entry.ended(offset)),
            Event::Attempt {
                method: Method::Get,
                ..
            }
            | Event::Answer {
                method: Method::Get,
                ..
            }
            | Event::RunStarted(_)
            | Event::SessionStarted(_)
            | Event::WaveEnded(_)
            | Event::Asked { .. }
            | Event::StageLeft(_)
            | Event::Approved(_)
            | Event::LegStarted { .. }
            | Event::Read { .. }
            | Event::WorkspaceNamed { .. }
            | Event::Planned(_)
            | Event::Proven { .. }
            | Event::Suspected { .. }
            | Event::LanePaused { .. }
            | Event::RateChanged { .. }
            | Event::LaneResumed { .. }
            | Event::LaneClosed { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::Stop { .. }
            | Event::SessionEnded { .. } => {}
        }
    }

    fn change(&mut self, row: u64, change: impl FnOnce(Entry) -> Entry) {
        if row == 0 {
            return;
        }
        let row = usize::try_from(row).unwrap_or(usize::MAX);
        if self.0.len() < row {
            self.0.resize(row, Entry::default());
        }
        let entry = &mut self.0[row - 1];
        *entry = change(*entry);
    }
}

/// Reads what is left of a journal and notes how rows stand, over all its sessions: the last end
/// counts, an update that was sent after it makes the row [`Trace::Sent`] again, and updates are counted
/// throughout. Reading a workflow changes nothing about its row.
///
/// # Errors
/// The journal cannot be read. Where `journal` salvages, rows stand as the lines that are left say.
pub fn find_ends<R: BufRead>(journal: &mut Reader<R>) -> Result<Ends, Unreadable> {
    #[derive(Deserialize)]
    struct Head<'a> {
        event: &'a str,
        row: Option<u64>,
        method: Option<&'a str>,
        meaning: Option<Meaning>,
        #[serde(default)]
        unproven: bool,
    }
    let mut ends = Ends::default();
    while let Some(line) = journal.next_line()? {
        let head: Head<'_> =
            serde_json::from_slice(line.text).map_err(|cause| Unreadable::Line {
                line: line.number,
                offset: line.offset,
                cause,
            })?;
        let (row, put) = (head.row.unwrap_or(0), head.method == Some("put"));
        match head.event {
            "row_ended" => ends.change(row, |entry| entry.ended(line.offset)),
            "attempt" if put => ends.change(row, Entry::sent),
            "answer" if put => ends.change(row, |entry| match head.meaning {
                Some(meaning) => entry.answered(meaning, head.unproven),
                None => entry,
            }),
            _ => {}
        }
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::line::seal;

    /// A journal of these events, each without its time, and where each begins.
    fn journal(events: &[&str]) -> (Vec<u8>, Vec<u64>) {
        let (mut journal, mut begins) = (Vec::new(), Vec::new());
        for event in [r#""event":"run_started","format":1"#].iter().chain(events) {
            begins.push(journal.len() as u64);
            let mut line = format!(r#"{{"at":"2026-11-24T08:00:00Z",{event}}}"#).into_bytes();
            seal(&mut line, 0);
            journal.extend(line);
        }
        (journal, begins)
    }

    const PUT_1: &str = r#""event":"attempt","row":1,"method":"put","request":1"#;
    const GET_1: &str = r#""event":"attempt","row":1,"method":"get","request":1"#;
    const GET_3: &str = r#""event":"attempt","row":3,"method":"get","request":1"#;
    const PUT_4: &str = r#""event":"attempt","row":4,"method":"put","request":1"#;
    const END_1: &str = r#""event":"row_ended","row":1,"status":"failed"#;

    fn traces(journal: &[u8]) -> Ends {
        find_ends(&mut Reader::new(journal)).unwrap()
    }

    #[test]
    fn a_row_that_was_sent_without_an_end_is_told_apart_from_one_that_never_was() {
        let end = format!("{END_1}\"");
        let (journal, begins) = journal(&[PUT_1, GET_3, PUT_4, &end, PUT_4]);
        let ends = traces(&journal);
        let (offset, attempts) = (begins[4], 1);
        assert_eq!(ends.of(1), Trace::Ended { offset, attempts });
        assert_eq!(ends.in_doubt(), 1);
        assert_eq!(
            ends.of(4),
            Trace::Sent {
                attempts: 2,
                unproven: true
            }
        );
        for never in [0, 2, 3, 5, u64::MAX] {
            assert_eq!(ends.of(never), Trace::None, "row {never}");
        }
    }

    #[test]
    fn a_later_session_sends_a_row_again_and_the_last_end_counts() {
        let end = format!("{END_1}\"");
        let events = [PUT_1, PUT_1, &*end, GET_1, PUT_1, &*end];
        let (whole, begins) = journal(&events);
        let after = |count: usize| {
            let cut = begins.get(count + 1).map_or(whole.len(), |at| *at as usize);
            traces(&whole[..cut]).of(1)
        };
        let ended = |index: usize, attempts| Trace::Ended {
            offset: begins[index],
            attempts,
        };
        assert_eq!(
            after(2),
            Trace::Sent {
                attempts: 2,
                unproven: true
            }
        );
        assert_eq!(after(3), ended(3, 2));
        assert_eq!(after(4), ended(3, 2), "reading changes nothing");
        assert_eq!(
            after(5),
            Trace::Sent {
                attempts: 3,
                unproven: true
            }
        );
        assert_eq!(after(6), ended(6, 3));
    }

    #[test]
    fn a_row_that_ended_without_an_update_has_an_end_and_no_attempts() {
        let end = format!("{END_1}\"");
        let (journal, begins) = journal(&[&end]);
        let (offset, attempts) = (begins[1], 0);
        assert_eq!(traces(&journal).of(1), Trace::Ended { offset, attempts });
    }

    #[test]
    fn updates_without_number_are_counted_up_to_a_bound() {
        let mut entry = Entry::default();
        for _ in 0..=MOST_COUNTED {
            entry = entry.sent();
        }
        assert_eq!(
            entry.trace(),
            Trace::Sent {
                attempts: MOST_COUNTED,
                unproven: true
            }
        );
    }

    #[test]
    fn an_update_that_was_throttled_leaves_no_doubt() {
        let answer = |meaning: &str, more: &str| {
            format!(
                r#""event":"answer","row":1,"method":"put","request":1,"meaning":"{meaning}"{more}"#
            )
        };
        for (answer, unproven) in [
            (answer("throttled", ""), false),
            (answer("again", ""), false),
            (answer("again", r#","unproven":true"#), true),
            (answer("done", ""), true),
            (answer("final", ""), true),
        ] {
            let (journal, _) = journal(&[PUT_1, &answer]);
            let expected = Trace::Sent {
                attempts: 1,
                unproven,
            };
            assert_eq!(traces(&journal).of(1), expected, "{answer}");
        }
    }
}
