//! What a cell says.

use crate::model::id::trim;

/// Sets a field to the empty string.
pub const EMPTY: &str = "<empty>";

/// Words for true and false, lower case: English, German, French, Spanish, Italian, Portuguese,
/// Dutch, Polish, Turkish, Russian, Chinese, as spreadsheets and people write them.
const WORDS: [(&str, &str); 20] = [
    ("true", "false"),
    ("yes", "no"),
    ("1", "0"),
    ("on", "off"),
    ("y", "n"),
    ("wahr", "falsch"),
    ("ja", "nein"),
    ("vrai", "faux"),
    ("oui", "non"),
    ("verdadero", "falso"),
    ("s\u{ed}", "no"),
    ("vero", "falso"),
    ("verdadeiro", "falso"),
    ("sim", "n\u{e3}o"),
    ("waar", "onwaar"),
    ("prawda", "fa\u{142}sz"),
    ("do\u{11f}ru", "yanl\u{131}\u{15f}"),
    (
        "\u{438}\u{441}\u{442}\u{438}\u{43d}\u{430}",
        "\u{43b}\u{43e}\u{436}\u{44c}",
    ),
    ("\u{662f}", "\u{5426}"),
    ("\u{771f}", "\u{5047}"),
];

/// How a boolean is written, for hints.
pub const BOOLEAN_HINT: &str = "write true or false (also yes/no, 1/0, and a spreadsheet's own words such as WAHR/FALSCH, VRAI/FAUX, \u{662f}/\u{5426})";

/// The truth value in `cell`, in any of the known languages.
pub fn boolean(cell: &str) -> Option<bool> {
    // Turkish capitals: a dotted I lowers to two characters, a dotless one to a plain i.
    let word = trim(cell).to_lowercase().replace("i\u{307}", "i");
    let dotless = word.replace('i', "\u{131}");
    let is = |known: &str| known == word || known == dotless;
    WORDS.iter().find_map(|(yes, no)| {
        if is(yes) {
            Some(true)
        } else if is(no) {
            Some(false)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_in_the_languages_of_spreadsheets() {
        for cell in [
            "true",
            "TRUE",
            " True\u{a0}",
            "1",
            "yes",
            "WAHR",
            "Vrai",
            "VERDADERO",
            "VERO",
            "DO\u{11e}RU",
            "\u{418}\u{421}\u{422}\u{418}\u{41d}\u{410}",
            "\u{662f}",
            "S\u{ed}",
        ] {
            assert_eq!(boolean(cell), Some(true), "{cell}");
        }
        for cell in [
            "false",
            "FALSCH",
            "FAUX",
            "FALSO",
            "0",
            "no",
            "FA\u{141}SZ",
            "YANLI\u{15e}",
            "\u{41b}\u{41e}\u{416}\u{42c}",
            "\u{5426}",
            "\u{200b}off",
        ] {
            assert_eq!(boolean(cell), Some(false), "{cell}");
        }
        for cell in ["", "yess", "2", "tru", "maybe", "-"] {
            assert_eq!(boolean(cell), None, "{cell}");
        }
    }
}
