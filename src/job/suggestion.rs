//! What a misspelt word was probably meant to be.

use crate::model::id::trim;

/// The word of `known` that `word` was probably meant to be.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = normal(word);
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&word, &normal(known)), known))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Lower case, without blanks, `-`, `_` and what copying leaves around.
pub fn normal(name: &str) -> String {
    trim(name)
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}
