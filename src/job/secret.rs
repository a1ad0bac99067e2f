//! Keys whose values are secrets, in whatever table they stand.

/// Where the secret that `key` names belongs instead; `None` if it names none.
pub fn belongs(key: &str) -> Option<&'static str> {
    let plain = key.to_ascii_lowercase().replace('-', "_");
    let is = |words: &[&str]| words.iter().any(|word| plain.contains(word));
    if is(&["security_token"]) {
        Some("HUAWEICLOUD_SDK_SECURITY_TOKEN")
    } else if is(&["token"]) {
        Some("HW_AUTH_TOKEN, or --token-file")
    } else if is(&["passw"]) {
        Some("HW_USER_PASSWORD")
    } else if plain == "sk"
        || plain.ends_with("_sk")
        || is(&["secret", "access_key", "private_key"])
    {
        Some("HUAWEICLOUD_SDK_SK")
    } else if is(&["api_key", "apikey", "credential"]) {
        Some("the environment")
    } else {
        None
    }
}

/// `text` with the user and password of a URL blotted out, byte for byte: all from the first `://` to the last `@`, because a
/// password may hold whatever would end it in a URL that is written right.
pub fn without_user(text: &str) -> String {
    let begin = text.find("://").map(|at| at + "://".len());
    // The scheme may be left out.
    let begin =
        begin.or_else(|| (text.contains(':') && !text.contains(char::is_whitespace)).then_some(0));
    match (begin, text.rfind('@')) {
        (Some(begin), Some(end)) if begin < end => {
            format!(
                "{}{}{}",
                &text[..begin],
                "*".repeat(end - begin),
                &text[end..]
            )
        }
        _ => text.to_owned(),
    }
}

/// The text of a job file with its secrets blotted out, byte for byte: whatever follows a key that
/// names a secret, and whatever is assigned in `[auth]`, where a misspelt key may hold one.
pub fn without_secrets(text: &str) -> String {
    let mut in_auth = false;
    let blot = |line: &str| {
        let line = without_user(line);
        let start = line.trim_start();
        // As YAML has it; in TOML it is a mistake all the same.
        if let Some(colon) = start.find(':')
            && !start[..colon].contains(['=', '"', '\''])
            && (in_auth || belongs(&start[..colon]).is_some())
        {
            let from = line.len() - start.len() + colon;
            return stars_after(&line, from);
        }
        if start.starts_with('[') && !start.contains('=') {
            in_auth = start
                .trim_start_matches('[')
                .trim_start()
                .starts_with("auth");
            return line;
        }
        let keeps = start.starts_with("method");
        let from = match line.find('=') {
            Some(first) if in_auth && !keeps => Some(first),
            Some(first) if start.starts_with("auth") || start.starts_with("command") => Some(first),
            Some(_) | None => after_secret(&line),
        };
        match from {
            None => line,
            Some(from) => stars_after(&line, from),
        }
    };
    text.split('\n').map(blot).collect::<Vec<_>>().join("\n")
}

/// `line` with everything after the byte `from` blotted out, byte for byte.
fn stars_after(line: &str, from: usize) -> String {
    let stars = line[from + 1..].bytes();
    let stars: String = stars
        .map(|byte| if byte == b'\r' { '\r' } else { '*' })
        .collect();
    format!("{}{stars}", &line[..=from])
}

/// Where the first `=` stands whose key names a secret.
fn after_secret(line: &str) -> Option<usize> {
    let equals = line.match_indices('=').map(|(at, _)| at);
    equals.into_iter().find(|at| {
        let key = line[..*at].trim_end().trim_end_matches(['"', '\'']);
        let name = key.rsplit(|c: char| !c.is_alphanumeric() && !"_-".contains(c));
        name.into_iter().next().and_then(belongs).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_secret_is_shown() {
        for text in [
            "token = \"canary\"",
            "  \"X-Auth-Token\"='canary' # canary",
            "auth = { token = \"canary\" }",
            "auth.tokn = 'canary'",
            "[auth]\ntokn = \"canary\"",
            "[ auth ]\r\nmethod = \"auto\"\r\nkey = \"canary\"\r",
            "run = { rate = \"5/s\", sk = \"canary\" }",
            "endpoint = \"https://me:canary@host/x\"",
            "endpoint = \"https://me:a/b?c#canary@host/x\"",
            "me:canary@host",
            "endpoint = \"https://me:pa'ss canary@host\"",
            "https://me:a://canary@host",
            "access_token = \"\"\"canary",
            "\u{1f300}token=canary",
        ] {
            let shown = without_secrets(text);
            assert!(!shown.contains("canary"), "{text}: {shown}");
            assert_eq!(shown.len(), text.len(), "{text}");
        }
        let plain = "[auth]\nmethod = \"auto\"\n[job]\nname = \"x\" # a = b";
        assert_eq!(without_secrets(plain), plain);
    }
}
