//! What each rule costs on a recording.
//!
//! Every rule runs alone through a core of its own, all rules run through one together, and a core without rules shows
//! what accepting events costs by itself; all of them are fed the same batches in one pass. Times are by the wall clock of
//! this process, measured by the shell around the core: compare them with each other, not with another machine's.

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_connectors::sources::SourceError;
use watershed_rules::explain::Explained;
use watershed_schemas::EventBatch;

use crate::core::{Core, Input, Settings};
use crate::evaluator::RuleSetup;
use crate::explain::{Selectivity, select};
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
    /// For each scan what its filters leave, one by one.
    filters: Vec<Selectivity>,
    match_took: Duration,
    step_took: Duration,
    matched: u64,
    most_rows: u64,
    most_bytes: u64,
    most_late_bytes: u64,
    standing: BTreeMap<String, bool>,
}

/// Measures these rules on an input.
///
/// # Errors
/// When the source fails.
pub fn measure(mut intake: Intake, settings: Settings, rules: Vec<Explained>) -> Result<BenchReport, SourceError> {
    let setup = |explained: &Explained| RuleSetup::as_written(Arc::clone(&explained.rule));
    let mut all: Vec<RuleSetup> = rules.iter().map(setup).collect();
    for below in rules.iter().flat_map(|explained| explained.rule.strata()) {
        if all.iter().all(|setup| setup.rule.meta.id != below.meta.id) {
            all.push(RuleSetup::as_written(below));
        }
    }
    let mut together = Core::new(settings, all);
    // As in production: what no rule reads is decoded only of the rows that match.
    intake.read_columns(together.columns());
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
        report.most_bytes = report.most_bytes.max(together.state_bytes() as u64);
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
    let inputs = inputs.iter().filter_map(again).collect();
    let mut commit = Commit::default();
    let started = Instant::now();
    core.step(inputs, &mut commit);
    started.elapsed()
}

/// The same input once more; the columns are shared. Changes of the rules don't come from an input.
fn again(input: &Input) -> Option<Input> {
    Some(match input {
        Input::Rows { origin, partition, batch } => {
            Input::Rows { origin: *origin, partition: partition.clone(), batch: batch.clone() }
        }
        Input::Assigned(partition) => Input::Assigned(partition.clone()),
        Input::Revoked(partition) => Input::Revoked(partition.clone()),
        Input::CaughtUp(partition, at) => Input::CaughtUp(partition.clone(), *at),
        Input::End => Input::End,
        Input::Rules(_)
        | Input::Aliases(_)
        | Input::Shared(_)
        | Input::Act { .. }
        | Input::Log(_)
        | Input::Past { .. }
        | Input::Stop { .. } => return None,
    })
}

impl Measured {
    fn new(explained: Explained, settings: Settings) -> Self {
        let rule = Arc::clone(&explained.rule);
        Measured {
            matcher: Matcher::new(std::slice::from_ref(&rule)),
            filters: rule.scans.iter().map(|scan| Selectivity::of(scan.filters.len())).collect(),
            core: Core::new(settings, RuleSetup::with_strata(&rule)),
            explained,
            match_took: Duration::ZERO,
            step_took: Duration::ZERO,
            matched: 0,
            most_rows: 0,
            most_bytes: 0,
            most_late_bytes: 0,
            standing: BTreeMap::new(),
        }
    }

    /// What matching this batch costs, as a whole and filter by filter.
    fn look_at(&mut self, batch: &EventBatch) {
        if self.filters.iter().all(|known| known.seen == 0) {
            // What is set up once at the first use isn't what a rule costs.
            self.matcher.find(batch, None);
        }
        let started = Instant::now();
        let matches = self.matcher.find(batch, None);
        self.match_took += started.elapsed();
        self.matched += matches.rows.len() as u64;
        let scans = self.explained.rule.scans.iter().enumerate();
        for (at, _) in scans.filter(|(_, scan)| scan.table == batch.plane.into()) {
            select(&self.explained.anatomy.filters[at], &batch.rows, &mut self.filters[at]);
        }
    }

    fn step(&mut self, inputs: &[Input]) {
        let inputs = inputs.iter().filter_map(again).collect();
        let mut commit = Commit::default();
        let started = Instant::now();
        let output = self.core.step(inputs, &mut commit);
        self.step_took += started.elapsed();
        let id = &self.explained.rule.meta.id;
        for status in self.core.statuses().filter(|status| status.rule == *id) {
            self.most_rows = self.most_rows.max(status.rows as u64);
            self.most_bytes = self.most_bytes.max(status.bytes as u64);
        }
        self.most_late_bytes = self.most_late_bytes.max(self.core.late_bytes() as u64);
        let own = output.signals.into_iter().filter(|signal| signal.rule == *id);
        self.standing.extend(own.map(|signal| (signal.signal_id, !signal.withdrawn)));
    }

    fn cost(self, bare: Duration) -> RuleCost {
        let labels = &self.explained.anatomy.labels;
        let mut filters: Vec<FilterCost> = Vec::new();
        for (at, known) in self.filters.iter().enumerate() {
            for (number, condition) in self.explained.anatomy.filters[at].iter().enumerate() {
                filters.push(FilterCost {
                    scan: labels[at].clone(),
                    condition: condition.text.clone(),
                    rows_in: if number == 0 { known.seen } else { known.left[number - 1] },
                    rows_out: known.left[number],
                    took_us: known.took[number].as_micros(),
                });
            }
        }
        let own = self.step_took.saturating_sub(bare);
        let tally = self.core.tally();
        RuleCost {
            rule: self.explained.rule.meta.id.clone(),
            match_us: self.match_took.as_micros(),
            evaluate_us: own.saturating_sub(self.match_took).as_micros(),
            matched: self.matched,
            filters,
            plans_run: tally.evaluations,
            rows_read: tally.rows_read,
            guarded: tally.guarded,
            most_rows: self.most_rows,
            most_bytes: self.most_bytes,
            most_late_bytes: self.most_late_bytes,
            signals: self.standing.values().filter(|stands| **stands).count() as u64,
            stopped: self.core.quarantined().next().map(|(_, reason)| reason.to_owned()),
        }
    }
}
