//! What one revision says otherwise than the one before.

use serde_json::Value;
use watershed_schemas::{Change, IncidentRevision};

/// Most members that one side of a changed list names; one more says how many are left out.
const LISTED: usize = 16;

/// Fields that differ, in the order in which a person asks for them.
pub(super) fn between(before: &IncidentRevision, after: &IncidentRevision) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut field = |name: &str, before: Value, after: Value| {
        if before != after {
            changes.push(Change { field: name.to_owned(), before, after });
        }
    };
    field("verdict", json(&before.verdict), json(&after.verdict));
    field("status", json(&before.status), json(&after.status));
    field("severity", json(&before.severity), json(&after.severity));
    field("origin", json(&before.origin), json(&after.origin));
    field("principal", json(&before.principal), json(&after.principal));
    field("coverage.model", json(&before.coverage.model), json(&after.coverage.model));
    field("coverage.access", json(&before.coverage.access), json(&after.coverage.access));
    field("scores.model", json(&before.scores.model), json(&after.scores.model));
    field("scores.access", json(&before.scores.access), json(&after.scores.access));
    field("first_event_time", json(&before.first_event_time), json(&after.first_event_time));
    field("last_event_time", json(&before.last_event_time), json(&after.last_event_time));
    field("merged_into", json(&before.merged_into), json(&after.merged_into));
    field("handled", json(&before.handled), json(&after.handled));
    let marks = |revision: &IncidentRevision| -> Vec<String> {
        revision.marks.iter().map(|mark| mark.name().to_owned()).collect()
    };
    for (name, before, after) in [
        ("rules", &before.rules, &after.rules),
        ("signals", &before.signals, &after.signals),
        ("sessions", &before.sessions, &after.sessions),
        ("agents", &before.agents, &after.agents),
        ("credentials", &before.credentials, &after.credentials),
        ("tags", &before.tags, &after.tags),
        ("frameworks", &before.frameworks, &after.frameworks),
        ("owners", &before.owners, &after.owners),
        ("marks", &marks(before), &marks(after)),
        ("related", &related(before), &related(after)),
    ] {
        if before != after {
            field(name, only_in(before, after), only_in(after, before));
        }
    }
    changes
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn related(revision: &IncidentRevision) -> Vec<String> {
    let mut ids: Vec<String> = revision.related.iter().map(|related| related.incident_id.clone()).collect();
    ids.dedup();
    ids
}

/// Members of a sorted list that another has not, bounded.
fn only_in(list: &[String], other: &[String]) -> Value {
    let only: Vec<&String> = list.iter().filter(|member| other.binary_search(member).is_err()).collect();
    let mut shown: Vec<Value> = only.iter().take(LISTED).map(|member| Value::from(member.as_str())).collect();
    if only.len() > LISTED {
        shown.push(Value::from(format!("and {} more", only.len() - LISTED)));
    }
    Value::from(shown)
}

#[cfg(test)]
mod tests {
    use watershed_schemas::{Severity, Timestamp, Verdict};

    use super::*;

    #[test]
    fn scalars_say_before_and_after_and_lists_what_is_gone_and_new() {
        let opened = IncidentRevision::opened("inc_1", "acme", Verdict::ModelAbuse, Timestamp::from_secs(60));
        let names = |range: std::ops::Range<u32>| range.map(|number| format!("s{number:02}")).collect::<Vec<_>>();
        let before = IncidentRevision { sessions: names(0..2), signals: names(0..1), ..opened };
        let after = IncidentRevision {
            verdict: Verdict::Both,
            severity: Severity::High,
            sessions: names(1..3),
            signals: names(0..40),
            ..before.clone()
        };
        let said: Vec<String> = between(&before, &after)
            .iter()
            .map(|change| format!("{}: {} -> {}", change.field, change.before, change.after))
            .collect();
        assert_eq!(said[..3], [r#"verdict: "model_abuse" -> "both""#, r#"severity: "info" -> "high""#, &said[2],]);
        assert!(
            said[2].starts_with(r#"signals: [] -> ["s01","s02","#) && said[2].ends_with(r#""and 23 more"]"#),
            "{said:?}"
        );
        assert_eq!(said[3], r#"sessions: ["s00"] -> ["s02"]"#);
        assert_eq!(said.len(), 4);
        assert!(between(&after, &after).is_empty());
    }
}
