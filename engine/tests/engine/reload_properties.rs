//! Random histories, and rules that change in the middle of them.
//!
//! A rule that stays says what its batch means, as if nothing had happened. One that is edited or added does so for every
//! output that lies behind its coverage start; what it says of earlier ones is true or marked. The generated cases change
//! any rule at any time; here pairs of versions stand beside each other of which one must be filled by the other, or can't.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use watershed_engine::evaluator::RuleSetup;
use watershed_engine::watermark::Watermarks;
use watershed_rules::{CompiledRule, batch as truth};
use watershed_schemas::{Mark, Plane, Timestamp};

use crate::driver::{Driver, arrivals, runner, settings};
use crate::generated::lives::was_sealed;
use crate::history::{Event, batch, events, rule};
use crate::stream::{meant, said};

pub(crate) fn absence(id: &str, minutes: u32) -> Arc<CompiledRule> {
    rule(
        id,
        "access",
        "key: [login_event_id]",
        &format!(
            "SELECT i.event_time, i.tenant, i.principal, i.event_id AS login_event_id FROM identity i
             WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant
               AND r.principal = i.principal AND r.event_time >= i.event_time
               AND r.event_time < i.event_time + INTERVAL '{minutes} minutes')"
        ),
    )
}

/// What no sign-in before explains: it looks back.
pub(crate) fn unexplained(id: &str, minutes: u32) -> Arc<CompiledRule> {
    rule(
        id,
        "model",
        "key: [e_event_id]",
        &format!(
            "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
             WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant
               AND i.principal = r.principal AND i.event_time BETWEEN r.event_time - INTERVAL '{minutes} minutes' AND r.event_time)"
        ),
    )
}

pub(crate) fn join(id: &str, condition: &str) -> Arc<CompiledRule> {
    rule(
        id,
        "access",
        "key: [tool_event_id]",
        &format!(
            "SELECT r.event_time, r.tenant, r.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id, r.tool
             FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id
              AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '9 minutes'
             WHERE r.kind = 'tool_call' {condition}"
        ),
    )
}

pub(crate) fn threshold(id: &str, having: &str) -> Arc<CompiledRule> {
    rule(
        id,
        "access",
        "key: [principal, bucket]",
        &format!(
            "SELECT date_bin(INTERVAL '5 minutes', event_time) AS event_time, tenant, principal,
                    date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n, array_agg(event_id) AS all_event_ids
             FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING {having}"
        ),
    )
}

/// Rules before and after the change.
fn before_and_after() -> [Vec<Arc<CompiledRule>>; 2] {
    let stays = || vec![absence("a-stays", 5), join("b-stays", ""), threshold("c-stays", "count(*) >= 2")];
    let with = |mut rules: Vec<Arc<CompiledRule>>| {
        rules.extend(stays());
        rules.sort_by(|a, b| a.meta.id.cmp(&b.meta.id));
        rules
    };
    let before = with(vec![
        absence("absence-narrowed", 9),
        absence("absence-widened", 3),
        unexplained("looks-further-back", 4),
        unexplained("looks-less-far-back", 9),
        join("join-asks-more", ""),
        join("join-asks-less", "AND i.kind = 'token_revoked'"),
        threshold("threshold-lowered", "count(*) >= 3"),
        threshold("threshold-turned", "count(*) >= 2"),
        join("goes", ""),
    ]);
    let after = with(vec![
        absence("absence-narrowed", 4),
        absence("absence-widened", 8),
        unexplained("looks-further-back", 9),
        unexplained("looks-less-far-back", 4),
        join("join-asks-more", "AND i.kind = 'token_revoked'"),
        join("join-asks-less", ""),
        threshold("threshold-lowered", "count(*) >= 2"),
        threshold("threshold-turned", "count(*) <= 1"),
        unexplained("added", 6),
        threshold("added-and-monotone", "count(*) >= 2"),
        threshold("added-and-filled", "count(*) <= 2"),
    ]);
    [before, after]
}

