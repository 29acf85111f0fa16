//! What a receiver may see of the events behind its findings, and of how far they reach.

use std::collections::BTreeSet;

use watershed_schemas::{Because, BlastRadius, EvidenceItem, Plane, PlaneScores};

use crate::correlator::{Evidence, SignalRecord};
use crate::redact::{Class, Lens};

/// Longest summary of one event.
const SUMMARY_CHARS: usize = 400;
/// Longest value in it.
const VALUE_CHARS: usize = 160;

/// Columns without a class that the team of the other plane is shown: what was done. The rest would not help it.
fn shown_to_others(plane: Plane) -> &'static [&'static str] {
    match plane {
        Plane::Model => &["tool", "agent_id", "agent_name", "credential_id", "outcome", "verdict", "category"],
        Plane::Access => &["credential_id", "credential_type", "grant_type", "client_id", "outcome", "risk"],
    }
}

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
    let mut parts = Vec::new();
    for column in READING_ORDER {
        let Some(value) = evidence.columns.get(column) else { continue };
        let shown = match Class::of(evidence.plane, &evidence.kind, column) {
            Some(class) => lens.shows(evidence.plane, class),
            None if own || shown_to_others(evidence.plane).contains(&column) => true,
            None => continue,
        };
        let text = column.strip_suffix("_fingerprint");
        // A text that is withheld is stood for by its fingerprint alone, which is of the whole of it.
        if !shown && text.is_none() && evidence.columns.contains_key(&format!("{column}_fingerprint")) {
            continue;
        }
        let label = if shown { column } else { text.unwrap_or(column) };
        let value = lens.value(evidence.plane, &evidence.kind, column, value);
        parts.push(format!("{label}={}", cut(value, VALUE_CHARS)));
    }
    cut(parts.join(", "), SUMMARY_CHARS)
}

fn cut(text: String, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What the verdict was reckoned from, as a receiver of these planes may see it.
pub(super) fn because(because: &Because, planes: &[Plane]) -> Because {
    let mut because = because.clone();
    let of = |scores: &PlaneScores, plane: Plane| match plane {
        Plane::Model => scores.model,
        Plane::Access => scores.access,
    };
    because.rules.retain(|rule| planes.iter().any(|plane| of(&rule.weight, *plane) > 0.0));
    for rule in &mut because.rules {
        rule.weight = scores(rule.weight, planes);
        rule.score = scores(rule.score, planes);
    }
    because
}

/// The scores of these planes alone.
pub(super) fn scores(scores: PlaneScores, planes: &[Plane]) -> PlaneScores {
    PlaneScores {
        model: if planes.contains(&Plane::Model) { scores.model } else { 0.0 },
        access: if planes.contains(&Plane::Access) { scores.access } else { 0.0 },
    }
}

/// How far it reaches. What an identity may do, and what access it was allowed, is everybody's who is told of it; what a tool acted on
/// is of the class of its arguments.
pub(super) fn blast_radius(radius: &BlastRadius, lens: &mut Lens<'_>) -> BlastRadius {
    let mut radius = radius.clone();
    for reached in &mut radius.did {
        let (plane, kind) = match reached.what.as_str() {
            "target" => (Plane::Model, "tool_call"),
            "resource" => (Plane::Access, "access_allowed"),
            _ => continue,
        };
        reached.name = cut(lens.value(plane, kind, &reached.what, &reached.name), VALUE_CHARS);
    }
    radius
}
