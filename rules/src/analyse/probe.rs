//! Expressions that fail on some values. One hostile record would stop the rule for everybody, so they are refused: every
//! expression of a plan is evaluated over rows of such values.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::evaluate::panic_text;
use crate::lint::{Code, LintFinding};
use crate::text::SqlText;

/// Texts that records hold where something else is expected.
const TEXTS: [&str; 10] = [
    "",
    "abc",
    "-1",
    "99999999999999999999",
    "1e400",
    "0x",
    "2024-13-45T99:00:00Z",
    "{\"a\": [",
    "\u{1f512} é",
    "unknown",
];
const NUMBERS: [i64; 6] = [0, 1, -1, i64::MIN, i64::MAX, 4_294_967_296];
const FRACTIONS: [f64; 7] = [0.0, -1.0, 1.5, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
/// 1970, 2024 and 2100: acceptance sees to it that events are of about now.
const TIMES: [i64; 3] = [0, 1_704_067_200_000_000, 4_102_444_800_000_000];
/// The last day of 9999: what never ends.
const NEVER: i64 = 253_402_214_400_000_000;
/// Rows of a probe; the samples of each type go round.
const ROWS: usize = 24;

/// What fails, with what it said.
struct Failure {
    expr: Expr,
    reason: String,
}

/// The findings about expressions that fail on some values, one for each.
pub(super) fn fallible(text: &SqlText, plan: &LogicalPlan, state: &SessionState) -> Vec<LintFinding> {
    let mut failures: Vec<Failure> = Vec::new();
    let walked = plan.apply_with_subqueries(|node| {
        let schema = inputs(node)?;
        for expr in parts(node) {
            if let Some(failure) = smallest(&expr, &schema, state)
                && !failures.iter().any(|known| known.expr == failure.expr)
            {
                failures.push(failure);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // What can't be walked isn't planned either, and that says why.
    walked.map(|_| failures.iter().map(|failure| finding(text, failure)).collect()).unwrap_or_default()
}

fn finding(text: &SqlText, failure: &Failure) -> LintFinding {
    let (place, help) = match &failure.expr {
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Interval(_)) => {
            let help = "compare the moments instead of the span between them, such as `expires_at > event_time + INTERVAL '30 days'`";
            (text.find(&["interval"]), help)
        }
        Expr::Cast(_) => (text.find(&["cast"]), "write TRY_CAST, which gives NULL where the value doesn't fit"),
        Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, .. }) => {
            let place = text.symbol(&["/", "%"]).unwrap_or_else(|| text.start());
            (place, "divide by `nullif(divisor, 0)`, which gives NULL where there is nothing to divide by")
        }
        Expr::ScalarFunction(function)
            if function.name().starts_with("to_timestamp") || function.name() == "to_date" =>
        {
            (
                text.find(&[function.name()]),
                "write `TRY_CAST(… AS TIMESTAMP)`, which gives NULL where the text isn't a time",
            )
        }
        Expr::ScalarFunction(function) => {
            let names: Vec<&str> =
                std::iter::once(function.name()).chain(function.func.aliases().iter().map(String::as_str)).collect();
            (text.find(&names), "correct its arguments, or guard it with CASE WHEN")
        }
        _ => (text.start(), "guard it with CASE WHEN"),
    };
    let message = format!(
        "`{}` fails on some rows ({}), which would stop the rule",
        super::shown::sql(&failure.expr),
        failure.reason
    );
    text.finding(Code::Fallible, place, message, help)
}

/// The columns that a node's expressions read.
fn inputs(node: &LogicalPlan) -> Result<DFSchema> {
    match node {
        LogicalPlan::TableScan(scan) => {
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), scan.source.schema().as_ref())
        }
        LogicalPlan::Join(join) => join.left.schema().join(join.right.schema()),
        _ => Ok(node.inputs().first().map_or_else(DFSchema::empty, |input| input.schema().as_ref().clone())),
    }
}

/// The expressions of a node that are evaluated row by row.
fn parts(node: &LogicalPlan) -> Vec<Expr> {
    let mut found = Vec::new();
    for expr in node.expressions() {
        // What is computed over many rows has parts that are computed for each.
        match expr.clone().unalias_nested().data {
            Expr::AggregateFunction(function) => {
                found.extend(function.params.args);
                found.extend(function.params.filter.map(|filter| *filter));
                found.extend(function.params.order_by.into_iter().map(|sort| sort.expr));
            }
            Expr::WindowFunction(function) => {
                found.extend(function.params.args);
                found.extend(function.params.filter.map(|filter| *filter));
                found.extend(function.params.partition_by);
                found.extend(function.params.order_by.into_iter().map(|sort| sort.expr));
            }
            other => found.push(other),
        }
    }
    found
}

