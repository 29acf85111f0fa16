//! Where remembered rows are, as metrics.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::shelf::ColdCounts;

/// Rows in memory and on disk, and what went wrong between them.
#[derive(Default)]
pub struct ColdMetrics {
    bytes: Family<[(&'static str, String); 1], Gauge>,
    loads: Gauge,
    unreadable: Gauge,
    unwritten: Gauge,
}

impl ColdMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("row_bytes", "Bytes of remembered rows, by where they are", self.bytes.clone());
        registry.register("row_loads", "Times that rows were loaded from disk for a late event", self.loads.clone());
        registry.register(
            "rows_unreadable",
            "Times that rows on disk could not be read back; what needs them is degraded",
            self.unreadable.clone(),
        );
        registry.register(
            "rows_unwritten",
            "Times that rows could not be left on disk and stayed in memory",
            self.unwritten.clone(),
        );
    }

    /// Bytes in memory and on disk, and what happened so far.
    pub fn stand(&self, bytes: [usize; 2], counts: ColdCounts) {
        let value = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (place, bytes) in ["memory", "disk"].into_iter().zip(bytes) {
            self.bytes.get_or_create(&[("where", place.to_owned())]).set(value(bytes as u64));
        }
        self.loads.set(value(counts.loads));
        self.unreadable.set(value(counts.unreadable));
        self.unwritten.set(value(counts.unwritten));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_rows_are_is_scraped() {
        let metrics = crate::console::Metrics::new();
        metrics.cold.stand([7, 9], ColdCounts { loads: 1, unreadable: 2, unwritten: 3 });
        let text = metrics.encode();
        for line in [
            "watershed_row_bytes{where=\"memory\"} 7",
            "watershed_row_bytes{where=\"disk\"} 9",
            "watershed_row_loads 1",
            "watershed_rows_unreadable 2",
            "watershed_rows_unwritten 3",
        ] {
            assert!(text.lines().any(|have| have == line), "no line `{line}` in\n{text}");
        }
    }
}
