//! Expressions and spans of time as a person would have written them.

use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Between, BinaryExpr, Case, Cast, Expr, Like, Operator};

const DAY_MICROS: u64 = 86_400_000_000;

/// Microseconds for people: `12h`, `-5m`, `30days`, `0s`. Never in months, whose length nobody agrees on.
pub fn duration(micros: i64) -> String {
    let whole = micros.unsigned_abs();
    let (days, rest) = (whole / DAY_MICROS, whole % DAY_MICROS);
    let rest = humantime::format_duration(Duration::from_micros(rest)).to_string();
    let text = match (days, rest.as_str()) {
        (0, _) => rest,
        (1, "0s") => "1day".to_owned(),
        (days, "0s") => format!("{days}days"),
        (1, rest) => format!("1day {rest}"),
        (days, rest) => format!("{days}days {rest}"),
    };
    if micros < 0 { format!("-{text}") } else { text }
}

/// The expression as SQL; `column` names a column.
pub(crate) fn words(expr: &Expr, column: &dyn Fn(&Column) -> String) -> String {
    let of = |expr: &Expr| words(expr, column);
    let inside = |expr: &Expr| enclosed(expr, column);
    match expr {
        Expr::Alias(alias) => of(&alias.expr),
        Expr::Column(named) => column(named),
        Expr::Literal(value, _) => literal(value),
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => either(expr, column),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            format!("{} AND {}", junction(left, column), junction(right, column))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let op = if *op == Operator::NotEq { "<>".to_owned() } else { op.to_string() };
            format!("{} {op} {}", inside(left), inside(right))
        }
        Expr::Not(inner) => format!("NOT {}", inside(inner)),
        Expr::IsNull(inner) => format!("{} IS NULL", inside(inner)),
        Expr::IsNotNull(inner) => format!("{} IS NOT NULL", inside(inner)),
        Expr::IsTrue(inner) => format!("{} IS TRUE", inside(inner)),
        Expr::IsNotTrue(inner) => format!("{} IS NOT TRUE", inside(inner)),
        Expr::IsFalse(inner) => format!("{} IS FALSE", inside(inner)),
        Expr::IsNotFalse(inner) => format!("{} IS NOT FALSE", inside(inner)),
        Expr::Negative(inner) => format!("-{}", inside(inner)),
        Expr::Between(Between { expr, negated, low, high }) => {
            format!("{}{} BETWEEN {} AND {}", inside(expr), if *negated { " NOT" } else { "" }, of(low), of(high))
        }
        Expr::Like(Like { negated, expr, pattern, case_insensitive, .. }) => {
            let not = if *negated { " NOT" } else { "" };
            let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
            format!("{}{not} {like} {}", inside(expr), of(pattern))
        }
        Expr::InList(list) => {
            let values: Vec<String> = list.list.iter().map(of).collect();
            format!("{}{} IN ({})", inside(&list.expr), if list.negated { " NOT" } else { "" }, values.join(", "))
        }
        Expr::ScalarFunction(function) => {
            format!("{}({})", function.name(), function.args.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let arguments: Vec<String> = match params.args.as_slice() {
                [Expr::Literal(_, _)] if func.name() == "count" => vec!["*".to_owned()],
                arguments => arguments.iter().map(of).collect(),
            };
            let distinct = if params.distinct { "DISTINCT " } else { "" };
            format!("{}({distinct}{})", func.name(), arguments.join(", "))
        }
        Expr::WindowFunction(function) => {
            let arguments: Vec<String> = function.params.args.iter().map(of).collect();
            format!("{}({}) OVER (…)", function.fun.name(), arguments.join(", "))
        }
        Expr::Case(case) => cases(case, column),
        // What only aligns units or widths says nothing to the author.
        Expr::Cast(cast) if !matters(cast.field.data_type()) => of(&cast.expr),
        Expr::Cast(cast) => cast_words(cast, column),
        other => other.to_string(),
    }
}

/// A cast that is the matter itself.
pub(super) fn cast_words(cast: &Cast, column: &dyn Fn(&Column) -> String) -> String {
    let to = match cast.field.data_type() {
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 => "VARCHAR".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        other => other.to_string(),
    };
    format!("CAST({} AS {to})", words(&cast.expr, column))
}

fn matters(to: &DataType) -> bool {
    !(to.is_temporal() || to.is_integer() || matches!(to, DataType::LargeUtf8 | DataType::Utf8View))
}

fn enclosed(expr: &Expr, column: &dyn Fn(&Column) -> String) -> String {
    let text = words(expr, column);
    let junction = |op: Operator| matches!(op, Operator::And | Operator::Or);
    match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) if junction(*op) || compares(*op) => {
            format!("({text})")
        }
        _ => text,
    }
}

