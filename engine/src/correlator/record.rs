//! A signal as an incident remembers it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watershed_schemas::{Mark, PlaneScores, RulePlane, Severity, Signal, Timestamp};

use super::Evidence;
use crate::store::Commit;

pub(super) const SIGNAL_PREFIX: &[u8] = b"g/";

/// A signal as an incident remembers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalRecord {
    /// Its id.
    pub signal_id: String,
    /// Its rule.
    pub rule: String,
    /// Whose finding it is.
    pub plane: RulePlane,
    /// How bad it is.
    pub severity: Severity,
    /// The organisation.
    pub tenant: String,
    /// The identity that the rule named.
    pub principal: Option<String>,
    /// The session that the rule named.
    pub session_id: Option<String>,
    /// When it happened.
    pub event_time: Timestamp,
    /// How much it counts.
    pub weights: PlaneScores,
    /// Whether it was taken back.
    pub withdrawn: bool,
    /// What was not whole behind it.
    #[serde(default)]
    pub marks: BTreeSet<Mark>,
    /// Hash of rule, tenant and key: the same in every version of the rule.
    #[serde(default)]
    pub finding: String,
    /// The events behind it, oldest first, bounded.
    pub evidence: Vec<Evidence>,
    /// Agents that its evidence names, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Credentials that its evidence names, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    /// The principal, where many share it: then the signal is grouped by its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<String>,
    /// When each plane moved: the first event of that plane behind it, else the signal itself.
    pub(super) moved: [Timestamp; 2],
    /// The incident that it belongs to.
    pub(super) incident: Option<String>,
}

/// The values that evidence has in a column, sorted.
pub(super) fn named(evidence: &[Evidence], column: &str) -> Vec<String> {
    let values: BTreeSet<&String> = evidence.iter().filter_map(|event| event.columns.get(column)).collect();
    values.into_iter().filter(|value| !value.is_empty()).cloned().collect()
}

/// Hash of rule, tenant and key values.
pub(super) fn finding_of(signal: &Signal) -> String {
    let mut hash = Sha256::new();
    let key = serde_json::to_string(&signal.key).unwrap_or_default();
    for part in [&signal.rule, &signal.tenant, &key] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn store_signal(record: &SignalRecord, commit: &mut Commit) {
    commit.put(|| [SIGNAL_PREFIX, record.signal_id.as_bytes()].concat(), record);
}
