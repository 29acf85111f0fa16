//! `json_text(json, path)`: a value inside JSON text, as text.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::common::Result;
use serde_json::Value;

/// `json_text(json VARCHAR, path VARCHAR) -> VARCHAR`. The path is a JSON Pointer where it begins with `/`
/// (`/debugContext/debugData`), else names separated by dots, with `[n]` for the elements of lists (`items[0].name`, a
/// leading `$.` is allowed); a name that itself holds dots is found too. Texts come as they are, numbers and booleans in
/// their JSON form, objects and lists as JSON. NULL where there is nothing, where it is null, and where the text isn't JSON.
pub(super) fn json_text(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let documents = arguments[0].as_string::<i32>();
    let paths = arguments[1].as_string::<i32>();
    let mut texts = StringBuilder::new();
    for row in 0..documents.len() {
        if documents.is_null(row) || paths.is_null(row) {
            texts.append_null();
        } else {
            texts.append_option(extract(documents.value(row), paths.value(row)));
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn extract(document: &str, path: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    let value = if path.starts_with('/') {
        document.pointer(path)?
    } else {
        let path = path.strip_prefix('$').unwrap_or(path);
        walk(&document, path.strip_prefix('.').unwrap_or(path))?
    };
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Takes the longest name first, so that `gen_ai.tool.name` is found both as one name and as three.
fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (index, rest) = rest.split_once(']')?;
        let element = value.get(index.parse::<usize>().ok()?)?;
        return walk(element, rest.strip_prefix('.').unwrap_or(rest));
    }
    let members = value.as_object()?;
    let ends = path.match_indices(['.', '[']).map(|(at, _)| at).chain(std::iter::once(path.len()));
    let mut ends: Vec<usize> = ends.collect();
    ends.reverse();
    ends.into_iter().find_map(|end| {
        let member = members.get(&path[..end])?;
        let rest = &path[end..];
        walk(member, rest.strip_prefix('.').unwrap_or(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::extract;

    #[test]
    fn finds_values_by_dotted_names_indices_and_pointers() {
        let json =
            r#"{"a": {"b": [1, {"c": "x"}]}, "gen_ai.tool.name": "shell", "n": null, "t": true, "s": {"k/e": 1.5}}"#;
        for (path, expected) in [
            ("a.b[1].c", Some("x")),
            ("$.a.b[0]", Some("1")),
            ("gen_ai.tool.name", Some("shell")),
            ("t", Some("true")),
            ("n", None),
            ("a.b[7]", None),
            ("a.b[x]", None),
            ("a.nothing", None),
            ("/a/b/1/c", Some("x")),
            ("/s/k~1e", Some("1.5")),
            ("a.b[1]", Some(r#"{"c":"x"}"#)),
        ] {
            assert_eq!(extract(json, path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn text_that_is_not_json_has_no_values() {
        for document in ["", "{", "nope", "{\"a\":1} trailing"] {
            assert_eq!(extract(document, "a"), None, "{document}");
        }
    }
}
