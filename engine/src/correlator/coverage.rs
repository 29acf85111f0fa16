//! Whether each plane was heard up to the time of an incident.

use std::time::Duration;

use watershed_schemas::{Coverage, Plane, PlaneCoverage, Timestamp};

use crate::watermark::Watermarks;

/// What can be said of both planes as of now about an incident whose last event was at `last`.
pub(super) fn coverage(watermarks: &Watermarks, last: Timestamp, silence_after: Duration) -> Coverage {
    let newest = Plane::ALL.map(|plane| watermarks.heard(plane)).into_iter().fold(last, Timestamp::max);
    let of = |plane: Plane| {
        let heard = watermarks.heard(plane);
        let late_by = last.micros().saturating_sub(heard.micros());
        if heard == Timestamp::MIN {
            PlaneCoverage::NeverSeen
        } else if heard.plus(watermarks.out_of_orderness(plane)) >= last {
            PlaneCoverage::Observed
        } else if heard.plus(silence_after) < newest {
            PlaneCoverage::Silent { since: heard }
        } else {
            PlaneCoverage::Lagging { by: late_by / 1_000_000 }
        }
    };
    Coverage { model: of(Plane::Model), access: of(Plane::Access) }
}

#[cfg(test)]
mod tests {
    use watershed_connectors::Partition;

    use super::*;
    use crate::watermark::PlaneTime;

    /// The model plane was heard up to minute 60, the access plane up to `access`; the incident ends at `last`.
    fn check(access: Option<i64>, last: i64, expected: PlaneCoverage) {
        let time = PlaneTime { out_of_orderness: Duration::from_secs(60), allowed_lateness: Duration::from_secs(900) };
        let mut watermarks = Watermarks::new([time; 2], [true; 2]);
        let mut hear = |plane: Plane, minute: i64| {
            let partition = Partition { plane, topic: plane.table().into(), index: 0 };
            watermarks.hear(&partition, Timestamp::from_secs(minute * 60));
        };
        hear(Plane::Model, 60);
        access.into_iter().for_each(|minute| hear(Plane::Access, minute));
        let found = coverage(&watermarks, Timestamp::from_secs(last * 60), Duration::from_secs(15 * 60));
        assert_eq!(found.access, expected, "access heard up to {access:?}, last event at {last}");
        assert_eq!(found.model, PlaneCoverage::Observed);
    }

    #[test]
    fn a_plane_is_observed_lagging_silent_or_was_never_seen() {
        let since = |minute: i64| PlaneCoverage::Silent { since: Timestamp::from_secs(minute * 60) };
        check(None, 50, PlaneCoverage::NeverSeen);
        check(Some(60), 50, PlaneCoverage::Observed);
        check(Some(50), 50, PlaneCoverage::Observed);
        check(Some(49), 50, PlaneCoverage::Observed);
        check(Some(48), 50, PlaneCoverage::Lagging { by: 120 });
        check(Some(45), 60, PlaneCoverage::Lagging { by: 900 });
        check(Some(44), 60, since(44));
        // It reached the incident before it fell silent.
        check(Some(20), 20, PlaneCoverage::Observed);
        // It did not, and the other plane has been heard for long since.
        check(Some(20), 22, since(20));
    }
}
