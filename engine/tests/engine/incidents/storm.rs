//! A storm of signals of one entity is one incident, few revisions and a handful of messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::Value;
use watershed_engine::core::Settings;
use watershed_engine::evaluator::RuleSetup;
use watershed_schemas::{Plane, Severity};

use super::{flag, play, risk, rules, short};
use crate::driver::{Arrival, Driver, arrivals, runner};
use crate::history::{Event, MINUTE};

#[test]
fn ten_thousand_signals_are_a_handful_of_messages() {
    let rules = rules();
    let storm: Vec<Event> = (0..10_000).map(|at| Event { time: at * 1_000, ..flag(0, Some(0), Some(0)) }).collect();
    let mut finals = Vec::new();
    // One by one, at once, and one by one with each as much as seven seconds late.
    for (step, delays) in [(1, 1), (5_000, 1), (1, 7_919)] {
        let started = Instant::now();
        let driver = play(Settings::default(), &rules, &storm, &Arrival::delayed(step, delays));
        let told = driver.told().len();
        let revisions = driver.revisions().count();
        assert!(told <= 5, "{told} tellings at batch size {step}, delays of {delays} ms");
        assert!(revisions <= 40, "{revisions} revisions at batch size {step}, delays of {delays} ms");
        assert_eq!(driver.standing().len(), 10_000);
        finals.push(driver.final_incidents());
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "batch size {step}, delays of {delays} ms took {:?}",
            started.elapsed()
        );
    }
    assert!(finals.iter().all(|outcome| *outcome == finals[0]));
    let one: Value = serde_json::from_str(&finals[0][0]).expect("own output parses");
    assert_eq!(one["signals"].as_array().map(Vec::len), Some(10_000));
}

/// The rules, of several severities.
fn graded(severities: &[Severity; 4]) -> Vec<RuleSetup> {
    let setup = |(rule, severity): (&Arc<_>, &Severity)| RuleSetup {
        severity: *severity,
        ..RuleSetup::as_written(Arc::clone(rule))
    };
    rules().iter().zip(severities).map(setup).collect()
}

#[test]
fn a_storm_of_any_shape_stays_a_handful_of_messages() {
    let severity = prop_oneof![Just(Severity::Medium), Just(Severity::High), Just(Severity::Critical)];
    let shape = (
        proptest::collection::vec((any::<bool>(), any::<bool>(), 0_usize..3), 50),
        [severity.clone(), severity.clone(), severity.clone(), severity],
        prop_oneof![Just(1_usize), Just(3), Just(5_000)],
        1_usize..400,
    );
    let result = runner(12).run(&shape, |(kinds, severities, sessions, step)| {
        // Ten signals a second, in an order that has nothing to do with it.
        let storm: Vec<Event> = (0..4_000)
            .map(|at| {
                let (access, nameless, value) = kinds[at * at % kinds.len()];
                let event = if access { risk(0, 0) } else { flag(0, Some(0), Some(at % sessions)) };
                let kind = if access { 2 } else { usize::from(!nameless) };
                Event { time: at as i64 * 100_000, kind, value, session: Some(at % sessions), ..event }
            })
            .collect();
        let mut driver = Driver::new(Settings::default(), graded(&severities));
        driver.play(&storm, &Arrival::in_order(step));
        let incidents = driver.incidents();
        prop_assert_eq!(incidents.len(), 1);
        let revisions = driver.revisions().count();
        prop_assert!(revisions <= 70, "{} revisions", revisions);
        let mut told: BTreeMap<Plane, usize> = BTreeMap::new();
        for (plane, _) in driver.told() {
            *told.entry(plane).or_default() += 1;
        }
        prop_assert!(!told.is_empty() && told.values().all(|times| *times <= 5), "{:?}", told);
        let last = incidents.values().next().expect("one");
        prop_assert_eq!(last.signals.len(), driver.standing().len());
        prop_assert!(last.agents.len() <= 32 && last.credentials.len() <= 32);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Many events of one principal in two bursts, and a few between them: mostly of one kind and session, now and then of another.
fn storms() -> impl Strategy<Value = Vec<Event>> {
    let mostly = |others: std::ops::Range<usize>| prop_oneof![12 => Just(0_usize), 1 => others];
    let time = prop_oneof![12 => 0..4 * MINUTE, 12 => 9 * MINUTE..12 * MINUTE, 1 => 4 * MINUTE..9 * MINUTE];
    let event = (time, mostly(1..4), mostly(1..3), mostly(1..3));
    let event = event.prop_map(|(time, kind, session, value)| match kind {
        0 => Event { time, value, ..flag(0, Some(0), Some(session)) },
        1 => Event { time, value, session: Some(session), ..risk(0, 0) },
        2 => Event { time, value, kind: 0, ..flag(0, Some(0), Some(session)) },
        _ => Event { time, value, kind: 1, session: Some(session), ..risk(0, 0) },
    });
    proptest::collection::vec(event, 60..160)
}

/// What comes into a storm and is only counted has nothing to say: settled as a whole after a restart, its incident says no
/// more than before.
#[test]
fn what_is_absorbed_has_nothing_to_say() {
    let severity = || prop_oneof![Just(Severity::Low), Just(Severity::Medium), Just(Severity::High)];
    let severities = [severity(), severity(), severity(), severity()];
    let shape = (storms(), arrivals(), severities, 2_usize..12);
    let counts = std::cell::Cell::new((0, 0));
    let result = runner(40).run(&shape, |(events, arrival, severities, every)| {
        let mut driver = Driver::new(short(), graded(&severities));
        let mut said = Vec::new();
        driver.play_with(&events, &arrival.cut(1), |driver, step| {
            if step % every == 0 {
                driver.restart();
                said.extend(driver.outputs.last().map(|output| output.incidents.clone()).unwrap_or_default());
            }
        });
        prop_assert_eq!(said, Vec::new());
        let (revisions, signals) = counts.get();
        counts.set((revisions + driver.revisions().count(), signals + driver.standing().len()));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // Many of them must have been absorbed for this to show anything.
    let (revisions, signals) = counts.get();
    assert!(2 * revisions < signals, "{revisions} revisions of {signals} signals");
}
