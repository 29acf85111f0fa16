//! What came against what was expected, in words.

use std::collections::{BTreeMap, BTreeSet};

use watershed_schemas::{IncidentRevision, IncidentStatus, NotifyReason, PlaneCoverage, Timestamp};

use super::expect::{Expected, Seen, Whom};
use super::offset::shown;
use super::play::{Heard, Played, described};
use super::scenario::Story;

/// Every difference, one line each; empty where all is as it should be.
pub fn differences(story: &Story, played: &Played) -> Vec<String> {
    let mut lines = Vec::new();
    if played.rejected > 0 {
        lines.push(format!("{} records could not be decoded", played.rejected));
    }
    if played.refused != story.refused {
        lines.push(format!("{} rows came too late or from the future, expected {}", played.refused, story.refused));
    }
    lines.extend(played.refusals.iter().cloned());
    for message in &played.at_the_end {
        lines.push(format!(
            "the story ends too early: only at its end {} is told {} (revision {}) `{}`",
            message.receiver,
            message.reason.name(),
            message.revision,
            message.title
        ));
    }
    let mut words: BTreeMap<&str, &Expected> = BTreeMap::new();
    for expected in &story.expect {
        match find(expected, played) {
            Ok(incident) => {
                compare(expected, incident, played, &mut lines);
                let last = words.entry(&incident.incident_id).or_insert(expected);
                if last.by <= expected.by {
                    *last = expected;
                }
            }
            Err(there) => lines.push(format!(
                "line {}: by {} there is no incident {} about {}; there is {there}",
                expected.line,
                shown(expected.by),
                expected.number,
                expected.whom
            )),
        }
    }
    nothing_else(&words, played, &mut lines);
    forbidden(story, played, &mut lines);
    in_any_case(played, &mut lines);
    lines
}

/// The incident that is meant, as it was then.
fn find<'p>(expected: &Expected, played: &'p Played) -> Result<&'p IncidentRevision, String> {
    played.incident(&expected.whom, expected.number, expected.by, expected.status == IncidentStatus::Merged)
}

fn compare(expected: &Expected, incident: &IncidentRevision, played: &Played, lines: &mut Vec<String>) {
    let mut differ = |what: &str, is: String, should: String| {
        if is != should {
            lines.push(format!(
                "line {}: by {} {what} of {} is {is}, expected {should}",
                expected.line,
                shown(expected.by),
                expected.whom
            ));
        }
    };
    differ("the status", name(&incident.status), name(&expected.status));
    if let Some(verdict) = expected.verdict {
        differ("the verdict", incident.verdict.name().to_owned(), verdict.name().to_owned());
    }
    if let Some(origin) = expected.origin {
        differ("the origin", name(&incident.origin), name(&origin));
    }
    if let Some(severity) = expected.severity {
        differ("the severity", incident.severity.name().to_owned(), severity.name().to_owned());
    }
    if let Some([model, access]) = expected.coverage {
        differ("the coverage of model", format!("{:?}", seen(incident.coverage.model)), format!("{model:?}"));
        differ("the coverage of access", format!("{:?}", seen(incident.coverage.access)), format!("{access:?}"));
    }
    if let Some(rules) = &expected.rules {
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        differ("the list of rules", incident.rules.join(", "), rules.join(", "));
    }
    if let Some(related) = &expected.related {
        let principals: BTreeSet<String> = incident
            .related
            .iter()
            .filter_map(|other| played.last.get(&other.incident_id))
            .map(|other| Whom::of(other).to_string())
            .collect();
        differ("the list of related ones", format!("{principals:?}"), format!("{related:?}"));
    }
    for receiver in receivers(played).union(&expected.told.keys().map(String::as_str).collect()) {
        let heard = played.told(receiver, &incident.incident_id, expected.by);
        let is: Vec<&str> = heard.iter().map(|heard| heard.message.reason.name()).collect();
        let should: Vec<&str> =
            expected.told.get(*receiver).into_iter().flatten().map(|reason| reason.name()).collect();
        differ(&format!("what {receiver} is told"), format!("[{}]", is.join(", ")), format!("[{}]", should.join(", ")));
        let early = |heard: &&&Heard| expected.not_before.is_some_and(|not_before| heard.at < not_before);
        if let Some(early) = heard.iter().find(early) {
            differ(&format!("the time at which {receiver} is told"), shown(early.at), "later".to_owned());
        }
        let bodies: Vec<String> =
            heard.iter().map(|heard| serde_json::to_string(&heard.message).unwrap_or_default()).collect();
        for words in expected.reads.get(*receiver).into_iter().flatten() {
            if !bodies.iter().any(|body| body.contains(words.as_str())) {
                differ(&format!("what {receiver} reads"), "something else".to_owned(), format!("`{words}`"));
            }
        }
    }
}

