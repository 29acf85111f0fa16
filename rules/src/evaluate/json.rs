//! Arrow values as JSON.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
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

/// A column by which rows can be put in order whatever order they came in: lists and structs as their JSON, lists that an
/// aggregate gathered (`gathered`) sorted.
pub(super) fn comparable(column: &ArrayRef, gathered: bool) -> ArrayRef {
    if !column.data_type().is_nested() {
        return ArrayRef::clone(column);
    }
    let texts =
        (0..column.len()).map(|row| (!column.is_null(row)).then(|| value_of(column, row, gathered).to_string()));
    Arc::new(texts.collect::<StringArray>())
}

/// As [`value`]; a list that an aggregate gathered is sorted, as it came in no order that means anything.
pub(super) fn value_of(column: &dyn Array, row: usize, gathered: bool) -> Value {
    let mut value = value(column, row);
    if let (true, Value::Array(values)) = (gathered, &mut value) {
        values.sort_by_cached_key(Value::to_string);
    }
    value
}

/// The value of one row: texts, booleans, lists and structs as themselves, times as RFC 3339, anything else as its text. A
/// number that JSON doesn't have is null. Fractions are cut to twelve digits, as further ones depend on the order in which
/// rows came.
pub(super) fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let float = |number: f64| {
        let rounded = format!("{number:.11e}").parse().unwrap_or(number);
        Number::from_f64(rounded).map_or(Value::Null, Value::Number)
    };
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
        DataType::Timestamp(TimeUnit::Microsecond, None) => Value::from(
            Timestamp::from_micros(column.as_primitive::<TimestampMicrosecondType>().value(row)).to_string(),
        ),
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Date32Array, Float64Array, ListArray, TimestampNanosecondArray};
    use datafusion::arrow::datatypes::Int32Type as I32;
    use serde_json::json;

    use super::*;

    fn check(column: ArrayRef, expected: Value) {
        let column = normalised(&column);
        let values: Vec<Value> = (0..column.len()).map(|row| value_of(&column, row, true)).collect();
        assert_eq!(Value::Array(values), expected);
    }

    #[test]
    fn values_do_not_depend_on_the_order_of_rows() {
        check(Arc::new(Float64Array::from(vec![0.1 + 0.2, 0.3, f64::NAN, -1.5])), json!([0.3, 0.3, null, -1.5]));
        let lists = ListArray::from_iter_primitive::<I32, _, _>([Some(vec![Some(2), Some(1), None]), None]);
        check(Arc::new(lists), json!([[1, 2, null], null]));
    }

    #[test]
    fn times_of_every_unit_are_rfc_3339() {
        check(Arc::new(TimestampNanosecondArray::from(vec![1_000])), json!(["1970-01-01T00:00:00.000001Z"]));
        check(Arc::new(Date32Array::from(vec![1])), json!(["1970-01-02"]));
    }
}
