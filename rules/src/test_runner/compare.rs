//! What came against what was expected, in words.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use watershed_schemas::{IncidentRevision, IncidentStatus, Signal};

use super::{Expectation, ExpectedSignal, Outcome};
use crate::front_matter::RuleMeta;

/// How far two floating point details may lie apart: their sums depend on the order of the rows.
const FLOAT_TOLERANCE: f64 = 1e-9;

/// Every difference between the expectation and what the pipeline did, one line each; empty where they agree.
pub fn differences(rule: &RuleMeta, expect: &Expectation, outcome: &Outcome) -> Vec<String> {
    let mut last: BTreeMap<&str, &Signal> = BTreeMap::new();
    for signal in outcome.signals.iter().filter(|signal| signal.rule == rule.id) {
        let slot = last.entry(&signal.signal_id).or_insert(signal);
        if signal.revision >= slot.revision {
            *slot = signal;
        }
    }
    let mut came: Vec<&Signal> = last.into_values().collect();
    came.sort_by(|a, b| (a.event_time, &a.signal_id).cmp(&(b.event_time, &b.signal_id)));

    let mut lines = Vec::new();
    for expected in &expect.signals {
        match came.iter().position(|signal| signal.key == expected.key) {
            None if expected.withdrawn && outcome.only_final => {}
            None => lines.push(format!("line {}: no signal with the key {}", expected.line, shown(&expected.key))),
            Some(at) => compare_signal(expected, came.remove(at), &mut lines),
        }
    }
    for signal in came {
        let withdrawn = if signal.withdrawn { ", sent and withdrawn" } else { "" };
        let evidence = signal.evidence.join(", ");
        lines.push(format!(
            "a signal that was not expected: key {}, evidence [{evidence}]{withdrawn}",
            shown(&signal.key)
        ));
    }
    compare_incidents(rule, expect, &outcome.incidents, &mut lines);
    lines
}

fn compare_signal(expected: &ExpectedSignal, signal: &Signal, lines: &mut Vec<String>) {
    let mut differ = |what: &str, is: String, should: String| {
        lines.push(format!(
            "line {}: signal {}: {what} is {is}, expected {should}",
            expected.line,
            shown(&expected.key)
        ));
    };
    if signal.withdrawn != expected.withdrawn {
        let word = |withdrawn: bool| if withdrawn { "withdrawn" } else { "standing" }.to_owned();
        differ("it", word(signal.withdrawn), word(expected.withdrawn));
    }
    if let Some(event_time) = expected.event_time.filter(|time| *time != signal.event_time) {
        differ("event_time", signal.event_time.to_string(), event_time.to_string());
    }
    for (what, is, should) in [
        ("principal", &signal.principal, &expected.principal),
        ("session_id", &signal.session_id, &expected.session_id),
    ] {
        if should.is_some() && is != should {
            differ(what, is.clone().unwrap_or_else(|| "NULL".to_owned()), should.clone().unwrap_or_default());
        }
    }
    if let Some(evidence) = expected.evidence.as_ref().filter(|evidence| **evidence != signal.evidence) {
        differ("evidence", format!("[{}]", signal.evidence.join(", ")), format!("[{}]", evidence.join(", ")));
    }
    for (name, should) in &expected.details {
        match signal.details.get(name) {
            None => {
                let known: Vec<&str> = signal.details.keys().map(String::as_str).collect();
                differ(name, "not an output column".to_owned(), format!("one of {}", known.join(", ")));
            }
            Some(is) if !same(is, should) => differ(name, is.to_string(), should.to_string()),
            Some(_) => {}
        }
    }
}

fn compare_incidents(rule: &RuleMeta, expect: &Expectation, revisions: &[IncidentRevision], lines: &mut Vec<String>) {
    if expect.verdict.is_none() && expect.owners.is_none() {
        return;
    }
    let mut last: BTreeMap<&str, &IncidentRevision> = BTreeMap::new();
    for revision in revisions.iter().filter(|revision| revision.rules.contains(&rule.id)) {
        let slot = last.entry(&revision.incident_id).or_insert(revision);
        if revision.revision >= slot.revision {
            *slot = revision;
        }
    }
    last.retain(|_, incident| !matches!(incident.status, IncidentStatus::Merged | IncidentStatus::Withdrawn));
    if last.is_empty() {
        lines.push("no incident, so neither verdict nor owner".to_owned());
    }
    for incident in last.values() {
        let whose = incident.principal.as_deref().or(incident.sessions.first().map(String::as_str)).unwrap_or("nobody");
        if let Some(verdict) = expect.verdict.filter(|verdict| *verdict != incident.verdict) {
            lines.push(format!(
                "incident of {whose}: verdict is {}, expected {}",
                incident.verdict.name(),
                verdict.name()
            ));
        }
        if let Some(owners) = expect.owners.as_ref().filter(|owners| **owners != incident.owners) {
            let is = incident.owners.join(", ");
            lines.push(format!("incident of {whose}: owner is [{is}], expected [{}]", owners.join(", ")));
        }
    }
}

fn shown(key: &Map<String, Value>) -> String {
    let pairs: Vec<String> = key
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            other => format!("{name}: {other}"),
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn same(is: &Value, should: &Value) -> bool {
    match (is.as_f64(), should.as_f64()) {
        (Some(is), Some(should)) => (is - should).abs() <= FLOAT_TOLERANCE,
        _ => is == should,
    }
}
