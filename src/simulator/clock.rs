//! The server's time, and how answers write it.

use std::time::Duration;

use jiff::Timestamp;

/// `span` after `at`.
pub(super) fn later(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// IAM's way: `2026-11-25T14:23:37.120000Z`.
pub(super) fn iam_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The way of the header `Date` (RFC 9110): `Wed, 25 Nov 2026 14:23:37 GMT`.
pub(super) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_iam_and_http_write_it() {
        let at: Timestamp = "2026-11-05T04:03:07.12Z".parse().unwrap();
        assert_eq!(iam_time(at), "2026-11-05T04:03:07.120000Z");
        assert_eq!(http_date(at), "Thu, 05 Nov 2026 04:03:07 GMT");
        let later = later(at, Duration::from_secs(3_600));
        assert_eq!(http_date(later), "Thu, 05 Nov 2026 05:03:07 GMT");
    }
}
