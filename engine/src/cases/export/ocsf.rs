//! A case as an OCSF 1.5 Incident Finding (`class_uid` 2005).
//!
//! Times are epoch milliseconds. `verdict_id` is what a person judged it to be, which is what the class means by it; our own verdict
//! stands in the types of each finding. Texts of prompts and arguments are not part of it.

use serde_json::{Map, Value, json};
use watershed_schemas::{Act, Case, Disposition, IncidentRevision, IncidentStatus, Moment, Severity, Timestamp};

/// The version of the schema.
pub const VERSION: &str = "1.5.0";
/// Incident Finding.
pub const CLASS: u32 = 2005;

/// The case as one event.
pub fn ocsf(case: &Case) -> Value {
    let incident = &case.incident;
    let over = matches!(
        incident.status,
        IncidentStatus::Resolved | IncidentStatus::Closed | IncidentStatus::Merged | IncidentStatus::Withdrawn
    );
    let (activity, activity_name) = match (over, incident.revision) {
        (true, _) => (3, "Close"),
        (false, 1) => (1, "Create"),
        (false, _) => (2, "Update"),
    };
    let (status, status_name) = match incident.status {
        IncidentStatus::Open => (1, "New"),
        IncidentStatus::Acknowledged => (2, "In Progress"),
        IncidentStatus::Resolved => (4, "Resolved"),
        IncidentStatus::Closed | IncidentStatus::Merged | IncidentStatus::Withdrawn => (5, "Closed"),
    };
    let (severity, severity_name) = match incident.severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_name": "Findings",
        "category_uid": 2,
        "class_name": "Incident Finding",
        "class_uid": CLASS,
        "desc": description(incident),
        "end_time": millis(incident.last_event_time),
        "finding_info_list": findings(case),
        "metadata": {
            "product": {
                "name": "Watershed",
                "uid": "watershed",
                "vendor_name": "Watershed",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "tenant_uid": incident.tenant,
            "uid": format!("{}-{}", incident.incident_id, incident.revision),
            "version": VERSION,
        },
        "severity": severity_name,
        "severity_id": severity,
        "start_time": millis(incident.first_event_time),
        "status": status_name,
        "status_detail": incident.reason,
        "status_id": status,
        "time": millis(incident.last_event_time),
        "type_name": format!("Incident Finding: {activity_name}"),
        "type_uid": CLASS * 100 + activity,
        "unmapped": {
            "coverage": incident.coverage,
            "incident_id": incident.incident_id,
            "origin": incident.origin,
            "revision": incident.revision,
            "scores": incident.scores,
            "verdict": incident.verdict,
        },
    });
    if let Some(object) = event.as_object_mut() {
        judged(incident, object);
    }
    event
}

/// What a person said of it.
fn judged(incident: &IncidentRevision, event: &mut Map<String, Value>) {
    let Some(handled) = &incident.handled else { return };
    event.insert("assignee".to_owned(), json!({ "name": handled.by }));
    if let Some(note) = &handled.note {
        event.insert("comment".to_owned(), json!(note));
    }
    if let Act::Close { disposition } = handled.act {
        let (id, name) = match disposition {
            Disposition::FalsePositive => (1, "False Positive"),
            Disposition::TruePositive => (2, "True Positive"),
            Disposition::Benign => (5, "Benign"),
        };
        event.insert("verdict_id".to_owned(), json!(id));
        event.insert("verdict".to_owned(), json!(name));
    }
}

fn description(incident: &IncidentRevision) -> String {
    let planes: Vec<&str> = incident.verdict.planes().iter().map(|plane| plane.name()).collect();
    format!("{} evidenced on the {} plane", incident.verdict.name(), planes.join(" and the "))
}

/// One finding for each rule, with the events that its signals rest on.
fn findings(case: &Case) -> Vec<Value> {
    let incident = &case.incident;
    let types = |rule: &str| {
        let mut types = vec![incident.verdict.name().to_owned()];
        let contribution = incident.because.rules.iter().find(|contribution| contribution.rule == rule);
        if let Some(contribution) = contribution {
            let planes = [("model", contribution.weight.model), ("access", contribution.weight.access)];
            types.extend(planes.iter().filter(|(_, weight)| *weight > 0.0).map(|(plane, _)| format!("{plane} plane")));
        }
        types
    };
    let finding = |rule: &String| {
        let rests = case.timeline.iter().filter(|moment| moment.moment == Moment::Evidence);
        let events: Vec<_> = rests.filter(|moment| moment.signals.iter().any(|(_, of)| of == rule)).collect();
        let first = events.first().map_or(incident.first_event_time, |moment| moment.event_time);
        let last = events.last().map_or(incident.last_event_time, |moment| moment.event_time);
        let related: Vec<Value> = events
            .iter()
            .map(
                |moment| json!({ "uid": moment.event_id, "type": format!("{}.{}", moment.plane.table(), moment.kind) }),
            )
            .collect();
        json!({
            "analytic": { "name": rule, "type": "Rule", "type_id": 1, "uid": rule },
            "first_seen_time": millis(first),
            "last_seen_time": millis(last),
            "related_events": related,
            "title": rule,
            "types": types(rule),
            "uid": format!("{}:{rule}", incident.incident_id),
        })
    };
    incident.rules.iter().map(finding).collect()
}

fn millis(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000)
}
