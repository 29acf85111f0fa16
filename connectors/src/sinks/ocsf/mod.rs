//! Incidents in the words of the Open Cybersecurity Schema Framework (schema.ocsf.io).
//!
//! * [`incident_finding`]: a notification as an Incident Finding (class 2005).
//! * [`detection_finding`]: the same as a Detection Finding (class 2004), for systems that know no incidents.
//! * [`case_finding`]: a case file as an Incident Finding, for exports.
//!
//! Times are milliseconds since 1970. Our verdict goes into `finding_info.types`: what the schema calls `verdict_id` is
//! the disposition of an analyst, and 0 (unknown) until one has closed the incident. What the schema has no place for
//! is in `unmapped`.
//!
//! It is not a place for redaction: it says what it is given.

mod detection;
mod incident;
mod words;

use serde_json::{Value, json};
use watershed_schemas::{
    Case, Coverage, EvidenceItem, Handled, IncidentStatus, Moment, Notification, NotifyReason, Origin, PlaneScores,
    RuleMention, Severity, TimelineEntry, Timestamp, Verdict,
};

use super::words::is_over;

/// The version of the schema.
pub const VERSION: &str = "1.5.0";

/// Most pieces of evidence, rules, sessions and agents in one finding.
const ITEMS: usize = 100;

/// A notification as an Incident Finding.
pub fn incident_finding(notification: &Notification) -> Value {
    of_the_engine(incident::finding(&View::of_notification(notification)), notification)
}

/// A notification as a Detection Finding.
pub fn detection_finding(notification: &Notification) -> Value {
    of_the_engine(detection::finding(&View::of_notification(notification)), notification)
}

/// What the engine says of itself has no verdict: its kind stands where that would.
fn of_the_engine(mut finding: Value, notification: &Notification) -> Value {
    let Some(notice) = &notification.notice else { return finding };
    for place in ["/finding_info/types", "/finding_info_list/0/types"] {
        if let Some(types) = finding.pointer_mut(place) {
            *types = json!([format!("watershed.{}", notice.kind.name())]);
        }
    }
    if let Some(unmapped) = finding.get_mut("unmapped").and_then(Value::as_object_mut) {
        ["verdict", "origin", "coverage", "scores"].iter().for_each(|name| drop(unmapped.remove(*name)));
    }
    finding
}

/// A case file as an Incident Finding: each rule's finding names the events that it rests on, and nothing quotes them.
pub fn case_finding(case: &Case) -> Value {
    incident::finding(&View::of_case(case))
}

/// What both classes say.
struct View<'a> {
    /// Id of this record.
    uid: String,
    incident_id: &'a str,
    revision: u32,
    activity: Activity,
    /// Why this was written: a word.
    reason: &'a str,
    /// Why the revision was, in a sentence.
    detail: Option<&'a str>,
    status: IncidentStatus,
    verdict: Verdict,
    origin: Origin,
    coverage: Coverage,
    severity: Severity,
    scores: PlaneScores,
    tenant: &'a str,
    principal: Option<&'a str>,
    sessions: &'a [String],
    agents: &'a [String],
    team: Option<&'a str>,
    title: String,
    first_move: Option<String>,
    rules: Vec<RuleFinding>,
    evidence: Vec<EvidenceItem>,
    tags: &'a [String],
    frameworks: &'a [String],
    handled: Option<&'a Handled>,
    link: Option<&'a str>,
    first: Timestamp,
    last: Timestamp,
}

/// What one rule found.
struct RuleFinding {
    rule: RuleMention,
    /// The events that it rests on, as far as they are told rule by rule.
    events: Vec<EvidenceItem>,
    first: Timestamp,
    last: Timestamp,
}

/// What happened to the finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Activity {
    Create,
    Update,
    Close,
}

impl Activity {
    fn id(self) -> u64 {
        match self {
            Activity::Create => 1,
            Activity::Update => 2,
            Activity::Close => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Activity::Create => "Create",
            Activity::Update => "Update",
            Activity::Close => "Close",
        }
    }
}

