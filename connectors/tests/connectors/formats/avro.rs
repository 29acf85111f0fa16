//! Avro against schemas that a registry serves over HTTP: a small one of the tests' own, which answers the published
//! path `GET /schemas/ids/{id}`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apache_avro::types::{Record, Value as AvroValue};
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, Writer};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};
use watershed_connectors::formats::avro::{Avro, SchemaRegistry, SchemaRegistrySettings, decode_container};
use watershed_connectors::formats::{AUTO, Limits, Registry};
use watershed_schemas::{EventBatch, Plane};

use super::{BROKER_TIME, batch, decode, rejects, rows};

const OLD: &str = r#"{"type":"record","name":"Event","namespace":"example","fields":[
    {"name":"event_id","type":"string"},
    {"name":"event_time","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["tool_call","guardrail","teleport"]}},
    {"name":"tool","type":["null","string"]}]}"#;

const NEW: &str = r#"{"type":"record","name":"Event","namespace":"example","fields":[
    {"name":"event_time","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"event_id","type":"string"},
    {"name":"kind","type":"string"},
    {"name":"score","type":["null","double"],"default":null},
    {"name":"enforced","type":"boolean","default":false},
    {"name":"region","type":"string"},
    {"name":"labels","type":{"type":"map","values":"long"}}]}"#;

struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// Knows the ids 1 (old) and 2 (new); 3 is JSON Schema, 4 never answers.
async fn answer(State(asked): State<Arc<AtomicUsize>>, Path(id): Path<u32>) -> (StatusCode, String) {
    asked.fetch_add(1, Ordering::SeqCst);
    match id {
        1 => (StatusCode::OK, json!({"schema": OLD}).to_string()),
        2 => (StatusCode::OK, json!({"schema": NEW, "schemaType": "AVRO", "references": []}).to_string()),
        3 => (StatusCode::OK, json!({"schema": "{}", "schemaType": "JSON"}).to_string()),
        4 => std::future::pending().await,
        _ => (StatusCode::NOT_FOUND, json!({"error_code": 40403, "message": "Schema not found"}).to_string()),
    }
}

async fn serve() -> Server {
    let asked = Arc::new(AtomicUsize::new(0));
    let app = axum::Router::new().route("/schemas/ids/{id}", get(answer)).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server { address, asked }
}

impl Server {
    fn registry(&self) -> Registry {
        // Another test may have been first; either way there is a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = SchemaRegistrySettings {
            url: format!("http://{}", self.address),
            username: None,
            password: None,
            timeout: Duration::from_millis(300),
        };
        let client = SchemaRegistry::start(&settings).expect("valid settings");
        Registry::builtin(Limits::default()).with(Arc::new(Avro::with_schemas(Arc::new(client))))
    }

    async fn decode(&self, registry: &Registry, format: &str, payloads: Vec<Vec<u8>>) -> EventBatch {
        let (registry, batch) = (registry.clone(), batch(Plane::Model, format, payloads));
        tokio::task::spawn_blocking(move || registry.decode(&batch)).await.expect("decoding does not panic")
    }
}

fn framed(id: u32, schema: &str, fields: &[(&str, AvroValue)]) -> Vec<u8> {
    let schema = Schema::parse_str(schema).expect("valid");
    let mut record = Record::new(&schema).expect("a record");
    for (name, value) in fields {
        record.put(name, value.clone());
    }
    let datum = GenericDatumWriter::builder(&schema).build().expect("valid").write_value_to_vec(record).expect("fits");
    [&[0], id.to_be_bytes().as_slice(), &datum].concat()
}

fn old(id: &str, tool: Option<&str>) -> Vec<u8> {
    framed(
        1,
        OLD,
        &[
            ("event_id", id.into()),
            ("event_time", AvroValue::TimestampMillis(1_767_225_600_123)),
            ("kind", AvroValue::Enum(0, "tool_call".into())),
            (
                "tool",
                match tool {
                    Some(tool) => AvroValue::Union(1, Box::new(tool.into())),
                    None => AvroValue::Union(0, Box::new(AvroValue::Null)),
                },
            ),
        ],
    )
}

