//! OTLP: both encodings say the same, and what is broken stays alone.

use std::path::Path;

use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use serde_json::{Map, Value};
use watershed_connectors::formats::AUTO;
use watershed_schemas::Plane;

use super::{decode, rejects, rows};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/otlp/model").join(name))
        .expect("a fixture")
}

fn model(payload: Vec<u8>) -> Vec<Map<String, Value>> {
    let batch = decode(Plane::Model, AUTO, [payload]);
    assert_eq!(rejects(&batch), Vec::<Value>::new());
    rows(&batch)
}

fn traces(name: &str) -> TracesData {
    serde_json::from_slice(&fixture(name)).expect("the official types read the fixture")
}

#[test]
fn protobuf_and_json_give_the_same_rows() {
    for name in ["genai.in.json", "openinference.in.json"] {
        assert_eq!(model(traces(name).encode_to_vec()), model(fixture(name)), "{name}");
    }
    let logs: LogsData = serde_json::from_slice(&fixture("logs.in.json")).expect("the official types read the fixture");
    let (from_protobuf, from_json) = (model(logs.encode_to_vec()), model(fixture("logs.in.json")));
    assert_eq!(from_protobuf.len(), from_json.len());
    for (mut found, mut expected) in from_protobuf.into_iter().zip(from_json) {
        // JSON keeps an id that is absent apart from one that is empty; a hash of both is the same, so nothing else may differ.
        assert_eq!(found.remove("event_id"), expected.remove("event_id"));
        assert_eq!(found, expected);
    }
}

#[test]
fn a_broken_span_harms_no_neighbour() {
    let data = traces("genai.in.json");
    let whole = model(data.encode_to_vec());
    let name = b"execute_tool read_mail";
    let mut bytes = data.encode_to_vec();
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the span is there");
    // A text that is no UTF-8, which exporters do send.
    bytes[at] = 0xff;
    let batch = decode(Plane::Model, "otlp", [bytes]);
    assert_eq!(batch.rejects.len(), 1);
    assert_eq!(batch.rejects[0].part, Some(4), "spans are counted from 0");
    assert_eq!(batch.rejects[0].reason, "the span is not valid protobuf");
    assert_eq!(batch.rows.num_rows(), whole.len() - 1);
}

#[test]
fn an_exported_twice_span_is_one_event() {
    let ids = |rows: &[Map<String, Value>]| rows.iter().map(|row| row["event_id"].to_string()).collect::<Vec<_>>();
    let rows = model(fixture("genai.in.json"));
    let mut unique = ids(&rows);
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), rows.len(), "no two rows share an id");
    assert_eq!(ids(&rows), ids(&model(fixture("genai.in.json"))));
}

#[test]
fn identity_streams_refuse_otlp() {
    let batch = decode(Plane::Access, "otlp", [fixture("genai.in.json")]);
    assert_eq!((batch.rows.num_rows(), batch.rejects.len()), (0, 1));
    assert!(batch.rejects[0].reason.contains("identity"), "{}", batch.rejects[0].reason);
}
