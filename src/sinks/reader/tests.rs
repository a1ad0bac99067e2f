use super::*;
use crate::sinks::line::seal;

fn lines(count: usize) -> Vec<Vec<u8>> {
    let start = concat!(
        r#"{"at":"2026-11-24T08:00:00Z","event":"run_started","format":1,"run_id":"r","#,
        r#""tool_version":"0","job_sha256":"j","input_sha256":null,"lanes":[],"seed":1,"#,
        r#""rows":9,"skipped":0}"#
    );
    let more = (1..count).map(|row| {
        format!(
            r#"{{"at":"2026-11-24T08:00:00Z","event":"attempt","row":{row},"method":"put","request":1}}"#
        )
    });
    let texts = std::iter::once(start.to_owned()).chain(more);
    texts.map(|text| sealed(&text)).collect()
}

fn sealed(text: &str) -> Vec<u8> {
    let mut line = text.as_bytes().to_vec();
    seal(&mut line, 0);
    line
}

#[test]
fn a_damaged_middle_is_an_error_that_names_line_and_byte() {
    let mut lines = lines(4);
    let before = (lines[0].len() + lines[1].len()) as u64;
    lines[2][10] ^= 1;
    let journal = lines.concat();
    let mut reader = Reader::new(&journal[..]);
    assert!(reader.next().unwrap().is_ok());
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    let text = format!("line 3 of the journal, at byte {before}, is damaged");
    assert_eq!(error.to_string(), text);
    assert!(reader.next().is_none(), "an error is the last entry");
}

#[test]
fn salvage_passes_over_bad_lines_and_counts_them() {
    let mut lines = lines(6);
    lines[0][10] ^= 1;
    lines[3][10] ^= 1;
    lines[5].pop();
    let journal = lines.concat();
    let mut reader = Reader::salvaging(&journal[..]);
    let found: Vec<_> = reader.by_ref().map(|entry| entry.unwrap().line).collect();
    assert_eq!(found, [2, 3, 5]);
    assert_eq!(reader.passed_over(), 2);
    let extent = reader.extent();
    assert_eq!((extent.lines, extent.torn), (3, lines[5].len() as u64));
    assert_eq!(extent.bytes + extent.torn, journal.len() as u64);
}

#[test]
fn lines_of_zeros_at_the_end_are_torn_unless_they_are_too_many() {
    let good = lines(2).concat();
    for (count, is_torn) in [(1, true), (MOST_TORN, true), (MOST_TORN + 1, false)] {
        let mut journal = good.clone();
        journal.extend((0..count).flat_map(|_| *b"\0\n"));
        let mut reader = Reader::new(&journal[..]);
        let broken = reader.by_ref().any(|entry| entry.is_err());
        assert_eq!(broken, !is_torn, "{count}");
        if is_torn {
            assert_eq!(reader.extent().bytes, good.len() as u64);
        }
    }
}

#[test]
fn text_that_no_crash_leaves_is_damage_at_the_end_as_well() {
    let whole = lines(3).concat();
    let text = String::from_utf8(whole).unwrap();
    // As an editor of another system leaves it; and as somebody does who mends the record.
    for (changed, bad) in [
        (text.replace('\n', "\r\n"), 1),
        (text.replace("crc\":\"", "crc\":\"0"), 1),
        (format!("{text}{{}}\n"), 4),
    ] {
        let mut reader = Reader::new(changed.as_bytes());
        let error = reader.by_ref().find_map(Result::err).unwrap();
        assert!(
            matches!(error, Unreadable::Damaged { line, .. } if line == bad),
            "{error}"
        );
    }
}

#[test]
fn a_tail_of_zeros_is_torn_however_long_it_is() {
    let good = lines(2).concat();
    let tail = std::io::repeat(0).take(LONGEST + 10);
    let mut reader = Reader::new(io::BufReader::new(good.chain(tail)));
    assert_eq!(reader.by_ref().filter(Result::is_ok).count(), 2);
    assert_eq!(reader.extent().torn, LONGEST + 10);
}

#[test]
fn another_format_is_refused_by_name_whether_it_checks_itself_or_not() {
    let old = r#"{"at":"2026-11-24T08:00:00Z","event":"run_started","format":0}"#;
    let next = old.replace("\"format\":0", "\"format\":7");
    for (journal, format) in [
        (format!("{old}\n").into_bytes(), 0),
        (sealed(old), 0),
        (sealed(&next), 7),
    ] {
        for mut reader in [Reader::new(&journal[..]), Reader::salvaging(&journal[..])] {
            let error = reader.next().unwrap().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the journal has format {format}, this version reads format 1")
            );
        }
    }
}

#[test]
fn what_begins_otherwise_is_no_journal() {
    let journal = lines(3)[1..].concat();
    assert!(matches!(
        Reader::new(&journal[..]).next(),
        Some(Err(Unreadable::Headless))
    ));
}

#[test]
fn an_event_of_a_later_version_is_named_and_not_taken_for_damage() {
    let mut lines = lines(2);
    lines.push(sealed(
        r#"{"at":"2026-11-24T08:00:00Z","event":"moon_rose"}"#,
    ));
    let journal = lines.concat();
    let last = Reader::new(&journal[..]).last().unwrap();
    assert!(matches!(last, Err(Unreadable::Line { line: 3, .. })));
}

#[test]
fn an_empty_journal_has_no_events_and_no_error() {
    let mut reader = Reader::new(&b""[..]);
    assert!(reader.next().is_none());
    assert_eq!(reader.extent(), Extent::default());
}
