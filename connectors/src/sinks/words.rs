//! A notification's closed sets in words for people.

use watershed_schemas::{Coverage, IncidentStatus, Notification, NotifyReason, Origin, Plane, PlaneCoverage, Verdict};

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::ModelAbuse => "model abuse",
        Verdict::AccessCompromise => "access compromise",
        Verdict::Both => "model abuse and access compromise",
    }
}

pub(super) fn reason(reason: NotifyReason) -> &'static str {
    match reason {
        NotifyReason::Opened => "new incident",
        NotifyReason::VerdictGrew => "verdict grew",
        NotifyReason::SeverityRose => "severity rose",
        NotifyReason::Withdrawn => "withdrawn",
        NotifyReason::Resolved => "resolved",
        NotifyReason::Acknowledged => "acknowledged",
        NotifyReason::Repeated => "still open",
        NotifyReason::Escalated => "escalated: nobody has taken it",
    }
}

pub(super) fn status(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "open",
        IncidentStatus::Acknowledged => "acknowledged",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Closed => "closed",
        IncidentStatus::Merged => "merged into an older incident",
        IncidentStatus::Withdrawn => "withdrawn",
    }
}

pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Model => "the model plane moved first",
        Origin::Access => "the access plane moved first",
        Origin::Undetermined => "too close to call",
    }
}

/// What was not heard when the verdict was given; nothing where both planes were.
pub(super) fn coverage_gaps(coverage: Coverage) -> Vec<String> {
    [(Plane::Model, coverage.model), (Plane::Access, coverage.access)]
        .into_iter()
        .filter_map(|(plane, heard)| match heard {
            PlaneCoverage::Observed => None,
            PlaneCoverage::Lagging { by } => Some(format!("{plane} plane lagging by {by} s")),
            PlaneCoverage::Silent { since } => Some(format!("{plane} plane silent since {since}")),
            PlaneCoverage::NeverSeen => Some(format!("{plane} plane never seen")),
        })
        .collect()
}

/// Whether, for this receiver, the incident is over: its page is to be closed.
///
/// A withdrawal that leaves one of the receiver's planes in the verdict of an open incident is news, not an end.
pub(super) fn is_over(notification: &Notification) -> bool {
    match notification.reason {
        NotifyReason::Resolved => true,
        NotifyReason::Withdrawn => {
            !matches!(notification.status, IncidentStatus::Open | IncidentStatus::Acknowledged)
                || !notification.verdict.planes().iter().any(|plane| notification.planes.contains(plane))
        }
        NotifyReason::Opened
        | NotifyReason::VerdictGrew
        | NotifyReason::SeverityRose
        | NotifyReason::Acknowledged
        | NotifyReason::Repeated
        | NotifyReason::Escalated => false,
    }
}
