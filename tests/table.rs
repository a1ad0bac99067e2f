//! CSV as it comes: line numbers, dialects, any cutting of the bytes; laws over random tables.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod campaign;

use std::io::{self, Read};
use std::sync::Arc;

use flowbatch::job::column::Column;
use flowbatch::job::draft::Draft;
use flowbatch::job::encoding::Decoded;
use flowbatch::job::problems::Problems;
use flowbatch::job::table::{Options, Table};
use flowbatch::model::field::Field;
use proptest::prelude::*;

/// A reader that gives at most `step` bytes at a time.
struct Sips<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Sips<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.step).min(self.bytes.len());
        buffer[..length].copy_from_slice(&self.bytes[..length]);
        self.bytes = &self.bytes[length..];
        Ok(length)
    }
}

/// The rows of `bytes` as (line, id, name), and what was wrong with the rest.
fn read(bytes: &[u8], step: usize) -> (Vec<(u64, String, String)>, String) {
    let mut problems = Problems::default();
    let decoded = Decoded::new(Sips { bytes, step }, None).unwrap();
    let file: Arc<str> = "t.csv".into();
    let mut rows = Vec::new();
    if let Some(mut table) = Table::open(decoded, &file, &Options::default(), &mut problems) {
        while table.advance(&mut problems) {
            let cell = |column| table.cell(column).unwrap_or_default().to_owned();
            rows.push((
                table.line(),
                cell(Column::WorkflowId),
                cell(Column::Wish(Field::Name)),
            ));
        }
    }
    let text = if problems.is_empty() {
        String::new()
    } else {
        problems.render(None, false)
    };
    (rows, text)
}

fn rows(bytes: &str) -> Vec<(u64, String, String)> {
    let (rows, problems) = read(bytes.as_bytes(), 7);
    assert_eq!(problems, "", "{bytes:?}");
    rows
}

fn row(line: u64, id: &str, name: &str) -> (u64, String, String) {
    (line, id.to_owned(), name.to_owned())
}

#[test]
fn a_row_is_on_the_line_on_which_it_begins() {
    for end in ["\n", "\r\n", "\r"] {
        let text = [
            "workflow_id,name",
            "w1,a",
            "",
            "w2,\"b",
            "b\"",
            "",
            "",
            "w3,c",
        ]
        .join(end);
        let name = format!("b{end}b");
        let expected = [row(2, "w1", "a"), row(4, "w2", &name), row(8, "w3", "c")];
        assert_eq!(rows(&text), expected, "{end:?}");
        assert_eq!(rows(&format!("{text}{end}")), expected, "{end:?}");
    }
    assert_eq!(rows("\n\nworkflow_id,name\nw1,a\n"), [row(4, "w1", "a")]);
    assert_eq!(
        rows("sep=;\r\nworkflow_id;name\r\nw1;a,b\r\n"),
        [row(3, "w1", "a,b")]
    );
}

#[test]
fn the_delimiter_is_found_outside_quotes() {
    assert_eq!(
        rows("\"workflow_id\";\"name\"\nw1;\"a,b;c\"\n"),
        [row(2, "w1", "a,b;c")]
    );
    assert_eq!(rows("workflow_id\tname\nw1\ta,b\n"), [row(2, "w1", "a,b")]);
    assert_eq!(rows("workflow_id\nw1\n"), [row(2, "w1", "")]);
}

#[test]
fn rows_that_a_spreadsheet_cleared_are_passed_over() {
    assert_eq!(
        rows("workflow_id,name,\nw1,a,\n,,\nw2,b,,,\n"),
        [row(2, "w1", "a"), row(4, "w2", "b")]
    );
    assert_eq!(
        rows(
            "workflow_id,name,,,\r\n,,,,\r\n , ,\u{a0},,\r\nw1,a,,,\r\n\u{3000},\u{200b},\t,\u{feff}\r\n\u{a0}\r\n\r\n"
        ),
        [row(4, "w1", "a")]
    );
}

#[test]
fn an_open_quote_is_told_wherever_it_stands() {
    for text in [
        "workflow_id,name\nw1,\"a\n",
        "workflow_id,name\nw1,\"a",
        "workflow_id,name\nw1,a\nw2,\"\n\n\n",
        "workflow_id,\"name\nw1,a\n",
    ] {
        let (_, problems) = read(text.as_bytes(), 3);
        assert!(
            problems.contains("a quote is opened and never closed"),
            "{text:?}: {problems}"
        );
    }
}

/// A cell: any text without NUL, and without what the reader rightly treats specially.
fn cell() -> impl Strategy<Value = String> {
    "[a-z0-9 ,;\"\t\r\n=\u{e9}\u{5a01}-]{0,12}"
}

proptest! {
    #![proptest_config(campaign::config(256))]

    #[test]
    fn whatever_a_csv_writer_writes_is_read_back_with_its_lines(
        names in prop::collection::vec(cell(), 1..20),
        delimiter in prop::sample::select(&b",;\t"[..]),
        end in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        bom in any::<bool>(),
        step in 1_usize..40,
    ) {
        let terminator = match end {
            "\r\n" => csv::Terminator::CRLF,
            end => csv::Terminator::Any(end.as_bytes()[0]),
        };
        let counts = if end == "\r" { '\r' } else { '\n' };
        let mut bytes = if bom { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
        let mut expected = Vec::new();
        {
            let mut writer = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .terminator(terminator)
                .from_writer(&mut bytes);
            writer.write_record(["workflow_id", "name"]).unwrap();
            let mut line = 2;
            for (number, name) in names.iter().enumerate() {
                let id = format!("w{number}");
                writer.write_record([&id, name]).unwrap();
                expected.push((line, id, name.clone()));
                line += 1 + name.matches(counts).count() as u64;
            }
            writer.flush().unwrap();
        }
        let (rows, problems) = read(&bytes, step);
        prop_assert_eq!(problems, "");
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1_usize..20) {
        let mut text = b"workflow_id,name\n".to_vec();
        text.extend(bytes);
        let _ = read(&text, step);
    }
}
