//! The question at a terminal.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::language::{CANARIES, Desk};
use crate::plant::{enabled, ok, place, reviewed, start, target};

/// Runs `flowbatch ARGUMENTS` at a terminal of its own, at which a person types `answer` to each question.
pub(crate) fn at_a_terminal(desk: &Desk, arguments: &str, answer: &str) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let mut command = desk.shell(&format!("script -qec '{program} {arguments}' /dev/null"));
    let child = command
        .env("HW_AUTH_TOKEN", CANARIES.token)
        .env("FLOWBATCH_METADATA", "off")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut text = Vec::new();
    let mut answered = 0;
    let mut part = [0; 4_096];
    loop {
        let length = output.read(&mut part).unwrap();
        if length == 0 {
            break;
        }
        text.extend_from_slice(&part[..length]);
        let shown = String::from_utf8_lossy(&text);
        let asked =
            ["[y/N]", "anything else to stop"].map(|question| shown.matches(question).count());
        if !answer.is_empty() && asked.iter().sum::<usize>() > answered {
            // A person takes their time.
            #[expect(
                clippy::disallowed_methods,
                reason = "the time at a question is looked at"
            )]
            std::thread::sleep(Duration::from_millis(20));
            input.write_all(answer.as_bytes()).unwrap();
            answered += 1;
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    (child.wait().unwrap().code().unwrap(), text)
}

#[test]
fn who_sits_at_a_terminal_is_asked_and_enter_means_no() {
    let (cloud, desk, ids) = start(30);
    let desk = reviewed(desk, &ids);
    let run = format!("run rows.csv {}", target(&cloud));
    for answer in ["\n", "n\n", "30\n"] {
        let (code, text) = at_a_terminal(&desk, &run, answer);
        assert_eq!(code, 130, "{text}");
        assert!(text.contains("change 30 workflows? [y/N]"), "{text}");
        assert!(
            text.contains("30 to change: 30 otherwise changed"),
            "{text}"
        );
        assert!(!desk.has_runs(), "no run folder is left");
    }
    assert_eq!(cloud.described(&place(), "Reviewed"), 0);
    // What asks nothing asks nobody.
    let (code, text) = at_a_terminal(&desk, &format!("{run} --yes"), "");
    assert_eq!((code, text.contains("[y/N]")), (0, false), "{text}");
    let (code, text) = at_a_terminal(&desk, &run, "");
    assert_eq!(
        (code, text.contains("[y/N]")),
        (0, false),
        "nothing is left to change: {text}"
    );
}

#[test]
fn many_disables_are_confirmed_by_their_number() {
    let (cloud, desk, ids) = start(30);
    let rows: String = ids.iter().map(|id| format!("{id},true\n")).collect();
    let desk = desk.file("on.csv", format!("workflow_id,enabled\n{rows}"));
    ok(&desk.flowbatch(&format!("run on.csv {}", target(&cloud))));
    let desk = desk.file(
        "off.csv",
        format!("workflow_id,enabled\n{}", rows.replace("true", "false")),
    );
    let run = format!("run off.csv {}", target(&cloud));
    let (code, text) = at_a_terminal(&desk, &run, "y\n");
    assert_eq!((code, enabled(&cloud)), (130, 30), "{text}");
    let (code, text) = at_a_terminal(&desk, &run, "30\n");
    assert_eq!((code, enabled(&cloud)), (0, 0), "{text}");
}
