//! Plays a history to some rules and holds what they say against their batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use watershed_engine::core::Input;
use watershed_engine::store::Commit;
use watershed_rules::{CompiledRule, Emit, Finding, Speaks, batch as truth};
use watershed_schemas::{EventBatch, EventBatchBuilder, Plane, Signal};

use super::events::{Event, START};
use super::schedule::{Arrival, Schedule};
use crate::driver::{Driver, partition};
use crate::history::as_written;

/// What a case was about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Rules with findings at the end.
    pub(crate) found: BTreeSet<usize>,
    /// Rules that took something back.
    pub(crate) withdrew: BTreeSet<usize>,
    /// Rows that were accepted behind their plane's watermark.
    pub(crate) late: usize,
    pub(crate) refused: usize,
    pub(crate) repeats: u64,
    /// Restarts after something had been accepted.
    pub(crate) restarts: usize,
}

/// A rule whose stream isn't its batch.
#[derive(Clone, Debug)]
pub(crate) struct Mismatch {
    pub(crate) rule: usize,
    pub(crate) what: String,
}

/// When what stands is compared in the middle of the history: every so many steps, beginning with this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    pub(crate) every: usize,
    pub(crate) first: usize,
}

/// Plays it and compares: at the end, and now and then on the way.
pub(crate) fn check(
    rules: &[Arc<CompiledRule>],
    events: &[Event],
    schedule: &Schedule,
    looks: Looks,
) -> Result<Seen, Mismatch> {
    let Played { driver, mut seen, accepted } = play(rules, events, schedule, Some(looks))?;
    let standing = by_rule(rules, &driver);
    for (at, rule) in rules.iter().enumerate() {
        let expected = batch_result(rule, events, &accepted).map_err(|what| Mismatch { rule: at, what })?;
        if !expected.is_empty() {
            seen.found.insert(at);
        }
        compare(at, &standing[at], &expected, "at the end")?;
    }
    for signal in driver.signals().filter(|signal| signal.withdrawn) {
        let Some(at) = rules.iter().position(|rule| rule.meta.id == signal.rule) else { continue };
        seen.withdrew.insert(at);
    }
    numbering(rules, &driver)?;
    Ok(seen)
}

/// Plays it with room for few rows a key: what is said may be too little, and is true all the same. Gives how many findings
/// were left out.
pub(crate) fn check_true(
    rules: &[Arc<CompiledRule>],
    events: &[Event],
    schedule: &Schedule,
) -> Result<usize, Mismatch> {
    let Played { driver, accepted, .. } = play(rules, events, schedule, None)?;
    let standing = by_rule(rules, &driver);
    let mut left_out = 0;
    for (at, rule) in rules.iter().enumerate() {
        let mut expected = batch_result(rule, events, &accepted).map_err(|what| Mismatch { rule: at, what })?;
        left_out += expected.len();
        // Details may have been counted short.
        let mut said = standing[at].clone();
        said.retain(|id, _| expected.remove(id).is_none());
        left_out -= standing[at].len() - said.len();
        compare(at, &said, &BTreeMap::new(), "with full keys")?;
    }
    Ok(left_out)
}

/// A history that was played to its end.
struct Played {
    driver: Driver,
    seen: Seen,
    accepted: BTreeSet<usize>,
}

