//! What a team may see of the events behind its findings.

use std::collections::BTreeSet;

use watershed_schemas::{EvidenceItem, Plane};

use crate::correlator::{Evidence, SignalRecord};

/// Longest summary of one event.
const SUMMARY_CHARS: usize = 300;

/// Columns that the team of the other plane may see: what was done, never with what or from where.
fn shown_to_others(plane: Plane) -> &'static [&'static str] {
    match plane {
        Plane::Model => &["tool", "agent_id", "agent_name", "credential_id", "outcome", "verdict", "category"],
        Plane::Access => &["credential_id", "credential_type", "grant_type", "client_id", "outcome", "risk"],
    }
}

/// Columns in the order in which a person wants to read them.
const READING_ORDER: [&str; 31] = [
    "tool",
    "target",
    "verdict",
    "category",
    "detector",
    "policy",
    "outcome",
    "reason",
    "principal",
    "principal_type",
    "actor",
    "on_behalf_of",
    "agent_id",
    "agent_name",
    "session_id",
    "credential_id",
    "credential_type",
    "grant_type",
    "client_id",
    "resource",
    "auth_method",
    "risk",
    "ip",
    "country",
    "device_id",
    "provider",
    "model",
    "tool_call_id",
    "content_fingerprint",
    "arguments_fingerprint",
    "source",
];

/// The events behind these signals, oldest first and once each, as these planes' team may see them.
pub(super) fn evidence(signals: &[&SignalRecord], planes: &[Plane]) -> Vec<EvidenceItem> {
    let mut seen = BTreeSet::new();
    let mut items: Vec<EvidenceItem> = Vec::new();
    let own_finding = |signal: &&&SignalRecord| signal.plane.planes().iter().any(|plane| planes.contains(plane));
    for signal in signals.iter().filter(own_finding) {
        let shared = signal.plane.planes().len() > 1;
        for evidence in &signal.evidence {
            let own = planes.contains(&evidence.plane);
            // A finding of both planes has evidence for each; a finding of one may rest on an event of the other.
            if (shared && !own) || !seen.insert((evidence.plane, evidence.event_id.as_str())) {
                continue;
            }
            items.push(EvidenceItem {
                event_time: evidence.event_time,
                plane: evidence.plane,
                event_id: evidence.event_id.clone(),
                kind: evidence.kind.clone(),
                summary: summary(evidence, own),
            });
        }
    }
    items.sort_by(|a, b| (a.event_time, a.plane, &a.event_id).cmp(&(b.event_time, b.plane, &b.event_id)));
    items
}

fn summary(evidence: &Evidence, own: bool) -> String {
    let visible = |name: &&&str| own || shown_to_others(evidence.plane).contains(*name);
    let parts = READING_ORDER
        .iter()
        .filter(visible)
        .filter_map(|name| Some(format!("{name}={}", evidence.columns.get(*name)?)))
        .collect::<Vec<_>>();
    parts.join(", ").chars().take(SUMMARY_CHARS).collect()
}
