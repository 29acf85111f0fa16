//! A row as canonical JSON.

use serde::de::IgnoredAny;
use watershed_schemas::{Cell, Row};

use crate::formats::canonical::{attributes_column, quote};

/// The row as one line of canonical JSON, which the format `watershed` reads back as the same row. Columns without a
/// value are left out; `attributes` is written as an object where it holds one.
pub fn to_json(row: &Row<'_>) -> String {
    let attributes = attributes_column(row.plane());
    let mut text = String::with_capacity(512);
    text.push('{');
    for (position, cell) in row.cells() {
        let value = match cell {
            Cell::Null => continue,
            Cell::Text(json) if position == attributes && is_object(json) => json.clone().into_owned(),
            Cell::Text(text) => quote(text).into_owned(),
            Cell::List(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| quote(text)).collect();
                format!("[{}]", texts.join(","))
            }
            Cell::Time(time) => format!("\"{time}\""),
            Cell::Int(number) => number.to_string(),
            // A float that JSON can't write has no value.
            Cell::Float(number) => serde_json::to_string(number).unwrap_or_else(|_| "null".to_owned()),
            Cell::Bool(value) => value.to_string(),
        };
        if text.len() > 1 {
            text.push(',');
        }
        text.push('"');
        text.push_str(row.plane().columns()[position].name);
        text.push_str("\":");
        text.push_str(&value);
    }
    text.push('}');
    text
}

fn is_object(json: &str) -> bool {
    json.starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok()
}
