//! What a receiver's answer means for the next step.

use std::time::Duration;

use watershed_schemas::Timestamp;

use crate::sinks::{Receipt, SendError};

/// What a receiver answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Retry-After`.
    pub(crate) after: Option<Duration>,
    /// The body, where it is short and came whole; hostile text.
    pub(crate) body: Option<Vec<u8>>,
}

impl Answer {
    /// What the status alone says.
    pub(crate) fn by_status(&self) -> Result<Receipt, SendError> {
        classify(self.status, self.after)
    }

    /// Whether the status is one of those that say "accepted".
    pub(crate) fn accepted(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// The body as JSON, where it is.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.body.as_deref()?).ok()
    }
}

/// Sorts a status: accepted, worth another attempt, gone, or refused.
pub(super) fn classify(status: u16, retry_after: Option<Duration>) -> Result<Receipt, SendError> {
    match status {
        200..=299 => Ok(Receipt { status: Some(status), ..Receipt::default() }),
        408 | 425 | 429 | 500..=599 => {
            Err(SendError::Retry { after: retry_after, reason: format!("the receiver answered {status}") })
        }
        410 => Err(SendError::Gone { reason: "the receiver answered 410: it is gone".to_owned() }),
        300..=399 => Err(SendError::Refused {
            reason: format!("the receiver answered {status}: redirects are not followed, set its final url"),
        }),
        _ => Err(SendError::Refused { reason: format!("the receiver answered {status}") }),
    }
}

/// Reads `Retry-After`: seconds, or one of the three forms of an HTTP date. A date in the past means now.
pub(super) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean "never"; who schedules the attempt caps it.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(header).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_micros(u64::try_from(now.micros()).unwrap_or(0));
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(result: Result<Receipt, SendError>) -> &'static str {
        match result {
            Ok(_) => "accepted",
            Err(SendError::Retry { .. }) => "retry",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Gone { .. }) => "gone",
        }
    }

    #[test]
    fn statuses_are_sorted_by_what_to_do_next() {
        for (status, expected) in [
            (200, "accepted"),
            (202, "accepted"),
            (204, "accepted"),
            (301, "refused"),
            (307, "refused"),
            (400, "refused"),
            (401, "refused"),
            (403, "refused"),
            (404, "refused"),
            (413, "refused"),
            (408, "retry"),
            (425, "retry"),
            (429, "retry"),
            (500, "retry"),
            (503, "retry"),
            (599, "retry"),
            (410, "gone"),
        ] {
            assert_eq!(kind(classify(status, None)), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2015-10-21T07:27:00Z").expect("a time");
        let check = |header: &str, expected: Option<u64>| {
            assert_eq!(retry_after(header, now), expected.map(Duration::from_secs), "{header}");
        };
        check("120", Some(120));
        check(" 7 ", Some(7));
        check("Wed, 21 Oct 2015 07:28:00 GMT", Some(60));
        check("Wednesday, 21-Oct-15 07:28:00 GMT", Some(60));
        check("Wed Oct 21 07:28:00 2015", Some(60));
        check("Wed, 21 Oct 2015 07:00:00 GMT", Some(0));
        check("99999999999999999999999", Some(u64::MAX));
        check("-5", None);
        check("soon", None);
        check("", None);
    }
}
