//! Which moment an expression stands for.

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::system::{Edge, Var, uppers};
use super::{Node, Walk};
use crate::functions::hop_widths;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The moment `var + offset`, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) var: Var,
    pub(super) offset: i64,
}

impl Time {
    /// `self - other <= at_most`.
    pub(super) fn at_most_after(self, other: Time, at_most: i64) -> Edge {
        let at_most = at_most.saturating_sub(self.offset).saturating_add(other.offset);
        Edge { later: self.var, earlier: other.var, at_most }
    }
}

/// A span of time: whole months have between 28 and 31 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanOfTime {
    pub(super) least: i64,
    pub(super) most: i64,
}

/// Reads expressions over one node's columns. New moments and what is known about them go to `edges`.
pub(super) struct Times<'a> {
    pub(super) walk: &'a mut Walk,
    pub(super) node: &'a Node,
    pub(super) schema: &'a DFSchema,
    pub(super) edges: Vec<Edge>,
}

impl Times<'_> {
    /// The moment that the expression stands for, where that is known.
    pub(super) fn of(&mut self, expr: &Expr) -> Option<Time> {
        match expr {
            Expr::Alias(alias) => self.of(&alias.expr),
            Expr::Column(column) => self.node.times.get(self.schema.maybe_index_of_column(column)?).copied().flatten(),
            Expr::Cast(cast) => self.cast(&cast.expr, cast.field.data_type()),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
                if let Some(span) = span_of(right) {
                    self.moved(left, span, 1)
                } else {
                    self.moved(right, span_of(left)?, 1)
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => self.moved(left, span_of(right)?, -1),
            Expr::ScalarFunction(function) => self.function(function),
            _ => None,
        }
    }

    /// The moment whose sliding buckets the expression is a list of, and their size.
    pub(super) fn buckets_of(&mut self, expr: &Expr) -> Option<(Time, i64)> {
        match expr {
            Expr::Alias(alias) => self.buckets_of(&alias.expr),
            Expr::Column(column) => {
                self.node.buckets.get(self.schema.maybe_index_of_column(column)?).copied().flatten()
            }
            Expr::ScalarFunction(function) if function.name() == "hop" => {
                let [time, size, slide] = function.args.as_slice() else { return None };
                let (size, _) = hop_widths(interval_of(size)?, interval_of(slide)?)?;
                Some((self.of(time)?, size))
            }
            _ => None,
        }
    }

    fn moved(&mut self, expr: &Expr, span: SpanOfTime, sign: i64) -> Option<Time> {
        let time = self.of(expr)?;
        let (a, b) = (span.least.checked_mul(sign)?, span.most.checked_mul(sign)?);
        let (least, most) = (a.min(b), a.max(b));
        if least == most {
            return Some(Time { var: time.var, offset: time.offset.checked_add(least)? });
        }
        Some(self.derived(time, least, most, &format!("{least}..{most}")))
    }

    /// A moment that lies between `least` and `most` after another and depends on nothing but it.
    fn derived(&mut self, time: Time, least: i64, most: i64, how: &str) -> Time {
        let var = self.walk.derived(time, how);
        let derived = Time { var, offset: 0 };
        self.edges.push(derived.at_most_after(time, most));
        self.edges.push(time.at_most_after(derived, least.saturating_neg()));
        derived
    }

    fn cast(&mut self, expr: &Expr, to: &DataType) -> Option<Time> {
        let time = self.of(expr)?;
        match to {
            DataType::Timestamp(_, Some(zone)) if !is_utc(zone) => None,
            DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _) => Some(time),
            // Cut towards zero, so in either direction.
            DataType::Timestamp(TimeUnit::Millisecond, _) => Some(self.derived(time, -999, 999, "ms")),
            DataType::Timestamp(TimeUnit::Second, _) => Some(self.derived(time, 1 - SECOND, SECOND - 1, "s")),
            DataType::Date32 | DataType::Date64 => Some(self.derived(time, 1 - DAY, DAY - 1, "date")),
            _ => None,
        }
    }

    fn function(&mut self, function: &ScalarFunction) -> Option<Time> {
        let arguments = &function.args;
        match function.name() {
            "date_bin" => {
                let (stride, time) = (span_of(arguments.first()?)?, self.of(arguments.get(1)?)?);
                if stride.least <= 0 {
                    return None;
                }
                let how = arguments
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at != 1)
                    .fold(String::from("bin"), |how, (_, part)| format!("{how} {part}"));
                Some(self.derived(time, 1 - stride.most, 0, &how))
            }
            "date_trunc" => {
                let Expr::Literal(unit, _) = arguments.first()? else { return None };
                let unit = unit.try_as_str()??.to_lowercase();
                let length = match unit.as_str() {
                    "microsecond" => 1,
                    "millisecond" => 1_000,
                    "second" => SECOND,
                    "minute" => 60 * SECOND,
                    "hour" => 3_600 * SECOND,
                    "day" => DAY,
                    "week" => 7 * DAY,
                    "month" => 31 * DAY,
                    "quarter" => 92 * DAY,
                    "year" => 366 * DAY,
                    _ => return None,
                };
                let time = self.of(arguments.get(1)?)?;
                Some(self.derived(time, 1 - length, 0, &format!("trunc {unit}")))
            }
            "greatest" => self.extreme(arguments, true),
            "least" => self.extreme(arguments, false),
            _ => None,
        }
    }

    /// The latest (or earliest) of several moments: it is one of them.
    fn extreme(&mut self, arguments: &[Expr], latest: bool) -> Option<Time> {
        let times: Vec<Time> = arguments.iter().map(|argument| self.of(argument)).collect::<Option<_>>()?;
        let result = Time { var: self.walk.fresh(), offset: 0 };
        let known: Vec<Edge> = self.node.system.edges.iter().chain(&self.edges).copied().collect();
        for (at, &time) in times.iter().enumerate() {
            let (outer, inner) = if latest { (time, result) } else { (result, time) };
            self.edges.push(outer.at_most_after(inner, 0));
            let mut farthest = Some(0_i64);
            for &other in times.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other) {
                let (late, early) = if latest { (other, time) } else { (time, other) };
                let gap = uppers(&known, early.var)
                    .ok()
                    .and_then(|after| after.get(&late.var).copied())
                    .map(|gap| gap.saturating_add(late.offset).saturating_sub(early.offset));
                farthest = farthest.zip(gap).map(|(a, b)| a.max(b));
            }
            if let Some(farthest) = farthest {
                let (late, early) = if latest { (result, time) } else { (time, result) };
                self.edges.push(late.at_most_after(early, farthest));
            }
        }
        Some(result)
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Z" | "+00:00" | "+00" | "+0000")
}

