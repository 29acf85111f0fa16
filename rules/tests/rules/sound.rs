//! What the compiler proves holds: over random histories, against plain DataFusion over all rows.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use watershed_rules::{CompiledRule, Finding, Speaks, plannings};

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;

use crate::check::{accepted, nobody_compiles};
use crate::histories::{EVENTS, Event, START, events, history, keep, key_of, matching, run, time_of, truth};

/// Name, key and SQL of rules of every shape.
const SHAPES: &[(&str, &str, &str)] = &[
    ("filter", "e_event_id", "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'tool_call' AND tool <> 'tool0'"),
    (
        "interval join",
        "tool_event_id",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id, r.tool
         FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id
          AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '6 minutes'
         WHERE r.kind = 'tool_call' AND i.kind = 'token_revoked'",
    ),
    (
        "interval join keyed by the earlier side",
        "revocation_event_id",
        "SELECT r.event_time, i.tenant, i.principal, r.event_id AS tool_event_id, i.event_id AS revocation_event_id
         FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.credential_id = r.credential_id
          AND r.event_time > i.event_time AND r.event_time < i.event_time + INTERVAL '6 minutes'
         WHERE i.kind = 'token_revoked'",
    ),
    (
        "three steps",
        "c_event_id",
        "SELECT greatest(a.event_time, c.event_time) AS event_time, c.tenant, c.session_id, a.event_id AS a_event_id, c.event_id AS c_event_id
         FROM runtime a
         JOIN runtime b ON b.tenant = a.tenant AND b.session_id = a.session_id AND b.event_time >= a.event_time
         JOIN runtime c ON c.tenant = b.tenant AND c.session_id = b.session_id AND c.event_time >= b.event_time
          AND c.event_time - a.event_time <= INTERVAL '8 minutes'
         WHERE a.kind = 'guardrail' AND b.kind = 'prompt' AND c.kind = 'tool_call'",
    ),
    (
        "exists, either side",
        "e_event_id",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r
         WHERE r.kind = 'tool_call' AND EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.principal = r.principal
           AND (i.event_time BETWEEN r.event_time - INTERVAL '5 minutes' AND r.event_time
             OR i.event_time BETWEEN r.event_time + INTERVAL '2 minutes' AND r.event_time + INTERVAL '3 minutes'))",
    ),
    (
        "absence after",
        "e_event_id",
        "SELECT i.event_time, i.tenant, i.principal, i.event_id AS e_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')",
    ),
    (
        "absence before, of the same table",
        "e_event_id",
        "SELECT b.event_time, b.tenant, b.principal, b.country, b.event_id AS e_event_id FROM identity b
         WHERE b.principal IS NOT NULL AND NOT EXISTS (SELECT 1 FROM identity a WHERE a.tenant = b.tenant AND a.principal = b.principal
           AND a.country = b.country AND a.event_time >= b.event_time - INTERVAL '10 minutes' AND a.event_time < b.event_time)",
    ),
    (
        "presence and absence",
        "e_event_id",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, g.event_id AS flag_event_id
         FROM runtime r JOIN runtime g ON g.tenant = r.tenant AND g.session_id = r.session_id AND g.kind = 'guardrail'
          AND r.event_time BETWEEN g.event_time AND g.event_time + INTERVAL '4 minutes'
         WHERE r.kind = 'tool_call' AND NOT EXISTS (SELECT 1 FROM identity i WHERE i.tenant = r.tenant AND i.session_id = r.session_id
           AND i.event_time BETWEEN g.event_time AND r.event_time)",
    ),
    (
        "left join",
        "e_event_id",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id, i.event_id AS near_event_id
         FROM runtime r LEFT JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal
          AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time
         WHERE r.kind = 'tool_call' AND (i.event_id IS NULL OR i.country = 'DE')",
    ),
    (
        "threshold in a bucket",
        "principal, bucket",
        "SELECT max(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket,
                count(*) AS n, array_agg(event_id) AS all_event_ids
         FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 2",
    ),
    (
        "distinct values in a bucket",
        "principal, bucket",
        "SELECT min(event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket,
                count(DISTINCT country) AS countries
         FROM identity GROUP BY tenant, principal, date_bin(INTERVAL '10 minutes', event_time) HAVING count(DISTINCT country) >= 2",
    ),
    (
        "upper threshold",
        "principal, bucket",
        "SELECT date_bin(INTERVAL '5 minutes', event_time) AS event_time, tenant, principal, date_bin(INTERVAL '5 minutes', event_time) AS bucket, count(*) AS n
         FROM runtime WHERE kind = 'tool_call' GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) <= 2",
    ),
    (
        "pairs in a bucket",
        "session_id, bucket",
        "SELECT max(r.event_time) AS event_time, r.tenant, r.session_id, date_bin(INTERVAL '6 minutes', r.event_time) AS bucket, count(*) AS n
         FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.session_id = r.session_id
          AND r.event_time BETWEEN i.event_time AND i.event_time + INTERVAL '4 minutes'
         WHERE r.kind = 'tool_call' GROUP BY r.tenant, r.session_id, date_bin(INTERVAL '6 minutes', r.event_time) HAVING count(*) >= 2",
    ),
    (
        "burst, then",
        "e_event_id",
        "WITH bursts AS (
           SELECT tenant, principal, min(event_time) AS first_time, max(event_time) AS last_time, count(*) AS n
           FROM identity WHERE kind = 'authentication' GROUP BY tenant, principal, date_bin(INTERVAL '5 minutes', event_time) HAVING count(*) >= 2)
         SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id
         FROM runtime r JOIN bursts b ON b.tenant = r.tenant AND b.principal = r.principal
          AND r.event_time BETWEEN b.last_time AND b.last_time + INTERVAL '10 minutes'",
    ),
    (
        "union",
        "e_event_id",
        "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'guardrail'
         UNION ALL
         SELECT i.event_time, i.tenant, i.principal, i.event_id FROM identity i JOIN identity p ON p.tenant = i.tenant AND p.principal = i.principal
          AND i.event_time BETWEEN p.event_time AND p.event_time + INTERVAL '3 minutes' WHERE i.kind = 'authentication' AND p.kind = 'risk_changed'",
    ),
    (
        "distinct",
        "principal, bucket, tool",
        "SELECT DISTINCT date_bin(INTERVAL '10 minutes', event_time) AS event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, tool FROM runtime",
    ),
    (
        "a key coarser than the join",
        "principal, bucket",
        "SELECT greatest(r.event_time, i.event_time) AS event_time, r.tenant, r.principal, date_bin(INTERVAL '10 minutes', r.event_time) AS bucket,
                r.event_id AS tool_event_id, i.event_id AS login_event_id
         FROM runtime r JOIN identity i ON i.tenant = r.tenant AND i.principal = r.principal AND i.session_id = r.session_id
          AND i.event_time BETWEEN r.event_time - INTERVAL '3 minutes' AND r.event_time + INTERVAL '3 minutes'",
    ),
    (
        "a key coarser than the row",
        "principal, bucket",
        "SELECT event_time, tenant, principal, date_bin(INTERVAL '10 minutes', event_time) AS bucket, event_id AS e_event_id, tool
         FROM runtime WHERE kind <> 'prompt'",
    ),
    (
        "change between neighbours",
        "e_event_id",
        "SELECT event_time, tenant, principal, event_id AS e_event_id, previous FROM (
           SELECT event_time, tenant, principal, event_id, country,
                  lag(country) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous,
                  lag(event_time) OVER (PARTITION BY tenant, principal ORDER BY event_time, event_id) AS previous_time
           FROM identity WHERE kind <> 'token_revoked')
         WHERE country <> previous AND event_time - previous_time <= INTERVAL '10 minutes'",
    ),
    (
        "counting over a frame",
        "e_event_id",
        "SELECT event_time, tenant, principal, event_id AS e_event_id, n FROM (
           SELECT event_time, tenant, principal, event_id,
                  count(*) OVER (PARTITION BY tenant, principal ORDER BY event_time RANGE BETWEEN INTERVAL '4 minutes' PRECEDING AND CURRENT ROW) AS n
           FROM identity) WHERE n >= 3",
    ),
    (
        "no key in common",
        "e_event_id",
        "SELECT r.event_time, r.tenant, r.principal, r.event_id AS e_event_id FROM runtime r JOIN identity i
          ON i.event_time BETWEEN r.event_time - INTERVAL '1 minute' AND r.event_time AND i.country = 'US' AND r.kind = 'guardrail'",
    ),
];

