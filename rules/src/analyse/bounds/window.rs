//! Which rows can change the value of a window function.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{Expr, Window, WindowFrameBound, WindowFrameUnits};

use super::system::{Edge, System, Var};
use super::time::{Time, Times, span_of};
use super::{Node, Walk, event_column, visit};
use crate::explain::words;

/// The neighbours that functions over the same window look at.
struct Neighbour {
    /// Where it stands among the attached systems.
    at: usize,
    /// The time that the current row is ordered by, and the neighbour's.
    order: Option<(Time, Time)>,
}

/// A row of the result is the current row; the neighbours that its functions look at are rows that may be absent.
pub(super) fn windowed(window: &Window, walk: &mut Walk) -> Result<Node> {
    let input = visit(&window.input, walk)?;
    let mut node = input.clone();
    let mut known: BTreeMap<String, Neighbour> = BTreeMap::new();
    for expr in &window.window_expr {
        let Some((name, params)) = function(expr) else { return plan_err!("`{expr}` isn't a window function") };
        let which = format!("{name} {:?} {:?}", params.partition_by, params.order_by);
        if !known.contains_key(&which) {
            known.insert(which.clone(), neighbour(params, window, &input, &mut node, walk));
        }
        let Some(Neighbour { at, order }) = known.get(&which) else { continue };
        let mut times = Times { walk, node: &input, schema: window.input.schema(), edges: Vec::new() };
        let argument = params.args.first().and_then(|argument| times.of(argument));
        let mut column = None;
        match (name, order) {
            ("lag" | "lead", Some((current, other))) if single_step(params) => {
                let backwards = name == "lag";
                let in_order = |first: Time, second: Time| {
                    let (early, late) = if backwards { (first, second) } else { (second, first) };
                    early.at_most_after(late, 0)
                };
                let from = node.system.attached[*at].edges.len();
                node.system.attached[*at].edges.push(in_order(*other, *current));
                if let Some(argument) = argument.filter(|argument| argument.var == current.var) {
                    // Only rows between the current one and its neighbour can take the neighbour's place.
                    let var = walk.fresh();
                    let step = Time { var, offset: current.offset - argument.offset };
                    node.system.attached[*at].edges.push(in_order(step, *other));
                    node.system.edges.push(in_order(step, *current));
                    column = Some(Time { var, offset: 0 });
                }
                walk.because(&node.system.attached[*at].edges[from..], &words(expr, &|column| column.name.clone()));
            }
            (name, Some((current, other)))
                if has_frame(name) && params.window_frame.units == WindowFrameUnits::Range =>
            {
                let edges = frame(params, *current, *other);
                walk.because(&edges, &words(expr, &|column| column.name.clone()));
                node.system.attached[*at].edges.extend(edges);
            }
            _ => {}
        }
        node.times.push(column);
        node.events.push(None);
    }
    Ok(node)
}

/// Another row of the input: the same is known of it, and it shares with the current row what both are partitioned by.
fn neighbour(
    params: &WindowFunctionParams,
    window: &Window,
    input: &Node,
    node: &mut Node,
    walk: &mut Walk,
) -> Neighbour {
    let schema = window.input.schema();
    let mut times = Times { walk, node: input, schema, edges: Vec::new() };
    let order = params.order_by.first().filter(|sort| sort.asc).and_then(|sort| times.of(&sort.expr));
    let mut shared: BTreeSet<Var> =
        params.partition_by.iter().filter_map(|expr| times.of(expr)).map(|time| time.var).collect();
    let edges = times.edges;
    shared.extend(params.partition_by.iter().filter_map(|expr| event_column(expr, schema, input)));

    let mut system: System = input.system.clone();
    system.edges.extend(edges.iter().copied());
    node.system.edges.extend(edges);
    let mut names: BTreeMap<Var, Var> = BTreeMap::new();
    let renamed = system.renamed(&shared, &mut |var| *names.entry(var).or_insert_with(|| walk.fresh()));
    for (ours, theirs) in input.system.edges.iter().zip(&renamed.edges) {
        walk.because_like(*theirs, *ours);
    }
    node.system.attached.push(renamed);
    let moved = |time: Time| Time { var: names.get(&time.var).copied().unwrap_or(time.var), ..time };
    Neighbour { at: node.system.attached.len() - 1, order: order.map(|order| (order, moved(order))) }
}

pub(in crate::analyse) fn function(expr: &Expr) -> Option<(&str, &WindowFunctionParams)> {
    match expr {
        Expr::Alias(alias) => function(&alias.expr),
        Expr::WindowFunction(function) => Some((function.fun.name(), &function.params)),
        _ => None,
    }
}

/// One row back or ahead, NULL where there is none.
fn single_step(params: &WindowFunctionParams) -> bool {
    params.null_treatment.is_none()
        && match params.args.as_slice() {
            [_] => true,
            [_, offset] => offset.to_string() == "Int64(1)",
            _ => false,
        }
}

/// Whether the function looks at the rows of its frame only; others look at the whole partition whatever the frame.
fn has_frame(name: &str) -> bool {
    !matches!(name, "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "ntile" | "lag" | "lead")
}

/// How far the frame reaches on either side.
fn frame(params: &WindowFunctionParams, current: Time, neighbour: Time) -> Vec<Edge> {
    let span = |value: &datafusion::common::ScalarValue| span_of(&Expr::Literal(value.clone(), None));
    let start = match &params.window_frame.start_bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(value) => span(value).map(|span| -span.most),
        WindowFrameBound::Following(value) => span(value).map(|span| span.least),
    };
    let end = match &params.window_frame.end_bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(value) => span(value).map(|span| -span.least),
        WindowFrameBound::Following(value) => span(value).map(|span| span.most),
    };
    let start = start.map(|start| current.at_most_after(neighbour, -start));
    let end = end.map(|end| neighbour.at_most_after(current, end));
    start.into_iter().chain(end).collect()
}
