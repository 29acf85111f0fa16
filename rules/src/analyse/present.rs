//! Whether a column has a value in every row of a plan.

use datafusion::common::{JoinType, NullHandling};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use super::guards::is_hop;
use super::unique::aggregate_function;
use crate::slot::ScanRef;

/// Whether the output column can be shown never to be NULL.
pub(super) fn always_there(plan: &LogicalPlan, at: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => ScanRef::of(scan).is_some() && !scan.projected_schema.field(at).is_nullable(),
        LogicalPlan::SubqueryAlias(named) => always_there(&named.input, at),
        LogicalPlan::Sort(sort) => always_there(&sort.input, at),
        LogicalPlan::Filter(filter) => {
            let schema = filter.input.schema();
            let names = |expr: &Expr| is_column(expr, at, &filter.input);
            always_there(&filter.input, at)
                || split_conjunction(&filter.predicate)
                    .into_iter()
                    .any(|condition| rejects_null(condition, &names) && at < schema.fields().len())
        }
        LogicalPlan::Projection(projection) => {
            projection.expr.get(at).is_some_and(|expr| has_value(expr, &projection.input))
        }
        LogicalPlan::Join(join) => {
            let width = join.left.schema().fields().len();
            let left = |at: usize| at < width && always_there(&join.left, at);
            let right = |at: usize| always_there(&join.right, at);
            match join.join_type {
                JoinType::Inner => {
                    let equal = join.on.iter().any(|(a, b)| {
                        if at < width { is_column(a, at, &join.left) } else { is_column(b, at - width, &join.right) }
                    });
                    equal || if at < width { left(at) } else { right(at - width) }
                }
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left(at),
                JoinType::Right => at >= width && right(at - width),
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right(at),
                JoinType::Full => false,
            }
        }
        LogicalPlan::Aggregate(aggregate) => match at.checked_sub(aggregate.group_expr.len()) {
            None => has_value(&aggregate.group_expr[at], &aggregate.input),
            Some(at) => aggregate.aggr_expr.get(at).and_then(aggregate_function).is_some_and(|function| {
                let params = &function.params;
                match function.func.name() {
                    "count" => true,
                    // A group has a row, unless none passes the filter.
                    "min" | "max" | "first_value" | "last_value" => {
                        params.filter.is_none()
                            && params.args.iter().all(|argument| has_value(argument, &aggregate.input))
                    }
                    _ => false,
                }
            }),
        },
        LogicalPlan::Window(window) => at < window.input.schema().fields().len() && always_there(&window.input, at),
        LogicalPlan::Unnest(unnest) => unnest.dependency_indices.get(at).is_some_and(|&source| {
            if unnest.list_type_columns.iter().any(|(list, _)| *list == source) {
                let dropped = unnest.options.null_handling == NullHandling::Drop;
                dropped && unnest.list_type_columns.len() == 1 && is_hop(source, &unnest.input)
            } else {
                always_there(&unnest.input, source)
            }
        }),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| always_there(input, at)),
        _ => false,
    }
}

fn is_column(expr: &Expr, at: usize, plan: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(alias) => is_column(&alias.expr, at, plan),
        Expr::Column(column) => plan.schema().maybe_index_of_column(column) == Some(at),
        _ => false,
    }
}

/// Whether the condition can only be true where the column has a value.
fn rejects_null(condition: &Expr, names: &dyn Fn(&Expr) -> bool) -> bool {
    match condition {
        Expr::IsNotNull(inner) => strict_in(inner, names),
        Expr::Between(between) => {
            !between.negated
                && [&between.expr, &between.low, &between.high].into_iter().any(|part| strict_in(part, names))
        }
        Expr::InList(list) => strict_in(&list.expr, names),
        Expr::Like(like) => strict_in(&like.expr, names),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => rejects_null(left, names) || rejects_null(right, names),
            Operator::Or => rejects_null(left, names) && rejects_null(right, names),
            Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                strict_in(left, names) || strict_in(right, names)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether the expression is NULL wherever the column is.
fn strict_in(expr: &Expr, names: &dyn Fn(&Expr) -> bool) -> bool {
    names(expr)
        || match expr {
            Expr::Alias(alias) => strict_in(&alias.expr, names),
            Expr::Cast(cast) => strict_in(&cast.expr, names),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus, right }) => {
                strict_in(left, names) || strict_in(right, names)
            }
            Expr::ScalarFunction(function) if matches!(function.name(), "date_bin" | "date_trunc") => {
                function.args.iter().any(|argument| strict_in(argument, names))
            }
            _ => false,
        }
}

/// Whether the expression has a value in every row of the plan.
pub(super) fn has_value(expr: &Expr, plan: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(alias) => has_value(&alias.expr, plan),
        Expr::Cast(cast) => has_value(&cast.expr, plan),
        Expr::Literal(value, _) => !value.is_null(),
        Expr::Column(column) => plan.schema().maybe_index_of_column(column).is_some_and(|at| always_there(plan, at)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus, right }) => {
            has_value(left, plan) && has_value(right, plan)
        }
        Expr::Case(case) => {
            case.when_then_expr.iter().all(|(_, then)| has_value(then, plan))
                && case.else_expr.as_ref().is_some_and(|other| has_value(other, plan))
        }
        Expr::ScalarFunction(function) => {
            let mut arguments = function.args.iter();
            match function.name() {
                "date_bin" | "date_trunc" | "lower" | "upper" | "btrim" => {
                    arguments.all(|argument| has_value(argument, plan))
                }
                "greatest" | "least" | "coalesce" | "concat" => arguments.any(|argument| has_value(argument, plan)),
                _ => false,
            }
        }
        _ => false,
    }
}