/// Runs a check over random histories for each shape, each compiled once.
fn for_each_shape(cases: u32, check: impl Fn(&CompiledRule, &[Event], &[usize]) -> Result<bool, TestCaseError>) {
    for (name, key, sql) in SHAPES {
        let rule = accepted(key, sql);
        let found = std::cell::Cell::new(0_u32);
        let choice = proptest::collection::vec(0_usize..1_000, EVENTS);
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let result = runner.run(&(events(), choice), |(events, choice)| {
            found.set(found.get() + u32::from(check(&rule, &events, &choice)?));
            Ok(())
        });
        if let Err(error) = result {
            panic!(
                "{name}: {error}\n{:#?}",
                rule.scans.iter().map(|scan| (&scan.alias, &scan.key, scan.around)).collect::<Vec<_>>()
            );
        }
        assert!(found.get() * 5 >= cases, "{name}: only {} of {cases} cases have findings", found.get());
    }
}

fn rows_of(rule: &CompiledRule, history: &[RecordBatch; 2]) -> Vec<RecordBatch> {
    rule.scans.iter().map(|scan| matching(scan, history)).collect()
}

fn reversed(rows: &RecordBatch) -> RecordBatch {
    let order: UInt32Array = (0..u32::try_from(rows.num_rows()).expect("few")).rev().collect();
    take_record_batch(rows, &order).expect("in range")
}

