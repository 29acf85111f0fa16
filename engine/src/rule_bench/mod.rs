//! What each rule costs on a recording.
//!
//! Every rule runs alone through a core of its own, all rules run through one together, and a core without rules shows
//! what accepting events costs by itself; all of them are fed the same batches in one pass. Times are by the wall clock of
//! this process, measured by the shell around the core: compare them with each other, not with another machine's.

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::{take, take_record_batch};
use watershed_connectors::sources::SourceError;
use watershed_rules::explain::{Condition, Explained, Input as Reads};
use watershed_schemas::EventBatch;

use crate::core::{Core, Input, Settings};
use crate::evaluator::RuleSetup;
use crate::intake::Intake;
use crate::matcher::Matcher;
use crate::store::Commit;

pub use report::{BenchReport, FilterCost, RuleCost, Together};

/// How long one look at the input waits.
const POLL: Duration = Duration::from_millis(100);

/// A rule that is being measured.
struct Measured {
    explained: Explained,
    matcher: Matcher,
    core: Core,
    filters: Vec<Vec<FilterTally>>,
    match_took: Duration,
    step_took: Duration,
    matched: u64,
    matched_bytes: u64,
    most_rows: usize,
    standing: BTreeMap<String, bool>,
}

#[derive(Clone, Copy, Default)]
struct FilterTally {
    rows_in: u64,
    rows_out: u64,
    took: Duration,
}

/// Measures these rules on an input.
///
/// # Errors
/// When the source fails.
pub fn measure(mut intake: Intake, settings: Settings, rules: Vec<Explained>) -> Result<BenchReport, SourceError> {
    let setup = |explained: &Explained| RuleSetup::as_written(Arc::clone(&explained.rule));
    let mut together = Core::new(settings, rules.iter().map(setup).collect());
    let mut bare = Core::new(settings, Vec::new());
    let mut measured: Vec<Measured> = rules.into_iter().map(|rule| Measured::new(rule, settings)).collect();
    let mut report = Together::default();
    let mut bare_took = Duration::ZERO;
    loop {
        let started = Instant::now();
        let polled = intake.poll(POLL)?;
        report.read_took_us += started.elapsed().as_micros();
        for input in &polled.inputs {
            let Input::Rows { batch, .. } = input else { continue };
            report.events += batch.rows.num_rows() as u64;
            measured.iter_mut().for_each(|rule| rule.look_at(batch));
        }
        for rule in &mut measured {
            rule.step(&polled.inputs);
        }
        bare_took += timed(&mut bare, &polled.inputs);
        report.took_us += timed(&mut together, &polled.inputs).as_micros();
        report.most_rows = report.most_rows.max(together.rows().map(|(_, rows)| rows as u64).sum());
        if polled.ended {
            break;
        }
    }
    report.accept_took_us = bare_took.as_micros();
    let mut rules: Vec<RuleCost> = measured.into_iter().map(|rule| rule.cost(bare_took)).collect();
    rules.sort_by(|a, b| (b.total_us(), &a.rule).cmp(&(a.total_us(), &b.rule)));
    Ok(BenchReport { rules, together: report })
}

/// How long the core takes for these inputs.
fn timed(core: &mut Core, inputs: &[Input]) -> Duration {
    let inputs = inputs.iter().map(again).collect();
    let mut commit = Commit::default();
    let started = Instant::now();
    core.step(inputs, &mut commit);
    started.elapsed()
}

/// The same input once more; the columns are shared.
fn again(input: &Input) -> Input {
    match input {
        Input::Rows { origin, partition, batch } => {
            Input::Rows { origin: *origin, partition: partition.clone(), batch: batch.clone() }
        }
        Input::Assigned(partition) => Input::Assigned(partition.clone()),
        Input::Revoked(partition) => Input::Revoked(partition.clone()),
        Input::CaughtUp(partition, at) => Input::CaughtUp(partition.clone(), *at),
        Input::End => Input::End,
    }
}

impl Measured {
    fn new(explained: Explained, settings: Settings) -> Self {
        let rule = Arc::clone(&explained.rule);
        Measured {
            matcher: Matcher::new(std::slice::from_ref(&rule)),
            filters: rule.scans.iter().map(|scan| vec![FilterTally::default(); scan.filters.len()]).collect(),
            core: Core::new(settings, vec![RuleSetup::as_written(rule)]),
            explained,
            match_took: Duration::ZERO,
            step_took: Duration::ZERO,
            matched: 0,
            matched_bytes: 0,
            most_rows: 0,
            standing: BTreeMap::new(),
        }
    }

