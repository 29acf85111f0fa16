//! A notification as an event of the Events API v2.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use watershed_schemas::{Notification, Severity};

use super::notice;
use crate::sinks::text::{cut, tame};
use crate::sinks::words;

/// Longest summary.
pub(super) const SUMMARY: usize = 1_024;
/// Longest deduplication key.
const DEDUP_KEY: usize = 255;
/// Longest piece of hostile text in characters.
const PIECE: usize = 500;
/// Most pieces of evidence, rules and sessions: with [`PIECE`] they keep an event far below the 512 KB it may have.
const ITEMS: usize = 25;

pub(super) fn encode(notification: &Notification, routing_key: &str) -> Value {
    if let Some(notice) = &notification.notice {
        return notice::encode(notification, notice, routing_key);
    }
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": if words::is_over(notification) { "resolve" } else { "trigger" },
        "dedup_key": dedup_key(notification),
        "payload": {
            "summary": cut(&text(&format!("[{}] {}", words::verdict(notification.verdict), notification.title), SUMMARY), SUMMARY),
            "source": cut(&text(notification.principal.as_deref().unwrap_or("unknown identity"), PIECE), SUMMARY),
            "severity": severity(notification.severity),
            "timestamp": notification.first_event_time.to_string(),
            "component": cut(&text(&notification.tenant, PIECE), SUMMARY),
            "group": cut(&text(&notification.team, PIECE), SUMMARY),
            "class": notification.verdict.name(),
            "custom_details": details(notification),
        },
        "client": "Watershed",
    });
    let links: Vec<Value> = notification
        .rules
        .iter()
        .take(ITEMS)
        .filter_map(|rule| {
            let url = url::Url::parse(rule.runbook.as_deref()?).ok()?;
            let plain = matches!(url.scheme(), "http" | "https") && url.as_str().len() <= SUMMARY;
            plain.then(|| json!({ "href": url.as_str(), "text": text(&format!("Runbook: {}", rule.title), PIECE) }))
        })
        .collect();
    if !links.is_empty() {
        event["links"] = Value::Array(links);
    }
    event
}

/// Constant over the life of an incident, and apart for each team: closing one team's alert leaves the other's.
fn dedup_key(notification: &Notification) -> String {
    let key = format!("{}:{}", notification.incident_id, notification.team);
    if key.len() <= DEDUP_KEY && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return key;
    }
    URL_SAFE_NO_PAD.encode(Sha256::digest(key.as_bytes()))
}

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    }
}

/// Hostile text for a service that shows it in pages, mails and short messages: no links, no tags, one line.
pub(super) fn text(text: &str, max: usize) -> String {
    tame(text, max).replace('<', "‹").replace('>', "›")
}

fn details(notification: &Notification) -> Value {
    let mut details = Map::new();
    let mut put = |name: &str, value: Value| {
        details.insert(name.to_owned(), value);
    };
    put("why_now", words::reason(notification.reason).into());
    put("status", words::status(notification.status).into());
    put("first_move", text(&notification.first_move, 2_000).into());
    put("incident", text(&notification.incident_id, PIECE).into());
    put("revision", notification.revision.into());
    put("origin", words::origin(notification.origin).into());
    put("first_seen", notification.first_event_time.to_string().into());
    put("last_seen", notification.last_event_time.to_string().into());
    put("sessions", list(&notification.sessions, |id| text(id, 128)));
    put("rules", list(&notification.rules, |rule| text(&rule.title, PIECE)));
    put(
        "evidence",
        list(&notification.evidence, |item| {
            let line = format!("{} {} {} {} ({})", item.event_time, item.plane, item.kind, item.summary, item.event_id);
            text(&line, PIECE)
        }),
    );
    let omitted = notification.evidence_omitted + notification.evidence.len().saturating_sub(ITEMS);
    if omitted > 0 {
        put("evidence_omitted", omitted.into());
    }
    let gaps = words::coverage_gaps(notification.coverage);
    if !gaps.is_empty() {
        put("coverage_gaps", gaps.into());
    }
    if !notification.related.is_empty() {
        put(
            "related",
            list(&notification.related, |related| {
                text(&format!("{} holds incident {}", related.team, related.incident_id), PIECE)
            }),
        );
    }
    Value::Object(details)
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> Value {
    items.iter().take(ITEMS).map(|item| Value::String(show(item))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watershed_schemas::{IncidentStatus, NotifyReason, Plane, Verdict};

    use super::*;
    use crate::sinks::fixtures;

    /// Holds an event against the API's limits and the rules for hostile text.
    fn check_event(event: &Value) {
        let payload = &event["payload"];
        let summary = payload["summary"].as_str().expect("a summary");
        assert!((1..=SUMMARY).contains(&summary.chars().count()));
        assert!(event["dedup_key"].as_str().expect("a key").len() <= DEDUP_KEY);
        assert!(event.to_string().len() <= 512_000, "{} bytes", event.to_string().len());
        check_strings(payload);
    }

    fn check_strings(value: &Value) {
        match value {
            Value::String(text) => {
                assert!(!text.contains(['<', '>']) && !text.contains("://"), "markup or a link in {text}");
                assert!(
                    !text.chars().any(|c| crate::escape::is_deceptive(c) && c != '\u{200b}'),
                    "hidden text in {text:?}"
                );
            }
            Value::Array(items) => items.iter().for_each(check_strings),
            Value::Object(fields) => fields.values().for_each(check_strings),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_hostile_text_breaks_a_limit_or_becomes_markup(notification in fixtures::hostile()) {
            check_event(&encode(&notification, "0123456789abcdef0123456789abcdef"));
        }
    }

    #[test]
    fn a_huge_incident_still_fits() {
        check_event(&encode(&fixtures::huge(), "0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn what_opens_an_alert_and_what_closes_it_share_a_key_that_no_other_team_has() {
        let opened = fixtures::model_abuse();
        let closed = Notification {
            reason: NotifyReason::Resolved,
            status: IncidentStatus::Resolved,
            revision: 7,
            notification_id: "n-7".to_owned(),
            ..opened.clone()
        };
        let (opened_event, closed_event) = (encode(&opened, "k"), encode(&closed, "k"));
        assert_eq!(opened_event["event_action"], "trigger");
        assert_eq!(closed_event["event_action"], "resolve");
        assert_eq!(opened_event["dedup_key"], closed_event["dedup_key"]);
        let other = Notification { team: "iam".to_owned(), ..opened };
        assert_ne!(dedup_key(&other), opened_event["dedup_key"]);
    }

    #[test]
    fn a_withdrawal_closes_an_alert_only_where_nothing_of_the_team_is_left() {
        let action = |status, verdict| {
            let notification = Notification {
                reason: NotifyReason::Withdrawn,
                planes: vec![Plane::Access],
                status,
                verdict,
                ..fixtures::model_abuse()
            };
            encode(&notification, "k")["event_action"].clone()
        };
        assert_eq!(action(IncidentStatus::Withdrawn, Verdict::AccessCompromise), "resolve");
        assert_eq!(action(IncidentStatus::Open, Verdict::ModelAbuse), "resolve");
        assert_eq!(action(IncidentStatus::Open, Verdict::AccessCompromise), "trigger");
    }

    #[test]
    fn severities_have_their_four_names() {
        let names = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical].map(severity);
        assert_eq!(names, ["info", "info", "warning", "error", "critical"]);
    }
}
