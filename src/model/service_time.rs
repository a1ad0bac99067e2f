//! Times as the service writes them.

use jiff::Timestamp;

/// The instant of `2025-07-18T14:44:47.000Z+0800`: a local time, a literal `Z` and the zone's offset. Seconds may
/// have a fraction; `Z` alone means UTC, `+08:00` is taken as well. None if it is none of these.
///
/// Source: the vendor's pages describe it as `YYYY-MM-DDTHH:mm:ss.ms+timezone`, their examples show the `Z`.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let time_at = text.find('T')?;
    let zone_at = time_at + text[time_at..].find(['Z', '+', '-'])?;
    let (local, zone) = text.split_at(zone_at);
    let zone = match zone.strip_prefix('Z') {
        None => zone,
        Some("") => "Z",
        Some(offset) => offset,
    };
    let zone = match zone.as_bytes() {
        [b'+' | b'-', a, b, c, d] if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit()) => {
            format!("{}:{}", &zone[..3], &zone[3..])
        }
        _ => zone.to_owned(),
    };
    format!("{local}{zone}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_after_the_z_counts() {
        for (text, instant) in [
            ("2025-07-18T14:44:47.000Z+0800", "2025-07-18T06:44:47Z"),
            ("2021-01-30T23:00:00Z+0800", "2021-01-30T15:00:00Z"),
            ("2023-02-27T20:28:53.001Z-0230", "2023-02-27T22:58:53.001Z"),
            ("2025-07-18T14:44:47.5+08:00", "2025-07-18T06:44:47.5Z"),
            ("2025-07-18T14:44:47Z", "2025-07-18T14:44:47Z"),
        ] {
            assert_eq!(parse(text), Some(instant.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "2025-07-18",
            "2025-07-18T14:44:47",
            "yesterday",
            "T+",
            "2025-07-18T14:44:47Z+99",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
