//! Expressions in what the compiler says, as an author would write them.

use std::sync::LazyLock;

use datafusion::common::Column;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use regex::Regex;

use super::words::{cast_words, words};

/// The expression as SQL.
pub(super) fn sql(expr: &Expr) -> String {
    let column = |column: &Column| column.flat_name();
    match expr {
        Expr::Cast(cast) => tidy(&cast_words(cast, &column)),
        expr => tidy(&words(expr, &column)),
    }
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
    let text = words(expr, &|column| column.flat_name());
    let either = matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }));
    if either && text.contains(" OR ") { format!("({text})") } else { text }
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