fn new(id: &str) -> Vec<u8> {
    let labels = [("b".to_owned(), AvroValue::Long(2)), ("a".to_owned(), AvroValue::Long(1))];
    framed(
        2,
        NEW,
        &[
            ("event_time", AvroValue::TimestampMicros(1_767_225_600_123_456)),
            ("event_id", id.into()),
            ("kind", "teleport".into()),
            ("score", AvroValue::Union(1, Box::new(AvroValue::Double(0.5)))),
            ("enforced", AvroValue::Boolean(true)),
            ("region", "eu".into()),
            ("labels", AvroValue::Map(labels.into_iter().collect())),
        ],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn framed_records_of_interleaved_schemas() {
    let server = serve().await;
    let registry = server.registry();
    let payloads = vec![old("a", Some("search")), new("b"), old("c", None), new("d")];
    let batch = server.decode(&registry, AUTO, payloads).await;
    assert_eq!(rejects(&batch), Vec::<Value>::new());
    let rows = rows(&batch);
    assert_eq!(
        Value::from(rows[0].clone()),
        json!({
            "event_id": "a", "event_time": "2026-01-01T00:00:00.123Z", "ingest_time": BROKER_TIME, "tenant": "acme",
            "source": "avro", "kind": "tool_call", "tool": "search",
        })
    );
    assert_eq!(
        Value::from(rows[1].clone()),
        json!({
            "event_id": "b", "event_time": "2026-01-01T00:00:00.123456Z", "ingest_time": BROKER_TIME, "tenant": "acme",
            "source": "avro", "kind": "other", "score": 0.5, "enforced": true,
            "attributes": {"region": "eu", "labels": {"a": 1, "b": 2}, "kind": "teleport"},
        })
    );
    assert_eq!(rows.len(), 4);
    assert_eq!(server.asked.load(Ordering::SeqCst), 2, "each schema is asked for once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_harms_no_neighbour() {
    let server = serve().await;
    let registry = server.registry();
    let mut longer = old("x", None);
    longer.push(0);
    let mut shorter = new("y");
    shorter.truncate(9);
    let unknown = |id: u32| [&[0], id.to_be_bytes().as_slice(), b"abc"].concat();
    let payloads = vec![
        longer,
        unknown(99),
        old("a", None),
        shorter,
        unknown(3),
        unknown(99),
        unknown(4),
        b"\0\0\0".to_vec(),
        new("b"),
        Vec::new(),
    ];
    let batch = server.decode(&registry, "avro", payloads).await;
    let ids: Vec<_> = rows(&batch).iter().map(|row| row["event_id"].clone()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(batch.record_of_row, [2, 8]);
    let reasons: Vec<_> = batch.rejects.iter().map(|reject| (reject.record, reject.reason.as_str())).collect();
    for ((record, reason), (expected, part)) in reasons.iter().zip([
        (0, "has 1 bytes after the end"),
        (1, "names the Avro schema 99, which is not in the schema registry"),
        (3, "is not what the Avro schema 2 says"),
        (4, "of type JSON"),
        (5, "names the Avro schema 99"),
        (6, "names the Avro schema 4, which can't be fetched"),
        (7, "is neither an Avro container file nor in Confluent framing"),
        (9, "is empty"),
    ]) {
        assert!(*record == expected && reason.contains(part), "{record}: {reason}, expected {expected}: {part}");
    }
    assert_eq!(reasons.len(), 8);
    assert_eq!(server.asked.load(Ordering::SeqCst), 5, "an unknown id is asked for once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_is_a_reason() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let server = Server { address: listener.local_addr().expect("bound"), asked: Arc::default() };
    drop(listener);
    let registry = server.registry();
    let batch = server.decode(&registry, "avro", vec![old("a", None)]).await;
    assert!(batch.rejects[0].reason.contains("can't be fetched"), "{}", batch.rejects[0].reason);
}

#[test]
fn without_a_registry_framed_records_say_so() {
    let batch = decode(Plane::Model, "avro", [old("a", None)]);
    assert_eq!(batch.rejects[0].reason, "names the Avro schema 1, but no schema registry is configured");
}

fn container(count: usize) -> Vec<u8> {
    let schema = Schema::parse_str(OLD).expect("valid");
    let mut writer = Writer::new(&schema, Vec::new()).expect("a writer");
    for index in 0..count {
        let mut record = Record::new(&schema).expect("a record");
        // Every second one names no id.
        record.put("event_id", if index % 2 == 0 { format!("e{index}") } else { String::new() });
        record.put("event_time", AvroValue::TimestampMillis(1_767_225_600_000 + i64::try_from(index).expect("small")));
        record.put("kind", AvroValue::Enum(1, "guardrail".into()));
        record.put("tool", AvroValue::Union(0, Box::new(AvroValue::Null)));
        writer.append_value(record).expect("fits");
    }
    writer.into_inner().expect("flushes")
}

#[test]
fn containers_give_all_their_rows() {
    let bytes = container(5);
    let batch = decode(Plane::Model, AUTO, [bytes.clone()]);
    assert_eq!(rejects(&batch), Vec::<Value>::new());
    assert_eq!(batch.record_of_row, [0; 5]);
    let mut ids: Vec<_> = rows(&batch).iter().map(|row| row["event_id"].to_string()).collect();
    assert_eq!(ids[0], "\"e0\"");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "rows without an id get different ones");
    let replayed = decode_container(bytes.into(), Plane::Model, "acme", BROKER_TIME, &Limits::default());
    assert_eq!(rows(&replayed), rows(&batch));
}

#[test]
fn a_broken_container_keeps_what_came_before() {
    let mut bytes = container(3);
    let length = bytes.len();
    bytes[length - 1] ^= 0xff;
    let batch = decode(Plane::Model, "avro", [bytes]);
    assert_eq!(batch.rejects.len(), 1, "the file's end does not match its marker");
    let batch = decode(Plane::Model, AUTO, [b"Obj\x01".to_vec()]);
    assert!(batch.rejects[0].reason.contains("valid header"), "{}", batch.rejects[0].reason);
}

#[test]
fn a_container_may_not_give_more_rows_than_the_limit() {
    let limits = Limits { rows_per_record: 2, ..Limits::default() };
    let batch = decode_container(container(5).into(), Plane::Model, "acme", BROKER_TIME, &limits);
    assert_eq!(batch.rows.num_rows(), 2);
    assert!(batch.rejects[0].reason.contains("`rows_per_record`"));
}
