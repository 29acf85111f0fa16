//! The two topics of a scenario, in order of arrival.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use watershed_schemas::Timestamp;

use super::{Case, Scenario};
use crate::agentdojo::Message;
use crate::agentdojo::otlp::{self, Dialect};
use crate::agentdojo::timeline::VERDICT;
use crate::broker::Record;
use crate::identity::{self, Event};

/// Partitions of each topic.
pub const PARTITIONS: i32 = 4;

/// How far records are from the order in which they happened.
#[derive(Clone, Copy, Debug)]
pub struct Disorder {
    /// Decides which record comes when.
    pub seed: u64,
    /// Records arrive up to this much later than they happened.
    pub jitter: Duration,
    /// A few arrive this much later still.
    pub straggle: Duration,
}

impl Disorder {
    /// Everything arrives when it happens.
    pub const NONE: Disorder = Disorder { seed: 0, jitter: Duration::ZERO, straggle: Duration::ZERO };

    /// What a busy platform does: within the out-of-orderness, except for stragglers, who are within the lateness.
    pub const fn usual(seed: u64) -> Disorder {
        Disorder { seed, jitter: Duration::from_secs(15), straggle: Duration::from_secs(400) }
    }
}

/// The share of stragglers.
const STRAGGLERS: f64 = 0.01;
/// One Kafka record holds up to this many spans.
const SPANS_PER_RECORD: usize = 4;

/// What to produce.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// The model plane's topic: OTLP in three dialects, and guardrail records.
    pub runtime: Vec<Record>,
    /// The access plane's topic: canonical JSON.
    pub identity: Vec<Record>,
}

/// Both streams of a scenario, each in order of arrival. `since` is where history begins, where it begins here.
pub fn streams(scenario: &Scenario, since: Option<Timestamp>, disorder: Disorder) -> Streams {
    let mut luck = ChaCha8Rng::seed_from_u64(disorder.seed);
    let mut runtime: Vec<(Timestamp, Record)> = Vec::new();
    let mut identity: Vec<(Timestamp, Record)> = Vec::new();
    for (since, partition) in
        since.into_iter().flat_map(|since| (0..PARTITIONS).map(move |partition| (since, partition)))
    {
        identity.push((since, json_record(partition, &identity::history(since, partition))));
        runtime.push((since, Record::new(partition, session_start(since, partition))));
    }
    for case in &scenario.cases {
        // A session's records share a partition, the planes' partitions have nothing to do with each other.
        let partition = (case.number % PARTITIONS as usize) as i32;
        for (at, record) in runtime_of(case, partition) {
            runtime.push((arrival(at, disorder, &mut luck), record));
        }
        for event in identity_of(case) {
            let record = json_record((case.number / 7 % PARTITIONS as usize) as i32, &event);
            identity.push((arrival(event.at, disorder, &mut luck), record));
        }
    }
    Streams { runtime: in_order(runtime), identity: in_order(identity) }
}

fn arrival(at: Timestamp, disorder: Disorder, luck: &mut ChaCha8Rng) -> Timestamp {
    let straggles = luck.random_bool(STRAGGLERS);
    let part: f64 = luck.random();
    at.plus(if straggles { disorder.straggle } else { disorder.jitter }.mul_f64(part))
}

fn in_order(mut records: Vec<(Timestamp, Record)>) -> Vec<Record> {
    records.sort_by_key(|(arrival, _)| *arrival);
    records.into_iter().map(|(arrival, record)| record.at(arrival)).collect()
}

fn json_record(partition: i32, event: &Event) -> Record {
    Record::new(partition, event.body.to_string())
}

fn session_start(at: Timestamp, partition: i32) -> String {
    json!({
        "event_id": format!("guard-start-{partition}"), "event_time": at, "session_id": format!("warm-up-{partition}"),
        "verdict": "allow", "enforced": false, "category": "prompt_injection", "score": 0.0, "detector": "phrase-guard",
        "target": { "type": "prompt", "id": "warm-up" },
    })
    .to_string()
}

fn runtime_of(case: &Case, partition: i32) -> Vec<(Timestamp, Record)> {
    let dialect = Dialect::of(case.number);
    let spans = otlp::spans(&case.conversation, &case.times, &case.who, dialect);
    let mut records: Vec<(Timestamp, Record)> = spans
        .chunks(SPANS_PER_RECORD)
        .map(|chunk| {
            // An exporter hands over what has ended.
            let at = chunk.iter().map(|span| span.end).max().unwrap_or(case.lasts.end);
            let payload = otlp::encode(chunk.iter().map(|span| span.span.clone()).collect(), dialect);
            (at, Record::new(partition, payload))
        })
        .collect();
    let judged = case.conversation.messages.iter().zip(&case.times).zip(&case.judgements).enumerate();
    for (index, ((message, time), judgement)) in judged {
        let (Message::Tool { call_id, .. }, Some(judgement)) = (message, judgement) else { continue };
        let at = time.end.plus(VERDICT);
        let record = json!({
            "event_id": format!("guard-{:05}-{index}", case.number),
            "event_time": at,
            "session_id": case.who.session,
            "trace_id": otlp::trace_hex(&case.who),
            "tool_call_id": call_id,
            "agent_id": case.who.agent_id,
            "principal": case.who.principal,
            "verdict": if judgement.flagged { "warn" } else { "allow" },
            "enforced": false,
            "category": "prompt_injection",
            "score": judgement.score,
            "native": { "type": "flag", "value": judgement.flagged },
            "detector": "phrase-guard",
            "policy": "tool-results",
            "rule": "addresses-the-model",
            "target": { "type": "tool_result", "id": call_id },
            "content": judgement.excerpt,
        });
        records.push((at, Record::new(partition, record.to_string())));
    }
    records
}

fn identity_of(case: &Case) -> Vec<Event> {
    let calls = case.calls();
    let session = case.session(&calls);
    let mut events = identity::ordinary(&session);
    if let Some(decoy) = case.decoy {
        events.extend(decoy.events(&session));
    }
    if let Some(theft) = case.theft {
        events.extend(theft.events(&session));
    }
    if let (true, Some(flag)) = (case.broader, case.first_flag()) {
        events.push(identity::broader_token(&session, flag.plus(Duration::from_secs(3))));
    }
    events
}
