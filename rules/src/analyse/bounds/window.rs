//! Which rows can change the value of a window function.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{Expr, Window, WindowFrameBound, WindowFrameUnits};

use super::system::{Edge, System, Var};
use super::time::{Time, Times, span_of};
use super::{Node, Walk, shared_by, visit};

/// A row of the result is the current row; the neighbours that a function looks at are rows that may be absent.
pub(super) fn windowed(window: &Window, walk: &mut Walk) -> Result<Node> {
    let neighbour = visit(&window.input, walk)?;
    let schema = window.input.schema();
    let mut node = neighbour.clone();
    for expr in &window.window_expr {
        let Some((name, params)) = function(expr) else { return plan_err!("`{expr}` isn't a window function") };
        let mut times = Times { walk, node: &neighbour, schema, edges: Vec::new() };
        let order = params.order_by.first().filter(|sort| sort.asc).and_then(|sort| times.of(&sort.expr));
        let partition: Vec<Option<Time>> = params.partition_by.iter().map(|expr| times.of(expr)).collect();
        let argument = params.args.first().and_then(|argument| times.of(argument));
        let extra = times.edges;
        let events: BTreeSet<Var> = params
            .partition_by
            .iter()
            .filter_map(|expr| super::event_column(expr, schema, &neighbour))
            .chain(partition.into_iter().flatten().map(|time| time.var))
            .collect();

        // The neighbours: the same is known of them, and they share with the current row what it is partitioned by.
        let mut names: BTreeMap<Var, Var> = BTreeMap::new();
        let mut system = System { edges: extra.clone(), ..neighbour.system.clone() };
        system.edges.extend(neighbour.system.edges.iter().copied());
        let mut other = {
            let mut fresh = |var: Var| *names.entry(var).or_insert_with(|| walk.fresh());
            system.renamed(&events, &mut fresh)
        };
        node.system.edges.extend(extra);
        let moved = |time: Time| Time { var: if events.contains(&time.var) { time.var } else { names.get(&time.var).copied().unwrap_or(time.var) }, ..time };

        let column = match (name, order) {
            ("lag" | "lead", Some(order)) if single_step(params) => {
                let (earlier, later) = if name == "lag" { (moved(order), order) } else { (order, moved(order)) };
                other.edges.push(earlier.at_most_after(later, 0));
                argument.map(|argument| {
                    let var = walk.fresh();
                    let value = Time { var, offset: 0 };
                    let same = argument.var == order.var;
                    if same {
                        // Only rows between the current one and its neighbour can take the neighbour's place.
                        let step = Time { var, offset: order.offset - argument.offset };
                        let (first, second) = if name == "lag" { (step, moved(order)) } else { (moved(order), step) };
                        other.edges.push(first.at_most_after(second, 0));
                        let (first, second) = if name == "lag" { (step, order) } else { (order, step) };
                        node.system.edges.push(first.at_most_after(second, 0));
                    }
                    value
                })
            }
            (_, Some(order)) if params.window_frame.units == WindowFrameUnits::Range => {
                other.edges.extend(frame(params, order, moved(order)));
                None
            }
            _ => None,
        };
        node.system.attached.push(other);
        node.times.push(column);
        node.events.push(None);
    }
    debug_assert!(shared_by(std::iter::empty(), &node).is_empty());
    Ok(node)
}

fn function(expr: &Expr) -> Option<(&str, &WindowFunctionParams)> {
    match expr {
        Expr::Alias(alias) => function(&alias.expr),
        Expr::WindowFunction(function) => Some((function.fun.name(), &function.params)),
        _ => None,
    }
}

/// One row back or ahead, NULL where there is none.
fn single_step(params: &WindowFunctionParams) -> bool {
    let one = |expr: &Expr| expr.to_string() == "Int64(1)";
    params.null_treatment.is_none() && match params.args.as_slice() {
        [_] => true,
        [_, offset] => one(offset),
        _ => false,
    }
}

/// How far the frame reaches on either side.
fn frame(params: &WindowFunctionParams, current: Time, neighbour: Time) -> Vec<Edge> {
    let span = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(value) => span_of(&Expr::Literal(value.clone(), None)).map(|span| -span.most),
        WindowFrameBound::Following(value) => span_of(&Expr::Literal(value.clone(), None)).map(|span| span.most),
    };
    let frame = &params.window_frame;
    let mut edges = Vec::new();
    if let Some(start) = span(&frame.start_bound) {
        edges.push(current.at_most_after(neighbour, -start));
    }
    if let Some(end) = span(&frame.end_bound) {
        edges.push(neighbour.at_most_after(current, end));
    }
    edges
}
