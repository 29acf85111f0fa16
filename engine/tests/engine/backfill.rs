//! Rules that are added while the engine runs, and what the log said before.

use std::sync::Arc;

use watershed_connectors::sources::Positions;
use watershed_engine::core::{Input, Past};
use watershed_engine::evaluator::{RuleChange, RuleSetup};
use watershed_rules::CompiledRule;
use watershed_schemas::{Mark, Plane, Timestamp};

use crate::driver::{Driver, partition};
use crate::history::{Event, batch, rule};
use crate::reload::{at, busy, followed, line, play, played, prompt, said, sign_in, told, unexplained};

/// Remembers nothing: no row of these histories meets it.
fn deaf() -> Arc<CompiledRule> {
    rule(
        "a-deaf",
        "model",
        "key: [prompt_event_id]",
        "SELECT event_time, tenant, principal, event_id AS prompt_event_id FROM runtime WHERE tool = 'nothing'",
    )
}

fn asks(rule: Arc<CompiledRule>) -> RuleSetup {
    RuleSetup { backfill: true, ..RuleSetup::as_written(rule) }
}

/// The driver under these rules, the log before them having been read to these positions.
fn add(driver: &mut Driver, rules: Vec<RuleSetup>) {
    let positions: Positions = Plane::ALL.map(|plane| (partition(plane, 0), 100)).into();
    driver.replace(rules, vec![Input::Log(positions)]);
}

/// Gives the rule of this id these rows of its past, each plane in a batch of its own.
fn give(driver: &mut Driver, id: &str, history: &[Event], which: &[usize]) {
    let ticket = ticket(driver, id).expect("it asks");
    for plane in Plane::ALL {
        let rows: Vec<usize> = which.iter().copied().filter(|at| history[*at].plane() == plane).collect();
        if !rows.is_empty() {
            let past = Past::Rows { batch: batch(plane, history, &rows), percent: 50 };
            driver.step(vec![Input::Past { rule: id.to_owned(), ticket, past }]);
        }
    }
}

fn end(driver: &mut Driver, id: &str, since: [Timestamp; 2], failed: Option<&str>) {
    let ticket = ticket(driver, id).expect("it asks");
    let past = Past::End { since, failed: failed.map(str::to_owned) };
    driver.step(vec![Input::Past { rule: id.to_owned(), ticket, past }]);
}

fn ticket(driver: &mut Driver, id: &str) -> Option<u64> {
    let asks = driver.core.backfills().into_iter().find(|asks| asks.wanted.owner.rule == id)?;
    Some(asks.wanted.ticket)
}

const WHOLE: [Timestamp; 2] = [Timestamp::MIN; 2];

#[test]
fn a_rule_is_given_what_nobody_remembers() {
    let history =
        [sign_in(0, 0), prompt(3, 0), prompt(4, 1), prompt(5, 0), prompt(6, 2), sign_in(40, 3), prompt(40, 3)];
    let mut driver = played(&[deaf()], &history, 0..3);
    add(&mut driver, vec![RuleSetup::as_written(deaf()), asks(unexplained())]);
    assert_eq!(driver.status("unexplained").backfilling.map(|now| now.rows), Some(0));
    play(&mut driver, &history, 3..5);
    assert_eq!(said(&driver, 0), [], "whether the prompts are explained is not known yet");
    give(&mut driver, "unexplained", &history, &[0, 1, 2]);
    assert_eq!(driver.status("unexplained").backfilling.map(|now| (now.rows, now.percent)), Some((3, 50)));
    assert_eq!(said(&driver, 0), [], "it is not known whether more will come");
    end(&mut driver, "unexplained", WHOLE, None);
    let news = &driver.outputs.last().expect("a step").rules;
    assert_eq!(news.iter().map(|news| &news.change).collect::<Vec<_>>(), [&RuleChange::Backfilled { failed: None }]);
    assert_eq!(driver.status("unexplained").backfilling, None);
    assert_eq!(driver.status("unexplained").warming_until, None);
    play(&mut driver, &history, 5..7);
    // Neither prompt was final when the rule came: whoever is told of the second is told of the first.
    assert_eq!(said(&driver, 0), [line("unexplained", "r2", &[]), line("unexplained", "r4", &[])]);
}

#[test]
fn what_was_over_before_a_rule_came_pages_nobody_and_what_adds_to_it_does() {
    let history = [sign_in(0, 0), prompt(3, 0), prompt(5, 0)];
    let mut driver = played(&[deaf()], &history, 0..2);
    add(&mut driver, vec![RuleSetup::as_written(deaf()), asks(followed(30, ""))]);
    play(&mut driver, &history, 2..3);
    let first = driver.signals().count();
    assert_eq!(told(&driver), 0);
    give(&mut driver, "followed", &history, &[0, 1]);
    end(&mut driver, "followed", WHOLE, None);
    assert_eq!(
        said(&driver, first),
        [line("followed", "i0 r1", &[Mark::Backfilled]), line("followed", "i0 r2", &[])],
        "the second prompt came after the rule"
    );
    assert_eq!(told(&driver), 1);
}

