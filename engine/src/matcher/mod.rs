//! `match`: which rows can any rule use?
//!
//! Every scan's filter is split into conjuncts; the same conjunct is evaluated once a batch for all rules, later ones
//! only on the rows that earlier ones left. Those on one text column are looked up by value (`text`), by literal
//! (`literals`) or by all regular expressions at once (`patterns`), so that a rule costs what it matches, not what it says. Most telemetry is benign: nearly all work
//! ends here.

mod conjunct;
mod literals;
mod patterns;
mod text;
mod truth;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use watershed_rules::CompiledRule;
use watershed_schemas::{ColumnSet, EventBatch, Plane};

use conjunct::BatchConjunct;
use text::TextColumn;
use truth::Truth;

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
    /// For each set of conditions that anything matched the scans that have it and the rows.
    pub scans: Vec<Matched>,
    /// Every row that any scan matched, ascending, without repeats.
    pub rows: Vec<u32>,
}

/// The rows that scans with the same conditions can use.
#[derive(Debug)]
pub struct Matched {
    /// The scans.
    pub scans: Arc<[ScanId]>,
    /// The positions of the rows, ascending.
    pub rows: Vec<u32>,
}

impl Matches {
    /// The rows that each scan can use.
    pub fn each(&self) -> impl Iterator<Item = (ScanId, &[u32])> {
        self.scans.iter().flat_map(|matched| matched.scans.iter().map(|scan| (*scan, matched.rows.as_slice())))
    }
}

/// The conditions of a rule set, shared across its rules.
pub struct Matcher {
    planes: [PlaneMatcher; 2],
}

#[derive(Default)]
struct PlaneMatcher {
    conjuncts: Vec<BatchConjunct>,
    texts: Vec<TextColumn>,
    /// Scans by the conditions that they all have.
    scans: Vec<(Arc<[ScanId]>, Vec<usize>)>,
    columns: ColumnSet,
}

impl Matcher {
    /// Gathers the conditions of these rules.
    pub fn new(rules: &[Arc<CompiledRule>]) -> Self {
        let mut planes = [PlaneMatcher::default(), PlaneMatcher::default()];
        let mut known: [HashMap<Arc<str>, usize>; 2] = Default::default();
        let mut same: [BTreeMap<Vec<usize>, Vec<ScanId>>; 2] = Default::default();
        for (rule_position, rule) in rules.iter().enumerate() {
            for (scan_position, scan) in rule.scans.iter().enumerate() {
                let Some(events) = scan.table.plane() else { continue };
                let plane = events.index();
                let conjuncts = scan.filters.iter().map(|filter| {
                    *known[plane].entry(Arc::clone(&filter.text)).or_insert_with(|| {
                        planes[plane].conjuncts.push(BatchConjunct::new(filter, events));
                        planes[plane].conjuncts.len() - 1
                    })
                });
                let conjuncts: Vec<usize> = conjuncts.collect();
                same[plane].entry(conjuncts).or_default().push(ScanId { rule: rule_position, scan: scan_position });
            }
        }
        for plane in Plane::ALL {
            let scans = std::mem::take(&mut same[plane.index()]).into_iter();
            planes[plane.index()].scans = scans.map(|(conjuncts, scans)| (scans.into(), conjuncts)).collect();
            planes[plane.index()].prepare(plane);
        }
        Matcher { planes }
    }

    /// Different conditions on the plane's rows.
    pub fn conjuncts(&self, plane: Plane) -> usize {
        self.planes[plane.index()].conjuncts.len()
    }

    /// The columns that the conditions on the plane's rows read.
    pub fn columns(&self, plane: Plane) -> ColumnSet {
        self.planes[plane.index()].columns
    }

    /// The rows of the batch that each scan can use. `accepted` names the rows that became history; `None` means all.
    ///
    /// A condition that fails on some value (a cast, say) lets the rows pass: the rule's own plan decides then, and its
    /// failure quarantines that rule alone.
    pub fn find(&mut self, batch: &EventBatch, accepted: Option<&[u32]>) -> Matches {
        let rows = batch.rows.num_rows();
        let start = accepted.map(|accepted| {
            let mut mask = vec![false; rows];
            for row in accepted {
                mask[*row as usize] = true;
            }
            BooleanBuffer::from(mask)
        });
        self.planes[batch.plane.index()].find(&batch.rows, start)
    }
}

