//! Making hostile text harmless before it is shown.
//!
//! Whatever an attacker can write into a prompt, a tool name or a user agent ends up in logs, terminals and messages.
//! Control characters move cursors and forge lines, bidirectional overrides reorder what a reader sees, invisible
//! characters hide instructions. Here they become visible escapes such as `\u{202e}`.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// Longest text, in bytes, that [`for_log`] returns before the ellipsis.
pub const MAX_LOG_BYTES: usize = 1_024;

/// A character that a reader can't see, or that changes how its neighbours are shown.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'   // zero width, directional marks
            | '\u{2028}'..='\u{202e}'   // line and paragraph separators, bidirectional overrides
            | '\u{2060}'..='\u{206f}'   // word joiner, bidirectional isolates
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e01ef}' // tags and variation selectors that smuggle text
        )
}

/// The text for a log field: one line, nothing deceptive, at most [`MAX_LOG_BYTES`] and an ellipsis.
///
/// A backslash is doubled, so that the text before the cut can be told from what the sender wrote.
///
/// ```
/// assert_eq!(watershed_connectors::escape::for_log("ok\nERROR \u{1b}[31mforged"), r"ok\nERROR \u{1b}[31mforged");
/// ```
pub fn for_log(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_LOG_BYTES) + 16);
    for c in text.chars() {
        let before = out.len();
        if c == '\\' {
            out.push_str("\\\\");
        } else {
            push_visible(&mut out, c);
        }
        if out.len() > MAX_LOG_BYTES {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// The text on one line with nothing deceptive in it, at most `max_chars` of the original and an ellipsis.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_chars.saturating_mul(4)));
    for (index, c) in text.chars().enumerate() {
        if index == max_chars {
            out.push('…');
            break;
        }
        push_visible(&mut out, c);
    }
    out
}

/// One line of JSON, without the line's end. Deceptive characters are written as JSON escapes, so that the line is
/// safe in a terminal and still reads back as the same value.
pub fn json_line<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Visible))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_deceptive(c) => {
            // Writing to a String can't fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Compact JSON in which no string holds a deceptive character.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_deceptive(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Text that is hostile more often than chance would make it.
    fn hostile() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![
                any::<char>(),
                prop::sample::select(vec![
                    '\n',
                    '\r',
                    '\u{1b}',
                    '\u{7f}',
                    '\u{9b}',
                    '\u{202e}',
                    '\u{200b}',
                    '\\',
                    '"',
                    '\u{e0041}'
                ]),
            ],
            0..400,
        )
        .prop_map(|chars| chars.into_iter().collect())
    }

    /// What [`for_log`] was given, where it was not cut.
    fn unescape(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('u') => {
                    let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    let code = u32::from_str_radix(&hex, 16).expect("an escape holds hexadecimal digits");
                    out.push(char::from_u32(code).expect("an escape names a character"));
                }
                other => out.extend(other),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn a_log_field_is_one_visible_bounded_line(text in hostile()) {
            let shown = for_log(&text);
            prop_assert!(!shown.chars().any(is_deceptive));
            prop_assert!(shown.len() <= MAX_LOG_BYTES + '…'.len_utf8());
        }

        #[test]
        fn a_log_field_that_is_not_cut_says_exactly_what_was_sent(text in hostile()) {
            let shown = for_log(&text);
            prop_assume!(!shown.ends_with('…'));
            prop_assert_eq!(unescape(&shown), text);
        }

        #[test]
        fn a_json_line_is_visible_and_reads_back(text in hostile()) {
            let line = json_line(&serde_json::json!({ "text": text })).expect("text serialises");
            prop_assert!(!line.chars().any(is_deceptive));
            let back: serde_json::Value = serde_json::from_str(&line).expect("own output parses");
            prop_assert_eq!(back["text"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn one_line_keeps_to_its_bound(text in hostile(), max in 0usize..50) {
            let shown = one_line(&text, max);
            prop_assert!(!shown.chars().any(is_deceptive));
            // The longest escape is `\u{e01ef}`.
            prop_assert!(shown.chars().count() <= max * 10 + 1);
        }
    }
}
