//! A silence in a pipeline with a store and a clock: asked for, kept over a restart, and what it held back told at its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::sources::memory::{self, MemoryHandle};
use watershed_connectors::{RawBatch, RawRecord};
use watershed_engine::cases::view::mark_held;
use watershed_engine::cases::{self, Cases};
use watershed_engine::core::{Core, Settings};
use watershed_engine::evaluator::RuleSetup;
use watershed_engine::intake::Intake;
use watershed_engine::pipeline::{Parts, Pipeline};
use watershed_engine::router::{NewSilence, Receiver, Router, Routes};
use watershed_engine::store::{MemoryStore, StateStore};
use watershed_rules::{ReferenceTables, RuleSource, compile_set};
use watershed_schemas::{HeldBy, Notification, NotifyReason, Plane, Timestamp};

use crate::driver::partition;
use crate::history::as_written;

const RULE: &str = "/*---\nid: burnt\ntitle: A tool was burnt\nplane: model\nseverity: high\nkey: [e_event_id]\n---*/\n\
    SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'tool_call' AND tool = 'burn'";

/// The wall clock of the test, in seconds.
static NOW: AtomicI64 = AtomicI64::new(0);

fn clock() -> Timestamp {
    Timestamp::from_secs(NOW.load(Ordering::Relaxed))
}

fn setups() -> Vec<RuleSetup> {
    let source = RuleSource::parse(Path::new("burnt.sql"), RULE).expect("it parses");
    let compiled = compile_set(&[&source], &ReferenceTables::default());
    as_written(&compiled.into_iter().map(|rule| rule.expect("it compiles")).collect::<Vec<_>>())
}

/// The program as it is started, and who feeds it.
fn started(store: &Arc<dyn StateStore>) -> (Pipeline, MemoryHandle) {
    let receivers = vec![Receiver { name: "ai".into(), team: "ai-security".into(), planes: vec![Plane::Model] }];
    let (feed, source) = memory::channel(vec![partition(Plane::Model, 0)], 16);
    let intake = Intake::from_source(Box::new(source), Registry::builtin(Limits::default()), 16);
    let parts = Parts {
        store: Some(Arc::clone(store)),
        cases: Some(Cases::open(cases::Settings::default(), Some(Arc::clone(store))).expect("a readable store")),
        router: Some(Router::new(Routes { receivers, ..Routes::default() }, &setups())),
        clock: Some(Box::new(clock)),
        ..Parts::default()
    };
    let settings = Settings { present: [true, false], ..Settings::default() };
    (Pipeline::resume(intake, Core::new(settings, setups()), parts).expect("it starts"), feed)
}

fn burn(feed: &MemoryHandle, offset: i64, who: &str) {
    let at = Timestamp::from_secs(1_000 + offset);
    let event = json!({
        "event_id": format!("e{offset}"), "event_time": at.to_string(), "kind": "tool_call", "tool": "burn",
        "tenant": "acme", "principal": who, "session_id": format!("s{offset}"), "source": "test",
    });
    let record =
        RawRecord { offset, timestamp: Some(at), key: None, headers: Vec::new(), payload: event.to_string().into() };
    let batch = RawBatch {
        partition: partition(Plane::Model, 0),
        format: "watershed".into(),
        tenant: "acme".into(),
        received: at,
        records: vec![record],
    };
    feed.send(batch).expect("the pipeline reads");
}

/// Turns until nothing comes any more: who was told about whom, and why.
fn told(pipeline: &mut Pipeline) -> Vec<(String, NotifyReason)> {
    let mut told = Vec::new();
    for _ in 0..5 {
        let turn = pipeline.turn(Duration::from_millis(5)).expect("it goes on");
        let about = |sent: watershed_schemas::Notification| (sent.principal.unwrap_or_default(), sent.reason);
        told.extend(turn.notifications.into_iter().map(about));
    }
    told
}

#[test]
fn what_a_receiver_would_be_told_now_is_what_it_was_told() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let (mut pipeline, feed) = started(&store);
    burn(&feed, 0, "ada");
    let told = (0..5).find_map(|_| {
        let turn = pipeline.turn(Duration::from_millis(5)).expect("it goes on");
        turn.notifications.into_iter().next()
    });
    let told = told.expect("somebody was told");
    let case = pipeline.cases().expect("case files").get(&told.incident_id).expect("readable").expect("there");
    let tellings = pipeline.core().tellings_of(&case.incident);
    let router = pipeline.router().expect("a router");
    // How far it reaches is found out anew.
    let but_reach = |message: Notification| Notification { blast_radius: None, ..message };
    assert_eq!(router.preview("ai", &tellings).map(|now| now.map(but_reach)), Ok(Some(but_reach(told))));
    assert_eq!(router.preview("ai", &[]), Ok(None));
    assert_eq!(router.preview("nobody", &tellings), Err(vec!["ai".to_owned()]));
}

/// What the case files say of who was not called: why, since when, and whether it is so now.
fn not_called(pipeline: &Pipeline) -> Vec<(HeldBy, String, Timestamp, bool)> {
    let (cases, router) = (pipeline.cases().expect("case files"), pipeline.router().expect("a router"));
    let all = cases::Filter::default();
    let whole = cases.list(&all).flat_map(|entry| {
        let mut case = cases.get(&entry.incident_id).expect("readable").expect("there");
        mark_held(&mut case, &router.held_back(&entry.incident_id));
        case.held_back
    });
    whole.map(|held| (held.by, held.cause, held.at, held.lasts)).collect()
}

#[test]
fn a_silence_outlives_the_program_and_what_it_holds_back_is_told_at_its_end() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let (mut pipeline, feed) = started(&store);
    NOW.store(5_000, Ordering::Relaxed);
    let asked = NewSilence {
        matchers: vec!["principal=\"ada\"".into()],
        author: "bob".into(),
        reason: "ada burns by order".into(),
        starts: None,
        ends: Timestamp::from_secs(5_600),
    };
    let silence = pipeline.add_silence(asked).expect("it is durable").expect("it can be meant");
    burn(&feed, 0, "ada");
    burn(&feed, 1, "eve");
    assert_eq!(told(&mut pipeline), [("eve".to_owned(), NotifyReason::Opened)]);
    let since = Timestamp::from_secs(5_000);
    assert_eq!(not_called(&pipeline), [(HeldBy::Silence, silence.id.clone(), since, true)]);
    // A crash: nothing is closed.
    pipeline.commit().expect("it is durable");
    drop(pipeline);

    let (mut pipeline, _feed) = started(&store);
    assert_eq!(pipeline.silences(), std::slice::from_ref(&silence));
    assert_eq!(not_called(&pipeline), [(HeldBy::Silence, silence.id.clone(), since, true)]);
    NOW.store(5_599, Ordering::Relaxed);
    assert_eq!(told(&mut pipeline), []);
    NOW.store(5_600, Ordering::Relaxed);
    assert_eq!(told(&mut pipeline), [("ada".to_owned(), NotifyReason::Opened)]);
    assert_eq!(not_called(&pipeline), [(HeldBy::Silence, silence.id, since, false)], "it was so");
    drop(pipeline);

    let (mut pipeline, _feed) = started(&store);
    NOW.store(9_000, Ordering::Relaxed);
    assert_eq!(told(&mut pipeline), [], "what was told is not told again");
}
