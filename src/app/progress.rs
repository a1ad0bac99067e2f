//! How progress is shown, as the command line says.

use std::io::{self, IsTerminal};

use jiff::tz::TimeZone;

use crate::cli::{OutputArgs, ProgressShape};
use crate::engine::ports::Watcher;
use crate::sinks::bar::{Above, Bar};
use crate::sinks::lines::{Lines, Shape};

use super::terminal::{Unechoed, is_dumb};

/// How progress is shown: who is told, and the bar above which others write.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) watcher: Option<Box<dyn Watcher>>,
    pub(super) above: Option<Above>,
    /// Ends after the bar.
    _unechoed: Option<Unechoed>,
}

/// How progress is shown.
pub(super) fn progress(output: &OutputArgs) -> Progress {
    let zone = TimeZone::system();
    let lines = |shape| Progress {
        watcher: Some(Box::new(Lines::new(io::stderr(), shape))),
        ..Progress::default()
    };
    let on_terminal = io::stderr().is_terminal();
    match output.progress {
        _ if output.quiet => Progress::default(),
        ProgressShape::None => Progress::default(),
        ProgressShape::Json => lines(Shape::Json),
        ProgressShape::Plain => lines(Shape::Plain(zone)),
        ProgressShape::Auto if !on_terminal || is_dumb() => lines(Shape::Plain(zone)),
        ProgressShape::Auto | ProgressShape::Bar => {
            let bar = Bar::new(zone);
            Progress {
                above: Some(bar.above()),
                watcher: Some(Box::new(bar)),
                _unechoed: Some(Unechoed::begin()),
            }
        }
    }
}
