//! From Avro values to cells.

use std::borrow::Cow;

use apache_avro::types::Value;
use serde_json::Value as Json;
use watershed_schemas::{Cell, ColumnType, Timestamp};

use crate::formats::canonical::{Draft, attributes_column};

/// Puts the fields of a record into their columns, and those without one into the attributes.
pub(super) fn fill(fields: Vec<(String, Value)>, draft: &mut Draft<'_>) {
    let attributes = attributes_column(draft.plane());
    for (name, value) in fields {
        let value = unwrapped(value);
        match draft.column(&name) {
            Some(column) if column == attributes => draft.attributes.give(Cow::Owned(json(value).to_string())),
            Some(column) => set(draft, column, value),
            None if value == Value::Null => {}
            None => draft.attributes.set(Cow::Owned(name), Cow::Owned(json(value).to_string())),
        }
    }
}

fn set(draft: &mut Draft<'_>, column: usize, value: Value) {
    match value {
        Value::Null => draft.place(column, Cell::Null),
        Value::Boolean(value) => draft.boolean(column, value),
        Value::Int(number) => draft.int(column, number.into()),
        Value::Long(number) => draft.int(column, number),
        Value::Float(number) => draft.float(column, number.into()),
        Value::Double(number) => draft.float(column, number),
        Value::String(text) | Value::Enum(_, text) => draft.text(column, Cow::Owned(text)),
        Value::Uuid(id) => draft.text(column, Cow::Owned(id.to_string())),
        Value::Array(elements) if draft.ty(column) == ColumnType::TextList && elements.iter().all(is_text) => {
            draft.place(column, Cell::List(elements.into_iter().filter_map(into_text).collect()));
        }
        value => match (moment(&value), draft.ty(column)) {
            (Some(time), ColumnType::Timestamp) => draft.place(column, Cell::Time(time)),
            (Some(time), ColumnType::Text) => draft.text(column, Cow::Owned(time.to_string())),
            (Some(time), _) => draft.misfit(column, Cow::Owned(format!("\"{time}\""))),
            (None, _) => set_other(draft, column, value),
        },
    }
}

fn set_other(draft: &mut Draft<'_>, column: usize, value: Value) {
    match json(value) {
        Json::String(text) => draft.text(column, Cow::Owned(text)),
        other => draft.json(column, Cow::Owned(other.to_string())),
    }
}

/// The value in a union.
fn unwrapped(value: Value) -> Value {
    match value {
        Value::Union(_, inner) => unwrapped(*inner),
        value => value,
    }
}

/// Whether the value is a text that is not empty.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::String(text) | Value::Enum(_, text) => !text.is_empty(),
        Value::Union(_, inner) => says_something(inner),
        _ => false,
    }
}

fn is_text(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Enum(..) => true,
        Value::Union(_, inner) => is_text(inner),
        _ => false,
    }
}

fn into_text(value: Value) -> Option<Cow<'static, str>> {
    match unwrapped(value) {
        Value::String(text) | Value::Enum(_, text) => Some(Cow::Owned(text)),
        _ => None,
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    match *value {
        Value::TimestampMillis(millis) | Value::LocalTimestampMillis(millis) => Some(Timestamp::from_millis(millis)),
        Value::TimestampMicros(micros) | Value::LocalTimestampMicros(micros) => Some(Timestamp::from_micros(micros)),
        Value::TimestampNanos(nanos) | Value::LocalTimestampNanos(nanos) => Some(Timestamp::from_nanos(nanos)),
        Value::Date(days) => Some(Timestamp::from_secs(i64::from(days) * 86_400)),
        _ => None,
    }
}

/// The fields of a record as JSON text, always the same for the same fields.
pub(super) fn text(fields: &[(String, Value)]) -> String {
    json(Value::Record(fields.to_vec())).to_string()
}

/// Any value as JSON. Maps are sorted by key: Avro's have no order.
fn json(value: Value) -> Json {
    if let Some(time) = moment(&value) {
        return Json::String(time.to_string());
    }
    match value {
        Value::Boolean(value) => Json::Bool(value),
        Value::Int(number) | Value::TimeMillis(number) => number.into(),
        Value::Long(number) | Value::TimeMicros(number) => number.into(),
        Value::Float(number) => f64::from(number).into(),
        Value::Double(number) => number.into(),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => Json::String(bytes_text(bytes)),
        Value::String(text) | Value::Enum(_, text) => Json::String(text),
        Value::Union(_, inner) => json(*inner),
        Value::Array(elements) => elements.into_iter().map(json).collect(),
        Value::Map(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name, json(value))).collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            Json::Object(members.into_iter().collect())
        }
        Value::Record(fields) => Json::Object(fields.into_iter().map(|(name, value)| (name, json(value))).collect()),
        Value::Uuid(id) => Json::String(id.to_string()),
        // Decimals and durations have no counterpart in JSON: their bytes are kept.
        Value::Decimal(decimal) => Vec::<u8>::try_from(decimal).map_or(Json::Null, |bytes| Json::String(hex(&bytes))),
        Value::BigDecimal(decimal) => Json::String(decimal.to_string()),
        Value::Duration(duration) => Json::String(hex(&<[u8; 12]>::from(duration))),
        _ => Json::Null,
    }
}

/// Bytes are text where they can be, as the SDKs of several languages write strings so.
fn bytes_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| hex(error.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
