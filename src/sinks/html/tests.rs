use super::*;
use crate::engine::ports::Watcher;
use crate::model::change::Change;
use crate::model::event::{Event, Stamped};
use crate::model::field::Field;
use crate::model::outcome::{Ended, ErrorClass, Failure, Outcome};
use crate::sinks::attention::Gathering;
use crate::sinks::report::tests_support::ended_row;

/// These rows: how each ended, and what its workflow is called.
fn report(rows: impl Iterator<Item = (Status, String)>) -> Vec<EndedRow<'static>> {
    let rows = (1..).zip(rows).map(|(number, (status, name))| {
        let mut change = Change::default();
        change.before.insert(Field::Name, "<i>old</i>".to_owned());
        change.after.insert(Field::Name, "new".to_owned());
        change.after.insert(Field::Enabled, "true".to_owned());
        let failure = Failure::new(ErrorClass::Server, "");
        ended_row(
            number,
            Outcome {
                attempts: 1,
                live_name: Some(name),
                change: Some(change),
                failure: Some(failure).filter(|_| status == Status::Failed),
                ..Outcome::without_requests(status)
            },
        )
    });
    rows.collect()
}

fn shown(report: &[EndedRow<'_>], digest: &Digest) -> String {
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
    let (mut gathering, mut rows) = (Gathering::default(), PageRows::default());
    for ended in report {
        gathering.see(ended);
        rows.see(ended);
    }
    let attention = gathering.finish();
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
    let report = report([(Status::Failed, "<script>alert(1)</script>".to_owned())].into_iter());
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
    let report = report([(Status::Succeeded, "a".to_owned())].into_iter());
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
    let well = (0..MOST_ROWS + 7).map(|row| (Status::Succeeded, format!("well {row}")));
    let report = report(well.chain([(Status::Failed, "the last".to_owned())]));
    let page = shown(&report, &ended(Ended::Completed));
    assert!(page.contains("the last"));
    assert!(page.contains("7 more rows are in report.csv beside this page."));
    assert_eq!(page.matches("<tr data-status=").count(), MOST_ROWS + 1);
}

#[test]
fn a_run_without_an_end_is_not_called_done() {
    let report = report([(Status::Succeeded, "a".to_owned())].into_iter());
    let page = shown(&report, &Digest::default());
    assert!(page.contains("it has not ended: it goes on, or was killed"));
}
