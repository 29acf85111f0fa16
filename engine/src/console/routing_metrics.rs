//! What became of what was to be told, as metrics.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::pipeline::Counts;
use crate::router::Router;

/// What was held back, and said more than once.
#[derive(Default)]
pub struct RoutingMetrics {
    unrouted: Counter,
    held_back: Family<[(&'static str, &'static str); 1], Counter>,
    repeated: Counter,
    escalated: Counter,
    pages: Gauge,
    waiting: Gauge,
}

impl RoutingMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "unrouted",
            "Incidents that no route took and the fallback receiver got",
            self.unrouted.clone(),
        );
        registry.register(
            "held_back",
            "Halves of incidents that nobody was called about at first, by what held them back",
            self.held_back.clone(),
        );
        registry.register("repeated", "Messages that said something again", self.repeated.clone());
        registry.register(
            "escalated",
            "Receivers who were told because nobody had acted in time",
            self.escalated.clone(),
        );
        registry.register("pages", "What receivers were told of, as far as it is remembered", self.pages.clone());
        registry.register("pages_held_back", "Of these, how many are not told all of it now", self.waiting.clone());
    }

    /// What a turn did.
    pub fn count(&self, counts: &Counts) {
        self.unrouted.inc_by(counts.unrouted);
        for (by, count) in ["silence", "mute", "inhibition"].into_iter().zip(counts.held_back) {
            self.held_back.get_or_create(&[("by", by)]).inc_by(count);
        }
        self.repeated.inc_by(counts.repeated);
        self.escalated.inc_by(counts.escalated);
    }

    /// What is remembered now.
    pub fn stand(&self, router: &Router) {
        let (pages, waiting) = router.counts();
        self.pages.set(i64::try_from(pages).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_scraped_from_the_first_turn_on() {
        let metrics = crate::console::Metrics::new();
        metrics.routing.count(&Counts { held_back: [2, 0, 1], repeated: 3, unrouted: 4, ..Counts::default() });
        metrics.routing.stand(&Router::new(crate::router::Routes::default(), &[]));
        let text = metrics.encode();
        for line in [
            "watershed_held_back_total{by=\"silence\"} 2",
            "watershed_held_back_total{by=\"mute\"} 0",
            "watershed_held_back_total{by=\"inhibition\"} 1",
            "watershed_unrouted_total 4",
            "watershed_repeated_total 3",
            "watershed_escalated_total 0",
            "watershed_pages 0",
        ] {
            assert!(text.lines().any(|have| have == line), "no line `{line}` in\n{text}");
        }
    }
}
