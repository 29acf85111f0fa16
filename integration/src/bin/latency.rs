//! From the record in Kafka to the request at the receiver: `watershed run` as a process, a real broker, a real HTTP server.
//! Each record is a finding of its own that opens an incident of its own; beside them comes a load of ordinary events.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use watershed_integration::broker;
use watershed_integration::deployment::Deployment;
use watershed_integration::wait::say;
use watershed_schemas::{Notification, Timestamp};

/// Findings of a run.
const FINDINGS: usize = 600;
/// Between two of them.
const EVERY: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(60);

const RULE: &str = "/*---
id: injected-text
title: A guardrail found injected text
plane: model
severity: high
key: [event_id]
---*/
SELECT event_time, tenant, principal, session_id, event_id FROM runtime WHERE kind = 'guardrail' AND verdict = 'deny'
";

fn main() -> Result<()> {
    let broker = broker::shared("latency").context("without a broker there is nothing to measure")?;
    let rules = tempfile::tempdir()?;
    std::fs::write(rules.path().join("injected-text.sql"), RULE)?;
    for load in [0, 1_000, 5_000] {
        let mut micros = measure(broker, rules.path(), load)?;
        micros.sort_unstable();
        let at = |hundredth: usize| micros[(micros.len() - 1) * hundredth / 100] / 1_000;
        say(&format!(
            "{} findings beside {load:>5} other events/s: median {} ms, p99 {} ms, most {} ms",
            micros.len(),
            at(50),
            at(99),
            at(100)
        ));
    }
    Ok(())
}

/// Microseconds from each record to its request.
fn measure(broker: &broker::Broker, rules: &Path, load: usize) -> Result<Vec<u128>> {
    let tables = format!("[rules]\ncatalog = false\npaths = [\"{}\"]", rules.display());
    let name = format!("latency-{load}");
    let mut deployment = Deployment::with_settings(broker, &name, &Deployment::plain(broker), "watershed", &tables)?;
    let running = deployment.start(None)?;
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker.address()).set("linger.ms", "0").create()?;
    let topic = deployment.topic("runtime");
    let send = |event: &serde_json::Value| -> Result<()> {
        let payload = event.to_string();
        producer.send(BaseRecord::<(), _>::to(&topic).payload(&payload)).map_err(|(error, _)| error)?;
        producer.poll(Duration::ZERO);
        Ok(())
    };
    // One goes ahead: what counts begins when everything has begun.
    send(&finding("warm"))?;
    deployment.ai_security.wait_for("the first request", DEADLINE, |requests| !requests.is_empty())?;
    let mut sent = HashMap::new();
    let started = Instant::now();
    let (mut findings, mut others) = (0, 0);
    while findings < FINDINGS {
        let due = usize::try_from(started.elapsed().as_micros() * load as u128 / 1_000_000)?;
        for number in others..due {
            send(&ordinary(number))?;
        }
        others = due;
        if started.elapsed() >= EVERY * u32::try_from(findings)? {
            let who = format!("person.{findings:04}");
            sent.insert(format!("{who}@northwind.example"), SystemTime::now());
            send(&finding(&who))?;
            findings += 1;
        }
        producer.poll(Duration::from_millis(1));
    }
    producer.flush(DEADLINE)?;
    let requests = deployment
        .ai_security
        .wait_for("every request", DEADLINE, |requests| requests.len() > FINDINGS)
        .with_context(|| running.tail())?;
    let mut micros = Vec::new();
    for request in requests {
        let message: Notification = serde_json::from_slice(&request.body)?;
        if let Some(sent) = message.principal.and_then(|principal| sent.remove(&principal)) {
            micros.push(request.at.duration_since(sent)?.as_micros());
        }
    }
    anyhow::ensure!(sent.is_empty(), "{} findings were never told", sent.len());
    deployment.stop(running)?;
    Ok(micros)
}

fn finding(who: &str) -> serde_json::Value {
    json!({
        "event_id": format!("flag-{who}"), "event_time": now(), "source": "gateway",
        "kind": "guardrail", "verdict": "deny", "principal": format!("{who}@northwind.example"),
        "session_id": format!("session-{who}"), "agent_id": format!("agent-{who}"),
    })
}

fn ordinary(number: usize) -> serde_json::Value {
    json!({
        "event_id": format!("call-{number}"), "event_time": now(), "source": "gateway",
        "kind": "tool_call", "tool": "search_documents", "outcome": "success", "session_id": format!("s-{}", number / 40),
        "principal": format!("reader.{:04}@northwind.example", number / 40 % 2_000),
        "arguments": {"query": "the figures of the northern region", "limit": 20},
    })
}

fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(0)).to_string()
}
