//! Wrong signatures in a row, which lock an access key.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::later;

/// So many wrong signatures in a row lock a key (vendor's page `ocr_faq/ocr_01_0063`).
const LIMIT: u32 = 5;
/// For so long.
const LOCKED_FOR: Duration = Duration::from_secs(300);

/// What each key has against it.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    of: HashMap<String, Strike>,
}

#[derive(Debug, Default)]
struct Strike {
    wrong: u32,
    locked_until: Option<Timestamp>,
}

impl Strikes {
    /// Whether nothing that the key signs is looked at.
    pub(super) fn lock(&self, ak: &str, now: Timestamp) -> bool {
        let strike = self.of.get(ak);
        strike.is_some_and(|strike| strike.locked_until.is_some_and(|until| now < until))
    }

    /// A signature was wrong.
    pub(super) fn wrong(&mut self, ak: &str, now: Timestamp) {
        let strike = self.of.entry(ak.to_owned()).or_default();
        strike.wrong += 1;
        if strike.wrong == LIMIT {
            *strike = Strike {
                wrong: 0,
                locked_until: Some(later(now, LOCKED_FOR)),
            };
        }
    }

    /// A signature was right.
    pub(super) fn right(&mut self, ak: &str) {
        self.of.remove(ak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn five_wrong_signatures_in_a_row_lock_a_key_for_five_minutes() {
        let mut strikes = Strikes::default();
        for second in 0..5 {
            assert!(!strikes.lock("ak", at(second)));
            strikes.wrong("ak", at(second));
        }
        assert!(strikes.lock("ak", at(4)));
        assert!(strikes.lock("ak", at(303)));
        assert!(!strikes.lock("other", at(4)));
        assert!(!strikes.lock("ak", at(304)));
        strikes.wrong("ak", at(304));
        assert!(!strikes.lock("ak", at(305)), "counting begins anew");
    }

    #[test]
    fn a_right_signature_ends_the_row() {
        let mut strikes = Strikes::default();
        for second in 0..20 {
            strikes.wrong("ak", at(second));
            if second % 4 == 3 {
                strikes.right("ak");
            }
            assert!(!strikes.lock("ak", at(second)));
        }
    }
}