impl<'a> View<'a> {
    fn of_notification(notification: &'a Notification) -> Self {
        View {
            uid: notification.notification_id.clone(),
            incident_id: &notification.incident_id,
            revision: notification.revision,
            activity: match notification.reason {
                _ if is_over(notification) => Activity::Close,
                NotifyReason::Opened if !notification.reopened => Activity::Create,
                _ => Activity::Update,
            },
            reason: notification.reason.name(),
            detail: None,
            status: notification.status,
            verdict: notification.verdict,
            origin: notification.origin,
            coverage: notification.coverage,
            severity: notification.severity,
            scores: notification.scores,
            tenant: &notification.tenant,
            principal: notification.principal.as_deref(),
            sessions: &notification.sessions,
            agents: &notification.agents,
            team: Some(&notification.team),
            title: notification.title.clone(),
            first_move: Some(first_move(notification)).filter(|step| !step.is_empty()),
            rules: notification
                .rules
                .iter()
                .map(|rule| RuleFinding {
                    rule: rule.clone(),
                    events: Vec::new(),
                    first: notification.first_event_time,
                    last: notification.last_event_time,
                })
                .collect(),
            evidence: notification.evidence.clone(),
            tags: &notification.tags,
            frameworks: &notification.frameworks,
            handled: notification.handled.as_ref(),
            link: notification.link.as_deref(),
            first: notification.first_event_time,
            last: notification.last_event_time,
        }
    }

    fn of_case(case: &'a Case) -> Self {
        let incident = &case.incident;
        let whom = incident.principal.as_deref().unwrap_or("an unknown identity");
        let evidence = case.timeline.iter().filter(|moment| moment.moment == Moment::Evidence);
        let finding = |id: &String| {
            let own = evidence.clone().filter(|moment| moment.signals.iter().any(|(_, rule)| rule == id));
            let events: Vec<EvidenceItem> = own.map(named).collect();
            RuleFinding {
                rule: RuleMention { id: id.clone(), title: id.clone(), runbook: None },
                first: events.first().map_or(incident.first_event_time, |event| event.event_time),
                last: events.last().map_or(incident.last_event_time, |event| event.event_time),
                events,
            }
        };
        let rules: Vec<RuleFinding> = incident.rules.iter().map(finding).collect();
        let steps: Vec<&str> = case.first_moves.iter().take(ITEMS).map(|step| step.text.as_str()).collect();
        View {
            uid: format!("{}-{}", incident.incident_id, incident.revision),
            incident_id: &incident.incident_id,
            revision: incident.revision,
            activity: match incident.status {
                IncidentStatus::Open | IncidentStatus::Acknowledged if incident.revision == 1 => Activity::Create,
                IncidentStatus::Open | IncidentStatus::Acknowledged => Activity::Update,
                _ => Activity::Close,
            },
            reason: "exported",
            detail: Some(&incident.reason),
            status: incident.status,
            verdict: incident.verdict,
            origin: incident.origin,
            coverage: incident.coverage,
            severity: incident.severity,
            scores: incident.scores,
            tenant: &incident.tenant,
            principal: incident.principal.as_deref(),
            sessions: &incident.sessions,
            agents: &incident.agents,
            team: incident.owners.first().map(String::as_str),
            title: format!("{} by {whom}", super::words::verdict(incident.verdict)),
            first_move: Some(steps.join("; ")).filter(|steps| !steps.is_empty()),
            // What led to the first signal was before it.
            first: rules.iter().map(|rule| rule.first).fold(incident.first_event_time, Timestamp::min),
            rules,
            evidence: evidence.clone().map(named).collect(),
            tags: &incident.tags,
            frameworks: &incident.frameworks,
            handled: incident.handled.as_ref(),
            link: None,
            last: incident.last_event_time,
        }
    }

