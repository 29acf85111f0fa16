//! Fixtures with some of their bytes or values exchanged: rows or rejects, never a panic, never nothing.

use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::TracesData;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};
use watershed_schemas::Plane;

use super::decode;

const FIXTURES: [(&str, Plane); 6] = [
    ("otlp/model/genai.in.json", Plane::Model),
    ("otlp/model/openinference.in.json", Plane::Model),
    ("otlp/model/logs.in.json", Plane::Model),
    ("okta/access/hook.in.json", Plane::Access),
    ("okta/access/eventbridge.in.json", Plane::Access),
    ("cloudtrail/access/records.in.json", Plane::Access),
];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).expect("a fixture")
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,20}".prop_map(Into::into),
        prop::sample::select(vec![
            "",
            "unknown",
            "null",
            "{",
            "[]",
            "{a=b, c}",
            "{\"a\":{}}",
            "ffffffffffffffffffffffffffffffff"
        ])
        .prop_map(|text| json!(text)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"type": "User"}, null, 1, [[]]])),
        Just(json!({"type": "access_token", "values": [{}], "stringValue": 5})),
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

fn something_comes_out(plane: Plane, format: &str, payload: Vec<u8>) -> Result<(), TestCaseError> {
    let batch = decode(plane, format, [payload]);
    prop_assert!(batch.rows.num_rows() + batch.rejects.len() > 0, "{} lost the record", format);
    Ok(())
}

proptest! {
    #[test]
    fn exchanged_values(which in 0..FIXTURES.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any_value()), 1..6)) {
        let (name, plane) = FIXTURES[which];
        let mut value: Value = serde_json::from_slice(&fixture(name)).expect("JSON");
        for (at, with) in changes {
            let mut at = at.index(size(&value));
            exchange(&mut value, &mut at, &with);
        }
        let format = name.split('/').next().expect("a folder");
        something_comes_out(plane, format, value.to_string().into_bytes())?;
    }

    #[test]
    fn exchanged_bytes(which in 0..FIXTURES.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), cuts in any::<bool>()) {
        let (name, plane) = FIXTURES[which];
        let mut bytes = fixture(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()).max(1));
        }
        something_comes_out(plane, name.split('/').next().expect("a folder"), bytes)?;
    }

    #[test]
    fn exchanged_protobuf_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), cuts in any::<bool>()) {
        let data: TracesData = serde_json::from_slice(&fixture("otlp/model/genai.in.json")).expect("JSON");
        let mut bytes = data.encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()).max(1));
        }
        something_comes_out(Plane::Model, "otlp", bytes)?;
    }
}
