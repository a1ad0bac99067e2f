//! Takes secrets out of texts that the other side sent.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

/// Secrets are found by so many first characters, so that an echo that was cut is found as well.
const START: usize = 8;
/// A shorter one would eat ordinary words.
const SHORTEST: usize = 6;

/// What an echo of a secret may look like, found out once: texts of the other side are many.
#[derive(Clone)]
pub(super) struct Echoes {
    label: &'static str,
    /// The secret as it is and in base64; none where it is too short to be looked for.
    forms: Option<[SecretString; 3]>,
}

impl Echoes {
    /// Those of `secret`, which is told as `[label]`.
    pub(super) fn of(secret: &str, label: &'static str) -> Self {
        let forms = (secret.len() >= SHORTEST).then(|| {
            [
                secret.to_owned(),
                STANDARD_NO_PAD.encode(secret),
                URL_SAFE_NO_PAD.encode(secret),
            ]
            .map(SecretString::from)
        });
        Self { label, forms }
    }

    /// `text` with the secret blotted out, should the other side have echoed it: as it is or in base64, either
    /// of them percent-encoded in whole or in part, whole or cut.
    pub(super) fn blot_out(&self, text: String) -> String {
        let Some(forms) = &self.forms else {
            return text;
        };
        let forms = forms.each_ref().map(SecretString::expose_secret);
        // Only there an echo can begin: no form is empty, and none begins in the middle of a character.
        let [plain, standard, url_safe] = forms.map(|form| form.as_bytes()[0]);
        let may_begin =
            |byte: &u8| *byte == b'%' || *byte == plain || *byte == standard || *byte == url_safe;
        let mut clean = String::new();
        // What stands before is clean, and not taken over yet.
        let mut begin = 0;
        let mut at = 0;
        while let Some(step) = text.as_bytes()[at..].iter().position(may_begin) {
            at += step;
            let rest = &text[at..];
            let echoes = forms.iter().filter_map(|form| echo(form, rest));
            let Some(length) = echoes.max() else {
                at = text.ceil_char_boundary(at + 1);
                continue;
            };
            clean.push_str(&text[begin..at]);
            clean += &format!("[{}]", self.label);
            // A password may end in half a character.
            at = text.ceil_char_boundary(at + length);
            begin = at;
        }
        if begin == 0 {
            return text;
        }
        clean.push_str(&text[begin..]);
        clean
    }
}

impl fmt::Debug for Echoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Echoes of a {}", self.label)
    }
}

/// `text` with `secret` blotted out as `[label]`.
pub(super) fn blot_out(secret: &str, label: &'static str, text: String) -> String {
    Echoes::of(secret, label).blot_out(text)
}

/// How many bytes at the beginning of `text` are an echo of `form`, if so many of its first are there
/// that it can be no accident.
fn echo(form: &str, text: &str) -> Option<usize> {
    let (mut length, mut matched) = (0, 0);
    let text = text.as_bytes();
    for byte in form.bytes() {
        let rest = &text[length..];
        length += match rest {
            [first, ..] if *first == byte => 1,
            [b'%', high, low, ..] if hex(*high, *low) == Some(byte) => 3,
            _ => break,
        };
        matched += 1;
    }
    (matched >= START.min(form.len())).then_some(length)
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        // As real tokens begin: nothing to encode for a while.
        for secret in ["MIIEIgYJKoZIhvcN+AQcC/oII-Ew==", "canary+sk/77=="] {
            let standard = base64::engine::general_purpose::STANDARD.encode(secret);
            for form in [
                secret.to_owned(),
                utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
                utf8_percent_encode(secret, UNRESERVED).to_string(),
                utf8_percent_encode(secret, UNRESERVED)
                    .to_string()
                    .replace("%2B", "%2b"),
                URL_SAFE_NO_PAD.encode(secret),
                utf8_percent_encode(&standard, NON_ALPHANUMERIC).to_string(),
            ] {
                let text = blot_out(secret, "sk", format!("got {form}!"));
                let left = text.replace("%3D", "");
                assert_eq!(left, "got [sk]!", "{form}");
                let cut = blot_out(secret, "sk", format!("got {}\u{2026}", &form[..12]));
                assert!(cut.starts_with("got [sk]") && cut.len() < 20, "{cut}");
            }
        }
    }

    #[test]
    fn half_a_character_of_a_password_is_not_left() {
        let text = blot_out("p\u{e4}sswo\u{f6}", "pw", "p\u{e4}sswo\u{fc}!".into());
        assert_eq!(text, "[pw]!");
    }

    #[test]
    fn a_word_too_short_for_a_secret_stays() {
        assert_eq!(blot_out("the", "pw", "the end".into()), "the end");
        assert_eq!(blot_out("thestart", "pw", "the end".into()), "the end");
    }
}
