//! Block Kit: the few blocks that a message is made of, each within Slack's limits.
//!
//! Limits from docs.slack.dev/reference/block-kit: one text too long refuses the whole message.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::sinks::text::{defuse, join_within};

/// Longest text of a header.
pub(super) const HEADER: usize = 150;
/// Longest text of a section, and of an element of a context.
pub(super) const SECTION: usize = 3_000;
/// Longest text of a field.
pub(super) const FIELD: usize = 2_000;
/// Most fields in a section.
pub(super) const FIELDS: usize = 10;
/// Most elements in a context.
pub(super) const ELEMENTS: usize = 10;
/// Most blocks in a message.
pub(super) const BLOCKS: usize = 50;

/// Text that Slack shows as it is: no markup, no emoji names, no links, no mentions.
pub(super) fn plain(text: &str, limit: usize) -> Value {
    let text = join_within(entities(&defuse(text)), limit);
    // Slack refuses empty texts.
    let text = if text.trim().is_empty() { "–".to_owned() } else { text };
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// The characters of a text, with the three that Slack reads as markup even in plain text as entities.
pub(super) fn entities(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split_inclusive(|_: char| true).map(|c| match c {
        "&" => Cow::Borrowed("&amp;"),
        "<" => Cow::Borrowed("&lt;"),
        ">" => Cow::Borrowed("&gt;"),
        c => Cow::Borrowed(c),
    })
}

pub(super) fn header(text: &str) -> Value {
    json!({ "type": "header", "text": plain(text, HEADER) })
}

pub(super) fn section(text: &str, limit: usize) -> Value {
    json!({ "type": "section", "text": plain(text, limit.min(SECTION)) })
}

/// Pairs of a name and a value, in two columns.
pub(super) fn fields(pairs: &[(&str, String)], limit: usize) -> Value {
    let fields: Vec<Value> =
        pairs.iter().take(FIELDS).map(|(name, value)| plain(&format!("{name}\n{value}"), limit.min(FIELD))).collect();
    json!({ "type": "section", "fields": fields })
}

/// Small print.
pub(super) fn context(elements: Vec<Value>) -> Value {
    json!({ "type": "context", "elements": elements.into_iter().take(ELEMENTS).collect::<Vec<_>>() })
}

/// A link that the operator wrote. Anything but a plain web address of at most `limit` is shown as text.
pub(super) fn link(url: &str, label: &str, limit: usize) -> Value {
    // The parser encodes `<`, `>` and spaces; `|` would end the address.
    match url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https")) {
        Some(parsed) if parsed.as_str().len() <= limit => {
            let address =
                parsed.as_str().replace('&', "&amp;").replace('|', "%7C").replace('<', "%3C").replace('>', "%3E");
            // In a label only letters and digits are sure to be no markup.
            let label: String =
                label.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '.')).take(60).collect();
            json!({ "type": "mrkdwn", "text": format!("<{address}|{label}>"), "verbatim": true })
        }
        _ => plain(&crate::escape::one_line(&format!("{label}: {url}"), limit), limit),
    }
}
