//! Times of a test: relative to its start, or RFC 3339.

use std::time::Duration;

use watershed_schemas::Timestamp;

/// `5m`, `-8d`, `1h30m` count from `start`; anything with a `T` is RFC 3339.
pub(super) fn moment(start: Timestamp, text: &str) -> Result<Timestamp, String> {
    if text.contains('T') {
        return Timestamp::parse(text).map_err(|error| error.to_string());
    }
    match text.strip_prefix('-') {
        Some(text) => duration(text).map(|before| start.minus(before)),
        None => duration(text).map(|after| start.plus(after)),
    }
}

/// A length of time such as `90s` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is not a time; write `90s`, `5m`, `-8d` or RFC 3339"))
}
