//! What came against what was expected, in words.

use std::collections::{BTreeMap, BTreeSet};

use watershed_schemas::{IncidentRevision, IncidentStatus, PlaneCoverage, Timestamp};

use super::expect::{Expected, Seen, Whom};
use super::offset::shown;
use super::play::{Heard, Played, described};
use super::scenario::Story;
use super::views;

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
    for receiver in receivers(played) {
        let heard = played.heard.iter().map(|heard| &heard.message).filter(|message| message.receiver == receiver);
        lines.extend(views::faults(receiver, heard));
    }
    lines
}

/// The incident that is meant, as it was then.
fn find<'p>(expected: &Expected, played: &'p Played) -> Result<&'p IncidentRevision, String> {
    played.incident(&expected.whom, expected.number, expected.by, expected.status == IncidentStatus::Merged)
}

impl Expected {
    /// In what an incident stands otherwise.
    pub fn differences(&self, incident: &IncidentRevision) -> Vec<String> {
        let mut lines = Vec::new();
        let mut differ = |what: &str, is: String, should: String| lines.extend(self.difference(what, is, should));
        differ("the status", name(&incident.status), name(&self.status));
        if let Some(verdict) = self.verdict {
            differ("the verdict", incident.verdict.name().to_owned(), verdict.name().to_owned());
        }
        if let Some(origin) = self.origin {
            differ("the origin", name(&incident.origin), name(&origin));
        }
        if let Some(severity) = self.severity {
            differ("the severity", incident.severity.name().to_owned(), severity.name().to_owned());
        }
        if let Some([model, access]) = self.coverage {
            differ("the coverage of model", format!("{:?}", seen(incident.coverage.model)), format!("{model:?}"));
            differ("the coverage of access", format!("{:?}", seen(incident.coverage.access)), format!("{access:?}"));
        }
        if let Some(rules) = &self.rules {
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            differ("the list of rules", incident.rules.join(", "), rules.join(", "));
        }
        lines
    }

    fn difference(&self, what: &str, is: String, should: String) -> Option<String> {
        (is != should).then(|| {
            format!("line {}: by {} {what} of {} is {is}, expected {should}", self.line, shown(self.by), self.whom)
        })
    }
}

fn compare(expected: &Expected, incident: &IncidentRevision, played: &Played, lines: &mut Vec<String>) {
    lines.extend(expected.differences(incident));
    let mut differ = |what: &str, is: String, should: String| lines.extend(expected.difference(what, is, should));
    if let Some(related) = &expected.related {
        let principals: BTreeSet<String> = incident
            .related
            .iter()
            .filter_map(|other| played.last.get(&other.incident_id))
            .map(|other| Whom::of(other).to_string())
            .collect();
        differ("the list of related ones", format!("{principals:?}"), format!("{related:?}"));
    }
    let mut numbered = |what: &str, is: &Option<String>, should: Option<usize>| {
        if let Some(number) = should {
            let meant = played.incident(&expected.whom, number, expected.by, true).map(|meant| &*meant.incident_id);
            differ(what, format!("{:?}", is.as_deref().ok_or(())), format!("{:?}", meant.map_err(|_| ())));
        }
    };
    numbered("what it goes on from", &incident.continues, expected.continues);
    numbered("what it was merged into", &incident.merged_into, expected.into);
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
        if let Some(listed) = expected.lists.get(*receiver) {
            let group = heard.last().and_then(|heard| heard.message.group.as_ref());
            let whom =
                |id: &String| played.last.get(id).map_or_else(|| id.clone(), |about| Whom::of(about).to_string());
            let is: Vec<String> = group.map(|group| group.incidents.iter().map(whom).collect()).unwrap_or_default();
            differ(&format!("the list that {receiver} gets"), format!("{is:?}"), format!("{listed:?}"));
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
                let more: Vec<String> = receivers(played)
                    .into_iter()
                    .flat_map(|receiver| played.told(receiver, id, Timestamp::MAX))
                    .filter(|heard| heard.at > last.by)
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
            if never.forbids(&heard.message.receiver, &heard.message, &body) {
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
