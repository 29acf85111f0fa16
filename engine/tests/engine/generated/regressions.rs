//! What generated cases have found, shrunk and frozen under a name. A new one is pasted from what a failure prints.

use std::sync::Arc;

use watershed_rules::CompiledRule;

use super::events::Event;
use super::grammar::{Rule, Shape};
use super::run::check_true;
use super::schedule::{Arrival, Schedule, Step};
use super::{compiled, tables};

fn frozen(shape: Shape, key: &str, sql: &str) -> Arc<CompiledRule> {
    let rule = Rule { shape, key: key.to_owned(), early: false, sql: sql.to_owned() };
    compiled(&rule.file("frozen"), &tables()).unwrap_or_else(|codes| panic!("{codes:?}: {sql}"))
}

#[test]
fn a_finding_that_waits_is_not_said_once_its_key_was_cut() {
    let rule = frozen(
        Shape::UpperThreshold,
        "principal, bucket",
        "SELECT min(r.event_time) AS event_time, r.tenant AS tenant, r.principal AS principal,
                date_bin(INTERVAL '10 minutes', r.event_time) AS bucket, count(*) AS n
         FROM runtime r GROUP BY r.tenant, r.principal, date_bin(INTERVAL '10 minutes', r.event_time)
         HAVING count(*) >= 2 AND min(r.input_tokens) >= 0",
    );
    let call = |time, number| Event { time, principal: Some(0), number, ..Event::default() };
    let events =
        [call(120_000_000, None), call(180_000_000, Some(5)), call(120_000_000, None), call(240_000_000, Some(-1))];
    let step = |inputs| Step { commit: true, inputs, ..Step::default() };
    let first = vec![Arrival::Event(0, 0), Arrival::Event(2, 0), Arrival::Event(1, 0)];
    let schedule = Schedule {
        partitions: 1,
        out_of_orderness_minutes: [0, 0],
        lateness_minutes: [15, 15],
        rows_per_key: 3,
        sets: Vec::new(),
        steps: vec![step(first), step(vec![Arrival::Event(3, 0)])],
    };
    let left_out = check_true(&[rule], &events, &schedule).unwrap_or_else(|mismatch| panic!("{}", mismatch.what));
    assert_eq!(left_out, 0, "the cut row was what made it false");
}
