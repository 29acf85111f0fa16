//! Runs compiled rules over a whole timeline at once: what their scans let through, through their cached plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{and, concat_batches, filter_record_batch};
use datafusion::datasource::MemTable;
use watershed_schemas::{Plane, Signal, SignalReason, StateTable, Table};

use super::plain_sql::{incident, table};
use super::{Outcome, Run, TestEvent};
use crate::batch::batch;
use crate::compiled::{CompiledRule, Scan};
use crate::finding::Finding;
use crate::signals::rows;
use crate::state;

/// The compiled rule without streams.
pub(crate) struct CompiledRun;

impl Run for CompiledRun {
    fn run(&self, rules: &[Arc<CompiledRule>], timeline: Vec<TestEvent>) -> Result<Outcome, String> {
        let history = [table(Plane::Model, &timeline)?, table(Plane::Access, &timeline)?];
        let mut outcome = Outcome { only_final: true, ..Outcome::default() };
        for rule in rules {
            let signals = signals(rule, &history)?;
            let [runtime, identity] = &history;
            let versions = state::read(rule).map(|table| versions(table, identity));
            let state = versions.collect::<Result<BTreeMap<_, _>, _>>()?;
            let table = |table: Table| match table {
                Table::Events(Plane::Model) => runtime,
                Table::Events(Plane::Access) => identity,
                Table::Signals => &signals,
                Table::State(table) => &state[&table],
            };
            let rows: Vec<RecordBatch> =
                rule.scans.iter().map(|scan| let_through(scan, table(scan.table))).collect::<Result<_, _>>()?;
            outcome.scans_matched.push(rows.iter().map(|rows| rows.num_rows() as u64).collect());
            let findings = rule.evaluate(&rows).map_err(|error| error.to_string())?;
            let [runtime, identity] = history.clone();
            if batch(rule, runtime, identity).map_err(|error| error.to_string())? != findings {
                return Err("the cached plan and the batch differ".to_owned());
            }
            outcome.signals.extend(findings.into_iter().map(|finding| signal(rule, finding)));
        }
        outcome.incidents = outcome.signals.iter().map(incident).collect();
        Ok(outcome)
    }
}

/// What the rules that it reads find.
fn signals(rule: &CompiledRule, history: &[RecordBatch; 2]) -> Result<RecordBatch, String> {
    let mut all = vec![RecordBatch::new_empty(Table::Signals.schema())];
    for below in &rule.upstream {
        let [runtime, identity] = history.clone();
        let findings = batch(below, runtime, identity).map_err(|error| error.to_string())?;
        all.push(rows(below, &findings.iter().collect::<Vec<_>>()));
    }
    concat_batches(&Table::Signals.schema(), &all).map_err(|error| error.to_string())
}

/// All versions of a state table.
fn versions(table: StateTable, identity: &RecordBatch) -> Result<(StateTable, RecordBatch), String> {
    let identity = MemTable::try_new(identity.schema(), vec![vec![identity.clone()]]);
    let rows = identity.and_then(|identity| state::state_over(table, Arc::new(identity)));
    let rows = rows.map_err(|error| error.to_string())?;
    Ok((table, concat_batches(&Table::State(table).schema(), &rows).map_err(|error| error.to_string())?))
}

/// The rows that pass the scan's filters, in the columns of its projection.
fn let_through(scan: &Scan, rows: &RecordBatch) -> Result<RecordBatch, String> {
    let mut passes = BooleanArray::from(vec![true; rows.num_rows()]);
    for conjunct in &scan.filters {
        let holds = conjunct.expr.evaluate(rows).and_then(|value| value.into_array(rows.num_rows()));
        let holds = holds.map_err(|error| format!("{}: {error}", conjunct.text))?;
        passes = and(&passes, holds.as_boolean()).map_err(|error| error.to_string())?;
    }
    let rows = filter_record_batch(rows, &passes).map_err(|error| error.to_string())?;
    rows.project(&scan.projection).map_err(|error| error.to_string())
}

fn signal(rule: &CompiledRule, finding: Finding) -> Signal {
    Signal {
        signal_id: finding.signal_id,
        rule: rule.meta.id.clone(),
        rule_version: rule.version.clone(),
        plane: rule.meta.plane,
        severity: rule.meta.severity,
        tenant: finding.tenant,
        principal: finding.principal,
        session_id: finding.session_id,
        event_time: finding.event_time,
        key: finding.key,
        details: finding.details,
        evidence: finding.evidence,
        revision: 1,
        withdrawn: false,
        reason: SignalReason::Found,
        marks: BTreeSet::new(),
    }
}
