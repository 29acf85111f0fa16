//! Which rows can change the value of a window function.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{Expr, Window, WindowFrameBound, WindowFrameUnits};

use super::system::{Edge, System, Var};
use super::time::{Time, Times, span_of};
use super::{Node, Walk, event_column, visit};
use crate::analyse::present::has_value;
use crate::analyse::words;

/// The neighbours that functions over the same window look at.
struct Neighbour {
    /// Where it stands among the attached systems.
    at: usize,
    /// The time that the current row is ordered by, and the neighbour's.
    order: Option<(Time, Time)>,
    /// For `lag` and `lead` which window they step through, and how many rows.
    steps: Option<(String, i64)>,
}

/// The time of the row so many steps back or ahead.
struct Step {
    window: String,
    rows: i64,
    time: Time,
}

/// A row of the result is the current row; the neighbours that its functions look at are rows that may be absent.
pub(super) fn windowed(window: &Window, walk: &mut Walk) -> Result<Node> {
    let input = visit(&window.input, walk)?;
    let mut node = input.clone();
    let mut known: BTreeMap<String, Neighbour> = BTreeMap::new();
    let mut times_of_steps: Vec<Step> = Vec::new();
    for expr in &window.window_expr {
        let Some((name, params)) = function(expr) else { return plan_err!("`{expr}` isn't a window function") };
        let over = format!("{name} {:?} {:?}", params.partition_by, params.order_by);
        let rows = if matches!(name, "lag" | "lead") { steps(params) } else { None };
        let which = format!("{over} {rows:?} {:?}", params.window_frame);
        if !known.contains_key(&which) {
            let mut neighbour = neighbour(params, window, &input, &mut node, walk);
            neighbour.steps = rows.map(|rows| (over.clone(), rows));
            known.insert(which.clone(), neighbour);
        }
        let Some(Neighbour { at, order, .. }) = known.get(&which) else { continue };
        let mut times = Times { walk, node: &input, schema: window.input.schema(), edges: Vec::new() };
        let argument = params.args.first().and_then(|argument| times.of(argument));
        let mut column = None;
        match (order, rows) {
            (Some((current, other)), Some(rows)) => {
                let backwards = name == "lag";
                let from = node.system.attached[*at].edges.len();
                node.system.attached[*at].edges.push(in_order(backwards, *other, *current));
                // Where there is a default, it stands for a row that isn't there.
                let argument = argument.filter(|argument| argument.var == current.var && params.args.len() < 3);
                if let Some(argument) = argument {
                    let var = walk.fresh();
                    let step = Time { var, offset: current.offset - argument.offset };
                    node.system.edges.push(in_order(backwards, step, *current));
                    times_of_steps.push(Step { window: over, rows, time: step });
                    column = Some(Time { var, offset: 0 });
                }
                walk.because(&node.system.attached[*at].edges[from..], &words(expr, &|column| column.name.clone()));
            }
            (Some((current, other)), None)
                if has_frame(name) && params.window_frame.units == WindowFrameUnits::Range =>
            {
                let edges = frame(params, *current, *other);
                walk.because(&edges, &words(expr, &|column| column.name.clone()));
                node.system.attached[*at].edges.extend(edges);
            }
            _ => {}
        }
        node.times.push(column);
        node.resize(node.times.len());
    }
    // Only rows between the current one and the last step can take the place of any step before it.
    for Neighbour { at, order, steps } in known.values() {
        let (Some((_, other)), Some((over, rows))) = (order, steps) else { continue };
        let farther = times_of_steps.iter().filter(|step| step.window == *over && step.rows >= *rows);
        let backwards = over.starts_with("lag");
        let edges = farther.map(|step| in_order(backwards, step.time, *other));
        node.system.attached[*at].edges.extend(edges);
    }
    Ok(node)
}

/// The first is not later than the second, or not earlier where rows are stepped through ahead.
fn in_order(backwards: bool, first: Time, second: Time) -> Edge {
    let (early, late) = if backwards { (first, second) } else { (second, first) };
    early.at_most_after(late, 0)
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
    let mut shared: BTreeSet<Var> = params
        .partition_by
        .iter()
        .filter(|expr| has_value(expr, &window.input))
        .filter_map(|expr| times.of(expr))
        .map(|time| time.var)
        .collect();
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
    Neighbour { at: node.system.attached.len() - 1, order: order.map(|order| (order, moved(order))), steps: None }
}

pub(in crate::analyse) fn function(expr: &Expr) -> Option<(&str, &WindowFunctionParams)> {
    match expr {
        Expr::Alias(alias) => function(&alias.expr),
        Expr::WindowFunction(function) => Some((function.fun.name(), &function.params)),
        _ => None,
    }
}

/// How many rows back or ahead, counting every row.
fn steps(params: &WindowFunctionParams) -> Option<i64> {
    let rows = match params.args.as_slice() {
        [_] => 1,
        [_, Expr::Literal(offset, _)] | [_, Expr::Literal(offset, _), _] => {
            match offset.cast_to(&DataType::Int64).ok()? {
                ScalarValue::Int64(Some(rows)) => rows,
                _ => return None,
            }
        }
        _ => return None,
    };
    (rows >= 1 && params.null_treatment.is_none() && params.filter.is_none()).then_some(rows)
}

/// Whether the function looks at the rows of its frame only; others look at the whole partition whatever the frame.
fn has_frame(name: &str) -> bool {
    !matches!(name, "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "ntile" | "lag" | "lead")
}

/// How far the frame reaches on either side.
fn frame(params: &WindowFunctionParams, current: Time, neighbour: Time) -> Vec<Edge> {
    let span = |value: &ScalarValue| span_of(&Expr::Literal(value.clone(), None));
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
