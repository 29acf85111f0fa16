//! What is wrong with the engine, as metrics.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use watershed_schemas::{Notice, NoticeKind};

/// How many things of each kind are wrong.
#[derive(Default)]
pub struct OperatorMetrics {
    standing: Family<[(&'static str, String); 1], Gauge>,
}

impl OperatorMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "operator_notices",
            "What is wrong with the engine now, by kind; each is told to the team operator",
            self.standing.clone(),
        );
    }

    /// What stands.
    pub fn stand(&self, notices: &[Notice]) {
        for kind in NoticeKind::ALL {
            let count = notices.iter().filter(|notice| notice.kind == kind).count();
            let gauge = self.standing.get_or_create(&[("kind", kind.name().to_owned())]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use watershed_schemas::{NoticeState, Timestamp};

    use super::*;

    #[test]
    fn what_is_wrong_is_scraped() {
        let metrics = crate::console::Metrics::new();
        let notice = Notice {
            kind: NoticeKind::PlaneSilent,
            subject: "access".to_owned(),
            state: NoticeState::Firing,
            since: Timestamp::from_secs(0),
            text: String::new(),
        };
        metrics.operator.stand(std::slice::from_ref(&notice));
        let text = metrics.encode();
        for line in [
            "watershed_operator_notices{kind=\"plane_silent\"} 1",
            "watershed_operator_notices{kind=\"outbox_full\"} 0",
        ] {
            assert!(text.lines().any(|have| have == line), "no line `{line}` in\n{text}");
        }
        metrics.operator.stand(&[]);
        assert!(metrics.encode().contains("watershed_operator_notices{kind=\"plane_silent\"} 0"));
    }
}
