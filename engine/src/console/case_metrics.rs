//! What is kept of incidents, as metrics.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::cases::Cases;

/// Case files, and what happened to them.
#[derive(Default)]
pub struct CaseMetrics {
    kept: Gauge,
    expired: Gauge,
    dropped: Gauge,
    erased: Gauge,
    unreadable: Gauge,
    too_common: Gauge,
}

impl CaseMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            ("cases", "Case files of incidents that are kept", &self.kept),
            ("cases_expired", "Case files since the start that were kept long enough", &self.expired),
            ("cases_dropped", "Case files since the start that went early because there were too many", &self.dropped),
            ("cases_erased", "Case files since the start of which something was erased", &self.erased),
            (
                "cases_unreadable",
                "Times since the start that the store did not give a case file back",
                &self.unreadable,
            ),
            (
                "values_too_common",
                "Times since the start that an incident named a value that is too common to relate incidents",
                &self.too_common,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    /// What is kept now, what happened so far, and how many values were too common to relate incidents.
    pub fn stand(&self, cases: Option<&Cases>, too_common: u64) {
        let set = |gauge: &Gauge, count: u64| gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        set(&self.too_common, too_common);
        let Some(cases) = cases else { return };
        let counts = cases.counts();
        set(&self.kept, cases.len() as u64);
        set(&self.expired, counts.expired);
        set(&self.dropped, counts.dropped);
        set(&self.erased, counts.erased);
        set(&self.unreadable, counts.unreadable);
    }
}

#[cfg(test)]
mod tests {
    use watershed_schemas::{IncidentRevision, IncidentStatus, Timestamp, Verdict};

    use super::*;
    use crate::cases::Settings;
    use crate::core::Output;
    use crate::store::Commit;

    #[test]
    fn what_is_kept_and_what_went_is_scraped() {
        let mut cases = Cases::open(Settings { most: 2, ..Settings::default() }, None).expect("there is no store");
        let mut commit = Commit::unkept();
        let mut take = |id: &str, seconds: i64| {
            let at = Timestamp::from_secs(seconds);
            let revision = IncidentRevision {
                status: IncidentStatus::Resolved,
                principal: Some("ada".to_owned()),
                ..IncidentRevision::opened(id, "acme", Verdict::Both, at)
            };
            let output = Output { incidents: vec![revision], ..Output::default() };
            cases.take(&output, &[], &[], [at; 2], &mut commit).expect("there is no store");
        };
        // The first is kept long enough, of the others one is too many.
        take("a", 0);
        for id in ["b", "c", "d"] {
            take(id, 100 * 86_400);
        }
        cases.erase("acme", "ada", Timestamp::from_secs(0), &mut commit).expect("there is no store");
        let metrics = crate::console::Metrics::new();
        metrics.cases.stand(Some(&cases), 7);
        let text = metrics.encode();
        for line in [
            "watershed_cases 2",
            "watershed_cases_expired 1",
            "watershed_cases_dropped 1",
            "watershed_cases_erased 2",
            "watershed_cases_unreadable 0",
            "watershed_values_too_common 7",
        ] {
            assert!(text.lines().any(|have| have == line), "no line `{line}` in\n{text}");
        }
    }
}
