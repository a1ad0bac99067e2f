//! What a run that nobody watched says if somebody should look: one plain text, short enough for a mail.

use std::fmt::Write as _;

use crate::model::outcome::Status;
use crate::model::printable::is_printable;

use super::attention::{Attention, Group, clipped};
use super::digest::Digest;
use super::summary::{Closing, UNKNOWN_HINT, errors, hint, request_line, time_line, verdict};

/// Lines of the text, at most.
pub const MOST_LINES: usize = 60;

/// Rows that are told one by one.
const MOST_ROWS: usize = 20;

/// Kinds of errors that are told.
const MOST_KINDS: usize = 6;

/// Targets and workspaces that were given up, and things that could not be written.
const MOST_CLOSED: usize = 3;

/// The text, whose first line would do as a subject. `host` is where it ran.
pub fn mail_text(
    digest: &Digest,
    closing: &Closing<'_>,
    attention: &Attention,
    host: &str,
    exit_code: u8,
) -> String {
    let mut head = String::new();
    let simulated = if closing.simulated {
        " (simulated)"
    } else {
        ""
    };
    let _ = writeln!(
        head,
        "flowbatch: {}{simulated} on {host}: {} (exit code {exit_code})\n",
        clipped(closing.job),
        clipped(&subject(digest))
    );
    if let Some(line) = time_line(digest, closing.zone) {
        let _ = writeln!(head, "when:   {line}");
    }
    let _ = writeln!(head, "target: {}", clipped(closing.target));
    let _ = writeln!(head, "rows:   {}", counts(digest));
    let _ = writeln!(head, "sent:   {}", clipped(&request_line(digest)));
    several(&mut head, "given up", &digest.closed);
    if let Some(hint) = closing.hint {
        let _ = writeln!(head, "  {hint}");
    }
    several(&mut head, "not written", closing.trouble);
    several(&mut head, "note", closing.left_out);
    let mut tail = "\n".to_owned();
    if let Some(report) = closing.report {
        let _ = writeln!(tail, "report: {report}");
    }
    for page in closing.pages {
        let _ = writeln!(tail, "page:   {page}");
    }
    let _ = writeln!(tail, "record: {}", closing.folder);
    let _ = writeln!(tail, "sha256: {} (summary.json)", closing.sha256);
    if let Some(undo) = closing.undo {
        let _ = writeln!(tail, "undo:   {undo}");
    }
    if let Some(next) = closing.next {
        let _ = writeln!(tail, "{next}");
    }
    let room = MOST_LINES.saturating_sub(head.lines().count() + tail.lines().count());
    if attention.groups.is_empty() {
        // The report could not be written, or no row ever had its turn.
        errors(&mut head, digest);
    } else {
        groups(&mut head, attention, room);
    }
    head + &tail
}

/// The text of a run of `job` that ended before there was anything to record, for the reasons in `brief`.
pub fn unbegun_mail(job: &str, host: &str, brief: &str, exit_code: u8) -> String {
    let first = brief.lines().next().unwrap_or_default();
    let cause = first.strip_prefix("error: ").unwrap_or(first).trim();
    format!(
        "flowbatch: {} on {host}: {} (exit code {exit_code})\n\n{brief}",
        clipped(job),
        clipped(cause)
    )
}

/// How the run went, and how many rows need a person.
fn subject(digest: &Digest) -> String {
    let verdict = verdict(digest);
    let tally = &digest.tally;
    match tally.failed + tally.conflict + tally.unknown + tally.differs {
        0 => verdict,
        _ if verdict.contains("a person") => verdict,
        1 => format!("1 row needs a person, {verdict}"),
        rows => format!("{rows} rows need a person, {verdict}"),
    }
}

/// `97 succeeded, 2 failed, 1 conflict of 100`
fn counts(digest: &Digest) -> String {
    let tally = &digest.tally;
    let counts = Status::ALL.map(|status| (status, tally.of(status)));
    let differs = |status: Status| match (status, tally.differs) {
        (Status::Succeeded, differs @ 1..) => format!(" ({differs} of them differ)"),
        _ => String::new(),
    };
    let told: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{count} {status}{}", differs(*status)))
        .collect();
    format!("{} of {}", told.join(", "), tally.rows)
}

/// A line for each of the first, and one for all others.
fn several(text: &mut String, what: &str, lines: &[String]) {
    for line in lines.iter().take(MOST_CLOSED) {
        // What to do about it follows on a line of its own (`Error::text`), and is never cut.
        let (said, hint) = match line.split_once("\n  ") {
            Some((said, hint)) => (said, Some(hint)),
            None => (line.as_str(), None),
        };
        let _ = writeln!(text, "{what}: {}", clipped(said));
        if let Some(hint) = hint {
            let _ = writeln!(text, "  {}", hint.replace(|c| !is_printable(c), " "));
        }
    }
    if lines.len() > MOST_CLOSED {
        let _ = writeln!(text, "{what}: {} more", lines.len() - MOST_CLOSED);
    }
}

/// The kinds of errors, in so many lines at most.
fn groups(text: &mut String, attention: &Attention, room: usize) {
    let shown = &attention.groups[..attention.groups.len().min(MOST_KINDS)];
    // Besides its rows, each has a blank line, a heading, two pieces of advice and a count.
    let rows = room.saturating_sub(shown.len() * 5 + 2).min(MOST_ROWS);
    for (group, told) in shown.iter().zip(shares(shown, rows)) {
        let Some(first) = group.rows.first() else {
            continue;
        };
        let code = match group.code.as_str() {
            "" => String::new(),
            code => format!(" {}", clipped(code)),
        };
        let plural = if group.count == 1 { "row" } else { "rows" };
        let message = clipped(&first.message);
        let _ = writeln!(
            text,
            "\n{}{code}, {} {plural}: {message}",
            group.class, group.count
        );
        let _ = writeln!(text, "  {}", hint(group.class, &first.message));
        if group.unknown > 0 {
            let _ = writeln!(text, "  {UNKNOWN_HINT}");
        }
        for row in group.rows.iter().take(told) {
            let _ = writeln!(text, "  {}", row.text(&first.message));
        }
        let more = group.count.saturating_sub(told as u64);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more, see the report");
        }
    }
    let unseen = attention.groups.iter().skip(MOST_KINDS);
    let unseen = attention.others + unseen.map(|group| group.count).sum::<u64>();
    if unseen > 0 {
        let _ = writeln!(text, "\nother errors, {unseen} rows: see the report");
    }
}

/// How many rows of each group are told, `most` in all, so that each has its turn.
fn shares(groups: &[Group], most: usize) -> Vec<usize> {
    let mut shares = vec![0; groups.len()];
    let mut left = most;
    loop {
        let before = left;
        for (share, group) in shares.iter_mut().zip(groups) {
            if *share < group.rows.len() && left > 0 {
                *share += 1;
                left -= 1;
            }
        }
        if left == before {
            return shares;
        }
    }
}

#[cfg(test)]
mod tests;
