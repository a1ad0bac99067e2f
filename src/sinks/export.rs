//! Live workflows as a CSV that `run` takes as it is.

use std::io::Write;

use crate::model::export_column::EXPORT_COLUMNS;
use crate::model::field::Field;
use crate::model::formula::guarded;
use crate::model::route::Route;
use crate::model::target::Workspace;
use crate::model::workflow::Listed;

/// How the file is written.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// As spreadsheets want it: a byte order mark, and CRLF.
    pub for_excel: bool,
}

/// Writes live workflows.
pub struct Export<W: Write> {
    csv: csv::Writer<W>,
    with_profile: bool,
    with_region: bool,
    written: u64,
}

/// What sets a field to the empty string, and what an expectation of it is.
const EMPTY: &str = "<empty>";

impl<W: Write> Export<W> {
    /// Writes the header of workflows that are reached by `route`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(route: &Route, dialect: Dialect, mut out: W) -> Result<Self, csv::Error> {
        if dialect.for_excel {
            out.write_all("\u{feff}".as_bytes())?;
        }
        let terminator = match dialect.for_excel {
            true => csv::Terminator::CRLF,
            false => csv::Terminator::Any(b'\n'),
        };
        let mut csv = csv::WriterBuilder::new()
            .delimiter(dialect.delimiter)
            .terminator(terminator)
            .from_writer(out);
        let (with_profile, with_region) = (route.profile.is_some(), route.region.is_some());
        let mut header = vec!["workflow_id".to_owned()];
        header.extend(with_profile.then(|| "profile".to_owned()));
        header.extend(with_region.then(|| "region".to_owned()));
        header.extend(["project_id", "workspace_id"].map(str::to_owned));
        header.extend(Field::ALL.map(|field| field.as_str().to_owned()));
        header.extend(Field::ALL.map(|field| format!("expect_{field}")));
        header.extend(EXPORT_COLUMNS.map(str::to_owned));
        csv.write_record(header)?;
        Ok(Self {
            csv,
            with_profile,
            with_region,
            written: 0,
        })
    }

    /// Writes one workflow. Its guards are what is there, so that an edited cell overwrites nothing else.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(
        &mut self,
        route: &Route,
        workspace: &Workspace,
        listed: &Listed,
    ) -> Result<(), csv::Error> {
        let (live, details) = (&listed.workflow, &listed.details);
        let mut cells = vec![live.id.as_str()];
        cells.extend(route.profile.as_deref().filter(|_| self.with_profile));
        cells.extend(route.region.as_deref().filter(|_| self.with_region));
        cells.extend([
            workspace.project_id.as_str(),
            workspace.workspace_id.as_str(),
        ]);
        cells.extend(Field::ALL.map(|field| live.value(field)));
        cells.extend(Field::ALL.map(|field| match live.value(field) {
            "" => EMPTY,
            value => value,
        }));
        cells.extend([
            details.version.as_str(),
            &details.aop_type,
            &details.engine_type,
            &details.dataclass_id,
            &details.dataclass_name,
            &details.owner_id,
            &details.creator_id,
            &details.creator_name,
            &details.create_time,
            &details.modifier_id,
            &live.modifier_name,
            &live.update_time,
            &details.current_approval_version_id,
        ]);
        self.written += 1;
        let cells = cells.into_iter().map(|cell| guarded(cell).into_owned());
        self.csv.write_record(cells)
    }

    /// Writes what is still to be written; gives how many workflows there are.
    ///
    /// # Errors
    /// It cannot be.
    pub fn finish(mut self) -> Result<u64, csv::Error> {
        self.csv.flush()?;
        Ok(self.written)
    }
}
