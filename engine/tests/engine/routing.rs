//! Each rule of the catalog, firing alone, tells its own team and nobody else, and shows it nothing of the other plane's.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::{RawBatch, RawRecord};
use watershed_engine::core::{Core, Input, Settings};
use watershed_engine::correlator::Telling;
use watershed_engine::evaluator::RuleSetup;
use watershed_engine::router::{Receiver, Router, Routes};
use watershed_engine::store::Commit;
use watershed_rules::catalog::{CATALOG, reference_of_tests};
use watershed_rules::test_runner::{TestEvent, TestFile};
use watershed_rules::{CompiledRule, RuleSource, compile_set};
use watershed_schemas::{Notification, Plane, RulePlane, Timestamp, Verdict};

use crate::driver::partition;
use crate::history::as_written;

/// What one plane's events carry that the other plane's team must not read.
const PAYLOAD: [&str; 8] = ["content", "arguments", "target", "ip", "device_id", "user_agent", "country", "reason"];
/// Payload that is planted in every event, where its test says nothing of it.
const PLANTED: [(Plane, &str); 4] = [
    (Plane::Model, "content"),
    (Plane::Model, "arguments"),
    (Plane::Access, "device_id"),
    (Plane::Access, "user_agent"),
];

fn planted(plane: Plane, column: &str) -> String {
    format!("canary-{}-{column}", plane.name())
}

fn tellings(rule: &Arc<CompiledRule>, timeline: &[TestEvent]) -> Vec<Telling> {
    let registry = Registry::builtin(Limits::default());
    let mut core = Core::new(Settings::default(), RuleSetup::with_strata(rule));
    let mut commit = Commit::default();
    let mut told = Vec::new();
    for (offset, event) in (0..).zip(timeline) {
        let mut row = event.row.clone();
        for (plane, column) in PLANTED.iter().filter(|(plane, _)| *plane == event.plane) {
            // Each event has its own: rules that compare them find nothing in common.
            row.entry(*column).or_insert_with(|| Value::from(format!("{}-{offset}", planted(*plane, column))));
        }
        let partition = partition(event.plane, 0);
        let batch = registry.decode(&RawBatch {
            partition: partition.clone(),
            format: "watershed".into(),
            tenant: "default".into(),
            received: event.arrive,
            records: vec![RawRecord {
                offset,
                timestamp: Some(event.arrive),
                key: None,
                headers: Vec::new(),
                payload: Value::Object(row).to_string().into(),
            }],
        });
        assert!(batch.rejects.is_empty(), "{:?}", batch.rejects);
        told.extend(core.step(vec![Input::Rows { origin: 0, partition, batch }], &mut commit).tellings);
    }
    told.extend(core.step(vec![Input::End], &mut commit).tellings);
    told
}

/// Payload of one plane's events, in the words in which a message would give it.
fn secrets(plane: Plane, timeline: &[TestEvent]) -> Vec<String> {
    let rows = timeline.iter().filter(|event| event.plane == plane);
    let given = rows.flat_map(|event| {
        PAYLOAD.iter().filter_map(|name| Some(format!("{name}={}", event.row.get(*name)?.as_str()?)))
    });
    let planted = PLANTED.iter().filter(|(of, _)| *of == plane).map(|(of, column)| planted(*of, column));
    given.chain(planted).collect()
}

fn receiver(name: &str, planes: &[Plane]) -> Receiver {
    Receiver { name: name.to_owned(), team: name.to_owned(), planes: planes.to_vec() }
}

fn routed(rule: &Arc<CompiledRule>, receivers: Vec<Receiver>, fallback: usize, told: &[Telling]) -> Vec<Notification> {
    let routes = Routes { receivers, fallback: Some(fallback), ..Routes::default() };
    Router::new(routes, &as_written(std::slice::from_ref(rule))).take(told, Timestamp::from_secs(0)).notifications
}

