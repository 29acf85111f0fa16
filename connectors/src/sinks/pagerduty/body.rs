//! A notification as events of the Events API v2.
//!
//! PagerDuty can't change the title or the severity of an open alert: a repeated trigger only adds to its log. So what
//! has grown comes under a key of its own, and the former alert is resolved after the new one is open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use watershed_schemas::{Notification, NotifyReason, Severity};

use super::notice;
use crate::sinks::text::{cut, tame};
use crate::sinks::words;

/// Longest summary.
pub(super) const SUMMARY: usize = 1_024;
/// Longest deduplication key.
const DEDUP_KEY: usize = 255;
/// Longest event in bytes, a little less than the 512 KB that the API takes.
const EVENT: usize = 500_000;
/// Longest piece of hostile text in characters.
const PIECE: usize = 500;
/// Most pieces of evidence, rules and sessions.
const ITEMS: usize = 25;

/// What is left out of the details where an event is too long, the first of these first. Everything else always fits:
/// verdict, first moves, gaps of coverage, the other half.
const LEFT_OUT: [&str; 6] = ["evidence", "reach", "because", "shares", "rules", "sessions"];

/// The event that says what there is to say.
pub(super) fn encode(notification: &Notification, routing_key: &str) -> Value {
    if let Some(notice) = &notification.notice {
        return notice::encode(notification, notice, routing_key);
    }
    let action = match notification.reason {
        _ if words::is_over(notification) => "resolve",
        NotifyReason::Acknowledged => "acknowledge",
        _ => "trigger",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(&own_key(notification)),
        "payload": {
            "summary": cut(&text(&summary(notification), SUMMARY), SUMMARY),
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
    let console = notification.link.iter().map(|link| {
        let teams: Vec<&str> = notification.related.iter().map(|related| related.team.as_str()).collect();
        let half = if teams.is_empty() { String::new() } else { format!(", with the half of {}", teams.join(", ")) };
        (link, text(&format!("Incident in Watershed{half}"), PIECE))
    });
    let runbooks = notification
        .rules
        .iter()
        .filter_map(|rule| Some((rule.runbook.as_ref()?, text(&format!("Runbook: {}", rule.title), PIECE))));
    let links: Vec<Value> = console
        .chain(runbooks)
        .filter_map(|(url, label)| Some(json!({ "href": plain_url(url)?, "text": label })))
        .take(ITEMS)
        .collect();
    if let Some(url) = notification.link.as_deref().and_then(plain_url) {
        event["client_url"] = json!(url);
    }
    if !links.is_empty() {
        event["links"] = Value::Array(links);
    }
    shorten(&mut event);
    event
}

/// A title in our words says the verdict; one that a template wrote need not.
fn summary(notification: &Notification) -> String {
    match notification.text {
        None if !text(&notification.title, SUMMARY).trim().is_empty() => notification.title.clone(),
        _ => format!("[{}] {}", words::verdict(notification.verdict), notification.title),
    }
}

/// The event that closes an alert whose place another one has taken.
pub(super) fn resolve(key: &str, routing_key: &str) -> Value {
    json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key(key) })
}

/// A web address of a length that the API takes.
fn plain_url(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.as_str().len() <= SUMMARY).then(|| url.to_string())
}

/// Leaves out what is too much, in the stated order.
fn shorten(event: &mut Value) {
    let mut missing = Vec::new();
    for name in LEFT_OUT {
        if event.to_string().len() <= EVENT {
            break;
        }
        if let Some(details) = event["payload"]["custom_details"].as_object_mut()
            && details.remove(name).is_some()
        {
            missing.push(name);
            details.insert("left_out".to_owned(), json!(missing));
        }
    }
}

/// The key that the message came with; messages of before there were keys get one for incident and team.
fn own_key(notification: &Notification) -> String {
    if notification.dedup_key.is_empty() {
        format!("{}:{}", notification.incident_id, notification.team)
    } else {
        notification.dedup_key.clone()
    }
}

