//! A pace that the run finds by itself.

use std::time::Duration;

use flowbatch::model::simulation::Simulation;

use crate::plant::{ok, place, reviewed, start_with, target};

#[test]
fn a_run_finds_the_limit_that_nobody_told_it() {
    let limited = Simulation {
        latency: (Duration::ZERO, Duration::from_millis(2)),
        rate_limits: vec!["40/s".parse().unwrap()],
        ..Simulation::default()
    };
    let (cloud, desk, ids) = start_with(120, limited);
    let desk = reviewed(desk, &ids);
    let target = target(&cloud).replace("--rate 5000/s --burst 100", "--rate auto");
    let said = desk.flowbatch(&format!("run rows.csv {target} -v"));
    ok(&said);
    for part in [
        "at most 200/s, or what the service allows",
        "the service's limit is found: at most 40/s from now on",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    assert_eq!(cloud.described(&place(), "Reviewed"), 120);
    // What it is told is one of both.
    let said = desk.flowbatch("check rows.csv --simulate --rate automatic");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("or auto"), "{}", said.stderr);
}
