//! Rules as an installation has them: with parameters of its own, and with exceptions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use watershed_engine::exceptions::Exception;
use watershed_rules::{CompiledRule, Parameter, ReferenceTables, RuleSource, compile};
use watershed_schemas::{IncidentRevision, IncidentStatus, Mark, Timestamp};

use crate::driver::{Arrival, Driver, arrivals, runner, settings};
use crate::history::{Event, MINUTE, START, as_written, events, rule};

const BURST: &str = "/*---
id: burst
title: burst
plane: model
severity: high
key: [tenant, session_id, bucket]
parameters: {events: 3, kind: tool_call, window: 10 minutes}
---*/
SELECT max(event_time) AS event_time, tenant, session_id, date_bin(INTERVAL $window, event_time) AS bucket, count(*) AS n
FROM runtime WHERE kind = $kind AND session_id IS NOT NULL
GROUP BY tenant, session_id, date_bin(INTERVAL $window, event_time) HAVING count(*) >= $events";

fn burst(parameters: &[(&str, Parameter)]) -> CompiledRule {
    let mut source = RuleSource::parse(Path::new("burst.sql"), BURST).expect("a rule");
    source.meta.parameters.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    compile(&source, &ReferenceTables::default()).unwrap_or_else(|findings| panic!("{findings:?}"))
}

#[test]
fn a_parameter_is_a_literal_and_another_value_another_version() {
    let written = burst(&[]);
    assert_eq!(written.version, burst(&[("events", Parameter::Integer(3))]).version, "the same value is the same rule");
    let by_hand = BURST
        .replace("parameters: {events: 3, kind: tool_call, window: 10 minutes}\n", "")
        .replace("$window", "'10 minutes'")
        .replace("$kind", "'tool_call'")
        .replace("$events", "3");
    let source = RuleSource::parse(Path::new("burst.sql"), &by_hand).expect("a rule");
    let by_hand = compile(&source, &ReferenceTables::default()).expect("it compiles");
    assert_eq!(written.version, by_hand.version, "it is what it would be if it were written out");
    let other = burst(&[("events", Parameter::Integer(2))]);
    assert_ne!(written.version, other.version);

    let call = |second: i64| Event { time: second * 1_000_000, session: Some(0), ..Event::default() };
    let calls = [call(1), call(2)];
    let found = |rule: CompiledRule| {
        let mut driver = Driver::new(settings(), as_written(&[Arc::new(rule)]));
        driver.play(&calls, &Arrival::in_order(1));
        driver.standing().len()
    };
    assert_eq!((found(written), found(other)), (0, 1));
    let hostile = burst(&[("kind", Parameter::Text("x' OR kind = 'tool_call".to_owned()))]);
    assert_eq!(found(hostile), 0, "a text is no SQL");
}

fn exceptions(until: i64) -> Vec<Exception> {
    vec![Exception {
        rules: BTreeSet::from(["risk".to_owned()]),
        matches: BTreeMap::from([("principal".to_owned(), BTreeSet::from(["p0".to_owned()]))]),
        author: "ana".to_owned(),
        reason: "a test".to_owned(),
        until: Timestamp::from_micros(START + until),
    }]
}

#[test]
fn what_is_excepted_is_written_and_makes_no_incident() {
    let of = |id, sql| rule(id, "access", "key: [e_event_id]", sql);
    let risk = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE kind = 'risk_changed' AND principal IS NOT NULL";
    let rules = [of("risk", risk), of("other", &risk.replace("risk_changed", "token_revoked"))];
    let until = 30 * MINUTE;
    let seen = std::cell::RefCell::new([0_u32; 3]);
    let result = runner(80).run(&(events(60, 40), arrivals()), |(events, arrival)| {
        let mut driver = Driver::new(settings(), as_written(&rules));
        driver.core.except(exceptions(until));
        // Exceptions are of the configuration: a restart reads it again.
        driver.play(&events, &arrival.unbroken());
        let mut plain = Driver::new(settings(), as_written(&rules));
        plain.play(&events, &arrival.unbroken());
        let ids = |driver: &Driver| driver.standing().keys().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        prop_assert_eq!(ids(&driver), ids(&plain), "they are written all the same");
        let last: BTreeMap<&str, &IncidentRevision> = driver
            .outputs
            .iter()
            .flat_map(|output| &output.incidents)
            .map(|incident| (incident.incident_id.as_str(), incident))
            .collect();
        let live = last.values().filter(|incident| incident.status != IncidentStatus::Merged);
        let counted: BTreeSet<&str> = live.flat_map(|incident| &incident.signals).map(String::as_str).collect();
        for (id, signal) in driver.standing() {
            let covered = signal.rule == "risk"
                && signal.principal.as_deref() == Some("p0")
                && signal.event_time < Timestamp::from_micros(START + until);
            prop_assert_eq!(signal.marks.contains(&Mark::Excepted), covered, "{:?}", signal);
            prop_assert_eq!(counted.contains(id), !covered, "{:?}", signal);
            seen.borrow_mut()[usize::from(covered)] += 1;
        }
        let used: u64 = driver.core.exceptions().used().map(|(_, used)| used).sum();
        seen.borrow_mut()[2] += u32::try_from(used).unwrap_or(u32::MAX);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner();
    assert!(seen.iter().all(|count| *count >= 50), "hardly anything was tried: {seen:?}");
    assert_eq!(seen[1], seen[2], "each is counted once");
}
