//! How early a finding is said: with the batch that completes it, or at the first watermark after which no row can take it
//! back. That watermark is found by trying: rows are added to the history at one time after the other, each in a copy of
//! the history with a tenant of its own, and plain SQL says which of them make the finding false.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use watershed_engine::core::{Input, Settings};
use watershed_engine::watermark::PlaneTime;
use watershed_rules::{CompiledRule, Finding, Speaks, batch as truth};
use watershed_schemas::tables::runtime;
use watershed_schemas::{EventBatchBuilder, Plane, Timestamp};

use super::events::{Event, MINUTE, START, history};
use super::grammar::{Luck, Rule, Shape, any};
use super::run::{Looks, check, rows};
use super::schedule::schedule;
use super::versions::Versions;
use super::{compiled, tables};
use crate::driver::{Driver, partition};
use crate::history::as_written;

/// How far the watermark trails by itself: more than any history lasts, so that only marks move it.
const TRAILS: Duration = Duration::from_secs(24 * 3_600);
/// Different rows that are tried at each time.
const TEMPLATES: usize = 80;

/// Draws rules of a shape until one is as wanted.
fn rule_of(luck: &mut Luck, shape: Shape, wanted: impl Fn(&Rule, &CompiledRule) -> bool) -> (Rule, Arc<CompiledRule>) {
    let tables = tables();
    loop {
        let rule = Rule { early: false, ..shape.draw(luck) };
        if let Ok(compiled) = compiled(&rule.file("early"), &tables)
            && wanted(&rule, &compiled)
        {
            return (rule, compiled);
        }
    }
}

#[test]
fn monotone_rules_speak_with_the_batch_that_completes_a_finding() {
    let mut luck = Luck::seed_from_u64(11);
    let mut found = 0;
    for shape in [Shape::Filter, Shape::Join, Shape::Sequence, Shape::Presence, Shape::Threshold, Shape::Distinct] {
        for _ in 0..6 {
            // Only what stands under OR isn't known to be monotone.
            let (rule, compiled) = rule_of(&mut luck, shape, |rule, _| !rule.sql.contains("OR EXISTS"));
            assert!(matches!(compiled.speaks, Speaks::AtOnce { .. }), "{shape:?} waits: {}", rule.sql);
            for _ in 0..3 {
                let events = history(&mut luck);
                let schedule = schedule(&mut luck, &events);
                // After every single step what stands is the batch result of the rows so far.
                let seen =
                    check(&[Versions::only(Arc::clone(&compiled))], &events, &schedule, Looks { every: 1, first: 0 })
                        .unwrap_or_else(|mismatch| panic!("{}\n{}\n{schedule:?}", rule.sql, mismatch.what));
                found += seen.found.len();
            }
        }
    }
    assert!(found >= 60, "only {found} histories of 108 have findings");
}

