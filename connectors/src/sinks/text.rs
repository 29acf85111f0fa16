//! What all receivers' messages do with hostile text.

use std::borrow::Cow;

use crate::escape;

/// Replaces what a receiver might turn into a link or a mention by text that reads the same and is neither:
/// `https://x` becomes `https[:]//x`, and a zero-width space parts `@` from `here`.
pub(super) fn defuse(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if text.contains("://") {
        text = Cow::Owned(text.replace("://", "[:]//"));
    }
    if !text.contains('@') {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest: &str = &text;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let mention = ["here", "channel", "everyone", "group"]
            .iter()
            .any(|word| after.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
        if mention {
            out.push('\u{200b}');
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// One visible line of hostile text without links or mentions, at most `max` characters of the original.
pub(super) fn tame(text: &str, max: usize) -> String {
    defuse(&escape::one_line(text, max)).into_owned()
}

/// Joins pieces into at most `limit` UTF-16 units (receivers count differently; this is the strictest way). A piece
/// is never parted; what is left out is marked by an ellipsis.
pub(super) fn join_within<'a>(pieces: impl Iterator<Item = Cow<'a, str>>, limit: usize) -> String {
    let mut out = String::new();
    let mut units = 0;
    // Where the text has to end for the ellipsis to fit.
    let mut room_until = 0;
    for piece in pieces {
        units += piece.encode_utf16().count();
        if units > limit {
            out.truncate(room_until);
            out.push('…');
            return out;
        }
        out.push_str(&piece);
        if units < limit {
            room_until = out.len();
        }
    }
    out
}

/// The text within `limit` UTF-16 units, cut between characters.
pub(super) fn cut(text: &str, limit: usize) -> String {
    join_within(text.split_inclusive(|_: char| true).map(Cow::Borrowed), limit)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Text made of what breaks messages.
    pub(in crate::sinks) fn hostile_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => any::<char>().prop_map(String::from),
            1 => prop::sample::select(vec![
                "<!channel>", "<!here|x>", "<@U012AB3CD>", "<https://evil.example|your bank>", "@channel", "@HERE", "&lt;",
                "&amp;amp;", "https://evil.example/a", "*bold*", "`code`", "_x_", "~y~", ":fire:", "\n> quote", "\r\n", "\u{202e}",
                "\u{1b}[2J", "<script>", "\u{1f600}", "ｅ", "\u{0}",
            ]).prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn links_and_mentions_become_text() {
        assert_eq!(tame("see https://evil.example @here", 100), "see https[:]//evil.example @\u{200b}here");
        assert_eq!(
            tame("@Everyone @alice a@channel.example", 100),
            "@\u{200b}Everyone @alice a@\u{200b}channel.example"
        );
        assert_eq!(tame("@héré ok", 100), "@héré ok");
    }

    #[test]
    fn cutting_counts_what_the_strictest_receiver_counts() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc…");
        // An emoji is two units.
        assert_eq!(cut("a😀😀", 4), "a😀…");
        assert_eq!(cut("😀😀", 4), "😀😀");
        assert_eq!(cut("😀😀", 3), "😀…");
    }

    proptest! {
        #[test]
        fn a_cut_text_is_a_prefix_within_the_limit(text in hostile_text(), limit in 1usize..80) {
            let short = cut(&text, limit);
            prop_assert!(short.encode_utf16().count() <= limit);
            match short.strip_suffix('…').filter(|_| short != text) {
                Some(prefix) => prop_assert!(text.starts_with(prefix)),
                None => prop_assert_eq!(short, text),
            }
        }

        #[test]
        fn tame_text_has_no_link_no_mention_and_one_line(text in hostile_text()) {
            let shown = tame(&text, 500);
            prop_assert!(!shown.contains("://"));
            let lower = shown.to_ascii_lowercase();
            prop_assert!(!lower.contains("@here") && !lower.contains("@channel") && !lower.contains("@everyone"));
            let hidden = shown.chars().any(|c| escape::is_deceptive(c) && c != '\u{200b}');
            prop_assert!(!hidden);
        }
    }
}
