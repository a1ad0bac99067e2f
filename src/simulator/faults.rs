//! Which request meets which fault, and how long its answer takes.
//!
//! Both are functions of the seed, the kind of request, its subject and the how-manieth it is
//! of these, never of the order in which requests arrive: a run that is carried out twice meets the
//! same faults, however its requests overlap.

use std::time::Duration;

use crate::model::simulation::{FaultKind, Simulation};

use super::method::Method;

/// What a request is dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// What goes wrong.
    pub fault: Option<FaultKind>,
    /// How long the answer takes.
    pub after: Duration,
}

/// What the `nth` request (from 1) of a kind about a subject is dealt.
pub fn draw(simulation: &Simulation, method: Method, subject: &str, nth: u64) -> Lot {
    let nth = nth.to_le_bytes();
    let mut dice = dice(
        simulation.seed,
        &[method.as_str().as_bytes(), subject.as_bytes(), &nth],
    );
    let mut chance = dice.f64();
    let fault = simulation.faults.iter().find(|fault| {
        chance -= fault.share;
        chance < 0.0
    });
    let fault = fault.map(|fault| fault.kind);
    let (shortest, longest) = simulation.latency;
    let after = if fault == Some(FaultKind::Slow) {
        longest * 10
    } else {
        shortest + longest.saturating_sub(shortest).mul_f64(dice.f64())
    };
    Lot { fault, after }
}

/// Dice that fall the same way whenever `seed` and `words` are the same.
pub(super) fn dice(seed: u64, words: &[&[u8]]) -> fastrand::Rng {
    // FNV-1a: the standard library promises no hash that stays the same from release to release.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    take(&seed.to_le_bytes());
    for word in words {
        take(word);
        // Keeps "ab", "c" and "a", "bc" apart; no UTF-8 holds it.
        take(&[0xff]);
    }
    fastrand::Rng::with_seed(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::model::simulation::Fault;

    fn simulation(faults: &[(FaultKind, f64)]) -> Simulation {
        Simulation {
            faults: faults
                .iter()
                .map(|(kind, share)| Fault {
                    kind: *kind,
                    share: *share,
                })
                .collect(),
            ..Simulation::default()
        }
    }

    #[test]
    fn shares_add_up_over_the_kinds() {
        let simulation = simulation(&[
            (FaultKind::Reset, 0.1),
            (FaultKind::Html, 0.2),
            (FaultKind::Hang, 0.3),
        ]);
        let mut counts: HashMap<Option<FaultKind>, i32> = HashMap::new();
        for workflow in 0..10_000 {
            let subject = format!("w-{workflow}");
            let lot = draw(&simulation, Method::UpdateWorkflow, &subject, 1);
            *counts.entry(lot.fault).or_default() += 1;
        }
        for (kind, expected) in [
            (Some(FaultKind::Reset), 1_000),
            (Some(FaultKind::Html), 2_000),
            (Some(FaultKind::Hang), 3_000),
            (None, 4_000),
        ] {
            let count = counts[&kind];
            assert!((count - expected).abs() < 200, "{kind:?}: {count}");
        }
    }

    #[test]
    fn the_whole_share_spares_nobody_and_no_share_hits_nobody() {
        for (share, expected) in [(1.0, Some(FaultKind::Hang)), (0.0, None)] {
            let simulation = simulation(&[(FaultKind::Hang, share)]);
            assert!((1..1_000).all(|nth| {
                draw(&simulation, Method::ShowWorkflow, "w", nth).fault == expected
            }));
        }
    }

    #[test]
    fn kind_subject_and_number_each_make_a_difference() {
        let simulation = simulation(&[(FaultKind::Reset, 0.5)]);
        let deal = |method, subject: &str| -> Vec<bool> {
            (1..=64)
                .map(|nth| draw(&simulation, method, subject, nth).fault.is_some())
                .collect()
        };
        let put = deal(Method::UpdateWorkflow, "w-1");
        assert!(put.contains(&true) && put.contains(&false));
        assert_eq!(put, deal(Method::UpdateWorkflow, "w-1"));
        assert_ne!(put, deal(Method::ShowWorkflow, "w-1"));
        assert_ne!(put, deal(Method::UpdateWorkflow, "w-2"));
    }

    #[test]
    fn a_latency_stays_in_its_range_and_a_slow_answer_takes_ten_times_the_longest() {
        let latency = (Duration::from_millis(5), Duration::from_millis(25));
        let usual = simulation(&[]);
        let slow = simulation(&[(FaultKind::Slow, 1.0)]);
        for nth in 1..1_000 {
            let after = draw(&usual, Method::ShowWorkflow, "w", nth).after;
            assert!(latency.0 <= after && after <= latency.1, "{after:?}");
            let after = draw(&slow, Method::ShowWorkflow, "w", nth).after;
            assert_eq!(after, Duration::from_millis(250));
        }
    }
}
