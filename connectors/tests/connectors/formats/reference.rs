//! What the format `watershed` means, written as plainly as possible over a tree: slow, and obviously right.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use watershed_connectors::formats::time;
use watershed_schemas::{ColumnType, Plane, Timestamp, vocabulary};

/// The row of one object, as JSON without the columns that have no value, or why there is none.
pub(crate) fn decode(
    plane: Plane,
    text: &str,
    tenant: &str,
    ingest_time: Timestamp,
) -> Result<Map<String, Value>, String> {
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|_| "not an object".to_owned())?;
    let mut row = Map::new();
    let mut given = None;
    let mut extra = Map::new();
    for (name, value) in object {
        let column = plane.columns().iter().find(|column| column.name == name);
        match column {
            None => _ = extra.insert(name, value),
            Some(_) if name == "attributes" => match object_of(&value) {
                Some(object) => given = Some(object),
                None if value.is_null() || value == json!("") => {}
                None => _ = extra.insert(name, value),
            },
            Some(column) => match convert(plane, &name, column.ty, &value) {
                Ok(Value::Null) => {}
                Ok(cell) => _ = row.insert(name, cell),
                Err(()) if column.required => return Err(format!("`{name}` does not fit")),
                Err(()) => _ = extra.insert(name, value),
            },
        }
    }
    for column in plane.columns() {
        let Some(words) = vocabulary::closed_set(plane, column.name) else { continue };
        let native =
            row.get(column.name).and_then(Value::as_str).filter(|word| !words.contains(word)).map(str::to_owned);
        if let Some(native) = native {
            extra.insert(column.name.to_owned(), json!(native));
            row.remove(column.name);
            if let Some(word) = vocabulary::fallback(plane, column.name) {
                row.insert(column.name.to_owned(), json!(word));
            }
        }
    }
    if !row.contains_key("event_time") {
        return Err("no time".to_owned());
    }
    row.entry("source").or_insert(json!("watershed"));
    row.entry("kind").or_insert(json!("other"));
    row.entry("tenant").or_insert(json!(tenant));
    row.entry("event_id").or_insert_with(|| json!(fingerprint(text)));
    row.insert("ingest_time".to_owned(), json!(ingest_time));
    if given.is_some() || !extra.is_empty() {
        let mut attributes = given.unwrap_or_default();
        for (mut name, value) in extra {
            while attributes.contains_key(&name) {
                name.push('_');
            }
            attributes.insert(name, value);
        }
        row.insert("attributes".to_owned(), Value::Object(attributes));
    }
    Ok(row)
}

fn object_of(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn convert(plane: Plane, name: &str, ty: ColumnType, value: &Value) -> Result<Value, ()> {
    if value.is_null() || value == &json!("") {
        return Ok(Value::Null);
    }
    let found = match ty {
        ColumnType::Text => match value {
            Value::Array(_) | Value::Object(_) => {
                (plane == Plane::Model && matches!(name, "content" | "arguments")).then(|| json!(value.to_string()))
            }
            Value::String(text) => Some(json!(text)),
            scalar => Some(json!(scalar.to_string())),
        },
        ColumnType::TextList => match value {
            Value::String(text) => Some(text.split_whitespace().map(|word| json!(word)).collect()),
            Value::Array(elements) => {
                let text = |element: &Value| match element {
                    Value::String(text) => Some(json!(text)),
                    Value::Bool(value) => Some(json!(value.to_string())),
                    Value::Number(number) if !number.is_f64() => Some(json!(number.to_string())),
                    _ => None,
                };
                elements.iter().map(text).collect::<Option<Vec<_>>>().map(Value::Array)
            }
            _ => None,
        },
        ColumnType::Timestamp => {
            let moment = match value {
                Value::String(text) => time::parse_time(text),
                Value::Number(number) => match number.as_i64() {
                    Some(number) => Some(time::from_number(number)),
                    None => number.as_f64().and_then(time::from_float),
                },
                _ => None,
            };
            moment.filter(|time| name != "event_time" || in_range(*time)).map(|time| json!(time))
        }
        ColumnType::Int => match value {
            Value::String(text) => text.trim().parse::<i64>().ok().map(Into::into),
            Value::Number(number) => number.as_i64().map(Into::into).or_else(|| {
                let number = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)?;
                Some(json!(number as i64))
            }),
            _ => None,
        },
        ColumnType::Float => match value {
            Value::String(text) => {
                text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| json!(number))
            }
            Value::Number(number) => number.as_f64().map(|number| json!(number)),
            _ => None,
        },
        ColumnType::Bool => match value {
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" => Some(json!(true)),
                "false" => Some(json!(false)),
                _ => None,
            },
            Value::Bool(value) => Some(json!(value)),
            _ => None,
        },
    };
    found.ok_or(())
}

fn in_range(time: Timestamp) -> bool {
    (Timestamp::EARLIEST_EVENT..=Timestamp::LATEST_EVENT).contains(&time)
        && DateTime::from_timestamp_micros(time.micros()).is_some()
}

fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
