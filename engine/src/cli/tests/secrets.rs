//! A secret in whatever column is shown by no verb that answers about what was heard.

use serde_json::{Value, json};
use watershed_schemas::vocabulary::closed_set;
use watershed_schemas::{ColumnType, Plane};

use super::say;

const SECRETS: [&str; 3] = ["ghp_0123456789abcdefghijABCDEFGHIJ012345", "hunter2", "AbCdEf0123456789ZyXw"];

/// What hides them.
fn text() -> String {
    format!("https://x.example/?api_key={}&to=me {} password={}", SECRETS[2], SECRETS[0], SECRETS[1])
}

/// Events of a plane, each with the text in one column.
fn planted(plane: Plane, kinds: &[&str]) -> Vec<Value> {
    let texts = plane.columns().iter().filter(|column| matches!(column.ty, ColumnType::Text | ColumnType::TextList));
    let free = texts.filter(|column| !matches!(column.name, "event_id" | "tenant"));
    let free = free.filter(|column| closed_set(plane, column.name).is_none());
    let mut events = Vec::new();
    for (column, kind) in free.flat_map(|column| kinds.iter().map(move |kind| (column, kind))) {
        let number = events.len();
        let mut event = json!({
            "event_id": format!("{}-{number}", plane.name()), "tenant": "acme", "source": "test", "kind": kind,
            "event_time": format!("2026-03-01T10:{:02}:{:02}Z", number / 60, number % 60),
            "principal": "ada", "agent_id": "bot", "credential_id": "key-1",
        });
        event[column.name] = if column.ty == ColumnType::TextList { json!([text()]) } else { json!(text()) };
        events.push(event);
    }
    events
}

#[test]
fn no_answer_shows_a_secret_of_any_column() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, events: Vec<Value>| {
        let path = place.path().join(name);
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(&path, lines).expect("it can be written");
        format!("watershed:{}", path.display())
    };
    let runtime = write("runtime.jsonl", planted(Plane::Model, &["tool_call", "prompt", "guardrail", "retrieval"]));
    let kinds =
        ["access_allowed", "token_issued", "session_started", "role_granted", "consent_granted", "account_deleted"];
    let identity = write("identity.jsonl", planted(Plane::Access, &kinds));
    let named = text();
    let mut masked = 0;
    for verb in [
        &["blast-radius", "ada", "--tenant", "acme"][..],
        &["blast-radius", "ada", "--tenant", "acme", "--format", "json"],
        &["blast-radius", &named, "--tenant", "acme", "--format", "json"],
        &["identity", "show", "ada", "--tenant", "acme"],
        &["identity", "show", "ada", "--tenant", "acme", "--json"],
        &["identity", "show", &named, "--tenant", "acme", "--json"],
        &["identity", "conflicts", "--json"],
        &["inventory", "--format", "json"],
        &["inventory", "--format", "csv"],
        &["inventory"],
        &["lifecycle", "--format", "json"],
        &["lifecycle", "--format", "html"],
        &["incident", "list", "--json"],
    ] {
        let args = [verb, &["--runtime", &runtime, "--identity", &identity]].concat();
        let (result, written) = say(&args);
        result.unwrap_or_else(|error| panic!("{verb:?}: {error}"));
        for secret in SECRETS {
            assert!(!written.contains(secret), "{verb:?} shows {secret}: {written}");
        }
        masked += written.matches("[masked:").count();
    }
    assert!(masked > 50, "{masked}");
}
