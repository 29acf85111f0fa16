//! The rows of a rule's result, reduced to one per key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use watershed_schemas::Timestamp;

/// One finding: the least row of its key, with the evidence of all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Hash of rule id, rule version, tenant and key values.
    pub signal_id: String,
    /// The organisation.
    pub tenant: String,
    /// The identity, where the rule names one.
    pub principal: Option<String>,
    /// The session, where the rule names one.
    pub session_id: Option<String>,
    /// When it happened.
    pub event_time: Timestamp,
    /// The key columns.
    pub key: Map<String, Value>,
    /// The other columns.
    pub details: Map<String, Value>,
    /// Ids of the events that show it, sorted, without repeats.
    pub evidence: Vec<String>,
}
