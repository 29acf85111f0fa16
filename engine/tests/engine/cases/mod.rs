//! What is kept of incidents: evidence with its source, excerpts, context; and the page in a real browser.

mod browser;

use std::sync::Arc;

use watershed_engine::core::{Gathered, Input};
use watershed_engine::correlator;
use watershed_engine::evaluator::{EvidenceText, RuleSetup};
use watershed_schemas::tables::{identity, runtime};
use watershed_schemas::{
    Cell, EventBatch, EventBatchBuilder, Moment, Plane, ReadFrom, Row, SourceRecord, TimelineEntry, Timestamp,
};

use crate::driver::{Driver, partition, settings};
use crate::history::{MINUTE, START, rule};

const SECRET: &str = "AKIAIOSFODNN7EXAMPLE";

struct Event {
    minute: i64,
    id: &'static str,
    kind: &'static str,
    session: Option<&'static str>,
    principal: Option<&'static str>,
    content: Option<String>,
}

fn event(minute: i64, id: &'static str, kind: &'static str) -> Event {
    Event { minute, id, kind, session: Some("s-1"), principal: Some("ada"), content: None }
}

/// Rows that were read from offsets 100, 107, 114, ….
fn batch(plane: Plane, events: &[Event]) -> EventBatch {
    let mut builder = EventBatchBuilder::new(plane);
    for (record, event) in events.iter().enumerate() {
        let mut row = Row::new(plane);
        row.text(runtime::EVENT_ID, event.id);
        row.set(runtime::EVENT_TIME, Cell::Time(Timestamp::from_micros(START + event.minute * MINUTE)));
        row.text(runtime::TENANT, "acme");
        row.text(runtime::SOURCE, "test");
        row.text(runtime::KIND, event.kind);
        let [session, principal] = match plane {
            Plane::Model => [runtime::SESSION_ID, runtime::PRINCIPAL],
            Plane::Access => [identity::SESSION_ID, identity::PRINCIPAL],
        };
        if let Some(name) = event.session {
            row.text(session, name);
        }
        if let Some(name) = event.principal {
            row.text(principal, name);
        }
        if let (Plane::Model, Some(content)) = (plane, &event.content) {
            row.text(runtime::CONTENT, content.clone());
        }
        builder.start_record(record);
        builder.append(&row, None);
    }
    let batch = builder.finish();
    let offsets = (0..).take(events.len()).map(|record: i64| 100 + 7 * record).collect();
    EventBatch { read_from: Some(ReadFrom { topic: "agents".into(), partition: 5, offsets }), ..batch }
}

/// A flagged prompt makes an incident of the model plane; calls and logins are remembered for a rule that finds nothing.
fn setups() -> Vec<RuleSetup> {
    let flagged = "SELECT event_time, tenant, principal, session_id, event_id AS e_event_id FROM runtime WHERE kind = 'guardrail'";
    let silent =
        "SELECT r.event_time, r.tenant, r.principal, r.session_id, r.event_id AS e_event_id, i.event_id AS i_event_id
         FROM runtime r JOIN identity i ON r.tenant = i.tenant AND r.event_id = i.event_id
           AND i.event_time >= r.event_time - INTERVAL '1 hour' AND i.event_time <= r.event_time + INTERVAL '1 hour'
         WHERE r.kind = 'tool_call' AND i.kind = 'authentication'";
    let rules = [
        rule("flagged", "model", "key: [e_event_id]", flagged),
        rule("silent", "both", "key: [e_event_id, i_event_id]", silent),
    ];
    rules.iter().map(|rule| RuleSetup::as_written(Arc::clone(rule))).collect()
}

fn driver(texts: EvidenceText) -> Driver {
    let incidents = correlator::Settings { evidence_text: texts, ..settings().incidents };
    let mut driver = Driver::new(watershed_engine::core::Settings { incidents, ..settings() }, setups());
    driver.core.gather_evidence();
    driver.assign();
    driver
}

fn give(driver: &mut Driver, plane: Plane, events: &[Event]) -> Vec<Gathered> {
    let rows = Input::Rows { origin: 0, partition: partition(plane, 0), batch: batch(plane, events) };
    driver.step(vec![rows]).gathered.clone()
}

fn find<'a>(gathered: &'a [Gathered], id: &str) -> Option<&'a TimelineEntry> {
    gathered.iter().flat_map(|gathered| &gathered.moments).find(|moment| moment.event_id == id)
}