#[test]
fn running_a_rule_never_plans() {
    // A scan that may be empty: the plan runs even over nothing.
    let (_, key, sql) = SHAPES.iter().find(|(name, _, _)| *name == "union").expect("there is one");
    let rule = accepted(key, sql);
    let rows = rows_of(&rule, &history(&[]));
    let alone = nobody_compiles();
    let planned = plannings();
    for _ in 0..10 {
        run(&rule, &rows);
    }
    assert_eq!(plannings(), planned);
    drop(alone);
    accepted(key, sql);
    assert!(plannings() > planned);
}

#[test]
fn the_cached_plan_over_all_matching_rows_gives_the_batch_result() {
    for_each_shape(24, |rule, events, _| {
        let history = history(events);
        let expected = truth(rule, &history);
        prop_assert_eq!(&run(rule, &rows_of(rule, &history)), &expected);
        // A second time and in another order: nothing is left over from the first, and the order means nothing.
        let backwards: Vec<RecordBatch> = rows_of(rule, &history).iter().map(reversed).collect();
        prop_assert_eq!(&run(rule, &backwards), &expected);
        Ok(!expected.is_empty())
    });
}

#[test]
fn rows_of_different_keys_never_influence_each_other() {
    for_each_shape(24, |rule, events, _| {
        let history = history(events);
        let expected = truth(rule, &history);
        let rows = rows_of(rule, &history);
        let keys: BTreeSet<_> = rule
            .scans
            .iter()
            .zip(&rows)
            .flat_map(|(scan, rows)| (0..rows.num_rows()).map(move |row| key_of(scan, rows, row)))
            .collect();
        let mut found: Vec<Finding> = Vec::new();
        for key in keys {
            let part: Vec<RecordBatch> = rule
                .scans
                .iter()
                .zip(&rows)
                .map(|(scan, rows)| keep(rows, |row| key_of(scan, rows, row) == key))
                .collect();
            let enough = rule.scans.iter().zip(&part).all(|(scan, rows)| rows.num_rows() >= scan.min_rows);
            let here = run(rule, &part);
            prop_assert!(enough || here.is_empty(), "fewer rows than min_rows gave {here:?}");
            found.extend(here);
        }
        found.sort_by(|a, b| a.signal_id.cmp(&b.signal_id));
        prop_assert_eq!(&found, &expected);
        Ok(!expected.is_empty())
    });
}