/// Scans that rows are left for.
struct Left {
    scans: Arc<[ScanId]>,
    /// The conditions that were not looked up.
    conjuncts: Vec<usize>,
    /// The rows; all where absent.
    mask: Option<BooleanBuffer>,
    count: usize,
}

impl PlaneMatcher {
    /// Once all conditions are known.
    fn prepare(&mut self, plane: Plane) {
        self.columns = self.conjuncts.iter().flat_map(|conjunct| conjunct.columns.iter().copied()).collect();
        for (position, conjunct) in self.conjuncts.iter().enumerate() {
            let Some(column) = conjunct.text_column(plane) else { continue };
            let known = self.texts.iter().position(|text| text.column() == column).unwrap_or_else(|| {
                self.texts.push(TextColumn::new(column));
                self.texts.len() - 1
            });
            self.texts[known].add(position);
        }
    }

    fn find(&mut self, rows: &RecordBatch, start: Option<BooleanBuffer>) -> Matches {
        let mut truths = vec![Truth::Unknown; self.conjuncts.len()];
        for text in &mut self.texts {
            text.judge(rows, &self.conjuncts, &mut truths);
        }
        let mut left = self.left_by_lookup(&truths, rows.num_rows(), start);
        for text in &self.texts {
            let searching = |searched: &[usize]| union(&left, searched, rows.num_rows());
            text.search(rows, searching, &self.conjuncts, &mut truths);
        }
        let mut matches = Matches::default();
        let mut all: Option<BooleanBuffer> = None;
        for scan in &mut left {
            for conjunct in &scan.conjuncts {
                if scan.count == 0 {
                    break;
                }
                let condition = &self.conjuncts[*conjunct];
                let next = condition.narrow(rows, scan.mask.as_ref(), scan.count, &mut truths[*conjunct]);
                scan.count = next.count_set_bits();
                scan.mask = Some(next);
            }
            if scan.count == 0 {
                continue;
            }
            let mask = scan.mask.take().unwrap_or_else(|| BooleanBuffer::new_set(rows.num_rows()));
            matches.scans.push(Matched { scans: Arc::clone(&scan.scans), rows: positions(&mask) });
            all = Some(match all {
                Some(all) => &all | &mask,
                None => mask,
            });
        }
        matches.rows = all.map(|mask| positions(&mask)).unwrap_or_default();
        matches
    }

    /// The scans that have rows left after the conditions that were looked up.
    fn left_by_lookup(&self, truths: &[Truth], rows: usize, start: Option<BooleanBuffer>) -> Vec<Left> {
        let accepted = start.as_ref().map_or(rows, BooleanBuffer::count_set_bits);
        let mut left = Vec::new();
        for (scans, conjuncts) in &self.scans {
            if accepted == 0 || conjuncts.iter().any(|conjunct| matches!(truths[*conjunct], Truth::Never)) {
                continue;
            }
            let mut mask = start.clone();
            let mut rest = Vec::new();
            for conjunct in conjuncts {
                match &truths[*conjunct] {
                    Truth::At(truth) => mask = Some(mask.map_or_else(|| truth.clone(), |mask| &mask & truth)),
                    _ => rest.push(*conjunct),
                }
            }
            let count = mask.as_ref().map_or(rows, BooleanBuffer::count_set_bits);
            if count > 0 {
                left.push(Left { scans: Arc::clone(scans), conjuncts: rest, mask, count });
            }
        }
        left
    }
}

/// The rows that are left to any scan with one of these conditions; none where there is no such scan.
fn union(left: &[Left], conditions: &[usize], rows: usize) -> Option<BooleanBuffer> {
    let mut union: Option<BooleanBuffer> = None;
    for scan in
        left.iter().filter(|scan| scan.conjuncts.iter().any(|conjunct| conditions.binary_search(conjunct).is_ok()))
    {
        let mask = scan.mask.clone().unwrap_or_else(|| BooleanBuffer::new_set(rows));
        union = Some(match union {
            Some(union) => &union | &mask,
            None => mask,
        });
    }
    union
}

fn positions(mask: &BooleanBuffer) -> Vec<u32> {
    mask.set_indices().map(|position| u32::try_from(position).unwrap_or(u32::MAX)).collect()
}
