//! How many rows of a key each scan needs before any output is possible.

use std::collections::BTreeMap;

use datafusion::common::{DFSchema, JoinType, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use crate::slot::ScanRef;

/// For each scan the fewest rows; a scan that isn't named may be empty.
pub(super) fn min_rows(plan: &LogicalPlan) -> BTreeMap<usize, usize> {
    match plan {
        LogicalPlan::TableScan(scan) => ScanRef::of(scan).map(|found| (found.scan, 1)).into_iter().collect(),
        LogicalPlan::SubqueryAlias(named) => min_rows(&named.input),
        LogicalPlan::Sort(sort) => min_rows(&sort.input),
        LogicalPlan::Projection(projection) => min_rows(&projection.input),
        LogicalPlan::Window(window) => min_rows(&window.input),
        LogicalPlan::Unnest(unnest) => min_rows(&unnest.input),
        LogicalPlan::Aggregate(aggregate) if !aggregate.group_expr.is_empty() => min_rows(&aggregate.input),
        LogicalPlan::Filter(filter) => {
            let mut rows = min_rows(&filter.input);
            for condition in split_conjunction(&filter.predicate) {
                if let Some((scan, least)) = threshold(condition, &filter.input) {
                    let known = rows.entry(scan).or_default();
                    *known = least.max(*known);
                }
            }
            rows
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => {
                let mut rows = min_rows(&join.left);
                rows.extend(min_rows(&join.right));
                rows
            }
            JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => min_rows(&join.left),
            JoinType::Right | JoinType::RightAnti | JoinType::RightMark => min_rows(&join.right),
            JoinType::Full => BTreeMap::new(),
        },
        LogicalPlan::Union(union) => match union.inputs.as_slice() {
            [only] => min_rows(only),
            _ => BTreeMap::new(),
        },
        _ => BTreeMap::new(),
    }
}

/// `count(…) >= n` over the rows of one scan alone: that scan and n.
fn threshold(condition: &Expr, input: &LogicalPlan) -> Option<(usize, usize)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let (value, bound, strict) = match op {
        Operator::GtEq => (left, right, 0),
        Operator::Gt => (left, right, 1),
        Operator::LtEq => (right, left, 0),
        Operator::Lt => (right, left, 1),
        Operator::Eq => (left, right, 0),
        _ => return None,
    };
    let Expr::Literal(literal, _) = bound.as_ref() else { return None };
    let Ok(ScalarValue::Int64(Some(least))) = literal.cast_to(&datafusion::arrow::datatypes::DataType::Int64) else {
        return None;
    };
    let scan = counted(value, input)?;
    Some((scan, usize::try_from(least.checked_add(strict)?).ok()?))
}

/// The scan whose rows a count counts, where nothing multiplies them.
fn counted(expr: &Expr, input: &LogicalPlan) -> Option<usize> {
    let at = match expr {
        Expr::Alias(alias) => return counted(&alias.expr, input),
        Expr::Cast(cast) => return counted(&cast.expr, input),
        Expr::Column(column) => input.schema().maybe_index_of_column(column)?,
        _ => return None,
    };
    match input {
        LogicalPlan::SubqueryAlias(named) => count_at(at, &named.input),
        other => count_at(at, other),
    }
}

fn count_at(at: usize, plan: &LogicalPlan) -> Option<usize> {
    match plan {
        LogicalPlan::SubqueryAlias(named) => count_at(at, &named.input),
        LogicalPlan::Filter(filter) => count_at(at, &filter.input),
        LogicalPlan::Projection(projection) => counted(projection.expr.get(at)?, &projection.input),
        LogicalPlan::Aggregate(aggregate) => {
            let value = aggregate.aggr_expr.get(at.checked_sub(aggregate.group_expr.len())?)?;
            is_count(value).then(|| only_scan(&aggregate.input, &aggregate.group_expr)).flatten()
        }
        _ => None,
    }
}

fn is_count(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_count(&alias.expr),
        Expr::AggregateFunction(AggregateFunction { func, .. }) => func.name() == "count",
        _ => false,
    }
}

/// The one scan whose rows are grouped, each at most once a group.
fn only_scan(plan: &LogicalPlan, group: &[Expr]) -> Option<usize> {
    match plan {
        LogicalPlan::TableScan(scan) => ScanRef::of(scan).map(|found| found.scan),
        LogicalPlan::SubqueryAlias(named) => only_scan(&named.input, &below(group, plan, &named.input)),
        LogicalPlan::Filter(filter) => only_scan(&filter.input, group),
        LogicalPlan::Projection(projection) => {
            let sources: Vec<Expr> = group
                .iter()
                .filter_map(|expr| projection.expr.get(position(expr, projection.schema.as_ref())?).cloned())
                .collect();
            only_scan(&projection.input, &sources)
        }
        // Buckets differ from each other, so that a row is in each of them once.
        LogicalPlan::Unnest(unnest) => {
            let [(list, _)] = unnest.list_type_columns.as_slice() else { return None };
            let by_bucket = group
                .iter()
                .filter_map(|expr| position(expr, &unnest.schema))
                .any(|at| unnest.dependency_indices.get(at) == Some(list));
            (by_bucket && is_hop(*list, &unnest.input)).then(|| only_scan(&unnest.input, &[])).flatten()
        }
        _ => None,
    }
}

/// The same columns as the input of a renaming node calls them.
fn below(group: &[Expr], plan: &LogicalPlan, input: &LogicalPlan) -> Vec<Expr> {
    let positions = group.iter().filter_map(|expr| position(expr, plan.schema()));
    positions.map(|at| Expr::Column(input.schema().qualified_field(at).into())).collect()
}

fn position(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => position(&alias.expr, schema),
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    }
}

/// Whether a column of the plan holds the sliding buckets of a moment.
pub(super) fn is_hop(at: usize, plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(named) => is_hop(at, &named.input),
        LogicalPlan::Filter(filter) => is_hop(at, &filter.input),
        LogicalPlan::Projection(projection) => {
            let expr = projection.expr.get(at).map(|expr| expr.clone().unalias_nested().data);
            match expr {
                Some(Expr::ScalarFunction(function)) => function.name() == "hop",
                Some(Expr::Column(column)) => {
                    let source = projection.input.schema().maybe_index_of_column(&column);
                    source.is_some_and(|source| is_hop(source, &projection.input))
                }
                _ => false,
            }
        }
        _ => false,
    }
}