#[test]
fn waiting_rules_speak_at_the_first_watermark_that_makes_a_finding_final() {
    let mut luck = Luck::seed_from_u64(12);
    let mut exact = BTreeMap::<Shape, usize>::new();
    let mut wrong = Vec::new();
    for shape in [Shape::Absence, Shape::OuterJoin, Shape::UpperThreshold, Shape::Neighbours, Shape::Frame] {
        for _ in 0..30 {
            let (rule, compiled) = rule_of(&mut luck, shape, bound_to_the_output);
            for _ in 0..2 {
                let events: Vec<Event> = history(&mut luck)
                    .into_iter()
                    .take(12)
                    .map(|event| Event { tenant: 0, ingest: None, ..event })
                    .collect();
                // What has a NULL where others are tied to it can't be falsified by them, and is final before the rule's bound.
                let tied = |finding: &Finding| {
                    shown_by(finding, &events).all(|event| event.principal.is_some() && event.session.is_some())
                };
                for finding in findings(&compiled, &events, &[]).into_iter().filter(tied).take(2) {
                    let Some(last) = last_falsifying(&mut luck, &compiled, &rule, &events, &finding) else { continue };
                    let said = [last, last + 1].map(|watermark| stands_at(&compiled, &events, watermark, &finding));
                    if said == [false, true] {
                        *exact.entry(shape).or_default() += 1;
                    } else {
                        let at = Timestamp::from_micros(START + last);
                        wrong.push(format!("{rule:?}\n{events:?}\n{finding:?}\nlast falsified at {at}: said then and right after: {said:?}\n{:?}", compiled.speaks));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} findings, of {exact:?}:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(exact.len() == 5 && exact.values().all(|findings| *findings >= 8), "too few were looked at: {exact:?}");
}

/// Rules that wait, are apart by tenant, and whose finality lies at a fixed distance from the output's own time.
fn bound_to_the_output(rule: &Rule, compiled: &CompiledRule) -> bool {
    let apart = compiled.scans.iter().all(|scan| scan.key.contains(&runtime::TENANT));
    let by_bucket = rule.shape != Shape::UpperThreshold || rule.sql.starts_with("SELECT date_bin");
    let by_event = !rule.key.contains("bucket") || rule.shape == Shape::UpperThreshold;
    // A frame that ends before its row is final before the row's own time, and is said at that time. A row's successor is
    // final once it has come; it is said at the end of the bound.
    let later = ["AND INTERVAL '1 minute' PRECEDING", "lead("].iter().any(|part| rule.sql.contains(part));
    apart && by_bucket && by_event && !later && matches!(compiled.speaks, Speaks::AtWatermark { .. })
}

/// The last time at which some further row makes the finding false; `None` where none of those tried does.
fn last_falsifying(
    luck: &mut Luck,
    compiled: &CompiledRule,
    rule: &Rule,
    events: &[Event],
    finding: &Finding,
) -> Option<i64> {
    let templates = templates(luck, events, finding);
    let mut added = Vec::new();
    for time in moments(&rule.sql, finding.event_time.micros() - START) {
        added.extend(templates.iter().map(|template| Event { time, ..template.clone() }));
    }
    let holds: BTreeSet<String> = findings(compiled, events, &added)
        .into_iter()
        .filter(|other| other.key == finding.key)
        .map(|other| other.tenant)
        .collect();
    let falsifying = added.iter().enumerate().filter(|(at, _)| !holds.contains(&format!("t{}", at + 1)));
    falsifying.map(|(_, event)| event.time).max()
}

/// Times at which a bound of the rule can lie, seen from an output: an interval or two away, with a microsecond on either
/// side.
fn moments(sql: &str, output: i64) -> BTreeSet<i64> {
    let mut spans = BTreeSet::from([0]);
    for part in sql.split("INTERVAL '").skip(1) {
        let mut words = part.split('\'').next().unwrap_or_default().split(' ');
        let number: i64 = words.next().and_then(|number| number.parse().ok()).expect("a number");
        let unit = match words.next().expect("a unit") {
            "seconds" => MINUTE / 60,
            "hour" => MINUTE * 60,
            _ => MINUTE,
        };
        spans.insert(number * unit);
    }
    let sums: BTreeSet<i64> = spans.iter().flat_map(|a| spans.iter().map(move |b| a + b)).collect();
    let moments = sums.iter().flat_map(|span| [output - span, output + span]);
    moments.flat_map(|moment| [moment - 1, moment, moment + 1]).collect()
}

/// The events that a finding names.
fn shown_by<'a>(finding: &Finding, events: &'a [Event]) -> impl Iterator<Item = &'a Event> {
    let named = |(at, event): &(usize, &Event)| finding.evidence.contains(&event.id(*at));
    events.iter().enumerate().filter(named).map(|(_, event)| event)
}

/// Rows like those of the history, mostly like those of the finding, and some that it doesn't have.
fn templates(luck: &mut Luck, events: &[Event], finding: &Finding) -> Vec<Event> {
    let own: Vec<&Event> = shown_by(finding, events).collect();
    let template = |luck: &mut Luck| {
        let like = match own.as_slice() {
            [] => &events[luck.random_range(0..events.len())],
            _ if luck.random_ratio(1, 3) => &events[luck.random_range(0..events.len())],
            own => own[luck.random_range(0..own.len())],
        };
        Event {
            access: luck.random_bool(0.5),
            kind: luck.random_range(0..3),
            name: if luck.random_bool(0.3) { like.name } else { Some(luck.random_range(0..3)) },
            number: any(luck, &[None, Some(-9), Some(3), Some(9)]),
            text: Some(luck.random_range(0..3)),
            outcome: Some(luck.random_range(0..2)),
            ip: Some(luck.random_range(0..3)),
            ..like.clone()
        }
    };
    (0..TEMPLATES).map(|_| template(luck)).collect()
}

/// The rule's findings over the history as tenant 0, and for each added event over a copy of it as a tenant of its own in
/// which the event has happened as well, several times over.
fn findings(compiled: &CompiledRule, events: &[Event], added: &[Event]) -> Vec<Finding> {
    let [runtime, identity] = Plane::ALL.map(|plane| {
        let mut builder = EventBatchBuilder::new(plane);
        for tenant in 0..=added.len() {
            for (at, event) in events.iter().enumerate().filter(|(_, event)| event.plane() == plane) {
                builder.append(&Event { tenant, ..event.clone() }.row(at), None);
            }
            if let Some(event) = tenant.checked_sub(1).map(|at| &added[at]).filter(|event| event.plane() == plane) {
                // Ids before and after those of the history: where times are equal the id decides.
                for id in ["!0", "!1", "~0", "~1"] {
                    let mut row = Event { tenant, ..event.clone() }.row(0);
                    row.text(runtime::EVENT_ID, id);
                    builder.append(&row, None);
                }
            }
        }
        builder.finish().rows
    });
    truth(compiled, runtime, identity).expect("the batch runs")
}

/// Whether the finding stands once all events are known and both planes' watermarks are exactly there.
fn stands_at(compiled: &Arc<CompiledRule>, events: &[Event], watermark: i64, finding: &Finding) -> bool {
    let time = PlaneTime { out_of_orderness: TRAILS, allowed_lateness: Duration::from_secs(15 * 60) };
    let settings = Settings { times: [time; 2], ..Settings::default() };
    let mut driver = Driver::new(settings, as_written(std::slice::from_ref(compiled))).with_partitions(1);
    let all = Plane::ALL.map(|plane| {
        let which = (0..events.len()).filter(|at| events[*at].plane() == plane);
        Input::Rows { origin: 0, partition: partition(plane, 0), batch: rows(plane, events, which) }
    });
    driver.step(all.into());
    let mark = Timestamp::from_micros(START + watermark).plus(TRAILS);
    driver.step(Plane::ALL.map(|plane| Input::CaughtUp(partition(plane, 0), mark)).into());
    for plane in Plane::ALL {
        assert_eq!(driver.core.watermarks().of(plane).micros(), START + watermark, "the mark is the watermark");
    }
    driver.standing().contains_key(finding.signal_id.as_str())
}
