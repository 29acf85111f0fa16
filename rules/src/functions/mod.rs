//! SQL functions that DataFusion doesn't have: into JSON, about addresses, and sliding buckets.

mod address;
mod hop;
mod json_text;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionImplementation, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::SessionContext;

pub(crate) use hop::{MAX_BUCKETS, widths as hop_widths};

/// Registers them all: for planning, cached plans and the batch oracle alike.
pub(crate) fn register(context: &SessionContext) {
    use DataType::{Boolean, Int64, Utf8};
    context.register_udf(function("json_text", vec![Utf8, Utf8], Utf8, json_text::json_text));
    context.register_udf(function("cidr_contains", vec![Utf8, Utf8], Boolean, address::cidr_contains));
    context.register_udf(function("ip_prefix", vec![Utf8, Int64], Utf8, address::ip_prefix));
    context.register_udf(hop::hop());
}

fn function(
    name: &str,
    inputs: Vec<DataType>,
    output: DataType,
    apply: fn(&[ArrayRef]) -> Result<ArrayRef>,
) -> ScalarUDF {
    create_udf(name, inputs, output, Volatility::Immutable, columnar(apply))
}

/// A function over whole columns, which gives one value where it is asked about constants alone.
fn columnar(apply: fn(&[ArrayRef]) -> Result<ArrayRef>) -> ScalarFunctionImplementation {
    Arc::new(move |arguments: &[ColumnarValue]| {
        let constant = arguments.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let values = apply(&ColumnarValue::values_to_arrays(arguments)?)?;
        if constant && values.len() == 1 {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?))
        } else {
            Ok(ColumnarValue::Array(values))
        }
    })
}