#[test]
fn evidence_names_its_record_and_quotes_what_was_said_without_secrets() {
    let said = format!("please use {SECRET} and {}", "x".repeat(5_000));
    let prompt =
        || vec![event(0, "before", "prompt"), Event { content: Some(said.clone()), ..event(1, "flag", "guardrail") }];
    for texts in [EvidenceText::Excerpt, EvidenceText::Fingerprint] {
        let mut driver = driver(texts);
        let gathered = give(&mut driver, Plane::Model, &prompt());
        let flag = find(&gathered, "flag").expect("the incident rests on it");
        // The second row of the batch, the first that a rule could use.
        let record = SourceRecord { topic: "agents".to_owned(), partition: 5, offset: 107 };
        assert_eq!((flag.source.as_ref(), flag.moment), (Some(&record), Moment::Evidence));
        assert_eq!((flag.decided.as_slice(), flag.signals.len()), (&["flagged".to_owned()][..], 1));
        assert_eq!(flag.columns["content_fingerprint"], watershed_engine::evaluator::fingerprint(&said));
        let excerpt = flag.columns.get("content");
        match texts {
            EvidenceText::Fingerprint => assert_eq!(excerpt, None),
            EvidenceText::Excerpt => {
                let excerpt = excerpt.expect("an excerpt");
                assert!(excerpt.starts_with("please use ") && excerpt.chars().count() == 240, "{excerpt}");
                assert!(!excerpt.contains(SECRET), "{excerpt}");
            }
        }
        // No message holds either.
        let told = format!("{:?}", driver.outputs.last().expect("one").incidents);
        assert!(!told.contains("please use"), "{told}");
    }
}

#[test]
fn a_secret_that_the_excerpt_cuts_is_masked_as_well() {
    let said = format!("{} {SECRET} rest", "y".repeat(231));
    let mut driver = driver(EvidenceText::Excerpt);
    let flag = Event { content: Some(said), ..event(1, "flag", "guardrail") };
    let gathered = give(&mut driver, Plane::Model, &[flag]);
    let excerpt = &find(&gathered, "flag").expect("there").columns["content"];
    assert!(!excerpt.contains("AKIA"), "{excerpt}");
}

#[test]
fn remembered_rows_of_the_same_session_or_principal_are_context_and_others_are_not() {
    let mut driver = driver(EvidenceText::Excerpt);
    let calls = [
        event(-20, "long before", "tool_call"),
        Event { session: None, ..event(-3, "same principal", "tool_call") },
        Event { principal: None, ..event(-2, "same session", "tool_call") },
        Event { principal: Some("bob"), session: Some("s-2"), ..event(-1, "somebody else", "tool_call") },
        event(0, "a prompt that no rule wants", "prompt"),
    ];
    give(&mut driver, Plane::Model, &calls);
    give(&mut driver, Plane::Access, &[Event { session: None, ..event(-4, "login", "authentication") }]);
    let gathered = give(&mut driver, Plane::Model, &[event(1, "flag", "guardrail")]);
    let ids: Vec<&str> = gathered[0].moments.iter().map(|moment| moment.event_id.as_str()).collect();
    assert_eq!(ids, ["login", "same principal", "same session", "flag"], "in event time, both planes");
    assert!(gathered[0].moments[..3].iter().all(|moment| moment.moment == Moment::Context));
    // What arrives while it is open comes with its next revision.
    give(&mut driver, Plane::Model, &[event(2, "after", "tool_call")]);
    let gathered = give(&mut driver, Plane::Model, &[event(3, "flag again", "guardrail")]);
    assert!(find(&gathered, "after").is_some());
    assert!(find(&gathered, "flag").is_some_and(|flag| flag.moment == Moment::Evidence));
}

#[test]
fn sources_survive_a_restart() {
    let mut driver = driver(EvidenceText::Excerpt);
    let call = Event { content: Some("said before the restart".to_owned()), ..event(0, "call", "tool_call") };
    give(&mut driver, Plane::Model, &[event(-1, "first", "tool_call"), call]);
    driver.restart();
    driver.core.gather_evidence();
    let gathered = give(&mut driver, Plane::Model, &[event(1, "flag", "guardrail")]);
    let call = find(&gathered, "call").expect("remembered");
    assert_eq!(call.source.as_ref().map(|source| (source.partition, source.offset)), Some((5, 107)));
    assert_eq!(call.columns["content"], "said before the restart");
}

#[test]
fn an_excerpt_costs_what_it_quotes() {
    let bytes = |texts| {
        let mut driver = driver(texts);
        let long = |minute| Event { content: Some("z".repeat(10_000)), ..event(minute, "call", "tool_call") };
        let events: Vec<Event> = (0..1).map(long).collect();
        give(&mut driver, Plane::Model, &events);
        driver.core.state_bytes()
    };
    let [little, more] = [EvidenceText::Fingerprint, EvidenceText::Excerpt].map(bytes);
    assert!((200..400).contains(&(more - little)), "{little} and {more} bytes");
}
