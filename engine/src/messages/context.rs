//! What a template reads: the notification, every field of it, with each text on one visible line.

use serde_json::{Map, Value, json};
use watershed_connectors::escape;
use watershed_connectors::sinks::in_words;
use watershed_schemas::{Because, Notification};

/// Longest text of one field in characters.
const FIELD_CHARS: usize = 4_000;

/// The fields of the notification, and `words`. Fields that are absent are `none` or empty, so that a template may ask for each
/// of them; what has no such name is an error.
pub(super) fn context(notification: &Notification) -> Value {
    let mut context = json!({
        "principal": null,
        "replaces": null,
        "first_moves": [],
        "their_first_move": null,
        "untold": null,
        "reopened": false,
        "notice": null,
        "because": Because::default(),
        "blast_radius": null,
        "agents": [],
        "tags": [],
        "frameworks": [],
        "shares": [],
        "handled": null,
        "link": null,
        "group": null,
        "notice": null,
        "withheld": [],
        "text": null,
    });
    put_all(&mut context, json!(notification));
    for step in context["first_moves"].as_array_mut().into_iter().flatten() {
        complete(step, &["object", "how", "rule"]);
    }
    for rule in context["rules"].as_array_mut().into_iter().flatten() {
        complete(rule, &["runbook"]);
    }
    if !context["untold"].is_null() {
        complete(&mut context["untold"], &["why"]);
    }
    if !context["handled"].is_null() {
        complete(&mut context["handled"], &["disposition", "note"]);
    }
    put_all(&mut context, json!({ "words": in_words(notification) }));
    on_one_line(&mut context);
    context
}

fn put_all(onto: &mut Value, from: Value) {
    if let (Some(onto), Value::Object(from)) = (onto.as_object_mut(), from) {
        onto.extend(from);
    }
}

fn complete(value: &mut Value, names: &[&str]) {
    if let Some(fields) = value.as_object_mut() {
        let absent = names.iter().filter(|name| !fields.contains_key(**name)).map(|name| (*name).to_owned());
        let absent: Map<String, Value> = absent.map(|name| (name, Value::Null)).collect();
        fields.extend(absent);
    }
}

/// A value with a line break in it could pass for a line of the template.
fn on_one_line(value: &mut Value) {
    match value {
        Value::String(text) => *text = escape::one_line(text, FIELD_CHARS),
        Value::Array(items) => items.iter_mut().for_each(on_one_line),
        Value::Object(fields) => fields.values_mut().for_each(on_one_line),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
