//! How long a run has worked, as a fold of its events.

use std::time::Duration;

use jiff::Timestamp;

use super::event::{Event, Stamped};

/// How long a run has worked: the time of its sessions, without the time in which it waited for a person's answer. What lies
/// between two sessions is no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkTime {
    /// The beginning, as if the run had worked without a break since.
    began: Option<Timestamp>,
    /// The last event of a session.
    last: Option<Timestamp>,
    asked: Duration,
    /// Whether the last session has ended.
    is_over: bool,
}

impl WorkTime {
    /// Takes an event into account.
    pub fn see(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        match &stamped.event {
            Event::RunStarted(_) => self.began = Some(at),
            Event::SessionStarted(_) => {
                let last = self.last.unwrap_or(at);
                self.leave_out(between(last, at));
                self.is_over = false;
            }
            Event::Asked { waited_ms } => {
                let waited = Duration::from_millis(*waited_ms);
                self.asked += waited;
                self.leave_out(waited);
            }
            // It is written between two sessions.
            Event::Approved(_) if self.is_over => return,
            Event::SessionEnded { .. } => self.is_over = true,
            Event::Approved(_)
            | Event::LegStarted { .. }
            | Event::WaveEnded(_)
            | Event::StageLeft(_)
            | Event::Attempt { .. }
            | Event::Answer { .. }
            | Event::RowEnded { .. }
            | Event::Read { .. }
            | Event::Proven { .. }
            | Event::Suspected { .. }
            | Event::WorkspaceNamed { .. }
            | Event::Planned(_)
            | Event::LanePaused { .. }
            | Event::RateChanged { .. }
            | Event::LaneResumed { .. }
            | Event::LaneClosed { .. }
            | Event::CredentialRenewed { .. }
            | Event::WorkspaceClosed { .. }
            | Event::Stop { .. } => {}
        }
        self.last = Some(at);
    }

    /// How long the run had worked by `at`, an instant of its last session.
    pub fn until(&self, at: Timestamp) -> Duration {
        self.began
            .map_or(Duration::ZERO, |began| between(began, at))
    }

    /// How long it has worked in all.
    pub fn total(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |last| self.until(last))
    }

    /// How long it has waited for answers of a person.
    pub fn asked(&self) -> Duration {
        self.asked
    }

    fn leave_out(&mut self, span: Duration) {
        let began = self.began;
        self.began = began.map(|began| began.checked_add(span).unwrap_or(began));
    }
}

/// From `from` to `to`; nothing where a clock was put back.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Approval, SessionStarted};
    use crate::model::outcome::Ended;

    fn session(session: u32) -> Event {
        Event::SessionStarted(SessionStarted {
            session,
            operator: String::new(),
            tool_version: String::new(),
            lanes: Vec::new(),
            seed: 0,
            rows: 0,
        })
    }

    #[test]
    fn what_lies_between_sessions_and_what_a_person_takes_is_no_work() {
        let approved = Event::Approved(Approval {
            wave: 1,
            by: String::new(),
            note: None,
        });
        let ended = Event::SessionEnded {
            ended: Ended::Approval,
        };
        let stop = Event::Stop {
            ended: Ended::Deadline,
            message: String::new(),
        };
        let mut time = WorkTime {
            began: Some(Timestamp::UNIX_EPOCH),
            ..WorkTime::default()
        };
        for (at, event, total) in [
            (2, stop.clone(), 2),
            // Eight seconds of the next ten went by at a question.
            (12, Event::Asked { waited_ms: 8_000 }, 4),
            (12, approved.clone(), 4),
            (13, ended, 5),
            (60, approved, 5),
            (100, session(2), 5),
            (107, stop, 12),
            // It was killed.
            (900, session(3), 12),
        ] {
            let at = Timestamp::from_second(at).unwrap();
            time.see(&Stamped { at, event });
            assert_eq!(time.total(), Duration::from_secs(total), "at {at}");
        }
        assert_eq!(time.asked(), Duration::from_secs(8));
    }
}
