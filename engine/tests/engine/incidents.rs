//! Incidents are a function of the set of signals: order of arrival, batches and restarts play no part.

mod acts;
mod lost_store;
mod reckoning;
mod related;
mod restarts;
mod shared;
mod storm;
mod worked_example;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use watershed_engine::core::{Input, Settings};
use watershed_engine::correlator;
use watershed_rules::CompiledRule;
use watershed_schemas::{IncidentRevision, IncidentStatus, NotifyReason, Plane, Timestamp, Verdict};

use crate::driver::{Arrival, Driver, arrivals, partition, runner, settings};
use crate::history::{Event, MINUTE, START, as_written, events, rule};

pub(super) fn rules() -> Vec<Arc<CompiledRule>> {
    let by_id = "key: [e_event_id]";
    let flagged = "SELECT event_time, tenant, principal, session_id, event_id AS e_event_id FROM runtime WHERE kind = 'guardrail'";
    let risk = "SELECT event_time, tenant, principal, event_id AS e_event_id FROM identity WHERE kind = 'risk_changed' AND principal IS NOT NULL";
    let nameless = "SELECT event_time, tenant, session_id, event_id AS e_event_id FROM runtime WHERE kind = 'tool_call' AND session_id IS NOT NULL";
    let alone = "SELECT i.event_time, i.tenant, i.principal, i.session_id, i.event_id AS e_event_id FROM identity i
         WHERE i.kind = 'authentication' AND NOT EXISTS (SELECT 1 FROM runtime r WHERE r.tenant = i.tenant AND r.principal = i.principal
           AND r.event_time >= i.event_time AND r.event_time < i.event_time + INTERVAL '5 minutes')";
    vec![
        rule("flagged", "model", by_id, flagged),
        rule("risk", "access", by_id, risk),
        rule("nameless", "model", by_id, nameless),
        rule("alone", "access", "key: [e_event_id]\nemit: early", alone),
    ]
}

pub(super) fn short() -> Settings {
    let incidents = correlator::Settings {
        gap: Duration::from_secs(4 * 60),
        max_duration: Duration::from_secs(6 * 60),
        ..correlator::Settings::default()
    };
    Settings { incidents, ..settings() }
}

pub(super) fn play(settings: Settings, rules: &[Arc<CompiledRule>], events: &[Event], arrival: &Arrival) -> Driver {
    let mut driver = Driver::new(settings, as_written(rules));
    driver.play(events, arrival);
    driver
}

impl Driver {
    pub(super) fn revisions(&self) -> impl Iterator<Item = &IncidentRevision> {
        self.outputs.iter().flat_map(|output| &output.incidents)
    }

    /// The last revision of each incident.
    pub(super) fn incidents(&self) -> BTreeMap<&str, &IncidentRevision> {
        self.revisions().map(|revision| (revision.incident_id.as_str(), revision)).collect()
    }

    /// What a replay writes of incidents with `--final`.
    pub(super) fn final_incidents(&self) -> Vec<String> {
        let stand = |incident: &&IncidentRevision| {
            !matches!(incident.status, IncidentStatus::Merged | IncidentStatus::Withdrawn)
        };
        let incidents = self.incidents();
        let shown = incidents.values().copied().filter(stand).map(|incident| {
            let mut value = serde_json::to_value(incident).expect("serialises");
            let object = value.as_object_mut().expect("an object");
            for history in ["incident_id", "revision", "reason", "merged_into", "continues", "changes", "related"] {
                object.shift_remove(history);
            }
            // Ids depend on what came first; what is behind them does not.
            let mut related: Vec<Value> = incident
                .related
                .iter()
                .map(|related| {
                    let other = incidents[related.incident_id.as_str()];
                    json!([related.shares, related.value, other.principal, other.signals])
                })
                .collect();
            related.sort_by_key(Value::to_string);
            object.insert("related".to_owned(), Value::from(related));
            value.to_string()
        });
        let mut shown: Vec<String> = shown.collect();
        shown.sort_unstable();
        shown
    }

    pub(super) fn told(&self) -> Vec<(Plane, NotifyReason)> {
        self.outputs.iter().flat_map(|output| &output.tellings).map(|telling| (telling.plane, telling.reason)).collect()
    }
}

