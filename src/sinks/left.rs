//! Which rows are left of a run: one bit a row.

/// A set of row numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    bits: Vec<u64>,
    count: u64,
}

impl Left {
    /// Adds row `number` (from 1).
    pub fn insert(&mut self, number: u64) {
        let Some((word, bit)) = place(number) else {
            return;
        };
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.count += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    /// Whether row `number` is among them.
    pub fn contains(&self, number: u64) -> bool {
        let found = place(number).and_then(|(word, bit)| Some(self.bits.get(word)? & bit));
        found.is_some_and(|bit| bit != 0)
    }

    /// Their numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let last = self.bits.len() as u64 * 64;
        (1..=last).filter(|number| self.contains(*number))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

fn place(number: u64) -> Option<(usize, u64)> {
    let index = number.checked_sub(1)?;
    Some((usize::try_from(index / 64).ok()?, 1 << (index % 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut left = Left::default();
        for number in [1, 64, 65, 4_000, 64, 0] {
            left.insert(number);
        }
        assert_eq!(left.count(), 4);
        let found: Vec<_> = (0..5_000).filter(|number| left.contains(*number)).collect();
        assert_eq!(found, [1, 64, 65, 4_000]);
    }
}
