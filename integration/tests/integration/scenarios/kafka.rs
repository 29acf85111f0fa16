//! Ten scenarios and their twins through Kafka, the program as it is deployed, and receivers that check signatures.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use watershed_integration::broker::{self, Broker, Record};
use watershed_integration::deployment::Deployment;
use watershed_integration::receivers::Delivered;
use watershed_integration::scenario::PARTITIONS;
use watershed_integration::scenarios::{Expected, Scenario, Story, Whom, directory, views};
use watershed_schemas::{IncidentRevision, IncidentStatus, NotifyReason, Plane, Timestamp};

use super::scenarios;

const DEADLINE: Duration = Duration::from_secs(300);
/// How many scenarios are chosen.
const CHOSEN: usize = 10;

#[test]
fn ten_stories_reach_their_owners_through_kafka_and_http() {
    let chosen: Vec<Scenario> = scenarios().into_iter().filter(|scenario| scenario.kafka).collect();
    assert_eq!(chosen.len(), CHOSEN, "scenarios with `kafka: true`");
    assert!(chosen.iter().all(|scenario| scenario.config.is_empty()), "they share one configuration");
    let stories: Vec<Story> =
        chosen.iter().flat_map(|one| [one.story.clone(), one.twin.in_tenant(&format!("{}-twin", one.id))]).collect();
    let Some(broker) = broker::shared("scenarios") else { return };
    let mut deployment = deploy(broker);
    for (plane, topic) in [(Plane::Model, "runtime"), (Plane::Access, "identity")] {
        deployment.topics().produce(&deployment.topic(topic), &stream(&stories, plane)).expect("telemetry");
    }
    let mut running = deployment.start(None).expect("watershed starts");
    deployment.settle(&mut running, DEADLINE).expect("it comes to rest");
    let incidents = incidents(&deployment);
    deployment.stop(running).expect("it stops");

    let (ai_security, iam) = deployment.delivered().expect("signed and well-formed");
    let delivered = [("ai-security", ai_security.as_slice()), ("iam", iam.as_slice())];
    let mut wrong = Vec::new();
    for (receiver, messages) in delivered {
        wrong.extend(views::faults(receiver, messages.iter().map(|delivered| &delivered.notification)));
    }
    let mut known = 0;
    for story in &stories {
        let of_tenant = |incident: &&IncidentRevision| incident.tenant == story.tenant;
        let own: Vec<&IncidentRevision> = incidents.iter().filter(of_tenant).collect();
        known += own.len();
        let lines = differences(story, &own, &delivered);
        wrong.extend(lines.into_iter().map(|line| format!("{} ({}): {line}", story.tenant, story.title)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(incidents.len(), known, "incidents of nobody's tenant: {incidents:#?}");
}

/// The last revision of every incident, as the program shows it.
fn incidents(deployment: &Deployment) -> Vec<IncidentRevision> {
    let get = |path: &str| -> Value {
        let answer = deployment.get(path).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    };
    let listed = get("/api/v1/incidents?limit=500");
    assert_eq!(listed["next"], Value::Null, "one page holds all");
    let ids = listed["incidents"].as_array().expect("a list").iter().map(|entry| entry["incident_id"].as_str());
    ids.map(|id| get(&format!("/api/v1/incidents/{}", id.expect("an id"))))
        .map(|case| serde_json::from_value(case["incident"].clone()).expect("an incident"))
        .collect()
}

fn deploy(broker: &Broker) -> Deployment {
    let tables = format!("[reference]\ndir = \"{}\"", directory().join("reference").display());
    Deployment::with_settings(broker, "scenarios", &Deployment::plain(broker), "watershed", &tables)
        .expect("a deployment")
}

/// Everything of one plane in order of arrival, one partition after the other, between a first and a last row of each.
fn stream(stories: &[Story], plane: Plane) -> Vec<Record> {
    let mut arrivals: Vec<(Timestamp, String)> = stories
        .iter()
        .flat_map(Story::arrivals)
        .filter(|arrival| arrival.plane == plane)
        .map(|arrival| (arrival.at, arrival.payload()))
        .collect();
    arrivals.sort_by_key(|(at, _)| *at);
    let [first, last] = [arrivals.first(), arrivals.last()].map(|one| one.expect("an arrival").0);
    let lookback = Duration::from_secs(60 * 24 * 3_600);
    let edge = |at: Timestamp| {
        let row = move |n: i32| json!({"event_id": format!("edge-{n}-{at}"), "event_time": at, "kind": "other"});
        (0..PARTITIONS).map(move |n| (at, row(n).to_string()))
    };
    let all: Vec<(Timestamp, String)> =
        edge(first.minus(lookback)).chain(arrivals).chain(edge(last.plus(Duration::from_secs(3_600)))).collect();
    let partitions = (0..PARTITIONS).cycle();
    all.into_iter().zip(partitions).map(|((at, payload), to)| Record::new(to, payload).at(at)).collect()
}

/// What of a story came otherwise. All incidents are quiet by the last row, so each stands as its last word says, and is over.
fn differences(story: &Story, incidents: &[&IncidentRevision], delivered: &[(&str, &[Delivered])]) -> Vec<String> {
    let mut lines = forbidden(story, delivered);
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for expected in story.last_words() {
        let mut about: Vec<&IncidentRevision> =
            incidents.iter().copied().filter(|incident| Whom::of(incident) == expected.whom).collect();
        about.sort_by_key(|incident| (incident.first_event_time, incident.incident_id.clone()));
        match about.get(expected.number - 1) {
            Some(incident) => {
                found.insert(&incident.incident_id);
                lines
                    .extend(expected.differences(&IncidentRevision { status: expected.status, ..(*incident).clone() }));
                if incident.status != IncidentStatus::Resolved {
                    lines.push(format!("the incident of {} is not over: {:?}", expected.whom, incident.status));
                }
                lines.extend(told_otherwise(&expected, incident, delivered));
            }
            None => lines.push(format!("there is no incident {} about {}", expected.number, expected.whom)),
        }
    }
    for incident in incidents.iter().filter(|incident| !found.contains(incident.incident_id.as_str())) {
        lines.push(format!("an incident that was not expected: {incident:?}"));
    }
    let known = |message: &&Delivered| incidents.iter().any(|one| one.incident_id == message.notification.incident_id);
    for (receiver, messages) in delivered {
        for message in messages.iter().filter(|message| message.notification.tenant == story.tenant) {
            if !known(&message) {
                lines.push(format!("{receiver} is told of an incident that is not known: {}", message.body));
            }
        }
    }
    lines
}

/// What each receiver was told of an incident otherwise: who, from its beginning to its end, and what is read there. How it grew
/// in between depends on which partition is read first.
fn told_otherwise(expected: &Expected, incident: &IncidentRevision, delivered: &[(&str, &[Delivered])]) -> Vec<String> {
    use NotifyReason::{Opened, Resolved, SeverityRose, VerdictGrew};
    let mut lines = Vec::new();
    for (receiver, messages) in delivered {
        let mut fault = |what: String| lines.push(format!("{receiver} {what} of {}", expected.whom));
        let heard: Vec<&Delivered> =
            messages.iter().filter(|message| message.notification.incident_id == incident.incident_id).collect();
        let reasons: Vec<NotifyReason> = heard.iter().map(|message| message.notification.reason).collect();
        match (expected.told.contains_key(*receiver), reasons.as_slice()) {
            (false, []) => continue,
            (true, [Opened, grown @ .., Resolved])
                if grown.iter().all(|reason| matches!(reason, VerdictGrew | SeverityRose)) => {}
            (should, _) => {
                fault(format!("is told {reasons:?}, expected {}", if should { "its life" } else { "nothing" }))
            }
        }
        for words in expected.reads.get(*receiver).into_iter().flatten() {
            if !heard.iter().any(|message| message.body.contains(words.as_str())) {
                fault(format!("does not read `{words}`"));
            }
        }
        // What is told last is what the incident came to, as far as the receiver's plane goes.
        if let Some(Delivered { notification: last, .. }) = heard.last() {
            let said = (last.verdict, last.origin, last.coverage, last.revision);
            let is = (incident.verdict, incident.origin, incident.coverage, incident.revision);
            if said != is {
                fault(format!("is told {said:?} in the end instead of {is:?}"));
            }
            if let Some(rule) = last.rules.iter().find(|rule| !incident.rules.contains(&rule.id)) {
                fault(format!("is told of the rule {}", rule.id));
            }
        }
    }
    lines
}

fn forbidden(story: &Story, delivered: &[(&str, &[Delivered])]) -> Vec<String> {
    let mut lines = Vec::new();
    for never in &story.never {
        for (receiver, messages) in delivered {
            for Delivered { notification, body } in
                messages.iter().filter(|one| one.notification.tenant == story.tenant)
            {
                if never.forbids(receiver, notification, body) {
                    lines.push(format!("{never} went out to {receiver}: {body}"));
                }
            }
        }
    }
    lines
}
