//! Many changed keys at once: starting a plan costs far more than a key's few rows, and most keys have nothing to say.
//!
//! Rows of different keys never influence each other, so a plan that finds nothing among the rows of many keys finds
//! nothing in any of them. Where it finds something, the keys are halved until those are left that have something to say.

use std::collections::HashMap;

use datafusion::arrow::array::RecordBatch;
use watershed_rules::CompiledRule;

use super::KeyState;
use crate::evaluator::key::Key;
use crate::evaluator::plans::Plans;
use crate::evaluator::rows::{RowRef, gather};
use crate::evaluator::span::Span;

/// Most rows of one run over many keys.
const MOST_ROWS: usize = 16_384;
/// With a finding for every so many keys it is no use to look for the quiet ones.
const DENSE: usize = 4;

/// A key that a plan has to be run for.
struct Candidate<'s> {
    /// Its position among the keys.
    position: usize,
    span: Span,
    /// For each scan the rows that outputs of the span can see.
    slices: Vec<&'s [RowRef]>,
}

/// For each of these keys whether its plan is known to find nothing.
pub(super) fn quiet(plans: &Plans, states: &HashMap<Key, KeyState>, keys: &[Key]) -> Vec<bool> {
    let mut quiet = vec![false; keys.len()];
    let mut group: Vec<Candidate<'_>> = Vec::new();
    let mut rows = 0;
    for (position, key) in keys.iter().enumerate() {
        let Some(candidate) = candidate(plans, states, key, position) else { continue };
        let more: usize = candidate.slices.iter().map(|slice| slice.len()).sum();
        if rows + more > MOST_ROWS {
            settle(&plans.current, &group, &mut quiet);
            group.clear();
            rows = 0;
        }
        rows += more;
        group.push(candidate);
    }
    settle(&plans.current, &group, &mut quiet);
    quiet
}

/// The key, where its whole change is judged by the present plan and no guard stops it.
fn candidate<'s>(
    plans: &Plans,
    states: &'s HashMap<Key, KeyState>,
    key: &Key,
    position: usize,
) -> Option<Candidate<'s>> {
    let state = states.get(key)?;
    let changed = state.changed?.all;
    let mut parts = plans.over(changed);
    let (span, rule) = parts.next()?;
    if parts.next().is_some() || !std::ptr::eq(rule, plans.current.as_ref()) {
        return None;
    }
    let slices: Vec<&[RowRef]> =
        rule.scans.iter().zip(&state.scans).map(|(scan, rows)| span.seen(scan.around).slice(rows)).collect();
    let guarded = rule.scans.iter().zip(&slices).any(|(scan, rows)| rows.len() < scan.min_rows);
    (!guarded).then_some(Candidate { position, span, slices })
}

fn settle(rule: &CompiledRule, group: &[Candidate<'_>], quiet: &mut [bool]) {
    // One key is as well run by itself.
    if group.len() < 2 {
        return;
    }
    let Some(findings) = findings(rule, group) else { return };
    if findings == 0 {
        group.iter().for_each(|candidate| quiet[candidate.position] = true);
    } else if findings * DENSE < group.len() {
        let (left, right) = group.split_at(group.len() / 2);
        settle(rule, left, quiet);
        settle(rule, right, quiet);
    }
}

/// How many findings the rows of all these keys give within their spans; none where the plan fails, which concerns
/// only some of them.
fn findings(rule: &CompiledRule, group: &[Candidate<'_>]) -> Option<usize> {
    let inputs: Result<Vec<RecordBatch>, _> = rule
        .scans
        .iter()
        .enumerate()
        .map(|(at, scan)| {
            let rows: Vec<RowRef> = group.iter().flat_map(|candidate| candidate.slices[at]).cloned().collect();
            gather(scan.table, &scan.projection, &rows)
        })
        .collect();
    let findings = rule.evaluate(&inputs.ok()?).ok()?;
    let all = group.iter().map(|candidate| candidate.span).reduce(|all, span| all.joined(Some(span)))?;
    Some(findings.iter().filter(|finding| all.holds(finding.event_time)).count())
}
