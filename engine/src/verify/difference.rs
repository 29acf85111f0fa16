//! Findings of a batch beside the signals of a stream.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use watershed_connectors::escape::for_log;
use watershed_rules::Finding;
use watershed_schemas::{Signal, Timestamp};

/// Floats nearer than this (relative to the larger one, where it is above 1) are the same: they were added in another order.
const FLOAT_TOLERANCE: f64 = 1e-9;
/// Values are shown no longer than this.
const SHOWN: usize = 200;

/// One finding on which stream and batch disagree.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// The batch has it, the stream did not say it.
    OnlyInBatch(Box<Finding>),
    /// The stream said it and did not withdraw it, the batch doesn't have it.
    OnlyInStream(Box<Signal>),
    /// Both have it and say different things of it.
    Detail {
        /// What the batch says.
        batch: Box<Finding>,
        /// Name of the first member that differs.
        member: String,
        /// Its value in the stream.
        in_stream: Value,
        /// Its value in the batch.
        in_batch: Value,
    },
}

impl Difference {
    /// When the finding happened.
    pub fn event_time(&self) -> Timestamp {
        match self {
            Difference::OnlyInBatch(finding) | Difference::Detail { batch: finding, .. } => finding.event_time,
            Difference::OnlyInStream(signal) => signal.event_time,
        }
    }

    /// Its id.
    pub fn signal_id(&self) -> &str {
        match self {
            Difference::OnlyInBatch(finding) | Difference::Detail { batch: finding, .. } => &finding.signal_id,
            Difference::OnlyInStream(signal) => &signal.signal_id,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Value| {
            let text = value.to_string();
            for_log(&text.chars().take(SHOWN).collect::<String>()).to_string()
        };
        let key = |key: &Map<String, Value>| shown(&Value::Object(key.clone()));
        match self {
            Difference::OnlyInBatch(finding) => {
                write!(f, "missing in stream: {} at {}", key(&finding.key), finding.event_time)
            }
            Difference::OnlyInStream(signal) => {
                write!(
                    f,
                    "only in stream: {} at {} (revision {})",
                    key(&signal.key),
                    signal.event_time,
                    signal.revision
                )
            }
            Difference::Detail { batch, member, in_stream, in_batch } => write!(
                f,
                "{} at {}: `{member}` is {} in the stream and {} in the batch",
                key(&batch.key),
                batch.event_time,
                shown(in_stream),
                shown(in_batch)
            ),
        }
    }
}

/// How many agree, and the differences in the order of event time.
pub(super) fn compare(findings: Vec<Finding>, signals: &[&Signal]) -> (usize, Vec<Difference>) {
    let mut unmatched: BTreeMap<&str, &Signal> =
        signals.iter().map(|signal| (signal.signal_id.as_str(), *signal)).collect();
    let mut equal = 0;
    let mut differences = Vec::new();
    for finding in findings {
        match unmatched.remove(finding.signal_id.as_str()) {
            None => differences.push(Difference::OnlyInBatch(Box::new(finding))),
            Some(signal) => match differing_member(&finding, signal) {
                None => equal += 1,
                Some((member, in_stream, in_batch)) => {
                    differences.push(Difference::Detail { batch: Box::new(finding), member, in_stream, in_batch });
                }
            },
        }
    }
    differences.extend(unmatched.into_values().map(|signal| Difference::OnlyInStream(Box::new(signal.clone()))));
    differences.sort_by(|a, b| (a.event_time(), a.signal_id()).cmp(&(b.event_time(), b.signal_id())));
    (equal, differences)
}

/// The first member that differs, with both values.
fn differing_member(finding: &Finding, signal: &Signal) -> Option<(String, Value, Value)> {
    let named = [
        ("event_time", Value::from(signal.event_time.to_string()), Value::from(finding.event_time.to_string())),
        ("tenant", Value::from(signal.tenant.as_str()), Value::from(finding.tenant.as_str())),
        ("principal", Value::from(signal.principal.clone()), Value::from(finding.principal.clone())),
        ("session_id", Value::from(signal.session_id.clone()), Value::from(finding.session_id.clone())),
        ("key", Value::Object(signal.key.clone()), Value::Object(finding.key.clone())),
        ("evidence", Value::from(signal.evidence.clone()), Value::from(finding.evidence.clone())),
    ];
    for (member, in_stream, in_batch) in named {
        if !same(&in_stream, &in_batch) {
            return Some((member.to_owned(), in_stream, in_batch));
        }
    }
    let names = finding.details.keys().chain(signal.details.keys().filter(|name| !finding.details.contains_key(*name)));
    for name in names {
        let value = |details: &Map<String, Value>| details.get(name).cloned().unwrap_or_default();
        let (in_stream, in_batch) = (value(&signal.details), value(&finding.details));
        if !same(&in_stream, &in_batch) {
            return Some((name.clone(), in_stream, in_batch));
        }
    }
    None
}

/// Equal, where fractions may differ by what another order of addition makes.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return false };
            (a - b).abs() <= FLOAT_TOLERANCE * a.abs().max(b.abs()).max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}
