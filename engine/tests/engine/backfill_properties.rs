//! Random histories, and rules that are added in the middle of them and get their past from the log.
//!
//! Whatever was open when such a rule came says in the end exactly what its batch means, as if it had always been there:
//! however the log is cut and interleaved, whatever the present brings meanwhile, and if the process dies in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use watershed_connectors::Partition;
use watershed_connectors::sources::Positions;
use watershed_engine::core::{Input, Past};
use watershed_engine::evaluator::RuleSetup;
use watershed_engine::watermark::Watermarks;
use watershed_rules::CompiledRule;
use watershed_schemas::{Mark, Plane, Timestamp};

use crate::driver::{Driver, arrivals, runner, settings};
use crate::generated::lives::was_sealed;
use crate::history::{Event, as_written, batch, events};
use crate::reload_properties::{absence, batch_result, join, threshold, unexplained};
use crate::stream::said;

/// Rules that are added. No rule before asks for as little or keeps as long.
fn added() -> Vec<Arc<CompiledRule>> {
    vec![
        absence("added-absence", 9),
        join("added-join", ""),
        threshold("added-threshold", "count(*) >= 2"),
        threshold("added-upper-threshold", "count(*) <= 2"),
        unexplained("added-unexplained", 12),
    ]
}

fn before() -> Vec<Arc<CompiledRule>> {
    vec![absence("stays", 3), join("stays-too", "AND i.kind = 'token_revoked'")]
}

fn after() -> Vec<RuleSetup> {
    let mut setups = as_written(&before());
    let asks = |rule| RuleSetup { backfill: true, ..RuleSetup::as_written(rule) };
    setups.extend(added().into_iter().map(asks));
    setups.sort_by(|a, b| a.rule.meta.id.cmp(&b.rule.meta.id));
    setups
}

/// A second reader of what the driver was given: of each rule that asks the rows that are left to be read.
#[derive(Default)]
struct Reader {
    log: Vec<(Partition, usize)>,
    /// For each rule and ticket the rows left, by partition.
    left: BTreeMap<(String, u64), BTreeMap<Partition, Vec<usize>>>,
}

impl Reader {
    /// Reads on for every rule that asks, at most so many rows of one partition each.
    fn read(&mut self, driver: &mut Driver, events: &[Event], rows: usize, which: usize) -> Vec<Input> {
        let mut inputs = Vec::new();
        for backfill in driver.core.backfills() {
            let wanted = backfill.wanted;
            let (rule, ticket) = (wanted.owner.rule.clone(), wanted.ticket);
            let log = &self.log;
            let left = self.left.entry((rule.clone(), ticket)).or_insert_with(|| {
                let mut left: BTreeMap<Partition, Vec<usize>> = BTreeMap::new();
                for (partition, event) in log {
                    left.entry(partition.clone()).or_default().push(*event);
                }
                for (partition, rows) in &mut left {
                    let until = wanted.until.get(partition).copied().unwrap_or(0);
                    rows.truncate(usize::try_from(until).expect("a position"));
                }
                left
            });
            left.retain(|_, rows| !rows.is_empty());
            let past = match left.keys().nth(which % left.len().max(1)).cloned() {
                None => Past::End { since: [Timestamp::MIN; 2], failed: None },
                Some(partition) => {
                    let all = left.get_mut(&partition).expect("just seen");
                    let now: Vec<usize> = all.drain(..rows.min(all.len())).collect();
                    Past::Rows { batch: batch(partition.plane, events, &now), percent: 50 }
                }
            };
            inputs.push(Input::Past { rule, ticket, past });
        }
        inputs
    }

    fn positions(&self) -> Positions {
        let mut positions = Positions::new();
        for (partition, _) in &self.log {
            *positions.entry(partition.clone()).or_default() += 1;
        }
        positions
    }
}