#[test]
fn rows_beyond_the_bounds_never_matter() {
    for_each_shape(24, |rule, events, _| {
        let history = history(events);
        let expected = truth(rule, &history);
        let rows = rows_of(rule, &history);
        let mut moments: BTreeSet<i64> = expected.iter().map(|finding| finding.event_time.micros()).collect();
        for rows in &rows {
            moments.extend((0..rows.num_rows()).map(|row| time_of(rows, row)));
        }
        for moment in moments {
            let part: Vec<RecordBatch> = rule
                .scans
                .iter()
                .zip(&rows)
                .map(|(scan, rows)| {
                    let (least, most) = scan.around;
                    keep(rows, |row| (least..=most).contains(&(time_of(rows, row) - moment)))
                })
                .collect();
            let at = |findings: &[Finding]| -> Vec<Finding> {
                findings.iter().filter(|finding| finding.event_time.micros() == moment).cloned().collect()
            };
            prop_assert_eq!(at(&run(rule, &part)), at(&expected), "at {}", moment);
        }
        Ok(!expected.is_empty())
    });
}

#[test]
fn what_is_said_before_the_end_of_history_stays_true() {
    for_each_shape(24, |rule, events, choice| {
        let all = history(events);
        let expected = truth(rule, &all);
        let ids: BTreeSet<&str> = expected.iter().map(|finding| finding.signal_id.as_str()).collect();
        let rows = rows_of(rule, &all);
        match &rule.speaks {
            // Any part of the rows gives a part of the findings.
            Speaks::AtOnce { .. } => {
                let seen: BTreeSet<String> = events
                    .iter()
                    .zip(choice)
                    .enumerate()
                    .filter(|(_, (_, choice))| *choice % 3 > 0)
                    .map(|(at, _)| at.to_string())
                    .collect();
                let part: Vec<RecordBatch> = rows
                    .iter()
                    .map(|rows| {
                        let ids = datafusion::arrow::array::AsArray::as_string::<i32>(rows.column(0));
                        keep(rows, |row| seen.contains(&ids.value(row)[1..]))
                    })
                    .collect();
                for finding in run(rule, &part) {
                    prop_assert!(ids.contains(finding.signal_id.as_str()), "{finding:?} was said too early");
                }
            }
            // Rows before a watermark give what is final at it.
            Speaks::AtWatermark { lookahead, .. } => {
                for choice in choice.chunks_exact(2) {
                    let watermarks =
                        [0, 1].map(|plane| START + i64::try_from(choice[plane] % 35).expect("small") * 60_000_000);
                    let part: Vec<RecordBatch> = rule
                        .scans
                        .iter()
                        .zip(&rows)
                        .map(|(scan, rows)| keep(rows, |row| time_of(rows, row) < watermarks[scan.plane.index()]))
                        .collect();
                    for finding in run(rule, &part) {
                        let passed = |plane: usize, ahead: i64| watermarks[plane] > finding.event_time.micros() + ahead;
                        let is_final = (0..2).all(|plane| lookahead[plane].is_none_or(|ahead| passed(plane, ahead)));
                        if is_final {
                            prop_assert!(ids.contains(finding.signal_id.as_str()), "{finding:?} was said too early");
                        }
                    }
                }
            }
        }
        Ok(!expected.is_empty())
    });
}