    /// The attributes that findings of any class have.
    fn base(&self, class_uid: u64, class_name: &str) -> Value {
        let (severity_id, severity) = words::severity(self.severity);
        let mut base = json!({
            "activity_id": self.activity.id(),
            "activity_name": self.activity.name(),
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": class_uid,
            "class_name": class_name,
            "type_uid": class_uid * 100 + self.activity.id(),
            "type_name": format!("{class_name}: {}", self.activity.name()),
            "time": millis(self.last),
            "start_time": millis(self.first),
            "end_time": millis(self.last),
            "severity_id": severity_id,
            "severity": severity,
            "message": self.title,
            "metadata": {
                "version": VERSION,
                "product": {
                    "name": "Watershed",
                    "vendor_name": "Watershed",
                    "version": env!("CARGO_PKG_VERSION"),
                },
                "uid": self.uid,
                "correlation_uid": self.incident_id,
                "event_code": self.reason,
                "sequence": self.revision,
                "tenant_uid": self.tenant,
            },
        });
        let labels: Vec<&String> = self.tags.iter().chain(self.frameworks).take(ITEMS).collect();
        if !labels.is_empty() {
            base["metadata"]["labels"] = json!(labels);
        }
        if let Some(detail) = self.detail {
            base["status_detail"] = json!(detail);
        }
        if let Some(note) = self.handled.and_then(|handled| handled.note.as_deref()) {
            base["comment"] = json!(note);
        }
        if let Some(principal) = self.principal {
            // An observable points to an attribute of the event by its path.
            base["observables"] =
                json!([{ "name": "unmapped.principal", "type": "User Name", "type_id": 4, "value": principal }]);
        }
        base["unmapped"] = json!({
            "verdict": self.verdict,
            "origin": self.origin,
            "coverage": self.coverage,
            "scores": self.scores,
            "principal": self.principal,
            "sessions": self.sessions.iter().take(ITEMS).collect::<Vec<_>>(),
            "agents": self.agents.iter().take(ITEMS).collect::<Vec<_>>(),
            "first_move": self.first_move,
        });
        base
    }

    /// The incident as a whole.
    fn whole(&self) -> Value {
        let mut info = json!({
            "uid": self.incident_id,
            "title": self.title,
            "types": [self.verdict.name()],
            "data_sources": self.verdict.planes().iter().map(|plane| plane.table()).collect::<Vec<_>>(),
            "first_seen_time": millis(self.first),
            "last_seen_time": millis(self.last),
        });
        if !self.evidence.is_empty() {
            info["related_events"] = related(&self.evidence);
        }
        if let Some(link) = self.link {
            info["src_url"] = json!(link);
        }
        info
    }

    /// What one rule found.
    fn of_rule(&self, finding: &RuleFinding) -> Value {
        let rule = &finding.rule;
        let mut info = json!({
            "uid": format!("{}:{}", self.incident_id, rule.id),
            "title": rule.title,
            "types": [self.verdict.name()],
            "analytic": analytic(rule),
            "first_seen_time": millis(finding.first),
            "last_seen_time": millis(finding.last),
        });
        if !finding.events.is_empty() {
            info["related_events"] = related(&finding.events);
        }
        if let Some(runbook) = &rule.runbook {
            info["src_url"] = json!(runbook);
        }
        info
    }
}

/// What to do first, in one line.
fn first_move(notification: &Notification) -> String {
    if notification.first_moves.is_empty() {
        return notification.first_move.clone();
    }
    let steps: Vec<&str> = notification.first_moves.iter().take(ITEMS).map(|step| step.text.as_str()).collect();
    steps.join("; ")
}

/// The event of a moment, by its name alone.
fn named(moment: &TimelineEntry) -> EvidenceItem {
    EvidenceItem {
        event_time: moment.event_time,
        plane: moment.plane,
        event_id: moment.event_id.clone(),
        kind: moment.kind.clone(),
        summary: String::new(),
    }
}

fn related(events: &[EvidenceItem]) -> Value {
    let event = |item: &EvidenceItem| json!({ "uid": item.event_id, "type": format!("{}: {}", item.plane, item.kind) });
    events.iter().take(ITEMS).map(event).collect()
}

fn analytic(rule: &RuleMention) -> Value {
    json!({ "uid": rule.id, "name": rule.title, "type_id": 1, "type": "Rule" })
}

fn millis(time: Timestamp) -> i64 {
    time.micros().div_euclid(1_000)
}