    /// What matching this batch costs, as a whole and filter by filter.
    fn look_at(&mut self, batch: &EventBatch) {
        let started = Instant::now();
        let matches = self.matcher.find(batch, None);
        self.match_took += started.elapsed();
        self.matched += matches.rows.len() as u64;
        if let Ok(rows) = take_record_batch(&batch.rows, &UInt32Array::from(matches.rows)) {
            self.matched_bytes += bytes_of(&rows);
        }
        let scans = self.explained.rule.scans.iter().enumerate();
        for (at, _) in scans.filter(|(_, scan)| scan.plane == batch.plane) {
            filter_by_filter(&self.explained.anatomy.filters[at], &batch.rows, &mut self.filters[at]);
        }
    }

    fn step(&mut self, inputs: &[Input]) {
        let inputs = inputs.iter().map(again).collect();
        let mut commit = Commit::default();
        let started = Instant::now();
        let output = self.core.step(inputs, &mut commit);
        self.step_took += started.elapsed();
        let remembered = self.core.rows().map(|(_, rows)| rows).sum();
        self.most_rows = self.most_rows.max(remembered);
        self.standing.extend(output.signals.into_iter().map(|signal| (signal.signal_id, !signal.withdrawn)));
    }

    fn cost(self, bare: Duration) -> RuleCost {
        let labels = &self.explained.anatomy.labels;
        let mut filters: Vec<FilterCost> = Vec::new();
        for (at, tallies) in self.filters.iter().enumerate() {
            let conditions = &self.explained.anatomy.filters[at];
            filters.extend(conditions.iter().zip(tallies).map(|(condition, tally)| FilterCost {
                scan: labels[at].clone(),
                condition: condition.text.clone(),
                rows_in: tally.rows_in,
                rows_out: tally.rows_out,
                took_us: tally.took.as_micros(),
            }));
        }
        let own = self.step_took.saturating_sub(bare);
        let bytes_per_row = self.matched_bytes.checked_div(self.matched).unwrap_or(0);
        RuleCost {
            rule: self.explained.rule.meta.id.clone(),
            match_us: self.match_took.as_micros(),
            evaluate_us: own.saturating_sub(self.match_took).as_micros(),
            matched: self.matched,
            filters,
            plans_run: self.core.tally().evaluations,
            guarded: self.core.tally().guarded,
            most_rows: self.most_rows as u64,
            most_bytes: bytes_per_row * self.most_rows as u64,
            signals: self.standing.values().filter(|stands| **stands).count() as u64,
            stopped: self.core.quarantined().next().map(|(_, reason)| reason.to_owned()),
        }
    }
}

/// What the values of these rows take; what Arrow reserves beyond them does not count.
fn bytes_of(rows: &RecordBatch) -> u64 {
    let column = |column: &datafusion::arrow::array::ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
    rows.columns().iter().map(|values| column(values) as u64).sum()
}

fn filter_by_filter(filters: &[Condition], rows: &RecordBatch, tallies: &mut [FilterTally]) {
    let mut left: Vec<u32> = (0..u32::try_from(rows.num_rows()).unwrap_or(u32::MAX)).collect();
    for (filter, tally) in filters.iter().zip(tallies) {
        tally.rows_in += left.len() as u64;
        let started = Instant::now();
        let positions = UInt32Array::from(left.clone());
        let columns: Option<Vec<_>> = filter
            .inputs
            .iter()
            .map(|input| match input {
                Reads::Column(_, column) if left.len() == rows.num_rows() => Some(Arc::clone(rows.column(*column))),
                Reads::Column(_, column) => take(rows.column(*column), &positions, None).ok(),
                Reads::Computed(_) => None,
            })
            .collect();
        if let Some(tried) = columns.and_then(|columns| filter.on(columns, left.len()).ok()) {
            let kept = left.iter().zip(tried.holds.iter()).filter(|(_, holds)| *holds == Some(true));
            left = kept.map(|(row, _)| *row).collect();
        }
        tally.took += started.elapsed();
        tally.rows_out += left.len() as u64;
    }
}
