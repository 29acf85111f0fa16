//! What the engine says of itself as an event of PagerDuty.

use serde_json::{Value, json};
use watershed_schemas::{Notice, NoticeState, Notification};

use super::body::{SUMMARY, severity, text};
use crate::sinks::text::cut;

/// Longest piece of text in characters.
const PIECE: usize = 500;

pub(super) fn encode(notification: &Notification, notice: &Notice, routing_key: &str) -> Value {
    json!({
        "routing_key": routing_key,
        "event_action": match notice.state {
            NoticeState::Firing => "trigger",
            NoticeState::Resolved => "resolve",
        },
        "dedup_key": cut(&notification.dedup_key, 255),
        "payload": {
            "summary": cut(&text(&notification.title, SUMMARY), SUMMARY),
            "source": "watershed",
            "severity": severity(notification.severity),
            "timestamp": notice.since.to_string(),
            "component": cut(&text(&notice.subject, PIECE), SUMMARY),
            "group": cut(&text(&notification.team, PIECE), SUMMARY),
            "class": notice.kind.name(),
            "custom_details": {
                "what": text(&notice.text, PIECE),
                "first_move": text(&notification.first_move, PIECE),
            },
        },
        "client": "Watershed",
    })
}

#[cfg(test)]
mod tests {
    use watershed_schemas::{NoticeKind, NotifyReason, Timestamp};

    use super::*;

    #[test]
    fn a_notice_opens_and_closes_one_alert() {
        let of = |state, reason| {
            let since = Timestamp::from_secs(1_780_000_000);
            let text = "the access plane is not heard".to_owned();
            let notice = Notice { kind: NoticeKind::PlaneSilent, subject: "access".to_owned(), state, since, text };
            let message = Notification::of_notice(&notice, "ops", "operator", reason, since);
            super::super::body::encode(&message, "key")
        };
        let (opened, closed) =
            (of(NoticeState::Firing, NotifyReason::Opened), of(NoticeState::Resolved, NotifyReason::Resolved));
        assert_eq!((&opened["event_action"], &closed["event_action"]), (&"trigger".into(), &"resolve".into()));
        assert_eq!(opened["dedup_key"], closed["dedup_key"]);
        assert_eq!(opened["payload"]["summary"], "[high] Watershed: the access plane is not heard");
        assert_eq!(
            (&opened["payload"]["severity"], &opened["payload"]["class"]),
            (&"error".into(), &"plane_silent".into())
        );
    }
}
