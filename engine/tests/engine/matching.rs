//! Matching whole columns at once, and only the rows that are left, is the same as asking every row every question.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use proptest::prelude::*;
use watershed_engine::matcher::{Matcher, ScanId};
use watershed_rules::catalog::CATALOG;
use watershed_rules::{CompiledRule, ReferenceTables, RuleSource, compile};
use watershed_schemas::{EventBatch, Plane};

use crate::driver::runner;
use crate::history::{batch, events, rule};

fn rules() -> Vec<Arc<CompiledRule>> {
    let catalog = CATALOG.iter().map(|rule| {
        let source = RuleSource::parse(Path::new(rule.path), rule.sql).expect("the catalog parses");
        Arc::new(compile(&source, &ReferenceTables::default()).expect("the catalog compiles"))
    });
    let select = |what: &str| format!("SELECT event_time, tenant, principal, event_id AS e_event_id FROM {what}");
    let ours = [
        select("runtime WHERE kind = 'tool_call' AND principal = 'p0' AND tool <> 'tool1'"),
        select("runtime WHERE principal = 'p0' OR session_id IS NULL"),
        select("runtime WHERE NOT (session_id = 's1') AND kind = 'tool_call'"),
        select("identity WHERE country IN ('DE', 'US') AND principal IS NOT NULL"),
        select("identity"),
    ];
    let ours = ours.iter().enumerate().map(|(at, sql)| {
        let plane = if sql.contains("runtime") { "model" } else { "access" };
        rule(&format!("ours-{at}"), plane, "key: [e_event_id]", sql)
    });
    catalog.chain(ours).collect()
}

/// Whether the row meets every condition of the scan, asked of this row alone.
fn wanted(rules: &[Arc<CompiledRule>], scan: ScanId, batch: &EventBatch, row: usize) -> bool {
    let alone = batch.rows.slice(row, 1);
    rules[scan.rule].scans[scan.scan].filters.iter().all(|conjunct| {
        let value = conjunct.expr.evaluate(&alone).expect("evaluates").into_array(1).expect("an array");
        value.as_boolean().iter().next().flatten() == Some(true)
    })
}

fn narrow(row: usize) -> u32 {
    u32::try_from(row).expect("small")
}

#[test]
fn matching_is_asking_every_row_every_question() {
    let rules = rules();
    let matcher = Matcher::new(&rules);
    let result = runner(100).run(&(events(60, 80), any::<u64>()), |(events, chosen)| {
        for plane in Plane::ALL {
            let which: Vec<usize> = (0..events.len()).filter(|at| events[*at].plane() == plane).collect();
            let batch = batch(plane, &events, &which);
            let some: Vec<u32> =
                (0..u32::try_from(which.len()).expect("small")).filter(|row| chosen >> (row % 64) & 1 == 1).collect();
            for accepted in [None, Some(some.as_slice())] {
                let found = matcher.find(&batch, accepted);
                let mut union = std::collections::BTreeSet::new();
                for (rule, compiled) in rules.iter().enumerate() {
                    for scan in (0..compiled.scans.len()).filter(|scan| compiled.scans[*scan].plane == plane) {
                        let scan = ScanId { rule, scan };
                        let candidates =
                            (0..which.len()).filter(|row| accepted.is_none_or(|some| some.contains(&narrow(*row))));
                        let expected: Vec<u32> =
                            candidates.filter(|row| wanted(&rules, scan, &batch, *row)).map(narrow).collect();
                        let got = found
                            .scans
                            .iter()
                            .find(|(found, _)| *found == scan)
                            .map(|(_, rows)| rows.clone())
                            .unwrap_or_default();
                        prop_assert_eq!(&got, &expected, "{} scan {}", compiled.meta.id, scan.scan);
                        union.extend(expected);
                    }
                }
                prop_assert_eq!(&found.rows, &union.into_iter().collect::<Vec<u32>>());
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn a_condition_that_fails_lets_rows_pass() {
    let sql = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'prompt' AND CAST(tool AS BIGINT) > 3";
    let rules = [rule("failing", "model", "key: [e_event_id]", sql)];
    let history = [crate::history::Event { kind: 2, ..Default::default() }, crate::history::Event::default()];
    let found = Matcher::new(&rules).find(&batch(Plane::Model, &history, &[0, 1]), None);
    assert_eq!(found.rows, [0]);
}
