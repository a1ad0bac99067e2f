use super::*;
use crate::engine::ports::Watcher;
use crate::model::event::{Event, Stamped};
use crate::model::outcome::Ended;
use crate::model::report_column::REPORT_COLUMNS;

/// A report with these rows: how each ended, and what its workflow is called.
fn report(rows: impl Iterator<Item = (&'static str, String)>) -> String {
    let mut text = REPORT_COLUMNS.join(",");
    for (index, (status, name)) in rows.enumerate() {
        let cells = REPORT_COLUMNS.map(|column| match column {
            "row" => (index + 1).to_string(),
            "line" => (index + 2).to_string(),
            "status" => status.to_owned(),
            "attempts" => "1".to_owned(),
            "live_name" => name.clone(),
            "error_class" if status == "failed" => "server".to_owned(),
            "before" => r#""{""name"":""<i>old</i>""}""#.to_owned(),
            "after" => r#""{""name"":""new"",""enabled"":true}""#.to_owned(),
            _ => String::new(),
        });
        text += &format!("\n{}", cells.join(","));
    }
    text
}

fn shown(report: &str, digest: &Digest) -> String {
    let facts = Facts {
        run_id: "20261124T083100Z-3f9a1c",
        job: "tri<age",
        description: None,
        simulated: false,
        target: "region ap-southeast-2",
        ticket: Some("\"CHG\" & 1"),
        host: None,
        identity: &[],
        files: &[],
        sha256: None,
        next: None,
        undo: None,
        verify: "flowbatch verify 20261124T083100Z-3f9a1c",
        zone: &TimeZone::UTC,
    };
    let attention = Attention::read(report.as_bytes()).unwrap();
    let rows = PageRows::read(report.as_bytes()).unwrap();
    page(&facts, digest, &Timeline::default(), &attention, &rows)
}

fn ended(ended: Ended) -> Digest {
    let mut digest = Digest::default();
    digest.see(&Stamped {
        at: "2026-11-24T08:31:00Z".parse().unwrap(),
        event: Event::SessionEnded { ended },
    });
    digest
}

#[test]
fn whatever_others_have_written_is_text() {
    let report = report([("failed", "<script>alert(1)</script>".to_owned())].into_iter());
    let page = shown(&report, &ended(Ended::Completed));
    assert_eq!(page.matches("<script>").count(), 1, "its own");
    for part in [
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<h1><bdi>tri&lt;age</bdi></h1>",
        "&quot;CHG&quot; &amp; 1",
        "<div>name: <del><bdi>&lt;i&gt;old&lt;/i&gt;</bdi></del> → <ins><bdi>new</bdi></ins></div>",
        "<div>enabled: <del><bdi>?</bdi></del> → <ins><bdi>true</bdi></ins></div>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn nothing_in_it_leads_outside() {
    let report = report([("succeeded", "a".to_owned())].into_iter());
    let page = shown(&report, &ended(Ended::Completed));
    for part in [
        "src=", "href=", "url(", "@import", "http:", "https:", "fetch(",
    ] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn what_needs_a_person_has_room_of_its_own_and_the_rest_is_counted() {
    let well = (0..MOST_ROWS + 7).map(|row| ("succeeded", format!("well {row}")));
    let report = report(well.chain([("failed", "the last".to_owned())]));
    let page = shown(&report, &ended(Ended::Completed));
    assert!(page.contains("the last"));
    assert!(page.contains("7 more rows are in report.csv beside this page."));
    assert_eq!(page.matches("<tr data-status=").count(), MOST_ROWS + 1);
}

#[test]
fn a_run_without_an_end_is_not_called_done() {
    let report = report([("succeeded", "a".to_owned())].into_iter());
    let page = shown(&report, &Digest::default());
    assert!(page.contains("it has not ended: it goes on, or was killed"));
}
