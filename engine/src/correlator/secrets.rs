//! Secrets in texts that are about to be kept.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Keys, tokens and passwords by the shapes that their issuers give them.
static SHAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let shapes = [
        r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}",
        r"(?:AKIA|ASIA)[A-Z0-9]{12,}",
        r"(?:sk|pk|rk)[-_](?:[a-z]+[-_])*[A-Za-z0-9_-]{16,}",
        r"gh[opsur]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}",
        r"xox[abeprs]-[A-Za-z0-9-]{8,}",
        r"AIza[A-Za-z0-9_-]{16,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*",
        r#"(?i)\b(?:password|passwd|secret|api[_-]?key|access[_-]?token|authorization)["']?\s*[:=]\s*["']?(?:bearer\s+)?[^\s"',;}]{4,}"#,
        r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{12,}",
    ];
    Regex::new(&shapes.join("|")).ok()
});

/// The text with `[secret]` in the place of each secret.
pub(super) fn mask_secrets(text: &str) -> Cow<'_, str> {
    match &*SHAPES {
        Some(shapes) => shapes.replace_all(text, "[secret]"),
        None => Cow::Borrowed("[secret]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let check = |text: &str, expected: &str| assert_eq!(mask_secrets(text), expected);
        check("use AKIAIOSFODNN7EXAMPLE now", "use [secret] now");
        check("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc b", "a [secret] b");
        check(r#"{"password": "hunter22", "to": "bob"}"#, r#"{"[secret]", "to": "bob"}"#);
        check("the secret of a good password is its length", "the secret of a good password is its length");
    }
}
