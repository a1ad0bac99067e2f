//! Takes secrets out of texts that the other side sent.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Secrets are found by so many first characters, so that an echo that was cut is found as well.
const START: usize = 8;
/// A shorter one would eat ordinary words.
const SHORTEST: usize = 6;

/// `text` with `secret` blotted out as `[label]`, should the other side have echoed it: as it is, in a
/// URL's encoding or in base64, whole or cut.
pub(super) fn blot_out(secret: &str, label: &str, text: String) -> String {
    if secret.len() < SHORTEST {
        return text;
    }
    let encoded = Cow::from(utf8_percent_encode(secret, NON_ALPHANUMERIC));
    let forms = [
        Cow::Borrowed(secret),
        encoded,
        STANDARD.encode(secret).into(),
        URL_SAFE_NO_PAD.encode(secret).into(),
    ];
    forms
        .iter()
        .fold(text, |text, form| blot_out_form(form, label, text))
}

fn blot_out_form(secret: &str, label: &str, text: String) -> String {
    let start = &secret[..secret.floor_char_boundary(START)];
    if !text.contains(start) {
        return text;
    }
    let mut clean = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(start) {
        clean += &rest[..at];
        clean += &format!("[{label}]");
        let echoed = rest[at..].bytes().zip(secret.bytes());
        let length = echoed.take_while(|(echo, secret)| echo == secret).count();
        // Secrets are ASCII but for passwords, of which half a character may be left.
        let end = (at + length..=rest.len()).find(|end| rest.is_char_boundary(*end));
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let secret = "canary+sk/77==";
        let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        for form in [secret.to_owned(), percent, STANDARD.encode(secret)] {
            let text = blot_out(secret, "sk", format!("got {form}!"));
            assert_eq!(text, "got [sk]!");
        }
        assert_eq!(
            blot_out(secret, "sk", "got canary+s\u{2026}".into()),
            "got [sk]\u{2026}"
        );
        assert_eq!(
            blot_out("p\u{e4}ssw\u{f6}rd", "pw", "p\u{e4}ssw\u{fc}!".into()),
            "p\u{e4}ssw\u{fc}!"
        );
        assert_eq!(
            blot_out("p\u{e4}sswo\u{f6}", "pw", "p\u{e4}sswo\u{fc}!".into()),
            "[pw]!"
        );
    }

    #[test]
    fn a_word_too_short_for_a_secret_stays() {
        assert_eq!(blot_out("the", "pw", "the end".into()), "the end");
    }
}
