//! Arrow values as JSON.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Number, Value};
use watershed_schemas::Timestamp;

/// A column in the form in which its values become JSON: timestamps of any unit in microseconds.
pub(super) fn normalised(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(unit, zone) if *unit != TimeUnit::Microsecond || zone.is_some() => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
            cast(column, &micros).unwrap_or_else(|_| ArrayRef::clone(column))
        }
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
            cast(column, &DataType::Utf8).unwrap_or_else(|_| ArrayRef::clone(column))
        }
        _ => ArrayRef::clone(column),
    }
}

/// The value of one row: texts, numbers, booleans, lists and structs as themselves, times as RFC 3339, anything else as
/// its text. A number that JSON doesn't have is null.
pub(super) fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match column.data_type() {
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        DataType::Boolean => Value::from(column.as_boolean().value(row)),
        DataType::Int8 => Value::from(column.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => Value::from(column.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => Value::from(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::from(column.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => Value::from(column.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => Value::from(column.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => Value::from(column.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => float(f64::from(column.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Value::from(Timestamp::from_micros(column.as_primitive::<TimestampMicrosecondType>().value(row)).to_string())
        }
        DataType::Date32 => column
            .as_primitive::<Date32Type>()
            .value_as_date(row)
            .map_or(Value::Null, |date| Value::from(date.to_string())),
        DataType::List(_) => list(&column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(row)),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let members: Map<String, Value> = fields
                .iter()
                .zip(columns)
                .map(|(field, column)| (field.name().clone(), value(&normalised(column), row)))
                .collect();
            Value::Object(members)
        }
        _ => ArrayFormatter::try_new(column, &FormatOptions::default())
            .map_or(Value::Null, |formatter| Value::from(formatter.value(row).to_string())),
    }
}

fn list(values: &ArrayRef) -> Value {
    let values = normalised(values);
    Value::Array((0..values.len()).map(|row| value(&values, row)).collect())
}
