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

/// Whether a row of these cells says nothing, as an empty line does: what is left of one that was
/// cleared in a spreadsheet.
pub fn is_empty_row<'a>(cells: impl IntoIterator<Item = &'a str>) -> bool {
    cells.into_iter().all(|cell| trim(cell).is_empty())
}

/// What was meant by a cell, and is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// An error value of a spreadsheet.
    SheetError,
    /// The character that programs write for bytes which they could not read.
    Replaced,
}

impl Spoilt {
    /// What is lost in `cell`, if something is.
    pub fn find(cell: &str) -> Option<Self> {
        if is_sheet_error(cell) {
            return Some(Self::SheetError);
        }
        cell.contains(char::REPLACEMENT_CHARACTER)
            .then_some(Self::Replaced)
    }

    /// What it is, for problems.
    pub fn what(self) -> &'static str {
        match self {
            Self::SheetError => "the cell holds an error value of the spreadsheet",
            Self::Replaced => {
                "the cell holds a replacement character (U+FFFD): a program could not read what stood there"
            }
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::SheetError => "correct the formula in the sheet, or paste its values",
            Self::Replaced => "write the text anew, and save the file as UTF-8",
        }
    }
}

/// Error values that the shape does not show, without their `#`: those that end with a plain word
/// (not available, still loading, outside of a format), and those in scripts without capitals.
const ERROR_WORDS: [&str; 29] = [
    "NV",
    "YOK",
    "HI\u{c1}NYZIK",
    "NEN\u{cd}_K_DISPOZICI",
    "NEDOSTUPN\u{dd}",
    "NEDOSTUPN\u{c9}",
    "PUUTTUU",
    "SAKNAS",
    "FMT",
    "GETTING_DATA",
    "DATEN_ABRUFEN",
    "OBTENTION_DONNEES",
    "CHARGEMENT_DONNEES",
    "OBTENIENDO_DATOS",
    "OBTENDO_DADOS",
    "RECUPERO_DATI",
    "ESTRAZIONE_DATI_IN_CORSO",
    "GEGEVENS_OPHALEN",
    "GEGEVENS.OPHALEN",
    "POBIERANIE_DANYCH",
    "\u{41e}\u{416}\u{418}\u{414}\u{410}\u{41d}\u{418}\u{415}_\u{414}\u{410}\u{41d}\u{41d}\u{42b}\u{425}",
    "\u{41f}\u{41e}\u{41b}\u{423}\u{427}\u{415}\u{41d}\u{418}\u{415}_\u{414}\u{410}\u{41d}\u{41d}\u{42b}\u{425}",
    "H\u{c4}MTAR_DATA",
    "HENTER_DATA",
    "VER\u{130}_ALINIYOR",
    "\u{30b9}\u{30d4}\u{30eb}!",
    "\u{6ea2}\u{51fa}!",
    "\u{bd84}\u{c0b0}!",
    "\u{e2a}\u{e1b}\u{e34}\u{e25}\u{e25}\u{e4c}!",
];

/// What LibreOffice writes before the number of an error, lower case: English (also German, Spanish,
/// Italian), French, Czech, Danish, Dutch, Finnish, Hungarian, Norwegian, Polish, Portuguese, Russian,
/// Swedish, Turkish, Ukrainian, Chinese, Japanese, Korean.
const ERROR_PREFIXES: [&str; 18] = [
    "err",
    "chyba",
    "fejl",
    "fout",
    "virhe",
    "hiba",
    "feil",
    "b\u{142}\u{105}d",
    "erro",
    "\u{43e}\u{448}\u{438}\u{431}\u{43a}\u{430}",
    "fel",
    "hata",
    "\u{43f}\u{43e}\u{43c}\u{438}\u{43b}\u{43a}\u{430}",
    "\u{9519}\u{8bef}",
    "\u{932f}\u{8aa4}",
    "\u{30a8}\u{30e9}\u{30fc}",
    "\u{c624}\u{b958}",
    "fehler",
];

/// Whether `cell` is what a spreadsheet writes where a formula has no value, or where a column is too
/// narrow for one.
///
/// Error values are translated, and new ones come with new functions, so that they are known by their
/// shape: a whole cell of `#`, capitals (with digits and `/ . _` and inverted marks among them), and `!` or
/// `?` (`#REF!`, `#BEZUG!`, `#DIV/0!`, `#DELING.DOOR.0!`); `#`, a capital, `/`, a capital
/// (`#N/A`, `#I/T`); `#` alone, twice or more (`###`); a word for error, `:` and 5 with two digits
/// (`Err:502`). The list of words has the others. An error passes through every formula unchanged,
/// which is why a text that merely holds one (`see #REF!`) was typed by people, and why lower case and
/// blanks (`#todo!`, `#1 alert!`) are no error.
///
/// Sources: Microsoft's "Error values" in the documentation of Excel (`ERROR.TYPE`, `Range.Errors`)
/// and their localized names, LibreOffice's help "Error Codes in LibreOffice Calc".
fn is_sheet_error(cell: &str) -> bool {
    // Most are none at a glance.
    if memchr::memchr2(b'#', b':', cell.as_bytes()).is_none() {
        return false;
    }
    let cell = trim(cell);
    match cell.strip_prefix('#') {
        Some(name) => is_error_name(name),
        None => is_numbered_error(cell),
    }
}

