//! Why a row is kept as long as it is: the constraints of the shortest path, with the predicates that they come from.

use std::collections::BTreeMap;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::system::{Edge, System, Var, path};
use super::time::{Time, Times};
use super::{Walk, always_there, group_member, rooted, shared_by};
use crate::analyse::{Chain, ScanReach, Step, words};

/// Which predicate each constraint comes from.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    labels: Vec<String>,
    scans: BTreeMap<Var, usize>,
    said: BTreeMap<(Var, Var, i64), String>,
}

fn place(edge: &Edge) -> (Var, Var, i64) {
    (edge.later, edge.earlier, edge.at_most)
}

impl Walk {
    /// The variable is the event time of this scan's row.
    pub(super) fn stands_for(&mut self, var: Var, scan: usize) {
        if let Some(reasons) = &mut self.reasons {
            reasons.scans.insert(var, scan);
        }
    }

    /// These constraints follow from this; what was said of them before stays.
    pub(super) fn because(&mut self, edges: &[Edge], text: &str) {
        let Some(reasons) = &mut self.reasons else { return };
        for edge in edges {
            reasons.said.entry(place(edge)).or_insert_with(|| text.to_owned());
        }
    }

    /// One constraint holds for the reason of another.
    pub(super) fn because_like(&mut self, edge: Edge, other: Edge) {
        let Some(text) = self.reasons.as_ref().and_then(|reasons| reasons.said.get(&place(&other)).cloned()) else {
            return;
        };
        self.because(&[edge], &text);
    }

    /// What one alternative said of constraints isn't why all of them hold.
    pub(super) fn forget_reasons(&mut self, edges: &[Edge]) {
        let Some(reasons) = &mut self.reasons else { return };
        for edge in edges {
            reasons.said.remove(&place(edge));
        }
    }

    /// Constraints on some `member` of a group hold for the reasons that bind every value of it, `of`, to what the group
    /// shares.
    pub(super) fn because_of_group(&mut self, known: &[Edge], of: Var, member: Var, edges: &[Edge]) {
        let Some(reasons) = &self.reasons else { return };
        let inside = |var: Var| if var == member { of } else { var };
        let texts: Vec<String> = edges
            .iter()
            .map(|edge| {
                let steps = path(known, inside(edge.earlier), inside(edge.later)).unwrap_or_default();
                let mut texts: Vec<&str> =
                    steps.iter().filter_map(|step| reasons.said.get(&place(step)).map(String::as_str)).collect();
                texts.dedup();
                texts.join(" and ")
            })
            .collect();
        for (edge, text) in edges.iter().zip(texts) {
            if !text.is_empty() {
                self.because(&[*edge], &text);
            }
        }
    }
}

impl Times<'_> {
    /// The constraints added since `from` follow from this expression.
    pub(super) fn because(&mut self, from: usize, expr: &Expr) {
        if self.walk.reasons.is_some() {
            let text = self.text(expr);
            self.walk.because(&self.edges[from..], &text);
        }
    }

    /// As [`Times::because`], for an equality.
    pub(super) fn because_equal(&mut self, from: usize, left: &Expr, right: &Expr) {
        if self.walk.reasons.is_some() {
            let text = format!("{} = {}", self.text(left), self.text(right));
            self.walk.because(&self.edges[from..], &text);
        }
    }

    fn text(&self, expr: &Expr) -> String {
        words(expr, &|column| self.label(column).unwrap_or_else(|| column.name.clone()))
    }

    fn label(&self, column: &Column) -> Option<String> {
        let reasons = self.walk.reasons.as_ref()?;
        let at = self.schema.maybe_index_of_column(column)?;
        let time = self.node.times.get(at).copied().flatten()?;
        let label = reasons.labels.get(*reasons.scans.get(&time.var)?)?;
        Some(format!("{label}.event_time"))
    }
}

/// For each scan why its rows are kept as long as they are.
pub(in crate::analyse) fn chains(
    plan: &LogicalPlan,
    event_time: usize,
    key: &[usize],
    labels: &[String],
) -> Vec<ScanReach> {
    let mut found: BTreeMap<usize, ScanReach> = BTreeMap::new();
    let reasons = Reasons { labels: labels.to_vec(), ..Reasons::default() };
    let mut walk = Walk { reasons: Some(reasons), ..Walk::default() };
    // The rule was compiled: whatever is missing here is only not shown.
    if let Ok((mut node, output)) = rooted(plan, event_time, &mut walk) {
        let anchor = Time { var: walk.fresh(), offset: 0 };
        node.system.edges.extend([anchor.at_most_after(output, 0), output.at_most_after(anchor, 0)]);
        let shared = shared_by(key.iter().copied(), &node, |column| always_there(plan, column));
        let least = walk.fresh();
        if let Ok(edges) = group_member(&node, output, &shared, least) {
            walk.because_of_group(&node.system.edges, output.var, least, &edges);
            node.system.edges.extend(edges);
            collect(&node.system, &[], least, &walk, &mut found);
        }
    }
    (0..labels.len()).map(|scan| found.remove(&scan).unwrap_or_default()).collect()
}

fn collect(system: &System, known: &[Edge], least: Var, walk: &Walk, found: &mut BTreeMap<usize, ScanReach>) {
    let edges: Vec<Edge> = known.iter().chain(&system.edges).copied().collect();
    for (scan, var) in &system.scans {
        let chain = |from: Var, to: Var| match path(&edges, from, to) {
            None => Chain::default(),
            Some(steps) => told(&steps, walk),
        };
        let here = ScanReach { behind: chain(*var, least), ahead: chain(least, *var) };
        let longer = |known: Chain, new: Chain| match (known.micros, new.micros) {
            (Some(a), Some(b)) if a >= b => known,
            (None, _) => known,
            _ => new,
        };
        let merged = match found.remove(scan) {
            None => here,
            Some(before) => {
                ScanReach { behind: longer(before.behind, here.behind), ahead: longer(before.ahead, here.ahead) }
            }
        };
        found.insert(*scan, merged);
    }
    for attached in &system.attached {
        collect(attached, &edges, least, walk, found);
    }
}

fn told(steps: &[Edge], walk: &Walk) -> Chain {
    let micros = steps.iter().fold(0_i64, |sum, edge| sum.saturating_add(edge.at_most));
    let said = |edge: &Edge| walk.reasons.as_ref().and_then(|reasons| reasons.said.get(&place(edge)).cloned());
    let steps = steps.iter().map(|edge| Step { because: said(edge), micros: edge.at_most });
    Chain { micros: Some(micros), steps: steps.filter(|step| step.because.is_some() || step.micros != 0).collect() }
}
