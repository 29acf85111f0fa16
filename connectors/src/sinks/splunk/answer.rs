//! What an answer of the HTTP Event Collector means for the next step.
//!
//! Codes from docs.splunk.com, "Troubleshoot HTTP Event Collector: Possible error codes".

use crate::sinks::http::Answer;
use crate::sinks::{Receipt, SendError};

pub(super) fn classify(answer: &Answer) -> Result<Receipt, SendError> {
    let code = answer.json().and_then(|body| body["code"].as_u64());
    let Some(code) = code else {
        return match answer.by_status() {
            Ok(_) => Err(SendError::retry(format!("the receiver answered {} without a code of HEC", answer.status))),
            error => error,
        };
    };
    let said = format!("the collector answered {} with code {code}", answer.status);
    match code {
        0 if answer.accepted() => Ok(Receipt { status: Some(answer.status), ..Receipt::default() }),
        // Token disabled, required, malformed, invalid; index that is not there or not the token's: nothing gets in
        // until a person has changed something.
        1..=4 => Err(SendError::gone(format!("{said}: it does not take the token"))),
        7 => Err(SendError::gone(format!("{said}: the token may not write to the index"))),
        10 | 11 | 14 => {
            Err(SendError::gone(format!("{said}: the token asks for indexer acknowledgement, switch that off")))
        }
        // Our event is at fault.
        5 | 6 | 12 | 13 | 15 => Err(SendError::refused(said)),
        // Server errors, busy, queues full, shutting down, unhealthy; and whatever is not known yet.
        _ => Err(SendError::Retry { after: answer.after, reason: said }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(status: u16, body: &str) -> &'static str {
        match classify(&Answer { status, after: None, body: Some(body.as_bytes().to_vec()) }) {
            Ok(_) => "accepted",
            Err(SendError::Retry { .. }) => "retry",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Gone { .. }) => "gone",
        }
    }

    #[test]
    fn the_code_decides_and_the_status_where_there_is_none() {
        for (status, code, expected) in [
            (200, 0, "accepted"),
            (503, 0, "retry"),
            (200, 9, "retry"),
            (403, 1, "gone"),
            (401, 2, "gone"),
            (401, 3, "gone"),
            (403, 4, "gone"),
            (400, 5, "refused"),
            (400, 6, "refused"),
            (400, 7, "gone"),
            (500, 8, "retry"),
            (503, 9, "retry"),
            (400, 10, "gone"),
            (400, 12, "refused"),
            (400, 13, "refused"),
            (503, 23, "retry"),
        ] {
            assert_eq!(kind(status, &json!({ "text": "x", "code": code }).to_string()), expected, "{status} {code}");
        }
        for (status, expected) in [(200, "retry"), (404, "refused"), (410, "gone"), (502, "retry"), (302, "refused")] {
            assert_eq!(kind(status, "<html>"), expected, "{status} without a code");
        }
    }
}
