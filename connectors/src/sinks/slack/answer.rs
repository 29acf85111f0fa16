//! What Slack's answers mean for the next step.
//!
//! The Web API answers 200 to nearly everything: success is `"ok": true` in the body, and the name of what went wrong
//! stands in `error`. An incoming webhook says `ok` as text, or the name of an error.
//!
//! Names from docs.slack.dev/reference/methods/chat.postMessage, …/chat.update and docs.slack.dev/messaging/
//! sending-messages-using-incoming-webhooks.

use std::time::Duration;

use crate::sinks::http::Answer;
use crate::sinks::{Receipt, SendError};

/// What a method said that worked.
#[derive(Debug, PartialEq)]
pub(super) struct Posted {
    /// The message's time, by which it is edited.
    pub(super) ts: Option<String>,
}

/// Why a method did not work.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Slack named an error.
    Named { name: String, after: Option<Duration> },
    /// Anything else.
    Error(SendError),
}

impl Trouble {
    /// Whether the message to edit, or to reply to, is not there or can't be changed any more.
    pub(super) fn message_is_lost(&self) -> bool {
        const LOST: [&str; 5] =
            ["message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "is_inactive"];
        matches!(self, Trouble::Named { name, .. } if LOST.contains(&name.as_str()))
    }

    pub(super) fn into_error(self) -> SendError {
        match self {
            Trouble::Error(error) => error,
            Trouble::Named { name, after } => by_name(&name, after),
        }
    }
}

/// Errors that pass.
const PASSING: [&str; 9] = [
    "ratelimited",
    "rate_limited",
    "message_limit_exceeded",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
    "rollup_error",
];

/// Errors that stay until a person has changed something: the token, the channel, or who may post there.
const SHUT_OUT: [&str; 38] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "invalid_token",
    "no_permission",
    "missing_scope",
    "not_allowed_token_type",
    "org_login_required",
    "ekm_access_denied",
    "access_denied",
    "two_factor_setup_required",
    "enterprise_is_restricted",
    "team_access_not_granted",
    "team_disabled",
    "team_not_found",
    "no_team",
    "accesslimited",
    "channel_not_found",
    "not_in_channel",
    "channel_is_archived",
    "is_archived",
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_thread_locked",
    "restricted_action_non_threadable_channel",
    "restricted_action_thread_only_channel",
    "posting_to_general_channel_denied",
    "posting_to_channel_denied",
    "slack_connect_canvas_sharing_blocked",
    "messages_tab_disabled",
    "action_prohibited",
    "no_service",
    "no_service_id",
    "no_active_hooks",
    "user_not_found",
    "user_not_in_channel",
];

fn by_name(name: &str, after: Option<Duration>) -> SendError {
    let reason = format!("slack answered `{name}`");
    if PASSING.contains(&name) {
        SendError::Retry { after, reason }
    } else if SHUT_OUT.contains(&name) {
        SendError::Gone { reason }
    } else {
        SendError::Refused { reason }
    }
}

/// The name of an error as Slack writes them; anything else is not repeated in our messages.
fn name_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let plain = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    plain.then_some(text)
}

/// The answer of a method of the Web API.
pub(super) fn of_method(answer: &Answer) -> Result<Posted, Trouble> {
    let body = answer.json();
    if let Some(body) = body.filter(|body| body["ok"].is_boolean()) {
        return match (body["ok"].as_bool(), body["error"].as_str().map(name_of)) {
            (Some(true), _) if answer.accepted() => Ok(Posted { ts: body["ts"].as_str().map(str::to_owned) }),
            (Some(false), Some(Some(name))) => Err(Trouble::Named { name: name.to_owned(), after: answer.after }),
            _ => Err(Trouble::Error(unclear(answer))),
        };
    }
    match answer.by_status() {
        Ok(_) => Err(Trouble::Error(unclear(answer))),
        Err(error) => Err(Trouble::Error(error)),
    }
}

