//! A notification as a Slack message.
//!
//! Hostile text stands in `plain_text` objects only. The top-level `text`, which phones show and Slack formats, is in
//! our own words.
//!
//! What does not fit is left out in a fixed order, see [`Rank`], and the message says so.

use serde_json::{Value, json};
use watershed_schemas::Notification;

use super::blocks::{BLOCKS, SECTION, context, fields, header, link, plain, section};
use super::notice;
use crate::escape::one_line;
use crate::sinks::words;

/// Most text of all blocks together, in UTF-16 units: Slack refuses messages whose blocks are longer than about 13,000.
const TEXT: usize = 12_000;
/// Most pieces of evidence in a message.
const EVIDENCE: usize = 20;
/// Pieces of evidence that stay longer than the others.
const EVIDENCE_KEPT: usize = 3;
/// Longest piece of hostile text in characters, so that one can't push the others out.
const PIECE: usize = 300;
/// Longest text of a field and of small print, of what a message always holds.
const SMALL: usize = 200;
/// Room for small print: nine lines and a link (whose `&` become five characters), and two lines on what is missing.
const AFTER: usize = 9 * SMALL + 5 * SMALL + 100 + 2 * SMALL;
/// Longest section of a template's text.
const TEMPLATE_PIECE: usize = 2_500;
/// Longest first move.
const MOVES: usize = 1_500;

/// What is left out where a message is too long: the last of these first, and of one rank the last block first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Title, verdict, severity, status, identity, first moves, gaps of coverage, ids, link: always there.
    Always,
    /// The first three pieces of evidence.
    FirstEvidence,
    /// Titles of rules.
    Rules,
    /// What the verdict was reckoned from.
    Because,
    /// How far it reaches.
    Reach,
    /// Links to runbooks.
    Runbooks,
    /// Further evidence.
    Evidence,
    /// Further sections of a template's text.
    Template,
}

impl Rank {
    fn name(self) -> &'static str {
        match self {
            Rank::Always => "the rest",
            Rank::FirstEvidence | Rank::Evidence => "evidence",
            Rank::Rules => "rules",
            Rank::Because => "scores",
            Rank::Reach => "reach",
            Rank::Runbooks => "runbooks",
            Rank::Template => "the rest of the text",
        }
    }
}

fn line(text: &str) -> String {
    one_line(text, PIECE)
}

