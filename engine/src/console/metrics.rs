//! The counters that `/metrics` shows.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use watershed_schemas::{Plane, Verdict};

use super::case_metrics::CaseMetrics;
use super::cold_metrics::ColdMetrics;
use super::operator_metrics::OperatorMetrics;
use super::principal_metrics::PrincipalMetrics;
use super::routing_metrics::RoutingMetrics;
use super::state_metrics::StateMetrics;
use super::template_metrics::TemplateMetrics;
use crate::evaluator::RuleStatus;

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
type Seconds<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;

/// How one delivery attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver accepted it.
    Sent,
    /// It will be tried again.
    Retried,
    /// The receiver refused it for good, or every attempt failed.
    Refused,
    /// It goes to the fallback receiver instead.
    Rerouted,
    /// A newer message about the same incident took its place before it was sent.
    Coalesced,
}

impl Delivery {
    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Delivery::Sent => "sent",
            Delivery::Retried => "retried",
            Delivery::Refused => "refused",
            Delivery::Rerouted => "rerouted",
            Delivery::Coalesced => "coalesced",
        }
    }
}

/// Every metric of the process. Methods take what the caller has at hand, cost less than a microsecond and never block
/// on I/O; counters only grow, gauges are set to the present value.
pub struct Metrics {
    registry: Registry,
    records: Counters<2>,
    events: Counters<2>,
    rejected: Counters<2>,
    late: Counters<1>,
    refused: Counters<1>,
    quarantined: Counters<1>,
    duplicates: Counters<1>,
    matched: Counters<1>,
    watermark_lag: Seconds<1>,
    consumer_lag: Gauge,
    intake_paused: Gauge,
    signals: Counters<1>,
    signals_withdrawn: Counters<1>,
    rule_runs: Counters<1>,
    rule_quarantined: Gauges<1>,
    rule_degraded: Counters<1>,
    rule_rows_read: Counters<1>,
    rule_unsaid: Counters<2>,
    rule_seconds: Family<Labels<1>, Counter<f64, AtomicU64>>,
    rule_warming_until: Gauges<1>,
    rule_backfilled_percent: Gauges<1>,
    rule_backfill_failed: Counters<1>,
    rule_degraded_keys: Gauges<1>,
    rules_loaded: Counters<1>,
    excepted: Gauges<1>,
    state_rows: Gauges<1>,
    rule_state_bytes: Gauges<1>,
    state_bytes: Gauge,
    /// Where remembered rows are.
    pub cold: ColdMetrics,
    /// What is kept of incidents.
    pub cases: CaseMetrics,
    /// What became of templates.
    pub templates: TemplateMetrics,
    /// What is wrong with the engine.
    pub operator: OperatorMetrics,
    /// What became of what was to be told.
    pub routing: RoutingMetrics,
    /// What is known of identities.
    pub identities: StateMetrics,
    /// What is known of principals.
    pub principals: PrincipalMetrics,
    incidents: Counters<1>,
    incident_revisions: Counter,
    open_incidents: Gauge,
    notifications: Counters<2>,
    outbox_pending: Gauge,
    store_bytes: Gauge,
    store_rebuilt: Counter,
    commit_seconds: Histogram,
    step_seconds: Histogram,
    notify_seconds: Family<Labels<1>, Histogram, SecondsHistogram>,
}

/// Bounds from half a millisecond to a minute.
#[derive(Clone)]
struct SecondsHistogram;

