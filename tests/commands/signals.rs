//! Signals at every stage: before a run begins, while it runs, twice in a row; and limits on file sizes.

use std::fs;
use std::process::{Child, Output};
use std::sync::{Arc, Barrier};

use rustix::process::{Pid, Signal, kill_process};

use crate::language::{CANARIES, Desk, csv_rows};
use crate::odd::{Odd, Service};

fn start(count: usize) -> (Service, Desk) {
    let rows: String = (1..=count).map(|row| format!("w{row},N{row}\n")).collect();
    let desk = Desk::with("job.csv", format!("workflow_id,name\n{rows}"));
    let desk = desk.variable("HW_AUTH_TOKEN", CANARIES.token);
    (Service::with(count), desk)
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).unwrap();
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// From now on the service waits twice in the first request that `holds`: until the test has seen it, and until it lets go.
fn holds_back(
    service: &Service,
    holds: impl Fn(&crate::odd::Asked<'_>) -> bool + Send + Sync + 'static,
) -> Arc<Barrier> {
    let barrier = Arc::new(Barrier::new(2));
    let own = Arc::clone(&barrier);
    let is_first = std::sync::atomic::AtomicBool::new(true);
    service.behaves(move |_, asked| {
        if holds(asked) && is_first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            own.wait();
            own.wait();
        }
        Odd::No
    });
    barrier
}

#[test]
fn commands_that_only_read_end_at_once() {
    for command in ["plan job.csv", "export"] {
        let (service, desk) = start(3);
        let barrier = holds_back(&service, |asked| asked.method == "GET");
        let child = desk.command(&format!(
            "{command} {}",
            service.target().replace("--rate 1000/s --burst 50", "")
        ));
        let child = { child }.spawn().unwrap();
        barrier.wait();
        signal(&child, Signal::INT);
        let output = child.wait_with_output().unwrap();
        barrier.wait();
        assert_eq!(
            output.status.code(),
            Some(130),
            "{command}: {}",
            text(&output)
        );
        assert!(
            text(&output).contains("interrupted; nothing was sent"),
            "{}",
            text(&output)
        );
    }
}

#[test]
fn a_signal_while_a_lock_is_waited_for_ends_the_process_and_nothing_begins() {
    for (how, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (service, desk) = start(3);
        let barrier = holds_back(&service, |asked| asked.put > 0);
        let run = format!("run job.csv {}", service.target());
        let holder = desk.command(&run).spawn().unwrap();
        barrier.wait();
        let mut waiting = desk
            .command(&format!("{run} --if-locked wait"))
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stderr = std::io::BufReader::new(waiting.stderr.take().unwrap());
        while !said.contains("waiting: ") {
            std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
        }
        signal(&waiting, how);
        let output = waiting.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        barrier.wait();
        assert!(holder.wait_with_output().unwrap().status.success());
        let runs = fs::read_dir(desk.path(".local/state/flowbatch/runs")).unwrap();
        assert_eq!(runs.count(), 1, "the one that held the lock");
    }
}

/// Whether this process and those that it starts ignore a hang-up, as nohup has it.
fn ignores_hang_ups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn two_hang_ups_at_once_are_one_and_two_interrupts_are_two() {
    for (first, second, code, status) in [
        (Signal::HUP, Signal::HUP, 129, "succeeded"),
        (Signal::TERM, Signal::HUP, 143, "succeeded"),
        (Signal::HUP, Signal::TERM, 129, "succeeded"),
        (Signal::INT, Signal::INT, 130, "unknown"),
    ] {
        if first == Signal::HUP && ignores_hang_ups() {
            // Under nohup, which the tests may be started with, a hang-up is ignored.
            continue;
        }
        let (service, desk) = start(3);
        // What a canary has shown once is on record; here there is nothing to show.
        let barrier = holds_back(&service, |asked| asked.put > 0);
        let run = format!("run job.csv --snapshot off -v {}", service.target());
        let mut child = desk.command(&run).spawn().unwrap();
        barrier.wait();
        signal(&child, first);
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("waiting 20s") {
            assert!(
                std::io::BufRead::read_line(&mut stderr, &mut said).unwrap() > 0,
                "{said}"
            );
        }
        signal(&child, second);
        if status == "succeeded" {
            barrier.wait();
        }
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        let ended = child.wait().unwrap();
        if status != "succeeded" {
            barrier.wait();
        }
        assert_eq!(ended.code(), Some(code), "{said}");
        let rows = csv_rows(&desk.only_run().join("report.csv"));
        let found = rows.iter().find(|row| row["attempts"] == "1").unwrap();
        assert_eq!(found["status"], status, "{said}");
    }
}

#[test]
fn a_limit_on_file_sizes_is_exit_7_from_the_first_byte_on() {
    let (service, desk) = start(300);
    let program = env!("CARGO_BIN_EXE_flowbatch");
    let token = format!("export HW_AUTH_TOKEN={}", CANARIES.token);
    let within = |kib: u32, arguments: &str| {
        let line =
            format!("{token} FLOWBATCH_METADATA=off; ulimit -f {kib}; exec {program} {arguments}");
        let output = desk.shell(&line).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(7),
            "{arguments}: {}",
            text(&output)
        );
        assert!(
            text(&output).contains("File too large"),
            "{}",
            text(&output)
        );
    };
    within(1, &format!("run job.csv {}", service.target()));
    let done = desk.flowbatch(&format!("run job.csv {}", service.target()));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let runs = fs::read_dir(desk.path(".local/state/flowbatch/runs")).unwrap();
    let mut runs: Vec<_> = runs.map(|run| run.unwrap().path()).collect();
    runs.sort();
    let run = runs.last().unwrap().display();
    within(1, &format!("report {run}"));
    within(1, &format!("undo {run}"));
}
