//! What became of templates, as metrics.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Messages that templates could not write.
#[derive(Default)]
pub struct TemplateMetrics {
    failures: Gauge,
}

impl TemplateMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "template_failures",
            "Attempts that went out in the receiver's default words because its template failed",
            self.failures.clone(),
        );
    }

    /// How many so far.
    pub fn stand(&self, failures: u64) {
        self.failures.set(i64::try_from(failures).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn failures_are_scraped() {
        let metrics = crate::console::Metrics::new();
        metrics.templates.stand(3);
        assert!(metrics.encode().lines().any(|line| line == "watershed_template_failures 3"));
    }
}