impl MetricConstructor<Histogram> for SecondsHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new([
            0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
        ])
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// Metrics of a process that has done nothing yet.
    pub fn new() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("watershed"),
            records: Family::default(),
            events: Family::default(),
            rejected: Family::default(),
            late: Family::default(),
            refused: Family::default(),
            quarantined: Family::default(),
            duplicates: Family::default(),
            matched: Family::default(),
            watermark_lag: Family::default(),
            consumer_lag: Gauge::default(),
            intake_paused: Gauge::default(),
            signals: Family::default(),
            signals_withdrawn: Family::default(),
            rule_runs: Family::default(),
            rule_quarantined: Family::default(),
            rule_degraded: Family::default(),
            rule_rows_read: Family::default(),
            rule_unsaid: Family::default(),
            rule_seconds: Family::default(),
            rule_warming_until: Family::default(),
            rule_backfilled_percent: Family::default(),
            rule_backfill_failed: Family::default(),
            rule_degraded_keys: Family::default(),
            rules_loaded: Family::default(),
            excepted: Family::default(),
            state_rows: Family::default(),
            rule_state_bytes: Family::default(),
            state_bytes: Gauge::default(),
            cold: ColdMetrics::default(),
            cases: CaseMetrics::default(),
            templates: TemplateMetrics::default(),
            operator: OperatorMetrics::default(),
            routing: RoutingMetrics::default(),
            identities: StateMetrics::default(),
            principals: PrincipalMetrics::default(),
            incidents: Family::default(),
            incident_revisions: Counter::default(),
            open_incidents: Gauge::default(),
            notifications: Family::default(),
            outbox_pending: Gauge::default(),
            store_bytes: Gauge::default(),
            store_rebuilt: Counter::default(),
            commit_seconds: SecondsHistogram.new_metric(),
            step_seconds: SecondsHistogram.new_metric(),
            notify_seconds: Family::new_with_constructor(SecondsHistogram),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the running program", version);
        registry.register("records", "Raw records polled", self.records.clone());
        registry.register("events", "Rows decoded", self.events.clone());
        registry.register("rejected", "Records, or parts of one, that no row could be made of", self.rejected.clone());
        registry.register("late", "Rows behind the watermark that were accepted", self.late.clone());
        registry.register("refused", "Rows later than the allowed lateness", self.refused.clone());
        registry.register("quarantined", "Rows from too far in the future", self.quarantined.clone());
        registry.register("duplicates", "Rows whose event id was seen before", self.duplicates.clone());
        registry.register("matched", "Rows that some rule can use", self.matched.clone());
        registry.register(
            "watermark_lag_seconds",
            "How far the plane's watermark trails the clock",
            self.watermark_lag.clone(),
        );
        registry.register(
            "consumer_lag",
            "Records that the source holds and were not polled yet",
            self.consumer_lag.clone(),
        );
        registry.register(
            "intake_paused",
            "1 while a full outbox or a slow step holds the source",
            self.intake_paused.clone(),
        );
        registry.register("signals", "First statements of a signal", self.signals.clone());
        registry.register("signals_withdrawn", "Signals that later evidence took back", self.signals_withdrawn.clone());
        registry.register("rule_runs", "Executions of a rule's plan", self.rule_runs.clone());
        registry.register(
            "rule_quarantined",
            "1 for a rule that failed or exceeded its budget, and no longer runs",
            self.rule_quarantined.clone(),
        );
        registry.register("rule_rows_read", "Rows that the plans of a rule have read", self.rule_rows_read.clone());
        registry.register("rule_seconds", "Time that a rule was evaluated for", self.rule_seconds.clone());
        registry.register(
            "rule_degraded",
            "Rows that a rule did not keep because a limit was reached",
            self.rule_degraded.clone(),
        );
        registry.register(
            "rule_degraded_keys",
            "Keys of a rule for which rows are missing now",
            self.rule_degraded_keys.clone(),
        );
        registry.register(
            "rule_unsaid",
            "Findings that a rule did not say because of what it lacked",
            self.rule_unsaid.clone(),
        );
        registry.register(
            "rule_warming_until_seconds",
            "Event time from which on a rule says everything; 0 where it does",
            self.rule_warming_until.clone(),
        );
        registry.register(
            "rule_backfilled_percent",
            "How much of the log was read again for a rule; 100 where nothing is to be read",
            self.rule_backfilled_percent.clone(),
        );
        registry.register(
            "rule_backfill_failed",
            "Times that the log could not be read again for a rule, which warms instead",
            self.rule_backfill_failed.clone(),
        );
        registry.register("rules_loaded", "Times that rules were read again while running", self.rules_loaded.clone());
        registry.register(
            "rule_exception_signals",
            "Findings since the start that an exception kept from making an incident, by its position in the configuration",
            self.excepted.clone(),
        );
        registry.register("state_rows", "Rows that a rule remembers", self.state_rows.clone());
        registry.register(
            "rule_state_bytes",
            "Bytes that a rule holds; what it shares is counted in each",
            self.rule_state_bytes.clone(),
        );
        self.cold.register(registry);
        self.cases.register(registry);
        self.templates.register(registry);
        self.operator.register(registry);
        self.routing.register(registry);
        self.identities.register(registry);
        self.principals.register(registry);
        registry.register("state_bytes", "Bytes that all rules hold, each counted once", self.state_bytes.clone());
        registry.register("incidents", "Incidents opened, by the verdict they opened with", self.incidents.clone());
        registry.register("incident_revisions", "Revisions of incidents", self.incident_revisions.clone());
        registry.register(
            "open_incidents",
            "Incidents that new evidence can still change",
            self.open_incidents.clone(),
        );
        registry.register(
            "notifications",
            "Delivery attempts by receiver and how they ended",
            self.notifications.clone(),
        );
        registry.register("outbox_pending", "Notifications decided and not yet delivered", self.outbox_pending.clone());
        registry.register("store_bytes", "Size of the store on disk", self.store_bytes.clone());
        registry.register(
            "store_rebuilt",
            "Times that the store was unusable and set aside",
            self.store_rebuilt.clone(),
        );
        registry.register("commit_seconds", "Duration of one durable commit", self.commit_seconds.clone());
        registry.register(
            "step_seconds",
            "Duration of match, evaluate and correlate for one batch",
            self.step_seconds.clone(),
        );
        registry.register(
            "event_to_notification_seconds",
            "From the newest event of an incident to the accepted notification",
            self.notify_seconds.clone(),
        );
    }

    /// Raw records polled from a topic.
    pub fn records(&self, plane: Plane, topic: &str, count: u64) {
        add(&self.records, [("plane", plane.name()), ("topic", topic)], count);
    }

    /// Rows decoded from a topic.
    pub fn events(&self, plane: Plane, topic: &str, count: u64) {
        add(&self.events, [("plane", plane.name()), ("topic", topic)], count);
    }

    /// Rejects of a topic.
    pub fn rejected(&self, plane: Plane, topic: &str, count: u64) {
        add(&self.rejected, [("plane", plane.name()), ("topic", topic)], count);
    }

    /// Rows behind the watermark that were accepted.
    pub fn late(&self, plane: Plane, count: u64) {
        add(&self.late, [("plane", plane.name())], count);
    }

    /// Rows later than the allowed lateness.
    pub fn refused(&self, plane: Plane, count: u64) {
        add(&self.refused, [("plane", plane.name())], count);
    }

    /// Rows from too far in the future.
    pub fn quarantined(&self, plane: Plane, count: u64) {
        add(&self.quarantined, [("plane", plane.name())], count);
    }

    /// Rows whose event id was seen before.
    pub fn duplicates(&self, plane: Plane, count: u64) {
        add(&self.duplicates, [("plane", plane.name())], count);
    }

    /// Rows that some rule can use.
    pub fn matched(&self, plane: Plane, count: u64) {
        add(&self.matched, [("plane", plane.name())], count);
    }

    /// How far the plane's watermark trails the clock.
    pub fn watermark_lag(&self, plane: Plane, lag: Duration) {
        self.watermark_lag.get_or_create(&labels([("plane", plane.name())])).set(lag.as_secs_f64());
    }

    /// Records that the source holds and were not polled yet.
    pub fn consumer_lag(&self, records: u64) {
        self.consumer_lag.set(gauge(records));
    }

    /// Whether the source is held back.
    pub fn intake_paused(&self, paused: bool) {
        self.intake_paused.set(i64::from(paused));
    }

    /// A rule stated a finding for the first time.
    pub fn signals(&self, rule: &str, count: u64) {
        add(&self.signals, [("rule", rule)], count);
    }

    /// Later evidence took findings of a rule back.
    pub fn signals_withdrawn(&self, rule: &str, count: u64) {
        add(&self.signals_withdrawn, [("rule", rule)], count);
    }

    /// Findings that the exception at this position has kept from making an incident.
    pub fn excepted(&self, position: usize, count: u64) {
        self.excepted.get_or_create(&labels([("exception", position.to_string().as_str())])).set(gauge(count));
    }

    /// A rule's plan was executed.
    pub fn rule_runs(&self, rule: &str, count: u64) {
        add(&self.rule_runs, [("rule", rule)], count);
    }

    /// How a rule stands now.
    pub fn rule_stands(&self, status: &RuleStatus) {
        let rule = labels([("rule", status.rule.as_str())]);
        self.rule_quarantined.get_or_create(&rule).set(i64::from(status.stopped.is_some()));
        let backfilling = status.backfilling.map_or(100, |backfilling| backfilling.percent);
        self.rule_backfilled_percent.get_or_create(&rule).set(i64::from(backfilling));
        let warming = status.warming_until.map_or(0, |until| until.micros() / 1_000_000);
        self.rule_warming_until.get_or_create(&rule).set(warming);
        self.rule_degraded_keys.get_or_create(&rule).set(gauge(status.degraded_keys as u64));
        self.state_rows.get_or_create(&rule).set(gauge(status.rows as u64));
        self.rule_state_bytes.get_or_create(&rule).set(gauge(status.bytes as u64));
    }

    /// The log could not be read again for a rule.
    pub fn backfill_failed(&self, rule: &str) {
        self.rule_backfill_failed.get_or_create(&labels([("rule", rule)])).inc();
    }

    /// A rule was removed: its gauges say nothing any more.
    pub fn rule_gone(&self, rule: &str) {
        let rule = labels([("rule", rule)]);
        for gauges in [
            &self.rule_quarantined,
            &self.rule_warming_until,
            &self.rule_backfilled_percent,
            &self.rule_degraded_keys,
            &self.state_rows,
            &self.rule_state_bytes,
        ] {
            gauges.remove(&rule);
        }
    }

    /// Rows that the plans of a rule have read.
    pub fn rule_rows_read(&self, rule: &str, rows: u64) {
        add(&self.rule_rows_read, [("rule", rule)], rows);
    }

    /// Findings of a rule that were not said because of what it lacked: it was `warming`, or `degraded`.
    pub fn rule_unsaid(&self, rule: &str, why: &str, count: u64) {
        add(&self.rule_unsaid, [("rule", rule), ("reason", why)], count);
    }

    /// A rule was evaluated for this long.
    pub fn rule_took(&self, rule: &str, took: Duration) {
        self.rule_seconds.get_or_create(&labels([("rule", rule)])).inc_by(took.as_secs_f64());
    }

    /// Rules and reference tables were read again; whether all of them could be taken up.
    pub fn rules_loaded(&self, whole: bool) {
        add(&self.rules_loaded, [("result", if whole { "whole" } else { "with_problems" })], 1);
    }

    /// A limit cut what a rule may see.
    pub fn rule_degraded(&self, rule: &str, count: u64) {
        add(&self.rule_degraded, [("rule", rule)], count);
    }

    /// Bytes that all rules hold, what they share counted once.
    pub fn state_bytes(&self, bytes: u64) {
        self.state_bytes.set(gauge(bytes));
    }

    /// Incidents were opened with this verdict.
    pub fn incidents(&self, verdict: Verdict, count: u64) {
        add(&self.incidents, [("verdict", verdict.name())], count);
    }

    /// Revisions of incidents were written.
    pub fn incident_revisions(&self, count: u64) {
        self.incident_revisions.inc_by(count);
    }

    /// Incidents that new evidence can still change.
    pub fn open_incidents(&self, count: u64) {
        self.open_incidents.set(gauge(count));
    }

    /// A delivery attempt ended.
    pub fn delivery(&self, receiver: &str, how: Delivery) {
        add(&self.notifications, [("receiver", receiver), ("result", how.name())], 1);
    }

    /// Notifications decided and not yet delivered.
    pub fn outbox_pending(&self, rows: u64) {
        self.outbox_pending.set(gauge(rows));
    }

    /// Size of the store on disk.
    pub fn store_bytes(&self, bytes: u64) {
        self.store_bytes.set(gauge(bytes));
    }

    /// The store was unusable and set aside.
    pub fn store_rebuilt(&self) {
        self.store_rebuilt.inc();
    }

    /// A commit became durable.
    pub fn commit_took(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// One batch went through match, evaluate and correlate.
    pub fn step_took(&self, took: Duration) {
        self.step_seconds.observe(took.as_secs_f64());
    }

    /// A receiver accepted a notification this long after the incident's newest event.
    pub fn event_to_notification(&self, receiver: &str, took: Duration) {
        self.notify_seconds.get_or_create(&labels([("receiver", receiver)])).observe(took.as_secs_f64());
    }

    /// Everything as OpenMetrics text, which Prometheus scrapes.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels<N> {
    pairs.map(|(name, value)| (name, value.to_owned()))
}

