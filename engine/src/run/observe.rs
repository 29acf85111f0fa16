//! What a turn did, as metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::Utc;
use watershed_schemas::{Plane, Timestamp};

use crate::console::{Delivery as Attempt, Health, Metrics};
use crate::deliver::ReceiverSnapshot;
use crate::evaluator::{RuleChange, RuleStatus, Tally};
use crate::pipeline::{Pipeline, Turn};
use crate::store::StateStore;

use super::stopwatch::Stopwatch;

/// How often gauges that cost something are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Writes metrics of turns; remembers what it has counted already.
pub(super) struct Observer<'a> {
    metrics: &'a Metrics,
    looked: Option<Instant>,
    /// What was counted already of each rule.
    rules: BTreeMap<String, Tally>,
    receivers: Vec<ReceiverSnapshot>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Observer { metrics, looked: None, rules: BTreeMap::new(), receivers: Vec::new() }
    }

    pub(super) fn turn(
        &mut self,
        turn: &Turn,
        pipeline: &Pipeline,
        store: &dyn StateStore,
        stopwatch: &Stopwatch,
        health: &Health,
    ) {
        let metrics = self.metrics;
        for plane in Plane::ALL {
            let at = plane.index();
            let counts = &turn.counts;
            let add = |record: &dyn Fn(u64), count: u64| {
                if count > 0 {
                    record(count);
                }
            };
            add(&|count| metrics.events(plane, plane.table(), count), counts.events[at]);
            add(&|count| metrics.matched(plane, count), counts.matched[at]);
            add(&|count| metrics.rejected(plane, plane.table(), count), counts.rejected[at]);
            add(&|count| metrics.late(plane, count), counts.accepted_late[at]);
            add(&|count| metrics.refused(plane, count), counts.late[at]);
            add(&|count| metrics.quarantined(plane, count), counts.quarantined[at]);
        }
        if turn.counts.duplicates > 0 {
            metrics.duplicates(Plane::Model, turn.counts.duplicates);
        }
        for signal in &turn.signals {
            if signal.withdrawn {
                metrics.signals_withdrawn(&signal.rule, 1);
            } else if signal.revision == 1 {
                metrics.signals(&signal.rule, 1);
            }
        }
        for news in &turn.rules {
            if matches!(news.change, RuleChange::Backfilled { failed: Some(_) }) {
                metrics.backfill_failed(&news.rule);
            }
        }
        metrics.incident_revisions(turn.incidents.len() as u64);
        for incident in turn.incidents.iter().filter(|incident| incident.revision == 1) {
            metrics.incidents(incident.verdict, 1);
        }
        metrics.routing.count(&turn.counts);
        metrics.step_took(turn.counts.step);
        if let Some(took) = turn.counts.commit {
            metrics.commit_took(took);
        }
        metrics.intake_paused(turn.paused);
        let now = Timestamp::from_micros(Utc::now().timestamp_micros());
        for notification in &turn.notifications {
            metrics.event_to_notification(&notification.receiver, between(notification.last_event_time, now));
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            self.gauges(pipeline, store, now);
            self.rules(pipeline, stopwatch, health);
        }
    }

    /// How each rule stands, as metrics and in words.
    fn rules(&mut self, pipeline: &Pipeline, stopwatch: &Stopwatch, health: &Health) {
        let metrics = self.metrics;
        let core = pipeline.core();
        if let Some(router) = pipeline.router() {
            metrics.routing.stand(router);
        }
        metrics.state_bytes(core.state_bytes() as u64);
        metrics.identities.stand(&core.state_counts());
        let counts = core.cold_counts();
        metrics.templates.stand(crate::messages::template_failures());
        metrics.cold.stand(core.hot_and_cold_bytes(), counts);
        health.disk(counts);
        let mut before = std::mem::take(&mut self.rules);
        let statuses: Vec<RuleStatus> = core.statuses().collect();
        for status in &statuses {
            let rule = &status.rule;
            metrics.rule_stands(status);
            let counted = before.remove(rule).unwrap_or_default();
            // A version that takes the place of another counts from nothing.
            let now = &status.tally;
            let more = |now: u64, counted: u64| now.checked_sub(counted).unwrap_or(now);
            metrics.rule_runs(rule, more(now.evaluations, counted.evaluations));
            metrics.rule_rows_read(rule, more(now.rows_read, counted.rows_read));
            metrics.rule_degraded(rule, more(now.capped, counted.capped));
            metrics.rule_unsaid(rule, "degraded", more(now.suppressed, counted.suppressed));
            metrics.rule_unsaid(rule, "warming", more(now.held_back, counted.held_back));
            self.rules.insert(rule.clone(), now.clone());
        }
        for rule in before.keys() {
            metrics.rule_gone(rule);
        }
        for (rule, took) in stopwatch.take() {
            metrics.rule_took(&rule, took);
        }
        health.rules(statuses);
    }

    fn gauges(&mut self, pipeline: &Pipeline, store: &dyn StateStore, now: Timestamp) {
        let metrics = self.metrics;
        let core = pipeline.core();
        for plane in Plane::ALL {
            let watermark = core.watermarks().of(plane);
            if watermark != Timestamp::MIN && watermark != Timestamp::MAX {
                metrics.watermark_lag(plane, between(watermark, now));
            }
        }
        if let Some(lag) = pipeline.intake().lag() {
            metrics.consumer_lag(lag);
        }
        metrics.open_incidents(core.open_incidents() as u64);
        metrics.cases.stand(pipeline.cases(), core.values_too_common());
        metrics.principals.stand(core.principals().counts());
        for (position, (_, used)) in core.exceptions().used().enumerate() {
            metrics.excepted(position, used);
        }
        metrics.store_bytes(store.size_on_disk());
        if let Some(delivery) = pipeline.delivery() {
            metrics.outbox_pending(delivery.pending() as u64);
            let receivers = delivery.snapshot();
            for receiver in &receivers {
                let before = self.receivers.iter().find(|before| before.name == receiver.name);
                let before = before.cloned().unwrap_or_default();
                for (how, count) in [
                    (Attempt::Sent, receiver.sent - before.sent),
                    (Attempt::Retried, receiver.retried - before.retried),
                    (Attempt::Refused, receiver.refused - before.refused),
                    (Attempt::Rerouted, receiver.rerouted - before.rerouted),
                    (Attempt::Coalesced, receiver.coalesced - before.coalesced),
                ] {
                    for _ in 0..count {
                        metrics.delivery(&receiver.name, how);
                    }
                }
            }
            self.receivers = receivers;
        }
    }
}

fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(later.micros().saturating_sub(earlier.micros())).unwrap_or(0))
}
