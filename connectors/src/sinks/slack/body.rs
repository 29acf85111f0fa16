//! A notification as a Slack message.
//!
//! Hostile text stands in `plain_text` objects only. The top-level `text`, which phones show and Slack formats, is in
//! our own words.

use serde_json::{Value, json};
use watershed_schemas::Notification;

use super::blocks::{BLOCKS, SECTION, context, fields, header, link, plain, section};
use super::notice;
use crate::escape::one_line;
use crate::sinks::words;

/// Most pieces of evidence in a message.
const EVIDENCE: usize = 20;
/// Longest piece of hostile text in characters, so that one can't push the others out.
const PIECE: usize = 300;

pub(super) fn encode(notification: &Notification) -> Value {
    if let Some(notice) = &notification.notice {
        return notice::encode(notification, notice);
    }
    let line = |text: &str| one_line(text, PIECE);
    let over =
        if words::is_over(notification) { format!("{}: ", words::reason(notification.reason)) } else { String::new() };
    let mut blocks = vec![
        header(&format!("{over}{}", line(&notification.title))),
        fields(&[
            ("Verdict", words::verdict(notification.verdict).to_owned()),
            ("Severity", notification.severity.name().to_owned()),
            ("Why now", words::reason(notification.reason).to_owned()),
            ("Status", words::status(notification.status).to_owned()),
            ("Identity", line(notification.principal.as_deref().unwrap_or("unknown"))),
            ("Tenant", line(&notification.tenant)),
            ("Sessions", sessions(notification)),
            ("Origin", words::origin(notification.origin).to_owned()),
            ("First seen", notification.first_event_time.to_string()),
            ("Last seen", notification.last_event_time.to_string()),
        ]),
        section(&format!("First move\n{}", one_line(&notification.first_move, SECTION))),
    ];
    if !notification.rules.is_empty() {
        let titles: Vec<String> = notification.rules.iter().map(|rule| format!("• {}", line(&rule.title))).collect();
        blocks.push(section(&format!("Rules\n{}", titles.join("\n"))));
    }
    blocks.extend(evidence(notification));
    let runbooks: Vec<Value> = notification
        .rules
        .iter()
        .filter_map(|rule| rule.runbook.as_deref().map(|url| link(url, &format!("Runbook {}", rule.id))))
        .collect();
    if !runbooks.is_empty() {
        blocks.push(context(runbooks));
    }
    let mut small: Vec<Value> = words::coverage_gaps(notification.coverage)
        .iter()
        .map(|gap| plain(&format!("Verdict given with a gap: {gap}"), SECTION))
        .collect();
    small.extend(notification.related.iter().map(|related| {
        plain(
            &format!("The other half is with {}: incident {}", line(&related.team), line(&related.incident_id)),
            SECTION,
        )
    }));
    let incident = format!("Incident {} revision {}", line(&notification.incident_id), notification.revision);
    small.insert(0, plain(&incident, SECTION));
    blocks.push(context(small));
    blocks.truncate(BLOCKS);
    json!({
        "text": format!(
            "{}: {} ({} severity)",
            words::reason(notification.reason),
            words::verdict(notification.verdict),
            notification.severity.name(),
        ),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

fn sessions(notification: &Notification) -> String {
    const SHOWN: usize = 5;
    if notification.sessions.is_empty() {
        return "unknown".to_owned();
    }
    let mut text = notification.sessions.iter().take(SHOWN).map(|id| one_line(id, 64)).collect::<Vec<_>>().join(", ");
    if notification.sessions.len() > SHOWN {
        text.push_str(&format!(" and {} more", notification.sessions.len() - SHOWN));
    }
    text
}

/// One section per piece, so that a long one is cut alone.
fn evidence(notification: &Notification) -> Vec<Value> {
    let mut blocks: Vec<Value> = notification
        .evidence
        .iter()
        .take(EVIDENCE)
        .map(|item| {
            section(&format!(
                "{} · {} · {}\n{}\n{}",
                item.event_time,
                item.plane,
                one_line(&item.kind, 64),
                one_line(&item.summary, PIECE),
                one_line(&item.event_id, 128),
            ))
        })
        .collect();
    let omitted = notification.evidence_omitted + notification.evidence.len().saturating_sub(EVIDENCE);
    if omitted > 0 {
        blocks.push(context(vec![plain(&format!("{omitted} more pieces of evidence are not shown"), SECTION)]));
    }
    blocks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::blocks::{ELEMENTS, FIELD, FIELDS, HEADER};
    use super::*;
    use crate::sinks::fixtures;

    /// Walks a message and holds every text against Slack's limits and the rules for hostile text.
    fn check_message(message: &Value) {
        let blocks = message["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= BLOCKS);
        assert!(!message["text"].as_str().expect("a text").contains(['<', '>', '&', '@']));
        for block in blocks {
            match block["type"].as_str().expect("a type") {
                "header" => check_text(&block["text"], HEADER),
                "section" if block.get("fields").is_some() => {
                    let fields = block["fields"].as_array().expect("fields");
                    assert!((1..=FIELDS).contains(&fields.len()));
                    fields.iter().for_each(|field| check_text(field, FIELD));
                }
                "section" => check_text(&block["text"], SECTION),
                "context" => {
                    let elements = block["elements"].as_array().expect("elements");
                    assert!((1..=ELEMENTS).contains(&elements.len()));
                    elements.iter().for_each(|element| check_text(element, SECTION));
                }
                other => panic!("an unexpected block {other}"),
            }
        }
    }

    fn check_text(object: &Value, limit: usize) {
        let text = object["text"].as_str().expect("a text");
        assert!((1..=limit).contains(&text.encode_utf16().count()), "{} units", text.encode_utf16().count());
        if object["type"] == "mrkdwn" {
            // One link and nothing else; its address and label hold no markup.
            let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).expect("a link");
            assert!(!inner.contains(['<', '>', '\n']) && inner.matches('|').count() == 1, "{text}");
            assert!(inner.starts_with("http://") || inner.starts_with("https://"), "{text}");
            return;
        }
        assert_eq!(object["type"], "plain_text");
        assert_eq!(object["emoji"], false);
        assert!(!text.contains(['<', '>']), "markup in {text}");
        assert!(!text.contains("://"), "a link in {text}");
        for rest in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;"].iter().any(|entity| rest.starts_with(entity)), "a torn entity in {text}");
        }
        assert!(!text.chars().any(|c| crate::escape::is_deceptive(c) && c != '\n' && c != '\u{200b}'));
    }

    proptest! {
        #[test]
        fn no_hostile_text_leaves_its_place_or_breaks_a_limit(notification in fixtures::hostile()) {
            check_message(&encode(&notification));
        }
    }

    #[test]
    fn a_huge_incident_still_fits() {
        check_message(&encode(&fixtures::huge()));
    }
}
