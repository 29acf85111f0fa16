//! Rule tests run through the same core as production.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_rules::CompiledRule;
use watershed_rules::test_runner::{Outcome, Run, TestEvent};
use watershed_schemas::Plane;

use crate::core::{Core, Input, Output, Settings};
use crate::evaluator::RuleSetup;
use crate::matcher::Matcher;
use crate::store::Commit;

/// The core with default settings, fed event by event in the order of arrival.
pub struct CorePipeline;

impl Run for CorePipeline {
    fn run(&self, rules: &[Arc<CompiledRule>], timeline: Vec<TestEvent>) -> Result<Outcome, String> {
        let registry = Registry::builtin(Limits::default());
        let mut core = Core::new(Settings::default(), setups(rules));
        let all: Vec<Arc<CompiledRule>> = core.setups().iter().map(|setup| Arc::clone(&setup.rule)).collect();
        let mut matcher = Matcher::new(&all);
        let mut matched: BTreeMap<(&str, usize), u64> = BTreeMap::new();
        let mut outcome = Outcome::default();
        let partitions = Plane::ALL.map(|plane| Partition { plane, topic: plane.table().into(), index: 0 });
        let take = |output: Output, outcome: &mut Outcome| {
            outcome.signals.extend(output.signals);
            outcome.incidents.extend(output.incidents);
            match output.refused.first() {
                None => Ok(()),
                Some(refused) => Err(format!("event `{}`: {}", refused.event_id, refused.refusal.reason())),
            }
        };
        let mut commit = Commit::default();
        let assigned = partitions.iter().cloned().map(Input::Assigned).collect();
        take(core.step(assigned, &mut commit), &mut outcome)?;
        for (offset, event) in (0..).zip(timeline) {
            let partition = partitions[event.plane.index()].clone();
            let batch = registry.decode(&RawBatch {
                partition: partition.clone(),
                format: "watershed".into(),
                tenant: "default".into(),
                received: event.arrive,
                records: vec![RawRecord {
                    offset,
                    timestamp: Some(event.arrive),
                    key: None,
                    headers: Vec::new(),
                    payload: serde_json::Value::Object(event.row).to_string().into(),
                }],
            });
            if let Some(reject) = batch.rejects.first() {
                return Err(format!("event {}: {}", offset + 1, reject.reason));
            }
            for (scan, rows) in matcher.find(&batch, None).each() {
                *matched.entry((&all[scan.rule].meta.id, scan.scan)).or_default() += rows.len() as u64;
            }
            let output = core.step(vec![Input::Rows { origin: 0, partition, batch }], &mut commit);
            take(output, &mut outcome)?;
        }
        take(core.step(vec![Input::End], &mut commit), &mut outcome)?;
        if let Some((rule, reason)) = core.quarantined().next() {
            return Err(format!("rule {rule} was stopped: {reason}"));
        }
        let looked_at =
            |rule: &Arc<CompiledRule>| (0..rule.scans.len()).map(|scan| matched_by(rule, scan, &matched)).collect();
        outcome.scans_matched = rules.iter().map(looked_at).collect();
        Ok(outcome)
    }
}

/// The rules, after those on whose findings theirs rest: these say what they find, and open no incident.
fn setups(rules: &[Arc<CompiledRule>]) -> Vec<RuleSetup> {
    let mut setups: Vec<RuleSetup> = rules.iter().map(|rule| RuleSetup::as_written(Arc::clone(rule))).collect();
    for below in rules.iter().flat_map(RuleSetup::with_strata) {
        if setups.iter().all(|setup| setup.rule.meta.id != below.rule.meta.id) {
            setups.push(below);
        }
    }
    setups
}

/// Events that a scan looks at; of one that reads signals those that their rules look at.
fn matched_by(rule: &CompiledRule, scan: usize, matched: &BTreeMap<(&str, usize), u64>) -> u64 {
    let read = |upstream: &watershed_rules::Upstream| {
        let below = rule.upstream.iter().find(|below| below.meta.id == upstream.rule);
        below.map_or(0, |below| (0..below.scans.len()).map(|scan| matched_by(below, scan, matched)).sum())
    };
    match rule.scans[scan].table.plane() {
        Some(_) => matched.get(&(rule.meta.id.as_str(), scan)).copied().unwrap_or(0),
        None => rule.scans[scan].upstream.iter().map(read).sum(),
    }
}
