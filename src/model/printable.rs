//! Foreign text made fit for a terminal, a log, a mail or a page.
//!
//! Names, messages and versions come from the service, from job files and from the command line. A control
//! character in them could move the cursor, rename the window or type for the user; one that is not seen could
//! make two names look alike, or turn a line around.

use std::borrow::Cow;

/// Whether a terminal shows `c` as a character of its own, or as the blank that it is.
///
/// Not shown are the control characters (Unicode category Cc), the line and paragraph separators, and what
/// Unicode 17 calls default-ignorable code points: zero-width and bidirectional controls, the soft hyphen, fillers,
/// tags. Variation selectors are left alone: they choose how the character before them looks.
pub fn is_printable(c: char) -> bool {
    // Nearly all are ASCII.
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}'
    )
}

/// `text` with each character that is not [printable](is_printable) written out as `\u{1b}`. Line feeds and tabs
/// stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    replaced(text, |c, out| out.extend(c.escape_unicode()))
}

/// The JSON text `json`, which means the same, with each character that is not printable as an escape of JSON
/// (RFC 8259, 7).
pub fn printable_json(json: &str) -> Cow<'_, str> {
    replaced(json, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

/// `text` as [`printable`] makes it, but for the colours that this program itself gave it.
pub fn printable_painted(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut clean = printable(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let escape = if is_color(part) { "\u{1b}" } else { "\\u{1b}" };
        clean.push_str(escape);
        clean.push_str(&printable(part));
    }
    clean
}

/// `text` without the colours that this program gave it.
pub fn unpainted(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match is_color(part).then(|| part.split_once('m')).flatten() {
            Some((_, rest)) => plain.push_str(rest),
            None => {
                plain.push('\u{1b}');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Whether `rest` continues an escape sequence that only selects how text is rendered (ECMA-48, SGR).
fn is_color(rest: &str) -> bool {
    rest.strip_prefix('[').is_some_and(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.is_some_and(|end| rest[end..].starts_with('m'))
    })
}

fn replaced(text: &str, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let stays = |c: char| is_printable(c) || c == '\n' || c == '\t';
    // Most need nothing.
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match stays(c) {
            true => out.push(c),
            false => write(c, &mut out),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_written_out() {
        for (text, shown) in [
            (
                "plain \u{e4}\u{1f600}\u{fe0f} \t\n",
                "plain \u{e4}\u{1f600}\u{fe0f} \t\n",
            ),
            ("a\x1b]0;x\x07", "a\\u{1b}]0;x\\u{7}"),
            ("a\rb\x7f", "a\\u{d}b\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            (
                "a\u{202e}b\u{200b}c\u{61c}d\u{ad}",
                "a\\u{202e}b\\u{200b}c\\u{61c}d\\u{ad}",
            ),
            ("\u{e0041}\u{2028}\u{feff}", "\\u{e0041}\\u{2028}\\u{feff}"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "a\u{202e}\u{e0041}\u{7f}\u{9b}";
        let json = serde_json::to_string(text).unwrap();
        let shown = printable_json(&json);
        assert_eq!(shown, "\"a\\u202e\\udb40\\udc41\\u007f\\u009b\"");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn colors_stay_and_nothing_else_does() {
        let text = "\x1b[1m\x1b[38;5;9merror\x1b[0m: \x1b[2J\x1b]0;x\x07\x1b";
        let shown = "\x1b[1m\x1b[38;5;9merror\x1b[0m: \\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{1b}";
        assert_eq!(printable_painted(text), shown);
        assert_eq!(
            unpainted("\x1b[1m\x1b[38;5;9merror\x1b[0m: \x1b[2Jx"),
            "error: \x1b[2Jx"
        );
    }
}