/// A key that the API takes.
fn dedup_key(key: &str) -> String {
    if !key.is_empty() && key.len() <= DEDUP_KEY && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return key.to_owned();
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

/// A text of several lines in our own words, made of pieces that are harmless already.
fn lines(of: &str) -> Value {
    of.lines().map(|line| Value::String(text(line, 2_000))).collect()
}

fn details(notification: &Notification) -> Value {
    let mut details = Map::new();
    let mut put = |name: &str, value: Value| {
        details.insert(name.to_owned(), value);
    };
    if let Some(lines) = &notification.text {
        let lines: Vec<&str> = lines.lines().filter(|line| !line.trim().is_empty()).collect();
        put("message", list(&lines, |line| text(line, PIECE)));
    }
    put("why_now", words::reason(notification).into());
    put("status", words::status(notification.status).into());
    if let Some(handled) = words::handled(notification) {
        put("handled", text(&handled, 1_000).into());
    }
    if notification.first_moves.is_empty() {
        put("first_move", text(&notification.first_move, 2_000).into());
    } else {
        put(
            "first_moves",
            list(&notification.first_moves, |step| {
                let how = step.how.as_deref().map(|how| format!(" ({how})")).unwrap_or_default();
                text(&format!("{}{how}", step.text), PIECE)
            }),
        );
    }
    put("incident", text(&notification.incident_id, PIECE).into());
    put("revision", notification.revision.into());
    put("origin", words::origin(notification.origin).into());
    put("first_signal", notification.first_event_time.to_string().into());
    put("last_signal", notification.last_event_time.to_string().into());
    put("scores", json!(notification.scores));
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
    for (name, said) in [("because", words::because(notification)), ("reach", words::reach(notification))] {
        if let Some(said) = said {
            put(name, lines(&said));
        }
    }
    let gaps = words::coverage_gaps(notification.coverage);
    if !gaps.is_empty() {
        put("coverage_gaps", gaps.into());
    }
    for (name, said) in [
        ("group", words::group(notification)),
        ("shares", words::shares(notification)),
        ("withheld", words::withheld(notification)),
    ] {
        if let Some(said) = said {
            put(name, text(&said, 2_000).into());
        }
    }
    if !notification.related.is_empty() {
        put(
            "related",
            list(&notification.related, |related| {
                text(&format!("{} holds incident {}", related.team, related.incident_id), PIECE)
            }),
        );
    }
    if let Some(said) = words::untold(notification) {
        put("untold", text(&said, PIECE).into());
    }
    if let Some(step) = &notification.their_first_move {
        put("their_first_move", text(step, PIECE).into());
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
        // Messages that were stored before there were keys.
        let old = |team: &str| Notification { team: team.to_owned(), dedup_key: String::new(), ..opened.clone() };
        assert_ne!(encode(&old("iam"), "k")["dedup_key"], encode(&old("ai-security"), "k")["dedup_key"]);
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
    fn who_has_taken_it_acknowledges_the_alert() {
        let notification = Notification {
            reason: NotifyReason::Acknowledged,
            status: IncidentStatus::Acknowledged,
            ..fixtures::model_abuse()
        };
        assert_eq!(encode(&notification, "k")["event_action"], "acknowledge");
    }

    #[test]
    fn what_is_left_out_of_a_long_event_is_named_and_what_to_do_stays() {
        let long = |name: &str| json!({ name: "x".repeat(EVENT) });
        let mut event = json!({ "payload": { "custom_details": long("evidence") } });
        event["payload"]["custom_details"]["first_move"] = "revoke".into();
        event["payload"]["custom_details"]["reach"] = "short".into();
        shorten(&mut event);
        let details = &event["payload"]["custom_details"];
        assert_eq!(details, &json!({ "first_move": "revoke", "reach": "short", "left_out": ["evidence"] }));
    }

    #[test]
    fn severities_have_their_four_names() {
        let names = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical].map(severity);
        assert_eq!(names, ["info", "info", "warning", "error", "critical"]);
    }
}