fn play(
    rules: &[Arc<CompiledRule>],
    events: &[Event],
    schedule: &Schedule,
    looks: Option<Looks>,
) -> Result<Played, Mismatch> {
    let mut driver = Driver::new(schedule.settings(), as_written(rules)).with_partitions(schedule.partitions);
    let mut seen = Seen::default();
    let mut accepted: BTreeSet<usize> = BTreeSet::new();
    let mut pending = Commit::default();
    // Where the source would be read again after a restart, how much had been said by then, and what was history.
    let mut durable = (0, driver.outputs.len(), accepted.clone());
    let mut restarted: BTreeSet<usize> = BTreeSet::new();
    let mut at = 0;
    while let Some(step) = schedule.steps.get(at) {
        if step.restart && restarted.insert(at) {
            seen.restarts += usize::from(!accepted.is_empty());
            pending = Commit::default();
            driver.outputs.truncate(durable.1);
            (at, accepted) = (durable.0, durable.2.clone());
            driver.restart();
            continue;
        }
        let watermarks = Plane::ALL.map(|plane| driver.core.watermarks().of(plane).micros());
        let output = driver.step_into(inputs(events, &step.inputs), &mut pending);
        let refused: Vec<&str> = output.refused.iter().map(|row| row.event_id.as_str()).collect();
        seen.repeats += output.duplicates;
        seen.refused += refused.len();
        let withdrawn: Vec<Signal> = output.signals.iter().filter(|signal| signal.withdrawn).cloned().collect();
        let late_before = seen.late;
        for event in arrived(&step.inputs) {
            let id = events[event].id(event);
            let came = arrived(&step.inputs).filter(|other| *other == event).count();
            if came > refused.iter().filter(|other| **other == id).count() && accepted.insert(event) {
                let behind = START + events[event].time < watermarks[events[event].plane().index()];
                seen.late += usize::from(behind);
            }
        }
        for signal in withdrawn {
            let Some(at) = rules.iter().position(|rule| rule.meta.id == signal.rule) else { continue };
            // What is monotone stays true, and what is final is only made false by a late row.
            let monotone = !waits(&rules[at]) && !rules[at].strata().iter().any(|rule| waits(rule));
            let final_then = !matches!(rules[at].meta.emit, Emit::Early) && seen.late == late_before;
            if monotone || final_then {
                return Err(Mismatch { rule: at, what: format!("said too early and taken back: {}", said(&signal)) });
            }
        }
        if looks.is_some_and(|looks| at % looks.every == looks.first % looks.every) {
            look(rules, &driver, events, &accepted, at)?;
        }
        at += 1;
        if step.commit {
            driver.disk.apply(std::mem::take(&mut pending));
            durable = (at, driver.outputs.len(), accepted.clone());
        }
    }
    driver.step(vec![Input::End]);
    if let Some((id, reason)) = driver.core.quarantined().next() {
        let rule = rules.iter().position(|rule| rule.meta.id == id).unwrap_or(0);
        return Err(Mismatch { rule, what: format!("it was stopped: {reason}") });
    }
    Ok(Played { driver, seen, accepted })
}

fn waits(rule: &CompiledRule) -> bool {
    matches!(rule.speaks, Speaks::AtWatermark { .. })
}

/// Whether it reads signals that are there only later than the events that make them.
fn lags(rule: &CompiledRule) -> bool {
    let later = |rule: &CompiledRule| {
        rule.scans.iter().flat_map(|scan| &scan.upstream).any(|upstream| upstream.there != [None; 2])
    };
    later(rule) || rule.strata().iter().any(|rule| waits(rule) || later(rule))
}

/// In the middle of a history: who speaks at once or early says exactly what is true of the rows so far; who waits says
/// nothing that isn't.
fn look(
    rules: &[Arc<CompiledRule>],
    driver: &Driver,
    events: &[Event],
    accepted: &BTreeSet<usize>,
    step: usize,
) -> Result<(), Mismatch> {
    let standing = by_rule(rules, driver);
    for (at, rule) in rules.iter().enumerate() {
        let mut expected = batch_result(rule, events, accepted).map_err(|what| Mismatch { rule: at, what })?;
        if lags(rule) {
            // What it reads of signals isn't all there yet: details may still lack some, and who speaks early may err.
            if !matches!(rule.meta.emit, Emit::Early) {
                let mut false_ones = standing[at].clone();
                false_ones.retain(|id, _| !expected.contains_key(id));
                compare(at, &false_ones, &BTreeMap::new(), &format!("after step {step}"))?;
            }
            continue;
        }
        if waits(rule) && !matches!(rule.meta.emit, Emit::Early) {
            expected.retain(|id, _| standing[at].contains_key(id));
        }
        compare(at, &standing[at], &expected, &format!("after step {step}"))?;
    }
    Ok(())
}

