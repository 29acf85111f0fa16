//! Whoever reads a revision can reckon its verdict again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use watershed_engine::core::Settings;
use watershed_engine::evaluator::RuleSetup;
use watershed_schemas::{
    IncidentRevision, IncidentStatus, NotifyReason, Origin, Plane, PlaneScores, Severity, Signal, Timestamp, Verdict,
};

use super::{rules, short};
use crate::driver::{Driver, arrivals, runner};
use crate::history::events;

/// What the test itself weighs each rule with.
type Weights = BTreeMap<&'static str, PlaneScores>;

fn weights() -> Weights {
    let scores = |model: f64, access: f64| PlaneScores { model, access };
    BTreeMap::from([
        ("flagged", scores(0.6, 0.0)),
        ("risk", scores(0.0, 1.0)),
        ("nameless", scores(0.45, 0.0)),
        ("alone", scores(0.0, 0.7)),
    ])
}

fn settings() -> Settings {
    let mut settings = short();
    settings.incidents.threshold = PlaneScores { model: 0.75, access: 1.0 };
    settings.incidents.repeat_factor = 0.3;
    settings
}

fn setups() -> Vec<RuleSetup> {
    let weights = weights();
    let setup = |rule: &std::sync::Arc<watershed_rules::CompiledRule>| RuleSetup {
        weights: Some(weights[rule.meta.id.as_str()]),
        ..RuleSetup::as_written(std::sync::Arc::clone(rule))
    };
    rules().iter().map(setup).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-5
}

/// Reckons a revision again from its list of signals alone.
fn recheck(revision: &IncidentRevision, signals: &BTreeMap<&str, &Signal>) -> Result<(), TestCaseError> {
    let (weights, settings) = (weights(), settings().incidents);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut first: [Option<Timestamp>; 2] = [None; 2];
    let mut worst = Severity::Info;
    for id in &revision.signals {
        let signal = signals[id.as_str()];
        *counts.entry(&signal.rule).or_default() += 1;
        worst = worst.max(signal.severity);
        for plane in signal.plane.planes() {
            let first = &mut first[plane.index()];
            *first = Some(first.map_or(signal.event_time, |first| first.min(signal.event_time)));
        }
    }
    let because = &revision.because;
    prop_assert!(revision.signals.is_empty() || because.thresholds == settings.threshold);
    prop_assert_eq!([because.first_moved.model, because.first_moved.access], first, "{:?}", revision);
    let rules: Vec<&str> = because.rules.iter().map(|contribution| contribution.rule.as_str()).collect();
    prop_assert_eq!(&rules, &counts.keys().copied().collect::<Vec<_>>());
    let [mut model, mut access] = [0.0, 0.0];
    for contribution in &because.rules {
        let mut factor = 0.0;
        let mut part = 1.0;
        for _ in 0..counts[contribution.rule.as_str()] {
            factor += part;
            part *= settings.repeat_factor;
        }
        let weight = weights[contribution.rule.as_str()];
        prop_assert_eq!(contribution.count, counts[contribution.rule.as_str()]);
        prop_assert!(near(contribution.factor, factor) && contribution.weight == weight, "{:?}", contribution);
        prop_assert!(near(contribution.score.model, weight.model * factor), "{:?}", contribution);
        prop_assert!(near(contribution.score.access, weight.access * factor), "{:?}", contribution);
        model += weight.model * factor;
        access += weight.access * factor;
    }
    prop_assert!(near(revision.scores.model, model) && near(revision.scores.access, access), "{:?}", revision);
    match Verdict::of(model >= settings.threshold.model, access >= settings.threshold.access) {
        None => prop_assert_eq!(revision.status, IncidentStatus::Withdrawn, "{:?}", revision),
        Some(verdict) => {
            prop_assert_eq!(revision.verdict, verdict);
            prop_assert_eq!(revision.severity, worst);
            let origin = match (verdict, first) {
                (Verdict::ModelAbuse, _) => Origin::Model,
                (Verdict::AccessCompromise, _) => Origin::Access,
                (Verdict::Both, [Some(model), Some(access)]) => {
                    let apart = access.micros() - model.micros();
                    let skew = 30_000_000;
                    if apart > skew {
                        Origin::Model
                    } else if apart < -skew {
                        Origin::Access
                    } else {
                        Origin::Undetermined
                    }
                }
                (Verdict::Both, _) => Origin::Undetermined,
            };
            prop_assert_eq!(revision.origin, origin, "{:?}", revision);
        }
    }
    Ok(())
}