#[test]
fn what_comes_twice_counts_once() {
    let history = [prompt(1, 0), prompt(2, 0), prompt(3, 0)];
    let mut driver = played(&[deaf()], &history, 0..2);
    add(&mut driver, vec![RuleSetup::as_written(deaf()), asks(busy(3))]);
    // The first prompt is delivered again, and the log holds the second one twice.
    play(&mut driver, &history, 0..1);
    give(&mut driver, "busy", &history, &[0, 1]);
    give(&mut driver, "busy", &history, &[1]);
    driver.restart();
    give(&mut driver, "busy", &history, &[0, 1, 1]);
    end(&mut driver, "busy", WHOLE, None);
    assert_eq!(said(&driver, 0), [], "two prompts are not three");
    driver.restart();
    play(&mut driver, &history, 1..3);
    assert_eq!(said(&driver, 0), [line("busy", "r0 r1 r2", &[])]);
}

#[test]
fn a_log_that_begins_later_leaves_the_rule_warming() {
    let history =
        [sign_in(0, 0), prompt(1, 0), prompt(3, 1), prompt(7, 1), prompt(12, 1), sign_in(60, 3), prompt(60, 3)];
    for failed in [None, Some("the topic is gone")] {
        let mut driver = played(&[deaf()], &history, 0..2);
        add(&mut driver, vec![RuleSetup::as_written(deaf()), asks(unexplained())]);
        // What is gone from the log was of before the fifth minute before the first sign-in.
        let since = if failed.is_some() { Timestamp::MAX } else { at(-5) };
        end(&mut driver, "unexplained", [since; 2], failed);
        let until = if failed.is_some() { at(10) } else { at(5) };
        assert_eq!(driver.status("unexplained").warming_until, Some(until));
        let reasons = driver.outputs.iter().flat_map(|output| &output.rules).filter_map(|news| match &news.change {
            RuleChange::Backfilled { failed } => failed.as_deref(),
            _ => None,
        });
        assert_eq!(reasons.collect::<Vec<_>>(), Vec::from_iter(failed));
        play(&mut driver, &history, 2..7);
        let expected: &[&str] = if failed.is_some() { &["r4"] } else { &["r3", "r4"] };
        let ours: Vec<String> = said(&driver, 0).into_iter().map(|(_, evidence, _)| evidence).collect();
        assert_eq!(ours, expected, "{failed:?}");
        assert_eq!(driver.status("unexplained").backfilling, None);
    }
}

#[test]
fn rows_for_an_earlier_version_are_not_taken() {
    let history = [sign_in(0, 0), prompt(3, 0)];
    let mut driver = played(&[unexplained()], &history, 0..2);
    add(&mut driver, vec![asks(followed(30, "")), RuleSetup::as_written(unexplained())]);
    let earlier = ticket(&mut driver, "followed").expect("it asks");
    add(&mut driver, vec![asks(followed(40, "")), RuleSetup::as_written(unexplained())]);
    assert_ne!(ticket(&mut driver, "followed"), Some(earlier));
    let past = Past::End { since: WHOLE, failed: None };
    driver.step(vec![Input::Past { rule: "followed".to_owned(), ticket: earlier, past }]);
    assert!(driver.status("followed").backfilling.is_some(), "it still waits for its own");
    // Who asks for what others remember, and gets all of it, asks for no more.
    add(&mut driver, vec![asks(followed(5, "")), RuleSetup::as_written(unexplained())]);
    assert_eq!(driver.status("followed").backfilling, None);
}

#[test]
fn a_large_past_is_looked_at_in_parts_and_the_present_goes_on() {
    const PEOPLE: usize = 14_000;
    let mut history: Vec<Event> = (0..2 * PEOPLE).map(|at| prompt(1 + (at % 2) as i64, at / 2)).collect();
    // The last one does something more before anybody has looked at what was before.
    history.push(prompt(25, PEOPLE - 1));
    let mut driver = played(&[deaf()], &history, 0..1);
    add(&mut driver, vec![RuleSetup::as_written(deaf()), asks(busy(2))]);
    let all: Vec<usize> = (0..2 * PEOPLE).collect();
    give(&mut driver, "busy", &history, &all);
    end(&mut driver, "busy", WHOLE, None);
    let found = |driver: &Driver| driver.signals().filter(|signal| signal.evidence.len() == 2).count();
    let first = found(&driver);
    assert!((1..PEOPLE).contains(&first), "{first} at once");
    assert!(driver.status("busy").backfilling.is_some());
    play(&mut driver, &history, 2 * PEOPLE..2 * PEOPLE + 1);
    let mut steps = 0;
    while driver.backfilling() > 0 {
        let before = found(&driver);
        driver.step(Vec::new());
        steps += 1;
        assert!(found(&driver) - before < PEOPLE / 2 + PEOPLE / 4, "some in each step");
    }
    assert_eq!((found(&driver), steps > 0), (PEOPLE, true));
    assert!(driver.signals().all(|signal| signal.revision == 1));
}
