//! Numbers of things, in words.

/// A number with its noun, which is given in the singular: `1 row`, `2 rows`, `0 rows`.
pub fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let rows = [0, 1, 2, 21].map(|number| counted(number, "row"));
        assert_eq!(rows, ["0 rows", "1 row", "2 rows", "21 rows"]);
        assert_eq!(counted(1, "more workspace"), "1 more workspace");
    }
}
