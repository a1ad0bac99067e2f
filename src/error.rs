//! Why a command could not do its work.

use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Exit;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Problems of the job, already as text.
    #[error("{0}")]
    Problems(String),
    /// What had to be read first could not be; already as text.
    #[error("{text}")]
    GivenUp {
        /// Why, and what to do.
        text: String,
        /// What the program returns.
        exit: Exit,
    },
    /// The command line asks for something that is not possible.
    #[error("{what}")]
    Usage {
        /// What.
        what: String,
        /// What to do.
        hint: String,
    },
    /// No credential, or nothing to trust the service by.
    #[error("{what}")]
    Refused {
        /// What was looked for.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Somebody who must be asked first does not answer.
    #[error("{what}")]
    Late {
        /// What was asked for.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Another run holds what this one needs.
    #[error("{what}")]
    Locked {
        /// What, and who.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file of a run is not what the run left.
    #[error("{what}")]
    Damaged {
        /// Which, and in which way.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file of the run or of the state folder.
    #[error("{doing} {}", path.display())]
    File {
        /// Such as "cannot write".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Something else that belongs to this machine.
    #[error("{doing}")]
    Machine {
        /// Such as "cannot start the simulator".
        doing: &'static str,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The flag `flag` was given `text`, which is no good for it.
    pub fn flag(flag: &str, text: &str, what: &str, hint: &str) -> Self {
        Self::Usage {
            what: format!("{flag} {text}: {what}"),
            hint: hint.to_owned(),
        }
    }

    /// A failed operation on `path`.
    pub fn file(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |cause| Self::File { doing, path, cause }
    }

    /// A failed operation of this machine.
    pub fn machine<E>(doing: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |cause| Self::Machine {
            doing,
            cause: cause.into(),
        }
    }

    /// Whether its cause is that the disk, a quota or a limit on file sizes left no room.
    pub fn has_no_room(&self) -> bool {
        no_room(self)
    }

    /// What the program returns.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Problems(_) | Self::Usage { .. } => Exit::Usage,
            Self::GivenUp { exit, .. } => *exit,
            Self::Refused { .. } => Exit::Refused,
            Self::Late { .. } => Exit::Late,
            Self::Locked { .. } => Exit::Locked,
            Self::Damaged { .. } | Self::File { .. } | Self::Machine { .. } => Exit::Unrecorded,
        }
    }

    /// What to do, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. }
            | Self::Refused { hint, .. }
            | Self::Late { hint, .. }
            | Self::Locked { hint, .. }
            | Self::Damaged { hint, .. } => Some(hint),
            Self::Problems(_) | Self::GivenUp { .. } | Self::File { .. } | Self::Machine { .. } => {
                None
            }
        }
    }

    /// The error, its causes and what to do, for people.
    pub fn text(&self) -> String {
        let hint = match self {
            Self::Problems(text) | Self::GivenUp { text, .. } => return text.clone(),
            Self::Usage { hint, .. }
            | Self::Refused { hint, .. }
            | Self::Late { hint, .. }
            | Self::Locked { hint, .. }
            | Self::Damaged { hint, .. } => Some(hint),
            Self::File { .. } | Self::Machine { .. } => None,
        };
        let mut text = format!("error: {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        if let Some(hint) = hint {
            text += &format!("\n  {hint}");
        }
        text
    }

    /// The same in `most` lines at most, for whoever gets it as a mail: whole paragraphs are left out.
    pub fn brief(&self, most: usize) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        let (Some(last), true) = (lines.last(), lines.len() > most) else {
            return text;
        };
        let kept = &lines[..most.saturating_sub(4)];
        let end = kept.iter().rposition(|line| line.is_empty());
        let kept = &kept[..end.unwrap_or(kept.len())];
        let more = match self {
            Self::Problems(_) => "and more, which `flowbatch check` shows",
            Self::GivenUp { .. }
            | Self::Usage { .. }
            | Self::Refused { .. }
            | Self::Late { .. }
            | Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::File { .. }
            | Self::Machine { .. } => "and more, which the command without -q shows",
        };
        format!("{}\n\n{more}\n\n{last}", kept.join("\n"))
    }
}

/// Whether `error`, or what caused it, is that there is no room.
fn no_room(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    });
    full || error.source().is_some_and(no_room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_its_paragraphs_and_keeps_its_last_line() {
        let text =
            "error: a\n\nerror: b\n  b\n\nerror: c\n  c\n  c\n\n3 problems; nothing was sent";
        let error = Error::Problems(text.to_owned());
        assert_eq!(error.brief(10), text);
        assert_eq!(
            error.brief(9),
            "error: a\n\nerror: b\n  b\n\nand more, which `flowbatch check` shows\n\n3 problems; nothing was sent"
        );
    }
}
