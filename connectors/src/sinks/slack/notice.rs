//! What the engine says of itself as a Slack message: no incident, no verdict, no plane's evidence.

use serde_json::{Value, json};
use watershed_schemas::{Notice, NoticeState, Notification};

use super::blocks::{SECTION, fields, header, section};
use crate::escape::one_line;

/// Longest piece of text in characters.
const PIECE: usize = 300;

pub(super) fn encode(notification: &Notification, notice: &Notice) -> Value {
    let line = |text: &str| one_line(text, PIECE);
    let state = match notice.state {
        NoticeState::Firing => "it is so",
        NoticeState::Resolved => "it is over",
    };
    json!({
        "text": format!("Watershed itself: {}, {state} ({} severity)", notice.kind.name(), notification.severity.name()),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [
            header(&line(&notification.title)),
            fields(&[
                ("What", notice.kind.name().to_owned()),
                ("With", line(&notice.subject)),
                ("State", state.to_owned()),
                ("Since", notice.since.to_string()),
            ], PIECE),
            section(&one_line(&notice.text, SECTION), SECTION),
            section(&format!("First move\n{}", one_line(&notification.first_move, SECTION)), SECTION),
        ],
    })
}

#[cfg(test)]
mod tests {
    use watershed_schemas::{NoticeKind, NotifyReason, Timestamp};

    use super::*;

    #[test]
    fn a_notice_is_no_incident_and_its_text_is_tame() {
        let notice = Notice {
            kind: NoticeKind::ReceiverDisabled,
            subject: "<!channel>".to_owned(),
            state: NoticeState::Resolved,
            since: Timestamp::from_secs(1_780_000_000),
            text: "receiver x is down: <https://evil.example|see>\n\u{202e}".to_owned(),
        };
        let now = Timestamp::from_secs(1_780_000_060);
        let message = Notification::of_notice(&notice, "ops", "operator", NotifyReason::Resolved, now);
        let body = super::super::body::encode(&message);
        let text = body.to_string();
        assert!(
            !text.contains("mrkdwn\":true") && !text.contains("model abuse") && !text.contains('\u{202e}'),
            "{text}"
        );
        assert_eq!(body["text"], "Watershed itself: receiver_disabled, it is over (high severity)");
        let kinds: Vec<&str> =
            body["blocks"].as_array().expect("blocks").iter().filter_map(|block| block["type"].as_str()).collect();
        assert_eq!(kinds, ["header", "section", "section", "section"]);
        assert!(!text.contains("\"mrkdwn\",\"text\":\"<"), "{text}");
    }
}