/// The smallest part of the expression that fails.
fn smallest(expr: &Expr, schema: &DFSchema, state: &SessionState) -> Option<Failure> {
    if matches!(expr, Expr::Column(_) | Expr::Literal(_, _)) {
        return None;
    }
    let reason = failure(expr, schema, state)?;
    // Alternatives of CASE are guarded by their conditions: alone they may fail, and it doesn't matter.
    let guarded = matches!(expr, Expr::Case(_));
    let inner = if guarded { None } else { children(expr).iter().find_map(|child| smallest(child, schema, state)) };
    Some(inner.unwrap_or(Failure { expr: expr.clone(), reason }))
}

fn children(expr: &Expr) -> Vec<Expr> {
    let mut found = Vec::new();
    // Collecting never fails.
    let _ = expr.apply_children(|child| {
        found.push(child.clone());
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// The expression with every text that a function takes out of another one as a column of its own: it may be anything.
fn with_any_text(expr: &Expr, schema: &DFSchema) -> Result<(Expr, DFSchema)> {
    let mut texts: Vec<Expr> = Vec::new();
    let open = expr.clone().transform_down(|part| {
        let text = matches!(&part, Expr::ScalarFunction(_))
            && !part.column_refs().is_empty()
            && part.get_type(schema).is_ok_and(|ty| ty == DataType::Utf8)
            && part != *expr;
        if !text {
            return Ok(Transformed::no(part));
        }
        let at = texts.iter().position(|known| *known == part).unwrap_or_else(|| {
            texts.push(part.clone());
            texts.len() - 1
        });
        Ok(Transformed::new(Expr::Column(Column::new_unqualified(taken(at))), true, TreeNodeRecursion::Jump))
    })?;
    let fields: Vec<Field> = (0..texts.len()).map(|at| Field::new(taken(at), DataType::Utf8, true)).collect();
    let schema = schema.join(&DFSchema::try_from(Schema::new(fields))?)?;
    Ok((open.data, schema))
}

fn taken(at: usize) -> String {
    format!("__taken_{at}")
}

/// What the expression says where it fails on some of the rows.
fn failure(expr: &Expr, schema: &DFSchema, state: &SessionState) -> Option<String> {
    let (expr, schema) = with_any_text(expr, schema).ok()?;
    let physical = state.create_physical_expr(expr.clone(), &schema).ok()?;
    let rows = rows(&expr, &schema)?;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| physical.evaluate(&rows)));
    match result {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            let text = error.strip_backtrace();
            let line = text.lines().next().unwrap_or_default();
            let said = ["Execution error: ", "Arrow error: ", "Cast error: ", "Compute error: "];
            Some(said.iter().fold(line, |line, prefix| line.strip_prefix(prefix).unwrap_or(line)).to_owned())
        }
        Err(panic) => Some(panic_text(panic.as_ref())),
    }
}

/// Rows of hostile values. Columns that the expression doesn't read hold nothing.
fn rows(expr: &Expr, schema: &DFSchema) -> Option<RecordBatch> {
    let read: Vec<usize> =
        expr.column_refs().into_iter().filter_map(|column| schema.maybe_index_of_column(column)).collect();
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let columns = fields
        .iter()
        .enumerate()
        .map(|(at, field)| if read.contains(&at) { samples(field) } else { new_null_array(field.data_type(), ROWS) });
    let options = RecordBatchOptions::new().with_row_count(Some(ROWS));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields.clone())), columns.collect(), &options).ok()
}

fn samples(field: &Field) -> ArrayRef {
    let ty = field.data_type();
    let times = || {
        let last = if field.name() == "expires_at" { Some(NEVER) } else { None };
        TimestampMicrosecondArray::from(TIMES.into_iter().chain(last).map(Some).chain([None]).collect::<Vec<_>>())
    };
    let values: ArrayRef = match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Arc::new(StringArray::from(TEXTS.into_iter().map(Some).chain([None]).collect::<Vec<_>>()))
        }
        DataType::Boolean => Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ty if ty.is_integer() => {
            Arc::new(Int64Array::from(NUMBERS.into_iter().map(Some).chain([None]).collect::<Vec<_>>()))
        }
        ty if ty.is_floating() => {
            Arc::new(Float64Array::from(FRACTIONS.into_iter().map(Some).chain([None]).collect::<Vec<_>>()))
        }
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, None) => Arc::new(times()),
        DataType::List(item) if item.data_type() == &DataType::Utf8 => {
            let lists = [Some(vec![Some(0), Some(1)]), Some(vec![]), Some(vec![None]), None];
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
        }
        _ => return new_null_array(ty, ROWS),
    };
    let length = u32::try_from(values.len()).unwrap_or(1);
    let around: UInt32Array = (0..u32::try_from(ROWS).unwrap_or(0)).map(|row| row % length).collect();
    // What doesn't fit a narrower type is NULL there.
    cast(&values, ty).and_then(|values| take(&values, &around, None)).unwrap_or_else(|_| new_null_array(ty, ROWS))
}
