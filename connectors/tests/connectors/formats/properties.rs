//! What holds for every record, not only for those that somebody thought of.

use std::borrow::Cow;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use watershed_connectors::formats::avro::{Avro, SchemaFault, SchemaSource};
use watershed_connectors::formats::watershed::to_json;
use watershed_connectors::formats::{AUTO, Limits, Registry};
use watershed_schemas::tables::runtime;
use watershed_schemas::{Cell, ColumnType, Plane, Row, Timestamp, vocabulary};

use super::{BROKER_TIME, batch, decode, reference, rejects, rows};

pub(super) fn any_plane() -> impl Strategy<Value = Plane> {
    prop_oneof![Just(Plane::Model), Just(Plane::Access)]
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        // Halves of halves: every parser reads the same number.
        (-1_000_000..1_000_000_i64).prop_map(|number| json!(number as f64 / 64.0)),
        (0..100_i64).prop_map(|number| json!(number as f64)),
        ".{0,12}".prop_map(Value::String),
        "[a-z ]{0,12}".prop_map(Value::String),
        prop::sample::select(vec![
            "",
            "true",
            "False",
            "12",
            "-0.5",
            "1e3",
            "NaN",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":1} x"#,
            "[1]",
            "success",
            "allow",
            "prompt",
            "authentication",
            "human",
            "high",
            "2026-01-01T00:00:00Z",
            "2026-01-01 00:00:00.123",
            "1767225600",
            "a b  c",
        ])
        .prop_map(|text| json!(text)),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    any_scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[a-c\"é]{0,3}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Objects whose members are mostly columns, with values of any type, and mostly with a time.
pub(super) fn any_object(plane: Plane) -> impl Strategy<Value = Map<String, Value>> {
    let columns: Vec<&'static str> = plane.columns().iter().map(|column| column.name).collect();
    let name = prop_oneof![
        4 => prop::sample::select(columns).prop_map(str::to_owned),
        1 => "[a-c]{1,2}",
        1 => "\\PC{0,4}",
    ];
    let members = prop::collection::vec((name, any_value()), 0..20);
    let time = prop_oneof![9 => Just(Some(json!("2026-01-01T12:00:00.5Z"))), 1 => Just(None)];
    (members, time).prop_map(|(members, time)| {
        let mut object: Map<_, _> = members.into_iter().collect();
        if let Some(time) = time {
            object.insert("event_time".to_owned(), time);
        }
        object
    })
}

fn any_cell(plane: Plane, column: usize) -> BoxedStrategy<Cell<'static>> {
    let text = "\\PC{1,12}".prop_map(|text| Cell::Text(Cow::Owned(text)));
    let time = (Timestamp::EARLIEST_EVENT.micros()..Timestamp::LATEST_EVENT.micros())
        .prop_map(|micros| Cell::Time(Timestamp::from_micros(micros)));
    let definition = plane.columns()[column];
    let value = match definition.ty {
        _ if definition.name == "attributes" => prop::collection::vec(("\\PC{0,4}", any_value()), 0..4)
            .prop_map(|members| Cell::Text(Cow::Owned(Value::Object(members.into_iter().collect()).to_string())))
            .boxed(),
        ColumnType::Text => match vocabulary::closed_set(plane, definition.name) {
            Some(words) => {
                prop::sample::select(words.to_vec()).prop_map(|word| Cell::Text(Cow::Borrowed(word))).boxed()
            }
            None => text.boxed(),
        },
        ColumnType::TextList => {
            prop::collection::vec("\\PC{0,6}".prop_map(Cow::Owned), 0..4).prop_map(Cell::List).boxed()
        }
        ColumnType::Timestamp => time.boxed(),
        ColumnType::Int => any::<i64>().prop_map(Cell::Int).boxed(),
        ColumnType::Float => prop::num::f64::NORMAL.prop_map(Cell::Float).boxed(),
        ColumnType::Bool => any::<bool>().prop_map(Cell::Bool).boxed(),
    };
    if definition.required { value } else { prop_oneof![Just(Cell::Null), value].boxed() }
}

fn any_row() -> impl Strategy<Value = Row<'static>> {
    any_plane().prop_flat_map(|plane| {
        let cells: Vec<_> = (0..plane.columns().len()).map(|column| any_cell(plane, column)).collect();
        cells.prop_map(move |cells| {
            let mut row = Row::new(plane);
            for (column, cell) in cells.into_iter().enumerate() {
                row.set(column, cell);
            }
            row
        })
    })
}

