//! Filters that make text harmless where something other than a sink reads it.

/// `{{ x|slack }}`: the three characters that Slack reads as markup, as entities. Only for those who post the text with
/// `mrkdwn` themselves: our Slack sinks escape by themselves.
pub(super) fn slack(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped(&text, &['*', '_', '~', '`'], '\u{200b}')
}

/// `{{ x|markdown }}`: no mark-up, no link and no HTML.
pub(super) fn markdown(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace("://", "[:]//");
    escaped(&text, &['\\', '*', '_', '~', '`', '[', ']', '(', ')', '!', '#', '|', '{', '}'], '\\')
}

fn escaped(text: &str, marks: &[char], before: char) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if marks.contains(&c) {
            out.push(before);
        }
        out.push(c);
    }
    out
}
