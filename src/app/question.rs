//! The question before anything is changed: asked at the controlling terminal, whatever the standard streams are.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};

use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

use crate::error::Error;
use crate::model::counted::counted;

/// Whom to ask.
pub(super) enum Asked {
    /// Nobody: there is no controlling terminal, or the answer was given beforehand.
    Nobody,
    /// Who sits at the terminal.
    Terminal(File),
}

impl Asked {
    /// Who can be asked; with `yes` nobody needs to be.
    ///
    /// # Errors
    /// There is a terminal, but this process is in its background.
    pub(super) fn find(yes: bool) -> Result<Self, Error> {
        if yes {
            return Ok(Self::Nobody);
        }
        let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") else {
            return Ok(Self::Nobody);
        };
        match tcgetpgrp(&terminal) {
            Ok(group) if group == rustix::process::getpgrp() => Ok(Self::Terminal(terminal)),
            Ok(_) | Err(_) => Err(Error::Usage {
                what: "the run is in the background of a terminal, where it cannot ask before it changes anything"
                    .to_owned(),
                hint: "say --yes, or bring it to the foreground".to_owned(),
            }),
        }
    }
}

/// What is asked, and the answer that goes on.
pub(super) struct Question {
    pub(super) text: String,
    /// None: yes will do.
    pub(super) number: Option<u64>,
}

/// From so many disables on, their number is to be typed.
const MANY: u64 = 20;

impl Question {
    /// Whether `changes` workflows are to be changed, `disables` of them disabled.
    pub(super) fn new(preview: &str, changes: u64, disables: u64) -> Self {
        if disables > MANY {
            return Self {
                text: format!(
                    "{preview}\n{disables} are to be disabled: type {disables} to go on, anything else to stop: "
                ),
                number: Some(disables),
            };
        }
        Self {
            text: format!("{preview}\nchange {}? [y/N] ", counted(changes, "workflow")),
            number: None,
        }
    }

    /// Whether `answer` goes on.
    fn is_met_by(&self, answer: &str) -> bool {
        let answer = answer.trim();
        match self.number {
            Some(number) => answer.parse() == Ok(number),
            None => matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"),
        }
    }

    /// Asks it at `terminal`; whoever says nothing says no.
    pub(super) fn ask(&self, mut terminal: &File) -> std::io::Result<bool> {
        // What was typed before the question was shown is no answer to it.
        tcflush(terminal, QueueSelector::IFlush)?;
        terminal.write_all(self.text.as_bytes())?;
        terminal.flush()?;
        let mut answer = String::new();
        BufReader::new(terminal).read_line(&mut answer)?;
        Ok(self.is_met_by(&answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_means_no_and_many_disables_want_their_number() {
        let few = Question::new("p", 3, 20);
        for (answer, goes_on) in [
            ("", false),
            ("\n", false),
            ("y\n", true),
            ("YES", true),
            ("no", false),
            ("20", false),
        ] {
            assert_eq!(few.is_met_by(answer), goes_on, "{answer:?}");
        }
        let many = Question::new("p", 30, 21);
        assert!(
            many.text
                .contains("21 are to be disabled: type 21 to go on")
        );
        assert!(many.is_met_by("21\n") && !many.is_met_by("y\n") && !many.is_met_by("30"));
    }
}
