//! Time spans that are compared with days or months: intervals are compared part by part (months, then days, then the rest),
//! so that any number of hours is less than a day.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, LogicalPlan, Operator};

use super::interval_of;

/// The first comparison of a span between two moments with an interval that has days or months.
pub(super) fn compared_by_parts(plan: &LogicalPlan) -> Option<Expr> {
    let mut found = None;
    // What can't be walked isn't planned either.
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if found.is_none() && is_by_parts(part) {
                    found = Some(part.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found
}

fn is_by_parts(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compares = matches!(
                op,
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::Eq | Operator::NotEq
            );
            compares && (is_span(left) && has_days(right) || is_span(right) && has_days(left))
        }
        Expr::Between(Between { expr, low, high, .. }) => is_span(expr) && (has_days(low) || has_days(high)),
        _ => false,
    }
}

/// A difference of moments, made an interval to be compared with one.
fn is_span(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_span(&alias.expr),
        Expr::Cast(Cast { expr, field }) => {
            matches!(field.data_type(), DataType::Interval(_)) && !matches!(expr.as_ref(), Expr::Literal(_, _))
        }
        _ => false,
    }
}

fn has_days(expr: &Expr) -> bool {
    interval_of(expr).is_some_and(|interval| interval.days != 0 || interval.months != 0)
}
