//! What a guardrail decided, in the words of the column `verdict`.

use super::table::TABLE;
use crate::formats::json::Json;

/// The canonical verdict of a native one: a word, a JSON object in a text, an object, or nothing that is known.
pub(super) fn normalised(native: &Json<'_>) -> Option<&'static str> {
    match native {
        Json::Text(text) => match Json::parse_embedded(text) {
            Some(inner) => of_object(&inner),
            None => word(text),
        },
        Json::Map(_) => of_object(native),
        _ => None,
    }
}

fn word(text: &str) -> Option<&'static str> {
    TABLE.verdicts.get(&snake(text)).map(String::as_str)
}

fn of_object(object: &Json<'_>) -> Option<&'static str> {
    let named = TABLE.verdict_members.iter().find_map(|name| match object.member(name)? {
        Json::Text(text) => word(text),
        inner @ Json::Map(_) => inner.member("type").and_then(Json::as_text).and_then(word),
        _ => None,
    });
    named.or_else(|| {
        TABLE.verdict_flags.iter().find_map(|flag| {
            let value = object.member(&flag.name)?.as_bool()?;
            Some(if value { flag.yes.as_str() } else { flag.no.as_str() })
        })
    })
}

/// The canonical category of a native one; an unknown one in snake case.
pub(super) fn category(native: &str) -> String {
    let name = snake(native);
    TABLE.categories.get(&name).cloned().unwrap_or(name)
}

/// The category that a detector's name gives away.
pub(super) fn category_of_detector(name: &str) -> Option<&'static str> {
    TABLE.categories.get(&snake(name)).map(String::as_str)
}

fn snake(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '-', '.', '/'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_verdicts_in_all_their_shapes() {
        let of = |json: &str| normalised(&Json::parse(json.as_bytes()).expect("valid JSON"));
        for (native, verdict) in [
            (r#""BLOCK""#, Some("deny")),
            (r#""Human in the loop required""#, Some("escalate")),
            (r#""{\"verdict\":\"pass\"}""#, Some("allow")),
            (r#"{"is_valid":false}"#, Some("deny")),
            (r#"{"flagged":"true"}"#, Some("warn")),
            (r#"{"verdict":{"type":"modify"}}"#, Some("modify")),
            (r#""no idea""#, None),
            ("7", None),
        ] {
            assert_eq!(of(native), verdict, "{native}");
        }
    }
}