/// Calls `check` for each rule of the catalog with each case in which it fires, and what must then be told.
fn each_firing(check: impl Fn(&Arc<CompiledRule>, &[TestEvent], &[Telling])) {
    let sources: Vec<RuleSource> = CATALOG
        .iter()
        .map(|rule| RuleSource::parse(Path::new(rule.path), rule.sql).expect("the catalog parses"))
        .collect();
    let compiled = compile_set(&sources.iter().collect::<Vec<_>>(), &reference_of_tests());
    for (rule, compiled) in CATALOG.iter().zip(compiled) {
        let compiled = compiled.expect("the catalog compiles");
        let tests = TestFile::parse(&rule.tests_path(), rule.tests).expect("its tests parse");
        let firing: Vec<_> =
            tests.cases.iter().filter(|case| case.expect.signals.iter().any(|signal| !signal.withdrawn)).collect();
        assert!(!firing.is_empty(), "{}: no case fires", rule.path);
        for case in firing {
            let told = tellings(&compiled, &case.timeline);
            assert!(!told.is_empty(), "{}, {}: nobody is told", rule.path, case.name);
            check(&compiled, &case.timeline, &told);
        }
    }
}

#[test]
fn a_rule_alone_tells_its_own_team_and_shows_no_payload_of_the_other() {
    each_firing(|rule, timeline, told| {
        let id = &rule.meta.id;
        let verdict = match rule.meta.plane {
            RulePlane::Model => Verdict::ModelAbuse,
            RulePlane::Access => Verdict::AccessCompromise,
            RulePlane::Both => Verdict::Both,
        };
        let receivers = vec![
            receiver("ai-security", &[Plane::Model]),
            receiver("iam", &[Plane::Access]),
            receiver("operator", &[]),
        ];
        let messages = routed(rule, receivers, 2, told);
        let owners: Vec<&str> =
            verdict.planes().iter().map(|plane| if *plane == Plane::Model { "ai-security" } else { "iam" }).collect();
        for owner in &owners {
            let evidence =
                messages.iter().filter(|message| message.team == *owner).map(|message| message.evidence.len()).max();
            assert!(evidence.is_some_and(|pieces| pieces > 0), "{id}: {owner} is shown nothing");
        }
        for message in &messages {
            assert_eq!(message.verdict, verdict, "{id}");
            assert!(owners.contains(&message.team.as_str()), "{id} told {}", message.team);
            let other = if message.team == "iam" { Plane::Model } else { Plane::Access };
            let text = serde_json::to_string(message).expect("serialises");
            for secret in secrets(other, timeline) {
                assert!(!text.contains(&secret), "{id} tells {} `{secret}`: {text}", message.team);
            }
        }
    });
}

#[test]
fn the_fallback_receiver_hears_of_everything_and_sees_what_it_may() {
    each_firing(|rule, timeline, told| {
        for planes in [&[][..], &[Plane::Model], &[Plane::Access]] {
            let messages = routed(rule, vec![receiver("operator", planes)], 0, told);
            let sees = planes.iter().any(|plane| rule.meta.plane.planes().contains(plane));
            let told_of = |message: &Notification| !sees || message.title.contains(&rule.meta.title);
            assert!(messages.iter().any(told_of), "{}: it isn't told", rule.meta.id);
            // Who sees no plane of it sees no reach, rule, agent or session of it either.
            for message in messages.iter().filter(|message| message.planes.is_empty()) {
                assert!(message.blast_radius.is_none() && message.first_moves.is_empty() && message.rules.is_empty());
                assert!(message.agents.is_empty() && message.sessions.is_empty() && message.because.rules.is_empty());
            }
            let hidden = Plane::ALL.into_iter().filter(|plane| !planes.contains(plane));
            let hidden: Vec<String> = hidden.flat_map(|plane| secrets(plane, timeline)).collect();
            for message in &messages {
                assert!(message.planes.iter().all(|plane| planes.contains(plane)));
                assert!(sees || message.evidence.is_empty());
                let text = serde_json::to_string(message).expect("serialises");
                for secret in &hidden {
                    assert!(!text.contains(secret), "{} tells the fallback `{secret}`: {text}", rule.meta.id);
                }
            }
        }
    });
}
