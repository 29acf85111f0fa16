//! `x NOT IN (SELECT y …)`, written as the NOT EXISTS that it means.
//!
//! In SQL it is true where no `y` equals `x` *and* neither is NULL while there is a row at all. A WHERE keeps only what is
//! true, so there it is `NOT EXISTS (SELECT 1 … AND (y = x OR y IS NULL OR x IS NULL))`. DataFusion's own answer differs where
//! a NULL lies outside what the subquery is correlated by.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
    UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions,
};

use super::functions::AGGREGATE;

/// Rewrites every NOT IN that stands where WHERE decides: alone, under AND, under OR. Others stay. Whether any was.
pub(super) fn rewrite(query: &mut Query) -> bool {
    let mut rewriter = Rewriter(false);
    let _: ControlFlow<()> = query.visit(&mut rewriter);
    rewriter.0
}

struct Rewriter(bool);

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.body(&mut query.body);
        ControlFlow::Continue(())
    }
}

impl Rewriter {
    fn body(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => {
                let outer = only_table(&select.from);
                if let Some(condition) = &mut select.selection {
                    self.condition(condition, outer.as_ref());
                }
            }
            // A query in parentheses is visited by itself.
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
            _ => {}
        }
    }

    fn condition(&mut self, condition: &mut Expr, outer: Option<&Ident>) {
        match condition {
            Expr::Nested(inner) => self.condition(inner, outer),
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                self.condition(left, outer);
                self.condition(right, outer);
            }
            Expr::InSubquery { expr, subquery, negated: true } => {
                if let Some(written) = not_exists(expr, subquery, outer) {
                    *condition = written;
                    self.0 = true;
                }
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => {
                if let Expr::InSubquery { expr, subquery, negated: false } = without_parentheses(inner)
                    && let Some(written) = not_exists(expr, subquery, outer)
                {
                    *condition = written;
                    self.0 = true;
                }
            }
            _ => {}
        }
    }
}

fn without_parentheses(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => without_parentheses(inner),
        other => other,
    }
}

/// The condition that it means; `None` where it can't be written without changing what a name stands for.
fn not_exists(outer_value: &Expr, subquery: &Query, outer: Option<&Ident>) -> Option<Expr> {
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    if !is_plain(select) || subquery.with.is_some() || subquery.limit_clause.is_some() || subquery.fetch.is_some() {
        return None;
    }
    let [SelectItem::UnnamedExpr(member) | SelectItem::ExprWithAlias { expr: member, .. }] =
        select.projection.as_slice()
    else {
        return None;
    };
    if aggregates(member) {
        return None;
    }
    let value = qualified(outer_value, outer, &tables(&select.from)?)?;
    let is_null = |expr: &Expr| Expr::IsNull(Box::new(in_parentheses(expr)));
    let equal = binary(in_parentheses(member), BinaryOperator::Eq, in_parentheses(&value));
    let unknown = binary(is_null(member), BinaryOperator::Or, is_null(&value));
    let matches = Expr::Nested(Box::new(binary(equal, BinaryOperator::Or, unknown)));
    let mut select = select.as_ref().clone();
    select.distinct = None;
    select.projection = vec![SelectItem::UnnamedExpr(Expr::value(Value::Number("1".into(), false)))];
    select.selection = Some(match select.selection {
        None => matches,
        Some(condition) => binary(Expr::Nested(Box::new(condition)), BinaryOperator::And, matches),
    });
    let subquery = Query { body: Box::new(SetExpr::Select(Box::new(select))), order_by: None, ..subquery.clone() };
    Some(Expr::Exists { subquery: Box::new(subquery), negated: true })
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn in_parentheses(expr: &Expr) -> Expr {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Nested(_) => expr.clone(),
        other => Expr::Nested(Box::new(other.clone())),
    }
}

/// One row for each row of its tables that the WHERE keeps.
fn is_plain(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(exprs, modifiers) => !exprs.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    !grouped && select.having.is_none() && select.qualify.is_none() && select.top.is_none() && !select.from.is_empty()
}

fn aggregates(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |part| match part {
        Expr::Function(function)
            if function.over.is_some() || AGGREGATE.contains(&function.name.to_string().to_lowercase().as_str()) =>
        {
            ControlFlow::Break(())
        }
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// The name of the one table that a SELECT reads.
fn only_table(from: &[TableWithJoins]) -> Option<Ident> {
    match from {
        [TableWithJoins { relation, joins }] if joins.is_empty() => name_of(relation),
        _ => None,
    }
}

/// The names by which the tables of a SELECT are known; `None` where one has none.
fn tables(from: &[TableWithJoins]) -> Option<Vec<Ident>> {
    from.iter()
        .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)))
        .map(name_of)
        .collect()
}

fn name_of(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(alias.name.clone()),
            None => name.0.last()?.as_ident().cloned(),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        _ => None,
    }
}

/// The value of the outer query as it can be named inside the subquery, whose tables have these names.
fn qualified(value: &Expr, outer: Option<&Ident>, inner: &[Ident]) -> Option<Expr> {
    let hidden = |name: &Ident| inner.iter().any(|inner| inner.value.eq_ignore_ascii_case(&name.value));
    let whole = |name: &Ident| -> Option<Expr> {
        let outer = outer.filter(|outer| !hidden(outer))?;
        Some(Expr::CompoundIdentifier(vec![outer.clone(), name.clone()]))
    };
    match value {
        Expr::Identifier(name) => whole(name),
        Expr::CompoundIdentifier(parts) => parts.first().filter(|name| !hidden(name)).map(|_| value.clone()),
        Expr::Nested(inner_value) => qualified(inner_value, outer, inner).map(|value| Expr::Nested(Box::new(value))),
        Expr::Value(_) => Some(value.clone()),
        other => {
            let mut value = other.clone();
            let named = datafusion::sql::sqlparser::ast::visit_expressions_mut(&mut value, |part| match part {
                Expr::Identifier(name) => match whole(name) {
                    Some(qualified) => {
                        *part = qualified;
                        ControlFlow::Continue(())
                    }
                    None => ControlFlow::Break(()),
                },
                Expr::CompoundIdentifier(parts) if parts.first().is_some_and(hidden) => ControlFlow::Break(()),
                Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            named.is_continue().then_some(value)
        }
    }
}
