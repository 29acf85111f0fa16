//! Secrets of known kinds.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::{Found, MARK};

/// One kind of secret. Where the expression has a group, the group is the secret; else all of it is.
struct Pattern {
    kind: &'static str,
    expression: &'static str,
    /// Whether what matched is a secret; a pattern alone can't tell a password from the word after "password:".
    holds: fn(&str) -> bool,
    /// Whether the column of an id may hold it: then it is one.
    id: bool,
    /// Whether it is known by the name before it, not by its own shape.
    named: bool,
}

const fn always(kind: &'static str, expression: &'static str) -> Pattern {
    when(kind, expression, |_| true)
}

const fn when(kind: &'static str, expression: &'static str, holds: fn(&str) -> bool) -> Pattern {
    Pattern { kind, expression, holds, id: false, named: false }
}

const fn named(kind: &'static str, expression: &'static str, holds: fn(&str) -> bool) -> Pattern {
    Pattern { kind, expression, holds, id: false, named: true }
}

/// What has a shape comes before what has a name; of names the more telling comes first. Lengths are the least that cannot be mistaken
/// for something else, because texts are cut.
static PATTERNS: [Pattern; 30] = [
    always("anthropic-key", r"sk-ant-[A-Za-z0-9_-]{8,}"),
    when("openai-key", r"(?-u:\b)sk-[A-Za-z0-9_-]{20,}", has_digit_and_letter),
    always("github-token", r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"),
    always("gitlab-token", r"gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{16,}"),
    always("slack-token", r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}"),
    always("slack-webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_+-]{8,})"),
    Pattern {
        kind: "aws-access-key",
        expression: r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{12,}",
        holds: |_| true,
        id: true,
        named: false,
    },
    always("google-key", r"AIza[A-Za-z0-9_-]{30,}|GOCSPX-[A-Za-z0-9_-]{16,}|ya29\.[A-Za-z0-9_-]{16,}"),
    always("stripe-key", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}"),
    always("webhook-secret", r"whsec_[A-Za-z0-9+/_-]{16,}={0,2}"),
    always("npm-token", r"npm_[A-Za-z0-9]{30,}"),
    always("pypi-token", r"pypi-[A-Za-z0-9_-]{16,}"),
    always("huggingface-token", r"(?-u:\b)hf_[A-Za-z0-9]{20,}"),
    always("sendgrid-key", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    always("vault-token", r"(?-u:\b)hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    always("digitalocean-token", r"do[opr]_v1_[a-f0-9]{32,}"),
    always("databricks-token", r"(?-u:\b)dapi[a-f0-9]{32}"),
    always("shopify-token", r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{24,}"),
    always("azure-secret", r"[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    always("age-key", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    always("jwt", r"eyJ[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*){0,4}"),
    // The end is looked for by hand, so that no text is read twice.
    always("private-key", PEM),
    named(
        "authorization",
        r#"(?i)(?:proxy-)?authorization\\*["']?\s{0,8}[:=]\s{0,8}\\*["']?((?:[a-z][a-z0-9-]{0,31}[ \t]{1,8})?[^\s"',;]+)"#,
        is_value,
    ),
    named(
        "authorization",
        r"(?i)(?-u:\b)(?:bearer|basic|ssws|digest|negotiate|dpop)[ \t]{1,8}([a-z0-9._~+/-]{8,}={0,2})",
        is_credential,
    ),
    named("cookie", r#"(?i)(?-u:\b)(?:set-)?cookie\\*["']?\s{0,8}:\s{0,8}\\*["']?([^\s=;"']+=[^\r\n"']+)"#, is_value),
    named("url-credentials", r#"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/:@"'<>]*:([^\s"'<>]+)@"#, is_url_password),
    // A value in quotes, also in JSON inside of JSON.
    named(
        "password",
        r#"(?i)(?:password|passwd|passphrase|passcode|(?-u:\b|_)pwd|(?-u:\b|_)pass)\\*["']?\s{0,8}(?:=>|[:=])\s{0,8}\\*(?:"([^"\r\n]+)|'([^'\r\n]+)|([^\s"'\\&,;<>(){}=][^\s"'\\&,;<>(){}]*))"#,
        is_value,
    ),
    named(
        "secret",
        concat!(
            r#"(?i)(?:secret(?:[_-]?(?:access[_-]?)?key)?|api[_-]?key|(?:access|account|private|signing|encryption|shared[_-]?access)[_-]?key|token|(?-u:\b)sig|(?-u:\b)otp)"#,
            r#"\\*["']?\s{0,8}(?:=>?|:)\s{0,8}\\*["']([^"'\r\n]+)"#
        ),
        is_value,
    ),
    named(
        "secret",
        concat!(
            r#"(?i)(?:secret(?:[_-]?(?:access[_-]?)?key)?|api[_-]?key|(?:access|account|private|signing|encryption|shared[_-]?access)[_-]?key|token|(?-u:\b)sig|(?-u:\b)otp)"#,
            r#"[ \t]{0,8}=[ \t]{0,8}([^\s"'\\&,;<>(){}=][^\s"'\\&,;<>(){}]*)"#
        ),
        is_value,
    ),
    named(
        "secret",
        concat!(
            r#"(?i)(?:secret(?:[_-]?(?:access[_-]?)?key)?|api[_-]?key|(?:access|account|private|signing|encryption|shared[_-]?access)[_-]?key|token)"#,
            r#"\s{0,8}:\s{0,8}([^\s"'\\&,;<>(){}]+)"#
        ),
        is_credential,
    ),
];

const PEM: &str = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";

static EXPRESSIONS: LazyLock<(Option<RegexSet>, Vec<Option<Regex>>)> = LazyLock::new(|| {
    let set = RegexSetBuilder::new(PATTERNS.iter().map(|pattern| pattern.expression)).size_limit(64 << 20).build();
    let each = PATTERNS.iter().map(|pattern| RegexBuilder::new(pattern.expression).size_limit(64 << 20).build().ok());
    (set.ok(), each.collect())
});

/// Whether every expression of the table is one; a test asks.
#[cfg(test)]
pub(super) fn all_compile() -> bool {
    EXPRESSIONS.0.is_some() && EXPRESSIONS.1.iter().all(Option::is_some)
}

/// The kinds, for documentation and tests.
#[cfg(test)]
pub(super) fn kinds() -> std::collections::BTreeSet<&'static str> {
    PATTERNS.iter().map(|pattern| pattern.kind).collect()
}

/// Every secret of a known kind; in free text also what only the column of an id tells from a secret.
pub(super) fn find(text: &str, free: bool) -> Vec<Found> {
    let mut found = Vec::new();
    let (Some(set), each) = &*EXPRESSIONS else { return found };
    for index in set.matches(text) {
        let pattern = &PATTERNS[index];
        if pattern.id && !free {
            continue;
        }
        let Some(expression) = &each[index] else { continue };
        let rank = if pattern.named { index } else { 0 };
        if pattern.expression == PEM {
            private_keys(text, expression, (pattern.kind, rank), &mut found);
            continue;
        }
        for captures in expression.captures_iter(text) {
            let group = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0));
            // What stands behind a mark's colon is the name of a kind.
            let is_secret =
                |secret: &regex::Match<'_>| (pattern.holds)(secret.as_str()) && !text[..secret.start()].ends_with(MARK);
            if let Some(secret) = group.filter(is_secret) {
                found.push(Found { start: secret.start(), end: secret.end(), kind: pattern.kind, rank });
            }
        }
    }
    found
}

/// From each beginning to its end, or, where the text was cut, to the end of the text.
fn private_keys(text: &str, begin: &Regex, (kind, rank): (&'static str, usize), found: &mut Vec<Found>) {
    let mut from = 0;
    while let Some(start) = begin.find_at(text, from) {
        let rest = &text[start.end()..];
        let end = rest.find("-----END").map_or(text.len(), |end| {
            let end = start.end() + end + "-----END".len();
            text[end..].find("-----").map_or(text.len(), |tail| end + tail + "-----".len())
        });
        found.push(Found { start: start.start(), end, kind, rank });
        from = end;
    }
}

fn has_digit_and_letter(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && !text.starts_with("sk-ant-")
}

/// Not a word that says that there is no value, and not masked already.
fn is_value(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'', '\\', '*', '.', '…', ' ']);
    let nothing = ["null", "none", "true", "false", "nil", "undefined", "redacted", "<redacted>", "[redacted]"];
    !text.is_empty()
        && !text.contains(MARK)
        && !text.starts_with("withheld:")
        && !text.starts_with("http:")
        && !text.starts_with("https:")
        && !nothing.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A value with a digit or a mixture of cases: not a word of prose.
fn is_credential(text: &str) -> bool {
    let mixed = text.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase());
    is_value(text)
        && text.len() >= 8
        && (mixed || text.ends_with('=') || text.bytes().any(|byte| byte.is_ascii_digit()))
}

/// Not a port with a path behind it.
fn is_url_password(text: &str) -> bool {
    let port = text.split('/').next().unwrap_or(text);
    let is_port = port.len() <= 5 && text.contains('/') && port.bytes().all(|byte| byte.is_ascii_digit());
    is_value(text) && !is_port
}
