//! A problem as a picture: the place, the text, a caret, a hint.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::model::printable::{is_printable, printable};

use super::problem::{Place, Problem, Source};
use super::secret::{without_secrets, without_user};

/// The most of a cell that is shown.
const LONGEST_CELL: usize = 80;

/// Paints problems in the style of a compiler.
pub struct Painter<'a> {
    renderer: Renderer,
    /// The path of the job file, and its text without secrets.
    source: Option<(&'a str, String)>,
}

impl<'a> Painter<'a> {
    /// A painter of problems in `source`; `color` for terminals.
    pub fn new(source: Option<Source<'a>>, color: bool) -> Self {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        Self {
            renderer: renderer.decor_style(DecorStyle::Ascii).term_width(100),
            source: source.map(|source| (source.path, without_secrets(source.text))),
        }
    }

    /// The picture of `problem`; `more` says where it is found as well.
    pub fn paint(&self, problem: &Problem, more: Option<&str>) -> String {
        let source = self.source.as_ref().map(|(path, text)| (*path, &**text));
        let picture = self.renderer.render(&[picture(problem, source, more)]);
        name_column(&picture, &problem.place)
    }
}

/// The picture of a cell with the name of its column where the renderer counts characters: in a
/// CSV a column is its header's name.
fn name_column(picture: &str, place: &Place) -> String {
    match place {
        Place::Cell {
            file, line, column, ..
        } => {
            let file = printable(file);
            picture.replacen(
                &format!("{file}:{line}:1"),
                &format!("{file}:{line}:{column}"),
                1,
            )
        }
        Place::Line { file, line, .. } => {
            let file = printable(file);
            picture.replacen(&format!("{file}:{line}:1"), &format!("{file}:{line}"), 1)
        }
        Place::Job(_) | Place::File(_) | Place::Flag(_) => picture.to_owned(),
    }
}

fn picture<'a>(
    problem: &'a Problem,
    source: Option<(&'a str, &'a str)>,
    more: Option<&'a str>,
) -> Group<'a> {
    let group = Level::ERROR.primary_title(printable(&problem.what));
    let group = match &problem.place {
        Place::Job(span) => match source {
            Some((path, text)) => {
                let end = span.end.min(text.len());
                let span = span.start.min(end)..end;
                group.element(
                    Snippet::source(text)
                        .path(printable(path))
                        .annotation(AnnotationKind::Primary.span(span)),
                )
            }
            None => Group::with_title(group),
        },
        Place::Cell {
            file,
            line,
            cell: text,
            ..
        }
        | Place::Line { file, line, text } => {
            let shown = shown(text);
            let end = shown.len();
            let cut = Snippet::source(shown)
                .path(printable(file))
                .line_start(usize::try_from(*line).unwrap_or(usize::MAX))
                .annotation(AnnotationKind::Primary.span(0..end));
            group.element(cut)
        }
        Place::File(file) => group.element(Origin::path(printable(file))),
        Place::Flag(flag) => {
            group.element(Origin::path(printable(&without_user(flag)).into_owned()))
        }
    };
    let group = match more {
        Some(more) => group.element(Level::NOTE.message(printable(more))),
        None => group,
    };
    match problem.hint.as_str() {
        "" => group,
        hint => group.element(Level::HELP.message(printable(hint))),
    }
}

/// A cell as it can be shown: on one line, not too long, without characters that are not printable.
fn shown(cell: &str) -> String {
    let mut shown: String = cell
        .chars()
        .take(LONGEST_CELL)
        .map(|c| match c {
            '\n' | '\r' => '\u{23ce}',
            c if !is_printable(c) => '\u{fffd}',
            c => c,
        })
        .collect();
    if cell.chars().nth(LONGEST_CELL).is_some() {
        shown.push_str("...");
    }
    if shown.is_empty() {
        " ".to_owned()
    } else {
        shown
    }
}