/// The message that stands for an incident.
pub(super) fn encode(notification: &Notification) -> Value {
    if let Some(notice) = &notification.notice {
        return notice::encode(notification, notice);
    }
    let parts = match &notification.text {
        Some(text) => templated(&notification.title, text),
        None => own(notification),
    };
    let mut blocks = fit(parts, notification);
    blocks.push(context(small_print(notification)));
    json!({
        "text": in_our_words(notification),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// What the receiver's template wrote, cut into as many sections as it needs; of too many the last are left out.
fn templated(title: &str, text: &str) -> Vec<(Rank, Value)> {
    let mut parts = vec![(Rank::Always, header(&line(title)))];
    let mut piece = String::new();
    let mut rank = Rank::Always;
    for line in text.lines().chain([""]) {
        let line = one_line(line, TEMPLATE_PIECE);
        if piece.encode_utf16().count() + line.encode_utf16().count() > TEMPLATE_PIECE && !piece.trim().is_empty() {
            parts.push((rank, section(&piece, SECTION)));
            (piece, rank) = (String::new(), Rank::Template);
        }
        piece.push_str(&line);
        piece.push('\n');
    }
    if !piece.trim().is_empty() {
        parts.push((rank, section(piece.trim_end(), SECTION)));
    }
    parts
}

/// What we make of it.
fn own(notification: &Notification) -> Vec<(Rank, Value)> {
    let mut parts: Vec<(Rank, Value)> = Vec::new();
    let over = if words::is_over(notification) { format!("{}: ", words::reason(notification)) } else { String::new() };
    parts.push((Rank::Always, header(&format!("{over}{}", line(&notification.title)))));
    parts.push((
        Rank::Always,
        fields(
            &[
                ("Verdict", words::verdict(notification.verdict).to_owned()),
                ("Severity", notification.severity.name().to_owned()),
                ("Why now", words::reason(notification).to_owned()),
                ("Status", words::status(notification.status).to_owned()),
                ("Identity", line(notification.principal.as_deref().unwrap_or("unknown"))),
                ("Tenant", line(&notification.tenant)),
                ("Sessions", sessions(notification)),
                ("Origin", words::origin(notification.origin).to_owned()),
                ("First signal", notification.first_event_time.to_string()),
                ("Last signal", notification.last_event_time.to_string()),
            ],
            SMALL,
        ),
    ));
    parts.extend(words::handled(notification).map(|handled| (Rank::Always, section(&handled, PIECE))));
    parts.push((Rank::Always, section(&moves(notification), MOVES)));
    if !notification.rules.is_empty() {
        let titles: Vec<String> = notification.rules.iter().map(|rule| format!("• {}", line(&rule.title))).collect();
        parts.push((Rank::Rules, section(&format!("Rules\n{}", titles.join("\n")), SECTION)));
    }
    parts.extend(words::because(notification).map(|because| (Rank::Because, section(&because, SECTION))));
    parts.extend(words::reach(notification).map(|reach| (Rank::Reach, section(&reach, SECTION))));
    parts.extend(notification.evidence.iter().take(EVIDENCE).enumerate().map(|(at, item)| {
        let rank = if at < EVIDENCE_KEPT { Rank::FirstEvidence } else { Rank::Evidence };
        let text = format!(
            "{} · {} · {}\n{}\n{}",
            item.event_time,
            item.plane,
            one_line(&item.kind, 64),
            line(&item.summary),
            one_line(&item.event_id, 128),
        );
        (rank, section(&text, SECTION))
    }));
    let runbooks: Vec<Value> = notification
        .rules
        .iter()
        .filter_map(|rule| rule.runbook.as_deref().map(|url| link(url, &format!("Runbook {}", rule.id), SMALL)))
        .collect();
    if !runbooks.is_empty() {
        parts.push((Rank::Runbooks, context(runbooks)));
    }
    parts
}

/// What is said in the thread of an incident's message when that is edited.
pub(super) fn reply(notification: &Notification) -> Value {
    if let Some(notice) = &notification.notice {
        return notice::encode(notification, notice);
    }
    let mut lines = vec![format!(
        "{}: {}, {} severity, {} (revision {})",
        words::reason(notification),
        words::verdict(notification.verdict),
        notification.severity.name(),
        words::status(notification.status),
        notification.revision,
    )];
    lines.extend(words::handled(notification));
    if !words::is_over(notification) {
        lines.push(moves(notification));
    }
    json!({
        "text": in_our_words(notification),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [section(&lines.join("\n"), SECTION)],
    })
}

/// What phones show.
fn in_our_words(notification: &Notification) -> String {
    if notification.is_test() {
        return "TEST: nothing has happened".to_owned();
    }
    format!(
        "{}: {} ({} severity)",
        words::reason(notification),
        words::verdict(notification.verdict),
        notification.severity.name(),
    )
}

/// Leaves out what is too much, and says what.
fn fit(mut parts: Vec<(Rank, Value)>, notification: &Notification) -> Vec<Value> {
    // The small print and what says that something is missing come after this.
    let (blocks, text) = (BLOCKS - 2, TEXT - AFTER);
    let mut left_out: Vec<Rank> = Vec::new();
    loop {
        let units: usize = parts.iter().map(|(_, block)| text_units(block)).sum();
        let worst = parts.iter().map(|(rank, _)| *rank).max().unwrap_or(Rank::Always);
        if (parts.len() <= blocks && units <= text) || worst == Rank::Always {
            break;
        }
        if let Some(at) = parts.iter().rposition(|(rank, _)| *rank == worst) {
            parts.remove(at);
            left_out.push(worst);
        }
    }
    let evidence = |rank: &Rank| matches!(rank, Rank::Evidence | Rank::FirstEvidence);
    let omitted = notification.evidence_omitted
        + notification.evidence.len().saturating_sub(EVIDENCE)
        + left_out.iter().filter(|rank| evidence(rank)).count();
    let mut missing = Vec::new();
    if omitted > 0 {
        missing.push(plain(&format!("{omitted} more pieces of evidence are not shown"), SMALL));
    }
    left_out.retain(|rank| !evidence(rank));
    left_out.sort_unstable();
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|rank| rank.name()).collect();
        missing.push(plain(&format!("Too long for one message, left out: {}", names.join(", ")), SMALL));
    }
    let mut blocks: Vec<Value> = parts.into_iter().map(|(_, block)| block).collect();
    if !missing.is_empty() {
        blocks.push(context(missing));
    }
    blocks
}

/// The text of a block, in UTF-16 units.
fn text_units(value: &Value) -> usize {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| match member {
                Value::String(text) if name == "text" => text.encode_utf16().count(),
                member => text_units(member),
            })
            .sum(),
        Value::Array(items) => items.iter().map(text_units).sum(),
        _ => 0,
    }
}

