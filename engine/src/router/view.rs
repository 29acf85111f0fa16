//! What a receiver may see of the events behind its findings, and of how far they reach.

use std::collections::BTreeSet;

use watershed_schemas::{Because, BlastRadius, EvidenceItem, Plane, PlaneScores};

use crate::correlator::{Evidence, SignalRecord};
use crate::redact::{Event, Lens};

/// Longest summary of one event.
const SUMMARY_CHARS: usize = 400;
/// Longest value in it.
const VALUE_CHARS: usize = 160;

/// Columns in the order in which a person wants to read them.
const READING_ORDER: [&str; 34] = [
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
    "user_agent",
    "provider",
    "model",
    "tool_call_id",
    "content",
    "content_fingerprint",
    "arguments",
    "arguments_fingerprint",
    "source",
];

/// The events behind these signals, oldest first and once each: at most `most` of them as this receiver of these planes may see
/// them, and how many more there are.
pub(super) fn evidence(
    signals: &[&SignalRecord],
    planes: &[Plane],
    lens: &mut Lens<'_>,
    most: usize,
) -> (Vec<EvidenceItem>, usize) {
    let mut seen = BTreeSet::new();
    let mut events: Vec<&Evidence> = Vec::new();
    let own_finding = |signal: &&&SignalRecord| signal.plane.planes().iter().any(|plane| planes.contains(plane));
    for signal in signals.iter().filter(own_finding) {
        let shared = signal.plane.planes().len() > 1;
        for evidence in &signal.evidence {
            let own = planes.contains(&evidence.plane);
            // A finding of both planes has evidence for each; a finding of one may rest on an event of the other.
            if (shared && !own) || !seen.insert((evidence.plane, evidence.event_id.as_str())) {
                continue;
            }
            events.push(evidence);
        }
    }
    events.sort_by(|a, b| (a.event_time, a.plane, &a.event_id).cmp(&(b.event_time, b.plane, &b.event_id)));
    let omitted = events.len().saturating_sub(most);
    events.truncate(most);
    let item = |evidence: &Evidence| EvidenceItem {
        event_time: evidence.event_time,
        plane: evidence.plane,
        event_id: evidence.event_id.clone(),
        kind: evidence.kind.clone(),
        summary: summary(evidence, planes.contains(&evidence.plane), lens),
    };
    (events.into_iter().map(item).collect(), omitted)
}

fn summary(evidence: &Evidence, own: bool, lens: &mut Lens<'_>) -> String {
    let event = Event { plane: evidence.plane, kind: &evidence.kind, columns: &evidence.columns, own };
    let seen = READING_ORDER.iter().filter_map(|column| lens.column(&event, column));
    let parts: Vec<String> = seen.map(|(label, value)| format!("{label}={}", cut(value, VALUE_CHARS))).collect();
    cut(parts.join(", "), SUMMARY_CHARS)
}

fn cut(text: String, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What the verdict was reckoned from, as a receiver of these planes may see it: without the rules that count for another plane
/// alone, and how many these are.
pub(super) fn because(because: &Because, planes: &[Plane]) -> (Because, u32) {
    let mut because = because.clone();
    let of = |scores: &PlaneScores, plane: Plane| match plane {
        Plane::Model => scores.model,
        Plane::Access => scores.access,
    };
    let all = because.rules.len();
    because.rules.retain(|rule| planes.iter().any(|plane| of(&rule.weight, *plane) > 0.0));
    let withheld = u32::try_from(all - because.rules.len()).unwrap_or(u32::MAX);
    (because, withheld)
}

/// How far it reaches.
pub(super) fn blast_radius(radius: &BlastRadius, lens: &mut Lens<'_>) -> BlastRadius {
    let mut radius = lens.blast_radius(radius);
    for reached in &mut radius.did {
        reached.name = cut(std::mem::take(&mut reached.name), VALUE_CHARS);
    }
    radius
}