fn add<const N: usize>(family: &Counters<N>, pairs: [(&'static str, &str); N], count: u64) {
    if count > 0 {
        family.get_or_create(&labels(pairs)).inc_by(count);
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluator::{Backfilling, Tally};
    use watershed_schemas::Timestamp;

    #[test]
    fn every_metric_is_scraped_under_its_name() {
        let metrics = Metrics::new();
        metrics.records(Plane::Model, "runtime", 9);
        metrics.events(Plane::Model, "runtime", 7);
        metrics.rejected(Plane::Access, "identity\n\"x", 2);
        metrics.watermark_lag(Plane::Access, Duration::from_millis(1_500));
        metrics.signals("a-rule", 3);
        metrics.incidents(Verdict::Both, 1);
        metrics.delivery("iam", Delivery::Retried);
        metrics.outbox_pending(4);
        metrics.commit_took(Duration::from_millis(3));
        metrics.event_to_notification("iam", Duration::from_millis(30));
        let text = metrics.encode();
        for line in [
            "watershed_records_total{plane=\"model\",topic=\"runtime\"} 9",
            "watershed_events_total{plane=\"model\",topic=\"runtime\"} 7",
            "watershed_rejected_total{plane=\"access\",topic=\"identity\\n\\\"x\"} 2",
            "watershed_watermark_lag_seconds{plane=\"access\"} 1.5",
            "watershed_signals_total{rule=\"a-rule\"} 3",
            "watershed_incidents_total{verdict=\"both\"} 1",
            "watershed_notifications_total{receiver=\"iam\",result=\"retried\"} 1",
            "watershed_outbox_pending 4",
            "watershed_commit_seconds_count 1",
            "watershed_event_to_notification_seconds_bucket{le=\"0.05\",receiver=\"iam\"} 1",
        ] {
            assert!(text.lines().any(|have| have == line), "no line `{line}` in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_rule_that_is_gone_leaves_no_gauge_behind() {
        let metrics = Metrics::new();
        let status = RuleStatus {
            rule: "a-rule".to_owned(),
            version: "v".to_owned(),
            stopped: Some("it failed".to_owned()),
            warming_until: Some(Timestamp::from_secs(7)),
            backfilling: Some(Backfilling { percent: 40, rows: 9 }),
            degraded_keys: 2,
            keys: 3,
            rows: 4,
            bytes: 5,
            cold_bytes: 1,
            tally: Tally::default(),
        };
        metrics.rule_stands(&status);
        metrics.rule_unsaid("a-rule", "warming", 6);
        let text = metrics.encode();
        for line in [
            "watershed_rule_quarantined{rule=\"a-rule\"} 1",
            "watershed_rule_warming_until_seconds{rule=\"a-rule\"} 7",
            "watershed_rule_degraded_keys{rule=\"a-rule\"} 2",
            "watershed_rule_backfilled_percent{rule=\"a-rule\"} 40",
            "watershed_state_rows{rule=\"a-rule\"} 4",
            "watershed_rule_state_bytes{rule=\"a-rule\"} 5",
            "watershed_rule_unsaid_total{rule=\"a-rule\",reason=\"warming\"} 6",
        ] {
            assert!(text.lines().any(|have| have == line), "no line `{line}` in\n{text}");
        }
        metrics.rule_gone("a-rule");
        let gauges = metrics.encode();
        assert!(
            !gauges.contains("watershed_state_rows{") && !gauges.contains("watershed_rule_quarantined{"),
            "{gauges}"
        );
    }

    #[test]
    fn nothing_counted_makes_no_label() {
        let metrics = Metrics::new();
        metrics.duplicates(Plane::Model, 0);
        assert!(!metrics.encode().contains("watershed_duplicates_total{"));
    }
}
