//! Expressions as an author would write them.

use std::sync::LazyLock;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr as SqlExpr};
use datafusion::sql::unparser::Unparser;
use datafusion::sql::unparser::dialect::Dialect;
use regex::Regex;

/// Names of columns are never in quotes: ours need none.
struct Plain;

impl Dialect for Plain {
    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        None
    }
}

/// The expression as SQL; what has no SQL form as DataFusion writes it.
pub(super) fn sql(expr: &Expr) -> String {
    tidy(&written(expr).map_or_else(|| expr.to_string(), |sql| sql.to_string()))
}

/// Columns that hold an aggregate are named after it, in DataFusion's notation.
fn tidy(text: &str) -> String {
    static PARTS: LazyLock<Option<[(Regex, &str); 4]>> = LazyLock::new(|| {
        Some([
            (Regex::new(r#"\bUtf8\("([^"]*)"\)"#).ok()?, "'$1'"),
            (Regex::new(r"\b(?:U?Int(?:8|16|32|64)|Float(?:32|64)|Boolean)\(([^()]*)\)").ok()?, "$1"),
            (Regex::new(r"\bcount\(1\)").ok()?, "count(*)"),
            (Regex::new(r" ASC NULLS LAST\b").ok()?, ""),
        ])
    });
    let parts = PARTS.iter().flatten();
    parts.fold(text.to_owned(), |text, (part, with)| part.replace_all(&text, *with).into_owned())
}

/// As [`sql`], in parentheses where it could not stand beside an AND as it is.
pub(super) fn conjunct_sql(expr: &Expr) -> String {
    match written(expr) {
        Some(sql @ SqlExpr::BinaryOp { op: BinaryOperator::Or, .. }) => format!("({sql})"),
        Some(sql) => sql.to_string(),
        None => expr.to_string(),
    }
}

fn written(expr: &Expr) -> Option<SqlExpr> {
    // The planner makes intervals of differences; nobody wrote that.
    let plain = expr.clone().transform_up(|part| {
        Ok(match part {
            Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Interval(_)) => Transformed::yes(*cast.expr),
            other => Transformed::no(other),
        })
    });
    Unparser::new(&Plain).with_pretty(true).expr_to_sql(&plain.ok()?.data).ok()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn literals_are_sql_and_alternatives_stand_in_parentheses() {
        let either = col("kind").eq(lit("it's")).or(col("source").eq(lit("okta")));
        assert_eq!(sql(&either), "kind = 'it''s' OR source = 'okta'");
        assert_eq!(conjunct_sql(&either), "(kind = 'it''s' OR source = 'okta')");
        assert_eq!(sql(&either.and(col("asn").gt(lit(5_i64)))), "(kind = 'it''s' OR source = 'okta') AND asn > 5");
        assert_eq!(conjunct_sql(&col("tool").is_null()), "tool IS NULL");
        let named = "count(Int64(1)) FILTER (WHERE kind = Utf8(\"a b\")) ORDER BY [event_time ASC NULLS LAST]";
        assert_eq!(tidy(named), "count(*) FILTER (WHERE kind = 'a b') ORDER BY [event_time]");
    }
}
