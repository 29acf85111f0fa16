//! A stream says what its batch means: however the rows arrive, are cut into batches, and whenever the process dies.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use watershed_rules::{CompiledRule, Finding, batch as truth};
use watershed_schemas::{Plane, Signal};

use crate::driver::{arrivals, played, runner};
use crate::history::{Event, batch, events, rule};

/// Id, plane, front matter and SQL of rules of every shape.
const SHAPES: &[(&str, &str, &str, &str)] = &[
    (
        "join-across-planes",
        "access",
        "key: [tool_event_id]",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id, r.tool
         FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id
          AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '6 minutes'
         WHERE r.kind = 'tool_call' AND i.kind = 'token_revoked'",
    ),
    (
        "join-keyed-by-the-earlier",
        "access",
        "key: [revocation_event_id]",
        "SELECT r.event_time, i.tenant, i.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id
         FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id
          AND r.event_time > i.event_time AND r.event_time < i.event_time + INTERVAL '6 minutes'
         WHERE i.kind = 'token_revoked'",
    ),
    (
        "sequence",
        "model",
        "key: [c_event_id]",
        "SELECT c.event_time, c.tenant, c.session_id, a.event_id AS a_event_id, c.event_id AS c_event_id
         FROM runtime a
         JOIN runtime b ON b.tenant = a.tenant AND b.session_id = a.session_id AND b.event_time >= a.event_time
         JOIN runtime c ON c.tenant = b.tenant AND c.session_id = b.session_id AND c.event_time >= b.event_time
          AND c.event_time - a.event_time <= INTERVAL '8 minutes'
         WHERE a.kind = 'guardrail' AND b.kind = 'prompt' AND c.kind = 'tool_call'",
    ),
    (
        "absence",
        "access",
        "key: [login_event_id]",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')",
    ),
    (
        "absence-said-early",
        "access",
        "key: [login_event_id]\nemit: early",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')",
    ),
    (
        "absence-many-rows-a-key",
        "access",
        "key: [principal, bucket]",
        "SELECT i.event_time, i.tenant, i.principal, date_bin(INTERVAL '10 minutes', i.event_time) AS bucket, i.event_id AS login_event_id, i.country
         FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '2 minutes')",
    ),
    (
        "presence-and-absence",
        "model",
        "key: [e_event_id]",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, g.event_id AS flag_event_id
         FROM runtime r JOIN runtime g ON g.tenant = r.tenant AND g.session_id = r.session_id AND g.kind = 'guardrail'
          AND r.event_time BETWEEN g.event_time AND g.event_time + INTERVAL '4 minutes'
         WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.session_id = r.session_id
           AND i.event_time BETWEEN g.event_time AND r.event_time)",
    ),
    (
        "threshold",
        "access",
        "key: [principal, bucket]",
        "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket,
                count(*) AS n, array_agg(event_id) AS all_event_ids
         FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 2",
    ),
    (
        "upper-threshold",
        "model",
        "key: [principal, bucket]",
        "SELECT date_bin(INTERVAL '5 minutes', event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n
         FROM runtime WHERE kind = 'tool_call' GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) <= 2",
    ),
    (
        "left-join",
        "model",
        "key: [e_event_id]",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, i.event_id AS near_event_id
         FROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
          AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time
         WHERE r.kind = 'tool_call' AND (i.event_id IS NULL OR i.country = 'DE')",
    ),
    (
        "exists-on-either-side",
        "model",
        "key: [e_event_id]",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
         WHERE r.kind = 'tool_call' AND EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
           AND (i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time
             OR i.event_time BETWEEN r.event_time + INTERVAL '2 minutes' AND r.event_time + INTERVAL '3 minutes'))",
    ),
    (
        "change-between-neighbours",
        "access",
        "key: [e_event_id]",
        "SELECT event_time, tenant, principal, event_id AS e_event_id, previous FROM (
           SELECT event_time, tenant, principal, event_id, country,
                  lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous,
                  lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous_time
           FROM identity WHERE kind <> 'token_revoked')
         WHERE country <> previous AND event_time - previous_time <= INTERVAL '10 minutes'",
    ),
];

/// What a signal says, without its numbering.
/// Rules of every shape.
pub(crate) fn shapes() -> Vec<Arc<CompiledRule>> {
    SHAPES.iter().map(|(id, plane, more, sql)| rule(id, plane, more, sql)).collect()
}

pub(crate) fn said(signal: &Signal) -> Value {
    json!([
        signal.event_time,
        signal.principal,
        signal.session_id,
        signal.key,
        sorted(&signal.details),
        signal.evidence
    ])
}

pub(crate) fn meant(finding: &Finding) -> Value {
    json!([
        finding.event_time,
        finding.principal,
        finding.session_id,
        finding.key,
        sorted(&finding.details),
        finding.evidence
    ])
}

/// Lists are compared as sets: their order follows the order of the rows, which means nothing.
fn sorted(details: &serde_json::Map<String, Value>) -> Value {
    let sorted = details.iter().map(|(name, value)| {
        let value = match value {
            Value::Array(values) => {
                let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
                texts.sort_unstable();
                json!(texts)
            }
            value => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(sorted.collect())
}

pub(crate) fn batch_result(rule: &CompiledRule, events: &[Event]) -> BTreeMap<String, Value> {
    let [runtime, identity] = Plane::ALL.map(|plane| {
        let which: Vec<usize> = (0..events.len()).filter(|at| events[*at].plane() == plane).collect();
        batch(plane, events, &which).rows
    });
    let findings = truth(rule, runtime, identity).expect("the batch runs");
    findings.iter().map(|finding| (finding.signal_id.clone(), meant(finding))).collect()
}

#[test]
fn what_stands_at_the_end_is_the_batch_result() {
    let rules: Vec<Arc<CompiledRule>> = shapes();
    let fired = std::cell::RefCell::new(BTreeMap::<String, u32>::new());
    let withdrawn = std::cell::Cell::new(0_usize);
    let result = runner(160).run(&(events(60, 40), arrivals()), |(events, arrival)| {
        let driver = played(&rules, &events, &arrival);
        prop_assert_eq!(driver.refused(), 0);
        driver.check_numbering()?;
        // Those that speak at once or at the watermark are withdrawn only where a row was late.
        let taken_back = driver.signals().filter(|signal| signal.withdrawn && signal.rule != "absence-said-early");
        withdrawn.set(withdrawn.get() + taken_back.count());
        let standing = driver.standing();
        for rule in &rules {
            let ours = standing.values().filter(|signal| signal.rule == rule.meta.id);
            let ours: BTreeMap<String, Value> = ours.map(|signal| (signal.signal_id.clone(), said(signal))).collect();
            let expected = batch_result(rule, &events);
            *fired.borrow_mut().entry(rule.meta.id.clone()).or_default() += u32::from(!expected.is_empty());
            prop_assert_eq!(ours, expected, "{}", rule.meta.id);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let fired = fired.into_inner();
    assert!(
        fired.len() == rules.len() && fired.values().all(|cases| *cases >= 10),
        "shapes that hardly fire prove little: {fired:?}"
    );
    assert!(withdrawn.get() >= 10, "only {} signals were withdrawn", withdrawn.get());
}
