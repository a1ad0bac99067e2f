//! Cells that a spreadsheet would take for formulas.

use std::borrow::Cow;

/// Characters that make a spreadsheet take a cell for a formula, or hide it. A cell that begins
/// with one is written with `'` before it.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\'', '\t', '\r'];

/// The cell without the `'` that keeps a spreadsheet from taking it for a formula.
pub fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest,
        Some(_) | None => cell,
    }
}

/// The cell so that no spreadsheet takes it for a formula, and [`unguarded`] gives it back.
pub fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(FORMULA) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarded_cell_is_read_back_exactly() {
        for cell in [
            "=1+1", "+4", "-5", "@x", "'quoted'", "''", "'=1", "\tx", "plain", "", "a=b", "'",
        ] {
            assert_eq!(unguarded(&guarded(cell)), cell, "{cell:?}");
        }
        assert_eq!(guarded("=1+1"), "'=1+1");
        assert_eq!(unguarded("'tis"), "'tis");
    }
}
