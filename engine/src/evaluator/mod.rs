//! `evaluate`: what did the rules find?
//!
//! Matching rows join the keyed state of their (rule, scan). For the keys that changed the rule's cached plan runs over the
//! rows of just those keys, and the difference to what was said before becomes signals: new ones, corrected ones,
//! withdrawn ones. What isn't final yet is held until the watermark makes it so.

mod key;
mod rows;
mod rule_state;

use std::collections::HashMap;
use std::sync::Arc;

use watershed_rules::{CompiledRule, Finding};
use watershed_schemas::{Plane, PlaneScores, Severity, Signal, Timestamp};

use crate::matcher::ScanId;
use crate::store::Commit;
use crate::watermark::Watermarks;

pub use rows::{RowRef, Segment, gather};
use rule_state::RuleState;

/// A rule and how this installation has tuned it.
#[derive(Clone)]
pub struct RuleSetup {
    /// The rule.
    pub rule: Arc<CompiledRule>,
    /// Its severity here.
    pub severity: Severity,
    /// Signals only: no verdict, no page.
    pub shadow: bool,
}

impl RuleSetup {
    /// The rule as its author wrote it.
    pub fn as_written(rule: Arc<CompiledRule>) -> Self {
        RuleSetup { severity: rule.meta.severity, rule, shadow: false }
    }

    /// How much a finding counts for each plane.
    pub fn weights(&self) -> PlaneScores {
        self.rule.meta.weights.unwrap_or_else(|| {
            let weight = |plane| if self.rule.meta.plane.planes().contains(&plane) { 1.0 } else { 0.0 };
            PlaneScores { model: weight(Plane::Model), access: weight(Plane::Access) }
        })
    }
}

/// A signal with what the correlator needs beside it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The signal.
    pub signal: Signal,
    /// Position of its rule in the rule set.
    pub rule: usize,
    /// The events that show it. Empty for a withdrawal.
    pub evidence: Vec<RowRef>,
}

/// What happened to rules and their state, for counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Plans run.
    pub evaluations: u64,
    /// Keys whose guards did not hold, so that no plan ran.
    pub guarded: u64,
    /// Rows not kept because a key was full.
    pub capped: u64,
}

/// All rules and what they remember.
pub struct Evaluator {
    rules: Vec<RuleState>,
    setups: Vec<RuleSetup>,
    tally: Tally,
}

impl Evaluator {
    /// Rules that remember nothing yet.
    pub fn new(setups: Vec<RuleSetup>, rows_per_key: usize) -> Self {
        let rules = setups.iter().map(|setup| RuleState::new(Arc::clone(&setup.rule), rows_per_key)).collect();
        Evaluator { rules, setups, tally: Tally::default() }
    }

    /// The rules with their tuning, in rule set order.
    pub fn setups(&self) -> &[RuleSetup] {
        &self.setups
    }

    /// What happened so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Rows remembered by each rule, in rule set order.
    pub fn rows(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rules.iter().map(|state| (state.id(), state.rows()))
    }

    /// Keys of each rule that were full at some time, in rule set order.
    pub fn degraded(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.iter().map(|state| (state.id(), state.degraded_keys()))
    }

    /// Why each stopped rule stopped.
    pub fn quarantined(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().filter_map(|state| Some((state.id(), state.quarantined()?)))
    }

    /// Adds rows of a segment to a scan's state.
    pub fn add(&mut self, scan: ScanId, segment: &Arc<Segment>, rows: &[u32]) {
        self.rules[scan.rule].add(scan.scan, segment, rows, &mut self.tally);
    }

    /// Runs every rule for its changed keys. `sealed` are the watermarks before the rows of this step came: what they had
    /// closed can't change any more, and what they hadn't is still whole in memory.
    pub fn evaluate(&mut self, sealed: &Watermarks, watermarks: &Watermarks, commit: &mut Commit) -> Vec<Found> {
        let mut found = Vec::new();
        for (position, state) in self.rules.iter_mut().enumerate() {
            let mut statements = Vec::new();
            state.evaluate(sealed, watermarks, &mut statements, &mut self.tally);
            state.release(watermarks, &mut statements);
            for statement in statements {
                statement.persist(state.id(), commit);
                found.push(Found {
                    signal: signal(&self.setups[position], &statement),
                    rule: position,
                    evidence: statement.evidence,
                });
            }
        }
        found.sort_by(|a, b| {
            let order = |found: &Found| (found.signal.event_time, found.rule);
            order(a).cmp(&order(b)).then_with(|| a.signal.signal_id.cmp(&b.signal.signal_id))
        });
        found
    }

    /// Forgets the rows that nothing acceptable can join any more.
    pub fn expire(&mut self, watermarks: &Watermarks, commit: &mut Commit) {
        for state in &mut self.rules {
            state.expire(watermarks, commit);
        }
    }

    /// After a restart, when the rows are back: takes up what had been said, so that nothing is said twice.
    pub fn resume(&mut self, stored: &[(Vec<u8>, Vec<u8>)], watermarks: &Watermarks) {
        let mut said: HashMap<String, HashMap<String, Said>> = HashMap::new();
        for (_, value) in stored {
            if let Ok(row) = serde_json::from_slice::<StoredStatement>(value) {
                said.entry(row.rule).or_default().insert(row.signal_id, row.said);
            }
        }
        for state in &mut self.rules {
            let said = said.remove(state.id()).unwrap_or_default();
            state.resume(said, watermarks, &mut self.tally);
        }
    }
}

/// First bytes of the keys that hold what rules have said.
pub const SAID_PREFIX: &[u8] = b"e/";

/// What was last said of a finding.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Said {
    revision: u32,
    withdrawn: bool,
    /// Fingerprint of the finding, to see whether it has changed.
    fingerprint: u64,
    event_time: Timestamp,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredStatement {
    rule: String,
    signal_id: String,
    said: Said,
}

/// Something a rule has to say now.
struct Statement {
    finding: Finding,
    said: Said,
    evidence: Vec<RowRef>,
}

impl Statement {
    fn key(rule: &str, signal_id: &str) -> Vec<u8> {
        [SAID_PREFIX, rule.as_bytes(), b"/", signal_id.as_bytes()].concat()
    }

    fn persist(&self, rule: &str, commit: &mut Commit) {
        let stored = StoredStatement {
            rule: rule.to_owned(),
            signal_id: self.finding.signal_id.clone(),
            said: self.said.clone(),
        };
        if let Ok(value) = serde_json::to_vec(&stored) {
            commit.puts.push((Statement::key(rule, &self.finding.signal_id), value));
        }
    }
}

fn signal(setup: &RuleSetup, statement: &Statement) -> Signal {
    let finding = &statement.finding;
    Signal {
        signal_id: finding.signal_id.clone(),
        rule: setup.rule.meta.id.clone(),
        rule_version: setup.rule.version.clone(),
        plane: setup.rule.meta.plane,
        severity: setup.severity,
        tenant: finding.tenant.clone(),
        principal: finding.principal.clone(),
        session_id: finding.session_id.clone(),
        event_time: finding.event_time,
        key: finding.key.clone(),
        details: finding.details.clone(),
        evidence: finding.evidence.clone(),
        revision: statement.said.revision,
        withdrawn: statement.said.withdrawn,
    }
}