fn receivers(played: &Played) -> BTreeSet<&str> {
    played.heard.iter().map(|heard| heard.message.receiver.as_str()).collect()
}

fn seen(coverage: PlaneCoverage) -> Seen {
    match coverage {
        PlaneCoverage::Observed => Seen::Observed,
        PlaneCoverage::Lagging { .. } => Seen::Lagging,
        PlaneCoverage::Silent { .. } => Seen::Silent,
        PlaneCoverage::NeverSeen => Seen::NeverSeen,
    }
}

fn name(word: &impl serde::Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// No incident and no message but those that are described.
fn nothing_else(words: &BTreeMap<&str, &Expected>, played: &Played, lines: &mut Vec<String>) {
    for (id, incident) in &played.last {
        match words.get(id.as_str()) {
            None if incident.status != IncidentStatus::Merged => {
                lines.push(format!("an incident that was not expected: {}", described(incident)));
            }
            None => {}
            Some(last) => {
                let more: Vec<String> = played
                    .heard
                    .iter()
                    .filter(|heard| heard.message.incident_id == *id && heard.at > last.by)
                    .map(|heard| {
                        format!("{} {} at {}", heard.message.receiver, heard.message.reason.name(), shown(heard.at))
                    })
                    .collect();
                if !more.is_empty() {
                    lines.push(format!(
                        "line {}: after the last word on {} there is more: {}",
                        last.line,
                        last.whom,
                        more.join(", ")
                    ));
                }
            }
        }
    }
    for heard in played.heard.iter().filter(|heard| !played.last.contains_key(&heard.message.incident_id)) {
        lines.push(format!(
            "{} is told of an incident that is not known: {}",
            heard.message.receiver, heard.message.title
        ));
    }
}

/// Nothing that must not be sent.
fn forbidden(story: &Story, played: &Played, lines: &mut Vec<String>) {
    for never in &story.never {
        for heard in &played.heard {
            let body = serde_json::to_string(&heard.message).unwrap_or_default();
            let sent = never.to.as_ref().is_none_or(|to| *to == heard.message.receiver)
                && never.about.as_ref().is_none_or(|about| heard.message.principal.as_ref() == Some(about))
                && never.text.as_ref().is_none_or(|text| {
                    body.contains(serde_json::Value::from(text.as_str()).to_string().trim_matches('"'))
                });
            if sent {
                lines.push(format!(
                    "line {}: {never} must never be sent, but {} got `{}` at {}",
                    never.line,
                    heard.message.receiver,
                    heard.message.title,
                    shown(heard.at)
                ));
                break;
            }
        }
    }
}

/// What holds in every story: no team hears of a plane that is not in the verdict, unless it has to be told that it no
/// longer is; and what a receiver is told of an incident never goes back.
fn in_any_case(played: &Played, lines: &mut Vec<String>) {
    let mut known: BTreeMap<(&str, &str), (u32, Timestamp)> = BTreeMap::new();
    for Heard { at, message } in &played.heard {
        let place = (message.receiver.as_str(), message.incident_id.as_str());
        let before = known.insert(place, (message.revision, *at));
        let over = matches!(message.reason, NotifyReason::Withdrawn | NotifyReason::Resolved);
        match message.team.as_str() {
            "ai-security" | "iam" => {
                let own = |plane: &&watershed_schemas::Plane| plane.team() == message.team;
                let in_verdict = message.verdict.planes().iter().any(|plane| own(&plane));
                if !in_verdict && (!over || before.is_none()) {
                    lines.push(format!(
                        "{} is told of {}, which is not its plane",
                        message.receiver,
                        message.verdict.name()
                    ));
                }
                if message.planes.iter().any(|plane| !own(&plane)) {
                    lines.push(format!("{} is shown {:?}", message.receiver, message.planes));
                }
            }
            _ => {}
        }
        match before {
            None if !matches!(message.reason, NotifyReason::Opened | NotifyReason::Escalated) => {
                lines.push(format!("the first that {} hears is `{}`", message.receiver, message.reason.name()));
            }
            Some((revision, _)) if message.revision < revision => {
                lines.push(format!("{} is told revision {} after {revision}", message.receiver, message.revision));
            }
            _ => {}
        }
    }
}
