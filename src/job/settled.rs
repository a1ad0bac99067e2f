//! Rows that leave nothing open, one to a line, as JSON: what the live state made of a job is read again as it was.

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::model::row::Row;

/// Reads rows that leave nothing open.
#[derive(Debug)]
pub struct Settled<R> {
    bytes: BufReader<R>,
    line: Vec<u8>,
    /// Where the row that was read last begins, and where the next one does.
    offset: u64,
    next: u64,
}

impl<R: Read> Settled<R> {
    /// Reads them from `bytes`.
    pub fn new(bytes: R) -> Self {
        Self {
            bytes: BufReader::new(bytes),
            line: Vec::new(),
            offset: 0,
            next: 0,
        }
    }

    /// The next row.
    ///
    /// # Errors
    /// The rows cannot be read, or are none.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        self.line.clear();
        let length = self.bytes.read_until(b'\n', &mut self.line)?;
        self.offset = self.next;
        self.next += length as u64;
        match length {
            0 => Ok(None),
            _ => Ok(Some(serde_json::from_slice(&self.line)?)),
        }
    }

    /// Where the row that was read last begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// The row that `bytes` begin with.
///
/// # Errors
/// It cannot be read, or is none.
pub fn row_at(bytes: impl Read) -> io::Result<Option<Row>> {
    Settled::new(bytes).next_row()
}

/// Writes `row`, to be read again.
///
/// # Errors
/// It cannot be written.
pub fn write(row: &Row, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut out, row)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field::Field;
    use crate::model::guard::Guards;
    use crate::model::id::Id;
    use crate::model::row::VersionWish;
    use crate::model::target::{LaneId, Workspace};
    use crate::model::update::Update;

    #[test]
    fn rows_are_read_as_they_were_written_in_order_and_by_their_places() {
        let row = |number: u64| Row {
            number,
            line: number * 3,
            lane: LaneId(number as usize),
            workspace: Workspace {
                project_id: Id::parse("p").unwrap(),
                workspace_id: Id::parse("s").unwrap(),
            },
            workflow_id: Id::parse("w").unwrap(),
            called: (number == 2).then(|| "<empty>".to_owned()),
            wave: (number == 2).then_some(7),
            update: Update {
                name: Some("'=1\n\"".into()),
                description: Some(String::new()),
                ..Update::default()
            },
            version: Some(VersionWish::Latest),
            guards: Guards {
                fields: vec![(Field::Labels, "<empty>".into())],
                update_time: Some("then".into()),
            },
        };
        let mut bytes = Vec::new();
        write(&row(1), &mut bytes).unwrap();
        write(&row(2), &mut bytes).unwrap();
        let mut rows = Settled::new(bytes.as_slice());
        assert_eq!(rows.next_row().unwrap(), Some(row(1)));
        assert_eq!(rows.next_row().unwrap(), Some(row(2)));
        let at = rows.offset() as usize;
        assert_eq!(rows.next_row().unwrap(), None);
        assert_eq!(row_at(&bytes[at..]).unwrap(), Some(row(2)));
        assert!(row_at(&bytes[1..]).is_err());
    }
}
