//! What a rule found.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plane::RulePlane;
use crate::timestamp::Timestamp;

/// How bad a finding is, in the field's usual five steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth recording.
    Info,
    /// Worth a look in the week.
    Low,
    /// Worth a look in the day.
    Medium,
    /// Act now.
    High,
    /// Wake somebody up.
    Critical,
}

impl Severity {
    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// Why a statement about a finding was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalReason {
    /// It became true, or final.
    Found,
    /// It had been taken back and is true again.
    FoundAgain,
    /// More evidence, or another order of it, changed what is said of it.
    Corrected,
    /// An event that came after its plane's watermark changed what is said of it, or showed it to be false.
    LateEvidence,
    /// It had been said early, and an event that came in time shows it to be false.
    Disproved,
}

impl SignalReason {
    /// The name in snake case.
    pub fn name(self) -> &'static str {
        match self {
            SignalReason::Found => "found",
            SignalReason::FoundAgain => "found_again",
            SignalReason::Corrected => "corrected",
            SignalReason::LateEvidence => "late_evidence",
            SignalReason::Disproved => "disproved",
        }
    }
}

/// What a reader must know about the history behind a statement: it was not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The rule had not yet seen everything that it looks back to: the finding is true, its details may lack some.
    Partial,
    /// A limit kept events out of the rule's memory: the finding is true, its details may lack some.
    Degraded,
    /// Found in what had happened before the rule's version came into force: recorded, and nobody is told.
    Backfilled,
    /// Known and allowed: recorded, and it makes no incident.
    Excepted,
}

impl Mark {
    /// The name in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Partial => "partial",
            Mark::Degraded => "degraded",
            Mark::Backfilled => "backfilled",
            Mark::Excepted => "excepted",
        }
    }
}

/// One revision of one finding: a row of the rule's query, reduced to one row per key.
/// A line of `--signals` is this object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Signal {
    /// Hash of rule, rule version, tenant and key: the same finding has the same id in every run.
    pub signal_id: String,
    /// Id of the rule.
    pub rule: String,
    /// Hash of the rule's SQL and key columns.
    pub rule_version: String,
    /// Whose finding it is.
    pub plane: RulePlane,
    /// How bad it is.
    pub severity: Severity,
    /// The organisation.
    pub tenant: String,
    /// The identity, where the rule names one.
    pub principal: Option<String>,
    /// The session, where the rule names one.
    pub session_id: Option<String>,
    /// When it happened.
    pub event_time: Timestamp,
    /// The key columns and their values.
    pub key: Map<String, Value>,
    /// The other output columns and their values.
    pub details: Map<String, Value>,
    /// Ids of the events that show it, sorted.
    pub evidence: Vec<String>,
    /// 1 for the first statement, one more for each that corrects it.
    pub revision: u32,
    /// Whether this revision takes the finding back: later evidence showed it to be false.
    pub withdrawn: bool,
    /// Why this revision was written.
    pub reason: SignalReason,
    /// What was not whole when it was written; absent where everything was.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub marks: BTreeSet<Mark>,
}
