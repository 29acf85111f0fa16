//! What is kept of remembered rows: what rules read and incidents show, and no more.

use std::sync::Arc;

use watershed_engine::core::Input;
use watershed_engine::evaluator::{RuleSetup, fingerprint};
use watershed_rules::CompiledRule;
use watershed_schemas::tables::runtime;
use watershed_schemas::{Cell, EventBatch, EventBatchBuilder, Plane, Row, Timestamp};

use crate::driver::{Driver, partition, settings};
use crate::history::{MINUTE, START, as_written, rule};

const LONG: usize = 100_000;

/// Two prompts of one session that say the same at length.
fn prompts() -> EventBatch {
    let mut builder = EventBatchBuilder::new(Plane::Model);
    for (record, id) in ["first", "second"].into_iter().enumerate() {
        let mut row = Row::new(Plane::Model);
        let minute = i64::try_from(record).expect("few");
        row.text(runtime::EVENT_ID, id);
        row.set(runtime::EVENT_TIME, Cell::Time(Timestamp::from_micros(START + minute * MINUTE)));
        row.text(runtime::TENANT, "acme");
        row.text(runtime::SOURCE, "test");
        row.text(runtime::KIND, "prompt");
        row.text(runtime::SESSION_ID, "s0");
        row.text(runtime::CONTENT, "x".repeat(LONG));
        row.text(runtime::ATTRIBUTES, format!("{{\"long\": \"{}\"}}", "y".repeat(LONG)));
        builder.start_record(record);
        builder.append(&row, None);
    }
    builder.finish()
}

fn twice(condition: &str) -> Arc<CompiledRule> {
    rule(
        "twice",
        "model",
        "key: [session_id, bucket]",
        &format!(
            "SELECT date_bin(INTERVAL '10 minutes', event_time) AS event_time, tenant, session_id,
                    date_bin(INTERVAL '10 minutes', event_time) AS bucket, array_agg(event_id) AS said_event_ids
             FROM runtime WHERE kind = 'prompt' {condition}
             GROUP BY tenant, session_id, date_bin(INTERVAL '10 minutes', event_time) HAVING count(*) >= 2"
        ),
    )
}

/// A driver that has taken the prompts.
fn played(rule: Arc<CompiledRule>) -> Driver {
    let mut driver = Driver::new(settings(), as_written(&[rule]));
    driver.assign();
    driver.step(vec![Input::Rows { origin: 0, partition: partition(Plane::Model, 0), batch: prompts() }]);
    driver
}

/// The fingerprints of what was said, as the incident shows them.
fn shown(driver: &Driver) -> Vec<String> {
    let tellings = driver.outputs.iter().flat_map(|output| &output.tellings);
    let evidence = tellings.flat_map(|telling| &telling.signals).flat_map(|signal| &signal.evidence);
    evidence.map(|evidence| evidence.columns["content_fingerprint"].clone()).collect()
}

#[test]
fn long_texts_that_nobody_reads_are_not_remembered_and_incidents_show_the_same_of_them() {
    let mut reads_neither = played(twice(""));
    let mut reads_both = played(twice("AND content LIKE 'x%' AND attributes LIKE '%long%'"));
    let mark = fingerprint(&"x".repeat(LONG));
    for driver in [&mut reads_neither, &mut reads_both] {
        assert_eq!(shown(driver), [mark.clone(), mark.clone()]);
    }
    let [little, much] = [&reads_neither, &reads_both].map(|driver| driver.status("twice").bytes);
    assert!(little < 5_000 && much > 4 * LONG, "{little} and {much} bytes");
    // Restored, they take as much.
    reads_neither.restart();
    reads_both.restart();
    assert_eq!([&reads_neither, &reads_both].map(|driver| driver.status("twice").bytes), [little, much]);
}

#[test]
fn a_rule_that_reads_what_was_not_kept_begins_without_a_past() {
    let mut driver = played(twice(""));
    let edited = twice("AND content LIKE 'x%'");
    for while_down in [true, false] {
        if while_down {
            driver.restart_with(vec![RuleSetup::as_written(Arc::clone(&edited))]);
        } else {
            driver.reload(vec![RuleSetup::as_written(Arc::clone(&edited))]);
        }
        assert!(driver.status("twice").warming_until.is_some(), "while down: {while_down}");
        assert_eq!(driver.status("twice").rows, 0);
        driver = played(twice(""));
    }
}
