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
    state_rows: Gauges<1>,
    incidents: Counters<1>,
    incident_revisions: Counter,
    open_incidents: Gauge,
    unrouted: Counter,
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
            state_rows: Family::default(),
            incidents: Family::default(),
            incident_revisions: Counter::default(),
            open_incidents: Gauge::default(),
            unrouted: Counter::default(),
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
            "1 for a rule that failed and no longer runs",
            self.rule_quarantined.clone(),
        );
        registry.register("rule_degraded", "Times that a limit cut what a rule may see", self.rule_degraded.clone());
        registry.register("state_rows", "Rows that a rule remembers", self.state_rows.clone());
        registry.register("incidents", "Incidents opened, by the verdict they opened with", self.incidents.clone());
        registry.register("incident_revisions", "Revisions of incidents", self.incident_revisions.clone());
        registry.register(
            "open_incidents",
            "Incidents that new evidence can still change",
            self.open_incidents.clone(),
        );
        registry.register(
            "unrouted",
            "Incidents that no route took and the fallback receiver got",
            self.unrouted.clone(),
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

    /// A rule's plan was executed.
    pub fn rule_runs(&self, rule: &str, count: u64) {
        add(&self.rule_runs, [("rule", rule)], count);
    }

    /// A rule failed and no longer runs, or runs again.
    pub fn rule_quarantined(&self, rule: &str, quarantined: bool) {
        self.rule_quarantined.get_or_create(&labels([("rule", rule)])).set(i64::from(quarantined));
    }

    /// A limit cut what a rule may see.
    pub fn rule_degraded(&self, rule: &str, count: u64) {
        add(&self.rule_degraded, [("rule", rule)], count);
    }

    /// Rows that a rule remembers.
    pub fn state_rows(&self, rule: &str, rows: u64) {
        self.state_rows.get_or_create(&labels([("rule", rule)])).set(gauge(rows));
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

    /// An incident that no route took went to the fallback receiver.
    pub fn unrouted(&self, count: u64) {
        self.unrouted.inc_by(count);
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
    fn nothing_counted_makes_no_label() {
        let metrics = Metrics::new();
        metrics.duplicates(Plane::Model, 0);
        assert!(!metrics.encode().contains("watershed_duplicates_total{"));
    }
}
