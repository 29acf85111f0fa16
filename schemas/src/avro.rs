//! The Avro schemas of the canonical tables.

use serde_json::{Value, json};

use crate::column::ColumnType;
use crate::plane::Plane;

/// The Avro schema of the plane's table, as published in `schemas/avro/<table>.avsc`. Every field that a row may lack
/// is a union with null and defaults to it, so that a producer writes only what it knows.
pub fn schema(plane: Plane) -> Value {
    let fields: Vec<Value> = plane
        .columns()
        .iter()
        .map(|column| {
            let ty = avro_type(column.ty);
            let doc = column.doc;
            match column.required {
                true => json!({"name": column.name, "type": ty, "doc": doc}),
                false => json!({"name": column.name, "type": ["null", ty], "default": null, "doc": doc}),
            }
        })
        .collect();
    json!({
        "type": "record",
        "name": plane.table(),
        "namespace": "watershed",
        "doc": format!("One event of the {plane} plane."),
        "fields": fields,
    })
}

fn avro_type(ty: ColumnType) -> Value {
    match ty {
        ColumnType::Text => json!("string"),
        ColumnType::TextList => json!({"type": "array", "items": "string"}),
        ColumnType::Timestamp => json!({"type": "long", "logicalType": "timestamp-micros"}),
        ColumnType::Int => json!("long"),
        ColumnType::Float => json!("double"),
        ColumnType::Bool => json!("boolean"),
    }
}
