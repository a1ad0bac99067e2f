//! The CSV of a job, as file and flags say.

use encoding_rs::Encoding;

use super::column::Column;
use super::desk::Desk;
use super::encoding;
use super::file::RowsFile;
use super::problem::Place;
use super::suggestion::suggestion;
use super::table::Options;
use super::toml::Located;

/// The CSV that rows come from.
#[derive(Clone, Debug)]
pub struct TableSource {
    /// Its path as written; `None` is the job itself (a CSV alone, or standard input).
    pub file: Option<Located<String>>,
    /// The encoding that was told.
    pub encoding: Option<&'static Encoding>,
    /// How it is read.
    pub options: Options,
}

impl Desk<'_> {
    pub(super) fn table(
        &mut self,
        rows: Option<RowsFile>,
        table_alone: bool,
    ) -> Option<TableSource> {
        if rows.is_none() && !table_alone {
            return None;
        }
        let mut options = Options::default();
        let mut told = None;
        let mut file = None;
        if let Some(rows) = rows {
            file = rows.file;
            told = rows
                .encoding
                .map(|encoding| (encoding.place(), encoding.value));
            if let Some(other_columns) = rows.other_columns {
                options.other_columns = other_columns.value;
            }
            for (header, column) in rows.columns {
                self.map_column(&mut options, header, &column.value, column.place());
            }
        }
        if let Some(other_columns) = self.flags.other_columns {
            options.other_columns = other_columns;
        }
        if let Some(encoding) = &self.flags.encoding {
            let place = Place::Flag(format!("--encoding {encoding}"));
            told = Some((place, encoding.clone()));
        }
        for mapping in &self.flags.column {
            let place = Place::Flag(format!("--column {mapping}"));
            match mapping.split_once('=') {
                Some((header, column)) if !header.is_empty() => {
                    self.map_column(&mut options, header.to_owned(), column, place);
                }
                Some(_) | None => {
                    let hint = "write --column 'Workflow-ID=workflow_id'";
                    self.wrong(place, "not NAME=COLUMN", hint);
                }
            }
        }
        let encoding = told.and_then(|(place, label)| {
            let found = encoding::find(&label);
            if found.is_none() {
                let hint = "names are those of the web: utf-8, gb18030, windows-1252, utf-16le";
                self.wrong(place, format!("no such encoding: {label:?}"), hint);
            }
            found
        });
        Some(TableSource {
            file,
            encoding,
            options,
        })
    }

    /// Refuses flags for a CSV: the job has none.
    pub(super) fn refuse_flags_of_tables(&mut self) {
        for (name, given) in [
            ("--encoding", self.flags.encoding.is_some()),
            ("--column", !self.flags.column.is_empty()),
            ("--other-columns", self.flags.other_columns.is_some()),
        ] {
            if given {
                let hint = "it is for rows from a CSV: add [rows] file = \"rows.csv\"";
                self.wrong(Place::Flag(name.to_owned()), "the job has no CSV", hint);
            }
        }
    }

    pub(super) fn map_column(
        &mut self,
        options: &mut Options,
        header: String,
        column: &str,
        place: Place,
    ) {
        if Column::from_header(column).is_some() {
            options.columns.push((header, column.to_owned()));
            return;
        }
        let names = Column::ALL.map(Column::as_str);
        if Column::from_header(&header).is_some() {
            let hint = format!("the other way round: '{column}={header}'");
            self.wrong(place, "the names are in the wrong order", hint);
            return;
        }
        let hint = match suggestion(column, names) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("columns: {}", names.join(", ")),
        };
        self.wrong(place, format!("no such column: {column:?}"), hint);
    }
}