/// Whether the operator compares two values.
pub(crate) fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// A side of AND: only OR needs parentheses, and not where it has become an IN.
fn junction(expr: &Expr, column: &dyn Fn(&Column) -> String) -> String {
    let text = words(expr, column);
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) if text.contains(" OR ") => format!("({text})"),
        _ => text,
    }
}

/// Alternatives; what the optimiser has made of a short IN becomes one again.
fn either(expr: &Expr, column: &dyn Fn(&Column) -> String) -> String {
    let mut branches = Vec::new();
    alternatives(expr, &mut branches);
    let mut said: Vec<String> = Vec::new();
    let mut lists: Vec<(String, Vec<String>, usize)> = Vec::new();
    for branch in branches {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = branch
            && let Expr::Literal(value, _) = right.as_ref()
        {
            let (left, value) = (words(left, column), literal(value));
            if let Some((_, values, _)) = lists.iter_mut().find(|(known, _, _)| *known == left) {
                values.push(value);
                continue;
            }
            lists.push((left, vec![value], said.len()));
            said.push(String::new());
        } else {
            let text = words(branch, column);
            let both = matches!(branch, Expr::BinaryExpr(BinaryExpr { op: Operator::And, .. }));
            said.push(if both { format!("({text})") } else { text });
        }
    }
    for (left, values, at) in lists {
        said[at] = match values.as_slice() {
            [only] => format!("{left} = {only}"),
            values => format!("{left} IN ({})", values.join(", ")),
        };
    }
    said.join(" OR ")
}

/// A CASE; what the optimiser has made of a COALESCE becomes one again.
fn cases(case: &Case, column: &dyn Fn(&Column) -> String) -> String {
    let of = |expr: &Expr| words(expr, column);
    if let (None, [(when, then)], Some(other)) = (&case.expr, case.when_then_expr.as_slice(), &case.else_expr)
        && let Expr::IsNotNull(tested) = when.as_ref()
        && tested == then
    {
        return format!("coalesce({}, {})", of(then), of(other));
    }
    let of_what = case.expr.as_ref().map_or(String::new(), |expr| format!(" {}", of(expr)));
    let branches: Vec<String> =
        case.when_then_expr.iter().map(|(when, then)| format!(" WHEN {} THEN {}", of(when), of(then))).collect();
    let other = case.else_expr.as_ref().map_or(String::new(), |expr| format!(" ELSE {}", of(expr)));
    format!("CASE{of_what}{}{other} END", branches.concat())
}

fn alternatives<'a>(expr: &'a Expr, branches: &mut Vec<&'a Expr>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            alternatives(left, branches);
            alternatives(right, branches);
        }
        other => branches.push(other),
    }
}

fn literal(value: &ScalarValue) -> String {
    let interval = |micros: Option<i64>| micros.map(|micros| format!("INTERVAL '{}'", duration(micros)));
    let days = |days: i32| i64::from(days).checked_mul(86_400_000_000);
    match value {
        value if value.is_null() => "NULL".to_owned(),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ScalarValue::IntervalMonthDayNano(Some(span)) if span.months == 0 => {
            interval(days(span.days).and_then(|days| days.checked_add(span.nanoseconds / 1_000)))
                .unwrap_or_else(|| value.to_string())
        }
        ScalarValue::IntervalDayTime(Some(span)) => {
            interval(days(span.days).and_then(|days| days.checked_add(i64::from(span.milliseconds) * 1_000)))
                .unwrap_or_else(|| value.to_string())
        }
        ScalarValue::DurationMicrosecond(Some(micros)) => interval(Some(*micros)).unwrap_or_else(|| value.to_string()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn durations_are_never_in_months() {
        for (micros, text) in [
            (0, "0s"),
            (-300_000_000, "-5m"),
            (43_200_000_000, "12h"),
            (90_000_000_000, "1day 1h"),
            (2_592_000_000_000, "30days"),
            (31_536_000_000_000, "365days"),
            (999_999, "999ms 999us"),
        ] {
            assert_eq!(duration(micros), text);
        }
    }

    #[test]
    fn conditions_read_as_they_were_written() {
        let check = |expr: Expr, text: &str| assert_eq!(words(&expr, &|column| column.name.clone()), text);
        check(col("kind").eq(lit("a")).or(col("kind").eq(lit("b's"))), "kind IN ('a', 'b''s')");
        check(
            col("outcome").is_null().or(col("outcome").not_eq(lit("failure"))),
            "outcome IS NULL OR outcome <> 'failure'",
        );
        check(
            col("a").gt(lit(1_i64)).and(col("b").like(lit("%x%")).or(col("c").is_not_null())),
            "a > 1 AND (b LIKE '%x%' OR c IS NOT NULL)",
        );
        let hour = ScalarValue::new_interval_mdn(0, 1, 3_600_000_000_000);
        check(col("t").lt_eq(col("u") + lit(hour)), "t <= u + INTERVAL '1day 1h'");
    }
}