/// What a revision takes back of the one before it, it takes back because signals have gone.
fn only_grows(before: &IncidentRevision, after: &IncidentRevision) -> Result<(), TestCaseError> {
    let gone = before.status == IncidentStatus::Withdrawn
        || before.signals.iter().any(|signal| !after.signals.contains(signal));
    let shrinks = before.verdict.planes().iter().any(|plane| !after.verdict.planes().contains(plane));
    prop_assert!(gone || !shrinks, "{:?} after {:?}", after, before);
    prop_assert!(gone || before.severity <= after.severity, "{:?} after {:?}", after, before);
    let changed: BTreeSet<&str> = after.changes.iter().map(|change| change.field.as_str()).collect();
    prop_assert_eq!(changed.contains("verdict"), before.verdict != after.verdict);
    prop_assert_eq!(changed.contains("status"), before.status != after.status);
    prop_assert_eq!(changed.contains("severity"), before.severity != after.severity);
    prop_assert_eq!(changed.contains("signals"), before.signals != after.signals);
    prop_assert_eq!(changed.contains("coverage.access"), before.coverage.access != after.coverage.access);
    prop_assert_eq!(changed.contains("related"), {
        let ids = |revision: &IncidentRevision| -> BTreeSet<String> {
            revision.related.iter().map(|related| related.incident_id.clone()).collect()
        };
        ids(before) != ids(after)
    });
    Ok(())
}

/// Each team is told that an incident is there before anything else, and only what is news to it.
pub(super) fn told_in_order(driver: &Driver) -> Result<usize, TestCaseError> {
    let mut states: BTreeMap<(&str, Plane), (u32, bool)> = BTreeMap::new();
    let mut count = 0;
    for telling in driver.outputs.iter().flat_map(|output| &output.tellings) {
        count += 1;
        let incident = &telling.incident;
        let state = states.entry((&incident.incident_id, telling.plane)).or_insert((0, true));
        let (before, over) = *state;
        prop_assert!(incident.revision > before, "{:?} twice or back: {:?}", telling.reason, incident);
        let ends = matches!(telling.reason, NotifyReason::Resolved | NotifyReason::Withdrawn);
        // What is over begins anew, or a person says what it was.
        let closed = telling.reason == NotifyReason::Resolved && incident.status == IncidentStatus::Closed;
        let begins = telling.reason == NotifyReason::Opened;
        prop_assert!(over == begins || (over && closed), "{:?} of {:?}", telling.reason, incident);
        prop_assert!(ends || incident.verdict.planes().contains(&telling.plane), "{:?}", incident);
        *state = (incident.revision, ends);
    }
    Ok(count)
}

#[test]
fn every_revision_can_be_reckoned_again() {
    let seen = std::cell::RefCell::new(BTreeMap::<String, usize>::new());
    let result = runner(120).run(&(events(20, 40), arrivals()), |(events, arrival)| {
        let mut driver = Driver::new(settings(), setups());
        driver.play(&events, &arrival);
        let mut known: BTreeMap<&str, &Signal> = BTreeMap::new();
        let mut last: BTreeMap<&str, &IncidentRevision> = BTreeMap::new();
        for output in &driver.outputs {
            known.extend(output.signals.iter().map(|signal| (signal.signal_id.as_str(), signal)));
            for revision in &output.incidents {
                if revision.status != IncidentStatus::Merged {
                    recheck(revision, &known)?;
                }
                if let Some(before) = last.insert(&revision.incident_id, revision) {
                    only_grows(before, revision)?;
                }
                *seen.borrow_mut().entry(format!("{:?}", revision.verdict)).or_default() += 1;
                *seen.borrow_mut().entry(format!("{:?}", revision.origin)).or_default() += 1;
                let repeats = revision.because.rules.iter().any(|contribution| contribution.count > 1);
                *seen.borrow_mut().entry("repeats".to_owned()).or_default() += usize::from(repeats);
            }
        }
        let told = told_in_order(&driver)?;
        *seen.borrow_mut().entry("told".to_owned()).or_default() += told;
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    for kind in ["ModelAbuse", "AccessCompromise", "Both", "Model", "Access", "Undetermined", "repeats", "told"] {
        assert!(seen.get(kind).is_some_and(|times| *times >= 20), "hardly any {kind}: {seen:?}");
    }
}

#[test]
fn when_everything_is_taken_back_the_incident_is_withdrawn() {
    let result = runner(80).run(&(events(60, 40), arrivals()), |(events, arrival)| {
        let mut driver = Driver::new(short(), crate::history::as_written(&rules()));
        driver.play(&events, &arrival);
        let withdrawn: BTreeSet<&str> = driver
            .signals()
            .map(|signal| signal.signal_id.as_str())
            .filter(|id| !driver.standing().contains_key(id))
            .collect();
        for incident in driver.incidents().into_values().filter(|last| last.status != IncidentStatus::Merged) {
            prop_assert_eq!(
                incident.signals.is_empty(),
                incident.status == IncidentStatus::Withdrawn,
                "{:?}",
                incident
            );
            prop_assert!(incident.signals.iter().all(|signal| !withdrawn.contains(signal.as_str())), "{:?}", incident);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
