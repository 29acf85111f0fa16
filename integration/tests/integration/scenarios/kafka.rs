//! Ten scenarios and their twins through Kafka, the program as it is deployed, and receivers that check signatures.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use watershed_integration::broker::{self, Broker, Record};
use watershed_integration::deployment::Deployment;
use watershed_integration::receivers::Delivered;
use watershed_integration::scenario::PARTITIONS;
use watershed_integration::scenarios::{Scenario, Story, Whom, directory};
use watershed_schemas::{NotifyReason, Plane, Timestamp, Verdict};

use super::scenarios;

const DEADLINE: Duration = Duration::from_secs(300);
/// How many scenarios are chosen.
const CHOSEN: usize = 10;

/// Who is told of somebody, with which verdict.
type Told = BTreeMap<(String, Whom), (Verdict, BTreeSet<String>)>;

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
    deployment.stop(running).expect("it stops");

    let (ai_security, iam) = deployment.delivered().expect("signed and well-formed");
    let delivered = [("ai-security", ai_security.as_slice()), ("iam", iam.as_slice())];
    assert_eq!(told(&delivered), expected(&stories), "who is told of whom");
    for story in &stories {
        nothing_forbidden(story, &delivered);
    }
    for (receiver, messages) in delivered {
        views_are_monotone(receiver, messages);
    }
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

/// What each story's last words come to. The order of reasons isn't compared: partitions are read at their own pace.
fn expected(stories: &[Story]) -> Told {
    let mut told = Told::new();
    for story in stories {
        for expected in &story.expect {
            let entry = told.entry((story.tenant.clone(), expected.whom.clone()));
            let first = || (expected.verdict.expect("the first word says it"), BTreeSet::new());
            let (verdict, receivers) = entry.or_insert_with(first);
            *verdict = expected.verdict.unwrap_or(*verdict);
            receivers.extend(expected.told.keys().cloned());
        }
    }
    told
}

fn told(delivered: &[(&str, &[Delivered])]) -> Told {
    let mut told = Told::new();
    for (receiver, messages) in delivered {
        for Delivered { notification, .. } in *messages {
            let session = || Whom::Session(notification.sessions.first().cloned().unwrap_or_default());
            let whom = notification.principal.clone().map_or_else(session, Whom::Principal);
            let entry = told.entry((notification.tenant.clone(), whom));
            let (verdict, receivers) = entry.or_insert((notification.verdict, BTreeSet::new()));
            *verdict = (*verdict).max(notification.verdict);
            receivers.insert((*receiver).to_owned());
        }
    }
    told
}

fn nothing_forbidden(story: &Story, delivered: &[(&str, &[Delivered])]) {
    for never in story.never.iter().filter(|never| never.about.is_none()) {
        for (receiver, messages) in delivered {
            if never.to.as_ref().is_some_and(|to| to != receiver) {
                continue;
            }
            for message in messages.iter().filter(|message| message.notification.tenant == story.tenant) {
                let said = never.text.as_ref().is_none_or(|text| message.body.contains(text.as_str()));
                assert!(!said, "{}: {never} went out: {}", story.title, message.body);
            }
        }
    }
}

/// What a receiver hears of an incident begins with its opening and never goes back.
fn views_are_monotone(receiver: &str, messages: &[Delivered]) {
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    for Delivered { notification, .. } in messages {
        match known.insert(&notification.incident_id, notification.revision) {
            None => assert_eq!(notification.reason, NotifyReason::Opened, "{receiver}: {}", notification.title),
            Some(before) => assert!(before <= notification.revision, "{receiver}: {}", notification.title),
        }
    }
}
