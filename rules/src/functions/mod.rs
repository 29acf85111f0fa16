//! SQL functions that DataFusion doesn't have: into JSON, and about addresses.

mod address;
mod json_text;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::SessionContext;

/// Registers them all: for planning, cached plans and the batch oracle alike.
pub(crate) fn register(context: &SessionContext) {
    use DataType::{Boolean, Int64, Utf8};
    context.register_udf(function("json_text", vec![Utf8, Utf8], Utf8, json_text::json_text));
    context.register_udf(function("cidr_contains", vec![Utf8, Utf8], Boolean, address::cidr_contains));
    context.register_udf(function("ip_prefix", vec![Utf8, Int64], Utf8, address::ip_prefix));
}

fn function(
    name: &str,
    inputs: Vec<DataType>,
    output: DataType,
    apply: fn(&[ArrayRef]) -> Result<ArrayRef>,
) -> ScalarUDF {
    let implementation = move |arguments: &[ColumnarValue]| {
        let constant = arguments.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let values = apply(&ColumnarValue::values_to_arrays(arguments)?)?;
        if constant && values.len() == 1 {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?))
        } else {
            Ok(ColumnarValue::Array(values))
        }
    };
    create_udf(name, inputs, output, Volatility::Immutable, Arc::new(implementation))
}
