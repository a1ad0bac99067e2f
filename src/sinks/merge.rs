//! One report, and one way back, of the parts that a job was carried out in.

use std::io::{Read, Write};

use csv::{Reader, StringRecord, Writer};

use crate::model::report_column::REPORT_COLUMNS;

/// A part that cannot be merged with the others.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// Two parts do not have the same rows.
    #[error("row {0} is not the same in every part: are they of one job, and of one input?")]
    Other(u64),
}

/// What a merged report comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Rows, by the status that they ended with.
    pub statuses: std::collections::BTreeMap<String, u64>,
    /// Rows.
    pub rows: u64,
    /// Updates that were sent.
    pub attempts: u64,
}

/// The cells of a report's line by which it is merged.
const ROW: usize = 0;
const ROW_HASH: usize = 19;

/// Merges the reports of `parts` (each with its number) of a job that has `of` of them, into `out`. A row of a part that is
/// missing is not attempted.
///
/// # Errors
/// A report cannot be read, or they are not of the same rows.
pub fn merge_reports(
    parts: Vec<(u32, impl Read)>,
    of: u32,
    out: impl Write,
) -> Result<Merged, MergeError> {
    let mut readers: Vec<_> = parts
        .into_iter()
        .map(|(part, report)| (part, Reader::from_reader(report)))
        .collect();
    let mut csv = Writer::from_writer(out);
    csv.write_record(REPORT_COLUMNS)?;
    let mut merged = Merged::default();
    let column = |name: &str| REPORT_COLUMNS.iter().position(|column| *column == name);
    let at = |record: &StringRecord, name: &str| {
        let cell = column(name).and_then(|at| record.get(at));
        cell.unwrap_or_default().to_owned()
    };
    let mut records = vec![StringRecord::new(); readers.len()];
    loop {
        let mut read = 0;
        for ((_, reader), record) in readers.iter_mut().zip(&mut records) {
            read += usize::from(reader.read_record(record)?);
        }
        if read == 0 {
            break;
        }
        let first = &records[0];
        let number = first
            .get(ROW)
            .and_then(|cell| cell.parse().ok())
            .unwrap_or_default();
        let is_same = |record: &StringRecord| {
            record.get(ROW) == first.get(ROW) && record.get(ROW_HASH) == first.get(ROW_HASH)
        };
        if read < readers.len() || !records.iter().all(is_same) {
            return Err(MergeError::Other(number));
        }
        // Every part but its own says where the row is.
        let elsewhere = |record: &StringRecord| {
            let is_left_out = at(record, "status") == "skipped";
            part_named(&at(record, "error_message"), of).filter(|_| is_left_out)
        };
        let own = records.iter().find(|record| elsewhere(record).is_none());
        let line = match own {
            Some(own) => own.clone(),
            None => missing(first, elsewhere(first).unwrap_or_default(), of),
        };
        merged.rows += 1;
        merged.attempts += at(&line, "attempts").parse::<u64>().unwrap_or_default();
        *merged.statuses.entry(at(&line, "status")).or_default() += 1;
        csv.write_record(&line)?;
    }
    csv.flush().map_err(csv::Error::from)?;
    Ok(merged)
}

/// The part that a report names for a row of another part.
fn part_named(message: &str, of: u32) -> Option<u32> {
    let rest = message.strip_prefix("in part ")?;
    let (part, rest) = rest.split_once(" of ")?;
    (rest.parse() == Ok(of)).then(|| part.parse().ok())?
}

/// The line of a row whose part is missing.
fn missing(line: &StringRecord, part: u32, of: u32) -> StringRecord {
    let cells = REPORT_COLUMNS.iter().zip(line);
    cells
        .map(|(column, cell)| match *column {
            "status" => "not_attempted".to_owned(),
            "error_class" => "canceled".to_owned(),
            "error_message" => format!("part {part} of {of} is missing"),
            _ => cell.to_owned(),
        })
        .collect()
}

