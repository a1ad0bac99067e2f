//! How many random cases a test tries, and which.

use proptest::test_runner::{Config, RngSeed};

/// `cases`, times FLOWBATCH_CAMPAIGN.
///
/// Without FLOWBATCH_CAMPAIGN the cases are always the same; with it, always others.
#[expect(
    clippy::expect_used,
    reason = "a campaign of a size nobody can read must not pass"
)]
pub(crate) fn config(cases: u32) -> Config {
    let campaign = std::env::var("FLOWBATCH_CAMPAIGN").ok();
    let times: Option<u32> = campaign.map(|times| times.parse().expect("it is a whole number"));
    Config {
        cases: cases * times.unwrap_or(1),
        rng_seed: times.map_or(RngSeed::Fixed(1), |_| RngSeed::Random),
        failure_persistence: None,
        ..Config::default()
    }
}
