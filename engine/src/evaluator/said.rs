//! What rules have said, and how it becomes durable.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use watershed_rules::Finding;
use watershed_schemas::{Mark, Signal, SignalReason, Timestamp};

use super::RuleSetup;
use super::rows::RowRef;
use crate::store::Commit;

/// First bytes of the keys that hold what rules have said.
pub const SAID_PREFIX: &[u8] = b"e/";

/// What was last said of a finding.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Said {
    pub(super) revision: u32,
    pub(super) withdrawn: bool,
    /// Fingerprint of the finding, to see whether it has changed.
    pub(super) fingerprint: u64,
    pub(super) event_time: Timestamp,
}

#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct StoredStatement {
    pub(super) rule: String,
    pub(super) signal_id: String,
    pub(super) said: Said,
}

/// Something a rule has to say now.
pub(super) struct Statement {
    pub(super) finding: Finding,
    pub(super) said: Said,
    pub(super) reason: SignalReason,
    pub(super) marks: BTreeSet<Mark>,
    pub(super) evidence: Vec<RowRef>,
}

impl Statement {
    /// The key of a finding in the store.
    pub(super) fn key(rule: &str, signal_id: &str) -> Vec<u8> {
        [SAID_PREFIX, rule.as_bytes(), b"/", signal_id.as_bytes()].concat()
    }

    pub(super) fn persist(&self, rule: &str, commit: &mut Commit) {
        let stored = StoredStatement {
            rule: rule.to_owned(),
            signal_id: self.finding.signal_id.clone(),
            said: self.said.clone(),
        };
        commit.put(|| Statement::key(rule, &self.finding.signal_id), &stored);
    }

    pub(super) fn signal(&self, setup: &RuleSetup) -> Signal {
        let finding = &self.finding;
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
            revision: self.said.revision,
            withdrawn: self.said.withdrawn,
            reason: self.reason,
            marks: self.marks.clone(),
        }
    }
}

/// The same for findings that say the same under the same marks. That it was found in the past is no news later.
pub(super) fn fingerprint(finding: &Finding, marks: &BTreeSet<Mark>) -> u64 {
    // `DefaultHasher::new` has fixed keys: the same finding has the same fingerprint after a restart.
    let mut hasher = DefaultHasher::new();
    (&finding.principal, &finding.session_id, finding.event_time, &finding.evidence).hash(&mut hasher);
    serde_json::to_string(&finding.details).unwrap_or_default().hash(&mut hasher);
    for mark in marks.iter().filter(|mark| **mark != Mark::Backfilled) {
        mark.hash(&mut hasher);
    }
    hasher.finish()
}