/// What became of rules that were added at a step of a history.
struct Added {
    driver: Driver,
    /// The watermarks when they came; absent where they never did.
    came: Option<Watermarks>,
}

/// Plays a history, adds the rules before step `change`, and reads so many rows a step for each of them.
fn play(events: &[Event], arrival: &crate::driver::Arrival, change: usize, rows: usize, which: usize) -> Added {
    let mut driver = Driver::new(settings(), as_written(&before()));
    let mut reader = Reader::default();
    let mut came = None;
    driver.play_with(events, arrival, |driver, step| {
        if step == change {
            came = Some(driver.core.watermarks().clone());
            reader.log = driver.log.clone();
            driver.replace(after(), vec![Input::Log(reader.positions())]);
        } else if step > change {
            let inputs = reader.read(driver, events, rows, which + step);
            driver.step(inputs);
        }
        let all_taken = driver.log.len() == arrival.len(events);
        while all_taken && driver.core.backfills().len() + driver.backfilling() > 0 {
            let inputs = reader.read(driver, events, rows, which + step);
            driver.step(inputs);
        }
    });
    Added { driver, came }
}

#[test]
fn a_backfilled_rule_says_what_one_that_was_always_there_says() {
    let compared = std::cell::RefCell::new(BTreeMap::<String, usize>::new());
    let past = std::cell::Cell::new(0_usize);
    let cases = (events(60, 40), arrivals(), 0_usize..14, 1_usize..12, 0_usize..4);
    let result = runner(200).run(&cases, |(events, arrival, change, rows, which)| {
        let Added { driver, came } = play(&events, &arrival, change, rows, which);
        let Some(watermarks) = came else { return Ok(()) };
        prop_assert_eq!(driver.refused(), 0);
        driver.check_numbering()?;
        let standing = driver.standing();
        for rule in added() {
            let id = &rule.meta.id;
            let ours: BTreeMap<String, Value> = standing
                .values()
                .filter(|signal| signal.rule == *id)
                .map(|signal| (signal.signal_id.clone(), said(signal)))
                .collect();
            let open = |time: Timestamp| !was_sealed(&rule, time, &watermarks);
            let expected: BTreeMap<String, Value> = batch_result(&rule, &events)
                .into_iter()
                .filter(|(_, (time, _))| open(*time))
                .map(|(id, (_, meant))| (id, meant))
                .collect();
            // Where a plane was not heard at all, everything is open, and nobody reads all of a log.
            let heard = Plane::ALL.iter().all(|plane| watermarks.of(*plane) != Timestamp::MIN);
            if !heard {
                let untrue = ours.iter().find(|(id, said)| expected.get(*id) != Some(*said));
                prop_assert_eq!(untrue, None, "{}", id);
                continue;
            }
            prop_assert_eq!(&ours, &expected, "{}", id);
            *compared.borrow_mut().entry(id.clone()).or_default() += expected.len();
            let marked =
                |mark| standing.values().filter(|signal| signal.rule == *id && signal.marks.contains(mark)).count();
            prop_assert_eq!(marked(&Mark::Partial), 0, "{}", id);
            past.set(past.get() + marked(&Mark::Backfilled));
        }
        // The others say what they would have said without them.
        for rule in before() {
            let ours: BTreeMap<String, Value> = standing
                .values()
                .filter(|signal| signal.rule == rule.meta.id)
                .map(|signal| (signal.signal_id.clone(), said(signal)))
                .collect();
            let expected: BTreeMap<String, Value> =
                batch_result(&rule, &events).into_iter().map(|(id, (_, meant))| (id, meant)).collect();
            prop_assert_eq!(ours, expected, "{}", rule.meta.id);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let compared = compared.into_inner();
    for rule in added() {
        let times = compared.get(&rule.meta.id).copied().unwrap_or(0);
        assert!(times > 30, "{} was compared only {times} times", rule.meta.id);
    }
    assert!(past.get() > 30, "only {} signals of the past", past.get());
}