/// Ids, gaps of coverage, the other half, what was withheld, where to read more.
fn small_print(notification: &Notification) -> Vec<Value> {
    let mut lines = vec![format!("Incident {} revision {}", line(&notification.incident_id), notification.revision)];
    lines.extend(words::group(notification));
    lines.extend(
        words::coverage_gaps(notification.coverage).iter().map(|gap| format!("Verdict given with a gap: {gap}")),
    );
    lines.extend(words::untold(notification));
    lines.extend(words::withheld(notification));
    lines.extend(notification.related.iter().take(2).map(|related| {
        format!("The other half is with {}: incident {}", line(&related.team), line(&related.incident_id))
    }));
    lines.extend(notification.their_first_move.as_ref().map(|step| format!("Their first move: {}", line(step))));
    lines.extend(words::shares(notification));
    // One place is kept for the link.
    lines.truncate(9);
    let mut small: Vec<Value> = lines.iter().map(|text| plain(text, SMALL)).collect();
    small.extend(notification.link.as_deref().map(|url| link(url, "Open in Watershed", SMALL)));
    small
}

fn moves(notification: &Notification) -> String {
    if notification.first_moves.is_empty() {
        return format!("First move\n{}", one_line(&notification.first_move, MOVES));
    }
    let steps = notification.first_moves.iter().take(8).enumerate().map(|(at, step)| {
        let how = step.how.as_deref().map(|how| format!(" ({})", one_line(how, 120))).unwrap_or_default();
        format!("{}. {}{how}", at + 1, one_line(&step.text, 160))
    });
    format!("First moves\n{}", steps.collect::<Vec<_>>().join("\n"))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::blocks::{ELEMENTS, FIELD, FIELDS, HEADER};
    use super::*;
    use crate::sinks::fixtures;

    /// Walks a message and holds every text against Slack's limits and the rules for hostile text.
    fn check_message(message: &Value) {
        let blocks = message["blocks"].as_array().expect("blocks");
        assert!((1..=BLOCKS).contains(&blocks.len()));
        let units = text_units(&message["blocks"]);
        assert!(units <= TEXT, "{units} units of text");
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
            check_message(&reply(&notification));
        }
    }

    #[test]
    fn a_huge_incident_still_fits_and_says_what_is_missing() {
        let message = encode(&fixtures::huge());
        check_message(&message);
        let text = message.to_string();
        assert!(text.contains("197 more pieces of evidence are not shown"), "{text}");
        assert!(text.contains("Too long for one message, left out: scores, reach, runbooks"), "{text}");
    }

    /// Which kinds of part a message of so much evidence still holds.
    fn kept(pieces: usize, summary: &str) -> (usize, bool, bool) {
        let base = fixtures::model_abuse();
        let item = watershed_schemas::EvidenceItem { summary: summary.to_owned(), ..base.evidence[0].clone() };
        let text = encode(&Notification { evidence: vec![item; pieces], ..base }).to_string();
        (text.matches("· guardrail").count(), text.contains("Rules\\n"), text.contains("Runbook"))
    }

    #[test]
    fn what_is_left_out_first_is_evidence_and_what_stays_is_what_to_do() {
        assert_eq!(kept(2, "x"), (2, true, true));
        assert_eq!(kept(25, &"x".repeat(5_000)), (20, true, true));
        // Pieces that grow when they are made harmless: the later ones go before anything else does.
        let (evidence, rules, runbooks) = kept(25, &"&".repeat(300));
        assert!((EVIDENCE_KEPT..EVIDENCE).contains(&evidence) && rules && runbooks, "{evidence}");
    }
}
