//! What a condition says about moments.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Operator};

use super::system::{Edge, Var, uppers};
use super::time::{Time, Times, span_of};

impl Times<'_> {
    /// Adds what holds between moments wherever the condition is true.
    pub(super) fn assume(&mut self, condition: &Expr) {
        match condition {
            Expr::Alias(alias) => self.assume(&alias.expr),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.assume(left);
                self.assume(right);
            }
            Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => self.assume_one_of(condition),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.compare(left, *op, right),
            Expr::Between(Between { expr, negated: false, low, high }) => {
                self.compare(low, Operator::LtEq, expr);
                self.compare(expr, Operator::LtEq, high);
            }
            _ => {}
        }
    }

    /// Two expressions are equal in every tuple.
    pub(super) fn assume_equal(&mut self, left: &Expr, right: &Expr) {
        self.compare(left, Operator::Eq, right);
        // The same event has one time.
        if let Some((left, right)) = self.event_of(left).zip(self.event_of(right)) {
            self.edges.push(Edge { later: left, earlier: right, at_most: 0 });
            self.edges.push(Edge { later: right, earlier: left, at_most: 0 });
        }
    }

    fn event_of(&self, expr: &Expr) -> Option<Var> {
        let Expr::Column(column) = expr else { return None };
        self.node.events.get(self.schema.maybe_index_of_column(column)?).copied().flatten()
    }

    fn compare(&mut self, left: &Expr, op: Operator, right: &Expr) {
        // Moments are whole microseconds, so that a strict bound is one less.
        let (swap, slack) = match op {
            Operator::LtEq => (false, 0),
            Operator::Lt => (false, -1),
            Operator::GtEq => (true, 0),
            Operator::Gt => (true, -1),
            Operator::Eq => {
                self.compare(left, Operator::LtEq, right);
                (true, 0)
            }
            _ => return,
        };
        let (less, more) = if swap { (right, left) } else { (left, right) };
        if let Some((less, more)) = self.of(less).zip(self.of(more)) {
            self.edges.push(less.at_most_after(more, slack));
        } else if let Some(((late, early), most)) = self.difference(less).zip(self.longest(more)) {
            self.edges.push(late.at_most_after(early, most.saturating_add(slack)));
        } else if let Some((least, (late, early))) = self.shortest(less).zip(self.difference(more)) {
            self.edges.push(early.at_most_after(late, slack.saturating_sub(least)));
        }
    }

    /// `a - b`, where both are moments.
    pub(super) fn difference(&mut self, expr: &Expr) -> Option<(Time, Time)> {
        match expr {
            Expr::Alias(alias) => self.difference(&alias.expr),
            Expr::Column(column) => self.node.gaps.get(self.schema.maybe_index_of_column(column)?).copied().flatten(),
            Expr::Cast(Cast { expr, field })
                if matches!(field.data_type(), DataType::Duration(_) | DataType::Interval(_)) =>
            {
                self.difference(expr)
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => self.of(left).zip(self.of(right)),
            _ => None,
        }
    }

    fn longest(&self, expr: &Expr) -> Option<i64> {
        self.comparable(expr).then(|| span_of(expr)).flatten().map(|span| span.most)
    }

    fn shortest(&self, expr: &Expr) -> Option<i64> {
        self.comparable(expr).then(|| span_of(expr)).flatten().map(|span| span.least)
    }

    /// Intervals are compared part by part (months, then days, then the rest), so that any number of hours is less than
    /// a day: only spans without such parts bound a difference.
    fn comparable(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Alias(alias) => self.comparable(&alias.expr),
            Expr::Cast(cast) => matches!(cast.field.data_type(), DataType::Duration(_)) || self.comparable(&cast.expr),
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => value.months == 0 && value.days == 0,
            Expr::Literal(ScalarValue::IntervalDayTime(Some(value)), _) => value.days == 0,
            _ => expr.get_type(self.schema).is_ok_and(|ty| matches!(ty, DataType::Duration(_))),
        }
    }

    /// Of alternatives only what all of them say counts.
    fn assume_one_of(&mut self, condition: &Expr) {
        let mut branches = Vec::new();
        alternatives(condition, &mut branches);
        let before = std::mem::take(&mut self.edges);
        let mut claims: Vec<Vec<Edge>> = Vec::new();
        for branch in branches {
            self.assume(branch);
            claims.push(std::mem::take(&mut self.edges));
        }
        self.edges = before;
        let union = weakest(&claims);
        self.edges.extend(union);
    }
}

fn alternatives<'a>(condition: &'a Expr, branches: &mut Vec<&'a Expr>) {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            alternatives(left, branches);
            alternatives(right, branches);
        }
        other => branches.push(other),
    }
}

/// For each pair of moments the bound that every claim implies; a claim that contradicts itself is never the one.
pub(super) fn weakest(claims: &[Vec<Edge>]) -> Vec<Edge> {
    let possible: Vec<&Vec<Edge>> =
        claims.iter().filter(|edges| edges.iter().all(|edge| uppers(edges, edge.earlier).is_ok())).collect();
    let Some(first) = possible.first() else { return Vec::new() };
    let vars: BTreeSet<Var> = first.iter().flat_map(|edge| [edge.later, edge.earlier]).collect();
    let mut weakest = Vec::new();
    for &earlier in &vars {
        let distances: Vec<_> = possible.iter().filter_map(|edges| uppers(edges, earlier).ok()).collect();
        for &later in vars.iter().filter(|var| **var != earlier) {
            let bounds: Option<Vec<i64>> = distances.iter().map(|known| known.get(&later).copied()).collect();
            if let Some(at_most) = bounds.and_then(|bounds| bounds.into_iter().max()) {
                weakest.push(Edge { later, earlier, at_most });
            }
        }
    }
    weakest
}