/// Merges what puts back the changes of each part into `out`, in the order of the rows. Gives how many rows there are.
///
/// # Errors
/// One cannot be read, or `out` not be written.
pub fn merge_undo(parts: Vec<impl Read>, out: impl Write) -> Result<u64, MergeError> {
    let mut readers = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    for part in parts {
        let mut reader = Reader::from_reader(part);
        let header = reader.headers()?.clone();
        for name in &header {
            if !columns.iter().any(|known| known == name) {
                columns.push(name.to_owned());
            }
        }
        readers.push((header, reader.into_records().peekable()));
    }
    let mut csv = Writer::from_writer(out);
    csv.write_record(&columns)?;
    let mut rows = 0;
    loop {
        // The next row is the one with the lowest number.
        let mut next: Option<(u64, usize)> = None;
        for (index, (header, records)) in readers.iter_mut().enumerate() {
            let number = match records.peek() {
                None => continue,
                // It is told below.
                Some(Err(_)) => 0,
                Some(Ok(record)) => number_of(header, record),
            };
            if next.is_none_or(|(lowest, _)| number < lowest) {
                next = Some((number, index));
            }
        }
        let Some((_, index)) = next else { break };
        let (header, records) = &mut readers[index];
        let Some(record) = records.next().transpose()? else {
            continue;
        };
        let cell = |name: &String| {
            let at = header.iter().position(|known| known == name);
            at.and_then(|at| record.get(at)).unwrap_or_default()
        };
        csv.write_record(columns.iter().map(cell))?;
        rows += 1;
    }
    csv.flush().map_err(csv::Error::from)?;
    Ok(rows)
}

fn number_of(header: &StringRecord, record: &StringRecord) -> u64 {
    let at = header.iter().position(|name| name == "x_row");
    let cell = at.and_then(|at| record.get(at));
    cell.and_then(|cell| cell.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: &[(&str, &str)]) -> String {
        let mut text = REPORT_COLUMNS.join(",");
        for (index, (status, message)) in rows.iter().enumerate() {
            let cells = REPORT_COLUMNS.map(|column| match column {
                "row" => (index + 1).to_string(),
                "row_hash" => format!("hash{}", index + 1),
                "attempts" => u8::from(*status == "succeeded").to_string(),
                "status" => (*status).to_owned(),
                "error_message" => (*message).to_owned(),
                _ => String::new(),
            });
            text += &format!("\n{}", cells.join(","));
        }
        text + "\n"
    }

    #[test]
    fn each_row_comes_from_its_own_part_and_a_missing_one_is_told() {
        let first = report(&[
            ("succeeded", ""),
            ("skipped", "in part 2 of 3"),
            ("skipped", "in part 3 of 3"),
        ]);
        let second = report(&[
            ("skipped", "in part 1 of 3"),
            ("skipped", "held: freeze"),
            ("skipped", "in part 3 of 3"),
        ]);
        let mut out = Vec::new();
        let parts = vec![(1, first.as_bytes()), (2, second.as_bytes())];
        let merged = merge_reports(parts, 3, &mut out).unwrap();
        assert_eq!((merged.rows, merged.attempts), (3, 1));
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert!(lines[0].contains(",succeeded,"), "{text}");
        assert!(
            lines[1].contains(",skipped,") && lines[1].contains("held: freeze"),
            "{text}"
        );
        assert!(
            lines[2].contains(",not_attempted,") && lines[2].contains("part 3 of 3 is missing"),
            "{text}"
        );
    }

    #[test]
    fn parts_of_other_rows_are_refused() {
        let one = report(&[("succeeded", "")]);
        let other = one.replace("hash1", "hash9");
        let longer = report(&[("succeeded", ""), ("succeeded", "")]);
        for other in [other, longer] {
            let parts = vec![(1, one.as_bytes()), (2, other.as_bytes())];
            let merged = merge_reports(parts, 2, Vec::new());
            assert!(matches!(merged, Err(MergeError::Other(_))), "{merged:?}");
        }
    }

    #[test]
    fn what_puts_back_stands_in_the_order_of_the_rows_under_all_columns() {
        let first = "x_row,workflow_id,name\n1,a,A\n4,d,D\n";
        let second = "x_row,workflow_id,enabled\n2,b,true\n";
        let mut out = Vec::new();
        let rows = merge_undo(vec![first.as_bytes(), second.as_bytes()], &mut out).unwrap();
        assert_eq!(rows, 3);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "x_row,workflow_id,name,enabled\n1,a,A,\n2,b,,true\n4,d,D,\n"
        );
    }
}
