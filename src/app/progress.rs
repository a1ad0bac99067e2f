//! How progress is shown, as the command line says.

use std::io::{self, IsTerminal};

use jiff::tz::TimeZone;

use crate::cli::{OutputArgs, ProgressShape};
use crate::engine::ports::Watcher;
use crate::model::tally::Tally;
use crate::sinks::bar::{Above, Bar};
use crate::sinks::lines::{Lines, Shape};
use crate::sinks::progress;

use super::terminal::{Unechoed, is_dumb};

/// How progress is shown: who is told, and the bar above which others write.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) watcher: Option<Box<dyn Watcher>>,
    pub(super) above: Option<Above>,
    /// Ends after the bar.
    _unechoed: Option<Unechoed>,
}

/// How the progress of a run is shown that earlier sessions have brought as far as `tally`.
pub(super) fn progress(output: &OutputArgs, tally: Tally) -> Progress {
    let zone = TimeZone::system();
    let begin = progress::Progress::from(tally);
    let lines = |begin, shape| Progress {
        watcher: Some(Box::new(Lines::new(begin, io::stderr(), shape))),
        ..Progress::default()
    };
    let on_terminal = io::stderr().is_terminal();
    match output.progress {
        _ if output.quiet => Progress::default(),
        ProgressShape::None => Progress::default(),
        ProgressShape::Json => lines(begin, Shape::Json),
        ProgressShape::Plain => lines(begin, Shape::Plain(zone)),
        ProgressShape::Auto if !on_terminal || is_dumb() => lines(begin, Shape::Plain(zone)),
        ProgressShape::Auto | ProgressShape::Bar => {
            let bar = Bar::new(begin, zone);
            Progress {
                above: Some(bar.above()),
                watcher: Some(Box::new(bar)),
                _unechoed: Some(Unechoed::begin()),
            }
        }
    }
}
