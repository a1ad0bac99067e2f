//! Identifiers that stand in a URL path: projects, workspaces, workflows, versions.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::printable::is_printable;

/// The longest id the service documents (workflow and version ids: 32 to 64 characters),
/// doubled, because the limit is not confirmed.
const LONGEST: usize = 128;

/// An id that is safe as one segment of a URL path: not empty, not `.` or `..`, and made of
/// RFC 3986's unreserved characters alone. The service's own are UUIDs or 32 hexadecimal digits.
///
/// Anything else would change which resource a request reaches: `..` collapses to the parent
/// even when it is percent-encoded.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Id(#[serde(serialize_with = "as_text")] Arc<str>);

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Why a text is no [`Id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// Nothing is left once blanks are dropped.
    #[error("the id is empty")]
    Empty,
    /// `.` or `..`.
    #[error("the id would change the URL")]
    Dots,
    /// `/` or `\`.
    #[error("the id holds a slash, which would change the URL")]
    Slash,
    /// A blank or a line break inside.
    #[error("the id holds a blank or a line break")]
    Blank,
    /// A character inside that cannot be seen.
    #[error("the id holds a character that cannot be seen: U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// What a spreadsheet makes of digits, such as `1.23E+10`.
    #[error("a spreadsheet has turned the id into a number")]
    Number,
    /// Anything else than letters, digits, `-`, `_`, `.`, `~`.
    #[error("the id holds characters that no id has")]
    Characters,
    /// More than 128 characters.
    #[error("the id is longer than 128 characters")]
    Long,
}

impl IdFault {
    /// What the author of the file can do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Empty => "give the id as the console or an export shows it",
            Self::Dots | Self::Slash | Self::Blank | Self::Characters | Self::Long => {
                "an id is a UUID or 32 hexadecimal digits; copy it from the console or an export"
            }
            Self::Invisible(_) => "delete it or retype the id",
            Self::Number => {
                "format the column as text in the spreadsheet, then paste the ids again"
            }
        }
    }
}

impl Id {
    /// No id of anything: it stands for all of a kind.
    pub fn any() -> Self {
        Self("~".into())
    }

    /// The id in `text`, without the blanks, BOM and zero-width characters around it.
    ///
    /// # Errors
    /// Names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        let id = trim(text);
        match id {
            "" => return Err(IdFault::Empty),
            "." | ".." => return Err(IdFault::Dots),
            _ => {}
        }
        let is_unreserved = |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'~');
        let is_safe = id.bytes().all(is_unreserved);
        if !is_safe && id.contains(['/', '\\']) {
            return Err(IdFault::Slash);
        }
        if !is_safe && let Some(blank) = id.chars().find(|c| c.is_control() || is_blank(*c)) {
            return Err(match blank {
                ' ' | '\t' | '\r' | '\n' => IdFault::Blank,
                unseen => IdFault::Invisible(unseen),
            });
        }
        if looks_like_a_number(id) {
            return Err(IdFault::Number);
        }
        if !is_safe {
            return Err(IdFault::Characters);
        }
        if id.len() > LONGEST {
            return Err(IdFault::Long);
        }
        Ok(Self(id.into()))
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `c` is a character that spreadsheets and copying leave around a value unseen.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

/// Whether `c` is no blank and shows nothing either: a soft hyphen, a zero-width character, a mark of
/// the direction of writing, a filler, a BOM.
pub fn is_invisible(c: char) -> bool {
    // A braille pattern without dots.
    c == '\u{2800}' || !(c.is_control() || is_printable(c))
}

/// `text` without blanks, no-break spaces, BOM and other characters around it that cannot be seen.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// What a spreadsheet makes of digits: one digit, an optional fraction, `E`, a sign, digits; or so
/// many digits that all beyond the fifteenth, which it cannot hold, have become zeros.
fn looks_like_a_number(id: &str) -> bool {
    let rounded = |tail: &str| tail.bytes().all(|digit| digit == b'0');
    if id.len() > 15 && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return rounded(&id[15..]);
    }
    if !matches!(id.as_bytes(), [b'0'..=b'9', b'.' | b',' | b'E' | b'e', ..]) {
        return false;
    }
    let Some((mantissa, exponent)) = id.split_once(['E', 'e']) else {
        return false;
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    let Some(power) = exponent.strip_prefix(['+', '-']) else {
        return false;
    };
    whole.len() == 1 && digits(whole) && digits(fraction) && digits(power)
}

impl TryFrom<String> for Id {
    type Error = IdFault;
    fn try_from(text: String) -> Result<Self, IdFault> {
        Self::parse(&text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The id; of a UUID, without what may differ in two spellings of it: case and dashes.
pub fn same_id(id: &Id) -> String {
    same_spelling(id.as_str())
}

/// The same for the text of an id.
pub fn same_spelling(id: &str) -> String {
    match is_uuid(id) {
        true => digits(id).map(char::from).collect(),
        false => id.to_owned(),
    }
}

/// Whether two ids are two spellings of one.
pub fn is_same(one: &Id, other: &Id) -> bool {
    is_same_text(one.as_str(), other.as_str())
}

/// The same for the texts of ids.
pub fn is_same_text(one: &str, other: &str) -> bool {
    one == other || (is_uuid(one) && is_uuid(other) && digits(one).eq(digits(other)))
}

fn is_uuid(id: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
    id.bytes().filter(|byte| *byte != b'-').count() == 32
        && id
            .as_bytes()
            .iter()
            .filter(|byte| **byte != b'-')
            .all(is_digit)
}

/// The digits of a UUID, without what may differ in two spellings of it.
fn digits(uuid: &str) -> impl Iterator<Item = u8> {
    let digits = uuid.bytes().filter(|byte| *byte != b'-');
    digits.map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_without_what_copying_left_around_it() {
        for text in [
            "w-1",
            " w-1\u{a0}",
            "\u{feff}w-1",
            "\u{200b}w-1\u{200b}\t",
            "\u{202a}w-1\u{202c}",
            "w-1\u{ad}",
        ] {
            assert_eq!(Id::parse(text).unwrap().as_str(), "w-1", "{text:?}");
        }
    }

    #[test]
    fn a_text_that_would_change_the_url_is_no_id() {
        for (text, fault) in [
            ("", IdFault::Empty),
            ("\u{200b} ", IdFault::Empty),
            (".", IdFault::Dots),
            (" .. ", IdFault::Dots),
            ("a/b", IdFault::Slash),
            ("a\\b", IdFault::Slash),
            ("a\nb", IdFault::Blank),
            ("a b", IdFault::Blank),
            ("a\tb", IdFault::Blank),
            ("a\0b", IdFault::Invisible('\0')),
            ("a\u{a0}b", IdFault::Invisible('\u{a0}')),
            ("a\u{ad}b", IdFault::Invisible('\u{ad}')),
            ("a\u{200b}b", IdFault::Invisible('\u{200b}')),
            ("a\u{202e}b", IdFault::Invisible('\u{202e}')),
            ("a\u{2066}b", IdFault::Invisible('\u{2066}')),
            ("a\u{feff}b", IdFault::Invisible('\u{feff}')),
            ("1.23E+10", IdFault::Number),
            ("1,23E+10", IdFault::Number),
            ("9e-4", IdFault::Number),
            ("123456789012345000000000", IdFault::Number),
            ("#REF!", IdFault::Characters),
            ("%2e%2e", IdFault::Characters),
            ("{w-1}", IdFault::Characters),
            ("\u{2019}w-1\u{2019}", IdFault::Characters),
        ] {
            assert_eq!(Id::parse(text).unwrap_err(), fault, "{text:?}");
        }
        assert_eq!(Id::parse(&"a".repeat(129)).unwrap_err(), IdFault::Long);
    }

    #[test]
    fn a_character_that_cannot_be_seen_is_named() {
        let fault = Id::parse("w\u{200b}1").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the id holds a character that cannot be seen: U+200B"
        );
    }

    #[test]
    fn a_hexadecimal_id_with_one_e_is_no_number() {
        for id in [
            "12345678901234567890123456789e12",
            "1e12",
            "12345678901234567890123456789012",
            "e",
            "1.5",
        ] {
            assert_eq!(Id::parse(id).unwrap().as_str(), id);
        }
    }
}