fn setups(rules: &[Arc<CompiledRule>]) -> Vec<RuleSetup> {
    let setup = |rule: &Arc<CompiledRule>| RuleSetup {
        backfill: rule.meta.id == "added-and-filled",
        ..RuleSetup::as_written(Arc::clone(rule))
    };
    rules.iter().map(setup).collect()
}

/// The rule's findings over the whole history, with their times, by id.
pub(crate) fn batch_result(rule: &CompiledRule, events: &[Event]) -> BTreeMap<String, (Timestamp, Value)> {
    let [runtime, identity] = Plane::ALL.map(|plane| {
        let which: Vec<usize> = (0..events.len()).filter(|at| events[*at].plane() == plane).collect();
        batch(plane, events, &which).rows
    });
    let findings = truth(rule, runtime, identity).expect("the batch runs");
    findings.iter().map(|finding| (finding.signal_id.clone(), (finding.event_time, meant(finding)))).collect()
}

#[test]
fn a_change_of_rules_makes_nothing_false_and_loses_nothing_that_can_be_known() {
    let [before, after] = before_and_after();
    let compared = std::cell::RefCell::new(BTreeMap::<String, usize>::new());
    let partial = std::cell::Cell::new(0_usize);
    let cases = (events(60, 40), arrivals(), 0_usize..14, any::<bool>());
    let result = runner(200).run(&cases, |(events, arrival, change, while_down)| {
        let mut driver = Driver::new(settings(), setups(&before));
        let mut changed: Option<(Watermarks, BTreeMap<String, Timestamp>)> = None;
        driver.play_with(&events, &arrival, |driver, step| {
            if step != change {
                return;
            }
            let watermarks = driver.core.watermarks().clone();
            if while_down {
                driver.restart_with(setups(&after));
            } else {
                driver.reload(setups(&after));
            }
            let news = &driver.outputs.last().expect("it made a step").rules;
            let until = news.iter().filter_map(|news| Some((news.rule.clone(), news.warming_until?)));
            changed = Some((watermarks, until.collect()));
        });
        // A change after the last step never came.
        let Some((watermarks, warming)) = changed else { return Ok(()) };
        prop_assert_eq!(driver.refused(), 0);
        driver.check_numbering()?;
        let standing = driver.standing();
        for rule in &after {
            let id = &rule.meta.id;
            let expected = batch_result(rule, &events);
            let ours = standing.values().filter(|signal| signal.rule == *id && signal.rule_version == rule.version);
            if id.ends_with("-stays") {
                let ours: BTreeMap<String, _> = ours.map(|signal| (signal.signal_id.clone(), said(signal))).collect();
                let expected: BTreeMap<String, _> = expected.into_iter().map(|(id, (_, meant))| (id, meant)).collect();
                prop_assert_eq!(ours, expected, "{}", id);
                continue;
            }
            let warm = warming.get(id).copied();
            let known = |time: Timestamp| warm.is_none_or(|warm| time > warm) && !was_sealed(rule, time, &watermarks);
            for (signal_id, (time, meant)) in expected.iter().filter(|(_, (time, _))| known(*time)) {
                let ours = standing.get(signal_id.as_str());
                prop_assert_eq!(ours.map(|signal| said(signal)), Some(meant.clone()), "{} at {:?}", id, time);
                *compared.borrow_mut().entry(id.clone()).or_default() += 1;
            }
            for signal in ours {
                let meant = expected.get(&signal.signal_id);
                if signal.marks.contains(&Mark::Partial) {
                    partial.set(partial.get() + 1);
                    prop_assert!(meant.is_some(), "{} says what is not true: {:?}", id, signal);
                } else {
                    prop_assert_eq!(meant.map(|(_, meant)| meant.clone()), Some(said(signal)), "{}", id);
                }
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let compared = compared.into_inner();
    for rule in after.iter().filter(|rule| !rule.meta.id.ends_with("-stays")) {
        let times = compared.get(&rule.meta.id).copied().unwrap_or(0);
        assert!(times > 30, "{} was compared only {times} times", rule.meta.id);
    }
    assert!(partial.get() >= 5, "only {} partial signals", partial.get());
}
