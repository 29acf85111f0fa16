//! `match`: which rows can any rule use?
//!
//! Every scan's filter is split into conjuncts; the same conjunct is evaluated once a batch for all rules, later ones
//! only on the rows that earlier ones left. Most telemetry is benign, so this is where nearly all work ends.

mod conjunct;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::buffer::BooleanBuffer;
use watershed_rules::CompiledRule;
use watershed_schemas::{EventBatch, Plane};

use conjunct::BatchConjunct;

/// Where matched rows go: the position of a rule, and of a scan in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScanId {
    /// Position of the rule in the rule set.
    pub rule: usize,
    /// Position of the scan in the rule.
    pub scan: usize,
}

/// The rows that some rule can use, per scan.
#[derive(Debug, Default)]
pub struct Matches {
    /// For each scan that matched anything the positions of the rows, ascending.
    pub scans: Vec<(ScanId, Vec<u32>)>,
    /// Every row that any scan matched, ascending, without repeats.
    pub rows: Vec<u32>,
}

/// The conditions of a rule set, shared across its rules.
pub struct Matcher {
    planes: [PlaneMatcher; 2],
}

#[derive(Default)]
struct PlaneMatcher {
    conjuncts: Vec<BatchConjunct>,
    scans: Vec<(ScanId, Vec<usize>)>,
}

impl Matcher {
    /// Gathers the conditions of these rules.
    pub fn new(rules: &[Arc<CompiledRule>]) -> Self {
        let mut planes = [PlaneMatcher::default(), PlaneMatcher::default()];
        let mut known: [HashMap<Arc<str>, usize>; 2] = Default::default();
        for (rule_position, rule) in rules.iter().enumerate() {
            for (scan_position, scan) in rule.scans.iter().enumerate() {
                let plane = scan.plane.index();
                let conjuncts = scan.filters.iter().map(|filter| {
                    *known[plane].entry(Arc::clone(&filter.text)).or_insert_with(|| {
                        planes[plane].conjuncts.push(BatchConjunct::new(filter, scan.plane));
                        planes[plane].conjuncts.len() - 1
                    })
                });
                let conjuncts = conjuncts.collect();
                planes[plane].scans.push((ScanId { rule: rule_position, scan: scan_position }, conjuncts));
            }
        }
        Matcher { planes }
    }

    /// Different conditions on the plane's rows.
    pub fn conjuncts(&self, plane: Plane) -> usize {
        self.planes[plane.index()].conjuncts.len()
    }

    /// The rows of the batch that each scan can use. `accepted` names the rows that became history; `None` means all.
    ///
    /// A condition that fails on some value (a cast, say) lets the rows pass: the rule's own plan decides then, and its
    /// failure quarantines that rule alone.
    pub fn find(&self, batch: &EventBatch, accepted: Option<&[u32]>) -> Matches {
        let matcher = &self.planes[batch.plane.index()];
        let rows = batch.rows.num_rows();
        let start = accepted.map(|accepted| {
            let mut mask = vec![false; rows];
            for row in accepted {
                mask[*row as usize] = true;
            }
            BooleanBuffer::from(mask)
        });
        let mut known: Vec<Option<BooleanArray>> = vec![None; matcher.conjuncts.len()];
        let mut union: Option<BooleanBuffer> = None;
        let mut matches = Matches::default();
        for (scan, conjuncts) in &matcher.scans {
            let mut mask = start.clone();
            let mut left = mask.as_ref().map_or(rows, BooleanBuffer::count_set_bits);
            for conjunct in conjuncts {
                if left == 0 {
                    break;
                }
                let next = matcher.conjuncts[*conjunct].narrow(&batch.rows, mask.as_ref(), left, &mut known[*conjunct]);
                left = next.count_set_bits();
                mask = Some(next);
            }
            if left == 0 {
                continue;
            }
            let mask = mask.unwrap_or_else(|| BooleanBuffer::new_set(rows));
            matches.scans.push((*scan, positions(&mask)));
            union = Some(match union {
                Some(union) => &union | &mask,
                None => mask,
            });
        }
        matches.rows = union.map(|mask| positions(&mask)).unwrap_or_default();
        matches
    }
}

fn positions(mask: &BooleanBuffer) -> Vec<u32> {
    mask.set_indices().map(|position| u32::try_from(position).unwrap_or(u32::MAX)).collect()
}