proptest! {
    #[test]
    fn canonical_json_reads_back_as_the_same_row(mut row in any_row()) {
        row.set(runtime::INGEST_TIME, Cell::Time(BROKER_TIME));
        let mut expected = watershed_schemas::EventBatchBuilder::new(row.plane());
        expected.append(&row, None);
        let expected = expected.finish();
        prop_assert_eq!(&expected.rejects, &vec![]);
        let found = decode(row.plane(), "watershed", [to_json(&row).into_bytes()]);
        prop_assert_eq!(rejects(&found), Vec::<Value>::new());
        prop_assert_eq!(&found.rows, &expected.rows);
    }

    #[test]
    fn streaming_and_the_reference_agree((plane, object) in any_plane().prop_flat_map(|plane| (Just(plane), any_object(plane)))) {
        for text in [serde_json::to_string(&object).expect("serialises"), format!(" {:#}\n", Value::Object(object.clone()))] {
            let found = decode(plane, "watershed", [text.clone().into_bytes()]);
            match reference::decode(plane, text.trim(), "acme", BROKER_TIME) {
                Ok(expected) => {
                    prop_assert_eq!(rejects(&found), Vec::<Value>::new(), "{}", text);
                    prop_assert_eq!(without_spelling(&rows(&found)), without_spelling(&[expected]), "{}", text);
                }
                Err(reason) => {
                    prop_assert_eq!((found.rows.num_rows(), found.rejects.len()), (0, 1), "{}: {}", reason, text);
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_give_rows_or_one_reject(plane in any_plane(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        one_outcome(plane, bytes)?;
    }

    #[test]
    fn damaged_json_gives_rows_or_one_reject(
        (plane, object) in any_plane().prop_flat_map(|plane| (Just(plane), any_object(plane))),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = serde_json::to_vec(&object).expect("serialises");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        one_outcome(plane, bytes)?;
    }

    #[test]
    fn any_datum_gives_a_row_or_one_reject(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let registry = Registry::builtin(Limits::default()).with(Arc::new(Avro::with_schemas(Arc::new(OneSchema))));
        let framed = [&[0, 0, 0, 0, 1], bytes.as_slice()].concat();
        let found = registry.decode(&batch(Plane::Model, "avro", [framed]));
        prop_assert_eq!(found.rows.num_rows() + found.rejects.len(), 1);
    }

    #[test]
    fn damaged_avro_frames_and_containers_give_rows_or_rejects(mut bytes in prop::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let head: &[u8] = if magic { b"Obj\x01" } else { &[0, 0, 0, 0, 1] };
        bytes.splice(0..0, head.iter().copied());
        one_outcome(Plane::Model, bytes)?;
    }

    #[test]
    fn one_poison_record_harms_no_neighbour(count in 1_usize..20, at in any::<prop::sample::Index>(), poison in prop::collection::vec(any::<u8>(), 0..40), auto in any::<bool>()) {
        let good = |index: usize| format!(r#"{{"event_id":"e{index}","event_time":"2026-01-01T00:00:00Z","kind":"prompt"}}"#).into_bytes();
        let at = at.index(count);
        // An opening bracket without an end: no row can come of it, whatever follows.
        let poison = [b"{\"\xff".to_vec(), poison].concat();
        let payloads = (0..count).map(|index| if index == at { poison.clone() } else { good(index) });
        let found = decode(Plane::Model, if auto { AUTO } else { "watershed" }, payloads);
        prop_assert_eq!(found.rows.num_rows(), count - 1);
        prop_assert_eq!(found.rejects.iter().map(|reject| reject.record).collect::<Vec<_>>(), vec![at]);
        let records: Vec<u32> = (0..u32::try_from(count).expect("small")).filter(|index| *index as usize != at).collect();
        prop_assert_eq!(found.record_of_row, records);
    }
}

/// Every id stands for a record of a little of everything.
struct OneSchema;

impl SchemaSource for OneSchema {
    fn schema(&self, _: u32) -> Result<String, SchemaFault> {
        Ok(r#"{"type":"record","name":"E","fields":[
            {"name":"event_time","type":["null","long",{"type":"long","logicalType":"timestamp-micros"}]},
            {"name":"content","type":{"type":"array","items":["null","string","bytes"]}},
            {"name":"unknown","type":{"type":"map","values":{"type":"fixed","name":"F","size":3}}},
            {"name":"score","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
            {"name":"nothing","type":{"type":"array","items":"null"}}]}"#
            .to_owned())
    }
}

/// A record gives rows, or exactly one reject; an array may give both, element by element. Nothing gives nothing.
fn one_outcome(plane: Plane, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let registry = Registry::builtin(Limits::default());
    for format in registry.names(plane) {
        let found = registry.decode(&batch(plane, format, [bytes.clone()]));
        let (rows, rejects) = (found.rows.num_rows(), found.rejects.len());
        prop_assert!(rows + rejects >= 1, "{} lost the record", format);
        if !bytes.trim_ascii().starts_with(b"[") && !bytes.starts_with(b"Obj\x01") {
            prop_assert!(rows == 0 || rejects == 0, "{}: {} rows and {} rejects", format, rows, rejects);
        }
    }
    Ok(())
}

/// JSON text inside of text columns may be spelled with or without blanks, and attributes in any order.
fn without_spelling(rows: &[Map<String, Value>]) -> Vec<Map<String, Value>> {
    let normal = |(name, value): (&String, &Value)| {
        let value = match (name.as_str(), value) {
            ("content" | "arguments", Value::String(text)) if text.starts_with(['{', '[']) => {
                serde_json::from_str(text).unwrap_or_else(|_| value.clone())
            }
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    rows.iter().map(|row| row.iter().map(normal).collect()).collect()
}
