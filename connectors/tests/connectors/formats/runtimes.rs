//! What agent runtimes, gateways and trace stores write: no format claims another's records, nothing that is mutated
//! is lost, and columns that are left out first are had later.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use watershed_connectors::formats::{AUTO, Limits, Recognition, Registry};
use watershed_connectors::{RawBatch, RawRecord};
use watershed_schemas::{ColumnSet, Plane};

use super::{batch, decode, rejects, rows};

const FORMATS: [&str; 8] =
    ["agentcore", "azure-openai", "bedrock", "langfuse", "langsmith", "mcp", "openai-agents", "otlp"];

/// Every record of every fixture of these formats, with the format and whether it is an odd one.
static RECORDS: LazyLock<Vec<(&'static str, bool, Vec<u8>)>> = LazyLock::new(|| {
    let mut records = Vec::new();
    for format in FORMATS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format).join("model");
        let files = fs::read_dir(folder).expect("fixtures").map(|entry| entry.expect("readable").path());
        let mut files: Vec<_> = files.filter(|file| file.to_string_lossy().contains(".in.json")).collect();
        files.sort();
        for file in files {
            let (name, bytes) = (file.to_string_lossy().into_owned(), fs::read(&file).expect("readable"));
            let odd = name.contains("hostile") || name.contains("named-") || name.contains("odd.in");
            let lines = bytes.split(|byte| *byte == b'\n' && name.ends_with("jsonl"));
            let lines = lines.filter(|line| !line.is_empty());
            records.extend(lines.map(|line| (format, odd, line.to_vec())));
        }
    }
    assert!(records.len() > 150, "only {} records were found", records.len());
    records
});

#[test]
fn no_format_claims_the_records_of_another() {
    let registry = Registry::builtin(Limits::default());
    for (format, _, payload) in RECORDS.iter().filter(|(_, odd, _)| !odd) {
        let certain = registry.iter().filter(|other| other.recognise(payload) == Recognition::Certain);
        let certain: Vec<&str> = certain.map(|format| format.name()).collect();
        // Neighbours are asked by the format of the last one first: two that were certain would make order matter.
        assert_eq!(certain, [*format], "{}", String::from_utf8_lossy(payload));
    }
}

#[test]
fn messages_without_any_time_are_refused_with_the_reason() {
    for (format, payload) in [
        ("mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#),
        ("openai-agents", r#"{"object":"trace","id":"trace_1","workflow_name":"x"}"#),
    ] {
        let record = RawRecord {
            offset: 0,
            timestamp: None,
            key: None,
            headers: Vec::new(),
            payload: Bytes::from_static(payload.as_bytes()),
        };
        let batch = RawBatch { records: vec![record], ..batch(Plane::Model, format, []) };
        let decoded = Registry::builtin(Limits::default()).decode(&batch);
        assert_eq!((decoded.rows.num_rows(), decoded.rejects.len()), (0, 1), "{format}");
        assert!(decoded.rejects[0].reason.contains("the broker gave it none"), "{}", decoded.rejects[0].reason);
    }
}

#[test]
fn the_same_message_twice_is_two_events() {
    let ping = || br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec();
    let rows = rows(&decode(Plane::Model, "mcp", [ping(), ping()]));
    assert_ne!(rows[0]["event_id"], rows[1]["event_id"]);
}

/// A conversation of this many messages, as one structured attribute.
fn long_log(messages: usize) -> Vec<u8> {
    let message = json!({"kvlistValue": {"values": [
        {"key": "role", "value": {"stringValue": "user"}}, {"key": "content", "value": {"stringValue": "x"}}]}});
    let attributes =
        json!([{"key": "gen_ai.input.messages", "value": {"arrayValue": {"values": vec![message; messages]}}}]);
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1772445600000000000",
        "eventName": "gen_ai.client.inference.operation.details", "attributes": attributes}]}]}]})
    .to_string()
    .into_bytes()
}

#[test]
fn a_long_structured_history_is_one_attribute() {
    let batch = decode(Plane::Model, AUTO, [long_log(5_000)]);
    assert_eq!(rejects(&batch), Vec::<Value>::new());
    let rows = rows(&batch);
    let history = rows[0]["attributes"]["gen_ai.input.messages"].as_str().expect("a text");
    assert_eq!(serde_json::from_str::<Vec<Value>>(history).expect("JSON").len(), 5_000);
    assert_eq!(rows[0]["content"].as_str().map(|text| text.lines().count()), Some(5_000));
    // One that is short enough stays what it is.
    let short = super::rows(&decode(Plane::Model, AUTO, [long_log(3)]));
    assert!(short[0]["attributes"]["gen_ai.input.messages"].is_array());
}

fn any_value() -> impl Strategy<Value = Value> {
    let words = ["", "null", "{", "[]", "\"x\"", "{\"a\":{}}", "data: {}", "tools/call", "Bearer e30.e30.x", "-"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,20}".prop_map(Into::into),
        prop::sample::select(words.to_vec()).prop_map(|text| json!(text)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"type": "text", "text": "a"}, null, 1, [[]]])),
        Just(json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})),
    ]
}

/// Exchanges the value that is the `at`-th of the tree, counted depth first.
fn exchange(value: &mut Value, at: &mut usize, with: &Value) -> bool {
    if *at == 0 {
        *value = with.clone();
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(elements) => elements.iter_mut().any(|element| exchange(element, at, with)),
        Value::Object(members) => members.iter_mut().any(|(_, member)| exchange(member, at, with)),
        _ => false,
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(size).sum::<usize>(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}

/// A record with some of its values exchanged.
fn any_record() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any_value()), 0..6);
    (any::<prop::sample::Index>(), changes).prop_map(|(which, changes)| {
        let (format, _, payload) = which.get(&RECORDS);
        let Ok(mut value) = serde_json::from_slice::<Value>(payload) else { return (*format, payload.clone()) };
        for (at, with) in changes {
            let mut at = at.index(size(&value));
            exchange(&mut value, &mut at, &with);
        }
        (*format, value.to_string().into_bytes())
    })
}

proptest! {
    #[test]
    fn exchanged_values_give_rows_or_reasons((format, payload) in any_record()) {
        let batch = decode(Plane::Model, format, [payload]);
        prop_assert!(batch.rows.num_rows() + batch.rejects.len() > 0, "{} lost the record", format);
        prop_assert!(batch.rejects.iter().all(|reject| !reject.reason.is_empty()));
    }

    #[test]
    fn columns_left_out_are_had_later(
        (format, payload) in any_record(),
        columns in prop::collection::vec(0..36_usize, 0..10),
        attributes in prop_oneof![Just(3_usize), Just(20), Just(1_024)],
    ) {
        let registry = Registry::builtin(Limits { attributes, ..Limits::default() });
        let raw = Arc::new(batch(Plane::Model, format, [payload]));
        let columns: ColumnSet = columns.into_iter().filter(|column| *column < Plane::Model.columns().len()).collect();
        let whole = registry.decode(&raw);
        let first = registry.decode_columns(&raw, columns);
        prop_assert_eq!(&first.rejects, &whole.rejects);
        prop_assert_eq!(&first.record_of_row, &whole.record_of_row);
        for column in (0..Plane::Model.columns().len()).filter(|column| columns.contains(*column)) {
            prop_assert_eq!(first.rows.column(column), whole.rows.column(column), "{}", Plane::Model.columns()[column].name);
        }
        let all: Vec<u32> = (0_u32..).take(whole.rows.num_rows()).collect();
        prop_assert_eq!(first.whole(&all).expect("decodes"), whole.rows);
    }
}
