//! An answer, for a person. Made from the JSON, so that it is the same whoever answered.

use serde_json::Value;
use watershed_connectors::escape::for_log;

use crate::console::api::Question;

/// The lines of an answer.
pub(super) fn lines(question: &Question, answer: &Value) -> Vec<String> {
    match question {
        Question::Identity { .. } => identity(answer),
        Question::Conflicts { .. } => conflicts(answer),
        // Reports have forms of their own.
        Question::Inventory(_) | Question::Lifecycle(_) | Question::BlastRadius { .. } => Vec::new(),
    }
}

fn text(value: &Value) -> String {
    for_log(value.as_str().unwrap_or("?")).to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn identity(answer: &Value) -> Vec<String> {
    let mut lines = vec![format!("{}  (tenant {})", text(&answer["principal"]), text(&answer["tenant"]))];
    if answer["known"] != true {
        lines.push("  nothing was learned of this id".to_owned());
        let elsewhere: Vec<String> = list(&answer["known_in"]).iter().map(text).collect();
        if !elsewhere.is_empty() {
            lines.push(format!("  it is known in the tenants {}; name one with --tenant", elsewhere.join(", ")));
        }
    }
    if answer["type"].is_string() {
        lines.push(format!("  type      {}", text(&answer["type"])));
    }
    for (name, member) in
        [("owner", "owners"), ("acts for", "acts_for"), ("acted for", "acted_for_by"), ("answers for", "owns")]
    {
        for other in list(&answer[member]) {
            let from = list(&other["learned_from"]).first().map(learned).unwrap_or_default();
            lines.push(format!("  {name:<9} {}  {from}", text(&other["principal"])));
        }
    }
    for id in list(&answer["ids"]) {
        lines.push(format!("  id        {}", text(&id["id"])));
        for told in list(&id["learned_from"]) {
            lines.push(format!("              with {}  {}", text(&told["with"]), learned(told)));
        }
    }
    for conflict in list(&answer["conflicts"]) {
        lines.extend(refused(conflict).into_iter().map(|line| format!("  {line}")));
    }
    match &answer["state"] {
        Value::Array(held) => lines.extend(held.iter().map(|held| {
            let until = if held["valid_to"].is_string() { text(&held["valid_to"]) } else { "now".to_owned() };
            let columns = for_log(&held["columns"].to_string()).to_string();
            format!("  {:<9} {} to {until}  {columns}", text(&held["table"]), text(&held["valid_from"]))
        })),
        _ => lines.push("  its accounts, grants, tokens and sessions are not kept".to_owned()),
    }
    lines
}

fn learned(told: &Value) -> String {
    let source = text(&told["source"]);
    if !told["since"].is_string() {
        return format!("by {source}");
    }
    format!(
        "by {source} since {}, last seen {} ({})",
        text(&told["since"]),
        text(&told["last_seen"]),
        text(&told["event_id"])
    )
}

fn conflicts(answer: &Value) -> Vec<String> {
    let shown = list(&answer["conflicts"]);
    let mut lines: Vec<String> = Vec::new();
    for conflict in shown {
        lines.push(format!("tenant {}", text(&conflict["tenant"])));
        lines.extend(refused(conflict).into_iter().map(|line| format!("  {line}")));
    }
    lines.push(format!("{} links refused, {} shown", answer["count"], shown.len()));
    lines
}

fn refused(conflict: &Value) -> Vec<String> {
    let [own, other] = [0, 1].map(|at| text(&conflict["ids"][at]));
    let mut lines = vec![format!("not linked: {own} and {other} (called {})", text(&conflict["other_principal"]))];
    lines.push(format!("  {}", text(&conflict["reason"])));
    lines.extend(list(&conflict["stated_by"]).iter().map(|told| format!("  stated {}", learned(told))));
    lines
}