/// The answer of an incoming webhook.
pub(super) fn of_webhook(answer: &Answer) -> Result<Receipt, SendError> {
    let text = answer.text().map(str::trim).unwrap_or_default();
    if answer.accepted() {
        let json_ok = || answer.json().is_some_and(|body| body["ok"] == true);
        if text == "ok" || json_ok() {
            return Ok(Receipt { status: Some(answer.status), ..Receipt::default() });
        }
        let error = answer.json().and_then(|body| body["error"].as_str().and_then(name_of).map(str::to_owned));
        return Err(error.map_or_else(|| unclear(answer), |name| by_name(&name, answer.after)));
    }
    match (answer.status, name_of(text)) {
        // The status says what passes, the name what does not.
        (400..=499, Some(name)) if answer.status != 429 && (SHUT_OUT.contains(&name) || PASSING.contains(&name)) => {
            Err(by_name(name, answer.after))
        }
        _ => answer.by_status(),
    }
}

/// Something stands between us and Slack, or the answer was torn: nothing shows that the message arrived.
fn unclear(answer: &Answer) -> SendError {
    SendError::Retry {
        after: answer.after,
        reason: format!("the receiver answered {} without saying that all is well", answer.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: Option<&str>) -> Answer {
        Answer { status, after: None, body: body.map(|body| body.as_bytes().to_vec()) }
    }

    fn kind<T>(result: Result<T, SendError>) -> &'static str {
        match result {
            Ok(_) => "accepted",
            Err(SendError::Retry { .. }) => "retry",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Gone { .. }) => "gone",
        }
    }

    #[test]
    fn a_method_has_worked_when_its_body_says_so() {
        for (status, body, expected) in [
            (200, Some(r#"{"ok":true,"channel":"C1","ts":"1.2"}"#), "accepted"),
            (200, Some(r#"{"ok":true}"#), "accepted"),
            (200, Some(r#"{"ok":"true"}"#), "retry"),
            (200, Some("<html>log in to the guest network</html>"), "retry"),
            (200, None, "retry"),
            (200, Some(r#"{"ok":false}"#), "retry"),
            (200, Some(r#"{"ok":false,"error":"ratelimited"}"#), "retry"),
            (200, Some(r#"{"ok":false,"error":"internal_error"}"#), "retry"),
            (200, Some(r#"{"ok":false,"error":"channel_not_found"}"#), "gone"),
            (200, Some(r#"{"ok":false,"error":"invalid_auth"}"#), "gone"),
            (200, Some(r#"{"ok":false,"error":"token_revoked"}"#), "gone"),
            (200, Some(r#"{"ok":false,"error":"invalid_blocks"}"#), "refused"),
            (200, Some(r#"{"ok":false,"error":"msg_too_long"}"#), "refused"),
            (200, Some(r#"{"ok":false,"error":"\u001b[31m<!channel>"}"#), "retry"),
            (429, Some(r#"{"ok":false,"error":"ratelimited"}"#), "retry"),
            (500, Some(r#"{"ok":true}"#), "retry"),
            (503, Some("upstream"), "retry"),
            (404, Some("no such method"), "refused"),
            (302, None, "refused"),
        ] {
            assert_eq!(
                kind(of_method(&answer(status, body)).map_err(Trouble::into_error)),
                expected,
                "{status} {body:?}"
            );
        }
    }

    #[test]
    fn a_webhook_says_ok_or_the_name_of_an_error() {
        for (status, body, expected) in [
            (200, Some("ok"), "accepted"),
            (200, Some(" ok\n"), "accepted"),
            (200, Some(r#"{"ok":true}"#), "accepted"),
            (200, Some(r#"{"ok":false,"error":"channel_not_found"}"#), "gone"),
            (200, Some(""), "retry"),
            (200, Some("<html>"), "retry"),
            (200, None, "retry"),
            (400, Some("invalid_payload"), "refused"),
            (403, Some("action_prohibited"), "gone"),
            (404, Some("channel_not_found"), "gone"),
            (404, Some("no_service"), "gone"),
            (404, Some("not found"), "refused"),
            (410, Some("channel_is_archived"), "gone"),
            (429, Some("rate_limited"), "retry"),
            (500, Some("rollup_error"), "retry"),
        ] {
            assert_eq!(kind(of_webhook(&answer(status, body))), expected, "{status} {body:?}");
        }
    }

    #[test]
    fn what_was_deleted_is_posted_anew_and_not_retried() {
        for name in ["message_not_found", "cant_update_message", "edit_window_closed"] {
            let body = format!(r#"{{"ok":false,"error":"{name}"}}"#);
            assert!(of_method(&answer(200, Some(&body))).expect_err("an error").message_is_lost(), "{name}");
        }
    }
}
