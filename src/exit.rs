//! What the program returns. A code never counts anything.

use crate::model::outcome::Ended;
use crate::model::tally::Tally;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every row succeeded or was unchanged.
    Done,
    /// Some rows failed, conflicted, are unknown or were not attempted: a person is needed.
    Attention,
    /// Usage, job, CSV or configuration is wrong; nothing was sent.
    Usage,
    /// Stopped by `max_errors`.
    Stopped,
    /// No credential, no permission or no endpoint works.
    Refused,
    /// Deadline reached or patience ended.
    Late,
    /// Another run holds the lock.
    Locked,
    /// Journal or report could not be written.
    Unrecorded,
    /// The next wave waits for approval.
    Waiting,
    /// A plan has changes to make.
    Pending,
    /// Hung up.
    Hangup,
    /// Interrupted.
    Interrupted,
    /// Terminated.
    Terminated,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Attention => 1,
            Self::Usage => 2,
            Self::Stopped => 3,
            Self::Refused => 4,
            Self::Late => 5,
            Self::Locked => 6,
            Self::Unrecorded => 7,
            Self::Waiting => 8,
            Self::Pending => 10,
            Self::Hangup => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The code of a run that ended like this; `unwritten`: its report or summary is missing.
    pub fn of_run(ended: Ended, tally: &Tally, unwritten: bool) -> Self {
        let needs_attention = tally.failed + tally.conflict + tally.unknown + tally.differs;
        let attention = needs_attention + tally.left();
        match ended {
            Ended::RecordFailed => Self::Unrecorded,
            _ if unwritten => Self::Unrecorded,
            Ended::Refused => Self::Refused,
            Ended::Terminated => Self::Terminated,
            Ended::Interrupted => Self::Interrupted,
            Ended::Hangup => Self::Hangup,
            Ended::MaxErrors | Ended::Ceiling | Ended::Gate | Ended::Unconfirmed => Self::Stopped,
            Ended::Approval => Self::Waiting,
            Ended::Deadline | Ended::Patience => Self::Late,
            Ended::Completed if attention > 0 => Self::Attention,
            Ended::Completed => Self::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_blemish_is_zero_and_a_missing_report_seven() {
        let mut tally = Tally::default();
        (tally.rows, tally.succeeded, tally.unchanged) = (2, 1, 1);
        assert_eq!(Exit::of_run(Ended::Completed, &tally, false).code(), 0);
        assert_eq!(Exit::of_run(Ended::Completed, &tally, true).code(), 7);
        (tally.unchanged, tally.skipped) = (0, 1);
        assert_eq!(Exit::of_run(Ended::Completed, &tally, false).code(), 0);
        tally.skipped = 0;
        assert_eq!(Exit::of_run(Ended::Completed, &tally, false).code(), 1);
        for (ended, code) in [
            (Ended::MaxErrors, 3),
            (Ended::Ceiling, 3),
            (Ended::Gate, 3),
            (Ended::Refused, 4),
            (Ended::Approval, 8),
            (Ended::Deadline, 5),
            (Ended::Patience, 5),
            (Ended::RecordFailed, 7),
            (Ended::Hangup, 129),
            (Ended::Interrupted, 130),
            (Ended::Terminated, 143),
        ] {
            assert_eq!(Exit::of_run(ended, &tally, false).code(), code, "{ended}");
        }
    }
}
