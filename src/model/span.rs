//! Spans of time as people write them: always with a unit.

use std::time::Duration;

/// A text that is no span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanFault {
    /// A number alone.
    #[error("the duration has no unit")]
    NoUnit,
    /// Anything else.
    #[error("not a duration")]
    Shape,
}

/// How a duration is written, for hints.
pub const HINT: &str = "write a number with a unit: \"500ms\", \"30s\", \"10m\", \"2h\"";

/// Reads `500ms`, `30s`, `1.5m`, `2h`, `1d`.
///
/// # Errors
/// A number without a unit, or anything that is not a number with a unit.
pub fn parse(text: &str) -> Result<Duration, SpanFault> {
    let text = text.trim();
    let cut = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(cut);
    let number: f64 = number.parse().map_err(|_| SpanFault::Shape)?;
    let seconds = match unit.trim() {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3_600.0,
        "d" => number * 86_400.0,
        "" => return Err(SpanFault::NoUnit),
        _ => return Err(SpanFault::Shape),
    };
    // A thousand years: beyond it the arithmetic of deadlines could overflow.
    if seconds > 3.2e10 {
        return Err(SpanFault::Shape);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| SpanFault::Shape)
}

/// `span` in the two largest units that say something: `850ms`, `4.2s`, `3m 20s`, `2h 5m`, `3d 4h`.
pub fn show(span: Duration) -> String {
    let seconds = span.as_secs();
    let pair = |whole: u64, unit: &str, rest: u64, smaller: &str| match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit} {rest}{smaller}"),
    };
    if span.is_zero() {
        "0s".to_owned()
    } else if seconds == 0 {
        format!("{}ms", span.as_millis())
    } else if seconds < 60 {
        let tenths = span.as_millis() / 100 % 10;
        match tenths {
            0 => format!("{seconds}s"),
            tenths => format!("{seconds}.{tenths}s"),
        }
    } else if seconds < 3_600 {
        pair(seconds / 60, "m", seconds % 60, "s")
    } else if seconds < 86_400 {
        pair(seconds / 3_600, "h", seconds % 3_600 / 60, "m")
    } else {
        pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1.5m", 90_000),
            ("2 h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse("30"), Err(SpanFault::NoUnit));
        for text in [
            "",
            "s",
            "-1s",
            "1e9h",
            "ten s",
            "1.2.3s",
            "30 parsecs",
            "99999999999d",
        ] {
            assert_eq!(parse(text), Err(SpanFault::Shape), "{text}");
        }
    }

    #[test]
    fn a_duration_is_shown_in_at_most_two_units() {
        for (ms, text) in [
            (0, "0s"),
            (850, "850ms"),
            (4_200, "4.2s"),
            (60_000, "1m"),
            (200_000, "3m 20s"),
            (7_500_000, "2h 5m"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(show(Duration::from_millis(ms)), text);
        }
    }
}