#[test]
fn what_incidents_finally_are_does_not_depend_on_arrival() {
    let rules = rules();
    let seen = std::cell::RefCell::new(BTreeMap::<String, u32>::new());
    let result = runner(150).run(&(events(60, 40), arrivals()), |(events, arrival)| {
        let tidy = play(short(), &rules, &events, &arrival.tidy());
        let other = play(short(), &rules, &events, &arrival);
        prop_assert_eq!(other.refused(), 0);
        // A withdrawn signal may have merged two incidents, and they stay merged: then arrival shows.
        if !tidy.signals().chain(other.signals()).any(|signal| signal.withdrawn) {
            prop_assert_eq!(other.final_incidents(), tidy.final_incidents());
        }
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        for revision in other.revisions() {
            let before = numbers.insert(&revision.incident_id, revision.revision).unwrap_or(0);
            prop_assert_eq!(revision.revision, before + 1, "{:?}", revision);
            *seen.borrow_mut().entry(format!("{:?}", revision.status)).or_default() += 1;
            *seen.borrow_mut().entry(format!("{:?}", revision.verdict)).or_default() += 1;
            *seen.borrow_mut().entry("continued".to_owned()).or_default() += u32::from(revision.continues.is_some());
            *seen.borrow_mut().entry("related".to_owned()).or_default() += u32::from(!revision.related.is_empty());
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    for kind in
        ["Open", "Resolved", "Merged", "Withdrawn", "ModelAbuse", "AccessCompromise", "Both", "continued", "related"]
    {
        assert!(seen.get(kind).is_some_and(|times| *times >= 20), "hardly any {kind}: {seen:?}");
    }
}

pub(super) fn flag(minute: i64, principal: Option<usize>, session: Option<usize>) -> Event {
    Event { time: minute * MINUTE, kind: 1, principal, session, ..Event::default() }
}

pub(super) fn call(minute: i64, principal: Option<usize>, session: Option<usize>) -> Event {
    Event { kind: 0, ..flag(minute, principal, session) }
}

pub(super) fn prompt(minute: i64, principal: Option<usize>, session: Option<usize>) -> Event {
    Event { kind: 2, ..flag(minute, principal, session) }
}

pub(super) fn risk(minute: i64, principal: usize) -> Event {
    Event { access: true, kind: 2, time: minute * MINUTE, principal: Some(principal), ..Event::default() }
}

#[test]
fn a_link_learned_late_moves_signals_and_their_incident() {
    let rules = rules();
    // The call names no principal; the prompt that does comes later. The incident of p0 is there already.
    let history = [risk(0, 0), call(1, None, Some(0)), prompt(2, Some(0), Some(0))];
    let driver = play(short(), &rules, &history, &Arrival::in_order(1));
    let incidents = driver.incidents();
    let last: Vec<_> =
        incidents.values().map(|incident| (incident.status, incident.principal.as_deref(), incident.verdict)).collect();
    assert!(last.contains(&(IncidentStatus::Open, Some("p0"), Verdict::Both)), "{last:?}");
    assert_eq!(last.iter().filter(|(status, ..)| *status == IncidentStatus::Open).count(), 1, "{last:?}");
    let merged = incidents
        .values()
        .find(|incident| incident.status == IncidentStatus::Merged)
        .expect("the session's own became part of it");
    let older = incidents.values().find(|incident| incident.status == IncidentStatus::Open).expect("checked above");
    assert_eq!(merged.merged_into.as_ref(), Some(&older.incident_id));

    // Nobody else's incident: it goes on under its own id, now with a name.
    let driver = play(short(), &rules, &history[1..], &Arrival::in_order(1));
    let incidents = driver.incidents();
    assert_eq!(incidents.len(), 1);
    let only = incidents.values().next().expect("one");
    assert_eq!(
        (only.principal.as_deref(), only.revision, only.reason.as_str()),
        (Some("p0"), 2, "its principal became known")
    );
    // A name is no page.
    assert_eq!(driver.told(), [(Plane::Model, NotifyReason::Opened)]);
}

#[test]
fn a_late_bridge_merges_and_the_older_id_survives() {
    let rules = rules();
    let mut driver = Driver::new(short(), as_written(&rules));
    let history = [flag(10, Some(0), None), flag(16, Some(0), None), flag(13, Some(0), None)];
    let late = Arrival::in_order(1);
    driver.assign();
    for at in 0..history.len() {
        driver.step_rows(&history, &[at]);
    }
    let first = driver.revisions().next().expect("opened").incident_id.clone();
    let last = driver.incidents();
    assert_eq!(last[first.as_str()].status, IncidentStatus::Open);
    assert_eq!(last[first.as_str()].signals.len(), 3);
    let other = last.values().find(|incident| incident.incident_id != first).expect("there were two");
    assert_eq!((other.status, other.merged_into.as_deref()), (IncidentStatus::Merged, Some(first.as_str())));
    assert_eq!(driver.final_incidents().len(), 1);
    // The order of times tells of one incident only.
    let mut tidy = history.to_vec();
    tidy.sort_by_key(|event| event.time);
    let tidy = play(short(), &rules, &tidy, &late);
    assert_eq!(tidy.incidents().len(), 1);
}

#[test]
fn withdrawn_evidence_withdraws_the_incident_and_tells_who_was_told() {
    let rules = rules();
    let sign_in = Event { access: true, kind: 1, principal: Some(0), ..Event::default() };
    let driver = play(short(), &rules, &[sign_in, prompt(1, Some(0), None)], &Arrival::in_order(1));
    assert_eq!(driver.told(), [(Plane::Access, NotifyReason::Opened), (Plane::Access, NotifyReason::Withdrawn)]);
    let last = driver.incidents();
    assert_eq!(last.values().map(|incident| incident.status).collect::<Vec<_>>(), [IncidentStatus::Withdrawn]);
    assert!(driver.final_incidents().is_empty());
}

#[test]
fn an_episode_that_lasts_too_long_is_continued() {
    let rules = rules();
    let history: Vec<Event> = (0..10).map(|step| flag(step * 3, Some(0), None)).collect();
    for restart in [false, true] {
        let arrival = if restart { Arrival::in_order(1).restarting(6) } else { Arrival::in_order(1) };
        let driver = play(short(), &rules, &history, &arrival);
        let mut incidents: Vec<_> = driver.incidents().into_values().collect();
        incidents.sort_by_key(|incident| incident.first_event_time);
        let counts: Vec<usize> = incidents.iter().map(|incident| incident.signals.len()).collect();
        assert_eq!(counts, [3, 3, 3, 1]);
        assert_eq!(incidents[1].continues.as_ref(), Some(&incidents[0].incident_id));
        assert_eq!(incidents[0].continues, None);
    }
}

#[test]
fn a_slow_storm_is_one_incident_and_not_many() {
    // One signal every three minutes for two hours: revisions get rare, but the incident is not over between them.
    let rules = rules();
    let settings = Settings {
        incidents: correlator::Settings { max_duration: Duration::from_secs(12 * 3_600), ..short().incidents },
        ..short()
    };
    let history: Vec<Event> = (0..40)
        .flat_map(|step| [flag(step * 3, Some(0), None), Event { kind: 0, principal: None, ..risk(step * 3, 0) }])
        .collect();
    let driver = play(settings, &rules, &history, &Arrival::in_order(1));
    assert_eq!(driver.told(), [(Plane::Model, NotifyReason::Opened)]);
    let last = driver.incidents();
    assert_eq!(
        last.values().map(|incident| (incident.status, incident.signals.len())).collect::<Vec<_>>(),
        [(IncidentStatus::Open, 40)]
    );
}

#[test]
fn what_is_quiet_opens_again_for_what_is_newer_and_not_for_what_is_only_late() {
    let rules = rules();
    // Far apart enough for the first to be quiet; the late ones are within its gap and within lateness.
    let own = |minute: i64| flag(minute, Some(0), None);
    let history = [own(0), own(2), prompt(8, Some(1), None), own(1), own(4)];
    let mut driver = Driver::new(short(), as_written(&rules));
    driver.assign();
    let mut resolved = |at: usize| {
        driver.step_rows(&history, &[at]);
        driver
            .step(vec![Input::CaughtUp(partition(Plane::Access, 0), Timestamp::from_micros(START + history[at].time))]);
        let last = driver.incidents().into_values().next().map(|incident| (incident.status, incident.signals.len()));
        last.expect("opened")
    };
    assert_eq!(resolved(0), (IncidentStatus::Open, 1));
    assert_eq!(resolved(1), (IncidentStatus::Open, 2));
    assert_eq!(resolved(2), (IncidentStatus::Resolved, 2));
    // It was there all the time: it is counted, and nobody is called.
    assert_eq!(resolved(3), (IncidentStatus::Resolved, 3));
    assert_eq!(resolved(4), (IncidentStatus::Open, 4));
    let last = driver.incidents().into_values().next().expect("opened");
    assert_eq!(last.reason, "reopened by new evidence");
    let reasons: Vec<NotifyReason> = driver.told().into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons, [NotifyReason::Opened, NotifyReason::Resolved, NotifyReason::Opened]);
}
