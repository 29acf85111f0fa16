//! Matching whole columns at once, and only the rows that are left, is the same as asking every row every question.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use proptest::prelude::*;
use watershed_engine::matcher::{Matcher, Matches, ScanId};
use watershed_rules::catalog::CATALOG;
use watershed_rules::{CompiledRule, ReferenceTables, RuleSource, compile_set};
use watershed_schemas::tables::runtime;
use watershed_schemas::{Cell, EventBatch, EventBatchBuilder, Plane, Row, Timestamp};

use crate::driver::runner;
use crate::history::{batch, events, rule};

fn rules() -> Vec<Arc<CompiledRule>> {
    let sources: Vec<RuleSource> = CATALOG
        .iter()
        .map(|rule| RuleSource::parse(Path::new(rule.path), rule.sql).expect("the catalog parses"))
        .collect();
    let catalog = compile_set(&sources.iter().collect::<Vec<_>>(), &ReferenceTables::default());
    let catalog = catalog.into_iter().map(|rule| rule.expect("the catalog compiles"));
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

/// Whether exactly the rows were found that meet every condition.
fn same(
    rules: &[Arc<CompiledRule>],
    batch: &EventBatch,
    accepted: Option<&[u32]>,
    found: &Matches,
) -> Result<(), TestCaseError> {
    let mut union = std::collections::BTreeSet::new();
    for (rule, compiled) in rules.iter().enumerate() {
        for scan in (0..compiled.scans.len()).filter(|scan| compiled.scans[*scan].table == batch.plane.into()) {
            let scan = ScanId { rule, scan };
            let candidates =
                (0..batch.rows.num_rows()).filter(|row| accepted.is_none_or(|some| some.contains(&narrow(*row))));
            let expected: Vec<u32> = candidates.filter(|row| wanted(rules, scan, batch, *row)).map(narrow).collect();
            let got = found.each().find(|(found, _)| *found == scan).map(|(_, rows)| rows.to_vec());
            prop_assert_eq!(got.unwrap_or_default(), expected.clone(), "{} scan {}", compiled.meta.id, scan.scan);
            union.extend(expected);
        }
    }
    prop_assert_eq!(&found.rows, &union.into_iter().collect::<Vec<u32>>());
    Ok(())
}

fn narrow(row: usize) -> u32 {
    u32::try_from(row).expect("small")
}

#[test]
fn matching_is_asking_every_row_every_question() {
    let rules = rules();
    let matcher = RefCell::new(Matcher::new(&rules));
    let result = runner(100).run(&(events(60, 80), any::<u64>()), |(events, chosen)| {
        for plane in Plane::ALL {
            let which: Vec<usize> = (0..events.len()).filter(|at| events[*at].plane() == plane).collect();
            let batch = batch(plane, &events, &which);
            let some: Vec<u32> =
                (0..u32::try_from(which.len()).expect("small")).filter(|row| chosen >> (row % 64) & 1 == 1).collect();
            for accepted in [None, Some(some.as_slice())] {
                let found = matcher.borrow_mut().find(&batch, accepted);
                same(&rules, &batch, accepted, &found)?;
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Words that conditions look for, alone and inside of others, in letters that only seem to be theirs.
const WORDS: [&str; 9] = ["send", "Send", "SENDER", "key", "\u{212a}EY", "ſend", "%", "password", "passWord"];

fn conditions_on_content() -> Vec<Arc<CompiledRule>> {
    let conditions = [
        "content LIKE '%send%'",
        "content ILIKE '%send%'",
        "content ILIKE '%KEY%'",
        "contains(content, 'pass')",
        "content LIKE '%word%' AND content NOT LIKE '%pass%'",
        "content LIKE 'send%'",
        "content LIKE '%send'",
        "content LIKE '%s_nd%'",
        "content = 'send'",
        "content IN ('key', 'send', 'password')",
        "'Send' = content",
        "content = 'SENDER' OR content IS NULL",
        "content IN ('%', 'none')",
        "kind = 'prompt' AND contains(content, 'Word')",
        "regexp_like(content, 's.*d')",
        "content ~ 'send|pass(wor)?d'",
        "content ~* 's.?end'",
        "content !~ 'k.y'",
        "content !~* 'k.?y'",
        "kind = 'prompt' AND content ~* '^pass'",
        "regexp_match(content, '(send)er') IS NOT NULL",
        "regexp_like(content, '^$')",
        "content ~ '(?i)key$' AND NOT content ~ '^k.+y$'",
    ];
    let sql = |condition| {
        format!("SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE {condition}")
    };
    conditions
        .iter()
        .enumerate()
        .map(|(at, condition)| rule(&format!("text-{at}"), "model", "key: [e_event_id]", &sql(condition)))
        .collect()
}

#[test]
fn literals_and_patterns_are_found_together_as_each_condition_finds_them() {
    let rules = conditions_on_content();
    let text = proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..4)
        .prop_map(|words| (!words.is_empty()).then(|| words.concat()));
    let texts = proptest::collection::vec(text, 1..60);
    let result = runner(60).run(&(texts, any::<bool>()), |(texts, long)| {
        let mut builder = EventBatchBuilder::new(Plane::Model);
        for (at, text) in texts.iter().enumerate() {
            let mut row = Row::new(Plane::Model);
            row.text(runtime::EVENT_ID, format!("e{at}"));
            row.set(runtime::EVENT_TIME, Cell::Time(Timestamp::from_secs(1_767_225_600)));
            for (column, value) in [(runtime::TENANT, "t"), (runtime::SOURCE, "s")] {
                row.text(column, value);
            }
            row.text(runtime::KIND, if at % 3 == 0 { "prompt" } else { "completion" });
            row.maybe_text(runtime::CONTENT, text.clone());
            builder.append(&row, None);
        }
        if long {
            // One value too long to be remembered makes the column one of many values.
            let mut row = Row::new(Plane::Model);
            for (column, value) in
                [(runtime::EVENT_ID, "long"), (runtime::TENANT, "t"), (runtime::SOURCE, "s"), (runtime::KIND, "prompt")]
            {
                row.text(column, value);
            }
            row.set(runtime::EVENT_TIME, Cell::Time(Timestamp::from_secs(1_767_225_600)));
            row.text(runtime::CONTENT, "sender ".repeat(40));
            builder.append(&row, None);
        }
        let batch = builder.finish();
        prop_assert!(batch.rejects.is_empty(), "{:?}", batch.rejects);
        let mut matcher = Matcher::new(&rules);
        for _ in 0..2 {
            let found = matcher.find(&batch, None);
            same(&rules, &batch, None, &found)?;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn a_condition_that_fails_lets_rows_pass() {
    let sql = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'prompt' AND CAST(CASE WHEN tool = 'tool0' THEN tool ELSE '1' END AS BIGINT) > 3";
    let rules = [rule("failing", "model", "key: [e_event_id]", sql)];
    let history = [crate::history::Event { kind: 2, ..Default::default() }, crate::history::Event::default()];
    let found = Matcher::new(&rules).find(&batch(Plane::Model, &history, &[0, 1]), None);
    assert_eq!(found.rows, [0]);
}