/// The same without the `#`.
fn is_error_name(name: &str) -> bool {
    if !name.is_empty() && name.bytes().all(|byte| byte == b'#') {
        return true;
    }
    if let Some((before, after)) = name.split_once('/')
        && is_capital(before)
        && is_capital(after)
    {
        return true;
    }
    let is_of_name = |c: char| {
        c.is_uppercase() || c.is_ascii_digit() || matches!(c, '/' | '.' | '_' | '\u{a1}' | '\u{bf}')
    };
    let word = name.strip_suffix(['!', '?']);
    let has_shape = word.is_some_and(|word| {
        word.chars().all(is_of_name) && word.chars().filter(|c| c.is_uppercase()).count() > 1
    });
    has_shape || ERROR_WORDS.contains(&name)
}

fn is_capital(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_uppercase) && chars.next().is_none()
}

/// `Err:502`, in the languages of LibreOffice.
fn is_numbered_error(cell: &str) -> bool {
    let Some((word, number)) = cell.split_once(':') else {
        return false;
    };
    let is_number = matches!(number.as_bytes(), [b'5', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit());
    is_number && ERROR_PREFIXES.contains(&trim(word).to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_cells_in_which_nothing_can_be_seen_is_empty() {
        let unseen = [
            "", " ", "\t", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{ad}",
        ];
        assert!(is_empty_row(unseen));
        assert!(is_empty_row([]));
        assert!(!is_empty_row(["", "-"]));
    }

    #[test]
    fn what_a_program_could_not_read_is_lost() {
        assert_eq!(Spoilt::find("Gr\u{fffd}n"), Some(Spoilt::Replaced));
        assert_eq!(Spoilt::find("#REF!"), Some(Spoilt::SheetError));
        assert_eq!(Spoilt::find("Gr\u{fc}n"), None);
    }

    #[test]
    fn error_values_of_spreadsheets_are_known_in_their_languages() {
        for language in [
            "#REF! #N/A #NAME? #VALUE! #DIV/0! #NULL! #NUM! #SPILL! #CALC! #GETTING_DATA #FIELD! #BLOCKED!",
            "#UNKNOWN! #CONNECT! #BUSY! #PYTHON! #EXTERNAL! #TIMEOUT! #ERROR! ## ### ########## #FMT",
            "#BEZUG! #NV #WERT! #ZAHL! #ÜBERLAUF! #KALK! #DATEN_ABRUFEN",
            "#NOM? #VALEUR! #NOMBRE! #NUL! #PROPAGATION! #EPARS! #OBTENTION_DONNEES",
            "#¡REF! #¿NOMBRE? #¡DIV/0! #¡DESBORDAMIENTO! #N¡NUM! #N/D",
            "#RIF! #NOME? #VALORE! #NULLO! #ESPANSIONE! #VALOR! #NÚM! #NULO!",
            "#VERW! #NAAM? #WAARDE! #GETAL! #LEEG! #N/B #DELING.DOOR.0! #DEEL/0!",
            "#ADR! #NAZWA? #ARG! #LICZBA! #N/D! #DZIEL/0!",
            "#ODKAZ! #NÁZEV? #HODNOTA! #ČÍSLO! #DĚLENÍ_NULOU! #NENÍ_K_DISPOZICI #NEDOSTUPNÝ",
            "#HIV! #NÉV? #ÉRTÉK! #SZÁM! #ZÉRÓOSZTÓ! #HIÁNYZIK #N/V #DIJ/0!",
            "#ССЫЛКА! #ИМЯ? #ЗНАЧ! #ЧИСЛО! #ДЕЛ/0! #Н/Д #ПУСТО! #ΑΝΑΦ! #ΟΝΟΜΑ? #ΔΙΑΙΡ./0! #Δ/Υ",
            "#BAŞV! #AD? #DEĞER! #SAYI! #YOK #REFERENS! #NAMN? #VÄRDEFEL! #OGILTIGT! #SAKNAS!",
            "#VIITTAUS! #NIMI? #ARVO! #LUKU! #JAKO/0! #PUUTTUU! #REFERENCE! #NAVN? #VÆRDI! #I/T #VERDI!",
            "#スピル! #溢出! #분산! #สปิลล์!",
            "Err:502 Err:508 ERR:522 错误:502 エラー:502 Ошибка:504 Chyba:502 Błąd:502",
        ] {
            for cell in language.split(' ') {
                assert!(is_sheet_error(cell), "{cell}");
            }
        }
        for cell in ["Err :502", "Err\u{a0}:502", " #REF!\u{a0}"] {
            assert!(is_sheet_error(cell), "{cell:?}");
        }
    }

    #[test]
    fn what_people_write_is_no_error_value() {
        for cell in [
            "",
            "#",
            "# REF!",
            "#1 ALERT!",
            "see #REF!",
            "#REF! #REF!",
            "Restart on Err:502",
            "Error 502",
        ] {
            assert!(!is_sheet_error(cell), "{cell:?}");
        }
        let words = "#1 #1! #A! #todo! #Urgent! #SOC #SOC_TEAM #INC-17! REF! WHAT? N/A n/a - #紧急! #AB/C \
            #C/C++ Err Err: Err:404 Err:5022 Room:502 VLAN:512 '#REF!";
        for cell in words.split_whitespace() {
            assert!(!is_sheet_error(cell), "{cell}");
        }
    }

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
