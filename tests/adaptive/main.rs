//! The pace against scripted services: limits of every shape, none of which the run was told.
//!
//! Each file in `services/` is one service, with what is to be seen and why. The real schedule is driven by events in
//! virtual time; what it took is compared with what somebody needs who knows the limit and never waits in vain.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on says so by panicking; what it saw is a table; most events are of no interest here"
)]

mod limiter;
mod play;
mod script;

use std::fs;
use std::path::Path;

use play::play;
use script::Script;

fn scripts() -> Vec<(String, Script)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adaptive/services");
    let mut scripts: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let script = Script::read(&fs::read_to_string(&path).unwrap());
            (
                name,
                script.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            )
        })
        .collect();
    scripts.sort_by(|(a, _), (b, _)| a.cmp(b));
    scripts
}

/// Limits that nothing was tuned by.
fn held_out() -> Vec<(String, Script)> {
    let mut scripts = Vec::new();
    for limit in [20, 50, 200, 350, 500] {
        for shape in ["sliding", "fixed", "bucket"] {
            for says in ["retry_after", "told", "nothing"] {
                let says_so = match says {
                    "nothing" => String::new(),
                    says => format!("{says} = true"),
                };
                let (rows, asked) = (limit * 30, limit * 10);
                let text = format!(
                    "about = \"\"\nrows = {rows}\nasked = \"{asked}/s\"\nlimit = {{ {shape} = \"{limit}/s\" }}\n\
                     answer = [15, 25]\n{says_so}\n"
                );
                let script = Script::read(&text).unwrap();
                scripts.push((format!("{shape}-{limit}-{says}"), script));
            }
        }
    }
    scripts
}

#[test]
fn every_service_is_met_as_its_script_says() {
    meet(scripts());
}

#[test]
fn limits_that_nothing_was_tuned_by_are_met_as_well() {
    meet(held_out());
}

#[test]
fn a_pace_that_is_named_is_kept_to_the_last_hundredth_and_nothing_is_refused() {
    for limit in [1, 10, 100, 200, 1_000] {
        for unit in ["s", "m"] {
            let rows = limit * 10;
            let text = format!(
                "about = \"\"\nrows = {rows}\nasked = \"{limit}/{unit}\"\nfinds_limit = false\n\
                 limit = {{ sliding = \"{limit}/{unit}\" }}\nanswer = [5, 35]\n"
            );
            let script = Script::read(&text).unwrap();
            let played = play(&script, 1);
            let window = script.asked.window().as_secs_f64();
            // The last one need not wait for the next.
            let share =
                10.0 * window / (played.took.as_secs_f64() + script.asked.interval().as_secs_f64());
            println!("{limit}/{unit}: {:.2} % of the rate", share * 100.0);
            assert!(share >= 0.99, "{limit}/{unit}: {share}");
            assert_eq!(played.refused, 0, "{limit}/{unit}");
        }
    }
}

/// Requests that are on their way for 5 to 35 ms arrive closer together in some second than they left. What it costs is
/// 3 % of the pace (who leaves faster is refused by chance) and, of these ten, the second that a service may ask to wait.
#[test]
fn a_named_pace_that_arrives_unevenly_is_eased_by_the_first_refusal() {
    for limit in [10, 100, 200, 1_000] {
        for says in ["", "told = true\n", "retry_after = true\n"] {
            let rows = limit * 10;
            let text = format!(
                "about = \"\"\nrows = {rows}\nasked = \"{limit}/s\"\nfinds_limit = false\n\
                 limit = {{ sliding = \"{limit}/s\" }}\nway = [5, 35]\nanswer = [0, 0]\n{says}"
            );
            let script = Script::read(&text).unwrap();
            for seed in 1..=3 {
                let played = play(&script, seed);
                let took = played.took.as_secs_f64() + script.asked.interval().as_secs_f64();
                let (share, refused) = (10.0 / took, played.refused);
                println!("{limit}/s: {:.2} %, {refused} refused", share * 100.0);
                let least = match script.retry_after {
                    true => 0.88,
                    false => 0.955,
                };
                assert!(
                    share >= least && refused <= 3,
                    "{limit}/s: {share}, {refused}"
                );
            }
        }
    }
}

fn meet(scripts: Vec<(String, Script)>) {
    let seeds = std::env::var("FLOWBATCH_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let only = std::env::var("FLOWBATCH_SERVICE").unwrap_or_default();
    let mut missed = Vec::new();
    println!(
        "{:34} {:>8} {:>8} {:>6} {:>8} {:>6}",
        "service", "ideal s", "took s", "ratio", "refused", "most"
    );
    for (name, script) in scripts {
        if !name.contains(&only) {
            continue;
        }
        for seed in 1..=seeds.unwrap_or(3) {
            let played = play(&script, seed);
            let ratio = played.took.as_secs_f64() / played.ideal.as_secs_f64();
            println!(
                "{name:34} {:8.2} {:8.2} {ratio:6.3} {:8} {:6}",
                played.ideal.as_secs_f64(),
                played.took.as_secs_f64(),
                played.refused,
                script.most_refused(),
            );
            if let Err(why) = script.judge(&played) {
                missed.push(format!("{name}, seed {seed}: {why}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