/// The interval that a literal stands for.
pub(crate) fn interval_of(expr: &Expr) -> Option<IntervalMonthDayNano> {
    match expr {
        Expr::Alias(alias) => interval_of(&alias.expr),
        Expr::Literal(value, _) => match value.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano)).ok()? {
            ScalarValue::IntervalMonthDayNano(value) => value,
            _ => None,
        },
        _ => None,
    }
}

/// The span of time that a literal stands for, in whole microseconds.
pub(super) fn span_of(expr: &Expr) -> Option<SpanOfTime> {
    let exact = |micros: i64| Some(SpanOfTime { least: micros, most: micros });
    let whole = |nanos: i64| (nanos % 1_000 == 0).then_some(nanos / 1_000);
    match expr {
        Expr::Alias(alias) => span_of(&alias.expr),
        Expr::Cast(cast) => span_of(&cast.expr),
        Expr::Literal(value, _) => match value {
            ScalarValue::DurationSecond(Some(value)) => exact(value.checked_mul(SECOND)?),
            ScalarValue::DurationMillisecond(Some(value)) => exact(value.checked_mul(1_000)?),
            ScalarValue::DurationMicrosecond(Some(value)) => exact(*value),
            ScalarValue::DurationNanosecond(Some(value)) => exact(whole(*value)?),
            ScalarValue::IntervalDayTime(Some(value)) => {
                exact(i64::from(value.days).checked_mul(DAY)?.checked_add(i64::from(value.milliseconds) * 1_000)?)
            }
            ScalarValue::IntervalYearMonth(Some(months)) => months_span(i64::from(*months), 0),
            ScalarValue::IntervalMonthDayNano(Some(value)) => {
                let rest = i64::from(value.days).checked_mul(DAY)?.checked_add(whole(value.nanoseconds)?)?;
                months_span(i64::from(value.months), rest)
            }
            _ => None,
        },
        _ => None,
    }
}

fn months_span(months: i64, rest: i64) -> Option<SpanOfTime> {
    let (a, b) = (months.checked_mul(28 * DAY)?, months.checked_mul(31 * DAY)?);
    Some(SpanOfTime { least: a.min(b).checked_add(rest)?, most: a.max(b).checked_add(rest)? })
}