fn compare(
    rule: usize,
    ours: &BTreeMap<String, Value>,
    expected: &BTreeMap<String, Value>,
    when: &str,
) -> Result<(), Mismatch> {
    if ours == expected {
        return Ok(());
    }
    let mut lines = vec![format!("{when}:")];
    for (id, value) in expected {
        match ours.get(id) {
            None => lines.push(format!("  missing in stream: {value}")),
            Some(said) if said != value => lines.push(format!("  differs: stream {said}\n           batch  {value}")),
            Some(_) => {}
        }
    }
    lines.extend(
        ours.iter().filter(|(id, _)| !expected.contains_key(*id)).map(|(_, said)| format!("  only in stream: {said}")),
    );
    Err(Mismatch { rule, what: lines.join("\n") })
}

fn by_rule(rules: &[Arc<CompiledRule>], driver: &Driver) -> Vec<BTreeMap<String, Value>> {
    let mut standing = vec![BTreeMap::new(); rules.len()];
    for (id, signal) in driver.standing() {
        if let Some(at) = rules.iter().position(|rule| rule.meta.id == signal.rule) {
            standing[at].insert(id.to_owned(), said(signal));
        }
    }
    standing
}

fn numbering(rules: &[Arc<CompiledRule>], driver: &Driver) -> Result<(), Mismatch> {
    driver.check_numbering().map_err(|error| {
        let text = error.to_string();
        let rule = rules.iter().position(|rule| text.contains(&format!("rule: \"{}\"", rule.meta.id))).unwrap_or(0);
        Mismatch { rule, what: format!("numbering: {text}") }
    })
}

fn arrived(inputs: &[Arrival]) -> impl Iterator<Item = usize> {
    inputs.iter().filter_map(|arrival| match arrival {
        Arrival::Event(at, _) => Some(*at),
        _ => None,
    })
}

/// Neighbours of one partition come in one batch.
fn inputs(events: &[Event], arrivals: &[Arrival]) -> Vec<Input> {
    let of = |arrival: &Arrival| match arrival {
        Arrival::Event(at, partition) => Some((events[*at].access, *partition)),
        _ => None,
    };
    let plane = |access: bool| if access { Plane::Access } else { Plane::Model };
    let mut inputs = Vec::new();
    for chunk in arrivals.chunk_by(|a, b| of(a).is_some() && of(a) == of(b)) {
        match &chunk[0] {
            Arrival::Event(at, index) => {
                let plane = events[*at].plane();
                let batch = rows(plane, events, arrived(chunk));
                inputs.push(Input::Rows { origin: 0, partition: partition(plane, *index), batch });
            }
            Arrival::CaughtUp(access, index, at) => inputs.push(Input::CaughtUp(
                partition(plane(*access), *index),
                watershed_schemas::Timestamp::from_micros(START + at),
            )),
            Arrival::Moved(access, index) => {
                let partition = partition(plane(*access), *index);
                inputs.extend([Input::Revoked(partition.clone()), Input::Assigned(partition)]);
            }
        }
    }
    inputs
}

/// These events as a batch of their plane.
pub(crate) fn rows(plane: Plane, events: &[Event], which: impl Iterator<Item = usize>) -> EventBatch {
    let mut builder = EventBatchBuilder::new(plane);
    for (record, at) in which.enumerate() {
        builder.start_record(record);
        builder.append(&events[at].row(at), None);
    }
    let batch = builder.finish();
    assert!(batch.rejects.is_empty(), "{:?}", batch.rejects);
    batch
}

/// What the rule means of these events.
pub(crate) fn batch_result(
    rule: &CompiledRule,
    events: &[Event],
    which: &BTreeSet<usize>,
) -> Result<BTreeMap<String, Value>, String> {
    let [runtime, identity] = Plane::ALL
        .map(|plane| rows(plane, events, which.iter().copied().filter(|at| events[*at].plane() == plane)).rows);
    let findings = truth(rule, runtime, identity).map_err(|error| format!("its batch failed: {error}"))?;
    Ok(findings.iter().map(|finding| (finding.signal_id.clone(), meant(finding))).collect())
}

/// What a signal says, without its numbering.
fn said(signal: &Signal) -> Value {
    json!([
        signal.event_time,
        signal.tenant,
        signal.principal,
        signal.session_id,
        signal.key,
        signal.details,
        signal.evidence
    ])
}

fn meant(finding: &Finding) -> Value {
    json!([
        finding.event_time,
        finding.tenant,
        finding.principal,
        finding.session_id,
        finding.key,
        finding.details,
        finding.evidence
    ])
}
