//! Takes secrets out of texts that the other side sent.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

/// Secrets are found by so many first characters, so that an echo that was cut is found as well.
const START: usize = 8;
/// A shorter one would eat ordinary words.
const SHORTEST: usize = 6;
/// A value that must stay as it is holds a secret if so many of its first characters are there; a shorter secret may be
/// a word of the value's author.
const WEIGHTY: usize = 12;
/// Tokens of IAM are CMS messages in base64, which all begin with the same dozens of characters.
const WEIGHTY_TOKEN: usize = 64;

/// What an echo of a secret may look like, found out once: texts of the other side are many.
#[derive(Clone)]
pub(super) struct Echoes {
    label: &'static str,
    /// The secret as it is, in base64 and as JSON has it; none where it is too short to be looked for.
    forms: Vec<SecretString>,
    /// With which bytes one of them begins, or its percent-encoding.
    begins: Vec<u8>,
    /// How many first characters make a value hold the secret.
    weighty: usize,
}

impl Echoes {
    /// Those of `secret`, which is told as `[label]`.
    pub(super) fn of(secret: &str, label: &'static str) -> Self {
        let mut forms: Vec<SecretString> = Vec::new();
        let mut add = |form: String| {
            if forms.iter().all(|known| known.expose_secret() != form) {
                forms.push(form.into());
            }
        };
        if secret.len() >= SHORTEST {
            add(secret.to_owned());
            add(STANDARD_NO_PAD.encode(secret));
            add(URL_SAFE_NO_PAD.encode(secret));
            let (once, in_ascii) = (in_json(secret), in_ascii_json(secret));
            add(in_json(&once));
            add(once);
            add(in_ascii);
        }
        let first = forms
            .iter()
            .filter_map(|form| form.expose_secret().bytes().next());
        let percent = (!forms.is_empty()).then_some(b'%');
        let mut begins: Vec<u8> = first.chain(percent).collect();
        begins.sort_unstable();
        begins.dedup();
        Self {
            label,
            forms,
            begins,
            weighty: match secret.len() {
                0..WEIGHTY => usize::MAX,
                WEIGHTY..=WEIGHTY_TOKEN => WEIGHTY,
                _ => WEIGHTY_TOKEN,
            },
        }
    }

    /// Whether `text` holds the secret, or so much of its beginning that it can be no accident.
    pub(super) fn are_in(&self, text: &str) -> bool {
        if self.weighty == usize::MAX {
            return false;
        }
        let mut at = 0;
        while let Some(step) = self.next_begin(&text.as_bytes()[at..]) {
            at += step;
            let rest = text.get(at..).unwrap_or_default();
            let mut forms = self.forms.iter().map(ExposeSecret::expose_secret);
            if forms.any(|form| echo(form, rest, self.weighty).is_some()) {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Where in `bytes` an echo may begin first.
    fn next_begin(&self, bytes: &[u8]) -> Option<usize> {
        match *self.begins {
            [] => None,
            [one] => memchr::memchr(one, bytes),
            [one, two] => memchr::memchr2(one, two, bytes),
            [one, two, three] => memchr::memchr3(one, two, three, bytes),
            _ => bytes.iter().position(|byte| self.begins.contains(byte)),
        }
    }

    /// `text` with the secret blotted out, should the other side have echoed it: as it is, in base64 or as JSON has
    /// it, each of them percent-encoded in whole or in part, whole or cut.
    pub(super) fn blot_out(&self, text: String) -> String {
        let mut clean = String::new();
        // What stands before is clean, and not taken over yet.
        let mut begin = 0;
        let mut at = 0;
        // None begins in the middle of a character.
        while let Some(step) = self.next_begin(&text.as_bytes()[at..]) {
            at += step;
            let rest = &text[at..];
            let forms = self.forms.iter().map(ExposeSecret::expose_secret);
            let echoes = forms.filter_map(|form| echo(form, rest, START));
            let Some(length) = echoes.max() else {
                at = text.ceil_char_boundary(at + 1);
                continue;
            };
            clean.push_str(&text[begin..at]);
            clean += &format!("[{}]", self.label);
            // A password may end in half a character.
            at = text.ceil_char_boundary(at + length);
            // Of one that was written in yet another way, the rest follows.
            let rest = text.as_bytes()[at..].iter();
            at += rest.take_while(|byte| is_of_a_secret(**byte)).count();
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

/// `text` as it stands in a string of JSON.
fn in_json(text: &str) -> String {
    // A string always serializes, between quotes.
    let json = serde_json::to_string(text).unwrap_or_default();
    let inside = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'));
    inside.unwrap_or_default().to_owned()
}

/// The same, where all but ASCII is escaped as well.
fn in_ascii_json(text: &str) -> String {
    let mut ascii = String::new();
    for c in in_json(text).chars() {
        match c.is_ascii() {
            true => ascii.push(c),
            false => {
                let units = c.encode_utf16(&mut [0; 2]).to_owned();
                ascii.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    ascii
}

/// How many bytes at the beginning of `text` are an echo of `form`, if `least` of its first are there.
fn echo(form: &str, text: &str, least: usize) -> Option<usize> {
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
    (matched >= least.min(form.len())).then_some(length)
}

/// What tokens and keys are made of, with what JSON puts before a slash.
fn is_of_a_secret(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-%\\".contains(&byte)
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
    fn a_secret_is_found_as_json_has_it_however_deep() {
        let secret = "pa:ss\"w\\\u{f6}rd-4711";
        let once = serde_json::to_string(secret).unwrap();
        let twice = serde_json::to_string(&once).unwrap();
        for form in [
            once.trim_matches('"'),
            twice.trim_matches(['"', '\\']),
            "pa:ss\\\"w\\\\\\u00f6rd-4711",
        ] {
            assert_eq!(
                blot_out(secret, "password", form.to_owned()),
                "[password]",
                "{form}"
            );
        }
    }

    #[test]
    fn a_value_holds_a_secret_if_much_of_it_is_there() {
        let key = "K3yK3yK3yK3yS3cr3tS3cr3t";
        let token = "MIIEIgYJKoZIhvcNAQcCoIIEEzCCBA8CAQExDTALBglghkgBZQMEAgEwggI0BgkqhkiG9w0BBwGgggIlcanary";
        for (secret, text, expected) in [
            (key, format!("see {key}."), true),
            (key, format!("see {}", &key[..12]), true),
            (key, format!("see {}", &key[..11]), false),
            (key, STANDARD_NO_PAD.encode(key), true),
            (token, token[..70].to_owned(), true),
            (token, token[..63].to_owned(), false),
            ("short-word", "a short-word".to_owned(), false),
            (
                "passw\u{f6}rd-4711",
                "\u{e4}passw\u{f6}rd-4711".to_owned(),
                true,
            ),
        ] {
            assert_eq!(Echoes::of(secret, "x").are_in(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_rest_of_a_secret_that_was_written_another_way_goes_as_well() {
        let token = "MIIEIgYJKoZI/hvcNAQcCoIIEEz/zz==";
        let text = blot_out(
            token,
            "token",
            r"bad token MIIEIgYJKoZI\/hvcNAQcCoIIEEz\/zz\u003d\u003d!".into(),
        );
        assert_eq!(text, "bad token [token]!");
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
