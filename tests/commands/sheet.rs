//! Exports as a spreadsheet reads and changes them, by the `csv` crate alone.

use std::collections::{BTreeMap, HashMap};

/// The fields that an update can change.
const WRITABLE: [&str; 5] = ["name", "description", "enabled", "version_id", "labels"];

/// The writable fields of an export, by workflow.
pub(crate) fn writable(text: &str, delimiter: u8) -> BTreeMap<String, Vec<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let rows = reader.deserialize::<HashMap<String, String>>();
    rows.map(|row| {
        let row = row.unwrap();
        let fields = WRITABLE.map(|field| row[field].clone());
        (row["workflow_id"].clone(), fields.to_vec())
    })
    .collect()
}

/// The CSV `text` with some cells changed by `change`, row by row.
pub(crate) fn edited(
    text: &str,
    delimiter: u8,
    mut change: impl FnMut(usize, &str, &str) -> Option<String>,
) -> String {
    let bare = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(bare.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for (index, record) in reader.records().enumerate() {
        let record = record.unwrap();
        let cells = headers.iter().zip(record.iter());
        let cells = cells.map(|(name, cell)| change(index, name, cell).unwrap_or(cell.to_owned()));
        writer.write_record(cells.collect::<Vec<_>>()).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}
