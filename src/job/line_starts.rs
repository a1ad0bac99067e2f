//! On which line of a text a byte stands.

/// Where the lines of a text begin.
#[derive(Debug)]
pub struct LineStarts(Vec<usize>);

impl LineStarts {
    /// Those of `text`.
    pub fn of(text: &str) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        Self(ends.map(|end| end + 1).collect())
    }

    /// The line of the byte `offset`, from 1.
    pub fn line_of(&self, offset: usize) -> u64 {
        1 + self.0.partition_point(|start| *start <= offset) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_stands_on_the_line_that_begins_before_it() {
        let lines = LineStarts::of("ab\n\nc");
        let found = [0, 2, 3, 4, 5].map(|offset| lines.line_of(offset));
        assert_eq!(found, [1, 1, 2, 3, 3]);
    }
}
